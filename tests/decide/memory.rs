//! A past held in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use tagcast::base::{Bitmap, Date, Instant, UserNo};
use tagcast::decide::decision::Decision;
use tagcast::decide::history::{CapScope, CapUsage, History};
use tagcast::program::typed::{ChannelName, Program, Purpose};

/// Messages that were decided, all of which count.
#[derive(Default, Clone, Debug)]
pub struct Memory {
    messages: Vec<Past>,
    opted_out: BTreeSet<UserNo>,
}

/// A group of messages.
#[derive(Clone, Debug)]
struct Past {
    campaign: String,
    purpose: Purpose,
    step: usize,
    due: Instant,
    day: Date,
    channel: ChannelName,
    value: Option<String>,
    users: Vec<UserNo>,
}

impl Memory {
    pub fn opt_out(&mut self, user: UserNo) {
        self.opted_out.insert(user);
    }

    /// Remembers what was decided; `value` is that of `again_value`.
    pub fn record(&mut self, program: &Program, decision: &Decision, value: Option<&str>) {
        let campaign = program.campaign(decision.campaign);
        for group in &decision.messages {
            self.messages.push(Past {
                campaign: campaign.declared.name.clone(),
                purpose: campaign.purpose,
                step: decision.step,
                due: decision.due,
                day: program.policy.zone.date(group.not_before),
                channel: group.channel.clone(),
                value: value.map(str::to_string),
                users: group.users.clone(),
            });
        }
    }
}

impl History for Memory {
    type Error = Infallible;

    fn opted_out(&self, users: usize) -> Result<Bitmap, Infallible> {
        Ok(Bitmap::from_users(users, self.opted_out.iter().copied()))
    }

    fn last_planned(&self, campaign: &str) -> Result<BTreeMap<UserNo, Instant>, Infallible> {
        let mut out: BTreeMap<UserNo, Instant> = BTreeMap::new();
        for past in self
            .messages
            .iter()
            .filter(|p| p.campaign == campaign && p.step == 0)
        {
            for user in &past.users {
                out.entry(*user)
                    .and_modify(|last| *last = (*last).max(past.due))
                    .or_insert(past.due);
            }
        }
        Ok(out)
    }

    fn reached_values(&self, campaign: &str) -> Result<BTreeMap<UserNo, Vec<String>>, Infallible> {
        let mut out: BTreeMap<UserNo, Vec<String>> = BTreeMap::new();
        for past in self
            .messages
            .iter()
            .filter(|p| p.campaign == campaign && p.step == 0)
        {
            for user in &past.users {
                out.entry(*user).or_default().extend(past.value.clone());
            }
        }
        Ok(out)
    }

    fn counted(
        &self,
        scope: &CapScope,
        from: Date,
        to: Date,
    ) -> Result<BTreeMap<UserNo, CapUsage>, Infallible> {
        let mut out: BTreeMap<UserNo, CapUsage> = BTreeMap::new();
        for past in self.messages.iter().filter(|p| {
            from <= p.day && p.day <= to && scope.covers(&p.campaign, p.purpose, &p.channel)
        }) {
            for user in &past.users {
                let counted = out.entry(*user).or_default();
                counted.messages += 1;
                counted.latest_campaign.clone_from(&past.campaign);
            }
        }
        Ok(out)
    }
}
