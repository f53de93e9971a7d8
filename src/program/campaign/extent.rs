//! How long a text can get and how many different texts there can be, from the types alone.
//!
//! What a type bounds is exact: `text(10)` is ten characters, an enum its longest member, `int
//! 0..120` three digits. Numbers and money have no bound that a message could respect, so they are
//! counted at the size that people write ([`NUMBER`], [`MONEY`]); the rare value beyond is stopped
//! when the message is made, with the reason `too_long`.

use std::collections::BTreeSet;

use crate::base::value::Shown;
use crate::base::{Type, Zone};
use crate::diag::Span;
use crate::program::builtins::function::{Arity, ShownLength};
use crate::program::definedness::{Definedness, can_be_missing};
use crate::program::platform::Unit;
use crate::program::typed::{Piece, Program, Text};
use crate::program::typed_expr::{Expr, ExprKind};

/// The longest number that is counted with.
const NUMBER: &str = "-123456789.123456";
/// The longest amount that is counted with; ten digits are also what typed money fields take.
const MONEY: &str = "¥99,999,999.99";
/// Stands for a character that nobody knows; in bytes it counts as [`WIDEST`].
const ANY_CHAR: &str = "字";
/// The most bytes that a Unicode scalar value takes.
const WIDEST: u64 = 4;
/// Longer examples are cut in findings.
const SHOWN_CHARS: usize = 60;

/// What holds where a text is used.
#[derive(Clone, Copy)]
pub(super) struct KnownFacts<'a> {
    pub program: &'a Program,
    /// Has a value in the campaign that uses the text.
    pub present: &'a Definedness,
}

/// The longest text that something can show as.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Longest {
    pub size: u64,
    pub example: String,
}

/// Something has no longest text: a `text` without a length, an address, a set of texts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unbounded {
    pub span: Span,
    pub ty: Type,
}

impl Longest {
    fn of(text: &str, unit: Unit) -> Self {
        Longest {
            size: unit.of(text),
            example: text.to_string(),
        }
    }

    fn chars(n: u64, unit: Unit) -> Self {
        let size = match unit {
            Unit::Chars => n,
            Unit::Bytes => n.saturating_mul(WIDEST),
        };
        let shown = usize::try_from(n)
            .unwrap_or(usize::MAX)
            .min(SHOWN_CHARS + 1);
        Longest {
            size,
            example: ANY_CHAR.repeat(shown),
        }
    }

    fn or(self, other: Longest) -> Longest {
        if other.size > self.size { other } else { self }
    }

    /// Both, one after the other.
    pub fn then(mut self, other: &Longest) -> Longest {
        self.size = self.size.saturating_add(other.size);
        if self.example.chars().count() <= SHOWN_CHARS {
            self.example.push_str(&other.example);
        }
        self
    }

    /// The example, cut to what a finding has room for, on one line.
    pub fn shown(&self) -> String {
        let line: String = self
            .example
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if line.chars().count() <= SHOWN_CHARS {
            line
        } else {
            line.chars().take(SHOWN_CHARS).chain(['…']).collect()
        }
    }
}

// ------------------------------------------------------------------ length

/// The longest a whole text can be.
pub(super) fn longest_text(
    known: KnownFacts<'_>,
    text: &Text,
    unit: Unit,
) -> Result<Longest, Unbounded> {
    let mut whole = Longest::of("", unit);
    for piece in &text.pieces {
        let part = match piece {
            Piece::Text(t) => Longest::of(t, unit),
            Piece::Hole(e) => longest(known, e, unit)?,
        };
        whole = whole.then(&part);
    }
    Ok(whole)
}

/// The longest that `e` can be when it is shown.
pub(super) fn longest(known: KnownFacts<'_>, e: &Expr, unit: Unit) -> Result<Longest, Unbounded> {
    match &e.kind {
        ExprKind::Const(value) => Ok(Longest::of(
            &Shown {
                value,
                ty: &e.ty,
                zone: Zone::UTC,
            }
            .to_string(),
            unit,
        )),
        ExprKind::Coalesce(a, _) if can_be_missing(known.program, a, known.present).is_empty() => {
            longest(known, a, unit)
        }
        ExprKind::Coalesce(a, b)
        | ExprKind::If {
            then: a,
            otherwise: b,
            ..
        } => Ok(longest(known, a, unit)?.or(longest(known, b, unit)?)),
        ExprKind::MemberName(member) => longest(known, member, unit),
        ExprKind::Call { function, args } => match function.facts.length {
            ShownLength::OfType => by_type(e, unit),
            ShownLength::OfArgument { growth } => match args.first() {
                Some(arg) => longest(known, arg, unit).map(|l| match unit {
                    Unit::Chars if l.example.is_ascii() => l,
                    Unit::Chars => Longest {
                        size: l.size.saturating_mul(growth),
                        ..l
                    },
                    Unit::Bytes => l,
                }),
                None => by_type(e, unit),
            },
            ShownLength::OfLongestArgument => {
                let mut best: Option<Longest> = None;
                for arg in args {
                    let next = longest(known, arg, unit)?;
                    best = Some(match best {
                        Some(b) => b.or(next),
                        None => next,
                    });
                }
                best.map_or_else(|| by_type(e, unit), Ok)
            }
        },
        _ => by_type(e, unit),
    }
}

fn by_type(e: &Expr, unit: Unit) -> Result<Longest, Unbounded> {
    type_longest(&e.ty, unit).ok_or_else(|| Unbounded {
        span: e.span,
        ty: e.ty.clone(),
    })
}

fn type_longest(ty: &Type, unit: Unit) -> Option<Longest> {
    let text = |t: &str| Some(Longest::of(t, unit));
    match ty {
        Type::Bool => text("false"),
        Type::Int { lo, hi } => {
            let (lo, hi) = (
                lo.unwrap_or(i64::MIN).to_string(),
                hi.unwrap_or(i64::MAX).to_string(),
            );
            text(if lo.len() > hi.len() { &lo } else { &hi })
        }
        Type::Number => text(NUMBER),
        Type::Ratio => text("99.999999%"),
        Type::Money => text(MONEY),
        Type::Text { max } => max.map(|n| Longest::chars(u64::from(n), unit)),
        Type::Enum(of) => Some(
            of.members
                .iter()
                .map(|m| Longest::of(m, unit))
                .fold(Longest::of("", unit), Longest::or),
        ),
        Type::Set(of) => match &**of {
            Type::Enum(of) => text(&of.members.join(", ")),
            _ => None,
        },
        Type::Date => text("2026-12-31"),
        Type::Time => text("23:59:59"),
        Type::Instant => text("2026-12-31 23:59:59"),
        Type::Elapsed => text("123456789.123456s"),
        Type::Calendar => text("1234 months 1234 days"),
        Type::Distance => text("20015.11km"),
        Type::Place => text("(-12.3456789012345, -123.456789012345)"),
        Type::Address(_) => None,
    }
}

// ------------------------------------------------------------------ how many

/// How many different texts some holes can make together; the span of the first that is unbounded
/// otherwise.
///
/// Each hole alone multiplies; so does each thing that the holes are made of. The smaller product
/// is right: `{region}` twice is not the square, and `{if(age > 30, 'a', 'b')}` makes two texts and
/// not one for each age.
pub(super) fn how_many<'e>(known: KnownFacts<'_>, holes: &[&'e Expr]) -> Result<u64, &'e Expr> {
    let mut by_hole: Result<u64, &Expr> = Ok(1);
    for hole in holes {
        let n = values(known, hole);
        by_hole = by_hole.and_then(|product| n.map(|n| product.saturating_mul(n)).ok_or(*hole));
    }
    let mut atoms: Vec<&Expr> = Vec::new();
    for hole in holes {
        hole.each(&mut |e| {
            if is_atom(e) && !atoms.iter().any(|a| a.kind == e.kind) {
                atoms.push(e);
            }
        });
    }
    let by_atom = atoms.iter().try_fold(1u64, |product, atom| {
        // A thing that can be missing has one state more.
        let missing = u64::from(!can_be_missing(known.program, atom, known.present).is_empty());
        Some(product.saturating_mul(values(known, atom)?.saturating_add(missing)))
    });
    match (by_hole, by_atom) {
        (Ok(a), Some(b)) => Ok(a.min(b)),
        (Ok(n), None) | (Err(_), Some(n)) => Ok(n),
        (Err(hole), None) => Err(hole),
    }
}

fn is_atom(e: &Expr) -> bool {
    matches!(
        e.kind,
        ExprKind::Tag(_)
            | ExprKind::Partition(_)
            | ExprKind::TriggerField(_)
            | ExprKind::LookupField { .. }
            | ExprKind::Event(_)
            | ExprKind::Audience(_)
            | ExprKind::List(_)
            | ExprKind::StepOutcome { .. }
    )
}

/// The smaller of two bounds, where both are known.
fn fewer(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// How many different values `e` can have, if the types bound it. Missing is not one.
fn values(known: KnownFacts<'_>, e: &Expr) -> Option<u64> {
    match &e.kind {
        ExprKind::Const(_) => Some(1),
        ExprKind::Coalesce(a, _) if can_be_missing(known.program, a, known.present).is_empty() => {
            values(known, a)
        }
        ExprKind::Coalesce(a, b)
        | ExprKind::If {
            then: a,
            otherwise: b,
            ..
        } => Some(values(known, a)?.saturating_add(values(known, b)?)),
        ExprKind::ToNumber(a) | ExprKind::MemberName(a) => values(known, a),
        // A function gives at most one value for each of its argument.
        ExprKind::Call { function, args } if function.arity == Arity::One => {
            fewer(values(known, args.first()?), type_values(&e.ty))
        }
        ExprKind::LookupField { keys, .. } => {
            let by_key = keys.iter().try_fold(1u64, |product, k| {
                Some(product.saturating_mul(values(known, k)?))
            });
            fewer(by_key, type_values(&e.ty))
        }
        _ => type_values(&e.ty),
    }
}

fn type_values(ty: &Type) -> Option<u64> {
    match ty {
        Type::Bool => Some(2),
        Type::Enum(of) => Some(of.members.len() as u64),
        Type::Int { lo, hi } => hi
            .zip(*lo)
            .map(|(hi, lo)| hi.abs_diff(lo).saturating_add(1)),
        Type::Set(of) => match &**of {
            Type::Enum(of) => Some(
                1u64.checked_shl(u32::try_from(of.members.len()).unwrap_or(u32::MAX))
                    .unwrap_or(u64::MAX),
            ),
            _ => None,
        },
        Type::Number
        | Type::Ratio
        | Type::Money
        | Type::Text { .. }
        | Type::Date
        | Type::Time
        | Type::Instant
        | Type::Elapsed
        | Type::Calendar
        | Type::Distance
        | Type::Place
        | Type::Address(_) => None,
    }
}

/// All holes of some texts.
pub(super) fn holes<'t>(texts: impl IntoIterator<Item = &'t Text>) -> Vec<&'t Expr> {
    let hole = |p: &'t Piece| match p {
        Piece::Hole(e) => Some(e),
        Piece::Text(_) => None,
    };
    texts
        .into_iter()
        .flat_map(|t| &t.pieces)
        .filter_map(hole)
        .collect()
}

/// The sources of a list of holes are few; this names those that make the number large, once each.
pub(super) fn named_sources(program: &Program, holes: &[&Expr]) -> String {
    let mut names = BTreeSet::new();
    for hole in holes {
        hole.each(&mut |e| {
            if let ExprKind::Tag(id) = e.kind {
                names.insert(program.schema.tag(id).name.clone());
            }
        });
    }
    names
        .into_iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::{EnumType, FileId, TagId, Value};

    fn expr(ty: Type, kind: ExprKind) -> Expr {
        Expr {
            ty,
            span: Span::new(FileId(0), 0, 0),
            optional: true,
            kind,
        }
    }
    fn tag(n: u32, ty: Type) -> Expr {
        expr(ty, ExprKind::Tag(TagId(n)))
    }
    fn region() -> Type {
        Type::Enum(Arc::new(EnumType {
            members: vec!["Shanghai".into(), "北京市".into()],
        }))
    }
    fn text(s: &str) -> Expr {
        expr(Type::TEXT, ExprKind::Const(Value::text(s)))
    }
    fn size(e: &Expr, unit: Unit) -> Option<u64> {
        let (program, present) = (Program::default(), Definedness::default());
        longest(
            KnownFacts {
                program: &program,
                present: &present,
            },
            e,
            unit,
        )
        .ok()
        .map(|l| l.size)
    }
    fn count(holes: &[&Expr]) -> Option<u64> {
        let (program, present) = (Program::default(), Definedness::default());
        how_many(
            KnownFacts {
                program: &program,
                present: &present,
            },
            holes,
        )
        .ok()
    }

    #[test]
    fn lengths_come_from_types() {
        assert_eq!(
            size(&tag(0, Type::Text { max: Some(10) }), Unit::Chars),
            Some(10)
        );
        assert_eq!(
            size(&tag(0, Type::Text { max: Some(10) }), Unit::Bytes),
            Some(40)
        );
        assert_eq!(size(&tag(0, Type::TEXT), Unit::Chars), None);
        // The longest member depends on the unit.
        assert_eq!(size(&tag(0, region()), Unit::Chars), Some(8));
        assert_eq!(size(&tag(0, region()), Unit::Bytes), Some(9));
        assert_eq!(
            size(
                &tag(
                    0,
                    Type::Int {
                        lo: Some(-5),
                        hi: Some(120)
                    }
                ),
                Unit::Chars
            ),
            Some(3)
        );
        assert_eq!(
            size(
                &tag(
                    0,
                    Type::Int {
                        lo: Some(-500),
                        hi: Some(120)
                    }
                ),
                Unit::Chars
            ),
            Some(4)
        );
        assert_eq!(size(&text("上海"), Unit::Bytes), Some(6));
    }

    #[test]
    fn the_same_hole_twice_is_not_a_square() {
        let known = expr(
            Type::TEXT,
            ExprKind::Coalesce(Box::new(tag(0, region())), Box::new(text("您"))),
        );
        let other = expr(
            Type::TEXT,
            ExprKind::Coalesce(Box::new(tag(0, region())), Box::new(text("城市"))),
        );
        assert!(count(&[&known, &other]) <= Some(3));
        assert_eq!(
            count(&[&tag(0, region()), &tag(1, Type::Bool)]).map(|n| n >= 4),
            Some(true)
        );
        assert_eq!(count(&[&tag(0, Type::Text { max: Some(10) })]), None);
        assert_eq!(count(&[]), Some(1));
    }
}
