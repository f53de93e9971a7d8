//! The file of a finding, as every format shows it.

use crate::diag::{Finding, Sources};

/// A path with forward slashes, as every format shows it.
pub(super) fn shown_path(sources: &Sources, finding: &Finding) -> String {
    sources
        .path(finding.span.file)
        .to_string_lossy()
        .replace('\\', "/")
}
