//! Typed condition to plan.

use std::collections::BTreeSet;

use super::{Atom, Plan};
use crate::base::{TagId, Type, Value};
use crate::program::expr::{Expr, ExprKind};
use crate::program::typed::Program;

/// The plan of a condition: audiences in place, `and` and `or` flattened, constants folded, cheap parts first.
pub fn lower(program: &Program, condition: &Expr) -> Plan {
    match &condition.kind {
        ExprKind::Everyone => Plan::Always(true),
        ExprKind::Const(Value::Bool(b)) => Plan::Always(*b),
        ExprKind::Audience(id) => lower(program, &program.audience(*id).when),
        ExprKind::Not(of) => match lower(program, of) {
            Plan::Always(b) => Plan::Always(!b),
            Plan::Not(inner) => *inner,
            plan => Plan::Not(Box::new(plan)),
        },
        ExprKind::And(a, b) => join(program, [a, b], true),
        ExprKind::Or(a, b) => join(program, [a, b], false),
        ExprKind::Except(a, b) => match (lower(program, a), lower(program, b)) {
            (Plan::Always(false), _) | (_, Plan::Always(true)) => Plan::Always(false),
            (kept, Plan::Always(false)) => kept,
            (kept, left_out) => Plan::Except(Box::new(kept), Box::new(left_out)),
        },
        _ => Plan::Atom(Box::new(Atom { cost: cost(program, condition), expr: condition.clone() })),
    }
}

/// `and` (`all`) or `or` of two sides, flattened.
fn join(program: &Program, sides: [&Expr; 2], all: bool) -> Plan {
    let mut parts = Vec::new();
    for side in sides {
        match (lower(program, side), all) {
            // True changes no conjunction and decides a disjunction; false the other way round.
            (Plan::Always(b), _) if b == all => {}
            (Plan::Always(b), _) => return Plan::Always(b),
            (Plan::All(inner), true) | (Plan::Any(inner), false) => parts.extend(inner),
            (plan, _) => parts.push(plan),
        }
    }
    // Stable, so that equally dear parts stay in the order they were written in.
    parts.sort_by_key(Plan::cost);
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Plan::Always(all),
        (Some(only), true) => only,
        (Some(last), false) => {
            parts.push(last);
            if all { Plan::All(parts) } else { Plan::Any(parts) }
        }
    }
}

/// Comparisons of numbers are the unit; texts and sets cost more, events most.
fn cost(program: &Program, expr: &Expr) -> u32 {
    let own = match &expr.kind {
        ExprKind::Event(query) => 200 + if query.then.is_some() { 200 } else { 0 },
        ExprKind::LookupField { .. } => 50,
        ExprKind::Call { .. } => 20,
        ExprKind::Tag(id) => match (&program.tags.get(id.index()).and_then(|t| t.derived.as_ref()), &expr.ty) {
            (Some(derived), _) => cost(program, derived),
            (None, Type::Text { .. } | Type::Address(_) | Type::Set(_)) => 8,
            (None, _) => 1,
        },
        ExprKind::Partition(id) => program.partition(*id).arms.iter().map(|a| cost(program, a)).sum(),
        _ => 1,
    };
    children(expr).into_iter().fold(own, |sum, child| sum.saturating_add(cost(program, child)))
}

/// The expressions directly inside one; filters of events are not, for they are about rows.
pub(crate) fn children(expr: &Expr) -> Vec<&Expr> {
    use ExprKind as K;
    match &expr.kind {
        K::Const(_)
        | K::Tag(_)
        | K::Partition(_)
        | K::TriggerField(_)
        | K::RowField(_)
        | K::StepOutcome { .. }
        | K::Everyone
        | K::Audience(_)
        | K::List(_)
        | K::Event(_) => Vec::new(),
        K::LookupField { keys, .. } => keys.iter().collect(),
        K::Not(a) | K::IsMissing(a) | K::IsKnown(a) | K::Neg(a) => vec![a],
        K::InList { of, .. } | K::InWindow { of, .. } | K::SetContains { set: of, .. } => vec![of],
        K::And(a, b) | K::Or(a, b) | K::Except(a, b) | K::Coalesce(a, b) => vec![a, b],
        K::Compare { left, right, .. } | K::Arith { left, right, .. } => vec![left, right],
        K::TextContains { of, what } | K::StartsWith { of, what } => vec![of, what],
        K::InRange { of, lo, hi } => vec![of, lo, hi],
        K::If { when, then, otherwise } => vec![when, then, otherwise],
        K::Call { args, .. } => args.iter().collect(),
    }
}

/// The stored tags that an expression reads, through audiences, partitions and derived tags.
pub fn tags_of(program: &Program, expr: &Expr) -> BTreeSet<TagId> {
    let mut out = BTreeSet::new();
    collect_tags(program, expr, &mut out);
    out
}

fn collect_tags(program: &Program, expr: &Expr, out: &mut BTreeSet<TagId>) {
    match &expr.kind {
        ExprKind::Tag(id) => match program.tags.get(id.index()).and_then(|t| t.derived.as_ref()) {
            Some(derived) => collect_tags(program, derived, out),
            None => {
                out.insert(*id);
            }
        },
        ExprKind::Audience(id) => collect_tags(program, &program.audience(*id).when, out),
        ExprKind::Partition(id) => program.partition(*id).arms.iter().for_each(|arm| collect_tags(program, arm, out)),
        _ => children(expr).into_iter().for_each(|child| collect_tags(program, child, out)),
    }
}
