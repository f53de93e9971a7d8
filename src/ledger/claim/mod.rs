//! From what is due to a claim, and what becomes of claims without an answer.

pub(super) mod claiming;
pub(super) mod due;
pub(super) mod expiry;
pub(super) mod held_batch;
pub(super) mod next_members;
pub(super) mod open_segment;
pub(super) mod orphans;
pub(super) mod unknown_batches;
