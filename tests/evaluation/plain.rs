//! A plain evaluator: the typed tree, one user, one row after the other, nothing shared with the
//! product's evaluators but types and calendar. It is slow and simple on purpose: what it says is
//! what the language means.
use std::cmp::Ordering;

use tagcast::base::{Date, Elapsed, Instant, ListId, LookupId, TagId, Type, UserNo, Value, Zone};
use tagcast::eval::{OwnMessage, ReceiptStatus, StepOutcomes};
use tagcast::program::typed::Program;
use tagcast::program::typed_expr::*;

/// All that is known, as rows.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub users: usize,
    /// By tag, then user: the value and when it was written.
    pub tags: Vec<Vec<Option<(Value, Option<Instant>)>>>,
    /// By event, in the order of time within a user.
    pub events: Vec<Vec<EventRow>>,
    pub messages: Vec<OwnMessage>,
    /// By list.
    pub lists: Vec<Vec<UserNo>>,
    /// By lookup: keys and fields of each row.
    pub lookups: Vec<Vec<(Vec<Value>, Vec<Option<Value>>)>>,
    pub trigger: Option<Vec<Option<Value>>>,
    pub outcomes: StepOutcomes,
}

#[derive(Clone, Debug)]
pub struct EventRow {
    pub user: UserNo,
    pub at: Instant,
    pub fields: Vec<Option<Value>>,
}

pub struct Oracle<'a> {
    pub program: &'a Program,
    pub facts: &'a Facts,
    pub now: Instant,
}

type Row<'r> = Option<&'r [Option<Value>]>;

impl Oracle<'_> {
    fn zone(&self) -> Zone {
        self.program.policy.zone
    }

    /// The value, or of a condition its truth; `None` is missing or unknown.
    pub fn ask(&self, e: &Expr, user: UserNo) -> Option<Value> {
        self.eval(e, user, None)
    }

    fn truth(&self, e: &Expr, user: UserNo, row: Row) -> Option<bool> {
        match self.eval(e, user, row) {
            Some(Value::Bool(b)) => Some(b),
            None => None,
            other => panic!("{other:?} is no truth"),
        }
    }

    /// Both sides of a comparison; a mean of whole units is not rounded for it.
    fn sides(&self, a: &Expr, b: &Expr, user: UserNo, row: Row) -> (Option<Value>, Option<Value>) {
        let mean = |e: &Expr| {
            matches!(&e.kind, ExprKind::Event(query) if query.what == Aggregate::Avg)
                && matches!(e.ty, Type::Money | Type::Elapsed)
        };
        if !mean(a) && !mean(b) {
            return (self.eval(a, user, row), self.eval(b, user, row));
        }
        let side = |e: &Expr| match (&e.kind, mean(e)) {
            (ExprKind::Event(query), true) => self.event(query, &Type::Number, user),
            _ => self
                .eval(e, user, row)
                .map(|v| Value::Int(whole(&v) as i64)),
        };
        (side(a), side(b))
    }

    fn eval(&self, e: &Expr, user: UserNo, row: Row) -> Option<Value> {
        use ExprKind as K;
        let truth = |e: &Expr| self.truth(e, user, row);
        let value = |e: &Expr| self.eval(e, user, row);
        let condition: Option<bool> = match &e.kind {
            K::Const(v) => return Some(v.clone()),
            K::Tag(id) => return self.tag(*id, user),
            K::Partition(id) => {
                let partition = &self.program.partitions[id.index()];
                for (i, arm) in partition.arms.iter().enumerate() {
                    if truth(arm)? {
                        return Some(Value::Enum(i as u16));
                    }
                }
                return partition
                    .otherwise
                    .then_some(Value::Enum(partition.arms.len() as u16));
            }
            K::TriggerField(i) => return self.facts.trigger.as_ref()?[usize::from(*i)].clone(),
            K::RowField(i) => return row?[usize::from(*i)].clone(),
            K::LookupField {
                lookup,
                keys,
                field,
            } => {
                let keys: Vec<Value> = keys.iter().map(value).collect::<Option<_>>()?;
                return self.look_up(*lookup, &keys, *field);
            }
            K::Coalesce(a, b) => return value(a).or_else(|| value(b)),
            K::If {
                when,
                then,
                otherwise,
            } => {
                return if truth(when)? {
                    value(then)
                } else {
                    value(otherwise)
                };
            }
            K::Arith { op, left, right } => {
                return self.arith(*op, value(left)?, value(right)?, &e.ty);
            }
            K::Neg(a) => return negate(value(a)?),
            K::Call { function, args } => {
                let args: Vec<Value> = args.iter().map(value).collect::<Option<_>>()?;
                return self.call(function.usage.name, &args, &e.ty);
            }
            K::ToNumber(a) => return number(float(&value(a)?)),
            K::MemberName(a) => match (value(a)?, &a.ty) {
                (Value::Enum(code), Type::Enum(of)) => {
                    return Some(Value::text(&of.members[usize::from(code)]));
                }
                other => panic!("{other:?} has no name"),
            },
            K::Event(query) => return self.event(query, &e.ty, user),

            K::Everyone => Some(true),
            K::Audience(id) => truth(&self.program.audiences[id.index()].when),
            K::List(ListId(id)) => Some(self.facts.lists[*id as usize].contains(&user)),
            K::StepOutcome { step, outcome } => self
                .facts
                .outcomes
                .known
                .get(&(*step, user))
                .and_then(|known| known[*outcome as usize]),
            K::Not(a) => truth(a).map(|b| !b),
            K::And(a, b) => match (truth(a), truth(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            K::Or(a, b) => match (truth(a), truth(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            K::Except(a, b) => match (truth(a), truth(b)) {
                (_, Some(true)) => Some(false),
                (a, _) => a,
            },
            K::Compare { op, left, right } => {
                let (left, right) = self.sides(left, right, user, row);
                let order = order(&left?, &right?);
                Some(match op {
                    CompareOp::Eq => order == Ordering::Equal,
                    CompareOp::Ne => order != Ordering::Equal,
                    CompareOp::Lt => order == Ordering::Less,
                    CompareOp::Le => order != Ordering::Greater,
                    CompareOp::Gt => order == Ordering::Greater,
                    CompareOp::Ge => order != Ordering::Less,
                })
            }
            K::InRange { of, lo, hi } => {
                let ((below, lo), (above, hi)) =
                    (self.sides(of, lo, user, row), self.sides(of, hi, user, row));
                let (below, above, lo, hi) = (below?, above?, lo?, hi?);
                Some(
                    order(&lo, &below) != Ordering::Greater
                        && order(&above, &hi) != Ordering::Greater,
                )
            }
            K::InList { of, list } => {
                value(of)?;
                let item = |item: &Value| Expr {
                    kind: K::Const(item.clone()),
                    ..(**of).clone()
                };
                Some(
                    list.iter()
                        .any(|v| match self.sides(of, &item(v), user, row) {
                            (Some(of), Some(v)) => order(&of, &v) == Ordering::Equal,
                            _ => false,
                        }),
                )
            }
            K::InWindow { of, window, yearly } => {
                let of = value(of)?;
                let (from, to) = window.dates(self.zone().date(self.now));
                Some(match (of, yearly) {
                    (Value::Date(d), false) => from <= d && d <= to,
                    (Value::Instant(i), false) => {
                        let (from, to) = window.instants(self.now, self.zone());
                        from <= i && i <= to
                    }
                    (Value::Date(d), true) => comes_round(d, from, to),
                    (other, _) => panic!("{other:?} in a window"),
                })
            }
            K::SetContains { set, mode, items } => {
                let Value::Set(set) = value(set)? else {
                    panic!("no set")
                };
                Some(match mode {
                    SetMode::One | SetMode::Any => items.iter().any(|i| set.contains(i)),
                    SetMode::All => items.iter().all(|i| set.contains(i)),
                })
            }
            K::TextContains { of, what } => Some(text(value(of)?).contains(&text(value(what)?))),
            K::StartsWith { of, what } => Some(text(value(of)?).starts_with(&text(value(what)?))),
            K::IsMissing(a) => Some(value(a).is_none()),
            K::IsKnown(a) => Some(value(a).is_some()),
        };
        condition.map(Value::Bool)
    }

    fn tag(&self, id: TagId, user: UserNo) -> Option<Value> {
        if let Some(derived) = &self.program.tags[id.index()].derived {
            return self.eval(derived, user, None);
        }
        let (value, written) = self.facts.tags[id.index()].get(user.index())?.clone()?;
        match self.program.schema.tags[id.index()].fresh {
            Some(within) if written.is_none_or(|at| at < self.now.minus(within)) => None,
            _ => Some(value),
        }
    }

    fn look_up(&self, lookup: LookupId, keys: &[Value], field: u16) -> Option<Value> {
        let rows = &self.facts.lookups[lookup.index()];
        let (_, fields) = rows.iter().find(|(row, _)| {
            row.iter()
                .zip(keys)
                .all(|(a, b)| order(a, b) == Ordering::Equal)
        })?;
        fields[usize::from(field)].clone()
    }

    // ---------------------------------------------------------------- events

    /// When and with what fields each event of a pattern happened to the user, oldest first; then
    /// the sends of messages that may have.
    fn rows(
        &self,
        pattern: &EventPattern,
        user: UserNo,
        from: Instant,
        to: Instant,
    ) -> (Vec<(Instant, Vec<Option<Value>>)>, Vec<Instant>) {
        let passes = |fields: &[Option<Value>]| {
            pattern
                .filter
                .as_ref()
                .is_none_or(|f| self.truth(f, user, Some(fields)) == Some(true))
        };
        let (mut sure, mut maybe) = (Vec::new(), Vec::new());
        match pattern.source {
            EventSource::Declared(id) => {
                for row in self.facts.events[id.index()]
                    .iter()
                    .filter(|r| r.user == user && from <= r.at && r.at <= to)
                {
                    if passes(&row.fields) {
                        sure.push((row.at, row.fields.clone()));
                    }
                }
            }
            EventSource::Own(own) => {
                let mut messages: Vec<&OwnMessage> = self
                    .facts
                    .messages
                    .iter()
                    .filter(|m| m.user == user)
                    .collect();
                messages.sort_by_key(|m| m.at);
                for m in messages {
                    let text = |t: &std::sync::Arc<str>| Some(Value::Text(t.clone()));
                    let fields = [
                        text(&m.campaign),
                        text(&m.step),
                        m.arm.as_ref().and_then(text),
                        text(&m.template),
                        text(&m.channel),
                    ];
                    if !passes(&fields) {
                        continue;
                    }
                    match m.receipts[own as usize] {
                        ReceiptStatus::Yes(at) if from <= at && at <= to => {
                            sure.push((at, fields.to_vec()))
                        }
                        ReceiptStatus::Unknown if m.at <= to => maybe.push(m.at),
                        _ => {}
                    }
                }
            }
        }
        sure.sort_by_key(|(at, _)| *at);
        (sure, maybe)
    }

    fn event(&self, query: &EventQuery, ty: &Type, user: UserNo) -> Option<Value> {
        let (from, to) = match query.what {
            Aggregate::Since => (Instant(i64::MIN), self.now),
            _ => query.window.instants(self.now, self.zone()),
        };
        let (rows, maybe) = self.rows(&query.pattern, user, from, to);
        if let Some(then) = &query.then {
            return self.sequence(query.what, then, user, rows, maybe, from);
        }
        if query.what == Aggregate::Did {
            return match (rows.is_empty(), maybe.is_empty()) {
                (false, _) => Some(Value::Bool(true)),
                (true, true) => Some(Value::Bool(false)),
                (true, false) => None,
            };
        }
        if !maybe.is_empty() {
            return None;
        }
        let field = usize::from(query.field.unwrap_or(0));
        let values: Vec<Value> = rows
            .iter()
            .filter_map(|(_, fields)| fields.get(field).cloned().flatten())
            .collect();
        let floats = || values.iter().map(float).fold(0.0, |a, b| a + b);
        let wholes = || values.iter().map(whole).sum::<i128>();
        let n = values.len();
        match query.what {
            Aggregate::Did => None,
            Aggregate::Count => Some(Value::Int(rows.len() as i64)),
            Aggregate::Since => Some(Value::Elapsed(Elapsed(
                self.now.0.checked_sub(rows.last()?.0.0)?,
            ))),
            Aggregate::First => rows.first()?.1[field].clone(),
            Aggregate::Latest => rows.last()?.1[field].clone(),
            Aggregate::Min => values.into_iter().reduce(|a, b| {
                if order(&b, &a) == Ordering::Less {
                    b
                } else {
                    a
                }
            }),
            Aggregate::Max => values.into_iter().reduce(|a, b| {
                if order(&b, &a) == Ordering::Greater {
                    b
                } else {
                    a
                }
            }),
            Aggregate::Distinct => {
                let mut seen: Vec<Value> = Vec::new();
                for v in values {
                    if !seen.contains(&v) {
                        seen.push(v);
                    }
                }
                Some(Value::Int(seen.len() as i64))
            }
            Aggregate::Sum => match ty {
                Type::Number => number(floats()),
                Type::Distance => Some(floats())
                    .filter(|f| f.is_finite())
                    .map(Value::Distance),
                Type::Int { .. } => i64::try_from(wholes()).ok().map(Value::Int),
                Type::Money => i64::try_from(wholes()).ok().map(Value::Money),
                Type::Elapsed => i64::try_from(wholes())
                    .ok()
                    .map(|e| Value::Elapsed(Elapsed(e))),
                other => panic!("sum of {other:?}"),
            },
            Aggregate::Avg if n == 0 => None,
            Aggregate::Avg => match ty {
                Type::Number
                    if matches!(
                        values[0],
                        Value::Int(_) | Value::Money(_) | Value::Elapsed(_)
                    ) =>
                {
                    number(wholes() as f64 / n as f64)
                }
                Type::Number => number(floats() / n as f64),
                Type::Ratio => Some(Value::Ratio((floats() / n as f64) as f32)),
                Type::Distance => Some(floats() / n as f64)
                    .filter(|f| f.is_finite())
                    .map(Value::Distance),
                Type::Money => Some(Value::Money(round_half_away(wholes(), n as i128))),
                Type::Elapsed => Some(Value::Elapsed(Elapsed(round_half_away(
                    wholes(),
                    n as i128,
                )))),
                other => panic!("mean of {other:?}"),
            },
        }
    }

    fn sequence(
        &self,
        what: Aggregate,
        then: &Sequence,
        user: UserNo,
        first: Vec<(Instant, Vec<Option<Value>>)>,
        maybe_first: Vec<Instant>,
        from: Instant,
    ) -> Option<Value> {
        let (next, maybe_next) = self.rows(&then.next, user, from, self.now);
        let mut certain = 0;
        let mut perhaps =
            !maybe_first.is_empty() && (then.no || !next.is_empty() || !maybe_next.is_empty());
        for (at, _) in first {
            let deadline = then.within.after(at, self.zone());
            let follows = next.iter().any(|(n, _)| at < *n && *n <= deadline);
            let may_follow = maybe_next
                .iter()
                .any(|handed_over| *handed_over <= deadline)
                && at < self.now;
            if !then.no {
                certain += usize::from(follows);
                perhaps |= !follows && may_follow;
            } else if !follows && deadline <= self.now {
                certain += usize::from(!may_follow);
                perhaps |= may_follow;
            }
        }
        match what {
            Aggregate::Did if certain > 0 => Some(Value::Bool(true)),
            _ if perhaps => None,
            Aggregate::Did => Some(Value::Bool(false)),
            _ => Some(Value::Int(certain as i64)),
        }
    }

    // ---------------------------------------------------------------- operators

    fn arith(&self, op: ArithOp, a: Value, b: Value, ty: &Type) -> Option<Value> {
        use ArithOp::*;
        use Value as V;
        let whole = |n: i128| i64::try_from(n).ok();
        Some(match (a, b, ty) {
            (V::Int(a), V::Int(b), Type::Number) => return number_op(op, a as f64, b as f64),
            (V::Int(a), V::Int(b), _) => {
                let (a, b) = (i128::from(a), i128::from(b));
                V::Int(whole(match op {
                    Add => a + b,
                    Sub => a - b,
                    Mul => a * b,
                    Mod if b != 0 => a - b * floor_div(a, b),
                    Mod => return None,
                    Div => panic!("int / int is a number"),
                })?)
            }
            (V::Money(a), V::Money(b), _) => match op {
                Add => V::Money(whole(i128::from(a) + i128::from(b))?),
                Sub => V::Money(whole(i128::from(a) - i128::from(b))?),
                Div => return number_op(Div, a as f64, b as f64),
                Mul | Mod => panic!("money by money"),
            },
            (V::Money(a), V::Int(b), _) if op == Mul => {
                V::Money(whole(i128::from(a) * i128::from(b))?)
            }
            (V::Money(_), V::Int(0), _) => return None,
            (V::Money(a), V::Int(b), _) => {
                let (a, b) = (i128::from(a), i128::from(b));
                // Half away from zero, by doubling.
                let rounded = (2 * a.abs() + b.abs()) / (2 * b.abs());
                V::Money(whole(if (a < 0) == (b < 0) {
                    rounded
                } else {
                    -rounded
                })?)
            }
            (V::Money(a), b, _) => {
                let b = float(&b);
                let exact = if op == Mul {
                    a as f64 * b
                } else {
                    a as f64 / b
                };
                let rounded = exact.round();
                if !(-(2f64.powi(63))..2f64.powi(63)).contains(&rounded) {
                    return None;
                }
                V::Money(rounded as i64)
            }
            (V::Date(d), V::Calendar(c), _) => {
                V::Date(d.checked_add(if op == Add { c } else { c.negated() })?)
            }
            (V::Instant(i), V::Calendar(c), _) => V::Instant(
                self.zone()
                    .add_calendar(i, if op == Add { c } else { c.negated() })?,
            ),
            (V::Instant(i), V::Elapsed(e), _) => {
                let sign = if op == Add { 1 } else { -1 };
                V::Instant(Instant(whole(i128::from(i.0) + sign * i128::from(e.0))?))
            }
            (V::Instant(a), V::Instant(b), _) => {
                V::Elapsed(Elapsed(whole(i128::from(a.0) - i128::from(b.0))?))
            }
            (a, b, _) => return number_op(op, float(&a), float(&b)),
        })
    }

    fn call(&self, function: &str, args: &[Value], ty: &Type) -> Option<Value> {
        let day = |v: &Value| match v {
            Value::Date(d) => *d,
            Value::Instant(i) => self.zone().date(*i),
            other => panic!("{other:?} has no day"),
        };
        let first = &args[0];
        let int = |n: i64| Some(Value::Int(n));
        match function {
            "distance" => match (first, &args[1]) {
                (Value::Place(a), Value::Place(b)) => Some(Value::Distance(a.distance_m(*b))),
                other => panic!("distance of {other:?}"),
            },
            "days" => int(i64::from(day(&args[1]).0) - i64::from(day(first).0)),
            "year" => int(day(first).year().into()),
            "month" => int(day(first).month().into()),
            "day" => int(day(first).day().into()),
            "weekday" => int(day(first).weekday().into()),
            "lower" => Some(Value::text(&text(first.clone()).to_lowercase())),
            "length" => int(match first {
                Value::Set(items) => items.len() as i64,
                other => text(other.clone()).chars().count() as i64,
            }),
            "abs" => match first {
                Value::Number(n) => number(n.abs()),
                other if whole(other) < 0 => negate(other.clone()),
                other => Some(other.clone()),
            },
            "round" => match first {
                Value::Money(m) => Some(Value::Money(
                    round_half_away(i128::from(*m), 100).checked_mul(100)?,
                )),
                other => number(float(other).round()),
            },
            "least" | "greatest" => {
                let wanted = if function == "least" {
                    Ordering::Less
                } else {
                    Ordering::Greater
                };
                let best = args
                    .iter()
                    .cloned()
                    .reduce(|a, b| if order(&b, &a) == wanted { b } else { a })?;
                if *ty == Type::Number {
                    number(float(&best))
                } else {
                    Some(best)
                }
            }
            "mask" => {
                let chars: Vec<char> = text(first.clone()).chars().collect();
                let last = chars.len().saturating_sub(1);
                let masked = chars.iter().enumerate();
                let kept = |i: usize| (i == 0 && chars.len() > 1) || (i == last && chars.len() > 2);
                Some(Value::text(
                    &masked
                        .map(|(i, c)| if kept(i) { *c } else { '*' })
                        .collect::<String>(),
                ))
            }
            other => panic!("no plain rule for `{other}`"),
        }
    }
}

fn text(v: Value) -> String {
    match v {
        Value::Text(t) => t.to_string(),
        other => panic!("{other:?} is no text"),
    }
}

/// Ints, numbers, ratios (by their shortest decimal) and distances as floats.
fn float(v: &Value) -> f64 {
    match v {
        Value::Int(n) => *n as f64,
        Value::Number(n) | Value::Distance(n) => *n,
        Value::Ratio(r) => r.to_string().parse().unwrap(),
        other => panic!("{other:?} is no number"),
    }
}

fn whole(v: &Value) -> i128 {
    match v {
        Value::Int(n) | Value::Money(n) => i128::from(*n),
        Value::Elapsed(e) => i128::from(e.0),
        other => panic!("{other:?} is not whole"),
    }
}

fn number(n: f64) -> Option<Value> {
    n.is_finite().then_some(Value::Number(n))
}

fn number_op(op: ArithOp, a: f64, b: f64) -> Option<Value> {
    if b == 0.0 && matches!(op, ArithOp::Div | ArithOp::Mod) {
        return None;
    }
    number(match op {
        ArithOp::Add => a + b,
        ArithOp::Sub => a - b,
        ArithOp::Mul => a * b,
        ArithOp::Div => a / b,
        ArithOp::Mod => {
            let rest = a % b;
            if rest != 0.0 && (rest > 0.0) != (b > 0.0) {
                rest + b
            } else {
                rest
            }
        }
    })
}

fn floor_div(a: i128, b: i128) -> i128 {
    let whole = a / b;
    if a % b != 0 && (a < 0) != (b < 0) {
        whole - 1
    } else {
        whole
    }
}

fn round_half_away(sum: i128, n: i128) -> i64 {
    let rounded = (2 * sum.abs() + n) / (2 * n);
    i64::try_from(if sum < 0 { -rounded } else { rounded }).unwrap()
}

fn negate(v: Value) -> Option<Value> {
    Some(match v {
        Value::Int(n) => Value::Int(n.checked_neg()?),
        Value::Money(n) => Value::Money(n.checked_neg()?),
        Value::Elapsed(e) => Value::Elapsed(Elapsed(e.0.checked_neg()?)),
        Value::Number(n) => Value::Number(-n),
        other => panic!("-{other:?}"),
    })
}

/// The order of two values of one type, or of an int and a number.
pub fn order(a: &Value, b: &Value) -> Ordering {
    use Value as V;
    match (a, b) {
        (V::Bool(a), V::Bool(b)) => a.cmp(b),
        (V::Int(a), V::Int(b)) | (V::Money(a), V::Money(b)) => a.cmp(b),
        (V::Number(a), V::Number(b)) | (V::Distance(a), V::Distance(b)) => {
            a.partial_cmp(b).unwrap()
        }
        (V::Ratio(a), V::Ratio(b)) => a.partial_cmp(b).unwrap(),
        (V::Text(a), V::Text(b)) => a.chars().cmp(b.chars()),
        (V::Enum(a), V::Enum(b)) => a.cmp(b),
        (V::Date(a), V::Date(b)) => a.cmp(b),
        (V::Time(a), V::Time(b)) => a.cmp(b),
        (V::Instant(a), V::Instant(b)) => a.cmp(b),
        (V::Elapsed(a), V::Elapsed(b)) => a.cmp(b),
        (V::Int(a), V::Number(b)) => exactly(*a, *b),
        (V::Number(a), V::Int(b)) => exactly(*b, *a).reverse(),
        other => panic!("{other:?} are not compared"),
    }
}

/// In steps that never round: floats without a fraction as whole numbers, the others between their
/// neighbours.
fn exactly(a: i64, b: f64) -> Ordering {
    let a = i128::from(a);
    let (below, above) = (b.floor() as i128, b.ceil() as i128);
    if a <= below && a < above {
        Ordering::Less
    } else if a >= above && a > below {
        Ordering::Greater
    } else {
        a.cmp(&below)
    }
}

/// Day after day through the window; long windows hold every day of the year.
fn comes_round(day: Date, from: Date, to: Date) -> bool {
    if i64::from(to.0) - i64::from(from.0) > 800 {
        return true;
    }
    (from.0..=to.0).map(Date).any(|d| {
        let leap = Date::ymd(d.year(), 2, 29).is_some();
        let month_day = match (day.month(), day.day()) {
            (2, 29) if !leap => (2, 28),
            other => other,
        };
        (d.month(), d.day()) == month_day
    })
}
