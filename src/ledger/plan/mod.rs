//! What the decider writes and asks: live campaigns, planned runs, what caps count, old runs.

pub(super) mod cap_history;
pub(super) mod forget;
pub(super) mod live_programs;
pub(super) mod planned_runs;
