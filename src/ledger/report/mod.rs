//! What became of runs and messages.

pub(super) mod backlog;
pub(super) mod outcome;
pub(super) mod run_report;
pub(super) mod sent_messages;
