//! Conditions that say nothing: true for everybody or for nobody, as far as constants show it.

use std::cmp::Ordering;

use crate::base::Value;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::definedness::{Definedness, can_be_missing};
use crate::program::typed::Program;
use crate::program::typed_expr::{CompareOp, Expr, ExprKind};
use crate::program::types;

/// For all users alike, whatever their tags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Truth {
    /// True, and nobody said `everyone`.
    Always,
    /// True because somebody said `everyone`.
    Everyone,
    Never,
    /// It depends.
    Open,
}

pub(super) fn truth(program: &Program, e: &Expr) -> Truth {
    use Truth::{Always, Everyone, Never, Open};
    let of = |e: &Expr| truth(program, e);
    let known = |yes: bool| if yes { Always } else { Never };
    match &e.kind {
        ExprKind::Const(Value::Bool(b)) => known(*b),
        ExprKind::Everyone => Everyone,
        ExprKind::Audience(id) => match program.audiences.get(id.index()) {
            Some(audience) if !audience.declared.failed => of(&audience.when),
            _ => Open,
        },
        ExprKind::Not(x) => match of(x) {
            Always | Everyone => Never,
            Never => Always,
            Open => Open,
        },
        ExprKind::And(a, b) => match (of(a), of(b)) {
            (Never, _) | (_, Never) => Never,
            (Open, _) | (_, Open) => Open,
            (Everyone, _) | (_, Everyone) => Everyone,
            (Always, Always) => Always,
        },
        ExprKind::Or(a, b) => match (of(a), of(b)) {
            (Everyone, _) | (_, Everyone) => Everyone,
            (Always, _) | (_, Always) => Always,
            (Never, Never) => Never,
            (Open, _) | (_, Open) => Open,
        },
        ExprKind::Except(a, b) => match (of(a), of(b)) {
            (_, Always | Everyone) | (Never, _) => Never,
            (a, Never) => a,
            (_, Open) => Open,
        },
        ExprKind::Compare { op, left, right } => match (&left.kind, &right.kind) {
            (ExprKind::Const(a), ExprKind::Const(b)) => compare(*op, a, b).map_or(Open, known),
            _ => Open,
        },
        ExprKind::IsKnown(x) | ExprKind::IsMissing(x)
            if can_be_missing(program, x, &Definedness::default()).is_empty() =>
        {
            known(matches!(e.kind, ExprKind::IsKnown(_)))
        }
        _ => Open,
    }
}

pub(super) fn nobody(span: Span) -> Finding {
    Finding::new(
        &catalog::MATCHES_NOBODY,
        span,
        msg!("this is true for no user", "没有用户满足这个条件"),
    )
    .help(msg!(
        "nothing would ever be sent: change the condition, or leave it out",
        "什么都不会发送：修改条件，或去掉它"
    ))
}

fn compare(op: CompareOp, a: &Value, b: &Value) -> Option<bool> {
    let order = types::order(a, b)?;
    Some(match op {
        CompareOp::Eq => order == Ordering::Equal,
        CompareOp::Ne => order != Ordering::Equal,
        CompareOp::Lt => order == Ordering::Less,
        CompareOp::Le => order != Ordering::Greater,
        CompareOp::Gt => order == Ordering::Greater,
        CompareOp::Ge => order != Ordering::Less,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FileId, TagId, Type};
    use crate::diag::Span;

    fn e(kind: ExprKind) -> Expr {
        Expr {
            ty: Type::Bool,
            span: Span::new(FileId(0), 0, 0),
            optional: true,
            kind,
        }
    }
    fn b(kind: ExprKind) -> Box<Expr> {
        Box::new(e(kind))
    }
    fn constant(v: bool) -> ExprKind {
        ExprKind::Const(Value::Bool(v))
    }
    fn is(kind: ExprKind) -> Truth {
        truth(&Program::default(), &e(kind))
    }

    #[test]
    fn constants_show_through_operators() {
        let tag = || b(ExprKind::Tag(TagId(0)));
        assert_eq!(is(ExprKind::Or(tag(), b(constant(true)))), Truth::Always);
        assert_eq!(is(ExprKind::And(tag(), b(constant(false)))), Truth::Never);
        assert_eq!(is(ExprKind::And(tag(), b(constant(true)))), Truth::Open);
        assert_eq!(is(ExprKind::Not(b(constant(false)))), Truth::Always);
        assert_eq!(
            is(ExprKind::Except(tag(), b(ExprKind::Everyone))),
            Truth::Never
        );
        assert_eq!(
            is(ExprKind::Except(b(ExprKind::Everyone), tag())),
            Truth::Open
        );
        assert_eq!(
            is(ExprKind::And(b(ExprKind::Everyone), b(constant(true)))),
            Truth::Everyone
        );
        let compare = ExprKind::Compare {
            op: CompareOp::Lt,
            left: b(ExprKind::Const(Value::Int(2))),
            right: b(ExprKind::Const(Value::Int(1))),
        };
        assert_eq!(is(compare), Truth::Never);
    }
}
