//! Literals. A literal takes the type of what it stands beside: `500` is ¥500 against money,
//! `"Shanghai"` a member against an enum. Where it cannot, the finding says how to write what was
//! meant.

use super::check_expr::{Exprs, Want, bare};
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Calendar, Date, Decimal, Elapsed, EnumType, GeoPoint, TimeOfDay, Type, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::typed_expr::{Expr, ExprKind};
use crate::program::types;
use crate::syntax::ast::{self, CalendarUnit, DistanceUnit, ElapsedUnit, LiteralKind};

/// Something that a person would write instead.
struct Instead {
    title: Msg,
    text: String,
}

fn instead(text: impl Into<String>) -> Instead {
    let text = text.into();
    Instead {
        title: msg!("write `{text}`", "写作 `{text}`"),
        text,
    }
}

/// The type that a literal takes which is compared with `e`. Only where it is to equal a stored
/// text is it held to that text's length: a literal is as long as it happens to be, and what lies
/// before or after a text may be longer than it.
pub fn beside(e: &Expr, equality: bool) -> Type {
    match &e.ty {
        Type::Text { .. } if !equality || matches!(e.kind, ExprKind::Const(_)) => Type::TEXT,
        ty => ty.clone(),
    }
}

impl Exprs<'_> {
    pub fn literal(
        &mut self,
        kind: &LiteralKind,
        span: Span,
        want: Option<Want<'_>>,
    ) -> Option<Expr> {
        let ty = want.map(|w| w.ty);
        let value = match (kind, ty) {
            (LiteralKind::Number(d), Some(Type::Number)) => Value::Number(d.to_f64()),
            (LiteralKind::Number(d), Some(Type::Ratio)) => Value::Ratio(to_f32(*d)),
            (LiteralKind::Number(d) | LiteralKind::Money(d), Some(Type::Money))
            | (LiteralKind::Money(d), None) => {
                return self.money(*d, span);
            }
            (LiteralKind::Number(d), None | Some(Type::Int { .. })) => match d.to_int() {
                Some(n) => {
                    return Some(self.constant(
                        span,
                        Type::Int {
                            lo: Some(n),
                            hi: Some(n),
                        },
                        Value::Int(n),
                    ));
                }
                None => return Some(self.constant(span, Type::Number, Value::Number(d.to_f64()))),
            },
            (LiteralKind::Percent(d), None | Some(Type::Ratio)) => {
                return Some(self.constant(span, Type::Ratio, Value::Ratio(percent(*d))));
            }
            (LiteralKind::Bool(b), None | Some(Type::Bool)) => {
                return Some(self.constant(span, Type::Bool, Value::Bool(*b)));
            }
            (LiteralKind::Text(text), None) => {
                let max = u32::try_from(text.chars().count()).ok();
                return Some(self.constant(span, Type::Text { max }, Value::text(text)));
            }
            (LiteralKind::Text(text), Some(Type::Text { max })) => {
                self.fits_text(text, span, *max)?;
                Value::text(text)
            }
            (LiteralKind::Text(text), Some(Type::Address(_))) => Value::text(text),
            (LiteralKind::Text(text), Some(Type::Enum(of))) => {
                Value::Enum(self.member(of, text, span, want.and_then(|w| w.from))?)
            }
            (LiteralKind::Date(d), None | Some(Type::Date)) => {
                return Some(self.constant(span, Type::Date, Value::Date(*d)));
            }
            (LiteralKind::Time(t), None | Some(Type::Time)) => {
                return Some(self.constant(span, Type::Time, Value::Time(*t)));
            }
            (LiteralKind::Instant(d, t), None | Some(Type::Instant)) => {
                let at = self.program.policy.zone.instant(*d, *t);
                return Some(self.constant(span, Type::Instant, Value::Instant(at)));
            }
            (LiteralKind::Elapsed(d, unit), None | Some(Type::Elapsed)) => {
                let e = self.elapsed_literal(*d, *unit, span)?;
                return Some(self.constant(span, Type::Elapsed, Value::Elapsed(e)));
            }
            (LiteralKind::Calendar(d, unit), None | Some(Type::Calendar)) => {
                let c = self.calendar_literal(*d, *unit, span)?;
                return Some(self.constant(span, Type::Calendar, Value::Calendar(c)));
            }
            (LiteralKind::Distance(d, unit), None | Some(Type::Distance)) => {
                return Some(self.constant(
                    span,
                    Type::Distance,
                    Value::Distance(metres(*d, *unit)),
                ));
            }
            (
                LiteralKind::Bool(_)
                | LiteralKind::Number(_)
                | LiteralKind::Percent(_)
                | LiteralKind::Money(_)
                | LiteralKind::Text(_)
                | LiteralKind::Date(_)
                | LiteralKind::Time(_)
                | LiteralKind::Instant(..)
                | LiteralKind::Elapsed(..)
                | LiteralKind::Calendar(..)
                | LiteralKind::Distance(..),
                Some(ty),
            ) => {
                self.wrong_literal(kind, span, ty, want.and_then(|w| w.from));
                return None;
            }
        };
        let ty = ty.cloned().unwrap_or(Type::TEXT);
        Some(self.constant(span, ty, value))
    }

    /// A literal that cannot have the wanted type: how would one write what was meant?
    pub fn wrong_literal(
        &mut self,
        kind: &LiteralKind,
        span: Span,
        wanted: &Type,
        from: Option<Span>,
    ) {
        let text = self.text(span);
        let Msg { en, zh } = types::words(wanted);
        let fixes = meant(kind, wanted);
        let is_unit = matches!(
            kind,
            LiteralKind::Number(_)
                | LiteralKind::Distance(..)
                | LiteralKind::Elapsed(..)
                | LiteralKind::Calendar(..)
        ) && matches!(wanted, Type::Elapsed | Type::Calendar | Type::Distance);
        let mut finding = if is_unit {
            let message = match kind {
                LiteralKind::Number(_) => msg!(
                    "`{text}` has no unit, {en} is expected",
                    "`{text}` 没有单位，这里需要{zh}"
                ),
                _ => msg!(
                    "`{text}` has another unit than expected: {en} belongs here",
                    "`{text}` 的单位不对：这里需要{zh}"
                ),
            };
            Finding::new(&catalog::WRONG_UNIT, span, message)
        } else {
            let Msg {
                en: is_en,
                zh: is_zh,
            } = literal_words(kind);
            Finding::new(
                &catalog::TYPE_MISMATCH,
                span,
                msg!(
                    "`{text}` is {is_en}, {en} is expected",
                    "`{text}` 是{is_zh}，这里需要{zh}"
                ),
            )
        };
        if let Some(from) = from {
            finding = finding.label(from, msg!("this is {en}", "这里是{zh}"));
        }
        if matches!(
            (kind, wanted),
            (LiteralKind::Calendar(..), Type::Elapsed) | (LiteralKind::Elapsed(..), Type::Calendar)
        ) {
            finding = finding.help(msg!(
                "elapsed time (`72h`) is the same on every day, calendar time (`3 days`) follows the calendar: they are never compared",
                "时长（`72h`）每天都一样长，日历时长（`3 days`）随日历变化：两者不可比较"
            ));
        }
        for fix in fixes {
            finding = finding.fix(fix.title, span, fix.text, false);
        }
        self.report(finding);
    }

    pub fn money(&mut self, d: Decimal, span: Span) -> Option<Expr> {
        let Some(minor) = d.to_minor(2) else {
            let text = self.text(span);
            self.report(Finding::new(
                &catalog::OUT_OF_RANGE,
                span,
                msg!(
                    "`{text}` is no amount of money: at most two digits after the point, and not over 92 quadrillion",
                    "`{text}` 不是金额：小数点后最多两位，且不能过大"
                ),
            ));
            return None;
        };
        Some(self.constant(span, Type::Money, Value::Money(minor)))
    }

    fn fits_text(&mut self, text: &str, span: Span, max: Option<u32>) -> Option<()> {
        let (length, Some(max)) = (text.chars().count(), max) else {
            return Some(());
        };
        if length <= max as usize {
            return Some(());
        }
        let shown = self.text(span);
        self.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            span,
            msg!(
                "`{shown}` has {length} characters, a text({max}) holds at most {max}",
                "`{shown}` 有 {length} 个字，text({max}) 最多容纳 {max} 个"
            ),
        ));
        None
    }

    /// The code of a member.
    pub fn member(
        &mut self,
        of: &EnumType,
        member: &str,
        span: Span,
        from: Option<Span>,
    ) -> Option<u16> {
        if let Some(code) = of.code(member) {
            return Some(code);
        }
        let whose = from.map_or_else(|| "enum".to_owned(), |from| self.text(from));
        let mut finding = Finding::new(
            &catalog::UNKNOWN_MEMBER,
            span,
            msg!(
                "`{member}` is not a member of `{whose}`",
                "`{member}` 不是 `{whose}` 的成员"
            ),
        );
        finding = match self
            .scope
            .nearest_of(member, of.members.iter().map(String::as_str))
        {
            Some(near) => finding.fix(
                msg!("did you mean `{near}`", "是否想写 `{near}`"),
                span,
                quoted(near),
                false,
            ),
            None => {
                let list = super::names::listed(of.members.iter().map(String::as_str));
                finding.help(msg!("its members are {list}", "它的成员有 {list}"))
            }
        };
        self.report(finding);
        None
    }

    pub fn elapsed_literal(
        &mut self,
        d: Decimal,
        unit: ElapsedUnit,
        span: Span,
    ) -> Option<Elapsed> {
        let seconds: i128 = match unit {
            ElapsedUnit::Second => 1,
            ElapsedUnit::Minute => 60,
            ElapsedUnit::Hour => 3600,
        };
        let micros = i128::from(d.mantissa) * seconds * 1_000_000;
        let part = 10i128.checked_pow(u32::from(d.scale));
        match part
            .filter(|p| micros % p == 0)
            .and_then(|p| i64::try_from(micros / p).ok())
        {
            Some(micros) => Some(Elapsed(micros)),
            None => {
                self.too_large(span);
                None
            }
        }
    }

    pub fn calendar_literal(
        &mut self,
        d: Decimal,
        unit: CalendarUnit,
        span: Span,
    ) -> Option<Calendar> {
        let Some(n) = d.to_int() else {
            let text = self.text(span);
            self.report(
                Finding::new(
                    &catalog::WRONG_UNIT,
                    span,
                    msg!(
                        "`{text}`: calendar time counts whole days, weeks and months",
                        "`{text}`：日历时长只能是整的天、周、月"
                    ),
                )
                .help(msg!(
                    "write hours, for instance `36h`",
                    "请写小时，例如 `36h`"
                )),
            );
            return None;
        };
        let n = i32::try_from(n).ok();
        let length = match unit {
            CalendarUnit::Day => n.map(Calendar::days),
            CalendarUnit::Week => n.and_then(|n| n.checked_mul(7)).map(Calendar::days),
            CalendarUnit::Month => n.map(Calendar::months),
            CalendarUnit::Year => n.and_then(|n| n.checked_mul(12)).map(Calendar::months),
        };
        if length.is_none() {
            self.too_large(span);
        }
        length
    }

    fn too_large(&mut self, span: Span) {
        let text = self.text(span);
        self.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            span,
            msg!("`{text}` is too large or too fine", "`{text}` 太大或太精细"),
        ));
    }

    /// `-x`: a negative literal is one constant.
    pub fn negation(
        &mut self,
        span: Span,
        of: &ast::Expr,
        want: Option<Want<'_>>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if let ast::ExprKind::Literal(literal) = &*bare(of).kind
            && let Some(kind) = negated(&literal.kind)
        {
            return self.literal(&kind, span, want);
        }
        let of = self.expr(of, want, cx)?;
        match of.ty {
            Type::Int { lo, hi } => {
                let ty = Type::Int {
                    lo: hi.and_then(i64::checked_neg),
                    hi: lo.and_then(i64::checked_neg),
                };
                Some(self.node(span, ty, ExprKind::Neg(Box::new(of))))
            }
            Type::Number | Type::Money => {
                Some(self.node(span, of.ty.clone(), ExprKind::Neg(Box::new(of))))
            }
            Type::Ratio => {
                let of = self.as_number(of);
                Some(self.node(span, Type::Number, ExprKind::Neg(Box::new(of))))
            }
            Type::Bool
            | Type::Text { .. }
            | Type::Enum(_)
            | Type::Set(_)
            | Type::Date
            | Type::Time
            | Type::Instant
            | Type::Elapsed
            | Type::Calendar
            | Type::Distance
            | Type::Place
            | Type::Address(_) => {
                self.mismatch(of.span, &of.ty, &Type::Number, None);
                None
            }
        }
    }

    /// `(31.2304, 121.4737)`.
    pub fn place(&mut self, span: Span, lat: &ast::Expr, lon: &ast::Expr) -> Option<GeoPoint> {
        let (lat, lon) = (self.degrees(lat), self.degrees(lon));
        let (lat, lon) = (lat?, lon?);
        if let Some(place) = GeoPoint::new(lat, lon) {
            return Some(place);
        }
        let text = self.text(span);
        let mut finding = Finding::new(
            &catalog::OUT_OF_RANGE,
            span,
            msg!(
                "`{text}` is not a place: latitude from -90 to 90 comes first, then longitude from -180 to 180",
                "`{text}` 不是地点：先写纬度（-90 到 90），再写经度（-180 到 180）"
            ),
        );
        if GeoPoint::new(lon, lat).is_some() {
            finding = finding.fix(
                msg!("swap them: `({lon}, {lat})`", "交换两者：`({lon}, {lat})`"),
                span,
                format!("({lon}, {lat})"),
                false,
            );
        }
        self.report(finding);
        None
    }

    fn degrees(&mut self, e: &ast::Expr) -> Option<f64> {
        let (negative, inner) = match &*bare(e).kind {
            ast::ExprKind::Neg(inner) => (true, bare(inner)),
            _ => (false, bare(e)),
        };
        match &*inner.kind {
            ast::ExprKind::Literal(ast::Literal {
                kind: LiteralKind::Number(d),
                ..
            }) => Some(if negative { -d.to_f64() } else { d.to_f64() }),
            ast::ExprKind::Broken => None,
            _ => {
                let text = self.text(e.span);
                self.report(Finding::new(
                    &catalog::CONSTANT_EXPECTED,
                    e.span,
                    msg!(
                        "`{text}`: a place is two numbers, `(31.2304, 121.4737)`",
                        "`{text}`：地点是两个数，`(31.2304, 121.4737)`"
                    ),
                ));
                None
            }
        }
    }
}

/// Whether the expression is a literal that takes the type of what it stands beside.
pub(super) fn is_literal(e: &ast::Expr) -> bool {
    match &*bare(e).kind {
        ast::ExprKind::Literal(_) => true,
        ast::ExprKind::Neg(of) => matches!(&*bare(of).kind, ast::ExprKind::Literal(_)),
        _ => false,
    }
}

/// The literal with a minus before it, if it is a number of some kind.
pub(super) fn negated(kind: &LiteralKind) -> Option<LiteralKind> {
    match kind {
        LiteralKind::Number(d) => Some(LiteralKind::Number(d.negated())),
        LiteralKind::Percent(d) => Some(LiteralKind::Percent(d.negated())),
        LiteralKind::Money(d) => Some(LiteralKind::Money(d.negated())),
        LiteralKind::Elapsed(d, unit) => Some(LiteralKind::Elapsed(d.negated(), *unit)),
        LiteralKind::Calendar(d, unit) => Some(LiteralKind::Calendar(d.negated(), *unit)),
        LiteralKind::Distance(d, unit) => Some(LiteralKind::Distance(d.negated(), *unit)),
        LiteralKind::Bool(_)
        | LiteralKind::Text(_)
        | LiteralKind::Date(_)
        | LiteralKind::Time(_)
        | LiteralKind::Instant(..) => None,
    }
}

/// Straight from the decimal text to f32: going through f64 could round twice.
fn to_f32(d: Decimal) -> f32 {
    d.to_string().parse().unwrap_or(f32::NAN)
}

/// `30%` is the f32 nearest to 0.3, the same as the literal `0.3` gives.
pub(super) fn percent(d: Decimal) -> f32 {
    to_f32(percent_decimal(d))
}

fn percent_decimal(d: Decimal) -> Decimal {
    Decimal {
        mantissa: d.mantissa,
        scale: d.scale.saturating_add(2),
    }
}

pub(super) fn metres(d: Decimal, unit: DistanceUnit) -> f64 {
    match unit {
        DistanceUnit::Metre => d.to_f64(),
        DistanceUnit::Kilometre => d
            .times(1000)
            .map_or_else(|| d.to_f64() * 1000.0, Decimal::to_f64),
    }
}

pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// What a literal is, in words.
fn literal_words(kind: &LiteralKind) -> Msg {
    match kind {
        LiteralKind::Bool(_) => msg!("true or false", "真假值"),
        LiteralKind::Number(_) => msg!("a number", "数"),
        LiteralKind::Percent(_) => msg!("a ratio", "比例"),
        LiteralKind::Money(_) => msg!("money", "金额"),
        LiteralKind::Text(_) => msg!("text", "文本"),
        LiteralKind::Date(_) => msg!("a date", "日期"),
        LiteralKind::Time(_) => msg!("a time of day", "时间"),
        LiteralKind::Instant(..) => msg!("an instant", "时刻"),
        LiteralKind::Elapsed(..) => msg!("elapsed time", "时长"),
        LiteralKind::Calendar(..) => msg!("calendar time", "日历时长"),
        LiteralKind::Distance(..) => msg!("a distance", "距离"),
    }
}

/// What a person probably meant who wrote this literal where that type belongs.
fn meant(kind: &LiteralKind, wanted: &Type) -> Vec<Instead> {
    let whole_days = |d: &Decimal, unit: &CalendarUnit| {
        let days = match unit {
            CalendarUnit::Day => 1,
            CalendarUnit::Week => 7,
            CalendarUnit::Month | CalendarUnit::Year => return None,
        };
        d.to_int()?.checked_mul(days)
    };
    match (kind, wanted) {
        (LiteralKind::Distance(d, DistanceUnit::Metre), Type::Elapsed | Type::Calendar) => {
            vec![instead(format!("{d}min"))]
        }
        (LiteralKind::Number(d), Type::Elapsed) => {
            vec![instead(format!("{d}min")), instead(format!("{d}h"))]
        }
        (LiteralKind::Number(d), Type::Calendar) => vec![instead(days(*d))],
        (LiteralKind::Number(d), Type::Distance) => {
            vec![instead(format!("{d}m")), instead(format!("{d}km"))]
        }
        (LiteralKind::Elapsed(d, ElapsedUnit::Minute), Type::Distance) => {
            vec![instead(format!("{d}m"))]
        }
        (LiteralKind::Calendar(d, unit), Type::Elapsed) => {
            match whole_days(d, unit).and_then(|n| n.checked_mul(24)) {
                Some(hours) => vec![instead(format!("{hours}h"))],
                None => Vec::new(),
            }
        }
        (LiteralKind::Elapsed(d, ElapsedUnit::Hour), Type::Calendar) => match d.to_int() {
            Some(hours) if hours > 0 && hours % 24 == 0 => {
                vec![instead(days(Decimal::int(hours / 24)))]
            }
            _ => Vec::new(),
        },
        (LiteralKind::Percent(d), Type::Number) => vec![instead(percent_decimal(*d).to_string())],
        (LiteralKind::Money(d), Type::Number | Type::Int { .. }) => vec![instead(d.to_string())],
        (LiteralKind::Date(d), Type::Instant) => vec![instead(format!("{d} 00:00"))],
        (LiteralKind::Instant(d, _), Type::Date) => vec![instead(d.to_string())],
        (LiteralKind::Number(d), Type::Text { .. }) => vec![instead(quoted(&d.to_string()))],
        (LiteralKind::Number(d), Type::Enum(of)) if of.code(&d.to_string()).is_some() => {
            vec![instead(quoted(&d.to_string()))]
        }
        (LiteralKind::Number(d), Type::Bool) => match d.to_int() {
            Some(0) => vec![instead("false")],
            Some(1) => vec![instead("true")],
            _ => Vec::new(),
        },
        (LiteralKind::Bool(b), Type::Enum(of)) if of.code(&b.to_string()).is_some() => {
            vec![instead(quoted(&b.to_string()))]
        }
        (LiteralKind::Text(text), _) => unquoted(text.trim(), wanted)
            .into_iter()
            .map(instead)
            .collect(),
        _ => Vec::new(),
    }
}

fn days(d: Decimal) -> String {
    if d == Decimal::int(1) {
        "1 day".into()
    } else {
        format!("{d} days")
    }
}

/// A literal of the wanted type that stands in quotes by mistake.
fn unquoted(text: &str, wanted: &Type) -> Option<String> {
    let number = |t: &str| {
        !t.is_empty()
            && t.chars().all(|c| c.is_ascii_digit() || c == '.')
            && t.parse::<f64>().is_ok()
    };
    let is = match wanted {
        Type::Int { .. } | Type::Number => number(text),
        Type::Money => number(text.trim_start_matches(['¥', '￥']).trim_end_matches('元')),
        Type::Ratio => number(text.trim_end_matches('%')),
        Type::Date => text.parse::<Date>().is_ok(),
        Type::Time => text.parse::<TimeOfDay>().is_ok(),
        Type::Instant => text
            .split_once(' ')
            .is_some_and(|(d, t)| d.parse::<Date>().is_ok() && t.parse::<TimeOfDay>().is_ok()),
        Type::Bool => {
            return match text.to_lowercase().as_str() {
                "true" | "yes" | "y" | "是" => Some("true".into()),
                "false" | "no" | "n" | "否" => Some("false".into()),
                _ => None,
            };
        }
        Type::Text { .. }
        | Type::Enum(_)
        | Type::Set(_)
        | Type::Elapsed
        | Type::Calendar
        | Type::Distance
        | Type::Place
        | Type::Address(_) => false,
    };
    is.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_decimal_are_one_f32() {
        for (p, d) in [
            ("30", "0.3"),
            ("0.1", "0.001"),
            ("33.3", "0.333"),
            ("100", "1"),
        ] {
            assert_eq!(
                percent(Decimal::parse(p).unwrap()).to_bits(),
                to_f32(Decimal::parse(d).unwrap()).to_bits(),
                "{p}%"
            );
        }
    }

    #[test]
    fn what_was_meant() {
        let fixes = |kind, ty| {
            meant(&kind, &ty)
                .into_iter()
                .map(|i| i.text)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            fixes(
                LiteralKind::Distance(Decimal::int(30), DistanceUnit::Metre),
                Type::Elapsed
            ),
            ["30min"]
        );
        assert_eq!(
            fixes(
                LiteralKind::Calendar(Decimal::int(3), CalendarUnit::Day),
                Type::Elapsed
            ),
            ["72h"]
        );
        assert_eq!(
            fixes(LiteralKind::Text("2026-11-11".into()), Type::Date),
            ["2026-11-11"]
        );
        assert_eq!(
            fixes(LiteralKind::Text("￥99.5".into()), Type::Money),
            ["￥99.5"]
        );
        assert_eq!(
            fixes(
                LiteralKind::Elapsed(Decimal::int(48), ElapsedUnit::Hour),
                Type::Calendar
            ),
            ["2 days"]
        );
    }
}
