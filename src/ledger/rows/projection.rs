//! Carries records out on the tables. A change that expects another state than it finds ends the
//! transaction.

use crate::ledger::sql::states::PLANNED;
use crate::ledger::sql::{Connection, ToValue, params};

use crate::base::UserNo;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob;
use crate::ledger::rows::blob::id_digest;
use crate::ledger::rows::encode;
use crate::ledger::rows::record::{
    AnswerRecord, ClaimRecord, PlanRecord, ReceiptRecord, Record, Segment, TimerRecord,
};
use crate::ledger::sql::ledger_tables::FIRST_NUMBER;
use crate::ledger::state::State;

/// The tables, and where the columns are that the records name.
pub(in crate::ledger) struct Projection<'a> {
    pub db: &'a Connection,
    pub blobs: &'a Connection,
}

type Done = Result<(), LedgerError>;

impl Projection<'_> {
    /// Runs one record of a transaction of `writer` at `at`.
    pub fn apply(&self, record: &Record, at: i64) -> Done {
        match record {
            Record::Created { ledger } => self.run("INSERT INTO meta (name, value) VALUES ('ledger', ?)", params![ledger]),
            Record::Program { digest, sources } => {
                self.run("INSERT INTO program (digest, sources, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", params![digest, sources, at])
            }
            Record::Live { campaign, fixed, program } => self.run(
                "INSERT INTO live (campaign, fixed, since, program) VALUES (?, ?, ?, ?)
                 ON CONFLICT (campaign) DO UPDATE SET program = excluded.program, fixed = coalesce(live.fixed, excluded.fixed)",
                params![campaign, fixed, at, program],
            ),
            Record::PlanUsed { id, program } => {
                self.run("INSERT INTO plan_used (id, program, at) VALUES (?, ?, ?)", params![id, program, at])
            }
            Record::Missed { campaign, due } => {
                self.run("INSERT INTO missed (campaign, due, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", params![campaign, due, at])?;
                self.handled(campaign, *due)
            }
            Record::Planned(planned) => self.planned(planned, at),
            Record::Segment(segment) => self.segment(segment),
            Record::Claimed(claimed) => self.claimed(claimed, at, |_| None),
            Record::Forgotten { run } => self.forgotten(*run, at),
            Record::Replanned(replanned) => self.replanned(replanned, at),
            Record::Answered(answered) => self.answered(answered, at),
            Record::Orphaned { batch } => self.guarded(
                "UPDATE batch SET state = ?, state_at = ? WHERE batch = ? AND state = ?",
                params![State::Unknown.code(), at, batch, State::Claimed.code()],
                "batch claimed",
            ),
            Record::SegmentEnded { segment, state } => self.guarded(
                format!("UPDATE segment SET rest_state = ?, rest_state_at = ? WHERE segment = ? AND rest_state = {PLANNED} AND claimed < size"),
                params![state.code(), at, segment],
                "segment open",
            ),
            Record::ReceiptLearned(learned) => self.learned(learned),
            Record::OptedOut { user, source } => {
                self.run("INSERT INTO opt_out (user_no, at, source) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", params![user, at, source])
            }
            Record::AddressBlocked { account, user, address, reason, when } => self.barred((account, *user), *address, reason, when.unwrap_or(at)),
            Record::Contacted { account, user, kind, topic, when } => self.contact((account, *user), *kind, topic, *when),
            Record::WindowClosed { account, user, kind, topic } => self.closed((account, *user), *kind, topic, at),
            Record::Finished { run, step } => self.guarded(
                "UPDATE step SET finished_at = ? WHERE run = ? AND step = ? AND finished_at IS NULL",
                params![at, run, step],
                "run unfinished",
            ),
            Record::Erased { segment, addresses, contents } => self.erased(*segment, addresses, contents),
            Record::Held { scope, name, cancelled, who } => self.run(
                "INSERT INTO hold (scope, name, cancelled, at, who) VALUES (?, ?, ?, ?, ?)
                 ON CONFLICT (scope, name) DO UPDATE SET cancelled = max(hold.cancelled, excluded.cancelled)",
                params![scope, name, i64::from(*cancelled), at, who],
            ),
            Record::Released { scope, name, who: _ } => {
                self.guarded("DELETE FROM hold WHERE scope = ? AND name = ?", params![scope, name], "hold in force")
            }
            Record::Restored { who: _ } => self.run(
                "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                params![FIRST_NUMBER, (at / 1000).to_string()],
            ),
            Record::TestSendClaimed(t) => self.run(
                "INSERT INTO test_send (test_send, campaign, template, channel, user_no, key, who, at, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![t.test_send, t.campaign, t.template, t.channel, t.user, t.key, t.who, at, State::Claimed.code()],
            ),
            Record::TestSendAnswered { test_send, state, reason, id } => self.guarded(
                "UPDATE test_send SET state = ?, reason = ?, platform_id = ? WHERE test_send = ? AND state = ?",
                params![state.code(), reason, id, test_send, State::Claimed.code()],
                "test message claimed",
            ),
            Record::WaitStarted(a) => self.run(
                "INSERT INTO wait (wait, campaign, user_no, event, event_at, due, event_values) VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![a.wait, a.campaign, a.user, a.event, a.event_at, a.due, a.values],
            ),
            Record::WaitEnded { wait, why: _ } => {
                self.run("DELETE FROM blob WHERE digest = (SELECT event_values FROM wait WHERE wait = ?)", params![wait])?;
                self.guarded("DELETE FROM wait WHERE wait = ?", params![wait], "a wait that has not ended")
            }
            Record::TimersSet(timers) => self.timers_set(timers),
            Record::TimerEnded { segment, step, why: _ } => {
                self.guarded("DELETE FROM timer WHERE segment = ? AND step = ?", params![segment, step], "timer running")
            }
            Record::Received { n, account, at, body } => {
                self.run("INSERT INTO inbox (inbox, account, at, body) VALUES (?, ?, ?, ?)", params![n, account, at, body])
            }
            Record::Applied { n, readable } => {
                let sql = "UPDATE inbox SET applied_at = ?, readable = ? WHERE inbox = ? AND applied_at IS NULL";
                self.guarded(sql, params![at, readable, n], "call not applied")?;
                // What was understood is in other tables now; what was not is kept for a person.
                let sql = "DELETE FROM blob WHERE digest = (SELECT body FROM inbox WHERE inbox = ? AND readable = 1)";
                self.run(sql, params![n])
            }
            Record::Trouble { account, endpoint, campaign, needs_a_person, until, en, zh } => {
                self.trouble((account, endpoint, campaign), (*needs_a_person, *until), (en, zh), at)
            }
            // Guarded, so that who says it late takes nothing from who has said more meanwhile.
            Record::TroubleEnded { account, endpoint, campaign } => self.guarded(
                "DELETE FROM trouble WHERE account = ? AND endpoint = ? AND campaign = ?",
                params![account, endpoint, campaign],
                "a trouble that has not ended",
            ),
            Record::MailboxRead { account, mailbox, from, mark, all } => self.fetched((account, mailbox), (from, mark), *all, at),
            Record::ReceiptSeen { key } => self.run("INSERT INTO receipt_seen (key) VALUES (?) ON CONFLICT DO NOTHING", params![key]),
            Record::ReceiptUnmatched { id, news, when, source } => self.run(
                "INSERT INTO unmatched_receipt (id, content, at, source) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                params![id, news, when, source],
            ),
            Record::ReceiptMatched { id, news } => self.run("DELETE FROM unmatched_receipt WHERE id = ? AND content = ?", params![id, news]),
            Record::ListCounted { batch, total, filtered, delivered, failed } => {
                self.run(
                    "INSERT INTO delivery_counts (batch, total, filtered, delivered, failed) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    params![batch, total, filtered, delivered, failed],
                )?;
                // It has said all that it will say.
                self.run("DELETE FROM poll WHERE batch = ?", params![batch])
            }
            Record::PollScheduled { batch, due: Some(due), reminders } => self.run(
                "INSERT INTO poll (batch, due, reminders) VALUES (?, ?, ?)
                 ON CONFLICT (batch) DO UPDATE SET due = excluded.due, reminders = excluded.reminders",
                params![batch, due, reminders],
            ),
            Record::PollScheduled { batch, due: None, reminders: _ } => self.run("DELETE FROM poll WHERE batch = ?", params![batch]),
            Record::EventsRead { source, position } => self.run(
                "INSERT INTO event_source (source, position) VALUES (?, ?)
                 ON CONFLICT (source) DO UPDATE SET position = max(event_source.position, excluded.position)",
                params![source, position],
            ),
        }
    }

    pub(in crate::ledger) fn run(&self, sql: impl AsRef<str>, params: &[&dyn ToValue]) -> Done {
        Ok(self.db.prepare_cached(sql)?.execute(params).map(drop)?)
    }

    /// Like [`Self::run`] for a change that must meet exactly one row.
    pub(in crate::ledger) fn guarded(
        &self,
        sql: impl AsRef<str>,
        params: &[&dyn ToValue],
        what: &'static str,
    ) -> Done {
        match self.db.prepare_cached(sql)?.execute(params)? {
            1 => Ok(()),
            _ => Err(LedgerError::Overtaken(what)),
        }
    }

    fn handled(&self, campaign: &str, due: i64) -> Done {
        self.run(
            "INSERT INTO calendar (campaign, handled) VALUES (?, ?)
             ON CONFLICT (campaign) DO UPDATE SET handled = max(calendar.handled, excluded.handled)",
            params![campaign, due],
        )
    }

    /// A run or a follow-up. A follow-up is planned in parts, one a timer: who is in a part was not
    /// matched before.
    fn planned(&self, p: &PlanRecord, at: i64) -> Done {
        if p.step == 0 {
            self.run(
                "INSERT INTO run (run, campaign, occasion, value) VALUES (?, ?, ?, ?)",
                params![p.run, p.campaign, p.occasion, p.value],
            )?;
        }
        self.run(
            "INSERT INTO step (run, step, name, due, planned_at, zone, program, snapshot, seed, purpose, users, not_matched,
                choose_unknown, limits, rising, quiet_from, quiet_to) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run, step) DO UPDATE SET not_matched = step.not_matched - (excluded.users - excluded.not_matched),
                choose_unknown = step.choose_unknown + excluded.choose_unknown, finished_at = NULL",
            params![
                p.run,
                p.step,
                p.name,
                p.due,
                at,
                p.zone,
                p.program,
                p.snapshot,
                p.seed.to_string(),
                p.purpose,
                p.users,
                p.not_matched,
                p.choose_unknown,
                p.limits.text(),
                p.rising,
                p.quiet.map(|(from, _)| from),
                p.quiet.map(|(_, to)| to)
            ],
        )?;
        for (tag, users) in &p.unknown_because {
            self.run(
                "INSERT INTO unknown_because (run, step, tag, users) VALUES (?, ?, ?, ?)
                 ON CONFLICT (run, step, tag) DO UPDATE SET users = unknown_because.users + excluded.users",
                params![p.run, p.step, tag, users],
            )?;
        }
        let next = |sql| {
            self.db
                .prepare_cached(sql)?
                .query_row(params![p.run, p.step], |row| row.get::<i64>(0))
        };
        let first =
            next("SELECT coalesce(max(place) + 1, 0) FROM stopped WHERE run = ? AND step = ?")?;
        for (place, s) in (first..).zip(&p.stopped) {
            self.run(
                "INSERT INTO stopped (run, step, place, reason, detail, users, members) VALUES (?, ?, ?, ?, ?, ?, ?)",
                params![p.run, p.step, place, s.reason, s.detail, s.users, s.members],
            )?;
        }
        let first = next("SELECT coalesce(max(place) + 1, 0) FROM arm WHERE run = ? AND step = ?")?;
        for (place, a) in (first..).zip(&p.arms) {
            self.run(
                "INSERT INTO arm (run, step, place, arm, users, members) VALUES (?, ?, ?, ?, ?, ?)",
                params![p.run, p.step, place, a.arm, a.users, a.members],
            )?;
        }
        if p.scheduled {
            self.handled(&p.campaign, p.due)
        } else {
            Ok(())
        }
    }

    fn timers_set(&self, t: &TimerRecord) -> Done {
        self.guarded(
            "UPDATE segment SET follows = 0 WHERE segment = ? AND follows = 1",
            params![t.segment],
            "segment without timers",
        )?;
        t.timers.iter().try_for_each(|(step, due)| {
            self.run(
                "INSERT INTO timer (segment, step, due, dispatched_at) VALUES (?, ?, ?, ?)",
                params![t.segment, step, due, t.dispatched_at.unwrap_or(*due)],
            )
        })
    }

    fn segment(&self, s: &Segment) -> Done {
        self.run(
            format!("INSERT INTO segment (segment, run, step, fanout_index, attempt, arm, template, account, platform, endpoint, priority, not_before,
                expires, day, size, users, addresses, contents, follows, claimed, rest_state)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, {PLANNED})"),
            params![
                s.segment,
                s.run,
                s.step,
                s.fanout_index,
                s.attempt,
                s.arm,
                s.template,
                s.account,
                s.platform,
                s.endpoint,
                s.priority,
                s.not_before,
                s.expires,
                s.day,
                s.size,
                s.users,
                s.addresses,
                s.contents,
                s.follows
            ],
        )
    }

    /// The next members of a segment were taken for a send. `ended` are those who get none for
    /// other reasons than the record's.
    pub(in crate::ledger) fn claimed(
        &self,
        c: &ClaimRecord,
        at: i64,
        ended: impl Fn(i64) -> Option<State>,
    ) -> Done {
        self.guarded(
            format!("UPDATE segment SET claimed = claimed + ?1, displaced = displaced - ?5
             WHERE segment = ?2 AND claimed = ?3 AND displaced = ?4 AND rest_state = {PLANNED} AND claimed + ?1 <= size
                AND NOT EXISTS (SELECT 1 FROM hold h WHERE h.scope = 'all' OR (h.scope = 'account' AND h.name = segment.account)
                    OR (h.scope = 'campaign' AND h.name = (SELECT campaign FROM run WHERE run.run = segment.run)))"),
            params![c.size, c.segment, c.first, c.displaced, c.passed_over.len() as i64],
            "segment unclaimed",
        )?;
        let batch = c.batch.as_ref().map(|b| b.batch);
        let sent = c.size
            - i64::try_from(
                [&c.opted_out, &c.unreachable, &c.passed_over]
                    .map(Vec::len)
                    .iter()
                    .sum::<usize>(),
            )
            .unwrap_or(0);
        if let Some(b) = &c.batch {
            self.run(
                "INSERT INTO batch (batch, segment, first, size, members, key, request, worker, claimed_at, state, state_at)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![b.batch, c.segment, c.first, c.size, sent, b.key, b.request, b.worker, at, State::Claimed.code(), at],
            )?;
        }
        let mut select = self.db.prepare_cached(
            "SELECT run, step, fanout_index, attempt, users FROM segment WHERE segment = ?",
        )?;
        let (run, step, fanout_index, attempt, users): (i64, i64, i64, i64, String) = select
            .query_row([c.segment], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
            })?;
        let members = members(self.blobs, &users, c.first, c.size)?;
        let claimed = (c.first..)
            .zip(members)
            .filter(|(place, _)| c.passed_over.binary_search(place).is_err());
        let rows = claimed.map(|(place, user)| {
            let (batch, state) = if c.opted_out.binary_search(&place).is_ok() {
                (None, Some(State::Struck.code()))
            } else if let Some(state) = ended(place) {
                (None, Some(state.code()))
            } else if c.unreachable.binary_search(&place).is_ok() {
                (None, Some(State::Expired.code()))
            } else {
                (batch, None)
            };
            [
                Some(run),
                Some(step),
                Some(fanout_index),
                Some(i64::from(user.0)),
                Some(attempt),
                Some(c.segment),
                Some(place),
                batch,
                state,
            ]
        });
        self.db.insert_numbers(
            "message",
            [
                "run",
                "step",
                "fanout_index",
                "user_no",
                "attempt",
                "segment",
                "place",
                "batch",
                "state",
            ],
            rows,
        )?;
        for spent in &c.spent {
            self.run(
                "INSERT INTO quota (holder, starts, used) VALUES (?, ?, ?)
                 ON CONFLICT (holder, starts) DO UPDATE SET used = quota.used + excluded.used",
                params![spent.holder, spent.starts, spent.used],
            )?;
            if let Some(limit) = spent.limit {
                // Another worker may have used it up since it was looked at.
                let sql = "SELECT used FROM quota WHERE holder = ? AND starts = ?";
                let used: i64 = self
                    .db
                    .prepare_cached(sql)?
                    .query_row(params![spent.holder, spent.starts], |row| row.get(0))?;
                if used > limit {
                    return Err(LedgerError::Overtaken("quota left"));
                }
            }
        }
        Ok(())
    }

    fn answered(&self, a: &AnswerRecord, at: i64) -> Done {
        self.guarded(
            "UPDATE batch SET state = max(state, ?), state_at = ?, ids = coalesce(?, ids) WHERE batch = ? AND state IN (?, ?)",
            params![a.state.code(), at, a.ids, a.batch, State::Claimed.code(), State::Unknown.code()],
            "batch without an answer",
        )?;
        self.run(
            "INSERT INTO answer (batch, n, at, state, reason)
             VALUES (?1, (SELECT coalesce(max(n), 0) + 1 FROM answer WHERE batch = ?1), ?2, ?3, ?4)",
            params![a.batch, at, a.state.code(), a.reason],
        )?;
        if let Some(ids) = &a.ids {
            self.platform_ids(a.batch, ids)?;
        }
        if a.accepted.is_empty() && a.not_sent.is_empty() {
            return Ok(());
        }
        let sql = "SELECT s.run, s.step, s.fanout_index, s.attempt, s.users, b.first, b.size FROM batch b JOIN segment s USING (segment) WHERE batch = ?";
        let (run, step, fanout_index, attempt, users, first, size): (
            i64,
            i64,
            i64,
            i64,
            String,
            i64,
            i64,
        ) = self.db.query_row(sql, [a.batch], |r| {
            Ok((
                r.get(0)?,
                r.get(1)?,
                r.get(2)?,
                r.get(3)?,
                r.get(4)?,
                r.get(5)?,
                r.get(6)?,
            ))
        })?;
        for (place, user) in (first..).zip(members(self.blobs, &users, first, size)?) {
            if a.accepted.binary_search(&place).is_ok() {
                self.strengthen(run, step, fanout_index, user.0, attempt, State::Accepted)?;
            } else if a.not_sent.binary_search(&place).is_ok() {
                self.strengthen(run, step, fanout_index, user.0, attempt, State::NotSent)?;
            }
        }
        Ok(())
    }

    /// By which ids the platform knows the members of a batch, or all of it by one.
    fn platform_ids(&self, batch: i64, ids: &str) -> Done {
        // When the records are applied again, the ids of a forgotten run are gone, and with
        // them what is made of them.
        let sql = "SELECT 1 FROM blob WHERE digest = ?";
        if !self.blobs.prepare_cached(sql)?.exists([ids])? {
            return Ok(());
        }
        let ids = encode::read_strings(&blob::load(self.blobs, ids)?)
            .ok_or_else(|| blob::damaged(ids))?;
        let sql =
            "SELECT s.account, s.run, s.step, s.fanout_index, s.attempt, s.users, b.first, b.size, b.members
            FROM batch b JOIN segment s USING (segment) WHERE b.batch = ?";
        let mut select = self.db.prepare_cached(sql)?;
        let (account, [run, step, fanout_index, attempt], users, [first, size, claimed]): (
            String,
            [i64; 4],
            String,
            [i64; 3],
        ) = select.query_row([batch], |r| {
            Ok((
                r.get(0)?,
                [r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?],
                r.get(5)?,
                [r.get(6)?, r.get(7)?, r.get(8)?],
            ))
        })?;
        let sql =
            "INSERT INTO platform_id (id, batch, user_no) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        let mut insert = self.db.prepare_cached(sql)?;
        if let [one, rest @ ..] = &ids[..]
            && !rest.is_empty()
            && rest.iter().all(|id| id == one)
        {
            insert.execute(params![id_digest(&account, one), batch, None::<u32>])?;
            return Ok(());
        }
        let mut members = members(self.blobs, &users, first, size)?;
        if claimed < size {
            // Some of them had opted out before the claim.
            let sql = "SELECT 1 FROM message WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ? AND batch = ?";
            let mut select = self.db.prepare_cached(sql)?;
            let mut kept = Vec::new();
            for user in members {
                if select.exists(params![run, step, fanout_index, user.0, attempt, batch])? {
                    kept.push(user);
                }
            }
            members = kept;
        }
        for (user, id) in members.iter().zip(&ids).filter(|(_, id)| !id.is_empty()) {
            insert.execute(params![id_digest(&account, id), batch, user.0])?;
        }
        Ok(())
    }

    fn learned(&self, l: &ReceiptRecord) -> Done {
        self.run(
            "INSERT INTO receipt (run, step, fanout_index, user_no, attempt, kind, at, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (run, step, fanout_index, user_no, attempt, kind) DO UPDATE SET
                source = CASE WHEN (excluded.at, excluded.source) < (receipt.at, receipt.source) THEN excluded.source ELSE receipt.source END,
                at = min(receipt.at, excluded.at)",
            params![l.run, l.step, l.fanout_index, l.user, l.attempt, l.kind.name(), l.when, l.source],
        )?;
        self.strengthen(
            l.run,
            l.step,
            l.fanout_index,
            l.user,
            l.attempt,
            l.kind.proves(),
        )
    }

    /// Puts other columns in place of those that name a user, and removes the old ones unless they
    /// are used elsewhere.
    fn erased(&self, segment: i64, addresses: &str, contents: &str) -> Done {
        let old: [String; 2] = self.db.query_row(
            "SELECT addresses, contents FROM segment WHERE segment = ?",
            [segment],
            |row| Ok([row.get(0)?, row.get(1)?]),
        )?;
        self.guarded(
            "UPDATE segment SET addresses = ?, contents = ? WHERE segment = ?",
            params![addresses, contents, segment],
            "segment to erase from",
        )?;
        old.iter().try_for_each(|digest| {
            self.run(
                "DELETE FROM blob WHERE digest = ?1 AND NOT EXISTS (SELECT 1 FROM segment WHERE addresses = ?1 OR contents = ?1)",
                params![digest],
            )
        })
    }

    /// A message's own state becomes at least this one.
    fn strengthen(
        &self,
        run: i64,
        step: i64,
        fanout_index: i64,
        user: u32,
        attempt: i64,
        state: State,
    ) -> Done {
        self.guarded(
            format!("UPDATE message SET state = max(coalesce(state, {PLANNED}), ?) WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ?"),
            params![state.code(), run, step, fanout_index, user, attempt],
            "message claimed",
        )
    }
}

/// A part of a segment's users.
fn members(
    db: &Connection,
    users: &str,
    first: i64,
    size: i64,
) -> Result<Vec<UserNo>, LedgerError> {
    let range = usize::try_from(first)
        .ok()
        .zip(usize::try_from(size).ok())
        .and_then(|(f, n)| Some(f..f.checked_add(n)?));
    let mut all =
        encode::read_users(&blob::load(db, users)?).ok_or_else(|| blob::damaged(users))?;
    range
        .filter(|r| r.end <= all.len())
        .map(|r| all.drain(r).collect())
        .ok_or_else(|| blob::damaged(users))
}
