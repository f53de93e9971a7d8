//! The next channel of their `via` for those whose channel does not take them after all: their list
//! is too short, or the last message of their window is somebody else's.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::assignments::{Assignment, Leaf};
use super::reach::reach;
use super::run_state::RunState;
use crate::base::Bitmap;
use crate::eval::EvalError;

/// The channels that a candidate has come from, by its position.
pub type TriedChannels = BTreeMap<usize, Vec<usize>>;

impl RunState<'_> {
    /// Moves candidates on to their next channels; gives those who have none, and stay where they
    /// are.
    pub fn move_on(
        &mut self,
        members: &[usize],
        left: &mut TriedChannels,
    ) -> Result<Vec<usize>, EvalError> {
        let mut stay = Vec::new();
        // Those of a way who have come from the same channels are looked for together.
        let mut alike: BTreeMap<(usize, Vec<usize>), Vec<usize>> = BTreeMap::new();
        for member in members.iter().copied() {
            let Some(candidate) = self.candidates.get(member) else {
                continue;
            };
            let left = left.entry(member).or_default();
            // Who gets one message on each channel has no other channel for this one.
            if left.contains(&candidate.outlet) || candidate.leg != 0 {
                stay.push(member);
            } else {
                left.push(candidate.outlet);
                alike
                    .entry((candidate.way, left.clone()))
                    .or_default()
                    .push(member);
            }
        }
        if alike.is_empty() {
            return Ok(stay);
        }
        // An address occurs once in a run and channel.
        let mut taken: HashSet<(usize, Arc<str>)> = self
            .candidates
            .iter()
            .map(|c| (c.outlet, c.address.clone()))
            .collect();
        for ((way, left), mut members) in alike {
            members.sort_by_key(|member| self.candidates.get(*member).map(|c| c.user));
            let Some(Assignment {
                leaf: Leaf::Send { template, via },
                users,
                ..
            }) = self.ways.get(way)
            else {
                continue;
            };
            // All channels of the way are there since it was looked for them the first time.
            let outlets: Vec<usize> = via
                .routes
                .iter()
                .filter_map(|route| self.outlet_of(&route.channel))
                .collect();
            let unused = |route: usize| {
                outlets
                    .get(route)
                    .is_some_and(|outlet| !left.contains(outlet))
            };
            let of_members = members
                .iter()
                .filter_map(|member| self.candidates.get(*member))
                .map(|c| c.user);
            let asked = Bitmap::from_users(users.len(), of_members);
            let places = reach(
                self.input.scope,
                self.input.campaign,
                via,
                &asked,
                unused,
                self.is_open(&outlets, *template),
            )?;
            for (member, place) in members.into_iter().zip(places) {
                let next = place
                    .and_then(|(route, address)| Some((*outlets.get(route)?, address)))
                    .filter(|next| taken.insert(next.clone()));
                let Some((outlet, address)) = next else {
                    stay.push(member);
                    continue;
                };
                let message = |text: u32, written: usize| {
                    self.written.get(written)?.texts.all.get(text as usize)
                };
                let judged = self.candidates.get(member).and_then(|c| {
                    message(c.text?, c.written).zip(self.judge_of(c.written, outlet))
                });
                let problem = judged.and_then(|(message, judge)| judge.judge(message));
                if let Some(candidate) = self.candidates.get_mut(member) {
                    (candidate.outlet, candidate.address, candidate.problem) =
                        (outlet, address, problem);
                }
            }
        }
        Ok(stay)
    }
}
