//! Answering: what a channel says of a batch, recorded message by message.

use std::sync::Arc;

use crate::base::Instant;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::answer::polls;
use crate::ledger::answer::spool::SpooledAnswer;
use crate::ledger::claim::claiming::Claim;
use crate::ledger::claim::held_batch::{HeldBatch, Member};
use crate::ledger::claim::unknown_batches::UnsettledBatch;
use crate::ledger::dispatch_batch::{BatchOutcome, Verdict};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob::{self, Blob};
use crate::ledger::rows::encode;
use crate::ledger::rows::record::{AnswerRecord, Record};
use crate::ledger::state::{ReceiptKind, State};

impl Dispatcher<'_> {
    /// Records what the channel said.
    ///
    /// # Errors
    /// When the ledger cannot be written: the answer is kept beside it and taken in later.
    pub fn answer(
        &mut self,
        claim: Claim,
        answer: &BatchOutcome,
        now: Instant,
    ) -> Result<(), LedgerError> {
        self.answer_or_keep(*claim.held, answer, true, now)
    }

    /// Records what the channel said to a repeat.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn settle(
        &mut self,
        unsettled: UnsettledBatch,
        answer: &BatchOutcome,
        now: Instant,
    ) -> Result<(), LedgerError> {
        self.answer_or_keep(unsettled.held, answer, false, now)
    }

    fn answer_or_keep(
        &mut self,
        held: HeldBatch,
        answer: &BatchOutcome,
        first: bool,
        now: Instant,
    ) -> Result<(), LedgerError> {
        let recorded = self.record_answer(&held, answer, first, now);
        if recorded.is_err() {
            self.keep_for_later(SpooledAnswer::of(
                &self.reader().id,
                &held,
                answer,
                first,
                now,
            ));
        }
        recorded
    }

    pub(in crate::ledger) fn record_answer(
        &mut self,
        held: &HeldBatch,
        answer: &BatchOutcome,
        first: bool,
        now: Instant,
    ) -> Result<(), LedgerError> {
        let mut blobs = Vec::new();
        let mut records = Vec::new();
        let mut answered = AnswerRecord {
            batch: held.batch,
            state: State::Unknown,
            reason: None,
            ids: None,
            accepted: Vec::new(),
            not_sent: Vec::new(),
        };
        match answer {
            BatchOutcome::Taken(verdicts) if verdicts.len() == held.members.len() => {
                read_verdicts(held, verdicts, first, &mut answered, &mut records, now);
                records.extend(self.barred_by(held, verdicts));
                records.extend(self.closed_by(held, verdicts));
                let ids: Vec<&str> = verdicts.iter().map(Verdict::id).collect();
                if ids.iter().any(|id| !id.is_empty()) {
                    let column = self.with_ids_before(held, ids)?;
                    answered.ids = Some(column.digest.clone());
                    blobs.push(column);
                }
                let not_sent = |v: &Verdict| matches!(v, Verdict::NotSent { .. });
                let again: Vec<&Member> = held
                    .members
                    .iter()
                    .zip(verdicts)
                    .filter(|(_, v)| not_sent(v))
                    .map(|(m, _)| m)
                    .collect();
                // That a repeat was not sent says nothing of the first time.
                if first && !again.is_empty() {
                    records.push(self.again(held, &again, &mut blobs)?);
                }
            }
            BatchOutcome::Taken(verdicts) => {
                answered.reason = Some(format!(
                    "answered for {} of {} messages",
                    verdicts.len(),
                    held.members.len()
                ));
            }
            // That a repeat was refused says nothing of the first time either: it may have arrived,
            // and its slot stays taken.
            BatchOutcome::Refused { reason } if !first => {
                answered.reason = Some(format!("repeat refused: {reason}"))
            }
            BatchOutcome::Refused { reason } => {
                answered.state = State::Refused;
                answered.reason = Some(reason.clone());
            }
            BatchOutcome::Unknown { reason } => answered.reason = Some(reason.clone()),
            // That a repeat was not sent says nothing of the first time.
            BatchOutcome::NotSent { reason } if !first => {
                answered.reason = Some(format!("not repeated: {reason}"))
            }
            BatchOutcome::NotSent { reason } => {
                answered.state = State::NotSent;
                answered.reason = Some(reason.clone());
                records.push(self.again(
                    held,
                    &held.members.iter().collect::<Vec<_>>(),
                    &mut blobs,
                )?);
            }
        }
        if let BatchOutcome::Taken(verdicts) = answer
            && let Some(asks) = polls::rule(&held.segment.channel())
            && verdicts
                .iter()
                .any(|v| matches!(v, Verdict::Accepted { .. } | Verdict::Waiting { .. }))
        {
            let due = Some(held.claimed_at.plus(asks.first).max(now).0);
            records.push(Record::PollScheduled {
                batch: held.batch,
                due,
                reminders: 0,
            });
        }
        records.insert(0, Record::Answered(Box::new(answered)));
        match self.open.writer.commit("answer", now, &blobs, &records) {
            Err(error) if error.is_full_disk() && self.open.reserved.release() => {
                self.open.writer.commit("answer", now, &blobs, &records)
            }
            other => other,
        }
    }

    /// The ids that a platform gave for the members of a batch, with those of an answer before this
    /// one where it gives none.
    fn with_ids_before(&self, held: &HeldBatch, ids: Vec<&str>) -> Result<Blob, LedgerError> {
        let sql = "SELECT ids FROM batch WHERE batch = ?";
        let before: Option<String> = self
            .reader()
            .db
            .prepare_cached(sql)?
            .query_row([held.batch], |row| row.get(0))?;
        let mut all: Vec<Arc<str>> = match before {
            Some(digest) => encode::read_strings(&blob::load(&self.reader().db, &digest)?)
                .ok_or_else(|| blob::damaged(&digest))?,
            None => vec!["".into(); held.of],
        };
        for (member, id) in held
            .members
            .iter()
            .zip(ids)
            .filter(|(_, id)| !id.is_empty())
        {
            if let Some(slot) = all.get_mut(member.nth) {
                *slot = id.into();
            }
        }
        Ok(Blob::new(encode::strings(&all, encode::NO_SALT)))
    }

    /// Members of a batch that were proved not to be sent, planned once more under the next
    /// attempt.
    fn again(
        &self,
        held: &HeldBatch,
        members: &[&Member],
        blobs: &mut Vec<Blob>,
    ) -> Result<Record, LedgerError> {
        Ok(Record::Segment(Box::new(self.open.writer.next_attempt(
            self.open.writer.next_id("segment")?,
            &held.segment.of,
            members,
            blobs,
        ))))
    }
}

/// A batch is worth what its least certain message is; the others are strengthened one by one.
fn read_verdicts(
    held: &HeldBatch,
    verdicts: &[Verdict],
    first: bool,
    answered: &mut AnswerRecord,
    records: &mut Vec<Record>,
    now: Instant,
) {
    let state = |verdict: &Verdict| match verdict {
        Verdict::Accepted { .. } => State::Accepted,
        Verdict::Waiting { .. } => State::Waiting,
        Verdict::Refused { .. } => State::Refused,
        Verdict::Unknown { .. } => State::Unknown,
        // That a repeat was not sent says nothing of the first time.
        Verdict::NotSent { .. } if first => State::NotSent,
        Verdict::NotSent { .. } => State::Unknown,
    };
    answered.state = verdicts
        .iter()
        .map(state)
        .chain(held.least)
        .min()
        .unwrap_or(State::Accepted);
    answered.reason = verdicts
        .iter()
        .filter(|v| state(v) == answered.state)
        .find_map(Verdict::reason)
        .map(str::to_string);
    let of = &held.segment.of;
    for (member, verdict) in held.members.iter().zip(verdicts) {
        let kind = match state(verdict) {
            same if same == answered.state => continue,
            State::Accepted => {
                answered.accepted.push(member.place);
                continue;
            }
            State::Waiting => ReceiptKind::Waiting,
            State::NotSent => {
                answered.not_sent.push(member.place);
                continue;
            }
            _ => ReceiptKind::Refused,
        };
        records.push(of.learned(member.user, kind, now, verdict.reason().unwrap_or("answer")));
    }
}
