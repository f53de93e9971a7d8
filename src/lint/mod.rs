//! Lints: what is allowed but doubtful. A lint is a file and a page under `rules/`, listed there;
//! `docs/contributing/add-a-lint.md` shows how one is added.
//!
//! `# tagcast: allow NAME` behind a line, or on a line of its own above an item or a line, allows
//! that lint there. An allowance that allows nothing is a finding itself.

mod allow;
mod rule;
mod rules;

use crate::diag::{Code, Findings, catalog};

pub use allow::codes;
pub use rule::{LintContext, Rule};
pub use rules::RULES;

/// Runs every rule. A program with errors is looked at as far as it was understood.
pub fn run(cx: &LintContext, findings: &mut Findings) {
    let mut found = Findings::default();
    for rule in RULES {
        (rule.check)(cx, &mut found);
    }
    allow::apply(cx, found, findings);
}

/// Every finding there is, the checker's and the lints', by name.
pub fn all_codes() -> Vec<&'static Code> {
    let mut codes = codes();
    codes.extend(catalog::ALL);
    codes.sort_by_key(|code| code.name);
    codes
}
