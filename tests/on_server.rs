//! The tests of the ledger, of handing over, of waits, follow-ups and random faults once more, with the ledger in PostgreSQL.
#![allow(clippy::duplicate_mod, reason = "each of them brings what it needs")]

#[path = "hand_over.rs"]
mod hand_over;
#[path = "ledger.rs"]
mod ledger;
#[path = "schedules.rs"]
mod schedules;
#[path = "timers.rs"]
mod timers;
