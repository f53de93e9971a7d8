//! Operators over single values: what comparing, adding and calling mean. Everything that has no answer is `None`: missing.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::base::{Date, Elapsed, Instant, Type, Value, Zone};
use crate::program::expr::{ArithOp, CompareOp, Function, SetMode};

/// Order of two values of one type (or int and number); `None` for kinds that have no order.
pub fn order(a: &Value, b: &Value) -> Option<Ordering> {
    use Value as V;
    match (a, b) {
        (V::Bool(x), V::Bool(y)) => Some(x.cmp(y)),
        (V::Int(x), V::Int(y)) | (V::Money(x), V::Money(y)) => Some(x.cmp(y)),
        (V::Number(x), V::Number(y)) | (V::Distance(x), V::Distance(y)) => x.partial_cmp(y),
        (V::Int(x), V::Number(y)) => int_to_float(*x, *y),
        (V::Number(x), V::Int(y)) => int_to_float(*y, *x).map(Ordering::reverse),
        (V::Ratio(x), V::Ratio(y)) => x.partial_cmp(y),
        (V::Text(x), V::Text(y)) => Some(x.cmp(y)),
        (V::Enum(x), V::Enum(y)) => Some(x.cmp(y)),
        (V::Date(x), V::Date(y)) => Some(x.cmp(y)),
        (V::Time(x), V::Time(y)) => Some(x.cmp(y)),
        (V::Instant(x), V::Instant(y)) => Some(x.cmp(y)),
        (V::Elapsed(x), V::Elapsed(y)) => Some(x.cmp(y)),
        // 1 month and 30 days cannot be put in order; months alone and days alone can.
        (V::Calendar(x), V::Calendar(y)) if x == y => Some(Ordering::Equal),
        (V::Calendar(x), V::Calendar(y)) if x.months == y.months => Some(x.days.cmp(&y.days)),
        (V::Calendar(x), V::Calendar(y)) if x.days == y.days => Some(x.months.cmp(&y.months)),
        (V::Place(x), V::Place(y)) if x == y => Some(Ordering::Equal),
        (V::Set(x), V::Set(y)) if x == y => Some(Ordering::Equal),
        _ => None,
    }
}

/// Exact, although not every i64 is an f64.
fn int_to_float(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    // Every i64 lies strictly between these two powers of two.
    if b >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    Some(a.cmp(&(whole as i64)).then_with(|| 0.0f64.partial_cmp(&(b - whole)).unwrap_or(Ordering::Equal)))
}

pub fn compare(op: CompareOp, a: &Value, b: &Value) -> Option<bool> {
    match (op, order(a, b)) {
        // Sets and places are equal or not, even where they have no order.
        (CompareOp::Eq, None) if same_kind(a, b) => Some(false),
        (CompareOp::Ne, None) if same_kind(a, b) => Some(true),
        (_, None) => None,
        (CompareOp::Eq, Some(o)) => Some(o == Ordering::Equal),
        (CompareOp::Ne, Some(o)) => Some(o != Ordering::Equal),
        (CompareOp::Lt, Some(o)) => Some(o == Ordering::Less),
        (CompareOp::Le, Some(o)) => Some(o != Ordering::Greater),
        (CompareOp::Gt, Some(o)) => Some(o == Ordering::Greater),
        (CompareOp::Ge, Some(o)) => Some(o != Ordering::Less),
    }
}

fn same_kind(a: &Value, b: &Value) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

pub fn set_contains(set: &Value, mode: SetMode, items: &[Value]) -> Option<bool> {
    let Value::Set(members) = set else { return None };
    let has = |item: &Value| members.contains(item);
    Some(match mode {
        SetMode::One | SetMode::Any => items.iter().any(has),
        SetMode::All => items.iter().all(has),
    })
}

fn as_float(v: &Value) -> Option<f64> {
    match v {
        Value::Int(i) => Some(*i as f64),
        Value::Number(n) => Some(*n),
        // Through the shortest decimal, so that a ratio of 0.3 is the number 0.3.
        Value::Ratio(r) => r.to_string().parse().ok(),
        _ => None,
    }
}

fn finite(n: f64) -> Option<f64> {
    n.is_finite().then_some(n)
}

/// A float as the nearest whole number, halves away from zero.
fn to_int(n: f64) -> Option<i64> {
    let n = n.round();
    (n.abs() < 9.2e18).then_some(n as i64)
}

/// Arithmetic; `ty` is the type of the result. Overflow and division by zero are missing.
pub fn arith(op: ArithOp, a: &Value, b: &Value, ty: &Type, zone: Zone) -> Option<Value> {
    use ArithOp as A;
    use Value as V;
    match (a, b) {
        (V::Money(x), V::Money(y)) => match op {
            A::Add => x.checked_add(*y).map(V::Money),
            A::Sub => x.checked_sub(*y).map(V::Money),
            A::Div if *y != 0 => finite(*x as f64 / *y as f64).map(V::Number),
            A::Mod if *y != 0 => x.checked_rem_euclid(*y).map(V::Money),
            A::Mul | A::Div | A::Mod => None,
        },
        (V::Money(x), V::Int(y)) if op == A::Mul => x.checked_mul(*y).map(V::Money),
        (V::Int(x), V::Money(y)) if op == A::Mul => x.checked_mul(*y).map(V::Money),
        (V::Money(x), y) => {
            let y = as_float(y)?;
            match op {
                A::Mul => to_int(*x as f64 * y).map(V::Money),
                A::Div if y != 0.0 => to_int(*x as f64 / y).map(V::Money),
                _ => None,
            }
        }
        (x, V::Money(y)) if op == A::Mul => to_int(as_float(x)? * *y as f64).map(V::Money),
        (V::Int(x), V::Int(y)) if *ty != Type::Number => match op {
            A::Add => x.checked_add(*y),
            A::Sub => x.checked_sub(*y),
            A::Mul => x.checked_mul(*y),
            A::Div => x.checked_div(*y),
            A::Mod => x.checked_rem_euclid(*y),
        }
        .map(V::Int),
        (V::Int(_) | V::Number(_) | V::Ratio(_), V::Int(_) | V::Number(_) | V::Ratio(_)) => {
            let (x, y) = (as_float(a)?, as_float(b)?);
            let n = match op {
                A::Add => x + y,
                A::Sub => x - y,
                A::Mul => x * y,
                A::Div if y != 0.0 => x / y,
                A::Mod if y != 0.0 => x.rem_euclid(y),
                A::Div | A::Mod => return None,
            };
            if matches!(ty, Type::Ratio) {
                return finite(n).filter(|n| (0.0..=1.0).contains(n)).map(|n| V::Ratio(n as f32));
            }
            finite(n).map(V::Number)
        }
        (V::Date(d), V::Calendar(c)) => match op {
            A::Add => d.checked_add(*c).map(V::Date),
            A::Sub => d.checked_add(c.negated()).map(V::Date),
            _ => None,
        },
        (V::Instant(i), V::Calendar(c)) => match op {
            A::Add => zone.add_calendar(*i, *c).map(V::Instant),
            A::Sub => zone.add_calendar(*i, c.negated()).map(V::Instant),
            _ => None,
        },
        (V::Instant(i), V::Elapsed(e)) => match op {
            A::Add => i.checked_add(*e).map(V::Instant),
            A::Sub => i.checked_sub(*e).map(V::Instant),
            _ => None,
        },
        (V::Instant(x), V::Instant(y)) if op == A::Sub => x.0.checked_sub(y.0).map(|n| V::Elapsed(Elapsed(n))),
        (V::Elapsed(x), V::Elapsed(y)) => match op {
            A::Add => x.0.checked_add(y.0).map(|n| V::Elapsed(Elapsed(n))),
            A::Sub => x.0.checked_sub(y.0).map(|n| V::Elapsed(Elapsed(n))),
            A::Div if y.0 != 0 => finite(x.0 as f64 / y.0 as f64).map(V::Number),
            _ => None,
        },
        (V::Distance(x), V::Distance(y)) => match op {
            A::Add => finite(x + y).map(V::Distance),
            A::Sub => finite(x - y).map(V::Distance),
            A::Div if *y != 0.0 => finite(x / y).map(V::Number),
            _ => None,
        },
        (V::Elapsed(x), y) if matches!(op, A::Mul | A::Div) => {
            scale(op, x.0 as f64, as_float(y)?).and_then(to_int).map(|n| V::Elapsed(Elapsed(n)))
        }
        (V::Distance(x), y) if matches!(op, A::Mul | A::Div) => scale(op, *x, as_float(y)?).map(V::Distance),
        _ => None,
    }
}

fn scale(op: ArithOp, x: f64, y: f64) -> Option<f64> {
    match op {
        ArithOp::Mul => finite(x * y),
        _ if y != 0.0 => finite(x / y),
        _ => None,
    }
}

pub fn negate(v: &Value) -> Option<Value> {
    use Value as V;
    match v {
        V::Int(i) => i.checked_neg().map(V::Int),
        V::Number(n) => Some(V::Number(-n)),
        V::Ratio(r) => r.to_string().parse::<f64>().ok().map(|n| V::Number(-n)),
        V::Money(m) => m.checked_neg().map(V::Money),
        V::Elapsed(e) => e.0.checked_neg().map(|n| V::Elapsed(Elapsed(n))),
        V::Calendar(c) => Some(V::Calendar(c.negated())),
        V::Distance(d) => Some(V::Distance(-d)),
        _ => None,
    }
}

fn date_of(v: &Value, zone: Zone) -> Option<Date> {
    match v {
        Value::Date(d) => Some(*d),
        Value::Instant(i) => Some(zone.date(*i)),
        _ => None,
    }
}

/// A function over values that are there; `ty` is the type of the result.
pub fn call(function: Function, args: &[Value], ty: &Type, zone: Zone) -> Option<Value> {
    use Function as F;
    use Value as V;
    let first = args.first()?;
    let day = || date_of(first, zone);
    match function {
        F::Distance => match (first, args.get(1)?) {
            (V::Place(a), V::Place(b)) => Some(V::Distance(a.distance_m(*b))),
            _ => None,
        },
        F::Days => Some(V::Int(i64::from(date_of(args.get(1)?, zone)?.0) - i64::from(day()?.0))),
        F::Year => Some(V::Int(i64::from(day()?.year()))),
        F::Month => Some(V::Int(i64::from(day()?.month()))),
        F::Day => Some(V::Int(i64::from(day()?.day()))),
        F::Weekday => Some(V::Int(i64::from(day()?.weekday()))),
        F::Lower => match first {
            V::Text(t) => Some(V::Text(t.to_lowercase().into())),
            _ => None,
        },
        F::Length => match first {
            V::Text(t) => i64::try_from(t.chars().count()).ok().map(V::Int),
            V::Set(s) => i64::try_from(s.len()).ok().map(V::Int),
            _ => None,
        },
        F::Abs => match first {
            V::Int(i) => i.checked_abs().map(V::Int),
            V::Number(n) => Some(V::Number(n.abs())),
            V::Money(m) => m.checked_abs().map(V::Money),
            V::Elapsed(e) => e.0.checked_abs().map(|n| V::Elapsed(Elapsed(n))),
            V::Ratio(_) | V::Distance(_) => Some(first.clone()),
            _ => None,
        },
        F::Round => match (first, ty) {
            (V::Number(n), Type::Int { .. }) => to_int(*n).map(V::Int),
            (V::Number(n), _) => Some(V::Number(n.round())),
            // Money rounds to whole units.
            (V::Money(m), _) => to_int(*m as f64 / 100.0)?.checked_mul(100).map(V::Money),
            (V::Ratio(_), Type::Int { .. }) => to_int(as_float(first)?).map(V::Int),
            (V::Ratio(_), _) => Some(V::Number(as_float(first)?.round())),
            (V::Int(_), _) => Some(first.clone()),
            _ => None,
        },
        F::Least | F::Greatest => {
            let wanted = if function == F::Least { Ordering::Less } else { Ordering::Greater };
            let mut best = first;
            for candidate in &args[1..] {
                if order(candidate, best)? == wanted {
                    best = candidate;
                }
            }
            match (best, ty) {
                (V::Int(i), Type::Number) => Some(V::Number(*i as f64)),
                (best, _) => Some(best.clone()),
            }
        }
        F::Number => as_float(first).map(V::Number),
        // Needs the member's name, which the value alone does not have: the evaluator answers it.
        F::Text => None,
        F::Mask => match first {
            V::Text(t) => Some(V::Text(mask(t))),
            _ => Some(V::text("***")),
        },
    }
}

/// First and last character kept, the rest `*`; of two characters the first, of one nothing.
pub fn mask(text: &str) -> Arc<str> {
    let chars: Vec<char> = text.chars().collect();
    match chars[..] {
        [] => "".into(),
        [_] => "*".into(),
        [first, _] => format!("{first}*").into(),
        [first, .., last] => format!("{first}{}{last}", "*".repeat(chars.len() - 2)).into(),
    }
}

/// Whether the yearly recurrence of a day falls between two days, both included; 29 February counts as the 28th in a common year.
pub fn yearly_in(day: Date, from: Date, to: Date) -> bool {
    if from > to {
        return false;
    }
    if i64::from(to.0) - i64::from(from.0) >= 366 {
        return true;
    }
    (from.year()..=to.year()).any(|year| {
        let occurrence = Date::ymd(year, day.month(), day.day()).or_else(|| Date::ymd(year, 2, 28));
        occurrence.is_some_and(|d| from <= d && d <= to)
    })
}

/// Whether a date or an instant lies in a window's bounds.
pub fn in_bounds(v: &Value, instants: (Instant, Instant), dates: (Date, Date), yearly: bool, zone: Zone) -> Option<bool> {
    match v {
        Value::Date(d) if yearly => Some(yearly_in(*d, dates.0, dates.1)),
        Value::Instant(i) if yearly => Some(yearly_in(zone.date(*i), dates.0, dates.1)),
        Value::Date(d) => Some(dates.0 <= *d && *d <= dates.1),
        Value::Instant(i) => Some(instants.0 <= *i && *i <= instants.1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints_and_numbers_compare_exactly() {
        let lt = |a: i64, b: f64| compare(CompareOp::Lt, &Value::Int(a), &Value::Number(b));
        assert_eq!(lt(9_007_199_254_740_993, 9_007_199_254_740_992.0), Some(false));
        assert_eq!(lt(i64::MAX, 9.3e18), Some(true));
        assert_eq!(lt(-1, -0.5), Some(true));
        assert_eq!(lt(0, -0.5), Some(false));
    }

    #[test]
    fn overflow_and_division_by_zero_are_missing() {
        let z = Zone::UTC;
        assert_eq!(arith(ArithOp::Add, &Value::Int(i64::MAX), &Value::Int(1), &Type::INT, z), None);
        assert_eq!(arith(ArithOp::Div, &Value::Money(5), &Value::Money(0), &Type::Number, z), None);
        assert_eq!(arith(ArithOp::Mod, &Value::Int(-7), &Value::Int(3), &Type::INT, z), Some(Value::Int(2)));
        assert_eq!(arith(ArithOp::Mul, &Value::Money(1005), &Value::Ratio(0.5), &Type::Money, z), Some(Value::Money(503)));
    }

    #[test]
    fn birthdays_come_once_a_year() {
        let d = |t: &str| t.parse::<Date>().unwrap();
        assert!(yearly_in(d("1990-01-02"), d("2026-12-30"), d("2027-01-05")));
        assert!(!yearly_in(d("1990-02-02"), d("2026-12-30"), d("2027-01-05")));
        assert!(yearly_in(d("2000-02-29"), d("2027-02-28"), d("2027-02-28")));
        assert_eq!(&*mask("13812345678"), "1*********8");
    }
}
