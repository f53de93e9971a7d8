//! The end of a run's way: who passed, as groups of messages in send order; who did not, with
//! the reason.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::content::Problem;
use super::decision::{Contents, Decision, Gate, MessageGroup, Rendered};
use super::run_state::{Candidate, RunState};
use crate::base::Bitmap;

impl RunState<'_> {
    pub fn finish(self) -> Decision {
        let RunState {
            ways,
            outlets,
            written,
            mut candidates,
            mut decision,
            ..
        } = self;
        let mut late: BTreeMap<Gate, Bitmap> = BTreeMap::new();
        // By arm in the order of the program, template, channel, and whether they are their users'
        // first messages.
        let mut groups: Vec<(Key, Vec<Candidate>)> = Vec::new();
        // Those of one group are mostly neighbours after this, and in send order; of a user's
        // messages the first channel's comes first.
        candidates.sort_by_key(|c| (c.way, c.leg, c.outlet, Reverse(c.priority), c.user));
        let has_legs = candidates.iter().any(|c| c.leg > 0);
        let mut reached = Bitmap::none(if has_legs { decision.users } else { 0 });
        for candidate in candidates {
            if let Some(gate) = gate_of(&candidate) {
                late.entry(gate)
                    .or_insert_with(|| Bitmap::none(decision.users))
                    .insert(candidate.user);
                continue;
            }
            let leads = !(has_legs && reached.contains(candidate.user));
            if has_legs {
                reached.insert(candidate.user);
            }
            let arm = ways.get(candidate.way).and_then(|way| way.arm);
            let key = Key {
                arm,
                written: candidate.written,
                outlet: candidate.outlet,
                leg: candidate.leg,
                leads,
            };
            match groups.iter_mut().rev().find(|(known, _)| *known == key) {
                Some((_, members)) => members.push(candidate),
                None => groups.push((key, vec![candidate])),
            }
        }
        if has_legs {
            // Who gets one of several messages is not stopped; of whom each is stopped, the first
            // gate is the reason.
            for users in late.values_mut() {
                *users = users.minus(&reached);
                reached = reached.or(users);
            }
            late.retain(|_, users| !users.is_empty());
        }
        decision.stopped.extend(late);
        decision.stopped.sort_by(|a, b| a.0.cmp(&b.0));
        for (
            Key {
                arm,
                written: template,
                outlet,
                leg,
                leads,
            },
            mut members,
        ) in groups
        {
            let (Some(written), Some(outlet)) = (written.get(template), outlets.get(outlet)) else {
                continue;
            };
            // Two branches of a `choose` may end in one group.
            members.sort_by_key(|m| (Reverse(m.priority), m.user));
            decision.messages.push(MessageGroup {
                arm: arm.map(str::to_string),
                leg,
                leads,
                template: written.template,
                channel: outlet.channel.clone(),
                not_before: outlet.window.not_before,
                expires: outlet.window.expires,
                contents: contents(&written.texts.all, &members),
                defaulted: members
                    .iter()
                    .position(|m| written.with_defaults.contains(m.user)),
                users: members.iter().map(|m| m.user).collect(),
                priorities: members.iter().map(|m| m.priority).collect(),
                addresses: members.into_iter().map(|m| m.address).collect(),
            });
        }
        decision
    }
}

/// What the messages of a group have in common.
#[derive(PartialEq)]
struct Key<'a> {
    arm: Option<&'a str>,
    written: usize,
    outlet: usize,
    leg: u16,
    leads: bool,
}

/// What stops a candidate.
fn gate_of(candidate: &Candidate) -> Option<Gate> {
    if let Some(winner) = &candidate.capped {
        return Some(Gate::Capped(winner.as_deref().map(str::to_string)));
    }
    candidate.problem.map(|problem| match problem {
        Problem::BlockedWords => Gate::BlockedWords,
        Problem::TooLong => Gate::TooLong,
        Problem::MissingContent => Gate::MissingContent,
        Problem::TooFewForList => Gate::TooFewForList,
    })
}

fn contents(texts: &[Arc<Rendered>], members: &[Candidate]) -> Contents {
    let first = members.first().and_then(|m| m.text);
    let text = |number: Option<u32>| number.and_then(|n| texts.get(n as usize)).cloned();
    match text(first) {
        Some(one) if members.iter().all(|m| m.text == first) => Contents::Same(one),
        _ => Contents::Each(members.iter().filter_map(|m| text(m.text)).collect()),
    }
}
