//! Tests of a plan made ready for one evaluation: windows as bounds at this `now`, ranges closed at
//! both ends, set members as bits.

use crate::base::{Date, Instant, Value, Zone};
use crate::plan::kernel::comes_round;
use crate::plan::node::{End, ValueTest};

use super::vector::{Scalar, SetRef};

#[derive(Debug)]
pub enum BoundTest<'p> {
    /// Both ends included.
    Int {
        lo: i64,
        hi: i64,
    },
    IntIn(&'p [i64]),
    /// Both ends included.
    Float {
        lo: f64,
        hi: f64,
    },
    FloatIn(&'p [f64]),
    /// Any test of texts.
    Text(&'p ValueTest),
    /// Dates whose month and day come round in the window: a flag for each, see [`month_day`].
    Days(Vec<bool>),
    Set {
        all: bool,
        items: &'p [Value],
        /// The items as bits of a bit set.
        bits: u64,
        /// An item that no bit set can hold.
        beyond: bool,
    },
}

impl<'p> BoundTest<'p> {
    pub fn new(test: &'p ValueTest, now: Instant, zone: Zone) -> Self {
        match test {
            ValueTest::Int { lo, hi } => BoundTest::Int { lo: *lo, hi: *hi },
            ValueTest::IntIn(list) => BoundTest::IntIn(list),
            ValueTest::Float { lo, hi } => {
                let lo = lo.map_or(
                    f64::NEG_INFINITY,
                    |End { at, included }| if included { at } else { at.next_up() },
                );
                let hi = hi.map_or(
                    f64::INFINITY,
                    |End { at, included }| if included { at } else { at.next_down() },
                );
                BoundTest::Float { lo, hi }
            }
            ValueTest::FloatIn(list) => BoundTest::FloatIn(list),
            ValueTest::Text { .. }
            | ValueTest::TextIn(_)
            | ValueTest::Contains(_)
            | ValueTest::StartsWith(_) => BoundTest::Text(test),
            ValueTest::Window {
                window,
                instants: true,
            } => {
                let (from, to) = window.instants(now, zone);
                BoundTest::Int {
                    lo: from.0,
                    hi: to.0,
                }
            }
            ValueTest::Window {
                window,
                instants: false,
            } => {
                let (from, to) = window.dates(zone.date(now));
                BoundTest::Int {
                    lo: i64::from(from.0),
                    hi: i64::from(to.0),
                }
            }
            ValueTest::Yearly(window) => {
                let (from, to) = window.dates(zone.date(now));
                let mut days = vec![false; 13 * 32];
                for month in 1..=12 {
                    for day in 1..=31 {
                        // In a leap year every day exists that exists at all.
                        if let (Some(date), Some(flag)) = (
                            Date::ymd(2000, month, day),
                            days.get_mut((month * 32 + day) as usize),
                        ) {
                            *flag = comes_round(date, from, to);
                        }
                    }
                }
                BoundTest::Days(days)
            }
            ValueTest::Set { all, items } => {
                let codes = items.iter().map(|item| match item {
                    Value::Enum(code) if *code < 64 => Some(1u64 << code),
                    _ => None,
                });
                let bits = codes.clone().flatten().fold(0, |bits, bit| bits | bit);
                BoundTest::Set {
                    all: *all,
                    items,
                    bits,
                    beyond: codes.clone().any(|bit| bit.is_none()),
                }
            }
        }
    }

    pub fn int(&self, x: i64) -> bool {
        match self {
            BoundTest::Int { lo, hi } => (*lo <= x) & (x <= *hi),
            BoundTest::IntIn(list) => in_list(list, x),
            BoundTest::Days(days) => month_day(x)
                .and_then(|i| days.get(i))
                .copied()
                .unwrap_or(false),
            BoundTest::Float { .. }
            | BoundTest::FloatIn(_)
            | BoundTest::Text(_)
            | BoundTest::Set { .. } => false,
        }
    }

    pub fn float(&self, x: f64) -> bool {
        match self {
            BoundTest::Float { lo, hi } => (*lo <= x) & (x <= *hi),
            BoundTest::FloatIn(list) => list.contains(&x),
            BoundTest::Int { .. }
            | BoundTest::IntIn(_)
            | BoundTest::Text(_)
            | BoundTest::Days(_)
            | BoundTest::Set { .. } => false,
        }
    }

    pub fn text(&self, x: &str) -> bool {
        match self {
            BoundTest::Text(test) => test.holds_text(x),
            BoundTest::Int { .. }
            | BoundTest::IntIn(_)
            | BoundTest::Float { .. }
            | BoundTest::FloatIn(_)
            | BoundTest::Days(_)
            | BoundTest::Set { .. } => false,
        }
    }

    pub fn bit_set(&self, x: u64) -> bool {
        match self {
            BoundTest::Set {
                all: true,
                bits,
                beyond,
                ..
            } => !beyond & (x & bits == *bits),
            BoundTest::Set {
                all: false, bits, ..
            } => x & bits != 0,
            BoundTest::Int { .. }
            | BoundTest::IntIn(_)
            | BoundTest::Float { .. }
            | BoundTest::FloatIn(_)
            | BoundTest::Text(_)
            | BoundTest::Days(_) => false,
        }
    }

    pub fn set(&self, x: &SetRef) -> bool {
        match (self, x) {
            (_, SetRef::Bits(bits)) => self.bit_set(*bits),
            (
                BoundTest::Set {
                    all: true, items, ..
                },
                x,
            ) => items.iter().all(|item| x.contains(item)),
            (
                BoundTest::Set {
                    all: false, items, ..
                },
                x,
            ) => items.iter().any(|item| x.contains(item)),
            _ => false,
        }
    }

    pub fn scalar(&self, x: &Scalar) -> bool {
        match x {
            Scalar::Int(n) => self.int(*n),
            Scalar::Float(n) => self.float(*n),
            Scalar::Text(t) => self.text(t),
            Scalar::Set(s) => self.set(s),
            Scalar::Bool(_) | Scalar::Place(_) => false,
        }
    }
}

/// Short lists are faster read through.
pub fn in_list(list: &[i64], x: i64) -> bool {
    if list.len() <= 8 {
        list.contains(&x)
    } else {
        list.binary_search(&x).is_ok()
    }
}

fn month_day(days: i64) -> Option<usize> {
    let date = Date(i32::try_from(days).ok()?);
    Some((date.month() * 32 + date.day()) as usize)
}
