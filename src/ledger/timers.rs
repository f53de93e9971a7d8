//! What is to happen later: waits of trigger events, follow-ups of what was sent, and how
//! far the arrival of events has come.
//!
//! All of it is rows, so that a process that dies forgets nothing. A wait keeps who, which event,
//! since when and until when; a follow-up has one timer a segment. Both end in the same transaction
//! as the plan that they lead to: whatever is killed when, each is decided once.

use super::access::core::LedgerReader;
use super::access::views::Planner;
use super::sql::states::{CLAIMED, PLANNED};
use super::sql::{Connection, OptionalExtension, SqlRow, params};

use super::error::LedgerError;
use super::ids::MessageKey;
use super::ids::RunId;
use super::plan::planned_runs::{PlannedRun, RunInfo};
use super::rows::blob::{self, Blob};
use super::rows::encode;
use super::rows::encode::salt;
use super::rows::record::{Record, TimerRecord, WaitRecord};
use super::state::State;
use crate::base::{Instant, StoredEvent, UserNo};
use crate::decide::decision::Decision;
use crate::eval::ReceiptStatus;
use crate::program::typed::ChannelName;

/// A trigger event whose campaign waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewWait {
    pub campaign: String,
    pub user: UserNo,
    /// The event's id: of one campaign and event there is one wait.
    pub event: String,
    /// When the event was.
    pub armed: Instant,
    pub due: Instant,
    /// The event's fields.
    pub values: StoredEvent,
}

/// A wait that is in the ledger, under its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    pub number: i64,
    pub wait: NewWait,
}

/// A follow-up that is to be decided for the members of a segment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Timer {
    pub due: Instant,
    pub segment: i64,
    /// The follow-up's name.
    pub step: String,
    pub run: RunId,
    pub campaign: String,
    /// The last send of the segment.
    pub handed_over: Instant,
}

/// A segment of which everything is sent or ended, and that follow-ups may come after.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DispatchedSegment {
    pub segment: i64,
    pub campaign: String,
    /// `None` for the campaign's first message, else the follow-up's name.
    pub step: Option<String>,
    /// The last send; `None` when nothing of it was.
    pub last: Option<Instant>,
}

/// One member of a segment when a follow-up asks.
#[derive(Clone, PartialEq, Debug)]
pub struct FollowUpMember {
    pub user: UserNo,
    pub state: State,
    /// In the order of [`crate::program::typed_expr::OwnEvent::ALL`].
    pub receipts: [ReceiptStatus; 7],
}

/// Why a wait or a timer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// It led to a decision, which is planned in the same transaction.
    Decided,
    /// The event of `unless` came.
    Unless,
    /// A later event took its place.
    Restarted,
    /// The user does not match; nothing is planned for nobody.
    NotMatched,
    /// The program has no such campaign or step any more.
    Withdrawn,
}

impl EndReason {
    pub fn name(self) -> &'static str {
        match self {
            EndReason::Decided => "decided",
            EndReason::Unless => "unless",
            EndReason::Restarted => "restarted",
            EndReason::NotMatched => "not_matched",
            EndReason::Withdrawn => "withdrawn",
        }
    }
}

/// What changes besides runs in a transaction of the decider.
#[derive(Clone, Default, Debug)]
pub struct DeciderChanges {
    pub waits: Vec<NewWait>,
    pub waits_over: Vec<(i64, EndReason)>,
    /// Segments, the last send of each, and the name and due instant of each of its
    /// follow-ups.
    pub timed: Vec<(DispatchedSegment, Vec<(String, Instant)>)>,
    pub timers_over: Vec<(Timer, EndReason)>,
    /// How far arrivals are dealt with, by the name of where they come from.
    pub fed: Vec<(String, i64)>,
}

impl DeciderChanges {
    pub fn is_empty(&self) -> bool {
        let DeciderChanges {
            waits,
            waits_over,
            timed,
            timers_over,
            fed,
        } = self;
        waits.is_empty()
            && waits_over.is_empty()
            && timed.is_empty()
            && timers_over.is_empty()
            && fed.is_empty()
    }
}

/// Campaigns by name: another program may have its own in the same ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CampaignNames(String);

impl CampaignNames {
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        CampaignNames(serde_json::Value::from(names.into_iter().collect::<Vec<_>>()).to_string())
    }
}

/// As an expression it keeps SQLite from looking campaign by campaign: the instant is what narrows.
fn of_names(db: &Connection) -> String {
    let names = db.dialect().json_texts();
    format!("campaign || '' IN (SELECT value FROM {names})")
}

const TIMERS: &str = "timer t JOIN segment s USING (segment) JOIN run r USING (run)";
const WAIT: &str = "SELECT wait, campaign, user_no, event, event_at, due, event_values FROM wait";

impl LedgerReader {
    fn wait_of(&self, row: &SqlRow) -> Result<Wait, LedgerError> {
        let digest: String = row.get(6)?;
        let values = encode::read_strings(&blob::load(&self.db, &digest)?)
            .and_then(|all| all.get(1).map(ToString::to_string));
        let wait = NewWait {
            campaign: row.get(1)?,
            user: UserNo(row.get(2)?),
            event: row.get(3)?,
            armed: Instant(row.get(4)?),
            due: Instant(row.get(5)?),
            values: StoredEvent::from_row(values.ok_or_else(|| blob::damaged(&digest))?),
        };
        Ok(Wait {
            number: row.get(0)?,
            wait,
        })
    }

    /// The waits of some campaigns that end up to an instant, the earliest first, at most so many.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged; so for all of these.
    pub fn waits_due(
        &self,
        of: &CampaignNames,
        until: Instant,
        most: usize,
    ) -> Result<Vec<Wait>, LedgerError> {
        let of_names = of_names(&self.db);
        let sql =
            format!("{WAIT} WHERE due <= ? AND {of_names} ORDER BY due, event_at, wait LIMIT ?");
        let mut select = self.db.prepare_cached(&sql)?;
        let mut rows = select.query(params![
            until.0,
            of.0,
            i64::try_from(most).unwrap_or(i64::MAX)
        ])?;
        let mut waits = Vec::new();
        while let Some(row) = rows.next()? {
            waits.push(self.wait_of(&row)?);
        }
        Ok(waits)
    }

    /// The number and the end of the wait of a user in a campaign that ends last, if one is going
    /// on.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn waiting(
        &self,
        campaign: &str,
        user: UserNo,
    ) -> Result<Option<(i64, Instant)>, LedgerError> {
        let sql = "SELECT wait, due FROM wait WHERE campaign = ? AND user_no = ? ORDER BY due DESC, wait DESC LIMIT 1";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row(params![campaign, user.0], |row| {
                Ok((row.get(0)?, Instant(row.get(1)?)))
            });
        Ok(found.optional()?)
    }

    /// Whether an event led to a wait that has not ended, or to a run.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn knows_event(&self, campaign: &str, event: &str) -> Result<bool, LedgerError> {
        let waits = self
            .db
            .prepare_cached("SELECT 1 FROM wait WHERE campaign = ? AND event = ?")?
            .exists(params![campaign, event])?;
        let sql = "SELECT 1 FROM run WHERE campaign = ? AND occasion = ?";
        Ok(waits
            || self.db.prepare_cached(sql)?.exists(params![
                campaign,
                super::plan::planned_runs::event_occasion(event)
            ])?)
    }

    /// How many waits of a campaign there are, and the end of the next.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn waits(&self, campaign: &str) -> Result<(i64, Option<Instant>), LedgerError> {
        let mut select = self
            .db
            .prepare_cached("SELECT count(*), min(due) FROM wait WHERE campaign = ?")?;
        Ok(select.query_row([campaign], |row| {
            Ok((row.get(0)?, row.get::<Option<i64>>(1)?.map(Instant)))
        })?)
    }

    /// When the next wait or follow-up of some campaigns is due.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn next_later(&self, of: &CampaignNames) -> Result<Option<Instant>, LedgerError> {
        let of_names = of_names(&self.db);
        // In the order of the index, the first row is the answer.
        let wait = format!("SELECT due FROM wait WHERE {of_names} ORDER BY due LIMIT 1");
        let wait: Option<i64> = self
            .db
            .prepare_cached(&wait)?
            .query_row([&of.0], |row| row.get(0))
            .optional()?;
        let timer = format!("SELECT t.due FROM {TIMERS} WHERE {of_names} ORDER BY t.due LIMIT 1");
        let timer: Option<i64> = self
            .db
            .prepare_cached(&timer)?
            .query_row([&of.0], |row| row.get(0))
            .optional()?;
        Ok(wait.into_iter().chain(timer).min().map(Instant))
    }

    /// The follow-ups of some campaigns that are due up to an instant, the earliest first.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn timers_due(
        &self,
        of: &CampaignNames,
        until: Instant,
    ) -> Result<Vec<Timer>, LedgerError> {
        let of_names = of_names(&self.db);
        let sql = format!(
            "SELECT t.due, t.segment, t.step, s.run, r.campaign, t.dispatched_at FROM {TIMERS}
             WHERE t.due <= ? AND {of_names} ORDER BY t.due, t.segment, t.step"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let rows = select.query_map(params![until.0, of.0], |row| {
            Ok(Timer {
                due: Instant(row.get(0)?),
                segment: row.get(1)?,
                step: row.get(2)?,
                run: RunId(row.get(3)?),
                campaign: row.get(4)?,
                handed_over: Instant(row.get(5)?),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Segments that follow-ups may come after and that have come to their end: their timers can be
    /// set now.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn handed_over(&self) -> Result<Vec<DispatchedSegment>, LedgerError> {
        let sql = format!("SELECT s.segment, r.campaign, CASE s.step WHEN 0 THEN NULL ELSE t.name END, max(b.claimed_at)
            FROM segment s JOIN run r USING (run) JOIN step t USING (run, step) LEFT JOIN batch b USING (segment)
            WHERE s.follows = 1 AND (s.claimed = s.size OR s.rest_state <> {PLANNED})
                AND NOT EXISTS (SELECT 1 FROM batch o WHERE o.segment = s.segment AND o.state = {CLAIMED})
            GROUP BY s.segment, r.campaign, s.step, t.name ORDER BY s.segment");
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            let last = row.get::<Option<i64>>(3)?.map(Instant);
            Ok(DispatchedSegment {
                segment: row.get(0)?,
                campaign: row.get(1)?,
                step: row.get(2)?,
                last,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is known of each member of a segment that was claimed.
    ///
    /// # Errors
    /// As [`Self::waits_due`].
    pub fn reached(&self, segment: i64) -> Result<Vec<FollowUpMember>, LedgerError> {
        let sql = "SELECT users, run, step, fanout_index, attempt, account, platform, endpoint FROM segment WHERE segment = ?";
        let (users, key, channel) = self.db.prepare_cached(sql)?.query_row([segment], |row| {
            let key = MessageKey {
                run: RunId(row.get(1)?),
                step: row.get(2)?,
                fanout_index: row.get(3)?,
                user: UserNo(0),
                attempt: row.get(4)?,
            };
            let channel = ChannelName {
                account: row.get(5)?,
                platform: row.get(6)?,
                endpoint: row.get(7)?,
            };
            Ok((row.get::<String>(0)?, key, channel))
        })?;
        let users = encode::read_users(&blob::load(&self.db, &users)?)
            .ok_or_else(|| blob::damaged(&users))?;
        let mut reached = Vec::with_capacity(users.len());
        for user in users {
            let key = MessageKey { user, ..key };
            let mut known = self.receipts(&key, &channel)?;
            if key.fanout_index > 0 {
                // What is known of any of the user's messages in this step counts.
                for (other, channel) in self.other_legs(&key)? {
                    known = both(known, self.receipts(&other, &channel)?);
                }
            }
            reached.extend(known.map(|(state, receipts)| FollowUpMember {
                user,
                state,
                receipts,
            }));
        }
        Ok(reached)
    }

    /// The user's messages on the other channels of a `via all of`, as far as they were claimed.
    fn other_legs(&self, key: &MessageKey) -> Result<Vec<(MessageKey, ChannelName)>, LedgerError> {
        let sql = "SELECT m.fanout_index, m.attempt, s.account, s.platform, s.endpoint FROM message m JOIN segment s USING (segment)
            WHERE m.run = ? AND m.step = ? AND m.user_no = ? AND m.fanout_index <> ? AND m.batch IS NOT NULL ORDER BY m.fanout_index, m.attempt";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(
            params![key.run.0, key.step, key.user.0, key.fanout_index],
            |row| {
                let channel = ChannelName {
                    account: row.get(2)?,
                    platform: row.get(3)?,
                    endpoint: row.get(4)?,
                };
                Ok((
                    MessageKey {
                        fanout_index: row.get(0)?,
                        attempt: row.get(1)?,
                        ..*key
                    },
                    channel,
                ))
            },
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// What is known of a message: its state and receipts.
type Known = Option<(State, [ReceiptStatus; 7])>;

/// What is known of two messages to one user together: sent if either was, and what either one's
/// receipts say.
fn both(a: Known, b: Known) -> Known {
    let (Some((a, mine)), Some((b, theirs))) = (a, b) else {
        return a.or(b);
    };
    let rank = |state: State| match state.sent() {
        Some(true) => 2,
        None => 1,
        Some(false) => 0,
    };
    let state = if rank(b) > rank(a) { b } else { a };
    let mut receipts = mine;
    for (receipt, other) in receipts.iter_mut().zip(theirs) {
        *receipt = match (*receipt, other) {
            (ReceiptStatus::Yes(one), ReceiptStatus::Yes(two)) => ReceiptStatus::Yes(one.min(two)),
            (yes @ ReceiptStatus::Yes(_), _) | (_, yes @ ReceiptStatus::Yes(_)) => yes,
            (ReceiptStatus::No, ReceiptStatus::No) => ReceiptStatus::No,
            (ReceiptStatus::Unknown, _) | (_, ReceiptStatus::Unknown) => ReceiptStatus::Unknown,
        };
    }
    Some((state, receipts))
}

impl Planner<'_> {
    /// Ends the waits and follow-ups of campaigns that are no more.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn withdraw_later(
        &mut self,
        campaigns: &[String],
        now: Instant,
    ) -> Result<(), LedgerError> {
        let of_names = of_names(&self.reader().db);
        let of = CampaignNames::of(campaigns.iter().map(String::as_str));
        let mut later = DeciderChanges::default();
        let mut select = self.reader().db.prepare_cached(format!(
            "SELECT wait FROM wait WHERE {of_names} ORDER BY wait"
        ))?;
        for wait in select.query_map([&of.0], |row| row.get(0))? {
            later.waits_over.push((wait?, EndReason::Withdrawn));
        }
        drop(select);
        let timers = self.reader().timers_due(&of, Instant(i64::MAX))?;
        later.timers_over.extend(
            timers
                .into_iter()
                .map(|timer| (timer, EndReason::Withdrawn)),
        );
        if later.is_empty() {
            Ok(())
        } else {
            self.plan_later(&[], &later, now).map(drop)
        }
    }

    /// Plans runs that are due together, and ends and begins waits and timers: all of it or
    /// nothing.
    ///
    /// # Errors
    /// Those of [`Self::plan_runs`]; when a wait or timer is over already.
    pub fn plan_later(
        &mut self,
        decisions: &[(&Decision, RunInfo)],
        later: &DeciderChanges,
        now: Instant,
    ) -> Result<Vec<PlannedRun>, LedgerError> {
        let mut blobs = Vec::new();
        let mut records = Vec::new();
        records.extend(
            later
                .waits_over
                .iter()
                .map(|(wait, why)| Record::WaitEnded {
                    wait: *wait,
                    why: why.name().into(),
                }),
        );
        for (number, wait) in (self.writer.next_id("wait")?..).zip(&later.waits) {
            // With its number, so that no two waits share what is removed when one of them ends.
            let values = Blob::new(encode::strings(
                &[&number.to_string(), wait.values.as_json()],
                salt(self.writer.world.as_ref()),
            ));
            records.push(Record::WaitStarted(Box::new(WaitRecord {
                wait: number,
                campaign: wait.campaign.clone(),
                user: wait.user.0,
                event: wait.event.clone(),
                event_at: wait.armed.0,
                due: wait.due.0,
                values: values.digest.clone(),
            })));
            blobs.push(values);
        }
        records.extend(later.timed.iter().map(|(segment, timers)| {
            let timers = timers
                .iter()
                .map(|(step, due)| (step.clone(), due.0))
                .collect();
            Record::TimersSet(TimerRecord {
                segment: segment.segment,
                dispatched_at: segment.last.map(|at| at.0),
                timers,
            })
        }));
        records.extend(
            later
                .timers_over
                .iter()
                .map(|(timer, why)| Record::TimerEnded {
                    segment: timer.segment,
                    step: timer.step.clone(),
                    why: why.name().into(),
                }),
        );
        records.extend(
            later
                .fed
                .iter()
                .map(|(source, position)| Record::EventsRead {
                    source: source.clone(),
                    position: *position,
                }),
        );
        self.plan_with(decisions, blobs, records, now)
    }
}
