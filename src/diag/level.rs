//! How much a finding matters.

/// How much a finding matters. `Error` stops plan and run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    Note,
    Warning,
    Error,
}
