//! How things stand: what is left to do by channel, who is at work, whether the ledger may be
//! written to at all.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::sql::params;
use crate::ledger::sql::states::PLANNED;

use crate::ledger::access::fence::Fence;
use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::program::typed::ChannelName;

/// What is planned for a channel and not yet claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backlog {
    pub channel: ChannelName,
    /// Messages of each segment.
    pub segments: Vec<usize>,
}

impl Backlog {
    pub fn messages(&self) -> usize {
        self.segments.iter().sum()
    }
}

impl LedgerReader {
    /// What is planned and not yet claimed, by channel.
    ///
    /// # Errors
    /// When the ledger cannot be read; so for all of these.
    pub fn backlog(&self) -> Result<Vec<Backlog>, LedgerError> {
        let sql = format!("SELECT account, platform, endpoint, size - claimed - displaced FROM segment WHERE rest_state = {PLANNED} AND claimed < size
            ORDER BY account, platform, endpoint, segment");
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query(())?;
        let mut found: Vec<Backlog> = Vec::new();
        while let Some(row) = rows.next()? {
            let channel = ChannelName {
                account: row.get(0)?,
                platform: row.get(1)?,
                endpoint: row.get(2)?,
            };
            let messages = usize::try_from(row.get::<i64>(3)?).unwrap_or(0);
            match found.last_mut().filter(|last| last.channel == channel) {
                Some(last) => last.segments.push(messages),
                None => found.push(Backlog {
                    channel,
                    segments: vec![messages],
                }),
            }
        }
        Ok(found)
    }

    /// The accounts that anything was ever planned for.
    ///
    /// # Errors
    /// As [`Self::backlog`].
    pub fn accounts(&self) -> Result<Vec<String>, LedgerError> {
        self.names("SELECT DISTINCT account FROM segment ORDER BY account")
    }

    /// The campaigns that are live or ever had a run.
    ///
    /// # Errors
    /// As [`Self::backlog`].
    pub fn campaigns(&self) -> Result<Vec<String>, LedgerError> {
        self.names("SELECT campaign FROM live UNION SELECT campaign FROM run ORDER BY campaign")
    }

    fn names(&self, sql: &str) -> Result<Vec<String>, LedgerError> {
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Runs that are not finished, and the latest one of each campaign.
    ///
    /// # Errors
    /// As [`Self::backlog`].
    pub fn latest_runs(&self) -> Result<Vec<RunId>, LedgerError> {
        let sql = "SELECT run FROM step WHERE finished_at IS NULL
            UNION SELECT max(run) FROM run GROUP BY campaign ORDER BY run";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(params![], |row| Ok(RunId(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether it is older than the messages sent with it, and so cannot be written to.
    ///
    /// # Errors
    /// As [`Self::backlog`].
    pub fn is_fenced(&self) -> Result<bool, LedgerError> {
        let fence = Fence::at(self.path.with_extension("highwater"))?;
        fence.stops(&self.id, &self.db)
    }

    /// Whether a process runs campaigns with it now.
    ///
    /// # Errors
    /// As [`Self::backlog`].
    pub fn is_at_work(&self) -> Result<bool, LedgerError> {
        self.location.is_taken(&self.db)
    }
}
