//! Runs in numbers, and the program's own messages as events.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::sql::states::PLANNED;
use crate::ledger::sql::{self, OptionalExtension, SqlRow, ToValue, params};
use serde::Serialize;

use crate::base::{Instant, UserNo, Zone};
use crate::eval::{MessageLog, OwnMessage, ReceiptStatus};
use crate::ledger::error::LedgerError;
use crate::ledger::ids::MessageKey;
use crate::ledger::ids::RunId;
use crate::ledger::state::{ReceiptKind, State};
use crate::program::platform::{self, Observed};
use crate::program::run_outcome::RunOutcome;
use crate::program::typed::ChannelName;
use crate::program::typed_expr::OwnEvent;

/// A run, or a follow-up in it, in numbers: from everyone to what became of each message.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunReport {
    pub run: RunId,
    pub campaign: String,
    /// 0 is the campaign's first message.
    pub step: i64,
    /// The campaign's name for its first message, else the follow-up's.
    pub name: String,
    /// In the policy's zone, RFC 3339; so are all times here.
    pub due: String,
    pub planned_at: String,
    /// `None` while something is open or unknown.
    pub finished_at: Option<String>,
    pub program: String,
    pub snapshot: String,
    pub seed: u64,
    pub purpose: String,
    pub users: i64,
    pub not_matched: i64,
    /// Before any gate: `unknown`, `below_top`, `not_sampled`; then the gates in their order.
    pub stopped: Vec<StoppedReport>,
    /// For how many users the condition was unknown because which tag had no value.
    pub unknown_because: Vec<(String, i64)>,
    /// Users of a `choose` for whom an earlier condition was unknown.
    pub choose_unknown: i64,
    /// Matched users by assigned arm, whatever became of them.
    pub arms: Vec<(String, i64)>,
    /// Messages planned: the sum of all states below.
    pub planned: i64,
    pub messages: Vec<MessagesReport>,
    /// Messages that were proved not to have been sent and planned anew, once for each time.
    pub planned_again: i64,
    #[serde(skip)]
    pub due_at: Instant,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StoppedReport {
    pub reason: String,
    pub detail: Option<String>,
    pub users: i64,
}

impl StoppedReport {
    /// Whether these users were not among the matched ones.
    pub fn is_unselected(&self) -> bool {
        RunOutcome::named(&self.reason).is_some_and(RunOutcome::is_selection)
    }
}

/// What became of the messages of one arm, template and channel.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MessagesReport {
    pub arm: Option<String>,
    pub template: String,
    pub channel: String,
    pub states: BTreeMap<State, i64>,
}

impl RunReport {
    /// Users that matched, before any gate.
    pub fn matched(&self) -> i64 {
        let out: i64 = self
            .stopped
            .iter()
            .filter(|s| s.is_unselected())
            .map(|s| s.users)
            .sum();
        self.users - self.not_matched - out
    }

    /// Messages in a state, over all arms and channels.
    pub fn in_state(&self, state: State) -> i64 {
        self.messages
            .iter()
            .filter_map(|m| m.states.get(&state))
            .sum()
    }
}

impl LedgerReader {
    /// All runs, or those of a campaign, oldest first; a follow-up is an entry of its own.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn reports(&self, campaign: Option<&str>) -> Result<Vec<RunReport>, LedgerError> {
        self.reports_where(
            "CAST(?1 AS TEXT) IS NULL OR r.campaign = ?1",
            params![campaign],
        )
    }

    /// One run with its follow-ups.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn report(&self, run: RunId) -> Result<Vec<RunReport>, LedgerError> {
        self.reports_where("t.run = ?1", params![run.0])
    }

    fn reports_where(
        &self,
        which: &str,
        params: &[&dyn ToValue],
    ) -> Result<Vec<RunReport>, LedgerError> {
        let _snapshot = self.db.unchecked_transaction()?;
        let sql = format!(
            "SELECT t.run, r.campaign, t.step, t.name, t.due, t.planned_at, t.finished_at, t.zone, t.program, t.snapshot, t.seed, t.purpose,
                t.users, t.not_matched, t.choose_unknown FROM step t JOIN run r USING (run) WHERE {which} ORDER BY t.due, t.run, t.step"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let rows = select.query_map(params, head)?;
        let mut reports = rows.collect::<Result<Vec<_>, _>>()?;
        reports
            .iter_mut()
            .try_for_each(|report| self.fill(report))?;
        Ok(reports)
    }

    fn fill(&self, report: &mut RunReport) -> Result<(), LedgerError> {
        let of = params![report.run.0, report.step];
        let mut select = self.db.prepare_cached(
            "SELECT reason, detail, users FROM stopped WHERE run = ? AND step = ? ORDER BY place",
        )?;
        let rows = select.query_map(of, |row| {
            Ok(StoppedReport {
                reason: row.get(0)?,
                detail: row.get(1)?,
                users: row.get(2)?,
            })
        })?;
        report.stopped = rows.collect::<Result<_, _>>()?;
        let pairs = |sql: &str| -> Result<Vec<(String, i64)>, LedgerError> {
            let mut select = self.db.prepare_cached(sql)?;
            let rows = select.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        };
        report.unknown_because = pairs(
            "SELECT tag, users FROM unknown_because WHERE run = ? AND step = ? ORDER BY users DESC, tag",
        )?;
        report.arms =
            pairs("SELECT arm, users FROM arm WHERE run = ? AND step = ? ORDER BY place")?;
        // Batches as a whole, then those messages of which more is known than of their batch.
        let group = "s.arm, s.template, s.account || '.' || s.endpoint";
        let queries = [
            format!("SELECT {group}, s.rest_state, 0, CAST(sum(s.size - s.claimed - s.displaced) AS BIGINT) FROM segment s WHERE s.run = ? AND s.step = ? GROUP BY 1, 2, 3, 4"),
            format!(
                "SELECT {group}, b.state, 0, CAST(sum(b.members) AS BIGINT) FROM batch b JOIN segment s USING (segment) WHERE s.run = ? AND s.step = ?
                 GROUP BY 1, 2, 3, 4"
            ),
            format!(
                "SELECT {group}, m.state, coalesce(b.state, -1), count(*) FROM message m JOIN segment s USING (segment) LEFT JOIN batch b USING (batch)
                 WHERE m.run = ? AND m.step = ? AND m.state > coalesce(b.state, -1) GROUP BY 1, 2, 3, 4, 5"
            ),
            format!(
                "SELECT {group}, k.state, k.instead_of, CAST(sum(k.n) AS BIGINT) FROM forgotten_states k JOIN segment s USING (segment)
                 WHERE k.run = ? AND k.step = ? GROUP BY 1, 2, 3, 4, 5"
            ),
        ];
        let mut messages: BTreeMap<(Option<String>, String, String), BTreeMap<i64, i64>> =
            BTreeMap::new();
        for (i, sql) in queries.iter().enumerate() {
            let mut select = self.db.prepare_cached(sql)?;
            let mut rows = select.query(of)?;
            while let Some(row) = rows.next()? {
                let states = messages
                    .entry((row.get(0)?, row.get(1)?, row.get(2)?))
                    .or_default();
                let (state, instead_of, n): (i64, i64, i64) =
                    (row.get(3)?, row.get(4)?, row.get(5)?);
                *states.entry(state).or_default() += n;
                if i >= 2 && instead_of >= 0 {
                    *states.entry(instead_of).or_default() -= n;
                }
            }
        }
        for ((arm, template, channel), codes) in messages {
            let mut states: BTreeMap<State, i64> = codes
                .into_iter()
                .filter(|(_, n)| *n != 0)
                .filter_map(|(code, n)| Some((State::of_code(code)?, n)))
                .collect();
            // They are among those whom a gate stopped, with who has their slots.
            states.remove(&State::Capped);
            report.planned_again += states.remove(&State::NotSent).unwrap_or(0);
            report.planned += states.values().sum::<i64>();
            report.messages.push(MessagesReport {
                arm,
                template,
                channel,
                states,
            });
        }
        Ok(())
    }

    /// The program's own messages, for conditions that ask about them. What nobody knows stays
    /// unknown.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn message_log(&self) -> Result<MessageLog, LedgerError> {
        let _snapshot = self.db.unchecked_transaction()?;
        let segments = self.segment_labels()?;
        let sql =
            format!("SELECT m.user_no, m.segment, m.run, m.step, m.fanout_index, m.attempt, max(b.state, coalesce(m.state, {PLANNED})), b.claimed_at, b.state_at
            FROM message m JOIN batch b USING (batch) ORDER BY m.run, m.step, m.fanout_index, m.user_no, m.attempt");
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query(())?;
        let mut evidence = self.db.prepare_cached(
            "SELECT run, step, fanout_index, user_no, attempt, kind, at FROM receipt ORDER BY run, step, fanout_index, user_no, attempt, kind",
        )?;
        let mut evidence = Evidence {
            rows: evidence.query(())?,
            next: None,
        };
        evidence.advance()?;
        let mut messages = Vec::new();
        while let Some(row) = rows.next()? {
            let user: u32 = row.get(0)?;
            let key: Key = [
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                i64::from(user),
                row.get(5)?,
            ];
            let receipts = evidence.of(key)?;
            let Some(labels) = segments.get(&row.get::<i64>(1)?) else {
                continue;
            };
            let (state, claimed, answered) =
                (row.get(6)?, Instant(row.get(7)?), Instant(row.get(8)?));
            let state = State::of_code(state).unwrap_or(State::Unknown);
            if matches!(state, State::NotSent | State::SaidNotSent) {
                continue;
            }
            messages.push(OwnMessage {
                user: UserNo(user),
                at: claimed,
                campaign: labels.campaign.clone(),
                step: labels.step.clone(),
                arm: labels.arm.clone(),
                template: labels.template.clone(),
                channel: labels.channel.clone(),
                receipts: own_receipts(state, claimed, answered, &receipts, &labels.observed),
            });
        }
        self.mark_opt_outs(&mut messages)?;
        Ok(MessageLog::new(messages))
    }

    fn segment_labels(&self) -> Result<BTreeMap<i64, Labels>, LedgerError> {
        let sql = "SELECT s.segment, r.campaign, t.name, s.arm, s.template, s.account || '.' || s.endpoint, s.platform, s.endpoint
            FROM segment s JOIN run r USING (run) JOIN step t USING (run, step) WHERE s.claimed > 0";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            let text = |i: usize| row.get::<String>(i).map(Arc::from);
            Ok((
                row.get(0)?,
                Labels {
                    campaign: text(1)?,
                    step: text(2)?,
                    arm: row.get::<Option<String>>(3)?.map(Arc::from),
                    template: text(4)?,
                    channel: text(5)?,
                    observed: observed(&row.get::<String>(6)?, &row.get::<String>(7)?),
                },
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What is known of one message that was claimed; `None` where none was.
    pub(in crate::ledger) fn receipts(
        &self,
        key: &MessageKey,
        channel: &ChannelName,
    ) -> Result<Option<(State, [ReceiptStatus; 7])>, LedgerError> {
        let of = params![
            key.run.0,
            key.step,
            key.fanout_index,
            key.user.0,
            key.attempt
        ];
        let sql = format!("SELECT max(b.state, coalesce(m.state, {PLANNED})), b.claimed_at, b.state_at FROM message m JOIN batch b USING (batch)
            WHERE m.run = ? AND m.step = ? AND m.fanout_index = ? AND m.user_no = ? AND m.attempt = ?");
        let found = self.db.prepare_cached(sql)?.query_row(of, |row| {
            Ok((row.get(0)?, Instant(row.get(1)?), Instant(row.get(2)?)))
        });
        let Some((state, claimed, answered)) = found.optional()? else {
            return Ok(None);
        };
        let state = State::of_code(state).unwrap_or(State::Unknown);
        let sql = "SELECT kind, at FROM receipt WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ?";
        let mut select = self.db.prepare_cached(sql)?;
        let mut receipts = Vec::new();
        for row in select.query_map(of, |row| Ok((row.get::<String>(0)?, Instant(row.get(1)?))))? {
            let (kind, at) = row?;
            receipts.extend(ReceiptKind::named(&kind).map(|kind| (kind, at)));
        }
        let observed = observed(&channel.platform, &channel.endpoint);
        Ok(Some((
            state,
            own_receipts(state, claimed, answered, &receipts, &observed),
        )))
    }

    /// An opt-out is laid at the door of the user's latest message before it.
    fn mark_opt_outs(&self, messages: &mut [OwnMessage]) -> Result<(), LedgerError> {
        messages.sort_by_key(|m| (m.user, m.at));
        let mut select = self.db.prepare_cached("SELECT user_no, at FROM opt_out")?;
        for row in select.query_map((), |row| Ok((UserNo(row.get(0)?), Instant(row.get(1)?))))? {
            let (user, at) = row?;
            let after = messages.partition_point(|m| (m.user, m.at) <= (user, at));
            if let Some(message) = after
                .checked_sub(1)
                .and_then(|i| messages.get_mut(i))
                .filter(|m| m.user == user)
            {
                message.receipts[OwnEvent::OptedOut as usize] = ReceiptStatus::Yes(at);
            }
        }
        Ok(())
    }
}

/// Whether an endpoint says of each user whether something happened, in the order of
/// [`OwnEvent::ALL`].
fn observed(platform: &str, endpoint: &str) -> [bool; 7] {
    let endpoint = platform::endpoint(platform, endpoint);
    OwnEvent::ALL.map(|(event, _)| endpoint.is_some_and(|e| e.evidence.of(event) == Observed::User))
}

fn head(row: &SqlRow) -> sql::Result<RunReport> {
    let zone: String = row.get(7)?;
    let zone = Zone::named(&zone).unwrap_or(Zone::UTC);
    let show = |at: i64| zone.show_rfc3339(Instant(at));
    let seed: String = row.get(10)?;
    Ok(RunReport {
        run: RunId(row.get(0)?),
        campaign: row.get(1)?,
        step: row.get(2)?,
        name: row.get(3)?,
        due: show(row.get(4)?),
        planned_at: show(row.get(5)?),
        finished_at: row.get::<Option<i64>>(6)?.map(show),
        program: row.get(8)?,
        snapshot: row.get(9)?,
        seed: seed.parse().unwrap_or(0),
        purpose: row.get(11)?,
        users: row.get(12)?,
        not_matched: row.get(13)?,
        stopped: Vec::new(),
        unknown_because: Vec::new(),
        choose_unknown: row.get(14)?,
        arms: Vec::new(),
        planned: 0,
        messages: Vec::new(),
        planned_again: 0,
        due_at: Instant(row.get(4)?),
    })
}

/// What all messages of a segment have in common.
struct Labels {
    campaign: Arc<str>,
    step: Arc<str>,
    arm: Option<Arc<str>>,
    template: Arc<str>,
    channel: Arc<str>,
    /// Whether the channel says of each user whether this happened, in the order of
    /// [`OwnEvent::ALL`].
    observed: [bool; 7],
}

/// Run, step, fanout index, user, attempt.
type Key = [i64; 5];

/// Reads evidence along with the messages, both in the order of their keys.
struct Evidence<'a> {
    rows: sql::SqlRows<'a>,
    next: Option<(Key, Option<ReceiptKind>, Instant)>,
}

impl Evidence<'_> {
    fn advance(&mut self) -> sql::Result<()> {
        self.next = match self.rows.next()? {
            None => None,
            Some(row) => {
                let key = [
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ];
                Some((
                    key,
                    ReceiptKind::named(&row.get::<String>(5)?),
                    Instant(row.get(6)?),
                ))
            }
        };
        Ok(())
    }

    fn of(&mut self, key: Key) -> sql::Result<Vec<(ReceiptKind, Instant)>> {
        let mut found = Vec::new();
        while let Some((at_key, kind, at)) = self.next.filter(|(k, ..)| *k <= key) {
            if at_key == key {
                found.extend(kind.map(|kind| (kind, at)));
            }
            self.advance()?;
        }
        Ok(found)
    }
}

/// What is known of each outcome. That something did not happen is known only of a message that did
/// not arrive, or that did, on a channel that says so of each user.
fn own_receipts(
    state: State,
    claimed: Instant,
    answered: Instant,
    receipts: &[(ReceiptKind, Instant)],
    observed: &[bool; 7],
) -> [ReceiptStatus; 7] {
    let when = |kind| receipts.iter().find(|(k, _)| *k == kind).map(|(_, at)| *at);
    let arrived = match state {
        State::Delivered => Some(true),
        State::Refused | State::Rejected | State::Failed | State::Unconfirmed => Some(false),
        _ => None,
    };
    OwnEvent::ALL.map(|(event, _)| {
        let absent = || match arrived {
            Some(false) => ReceiptStatus::No,
            Some(true) if observed[event as usize] => ReceiptStatus::No,
            _ => ReceiptStatus::Unknown,
        };
        let said = |kind| when(kind).map_or_else(absent, ReceiptStatus::Yes);
        match event {
            OwnEvent::Sent => match state.sent() {
                Some(true) => ReceiptStatus::Yes(claimed),
                Some(false) => ReceiptStatus::No,
                None => ReceiptStatus::Unknown,
            },
            OwnEvent::Delivered => match arrived {
                Some(true) => ReceiptStatus::Yes(
                    receipts
                        .iter()
                        .filter(|(k, _)| k.proves() == State::Delivered)
                        .map(|(_, at)| *at)
                        .min()
                        .unwrap_or(answered),
                ),
                Some(false) => ReceiptStatus::No,
                None => ReceiptStatus::Unknown,
            },
            OwnEvent::Failed => match arrived {
                Some(true) => ReceiptStatus::No,
                Some(false) => ReceiptStatus::Yes(
                    when(ReceiptKind::Failed)
                        .or(when(ReceiptKind::Rejected))
                        .unwrap_or(answered),
                ),
                None => ReceiptStatus::Unknown,
            },
            OwnEvent::Opened => said(ReceiptKind::Opened),
            OwnEvent::Clicked => said(ReceiptKind::Clicked),
            OwnEvent::Complained => said(ReceiptKind::Complained),
            OwnEvent::OptedOut => absent(),
        }
    })
}
