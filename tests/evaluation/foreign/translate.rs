//! What has the same meaning in our language, in our spelling; everything else is refused with the
//! reason.
//!
//! Types are left to our checker: `10 + true` is written down as it stands, and it is the checker
//! that refuses it.

use tagcast::base::{Elapsed, Value, Zone};

use super::{Node, Op};

pub type Reason = &'static str;

pub const LISTS: Reason = "lists as values";
pub const RANGES: Reason = "ranges as values";
pub const TESTS: Reason = "tests as values (`(< 10)`)";
pub const INDEX: Reason = "taking an element of a list";
pub const POWERS: Reason = "powers";
pub const JOINING: Reason = "joining texts: a template does that";
pub const NOT_A_NUMBER: Reason = "infinity and NaN: a division by zero is missing here";
pub const CONVERSION: Reason = "dates, times and durations made from each other or from parts that can be missing: here they are written as literals";
pub const NOT_ONE: Reason =
    "texts that are no date, time or duration at all: here literals, not conversions of texts";
pub const LENIENT: Reason =
    "a time of day written without its seconds or a leading zero: an error there, read here";
pub const OFFSET_TIME: Reason = "times of day with an offset or a zone of their own";
pub const OFFSET_MINUTES: Reason = "instants with an offset that is no zone of whole hours";
pub const FRACTIONS: Reason = "fractions of a second in dates and times";
pub const YEARS: Reason = "years that are not written with four digits, or are before the year 1";
pub const MONTHS_BETWEEN: Reason = "years and months between two dates";
pub const EXPONENT: Reason = "numbers of more than 18 digits";
pub const MIXED_LIST: Reason = "lists with `null` in them";

/// What a piece of the translation is, as far as a `null` beside it has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Number,
    Text,
    Date,
    Time,
    Instant,
    Elapsed,
    Calendar,
}

/// A tag that the translation stands on: its name, its type as written, and the value that the one
/// user has.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub name: String,
    pub ty: &'static str,
    pub value: Option<Value>,
}

/// The translation of one expression.
pub struct Translation {
    pub text: String,
    pub facts: Vec<Fact>,
    pub zone: Zone,
}

/// With `lifted`, each literal outside lists becomes a tag of the user, so that columns are read
/// instead of constants folded.
pub fn translate(
    node: &Node,
    bound: &[(String, Fact)],
    lifted: bool,
) -> Result<Translation, Reason> {
    let mut cx = Cx {
        bound,
        lifted,
        facts: Vec::new(),
        offset: None,
    };
    let piece = cx.write(node, None)?;
    let zone = match cx.offset.flatten() {
        None => Zone::UTC,
        Some(offset) => zone_of(offset).ok_or(OFFSET_MINUTES)?,
    };
    // Instants are points in time; with the zone known their values are.
    let mut facts = cx.facts;
    for fact in &mut facts {
        if let ("instant", Some(Value::Text(local))) = (fact.ty, &fact.value) {
            fact.value = zone.parse_instant(local).map(Value::Instant);
        }
    }
    Ok(Translation {
        text: piece.text,
        facts,
        zone,
    })
}

/// The zone that is always so many hours from UTC.
fn zone_of(offset: i32) -> Option<Zone> {
    match (offset / 3600, offset % 3600) {
        (0, 0) => Some(Zone::UTC),
        (hours, 0) => Zone::named(&format!("Etc/GMT{:+}", -hours)),
        _ => None,
    }
}

struct Cx<'a> {
    bound: &'a [(String, Fact)],
    lifted: bool,
    facts: Vec<Fact>,
    /// The offset that all instants of the expression carry, or none: they are local.
    offset: Option<Option<i32>>,
}

/// A piece of our language and how tightly it holds together.
struct Piece {
    text: String,
    level: u8,
    kind: Kind,
}

const OR: u8 = 1;
const AND: u8 = 3;
const NOT: u8 = 4;
const COMPARISON: u8 = 5;
const SUM: u8 = 7;
const PRODUCT: u8 = 8;
const NEGATION: u8 = 9;
const ATOM: u8 = 10;

impl Piece {
    fn atom(text: impl Into<String>, kind: Kind) -> Self {
        Piece {
            text: text.into(),
            level: ATOM,
            kind,
        }
    }

    fn condition(text: String, level: u8) -> Self {
        Piece {
            text,
            level,
            kind: Kind::Bool,
        }
    }

    /// In parentheses where it would come apart.
    fn at(&self, level: u8) -> String {
        if self.level >= level {
            self.text.clone()
        } else {
            format!("({})", self.text)
        }
    }
}

impl Cx<'_> {
    fn fact(&mut self, fact: Fact) -> String {
        let name = fact.name.clone();
        if !self.facts.contains(&fact) {
            self.facts.push(fact);
        }
        name
    }

    fn literal(&mut self, text: String, kind: Kind, ty: &'static str, value: Value) -> Piece {
        if !self.lifted || kind == Kind::Calendar {
            return Piece::atom(text, kind);
        }
        let name = format!("v{}", self.facts.len() + 1);
        Piece::atom(
            self.fact(Fact {
                name,
                ty,
                value: Some(value),
            }),
            kind,
        )
    }

    /// A tag without a value.
    fn nothing(&mut self, kind: Kind) -> Piece {
        let (name, ty) = match kind {
            Kind::Bool => ("no_bool", "bool"),
            Kind::Number => ("no_number", "number"),
            Kind::Text => ("no_text", "text(9)"),
            Kind::Date => ("no_date", "date"),
            Kind::Time => ("no_time", "time"),
            Kind::Instant => ("no_instant", "instant"),
            Kind::Elapsed | Kind::Calendar => ("no_elapsed", "elapsed"),
        };
        Piece::atom(
            self.fact(Fact {
                name: name.into(),
                ty,
                value: None,
            }),
            kind,
        )
    }

    /// `want` is what a `null` stands for here.
    fn write(&mut self, node: &Node, want: Option<Kind>) -> Result<Piece, Reason> {
        match node {
            Node::Null => Ok(self.nothing(want.unwrap_or(Kind::Number))),
            Node::Bool(b) => Ok(self.literal(b.to_string(), Kind::Bool, "bool", Value::Bool(*b))),
            Node::Number(text) => self.number(text),
            Node::Text(text) => {
                Ok(self.literal(quoted(text), Kind::Text, "text(50)", Value::text(text)))
            }
            Node::Name(name) => {
                let fact = self
                    .bound
                    .iter()
                    .find(|(n, _)| n == name)
                    .map(|(_, f)| f.clone())
                    .ok_or(CONVERSION)?;
                let kind = match fact.ty {
                    "bool" => Kind::Bool,
                    "text(50)" => Kind::Text,
                    _ => Kind::Number,
                };
                Ok(Piece::atom(self.fact(fact), kind))
            }
            Node::List(_) => Err(LISTS),
            Node::Range { .. } => Err(RANGES),
            Node::Test(..) => Err(TESTS),
            Node::Index(..) => Err(INDEX),
            Node::Not(of) => {
                let of = self.write(of, Some(Kind::Bool))?;
                Ok(Piece::condition(format!("not {}", of.at(NOT)), NOT))
            }
            Node::Neg(of) => {
                let of = self.write(of, Some(Kind::Number))?;
                Ok(Piece {
                    text: format!("-{}", of.at(NEGATION)),
                    level: NEGATION,
                    kind: of.kind,
                })
            }
            Node::Binary(op, left, right) => self.binary(*op, left, right),
            Node::In(of, tests) => self.membership(of, tests),
            Node::Between(of, lo, hi) => self.range(of, (lo, true), (hi, true)),
            Node::If(when, then, otherwise) => {
                let when = self.write(when, Some(Kind::Bool))?;
                let then = self.write(then, want)?;
                let otherwise = self.write(otherwise, Some(then.kind))?;
                Ok(Piece::atom(
                    format!("if({}, {}, {})", when.text, then.text, otherwise.text),
                    then.kind,
                ))
            }
            Node::Call(name, args) => {
                self.call(name, &args.iter().map(|(_, arg)| arg).collect::<Vec<_>>())
            }
        }
    }

    fn number(&mut self, text: &str) -> Result<Piece, Reason> {
        let plain = without_exponent(text).ok_or(EXPONENT)?;
        let number: f64 = plain.parse().map_err(|_| EXPONENT)?;
        Ok(match plain.parse::<i64>() {
            Ok(n) if !text.contains(['.', 'e']) => {
                self.literal(plain, Kind::Number, "int", Value::Int(n))
            }
            _ => self.literal(plain, Kind::Number, "number", Value::Number(number)),
        })
    }

    fn is_null(&self, node: &Node) -> bool {
        match node {
            Node::Null => true,
            Node::Name(name) => self
                .bound
                .iter()
                .any(|(n, fact)| n == name && fact.value.is_none()),
            _ => false,
        }
    }

    fn binary(&mut self, op: Op, left: &Node, right: &Node) -> Result<Piece, Reason> {
        let (sign, level) = match op {
            Op::Or => ("or", OR),
            Op::And => ("and", AND),
            Op::Eq => ("==", COMPARISON),
            Op::Ne => ("!=", COMPARISON),
            Op::Lt => ("<", COMPARISON),
            Op::Le => ("<=", COMPARISON),
            Op::Gt => (">", COMPARISON),
            Op::Ge => (">=", COMPARISON),
            Op::Add => ("+", SUM),
            Op::Sub => ("-", SUM),
            Op::Mul => ("*", PRODUCT),
            Op::Div => ("/", PRODUCT),
            Op::Pow => return Err(POWERS),
        };
        // `x == null` asks whether there is a value.
        if matches!(op, Op::Eq | Op::Ne) && (self.is_null(left) || self.is_null(right)) {
            let of = self.write(if self.is_null(right) { left } else { right }, None)?;
            let what = if op == Op::Eq { "missing" } else { "known" };
            return Ok(Piece::condition(
                format!("{} is {what}", of.at(COMPARISON + 1)),
                COMPARISON,
            ));
        }
        if let (Op::Div, Node::Number(a), Node::Number(b)) = (op, left, right)
            && [a, b]
                .iter()
                .all(|n| n.contains('.') && n.parse() == Ok(0.0))
        {
            return Err(NOT_A_NUMBER);
        }
        let want = matches!(op, Op::Or | Op::And).then_some(Kind::Bool);
        // A `null` takes the type of what stands beside it.
        let (l, r) = if self.is_null(left) {
            let r = self.write(right, want)?;
            (self.write(left, want.or(Some(r.kind)))?, r)
        } else {
            let l = self.write(left, want)?;
            let r = self.write(right, want.or(Some(l.kind)))?;
            (l, r)
        };
        if op == Op::Add
            && l.kind == Kind::Text
            && r.kind == Kind::Text
            && !self.is_null(left)
            && !self.is_null(right)
        {
            return Err(JOINING);
        }
        // Both sides of a comparison are sums; the right side of `-` and `/` holds tighter than the
        // left.
        let (l_level, r_level) = if level == COMPARISON {
            (level + 1, level + 1)
        } else {
            (level, level + 1)
        };
        let kind = if level <= COMPARISON {
            Kind::Bool
        } else {
            l.kind
        };
        Ok(Piece {
            text: format!("{} {sign} {}", l.at(l_level), r.at(r_level)),
            level,
            kind,
        })
    }

    /// `of` between two ends; where both belong to it and both are written out, our own range says
    /// it.
    fn range(&mut self, of: &Node, lo: (&Node, bool), hi: (&Node, bool)) -> Result<Piece, Reason> {
        let written = |n: &Node| !matches!(n, Node::Null | Node::Name(_));
        if lo.1 && hi.1 && written(lo.0) && written(hi.0) {
            let (of, lo, hi) = (
                self.write(of, self.kind_of(lo.0)?)?,
                self.write(lo.0, None)?,
                self.write(hi.0, None)?,
            );
            return Ok(Piece::condition(
                format!(
                    "{} in {}..{}",
                    of.at(COMPARISON + 1),
                    lo.at(COMPARISON + 1),
                    hi.at(COMPARISON + 1)
                ),
                COMPARISON,
            ));
        }
        let low = self.binary(if lo.1 { Op::Ge } else { Op::Gt }, of, lo.0)?;
        let high = self.binary(if hi.1 { Op::Le } else { Op::Lt }, of, hi.0)?;
        Ok(Piece::condition(
            format!("{} and {}", low.at(AND), high.at(AND + 1)),
            AND,
        ))
    }

    /// What a node is, without leaving facts behind.
    fn kind_of(&self, node: &Node) -> Result<Option<Kind>, Reason> {
        let mut aside = Cx {
            bound: self.bound,
            lifted: false,
            facts: Vec::new(),
            offset: None,
        };
        aside.write(node, None).map(|p| Some(p.kind))
    }

    fn membership(&mut self, of: &Node, tests: &[Node]) -> Result<Piece, Reason> {
        if let Node::List(_) = of {
            return Err(LISTS);
        }
        let single = |n: &Node| {
            matches!(
                n,
                Node::Number(_) | Node::Text(_) | Node::Bool(_) | Node::Call(..)
            )
        };
        // `x in (1, 5, 9)` is `x in [1, 5, 9]`.
        if tests.len() > 1 && tests.iter().all(single) {
            return self.list(of, tests);
        }
        let mut conditions = Vec::new();
        for test in tests {
            conditions.push(match test {
                Node::List(items) if items.iter().any(|i| matches!(i, Node::List(_))) => {
                    return Err(LISTS);
                }
                Node::List(items) if items.contains(&Node::Null) => return Err(MIXED_LIST),
                Node::List(items) if items.iter().all(single) => self.list(of, items)?,
                Node::List(items) => self.membership(of, items)?,
                Node::Range {
                    lo,
                    hi,
                    lo_in,
                    hi_in,
                } => self.range(of, (lo, *lo_in), (hi, *hi_in))?,
                Node::Test(op, with) => self.binary(*op, of, with)?,
                other => self.binary(Op::Eq, of, other)?,
            });
        }
        let mut conditions = conditions.into_iter();
        let first = conditions.next().ok_or(LISTS)?;
        Ok(conditions.fold(first, |all, next| {
            Piece::condition(format!("{} or {}", all.at(OR), next.at(OR + 1)), OR)
        }))
    }

    fn list(&mut self, of: &Node, items: &[Node]) -> Result<Piece, Reason> {
        let of = self.write(of, None)?;
        // A list of ours holds constants.
        let lifted = std::mem::replace(&mut self.lifted, false);
        let items: Result<Vec<Piece>, Reason> =
            items.iter().map(|item| self.write(item, None)).collect();
        self.lifted = lifted;
        let items: Vec<String> = items?.into_iter().map(|i| i.text).collect();
        Ok(Piece::condition(
            format!("{} in [{}]", of.at(COMPARISON + 1), items.join(", ")),
            COMPARISON,
        ))
    }

    fn call(&mut self, name: &str, args: &[&Node]) -> Result<Piece, Reason> {
        match (name, args) {
            ("string length", [of]) => {
                let of = self.write(of, Some(Kind::Text))?;
                Ok(Piece::atom(format!("length({})", of.text), Kind::Number))
            }
            ("date", [Node::Text(text)]) => self.date(text),
            ("date", [year, month, day]) => match (whole(year), whole(month), whole(day)) {
                (Some(y), Some(m), Some(d)) => {
                    if !(1..=9999).contains(&y) {
                        return Err(YEARS);
                    }
                    if m < 0 || d < 0 {
                        return Err(CONVERSION);
                    }
                    self.date(&format!("{y:04}-{m:02}-{d:02}"))
                }
                _ => Err(CONVERSION),
            },
            ("time", [Node::Text(text)]) => self.time(text),
            ("time", [hour, minute, second, Node::Null]) => {
                match (whole(hour), whole(minute), whole(second)) {
                    (Some(h), Some(m), Some(s)) if h >= 0 && m >= 0 && s >= 0 => {
                        self.time(&format!("{h:02}:{m:02}:{s:02}"))
                    }
                    _ => Err(CONVERSION),
                }
            }
            ("time", [hour, minute, second, _])
                if [hour, minute, second]
                    .into_iter()
                    .all(|n| whole(n).is_some()) =>
            {
                Err(OFFSET_TIME)
            }
            ("date and time", [Node::Text(text)]) => self.instant(text),
            ("date and time", [Node::Call(date, d), Node::Call(time, t)]) => {
                match (date.as_str(), &d[..], time.as_str(), &t[..]) {
                    ("date", [(None, Node::Text(d))], "time", [(None, Node::Text(t))]) => {
                        self.instant(&format!("{d}T{t}"))
                    }
                    _ => Err(CONVERSION),
                }
            }
            ("duration", [Node::Text(text)]) => self.duration(text),
            ("years and months duration", _) => Err(MONTHS_BETWEEN),
            _ => Err(CONVERSION),
        }
    }

    fn date(&mut self, text: &str) -> Result<Piece, Reason> {
        let bare = text.strip_prefix('-').unwrap_or(text);
        let parts: Vec<&str> = bare.split('-').collect();
        let digits = |p: &&str| !p.is_empty() && p.chars().all(|c| c.is_ascii_digit());
        if parts.len() != 3 || !parts.iter().all(digits) {
            return Err(NOT_ONE);
        }
        if text.starts_with('-') || parts[0].len() != 4 {
            return Err(YEARS);
        }
        let value = text.parse().map(Value::Date);
        Ok(match value {
            Ok(value) => self.literal(text.into(), Kind::Date, "date", value),
            // No day of the calendar: our parser is to say so.
            Err(()) => Piece::atom(text, Kind::Date),
        })
    }

    fn time(&mut self, text: &str) -> Result<Piece, Reason> {
        let (local, offset) = without_offset(text);
        if !shaped(local, "99:99:99") {
            let (whole, part) = local.split_once('.').unwrap_or((local, ""));
            return Err(match () {
                () if shaped(whole, "99:99:99")
                    && !part.is_empty()
                    && part.chars().all(|c| c.is_ascii_digit()) =>
                {
                    FRACTIONS
                }
                () if ["9:99:99", "9:99", "99:99"]
                    .iter()
                    .any(|pattern| shaped(local, pattern)) =>
                {
                    LENIENT
                }
                // Not a time of day of any spelling: our parser is to say so.
                () if !local.is_empty()
                    && offset.is_none()
                    && local.chars().all(|c| c.is_ascii_digit() || c == ':') =>
                {
                    return Ok(Piece::atom(local, Kind::Time));
                }
                () => NOT_ONE,
            });
        }
        if offset.is_some() {
            return Err(OFFSET_TIME);
        }
        Ok(match local.parse().map(Value::Time) {
            Ok(value) => self.literal(text.into(), Kind::Time, "time", value),
            Err(()) => Piece::atom(text, Kind::Time),
        })
    }

    fn instant(&mut self, text: &str) -> Result<Piece, Reason> {
        let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
        let (local, offset) = without_offset(time);
        let as_date = Cx {
            bound: &[],
            lifted: false,
            facts: Vec::new(),
            offset: None,
        }
        .date(date)?;
        (Cx {
            bound: &[],
            lifted: false,
            facts: Vec::new(),
            offset: None,
        })
        .time(local)?;
        let offset = match offset {
            None => None,
            Some(text) => Some(seconds_of(text).ok_or(NOT_ONE)?),
        };
        if self.offset.is_some_and(|seen| seen != offset) {
            return Err(OFFSET_MINUTES);
        }
        self.offset = Some(offset);
        let text = format!("{} {local}", as_date.text);
        Ok(self.literal(text.clone(), Kind::Instant, "instant", Value::text(&text)))
    }

    /// `P1DT2H` is elapsed time, `P1Y2M` calendar time; there is no mixture.
    fn duration(&mut self, text: &str) -> Result<Piece, Reason> {
        let (sign, rest) = text
            .strip_prefix('-')
            .map_or(("", text), |rest| ("-", rest));
        let rest = rest
            .strip_prefix('P')
            .filter(|r| !r.is_empty())
            .ok_or(NOT_ONE)?;
        let (days, clock) = rest.split_once('T').unwrap_or((rest, ""));
        let parts = |text: &str| -> Option<Vec<(f64, char)>> {
            let pieces = text.split_inclusive(|c: char| c.is_ascii_alphabetic());
            pieces
                .map(|p| Some((p.get(..p.len() - 1)?.parse().ok()?, p.chars().last()?)))
                .collect()
        };
        let (days, clock) = (parts(days).ok_or(NOT_ONE)?, parts(clock).ok_or(NOT_ONE)?);
        if days.iter().any(|(_, unit)| !"YMD".contains(*unit))
            || clock.iter().any(|(_, unit)| !"HMS".contains(*unit))
        {
            return Err(NOT_ONE);
        }
        let months: f64 = days
            .iter()
            .map(|(n, unit)| {
                n * if *unit == 'Y' {
                    12.0
                } else {
                    f64::from(u8::from(*unit == 'M'))
                }
            })
            .sum();
        if days.iter().any(|(_, unit)| *unit != 'D') {
            return Ok(Piece {
                text: format!("{sign}{months} months"),
                level: NEGATION,
                kind: Kind::Calendar,
            });
        }
        let seconds: f64 = days.iter().map(|(n, _)| n * 86_400.0).sum::<f64>()
            + clock
                .iter()
                .map(|(n, unit)| n * [1.0, 60.0, 3600.0]["SMH".find(*unit).unwrap_or(0)])
                .sum::<f64>();
        let written = match seconds {
            s if s % 3600.0 == 0.0 => format!("{}h", s / 3600.0),
            s if s % 60.0 == 0.0 => format!("{}min", s / 60.0),
            s => format!("{s}s"),
        };
        let value = Value::Elapsed(Elapsed((seconds * 1e6).round() as i64));
        Ok(match sign {
            "" => self.literal(written, Kind::Elapsed, "elapsed", value),
            _ => Piece {
                text: format!("-{written}"),
                level: NEGATION,
                kind: Kind::Elapsed,
            },
        })
    }
}

fn quoted(text: &str) -> String {
    let inside: String = text
        .chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            c if c.is_control() => format!("\\u{{{:x}}}", c as u32),
            c => c.to_string(),
        })
        .collect();
    format!("\"{inside}\"")
}

fn whole(node: &Node) -> Option<i64> {
    match node {
        Node::Number(text) => text.parse().ok(),
        Node::Neg(of) => whole(of).map(|n| -n),
        _ => None,
    }
}

/// `1.23e4` as `12300`.
fn without_exponent(text: &str) -> Option<String> {
    let (digits, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{whole}{part}");
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let plain = match usize::try_from(point) {
        Ok(p) if p >= all.len() => format!("{all}{}", "0".repeat(p - all.len())),
        Ok(0) => format!("0.{all}"),
        Ok(p) => format!("{}.{}", &all[..p], &all[p..]),
        Err(_) => format!("0.{}{all}", "0".repeat(usize::try_from(-point).ok()?)),
    };
    Some(if part.is_empty() || plain.contains('.') {
        plain
    } else {
        format!("{plain}.0")
    })
}

/// A time and the offset after it: `Z`, `+01:00`, `@Europe/Paris`.
fn without_offset(time: &str) -> (&str, Option<&str>) {
    match time.find(['Z', '+', '-', '@']) {
        Some(at) => (&time[..at], Some(&time[at..])),
        None => (time, None),
    }
}

fn seconds_of(offset: &str) -> Option<i32> {
    if offset == "Z" {
        return Some(0);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let rest = offset.get(1..).filter(|r| shaped(r, "99:99"))?;
    let (h, m) = (
        rest.get(..2)?.parse::<i32>().ok()?,
        rest.get(3..)?.parse::<i32>().ok()?,
    );
    Some(sign * (h * 3600 + m * 60))
}

/// Whether a text has digits where the pattern has nines, and the pattern's signs elsewhere.
fn shaped(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(t, p)| {
            if p == b'9' {
                t.is_ascii_digit()
            } else {
                t == p
            }
        })
}
