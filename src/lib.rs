//! tagcast: tag-targeted message campaigns as text, proved before anything is sent, sent at most
//! once, explained afterwards.
//!
//! `ARCHITECTURE.md` draws the floors; `tests/house/floors.rs` keeps them.

#![allow(
    rustdoc::private_intra_doc_links,
    reason = "the docs are for those who read the code, private items and all"
)]
// What a script, a data file or a peer can reach must not panic, and order must not depend on a
// hash.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::panic,
        clippy::todo,
        clippy::unimplemented,
        clippy::unreachable,
        clippy::dbg_macro,
        clippy::iter_over_hash_type,
        clippy::allow_attributes_without_reason
    )
)]

pub mod base;
pub mod cli;
pub mod decide;
pub mod deliver;
pub mod diag;
pub mod engine;
pub mod eval;
pub mod format;
pub mod ledger;
pub mod lint;
pub mod plan;
pub mod program;
pub mod repl;
pub mod schedule;
pub mod serve;
pub mod store;
pub mod syntax;
