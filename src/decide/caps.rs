//! Caps: how many messages a user may get in a period, and who has the slots.
//!
//! What was planned before has its slot. For each scope and period that some cap looks at, two
//! columns by user number say how many messages count there and which campaign's was the latest;
//! messages decided now are added as they get their slots. [`arbitrate`](super::arbitrate) says in
//! which order. A platform's own cap is one more limit, in the periods of
//! [`platform_caps`](super::platform_caps).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::decision::SlotTransfer;
use super::history::{CapScope, History, PendingMessages, Unclaimed};
use super::platform_caps::PlatformCap;
use crate::base::{Bitmap, Date, Instant, UserNo};
use crate::program::typed::{Cap, CapPeriod, ChannelName, Purpose};

/// A campaign by its position among the names that [`Slots`] has met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name(u32);

const NOBODY: Name = Name(u32::MAX);

/// Slots taken, by scope and period.
pub struct Slots<'h, H> {
    history: &'h H,
    users: usize,
    names: Vec<Arc<str>>,
    columns: Vec<Column>,
    /// Whom it may ask about, below which priority and when.
    contest: Contest,
    /// What others may have taken from them; read when the first of them finds no slot free.
    unclaimed: Option<BTreeMap<UserNo, Vec<Unclaimed>>>,
}

/// Who may take slots from what is planned and not yet claimed.
pub struct Contest {
    pub users: Bitmap,
    /// The highest priority among their messages.
    pub highest: i64,
    pub now: Instant,
}

struct Column {
    scope: CapScope,
    period: Period,
    messages: Vec<u32>,
    /// Not kept of a platform's cap.
    latest: Vec<Name>,
}

/// What a column counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Period {
    /// From the first to the last day, in the policy's zone.
    Days(Date, Date),
    /// From an instant to before another, by the planned send.
    Span(Instant, Instant),
}

impl Period {
    fn holds(self, day: Date, at: Instant) -> bool {
        match self {
            Period::Days(from, to) => from <= day && day <= to,
            Period::Span(from, until) => from <= at && at < until,
        }
    }
}

/// One cap, as far as a message looks at it.
pub struct CapLimit {
    /// The periods that the message falls into; more than one only for rolling ones.
    columns: Vec<usize>,
    n: u32,
    keep: Option<(u32, i64)>,
    /// Who takes the slots where it is no campaign: a platform.
    by: Option<Name>,
}

/// A message without its user: what decides which caps count it.
#[derive(Clone, Copy)]
pub struct MessageKind<'a> {
    pub campaign: &'a str,
    pub purpose: Purpose,
    pub channel: &'a ChannelName,
    /// The day of the planned send, in the policy's zone.
    pub day: Date,
    pub at: Instant,
}

/// The periods, first and last day, in which a message of `day` must find room. `last` is the
/// latest day on which any message can be planned so far: a rolling period that ends then may
/// contain `day`, too.
fn periods(per: CapPeriod, day: Date, last: Date) -> Vec<(Date, Date)> {
    match per {
        CapPeriod::Day => vec![(day, day)],
        CapPeriod::Week => vec![(day.week_start(), day.week_start().plus_days(6))],
        CapPeriod::Month => vec![(day.month_start(), day.month_end())],
        CapPeriod::RollingDays(n) => {
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            let last = last.min(day.plus_days(n)).max(day);
            (day.0..=last.0)
                .map(|end| (Date(end).plus_days(n.saturating_neg()), Date(end)))
                .collect()
        }
    }
}

impl<'h, H: History> Slots<'h, H> {
    pub fn new(history: &'h H, users: usize, contest: Contest) -> Self {
        Slots {
            history,
            users,
            names: Vec::new(),
            columns: Vec::new(),
            contest,
            unclaimed: None,
        }
    }

    pub fn name(&mut self, campaign: &str) -> Name {
        let at = self
            .names
            .iter()
            .position(|n| **n == *campaign)
            .unwrap_or_else(|| {
                self.names.push(campaign.into());
                self.names.len() - 1
            });
        Name(u32::try_from(at).unwrap_or(u32::MAX))
    }

    pub fn campaign(&self, name: Name) -> Option<&Arc<str>> {
        self.names.get(name.0 as usize)
    }

    /// What a cap allows to messages of `day`, with what history has taken.
    ///
    /// # Errors
    /// Those of the history.
    pub fn limit(
        &mut self,
        cap: &Cap,
        scope: &CapScope,
        day: Date,
        last: Date,
    ) -> Result<CapLimit, H::Error> {
        let periods = periods(cap.per, day, last)
            .into_iter()
            .map(|(from, to)| Period::Days(from, to));
        let columns = periods
            .map(|period| self.column(scope, period))
            .collect::<Result<_, _>>()?;
        Ok(CapLimit {
            columns,
            n: cap.n,
            keep: cap.keep,
            by: None,
        })
    }

    /// What a platform allows to messages of a channel, likewise.
    ///
    /// # Errors
    /// Those of the history.
    pub fn platform_limit(
        &mut self,
        cap: &PlatformCap,
        channel: &ChannelName,
    ) -> Result<CapLimit, H::Error> {
        let scope = CapScope {
            campaign: None,
            purpose: None,
            channel: Some(channel.clone()),
        };
        let column = self.column(&scope, Period::Span(cap.from, cap.until))?;
        Ok(CapLimit {
            columns: vec![column],
            n: cap.n,
            keep: None,
            by: Some(self.name(&cap.name)),
        })
    }

    fn column(&mut self, scope: &CapScope, period: Period) -> Result<usize, H::Error> {
        if let Some(known) = self
            .columns
            .iter()
            .position(|c| c.scope == *scope && c.period == period)
        {
            return Ok(known);
        }
        let mut column = Column {
            scope: scope.clone(),
            period,
            messages: vec![0; self.users],
            latest: Vec::new(),
        };
        match (period, &scope.channel) {
            (Period::Span(from, until), Some(channel)) => {
                for (user, _) in self
                    .history
                    .sent_since(channel, from)?
                    .into_iter()
                    .filter(|(_, at)| *at < until)
                {
                    column.add(user, NOBODY);
                }
            }
            // Only a platform's cap looks at a span, and it is a channel's.
            (Period::Span(..), None) => {}
            (Period::Days(from, to), _) => {
                column.latest = vec![NOBODY; self.users];
                for (user, counted) in self.history.counted(scope, from, to)? {
                    let name = self.name(&counted.latest_campaign);
                    column.set(user, counted.messages, name);
                }
            }
        }
        self.columns.push(column);
        Ok(self.columns.len() - 1)
    }

    /// The columns that count a message: all that some cap of some campaign looks at, whether or
    /// not the message is capped itself.
    pub fn counting(&self, kind: MessageKind) -> Vec<usize> {
        let counts = |c: &Column| {
            c.period.holds(kind.day, kind.at)
                && c.scope.covers(kind.campaign, kind.purpose, kind.channel)
        };
        self.columns
            .iter()
            .enumerate()
            .filter(|(_, c)| counts(c))
            .map(|(i, _)| i)
            .collect()
    }

    /// Whether the user has a slot left under every limit; if not, whose message took the last one
    /// (`None`: nobody's), or which platform has no more.
    pub fn free(
        &self,
        user: UserNo,
        priority: i64,
        limits: &[CapLimit],
    ) -> Result<(), Option<Name>> {
        for limit in limits {
            let most = limit.most(priority);
            for column in limit.columns.iter().filter_map(|c| self.columns.get(*c)) {
                let taken = column.messages.get(user.index()).copied().unwrap_or(0);
                if taken >= most {
                    let latest = || {
                        column
                            .latest
                            .get(user.index())
                            .copied()
                            .filter(|name| *name != NOBODY)
                    };
                    return Err(limit.by.or_else(latest));
                }
            }
        }
        Ok(())
    }

    /// Takes slots from less important messages of the user that are not claimed yet, the least
    /// important first, so that one is free under every limit, and with `among` at least one that
    /// is of these. `None`, and nothing taken, where these are not enough.
    ///
    /// # Errors
    /// Those of the history.
    pub fn make_room(
        &mut self,
        user: UserNo,
        priority: i64,
        limits: &[CapLimit],
        among: Option<&dyn Fn(&PendingMessages) -> bool>,
    ) -> Result<Option<Vec<SlotTransfer>>, H::Error> {
        if self.unclaimed.is_none() {
            let Contest {
                users,
                highest,
                now,
            } = &self.contest;
            let mut found = self.history.unclaimed(users, *highest, *now)?;
            found.values_mut().for_each(|all| {
                all.sort_by_key(|one| {
                    (
                        one.standing.priority,
                        std::cmp::Reverse(one.standing.segment),
                    )
                })
            });
            self.unclaimed = Some(found);
        }
        let Some(mine) = self.unclaimed.as_ref().and_then(|all| all.get(&user)) else {
            return Ok(None);
        };
        let mut chosen: Vec<usize> = Vec::new();
        let weakest = |chosen: &[usize], is_one: &dyn Fn(&PendingMessages) -> bool| {
            let is_free = |(i, one): (usize, &Unclaimed)| {
                !chosen.contains(&i) && one.standing.priority < priority && is_one(&one.standing)
            };
            mine.iter().enumerate().position(is_free)
        };
        if let Some(among) = among {
            let Some(next) = weakest(&chosen, among) else {
                return Ok(None);
            };
            chosen.push(next);
        }
        for limit in limits {
            let most = limit.most(priority);
            for column in limit.columns.iter().filter_map(|c| self.columns.get(*c)) {
                let freed = |chosen: &[usize]| {
                    chosen
                        .iter()
                        .filter_map(|i| mine.get(*i))
                        .filter(|one| column.counts(&one.standing))
                        .count()
                };
                let taken = column.messages.get(user.index()).copied().unwrap_or(0) as usize;
                while taken.saturating_sub(freed(&chosen)) >= most as usize {
                    let Some(next) = weakest(&chosen, &|standing| column.counts(standing)) else {
                        return Ok(None);
                    };
                    chosen.push(next);
                }
            }
        }
        chosen.sort_unstable();
        let mut takes = Vec::new();
        for i in chosen.into_iter().rev() {
            let Some(from) = self
                .unclaimed
                .as_mut()
                .and_then(|all| all.get_mut(&user))
                .map(|mine| mine.remove(i))
            else {
                continue;
            };
            let counting: Vec<usize> = (0..)
                .zip(&self.columns)
                .filter(|(_, c)| c.counts(&from.standing))
                .map(|(i, _)| i)
                .collect();
            self.give_back(user, &counting);
            takes.push(SlotTransfer { user, from });
        }
        Ok(Some(takes))
    }

    pub fn give_back(&mut self, user: UserNo, counting: &[usize]) {
        for column in counting {
            if let Some(n) = self
                .columns
                .get_mut(*column)
                .and_then(|column| column.messages.get_mut(user.index()))
            {
                *n = n.saturating_sub(1);
            }
        }
    }

    pub fn take(&mut self, user: UserNo, name: Name, counting: &[usize]) {
        for column in counting {
            if let Some(column) = self.columns.get_mut(*column) {
                column.add(user, name);
            }
        }
    }
}

impl CapLimit {
    /// How many messages the cap leaves to those of a priority.
    fn most(&self, priority: i64) -> u32 {
        let kept = self
            .keep
            .filter(|(_, least)| priority < *least)
            .map_or(0, |(n, _)| n);
        self.n.saturating_sub(kept)
    }
}

impl Column {
    /// Whether a message that was planned before is one of those counted.
    fn counts(&self, of: &PendingMessages) -> bool {
        self.period.holds(of.day, of.not_before)
            && self.scope.covers(&of.campaign, of.purpose, &of.channel)
    }

    fn add(&mut self, user: UserNo, latest: Name) {
        let before = self.messages.get(user.index()).copied().unwrap_or(0);
        self.set(user, before.saturating_add(1), latest);
    }

    fn set(&mut self, user: UserNo, messages: u32, latest: Name) {
        if let Some(n) = self.messages.get_mut(user.index()) {
            *n = messages;
        }
        if let Some(name) = self.latest.get_mut(user.index()) {
            *name = latest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn periods_are_those_of_the_calendar() {
        let (d, e) = (day("2026-11-11"), day("2026-11-12"));
        assert_eq!(periods(CapPeriod::Day, d, e), [(d, d)]);
        assert_eq!(
            periods(CapPeriod::Week, d, e),
            [(day("2026-11-09"), day("2026-11-15"))]
        );
        assert_eq!(
            periods(CapPeriod::Month, d, e),
            [(day("2026-11-01"), day("2026-11-30"))]
        );
        assert_eq!(
            periods(CapPeriod::RollingDays(30), d, d),
            [(day("2026-10-12"), d)]
        );
        // A message that waits for the next morning is ahead: both periods that hold this day are
        // looked at.
        assert_eq!(
            periods(CapPeriod::RollingDays(30), d, e),
            [(day("2026-10-12"), d), (day("2026-10-13"), e)]
        );
        assert_eq!(periods(CapPeriod::RollingDays(0), d, e), [(d, d)]);
    }
}
