//! How far events have been dealt with, by the name of where they come from.
//!
//! `serve` decides an event for all campaigns of its program together, so one row for the program
//! says how far they are. `run` takes campaigns as they are given to it, each with a row of its own.

use super::access::core::LedgerReader;
use super::error::LedgerError;
use super::sql::{OptionalExtension, params};
use crate::base::Instant;

/// Of one campaign: up to when it has seen the events of the store.
pub fn of_campaign(name: &str) -> String {
    format!("store {name}")
}

/// The same of all campaigns that are live in a program, by the program's digest.
pub fn of_program(digest: &str) -> String {
    format!("program {digest}")
}

impl LedgerReader {
    /// How far the events of a source are dealt with: a position in a log, or an instant.
    ///
    /// # Errors
    /// When the ledger cannot be read; so for all of these.
    pub fn fed(&self, source: &str) -> Result<Option<i64>, LedgerError> {
        let sql = "SELECT position FROM event_source WHERE source = ?";
        Ok(self
            .db
            .prepare_cached(sql)?
            .query_row(params![source], |row| row.get(0))
            .optional()?)
    }

    /// Up to when a campaign has seen the events of the store, alone or with its program.
    ///
    /// # Errors
    /// As [`Self::fed`].
    pub fn events_seen(&self, campaign: &str) -> Result<Option<Instant>, LedgerError> {
        let alone = self.fed(&of_campaign(campaign))?;
        let with_program = match self.live(campaign)?.program {
            Some(digest) => self.fed(&of_program(&digest))?,
            None => None,
        };
        Ok(alone.max(with_program).map(Instant))
    }
}
