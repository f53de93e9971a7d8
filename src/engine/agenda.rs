//! Which campaigns are due when: what `apply` fixed, what recurs, and what waits for events.

use crate::base::{Instant, Zone};
use crate::ledger::Occasion;
use crate::program::typed::{Campaign, Program, Schedule};
use crate::schedule::user_time::UserTimes;
use crate::schedule::{calendar, date_offset, hand_over};

/// Where a campaign is on its schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchedulePosition {
    /// Its next instant.
    Next(Instant),
    /// A one-off campaign whose instant has been dealt with, or a recurring one past its last day.
    Over,
    /// It waits for events.
    Triggered,
}

/// What the ledger remembers of a campaign's schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// The instant of a one-off campaign, fixed when it was first applied.
    pub fixed: Option<Instant>,
    /// The last instant that was planned or recorded as missed.
    pub handled: Option<Instant>,
    /// When the campaign became live: it is not due at earlier instants.
    pub live_since: Option<Instant>,
}

/// Where a campaign is on its schedule at `now`.
pub fn schedule_position(
    program: &Program,
    campaign: &Campaign,
    position: ScheduleRecord,
    now: Instant,
) -> SchedulePosition {
    let zone = program.policy.zone;
    match &campaign.schedule {
        Schedule::Trigger(_) => SchedulePosition::Triggered,
        Schedule::Once(once) => {
            let due = position
                .fixed
                .unwrap_or_else(|| calendar::fix_once(*once, zone, now));
            if position.handled.is_some_and(|h| h >= due) {
                SchedulePosition::Over
            } else {
                SchedulePosition::Next(due)
            }
        }
        Schedule::Every(every) => {
            // The first instant may be `now` itself, so the search begins just before it.
            let after = position
                .handled
                .or(position.live_since.map(just_before))
                .unwrap_or(just_before(now));
            calendar::next_due(every, zone, after)
                .map_or(SchedulePosition::Over, SchedulePosition::Next)
        }
        Schedule::Dated(d) => date_offset::next_due(
            d.at,
            zone,
            position.handled,
            position.live_since.unwrap_or(now),
        )
        .map_or(SchedulePosition::Over, SchedulePosition::Next),
        Schedule::OwnTime(_) => {
            let next = own_times(program, campaign, position, now).and_then(|(times, after)| {
                times.next(after.max(just_before(first_open(program, campaign, after, now))))
            });
            next.map_or(SchedulePosition::Over, SchedulePosition::Next)
        }
    }
}

/// What a run of the calendar is for.
pub fn occasion(campaign: &Campaign, zone: Zone, due: Instant) -> Occasion {
    match &campaign.schedule {
        Schedule::Dated(d) => Occasion::Day(date_offset::days_of(d.at, zone, due).1),
        Schedule::Once(_) | Schedule::Every(_) | Schedule::OwnTime(_) | Schedule::Trigger(_) => {
            Occasion::Due(due)
        }
    }
}

/// The occasions of a campaign whose users have times of their own, and the instant up to which
/// they have been dealt with.
pub fn own_times<'a>(
    program: &Program,
    campaign: &'a Campaign,
    position: ScheduleRecord,
    now: Instant,
) -> Option<(UserTimes<'a>, Instant)> {
    let Schedule::OwnTime(schedule) = &campaign.schedule else {
        return None;
    };
    let fixed = position.fixed.or(position.live_since).unwrap_or(now);
    let begin = just_before(position.live_since.unwrap_or(fixed).max(fixed));
    Some((
        UserTimes {
            schedule,
            zone: program.policy.zone,
            fixed,
        },
        position.handled.map_or(begin, |handled| handled.max(begin)),
    ))
}

/// The first instant after another at which what is due is not too late by `now`.
pub fn first_open(program: &Program, campaign: &Campaign, after: Instant, now: Instant) -> Instant {
    let open = |at: i64| !hand_over(program, campaign, Instant(at)).missed(now);
    let (mut closed, mut first) = (after.0, now.0);
    let next = closed.saturating_add(1);
    if next >= first || open(next) {
        return Instant(next);
    }
    // What is due later is open for longer.
    while first - closed > 1 {
        let middle = closed + (first - closed) / 2;
        if open(middle) {
            first = middle
        } else {
            closed = middle
        }
    }
    Instant(first)
}

fn just_before(at: Instant) -> Instant {
    Instant(at.0.saturating_sub(1))
}
