//! From the plan to the send: the ledger, waits, caps, workers, and whatever can go wrong
//! between them. `tests/on_server` runs a part of it once more.

#[path = "../platforms/mod.rs"]
mod platforms;
#[path = "../support/mod.rs"]
mod support;

mod caps;
mod crash;
mod hand_over;
mod ledger;
mod newest;
mod operating;
mod reach;
mod schedules;
mod timers;
mod troubles;
mod user_times;
mod workers;
