//! When something is due: the calendar of schedules, the end of quiet hours, deadlines. Pure; the ledger remembers what was done.

pub mod calendar;
pub mod quiet;
