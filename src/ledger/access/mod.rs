//! Opening a ledger, and what each role may do with it.

pub(super) mod clock_skew;
pub(super) mod console;
pub(super) mod core;
pub(super) mod fence;
pub(super) mod location;
pub(super) mod opening;
pub(super) mod reserved_space;
pub(super) mod restore;
pub(super) mod views;
