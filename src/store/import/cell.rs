//! One cell of a file that is imported, and how messages speak of it.

use crate::base::Msg;
use crate::base::{Date, Decimal, Elapsed, Instant, TimeOfDay, Type, Zone};
use crate::msg;

/// Characters of a cell that a message repeats.
const SHOWN_CHARS: usize = 40;

/// What a file gives in one place.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell<'a> {
    Missing,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Float(f64),
    /// `mantissa × 10^-scale`.
    Decimal(i128, i8),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970 in UTC.
    Instant(i64),
    /// Microseconds since 1970 on a clock without a zone.
    Local(i64),
    /// Microseconds.
    Elapsed(i64),
    List(Vec<Cell<'a>>),
    /// Named latitude and longitude.
    Place(f64, f64),
    /// Something that no type is read from.
    Other(&'static str),
}

/// A cell as a message shows it.
pub(super) fn shown(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Missing => "nothing".into(),
        Cell::Text(t) if t.chars().count() > SHOWN_CHARS => {
            format!(
                "`{}…`",
                t.chars()
                    .take(SHOWN_CHARS)
                    .collect::<String>()
                    .escape_debug()
            )
        }
        Cell::Text(t) => format!("`{}`", t.escape_debug()),
        Cell::Bool(b) => format!("`{b}`"),
        Cell::Int(i) => format!("`{i}`"),
        Cell::Float(f) => format!("`{f}`"),
        Cell::Decimal(m, scale) => {
            format!(
                "`{}`",
                decimal(*m, *scale)
                    .map_or_else(|| format!("{m}e{}", -i32::from(*scale)), |d| d.to_string())
            )
        }
        Cell::Date(days) => format!("`{}`", Date(*days)),
        Cell::Time(us) => format!(
            "`{}`",
            TimeOfDay(u32::try_from(us / 1_000_000).unwrap_or(0))
        ),
        Cell::Instant(us) | Cell::Local(us) => format!("`{}`", Zone::UTC.show(Instant(*us))),
        Cell::Elapsed(us) => format!("`{}`", Elapsed(*us)),
        Cell::List(_) => "a list".into(),
        Cell::Place(lat, lon) => format!("`{lat},{lon}`"),
        Cell::Other(kind) => (*kind).into(),
    }
}

/// The general refusal: what was found, what is expected, an example.
pub(super) fn expected(cell: &Cell<'_>, ty: &Type) -> Msg {
    let found = shown(cell);
    let (en, zh) = match ty {
        Type::Bool => (
            "a bool: write `true` or `false`",
            "布尔值：请写 `true` 或 `false`",
        ),
        Type::Int { .. } => (
            "a whole number: write digits like `12`",
            "整数：请写 `12` 这样的数字",
        ),
        Type::Number => (
            "a finite number: write it like `12.5`, and nothing where there is none",
            "有限的数：请写成 `12.5`，没有值则留空",
        ),
        Type::Ratio => ("a ratio: write `0.3` or `30%`", "比率：请写 `0.3` 或 `30%`"),
        Type::Money => ("money: write `99.50`", "金额：请写 `99.50`"),
        Type::Text { .. } => ("text", "文本"),
        Type::Address(_) => ("an address: write it as text", "地址：请写成文本"),
        Type::Enum(_) => (
            "a member of the enum: write its name",
            "枚举成员：请写成员名",
        ),
        Type::Set(_) => (
            "a set: write `a|b` or `[\"a\", \"b\"]`",
            "集合：请写 `a|b` 或 `[\"a\", \"b\"]`",
        ),
        Type::Date => ("a date: write `2026-11-11`", "日期：请写 `2026-11-11`"),
        Type::Time => ("a time of day: write `10:00`", "时刻：请写 `10:00`"),
        Type::Instant => (
            "an instant: write `2026-11-11 10:00` or `2026-11-11T10:00:00+08:00`",
            "时间点：请写 `2026-11-11 10:00` 或 `2026-11-11T10:00:00+08:00`",
        ),
        Type::Elapsed => (
            "a length of time: write `90s`, `30min` or `72h`",
            "时长：请写 `90s`、`30min` 或 `72h`",
        ),
        Type::Calendar => (
            "a calendar length: write `3 days`, `2 weeks` or `1 month`",
            "日历时长：请写 `3 days`、`2 weeks` 或 `1 month`",
        ),
        Type::Distance => (
            "a distance: write `500m` or `3km`",
            "距离：请写 `500m` 或 `3km`",
        ),
        Type::Place => (
            "a place: write latitude and longitude like `31.23,121.47`",
            "地点：请写纬度与经度，如 `31.23,121.47`",
        ),
    };
    msg!("{found} is not {en}", "{found} 不是{zh}")
}

/// The refusal of a private value: what it is stays between the file and its owner.
pub(super) fn unfit(ty: &Type) -> Msg {
    let ty = ty.describe();
    msg!(
        "the value is not a `{ty}` (it is private and not shown): correct it, or the declaration",
        "该值不符合 `{ty}`（私密，不予显示）：请更正该值或声明"
    )
}

pub(super) fn decimal(mantissa: i128, scale: i8) -> Option<Decimal> {
    match u8::try_from(scale) {
        Ok(scale) => Some(Decimal {
            mantissa: i64::try_from(mantissa).ok()?,
            scale,
        }),
        Err(_) => Some(Decimal::int(
            i64::try_from(
                mantissa.checked_mul(10i128.checked_pow(u32::from(scale.unsigned_abs()))?)?,
            )
            .ok()?,
        )),
    }
}

/// A float that is a whole number and small enough to be exact.
pub(super) fn whole(f: f64) -> Option<i64> {
    (f.fract() == 0.0 && f.abs() <= 9_007_199_254_740_992.0).then_some(f as i64)
}

/// Text as it stands; numbers of typed files in their shortest form.
pub(super) fn plain_text(cell: &Cell<'_>) -> Option<String> {
    Some(match cell {
        Cell::Text(t) => (*t).into(),
        Cell::Int(i) => i.to_string(),
        Cell::Float(f) => whole(*f).map_or_else(|| f.to_string(), |i| i.to_string()),
        Cell::Bool(b) => b.to_string(),
        Cell::Decimal(m, scale) => decimal(*m, *scale)?.to_string(),
        _ => return None,
    })
}

/// The candidate that a person most likely meant.
pub(super) fn nearest<'a>(name: &str, candidates: &'a [String]) -> Option<&'a str> {
    let folded = name.trim().to_lowercase();
    let distance = |c: &String| {
        if c.to_lowercase() == folded {
            0
        } else {
            strsim::damerau_levenshtein(&folded, &c.to_lowercase())
        }
    };
    let close = |d: usize| d == 0 || d <= folded.chars().count() / 3;
    candidates
        .iter()
        .map(|c| (distance(c), c))
        .filter(|(d, _)| close(*d))
        .min()
        .map(|(_, c)| c.as_str())
}
