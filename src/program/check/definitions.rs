//! Third pass: audiences, derived tags and partitions, each after those that it names.

use super::checker::Checker;
use super::collect::Items;
use super::context::ExprContext;
use super::definition_order::Definition;
use crate::program::definedness::is_private;
use crate::syntax::ast::TagKind;

impl Checker<'_> {
    pub(super) fn define(&mut self, items: &Items<'_>) {
        let cx = ExprContext::default();
        for definition in self.definition_order(items) {
            match definition {
                Definition::Tag(i) => {
                    let Some(tag) = items.tags.get(i) else {
                        continue;
                    };
                    let TagKind::Derived(e) = &tag.ast.kind else {
                        continue;
                    };
                    let Some(typed) = self.value(e, None, &cx) else {
                        continue;
                    };
                    let index = tag.id.index();
                    let private = is_private(&self.program, &typed);
                    let schema = &mut self.program.schema.tags[index];
                    schema.ty = typed.ty.clone();
                    // What is made of a private value is private.
                    schema.private |= private;
                    let slot = &mut self.program.tags[index];
                    slot.derived = Some(typed);
                    if let Some(declared) = &mut slot.declared {
                        declared.failed = false;
                    }
                }
                Definition::Partition(i) => {
                    let Some(partition) = items.partitions.get(i) else {
                        continue;
                    };
                    let arms: Vec<_> = partition
                        .ast
                        .arms
                        .iter()
                        .filter_map(|a| a.when.as_ref())
                        .map(|when| self.condition(when, &cx))
                        .collect();
                    let slot = &mut self.program.partitions[partition.id.index()];
                    if let Some(arms) = arms.into_iter().collect::<Option<Vec<_>>>() {
                        slot.arms = arms;
                        // An `otherwise` that is not the last has been reported.
                        let arms_fit = slot.arms.len() + usize::from(slot.otherwise)
                            == partition.ast.arms.len();
                        slot.declared.failed = partition.ast.arms.is_empty() || !arms_fit;
                    }
                }
                Definition::Audience(i) => {
                    let Some(audience) = items.audiences.get(i) else {
                        continue;
                    };
                    let Some(when) = self.condition(&audience.ast.when, &cx) else {
                        continue;
                    };
                    let slot = &mut self.program.audiences[audience.id.index()];
                    slot.when = when;
                    slot.declared.failed = false;
                }
            }
        }
    }
}
