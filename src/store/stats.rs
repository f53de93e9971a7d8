//! What a column holds, in a few numbers: for `tags stats`, and for people who wonder why an
//! audience is empty.

use std::collections::BTreeMap;

use super::Column;
use crate::base::{Type, Value};

/// Different texts up to which they are counted one by one.
const MAX_DISTINCT: usize = 10_000;

/// A column, summed up.
#[derive(Clone, PartialEq, Debug)]
pub struct Stats {
    /// Users with a value.
    pub known: usize,
    /// Users without one.
    pub missing: usize,
    pub values: Spread,
}

/// How the values are spread.
#[derive(Clone, PartialEq, Debug)]
pub enum Spread {
    /// There is no value, or values of this type have no order and no repeats.
    None,
    /// Smallest and largest, and the mean of numbers.
    Range {
        lo: Value,
        hi: Value,
        mean: Option<f64>,
    },
    /// How many users have each value (for sets: each member), most first; those that nobody has
    /// are left out.
    Counts(Vec<(Value, usize)>),
    /// How many different texts (`None`: more than are counted), and the characters of the longest.
    Texts {
        distinct: Option<usize>,
        longest: usize,
    },
}

impl Stats {
    /// Sums up a column of a store with so many users.
    pub fn of(column: &Column, users: usize) -> Self {
        let values = || (0..column.len()).filter_map(|row| column.value(row));
        let known = column.known();
        let spread = match &column.ty {
            Type::Bool | Type::Enum(_) => counts(values()),
            Type::Set(of) if !matches!(**of, Type::Text { .. }) => counts(values().flat_map(|v| {
                if let Value::Set(items) = v {
                    items.to_vec()
                } else {
                    Vec::new()
                }
            })),
            Type::Text { .. } | Type::Address(_) => texts(values()),
            Type::Int { .. }
            | Type::Number
            | Type::Ratio
            | Type::Money
            | Type::Date
            | Type::Time
            | Type::Instant
            | Type::Elapsed
            | Type::Distance => range(values()),
            Type::Set(_) | Type::Calendar | Type::Place => Spread::None,
        };
        Stats {
            known,
            missing: users.saturating_sub(known),
            values: spread,
        }
    }
}

/// A value as a number that orders as the value does.
fn number(value: &Value) -> Option<f64> {
    Some(match value {
        Value::Int(i) | Value::Money(i) => *i as f64,
        Value::Number(n) | Value::Distance(n) => *n,
        Value::Ratio(r) => f64::from(*r),
        Value::Date(d) => f64::from(d.0),
        Value::Time(t) => f64::from(t.0),
        Value::Instant(at) => at.0 as f64,
        Value::Elapsed(e) => e.0 as f64,
        Value::Bool(_)
        | Value::Text(_)
        | Value::Enum(_)
        | Value::Set(_)
        | Value::Calendar(_)
        | Value::Place(_) => return None,
    })
}

fn range(values: impl Iterator<Item = Value>) -> Spread {
    let mut ends: Option<((f64, Value), (f64, Value))> = None;
    let (mut sum, mut count, mut numeric) = (0.0, 0u64, true);
    for value in values {
        let Some(n) = number(&value) else { continue };
        numeric &= !matches!(value, Value::Date(_) | Value::Time(_) | Value::Instant(_));
        (sum, count) = (sum + n, count + 1);
        match &mut ends {
            None => ends = Some(((n, value.clone()), (n, value))),
            Some((lo, _)) if n < lo.0 => *lo = (n, value),
            Some((_, hi)) if n > hi.0 => *hi = (n, value),
            Some(_) => {}
        }
    }
    match ends {
        Some((lo, hi)) => Spread::Range {
            lo: lo.1,
            hi: hi.1,
            mean: numeric.then(|| sum / count as f64),
        },
        None => Spread::None,
    }
}

fn counts(values: impl Iterator<Item = Value>) -> Spread {
    let mut counts: BTreeMap<i64, (Value, usize)> = BTreeMap::new();
    for value in values {
        let key = match &value {
            Value::Bool(b) => i64::from(!*b),
            Value::Enum(code) => i64::from(*code),
            Value::Int(i) => *i,
            _ => continue,
        };
        if counts.len() < MAX_DISTINCT || counts.contains_key(&key) {
            counts.entry(key).or_insert((value, 0)).1 += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n)); // Stable: equal counts stay in the order of declaration.
    if counts.is_empty() {
        Spread::None
    } else {
        Spread::Counts(counts)
    }
}

fn texts(values: impl Iterator<Item = Value>) -> Spread {
    let (mut distinct, mut longest, mut any) = (std::collections::BTreeSet::new(), 0, false);
    for value in values {
        let Value::Text(text) = value else { continue };
        any = true;
        longest = longest.max(text.chars().count());
        if distinct.len() <= MAX_DISTINCT {
            distinct.insert(text);
        }
    }
    let distinct = (distinct.len() <= MAX_DISTINCT).then_some(distinct.len());
    if any {
        Spread::Texts { distinct, longest }
    } else {
        Spread::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ColumnBuilder;

    fn stats(ty: Type, values: &[Option<Value>]) -> Stats {
        let mut b = ColumnBuilder::new(&ty);
        values.iter().for_each(|v| b.push(v.as_ref()));
        Stats::of(&Column::new(ty, b.finish(), None), values.len() + 1)
    }

    #[test]
    fn sums_up() {
        let s = stats(
            Type::INT,
            &[Some(Value::Int(5)), None, Some(Value::Int(-1))],
        );
        assert_eq!((s.known, s.missing), (2, 2));
        assert_eq!(
            s.values,
            Spread::Range {
                lo: Value::Int(-1),
                hi: Value::Int(5),
                mean: Some(2.0)
            }
        );
        let s = stats(
            Type::Bool,
            &[
                Some(Value::Bool(false)),
                Some(Value::Bool(true)),
                Some(Value::Bool(false)),
            ],
        );
        assert_eq!(
            s.values,
            Spread::Counts(vec![(Value::Bool(false), 2), (Value::Bool(true), 1)])
        );
        let set = |items: &[i64]| Some(Value::Set(items.iter().map(|i| Value::Int(*i)).collect()));
        let s = stats(
            Type::Set(Box::new(Type::INT)),
            &[set(&[1, 2]), set(&[2]), set(&[])],
        );
        assert_eq!(
            s.values,
            Spread::Counts(vec![(Value::Int(2), 2), (Value::Int(1), 1)])
        );
        let s = stats(
            Type::TEXT,
            &[Some(Value::text("上海")), Some(Value::text("上海"))],
        );
        assert_eq!(
            s.values,
            Spread::Texts {
                distinct: Some(1),
                longest: 2
            }
        );
        assert_eq!(stats(Type::Date, &[None]).values, Spread::None);
    }
}
