//! Walks over typed expressions.

use crate::program::expr::{Expr, ExprKind};

/// The expressions directly inside, in the order of the text. Names are leaves: an audience is not entered.
pub(super) fn children(e: &Expr) -> Vec<&Expr> {
    match &e.kind {
        ExprKind::Const(_)
        | ExprKind::Tag(_)
        | ExprKind::Partition(_)
        | ExprKind::TriggerField(_)
        | ExprKind::RowField(_)
        | ExprKind::StepOutcome { .. }
        | ExprKind::Everyone
        | ExprKind::Audience(_)
        | ExprKind::List(_) => Vec::new(),
        ExprKind::LookupField { keys: list, .. } | ExprKind::Call { args: list, .. } => list.iter().collect(),
        ExprKind::Not(x) | ExprKind::Neg(x) | ExprKind::IsMissing(x) | ExprKind::IsKnown(x) => vec![x],
        ExprKind::InList { of: x, .. } | ExprKind::InWindow { of: x, .. } | ExprKind::SetContains { set: x, .. } => vec![x],
        ExprKind::And(a, b) | ExprKind::Or(a, b) | ExprKind::Except(a, b) | ExprKind::Coalesce(a, b) => vec![a, b],
        ExprKind::Compare { left: a, right: b, .. } | ExprKind::Arith { left: a, right: b, .. } => vec![a, b],
        ExprKind::TextContains { of: a, what: b } | ExprKind::StartsWith { of: a, what: b } => vec![a, b],
        ExprKind::InRange { of, lo, hi } => vec![of, lo, hi],
        ExprKind::If { when, then, otherwise } => vec![when, then, otherwise],
        ExprKind::Event(query) => {
            let next = query.then.iter().filter_map(|t| t.next.filter.as_ref());
            query.pattern.filter.iter().chain(next).collect()
        }
    }
}

/// Calls `see` with `e` and everything inside.
pub(super) fn each<'e>(e: &'e Expr, see: &mut impl FnMut(&'e Expr)) {
    see(e);
    for child in children(e) {
        each(child, see);
    }
}
