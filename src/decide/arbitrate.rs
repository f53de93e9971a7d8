//! Who gets a user's last free slots among all that is due at the same instant: the higher
//! priority, then the campaign's name. Of what is due at different instants the earlier has the
//! slot; but until it is claimed, what is more important takes it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::DecideError;
use super::caps::{CapLimit, Contest, MessageKind, Name, Slots};
use super::history::{CapScope, History, PendingMessages};
use super::next_route::TriedChannels;
use super::platform_caps;
use super::run_state::{RunState, WindowKey};
use crate::base::{Bitmap, Date, Instant, UserNo};
use crate::program::typed::{Campaign, Cap, Program};

/// What the messages of a run on one channel must find free, and where they count.
struct Demand {
    limits: Vec<CapLimit>,
    counting: Vec<usize>,
}

/// What goes now through a window that is open for some messages.
#[derive(Clone, Copy, Default)]
struct Passed {
    messages: u32,
    /// How many gave way to them.
    freed: u32,
    /// The campaign of the last.
    last: Option<Name>,
}

/// Says of each candidate whether it gets its slots.
pub fn arbitrate<H: History>(drafts: &mut [RunState], history: &H) -> Result<(), DecideError> {
    let users = drafts.iter().map(|d| d.decision.users).max().unwrap_or(0);
    let mut left: Vec<TriedChannels> = vec![TriedChannels::new(); drafts.len()];
    loop {
        // Who moves on to another channel gives the slots of the one before back: then all is
        // looked at again. Each time more candidates have come to the end of their channels, so
        // this ends.
        let mut mended = false;
        let lost = hand_out(
            drafts,
            &mut Slots::new(history, users, contest(drafts, users)),
        )?;
        for ((draft, left), lost) in drafts.iter_mut().zip(&mut left).zip(lost) {
            mended |= draft.move_on(&lost, left)?.len() < lost.len();
        }
        if !mended {
            for (draft, left) in drafts
                .iter_mut()
                .zip(&mut left)
                .filter(|(draft, _)| draft.has_lists())
            {
                mended |= draft.mend_short_lists(left)?;
            }
        }
        if !mended {
            return Ok(());
        }
    }
}

/// Who may want what others have.
fn contest(drafts: &[RunState], users: usize) -> Contest {
    let candidates = || drafts.iter().flat_map(|d| &d.candidates);
    Contest {
        users: Bitmap::from_users(users, candidates().map(|c| c.user)),
        highest: candidates()
            .map(|c| i64::from(c.priority))
            .max()
            .unwrap_or(i64::MIN),
        now: drafts
            .iter()
            .map(|d| d.input.due)
            .max()
            .unwrap_or(Instant(0)),
    }
}

/// Gives the slots away; by draft those candidates who find the window of their channel used up.
fn hand_out<H: History>(
    drafts: &mut [RunState],
    slots: &mut Slots<H>,
) -> Result<Vec<Vec<usize>>, DecideError> {
    let demands = demands(drafts, slots)?;
    let mut lost: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    // Of one run each message of a user goes through a window of its own.
    let has_windows = if drafts.len() > 1 {
        drafts.iter().any(RunState::has_windows)
    } else {
        drafts.iter().any(RunState::wants_room)
    };
    if !has_windows && demands.iter().flatten().all(|d| d.limits.is_empty()) {
        return Ok(lost);
    }
    let mut windows: BTreeMap<WindowKey, Passed> = BTreeMap::new();
    drafts.iter_mut().for_each(|d| d.decision.takes.clear());
    let names: Vec<Name> = drafts
        .iter()
        .map(|d| slots.name(&d.campaign.declared.name))
        .collect();
    for (draft, place) in turns(drafts) {
        let (Some(name), Some(demands), Some(of)) =
            (names.get(draft), demands.get(draft), drafts.get(draft))
        else {
            continue;
        };
        let Some(candidate) = of.candidates.get(place) else {
            continue;
        };
        let Some(demand) = demands.get(candidate.outlet) else {
            continue;
        };
        let (user, priority) = (candidate.user, i64::from(candidate.priority));
        // A message that is stopped for what it says takes no slot from anyone.
        let stays = candidate.problem.is_none();
        let window = if has_windows {
            of.window(candidate)
        } else {
            None
        };
        let passed = window
            .and_then(|(window, _)| windows.get(&window).copied())
            .unwrap_or_default();
        let is_full = window
            .is_some_and(|(_, left)| passed.messages >= left.messages.saturating_add(passed.freed));
        let planned = of.planned_of(candidate);
        let shares = |standing: &PendingMessages| {
            planned
                .as_ref()
                .zip(window)
                .is_some_and(|(planned, (_, left))| planned.shares(left, standing))
        };
        let free = slots.free(user, priority, &demand.limits);
        let mut takes = Vec::new();
        let mut capped = match free {
            _ if is_full => Some(passed.last),
            Err(winner) => Some(winner),
            Ok(()) => None,
        };
        if capped.is_some()
            && stays
            && let Some(room) = slots
                .make_room(user, priority, &demand.limits, is_full.then_some(&shares))
                .map_err(DecideError::history)?
        {
            (takes, capped) = (room, None);
        }
        if capped.is_none() && stays {
            slots.take(user, *name, &demand.counting);
            if let Some((window, _)) = window {
                let freed = takes
                    .iter()
                    .filter(|take| shares(&take.from.standing))
                    .count();
                let passed = windows.entry(window).or_default();
                passed.messages = passed.messages.saturating_add(1);
                passed.freed = passed
                    .freed
                    .saturating_add(u32::try_from(freed).unwrap_or(u32::MAX));
                passed.last = Some(*name);
            }
        }
        let Some(of) = drafts.get_mut(draft) else {
            continue;
        };
        of.decision.takes.extend(takes);
        let winner = capped.map(|winner| winner.and_then(|w| slots.campaign(w)).map(Arc::clone));
        if winner.is_some() && is_full && stays {
            lost.get_mut(draft)
                .into_iter()
                .for_each(|lost: &mut Vec<usize>| lost.push(place));
        }
        if let Some(candidate) = of.candidates.get_mut(place) {
            candidate.capped = winner;
        }
    }
    Ok(lost)
}

/// The caps that a campaign's messages must keep, each with what it counts.
pub fn caps_of(program: &Program, campaign: &Campaign) -> Vec<(Cap, CapScope)> {
    let rules = program.rules(campaign);
    let own_caps = program
        .policy
        .purposes
        .get(&campaign.purpose)
        .is_some_and(|p| !p.caps.is_empty());
    let purpose = own_caps.then_some(campaign.purpose);
    let of_policy = rules
        .policy_caps
        .iter()
        .map(|cap| (cap.clone(), CapScope::of_policy(cap, purpose)));
    of_policy
        .chain(rules.campaign_caps.iter().map(|cap| {
            (
                cap.clone(),
                CapScope::of_campaign(cap, &campaign.declared.name),
            )
        }))
        .collect()
}

/// By run and channel.
fn demands<H: History>(
    drafts: &[RunState],
    slots: &mut Slots<H>,
) -> Result<Vec<Vec<Demand>>, DecideError> {
    // All limits first, so that every message counts in every column that any cap looks at.
    let mut limits: Vec<Vec<Vec<CapLimit>>> = Vec::new();
    for draft in drafts {
        let caps = caps_of(draft.input.scope.program, draft.campaign);
        let mut of_draft = Vec::new();
        for (number, outlet) in draft.outlets.iter().enumerate() {
            let (day, last) = days(draft, number);
            let looked_at = caps
                .iter()
                .filter(|(cap, _)| cap.channel.as_ref().is_none_or(|c| c == outlet.channel));
            let of_outlet: Result<Vec<CapLimit>, H::Error> = looked_at
                .map(|(cap, scope)| slots.limit(cap, scope, day, last))
                .collect();
            let mut of_outlet = of_outlet.map_err(DecideError::history)?;
            for cap in platform_caps::caps(
                outlet.channel,
                outlet.window.not_before,
                draft.input.foreign,
            ) {
                of_outlet.push(
                    slots
                        .platform_limit(&cap, outlet.channel)
                        .map_err(DecideError::history)?,
                );
            }
            of_draft.push(of_outlet);
        }
        limits.push(of_draft);
    }
    let mut demands = Vec::new();
    for (draft, limits) in drafts.iter().zip(limits) {
        let campaign = draft.campaign;
        let of_outlet =
            draft
                .outlets
                .iter()
                .zip(limits)
                .enumerate()
                .map(|(number, (outlet, limits))| {
                    let kind = MessageKind {
                        campaign: &campaign.declared.name,
                        purpose: campaign.purpose,
                        channel: outlet.channel,
                        day: days(draft, number).0,
                        at: outlet.window.not_before,
                    };
                    Demand {
                        limits,
                        counting: slots.counting(kind),
                    }
                });
        demands.push(of_outlet.collect());
    }
    Ok(demands)
}

/// The day of the planned send on a channel, and the last day on which anything can be planned
/// so far: quiet hours end within a day.
fn days(draft: &RunState, outlet: usize) -> (Date, Date) {
    let zone = draft.input.scope.program.policy.zone;
    let planned = draft
        .outlets
        .get(outlet)
        .map_or(draft.input.due, |o| o.window.not_before);
    (zone.date(planned), zone.date(draft.input.due).plus_days(1))
}

/// Every candidate as (run, position), those first who win a slot. Only the order within a user
/// matters.
fn turns(drafts: &[RunState]) -> Vec<(usize, usize)> {
    if let [only] = drafts {
        // Of a user with several messages the first channel's comes first.
        return (0..only.candidates.len()).map(|place| (0, place)).collect();
    }
    let mut by_name: Vec<usize> = (0..drafts.len()).collect();
    by_name.sort_by_key(|d| {
        drafts
            .get(*d)
            .map(|draft| (&draft.campaign.declared.name, draft.input.step))
    });
    let mut turns: Vec<(UserNo, Reverse<i32>, usize, usize, usize)> = Vec::new();
    for (rank, draft) in by_name.into_iter().enumerate() {
        let candidates = drafts.get(draft).into_iter().flat_map(|d| &d.candidates);
        turns.extend(
            candidates
                .enumerate()
                .map(|(place, c)| (c.user, Reverse(c.priority), rank, draft, place)),
        );
    }
    turns.sort_unstable();
    turns
        .into_iter()
        .map(|(_, _, _, draft, place)| (draft, place))
        .collect()
}
