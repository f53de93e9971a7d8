//! One user: the same plan, one value at a time, each node at most once.

use std::borrow::Cow;

use super::bind::{BoundPlan, Events};
use super::column_source::ColumnSource;
use super::event_query::{Hit, Hits, QueryResult, answer};
use super::messages::MessageLog;
use super::tables;
use super::vector::Scalar;
use crate::base::{Type, UserNo, Value};
use crate::plan::kernel::{Binary, Unary, int_to_float, quotient};
use crate::plan::node::{Cond, CondId, Node, Order, TextOp, ValId, ValKind};
use crate::program::builtins::function::{BinaryBody, UnaryBody};
use crate::store::EventSegment;

/// What is looked at.
#[derive(Clone, Copy)]
pub enum PointTarget<'b> {
    User(UserNo),
    /// An event row of a segment.
    Row(&'b EventSegment, usize),
    Own(&'b MessageLog, usize),
    /// An event row that is not in the store: the values of its fields.
    Fields(&'b [Option<Value>]),
}

/// The evaluation for one user or event row.
pub struct Point<'b> {
    bound: &'b BoundPlan<'b>,
    at: PointTarget<'b>,
    conds: Vec<Memo<bool>>,
    vals: Vec<Memo<Scalar<'b>>>,
    round: u32,
}

/// An answer, and in which round it was given: what was said in another round is about somebody
/// else.
type Memo<T> = (u32, Option<T>);

impl<'b> Point<'b> {
    pub fn new(bound: &'b BoundPlan<'b>, at: PointTarget<'b>) -> Self {
        Point {
            bound,
            at,
            conds: vec![(0, None); bound.plan.conds.len()],
            vals: vec![(0, None); bound.plan.vals.len()],
            round: 1,
        }
    }

    /// Turns to somebody else.
    pub fn reset(&mut self, at: PointTarget<'b>) {
        self.at = at;
        self.round = match self.round.checked_add(1) {
            Some(round) => round,
            None => {
                self.conds.fill((0, None));
                self.vals.fill((0, None));
                1
            }
        };
    }

    /// A condition; `None` is unknown.
    pub fn cond(&mut self, id: CondId) -> Option<bool> {
        if let Some((_, done)) = self
            .conds
            .get(id.0 as usize)
            .filter(|(round, _)| *round == self.round)
        {
            return *done;
        }
        let truth = self.cond_new(id);
        if let Some(memo) = self.conds.get_mut(id.0 as usize) {
            *memo = (self.round, truth);
        }
        truth
    }

    /// A value; `None` is missing.
    pub fn val(&mut self, id: ValId) -> Option<Scalar<'b>> {
        if let Some((_, done)) = self
            .vals
            .get(id.0 as usize)
            .filter(|(round, _)| *round == self.round)
        {
            return done.clone();
        }
        let value = self.val_new(id);
        if let Some(memo) = self.vals.get_mut(id.0 as usize) {
            *memo = (self.round, value.clone());
        }
        value
    }

    /// Either, as a value of its type.
    pub fn value(&mut self, node: Node) -> Option<Value> {
        match node {
            Node::Cond(id) => self.cond(id).map(Value::Bool),
            Node::Val(id) => self.val(id)?.value(&self.bound.plan.val(id).ty),
        }
    }

    fn cond_new(&mut self, id: CondId) -> Option<bool> {
        let bound = self.bound;
        match bound.plan.cond(id) {
            Cond::Always(truth) => *truth,
            Cond::List(list) => Some(match self.at {
                PointTarget::User(user) => bound
                    .scope
                    .tables
                    .list(*list)
                    .is_some_and(|users| users.contains(user)),
                PointTarget::Row(..) | PointTarget::Own(..) | PointTarget::Fields(_) => false,
            }),
            Cond::StepOutcome { step, outcome } => match self.at {
                PointTarget::User(user) => bound
                    .scope
                    .outcomes?
                    .known
                    .get(&(*step, user))?
                    .get(*outcome as usize)
                    .copied()
                    .flatten(),
                PointTarget::Row(..) | PointTarget::Own(..) | PointTarget::Fields(_) => None,
            },
            Cond::Flag(of) => match self.val(*of)? {
                Scalar::Bool(b) => Some(b),
                Scalar::Int(_)
                | Scalar::Float(_)
                | Scalar::Text(_)
                | Scalar::Place(_)
                | Scalar::Set(_) => None,
            },
            Cond::Not(of) => self.cond(*of).map(|b| !b),
            Cond::All(parts) => self.join(parts, true),
            Cond::Any(parts) => self.join(parts, false),
            Cond::IsTrue(of) => Some(self.cond(*of) == Some(true)),
            Cond::IsDecided(of) => Some(self.cond(*of).is_some()),
            Cond::IsKnown(of) => Some(self.val(*of).is_some()),
            Cond::Same(a, b) => Some(self.cond(*a)? == self.cond(*b)?),
            Cond::OrElse(a, b) => self.cond(*a).or_else(|| self.cond(*b)),
            Cond::If {
                when,
                then,
                otherwise,
            } => {
                let branch = if self.cond(*when)? { then } else { otherwise };
                self.cond(*branch)
            }
            Cond::Test { of, .. } => {
                let value = self.val(*of)?;
                Some(bound.test(id)?.scalar(&value))
            }
            Cond::Compare { op, left, right } => {
                compare(*op, &self.val(*left)?, &self.val(*right)?)
            }
            Cond::Between { of, lo, hi } => {
                let (of, lo, hi) = (self.val(*of)?, self.val(*lo)?, self.val(*hi)?);
                Some(compare(Order::Le, &lo, &of)? && compare(Order::Le, &of, &hi)?)
            }
            Cond::Text { op, of, what } => match (op, self.val(*of)?, self.val(*what)?) {
                (TextOp::Contains, Scalar::Text(a), Scalar::Text(b)) => Some(a.contains(&*b)),
                (TextOp::StartsWith, Scalar::Text(a), Scalar::Text(b)) => Some(a.starts_with(&*b)),
                _ => None,
            },
            Cond::Did(_) => match self.ask(Node::Cond(id), &Type::Bool)? {
                QueryResult::Did(truth) => truth,
                QueryResult::Value(_) => None,
            },
            Cond::Named(_, of) => self.cond(*of),
        }
    }

    /// Kleene's `and` (`all`) or `or`: the first part that decides ends it.
    fn join(&mut self, parts: &[CondId], all: bool) -> Option<bool> {
        let mut out = Some(all);
        for part in parts {
            match self.cond(*part) {
                Some(b) if b == all => {}
                Some(b) => return Some(b),
                None => out = None,
            }
        }
        out
    }

    fn val_new(&mut self, id: ValId) -> Option<Scalar<'b>> {
        let bound = self.bound;
        let val = bound.plan.val(id);
        match &val.kind {
            ValKind::Const(value) => Scalar::of(value),
            ValKind::Missing => None,
            ValKind::Tag(tag) => match self.at {
                PointTarget::User(user) => bound.tag(*tag)?.get(user.index()),
                PointTarget::Row(..) | PointTarget::Own(..) | PointTarget::Fields(_) => None,
            },
            ValKind::TriggerField(field) => bound
                .scope
                .trigger?
                .get(usize::from(*field))?
                .as_ref()
                .and_then(Scalar::of),
            ValKind::RowField(field) => match self.at {
                PointTarget::Row(segment, row) => {
                    ColumnSource::plain(segment.columns.get(usize::from(*field))?).get(row)
                }
                PointTarget::Own(log, row) => log.field(row, *field),
                PointTarget::Fields(values) => values
                    .get(usize::from(*field))?
                    .as_ref()
                    .and_then(Scalar::of),
                PointTarget::User(_) => None,
            },
            ValKind::Lookup {
                lookup,
                keys,
                field,
            } => {
                let mut key = Vec::new();
                for part in keys {
                    tables::write_key(&mut key, &self.val(*part)?);
                }
                bound
                    .scope
                    .tables
                    .look_up(*lookup, &key, *field)
                    .and_then(Scalar::of)
            }
            ValKind::Choice { arms, otherwise } => {
                for (arm, code) in arms.iter().zip(0..) {
                    // An arm that is unknown hides those behind it.
                    if self.cond(*arm)? {
                        return Some(Scalar::Int(code));
                    }
                }
                otherwise.then_some(Scalar::Int(arms.len() as i64))
            }
            ValKind::Coalesce(a, b) => self.val(*a).or_else(|| self.val(*b)),
            ValKind::If {
                when,
                then,
                otherwise,
            } => {
                let branch = if self.cond(*when)? { then } else { otherwise };
                self.val(*branch)
            }
            ValKind::Unary(op, of) => {
                let value = self.val(*of)?;
                self.unary(*op, &bound.plan.val(*of).ty, value)
            }
            ValKind::Binary(op, a, b) => {
                let (a, b) = (self.val(*a)?, self.val(*b)?);
                self.binary(*op, a, b)
            }
            ValKind::Event(_) => match self.ask(Node::Val(id), &val.ty)? {
                QueryResult::Value(value) => value,
                QueryResult::Did(truth) => truth.map(Scalar::Bool),
            },
            ValKind::Named(_, of) => self.val(*of),
        }
    }

    fn unary(&self, op: Unary, from: &'b Type, of: Scalar<'b>) -> Option<Scalar<'b>> {
        let zone = self.bound.plan.zone;
        match (op, of) {
            (Unary::Int(f), Scalar::Int(x)) => f.apply(x, zone).map(Scalar::Int),
            (Unary::Float(f), Scalar::Float(x)) => Some(Scalar::Float(f.apply(x))),
            (Unary::IntToFloat, Scalar::Int(x)) => Some(Scalar::Float(x as f64)),
            (Unary::MemberName, Scalar::Int(code)) => {
                let Type::Enum(members) = from else {
                    return None;
                };
                members
                    .members
                    .get(usize::try_from(code).ok()?)
                    .map(|m| Scalar::Text(Cow::Borrowed(m)))
            }
            (Unary::Call(call), of) => match (call.body, of) {
                (UnaryBody::Int(f), Scalar::Int(x)) => f(x).map(Scalar::Int),
                (UnaryBody::Float(f), Scalar::Float(x)) => f(x).map(Scalar::Float),
                (UnaryBody::Text(f), Scalar::Text(t)) => Some(Scalar::Text(Cow::Owned(f(&t)))),
                (UnaryBody::TextToInt(f), Scalar::Text(t)) => f(&t).map(Scalar::Int),
                (UnaryBody::SetSizeToInt(f), Scalar::Set(s)) => f(s.len()).map(Scalar::Int),
                (
                    UnaryBody::Int(_)
                    | UnaryBody::Float(_)
                    | UnaryBody::Text(_)
                    | UnaryBody::TextToInt(_)
                    | UnaryBody::SetSizeToInt(_),
                    _,
                ) => None,
            },
            (Unary::Int(_) | Unary::Float(_) | Unary::IntToFloat | Unary::MemberName, _) => None,
        }
    }

    fn binary(&self, op: Binary, a: Scalar<'b>, b: Scalar<'b>) -> Option<Scalar<'b>> {
        let zone = self.bound.plan.zone;
        match (op, a, b) {
            (Binary::Int(f), Scalar::Int(a), Scalar::Int(b)) => {
                f.apply(a, b, zone).map(Scalar::Int)
            }
            (Binary::Float(f), Scalar::Float(a), Scalar::Float(b)) => {
                f.apply(a, b).map(Scalar::Float)
            }
            (Binary::Scale(f), Scalar::Int(a), Scalar::Float(b)) => f.apply(a, b).map(Scalar::Int),
            (Binary::Quotient, Scalar::Int(a), Scalar::Int(b)) => quotient(a, b).map(Scalar::Float),
            (Binary::Call(call), a, b) => match (call.body, a, b) {
                (BinaryBody::Int(f), Scalar::Int(a), Scalar::Int(b)) => f(a, b).map(Scalar::Int),
                (BinaryBody::Float(f), Scalar::Float(a), Scalar::Float(b)) => {
                    f(a, b).map(Scalar::Float)
                }
                (BinaryBody::PickText(second), Scalar::Text(a), Scalar::Text(b)) => {
                    Some(Scalar::Text(if second(&a, &b) { b } else { a }))
                }
                (BinaryBody::Places(f), Scalar::Place(a), Scalar::Place(b)) => {
                    f(a, b).map(Scalar::Float)
                }
                (
                    BinaryBody::Int(_)
                    | BinaryBody::Float(_)
                    | BinaryBody::PickText(_)
                    | BinaryBody::Places(_),
                    _,
                    _,
                ) => None,
            },
            (Binary::Int(_) | Binary::Float(_) | Binary::Scale(_) | Binary::Quotient, _, _) => None,
        }
    }

    // ---------------------------------------------------------------- events

    fn ask(&self, node: Node, ty: &Type) -> Option<QueryResult<'b>> {
        let PointTarget::User(user) = self.at else {
            return None;
        };
        let query = self.bound.query_of(node)?;
        let hits = self.hits(
            user,
            &query.events,
            query.query.pattern.filter,
            query.bounds,
        );
        let next = match (&query.next, &query.query.then) {
            (Some(events), Some(then)) => self.hits(
                user,
                events,
                then.next.filter,
                (query.bounds.0, self.bound.scope.now.0),
            ),
            _ => Hits::default(),
        };
        Some(answer(query, ty, self.bound, &hits, &next))
    }

    fn hits(
        &self,
        user: UserNo,
        events: &'b Events<'b>,
        filter: Option<CondId>,
        window: (i64, i64),
    ) -> Hits {
        let passes = |at: PointTarget<'b>| {
            filter.is_none_or(|filter| Point::new(self.bound, at).cond(filter) == Some(true))
        };
        let mut hits = Hits::default();
        match events {
            Events::None => {}
            Events::Table(table) => {
                for (segment, number) in table.segments.iter().zip(0..) {
                    let rows = segment.rows_of(user);
                    let at = segment.at.values().get(rows.clone()).unwrap_or_default();
                    let (from, to) = (
                        at.partition_point(|t| *t < window.0),
                        at.partition_point(|t| *t <= window.1),
                    );
                    let inside = at
                        .iter()
                        .zip(rows)
                        .take(to)
                        .skip(from)
                        .filter(|(_, row)| passes(PointTarget::Row(segment, *row)));
                    hits.rows.extend(inside.map(|(at, row)| Hit {
                        at: *at,
                        segment: number,
                        row: row as u32,
                    }));
                }
            }
            Events::Own(own) => {
                let log = self.bound.scope.own;
                for row in log
                    .rows_of(user.0, user.0.saturating_add(1))
                    .filter(|row| passes(PointTarget::Own(log, *row)))
                {
                    hits.own(log.receipt(*own, row), log.handed_over(row), row, window);
                }
            }
        }
        hits.sort();
        hits
    }
}

fn compare(op: Order, a: &Scalar, b: &Scalar) -> Option<bool> {
    let order = match (a, b) {
        (Scalar::Int(a), Scalar::Int(b)) => a.cmp(b),
        (Scalar::Float(a), Scalar::Float(b)) => a.partial_cmp(b)?,
        (Scalar::Text(a), Scalar::Text(b)) => a.cmp(b),
        (Scalar::Int(a), Scalar::Float(b)) => int_to_float(*a, *b),
        (Scalar::Float(a), Scalar::Int(b)) => int_to_float(*b, *a).reverse(),
        _ => return None,
    };
    Some(match op {
        Order::Eq => order.is_eq(),
        Order::Lt => order.is_lt(),
        Order::Le => order.is_le(),
    })
}
