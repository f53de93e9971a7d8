//! From a folder, a store and a clock to what the commands show: projects, plans, and the cycle of
//! deciding and sending.
//!
//! Only this floor knows how the others follow one another. It prints nothing: commands and REPL
//! do.

pub mod agenda;
pub mod binding;
pub mod config;
pub mod cycle;
pub mod decider;
pub mod eval_data;
pub mod explain_user;
pub mod failure;
pub mod follow_ups;
pub mod go_live;
pub mod history_cache;
pub mod ledger_status;
pub mod message_preview;
mod own_messages;
pub mod planning;
pub mod project;
pub mod recall_run;
pub mod restored_ledger;
pub mod run_until;
pub mod saved_plan;
pub mod simulated_history;
pub mod store_events;
pub mod test_message;
pub mod testing;
pub mod triggers;
mod user_schedule;

pub use config::Config;
pub use failure::Failure;
pub use project::{Project, ProjectOptions};
