//! `and-beside-or`: `and` binds more strongly than `or`, which readers should not have to know.

use crate::diag::{Code, Edit, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::syntax::ast::{BinaryOp, Expr, ExprKind};
use crate::syntax::visit;

pub static RULE: Rule = Rule {
    code: Code::lint("and-beside-or", include_str!("and_beside_or.md")),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    for file in cx.files {
        visit::expressions(file, &mut |e| look(e, out));
    }
}

fn look(e: &Expr, out: &mut Findings) {
    let ExprKind::Binary {
        op: BinaryOp::Or,
        op_span,
        left,
        right,
    } = e.kind.as_ref()
    else {
        return;
    };
    for side in [left, right] {
        let ExprKind::Binary {
            op: BinaryOp::And,
            op_span: inner,
            ..
        } = side.kind.as_ref()
        else {
            continue;
        };
        let edits = vec![
            Edit {
                span: side.span.before(),
                text: "(".into(),
            },
            Edit {
                span: side.span.after(),
                text: ")".into(),
            },
        ];
        let finding = Finding::new(
            &RULE.code,
            *inner,
            msg!(
                "`and` beside `or` without parentheses",
                "`且` 与 `或` 并用而没有括号"
            ),
        )
        .label(*op_span, msg!("this `or` comes last", "此 `或` 后计算"))
        .fix_all(
            msg!("put parentheses around the `and`", "给 `且` 加上括号"),
            edits,
            true,
        );
        out.push(finding);
    }
}
