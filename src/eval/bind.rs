//! A plan bound to a snapshot and an instant: columns and events found, windows made bounds, tables
//! at hand.
//!
//! A column whose stored form holds the program's type is read where it lies; one that must be
//! converted (other enum members, text read as an enum) is converted here, at each binding.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::column_source::ColumnSource;
use super::order::best_first;
use super::point::{Point, PointTarget};
use super::ready::PreparedTables;
use super::{AudienceCounts, AudienceMask, EvalError, EvalScope, batch};
use crate::base::{Bitmap, EventSchema, TagId, Type, UserNo, Value};
use crate::plan::Plan;
use crate::plan::node::{Cond, CondId, Node, Pattern, Query, ValId, ValKind};
use crate::program::typed_expr::{EventSource, OwnEvent};
use crate::store::{ChangedBlock, Column, ColumnData, ColumnStats, EventTable};

/// Everything that evaluating a plan needs.
pub struct BoundPlan<'a> {
    pub scope: EvalScope<'a>,
    pub plan: &'a Plan,
    /// By [`TagId`]; none where the plan does not read the tag or the store does not have it.
    tags: Vec<Option<Tag<'a>>>,
    /// By [`CondId`].
    tests: Vec<Option<PreparedTables<'a>>>,
    /// Whether more than one node asks it, by [`CondId`].
    shared: Vec<bool>,
    /// The same by [`ValId`].
    asked_again: Vec<bool>,
    /// By [`CondId`]: the parts of an `and` or `or`, best first.
    orders: Vec<Vec<CondId>>,
    cond_queries: BTreeMap<CondId, BoundQuery<'a>>,
    val_queries: BTreeMap<ValId, BoundQuery<'a>>,
}

struct Tag<'a> {
    data: Cow<'a, ColumnData>,
    /// Of the column as it is stored; none of one that was converted.
    stats: Option<&'a ColumnStats>,
    fresh: Option<(&'a arrow_array::Int64Array, i64)>,
    /// Blocks in the place of the column's own; none of one that was converted.
    changed: &'a [Option<Arc<ChangedBlock>>],
}

/// A query with the events that it asks.
pub struct BoundQuery<'a> {
    pub query: &'a Query,
    /// Both included.
    pub bounds: (i64, i64),
    pub events: Events<'a>,
    pub next: Option<Events<'a>>,
}

/// Where the rows of a pattern are.
pub enum Events<'a> {
    Table(Cow<'a, EventTable>),
    Own(OwnEvent),
    /// The store has no such events: nobody has done it.
    None,
}

impl<'a> BoundPlan<'a> {
    /// # Errors
    /// Stored values that do not fit the program's types.
    pub fn new(scope: &EvalScope<'a>, plan: &'a Plan) -> Result<Self, EvalError> {
        let zone = plan.zone;
        let mut bound = BoundPlan {
            scope: *scope,
            plan,
            tags: scope.program.schema.tags.iter().map(|_| None).collect(),
            tests: Vec::with_capacity(plan.conds.len()),
            shared: shared(plan, plan.conds.len(), |node| match node {
                Node::Cond(id) => Some(id.0),
                Node::Val(_) => None,
            }),
            asked_again: shared(plan, plan.vals.len(), |node| match node {
                Node::Val(id) => Some(id.0),
                Node::Cond(_) => None,
            }),
            orders: Vec::new(),
            cond_queries: BTreeMap::new(),
            val_queries: BTreeMap::new(),
        };
        for (cond, number) in plan.conds.iter().zip(0..) {
            bound.tests.push(match cond {
                Cond::Test { test, .. } => Some(PreparedTables::new(test, scope.now, zone)),
                _ => None,
            });
            if let Some(query) = cond.query() {
                let query = bound.query(query)?;
                bound.cond_queries.insert(CondId(number), query);
            }
        }
        for (val, number) in plan.vals.iter().zip(0..) {
            if let ValKind::Tag(id) = val.kind {
                bound.bind_tag(id)?;
            }
            if let Some(query) = val.kind.query() {
                let query = bound.query(query)?;
                bound.val_queries.insert(ValId(number), query);
            }
        }
        bound.orders = best_first(&bound);
        Ok(bound)
    }

    fn bind_tag(&mut self, id: TagId) -> Result<(), EvalError> {
        let Some(tag) = self.scope.program.schema.tags.get(id.index()) else {
            return Ok(());
        };
        let Some(column) = self.scope.snapshot.tag(&tag.name)? else {
            return Ok(());
        };
        let data = readable(column, &tag.name, &tag.ty)?;
        let fresh = match (tag.fresh, column.stored().1) {
            (None, _) => None,
            (Some(within), Some(written)) => Some((written, self.scope.now.minus(within).0)),
            (Some(_), None) if column.known() == 0 => None,
            (Some(_), None) => {
                return Err(EvalError::NoTimes {
                    tag: tag.name.clone(),
                });
            }
        };
        let stats = match data {
            Cow::Borrowed(_) => self.scope.snapshot.column_stats(&tag.name)?,
            Cow::Owned(_) => None,
        };
        let changed = match data {
            Cow::Borrowed(_) => column.changed(),
            Cow::Owned(_) => &[],
        };
        if let Some(slot) = self.tags.get_mut(id.index()) {
            *slot = Some(Tag {
                data,
                stats,
                fresh,
                changed,
            });
        }
        Ok(())
    }

    fn query(&self, query: &'a Query) -> Result<BoundQuery<'a>, EvalError> {
        let (from, to) = query.bounds(self.scope.now, self.plan.zone);
        let next = query
            .then
            .as_ref()
            .map(|then| self.events(&then.next))
            .transpose()?;
        Ok(BoundQuery {
            query,
            bounds: (from.0, to.0),
            events: self.events(&query.pattern)?,
            next,
        })
    }

    fn events(&self, pattern: &Pattern) -> Result<Events<'a>, EvalError> {
        let id = match pattern.source {
            EventSource::Own(own) => return Ok(Events::Own(own)),
            EventSource::Declared(id) => id,
        };
        let Some(schema) = self.scope.program.schema.events.get(id.index()) else {
            return Ok(Events::None);
        };
        Ok(match self.scope.snapshot.event(&schema.name)? {
            None => Events::None,
            Some(table) if same_rows(&table.schema, schema) => Events::Table(Cow::Borrowed(table)),
            Some(table) => Events::Table(Cow::Owned(table.in_schema(schema)?)),
        })
    }

    /// The column of a stored tag; `None` when the store does not have it.
    pub fn tag(&self, id: TagId) -> Option<ColumnSource<'_>> {
        let tag = self.tags.get(id.index())?.as_ref()?;
        Some(ColumnSource {
            data: &tag.data,
            fresh: tag.fresh,
            blocks: tag.stats.map(ColumnStats::blocks),
            changed: tag.changed,
        })
    }

    /// What identifies the contents of a tag's column; `None` where nothing does, or where it was
    /// converted.
    pub fn version(&self, id: TagId) -> Option<&str> {
        let tag = self.tags.get(id.index())?.as_ref()?;
        match tag.data {
            Cow::Borrowed(_) => self
                .scope
                .snapshot
                .tag_version(&self.scope.program.schema.tags.get(id.index())?.name),
            Cow::Owned(_) => None,
        }
    }

    /// How a tag's values are spread, where that is known.
    pub fn stats(&self, id: TagId) -> Option<&ColumnStats> {
        self.tags.get(id.index())?.as_ref()?.stats
    }

    /// The parts of an `and` or `or` in the order in which to ask them.
    pub fn order(&self, id: CondId) -> &[CondId] {
        self.orders.get(id.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// Whether an answer is worth keeping, since another node will ask again.
    pub fn is_shared(&self, id: CondId) -> bool {
        self.shared.get(id.0 as usize).copied().unwrap_or(true)
    }

    /// As [`is_shared`](Self::is_shared), of a value.
    pub fn is_asked_again(&self, id: ValId) -> bool {
        self.asked_again.get(id.0 as usize).copied().unwrap_or(true)
    }

    pub fn test(&self, id: CondId) -> Option<&PreparedTables<'a>> {
        self.tests.get(id.0 as usize)?.as_ref()
    }

    pub fn query_of(&self, node: Node) -> Option<&BoundQuery<'a>> {
        match node {
            Node::Cond(id) => self.cond_queries.get(&id),
            Node::Val(id) => self.val_queries.get(&id),
        }
    }
}

impl BoundPlan<'_> {
    /// Makes ready what finds one user's events without a search: worth its one pass over the users
    /// where many are asked one after the other.
    pub fn index_events(&self) {
        for query in self.cond_queries.values().chain(self.val_queries.values()) {
            for events in [Some(&query.events), query.next.as_ref()]
                .into_iter()
                .flatten()
            {
                if let Events::Table(table) = events {
                    table
                        .segments
                        .iter()
                        .for_each(|segment| _ = segment.index());
                }
            }
        }
    }
}

/// What a bound plan can be asked; who asks often binds once.
impl BoundPlan<'_> {
    /// Everyone for whom the root is true, false or unknown; a value is nobody's condition.
    pub fn audience(&self) -> AudienceMask {
        match self.plan.root {
            Node::Cond(root) => batch::audience(self, root),
            Node::Val(_) => {
                let nobody = Bitmap::none(self.scope.snapshot.user_count());
                AudienceMask {
                    yes: nobody.clone(),
                    known: nobody,
                }
            }
        }
    }

    /// As [`audience`](Self::audience), counted.
    pub fn counts(&self) -> AudienceCounts {
        match self.plan.root {
            Node::Cond(root) => batch::counts(self, root),
            Node::Val(_) => {
                let users = self.scope.snapshot.user_count();
                AudienceCounts {
                    users,
                    yes: 0,
                    no: 0,
                    unknown: users,
                }
            }
        }
    }

    /// The root for one user: a value, or a condition as a bool.
    pub fn value(&self, user: UserNo) -> Option<Value> {
        Point::new(self, PointTarget::User(user)).value(self.plan.root)
    }

    /// The root for each of some users, in the order of their numbers.
    pub fn values(&self, users: &Bitmap) -> Vec<Option<Value>> {
        batch::values(self, users)
    }
}

/// Which nodes of a kind have more than one parent; `number` tells the nodes of that kind.
fn shared(plan: &Plan, nodes: usize, number: impl Fn(Node) -> Option<u32>) -> Vec<bool> {
    let mut parents = vec![0u32; nodes];
    let parts = plan
        .conds
        .iter()
        .flat_map(Cond::parts)
        .chain(plan.vals.iter().flat_map(|v| v.kind.parts()));
    for part in parts.filter_map(number) {
        if let Some(n) = parents.get_mut(part as usize) {
            *n += 1;
        }
    }
    parents.into_iter().map(|n| n > 1).collect()
}

/// The column's values in the type `ty`.
fn readable<'a>(
    column: &'a Column,
    name: &str,
    ty: &Type,
) -> Result<Cow<'a, ColumnData>, EvalError> {
    if reads_as(&column.ty, ty) {
        return Ok(Cow::Borrowed(column.stored().0));
    }
    Ok(Cow::Owned(column.in_type(name, ty)?.stored().0.clone()))
}

/// Whether every stored value of the one type is, as it lies, a value of the other.
fn reads_as(stored: &Type, wanted: &Type) -> bool {
    match (stored, wanted) {
        (Type::Int { lo: a, hi: b }, Type::Int { lo, hi }) => {
            lo.is_none_or(|lo| a.is_some_and(|a| a >= lo))
                && hi.is_none_or(|hi| b.is_some_and(|b| b <= hi))
        }
        (Type::Text { max: a }, Type::Text { max }) => {
            max.is_none_or(|max| a.is_some_and(|a| a <= max))
        }
        (Type::Text { .. } | Type::Address(_), Type::Address(_) | Type::Text { max: None }) => true,
        (Type::Set(a), Type::Set(b)) => reads_as(a, b),
        (a, b) => a == b,
    }
}

fn same_rows(stored: &EventSchema, wanted: &EventSchema) -> bool {
    stored.fields.len() == wanted.fields.len()
        && stored
            .fields
            .iter()
            .zip(&wanted.fields)
            .all(|(a, b)| a.name == b.name && reads_as(&a.ty, &b.ty))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Calendar;
    use crate::plan::kernel;
    use crate::store::column;

    #[test]
    fn what_is_read_where_it_lies() {
        let int = |lo, hi| Type::Int {
            lo: Some(lo),
            hi: Some(hi),
        };
        assert!(reads_as(&int(1, 5), &Type::INT) && reads_as(&int(1, 5), &int(0, 5)));
        assert!(!reads_as(&int(1, 5), &int(2, 5)) && !reads_as(&Type::INT, &int(0, 5)));
        assert!(
            !reads_as(&Type::INT, &Type::Number)
                && reads_as(&Type::Text { max: Some(3) }, &Type::TEXT)
        );
    }

    #[test]
    fn calendar_time_is_packed_alike() {
        let c = Calendar {
            months: -7,
            days: 31,
        };
        assert_eq!(kernel::pack(c), column::pack_calendar(c));
        assert_eq!(kernel::unpack(column::pack_calendar(c)), c);
    }
}
