//! Which tags an expression reads.

use std::collections::BTreeSet;

use crate::base::{AudienceId, PartitionId, TagId};
use crate::program::typed::Program;
use crate::program::typed_expr::{Expr, ExprKind};

/// The stored tags that an expression reads, through audiences, partitions and derived tags.
pub fn tags_of(program: &Program, expr: &Expr) -> BTreeSet<TagId> {
    let (mut tags, mut derived) = (BTreeSet::new(), BTreeSet::new());
    let (mut audiences, mut partitions): (BTreeSet<AudienceId>, BTreeSet<PartitionId>) =
        Default::default();
    let mut open = vec![expr];
    while let Some(expr) = open.pop() {
        match &expr.kind {
            ExprKind::Tag(id) => match program
                .tags
                .get(id.index())
                .and_then(|t| t.derived.as_ref())
            {
                Some(of) if derived.insert(*id) => open.push(of),
                Some(_) => {}
                None => drop(tags.insert(*id)),
            },
            ExprKind::Audience(id) if audiences.insert(*id) => {
                open.extend(program.audiences.get(id.index()).map(|a| &a.when))
            }
            ExprKind::Partition(id) if partitions.insert(*id) => open.extend(
                program
                    .partitions
                    .get(id.index())
                    .iter()
                    .flat_map(|p| &p.arms),
            ),
            _ => open.extend(expr.children_about_users()),
        }
    }
    tags
}
