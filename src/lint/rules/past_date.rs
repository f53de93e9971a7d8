//! `past-date`: a campaign whose time has gone by.

use crate::diag::{Code, Finding, Findings, Span};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::syntax::ast::{AtExpr, ClauseKind, Expr, ExprKind, ItemKind, LiteralKind};

pub static RULE: Rule = Rule {
    code: Code::lint("past-date", include_str!("past_date.md")),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    let Some(now) = cx.now else { return };
    let zone = cx.program.policy.zone;
    let today = zone.date(now);
    let items = cx.files.iter().flat_map(|f| &f.items);
    let campaigns = items.filter_map(|i| match &i.kind {
        ItemKind::Campaign(c) => Some(c),
        _ => None,
    });
    for clause in campaigns.flat_map(|c| &c.clauses) {
        match &clause.kind {
            ClauseKind::At {
                when: AtExpr::Expr(e),
                ..
            } => {
                if let Some(LiteralKind::Instant(date, time)) = literal(e)
                    && zone.instant(*date, *time) < now
                {
                    report(cx, e.span, now, out);
                }
            }
            ClauseKind::Every(every) => {
                if let Some(e) = &every.until
                    && let Some(LiteralKind::Date(date)) = literal(e)
                    && *date < today
                {
                    report(cx, e.span, now, out);
                }
            }
            _ => {}
        }
    }
}

fn literal(e: &Expr) -> Option<&LiteralKind> {
    match e.kind.as_ref() {
        ExprKind::Literal(l) => Some(&l.kind),
        _ => None,
    }
}

fn report(cx: &LintContext, span: Span, now: crate::base::Instant, out: &mut Findings) {
    let text = cx.sources.slice(span);
    let shown = cx.program.policy.zone.show(now);
    let message = msg!(
        "`{text}` is past: it is {shown}",
        "`{text}` 已经过去：现在是 {shown}"
    );
    out.push(Finding::new(&RULE.code, span, message).help(msg!(
        "give it a new date, or delete the campaign",
        "请更新日期，或删除该活动"
    )));
}
