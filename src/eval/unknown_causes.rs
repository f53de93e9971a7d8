//! Which tags make a condition unknown: from the root down, the users for whom a part is
//! unknown and matters, as far as the tags that have no value for them.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::audience_mask::AudienceMask;
use super::bind::BoundPlan;
use super::block::{BlockEvaluator, Frame};
use super::masks::{BLOCK, Bits, NONE, WORDS, and, is_none, minus, or};
use crate::base::{TagId, UserNo};
use crate::plan::node::{Cond, CondId, Node, ValId, ValKind};

/// For how many of the users for whom the condition is unknown each tag is missing and matters, in
/// the order of the tags.
pub fn unknown_because(
    bound: &BoundPlan,
    root: CondId,
    audience: &AudienceMask,
) -> BTreeMap<TagId, usize> {
    let users = bound.scope.snapshot.user_count();
    let unknown = audience.known.complement();
    (0..users.div_ceil(BLOCK))
        .into_par_iter()
        .map_init(
            || BlockEvaluator::new(bound, Frame::Users),
            |block, number| {
                block.reset(number * BLOCK, users);
                let mut of = NONE;
                of.iter_mut()
                    .zip(unknown.words().iter().skip(number * WORDS))
                    .for_each(|(w, unknown)| *w = *unknown);
                let tags = unknown_causes(block, root, &of);
                tags.into_iter()
                    .map(|(tag, users)| (tag, users.iter().map(|w| w.count_ones() as usize).sum()))
                    .collect()
            },
        )
        .reduce(BTreeMap::new, |mut all: BTreeMap<TagId, usize>, more| {
            more.into_iter()
                .for_each(|(tag, n)| *all.entry(tag).or_default() += n);
            all
        })
}

/// The same for one user: the tags, in their order.
pub fn unknown_tags(bound: &BoundPlan, root: CondId, user: UserNo) -> Vec<TagId> {
    let mut block = BlockEvaluator::new(bound, Frame::Users);
    block.reset(
        user.index(),
        bound.scope.snapshot.user_count().min(user.index() + 1),
    );
    let all = block.all();
    let of = minus(&all, &block.cond(root, &all).known());
    unknown_causes(&mut block, root, &of)
        .into_iter()
        .filter(|(_, users)| !is_none(users))
        .map(|(tag, _)| tag)
        .collect()
}

/// For each tag the rows of `of`, all of which the root is unknown for, in which it is missing and
/// matters.
fn unknown_causes(block: &mut BlockEvaluator, root: CondId, of: &Bits) -> BTreeMap<TagId, Bits> {
    let plan = block.bound.plan;
    let mut marks = Marks {
        conds: BTreeMap::from([(root, *of)]),
        vals: BTreeMap::new(),
        tags: BTreeMap::new(),
    };
    // Every node comes after those that it is made of, so that on the way back all who depend on it
    // have spoken.
    for node in plan.order.iter().rev() {
        match node {
            Node::Cond(id) => {
                if let Some(rows) = marks.conds.remove(id).filter(|rows| !is_none(rows)) {
                    marks.cond(block, plan.cond(*id), &rows);
                }
            }
            Node::Val(id) => {
                if let Some(rows) = marks.vals.remove(id).filter(|rows| !is_none(rows)) {
                    marks.val(block, &plan.val(*id).kind, &rows);
                }
            }
        }
    }
    marks.tags
}

/// The rows in which each node is unknown, or missing, and matters.
struct Marks {
    conds: BTreeMap<CondId, Bits>,
    vals: BTreeMap<ValId, Bits>,
    tags: BTreeMap<TagId, Bits>,
}

fn add<K: Ord>(map: &mut BTreeMap<K, Bits>, key: K, rows: &Bits) {
    let marked = map.entry(key).or_insert(NONE);
    *marked = or(marked, rows);
}

impl Marks {
    /// Marks a part where it is unknown.
    fn if_unknown(&mut self, block: &mut BlockEvaluator, id: CondId, rows: &Bits) {
        let unknown = minus(rows, &block.cond(id, rows).known());
        add(&mut self.conds, id, &unknown);
    }

    fn if_missing(&mut self, block: &mut BlockEvaluator, id: ValId, rows: &Bits) {
        let missing = minus(rows, &block.val(id, rows).known);
        add(&mut self.vals, id, &missing);
    }

    fn cond(&mut self, block: &mut BlockEvaluator, cond: &Cond, rows: &Bits) {
        match cond {
            // Nothing to do with tags, or never unknown.
            Cond::Always(_) | Cond::List(_) | Cond::StepOutcome { .. } | Cond::Did(_) => {}
            Cond::IsTrue(_) | Cond::IsDecided(_) | Cond::IsKnown(_) => {}
            Cond::Flag(of) | Cond::Test { of, .. } => add(&mut self.vals, *of, rows),
            Cond::Not(of) => add(&mut self.conds, *of, rows),
            Cond::Named(tag, of) => {
                add(&mut self.tags, *tag, rows);
                add(&mut self.conds, *of, rows);
            }
            Cond::All(parts) | Cond::Any(parts) => parts
                .iter()
                .for_each(|part| self.if_unknown(block, *part, rows)),
            Cond::Same(a, b) => [a, b]
                .iter()
                .for_each(|part| self.if_unknown(block, **part, rows)),
            Cond::OrElse(a, b) => {
                add(&mut self.conds, *a, rows);
                add(&mut self.conds, *b, rows);
            }
            Cond::If {
                when,
                then,
                otherwise,
            } => {
                let (yes, no) = self.branches(block, *when, rows);
                add(&mut self.conds, *then, &yes);
                add(&mut self.conds, *otherwise, &no);
            }
            Cond::Compare {
                left: a, right: b, ..
            }
            | Cond::Text { of: a, what: b, .. } => {
                [a, b]
                    .iter()
                    .for_each(|part| self.if_missing(block, **part, rows));
            }
            Cond::Between { of, lo, hi } => [of, lo, hi]
                .iter()
                .for_each(|part| self.if_missing(block, **part, rows)),
        }
    }

    /// Marks a condition where it is unknown, and tells where it takes one branch and where the
    /// other.
    fn branches(&mut self, block: &mut BlockEvaluator, when: CondId, rows: &Bits) -> (Bits, Bits) {
        let truths = block.cond(when, rows);
        add(&mut self.conds, when, &minus(rows, &truths.known()));
        (and(rows, &truths.yes), and(rows, &truths.no))
    }

    fn val(&mut self, block: &mut BlockEvaluator, val: &ValKind, rows: &Bits) {
        match val {
            ValKind::Const(_)
            | ValKind::Missing
            | ValKind::TriggerField(_)
            | ValKind::RowField(_)
            | ValKind::Event(_) => {}
            ValKind::Tag(tag) => add(&mut self.tags, *tag, rows),
            ValKind::Named(tag, of) => {
                add(&mut self.tags, *tag, rows);
                add(&mut self.vals, *of, rows);
            }
            ValKind::Lookup { keys, .. } => keys
                .iter()
                .for_each(|key| self.if_missing(block, *key, rows)),
            ValKind::Choice { arms, .. } => {
                let mut open = *rows;
                for arm in arms {
                    let (_, no) = self.branches(block, *arm, &open);
                    open = no;
                }
            }
            ValKind::Coalesce(a, b) => {
                add(&mut self.vals, *a, rows);
                add(&mut self.vals, *b, rows);
            }
            ValKind::If {
                when,
                then,
                otherwise,
            } => {
                let (yes, no) = self.branches(block, *when, rows);
                add(&mut self.vals, *then, &yes);
                add(&mut self.vals, *otherwise, &no);
            }
            ValKind::Unary(_, of) => self.if_missing(block, *of, rows),
            ValKind::Binary(_, a, b) => [a, b]
                .iter()
                .for_each(|part| self.if_missing(block, **part, rows)),
        }
    }
}
