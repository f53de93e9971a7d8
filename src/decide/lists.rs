//! Lists that are too short for their platform: their members take the next channel of their `via`,
//! or are stopped. Nobody is added to a list to make it long enough.

use std::collections::BTreeMap;

use super::content::Problem;
use super::next_route::TriedChannels;
use super::run_state::RunState;
use crate::eval::EvalError;

impl RunState<'_> {
    pub fn has_lists(&self) -> bool {
        self.outlets.iter().any(|outlet| outlet.list_min > 1)
    }

    /// Moves on the members of lists that are too short; says whether there were any. After that
    /// others may have room, or have lost it.
    pub fn mend_short_lists(&mut self, left: &mut TriedChannels) -> Result<bool, EvalError> {
        let mut lists: BTreeMap<(Option<&str>, usize, usize, Option<u32>), Vec<usize>> =
            BTreeMap::new();
        for (i, c) in self.candidates.iter().enumerate() {
            let takes_lists = self
                .outlets
                .get(c.outlet)
                .is_some_and(|outlet| outlet.list_min > 1);
            if takes_lists && c.problem.is_none() && c.capped.is_none() {
                let arm = self.ways.get(c.way).and_then(|way| way.arm);
                lists
                    .entry((arm, c.written, c.outlet, c.text))
                    .or_default()
                    .push(i);
            }
        }
        let is_short = |outlet: usize, size: usize| {
            self.outlets
                .get(outlet)
                .is_some_and(|o| (size as u64) < u64::from(o.list_min))
        };
        let short: Vec<usize> = lists
            .into_iter()
            .filter(|((_, _, outlet, _), list)| is_short(*outlet, list.len()))
            .flat_map(|(_, list)| list)
            .collect();
        for member in self.move_on(&short, left)? {
            if let Some(candidate) = self.candidates.get_mut(member) {
                candidate.problem = Some(Problem::TooFewForList);
            }
        }
        Ok(!short.is_empty())
    }
}
