//! The chains of records, and the proof that the tables follow from them.

pub(super) mod chain;
pub(super) mod verify;
