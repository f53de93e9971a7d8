//! When something is due and until when it may be sent: the calendar of schedules, quiet
//! hours, deadlines. Pure; the ledger remembers what was done.

pub mod calendar;
pub mod date_offset;
pub mod quiet;
pub mod user_time;
pub mod window;

pub use calendar::{dues_between, fix_once, next_due};
pub use quiet::end_of_quiet;
pub use window::{SendWindow, hand_over, hand_over_by};
