//! The rules that open segments stand under, and newer ones: quiet hours and deadlines that were
//! changed after the plan.

use super::error::LedgerError;
use super::record::{PolicyUpdate, Record};
use super::sql::states::OPEN_SEGMENTS;
use super::{Ledger, Writer};
use crate::base::{Instant, TimeOfDay};
use crate::program::typed::{ChannelName, Quiet};

/// What a segment that is not claimed whole stands under.
#[derive(Clone, PartialEq, Debug)]
pub struct SegmentPolicy {
    pub campaign: String,
    pub channel: ChannelName,
    /// Of its run, or of the follow-up.
    pub due: Instant,
    pub quiet: Option<Quiet>,
    pub expires: Instant,
    run: i64,
    step: i64,
    segment: i64,
}

impl Ledger {
    /// The rules of all that is planned and not claimed.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn rules(&self) -> Result<Vec<SegmentPolicy>, LedgerError> {
        let sql =
            format!("SELECT r.campaign, s.account, s.platform, s.endpoint, t.due, t.quiet_from, t.quiet_to, s.expires, s.run, s.step, s.segment
            FROM segment s JOIN run r USING (run) JOIN step t USING (run, step)
            WHERE {OPEN_SEGMENTS} ORDER BY s.segment");
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            let quiet = row.get::<Option<u32>>(5)?.zip(row.get(6)?);
            Ok(SegmentPolicy {
                campaign: row.get(0)?,
                channel: ChannelName {
                    account: row.get(1)?,
                    platform: row.get(2)?,
                    endpoint: row.get(3)?,
                },
                due: Instant(row.get(4)?),
                quiet: quiet.map(|(from, to)| Quiet {
                    from: TimeOfDay(from),
                    to: TimeOfDay(to),
                }),
                expires: Instant(row.get(7)?),
                run: row.get(8)?,
                step: row.get(9)?,
                segment: row.get(10)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Writer {
    /// Puts planned messages under newer rules.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn rule(&mut self, newest: &[SegmentPolicy], now: Instant) -> Result<(), LedgerError> {
        let record = |rules: &SegmentPolicy| {
            let SegmentPolicy {
                run,
                step,
                segment,
                quiet,
                expires,
                ..
            } = rules;
            let quiet = quiet.map(|quiet| (quiet.from.0, quiet.to.0));
            Record::PolicyUpdated(Box::new(PolicyUpdate {
                run: *run,
                step: *step,
                quiet,
                segment: *segment,
                expires: expires.0,
            }))
        };
        let records: Vec<Record> = newest.iter().map(record).collect();
        if records.is_empty() {
            Ok(())
        } else {
            self.commit("rules", now, &[], &records)
        }
    }
}
