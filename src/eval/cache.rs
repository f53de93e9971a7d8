//! Answers that are kept: for a test of a column or of what users did in a window, the users for whom it is true and those for whom it is false.
//!
//! Conditions repeat: the same campaign every day, the same `region == "Shanghai"` in every question of an afternoon. A test is kept when it is
//! asked a second time, under what the column or the events' files hold and not where they lie, so that a kept answer can never be old; and the least used go first when
//! [`BUDGET`] is full. Nothing that depends on the clock is kept but under the bounds that the clock gave.
//!
//! So all campaigns that are due at one instant, and all questions that are asked of one `now`, read the events for `orders_30d >= 3` once.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rayon::prelude::*;

use super::batch::{Block, Frame, STRETCH};
use super::bind::{Bound, BoundQuery};
use super::masks::{BLOCK, Bits, NONE, Truths, WORDS, and, first, minus};
use crate::plan::node::{Cond, CondId, Node, ValId, ValKind};
use crate::program::expr::{Aggregate, EventSource};

/// Bytes of answers that are kept: at ten million users 2.5 MB each.
const BUDGET: usize = 128 << 20;
/// Tests that are remembered as asked once.
const ASKED: usize = 10_000;
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
                    out.iter_mut().zip(from).for_each(|(bits, word)| *bits = *word);
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

/// What is kept of a plan's tests, by [`CondId`].
pub type Atoms = Vec<Option<Arc<Atom>>>;

#[derive(Default)]
struct Cache {
    kept: HashMap<String, (Arc<Atom>, u64)>,
    asked: HashMap<String, u64>,
    bytes: usize,
    clock: u64,
}

static CACHE: LazyLock<Mutex<Cache>> = LazyLock::new(Mutex::default);

/// Lets go of every kept answer, and of what was asked once.
pub fn forget() {
    *CACHE.lock().unwrap_or_else(PoisonError::into_inner) = Cache::default();
}

/// The kept answers to a plan's tests; those that were asked before and are not kept yet are worked out now.
pub fn atoms(bound: &Bound) -> Atoms {
    let users = bound.scope.snapshot.user_count();
    if users < FEWEST {
        return Vec::new();
    }
    (0u32..).map(CondId).zip(&bound.plan.conds).map(|(id, cond)| atom(bound, id, &key(bound, id, cond)?, users)).collect()
}

/// What decides the answers to a test; `None` for a condition of another kind, or one whose answers are not kept.
fn key(bound: &Bound, id: CondId, cond: &Cond) -> Option<String> {
    match cond {
        Cond::Test { of, .. } => Some(format!("{} {:?}", value_key(bound, *of)?, bound.test(id)?)),
        Cond::Did(_) => event_key(bound, bound.query_of(Node::Cond(id))?),
        _ => None,
    }
}

fn value_key(bound: &Bound, id: ValId) -> Option<String> {
    match bound.plan.val(id).kind {
        ValKind::Named(_, of) => value_key(bound, of),
        // A value that grows old is missing by the clock.
        ValKind::Tag(tag) if bound.tag(tag)?.fresh.is_none() => bound.version(tag).map(str::to_owned),
        ValKind::Event(_) => Some(format!("{} {:?}", event_key(bound, bound.query_of(Node::Val(id))?)?, bound.plan.val(id).ty)),
        _ => None,
    }
}

fn event_key(bound: &Bound, query: &BoundQuery) -> Option<String> {
    let (what, bounds) = (query.query, query.bounds);
    let EventSource::Declared(event) = what.pattern.source else { return None };
    let plain = what.pattern.filter.is_none() && what.then.is_none() && what.what != Aggregate::Since;
    let event = bound.scope.program.schema.events.get(event.index()).filter(|_| plain)?;
    let files = bound.scope.snapshot.event_version(&event.name)?;
    // Rows are read by the program's fields.
    Some(format!("{files} {:?} {:?} {:?} {bounds:?}", what.what, what.field, event.fields))
}

fn atom(bound: &Bound, id: CondId, what: &str, users: usize) -> Option<Arc<Atom>> {
    let key = format!("{users} {what}");
    let ask = || CACHE.lock().unwrap_or_else(PoisonError::into_inner).ask(&key);
    match ask() {
        Asked::Kept(atom) => return Some(atom),
        Asked::First => return None,
        Asked::Again => {}
    }
    let words = users.div_ceil(64);
    let (mut yes, mut no) = (vec![0; words], vec![0; words]);
    let stretches = yes.par_chunks_mut(STRETCH * WORDS).zip(no.par_chunks_mut(STRETCH * WORDS)).enumerate();
    stretches.for_each_init(
        || Block::new(bound, Frame::Users),
        |block, (stretch, (yes, no))| {
            for (number, (yes, no)) in yes.chunks_mut(WORDS).zip(no.chunks_mut(WORDS)).enumerate() {
                block.reset((stretch * STRETCH + number) * BLOCK, users);
                let all = block.all();
                let truths = block.cond(id, &all);
                yes.iter_mut().zip(and(&truths.yes, &all)).for_each(|(word, bits)| *word = bits);
                no.iter_mut().zip(and(&truths.no, &all)).for_each(|(word, bits)| *word = bits);
            }
        },
    );
    let answered: usize = yes.iter().chain(&no).map(|w| w.count_ones() as usize).sum();
    let atom = Arc::new(Atom { yes, no: (answered < users).then_some(no) });
    CACHE.lock().unwrap_or_else(PoisonError::into_inner).keep(key, &atom);
    Some(atom)
}

enum Asked {
    First,
    Again,
    Kept(Arc<Atom>),
}

impl Cache {
    fn ask(&mut self, key: &str) -> Asked {
        self.clock += 1;
        if let Some((atom, used)) = self.kept.get_mut(key) {
            *used = self.clock;
            return Asked::Kept(atom.clone());
        }
        if self.asked.remove(key).is_some() {
            return Asked::Again;
        }
        if self.asked.len() >= ASKED {
            self.asked.clear();
        }
        self.asked.insert(key.to_owned(), self.clock);
        Asked::First
    }

    fn keep(&mut self, key: String, atom: &Arc<Atom>) {
        if atom.bytes() > BUDGET {
            return;
        }
        while self.bytes + atom.bytes() > BUDGET {
            // Ties cannot be: the clock moves with every question.
            let Some(oldest) = self.kept.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone()) else { break };
            if let Some((gone, _)) = self.kept.remove(&oldest) {
                self.bytes -= gone.bytes();
            }
        }
        self.clock += 1;
        if let Some((before, _)) = self.kept.insert(key, (atom.clone(), self.clock)) {
            self.bytes -= before.bytes();
        }
        self.bytes += atom.bytes();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_go_first_and_the_budget_holds() {
        let mut cache = Cache::default();
        let atom = || Arc::new(Atom { yes: vec![1; 1 << 20], no: Some(vec![0; 1 << 20]) });
        for i in 0..20 {
            let key = format!("k{i}");
            assert!(matches!(cache.ask(&key), Asked::First));
            assert!(matches!(cache.ask(&key), Asked::Again));
            cache.keep(key, &atom());
            assert!(matches!(cache.ask("k0"), Asked::Kept(_)), "what is used stays");
            assert!(cache.bytes <= BUDGET && cache.bytes == cache.kept.values().map(|(a, _)| a.bytes()).sum::<usize>());
        }
        assert!(!cache.kept.contains_key("k1") && cache.kept.contains_key("k19"));
    }

    #[test]
    fn the_last_block_may_be_short() {
        for no in [Some(vec![0; WORDS + 3]), None] {
            let atom = Atom { yes: vec![u64::MAX; WORDS + 3], no };
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
