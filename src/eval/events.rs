//! Questions about a user's events: which rows a pattern matches in a window, and what an aggregate makes of them.
//!
//! A row counts when its `where` is true; a row for which it is unknown does not. Aggregates pass over missing field values.

use std::collections::BTreeSet;

use super::bind::BoundEvent;
use super::messages::{OwnMessage, Receipt};
use super::point::{Point, Row, own_field};
use super::value::{arith, order};
use crate::base::{Elapsed, Instant, Type, Value};
use crate::program::expr::{Aggregate, ArithOp, EventPattern, EventQuery, EventSource, OwnEvent, Sequence};
use crate::store::RowRef;

/// The answer to a query for one user; `None` is missing (of `did`: unknown).
pub fn query(point: &Point, query: &EventQuery, ty: &Type) -> Option<Value> {
    let bounds = match query.what {
        Aggregate::Since => (Instant(i64::MIN), point.scope.now),
        _ => query.window.instants(point.scope.now, point.zone()),
    };
    if let Some(then) = &query.then {
        return sequences(point, query, then, bounds);
    }
    let rows = matching(point, &query.pattern, bounds)?;
    match query.what {
        Aggregate::Did => rows.decided(|n| n > 0).map(Value::Bool),
        Aggregate::Count => rows.certain().map(|r| Value::Int(r.len() as i64)),
        Aggregate::Since => {
            let rows = rows.certain()?;
            let last = rows.last()?;
            point.scope.now.0.checked_sub(last.at.0).map(|n| Value::Elapsed(Elapsed(n)))
        }
        what => {
            let rows = rows.certain()?;
            let values = rows.iter().filter_map(|r| r.value(query.field?));
            aggregate(what, values, ty, point)
        }
    }
}

fn aggregate(what: Aggregate, mut values: impl Iterator<Item = Value>, ty: &Type, point: &Point) -> Option<Value> {
    match what {
        Aggregate::Sum => {
            let zero = zero(ty)?;
            values.try_fold(zero, |sum, v| arith(ArithOp::Add, &sum, &v, ty, point.zone()))
        }
        Aggregate::Avg => {
            let (mut sum, mut n) = (0.0f64, 0u64);
            let mut money: i128 = 0;
            for v in values {
                n += 1;
                match v {
                    Value::Money(m) => money += i128::from(m),
                    Value::Int(i) => sum += i as f64,
                    Value::Number(x) | Value::Distance(x) => sum += x,
                    Value::Ratio(r) => sum += f64::from(r),
                    Value::Elapsed(e) => money += i128::from(e.0),
                    _ => return None,
                }
            }
            if n == 0 {
                return None;
            }
            let mean = sum / n as f64;
            match ty {
                // Minor units, halves away from zero, without leaving whole numbers.
                Type::Money => i64::try_from(round_div(money, i128::from(n))).ok().map(Value::Money),
                Type::Elapsed => i64::try_from(round_div(money, i128::from(n))).ok().map(|x| Value::Elapsed(Elapsed(x))),
                Type::Distance => Some(Value::Distance(mean)),
                Type::Ratio => Some(Value::Ratio(mean as f32)),
                _ => mean.is_finite().then_some(Value::Number(mean)),
            }
        }
        Aggregate::Min | Aggregate::Max => {
            let wanted = if what == Aggregate::Min { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater };
            let mut best = values.next()?;
            for v in values {
                if order(&v, &best)? == wanted {
                    best = v;
                }
            }
            Some(best)
        }
        Aggregate::First => values.next(),
        Aggregate::Latest => values.last(),
        Aggregate::Distinct => {
            let distinct: BTreeSet<String> = values.map(|v| format!("{v:?}")).collect();
            Some(Value::Int(distinct.len() as i64))
        }
        Aggregate::Did | Aggregate::Count | Aggregate::Since => None,
    }
}

fn round_div(sum: i128, n: i128) -> i128 {
    let half = if sum < 0 { -(n / 2) } else { n / 2 };
    (sum + half) / n
}

fn zero(ty: &Type) -> Option<Value> {
    Some(match ty {
        Type::Int { .. } => Value::Int(0),
        Type::Number => Value::Number(0.0),
        Type::Money => Value::Money(0),
        Type::Elapsed => Value::Elapsed(Elapsed(0)),
        Type::Distance => Value::Distance(0.0),
        _ => return None,
    })
}

/// `A then B within D`: each A, in order of time, takes the first B after it that is still free; of `then no` it must find none.
fn sequences(point: &Point, query: &EventQuery, then: &Sequence, bounds: (Instant, Instant)) -> Option<Value> {
    let zone = point.zone();
    let firsts = matching(point, &query.pattern, bounds)?.certain()?;
    // What follows may lie after the window, but never after now.
    let after = firsts.first().map_or(bounds.0, |f| f.at);
    let nexts = matching(point, &then.next, (after, point.scope.now))?.certain()?;
    let mut taken = vec![false; nexts.len()];
    let mut count = 0i64;
    for first in &firsts {
        let deadline = then.within.after(first.at, zone);
        // An event does not follow itself.
        let follows = |i: usize, n: &Match| n.at >= first.at && n.at <= deadline && !taken[i] && n.source != first.source;
        let found = nexts.iter().enumerate().position(|(i, n)| follows(i, n));
        match (then.no, found) {
            (false, Some(i)) => {
                taken[i] = true;
                count += 1;
            }
            // While the time is not over, something may still follow.
            (true, None) if deadline <= point.scope.now => count += 1,
            (true, None) | (false, None) | (true, Some(_)) => {}
        }
    }
    match query.what {
        Aggregate::Did => Some(Value::Bool(count > 0)),
        Aggregate::Count => Some(Value::Int(count)),
        _ => None,
    }
}

/// A row that matched.
struct Match<'a> {
    at: Instant,
    source: MatchSource<'a>,
}

#[derive(Clone, Copy)]
enum MatchSource<'a> {
    Declared(&'a BoundEvent<'a>, crate::base::EventId, RowRef),
    Own(&'a OwnMessage, OwnEvent),
}

impl PartialEq for MatchSource<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (MatchSource::Declared(_, a, x), MatchSource::Declared(_, b, y)) => a == b && x == y,
            (MatchSource::Own(a, x), MatchSource::Own(b, y)) => std::ptr::eq(*a, *b) && x == y,
            (MatchSource::Declared(..), MatchSource::Own(..)) | (MatchSource::Own(..), MatchSource::Declared(..)) => false,
        }
    }
}

impl Match<'_> {
    fn value(&self, field: u16) -> Option<Value> {
        match self.source {
            MatchSource::Declared(event, _, row) => event.value(row, field),
            MatchSource::Own(message, _) => own_field(message, field),
        }
    }
}

/// Rows that matched, and whether others may have: a receipt that is not known.
struct Matches<'a> {
    rows: Vec<Match<'a>>,
    maybe: bool,
}

impl<'a> Matches<'a> {
    /// The rows, if no other could have matched.
    fn certain(self) -> Option<Vec<Match<'a>>> {
        (!self.maybe).then_some(self.rows)
    }

    /// A question that more rows can only turn from false to true.
    fn decided(&self, holds: impl Fn(usize) -> bool) -> Option<bool> {
        match (holds(self.rows.len()), self.maybe) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }
}

fn matching<'a>(point: &'a Point<'a>, pattern: &EventPattern, bounds: (Instant, Instant)) -> Option<Matches<'a>> {
    let mut out = Matches { rows: Vec::new(), maybe: false };
    match pattern.source {
        EventSource::Declared(id) => {
            // No events of this kind in the store: nobody has done it.
            let Some(event) = point.bound.event(id) else { return Some(out) };
            for row in event.table.rows_of(point.user) {
                let at = event.table.at(row);
                if at < bounds.0 || at > bounds.1 {
                    continue;
                }
                let holds = pattern.filter.as_ref().is_none_or(|f| point.with_row(Row::Declared(event, row)).truth(f) == Some(true));
                if holds {
                    out.rows.push(Match { at, source: MatchSource::Declared(event, id, row) });
                }
            }
        }
        EventSource::Own(own) => {
            for message in point.scope.own.of(point.user) {
                out.own(point, pattern, message, own, bounds);
            }
            out.rows.sort_by_key(|r| r.at);
        }
    }
    Some(out)
}

impl<'a> Matches<'a> {
    fn own(&mut self, point: &Point, pattern: &EventPattern, message: &'a OwnMessage, own: OwnEvent, bounds: (Instant, Instant)) {
        let holds = pattern.filter.as_ref().is_none_or(|f| point.with_row(Row::Own(message)).truth(f) == Some(true));
        if !holds {
            return;
        }
        match message.receipt(own) {
            Receipt::Yes(at) if bounds.0 <= at && at <= bounds.1 => self.rows.push(Match { at, source: MatchSource::Own(message, own) }),
            // It can have come at any time from the hand-over on.
            Receipt::Unknown if message.at <= bounds.1 => self.maybe = true,
            Receipt::Yes(_) | Receipt::No | Receipt::Unknown => {}
        }
    }
}

/// Whether an event row, given by its values, fits a pattern of this event (triggers and `unless`).
pub fn row_fits(point: &Point, pattern: &EventPattern, values: &[Option<Value>]) -> bool {
    pattern.filter.as_ref().is_none_or(|f| point.with_row(Row::Values(values)).truth(f) == Some(true))
}
