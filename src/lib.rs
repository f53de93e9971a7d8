//! tagcast: tag-targeted message campaigns as text, proved before anything is sent, sent at most once, explained afterwards.
//!
//! `ARCHITECTURE.md` draws the floors; `tests/floors.rs` keeps them.

pub mod base;
pub mod cli;
pub mod decide;
pub mod deliver;
pub mod diag;
pub mod engine;
pub mod eval;
pub mod format;
pub mod lint;
pub mod plan;
pub mod program;
pub mod repl;
pub mod schedule;
pub mod store;
pub mod syntax;
