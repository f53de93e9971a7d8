//! Lints: what is allowed but doubtful. A lint is a file and a page under `rules/`, listed there;
//! `docs/contributing/add-a-lint.md` shows how one is added.
//!
//! `# tagcast: allow NAME` behind a line, or on a line of its own above an item or a line, allows
//! that lint there. An allowance that allows nothing is a finding itself.

mod allow;
mod rules;

use crate::base::Instant;
use crate::diag::{Code, Findings, Sources, catalog};
use crate::program::typed::Program;
use crate::syntax::ast;

pub use rules::RULES;

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

/// Runs every rule. A program with errors is looked at as far as it was understood.
pub fn run(cx: &LintContext, findings: &mut Findings) {
    let mut found = Findings::default();
    for rule in RULES {
        (rule.check)(cx, &mut found);
    }
    allow::apply(cx, found, findings);
}

/// The findings that an `allow` comment can name, by name.
pub fn codes() -> Vec<&'static Code> {
    let rules = RULES.iter().map(|rule| &rule.code);
    let mut codes: Vec<&Code> = rules.chain([&allow::UNUSED_ALLOW]).collect();
    codes.sort_by_key(|code| code.name);
    codes
}

/// Every finding there is, the checker's and the lints', by name.
pub fn all_codes() -> Vec<&'static Code> {
    let mut codes = codes();
    codes.extend(catalog::ALL);
    codes.sort_by_key(|code| code.name);
    codes
}
