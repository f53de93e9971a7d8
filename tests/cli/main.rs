//! The command line and the REPL as people and scripts use them.

#[path = "../support/mod.rs"]
mod support;

mod contract;
mod examples;
mod hostile;
mod preview;
mod repl;
