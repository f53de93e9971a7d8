//! One block of rows: each condition as two masks of 64-bit words, where it is true and where it is
//! false; each value as a vector.
//!
//! A node is asked only for the rows that need it: the later parts of an `and` only for those that
//! the earlier ones left open, the values of a branch only where it is taken. A node that several
//! others share is evaluated once a block. The same evaluator runs over event rows when a query has
//! a filter: then the rows of a block are events.

use std::borrow::Cow;
use std::rc::Rc;

use super::aggregate::{self, Aggregates};
use super::bind::BoundPlan;
use super::bound_test::BoundTest;
use super::column_source::ColumnSource;
use super::masks::{
    BLOCK, Bits, NONE, Truths, and, first, get, is_none, minus, or, rows, set, zip,
};
use super::messages::MessageLog;
use super::vector::{Scalar, Vector, VectorData};
use super::vector_ops::{binary, compare, test_vector, unary, where_both};
use super::{event_rows, masks};
use crate::base::{UserNo, Zone};
use crate::plan::node::{Cond, CondId, Node, Order, TextOp, ValId, ValKind};
use crate::program::typed_expr::StepOutcome;
use crate::store::EventSegment;

/// Blocks that one core takes at a time.
pub const STRETCH: usize = 16;

/// Answers of a plan's nodes that need not be worked out.
pub trait StoredAnswers: Sync {
    /// Writes the answers of a test for the `len` users from `start` on; false where none are kept.
    fn write_truths(&self, id: CondId, start: usize, len: usize, out: &mut Truths) -> bool;

    /// The column that a question about events is for the block of users from `start` on.
    fn column(&self, node: Node, start: usize) -> Option<ColumnSource<'_>>;
}

/// What the rows of a block are.
#[derive(Clone, Copy)]
pub enum Frame<'b> {
    Users,
    /// Events of one segment.
    Rows(&'b EventSegment),
    /// The program's own messages.
    Own(&'b MessageLog),
}

/// The evaluation of one block. Later blocks may reuse it by [`BlockEvaluator::reset`].
pub struct BlockEvaluator<'b> {
    pub bound: &'b BoundPlan<'b>,
    frame: Frame<'b>,
    pub start: usize,
    pub len: usize,
    /// By [`CondId`]: what is known already, and for which rows.
    conds: Vec<Slot<Truths>>,
    /// What is kept of the plan's answers.
    kept: Option<&'b dyn StoredAnswers>,
    vals: Vec<Slot<Option<Rc<Vector<'b>>>>>,
    pub(super) aggregates: Aggregates,
    /// How many blocks there were: what was written in another round is of another block.
    round: u32,
}

/// What is known already of a node that several others share, and for which rows.
#[derive(Clone)]
struct Slot<T> {
    round: u32,
    have: Bits,
    what: T,
}

impl<'b> BlockEvaluator<'b> {
    pub fn new(bound: &'b BoundPlan<'b>, frame: Frame<'b>) -> Self {
        let conds = vec![
            Slot {
                round: 0,
                have: NONE,
                what: Truths::UNKNOWN
            };
            bound.plan.conds.len()
        ];
        let vals = vec![
            Slot {
                round: 0,
                have: NONE,
                what: None
            };
            bound.plan.vals.len()
        ];
        BlockEvaluator {
            bound,
            frame,
            start: 0,
            len: 0,
            conds,
            kept: None,
            vals,
            aggregates: Aggregates::default(),
            round: 1,
        }
    }

    /// Takes answers that are kept instead of working them out.
    pub fn with_kept(mut self, kept: &'b dyn StoredAnswers) -> Self {
        self.kept = Some(kept);
        self
    }

    /// The block of rows from `start` on, of `total` in all.
    pub fn reset(&mut self, start: usize, total: usize) {
        self.start = start;
        self.len = total.saturating_sub(start).min(BLOCK);
        self.round += 1;
    }

    pub fn all(&self) -> Bits {
        first(self.len)
    }

    fn zone(&self) -> Zone {
        self.bound.plan.zone
    }

    fn user(&self, row: usize) -> UserNo {
        UserNo((self.start + row) as u32)
    }

    // ---------------------------------------------------------------- conditions

    /// The condition in the rows of `need`; what it says of other rows means nothing.
    pub fn cond(&mut self, id: CondId, need: &Bits) -> Truths {
        let mut out = Truths::UNKNOWN;
        self.cond_into(id, need, &mut out);
        out
    }

    /// As [`cond`](Self::cond); `out` is written as a whole.
    pub(super) fn cond_into(&mut self, id: CondId, need: &Bits, out: &mut Truths) {
        if !self.bound.is_shared(id) {
            return self.cond_new(id, need, out);
        }
        let at = id.0 as usize;
        let mut need = *need;
        if let Some(slot) = self.conds.get(at).filter(|slot| slot.round == self.round) {
            if is_none(&minus(&need, &slot.have)) {
                return *out = slot.what;
            }
            need = or(&need, &slot.have);
        }
        self.cond_new(id, &need, out);
        if let Some(slot) = self.conds.get_mut(at) {
            *slot = Slot {
                round: self.round,
                have: need,
                what: *out,
            };
        }
    }

    fn cond_new(&mut self, id: CondId, need: &Bits, out: &mut Truths) {
        let bound = self.bound;
        if let Some(kept) = self.kept
            && kept.write_truths(id, self.start, self.len, out)
        {
            return;
        }
        let column = self
            .kept
            .and_then(|kept| kept.column(Node::Cond(id), self.start));
        if let Some(column) = column {
            let vector = column.vector(self.start, self.len);
            return *out = match &vector.data {
                VectorData::Bool(bits) => Truths::within(bits, &vector.known),
                VectorData::Int(_)
                | VectorData::Float(_)
                | VectorData::Text(_)
                | VectorData::Set(_)
                | VectorData::Place(_)
                | VectorData::Nothing => Truths::UNKNOWN,
            };
        }
        match bound.plan.cond(id) {
            Cond::Not(of) => {
                self.cond_into(*of, need, out);
                std::mem::swap(&mut out.yes, &mut out.no);
            }
            Cond::All(_) => {
                let (mut open, mut part) = (*need, Truths::UNKNOWN);
                *out = Truths {
                    yes: *need,
                    no: NONE,
                };
                for id in bound.order(id) {
                    self.cond_into(*id, &open, &mut part);
                    if !masks::both(out, &part, need, &mut open) {
                        break;
                    }
                }
            }
            Cond::Any(_) => {
                let (mut open, mut part) = (*need, Truths::UNKNOWN);
                *out = Truths {
                    yes: NONE,
                    no: *need,
                };
                for id in bound.order(id) {
                    self.cond_into(*id, &open, &mut part);
                    if !masks::either(out, &part, need, &mut open) {
                        break;
                    }
                }
            }
            Cond::Test { of, .. } => {
                *out = match (bound.test(id), self.source(*of)) {
                    (Some(test), Some(source)) => {
                        return source.test(test, self.start, self.len, need, out);
                    }
                    (Some(test), None) => match self.aggregate(*of, test, need) {
                        Some(truths) => truths,
                        None => test_vector(test, &self.val(*of, need), need),
                    },
                    (None, _) => Truths::UNKNOWN,
                }
            }
            Cond::Named(_, of) => self.cond_into(*of, need, out),
            other => *out = self.other(id, other, need),
        }
    }

    /// The test of a count or sum that nothing else asks for.
    fn aggregate(&mut self, mut of: ValId, test: &BoundTest, need: &Bits) -> Option<Truths> {
        let bound = self.bound;
        while let (ValKind::Named(_, named), false) =
            (&bound.plan.val(of).kind, bound.is_asked_again(of))
        {
            of = *named;
        }
        match self.frame {
            Frame::Users if !bound.is_asked_again(of) => {
                aggregate::test(self, bound.query_of(Node::Val(of))?, test, need)
            }
            Frame::Users | Frame::Rows(_) | Frame::Own(_) => None,
        }
    }

    fn other(&mut self, id: CondId, cond: &Cond, need: &Bits) -> Truths {
        let bound = self.bound;
        match cond {
            Cond::Always(Some(true)) => Truths {
                yes: *need,
                no: NONE,
            },
            Cond::Always(Some(false)) => Truths {
                yes: NONE,
                no: *need,
            },
            Cond::Always(None) => Truths::UNKNOWN,
            Cond::List(list) => match (self.frame, bound.scope.tables.list(*list)) {
                (Frame::Users, Some(users)) => {
                    let mut yes = NONE;
                    let words = users.words().iter().skip(self.start / 64);
                    match self.start % 64 {
                        0 => yes.iter_mut().zip(words).for_each(|(w, users)| *w = *users),
                        _ => rows(need)
                            .filter(|row| users.contains(self.user(*row)))
                            .for_each(|row| set(&mut yes, row)),
                    }
                    Truths::within(&yes, need)
                }
                _ => Truths {
                    yes: NONE,
                    no: *need,
                },
            },
            Cond::StepOutcome { step, outcome } => self.step_outcome(*step, *outcome, need),
            Cond::Flag(of) => {
                let vector = self.val(*of, need);
                match &vector.data {
                    VectorData::Bool(bits) => Truths::within(bits, &vector.known),
                    VectorData::Int(_)
                    | VectorData::Float(_)
                    | VectorData::Text(_)
                    | VectorData::Set(_)
                    | VectorData::Place(_)
                    | VectorData::Nothing => Truths::UNKNOWN,
                }
            }
            Cond::IsTrue(of) => {
                let of = self.cond(*of, need);
                Truths::within(&of.yes, need)
            }
            Cond::IsDecided(of) => {
                let of = self.cond(*of, need);
                Truths::within(&of.known(), need)
            }
            Cond::IsKnown(of) => {
                let known = match self.source(*of) {
                    Some(source) => source.known(self.start, self.len),
                    None => self.val(*of, need).known,
                };
                Truths::within(&known, need)
            }
            Cond::Same(a, b) => {
                let (a, b) = (self.cond(*a, need), self.cond(*b, need));
                let differ = zip(&a.yes, &b.yes, |a, b| a ^ b);
                let known = and(&a.known(), &b.known());
                Truths {
                    yes: minus(&known, &differ),
                    no: and(&known, &differ),
                }
            }
            Cond::OrElse(a, b) => {
                let a = self.cond(*a, need);
                let open = minus(need, &a.known());
                if is_none(&open) {
                    return a;
                }
                let b = self.cond(*b, &open);
                Truths {
                    yes: or(&a.yes, &and(&b.yes, &open)),
                    no: or(&a.no, &and(&b.no, &open)),
                }
            }
            Cond::If {
                when,
                then,
                otherwise,
            } => {
                let when = self.cond(*when, need);
                let (yes, no) = (and(&when.yes, need), and(&when.no, need));
                let mut out = Truths::UNKNOWN;
                for (rows, branch) in [(yes, then), (no, otherwise)] {
                    if !is_none(&rows) {
                        let branch = self.cond(*branch, &rows);
                        out = Truths {
                            yes: or(&out.yes, &and(&branch.yes, &rows)),
                            no: or(&out.no, &and(&branch.no, &rows)),
                        };
                    }
                }
                out
            }
            Cond::Compare { op, left, right } => {
                let (a, b) = (self.val(*left, need), self.val(*right, need));
                compare(*op, &a, &b, need)
            }
            Cond::Between { of, lo, hi } => {
                let (of, lo, hi) = (
                    self.val(*of, need),
                    self.val(*lo, need),
                    self.val(*hi, need),
                );
                let known = and(&and(&of.known, &lo.known), &and(&hi.known, need));
                let (above, below) = (
                    compare(Order::Le, &lo, &of, &known),
                    compare(Order::Le, &of, &hi, &known),
                );
                Truths::within(&and(&above.yes, &below.yes), &known)
            }
            Cond::Text { op, of, what } => {
                let (of, what) = (self.val(*of, need), self.val(*what, need));
                let known = and(&and(&of.known, &what.known), need);
                let (VectorData::Text(of), VectorData::Text(what)) = (&of.data, &what.data) else {
                    return Truths::UNKNOWN;
                };
                let holds = |a: &Cow<str>, b: &Cow<str>| match op {
                    TextOp::Contains => a.contains(&**b),
                    TextOp::StartsWith => a.starts_with(&**b),
                };
                where_both(of, what, &known, holds)
            }
            Cond::Did(_) => match (self.frame, bound.query_of(Node::Cond(id))) {
                (Frame::Users, Some(query)) => event_rows::did(self, query, need),
                _ => Truths::UNKNOWN,
            },
            Cond::Not(_) | Cond::All(_) | Cond::Any(_) | Cond::Test { .. } | Cond::Named(..) => {
                self.cond(id, need)
            }
        }
    }

    fn step_outcome(&self, step: usize, outcome: StepOutcome, need: &Bits) -> Truths {
        let (Frame::Users, Some(outcomes)) = (self.frame, self.bound.scope.outcomes) else {
            return Truths::UNKNOWN;
        };
        let mut truths = Truths::UNKNOWN;
        let to = self.user(self.len);
        for ((_, user), known) in outcomes.known.range((step, self.user(0))..(step, to)) {
            let row = user.index() - self.start;
            if !get(need, row) {
                continue;
            }
            match known.get(outcome as usize).copied().flatten() {
                Some(true) => set(&mut truths.yes, row),
                Some(false) => set(&mut truths.no, row),
                None => {}
            }
        }
        truths
    }

    // ---------------------------------------------------------------- values

    /// The column that a value is, when it is one.
    fn source(&self, id: ValId) -> Option<ColumnSource<'b>> {
        match (&self.bound.plan.val(id).kind, self.frame) {
            (ValKind::Tag(tag), Frame::Users) => self.bound.tag(*tag),
            (ValKind::RowField(field), Frame::Rows(segment)) => segment
                .columns
                .get(usize::from(*field))
                .map(ColumnSource::plain),
            (ValKind::Event(_), Frame::Users) => self.kept?.column(Node::Val(id), self.start),
            (ValKind::Named(_, of), Frame::Users) => self.source(*of),
            _ => None,
        }
    }

    /// The value in the rows of `need`, at least.
    pub fn val(&mut self, id: ValId, need: &Bits) -> Rc<Vector<'b>> {
        let at = id.0 as usize;
        let mut need = *need;
        if let Some(Slot {
            have,
            what: Some(vector),
            ..
        }) = self.vals.get(at).filter(|slot| slot.round == self.round)
        {
            if is_none(&minus(&need, have)) {
                return vector.clone();
            }
            need = or(&need, have);
        }
        let vector = match self.source(id) {
            Some(source) => {
                need = self.all();
                Rc::new(source.vector(self.start, self.len))
            }
            None => self.val_new(id, &need),
        };
        if let Some(slot) = self.vals.get_mut(at) {
            *slot = Slot {
                round: self.round,
                have: need,
                what: Some(vector.clone()),
            };
        }
        vector
    }

    fn val_new(&mut self, id: ValId, need: &Bits) -> Rc<Vector<'b>> {
        let bound = self.bound;
        let val = bound.plan.val(id);
        Rc::new(match &val.kind {
            ValKind::Const(value) => {
                Scalar::of(value).map_or(Vector::NOTHING, |s| Vector::same(&s, need))
            }
            // A column that is not in the store.
            ValKind::Missing | ValKind::Tag(_) => Vector::NOTHING,
            ValKind::TriggerField(field) => {
                let value = bound
                    .scope
                    .trigger
                    .and_then(|row| row.get(usize::from(*field)))
                    .and_then(Option::as_ref);
                value
                    .and_then(Scalar::of)
                    .map_or(Vector::NOTHING, |s| Vector::same(&s, need))
            }
            ValKind::RowField(field) => match self.frame {
                Frame::Own(log) => Vector::collect(need, |row| log.field(self.start + row, *field)),
                Frame::Users | Frame::Rows(_) => Vector::NOTHING,
            },
            ValKind::Lookup {
                lookup,
                keys,
                field,
            } => {
                let keys: Vec<Rc<Vector>> = keys.iter().map(|k| self.val(*k, need)).collect();
                let known = keys.iter().fold(*need, |known, k| and(&known, &k.known));
                let mut key = Vec::new();
                Vector::collect(&known, |row| {
                    key.clear();
                    keys.iter()
                        .filter_map(|k| k.get(row))
                        .for_each(|part| super::tables::write_key(&mut key, &part));
                    bound
                        .scope
                        .tables
                        .look_up(*lookup, &key, *field)
                        .and_then(Scalar::of)
                })
            }
            ValKind::Choice { arms, otherwise } => {
                let (mut codes, mut known, mut open) = (vec![0i64; BLOCK], NONE, *need);
                for (arm, code) in arms.iter().zip(0..) {
                    if is_none(&open) {
                        break;
                    }
                    let truths = self.cond(*arm, &open);
                    let here = and(&truths.yes, &open);
                    rows(&here)
                        .filter_map(|row| codes.get_mut(row).map(|c| *c = code))
                        .count();
                    known = or(&known, &here);
                    open = and(&open, &truths.no);
                }
                if *otherwise {
                    rows(&open)
                        .filter_map(|row| codes.get_mut(row).map(|c| *c = arms.len() as i64))
                        .count();
                    known = or(&known, &open);
                }
                Vector {
                    known,
                    data: VectorData::Int(codes),
                }
            }
            ValKind::Coalesce(a, b) => {
                let a = self.val(*a, need);
                let open = minus(need, &a.known);
                if is_none(&open) {
                    return a;
                }
                let b = self.val(*b, &open);
                (*a).clone().or_else(&b)
            }
            ValKind::If {
                when,
                then,
                otherwise,
            } => {
                let when = self.cond(*when, need);
                let (yes, no) = (and(&when.yes, need), and(&when.no, need));
                if is_none(&no) {
                    let then = self.val(*then, &yes);
                    return Rc::new(Vector {
                        known: and(&then.known, &yes),
                        data: then.data.clone(),
                    });
                }
                let otherwise = self.val(*otherwise, &no);
                let below = Vector {
                    known: and(&otherwise.known, &no),
                    data: otherwise.data.clone(),
                };
                if is_none(&yes) {
                    return Rc::new(below);
                }
                below.overlay(&self.val(*then, &yes), &yes)
            }
            ValKind::Unary(op, of) => {
                let from = &bound.plan.val(*of).ty;
                let of = self.val(*of, need);
                unary(*op, from, &of, need, self.zone())
            }
            ValKind::Binary(op, a, b) => {
                let (a, b) = (self.val(*a, need), self.val(*b, need));
                binary(*op, &a, &b, need, self.zone())
            }
            ValKind::Event(_) => match (self.frame, bound.query_of(Node::Val(id))) {
                (Frame::Users, Some(query)) => aggregate::values(self, query, need)
                    .unwrap_or_else(|| event_rows::values(self, query, &val.ty, need)),
                _ => Vector::NOTHING,
            },
            ValKind::Named(_, of) => return self.val(*of, need),
        })
    }
}
