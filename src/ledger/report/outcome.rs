//! What happened to one user in each run of a campaign: for `why`.
//!
//! There is no index by user: a run's segments are few columns of numbers, and a message's row is
//! found by its key.

use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::sql::states::CAPPED;
use crate::ledger::sql::{OptionalExtension, params};

use crate::base::{Instant, UserNo, Zone};
use crate::decide::decision::{Gate, Rendered};
use crate::ledger::error::LedgerError;
use crate::ledger::ids::{MessageKey, RunId};
use crate::ledger::rows::blob;
use crate::ledger::rows::encode;
use crate::ledger::state::{ReceiptKind, State};
use crate::program::typed::ChannelName;

/// What a run, or a follow-up in it, did with a user.
#[derive(Clone, PartialEq, Debug)]
pub struct UserOutcome {
    pub run: RunId,
    pub campaign: String,
    /// The campaign's name for its first message, else the follow-up's.
    pub step: String,
    pub due: Instant,
    pub zone: Zone,
    /// The arm that the user was assigned to, whatever became of it.
    pub arm: Option<String>,
    pub happened: MessageProgress,
}

#[derive(Clone, PartialEq, Debug)]
pub enum MessageProgress {
    /// The condition was false.
    NotMatched,
    /// The reason (`unknown`, `below_top`, `not_sampled` or a gate) with what it says besides: the
    /// winner of a slot, the policy's reason.
    Stopped {
        reason: String,
        detail: Option<String>,
    },
    Message(Box<MessageOutcome>),
}

#[derive(Clone, PartialEq, Debug)]
pub struct MessageOutcome {
    pub state: State,
    pub template: String,
    pub channel: ChannelName,
    pub content: Arc<Rendered>,
    pub not_before: Instant,
    pub expires: Instant,
    /// How often it was planned anew because it was proved not to have been sent.
    pub attempt: i64,
    pub claimed_at: Option<Instant>,
    /// The platform's id of it.
    pub platform_id: Option<Arc<str>>,
    /// What the channel said of its batch, unless it was accepted.
    pub reason: Option<String>,
    /// What became known later, by time.
    pub receipts: Vec<(ReceiptKind, Instant)>,
}

/// A segment that holds the user's message, and where.
struct Found {
    segment: i64,
    key: [i64; 4],
    place: usize,
    claimed: i64,
    rest: i64,
    contents: String,
    size: usize,
    outcome: MessageOutcome,
}

impl LedgerReader {
    /// What each run of a campaign did with a user, oldest first. Runs from before the user was
    /// known are left out.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn outcomes(&self, user: UserNo, campaign: &str) -> Result<Vec<UserOutcome>, LedgerError> {
        let _snapshot = self.db.unchecked_transaction()?;
        let sql = "SELECT t.run, t.step, t.name, t.due, t.zone FROM step t JOIN run r USING (run)
            WHERE r.campaign = ? AND t.users > ? ORDER BY t.due, t.run, t.step";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(params![campaign, user.0], |row| {
            let zone: String = row.get(4)?;
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                Instant(row.get(3)?),
                Zone::named(&zone).unwrap_or(Zone::UTC),
            ))
        })?;
        let mut outcomes = Vec::new();
        for row in rows {
            let (run, step, name, due, zone): (i64, i64, String, Instant, Zone) = row?;
            let arm = self.holding(
                "SELECT arm, NULL, members FROM arm WHERE run = ? AND step = ? ORDER BY place",
                run,
                step,
                user,
            )?;
            let mut all: Vec<MessageProgress> = Vec::new();
            for found in self.find(run, step, user)? {
                all.extend(
                    self.message(found, run, step, user)?
                        .map(|message| MessageProgress::Message(Box::new(message))),
                );
            }
            if all.is_empty() {
                let sql = "SELECT reason, detail, members FROM stopped WHERE run = ? AND step = ? ORDER BY place";
                all.push(match self.holding(sql, run, step, user)? {
                    Some((reason, detail)) => MessageProgress::Stopped { reason, detail },
                    None => MessageProgress::NotMatched,
                });
            }
            let arm = arm.map(|(arm, _)| arm);
            outcomes.extend(all.into_iter().map(|happened| {
                let (campaign, step, arm) = (campaign.to_owned(), name.clone(), arm.clone());
                UserOutcome {
                    run: RunId(run),
                    campaign,
                    step,
                    due,
                    zone,
                    arm,
                    happened,
                }
            }));
        }
        Ok(outcomes)
    }

    /// The first of some sets of users that holds the user.
    fn holding(
        &self,
        sql: &str,
        run: i64,
        step: i64,
        user: UserNo,
    ) -> Result<Option<(String, Option<String>)>, LedgerError> {
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query(params![run, step])?;
        while let Some(row) = rows.next()? {
            let members: String = row.get(2)?;
            let map = encode::read_bitmap(&blob::load(&self.db, &members)?)
                .ok_or_else(|| blob::damaged(&members))?;
            if map.contains(user) {
                return Ok(Some((row.get(0)?, row.get(1)?)));
            }
        }
        Ok(None)
    }

    /// What became of a message. One that lost its slot is none: its user was stopped.
    fn message(
        &self,
        found: Found,
        run: i64,
        step: i64,
        user: UserNo,
    ) -> Result<Option<MessageOutcome>, LedgerError> {
        let mut outcome = found.outcome;
        let forgotten = self.is_forgotten(run)?;
        if forgotten {
            outcome.content = Arc::new(Rendered { parts: Vec::new() });
        } else {
            let texts = encode::read_contents(&blob::load(&self.db, &found.contents)?, found.size);
            let text = texts.and_then(|texts| texts.get(found.place).cloned());
            outcome.content = text.ok_or_else(|| blob::damaged(&found.contents))?;
        }
        let place = i64::try_from(found.place).unwrap_or(i64::MAX);
        let [_, _, fanout_index, attempt] = found.key;
        let key = params![run, step, fanout_index, user.0, attempt];
        let sql = format!(
            "SELECT 1 FROM message WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ? AND state = {CAPPED}"
        );
        if self.db.prepare_cached(sql)?.exists(key)? {
            return Ok(None);
        }
        if place >= found.claimed {
            outcome.state = State::of_code(found.rest).unwrap_or(State::Planned);
            return Ok(Some(outcome));
        }
        let sql = "SELECT m.state, b.state, b.claimed_at, b.ids, b.batch,
                (SELECT count(*) FROM message o WHERE o.run = m.run AND o.step = m.step AND o.batch = m.batch AND o.place < m.place),
                (SELECT reason FROM answer a WHERE a.batch = b.batch ORDER BY n DESC LIMIT 1)
            FROM message m LEFT JOIN batch b USING (batch)
            WHERE m.run = ? AND m.step = ? AND m.fanout_index = ? AND m.user_no = ? AND m.attempt = ?";
        let row = self.db.prepare_cached(sql)?.query_row(key, |row| {
            let states: [Option<i64>; 2] = [row.get(0)?, row.get(1)?];
            Ok((
                states,
                row.get::<Option<i64>>(2)?,
                row.get::<Option<String>>(3)?,
                row.get::<i64>(5)?,
                row.get::<Option<String>>(6)?,
            ))
        });
        let Some((states, claimed_at, ids, before, reason)) = row.optional()? else {
            outcome.state = self.state_of_batch(found.segment, place)?;
            return Ok(Some(outcome));
        };
        let ids = ids.filter(|_| !forgotten);
        let code = states.into_iter().flatten().max().unwrap_or(0);
        outcome.state = State::of_code(code).unwrap_or(State::Unknown);
        outcome.claimed_at = claimed_at.map(Instant);
        // Claimed without a batch: those of a list who were left behind by opt-outs.
        // Or those for whom the channel had closed by their turn.
        outcome.reason = reason.or_else(|| match outcome.state {
            State::Withdrawn => Some(Gate::TooFewForList.name().into()),
            State::Expired => Some(Gate::Unreachable.name().into()),
            _ => None,
        });
        if let Some(digest) = ids {
            let ids = encode::read_strings(&blob::load(&self.db, &digest)?)
                .ok_or_else(|| blob::damaged(&digest))?;
            let id = usize::try_from(before)
                .ok()
                .and_then(|n| ids.get(n).cloned());
            outcome.platform_id = id.filter(|id| !id.is_empty());
        }
        let sql = "SELECT kind, at FROM receipt WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ? ORDER BY at, kind";
        let mut select = self.db.prepare_cached(sql)?;
        for row in select.query_map(key, |row| Ok((row.get::<String>(0)?, row.get(1)?)))? {
            let (kind, at) = row?;
            outcome
                .receipts
                .extend(ReceiptKind::named(&kind).map(|kind| (kind, Instant(at))));
        }
        Ok(Some(outcome))
    }

    /// The user's messages in a step of a run, one for each of its legs; of several attempts the
    /// last.
    fn find(&self, run: i64, step: i64, user: UserNo) -> Result<Vec<Found>, LedgerError> {
        let mut all: Vec<Found> = Vec::new();
        let sql = "SELECT segment, fanout_index, attempt, claimed, rest_state, users, contents, template, account, platform, endpoint, not_before, expires
            FROM segment WHERE run = ? AND step = ? ORDER BY attempt DESC, segment";
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query(params![run, step])?;
        while let Some(row) = rows.next()? {
            let users: String = row.get(5)?;
            let column = blob::load(&self.db, &users)?;
            let Some(place) = encode::find_user(&column, user) else {
                continue;
            };
            let [fanout_index, attempt]: [i64; 2] = [row.get(1)?, row.get(2)?];
            if all.iter().any(|found| found.key[2] == fanout_index) {
                continue;
            }
            all.push(Found {
                segment: row.get(0)?,
                key: [run, step, fanout_index, attempt],
                place,
                claimed: row.get(3)?,
                rest: row.get(4)?,
                contents: row.get(6)?,
                size: column.len() / 4,
                outcome: MessageOutcome {
                    state: State::Planned,
                    template: row.get(7)?,
                    channel: ChannelName {
                        account: row.get(8)?,
                        platform: row.get(9)?,
                        endpoint: row.get(10)?,
                    },
                    content: Arc::new(Rendered { parts: Vec::new() }),
                    not_before: Instant(row.get(11)?),
                    expires: Instant(row.get(12)?),
                    attempt,
                    claimed_at: None,
                    platform_id: None,
                    reason: None,
                    receipts: Vec::new(),
                },
            });
            // Whose message is not one of several has no other.
            if fanout_index == 0 {
                break;
            }
        }
        all.sort_by_key(|found| found.key[2]);
        Ok(all)
    }

    /// The name of a message that was claimed for a user in a step of a run, for receipts; of
    /// several attempts the last.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn message_key(
        &self,
        run: RunId,
        step: i64,
        user: UserNo,
    ) -> Result<Option<MessageKey>, LedgerError> {
        let sql = "SELECT fanout_index, attempt FROM message WHERE run = ? AND step = ? AND user_no = ? AND batch IS NOT NULL ORDER BY attempt DESC, fanout_index LIMIT 1";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row(params![run.0, step, user.0], |row| {
                Ok(MessageKey {
                    run,
                    step,
                    user,
                    fanout_index: row.get(0)?,
                    attempt: row.get(1)?,
                })
            });
        Ok(found.optional()?)
    }
}
