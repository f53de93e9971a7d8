//! What people hold back: everything, a campaign, or an account. A claim reads it, so that a hold
//! takes effect before the next send.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Operator;
use crate::ledger::sql::states::OPEN_SEGMENTS;
use crate::ledger::sql::{ToValue, params};
use serde::Serialize;

use crate::base::Instant;
use crate::ledger::error::LedgerError;
use crate::ledger::ids::RunId;
use crate::ledger::rows::record::Record;
use crate::ledger::state::State;

/// What is held back.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(tag = "scope", content = "name", rename_all = "snake_case")]
pub enum HoldScope {
    All,
    Campaign(String),
    Account(String),
}

impl HoldScope {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            HoldScope::All => ("all", ""),
            HoldScope::Campaign(name) => ("campaign", name),
            HoldScope::Account(name) => ("account", name),
        }
    }

    fn of_parts(scope: &str, name: String) -> HoldScope {
        match scope {
            "campaign" => HoldScope::Campaign(name),
            "account" => HoldScope::Account(name),
            _ => HoldScope::All,
        }
    }
}

/// Something that a person holds back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    pub scope: HoldScope,
    /// What was planned of it was withdrawn when it was cancelled.
    pub cancelled: bool,
    pub at: Instant,
    pub who: String,
}

impl LedgerReader {
    /// What is held back, by scope and name.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn holds(&self) -> Result<Vec<Hold>, LedgerError> {
        let mut select = self.db.prepare_cached(
            "SELECT scope, name, cancelled, at, who FROM hold ORDER BY scope, name",
        )?;
        let rows = select.query_map((), |row| {
            Ok(Hold {
                scope: HoldScope::of_parts(&row.get::<String>(0)?, row.get(1)?),
                cancelled: row.get::<i64>(2)? != 0,
                at: Instant(row.get(3)?),
                who: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Operator<'_> {
    /// Sends nothing more of what is in a scope, until it is resumed; gives how many messages
    /// wait for that.
    ///
    /// # Errors
    /// When the ledger cannot be written; so for all of these.
    pub fn pause(
        &mut self,
        scope: &HoldScope,
        who: &str,
        now: Instant,
    ) -> Result<i64, LedgerError> {
        let (kind, name) = scope.parts();
        let held = Record::Held {
            scope: kind.into(),
            name: name.into(),
            cancelled: false,
            who: who.into(),
        };
        self.writer.commit("pause", now, &[], &[held])?;
        Ok(self.open_in(scope)?.iter().map(|(_, n)| n).sum())
    }

    /// Ends a pause or a cancellation; whether there was one.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub fn resume(
        &mut self,
        scope: &HoldScope,
        who: &str,
        now: Instant,
    ) -> Result<bool, LedgerError> {
        if !self
            .reader()
            .holds()?
            .iter()
            .any(|hold| hold.scope == *scope)
        {
            return Ok(false);
        }
        let (kind, name) = scope.parts();
        self.writer.commit(
            "resume",
            now,
            &[],
            &[Record::Released {
                scope: kind.into(),
                name: name.into(),
                who: who.into(),
            }],
        )?;
        Ok(true)
    }

    /// Pauses, and withdraws what is planned and not yet claimed; gives how many messages.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub fn cancel(
        &mut self,
        scope: &HoldScope,
        who: &str,
        now: Instant,
    ) -> Result<i64, LedgerError> {
        let (kind, name) = scope.parts();
        let held = Record::Held {
            scope: kind.into(),
            name: name.into(),
            cancelled: true,
            who: who.into(),
        };
        // First, so that nothing is claimed of what is withdrawn.
        self.writer.commit("cancel", now, &[], &[held])?;
        let open = self.open_in(scope)?;
        self.withdraw_segments(open, now)
    }

    /// Takes back what is not yet claimed of a run; gives how many messages.
    ///
    /// # Errors
    /// As [`Self::pause`].
    pub fn withdraw(&mut self, run: RunId, now: Instant) -> Result<i64, LedgerError> {
        let open = self.open_where("s.run = ?1", params![run.0])?;
        self.withdraw_segments(open, now)
    }

    /// One transaction a segment: a claim in between changes what there is to withdraw of one, not
    /// of the others.
    fn withdraw_segments(
        &mut self,
        open: Vec<(i64, i64)>,
        now: Instant,
    ) -> Result<i64, LedgerError> {
        let mut withdrawn = 0;
        for (segment, n) in open {
            match self.writer.commit(
                "withdraw",
                now,
                &[],
                &[Record::SegmentEnded {
                    segment,
                    state: State::Withdrawn,
                }],
            ) {
                Ok(()) => withdrawn += n,
                // Claimed to its end in the meantime.
                Err(LedgerError::Overtaken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(withdrawn)
    }

    fn open_in(&self, scope: &HoldScope) -> Result<Vec<(i64, i64)>, LedgerError> {
        let (_, name) = scope.parts();
        match scope {
            HoldScope::All => self.open_where("1 = 1", params![]),
            HoldScope::Campaign(_) => self.open_where("r.campaign = ?1", params![name]),
            HoldScope::Account(_) => self.open_where("s.account = ?1", params![name]),
        }
    }

    /// Segments with messages that are not claimed, and how many.
    fn open_where(
        &self,
        which: &str,
        params: &[&dyn ToValue],
    ) -> Result<Vec<(i64, i64)>, LedgerError> {
        let sql = format!(
            "SELECT s.segment, s.size - s.claimed - s.displaced FROM segment s JOIN run r USING (run)
             WHERE {OPEN_SEGMENTS} AND {which} ORDER BY s.segment"
        );
        let mut select = self.reader().db.prepare_cached(&sql)?;
        let rows = select.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
