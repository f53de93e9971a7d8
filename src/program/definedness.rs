//! What is certainly there: which expressions can be missing, and what a condition proves where it
//! is true.
//!
//! `Expr::optional` is a promise that evaluators build on: where it is false, the value is always
//! there. So overflow counts: `a + b` of two unbounded numbers can be missing.

use std::collections::{BTreeMap, BTreeSet};

use super::typed::Program;
use super::typed_expr::{Aggregate, ArithOp, EventSource, Expr, ExprKind, OwnEvent};
use crate::base::{AudienceId, LookupId, PartitionId, TagId, Type, Value};

/// What is proved to have a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definedness {
    pub tags: BTreeSet<TagId>,
    pub partitions: BTreeSet<PartitionId>,
    /// Fields of the campaign's trigger event.
    pub trigger_fields: BTreeSet<u16>,
}

/// Why an expression can be missing or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UndefinedCause {
    Tag(TagId),
    Partition(PartitionId),
    TriggerField(u16),
    RowField(u16),
    Lookup(LookupId, u16),
    /// An aggregate over no events, or over receipts that are not known.
    Events,
    /// The outcome of a step that is not known.
    StepOutcome,
    /// Overflow or division by zero.
    Arithmetic,
}

impl Definedness {
    /// Adds what must be there where `condition` is true.
    pub fn assume(&mut self, program: &Program, condition: &Expr) {
        *self = std::mem::take(self).and(
            Proof {
                program,
                audiences: BTreeMap::new(),
            }
            .proves(condition, Outcome::True),
        );
    }

    /// Adds what the `where` of the trigger proves: `filter` is over [`ExprKind::RowField`], and
    /// the row is the trigger event.
    pub fn assume_trigger(&mut self, program: &Program, filter: &Expr) {
        let mut proof = Proof {
            program,
            audiences: BTreeMap::new(),
        };
        let row = proof.proves(filter, Outcome::True);
        self.trigger_fields.extend(row.trigger_fields);
    }

    fn and(mut self, other: Definedness) -> Definedness {
        self.tags.extend(other.tags);
        self.partitions.extend(other.partitions);
        self.trigger_fields.extend(other.trigger_fields);
        self
    }

    fn or(self, other: &Definedness) -> Definedness {
        Definedness {
            tags: self.tags.intersection(&other.tags).copied().collect(),
            partitions: self
                .partitions
                .intersection(&other.partitions)
                .copied()
                .collect(),
            trigger_fields: self
                .trigger_fields
                .intersection(&other.trigger_fields)
                .copied()
                .collect(),
        }
    }

    fn is_empty(&self) -> bool {
        self.tags.is_empty() && self.partitions.is_empty() && self.trigger_fields.is_empty()
    }
}

// ------------------------------------------------------------------ what a condition proves

/// What is known of an expression when we ask what follows from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    True,
    False,
    /// Not missing; of a condition: not unknown.
    Known,
}

struct Proof<'p> {
    program: &'p Program,
    /// An audience that is named twice is looked through once.
    audiences: BTreeMap<(AudienceId, Outcome), Definedness>,
}

impl Proof<'_> {
    /// What must have a value if `e` turns out so.
    fn proves(&mut self, e: &Expr, outcome: Outcome) -> Definedness {
        let none = Definedness::default();
        match &e.kind {
            ExprKind::Tag(id) => self.tag(*id, outcome),
            ExprKind::Partition(id) => Definedness {
                partitions: BTreeSet::from([*id]),
                ..none
            },
            ExprKind::TriggerField(field) | ExprKind::RowField(field) => Definedness {
                trigger_fields: BTreeSet::from([*field]),
                ..none
            },
            ExprKind::Const(_)
            | ExprKind::Everyone
            | ExprKind::List(_)
            | ExprKind::StepOutcome { .. }
            | ExprKind::Event(_) => none,
            ExprKind::LookupField { keys, .. } => self.all(keys),
            ExprKind::Audience(id) => {
                if let Some(seen) = self.audiences.get(&(*id, outcome)) {
                    return seen.clone();
                }
                let Some(audience) = self.program.audiences.get(id.index()) else {
                    return none;
                };
                let found = self.proves(&audience.when, outcome);
                self.audiences.insert((*id, outcome), found.clone());
                found
            }
            ExprKind::Not(of) => self.proves(
                of,
                match outcome {
                    Outcome::True => Outcome::False,
                    Outcome::False => Outcome::True,
                    Outcome::Known => Outcome::Known,
                },
            ),
            ExprKind::And(a, b) => self.connective(a, b, outcome, Outcome::True),
            ExprKind::Or(a, b) => self.connective(a, b, outcome, Outcome::False),
            ExprKind::Except(a, b) => match outcome {
                Outcome::True => self.proves(a, Outcome::True),
                // False where the left is false, or where the right is true.
                Outcome::False | Outcome::Known => {
                    let left = self.proves(a, outcome);
                    if left.is_empty() {
                        left
                    } else {
                        left.or(&self.proves(b, Outcome::True))
                    }
                }
            },
            ExprKind::IsKnown(of) => {
                if outcome == Outcome::True {
                    self.proves(of, Outcome::Known)
                } else {
                    none
                }
            }
            ExprKind::IsMissing(of) => {
                if outcome == Outcome::False {
                    self.proves(of, Outcome::Known)
                } else {
                    none
                }
            }
            ExprKind::Compare { left, right, .. } | ExprKind::Arith { left, right, .. } => {
                self.all([&**left, &**right])
            }
            ExprKind::TextContains { of, what } | ExprKind::StartsWith { of, what } => {
                self.all([&**of, &**what])
            }
            ExprKind::InRange { of, lo, hi } => self.all([&**of, &**lo, &**hi]),
            ExprKind::InList { of, .. }
            | ExprKind::InWindow { of, .. }
            | ExprKind::SetContains { set: of, .. }
            | ExprKind::Neg(of)
            | ExprKind::ToNumber(of)
            | ExprKind::MemberName(of) => self.proves(of, Outcome::Known),
            ExprKind::Coalesce(a, b) => {
                let left = self.proves(a, Outcome::Known);
                if left.is_empty() {
                    left
                } else {
                    left.or(&self.proves(b, Outcome::Known))
                }
            }
            ExprKind::If {
                when,
                then,
                otherwise,
            } => {
                let branches = self
                    .proves(then, Outcome::Known)
                    .or(&self.proves(otherwise, Outcome::Known));
                self.proves(when, Outcome::Known).and(branches)
            }
            ExprKind::Call { args, .. } => self.all(args),
        }
    }

    /// `and` for `both` = true, `or` for `both` = false: the outcome `both` needs it of both sides,
    /// the other of one.
    fn connective(&mut self, a: &Expr, b: &Expr, outcome: Outcome, both: Outcome) -> Definedness {
        let other = if both == Outcome::True {
            Outcome::False
        } else {
            Outcome::True
        };
        if outcome == both {
            return self.proves(a, both).and(self.proves(b, both));
        }
        let one = self.proves(a, other).or(&self.proves(b, other));
        if outcome == other || one.is_empty() {
            return one;
        }
        one.or(&self.proves(a, both).and(self.proves(b, both)))
    }

    fn tag(&mut self, id: TagId, outcome: Outcome) -> Definedness {
        let derived = self
            .program
            .tags
            .get(id.index())
            .and_then(|t| t.derived.as_ref());
        let of = derived.map(|d| self.proves(d, outcome)).unwrap_or_default();
        of.and(Definedness {
            tags: BTreeSet::from([id]),
            ..Definedness::default()
        })
    }

    fn all<'e>(&mut self, of: impl IntoIterator<Item = &'e Expr>) -> Definedness {
        of.into_iter().fold(Definedness::default(), |sum, e| {
            sum.and(self.proves(e, Outcome::Known))
        })
    }
}

// ------------------------------------------------------------------ what can be missing

/// Whether an expression of this kind can be missing, given what its parts say of themselves.
/// Fields say it of themselves at their declaration.
pub(super) fn optional(program: &Program, ty: &Type, kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Const(_)
        | ExprKind::Everyone
        | ExprKind::List(_)
        | ExprKind::IsMissing(_)
        | ExprKind::IsKnown(_)
        | ExprKind::TriggerField(_)
        | ExprKind::RowField(_) => false,
        ExprKind::LookupField { .. } | ExprKind::StepOutcome { .. } => true,
        ExprKind::Tag(id) => tag_optional(program, *id),
        ExprKind::Partition(id) => program
            .partitions
            .get(id.index())
            .is_none_or(|p| !p.otherwise || p.arms.iter().any(|a| a.optional)),
        ExprKind::Audience(id) => program
            .audiences
            .get(id.index())
            .is_none_or(|a| a.when.optional),
        ExprKind::Event(query) => {
            let pattern_unsure = receipts(query.pattern.source)
                || query.then.as_ref().is_some_and(|t| receipts(t.next.source));
            match query.what {
                Aggregate::Did | Aggregate::Count | Aggregate::Sum | Aggregate::Distinct => {
                    pattern_unsure
                }
                Aggregate::Avg
                | Aggregate::Min
                | Aggregate::Max
                | Aggregate::First
                | Aggregate::Latest
                | Aggregate::Since => true,
            }
        }
        ExprKind::Not(a)
        | ExprKind::InWindow { of: a, .. }
        | ExprKind::InList { of: a, .. }
        | ExprKind::SetContains { set: a, .. } => a.optional,
        // Unknown only with the left: the right counts when it is true.
        ExprKind::Except(a, _) => a.optional,
        ExprKind::And(a, b) => connective_optional(program, a, b, Outcome::True),
        ExprKind::Or(a, b) => connective_optional(program, a, b, Outcome::False),
        ExprKind::Compare {
            left: a, right: b, ..
        }
        | ExprKind::TextContains { of: a, what: b }
        | ExprKind::StartsWith { of: a, what: b } => a.optional || b.optional,
        ExprKind::Arith { left, right, .. } => {
            left.optional || right.optional || can_overflow(ty, kind)
        }
        ExprKind::Neg(a) => a.optional || can_overflow(ty, kind),
        ExprKind::ToNumber(a) | ExprKind::MemberName(a) => a.optional,
        ExprKind::InRange {
            of: a,
            lo: b,
            hi: c,
        }
        | ExprKind::If {
            when: a,
            then: b,
            otherwise: c,
        } => a.optional || b.optional || c.optional,
        ExprKind::Coalesce(a, b) => a.optional && b.optional,
        ExprKind::Call { args, .. } => args.iter().any(|a| a.optional) || can_overflow(ty, kind),
    }
}

/// `x is missing or x > 3` is never unknown: where the known side does not decide (`rest`), it may
/// prove that the other side is there.
fn connective_optional(program: &Program, a: &Expr, b: &Expr, rest: Outcome) -> bool {
    let (known, unsure) = match (a.optional, b.optional) {
        (false, false) => return false,
        (true, true) => return true,
        (false, true) => (a, b),
        (true, false) => (b, a),
    };
    let present = Proof {
        program,
        audiences: BTreeMap::new(),
    }
    .proves(known, rest);
    present.is_empty() || !can_be_missing(program, unsure, &present).is_empty()
}

fn tag_optional(program: &Program, id: TagId) -> bool {
    let derived = program
        .tags
        .get(id.index())
        .and_then(|t| t.derived.as_ref());
    match (derived, program.schema.tags.get(id.index())) {
        (Some(derived), _) => derived.optional,
        (None, Some(tag)) => !tag.always || tag.fresh.is_some(),
        (None, None) => true,
    }
}

/// Events that come as receipts: one that is not known is unknown, never "it did not happen".
fn receipts(source: EventSource) -> bool {
    match source {
        EventSource::Declared(_) => false,
        EventSource::Own(own) => match own {
            OwnEvent::Delivered | OwnEvent::Opened | OwnEvent::Clicked | OwnEvent::Failed => true,
            OwnEvent::Sent | OwnEvent::OptedOut | OwnEvent::Complained => false,
        },
    }
}

/// Whether overflow or division by zero can make it missing although its parts are there.
fn can_overflow(ty: &Type, kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Arith { op, left, right } => match op {
            ArithOp::Div | ArithOp::Mod => !is_safe_divisor(right),
            ArithOp::Add | ArithOp::Sub | ArithOp::Mul => match ty {
                Type::Int { .. } => !fits(int_bounds_of(*op, left, right)),
                Type::Number => !arith_magnitude(*op, left, right).is_finite(),
                _ => true,
            },
        },
        ExprKind::Neg(of) => match ty {
            Type::Int { .. } => !fits(int_bounds(of).map(|(lo, hi)| (-hi, -lo))),
            Type::Number => false,
            _ => true,
        },
        ExprKind::Call { function, args } => {
            (function.facts.can_fail)(ty, args.first().and_then(int_bounds))
        }
        _ => false,
    }
}

/// No value of a number expression is further from zero; infinite when nothing is known.
fn magnitude(e: &Expr) -> f64 {
    match (&e.kind, &e.ty) {
        (ExprKind::Const(Value::Number(n)), _) => n.abs(),
        (ExprKind::Const(Value::Ratio(_)), _) | (_, Type::Ratio) => 1.0,
        (_, Type::Int { .. }) => int_bounds(e).map_or(f64::INFINITY, |(lo, hi)| {
            lo.unsigned_abs().max(hi.unsigned_abs()) as f64
        }),
        (ExprKind::ToNumber(of), _) => magnitude(of) + 1.0,
        (ExprKind::Call { function, args }, _) if function.facts.near_argument => {
            args.first().map_or(f64::INFINITY, magnitude) + 1.0
        }
        (ExprKind::Neg(of), _) => magnitude(of),
        (
            ExprKind::Coalesce(a, b)
            | ExprKind::If {
                then: a,
                otherwise: b,
                ..
            },
            _,
        ) => magnitude(a).max(magnitude(b)),
        (ExprKind::Arith { op, left, right }, Type::Number) => arith_magnitude(*op, left, right),
        _ => f64::INFINITY,
    }
}

fn arith_magnitude(op: ArithOp, left: &Expr, right: &Expr) -> f64 {
    match op {
        ArithOp::Add | ArithOp::Sub => magnitude(left) + magnitude(right),
        ArithOp::Mul => magnitude(left) * magnitude(right),
        ArithOp::Div if is_safe_divisor(right) => magnitude(left),
        ArithOp::Mod => magnitude(right),
        ArithOp::Div => f64::INFINITY,
    }
}

fn is_safe_divisor(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Const(Value::Int(n) | Value::Money(n)) => *n > 0,
        ExprKind::Const(Value::Number(n)) => n.abs() >= 1.0,
        _ => false,
    }
}

fn fits(bounds: Option<(i128, i128)>) -> bool {
    bounds.is_some_and(|(lo, hi)| lo >= i128::from(i64::MIN) && hi <= i128::from(i64::MAX))
}

/// The smallest and largest value that an int expression can have.
pub(super) fn int_bounds(e: &Expr) -> Option<(i128, i128)> {
    if let ExprKind::Const(Value::Int(n)) = e.kind {
        return Some((n.into(), n.into()));
    }
    if let Type::Int { lo, hi } = e.ty {
        Some((lo.unwrap_or(i64::MIN).into(), hi.unwrap_or(i64::MAX).into()))
    } else {
        None
    }
}

/// The bounds of `left op right` of two ints; `None` where they are not ints, or past all
/// reckoning.
pub(super) fn int_bounds_of(op: ArithOp, left: &Expr, right: &Expr) -> Option<(i128, i128)> {
    let ((a, b), (c, d)) = (int_bounds(left)?, int_bounds(right)?);
    match op {
        ArithOp::Add => Some((a + c, b + d)),
        ArithOp::Sub => Some((a - d, b - c)),
        ArithOp::Mul => {
            let corners = [a * c, a * d, b * c, b * d];
            Some((*corners.iter().min()?, *corners.iter().max()?))
        }
        // Never negative, and smaller than the right side.
        ArithOp::Mod => Some((0, (c.abs().max(d.abs()) - 1).max(0))),
        ArithOp::Div => None,
    }
}

/// What can make `expr` missing (a condition: unknown) where `present` holds; empty when it is
/// always there.
pub fn can_be_missing(
    program: &Program,
    expr: &Expr,
    present: &Definedness,
) -> BTreeSet<UndefinedCause> {
    let mut search = Search {
        program,
        present,
        found: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    search.walk(expr);
    search.found
}

struct Search<'p> {
    program: &'p Program,
    present: &'p Definedness,
    found: BTreeSet<UndefinedCause>,
    /// Audiences that have been looked through.
    seen: BTreeSet<AudienceId>,
}

impl Search<'_> {
    fn walk(&mut self, e: &Expr) {
        if !e.optional {
            return;
        }
        match &e.kind {
            ExprKind::Const(_)
            | ExprKind::Everyone
            | ExprKind::List(_)
            | ExprKind::IsMissing(_)
            | ExprKind::IsKnown(_) => {}
            ExprKind::Tag(id) => {
                self.add(!self.present.tags.contains(id), UndefinedCause::Tag(*id))
            }
            ExprKind::Partition(id) => self.add(
                !self.present.partitions.contains(id),
                UndefinedCause::Partition(*id),
            ),
            ExprKind::TriggerField(field) => self.add(
                !self.present.trigger_fields.contains(field),
                UndefinedCause::TriggerField(*field),
            ),
            ExprKind::RowField(field) => self.add(true, UndefinedCause::RowField(*field)),
            ExprKind::LookupField { lookup, field, .. } => {
                self.add(true, UndefinedCause::Lookup(*lookup, *field))
            }
            ExprKind::StepOutcome { .. } => self.add(true, UndefinedCause::StepOutcome),
            ExprKind::Event(_) => self.add(true, UndefinedCause::Events),
            ExprKind::Audience(id) => {
                if let Some(audience) = self.program.audiences.get(id.index())
                    && self.seen.insert(*id)
                {
                    self.walk(&audience.when);
                }
            }
            ExprKind::Not(a)
            | ExprKind::InWindow { of: a, .. }
            | ExprKind::InList { of: a, .. }
            | ExprKind::SetContains { set: a, .. }
            | ExprKind::Except(a, _) => self.walk(a),
            ExprKind::And(a, b) => self.walk_connective(a, b, Outcome::True),
            ExprKind::Or(a, b) => self.walk_connective(a, b, Outcome::False),
            ExprKind::Compare {
                left: a, right: b, ..
            }
            | ExprKind::TextContains { of: a, what: b }
            | ExprKind::StartsWith { of: a, what: b } => {
                self.walk(a);
                self.walk(b);
            }
            ExprKind::Arith { left, right, .. } => {
                self.walk(left);
                self.walk(right);
                self.add(can_overflow(&e.ty, &e.kind), UndefinedCause::Arithmetic);
            }
            ExprKind::Neg(a) => {
                self.walk(a);
                self.add(can_overflow(&e.ty, &e.kind), UndefinedCause::Arithmetic);
            }
            ExprKind::InRange {
                of: a,
                lo: b,
                hi: c,
            }
            | ExprKind::If {
                when: a,
                then: b,
                otherwise: c,
            } => {
                self.walk(a);
                self.walk(b);
                self.walk(c);
            }
            // Missing only where both are.
            ExprKind::Coalesce(a, b) => {
                if !can_be_missing(self.program, a, self.present).is_empty() {
                    self.walk(b);
                }
            }
            ExprKind::ToNumber(a) | ExprKind::MemberName(a) => self.walk(a),
            ExprKind::Call { args, .. } => {
                args.iter().for_each(|a| self.walk(a));
                self.add(can_overflow(&e.ty, &e.kind), UndefinedCause::Arithmetic);
            }
        }
    }

    /// Where one side is never unknown, the other matters only where that side does not decide, and
    /// that may prove more.
    fn walk_connective(&mut self, a: &Expr, b: &Expr, rest: Outcome) {
        let (known, unsure) = match (a.optional, b.optional) {
            (false, true) => (a, b),
            (true, false) => (b, a),
            (true, true) | (false, false) => {
                self.walk(a);
                self.walk(b);
                return;
            }
        };
        let proved = Proof {
            program: self.program,
            audiences: BTreeMap::new(),
        }
        .proves(known, rest);
        let present = self.present.clone().and(proved);
        self.found
            .extend(can_be_missing(self.program, unsure, &present));
    }

    fn add(&mut self, is: bool, source: UndefinedCause) {
        if is {
            self.found.insert(source);
        }
    }
}

// ------------------------------------------------------------------ what is private

/// Whether showing the value would show a private tag's value: it is one, or is made of one, and is
/// neither masked nor a condition.
pub fn is_private(program: &Program, e: &Expr) -> bool {
    if e.ty == Type::Bool && !matches!(e.kind, ExprKind::Tag(_)) {
        return false;
    }
    match &e.kind {
        ExprKind::Tag(id) => program
            .schema
            .tags
            .get(id.index())
            .is_some_and(|t| t.private || matches!(t.ty, Type::Address(_))),
        ExprKind::Coalesce(a, b)
        | ExprKind::Arith {
            left: a, right: b, ..
        }
        | ExprKind::If {
            then: a,
            otherwise: b,
            ..
        } => is_private(program, a) || is_private(program, b),
        ExprKind::Neg(a) | ExprKind::ToNumber(a) | ExprKind::MemberName(a) => {
            is_private(program, a)
        }
        ExprKind::Call { function, .. } if function.facts.hides_private => false,
        ExprKind::Call { args, .. } => args.iter().any(|a| is_private(program, a)),
        _ => false,
    }
}
