//! The tests of the ledger, of sending, of waits and follow-ups, of users' own times, of whom
//! channels reach, of rules that change after the plan, of the commands beside them and of random
//! faults once more, with the ledger in PostgreSQL.

#[path = "../support/mod.rs"]
mod support;

#[path = "../delivery/hand_over.rs"]
mod hand_over;
#[path = "../delivery/ledger.rs"]
mod ledger;
#[path = "../delivery/newest.rs"]
mod newest;
#[path = "../delivery/operating.rs"]
mod operating;
#[path = "../delivery/reach.rs"]
mod reach;
#[path = "../delivery/schedules.rs"]
mod schedules;
#[path = "../delivery/timers.rs"]
mod timers;
#[path = "../delivery/user_times.rs"]
mod user_times;
