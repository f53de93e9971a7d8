//! Lints: what is allowed but doubtful. A rule is one file under `rules/`, a page under
//! `docs/findings/`, and a line in [`registry`].
//!
//! `# tagcast: allow NAME` behind a line, or on a line of its own above an item or a line, allows
//! that lint there. An allowance that allows nothing is a finding itself.

pub mod registry;
mod rules;
mod suppress;
pub mod walk;

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
    pub code: &'static Code,
    pub check: fn(&LintContext, &mut Findings),
}

/// Runs every rule. A program with errors is looked at as far as it was understood.
pub fn run(cx: &LintContext, findings: &mut Findings) {
    let mut found = Findings::default();
    for rule in registry::RULES {
        (rule.check)(cx, &mut found);
    }
    suppress::apply(cx, found, findings);
}
