//! All users: blocks of 4,096 on all cores.

use rayon::prelude::*;

use super::audience_mask::{AudienceCounts, AudienceMask};
use super::bind::BoundPlan;
use super::block::{BlockEvaluator, Frame, STRETCH};
use super::kept_answers;
use super::masks::{self, BLOCK, NONE, Truths, WORDS, and, rows};
use super::vector::{Vector, VectorData};
use crate::base::{Bitmap, Type, Value};
use crate::plan::node::{CondId, Node};

/// A condition for every user, on all cores.
pub fn audience(bound: &BoundPlan, root: CondId) -> AudienceMask {
    let users = bound.scope.snapshot.user_count();
    let kept = kept_answers::kept(bound);
    let words = users.div_ceil(64);
    let (mut yes, mut known) = (vec![0; words], vec![0; words]);
    let stretches = yes
        .par_chunks_mut(STRETCH * WORDS)
        .zip(known.par_chunks_mut(STRETCH * WORDS))
        .enumerate();
    stretches.for_each_init(
        || BlockEvaluator::new(bound, Frame::Users).with_kept(&kept),
        |block, (stretch, (yes, known))| {
            let mut truths = Truths::UNKNOWN;
            for (number, (yes, known)) in yes
                .chunks_mut(WORDS)
                .zip(known.chunks_mut(WORDS))
                .enumerate()
            {
                block.reset((stretch * STRETCH + number) * BLOCK, users);
                let all = block.all();
                block.cond_into(root, &all, &mut truths);
                yes.iter_mut()
                    .zip(truths.yes)
                    .for_each(|(word, bits)| *word = bits);
                known
                    .iter_mut()
                    .zip(truths.known())
                    .for_each(|(word, bits)| *word = bits);
            }
        },
    );
    AudienceMask {
        yes: Bitmap::from_words(yes, users),
        known: Bitmap::from_words(known, users),
    }
}

/// How many users a condition is true for, and for how many it is known: as [`audience`], without
/// keeping who they are.
pub fn counts(bound: &BoundPlan, root: CondId) -> AudienceCounts {
    let users = bound.scope.snapshot.user_count();
    let kept = kept_answers::kept(bound);
    let stretch = |block: &mut BlockEvaluator, stretch: usize| {
        let mut truths = Truths::UNKNOWN;
        (stretch * STRETCH..(stretch + 1) * STRETCH).fold((0, 0), |(yes, known), number| {
            block.reset(number * BLOCK, users);
            if block.len == 0 {
                return (yes, known);
            }
            let all = block.all();
            block.cond_into(root, &all, &mut truths);
            let (here, known_here) = masks::tell(&truths);
            (yes + here, known + known_here)
        })
    };
    let (yes, known) = (0..users.div_ceil(STRETCH * BLOCK))
        .into_par_iter()
        .map_init(
            || BlockEvaluator::new(bound, Frame::Users).with_kept(&kept),
            stretch,
        )
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    AudienceCounts {
        users,
        yes,
        no: known - yes,
        unknown: users - known,
    }
}

/// A value for each of some users, in the order of their numbers.
pub fn values(bound: &BoundPlan, users: &Bitmap) -> Vec<Option<Value>> {
    let ty = match bound.plan.root {
        Node::Cond(_) => &Type::Bool,
        Node::Val(id) => &bound.plan.val(id).ty,
    };
    let count = bound.scope.snapshot.user_count();
    let kept = kept_answers::kept(bound);
    let blocks: Vec<Vec<Option<Value>>> = (0..users.len().div_ceil(BLOCK))
        .into_par_iter()
        .map_init(
            || BlockEvaluator::new(bound, Frame::Users).with_kept(&kept),
            |block, number| {
                block.reset(number * BLOCK, count);
                let mut wanted = NONE;
                wanted
                    .iter_mut()
                    .zip(users.words().iter().skip(number * WORDS))
                    .for_each(|(w, users)| *w = *users);
                let need = and(&wanted, &block.all());
                let get = |row: usize, values: &Vector| values.get(row).and_then(|v| v.value(ty));
                match bound.plan.root {
                    Node::Cond(id) => {
                        let truths = block.cond(id, &need);
                        let vector = Vector {
                            known: truths.known(),
                            data: VectorData::Bool(truths.yes),
                        };
                        rows(&wanted).map(|row| get(row, &vector)).collect()
                    }
                    Node::Val(id) => {
                        let vector = block.val(id, &need);
                        rows(&wanted).map(|row| get(row, &vector)).collect()
                    }
                }
            },
        )
        .collect();
    blocks.into_iter().flatten().collect()
}
