//! Caps: how many messages a user may get in a period, and who has the slots.
//!
//! What was planned before has its slot. For each scope and period that some cap looks at, two columns by user number say how many messages
//! count there and which campaign's was the latest; messages decided now are added as they get their slots. [`arbitrate`](super::arbitrate)
//! says in which order.

use std::sync::Arc;

use super::history::{CapScope, History};
use crate::base::{Date, UserNo};
use crate::program::typed::{Cap, CapPeriod, Channel, Purpose};

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
}

struct Column {
    scope: CapScope,
    from: Date,
    to: Date,
    messages: Vec<u32>,
    latest: Vec<Name>,
}

/// One cap, as far as a message looks at it.
pub struct Limit {
    /// The periods that the message falls into; more than one only for rolling ones.
    columns: Vec<usize>,
    n: u32,
    keep: Option<(u32, i64)>,
}

/// A message without its user: what decides which caps count it.
#[derive(Clone, Copy)]
pub struct Kind<'a> {
    pub campaign: &'a str,
    pub purpose: Purpose,
    pub channel: &'a Channel,
    /// The day of the planned hand-over, in the policy's zone.
    pub day: Date,
}

/// The periods, first and last day, in which a message of `day` must find room. `last` is the latest day on which any message can be planned
/// so far: a rolling period that ends then may contain `day`, too.
fn periods(per: CapPeriod, day: Date, last: Date) -> Vec<(Date, Date)> {
    match per {
        CapPeriod::Day => vec![(day, day)],
        CapPeriod::Week => vec![(day.week_start(), day.week_start().plus_days(6))],
        CapPeriod::Month => vec![(day.month_start(), day.month_end())],
        CapPeriod::RollingDays(n) => {
            let n = i32::try_from(n).unwrap_or(i32::MAX);
            let last = last.min(day.plus_days(n)).max(day);
            (day.0..=last.0).map(|end| (Date(end).plus_days(n.saturating_neg()), Date(end))).collect()
        }
    }
}

impl<'h, H: History> Slots<'h, H> {
    pub fn new(history: &'h H, users: usize) -> Self {
        Slots { history, users, names: Vec::new(), columns: Vec::new() }
    }

    pub fn name(&mut self, campaign: &str) -> Name {
        let at = self.names.iter().position(|n| **n == *campaign).unwrap_or_else(|| {
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
    pub fn limit(&mut self, cap: &Cap, scope: &CapScope, day: Date, last: Date) -> Result<Limit, H::Error> {
        let columns = periods(cap.per, day, last).into_iter().map(|period| self.column(scope, period)).collect::<Result<_, _>>()?;
        Ok(Limit { columns, n: cap.n, keep: cap.keep })
    }

    fn column(&mut self, scope: &CapScope, (from, to): (Date, Date)) -> Result<usize, H::Error> {
        if let Some(known) = self.columns.iter().position(|c| c.scope == *scope && (c.from, c.to) == (from, to)) {
            return Ok(known);
        }
        let mut column = Column { scope: scope.clone(), from, to, messages: vec![0; self.users], latest: vec![NOBODY; self.users] };
        for (user, counted) in self.history.counted(scope, from, to)? {
            let name = self.name(&counted.latest_campaign);
            column.set(user, counted.messages, name);
        }
        self.columns.push(column);
        Ok(self.columns.len() - 1)
    }

    /// The columns that count a message: all that some cap of some campaign looks at, whether or not the message is capped itself.
    pub fn counting(&self, kind: Kind) -> Vec<usize> {
        let counts = |c: &Column| c.from <= kind.day && kind.day <= c.to && c.scope.covers(kind.campaign, kind.purpose, kind.channel);
        self.columns.iter().enumerate().filter(|(_, c)| counts(c)).map(|(i, _)| i).collect()
    }

    /// Whether the user has a slot left under every limit; if not, whose message took the last one (`None`: nobody's).
    pub fn free(&self, user: UserNo, priority: i64, limits: &[Limit]) -> Result<(), Option<Name>> {
        for limit in limits {
            let kept = limit.keep.filter(|(_, least)| priority < *least).map_or(0, |(n, _)| n);
            let most = limit.n.saturating_sub(kept);
            for column in limit.columns.iter().filter_map(|c| self.columns.get(*c)) {
                let taken = column.messages.get(user.index()).copied().unwrap_or(0);
                if taken >= most {
                    return Err(column.latest.get(user.index()).copied().filter(|name| *name != NOBODY));
                }
            }
        }
        Ok(())
    }

    pub fn take(&mut self, user: UserNo, name: Name, counting: &[usize]) {
        for column in counting {
            if let Some(column) = self.columns.get_mut(*column) {
                let taken = column.messages.get(user.index()).copied().unwrap_or(0);
                column.set(user, taken.saturating_add(1), name);
            }
        }
    }
}

impl Column {
    fn set(&mut self, user: UserNo, messages: u32, latest: Name) {
        if let (Some(n), Some(name)) = (self.messages.get_mut(user.index()), self.latest.get_mut(user.index())) {
            (*n, *name) = (messages, latest);
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
        assert_eq!(periods(CapPeriod::Week, d, e), [(day("2026-11-09"), day("2026-11-15"))]);
        assert_eq!(periods(CapPeriod::Month, d, e), [(day("2026-11-01"), day("2026-11-30"))]);
        assert_eq!(periods(CapPeriod::RollingDays(30), d, d), [(day("2026-10-12"), d)]);
        // A message that waits for the next morning is ahead: both periods that hold this day are looked at.
        assert_eq!(periods(CapPeriod::RollingDays(30), d, e), [(day("2026-10-12"), d), (day("2026-10-13"), e)]);
        assert_eq!(periods(CapPeriod::RollingDays(0), d, e), [(d, d)]);
    }
}
