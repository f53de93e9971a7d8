//! A plan bound to a snapshot and an instant: columns and events found, windows made bounds, tables
//! at hand.
//!
//! A column whose stored form holds the program's type is read where it lies; one that must be
//! converted (other enum members, text read as an enum) is converted here, at each binding.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow_array::Int64Array;

use super::bound_test::BoundTest;
use super::column_source::ColumnSource;
use super::error::EvalError;
use super::eval_scope::EvalScope;
use super::lowered::Lowered;
use crate::base::{Elapsed, EventSchema, Instant, TagId, Type};
use crate::plan::Plan;
use crate::plan::node::{Cond, CondId, Node, Pattern, Query, ValId, ValKind};
use crate::program::typed_expr::{EventSource, OwnEvent};
use crate::store::{ChangedBlock, Column, ColumnData, ColumnStats, EventTable};

/// Everything that evaluating a plan needs.
pub struct BoundPlan<'a> {
    pub scope: EvalScope<'a>,
    pub plan: &'a Plan,
    lowered: &'a Lowered,
    data: Arc<BoundData<'a>>,
    /// Tests whose bounds move with the clock.
    clock_tests: BTreeMap<CondId, BoundTest<'a>>,
    queries: BTreeMap<Node, BoundQuery<'a>>,
}

/// What is found once in a snapshot, whatever the clock says.
struct BoundData<'a> {
    /// By [`TagId`]; none where the plan does not read the tag or the store does not have it.
    tags: Vec<Option<Tag<'a>>>,
    /// By [`CondId`].
    tests: Vec<Option<BoundTest<'a>>>,
    events: BTreeMap<Node, (Arc<Events<'a>>, Option<Arc<Events<'a>>>)>,
    /// By [`CondId`]: the parts of an `and` or `or`, best first.
    orders: OnceLock<Vec<Vec<CondId>>>,
}

struct Tag<'a> {
    data: Cow<'a, ColumnData>,
    /// Of the column as it is stored; none of one that was converted.
    stats: Option<&'a ColumnStats>,
    /// Of a tag declared `fresh`: when its values were written, and how old they may be.
    fresh: Option<(&'a Int64Array, Elapsed)>,
    /// Blocks in the place of the column's own; none of one that was converted.
    changed: &'a [Option<Arc<ChangedBlock>>],
}

/// A query with the events that it asks.
pub struct BoundQuery<'a> {
    pub query: &'a Query,
    /// Both included.
    pub bounds: (i64, i64),
    /// The bounds were given, and are not those of the query's window.
    pub given: bool,
    pub events: Arc<Events<'a>>,
    pub next: Option<Arc<Events<'a>>>,
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
    pub fn new(scope: &EvalScope<'a>, lowered: &'a Lowered) -> Result<Self, EvalError> {
        let plan = &lowered.plan;
        let test = |cond: &'a Cond| {
            let Cond::Test { test, .. } = cond else {
                return None;
            };
            let steady = !test.moves_with_the_clock();
            steady.then(|| BoundTest::new(test, scope.now, plan.zone))
        };
        let mut data = BoundData {
            tags: scope.program.schema.tags.iter().map(|_| None).collect(),
            tests: plan.conds.iter().map(test).collect(),
            events: BTreeMap::new(),
            orders: OnceLock::new(),
        };
        for val in &plan.vals {
            if let ValKind::Tag(id) = val.kind
                && let Some(slot) = data.tags.get_mut(id.index())
            {
                *slot = bind_tag(scope, id)?;
            }
        }
        for node in &lowered.queries {
            let Some(query) = plan.query(*node) else {
                continue;
            };
            let next = match &query.then {
                Some(then) => Some(Arc::new(events(scope, &then.next)?)),
                None => None,
            };
            let found = Arc::new(events(scope, &query.pattern)?);
            data.events.insert(*node, (found, next));
        }
        Ok(BoundPlan::moment(*scope, lowered, Arc::new(data)))
    }

    /// The same at another instant, for another trigger event or with other outcomes; users, tags
    /// and events are those that were bound.
    pub fn at(&self, scope: &EvalScope<'a>) -> Self {
        let scope = EvalScope {
            snapshot: self.scope.snapshot,
            program: self.scope.program,
            ..*scope
        };
        BoundPlan::moment(scope, self.lowered, self.data.clone())
    }

    fn moment(scope: EvalScope<'a>, lowered: &'a Lowered, data: Arc<BoundData<'a>>) -> Self {
        let plan = &lowered.plan;
        let clock_tests = lowered
            .clock_tests
            .iter()
            .filter_map(|id| {
                let Cond::Test { test, .. } = plan.cond(*id) else {
                    return None;
                };
                Some((*id, BoundTest::new(test, scope.now, plan.zone)))
            })
            .collect();
        let queries = data
            .events
            .iter()
            .filter_map(|(node, (events, next))| {
                let query = plan.query(*node)?;
                let (from, to) = query.bounds(scope.now, plan.zone);
                let bound = BoundQuery {
                    query,
                    bounds: (from.0, to.0),
                    given: false,
                    events: events.clone(),
                    next: next.clone(),
                };
                Some((*node, bound))
            })
            .collect();
        BoundPlan {
            scope,
            plan,
            lowered,
            data,
            clock_tests,
            queries,
        }
    }

    /// Events count from after an instant up to `now`, whatever the windows of the queries are.
    #[must_use]
    pub fn since(mut self, after: Instant) -> Self {
        for query in self.queries.values_mut() {
            query.bounds = (after.0.saturating_add(1), self.scope.now.0);
            query.given = true;
        }
        self
    }

    /// The column of a stored tag; `None` when the store does not have it.
    pub fn tag(&self, id: TagId) -> Option<ColumnSource<'_>> {
        let tag = self.bound_tag(id)?;
        Some(ColumnSource {
            data: &tag.data,
            fresh: tag
                .fresh
                .map(|(written, within)| (written, self.scope.now.minus(within).0)),
            blocks: tag.stats.map(ColumnStats::blocks),
            changed: tag.changed,
        })
    }

    /// What identifies the contents of a tag's column; `None` where nothing does, or where it was
    /// converted.
    pub fn version(&self, id: TagId) -> Option<&str> {
        match self.bound_tag(id)?.data {
            Cow::Borrowed(_) => self
                .scope
                .snapshot
                .tag_version(&self.scope.program.schema.tags.get(id.index())?.name),
            Cow::Owned(_) => None,
        }
    }

    /// How a tag's values are spread, where that is known.
    pub fn stats(&self, id: TagId) -> Option<&ColumnStats> {
        self.bound_tag(id)?.stats
    }

    fn bound_tag(&self, id: TagId) -> Option<&Tag<'a>> {
        self.data.tags.get(id.index())?.as_ref()
    }

    /// Where the order is kept in which to ask the parts of each `and` and `or`, by [`CondId`].
    pub(super) fn orders(&self) -> &OnceLock<Vec<Vec<CondId>>> {
        &self.data.orders
    }

    /// Whether an answer is worth keeping, since another node will ask again.
    pub fn is_shared(&self, id: CondId) -> bool {
        let shared = &self.lowered.shared_conds;
        shared.get(id.0 as usize).copied().unwrap_or(true)
    }

    /// As [`is_shared`](Self::is_shared), of a value.
    pub fn is_asked_again(&self, id: ValId) -> bool {
        let shared = &self.lowered.shared_vals;
        shared.get(id.0 as usize).copied().unwrap_or(true)
    }

    /// A test that is the same at every instant.
    pub fn steady_test(&self, id: CondId) -> Option<&BoundTest<'a>> {
        self.data.tests.get(id.0 as usize)?.as_ref()
    }

    pub fn test(&self, id: CondId) -> Option<&BoundTest<'a>> {
        self.steady_test(id).or_else(|| self.clock_tests.get(&id))
    }

    pub fn query_of(&self, node: Node) -> Option<&BoundQuery<'a>> {
        self.queries.get(&node)
    }
}

impl BoundPlan<'_> {
    /// Makes ready what finds one user's events without a search: worth its one pass over the users
    /// where many are asked one after the other.
    pub fn index_events(&self) {
        for (events, next) in self.data.events.values() {
            for events in std::iter::once(events).chain(next) {
                if let Events::Table(table) = &**events {
                    table
                        .segments
                        .iter()
                        .for_each(|segment| _ = segment.index());
                }
            }
        }
    }
}

fn bind_tag<'a>(scope: &EvalScope<'a>, id: TagId) -> Result<Option<Tag<'a>>, EvalError> {
    let Some(tag) = scope.program.schema.tags.get(id.index()) else {
        return Ok(None);
    };
    let Some(column) = scope.snapshot.tag(&tag.name)? else {
        return Ok(None);
    };
    let data = readable(column, &tag.name, &tag.ty)?;
    let fresh = match (tag.fresh, column.stored().1) {
        (None, _) => None,
        (Some(within), Some(written)) => Some((written, within)),
        (Some(_), None) if column.known() == 0 => None,
        (Some(_), None) => {
            return Err(EvalError::NoTimes {
                tag: tag.name.clone(),
            });
        }
    };
    let (stats, changed) = match data {
        Cow::Borrowed(_) => (scope.snapshot.column_stats(&tag.name)?, column.changed()),
        Cow::Owned(_) => (None, &[][..]),
    };
    Ok(Some(Tag {
        data,
        stats,
        fresh,
        changed,
    }))
}

fn events<'a>(scope: &EvalScope<'a>, pattern: &Pattern) -> Result<Events<'a>, EvalError> {
    let id = match pattern.source {
        EventSource::Own(own) => return Ok(Events::Own(own)),
        EventSource::Declared(id) => id,
    };
    let Some(schema) = scope.program.schema.events.get(id.index()) else {
        return Ok(Events::None);
    };
    Ok(match scope.snapshot.event(&schema.name)? {
        None => Events::None,
        Some(table) if same_rows(&table.schema, schema) => Events::Table(Cow::Borrowed(table)),
        Some(table) => Events::Table(Cow::Owned(table.in_schema(schema)?)),
    })
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
