//! `unknown-value`: `not`, `!=`, `not in` and the right side of `except` over a value that can be
//! missing. Who has no value is not selected by the first three, and kept by the last; both are
//! easily forgotten.

use std::collections::BTreeSet;

use crate::diag::{Code, Edit, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::definedness::{Definedness, UndefinedCause, can_be_missing};
use crate::program::typed_expr::{CompareOp, Expr, ExprKind};

pub static RULE: Rule = Rule {
    code: Code::lint("unknown-value", include_str!("unknown_value.md")),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    let program = cx.program;
    let nothing = Definedness::default();
    for expr in program
        .audiences
        .iter()
        .map(|a| &a.when)
        .chain(program.campaigns.iter().map(|c| &c.when))
    {
        look(cx, expr, &nothing, out);
    }
}

/// `present` is what the parts around have proved.
fn look(cx: &LintContext, expr: &Expr, present: &Definedness, out: &mut Findings) {
    use ExprKind as K;
    match &expr.kind {
        K::And(a, b) => {
            // Where the whole is true, each side is: what one side proves holds for the other.
            let assuming = |e: &Expr| {
                let mut more = present.clone();
                more.assume(cx.program, e);
                more
            };
            look(cx, a, &assuming(b), out);
            look(cx, b, &assuming(a), out);
        }
        K::Or(a, b) => {
            // `x is missing or x != 1`: on the right, x is there.
            look(cx, a, &with_missing(b, present), out);
            look(cx, b, &with_missing(a, present), out);
        }
        K::Except(a, b) => {
            look(cx, a, present, out);
            let mut more = present.clone();
            more.assume(cx.program, a);
            report(cx, b, b, &more, "except", out);
            if !matches!(b.kind, K::Audience(_)) {
                look(cx, b, &more, out);
            }
        }
        K::Not(a) => {
            let word = if matches!(
                a.kind,
                K::InList { .. } | K::InRange { .. } | K::InWindow { .. }
            ) {
                "not in"
            } else {
                "not"
            };
            report(cx, expr, a, present, word, out);
        }
        K::Compare {
            op: CompareOp::Ne,
            left,
            right,
        } => {
            report(cx, expr, left, present, "!=", out);
            report(cx, expr, right, present, "!=", out);
        }
        _ => {}
    }
}

/// What `… is missing` in an alternative says of the other alternatives.
fn with_missing(alternative: &Expr, present: &Definedness) -> Definedness {
    let mut more = present.clone();
    match &alternative.kind {
        ExprKind::IsMissing(of) => match &of.kind {
            ExprKind::Tag(id) => {
                more.tags.insert(*id);
            }
            ExprKind::Partition(id) => {
                more.partitions.insert(*id);
            }
            _ => {}
        },
        ExprKind::Or(a, b) => more = with_missing(b, &with_missing(a, &more)),
        _ => {}
    }
    more
}

fn report(
    cx: &LintContext,
    whole: &Expr,
    part: &Expr,
    present: &Definedness,
    word: &str,
    out: &mut Findings,
) {
    let sources = can_be_missing(cx.program, part, present);
    let names: BTreeSet<&str> = sources
        .iter()
        .filter_map(|s| match s {
            UndefinedCause::Tag(id) => cx
                .program
                .schema
                .tags
                .get(id.index())
                .map(|t| t.name.as_str()),
            UndefinedCause::Partition(id) => cx
                .program
                .partitions
                .get(id.index())
                .map(|p| p.declared.name.as_str()),
            UndefinedCause::Lookup(id, _) => cx
                .program
                .lookups
                .get(id.index())
                .map(|l| l.declared.name.as_str()),
            UndefinedCause::TriggerField(_)
            | UndefinedCause::RowField(_)
            | UndefinedCause::Events
            | UndefinedCause::StepOutcome
            | UndefinedCause::Arithmetic => None,
        })
        .collect();
    let names: Vec<&str> = names.into_iter().collect();
    let (Some(first), shown) = (names.first(), names.join("`, `")) else {
        return;
    };
    let finding = if word == "except" {
        let message = msg!(
            "who has no `{shown}` is kept: `except` leaves out only those for whom this is true",
            "没有 `{shown}` 的用户会被保留：`排除` 只排除条件为真的用户"
        );
        Finding::new(&RULE.code, whole.span, message).help(msg!(
            "to leave them out too, write `{first} is missing or …`",
            "若也要排除他们，请写 `{first} 缺失 或 …`"
        ))
    } else {
        let message = msg!(
            "who has no `{shown}` is not selected by this `{word}`",
            "没有 `{shown}` 的用户不会被此 `{word}` 选中"
        );
        Finding::new(&RULE.code, whole.span, message).help(msg!(
            "if that is meant, say so: `{first} is known and …`",
            "若确实如此，请写明：`{first} 已知 且 …`"
        ))
    };
    let wrap = |text: String| {
        vec![
            Edit {
                span: whole.span.before(),
                text,
            },
            Edit {
                span: whole.span.after(),
                text: ")".into(),
            },
        ]
    };
    let missing = format!("({first} is missing or ");
    let finding = finding.fix_all(
        msg!(
            "write `{first} is missing or …`",
            "写成 `{first} 缺失 或 …`"
        ),
        wrap(missing),
        false,
    );
    let finding = if word == "except" {
        finding
    } else {
        let known = format!("({first} is known and ");
        finding.fix_all(
            msg!("write `{first} is known and …`", "写成 `{first} 已知 且 …`"),
            wrap(known),
            false,
        )
    };
    out.push(finding);
}
