//! What replanning does to the tables.

use crate::ledger::error::LedgerError;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::{ReplanChange, ReplanRecord};
use crate::ledger::rows::{blob, encode};
use crate::ledger::sql::params;
use crate::ledger::sql::states::PLANNED;
use crate::ledger::state::State;

type Done = Result<(), LedgerError>;

impl Projection<'_> {
    pub(in crate::ledger) fn replanned(&self, record: &ReplanRecord, at: i64) -> Done {
        let segment = record.segment;
        match &record.change {
            ReplanChange::Withdrawn {
                places,
                gate,
                by,
                members,
            } => self.stopped_since(segment, places, (gate, by.as_deref()), members),
            ReplanChange::NewPolicy {
                run,
                step,
                quiet,
                expires,
            } => {
                self.run(
                    format!("UPDATE segment SET expires = ? WHERE segment = ? AND rest_state = {PLANNED}"),
                    params![expires, segment],
                )?;
                let (from, to) = quiet.unzip();
                self.run(
                    "UPDATE step SET quiet_from = ?, quiet_to = ? WHERE run = ? AND step = ?",
                    params![from, to, run, step],
                )
            }
            ReplanChange::Replaced { claimed } => self.guarded(
                format!("UPDATE segment SET rest_state = ?, rest_state_at = ? WHERE segment = ? AND rest_state = {PLANNED} AND claimed < size AND claimed = ?"),
                params![State::NotSent.code(), at, segment, claimed],
                "segment open",
            ),
            ReplanChange::ListEnded {
                found,
                rerouted,
                not_sent,
            } => self.claimed(found, at, |place| {
                if not_sent.binary_search(&place).is_ok() {
                    Some(State::Withdrawn)
                } else {
                    rerouted
                        .binary_search(&place)
                        .is_ok()
                        .then_some(State::NotSent)
                }
            }),
        }
    }

    /// Messages that nobody has begun to send are stopped at a gate after they were planned.
    fn stopped_since(
        &self,
        segment: i64,
        places: &[i64],
        (gate, by): (&str, Option<&str>),
        digest: &str,
    ) -> Done {
        let n = i64::try_from(places.len()).unwrap_or(i64::MAX);
        self.guarded(
            format!("UPDATE segment SET displaced = displaced + ? WHERE segment = ? AND claimed <= ? AND rest_state = {PLANNED}"),
            params![n, segment, places.first()],
            "segment unclaimed",
        )?;
        let mut select = self.db.prepare_cached(
            "SELECT run, step, fanout_index, attempt, users FROM segment WHERE segment = ?",
        )?;
        let (run, step, fanout_index, attempt, users): (i64, i64, i64, i64, String) = select
            .query_row([segment], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
            })?;
        let users = encode::read_users(&blob::load(self.blobs, &users)?)
            .ok_or_else(|| blob::damaged(&users))?;
        let user = |place: i64| {
            let place = usize::try_from(place).ok()?;
            users.get(place).map(|user| i64::from(user.0))
        };
        let rows = places.iter().filter_map(|place| {
            Some([
                Some(run),
                Some(step),
                Some(fanout_index),
                Some(user(*place)?),
                Some(attempt),
                Some(segment),
                Some(*place),
                None,
                Some(State::Capped.code()),
            ])
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
        let next = "SELECT coalesce(max(place) + 1, 0) FROM stopped WHERE run = ? AND step = ?";
        let next: i64 = self
            .db
            .prepare_cached(next)?
            .query_row(params![run, step], |row| row.get(0))?;
        self.run(
            "INSERT INTO stopped (run, step, place, reason, detail, users, members) VALUES (?, ?, ?, ?, ?, ?, ?)",
            params![run, step, next, gate, by, n, digest],
        )
    }
}
