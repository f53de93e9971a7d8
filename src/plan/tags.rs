//! Which tags an expression reads.

use std::collections::BTreeSet;

use crate::base::{AudienceId, PartitionId, TagId};
use crate::program::expr::{Expr, ExprKind};
use crate::program::typed::Program;

/// The stored tags that an expression reads, through audiences, partitions and derived tags.
pub fn tags_of(program: &Program, expr: &Expr) -> BTreeSet<TagId> {
    let (mut tags, mut derived) = (BTreeSet::new(), BTreeSet::new());
    let (mut audiences, mut partitions): (BTreeSet<AudienceId>, BTreeSet<PartitionId>) = Default::default();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match &expr.kind {
            ExprKind::Tag(id) => match program.tags.get(id.index()).and_then(|t| t.derived.as_ref()) {
                Some(of) if derived.insert(*id) => open.push(of),
                Some(_) => {}
                None => drop(tags.insert(*id)),
            },
            ExprKind::Audience(id) if audiences.insert(*id) => open.extend(program.audiences.get(id.index()).map(|a| &a.when)),
            ExprKind::Partition(id) if partitions.insert(*id) => {
                open.extend(program.partitions.get(id.index()).iter().flat_map(|p| &p.arms))
            }
            _ => open.extend(children(expr)),
        }
    }
    tags
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
