//! The types of the language and the single values that have them.
//!
//! A missing value is `None` of `Option<Value>`: no variant of [`Value`] stands for it, so it
//! cannot be compared by accident.

use std::fmt;
use std::sync::Arc;

use super::{Calendar, Date, Elapsed, GeoPoint, Instant, TimeOfDay};

/// The members of an `enum(…)`, in the order of the declaration: a member's code is its position.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct EnumType {
    pub members: Vec<String>,
}

impl EnumType {
    pub fn code(&self, member: &str) -> Option<u16> {
        self.members
            .iter()
            .position(|m| m == member)
            .and_then(|p| u16::try_from(p).ok())
    }
}

/// A type of the language (language reference, "Types and missing values").
#[derive(Clone, PartialEq, Debug)]
pub enum Type {
    Bool,
    /// Whole numbers, with the declared bounds (both included).
    Int {
        lo: Option<i64>,
        hi: Option<i64>,
    },
    Number,
    Ratio,
    Money,
    /// At most this many Unicode scalar values, if declared.
    Text {
        max: Option<u32>,
    },
    Enum(Arc<EnumType>),
    /// `set of T`, T being an enum, text or int.
    Set(Box<Type>),
    Date,
    Time,
    Instant,
    Elapsed,
    Calendar,
    Distance,
    Place,
    /// Where the named account reaches a user.
    Address(Arc<str>),
}

impl Type {
    pub const INT: Type = Type::Int { lo: None, hi: None };
    pub const TEXT: Type = Type::Text { max: None };

    /// As a person would write it.
    pub fn describe(&self) -> String {
        match self {
            Type::Bool => "bool".into(),
            Type::Int {
                lo: Some(lo),
                hi: Some(hi),
            } => format!("int {lo}..{hi}"),
            Type::Int { .. } => "int".into(),
            Type::Number => "number".into(),
            Type::Ratio => "ratio".into(),
            Type::Money => "money".into(),
            Type::Text { max: Some(n) } => format!("text({n})"),
            Type::Text { max: None } => "text".into(),
            Type::Enum(e) if e.members.len() <= 4 => {
                format!(
                    "enum({})",
                    e.members
                        .iter()
                        .map(|m| format!("\"{m}\""))
                        .collect::<Vec<_>>()
                        .join(", ")
                )
            }
            Type::Enum(e) => format!("enum of {} members", e.members.len()),
            Type::Set(of) => format!("set of {}", of.describe()),
            Type::Date => "date".into(),
            Type::Time => "time".into(),
            Type::Instant => "instant".into(),
            Type::Elapsed => "elapsed time".into(),
            Type::Calendar => "calendar time".into(),
            Type::Distance => "distance".into(),
            Type::Place => "place".into(),
            Type::Address(account) => format!("address({account})"),
        }
    }
}

/// One value that is there.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    Bool(bool),
    Int(i64),
    /// Never NaN or infinite.
    Number(f64),
    /// 0 to 1.
    Ratio(f32),
    /// Minor units of the policy's currency.
    Money(i64),
    /// Text and addresses.
    Text(Arc<str>),
    /// A member's code in its [`EnumType`].
    Enum(u16),
    /// Sorted, without repeats.
    Set(Arc<[Value]>),
    Date(Date),
    Time(TimeOfDay),
    Instant(Instant),
    Elapsed(Elapsed),
    Calendar(Calendar),
    /// Metres.
    Distance(f64),
    Place(GeoPoint),
}

impl Value {
    pub fn text(s: &str) -> Self {
        Value::Text(s.into())
    }
}

/// Minor units with two digits, grouped: `¥1,234.50`; whole amounts without the point: `¥900`.
pub fn show_money(minor: i64) -> String {
    let abs = minor.unsigned_abs();
    let whole = group_digits(abs / 100);
    let sign = if minor < 0 { "-" } else { "" };
    if abs.is_multiple_of(100) {
        format!("{sign}¥{whole}")
    } else {
        format!("{sign}¥{whole}.{:02}", abs % 100)
    }
}

/// `1234567` as `1,234,567`.
pub fn group_digits(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `1 message`, `1,234 messages`: an English noun with its number.
pub fn count_of(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(0);
    format!(
        "{} {noun}{}",
        group_digits(n),
        if n == 1 { "" } else { "s" }
    )
}

/// Shows a value as a message or a report would: enum members by name, instants in `zone`.
pub struct Shown<'a> {
    pub value: &'a Value,
    pub ty: &'a Type,
    pub zone: super::Zone,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Int(i) => write!(f, "{i}"),
            Value::Number(n) => write!(f, "{n}"),
            Value::Ratio(r) => {
                // Through the shortest decimal of the f32, so that 0.3 shows as 30% and not
                // 30.000001%.
                let percent: f64 = r.to_string().parse::<f64>().unwrap_or(f64::NAN) * 100.0;
                write!(f, "{}%", (percent * 1e6).round() / 1e6)
            }
            Value::Money(m) => f.write_str(&show_money(*m)),
            Value::Text(t) => f.write_str(t),
            Value::Enum(code) => match self.ty {
                Type::Enum(e) => f.write_str(
                    e.members
                        .get(usize::from(*code))
                        .map_or("?", String::as_str),
                ),
                _ => write!(f, "#{code}"),
            },
            Value::Set(items) => {
                let of = if let Type::Set(of) = self.ty {
                    of
                } else {
                    self.ty
                };
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(
                        f,
                        "{}",
                        Shown {
                            value: item,
                            ty: of,
                            zone: self.zone
                        }
                    )?;
                }
                Ok(())
            }
            Value::Date(d) => write!(f, "{d}"),
            Value::Time(t) => write!(f, "{t}"),
            Value::Instant(i) => f.write_str(&self.zone.show(*i)),
            Value::Elapsed(e) => write!(f, "{e}"),
            Value::Calendar(c) => write!(f, "{c}"),
            Value::Distance(m) if *m >= 1000.0 => write!(f, "{}km", (m / 10.0).round() / 100.0),
            Value::Distance(m) => write!(f, "{}m", (m * 10.0).round() / 10.0),
            Value::Place(p) => write!(f, "({}, {})", p.lat, p.lon),
        }
    }
}

/// A text with its first and last character kept and the rest `*`; of two characters the first, of
/// one none.
pub fn masked(text: &str) -> String {
    let mut rest = text.chars();
    match (rest.next(), rest.next_back()) {
        (None, _) => String::new(),
        (Some(_), None) => "*".into(),
        (Some(first), Some(last)) => match rest.count() {
            0 => format!("{first}*"),
            hidden => format!("{first}{}{last}", "*".repeat(hidden)),
        },
    }
}
