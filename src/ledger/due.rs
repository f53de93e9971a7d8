//! What may be handed over now: segments in the order of their turn, and the limits that hold them
//! back.

use std::collections::BTreeSet;

use super::sql::states::{OPEN_SEGMENTS, PLANNED};
use super::sql::{self, OptionalExtension, SqlRow, params};

use super::error::LedgerError;
use super::planned_runs::purpose_of;
use super::send_limits::SendLimits;
use super::{Ledger, record};
use crate::base::{Date, Elapsed, Instant, TimeOfDay, Zone};
use crate::decide::recheck::counts_on_another_day;
use crate::program::typed::{ChannelName, Purpose, Quiet};
use crate::schedule::quiet::end_of_quiet;

/// A segment with its run, as far as handing over needs them.
#[derive(Clone, Debug)]
pub(super) struct OpenSegment {
    pub of: record::Segment,
    pub claimed: i64,
    /// So many of the others have lost their slots.
    pub displaced: i64,
    pub campaign: String,
    pub step: String,
    pub purpose: Purpose,
    /// Of the run, or of the follow-up.
    pub due: Instant,
    pub zone: Zone,
    limits: SendLimits,
    /// The priority rises by so much in an hour of waiting.
    pub rising: i64,
    pub quiet: Option<Quiet>,
}

pub(super) const OPEN: &str =
    "SELECT s.segment, s.run, s.step, s.fanout_index, s.attempt, s.arm, s.template, s.account, s.platform, s.endpoint, s.priority,
        s.not_before, s.expires, s.day, s.size, s.users, s.addresses, s.contents, s.claimed, r.campaign, t.name, t.zone, t.limits,
        t.quiet_from, t.quiet_to, s.follows, s.displaced, t.purpose, t.due, t.rising
    FROM segment s JOIN run r USING (run) JOIN step t USING (run, step)";

impl OpenSegment {
    pub fn of_row(row: &SqlRow) -> sql::Result<OpenSegment> {
        let zone: String = row.get(21)?;
        Ok(OpenSegment {
            of: record::Segment {
                segment: row.get(0)?,
                run: row.get(1)?,
                step: row.get(2)?,
                fanout_index: row.get(3)?,
                attempt: row.get(4)?,
                arm: row.get(5)?,
                template: row.get(6)?,
                account: row.get(7)?,
                platform: row.get(8)?,
                endpoint: row.get(9)?,
                priority: row.get(10)?,
                not_before: row.get(11)?,
                expires: row.get(12)?,
                day: row.get(13)?,
                size: row.get(14)?,
                users: row.get(15)?,
                addresses: row.get(16)?,
                contents: row.get(17)?,
                follows: row.get(25)?,
            },
            claimed: row.get(18)?,
            displaced: row.get(26)?,
            campaign: row.get(19)?,
            step: row.get(20)?,
            zone: Zone::named(&zone).unwrap_or(Zone::UTC),
            limits: SendLimits::read(&row.get::<String>(22)?),
            purpose: purpose_of(&row.get::<String>(27)?),
            due: Instant(row.get(28)?),
            rising: row.get(29)?,
            quiet: row
                .get::<Option<u32>>(23)?
                .zip(row.get(24)?)
                .map(|(from, to)| Quiet {
                    from: TimeOfDay(from),
                    to: TimeOfDay(to),
                }),
        })
    }

    pub fn channel(&self) -> ChannelName {
        self.of.channel()
    }

    /// Whether its turn has come on another day than the one that it counts on, or its platform
    /// counts it on: then it is planned again before anything of it is claimed.
    pub fn is_of_another_day(&self, now: Instant) -> bool {
        let planned = (Date(self.of.day), Instant(self.of.not_before));
        counts_on_another_day(&self.channel(), self.zone, planned, now)
    }
}

/// A segment whose next members may be handed over now. Only [`Ledger::due`] makes one.
#[derive(Debug)]
pub struct DueSegment {
    pub(super) segment: OpenSegment,
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

/// So many units in a window of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Whose they are: a campaign's, an account's.
    pub holder: String,
    pub most: i64,
    /// Messages that make one: 1 where messages are counted, more where calls are.
    pub unit: i64,
    pub starts: Instant,
    pub ends: Instant,
}

impl RateLimit {
    /// What so many messages take of it.
    pub fn units(&self, messages: i64) -> i64 {
        messages / self.unit + i64::from(messages % self.unit > 0)
    }

    /// The window of a minute, on the clock, that `now` is in.
    pub fn a_minute(holder: String, most: i64, now: Instant) -> RateLimit {
        let minute = Elapsed::minutes(1);
        let starts = Instant(now.0 - now.0.rem_euclid(minute.0));
        RateLimit {
            holder,
            most,
            unit: 1,
            starts,
            ends: starts.plus(minute),
        }
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
pub(super) fn in_turn() -> String {
    format!(
        "{OPEN} WHERE {OPEN_SEGMENTS} AND s.not_before <= ?1 AND NOT EXISTS (SELECT 1 FROM hold h
            WHERE h.scope = 'all' OR (h.scope = 'account' AND h.name = s.account) OR (h.scope = 'campaign' AND h.name = r.campaign))
         ORDER BY s.priority + t.rising * ((?1 - s.not_before) / {hour}) DESC, s.not_before, s.run, s.step, s.fanout_index, s.segment",
        hour = Elapsed::hours(1).0
    )
}

impl Ledger {
    /// The segment to be handed over next: by priority, that rises with waiting where the campaign
    /// says so, then age, then key. What is in `except` is left alone, and what people hold back.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn due(&self, now: Instant, except: &DueFilter) -> Result<Option<DueSegment>, LedgerError> {
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

    /// The numbers of all segments that may be handed over now, in their turn.
    pub(super) fn due_in_order(
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
    pub(super) fn due_segment(&self, segment: i64) -> Result<Option<DueSegment>, LedgerError> {
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
