//! `unused-audience`: an audience that nothing uses.

use std::collections::BTreeSet;

use crate::base::AudienceId;
use crate::diag::{Code, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::typed_expr::ExprKind;
use crate::program::walk;

pub static RULE: Rule = Rule {
    code: Code::lint("unused-audience", include_str!("unused_audience.md")),
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
                Finding::new(&RULE.code, audience.declared.name_span, message)
                    .help(msg!("use it, or delete it", "请使用它，或将其删除")),
            );
        }
    }
}
