//! The history of messages as the decider keeps it: read from the ledger once, then extended by what
//! it decides itself, so that an event costs no scan of the ledger.
//!
//! What gives a slot back (a refusal, an expiry) is seen after [`HistoryCache::forget`]. Until then
//! the cached history is too strict, never too lax.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::base::{Bitmap, Date, Instant, UserNo, Zone};
use crate::decide::decision::{Decision, MessageGroup, SlotTransfer};
use crate::decide::history::{
    BlockedAddresses, CapScope, CapUsage, History, LastContact, Unclaimed,
};
use crate::ledger::{LedgerError, LedgerReader};
use crate::program::platform::ContactKind;
use crate::program::typed::{ChannelName, Program, Purpose};

#[derive(Default)]
pub struct HistoryCache {
    maps: RefCell<Maps>,
    /// A question was asked that only the ledger can answer, before all decisions were in it.
    asked_too_early: Cell<bool>,
}

#[derive(Default)]
struct Maps {
    opted_out: Option<Bitmap>,
    /// By campaign.
    last: BTreeMap<String, BTreeMap<UserNo, Instant>>,
    values: BTreeMap<String, BTreeMap<UserNo, Vec<String>>>,
    counted: BTreeMap<(CapScope, Date, Date), BTreeMap<UserNo, CapUsage>>,
    /// By channel, from when on and to whom.
    sent: BTreeMap<ChannelName, (Instant, Vec<(UserNo, Instant)>)>,
    /// The same by template, too. That a send began later than planned is seen after
    /// [`HistoryCache::forget`].
    through: BTreeMap<(ChannelName, Option<String>), (Instant, Vec<(UserNo, Instant)>)>,
    /// What the ledger does not hold yet.
    added: Vec<Added>,
}

/// The messages of a decision.
struct Added {
    campaign: String,
    purpose: Purpose,
    first_step: bool,
    due: Instant,
    again_value: Option<String>,
    groups: Vec<Group>,
    takes: Vec<SlotTransfer>,
}

/// Messages that have their channel and time in common.
struct Group {
    channel: ChannelName,
    template: String,
    not_before: Instant,
    /// In the policy's zone.
    day: Date,
    users: Vec<UserNo>,
}

impl Added {
    fn users(&self) -> impl Iterator<Item = UserNo> + '_ {
        self.groups
            .iter()
            .flat_map(|group| group.users.iter().copied())
    }

    fn to_sent(
        &self,
        channel: &ChannelName,
        template: Option<&str>,
        from: Instant,
        sent: &mut Vec<(UserNo, Instant)>,
    ) {
        let is = |g: &&Group| {
            g.channel == *channel
                && template.is_none_or(|t| *t == g.template)
                && g.not_before >= from
        };
        sent.extend(
            self.groups
                .iter()
                .filter(is)
                .flat_map(|g| g.users.iter().map(|user| (*user, g.not_before))),
        );
        sent.sort_unstable();
    }

    fn to_last(&self, last: &mut BTreeMap<UserNo, Instant>) {
        for user in self.users().filter(|_| self.first_step) {
            let at = last.entry(user).or_insert(self.due);
            *at = (*at).max(self.due);
        }
    }

    fn to_values(&self, values: &mut BTreeMap<UserNo, Vec<String>>) {
        let Some(value) = self.again_value.as_ref().filter(|_| self.first_step) else {
            return;
        };
        self.users()
            .for_each(|user| values.entry(user).or_default().push(value.clone()));
    }

    fn to_counted(
        &self,
        (scope, from_day, to): &(CapScope, Date, Date),
        counted: &mut BTreeMap<UserNo, CapUsage>,
    ) {
        for Group {
            channel,
            day,
            users,
            ..
        } in &self.groups
        {
            if from_day <= day && day <= to && scope.covers(&self.campaign, self.purpose, channel) {
                for user in users {
                    let counted = counted.entry(*user).or_default();
                    counted.messages = counted.messages.saturating_add(1);
                    counted.latest_campaign.clone_from(&self.campaign);
                }
            }
        }
        for SlotTransfer { user, from } in &self.takes {
            let of = &from.standing;
            if *from_day <= of.day
                && of.day <= *to
                && scope.covers(&of.campaign, of.purpose, &of.channel)
                && let Some(counted) = counted.get_mut(user)
            {
                counted.messages = counted.messages.saturating_sub(1);
            }
        }
    }
}

/// Periods that are kept: those of all caps and of the last days. More than this means that days
/// have passed.
const MOST_PERIODS: usize = 64;

impl HistoryCache {
    /// Reads everything anew when it is asked for next. What was added must be in the ledger by
    /// then.
    pub fn forget(&mut self) {
        *self.maps.get_mut() = Maps::default();
    }

    /// Whether what was asked since this was asked last must be asked again when all is in the
    /// ledger.
    pub fn asked_too_early(&self) -> bool {
        self.asked_too_early.take()
    }

    /// What was added is in the ledger now.
    pub fn committed(&self) {
        let maps = &mut *self.maps.borrow_mut();
        if maps.added.iter().any(|a| !a.takes.is_empty()) {
            // Users who lost a slot were not reached either.
            *maps = Maps::default();
        }
        maps.added.clear();
    }

    /// What `ledger` and memory know of some users, or of all.
    pub fn view<'a>(
        &'a self,
        ledger: &'a LedgerReader,
        among: Option<&'a Bitmap>,
    ) -> HistoryView<'a> {
        HistoryView {
            cache: self,
            ledger,
            among,
        }
    }

    /// Keeps what was decided and is going to be planned.
    pub fn add(
        &mut self,
        program: &Program,
        zone: Zone,
        decision: &Decision,
        again_value: Option<&str>,
    ) {
        let campaign = program.campaign(decision.campaign);
        let group = |g: &MessageGroup| Group {
            channel: g.channel.clone(),
            template: program.template(g.template).declared.name.clone(),
            not_before: g.not_before,
            day: zone.date(g.not_before),
            users: g.users.clone(),
        };
        let added = Added {
            campaign: campaign.declared.name.clone(),
            purpose: campaign.purpose,
            first_step: decision.step == 0,
            due: decision.due,
            again_value: again_value.map(str::to_owned),
            groups: decision.messages.iter().map(group).collect(),
            takes: decision.takes.clone(),
        };
        let maps = self.maps.get_mut();
        if let Some(last) = maps.last.get_mut(&added.campaign) {
            added.to_last(last);
        }
        if let Some(values) = maps.values.get_mut(&added.campaign) {
            added.to_values(values);
        }
        for (key, counted) in &mut maps.counted {
            added.to_counted(key, counted);
        }
        for (channel, (from, sent)) in &mut maps.sent {
            added.to_sent(channel, None, *from, sent);
        }
        for ((channel, template), (from, through)) in &mut maps.through {
            added.to_sent(channel, template.as_deref(), *from, through);
        }
        maps.added.push(added);
    }
}

pub struct HistoryView<'a> {
    cache: &'a HistoryCache,
    ledger: &'a LedgerReader,
    /// Who is asked about.
    among: Option<&'a Bitmap>,
}

impl HistoryView<'_> {
    fn of<V: Clone>(&self, all: &BTreeMap<UserNo, V>) -> BTreeMap<UserNo, V> {
        match self.among {
            Some(users) => users
                .iter()
                .filter_map(|user| Some((user, all.get(&user)?.clone())))
                .collect(),
            None => all.clone(),
        }
    }
}

impl History for HistoryView<'_> {
    type Error = LedgerError;

    fn opted_out(&self, users: usize) -> Result<Bitmap, LedgerError> {
        let mut maps = self.cache.maps.borrow_mut();
        let known = maps.opted_out.take().filter(|known| known.len() >= users);
        let map = known.map_or_else(|| self.ledger.opted_out(users), Ok)?;
        maps.opted_out = Some(map.clone());
        Ok(map)
    }

    fn last_planned(&self, campaign: &str) -> Result<BTreeMap<UserNo, Instant>, LedgerError> {
        let maps = &mut *self.cache.maps.borrow_mut();
        if !maps.last.contains_key(campaign) {
            let mut last = self.ledger.last_planned(campaign)?;
            maps.added
                .iter()
                .filter(|a| a.campaign == campaign)
                .for_each(|a| a.to_last(&mut last));
            maps.last.insert(campaign.into(), last);
        }
        Ok(maps
            .last
            .get(campaign)
            .map(|all| self.of(all))
            .unwrap_or_default())
    }

    fn reached_values(&self, campaign: &str) -> Result<BTreeMap<UserNo, Vec<String>>, LedgerError> {
        let maps = &mut *self.cache.maps.borrow_mut();
        if !maps.values.contains_key(campaign) {
            let mut values = self.ledger.reached_values(campaign)?;
            maps.added
                .iter()
                .filter(|a| a.campaign == campaign)
                .for_each(|a| a.to_values(&mut values));
            maps.values.insert(campaign.into(), values);
        }
        Ok(maps
            .values
            .get(campaign)
            .map(|all| self.of(all))
            .unwrap_or_default())
    }

    fn counted(
        &self,
        scope: &CapScope,
        from: Date,
        to: Date,
    ) -> Result<BTreeMap<UserNo, CapUsage>, LedgerError> {
        let maps = &mut *self.cache.maps.borrow_mut();
        let key = (scope.clone(), from, to);
        if !maps.counted.contains_key(&key) {
            if maps.counted.len() >= MOST_PERIODS {
                maps.counted.clear();
            }
            let mut counted = self.ledger.counted(scope, from, to)?;
            maps.added
                .iter()
                .for_each(|a| a.to_counted(&key, &mut counted));
            maps.counted.insert(key.clone(), counted);
        }
        Ok(maps
            .counted
            .get(&key)
            .map(|all| self.of(all))
            .unwrap_or_default())
    }

    fn barred(
        &self,
        account: &str,
        few: Option<&[UserNo]>,
    ) -> Result<BlockedAddresses, LedgerError> {
        self.ledger.barred(account, few)
    }

    fn contacts(
        &self,
        account: &str,
        kind: ContactKind,
        topic: &str,
        after: Option<Instant>,
        few: Option<&[UserNo]>,
    ) -> Result<Option<Vec<LastContact>>, LedgerError> {
        self.ledger.contacts(account, kind, topic, after, few)
    }

    fn sent_since(
        &self,
        channel: &ChannelName,
        from: Instant,
    ) -> Result<Vec<(UserNo, Instant)>, LedgerError> {
        let maps = &mut *self.cache.maps.borrow_mut();
        if maps
            .sent
            .get(channel)
            .is_none_or(|(known, _)| *known > from)
        {
            let mut all = self.ledger.sent_since(channel, from)?;
            maps.added
                .iter()
                .for_each(|a| a.to_sent(channel, None, from, &mut all));
            maps.sent.insert(channel.clone(), (from, all));
        }
        Ok(maps
            .sent
            .get(channel)
            .map(|(_, all)| all.clone())
            .unwrap_or_default())
    }

    fn through_since(
        &self,
        channel: &ChannelName,
        template: Option<&str>,
        from: Instant,
        few: Option<&[UserNo]>,
    ) -> Result<Vec<(UserNo, Instant)>, LedgerError> {
        let maps = &mut *self.cache.maps.borrow_mut();
        let key = (channel.clone(), template.map(str::to_owned));
        if maps
            .through
            .get(&key)
            .is_none_or(|(known, _)| *known > from)
        {
            let mut all = self.ledger.through_since(channel, template, from, None)?;
            maps.added
                .iter()
                .for_each(|a| a.to_sent(channel, template, from, &mut all));
            maps.through.insert(key.clone(), (from, all));
        }
        let all = maps.through.get(&key).map_or(&[][..], |(_, all)| all);
        let Some(few) = few else {
            return Ok(all.to_vec());
        };
        let of = |user: &UserNo| {
            let range =
                all.partition_point(|(u, _)| u < user)..all.partition_point(|(u, _)| u <= user);
            all.get(range).unwrap_or_default().to_vec()
        };
        Ok(few.iter().flat_map(of).collect())
    }

    fn unclaimed(
        &self,
        users: &Bitmap,
        below: i64,
        now: Instant,
    ) -> Result<BTreeMap<UserNo, Vec<Unclaimed>>, LedgerError> {
        if !self.cache.maps.borrow().added.is_empty() {
            // What is decided and not planned yet has no place in the ledger that could be named.
            self.cache.asked_too_early.set(true);
            return Ok(BTreeMap::new());
        }
        self.ledger.unclaimed(users, below, now)
    }
}
