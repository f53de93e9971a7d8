//! Types in their physical form, and constants as tests that a column loop can run.

use std::sync::Arc;

use super::kernel::{int_to_float, pack, unpack};
use super::node::{End, TextEnd, ValueTest};
use crate::base::{Date, Elapsed, Instant, TimeOfDay, Type, Value};
use crate::program::typed_expr::CompareOp;

/// How values of a type lie in columns and registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    Bool,
    Int,
    Float,
    Text,
    Place,
    Set,
}

pub fn form(ty: &Type) -> Form {
    match ty {
        Type::Bool => Form::Bool,
        Type::Int { .. }
        | Type::Money
        | Type::Enum(_)
        | Type::Date
        | Type::Time
        | Type::Instant
        | Type::Elapsed
        | Type::Calendar => Form::Int,
        Type::Number | Type::Ratio | Type::Distance => Form::Float,
        Type::Text { .. } | Type::Address(_) => Form::Text,
        Type::Place => Form::Place,
        Type::Set(_) => Form::Set,
    }
}

/// The whole number that stands for a value.
pub fn int_of(value: &Value) -> Option<i64> {
    match value {
        Value::Int(n) | Value::Money(n) => Some(*n),
        Value::Enum(code) => Some(i64::from(*code)),
        Value::Date(d) => Some(i64::from(d.0)),
        Value::Time(t) => Some(i64::from(t.0)),
        Value::Instant(i) => Some(i.0),
        Value::Elapsed(e) => Some(e.0),
        Value::Calendar(c) => Some(pack(*c)),
        Value::Bool(_)
        | Value::Number(_)
        | Value::Ratio(_)
        | Value::Text(_)
        | Value::Set(_)
        | Value::Distance(_)
        | Value::Place(_) => None,
    }
}

/// The float that stands for a value.
pub fn float_of(value: &Value) -> Option<f64> {
    match value {
        Value::Number(n) | Value::Distance(n) => Some(*n),
        Value::Ratio(r) => Some(f64::from(*r)),
        _ => None,
    }
}

pub fn text_of(value: &Value) -> Option<&Arc<str>> {
    match value {
        Value::Text(t) => Some(t),
        _ => None,
    }
}

/// The value of type `ty` that a whole number stands for.
pub fn value_of_int(ty: &Type, n: i64) -> Option<Value> {
    Some(match ty {
        Type::Int { .. } => Value::Int(n),
        Type::Money => Value::Money(n),
        Type::Enum(_) => Value::Enum(u16::try_from(n).ok()?),
        Type::Date => Value::Date(Date(i32::try_from(n).ok()?)),
        Type::Time => Value::Time(TimeOfDay(u32::try_from(n).ok()?)),
        Type::Instant => Value::Instant(Instant(n)),
        Type::Elapsed => Value::Elapsed(Elapsed(n)),
        Type::Calendar => Value::Calendar(unpack(n)),
        _ => return None,
    })
}

/// The value of type `ty` that a float stands for.
pub fn value_of_float(ty: &Type, n: f64) -> Option<Value> {
    Some(match ty {
        Type::Number => Value::Number(n),
        Type::Ratio => Value::Ratio(n as f32),
        Type::Distance => Value::Distance(n),
        _ => return None,
    })
}

// ------------------------------------------------------------------ comparisons with constants

/// Inside no range.
const NO_INT: ValueTest = ValueTest::Int { lo: 1, hi: 0 };

/// `x op constant` as a test of `x`, which has form `of`; `None` when the two are never compared.
/// `Ne` gives the test for `Eq`.
pub fn test_for(op: CompareOp, of: Form, constant: &Value) -> Option<ValueTest> {
    match of {
        Form::Int => match float_of(constant) {
            Some(f) => Some(int_against_float(op, f)),
            None => int_of(constant).map(|n| int_test(op, n)),
        },
        Form::Float => match float_of(constant) {
            Some(f) => Some(float_test(op, f)),
            None => int_of(constant).map(|n| float_against_int(op, n)),
        },
        Form::Text => text_of(constant).map(|t| text_test(op, t)),
        Form::Bool | Form::Place | Form::Set => None,
    }
}

fn int_test(op: CompareOp, n: i64) -> ValueTest {
    let range = |lo, hi| ValueTest::Int { lo, hi };
    match op {
        CompareOp::Eq | CompareOp::Ne => range(n, n),
        CompareOp::Lt => n.checked_sub(1).map_or(NO_INT, |hi| range(i64::MIN, hi)),
        CompareOp::Le => range(i64::MIN, n),
        CompareOp::Gt => n.checked_add(1).map_or(NO_INT, |lo| range(lo, i64::MAX)),
        CompareOp::Ge => range(n, i64::MAX),
    }
}

/// Whole numbers against a fraction: against the next whole number on the right side.
fn int_against_float(op: CompareOp, f: f64) -> ValueTest {
    let whole = |f: f64| {
        (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
            .contains(&f)
            .then_some(f as i64)
    };
    match (op, f.fract() == 0.0, whole(f.floor())) {
        (_, true, Some(n)) => int_test(op, n),
        (CompareOp::Eq | CompareOp::Ne, _, _) => NO_INT,
        (CompareOp::Lt | CompareOp::Le, _, Some(n)) => int_test(CompareOp::Le, n),
        (CompareOp::Gt | CompareOp::Ge, _, Some(n)) => int_test(CompareOp::Gt, n),
        // Beyond all whole numbers that there are.
        (CompareOp::Lt | CompareOp::Le, _, None) => {
            if f > 0.0 {
                int_test(CompareOp::Le, i64::MAX)
            } else {
                NO_INT
            }
        }
        (CompareOp::Gt | CompareOp::Ge, _, None) => {
            if f > 0.0 {
                NO_INT
            } else {
                int_test(CompareOp::Ge, i64::MIN)
            }
        }
    }
}

fn float_test(op: CompareOp, f: f64) -> ValueTest {
    let end = |included| Some(End { at: f, included });
    match op {
        CompareOp::Eq | CompareOp::Ne => ValueTest::Float {
            lo: end(true),
            hi: end(true),
        },
        CompareOp::Lt => ValueTest::Float {
            lo: None,
            hi: end(false),
        },
        CompareOp::Le => ValueTest::Float {
            lo: None,
            hi: end(true),
        },
        CompareOp::Gt => ValueTest::Float {
            lo: end(false),
            hi: None,
        },
        CompareOp::Ge => ValueTest::Float {
            lo: end(true),
            hi: None,
        },
    }
}

/// Floats against a whole number that may lie between two of them.
fn float_against_int(op: CompareOp, n: i64) -> ValueTest {
    let near = n as f64;
    match (int_to_float(n, near), op) {
        (std::cmp::Ordering::Equal, _) => float_test(op, near),
        (_, CompareOp::Eq | CompareOp::Ne) => ValueTest::Float {
            lo: Some(End {
                at: near,
                included: false,
            }),
            hi: Some(End {
                at: near,
                included: false,
            }),
        },
        (std::cmp::Ordering::Less, CompareOp::Lt | CompareOp::Le) => {
            float_test(CompareOp::Lt, near)
        }
        (std::cmp::Ordering::Less, CompareOp::Gt | CompareOp::Ge) => {
            float_test(CompareOp::Ge, near)
        }
        (std::cmp::Ordering::Greater, CompareOp::Lt | CompareOp::Le) => {
            float_test(CompareOp::Le, near)
        }
        (std::cmp::Ordering::Greater, CompareOp::Gt | CompareOp::Ge) => {
            float_test(CompareOp::Gt, near)
        }
    }
}

fn text_test(op: CompareOp, t: &Arc<str>) -> ValueTest {
    let end = |included| {
        Some(TextEnd {
            at: t.clone(),
            included,
        })
    };
    match op {
        CompareOp::Eq | CompareOp::Ne => ValueTest::TextIn(vec![t.clone()]),
        CompareOp::Lt => ValueTest::Text {
            lo: None,
            hi: end(false),
        },
        CompareOp::Le => ValueTest::Text {
            lo: None,
            hi: end(true),
        },
        CompareOp::Gt => ValueTest::Text {
            lo: end(false),
            hi: None,
        },
        CompareOp::Ge => ValueTest::Text {
            lo: end(true),
            hi: None,
        },
    }
}

/// `x in [list]` as a test of `x`, which has form `of`.
pub fn test_in_list(of: Form, list: &[Value]) -> Option<ValueTest> {
    match of {
        Form::Int => {
            // A fraction in a list of whole numbers equals none of them.
            let ints = list.iter().map(|v| match float_of(v) {
                Some(f) => match int_against_float(CompareOp::Eq, f) {
                    ValueTest::Int { lo, hi } if lo == hi => Some(Some(lo)),
                    _ => Some(None),
                },
                None => int_of(v).map(Some),
            });
            let mut ints: Vec<i64> = ints
                .collect::<Option<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect();
            ints.sort_unstable();
            ints.dedup();
            Some(match ints[..] {
                [] => NO_INT,
                [n] => ValueTest::Int { lo: n, hi: n },
                _ => ValueTest::IntIn(ints),
            })
        }
        Form::Float => {
            let floats = list.iter().map(|v| match (float_of(v), int_of(v)) {
                (Some(f), _) => Some(Some(f)),
                (None, Some(n)) => Some(Some(n as f64).filter(|f| int_to_float(n, *f).is_eq())),
                (None, None) => None,
            });
            Some(ValueTest::FloatIn(
                floats
                    .collect::<Option<Vec<_>>>()?
                    .into_iter()
                    .flatten()
                    .collect(),
            ))
        }
        Form::Text => {
            let mut texts = list
                .iter()
                .map(|v| text_of(v).cloned())
                .collect::<Option<Vec<_>>>()?;
            texts.sort();
            texts.dedup();
            Some(ValueTest::TextIn(texts))
        }
        Form::Bool | Form::Place | Form::Set => None,
    }
}

/// `x in lo..hi` with constant ends as one test of `x`.
pub fn test_in_range(of: Form, lo: &Value, hi: &Value) -> Option<ValueTest> {
    match (
        test_for(CompareOp::Ge, of, lo)?,
        test_for(CompareOp::Le, of, hi)?,
    ) {
        (ValueTest::Int { lo, hi: most }, ValueTest::Int { lo: least, hi }) => {
            Some(ValueTest::Int {
                lo: lo.max(least),
                hi: hi.min(most),
            })
        }
        (ValueTest::Float { lo, .. }, ValueTest::Float { hi, .. }) => {
            Some(ValueTest::Float { lo, hi })
        }
        (ValueTest::Text { lo, .. }, ValueTest::Text { hi, .. }) => {
            Some(ValueTest::Text { lo, hi })
        }
        _ => None,
    }
}

// ------------------------------------------------------------------ running a test on one value

impl ValueTest {
    /// Of a whole number. Windows are not decided here: they depend on the clock.
    pub fn holds_int(&self, x: i64) -> bool {
        match self {
            ValueTest::Int { lo, hi } => (*lo..=*hi).contains(&x),
            ValueTest::IntIn(list) => list.binary_search(&x).is_ok(),
            _ => false,
        }
    }

    pub fn holds_float(&self, x: f64) -> bool {
        match self {
            ValueTest::Float { lo, hi } => {
                lo.is_none_or(|lo| if lo.included { x >= lo.at } else { x > lo.at })
                    && hi.is_none_or(|hi| if hi.included { x <= hi.at } else { x < hi.at })
            }
            ValueTest::FloatIn(list) => list.contains(&x),
            _ => false,
        }
    }

    pub fn holds_text(&self, x: &str) -> bool {
        match self {
            ValueTest::Text { lo, hi } => {
                lo.as_ref().is_none_or(|lo| {
                    if lo.included {
                        x >= &*lo.at
                    } else {
                        x > &*lo.at
                    }
                }) && hi.as_ref().is_none_or(|hi| {
                    if hi.included {
                        x <= &*hi.at
                    } else {
                        x < &*hi.at
                    }
                })
            }
            ValueTest::TextIn(list) => list.binary_search_by(|t| (**t).cmp(x)).is_ok(),
            ValueTest::Contains(part) => x.contains(&**part),
            ValueTest::StartsWith(start) => x.starts_with(&**start),
            _ => false,
        }
    }

    /// Whether it needs the clock.
    pub fn is_window(&self) -> bool {
        matches!(self, ValueTest::Window { .. } | ValueTest::Yearly(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CompareOp::*;

    /// Every comparison of whole numbers and floats, in both directions, against exact reckoning.
    #[test]
    fn mixed_comparisons_are_exact() {
        let ints = [
            i64::MIN,
            -9_007_199_254_740_993,
            -2,
            -1,
            0,
            1,
            2,
            9_007_199_254_740_993,
            i64::MAX - 1,
            i64::MAX,
        ];
        let floats = [
            -1e300,
            -9.3e18,
            i64::MIN as f64,
            -1.5,
            -1.0,
            -0.0,
            0.0,
            0.5,
            1.0,
            2.5,
            9_007_199_254_740_992.0,
            9.3e18,
            1e300,
        ];
        for n in ints {
            for f in floats {
                let order = int_to_float(n, f);
                for op in [Eq, Ne, Lt, Le, Gt, Ge] {
                    let want = |order: std::cmp::Ordering| match op {
                        Eq | Ne => order.is_eq(),
                        Lt => order.is_lt(),
                        Le => order.is_le(),
                        Gt => order.is_gt(),
                        Ge => order.is_ge(),
                    };
                    assert_eq!(
                        int_against_float(op, f).holds_int(n),
                        want(order),
                        "{n} {op:?} {f}"
                    );
                    assert_eq!(
                        float_against_int(op, n).holds_float(f),
                        want(order.reverse()),
                        "{f} {op:?} {n}"
                    );
                }
            }
        }
    }

    #[test]
    fn lists_are_sorted_and_exact() {
        let list = [
            Value::Int(3),
            Value::Number(1.5),
            Value::Number(2.0),
            Value::Int(3),
        ];
        assert_eq!(
            test_in_list(Form::Int, &list),
            Some(ValueTest::IntIn(vec![2, 3]))
        );
        assert_eq!(test_in_list(Form::Text, &list), None);
    }
}
