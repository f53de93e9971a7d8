//! Literals: numbers with their units, dates and times, strings.

use super::builder::TreeBuilder;
use super::grammar::{NodeParts, ParseNode, Rule};
use crate::base::{Date, Decimal, TimeOfDay};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::syntax::ast::{CalendarUnit, DistanceUnit, ElapsedUnit, Literal, LiteralKind, Str};

/// A longer text belongs into a template file or is a mistake.
pub const MAX_STRING_CHARS: usize = 20_000;

impl TreeBuilder<'_> {
    /// The literal under a `literal` node; `None` after a finding.
    pub fn literal(&mut self, node: ParseNode<'_>) -> Option<Literal> {
        let inner = node.into_inner().next()?;
        self.literal_kind(inner)
    }

    /// A literal given by its own rule.
    pub fn literal_kind(&mut self, node: ParseNode<'_>) -> Option<Literal> {
        let span = self.span(&node);
        let kind = match node.as_rule() {
            Rule::k_true => LiteralKind::Bool(true),
            Rule::k_false => LiteralKind::Bool(false),
            Rule::number => LiteralKind::Number(self.decimal(node)?),
            Rule::percent => LiteralKind::Percent(self.decimal(node)?),
            Rule::money => LiteralKind::Money(self.decimal(node)?),
            Rule::elapsed => {
                let unit = match unit_of(&node, Rule::elapsed_unit) {
                    "s" | "秒" => ElapsedUnit::Second,
                    "min" | "分钟" => ElapsedUnit::Minute,
                    _ => ElapsedUnit::Hour,
                };
                LiteralKind::Elapsed(self.decimal(node)?, unit)
            }
            Rule::calendar => {
                let unit = match unit_of(&node, Rule::calendar_unit) {
                    "day" | "days" | "天" => CalendarUnit::Day,
                    "week" | "weeks" | "周" => CalendarUnit::Week,
                    "month" | "months" | "个月" => CalendarUnit::Month,
                    _ => CalendarUnit::Year,
                };
                LiteralKind::Calendar(self.decimal(node)?, unit)
            }
            Rule::distance => {
                let unit = match unit_of(&node, Rule::distance_unit) {
                    "m" | "米" => DistanceUnit::Metre,
                    _ => DistanceUnit::Kilometre,
                };
                LiteralKind::Distance(self.decimal(node)?, unit)
            }
            Rule::date => LiteralKind::Date(self.date(&node)?),
            Rule::bad_date => {
                self.bad_date(&node);
                return None;
            }
            Rule::time => LiteralKind::Time(self.time(&node)?),
            Rule::instant => {
                let mut parts = NodeParts::of(node);
                let date = parts.find(Rule::date)?;
                let time = parts.find(Rule::time)?;
                LiteralKind::Instant(self.date(&date)?, self.time(&time)?)
            }
            _ => return None,
        };
        Some(Literal { span, kind })
    }

    fn decimal(&mut self, node: ParseNode<'_>) -> Option<Decimal> {
        let span = self.span(&node);
        let (mut value, mut factor) = (None, 1);
        for part in node.into_inner() {
            match part.as_rule() {
                Rule::decimal => value = Decimal::parse(&ascii(part.as_str())).ok(),
                Rule::multiplier => {
                    factor = if part.as_str() == "万" {
                        10_000
                    } else {
                        100_000_000
                    }
                }
                _ => {}
            }
        }
        let value = value.and_then(|v| v.times(factor));
        if value.is_none() {
            self.bad(
                span,
                msg!("this number has more than 18 digits", "数字超过 18 位"),
            );
        }
        value
    }

    fn bad(&mut self, span: Span, message: crate::base::Msg) {
        self.findings
            .push(Finding::new(&catalog::BAD_LITERAL, span, message));
    }

    fn date(&mut self, node: &ParseNode<'_>) -> Option<Date> {
        let numbers = numbers(node.as_str());
        let date = match numbers[..] {
            [y, m, d] => i32::try_from(y).ok().and_then(|y| Date::ymd(y, m, d)),
            _ => None,
        };
        if date.is_none() {
            let text = node.as_str();
            self.bad(
                self.span(node),
                msg!(
                    "`{text}` is not a day of the calendar",
                    "日历上没有 `{text}` 这一天"
                ),
            );
        }
        date
    }

    fn bad_date(&mut self, node: &ParseNode<'_>) {
        let span = self.span(node);
        let text = node.as_str();
        let mut finding = Finding::new(
            &catalog::BAD_LITERAL,
            span,
            msg!(
                "a date is written with two digits for month and day",
                "日期的月和日须各写两位数字"
            ),
        );
        if let [y, m, d] = numbers(text)[..] {
            let right = format!("{y:04}-{m:02}-{d:02}");
            finding = finding.fix(
                msg!("write `{right}`", "写成 `{right}`"),
                span,
                right.clone(),
                true,
            );
        }
        self.findings.push(finding);
    }

    fn time(&mut self, node: &ParseNode<'_>) -> Option<TimeOfDay> {
        let time = match numbers(node.as_str())[..] {
            [h, m] => TimeOfDay::hms(h, m, 0),
            [h, m, s] => TimeOfDay::hms(h, m, s),
            _ => None,
        };
        if time.is_none() {
            let text = node.as_str();
            self.bad(
                self.span(node),
                msg!(
                    "`{text}` is not a time of day; they run from 00:00 to 23:59",
                    "`{text}` 不是一天中的时间；范围为 00:00 到 23:59"
                ),
            );
        }
        time
    }

    /// A string with its escapes resolved.
    pub fn string(&mut self, node: ParseNode<'_>) -> Str {
        let span = self.span(&node);
        let (inner, escapes) = inside(node.as_str());
        self.check_length(span, inner);
        Str {
            value: if escapes {
                self.unescape(inner, span)
            } else {
                inner.to_string()
            },
            span,
        }
    }

    pub fn check_length(&mut self, span: Span, inner: &str) {
        if inner.len() > MAX_STRING_CHARS && inner.chars().count() > MAX_STRING_CHARS {
            self.bad(
                span,
                msg!(
                    "this text is longer than {MAX_STRING_CHARS} characters",
                    "文本超过 {MAX_STRING_CHARS} 个字符"
                ),
            );
        }
    }

    /// Resolves `\" \' \\ \n \u{…}`; another escape is a finding.
    pub fn unescape(&mut self, text: &str, span: Span) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            out.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            let (c, len) = escape(after);
            match c {
                Some(c) => out.push(c),
                None => {
                    let shown: String = after.chars().take(1).collect();
                    let finding = Finding::new(
                        &catalog::BAD_LITERAL,
                        span,
                        msg!("`\\{shown}` is not an escape", "`\\{shown}` 不是转义"),
                    )
                    .help(msg!(
                        "there are `\\\"`, `\\'`, `\\\\`, `\\n` and `\\u{{4F60}}`",
                        "可用的转义有 `\\\"`、`\\'`、`\\\\`、`\\n` 和 `\\u{{4F60}}`"
                    ));
                    self.findings.push(finding);
                }
            }
            rest = after.get(len..).unwrap_or("");
        }
        out.push_str(rest);
        out
    }
}

/// What an escape after the backslash stands for, and its length in bytes.
pub fn escape(after: &str) -> (Option<char>, usize) {
    match after.chars().next() {
        Some('n') => (Some('\n'), 1),
        Some(c @ ('"' | '\'' | '\\')) => (Some(c), 1),
        Some('u') => {
            let Some(hex) = after
                .strip_prefix("u{")
                .and_then(|a| a.split_once('}'))
                .map(|(h, _)| h)
            else {
                return (None, 1);
            };
            let c = u32::from_str_radix(hex, 16)
                .ok()
                .and_then(char::from_u32)
                .filter(|_| hex.len() <= 6);
            (c, hex.len() + 3)
        }
        Some(c) => (None, c.len_utf8()),
        None => (None, 0),
    }
}

/// The inside of a string token, and whether it knows escapes.
pub fn inside(token: &str) -> (&str, bool) {
    let strip =
        |open: &str, close: &str| token.strip_prefix(open).and_then(|t| t.strip_suffix(close));
    if token.len() >= 6
        && let Some(inner) = strip("\"\"\"", "\"\"\"")
    {
        return (inner, true);
    }
    for (open, close, escapes) in [
        ("\"", "\"", true),
        ("'", "'", true),
        ("“", "”", false),
        ("‘", "’", false),
    ] {
        if let Some(inner) = strip(open, close) {
            return (inner, escapes);
        }
    }
    (token, false)
}

/// Full-width digits and points as their ASCII twins.
fn ascii(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '０'..='９' => char::from_u32(c as u32 - '０' as u32 + '0' as u32).unwrap_or(c),
            '．' => '.',
            c => c,
        })
        .collect()
}

/// The runs of digits in a text, as numbers; each has at most four digits by the grammar.
fn numbers(text: &str) -> Vec<u32> {
    ascii(text)
        .split(|c: char| !c.is_ascii_digit())
        .filter(|p| !p.is_empty())
        .filter_map(|p| p.parse().ok())
        .collect()
}

fn unit_of<'i>(node: &ParseNode<'i>, rule: Rule) -> &'i str {
    node.clone()
        .into_inner()
        .find(|n| n.as_rule() == rule)
        .map_or("", |n| n.as_str())
}
