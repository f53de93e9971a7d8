//! The tests of the ledger, of handing over, of waits and follow-ups, of users' own times, of whom
//! channels reach, of rules that change after the plan, of the commands beside them and of random
//! faults once more, with the ledger in PostgreSQL.
#![allow(clippy::duplicate_mod, reason = "each of them brings what it needs")]

#[path = "hand_over.rs"]
mod hand_over;
#[path = "ledger.rs"]
mod ledger;
#[path = "newest.rs"]
mod newest;
#[path = "operating.rs"]
mod operating;
#[path = "reach.rs"]
mod reach;
#[path = "schedules.rs"]
mod schedules;
#[path = "timers.rs"]
mod timers;
#[path = "user_times.rs"]
mod user_times;
