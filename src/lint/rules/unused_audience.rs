//! `unused-audience`: an audience that nothing uses.

use std::collections::BTreeSet;

use crate::base::AudienceId;
use crate::diag::{Finding, Findings, catalog};
use crate::lint::{LintContext, Rule, walk};
use crate::msg;
use crate::program::typed_expr::ExprKind;

pub const RULE: Rule = Rule {
    code: &catalog::UNUSED_AUDIENCE,
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    // A folder of declarations alone, for `query` and the REPL, uses none of them.
    if cx.program.campaigns.is_empty() {
        return;
    }
    let mut used: BTreeSet<AudienceId> = BTreeSet::new();
    for root in walk::roots(cx.program) {
        root.each(&mut |e| {
            if let ExprKind::Audience(id) = &e.kind {
                used.insert(*id);
            }
        });
    }
    for (i, audience) in cx.program.audiences.iter().enumerate() {
        if !used.contains(&AudienceId(i as u32)) {
            let name = &audience.declared.name;
            let message = msg!(
                "nothing uses the audience `{name}`",
                "人群 `{name}` 没有被使用"
            );
            out.push(
                Finding::new(
                    &catalog::UNUSED_AUDIENCE,
                    audience.declared.name_span,
                    message,
                )
                .help(msg!("use it, or delete it", "请使用它，或将其删除")),
            );
        }
    }
}
