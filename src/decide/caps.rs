//! Caps: how many messages a user may get in a period, and who wins the last slot.
//!
//! Campaigns that are due together compete by priority, then by name. What was planned before has its slot. The winner's name goes with the
//! loser's reason.

use std::collections::BTreeMap;

use super::history::{CapScope, Counted, History};
use crate::base::{Date, UserNo};
use crate::program::typed::{Cap, CapPeriod, Channel, Purpose};

/// One message that wants its slots.
#[derive(Clone, Debug)]
pub struct Contender<'a> {
    pub user: UserNo,
    pub priority: i64,
    pub campaign: &'a str,
    pub channel: &'a Channel,
    /// The day of the planned hand-over, in the policy's zone.
    pub day: Date,
    pub policy_caps: &'a [Cap],
    /// Of policy's caps when they stand inside `for PURPOSE`.
    pub purpose: Option<Purpose>,
    pub campaign_caps: &'a [Cap],
}

/// The first and the last day of the period that `day` lies in.
pub fn period(per: CapPeriod, day: Date) -> (Date, Date) {
    match per {
        CapPeriod::Day => (day, day),
        CapPeriod::Week => (day.week_start(), day.week_start().plus_days(6)),
        CapPeriod::Month => (day.month_start(), day.month_end()),
        CapPeriod::RollingDays(n) => (day.plus_days(-i32::try_from(n).unwrap_or(i32::MAX)), day),
    }
}

/// Slots taken, by scope and period: from history, and by those who came before in this group.
pub struct Slots<'h, H: History> {
    history: &'h H,
    taken: BTreeMap<(CapScope, Date, Date), BTreeMap<UserNo, Counted>>,
}

impl<'h, H: History> Slots<'h, H> {
    pub fn new(history: &'h H) -> Self {
        Slots { history, taken: BTreeMap::new() }
    }

    /// Takes the contender's slots, or says which campaign has the last one (`None`: it is kept for others, or the cap is 0).
    ///
    /// # Errors
    /// Those of the history.
    pub fn take(&mut self, c: &Contender, reserve: bool) -> Result<Result<(), Option<String>>, H::Error> {
        let scopes = |caps: &'_ [Cap], campaign: Option<&str>| -> Vec<(CapScope, Cap)> {
            caps.iter()
                .filter(|cap| cap.channel.as_ref().is_none_or(|channel| channel == c.channel))
                .map(|cap| {
                    (campaign.map_or_else(|| CapScope::of_policy(cap, c.purpose), |name| CapScope::of_campaign(cap, name)), cap.clone())
                })
                .collect()
        };
        let mut wanted = scopes(c.policy_caps, None);
        wanted.extend(scopes(c.campaign_caps, Some(c.campaign)));
        let mut keys = Vec::with_capacity(wanted.len());
        for (scope, cap) in wanted {
            let (from, to) = period(cap.per, c.day);
            let key = (scope, from, to);
            if !self.taken.contains_key(&key) {
                let counted = self.history.counted(&key.0, from, to)?;
                self.taken.insert(key.clone(), counted);
            }
            let used = self.taken.get(&key).and_then(|users| users.get(&c.user));
            let kept = cap.keep.filter(|(_, least)| c.priority < *least).map_or(0, |(n, _)| n);
            if used.map_or(0, |u| u.messages) >= cap.n.saturating_sub(kept) {
                return Ok(Err(used.map(|u| u.latest_campaign.clone())));
            }
            keys.push(key);
        }
        if reserve {
            for key in keys {
                let counted = self.taken.entry(key).or_default().entry(c.user).or_default();
                counted.messages += 1;
                counted.latest_campaign = c.campaign.to_string();
            }
        }
        Ok(Ok(()))
    }
}
