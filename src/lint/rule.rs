//! One lint, and what it may look at.

use crate::base::Instant;
use crate::diag::{Code, Findings, Sources};
use crate::program::typed::Program;
use crate::syntax::ast;

/// What a rule may look at.
pub struct LintContext<'a> {
    pub sources: &'a Sources,
    pub files: &'a [ast::File],
    pub program: &'a Program,
    /// `None`: nothing is past.
    pub now: Option<Instant>,
}

/// One lint.
pub struct Rule {
    pub code: Code,
    pub check: fn(&LintContext, &mut Findings),
}
