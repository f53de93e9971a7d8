//! What channels said: answers, late answers, questions to platforms, what keeps messages waiting.

pub(super) mod answering;
pub(super) mod late_answers;
pub(super) mod polls;
pub(super) mod spool;
pub(super) mod trouble;
