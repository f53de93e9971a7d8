//! The whole order: from a folder, a store and a clock to what the commands show.
//!
//! Only this floor knows how the others follow one another. It prints nothing: commands and REPL
//! do.

pub mod agenda;
pub mod binding;
pub mod config;
mod consent;
pub mod cycle;
pub mod decider;
pub mod eval_data;
pub mod event_values;
pub mod failure;
pub mod follow_ups;
pub mod go_live;
pub mod history_cache;
mod own_messages;
pub mod planning;
mod policy_refresh;
pub mod preview;
pub mod project;
pub mod recalling;
pub mod restoring;
pub mod run;
pub mod saved_plan;
pub mod send_test;
pub mod simulated_history;
pub mod status;
pub mod store_events;
pub mod testing;
pub mod triggers;
mod user_schedule;
pub mod why;

pub use config::Config;
pub use failure::Failure;
pub use project::{Project, ProjectOptions};
