//! What may be sent now: segments in the order of their turn, and the limits that hold them back.

use std::collections::BTreeSet;

use crate::base::{Elapsed, Instant};
use crate::ledger::access::core::{LedgerReader, OpenLedger};
use crate::ledger::access::location::{self, Lock};
use crate::ledger::access::views::Dispatcher;
use crate::ledger::claim::open_segment::{OPEN, OpenSegment};
use crate::ledger::error::LedgerError;
use crate::ledger::rate_limit::RateLimit;
use crate::ledger::sql::states::{OPEN_SEGMENTS, PLANNED};
use crate::ledger::sql::{OptionalExtension, params};
use crate::program::typed::ChannelName;
use crate::schedule::quiet::end_of_quiet;

/// A segment whose next members may be sent now. Only [`Dispatcher::due`] makes one.
#[derive(Debug)]
pub struct DueSegment {
    pub(in crate::ledger) segment: OpenSegment,
}

impl DueSegment {
    pub fn campaign(&self) -> &str {
        &self.segment.campaign
    }

    pub fn channel(&self) -> ChannelName {
        self.segment.channel()
    }

    /// The end of the quiet hours that `now` is in: a message that waited may come into hours that
    /// were not meant for it.
    pub fn quiet_until(&self, now: Instant) -> Option<Instant> {
        end_of_quiet(self.segment.quiet?, self.segment.zone, now)
    }

    /// The campaign's own limit of messages, in the window that `now` is in.
    pub fn own_rate(&self, now: Instant) -> Option<RateLimit> {
        self.segment.limits.rate(&self.segment.campaign, now)
    }
}

/// What is left alone for a while.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DueFilter {
    pub campaigns: BTreeSet<String>,
    /// By account and endpoint.
    pub channels: BTreeSet<(String, String)>,
    pub segments: BTreeSet<i64>,
}

impl DueFilter {
    fn covers(&self, segment: &OpenSegment) -> bool {
        self.campaigns.contains(&segment.campaign)
            || self.segments.contains(&segment.of.segment)
            || (!self.channels.is_empty()
                && self
                    .channels
                    .contains(&(segment.of.account.clone(), segment.of.endpoint.clone())))
    }
}

/// Open segments that are due at `?1`, in their turn.
pub(in crate::ledger) fn in_turn() -> String {
    format!(
        "{OPEN} WHERE {OPEN_SEGMENTS} AND s.not_before <= ?1 AND NOT EXISTS (SELECT 1 FROM hold h
            WHERE h.scope = 'all' OR (h.scope = 'account' AND h.name = s.account) OR (h.scope = 'campaign' AND h.name = r.campaign))
         ORDER BY s.priority + t.rising * ((?1 - s.not_before) / {hour}) DESC, s.not_before, s.run, s.step, s.fanout_index, s.segment",
        hour = Elapsed::hours(1).0
    )
}

impl LedgerReader {
    /// The segment to be sent next: by priority, that rises with waiting where the campaign
    /// says so, then age, then key. What is in `except` is left alone, and what people hold back.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub(in crate::ledger) fn first_due(
        &self,
        now: Instant,
        except: &DueFilter,
    ) -> Result<Option<DueSegment>, LedgerError> {
        let sql = in_turn();
        let mut select = self.db.prepare_cached(&sql)?;
        for segment in select.query_map([now.0], OpenSegment::of_row)? {
            let segment = segment?;
            if !except.covers(&segment) && !segment.is_of_another_day(now) {
                return Ok(Some(DueSegment { segment }));
            }
        }
        Ok(None)
    }

    /// The numbers of all segments that may be sent now, in their turn.
    pub(in crate::ledger) fn due_in_order(
        &self,
        now: Instant,
        except: &DueFilter,
    ) -> Result<Vec<i64>, LedgerError> {
        let mut select = self.db.prepare_cached(in_turn())?;
        let open = select
            .query_map([now.0], OpenSegment::of_row)?
            .collect::<Result<Vec<_>, _>>()?;
        Ok(open
            .iter()
            .filter(|segment| !except.covers(segment) && !segment.is_of_another_day(now))
            .map(|segment| segment.of.segment)
            .collect())
    }

    /// A segment, if something of it is left.
    pub(in crate::ledger) fn due_segment(
        &self,
        segment: i64,
    ) -> Result<Option<DueSegment>, LedgerError> {
        let sql = format!("{OPEN} WHERE s.segment = ? AND {OPEN_SEGMENTS}");
        let found = self
            .db
            .prepare_cached(&sql)?
            .query_row([segment], OpenSegment::of_row)
            .optional()?;
        Ok(found.map(|segment| DueSegment { segment }))
    }

    /// When the next segment that is not due yet will be.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn next_due(&self, after: Instant) -> Result<Option<Instant>, LedgerError> {
        let sql = format!(
            "SELECT min(not_before) FROM segment WHERE rest_state = {PLANNED} AND claimed < size AND not_before > ?"
        );
        let at: Option<i64> = self
            .db
            .prepare_cached(sql)?
            .query_row([after.0], |row| row.get(0))?;
        Ok(at.map(Instant))
    }

    /// Units of a limit that are used up.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn used(&self, limit: &RateLimit) -> Result<i64, LedgerError> {
        let sql = "SELECT used FROM quota WHERE holder = ? AND starts = ?";
        let used = self
            .db
            .prepare_cached(sql)?
            .query_row(params![limit.holder, limit.starts.0], |row| row.get(0))
            .optional()?;
        Ok(used.unwrap_or(0))
    }
}

impl Dispatcher<'_> {
    /// The segment to be sent next, as [`Dispatcher::due`] says; among several workers one that
    /// no other works on.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn due(
        &mut self,
        now: Instant,
        except: &DueFilter,
    ) -> Result<Option<DueSegment>, LedgerError> {
        if matches!(self.open.lock, Lock::File { .. }) {
            return self.reader().first_due(now, except);
        }
        let before = self.open.segment.take();
        let mut found = None;
        for number in self.reader().due_in_order(now, except)? {
            let own = before == Some(number);
            if !own && !location::try_hold(&self.reader().db, number)? {
                continue;
            }
            self.open.segment = Some(number);
            // As it is now that nobody else works on it.
            found = self.reader().due_segment(number)?;
            if found.is_some() {
                break;
            }
            location::let_go(&self.reader().db, number)?;
            self.open.segment = None;
        }
        if let Some(before) = before.filter(|b| self.open.segment != Some(*b)) {
            location::let_go(&self.reader().db, before)?;
        }
        Ok(found)
    }

    /// An instant of this machine by the clock that windows are counted by.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn in_windows(&mut self, now: Instant) -> Result<Instant, LedgerError> {
        let OpenLedger { writer, skew, .. } = &mut *self.open;
        match writer.world.wall() {
            Some(wall) => Ok(now.plus(skew.ahead(&writer.reader.db, wall)?)),
            None => Ok(now),
        }
    }
}
