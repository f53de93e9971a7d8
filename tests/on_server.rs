//! The tests of the ledger and of handing over once more, with the ledger in PostgreSQL.
#![allow(clippy::duplicate_mod, reason = "each of them brings what it needs")]

#[path = "hand_over.rs"]
mod hand_over;
#[path = "ledger.rs"]
mod ledger;
