//! Asking: what became of messages that a platform took, where it does not tell of itself or what
//! it tells may get lost.
//!
//! When a platform is to be asked of a batch is a row, so that it outlives the process; what it
//! answers is evidence like any other.

use std::sync::Arc;

use crate::base::Instant;
use crate::decide::decision::Rendered;
use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::claim::held_batch::ClaimedBatch;
use crate::ledger::dispatch_batch::{Batch, BatchEvidence};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob;
use crate::ledger::rows::encode;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::OptionalExtension;
use crate::ledger::sql::states::ANSWERED;
use crate::ledger::state::{ReceiptKind, State};
use crate::program::platform::{self, Asks};
use crate::program::typed::ChannelName;
use crate::store::Users;

/// A platform is to be asked of a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PollRequest {
    pub batch: i64,
    pub channel: ChannelName,
    pub due: Instant,
    pub claimed_at: Instant,
    /// So often were those reminded who have to confirm it.
    pub reminded: i64,
}

/// A batch that is asked about.
#[derive(Debug)]
pub struct PolledBatch {
    known: ClaimedBatch,
    /// The platform's, of the whole batch.
    pub id: Arc<str>,
}

/// When a channel is asked; `None` where there is nothing to ask.
pub(in crate::ledger) fn rule(channel: &ChannelName) -> Option<Asks> {
    platform::endpoint(&channel.platform, &channel.endpoint).and_then(|e| e.asks)
}

impl PolledBatch {
    pub fn batch(&self, users: &Users) -> Batch {
        self.known.held.batch(users)
    }

    /// What is known of each message.
    fn states(&self) -> impl Iterator<Item = State> {
        self.known
            .states
            .iter()
            .map(|own| self.known.state.max(*own))
    }

    /// Whether somebody still has to confirm one of the messages.
    pub fn waits(&self) -> bool {
        self.states().any(|state| state == State::Waiting)
    }

    /// What was sent; all of a list get the same.
    pub fn content(&self) -> Option<&Arc<Rendered>> {
        self.known.held.members.first().map(|m| &m.content)
    }

    /// What follows from an answer, message by message: only what is more than is known.
    fn learned(&self, evidence: &BatchEvidence, unconfirmed: bool, now: Instant) -> Vec<Record> {
        let of = &self.known.held.segment.of;
        let mut news: Vec<Option<(ReceiptKind, Instant)>> =
            vec![evidence.all.map(|kind| (kind, now)); self.known.states.len()];
        for (place, kind, when) in &evidence.each {
            if let Some(slot) = news.get_mut(*place) {
                *slot = Some((*kind, when.unwrap_or(now)));
            }
        }
        let mut records = Vec::new();
        for ((member, state), told) in self.known.held.members.iter().zip(self.states()).zip(news) {
            let lapsed = || {
                (unconfirmed && state == State::Waiting).then_some((ReceiptKind::Unconfirmed, now))
            };
            let Some((kind, when)) = told
                .or_else(lapsed)
                .filter(|(kind, _)| kind.proves() > state)
            else {
                continue;
            };
            records.push(of.learned(member.user, kind, when, "asked"));
        }
        records
    }
}

impl LedgerReader {
    /// The batches of which platforms are to be asked, the next first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn asks(&self) -> Result<Vec<PollRequest>, LedgerError> {
        let sql = "SELECT a.batch, s.account, s.platform, s.endpoint, a.due, b.claimed_at, a.reminders
            FROM poll a JOIN batch b USING (batch) JOIN segment s USING (segment) ORDER BY a.due, a.batch";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            Ok(PollRequest {
                batch: row.get(0)?,
                channel: ChannelName {
                    account: row.get(1)?,
                    platform: row.get(2)?,
                    endpoint: row.get(3)?,
                },
                due: Instant(row.get(4)?),
                claimed_at: Instant(row.get(5)?),
                reminded: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What a question is about; `None` where it has been answered in the meantime, or the platform
    /// gave no id to ask by.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn question(&self, ask: &PollRequest) -> Result<Option<PolledBatch>, LedgerError> {
        let sql =
            "SELECT b.ids FROM batch b JOIN poll a USING (batch) WHERE a.batch = ? AND a.due = ?";
        let ids = self
            .db
            .prepare_cached(sql)?
            .query_row([ask.batch, ask.due.0], |row| row.get::<Option<String>>(0))
            .optional()?;
        let Some(digest) = ids.flatten() else {
            return Ok(None);
        };
        let ids = encode::read_strings(&blob::load(&self.db, &digest)?)
            .ok_or_else(|| blob::damaged(&digest))?;
        let Some(id) = ids.into_iter().find(|id| !id.is_empty()) else {
            return Ok(None);
        };
        Ok(self
            .known(ANSWERED, ask.batch)?
            .map(|known| PolledBatch { known, id }))
    }
}

impl Dispatcher<'_> {
    /// Keeps what a platform answered. `unconfirmed`: what nobody has confirmed cannot be confirmed
    /// any more. `again` is when it is asked the next time. Gives of how many messages something
    /// became known.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn answered(
        &mut self,
        ask: &PollRequest,
        question: Option<&PolledBatch>,
        evidence: &BatchEvidence,
        unconfirmed: bool,
        again: Option<Instant>,
        now: Instant,
    ) -> Result<usize, LedgerError> {
        let mut records = question
            .map(|q| q.learned(evidence, unconfirmed, now))
            .unwrap_or_default();
        let learned = records.len();
        records.push(Record::PollScheduled {
            batch: ask.batch,
            due: again.map(|at| at.0),
            reminders: ask.reminded,
        });
        self.open.writer.commit("asked", now, &[], &records)?;
        Ok(learned)
    }
}
