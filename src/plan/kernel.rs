//! What operators and functions do to single values in their physical form. Everything that has no
//! answer is `None`: missing.
//!
//! Overflow and division by zero have none. Money times or divided by a number is rounded to the
//! nearest minor unit, half away from zero, from the product or quotient in 64-bit floats; money
//! divided by an int exactly. A ratio becomes a number by way of its shortest decimal, so that 30%
//! is 0.3 and ten times ¥99.90 by 30% is what a person reckons.

use std::cmp::Ordering;
use std::fmt;

use crate::base::decimal::div_round;
use crate::base::{Calendar, Date, Instant, Zone};
use crate::program::builtins::function::{BinaryBody, UnaryBody};

/// One value to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unary {
    Int(IntFn),
    Float(FloatFn),
    IntToFloat,
    /// An enum member's code to its name.
    MemberName,
    Call(FunctionBody<UnaryBody>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntFn {
    Neg,
    /// The day of an instant in the policy's zone.
    DateOf,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatFn {
    Neg,
    RatioToNumber,
}

/// Two values to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binary {
    Int(IntOp),
    Float(FloatOp),
    /// Whole number and float to whole number.
    Scale(ScaleOp),
    /// Two whole numbers to a float.
    Quotient,
    Call(FunctionBody<BinaryBody>),
}

/// A built-in function and the body that fits its arguments.
#[derive(Clone, Copy)]
pub struct FunctionBody<B> {
    pub name: &'static str,
    pub body: B,
}

/// The types of the arguments choose the body, so that the name tells two calls with the same
/// arguments apart.
impl<B> PartialEq for FunctionBody<B> {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl<B> Eq for FunctionBody<B> {}

impl<B> fmt::Debug for FunctionBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Unary {
    /// As a plan shows it.
    pub fn name(self) -> &'static str {
        match self {
            Unary::Int(IntFn::Neg) | Unary::Float(FloatFn::Neg) => "neg",
            Unary::Int(IntFn::DateOf) => "date_of",
            Unary::Float(FloatFn::RatioToNumber) => "ratio_to_number",
            Unary::IntToFloat => "int_to_float",
            Unary::MemberName => "member_name",
            Unary::Call(call) => call.name,
        }
    }
}

impl Binary {
    /// As a plan shows it.
    pub fn name(self) -> &'static str {
        match self {
            Binary::Int(op) => match op {
                IntOp::Add => "add",
                IntOp::Sub => "sub",
                IntOp::Mul => "mul",
                IntOp::Mod => "mod",
                IntOp::DivRound => "div_round",
                IntOp::DatePlus => "date_plus",
                IntOp::DateMinus => "date_minus",
                IntOp::InstantPlus => "instant_plus",
                IntOp::InstantMinus => "instant_minus",
            },
            Binary::Float(op) => match op {
                FloatOp::Add => "add",
                FloatOp::Sub => "sub",
                FloatOp::Mul => "mul",
                FloatOp::Div => "div",
                FloatOp::Mod => "mod",
            },
            Binary::Scale(ScaleOp::Times) => "times",
            Binary::Scale(ScaleOp::Over) => "over",
            Binary::Quotient => "quotient",
            Binary::Call(call) => call.name,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntOp {
    Add,
    Sub,
    Mul,
    Mod,
    /// Half away from zero.
    DivRound,
    DatePlus,
    DateMinus,
    InstantPlus,
    InstantMinus,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FloatOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScaleOp {
    Times,
    Over,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    Least,
    Greatest,
}

impl Pick {
    /// Whether the second is taken.
    pub fn second(self, second_to_first: Ordering) -> bool {
        match self {
            Pick::Least => second_to_first == Ordering::Less,
            Pick::Greatest => second_to_first == Ordering::Greater,
        }
    }
}

/// Calendar time in one whole number: months in the upper, days in the lower 32 bits.
pub fn pack(c: Calendar) -> i64 {
    (i64::from(c.months) << 32) | i64::from(c.days as u32)
}

pub fn unpack(packed: i64) -> Calendar {
    Calendar {
        months: (packed >> 32) as i32,
        days: packed as i32,
    }
}

/// The day of a whole number, when it is one.
fn date(days: i64) -> Option<Date> {
    i32::try_from(days).ok().map(Date)
}

impl IntFn {
    pub fn apply(self, x: i64, zone: Zone) -> Option<i64> {
        match self {
            IntFn::Neg => x.checked_neg(),
            IntFn::DateOf => Some(i64::from(zone.date(Instant(x)).0)),
        }
    }
}

impl IntOp {
    pub fn apply(self, a: i64, b: i64, zone: Zone) -> Option<i64> {
        match self {
            IntOp::Add => a.checked_add(b),
            IntOp::Sub => a.checked_sub(b),
            IntOp::Mul => a.checked_mul(b),
            IntOp::Mod => floor_mod(a, b),
            IntOp::DivRound => div_round(i128::from(a), i128::from(b)),
            IntOp::DatePlus => date(a)?.checked_add(unpack(b)).map(|d| i64::from(d.0)),
            IntOp::DateMinus => date(a)?
                .checked_add(unpack(b).negated())
                .map(|d| i64::from(d.0)),
            IntOp::InstantPlus => zone.add_calendar(Instant(a), unpack(b)).map(|i| i.0),
            IntOp::InstantMinus => zone
                .add_calendar(Instant(a), unpack(b).negated())
                .map(|i| i.0),
        }
    }
}

impl FloatFn {
    pub fn apply(self, x: f64) -> f64 {
        match self {
            FloatFn::Neg => -x,
            FloatFn::RatioToNumber => ratio_to_number(x as f32),
        }
    }
}

impl FloatOp {
    pub fn apply(self, a: f64, b: f64) -> Option<f64> {
        let n = match self {
            FloatOp::Add => a + b,
            FloatOp::Sub => a - b,
            FloatOp::Mul => a * b,
            FloatOp::Div => a / b,
            FloatOp::Mod => {
                let rest = a % b;
                if rest != 0.0 && (rest < 0.0) != (b < 0.0) {
                    rest + b
                } else {
                    rest
                }
            }
        };
        // Division by zero is infinite or no number.
        n.is_finite().then_some(n)
    }
}

impl ScaleOp {
    pub fn apply(self, a: i64, b: f64) -> Option<i64> {
        match self {
            ScaleOp::Times => whole(a as f64 * b),
            ScaleOp::Over => whole(a as f64 / b),
        }
    }
}

/// Two whole numbers divided as floats.
pub fn quotient(a: i64, b: i64) -> Option<f64> {
    (b != 0).then(|| a as f64 / b as f64)
}

/// The remainder with the sign of the divisor.
fn floor_mod(a: i64, b: i64) -> Option<i64> {
    if b == 0 {
        return None;
    }
    let rest = a.wrapping_rem(b);
    Some(if rest != 0 && (rest < 0) != (b < 0) {
        rest + b
    } else {
        rest
    })
}

/// A float as the nearest whole number, half away from zero.
fn whole(n: f64) -> Option<i64> {
    // The first float that is too large for an i64; its negative just fits.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let n = n.round();
    (-LIMIT..LIMIT).contains(&n).then_some(n as i64)
}

/// The f64 that is nearest to the ratio's shortest decimal.
pub fn ratio_to_number(ratio: f32) -> f64 {
    let exact = f64::from(ratio);
    // Between 0 and 1 at most one decimal of six places is this f32, and then it is the shortest.
    let short = (exact * 1e6).round() / 1e6;
    if (0.0..=1.0).contains(&exact) && short as f32 == ratio {
        return short;
    }
    ratio.to_string().parse().unwrap_or(exact)
}

/// The order of a whole number and a float, exactly, although not every i64 is an f64.
pub fn int_to_float(a: i64, b: f64) -> Ordering {
    // Every i64 lies within these two powers of two.
    if b >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let floor = b.floor();
    match a.cmp(&(floor as i64)) {
        Ordering::Equal if b > floor => Ordering::Less,
        order => order,
    }
}

/// Whether a day comes round between two days, both included; 29 February counts as the 28th in a
/// common year.
pub fn comes_round(day: Date, from: Date, to: Date) -> bool {
    if from > to {
        return false;
    }
    if i64::from(to.0) - i64::from(from.0) >= 365 {
        return true;
    }
    (from.year()..=to.year()).any(|year| {
        let this = Date::ymd(year, day.month(), day.day()).or_else(|| Date::ymd(year, 2, 28));
        this.is_some_and(|d| (from..=to).contains(&d))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_half_away_from_zero() {
        for (a, b, want) in [
            (5, 2, 3),
            (-5, 2, -3),
            (5, -2, -3),
            (-5, -2, 3),
            (4, 3, 1),
            (-4, 3, -1),
            (0, 7, 0),
            (1, 3, 0),
        ] {
            assert_eq!(div_round(a, b), Some(want), "{a} / {b}");
        }
        assert_eq!(div_round(i128::from(i64::MIN), -1), None);
        assert_eq!(ScaleOp::Times.apply(1005, 0.5), Some(503));
        assert_eq!(ScaleOp::Over.apply(1, 0.0), None);
        assert_eq!(ScaleOp::Times.apply(i64::MAX, 1.0), None);
        assert_eq!(ScaleOp::Times.apply(i64::MIN, 1.0), Some(i64::MIN));
    }

    #[test]
    fn remainders_have_the_sign_of_the_divisor() {
        for (a, b, want) in [
            (7, 3, 1),
            (-7, 3, 2),
            (7, -3, -2),
            (-7, -3, -1),
            (6, 3, 0),
            (i64::MIN, -1, 0),
        ] {
            assert_eq!(floor_mod(a, b), Some(want), "{a} mod {b}");
        }
        assert_eq!(floor_mod(1, 0), None);
        assert_eq!(FloatOp::Mod.apply(-7.5, 2.0), Some(0.5));
        assert_eq!(FloatOp::Mod.apply(1.0, 0.0), None);
        assert_eq!(FloatOp::Div.apply(0.0, 0.0), None);
    }

    #[test]
    fn ratios_become_the_number_that_people_write() {
        for text in [
            "0",
            "1",
            "0.3",
            "0.1",
            "0.333333",
            "0.1234567",
            "0.00012",
            "0.0000001234",
            "0.99999994",
        ] {
            let ratio: f32 = text.parse().unwrap();
            assert_eq!(
                ratio_to_number(ratio),
                ratio.to_string().parse::<f64>().unwrap(),
                "{text}"
            );
        }
    }

    #[test]
    fn ints_and_floats_compare_exactly() {
        assert_eq!(
            int_to_float(9_007_199_254_740_993, 9_007_199_254_740_992.0),
            Ordering::Greater
        );
        assert_eq!(int_to_float(i64::MAX, 9.3e18), Ordering::Less);
        assert_eq!(int_to_float(i64::MAX, i64::MAX as f64), Ordering::Less);
        assert_eq!(int_to_float(i64::MIN, i64::MIN as f64), Ordering::Equal);
        assert_eq!(int_to_float(-1, -0.5), Ordering::Less);
        assert_eq!(int_to_float(0, -0.5), Ordering::Greater);
        assert_eq!(int_to_float(0, -0.0), Ordering::Equal);
    }

    #[test]
    fn calendar_time_packs() {
        for c in [
            Calendar {
                months: -1,
                days: 30,
            },
            Calendar {
                months: 12,
                days: -31,
            },
            Calendar::days(i32::MIN),
        ] {
            assert_eq!(unpack(pack(c)), c);
        }
    }

    #[test]
    fn days_come_round() {
        let d = |t: &str| t.parse::<Date>().unwrap();
        assert!(comes_round(
            d("1990-01-02"),
            d("2026-12-30"),
            d("2027-01-05")
        ));
        assert!(!comes_round(
            d("1990-02-02"),
            d("2026-12-30"),
            d("2027-01-05")
        ));
        assert!(comes_round(
            d("2000-02-29"),
            d("2027-02-28"),
            d("2027-02-28")
        ));
        assert!(!comes_round(
            d("2000-02-29"),
            d("2028-02-28"),
            d("2028-02-28")
        ));
        // A whole common year lacks no day.
        assert!(comes_round(
            d("2000-02-29"),
            d("2026-03-01"),
            d("2027-03-01")
        ));
        assert!(!comes_round(
            d("1990-01-01"),
            d("2027-01-05"),
            d("2027-01-01")
        ));
    }
}
