//! All users: blocks of 4,096, each condition as two masks of 64-bit words, *true* and *known*; Kleene's operators on words.
//!
//! Atoms over one stored column and constants run as loops over the column; all others ask the point evaluator, user by user. A part of an
//! `and` or `or` is asked only in blocks that the parts before it have left open.

use rayon::prelude::*;

use super::bind::BoundColumn;
use super::point::Point;
use super::{Audience, Bound, Scope};
use crate::base::{Bitmap, Instant, UserNo, Value};
use crate::plan::{Atom, Plan};
use crate::program::expr::{CompareOp, ExprKind, SetMode};
use crate::store::ColumnData;

/// Users in a block.
pub const BLOCK: usize = 4096;
const WORDS: usize = BLOCK / 64;

/// The answers for one block: bit `i` of word `w` is user `64 w + i` of the block. `yes` is within `known`.
#[derive(Clone, Copy)]
struct Mask {
    yes: [u64; WORDS],
    known: [u64; WORDS],
}

impl Mask {
    const fn all(b: bool) -> Self {
        Mask { yes: [if b { u64::MAX } else { 0 }; WORDS], known: [u64::MAX; WORDS] }
    }

    fn no(&self, w: usize) -> u64 {
        self.known[w] & !self.yes[w]
    }

    fn and(&mut self, other: &Mask) {
        for w in 0..WORDS {
            let (yes, no) = (self.yes[w] & other.yes[w], self.no(w) | other.no(w));
            self.yes[w] = yes;
            self.known[w] = yes | no;
        }
    }

    fn or(&mut self, other: &Mask) {
        for w in 0..WORDS {
            let (yes, no) = (self.yes[w] | other.yes[w], self.no(w) & other.no(w));
            self.yes[w] = yes;
            self.known[w] = yes | no;
        }
    }

    fn not(&mut self) {
        for w in 0..WORDS {
            self.yes[w] = self.no(w);
        }
    }

    /// Whether everyone's answer is `b`, so that no further part can change it.
    fn is_all(&self, b: bool) -> bool {
        if b { self.yes.iter().all(|w| *w == u64::MAX) } else { (0..WORDS).all(|w| self.no(w) == u64::MAX) }
    }
}

/// Evaluates a plan for every user, on all cores.
pub fn audience(scope: &Scope, bound: &Bound, plan: &Plan) -> Audience {
    let users = scope.snapshot.user_count();
    let atoms = Prepared::of(plan, scope, bound);
    let blocks = users.div_ceil(BLOCK);
    let masks: Vec<Mask> = (0..blocks).into_par_iter().map(|block| atoms.mask(scope, bound, block * BLOCK, users)).collect();
    let words = |pick: fn(&Mask) -> &[u64; WORDS]| Bitmap::from_words(masks.iter().flat_map(|m| pick(m).iter().copied()).collect(), users);
    Audience { yes: words(|m| &m.yes), known: words(|m| &m.known) }
}

/// A plan with each atom's column loop chosen once.
enum Prepared<'a> {
    Always(bool),
    Not(Box<Prepared<'a>>),
    All(Vec<Prepared<'a>>),
    Any(Vec<Prepared<'a>>),
    Except(Box<Prepared<'a>>, Box<Prepared<'a>>),
    Column(ColumnAtom<'a>),
    Point(&'a Atom),
}

impl<'a> Prepared<'a> {
    fn of(plan: &'a Plan, scope: &'a Scope<'a>, bound: &'a Bound<'a>) -> Self {
        let many = |parts: &'a [Plan]| parts.iter().map(|p| Self::of(p, scope, bound)).collect();
        match plan {
            Plan::Always(b) => Prepared::Always(*b),
            Plan::Not(of) => Prepared::Not(Box::new(Self::of(of, scope, bound))),
            Plan::All(parts) => Prepared::All(many(parts)),
            Plan::Any(parts) => Prepared::Any(many(parts)),
            Plan::Except(a, b) => Prepared::Except(Box::new(Self::of(a, scope, bound)), Box::new(Self::of(b, scope, bound))),
            Plan::Atom(atom) => ColumnAtom::of(atom, scope, bound).map_or(Prepared::Point(atom), Prepared::Column),
        }
    }

    fn mask(&self, scope: &Scope, bound: &Bound, start: usize, users: usize) -> Mask {
        match self {
            Prepared::Always(b) => Mask::all(*b),
            Prepared::Not(of) => {
                let mut mask = of.mask(scope, bound, start, users);
                mask.not();
                mask
            }
            Prepared::All(parts) => {
                let mut mask = Mask::all(true);
                for part in parts {
                    if mask.is_all(false) {
                        break;
                    }
                    mask.and(&part.mask(scope, bound, start, users));
                }
                mask
            }
            Prepared::Any(parts) => {
                let mut mask = Mask::all(false);
                for part in parts {
                    if mask.is_all(true) {
                        break;
                    }
                    mask.or(&part.mask(scope, bound, start, users));
                }
                mask
            }
            Prepared::Except(a, b) => {
                let mut mask = a.mask(scope, bound, start, users);
                if !mask.is_all(false) {
                    // Left out only where the right side is true; elsewhere it counts as decided.
                    let mut left_out = b.mask(scope, bound, start, users);
                    left_out.known = [u64::MAX; WORDS];
                    left_out.not();
                    mask.and(&left_out);
                }
                mask
            }
            Prepared::Column(atom) => atom.mask(start, users),
            Prepared::Point(atom) => {
                let mut mask = Mask { yes: [0; WORDS], known: [0; WORDS] };
                for i in 0..BLOCK.min(users - start) {
                    let point = Point::new(scope, bound, UserNo((start + i) as u32));
                    if let Some(answer) = point.truth(&atom.expr) {
                        mask.known[i / 64] |= 1 << (i % 64);
                        mask.yes[i / 64] |= u64::from(answer) << (i % 64);
                    }
                }
                mask
            }
        }
    }
}

/// A question about one stored column that a loop can answer.
struct ColumnAtom<'a> {
    column: &'a BoundColumn<'a>,
    test: Test,
}

enum Test {
    /// The value itself, of a bool tag.
    IsTrue,
    Missing,
    Known,
    /// Whole numbers, dates, times, instants, money: between two bounds, both included; `negated` turns it round.
    Between {
        lo: i64,
        hi: i64,
        negated: bool,
    },
    Ratio {
        op: CompareOp,
        than: f32,
    },
    Float {
        op: CompareOp,
        than: f64,
    },
    /// One flag a stored enum code.
    Codes(Vec<bool>),
    /// Bits of a set; all of them or any.
    Bits {
        bits: u64,
        all: bool,
    },
}

impl<'a> ColumnAtom<'a> {
    fn of(atom: &Atom, scope: &Scope<'a>, bound: &'a Bound<'a>) -> Option<Self> {
        use ExprKind as K;
        let column = |e: &crate::program::expr::Expr| match &e.kind {
            K::Tag(id) if scope.program.tags.get(id.index()).is_some_and(|t| t.derived.is_none()) => bound.tag(*id),
            _ => None,
        };
        let (column, test) = match &atom.expr.kind {
            K::Tag(_) => (column(&atom.expr)?, Test::IsTrue),
            K::IsMissing(of) => (column(of)?, Test::Missing),
            K::IsKnown(of) => (column(of)?, Test::Known),
            K::Compare { op, left, right } => {
                let (K::Tag(_), K::Const(value)) = (&left.kind, &right.kind) else { return None };
                let column = column(left)?;
                (column, Test::compare(column, *op, value)?)
            }
            K::InRange { of, lo, hi } => {
                let (K::Const(lo), K::Const(hi)) = (&lo.kind, &hi.kind) else { return None };
                let column = column(of)?;
                if !is_whole(&column.column.data) {
                    return None;
                }
                (column, Test::Between { lo: whole(lo)?, hi: whole(hi)?, negated: false })
            }
            K::InList { of, list } => {
                let column = column(of)?;
                (column, Test::codes(column, |code| list.contains(&Value::Enum(code)))?)
            }
            K::InWindow { of, window, yearly: false } => {
                let column = column(of)?;
                let zone = scope.program.policy.zone;
                let (lo, hi) = match &column.column.data {
                    ColumnData::Date(_) => {
                        let (from, to) = window.dates(zone.date(scope.now));
                        (i64::from(from.0), i64::from(to.0))
                    }
                    ColumnData::Instant(_) => {
                        let (Instant(from), Instant(to)) = window.instants(scope.now, zone);
                        (from, to)
                    }
                    _ => return None,
                };
                (column, Test::Between { lo, hi, negated: false })
            }
            K::SetContains { set, mode, items } => {
                let column = column(set)?;
                // Translated codes are left to the point evaluator: they are rare.
                if !matches!(column.column.data, ColumnData::Bits(_)) || column.codes.is_some() {
                    return None;
                }
                let mut bits = 0u64;
                for item in items {
                    let Value::Enum(code) = item else { return None };
                    bits |= 1u64.checked_shl(u32::from(*code))?;
                }
                (column, Test::Bits { bits, all: *mode == SetMode::All })
            }
            _ => return None,
        };
        Some(ColumnAtom { column, test })
    }

    fn mask(&self, start: usize, users: usize) -> Mask {
        let column = self.column.column;
        let count = BLOCK.min(users - start);
        let rows = column.len().saturating_sub(start).min(count);
        // Of rows that the column does not have, nothing is known.
        let mut known = [0u64; WORDS];
        let nulls = column.data.nulls();
        for (w, word) in known.iter_mut().enumerate() {
            let from = w * 64;
            if from >= rows {
                break;
            }
            let bits = (rows - from).min(64);
            let mut here = if bits == 64 { u64::MAX } else { (1u64 << bits) - 1 };
            if let Some(nulls) = nulls {
                let chunk = nulls.inner().slice(start + from, bits);
                let mut valid = 0u64;
                for (i, b) in chunk.iter().enumerate() {
                    valid |= u64::from(b) << i;
                }
                here &= valid;
            }
            if self.column.fresh_from.is_some() {
                for i in 0..bits {
                    if !self.column.is_fresh(start + from + i) {
                        here &= !(1u64 << i);
                    }
                }
            }
            *word = here;
        }
        let everyone = Mask::all(true).known;
        let mask = match &self.test {
            Test::Missing => return Mask { yes: known.map(|w| !w), known: everyone },
            Test::Known => return Mask { yes: known, known: everyone },
            Test::IsTrue => match &column.data {
                ColumnData::Bool(a) => fill(rows, |i| a.value(start + i)),
                _ => return Mask { yes: [0; WORDS], known: [0; WORDS] },
            },
            Test::Between { lo, hi, negated } => {
                let (lo, hi, negated) = (*lo, *hi, *negated);
                let inside = |v: i64| (lo <= v && v <= hi) != negated;
                match &column.data {
                    ColumnData::Int8(a) => words(&a.values()[start..start + rows], |v| inside(i64::from(v))),
                    ColumnData::Int16(a) => words(&a.values()[start..start + rows], |v| inside(i64::from(v))),
                    ColumnData::Int32(a) => words(&a.values()[start..start + rows], |v| inside(i64::from(v))),
                    ColumnData::Int64(a) => words(&a.values()[start..start + rows], inside),
                    ColumnData::Date(a) => words(&a.values()[start..start + rows], |v| inside(i64::from(v))),
                    ColumnData::Time(a) => words(&a.values()[start..start + rows], |v| inside(i64::from(v))),
                    ColumnData::Instant(a) => words(&a.values()[start..start + rows], inside),
                    _ => return Mask { yes: [0; WORDS], known: [0; WORDS] },
                }
            }
            Test::Ratio { op, than } => match &column.data {
                ColumnData::Ratio(a) => floats(&a.values()[start..start + rows], *op, *than),
                _ => return Mask { yes: [0; WORDS], known: [0; WORDS] },
            },
            Test::Float { op, than } => match &column.data {
                ColumnData::Float(a) => floats(&a.values()[start..start + rows], *op, *than),
                _ => return Mask { yes: [0; WORDS], known: [0; WORDS] },
            },
            Test::Codes(flags) => {
                let flag = |code: usize| flags.get(code).copied().unwrap_or(false);
                match &column.data {
                    ColumnData::Code8(a) => words(&a.values()[start..start + rows], |v| flag(usize::from(v))),
                    ColumnData::Code16(a) => words(&a.values()[start..start + rows], |v| flag(usize::from(v))),
                    _ => return Mask { yes: [0; WORDS], known: [0; WORDS] },
                }
            }
            Test::Bits { bits, all } => {
                let bits = *bits;
                match (&column.data, all) {
                    (ColumnData::Bits(a), true) => words(&a.values()[start..start + rows], |v| v & bits == bits),
                    (ColumnData::Bits(a), false) => words(&a.values()[start..start + rows], |v| v & bits != 0),
                    _ => return Mask { yes: [0; WORDS], known: [0; WORDS] },
                }
            }
        };
        let mut yes = mask;
        yes.iter_mut().zip(&known).for_each(|(y, k)| *y &= k);
        Mask { yes, known }
    }
}

/// One bit a value, a word at a time; the inner loop has no branch, so that the compiler can make it wide.
fn words<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> [u64; WORDS] {
    let mut out = [0u64; WORDS];
    for (word, chunk) in out.iter_mut().zip(values.chunks(64)) {
        *word = chunk.iter().enumerate().fold(0, |bits, (i, v)| bits | u64::from(holds(*v)) << i);
    }
    out
}

fn fill(rows: usize, holds: impl Fn(usize) -> bool) -> [u64; WORDS] {
    let mut out = [0u64; WORDS];
    for i in 0..rows {
        out[i / 64] |= u64::from(holds(i)) << (i % 64);
    }
    out
}

fn floats<T: Copy + PartialOrd>(values: &[T], op: CompareOp, than: T) -> [u64; WORDS] {
    match op {
        CompareOp::Eq => words(values, |v| v == than),
        CompareOp::Ne => words(values, |v| v != than),
        CompareOp::Lt => words(values, |v| v < than),
        CompareOp::Le => words(values, |v| v <= than),
        CompareOp::Gt => words(values, |v| v > than),
        CompareOp::Ge => words(values, |v| v >= than),
    }
}

impl Test {
    fn compare(column: &BoundColumn, op: CompareOp, value: &Value) -> Option<Test> {
        match (&column.column.data, value) {
            (ColumnData::Ratio(_), Value::Ratio(than)) => Some(Test::Ratio { op, than: *than }),
            (ColumnData::Float(_), Value::Number(than) | Value::Distance(than)) => Some(Test::Float { op, than: *than }),
            (ColumnData::Code8(_) | ColumnData::Code16(_), Value::Enum(code)) => match op {
                CompareOp::Eq => Test::codes(column, |c| c == *code),
                CompareOp::Ne => Test::codes(column, |c| c != *code),
                _ => None,
            },
            (data, value) if is_whole(data) => {
                let v = whole(value)?;
                let (lo, hi, negated) = match op {
                    CompareOp::Eq => (v, v, false),
                    CompareOp::Ne => (v, v, true),
                    CompareOp::Lt => (v, i64::MAX, true),
                    CompareOp::Ge => (v, i64::MAX, false),
                    CompareOp::Le => (i64::MIN, v, false),
                    CompareOp::Gt => (i64::MIN, v, true),
                };
                Some(Test::Between { lo, hi, negated })
            }
            _ => None,
        }
    }

    /// A flag for each stored code. A member that the program does not declare is missing, so such columns are left to the point evaluator.
    fn codes(column: &BoundColumn, holds: impl Fn(u16) -> bool) -> Option<Test> {
        if !matches!(column.column.data, ColumnData::Code8(_) | ColumnData::Code16(_)) {
            return None;
        }
        match &column.codes {
            None => Some(Test::Codes((0..=u16::MAX).take(column_members(column)).map(holds).collect())),
            Some(codes) => codes.iter().map(|c| c.map(&holds)).collect::<Option<Vec<bool>>>().map(Test::Codes),
        }
    }
}

fn column_members(column: &BoundColumn) -> usize {
    match &column.column.ty {
        crate::base::Type::Enum(e) => e.members.len(),
        _ => 0,
    }
}

fn is_whole(data: &ColumnData) -> bool {
    matches!(
        data,
        ColumnData::Int8(_)
            | ColumnData::Int16(_)
            | ColumnData::Int32(_)
            | ColumnData::Int64(_)
            | ColumnData::Date(_)
            | ColumnData::Time(_)
            | ColumnData::Instant(_)
    )
}

/// The whole number that a column stores for a value.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Int(i) | Value::Money(i) => Some(*i),
        Value::Date(d) => Some(i64::from(d.0)),
        Value::Time(t) => Some(i64::from(t.0)),
        Value::Instant(i) => Some(i.0),
        Value::Elapsed(e) => Some(e.0),
        _ => None,
    }
}
