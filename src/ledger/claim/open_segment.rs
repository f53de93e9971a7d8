//! A segment of which something is left, as far as sending needs it.

use crate::base::{Date, Instant, TimeOfDay, Zone};
use crate::decide::recheck::counts_on_another_day;
use crate::ledger::rows::record::{self, purpose_of};
use crate::ledger::rows::send_limits::SendLimits;
use crate::ledger::sql::{self, SqlRow};
use crate::program::typed::{ChannelName, Purpose, Quiet};

/// A segment with its run, as far as sending needs them.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct OpenSegment {
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
    pub limits: SendLimits,
    /// The priority rises by so much in an hour of waiting.
    pub rising: i64,
    pub quiet: Option<Quiet>,
}

pub(in crate::ledger) const OPEN: &str =
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
            purpose: purpose_of(&row.get::<String>(27)?),
            due: Instant(row.get(28)?),
            rising: row.get(29)?,
            zone: Zone::named(&zone).unwrap_or(Zone::UTC),
            limits: SendLimits::read(&row.get::<String>(22)?),
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
