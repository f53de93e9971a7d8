//! `tagcast serve` as a process.

#[path = "../platforms/mod.rs"]
mod platforms;
#[path = "../support/mod.rs"]
mod support;

mod consent;
mod killed;
mod serve;
mod troubles;
