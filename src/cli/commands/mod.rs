//! One file a command.

pub mod check;
pub mod completions;
pub mod events;
pub mod explain;
pub mod fmt;
pub mod loading;
pub mod query;
pub mod repl;
pub mod sample_data;
pub mod sync;
pub mod tags;
