//! Which campaigns are due when: what `apply` fixed, what recurs, and what waits for events.

use crate::base::{CampaignId, Instant, Zone};
use crate::deliver::ledger::Occasion;
use crate::program::typed::{Campaign, Schedule};
use crate::schedule::{calendar, dated};

/// How a campaign stands to the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its next instant.
    Next(Instant),
    /// A one-off campaign whose instant has been carried out, or a recurring one past its last day.
    Over,
    /// It waits for events.
    Triggered,
}

/// What the ledger remembers of a campaign's schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The instant of a one-off campaign, fixed when it was first applied.
    pub fixed: Option<Instant>,
    /// The last instant that was carried out or recorded as missed.
    pub handled: Option<Instant>,
    /// When the campaign became live: earlier instants are none of its business.
    pub live_since: Option<Instant>,
}

/// Where a campaign stands at `now`.
pub fn standing(campaign: &Campaign, position: Position, zone: Zone, now: Instant) -> Standing {
    match &campaign.schedule {
        Schedule::Trigger(_) => Standing::Triggered,
        Schedule::Once(once) => {
            let due = position.fixed.unwrap_or_else(|| calendar::fix_once(*once, zone, now));
            if position.handled.is_some_and(|h| h >= due) { Standing::Over } else { Standing::Next(due) }
        }
        Schedule::Every(every) => {
            // The first instant may be `now` itself, so the search begins just before it.
            let after = position.handled.or(position.live_since.map(just_before)).unwrap_or(just_before(now));
            calendar::next_due(every, zone, after).map_or(Standing::Over, Standing::Next)
        }
        Schedule::Dated(d) => {
            dated::next_due(d.at, zone, position.handled, position.live_since.unwrap_or(now)).map_or(Standing::Over, Standing::Next)
        }
    }
}

/// What a run of the calendar is for.
pub fn occasion(campaign: &Campaign, zone: Zone, due: Instant) -> Occasion {
    match &campaign.schedule {
        Schedule::Dated(d) => Occasion::Day(dated::days_of(d.at, zone, due).1),
        Schedule::Once(_) | Schedule::Every(_) | Schedule::Trigger(_) => Occasion::Due(due),
    }
}

fn just_before(at: Instant) -> Instant {
    Instant(at.0.saturating_sub(1))
}

/// A campaign and the instant at which it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    pub at: Instant,
    pub campaign: CampaignId,
}
