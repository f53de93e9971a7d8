//! One file a command.

pub mod apply;
pub mod check;
pub mod completions;
pub mod events;
pub mod explain;
pub mod fmt;
pub mod loading;
pub mod plan;
pub mod query;
pub mod repl;
pub mod run;
pub mod sample_data;
pub mod serve;
pub mod sync;
pub mod tags;
pub mod test;
pub mod why;
