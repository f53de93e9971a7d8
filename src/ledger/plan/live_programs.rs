//! What is live: which campaigns, of which program, since when; and how far each has come on the
//! calendar.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Planner;
use crate::ledger::sql::{OptionalExtension, params};

use crate::base::Instant;
use crate::ledger::error::LedgerError;
use crate::ledger::event_sources;
use crate::ledger::rows::blob::{self, Blob};
use crate::ledger::rows::record::Record;

/// A program that becomes live.
#[derive(Clone, Copy, Debug)]
pub struct LiveProgram<'a> {
    pub digest: &'a str,
    /// Path and text of each file, so that what is live can be read even when the files have
    /// changed.
    pub sources: &'a [(String, String)],
    pub campaigns: &'a [LiveCampaign<'a>],
    /// The plan that is applied: it can be applied once.
    pub plan: Option<&'a str>,
}

#[derive(Clone, Copy, Debug)]
pub struct LiveCampaign<'a> {
    pub name: &'a str,
    /// The instant of a one-off campaign. The first one given is kept for ever.
    pub fixed: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Applied {
    Now,
    /// The plan was applied before.
    Before {
        at: Instant,
    },
}

/// What the ledger remembers of a campaign's schedule.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Live {
    /// The instant of a one-off campaign.
    pub fixed: Option<Instant>,
    /// `None`: it is not live.
    pub since: Option<Instant>,
    /// The last due instant that was planned or missed.
    pub handled: Option<Instant>,
    /// Digest of its program.
    pub program: Option<String>,
}

/// A program as it was when it became live.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredProgram {
    pub digest: String,
    pub sources: Vec<(String, String)>,
    pub at: Instant,
}

/// A due instant at which nobody was there in time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissedInstant {
    pub campaign: String,
    pub due: Instant,
    /// When that was noticed.
    pub at: Instant,
}

impl LedgerReader {
    /// # Errors
    /// When the ledger cannot be read; so for all of these.
    pub fn live(&self, campaign: &str) -> Result<Live, LedgerError> {
        let sql = "SELECT fixed, since, program FROM live WHERE campaign = ?";
        let live = self.db.prepare_cached(sql)?.query_row([campaign], |row| {
            Ok(Live {
                fixed: row.get::<Option<i64>>(0)?.map(Instant),
                since: row.get::<Option<i64>>(1)?.map(Instant),
                program: row.get(2)?,
                handled: None,
            })
        });
        let handled = self
            .db
            .prepare_cached("SELECT handled FROM calendar WHERE campaign = ?")?
            .query_row([campaign], |row| row.get(0));
        Ok(Live {
            handled: handled.optional()?.map(Instant),
            ..live.optional()?.unwrap_or_default()
        })
    }

    /// A program that is or was live, by its digest.
    ///
    /// # Errors
    /// As [`Self::live`], and when it is damaged.
    pub fn program(&self, digest: &str) -> Result<Option<StoredProgram>, LedgerError> {
        let sql = "SELECT sources, at FROM program WHERE digest = ?";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row([digest], |row| Ok((row.get::<String>(0)?, row.get(1)?)))
            .optional()?;
        let Some((sources, at)) = found else {
            return Ok(None);
        };
        let text = blob::load(&self.db, &sources)?;
        let sources = serde_json::from_slice(&text).map_err(|_| blob::damaged(&sources))?;
        Ok(Some(StoredProgram {
            digest: digest.into(),
            sources,
            at: Instant(at),
        }))
    }

    /// When a plan was applied, if it was.
    ///
    /// # Errors
    /// As [`Self::live`].
    pub fn plan_used(&self, id: &str) -> Result<Option<Instant>, LedgerError> {
        let at = self
            .db
            .prepare_cached("SELECT at FROM plan_used WHERE id = ?")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        Ok(at.map(Instant))
    }

    /// # Errors
    /// As [`Self::live`].
    pub fn missed(&self) -> Result<Vec<MissedInstant>, LedgerError> {
        let mut select = self
            .db
            .prepare_cached("SELECT campaign, due, at FROM missed ORDER BY due, campaign")?;
        let rows = select.query_map((), |row| {
            Ok(MissedInstant {
                campaign: row.get(0)?,
                due: Instant(row.get(1)?),
                at: Instant(row.get(2)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Planner<'_> {
    /// Makes campaigns live, all or none. Where nothing would change, nothing is written; a plan
    /// that was applied before changes nothing.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn make_live(
        &mut self,
        program: &LiveProgram,
        now: Instant,
    ) -> Result<Applied, LedgerError> {
        if let Some(id) = program.plan
            && let Some(at) = self.reader().plan_used(id)?
        {
            return Ok(Applied::Before { at });
        }
        let mut records = Vec::new();
        if let Some(id) = program.plan {
            records.push(Record::PlanUsed {
                id: id.into(),
                program: program.digest.into(),
            });
        }
        for campaign in program.campaigns {
            let live = self.reader().live(campaign.name)?;
            let new_instant = live.fixed.is_none() && campaign.fixed.is_some();
            // What it has seen with the program that it leaves it has seen.
            if live.program.as_deref() != Some(program.digest)
                && let Some(seen) = self.reader().events_seen(campaign.name)?
            {
                records.push(Record::EventsRead {
                    source: event_sources::of_campaign(campaign.name),
                    position: seen.0,
                });
            }
            if live.since.is_none()
                || new_instant
                || live.program.as_deref() != Some(program.digest)
            {
                let fixed = campaign.fixed.map(|at| at.0);
                records.push(Record::Live {
                    campaign: campaign.name.into(),
                    fixed,
                    program: program.digest.into(),
                });
            }
        }
        if records.is_empty() {
            return Ok(Applied::Now);
        }
        let mut columns = Vec::new();
        if !self.knows_program(program.digest)? {
            let text =
                serde_json::to_vec(program.sources).map_err(|_| blob::damaged(program.digest))?;
            let sources = Blob::new(text);
            records.insert(
                0,
                Record::Program {
                    digest: program.digest.into(),
                    sources: sources.digest.clone(),
                },
            );
            columns.push(sources);
        }
        self.writer.commit("live", now, &columns, &records)?;
        Ok(Applied::Now)
    }

    fn knows_program(&self, digest: &str) -> Result<bool, LedgerError> {
        Ok(self
            .reader()
            .db
            .prepare_cached("SELECT 1 FROM program WHERE digest = ?")?
            .exists(params![digest])?)
    }

    /// A due instant passed beyond its deadline while nobody was there: it is not made up for.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn record_missed(
        &mut self,
        campaign: &str,
        due: Instant,
        now: Instant,
    ) -> Result<(), LedgerError> {
        self.writer.commit(
            "missed",
            now,
            &[],
            &[Record::Missed {
                campaign: campaign.into(),
                due: due.0,
            }],
        )
    }
}
