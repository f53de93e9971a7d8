//! What a built-in function is: how it is written, what it takes and gives, and its scalar body,
//! which batch and point evaluation and constant folding all call.

use std::fmt;

use crate::base::{Date, GeoPoint, Type};

/// How a built-in is written and what it gives: for the reference, completion and findings.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    pub name: &'static str,
    /// `days(DATE, DATE) -> int`
    pub signature: &'static str,
    pub en: &'static str,
    pub zh: &'static str,
    /// A condition that uses it: with constants only it is true, else it speaks of `purchase`,
    /// `cart_add` and `birthday`.
    pub example: &'static str,
    /// What other languages call it; for "did you mean".
    pub synonyms: &'static [&'static str],
}

/// A function over single values. If an argument is missing, so is the result, and the body is not
/// called.
pub struct Function {
    pub usage: Usage,
    pub arity: Arity,
    /// The type that a finding asks for when an argument does not fit.
    pub expects: Type,
    /// What it does with an argument of that type; `None` when it does not take it. Of
    /// [`Arity::Alike`] the type is the one that all arguments are brought to.
    pub overload: fn(&Type) -> Option<Overload>,
    pub facts: Facts,
}

/// How many arguments there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    One,
    Two,
    /// 2 to 16 of one ordered type; a literal takes the type of the first argument that is none. The
    /// body is applied from left to right.
    Alike,
}

/// A function for one type of argument.
pub struct Overload {
    pub convert: Coercion,
    pub result: Type,
    /// `None`: the argument is the result.
    pub body: Option<ScalarBody>,
}

/// What is done to each argument before the body sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coercion {
    Keep,
    /// An int or a ratio becomes a number.
    Number,
    /// A member of an enum becomes its name.
    MemberName,
    /// An instant becomes its date in the policy's zone.
    Day,
}

/// A scalar body over values in their physical form: whole numbers (int, money in minor units, days
/// since 1970 of a date, …), floats, texts, places, sets. `None` is missing.
#[derive(Clone, Copy)]
pub enum ScalarBody {
    One(UnaryBody),
    Two(BinaryBody),
}

#[derive(Clone, Copy)]
pub enum UnaryBody {
    Int(fn(i64) -> Option<i64>),
    Float(fn(f64) -> Option<f64>),
    Text(fn(&str) -> String),
    TextToInt(fn(&str) -> Option<i64>),
    /// Takes the number of members.
    SetSizeToInt(fn(usize) -> Option<i64>),
}

#[derive(Clone, Copy)]
pub enum BinaryBody {
    Int(fn(i64, i64) -> Option<i64>),
    Float(fn(f64, f64) -> Option<f64>),
    /// The result is one of the two: whether it is the second.
    PickText(fn(&str, &str) -> bool),
    Places(fn(GeoPoint, GeoPoint) -> Option<f64>),
}

/// What is known of the result beside its type.
#[derive(Clone, Copy)]
pub struct Facts {
    /// Whether the result can be missing although no argument is, by its type and the bounds of a
    /// whole-number argument.
    pub can_fail: fn(&Type, Option<(i128, i128)>) -> bool,
    /// Between which numbers it lies, by the type of the argument.
    pub bounds: fn(&Type) -> Option<(f64, f64)>,
    /// A number that is at most 1 further from zero than the argument.
    pub near_argument: bool,
    pub length: ShownLength,
    /// It has only such characters as the argument has.
    pub keeps_alphabet: bool,
    /// The result may be shown although the argument is private.
    pub hides_private: bool,
}

/// How long the result can be in a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShownLength {
    /// As its type says.
    OfType,
    /// As the argument; a character outside of ASCII may become `growth` characters, but no more
    /// bytes.
    OfArgument {
        growth: u64,
    },
    OfLongestArgument,
}

impl Facts {
    /// Never missing on its own, nothing known but the type.
    pub const NONE: Facts = Facts {
        can_fail: |_, _| false,
        bounds: |_| None,
        near_argument: false,
        length: ShownLength::OfType,
        keeps_alphabet: false,
        hides_private: false,
    };
}

impl Overload {
    pub fn new(convert: Coercion, result: Type, body: ScalarBody) -> Option<Overload> {
        Some(Overload {
            convert,
            result,
            body: Some(body),
        })
    }
}

impl Arity {
    pub fn count(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Arity::One => 1..=1,
            Arity::Two => 2..=2,
            Arity::Alike => 2..=16,
        }
    }
}

/// A name stands for one function.
impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.usage.name == other.usage.name
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.usage.name)
    }
}

// ------------------------------------------------------------------ shared by several functions

/// A part of a date or of an instant's date; `body` takes days since 1970.
pub(super) fn date_part(
    of: &Type,
    (lo, hi): (i64, i64),
    body: fn(i64) -> Option<i64>,
) -> Option<Overload> {
    let result = Type::Int {
        lo: Some(lo),
        hi: Some(hi),
    };
    match of {
        Type::Date | Type::Instant => {
            Overload::new(Coercion::Day, result, ScalarBody::One(UnaryBody::Int(body)))
        }
        _ => None,
    }
}

pub(super) fn date_of(days: i64) -> Option<Date> {
    i32::try_from(days).ok().map(Date)
}

/// One of several values of an ordered type.
pub(super) fn pick(
    of: &Type,
    ints: fn(i64, i64) -> Option<i64>,
    floats: fn(f64, f64) -> Option<f64>,
    texts: fn(&str, &str) -> bool,
) -> Option<Overload> {
    let (convert, body) = match of {
        Type::Int { .. }
        | Type::Money
        | Type::Date
        | Type::Time
        | Type::Instant
        | Type::Elapsed => (Coercion::Keep, BinaryBody::Int(ints)),
        Type::Number => (Coercion::Number, BinaryBody::Float(floats)),
        Type::Ratio | Type::Distance => (Coercion::Keep, BinaryBody::Float(floats)),
        Type::Text { .. } => (Coercion::Keep, BinaryBody::PickText(texts)),
        Type::Bool
        | Type::Enum(_)
        | Type::Set(_)
        | Type::Calendar
        | Type::Place
        | Type::Address(_) => return None,
    };
    Overload::new(convert, of.clone(), ScalarBody::Two(body))
}
