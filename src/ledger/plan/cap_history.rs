//! The past as deciding asks for it, read by columns: segments are sets of users, and only what
//! came back of them is looked up by row.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::sql::ledger_tables::SLOTS_RETURNED_INDEX;
use crate::ledger::sql::states::{PLANNED, SLOT_RETURNED};
use crate::ledger::sql::{self, OptionalExtension, ToValue, params};

use crate::base::{Bitmap, Date, Elapsed, Instant, UserNo};
use crate::decide::history::{
    BlockedAddresses, CapScope, CapUsage, History, LastContact, Unclaimed,
};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob;
use crate::ledger::rows::encode;
use crate::ledger::rows::record::purpose_name;
use crate::ledger::state::State;
use crate::program::platform::ContactKind;
use crate::program::typed::ChannelName;

/// A segment as far as counting needs it.
struct Past {
    segment: i64,
    /// Run, step, fanout index and attempt.
    key: [i64; 4],
    users: String,
    claimed: i64,
    rest: i64,
    campaign: Arc<str>,
    due: Instant,
    not_before: Instant,
    value: Option<String>,
}

impl LedgerReader {
    /// Segments for which `which` holds, in the order of their send.
    fn past(&self, which: &str, params: &[&dyn ToValue]) -> Result<Vec<Past>, LedgerError> {
        let sql = format!(
            "SELECT s.segment, s.users, s.claimed, s.rest_state, r.campaign, t.due, r.value, s.run, s.step, s.fanout_index, s.attempt, s.not_before
             FROM segment s JOIN run r USING (run) JOIN step t USING (run, step) WHERE {which} ORDER BY s.not_before, t.planned_at, s.segment"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let rows = select.query_map(params, |row| {
            Ok(Past {
                segment: row.get(0)?,
                key: [row.get(7)?, row.get(8)?, row.get(9)?, row.get(10)?],
                users: row.get(1)?,
                claimed: row.get(2)?,
                rest: row.get(3)?,
                campaign: row.get::<String>(4)?.into(),
                due: Instant(row.get(5)?),
                not_before: Instant(row.get(11)?),
                value: row.get(6)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Calls `f` for each member of a segment whose message counts, with its place.
    fn counting(&self, past: &Past, mut f: impl FnMut(usize, UserNo)) -> Result<(), LedgerError> {
        let users = encode::read_users(&blob::load(&self.db, &past.users)?)
            .ok_or_else(|| blob::damaged(&past.users))?;
        let claimed = usize::try_from(past.claimed).unwrap_or(usize::MAX);
        let back = self.places_given_back(past, &users)?;
        let rest_counts = State::of_code(past.rest).is_some_and(State::counts);
        for (place, user) in users.into_iter().enumerate() {
            let counts = (place < claimed || rest_counts) && !back.contains(&place);
            if counts {
                f(place, user);
            }
        }
        Ok(())
    }

    /// The claimed places of a segment whose messages do not count. Rows are read only where there
    /// is something to find.
    fn places_given_back(
        &self,
        past: &Past,
        users: &[UserNo],
    ) -> Result<HashSet<usize>, LedgerError> {
        let mut back = HashSet::new();
        let place = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        // Messages whose own state says so, unless their batch knows better.
        let sql = format!(
            "SELECT m.place FROM message m {by_index} LEFT JOIN batch b USING (batch)
             WHERE m.segment = ? AND m.state IN ({SLOT_RETURNED}) AND m.state > coalesce(b.state, {PLANNED})",
            by_index = self.db.dialect().by_index(SLOTS_RETURNED_INDEX)
        );
        let mut select = self.db.prepare_cached(&sql)?;
        for found in select.query_map([past.segment], |row| row.get(0))? {
            back.insert(place(found?));
        }
        // Batches that came back as a whole, but for the messages of which more is known.
        let sql = format!(
            "SELECT first, size, state FROM batch WHERE segment = ? AND state IN ({SLOT_RETURNED})"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let batches = select.query_map([past.segment], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        for batch in batches.collect::<Result<Vec<(i64, i64, i64)>, _>>()? {
            let (first, size, state) = batch;
            for (n, user) in users
                .iter()
                .enumerate()
                .skip(place(first))
                .take(place(size))
            {
                let own = self.own_state(past, *user)?;
                if State::of_code(own.max(state)).is_some_and(|s| !s.counts()) {
                    back.insert(n);
                }
            }
        }
        Ok(back)
    }

    /// The state of a message without its batch's; 0 if it has none.
    fn own_state(&self, past: &Past, user: UserNo) -> Result<i64, LedgerError> {
        let sql = format!(
            "SELECT coalesce(state, {PLANNED}) FROM message WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ?"
        );
        let [run, step, fanout_index, attempt] = past.key;
        let state = self
            .db
            .prepare_cached(sql)?
            .query_row(params![run, step, fanout_index, user.0, attempt], |row| {
                row.get(0)
            });
        Ok(state.optional()?.unwrap_or(0))
    }
}

impl History for LedgerReader {
    type Error = LedgerError;

    fn opted_out(&self, users: usize) -> Result<Bitmap, LedgerError> {
        let mut select = self.db.prepare_cached("SELECT user_no FROM opt_out")?;
        let mut map = Bitmap::none(users);
        for user in select.query_map((), |row| row.get(0))? {
            map.insert(UserNo(user?));
        }
        Ok(map)
    }

    fn last_planned(&self, campaign: &str) -> Result<BTreeMap<UserNo, Instant>, LedgerError> {
        let mut last = Dense::default();
        for past in self.past("r.campaign = ? AND s.step = 0", params![campaign])? {
            self.counting(&past, |_, user| {
                let slot = last.slot(user);
                *slot = (*slot).max(Some(past.due));
            })?;
        }
        Ok(last.into_map(|at| at))
    }

    fn reached_values(&self, campaign: &str) -> Result<BTreeMap<UserNo, Vec<String>>, LedgerError> {
        let mut reached: BTreeMap<UserNo, Vec<String>> = BTreeMap::new();
        for past in self.past(
            "r.campaign = ? AND r.value IS NOT NULL AND s.step = 0",
            params![campaign],
        )? {
            let value = past.value.clone().unwrap_or_default();
            self.counting(&past, |_, user| {
                reached.entry(user).or_default().push(value.clone())
            })?;
        }
        for values in reached.values_mut() {
            values.sort();
            values.dedup();
        }
        Ok(reached)
    }

    fn counted(
        &self,
        scope: &CapScope,
        from: Date,
        to: Date,
    ) -> Result<BTreeMap<UserNo, CapUsage>, LedgerError> {
        let mut counted: Dense<(u32, Arc<str>)> = Dense::default();
        let (account, endpoint) = scope
            .channel
            .as_ref()
            .map(|c| (&c.account, &c.endpoint))
            .unzip();
        let past = self.past(
            "s.day BETWEEN ?1 AND ?2 AND (CAST(?3 AS TEXT) IS NULL OR r.campaign = ?3) AND (CAST(?4 AS TEXT) IS NULL OR (s.account = ?4 AND s.endpoint = ?5))
                AND (CAST(?6 AS TEXT) IS NULL OR t.purpose = ?6)",
            params![from.0, to.0, scope.campaign, account, endpoint, scope.purpose.map(purpose_name)],
        )?;
        for past in past {
            self.counting(&past, |_, user| {
                let before = counted.slot(user).take().map_or(0, |(n, _)| n);
                *counted.slot(user) = Some((before.saturating_add(1), past.campaign.clone()));
            })?;
        }
        Ok(counted.into_map(|(messages, campaign)| CapUsage {
            messages,
            latest_campaign: campaign.to_string(),
        }))
    }

    fn barred(
        &self,
        account: &str,
        few: Option<&[UserNo]>,
    ) -> Result<BlockedAddresses, LedgerError> {
        self.barred_at(account, few)
    }

    fn contacts(
        &self,
        account: &str,
        kind: ContactKind,
        topic: &str,
        after: Option<Instant>,
        few: Option<&[UserNo]>,
    ) -> Result<Option<Vec<LastContact>>, LedgerError> {
        self.contacted(account, kind, topic, after, few)
    }

    fn sent_since(
        &self,
        channel: &ChannelName,
        from: Instant,
    ) -> Result<Vec<(UserNo, Instant)>, LedgerError> {
        let which = "s.account = ? AND s.endpoint = ? AND s.not_before >= ?";
        let mut sent = Vec::new();
        for past in self.past(which, params![channel.account, channel.endpoint, from.0])? {
            self.counting(&past, |_, user| sent.push((user, past.not_before)))?;
        }
        sent.sort_unstable();
        Ok(sent)
    }

    fn through_since(
        &self,
        channel: &ChannelName,
        template: Option<&str>,
        from: Instant,
        few: Option<&[UserNo]>,
    ) -> Result<Vec<(UserNo, Instant)>, LedgerError> {
        let past = self.past(
            "s.account = ?1 AND s.endpoint = ?2 AND (CAST(?4 AS TEXT) IS NULL OR s.template = ?4)
                AND (s.not_before >= ?3 OR EXISTS (SELECT 1 FROM batch b WHERE b.segment = s.segment AND b.claimed_at >= ?3))",
            params![channel.account, channel.endpoint, from.0, template],
        )?;
        let mut select = self.db.prepare_cached(
            "SELECT first, first + size, claimed_at FROM batch WHERE segment = ? ORDER BY first",
        )?;
        let mut through = Vec::new();
        for past in past {
            let rows = select.query_map([past.segment], |row| {
                Ok((row.get(0)?, row.get(1)?, Instant(row.get(2)?)))
            })?;
            let claims = rows.collect::<Result<Vec<(i64, i64, Instant)>, sql::Error>>()?;
            self.counting(&past, |place, user| {
                let holds = |(first, end, _): &&(i64, i64, Instant)| {
                    i64::try_from(place).is_ok_and(|place| (*first..*end).contains(&place))
                };
                let at = claims
                    .iter()
                    .find(holds)
                    .map_or(past.not_before, |(_, _, claimed)| {
                        past.not_before.max(*claimed)
                    });
                if at >= from && few.is_none_or(|few| few.binary_search(&user).is_ok()) {
                    through.push((user, at));
                }
            })?;
        }
        through.sort_unstable();
        Ok(through)
    }

    fn unclaimed(
        &self,
        users: &Bitmap,
        below: i64,
        now: Instant,
    ) -> Result<BTreeMap<UserNo, Vec<Unclaimed>>, LedgerError> {
        let which = format!(
            "s.rest_state = {PLANNED} AND s.claimed + s.displaced < s.size
                AND s.priority + t.rising * (max(?1 - s.not_before, 0) / {hour}) < ?2 ORDER BY s.segment",
            hour = Elapsed::hours(1).0
        );
        let mut found: BTreeMap<UserNo, Vec<Unclaimed>> = BTreeMap::new();
        for segment in self.open_segments(&which, params![now.0, below])? {
            let standing = Arc::new(segment.pending(segment.priority_at(now)));
            let members = self.unclaimed_members(&segment)?;
            for (place, user) in members.filter(|(_, user)| users.contains(*user)) {
                found.entry(user).or_default().push(Unclaimed {
                    standing: standing.clone(),
                    place: u32::try_from(place).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(found)
    }
}

/// A value for some users, by their numbers: numbers are dense, so a column is smaller and faster
/// than a map.
struct Dense<T>(Vec<Option<T>>);

impl<T> Default for Dense<T> {
    fn default() -> Self {
        Dense(Vec::new())
    }
}

impl<T> Dense<T> {
    fn slot(&mut self, user: UserNo) -> &mut Option<T> {
        if self.0.len() <= user.index() {
            self.0.resize_with(user.index() + 1, || None);
        }
        &mut self.0[user.index()]
    }

    fn into_map<V>(self, f: impl Fn(T) -> V) -> BTreeMap<UserNo, V> {
        (0u32..)
            .map(UserNo)
            .zip(self.0)
            .filter_map(|(user, value)| Some((user, f(value?))))
            .collect()
    }
}
