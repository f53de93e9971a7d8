//! One user: a condition in three values, a value or missing.

use super::bind::{Bound, BoundEvent};
use super::messages::OwnMessage;
use super::value::{arith, call, compare, in_bounds, negate, set_contains};
use super::{Scope, events, tables};
use crate::base::{UserNo, Value, Zone};
use crate::plan::Plan;
use crate::program::expr::{CompareOp, Expr, ExprKind, Function};
use crate::store::RowRef;

/// The event row that a `where` looks at.
#[derive(Clone, Copy)]
pub enum Row<'a> {
    Declared(&'a BoundEvent<'a>, RowRef),
    Own(&'a OwnMessage),
    Values(&'a [Option<Value>]),
}

/// A user to evaluate for.
#[derive(Clone, Copy)]
pub struct Point<'a> {
    pub scope: &'a Scope<'a>,
    pub bound: &'a Bound<'a>,
    pub user: UserNo,
    row: Option<Row<'a>>,
}

/// Kleene's and, which asks for the second only when it matters.
fn and(a: Option<bool>, b: impl FnOnce() -> Option<bool>) -> Option<bool> {
    match a {
        Some(false) => Some(false),
        Some(true) => b(),
        None => match b() {
            Some(false) => Some(false),
            _ => None,
        },
    }
}

fn or(a: Option<bool>, b: impl FnOnce() -> Option<bool>) -> Option<bool> {
    and(a.map(|a| !a), || b().map(|b| !b)).map(|n| !n)
}

impl<'a> Point<'a> {
    pub fn new(scope: &'a Scope<'a>, bound: &'a Bound<'a>, user: UserNo) -> Self {
        Point { scope, bound, user, row: None }
    }

    pub fn with_row(self, row: Row<'a>) -> Self {
        Point { row: Some(row), ..self }
    }

    pub fn zone(&self) -> Zone {
        self.scope.program.policy.zone
    }

    /// A plan for this user.
    pub fn plan(&self, plan: &Plan) -> Option<bool> {
        match plan {
            Plan::Always(b) => Some(*b),
            Plan::Not(of) => self.plan(of).map(|b| !b),
            Plan::All(parts) => {
                let mut all = Some(true);
                for part in parts {
                    all = and(all, || self.plan(part));
                }
                all
            }
            Plan::Any(parts) => {
                let mut any = Some(false);
                for part in parts {
                    any = or(any, || self.plan(part));
                }
                any
            }
            Plan::Except(a, b) => and(self.plan(a), || Some(self.plan(b) != Some(true))),
            Plan::Atom(atom) => self.truth(&atom.expr),
        }
    }

    /// A condition: true, false, or unknown.
    pub fn truth(&self, expr: &Expr) -> Option<bool> {
        use ExprKind as K;
        match &expr.kind {
            K::Everyone => Some(true),
            K::Audience(id) => self.truth(&self.scope.program.audience(*id).when),
            K::List(id) => Some(self.scope.tables.in_list(*id, self.user)),
            K::Not(a) => self.truth(a).map(|b| !b),
            K::And(a, b) => and(self.truth(a), || self.truth(b)),
            K::Or(a, b) => or(self.truth(a), || self.truth(b)),
            K::Except(a, b) => and(self.truth(a), || Some(self.truth(b) != Some(true))),
            K::Compare { op, left, right } => compare(*op, &self.value(left)?, &self.value(right)?),
            K::InRange { of, lo, hi } => {
                let x = self.value(of)?;
                let side = |op, bound: &Expr| compare(op, &x, &self.value(bound)?);
                and(side(CompareOp::Ge, lo), || side(CompareOp::Le, hi))
            }
            K::InList { of, list } => {
                let x = self.value(of)?;
                Some(list.iter().any(|item| compare(CompareOp::Eq, &x, item) == Some(true)))
            }
            K::InWindow { of, window, yearly } => {
                let x = self.value(of)?;
                let zone = self.zone();
                in_bounds(&x, window.instants(self.scope.now, zone), window.dates(zone.date(self.scope.now)), *yearly, zone)
            }
            K::SetContains { set, mode, items } => set_contains(&self.value(set)?, *mode, items),
            K::TextContains { of, what } => self.texts(of, what, |a, b| a.contains(b)),
            K::StartsWith { of, what } => self.texts(of, what, |a, b| a.starts_with(b)),
            K::IsMissing(a) => Some(self.value(a).is_none()),
            K::IsKnown(a) => Some(self.value(a).is_some()),
            _ => match self.value(expr)? {
                Value::Bool(b) => Some(b),
                _ => None,
            },
        }
    }

    fn texts(&self, of: &Expr, what: &Expr, holds: impl Fn(&str, &str) -> bool) -> Option<bool> {
        match (self.value(of)?, self.value(what)?) {
            (Value::Text(a), Value::Text(b)) => Some(holds(&a, &b)),
            _ => None,
        }
    }

    /// A value; `None` is missing.
    pub fn value(&self, expr: &Expr) -> Option<Value> {
        use ExprKind as K;
        match &expr.kind {
            K::Const(v) => Some(v.clone()),
            K::Tag(id) => match self.scope.program.tags.get(id.index()).and_then(|t| t.derived.as_ref()) {
                Some(derived) => self.value(derived),
                None => self.bound.tag(*id)?.value(self.user),
            },
            K::Partition(id) => {
                let partition = self.scope.program.partition(*id);
                for (i, arm) in partition.arms.iter().enumerate() {
                    // An arm that is unknown hides those behind it.
                    if self.truth(arm)? {
                        return u16::try_from(i).ok().map(Value::Enum);
                    }
                }
                if partition.otherwise { u16::try_from(partition.arms.len()).ok().map(Value::Enum) } else { None }
            }
            K::TriggerField(i) => self.scope.trigger?.get(usize::from(*i))?.clone(),
            K::RowField(i) => match self.row? {
                Row::Declared(event, row) => event.value(row, *i),
                Row::Values(values) => values.get(usize::from(*i))?.clone(),
                Row::Own(message) => own_field(message, *i),
            },
            K::LookupField { lookup, keys, field } => {
                // As the table has them: enum members by name.
                let text = |k: &Expr| Some(tables::key_text(&self.value(k)?, &k.ty, self.zone()));
                let keys: Option<Vec<String>> = keys.iter().map(text).collect();
                self.scope.tables.look_up(*lookup, &keys?, *field)
            }
            K::StepOutcome { step, outcome } => {
                let known = self.scope.outcomes?.known.get(&(*step, self.user))?;
                known.get(*outcome as usize).copied().flatten().map(Value::Bool)
            }
            K::Coalesce(a, b) => self.value(a).or_else(|| self.value(b)),
            K::Arith { op, left, right } => arith(*op, &self.value(left)?, &self.value(right)?, &expr.ty, self.zone()),
            K::Neg(a) => negate(&self.value(a)?),
            K::If { when, then, otherwise } => self.value(if self.truth(when)? { then } else { otherwise }),
            K::Call { function: Function::Text, args } => {
                let of = args.first()?;
                Some(Value::text(&tables::key_text(&self.value(of)?, &of.ty, self.zone())))
            }
            K::Call { function, args } => {
                let args: Option<Vec<Value>> = args.iter().map(|a| self.value(a)).collect();
                call(*function, &args?, &expr.ty, self.zone())
            }
            K::Event(query) => events::query(self, query, &expr.ty),
            K::Everyone
            | K::Audience(_)
            | K::List(_)
            | K::Not(_)
            | K::And(..)
            | K::Or(..)
            | K::Except(..)
            | K::Compare { .. }
            | K::InRange { .. }
            | K::InList { .. }
            | K::InWindow { .. }
            | K::SetContains { .. }
            | K::TextContains { .. }
            | K::StartsWith { .. }
            | K::IsMissing(_)
            | K::IsKnown(_) => self.truth(expr).map(Value::Bool),
        }
    }
}

/// By the order of `OWN_FIELDS`.
pub fn own_field(message: &OwnMessage, field: u16) -> Option<Value> {
    let text = match field {
        0 => &message.campaign,
        1 => &message.step,
        2 => message.arm.as_ref()?,
        3 => &message.template,
        4 => &message.channel,
        _ => return None,
    };
    Some(Value::Text(text.clone()))
}
