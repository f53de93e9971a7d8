//! The reading of a cell as a value of the declared type.
//!
//! Empty text and null are missing. What cannot be read is refused with what was found, what was
//! expected and what to write.

use crate::base::Msg;
use crate::msg;
use std::sync::Arc;

use super::cell::{Cell, decimal, expected, nearest, plain_text, shown, unfit, whole};
use crate::base::{
    Calendar, Date, Decimal, Elapsed, EnumType, GeoPoint, Instant, TagSchema, TimeOfDay, Type,
    Value, Zone,
};
use crate::store::adapt::set_of;
use crate::store::export::EXACT_MINOR;

/// How files of this store are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// For instants without a zone of their own.
    pub zone: Zone,
    /// Whether numbers for money count minor units (fen) and not units (yuan).
    pub minor_units: bool,
    /// Texts that mean missing, beside the empty one.
    pub nulls: Vec<String>,
}

impl Default for Reading {
    fn default() -> Self {
        Reading {
            zone: Zone::SHANGHAI,
            minor_units: false,
            nulls: Vec::new(),
        }
    }
}

/// Digits of money after the point.
const MONEY_DIGITS: u8 = 2;
/// Years that dates and instants may have: four digits.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

impl Reading {
    /// A text as a value of `ty`, `None` for missing.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn text(&self, text: &str, ty: &Type) -> Result<Option<Value>, Msg> {
        self.value(&Cell::Text(text), ty)
    }

    /// A JSON value as a value of `ty`, `None` for missing.
    ///
    /// # Errors
    /// Why it is not one.
    pub fn json(&self, json: &serde_json::Value, ty: &Type) -> Result<Option<Value>, Msg> {
        self.value(&super::jsonl::cell(json), ty)
    }

    /// A JSON value as a value of `tag`, `None` for missing.
    ///
    /// # Errors
    /// Why it is not one; what is private is not shown.
    pub fn json_of_tag(
        &self,
        json: &serde_json::Value,
        tag: &TagSchema,
    ) -> Result<Option<Value>, Msg> {
        self.value_of(&super::jsonl::cell(json), &tag.ty, tag.private)
    }

    /// As [`Self::value`], without showing a value that is private: errors stay in terminals, logs
    /// and reports.
    ///
    /// # Errors
    /// Why it is not one.
    pub(super) fn value_of(
        &self,
        cell: &Cell<'_>,
        ty: &Type,
        private: bool,
    ) -> Result<Option<Value>, Msg> {
        self.value(cell, ty)
            .map_err(|why| if private { unfit(ty) } else { why })
    }

    /// The cell as a value of `ty`, `None` for missing.
    ///
    /// # Errors
    /// Why it is not one.
    pub(super) fn value(&self, cell: &Cell<'_>, ty: &Type) -> Result<Option<Value>, Msg> {
        if self.is_missing(cell, ty) {
            return Ok(None);
        }
        let value = match ty {
            Type::Bool => bool_of(cell).map(Value::Bool),
            Type::Int { lo, hi } => Some(Value::Int(self.int(cell, *lo, *hi)?)),
            Type::Number => number_of(cell).map(Value::Number),
            Type::Ratio => return ratio(cell).map(|r| Some(Value::Ratio(r))),
            Type::Money => return self.money(cell).map(|m| Some(Value::Money(m))),
            Type::Text { max } => Some(text(cell, *max)?),
            Type::Address(_) => Some(address(cell)?),
            Type::Enum(of) => Some(Value::Enum(member(cell, of)?)),
            Type::Set(of) => return self.set(cell, of).map(Some),
            Type::Date => self.date(cell).map(Value::Date),
            Type::Time => time_of(cell).map(Value::Time),
            Type::Instant => self.instant(cell).map(Value::Instant),
            Type::Elapsed => elapsed_of(cell).map(Value::Elapsed),
            Type::Calendar => calendar_of(cell).map(Value::Calendar),
            Type::Distance => distance_of(cell).map(Value::Distance),
            Type::Place => place_of(cell).map(Value::Place),
        };
        value.map(Some).ok_or_else(|| expected(cell, ty))
    }

    /// Whether a cell says that there is no value. Spaces alone are a value only where text is
    /// wanted.
    pub(super) fn is_missing(&self, cell: &Cell<'_>, ty: &Type) -> bool {
        match cell {
            Cell::Missing => true,
            Cell::Text("") => true,
            Cell::Text(t) => {
                self.nulls.iter().any(|n| n == t)
                    || (t.trim().is_empty() && !matches!(ty, Type::Text { .. } | Type::Address(_)))
            }
            _ => false,
        }
    }

    fn int(&self, cell: &Cell<'_>, lo: Option<i64>, hi: Option<i64>) -> Result<i64, Msg> {
        let found = match cell {
            Cell::Int(i) => Some(*i),
            Cell::Text(t) => exact(t).and_then(|d| d.to_int()),
            Cell::Float(f) => whole(*f),
            Cell::Decimal(m, scale) => decimal(*m, *scale).and_then(|d| d.to_int()),
            _ => None,
        };
        let int = found.ok_or_else(|| expected(cell, &Type::Int { lo, hi }))?;
        if lo.is_some_and(|lo| int < lo) || hi.is_some_and(|hi| int > hi) {
            let ty = Type::Int { lo, hi }.describe();
            return Err(msg!(
                "{int} is outside the declared `{ty}`: correct it, or declare a wider range",
                "{int} 超出声明的 `{ty}`：请更正，或放宽声明的范围"
            ));
        }
        Ok(int)
    }

    /// Digits after the point of numbers for money.
    pub(super) fn money_digits(&self) -> u8 {
        if self.minor_units { 0 } else { MONEY_DIGITS }
    }

    fn money(&self, cell: &Cell<'_>) -> Result<i64, Msg> {
        let digits = self.money_digits();
        let amount = match cell {
            Cell::Int(i) => Some(Decimal::int(*i)),
            Cell::Decimal(m, scale) => decimal(*m, *scale),
            Cell::Float(f) => {
                return money_of_float(*f, digits).ok_or_else(|| not_money(cell, self.minor_units));
            }
            Cell::Text(t) => {
                let t = t.trim();
                let (sign, t) = t.strip_prefix('-').map_or(("", t), |rest| ("-", rest));
                let bare = t.strip_prefix(['¥', '￥']).unwrap_or(t);
                let bare = bare.strip_suffix('元').unwrap_or(bare).trim();
                ungroup(bare).and_then(|digits| exact(&format!("{sign}{digits}")))
            }
            _ => None,
        };
        amount
            .and_then(|d| d.to_minor(digits))
            .ok_or_else(|| not_money(cell, self.minor_units))
    }

    fn set(&self, cell: &Cell<'_>, of: &Type) -> Result<Value, Msg> {
        let items: Vec<Value> = match cell {
            Cell::List(items) => self.items(items, of)?,
            Cell::Text(t) if t.trim_start().starts_with('[') => {
                let parsed: Vec<serde_json::Value> = serde_json::from_str(t).map_err(|_| {
                    msg!(
                        "{} is not a JSON array: write `[\"a\", \"b\"]` or `a|b`",
                        "{} 不是 JSON 数组：请写成 `[\"a\", \"b\"]` 或 `a|b`",
                        shown(cell)
                    )
                })?;
                let cells: Vec<Cell<'_>> = parsed.iter().map(super::jsonl::cell).collect();
                self.items(&cells, of)?
            }
            Cell::Text(t) => {
                let cells: Vec<Cell<'_>> =
                    t.split('|').map(|item| Cell::Text(item.trim())).collect();
                self.items(&cells, of)?
            }
            other => self.items(std::slice::from_ref(other), of)?,
        };
        set_of(items).ok_or_else(|| expected(cell, &Type::Set(Box::new(of.clone()))))
    }

    fn items(&self, cells: &[Cell<'_>], of: &Type) -> Result<Vec<Value>, Msg> {
        let item = |cell| {
            self.value(cell, of)?.ok_or_else(|| {
                msg!(
                    "a set holds no missing value: leave the item out",
                    "集合中不能有缺失值：请去掉该项"
                )
            })
        };
        cells.iter().map(item).collect()
    }

    fn date(&self, cell: &Cell<'_>) -> Option<Date> {
        let date = match cell {
            Cell::Date(days) => Some(Date(*days)),
            Cell::Text(t) => {
                date_of_text(t.trim()).or_else(|| self.midnight(self.zone.parse_instant(t)?))
            }
            Cell::Instant(us) => self.midnight(Instant(*us)),
            Cell::Local(us) => local(*us)
                .filter(|(_, time, rest)| *time == TimeOfDay::MIDNIGHT && *rest == 0)
                .map(|(date, ..)| date),
            _ => None,
        };
        date.filter(|d| in_years(*d))
    }

    /// The day that begins at an instant.
    fn midnight(&self, at: Instant) -> Option<Date> {
        let date = self.zone.date(at);
        (self.zone.start_of(date) == at).then_some(date)
    }

    pub(super) fn instant(&self, cell: &Cell<'_>) -> Option<Instant> {
        let at = match cell {
            Cell::Instant(us) => Some(Instant(*us)),
            Cell::Local(us) => {
                let (date, time, rest) = local(*us)?;
                self.zone
                    .instant(date, time)
                    .0
                    .checked_add(rest)
                    .map(Instant)
            }
            Cell::Date(days) => Some(Date(*days))
                .filter(|d| in_years(*d))
                .map(|d| self.zone.start_of(d)),
            Cell::Text(t) => {
                let t = t.trim();
                self.zone
                    .parse_instant(t)
                    .or_else(|| date_of_text(t).map(|d| self.zone.start_of(d)))
            }
            _ => None,
        };
        at.filter(|at| in_years(self.zone.date(*at)))
    }
}

fn in_years(date: Date) -> bool {
    YEARS.contains(&date.year())
}

fn bool_of(cell: &Cell<'_>) -> Option<bool> {
    match cell {
        Cell::Bool(b) => Some(*b),
        Cell::Int(i @ (0 | 1)) => Some(*i == 1),
        Cell::Text(t) => match t.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "t" | "1" | "是" => Some(true),
            "false" | "no" | "n" | "f" | "0" | "否" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Digits with an optional sign and point, and nothing else.
fn exact(text: &str) -> Option<Decimal> {
    let text = text.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let points = digits.bytes().filter(|b| *b == b'.').count();
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && digits.bytes().any(|b| b.is_ascii_digit())
        && points <= 1;
    let value = plain.then(|| Decimal::parse(digits).ok()).flatten()?;
    Some(if negative { value.negated() } else { value })
}

/// `1,234.50` without its commas, if they stand where they belong.
fn ungroup(text: &str) -> Option<String> {
    if !text.contains(',') {
        return Some(text.into());
    }
    let (whole, part) = text
        .split_once('.')
        .map_or((text, None), |(w, p)| (w, Some(p)));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let grouped = (1..=3).contains(&first.len()) && groups.all(|g| g.len() == 3);
    grouped.then(|| {
        format!(
            "{}{}",
            whole.replace(',', ""),
            part.map_or(String::new(), |p| format!(".{p}"))
        )
    })
}

/// Floats for money carry the noise of sums: what is within a ten-thousandth of a minor unit is
/// meant exactly.
pub(super) fn money_of_float(f: f64, digits: u8) -> Option<i64> {
    let unit = 10f64.powi(i32::from(digits));
    let near = (f * unit).round();
    // Of large amounts the float nearest to two digits may lie further off than the noise that sums
    // have.
    let close = (f * unit - near).abs() < 1e-4 || near / unit == f;
    (close && near.abs() < EXACT_MINOR as f64)
        .then(|| whole(near))
        .flatten()
}

fn not_money(cell: &Cell<'_>, minor_units: bool) -> Msg {
    let found = shown(cell);
    if minor_units {
        msg!(
            "{found} is not money in minor units: write a whole number, `9950` for ¥99.50",
            "{found} 不是以分为单位的金额：请写整数，¥99.50 写成 `9950`"
        )
    } else {
        msg!(
            "{found} is not money: write `99.50`, with at most {MONEY_DIGITS} digits after the point",
            "{found} 不是金额：请写成 `99.50`，小数点后最多 {MONEY_DIGITS} 位"
        )
    }
}

fn number_of(cell: &Cell<'_>) -> Option<f64> {
    let number = match cell {
        Cell::Int(i) => *i as f64,
        Cell::Float(f) => *f,
        Cell::Decimal(m, scale) => match decimal(*m, *scale) {
            Some(d) => d.to_f64(),
            None => format!("{m}e{}", -i32::from(*scale)).parse().ok()?, // More digits than decimals have here.
        },
        Cell::Text(t) => {
            let t = t.trim();
            let numeric = t
                .bytes()
                .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
            numeric.then(|| t.parse().ok()).flatten()?
        }
        _ => return None,
    };
    number.is_finite().then_some(number)
}

fn ratio(cell: &Cell<'_>) -> Result<f32, Msg> {
    let percent = if let Cell::Text(t) = cell {
        t.trim().strip_suffix(['%', '％'])
    } else {
        None
    };
    let number = match percent {
        // Two places to the left, exactly, so that `30%` is the same number as `0.3`.
        Some(p) => exact(p).and_then(|d| {
            Some(
                Decimal {
                    mantissa: d.mantissa,
                    scale: d.scale.checked_add(2)?,
                }
                .to_f64(),
            )
        }),
        None => number_of(cell),
    };
    let number = number.ok_or_else(|| expected(cell, &Type::Ratio))?;
    if (0.0..=1.0).contains(&number) {
        return Ok(number as f32);
    }
    let found = shown(cell);
    Err(match percent {
        None if (1.0..=100.0).contains(&number) => msg!(
            "{found} is not between 0 and 1: for {number} percent write `{number}%` or `{}`",
            "{found} 不在 0 与 1 之间：百分之 {number} 请写成 `{number}%` 或 `{}`",
            number / 100.0
        ),
        _ => msg!(
            "{found} is not a ratio from 0 to 1: correct it, or declare the tag as `number`",
            "{found} 不是 0 到 1 的比率：请更正，或把标签声明为 `number`"
        ),
    })
}

fn text(cell: &Cell<'_>, max: Option<u32>) -> Result<Value, Msg> {
    let text: Arc<str> = match cell {
        Cell::Text(t) => (*t).into(),
        other => plain_text(other)
            .ok_or_else(|| expected(cell, &Type::TEXT))?
            .into(),
    };
    let length = text.chars().count();
    match max {
        Some(max) if length > max as usize => Err(msg!(
            "{} has {length} characters where `text({max})` allows {max}: shorten it, or declare a longer text",
            "{} 有 {length} 个字符，而 `text({max})` 最多 {max} 个：请缩短，或声明更长的文本",
            shown(cell)
        )),
        _ => Ok(Value::Text(text)),
    }
}

fn address(cell: &Cell<'_>) -> Result<Value, Msg> {
    let text = plain_text(cell).ok_or_else(|| expected(cell, &Type::Address("".into())))?;
    if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
        return Err(msg!(
            "the address has spaces around it or control characters in it: remove them",
            "地址前后有空格或含有控制字符：请去掉"
        ));
    }
    Ok(Value::text(&text))
}

fn member(cell: &Cell<'_>, of: &EnumType) -> Result<u16, Msg> {
    let Some(name) = plain_text(cell) else {
        return Err(expected(cell, &Type::Enum(Arc::new(of.clone()))));
    };
    if let Some(code) = of.code(&name) {
        return Ok(code);
    }
    let found = shown(cell);
    Err(match nearest(&name, &of.members) {
        Some(near) => msg!(
            "{found} is not a member of the enum: did you mean `{near}`? If not, add it to the declaration",
            "{found} 不是该枚举的成员：是不是 `{near}`？若不是，请加到声明里"
        ),
        None => msg!(
            "{found} is not one of the {} members of the enum: add it to the declaration",
            "{found} 不在该枚举的 {} 个成员之中：请加到声明里",
            of.members.len()
        ),
    })
}

/// `2026-11-11`, `2026/11/11`, `20261111`.
fn date_of_text(text: &str) -> Option<Date> {
    if let Ok(date) = text.parse() {
        return Some(date);
    }
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return format!("{}-{}-{}", &text[..4], &text[4..6], &text[6..])
            .parse()
            .ok();
    }
    let mut parts = text.split('/');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = [year, month, day]
        .iter()
        .all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    if parts.next().is_some() || !digits || year.len() != 4 {
        return None;
    }
    Date::ymd(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn time_of(cell: &Cell<'_>) -> Option<TimeOfDay> {
    match cell {
        Cell::Text(t) => t.trim().parse().ok(),
        Cell::Time(us) => u32::try_from(us / 1_000_000)
            .ok()
            .filter(|s| *s < 86_400)
            .map(TimeOfDay),
        _ => None,
    }
}

/// Day, time and microseconds of a clock without a zone.
fn local(us: i64) -> Option<(Date, TimeOfDay, i64)> {
    let (seconds, rest) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    let date = Date(i32::try_from(seconds.div_euclid(86_400)).ok()?);
    in_years(date).then_some((date, TimeOfDay(seconds.rem_euclid(86_400) as u32), rest))
}

/// A number and the unit behind it.
fn with_unit(text: &str) -> Option<(Decimal, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+')))
        .unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((exact(number)?, unit.trim()))
}

fn elapsed_of(cell: &Cell<'_>) -> Option<Elapsed> {
    match cell {
        Cell::Elapsed(us) => Some(Elapsed(*us)),
        Cell::Text(t) => {
            let (number, unit) = with_unit(t)?;
            let seconds = match unit {
                "s" | "秒" => 1,
                "min" | "分钟" => 60,
                "h" | "小时" => 3600,
                _ => return None,
            };
            number.to_minor(6)?.checked_mul(seconds).map(Elapsed)
        }
        _ => None,
    }
}

/// `3 days`, `2 weeks`, `1 month`, `1 month 3 days`.
fn calendar_of(cell: &Cell<'_>) -> Option<Calendar> {
    let Cell::Text(t) = cell else { return None };
    let mut sum = Calendar { months: 0, days: 0 };
    let mut rest = t.trim();
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !(c.is_ascii_digit() || c == '-' || c == '+'))?;
        let end = rest[unit_at..]
            .trim_start()
            .find(|c: char| c.is_ascii_digit() || c.is_whitespace() || c == '-');
        let spaces = rest[unit_at..].len() - rest[unit_at..].trim_start().len();
        let (part, after) =
            rest.split_at_checked(end.map_or(rest.len(), |e| unit_at + spaces + e))?;
        let (number, unit) = with_unit(part)?;
        let n = i32::try_from(number.to_int()?).ok()?;
        match unit {
            "day" | "days" | "天" => sum.days = sum.days.checked_add(n)?,
            "week" | "weeks" | "周" => sum.days = sum.days.checked_add(n.checked_mul(7)?)?,
            "month" | "months" | "个月" => sum.months = sum.months.checked_add(n)?,
            "year" | "years" | "年" => sum.months = sum.months.checked_add(n.checked_mul(12)?)?,
            _ => return None,
        }
        rest = after.trim_start();
    }
    (!t.trim().is_empty()).then_some(sum)
}

/// In metres; a number alone counts metres.
fn distance_of(cell: &Cell<'_>) -> Option<f64> {
    let metres = match cell {
        Cell::Text(t) => match with_unit(t) {
            Some((number, "km" | "公里")) => number.times(1000)?.to_f64(),
            Some((number, "m" | "米")) => number.to_f64(),
            _ => number_of(cell)?,
        },
        other => number_of(other)?,
    };
    (metres >= 0.0).then_some(metres)
}

fn place_of(cell: &Cell<'_>) -> Option<GeoPoint> {
    match cell {
        Cell::Place(lat, lon) => GeoPoint::new(*lat, *lon),
        Cell::List(items) => match &items[..] {
            [lat, lon] => GeoPoint::new(number_of(lat)?, number_of(lon)?),
            _ => None,
        },
        Cell::Text(t) => {
            let bare = t
                .trim()
                .trim_start_matches(['(', '[', '（'])
                .trim_end_matches([')', ']', '）']);
            let (lat, lon) = bare.split_once([',', '，', ' '])?;
            GeoPoint::new(number_of(&Cell::Text(lat))?, number_of(&Cell::Text(lon))?)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, ty: &Type) -> Result<Option<Value>, String> {
        Reading::default()
            .value(&Cell::Text(text), ty)
            .map_err(|w| w.en)
    }

    #[test]
    fn numbers_past_the_range_of_ints_are_numbers() {
        assert_eq!(
            number_of(&Cell::Decimal(16_407_945_664_939_362_000, 0)),
            Some(16_407_945_664_939_362_000.0)
        );
        assert_eq!(
            number_of(&Cell::Decimal(16_407_945_664_939_362_001, 2)),
            Some(164_079_456_649_393_620.01)
        );
    }

    #[test]
    fn floats_of_money_keep_their_cents() {
        for minor in [
            1,
            9950,
            129_918_890_490_410,
            -888_199_982_029_370,
            EXACT_MINOR as i64 - 1,
        ] {
            assert_eq!(money_of_float(minor as f64 / 100.0, 2), Some(minor));
        }
        assert_eq!(
            (
                money_of_float(0.1 + 0.2, 2),
                money_of_float(0.305, 2),
                money_of_float(1e300, 2)
            ),
            (Some(30), None, None)
        );
    }

    #[test]
    fn good_cells() {
        let z = Zone::SHANGHAI;
        let day = |t: &str| Value::Date(t.parse().unwrap());
        for (text, ty, value) in [
            ("", Type::Bool, None),
            ("  ", Type::Money, None),
            (" ", Type::TEXT, Some(Value::text(" "))),
            ("TRUE", Type::Bool, Some(Value::Bool(true))),
            ("否", Type::Bool, Some(Value::Bool(false))),
            ("-12", Type::INT, Some(Value::Int(-12))),
            ("12.0", Type::INT, Some(Value::Int(12))),
            ("1e3", Type::Number, Some(Value::Number(1000.0))),
            ("30%", Type::Ratio, Some(Value::Ratio(0.3))),
            ("0.3", Type::Ratio, Some(Value::Ratio(0.3))),
            ("¥1,234.50", Type::Money, Some(Value::Money(123_450))),
            ("-99元", Type::Money, Some(Value::Money(-9900))),
            ("2026/1/5", Type::Date, Some(day("2026-01-05"))),
            ("20260105", Type::Date, Some(day("2026-01-05"))),
            ("2026-01-05 00:00:00", Type::Date, Some(day("2026-01-05"))),
            (
                "9:30",
                Type::Time,
                Some(Value::Time(TimeOfDay(9 * 3600 + 1800))),
            ),
            (
                "2026-01-05",
                Type::Instant,
                z.parse_instant("2026-01-05 00:00").map(Value::Instant),
            ),
            (
                "30min",
                Type::Elapsed,
                Some(Value::Elapsed(Elapsed::minutes(30))),
            ),
            (
                "2 weeks",
                Type::Calendar,
                Some(Value::Calendar(Calendar::days(14))),
            ),
            (
                "1 month -3 days",
                Type::Calendar,
                Some(Value::Calendar(Calendar {
                    months: 1,
                    days: -3,
                })),
            ),
            (
                "1年2个月",
                Type::Calendar,
                Some(Value::Calendar(Calendar::months(14))),
            ),
            ("1.5km", Type::Distance, Some(Value::Distance(1500.0))),
            (
                "31.23, 121.47",
                Type::Place,
                GeoPoint::new(31.23, 121.47).map(Value::Place),
            ),
            (
                "3|1|3",
                Type::Set(Box::new(Type::INT)),
                Some(Value::Set([Value::Int(1), Value::Int(3)].into())),
            ),
            (
                "[\"b\", \"a\"]",
                Type::Set(Box::new(Type::TEXT)),
                Some(Value::Set([Value::text("a"), Value::text("b")].into())),
            ),
            (
                "[]",
                Type::Set(Box::new(Type::TEXT)),
                Some(Value::Set([].into())),
            ),
        ] {
            assert_eq!(read(text, &ty), Ok(value), "{text} as {}", ty.describe());
        }
    }

    #[test]
    fn bad_cells() {
        let plans = Type::Enum(Arc::new(EnumType {
            members: ["Month-to-month", "Two year"].map(String::from).to_vec(),
        }));
        for (text, ty, part) in [
            ("maybe", Type::Bool, "write `true` or `false`"),
            ("12.5", Type::INT, "is not a whole number"),
            ("99999999999999999999", Type::INT, "is not a whole number"),
            (
                "130",
                Type::Int {
                    lo: Some(0),
                    hi: Some(120),
                },
                "outside the declared `int 0..120`",
            ),
            ("NaN", Type::Number, "is not a finite number"),
            ("inf", Type::Number, "is not a finite number"),
            ("1e999", Type::Number, "is not a finite number"),
            ("30", Type::Ratio, "for 30 percent write `30%` or `0.3`"),
            ("-0.1", Type::Ratio, "is not a ratio from 0 to 1"),
            ("99.505", Type::Money, "at most 2 digits"),
            ("1,23", Type::Money, "is not money"),
            (
                "month-to-month",
                plans.clone(),
                "did you mean `Month-to-month`?",
            ),
            ("Prepaid", plans, "is not one of the 2 members"),
            ("2026-02-30", Type::Date, "write `2026-11-11`"),
            ("2026-1-1", Type::Date, "write `2026-11-11`"),
            ("2026-01-05 10:00", Type::Date, "is not a date"),
            ("25:00", Type::Time, "write `10:00`"),
            ("yesterday", Type::Instant, "is not an instant"),
            ("30m", Type::Elapsed, "write `90s`, `30min` or `72h`"),
            ("91,0", Type::Place, "latitude and longitude"),
            ("[1", Type::Set(Box::new(Type::INT)), "is not a JSON array"),
            ("a||b", Type::Set(Box::new(Type::TEXT)), "no missing value"),
            (
                "四个字了",
                Type::Text { max: Some(3) },
                "has 4 characters where `text(3)` allows 3",
            ),
            (" o1", Type::Address("wecom".into()), "spaces around it"),
        ] {
            let error = read(text, &ty).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn typed_cells() {
        let r = Reading::default();
        let value = |cell, ty| r.value(&cell, &ty).ok().flatten();
        assert_eq!(
            value(Cell::Float(0.1 + 0.2), Type::Money),
            Some(Value::Money(30))
        );
        assert_eq!(value(Cell::Float(0.305), Type::Money), None);
        assert_eq!(value(Cell::Float(f64::NAN), Type::Money), None);
        assert_eq!(
            value(Cell::Decimal(9950, 2), Type::Money),
            Some(Value::Money(9950))
        );
        assert_eq!(value(Cell::Float(12.0), Type::INT), Some(Value::Int(12)));
        assert_eq!(value(Cell::Int(13), Type::TEXT), Some(Value::text("13")));
        assert_eq!(value(Cell::Date(i32::MAX), Type::Date), None);
        assert_eq!(value(Cell::Instant(i64::MIN), Type::Instant), None);
        assert_eq!(
            value(Cell::Local(0), Type::Instant),
            Some(Value::Instant(Instant::from_seconds(-8 * 3600)))
        );
        let minor = Reading {
            minor_units: true,
            ..Reading::default()
        };
        assert_eq!(
            minor.value(&Cell::Int(50), &Type::Money),
            Ok(Some(Value::Money(50)))
        );
    }
}
