//! Test messages: one real message to a named person, outside runs and caps. It is claimed before
//! it is sent like any other, so that nothing leaves without a trace.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Operator;
use serde::Serialize;

use crate::base::{Instant, UserNo};
use crate::ledger::dispatch_batch::Verdict;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob;
use crate::ledger::rows::record::{Record, TestSendRecord};
use crate::ledger::state::State;
use crate::program::typed::ChannelName;

/// A test message that may be sent, once.
#[derive(Debug)]
#[must_use = "what is claimed must be sent and answered"]
pub struct TestSend {
    number: i64,
    /// The platform's key for it.
    pub key: String,
}

/// A test message that was sent, or may have been.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TestSendState {
    pub number: i64,
    pub campaign: String,
    pub template: String,
    pub channel: String,
    pub at: i64,
    pub who: String,
    pub state: State,
    pub reason: Option<String>,
}

impl LedgerReader {
    /// Test messages, oldest first.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn trials(&self) -> Result<Vec<TestSendState>, LedgerError> {
        let sql = "SELECT test_send, campaign, template, channel, at, who, state, reason FROM test_send ORDER BY test_send";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            Ok(TestSendState {
                number: row.get(0)?,
                campaign: row.get(1)?,
                template: row.get(2)?,
                channel: row.get(3)?,
                at: row.get(4)?,
                who: row.get(5)?,
                state: State::of_code(row.get(6)?).unwrap_or(State::Unknown),
                reason: row.get(7)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Operator<'_> {
    /// Claims a test message. When this returns, the claim is durable.
    ///
    /// # Errors
    /// When the ledger cannot be written: then nothing may be sent.
    pub fn claim_trial(
        &mut self,
        campaign: &str,
        template: &str,
        channel: &ChannelName,
        user: Option<UserNo>,
        who: &str,
        now: Instant,
    ) -> Result<TestSend, LedgerError> {
        let number = self.writer.next_id("test_send")?;
        let mut key = blob::digest(format!("{} test send {number}", self.reader().id).as_bytes());
        key.truncate(32);
        let tried = TestSendRecord {
            test_send: number,
            campaign: campaign.into(),
            template: template.into(),
            channel: channel.to_string(),
            user: user.map(|u| u.0),
            key: key.clone(),
            who: who.into(),
        };
        self.writer.commit(
            "test send",
            now,
            &[],
            &[Record::TestSendClaimed(Box::new(tried))],
        )?;
        Ok(TestSend { number, key })
    }

    /// Records what became of it.
    ///
    /// # Errors
    /// When the ledger cannot be written: it stays claimed, which is as good as unknown.
    pub fn answer_trial(
        &mut self,
        trial: TestSend,
        verdict: &Verdict,
        now: Instant,
    ) -> Result<State, LedgerError> {
        let state = match verdict {
            Verdict::Accepted { .. } => State::Accepted,
            Verdict::Waiting { .. } => State::Waiting,
            Verdict::Refused { .. } => State::Refused,
            Verdict::Unknown { .. } => State::Unknown,
            Verdict::NotSent { .. } => State::NotSent,
        };
        let reason = verdict.reason().map(str::to_string);
        self.writer.commit(
            "test send answer",
            now,
            &[],
            &[Record::TestSendAnswered {
                test_send: trial.number,
                state,
                reason,
                id: verdict.id().into(),
            }],
        )?;
        Ok(state)
    }
}
