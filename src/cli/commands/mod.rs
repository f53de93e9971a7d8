//! One file a command.

pub mod apply;
pub mod audit;
pub mod check;
pub mod completions;
pub mod events;
pub mod explain;
pub mod fmt;
pub mod hold;
pub mod live;
pub mod loading;
pub mod plan;
pub mod preview;
pub mod query;
pub mod recall;
pub mod repl;
pub mod resolve;
pub mod run;
pub mod sample_data;
pub mod send_test;
pub mod serve;
pub mod status;
pub mod sync;
pub mod tags;
pub mod test;
pub mod why;
pub mod work;
