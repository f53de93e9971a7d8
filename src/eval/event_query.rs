//! What a query makes of a user's rows, whoever has found them: counts, sums, the first and the
//! latest, sequences.
//!
//! Aggregates of a field pass over rows where it is missing, but `first` and `latest` speak of the
//! first and the latest row. Sums of whole numbers are exact, whatever the order. A message whose
//! outcome is not known makes an aggregate missing if it could count, and `did` unknown unless
//! something else is known to have happened.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use super::bind::{BoundPlan, BoundQuery, Events};
use super::column_source::ColumnSource;
use super::vector::{Scalar, SetRef};
use crate::base::decimal::div_round;
use crate::base::{Instant, Type, Value};
use crate::plan::kernel::{Pick, ratio_to_number};
use crate::plan::node::FollowedBy;
use crate::program::typed_expr::Aggregate;

/// A row that counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    pub at: i64,
    pub segment: u32,
    pub row: u32,
}

/// The rows of one user that count, oldest first, and the messages that may count or not.
#[derive(Clone, Debug, Default)]
pub struct Hits {
    pub rows: Vec<Hit>,
    /// When each of them was sent: it cannot have happened before.
    pub maybe: Vec<i64>,
}

impl Hits {
    pub fn clear(&mut self) {
        self.rows.clear();
        self.maybe.clear();
    }

    /// Oldest first; rows at one instant stay in their order.
    pub fn sort(&mut self) {
        if !self.rows.is_sorted_by_key(|h| h.at) {
            self.rows.sort_by_key(|h| h.at);
        }
    }
}

#[derive(Clone, Debug)]
pub enum QueryResult<'b> {
    Did(Option<bool>),
    Value(Option<Scalar<'b>>),
}

/// The answer for one user; `ty` is the type of the whole query, `next` the rows of what must
/// follow.
pub fn answer<'b>(
    query: &'b BoundQuery<'b>,
    ty: &Type,
    bound: &BoundPlan<'b>,
    hits: &Hits,
    next: &Hits,
) -> QueryResult<'b> {
    let (count, unsure) = match &query.query.then {
        Some(then) => sequences(then, bound, hits, next),
        None => (hits.rows.len(), !hits.maybe.is_empty()),
    };
    match (query.query.what, unsure) {
        (Aggregate::Did, _) => QueryResult::Did(if count > 0 {
            Some(true)
        } else if unsure {
            None
        } else {
            Some(false)
        }),
        (_, true) => QueryResult::Value(None),
        (Aggregate::Count, false) => QueryResult::Value(i64::try_from(count).ok().map(Scalar::Int)),
        (what, false) => QueryResult::Value(aggregate(query, what, ty, bound, &hits.rows)),
    }
}

/// How many first events count, and whether there may be more.
fn sequences(then: &FollowedBy, bound: &BoundPlan, first: &Hits, next: &Hits) -> (usize, bool) {
    let (now, zone) = (bound.scope.now.0, bound.plan.zone);
    // A first event that nobody knows of may count: only where nothing can follow it does it not.
    let mut unsure =
        !first.maybe.is_empty() && (then.no || !next.rows.is_empty() || !next.maybe.is_empty());
    let mut count = 0;
    for hit in &first.rows {
        let deadline = then.within.after(Instant(hit.at), zone).0;
        // What comes at the same instant does not come after it.
        let followed = next
            .rows
            .get(next.rows.partition_point(|n| n.at <= hit.at))
            .is_some_and(|n| n.at <= deadline);
        let may_follow = next
            .maybe
            .iter()
            .any(|handed_over| *handed_over <= deadline)
            && now > hit.at;
        match (then.no, followed, may_follow) {
            (false, true, _) => count += 1,
            (false, false, true) => unsure = true,
            // While the time is not over, something can still follow.
            (true, false, _) if deadline > now => {}
            (true, false, false) => count += 1,
            (true, false, true) => unsure = true,
            (false, false, false) | (true, true, _) => {}
        }
    }
    (count, unsure)
}

impl<'b> Events<'b> {
    /// A field of a row.
    fn field<'e>(&'e self, bound: &BoundPlan<'e>, hit: &Hit, field: u16) -> Option<Scalar<'e>> {
        match self {
            Events::Table(table) => {
                let column = table
                    .segments
                    .get(hit.segment as usize)?
                    .columns
                    .get(usize::from(field))?;
                ColumnSource::plain(column).get(hit.row as usize)
            }
            Events::Own(_) => bound.scope.own.field(hit.row as usize, field),
            Events::None => None,
        }
    }
}

fn aggregate<'b>(
    query: &'b BoundQuery<'b>,
    what: Aggregate,
    ty: &Type,
    bound: &BoundPlan<'b>,
    hits: &[Hit],
) -> Option<Scalar<'b>> {
    if what == Aggregate::Since {
        return bound
            .scope
            .now
            .0
            .checked_sub(hits.last()?.at)
            .map(Scalar::Int);
    }
    let (field, field_ty) = query.query.field.as_ref()?;
    let value = |hit: &Hit| query.events.field(bound, hit, *field);
    let values = hits.iter().filter_map(value);
    match what {
        Aggregate::First => hits.first().and_then(value),
        Aggregate::Latest => hits.last().and_then(value),
        Aggregate::Min => values.reduce(|a, b| extreme(Pick::Least, a, b)),
        Aggregate::Max => values.reduce(|a, b| extreme(Pick::Greatest, a, b)),
        Aggregate::Distinct => i64::try_from(distinct(values)).ok().map(Scalar::Int),
        Aggregate::Sum => sum(values, field_ty).and_then(|sum| match sum {
            Total::Whole(sum, _) => i64::try_from(sum).ok().map(Scalar::Int),
            Total::Float(sum, _) => finite(sum),
        }),
        Aggregate::Avg => sum(values, field_ty).and_then(|sum| match (sum, ty) {
            (Total::Whole(_, 0) | Total::Float(_, 0), _) => None,
            (Total::Whole(sum, n), Type::Number) => finite(sum as f64 / n as f64),
            (Total::Whole(sum, n), _) => div_round(sum, i128::from(n)).map(Scalar::Int),
            // A mean of ratios is a ratio again, in its column's width.
            (Total::Float(sum, n), Type::Ratio) => finite(f64::from((sum / n as f64) as f32)),
            (Total::Float(sum, n), _) => finite(sum / n as f64),
        }),
        Aggregate::Did | Aggregate::Count | Aggregate::Since => None,
    }
}

/// A sum and how many values are in it.
enum Total {
    Whole(i128, u64),
    Float(f64, u64),
}

fn sum<'b>(mut values: impl Iterator<Item = Scalar<'b>>, ty: &Type) -> Option<Total> {
    match ty {
        Type::Int { .. } | Type::Money | Type::Elapsed => {
            values.try_fold((0i128, 0), |(sum, n), v| match v {
                Scalar::Int(x) => Some((sum + i128::from(x), n + 1)),
                _ => None,
            })
        }
        _ => {
            let ratio = *ty == Type::Ratio;
            let total = values.try_fold((0.0, 0), |(sum, n), v| match v {
                Scalar::Float(x) => Some((
                    sum + if ratio { ratio_to_number(x as f32) } else { x },
                    n + 1,
                )),
                _ => None,
            });
            return total.map(|(sum, n)| Total::Float(sum, n));
        }
    }
    .map(|(sum, n)| Total::Whole(sum, n))
}

fn finite(n: f64) -> Option<Scalar<'static>> {
    n.is_finite().then_some(Scalar::Float(n))
}

/// The smaller or larger; of equals the first.
fn extreme<'b>(pick: Pick, a: Scalar<'b>, b: Scalar<'b>) -> Scalar<'b> {
    let order = match (&b, &a) {
        (Scalar::Int(b), Scalar::Int(a)) => b.cmp(a),
        (Scalar::Float(b), Scalar::Float(a)) => {
            b.partial_cmp(a).unwrap_or(std::cmp::Ordering::Equal)
        }
        (Scalar::Text(b), Scalar::Text(a)) => b.cmp(a),
        _ => std::cmp::Ordering::Equal,
    };
    if pick.second(order) { b } else { a }
}

fn distinct<'b>(values: impl Iterator<Item = Scalar<'b>>) -> usize {
    let (mut numbers, mut texts, mut sets): (
        HashSet<(u64, u64)>,
        HashSet<Cow<str>>,
        BTreeSet<Vec<u8>>,
    ) = Default::default();
    // Zero has two signs and is one number.
    let bits = |f: f64| (f + 0.0).to_bits();
    for value in values {
        match value {
            Scalar::Bool(b) => drop(numbers.insert((u64::from(b), 0))),
            Scalar::Int(n) => drop(numbers.insert((n as u64, 0))),
            Scalar::Float(f) => drop(numbers.insert((bits(f), 0))),
            Scalar::Place(p) => drop(numbers.insert((bits(p.lat), bits(p.lon)))),
            Scalar::Text(t) => drop(texts.insert(t)),
            Scalar::Set(set) => drop(sets.insert(set_key(&set))),
        }
    }
    numbers.len() + texts.len() + sets.len()
}

/// The same for equal sets, however they lie.
fn set_key(set: &SetRef) -> Vec<u8> {
    let mut key = Vec::new();
    for item in set.items().iter() {
        match item {
            Value::Enum(code) => key.extend(code.to_be_bytes()),
            Value::Int(n) => key.extend(n.to_be_bytes()),
            Value::Text(t) => {
                key.extend((t.len() as u64).to_be_bytes());
                key.extend(t.as_bytes());
            }
            _ => {}
        }
    }
    key
}
