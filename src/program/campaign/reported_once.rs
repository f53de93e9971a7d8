//! Findings that are the same in every campaign.

use std::collections::BTreeSet;

/// What has been reported and need not be again.
#[derive(Debug, Default)]
pub(super) struct ReportedOnce(BTreeSet<String>);

impl ReportedOnce {
    /// Whether `what` has not been reported before.
    pub fn first(&mut self, what: &str) -> bool {
        self.0.insert(what.to_string())
    }
}
