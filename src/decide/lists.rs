//! Lists that are too short for their platform: their members take the next channel of their `via`, or are stopped. Nobody is added to a
//! list to make it long enough.

use std::collections::BTreeMap;

use super::ask;
use super::content::Problem;
use super::draft::Draft;
use super::reach::reach;
use super::ways::{Leaf, Way};
use crate::eval::EvalError;

/// The channels that a candidate has come from, by its position.
pub type Left = BTreeMap<usize, Vec<usize>>;

impl Draft<'_> {
    pub fn has_lists(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.list_min > 1)
    }

    /// Moves on the members of lists that are too short; says whether there were any. After that others may have room, or have lost it.
    pub fn mend_short_lists(&mut self, left: &mut Left) -> Result<bool, EvalError> {
        let mut lists: BTreeMap<(Option<&str>, usize, usize, Option<u32>), Vec<usize>> = BTreeMap::new();
        for (i, c) in self.candidates.iter().enumerate() {
            let takes_lists = self.outlets.get(c.outlet).is_some_and(|outlet| outlet.list_min > 1);
            if takes_lists && c.problem.is_none() && c.capped.is_none() {
                let arm = self.ways.get(c.way).and_then(|way| way.arm);
                lists.entry((arm, c.written, c.outlet, c.text)).or_default().push(i);
            }
        }
        let is_short = |outlet: usize, size: usize| self.outlets.get(outlet).is_some_and(|o| (size as u64) < u64::from(o.list_min));
        let short: Vec<usize> =
            lists.into_iter().filter(|((_, _, outlet, _), list)| is_short(*outlet, list.len())).flat_map(|(_, list)| list).collect();
        for member in &short {
            self.take_next_channel(*member, left.entry(*member).or_default())?;
        }
        Ok(!short.is_empty())
    }

    fn take_next_channel(&mut self, member: usize, left: &mut Vec<usize>) -> Result<(), EvalError> {
        let Some(candidate) = self.candidates.get(member) else { return Ok(()) };
        let (user, written, text) = (candidate.user, candidate.written, candidate.text);
        left.push(candidate.outlet);
        let mut next = None;
        // Who gets one message on each channel has no other channel for this one.
        if let Some(Way { leaf: Leaf::Send { template, via }, users, .. }) = self.ways.get(candidate.way).filter(|_| candidate.leg == 0) {
            let (via, user) = (*via, ask::only(users.len(), user));
            // All channels of the way are there since it was looked for them the first time.
            let outlets: Vec<usize> = via.routes.iter().filter_map(|route| self.outlet_of(&route.channel)).collect();
            let unused = |route: usize| outlets.get(route).is_some_and(|outlet| !left.contains(outlet));
            let place = reach(self.input.scope, via, &user, unused, self.is_open(&outlets, *template))?.pop().flatten();
            next = place.and_then(|(route, address)| Some((*outlets.get(route)?, address)));
        }
        // An address occurs once in a run and channel.
        let is_taken = |place: &(usize, std::sync::Arc<str>)| self.candidates.iter().any(|c| c.outlet == place.0 && c.address == place.1);
        let next = next.filter(|place| !is_taken(place));
        let problem = match &next {
            None => Some(Problem::TooFewForList),
            Some((outlet, _)) => {
                let message = text.and_then(|text| self.written.get(written)?.texts.all.get(text as usize));
                message.zip(self.judge_of(written, *outlet)).and_then(|(message, judge)| judge.judge(message))
            }
        };
        if let Some(candidate) = self.candidates.get_mut(member) {
            candidate.problem = problem;
            if let Some((outlet, address)) = next {
                (candidate.outlet, candidate.address) = (outlet, address);
            }
        }
        Ok(())
    }
}
