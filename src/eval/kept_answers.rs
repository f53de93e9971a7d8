//! Answers that are kept: for a test of a column the users for whom it is true and those for whom
//! it is false, for a question about events what it answers for each user ([`DerivedColumn`]).
//!
//! Conditions repeat: the same campaign every day, the same `region == "Shanghai"` in every
//! question of an afternoon. An answer is kept when it is asked for a second time, under what the
//! column's file holds and not where it lies, or with the segments of events that it was read from,
//! so that a kept answer can never be old.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::answer_cache::Asked;
use super::bind::BoundPlan;
use super::block::{BlockEvaluator, Frame, STRETCH, StoredAnswers};
use super::column_source::ColumnSource;
use super::derived::DerivedColumn;
use super::masks::{BLOCK, Bits, NONE, Truths, WORDS, and, first, minus};
use crate::base::Type;
use crate::plan::node::{Cond, CondId, Node, ValId, ValKind};
use crate::program::typed_expr::{Aggregate, EventSource};

/// Below so many users a column is as fast as its answers.
const FEWEST: usize = 16 * BLOCK;

/// The answers to one test, a bit a user.
pub struct Atom {
    yes: Vec<u64>,
    /// None where the answer is known of everyone: then it is false wherever it is not true.
    no: Option<Vec<u64>>,
}

impl Atom {
    /// The answers of a block of `len` users.
    pub fn truths(&self, start: usize, len: usize, out: &mut Truths) {
        fn part(words: &[u64], start: usize, out: &mut Bits) {
            let from = words.get(start / 64..).unwrap_or_default();
            match from.first_chunk::<WORDS>() {
                Some(whole) => *out = *whole,
                None => {
                    *out = NONE;
                    out.iter_mut()
                        .zip(from)
                        .for_each(|(bits, word)| *bits = *word);
                }
            }
        }
        part(&self.yes, start, &mut out.yes);
        match &self.no {
            Some(no) => part(no, start, &mut out.no),
            None if len == BLOCK => out.no = out.yes.map(|w| !w),
            None => out.no = minus(&first(len), &out.yes),
        }
    }

    fn bytes(&self) -> usize {
        8 * (self.yes.len() + self.no.as_ref().map_or(0, Vec::len))
    }
}

/// What is kept of a plan's answers.
#[derive(Default)]
pub struct CachedAnswers {
    /// By [`CondId`].
    atoms: Vec<Option<Arc<Atom>>>,
    conds: BTreeMap<CondId, Arc<DerivedColumn>>,
    vals: BTreeMap<ValId, Arc<DerivedColumn>>,
}

impl StoredAnswers for CachedAnswers {
    fn write_truths(&self, id: CondId, start: usize, len: usize, out: &mut Truths) -> bool {
        match self.atoms.get(id.0 as usize) {
            Some(Some(atom)) => {
                atom.truths(start, len, out);
                true
            }
            Some(None) | None => false,
        }
    }

    fn column(&self, node: Node, start: usize) -> Option<ColumnSource<'_>> {
        match node {
            Node::Cond(id) => self.conds.get(&id),
            Node::Val(id) => self.vals.get(&id),
        }?
        .source(start)
    }
}

/// What is kept of a plan's answers; those that were asked for before and are not kept yet are
/// worked out now.
pub fn kept(bound: &BoundPlan) -> CachedAnswers {
    let users = bound.scope.snapshot.user_count();
    let mut kept = CachedAnswers::default();
    if users < FEWEST {
        return kept;
    }
    kept.atoms = (0u32..)
        .map(CondId)
        .zip(&bound.plan.conds)
        .map(|(id, cond)| atom(bound, id, &key(bound, id, cond)?, users))
        .collect();
    for (id, cond) in (0u32..).map(CondId).zip(&bound.plan.conds) {
        if let (Cond::Did(_), Some(column)) = (cond, derived(bound, Node::Cond(id), &Type::Bool)) {
            kept.conds.insert(id, column);
        }
    }
    for (id, val) in (0u32..).map(ValId).zip(&bound.plan.vals) {
        if let (ValKind::Event(_), Some(column)) =
            (&val.kind, derived(bound, Node::Val(id), &val.ty))
        {
            kept.vals.insert(id, column);
        }
    }
    kept
}

/// What decides the answers to a test of a column; `None` for any other condition.
fn key(bound: &BoundPlan, id: CondId, cond: &Cond) -> Option<String> {
    let Cond::Test { of, .. } = cond else {
        return None;
    };
    let mut of = *of;
    while let ValKind::Named(_, named) = bound.plan.val(of).kind {
        of = named;
    }
    match bound.plan.val(of).kind {
        // A value that grows old is missing by the clock.
        ValKind::Tag(tag) if bound.tag(tag)?.fresh.is_none() => {
            Some(format!("{} {:?}", bound.version(tag)?, bound.test(id)?))
        }
        _ => None,
    }
}

/// A plain question about declared events as a column, once it was asked before.
fn derived(bound: &BoundPlan, node: Node, ty: &Type) -> Option<Arc<DerivedColumn>> {
    let query = bound.query_of(node)?;
    if query.given {
        return None;
    }
    let what = query.query;
    let EventSource::Declared(event) = what.pattern.source else {
        return None;
    };
    let plain =
        what.pattern.filter.is_none() && what.then.is_none() && what.what != Aggregate::Since;
    let event = bound
        .scope
        .program
        .schema
        .events
        .get(event.index())
        .filter(|_| plain)?;
    // Rows are read by the program's fields.
    let key = format!(
        "{} {:?} {:?} {:?} {:?} {ty:?}",
        event.name, event.fields, what.what, what.field, what.window
    );
    let before = match bound.scope.prepared.answers.ask(&key) {
        Asked::First => return None,
        Asked::Again => None,
        Asked::Kept(answer) => Some(answer.downcast::<DerivedColumn>().ok()?),
    };
    let now = Arc::new(DerivedColumn::of(bound, node, query, before.as_deref())?);
    bound
        .scope
        .prepared
        .answers
        .keep(key, now.clone(), now.bytes());
    Some(now)
}

fn atom(bound: &BoundPlan, id: CondId, what: &str, users: usize) -> Option<Arc<Atom>> {
    let key = format!("{users} {what}");
    match bound.scope.prepared.answers.ask(&key) {
        Asked::Kept(answer) => return answer.downcast().ok(),
        Asked::First => return None,
        Asked::Again => {}
    }
    let words = users.div_ceil(64);
    let (mut yes, mut no) = (vec![0; words], vec![0; words]);
    let stretches = yes
        .par_chunks_mut(STRETCH * WORDS)
        .zip(no.par_chunks_mut(STRETCH * WORDS))
        .enumerate();
    stretches.for_each_init(
        || BlockEvaluator::new(bound, Frame::Users),
        |block, (stretch, (yes, no))| {
            for (number, (yes, no)) in yes.chunks_mut(WORDS).zip(no.chunks_mut(WORDS)).enumerate() {
                block.reset((stretch * STRETCH + number) * BLOCK, users);
                let all = block.all();
                let truths = block.cond(id, &all);
                yes.iter_mut()
                    .zip(and(&truths.yes, &all))
                    .for_each(|(word, bits)| *word = bits);
                no.iter_mut()
                    .zip(and(&truths.no, &all))
                    .for_each(|(word, bits)| *word = bits);
            }
        },
    );
    let answered: usize = yes.iter().chain(&no).map(|w| w.count_ones() as usize).sum();
    let atom = Arc::new(Atom {
        yes,
        no: (answered < users).then_some(no),
    });
    bound
        .scope
        .prepared
        .answers
        .keep(key, atom.clone(), atom.bytes());
    Some(atom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_block_may_be_short() {
        for no in [Some(vec![0; WORDS + 3]), None] {
            let atom = Atom {
                yes: vec![u64::MAX; WORDS + 3],
                no,
            };
            let mut truths = Truths::UNKNOWN;
            atom.truths(0, BLOCK, &mut truths);
            assert_eq!((truths.yes, truths.no), ([u64::MAX; WORDS], NONE));
            atom.truths(BLOCK, 192, &mut truths);
            assert_eq!((truths.yes, truths.no), (first(192), NONE));
            atom.truths(2 * BLOCK, 0, &mut truths);
            assert_eq!((truths.yes, truths.no), (NONE, NONE));
        }
    }
}
