//! What platforms tell: kept as it came before it is acknowledged, applied afterwards, each thing
//! once.
//!
//! A platform repeats what is not acknowledged in time, tells things twice and in any order, and
//! may tell of a message before the answer to its send is recorded. So a call is only kept at
//! first; when it is applied, what it says twice counts once, and what it says of an id that nobody
//! knows is kept until somebody does.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::sql::{self, OptionalExtension};

use crate::base::{Instant, UserNo};
use crate::decide::history::BlockedAddresses;
use crate::ledger::dispatch_batch::DeliveryCounts;
use crate::ledger::error::LedgerError;
use crate::ledger::ids::MessageKey;
use crate::ledger::ids::RunId;
use crate::ledger::rows::blob::{self, Blob, id_digest};
use crate::ledger::rows::encode;
use crate::ledger::rows::encode::salt;
use crate::ledger::rows::record::{ReceiptRecord, Record};
use crate::ledger::state::ReceiptKind;
use crate::program::platform::ContactKind;

/// A call of a platform, as it came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewCall {
    pub account: String,
    pub at: Instant,
    /// The query of its address, and the signature that its head brought.
    pub query: String,
    pub signature: String,
    pub body: String,
}

/// A call that is kept, under its number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    pub number: i64,
    pub call: NewCall,
}

/// One thing that a call says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// The same for the same thing, however often it is told.
    pub key: String,
    pub when: Instant,
    pub what: ReceiptContent,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReceiptContent {
    /// Of one message, by the platform's id.
    Message { id: String, kind: ReceiptKind },
    /// Of a whole list, by the platform's id: what became of all of it, or how many, but not who.
    List {
        id: String,
        all: Option<ReceiptKind>,
        counts: Option<DeliveryCounts>,
    },
    /// Of one message, by the platform's id: none ever gets to its address.
    Refused { id: String, reason: String },
    /// These want no messages.
    OptedOut(Vec<UserNo>),
    /// These did something on the account, with what they subscribed to if they did.
    Contact {
        users: Vec<UserNo>,
        kind: ContactKind,
        topic: String,
    },
    /// What these did before opens nothing any more.
    Closed {
        users: Vec<UserNo>,
        kind: ContactKind,
    },
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CallApplied {
    /// Messages of which something became known.
    pub learned: usize,
    pub opted_out: usize,
    /// Things told before.
    pub repeated: usize,
    /// Things about ids that nobody knows yet.
    pub unknown: usize,
}

impl LedgerReader {
    /// The first calls that are not applied yet.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged; so for all of these.
    pub fn calls(&self, most: usize) -> Result<Vec<Call>, LedgerError> {
        let sql = "SELECT inbox, account, at, body FROM inbox WHERE applied_at IS NULL ORDER BY inbox LIMIT ?";
        let mut select = self.db.prepare_cached(sql)?;
        let mut rows = select.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
        let mut calls = Vec::new();
        while let Some(row) = rows.next()? {
            let digest: String = row.get(3)?;
            let parts = encode::read_strings(&blob::load(&self.db, &digest)?)
                .ok_or_else(|| blob::damaged(&digest))?;
            let part = |i: usize| parts.get(i).map(ToString::to_string).unwrap_or_default();
            let call = NewCall {
                account: row.get(1)?,
                at: Instant(row.get(2)?),
                query: part(1),
                signature: part(2),
                body: part(3),
            };
            calls.push(Call {
                number: row.get(0)?,
                call,
            });
        }
        Ok(calls)
    }

    /// How much was told of ids that nobody knows.
    ///
    /// # Errors
    /// As [`Self::calls`].
    pub fn strays(&self) -> Result<i64, LedgerError> {
        Ok(self
            .db
            .prepare_cached("SELECT count(*) FROM unmatched_receipt")?
            .query_row((), |row| row.get(0))?)
    }

    /// What a platform counted of a list, if it has said.
    ///
    /// # Errors
    /// As [`Self::calls`].
    pub fn counted_by_platform(&self, run: RunId) -> Result<Vec<DeliveryCounts>, LedgerError> {
        let sql =
            "SELECT c.total, c.filtered, c.delivered, c.failed FROM delivery_counts c JOIN batch b USING (batch) JOIN segment s USING (segment)
            WHERE s.run = ? ORDER BY c.batch";
        let mut select = self.db.prepare_cached(sql)?;
        let n = |row: &sql::SqlRow, i| row.get::<i64>(i).map(i64::unsigned_abs);
        let rows = select.query_map([run.0], |row| {
            Ok(DeliveryCounts {
                total: n(row, 0)?,
                filtered: n(row, 1)?,
                delivered: n(row, 2)?,
                failed: n(row, 3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The batch that a platform knows under an id, and its member if the id is one message's.
    fn batch_of(&self, id: &str) -> Result<Option<(i64, Option<UserNo>)>, LedgerError> {
        let sql = "SELECT batch, user_no FROM platform_id WHERE id = ?";
        let found = self.db.prepare_cached(sql)?.query_row([id], |row| {
            Ok((row.get(0)?, row.get::<Option<u32>>(1)?.map(UserNo)))
        });
        Ok(found.optional()?)
    }

    /// The address that a member of a batch was sent to; `None` where it is forgotten.
    fn address_of(&self, batch: i64, user: UserNo) -> Result<Option<Arc<str>>, LedgerError> {
        let sql = "SELECT s.run, s.users, s.addresses FROM batch b JOIN segment s USING (segment) WHERE b.batch = ?";
        let (run, users, addresses): (i64, String, String) = self
            .db
            .prepare_cached(sql)?
            .query_row([batch], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if self.is_forgotten(run)? {
            return Ok(None);
        }
        let Some(place) = encode::find_user(&blob::load(&self.db, &users)?, user) else {
            return Ok(None);
        };
        let addresses = encode::read_strings(&blob::load(&self.db, &addresses)?)
            .ok_or_else(|| blob::damaged(&addresses))?;
        Ok(addresses
            .get(place)
            .filter(|address| !address.is_empty())
            .cloned())
    }

    /// The messages of a batch, or one of them.
    fn members_of(&self, batch: i64, user: Option<UserNo>) -> Result<Vec<MessageKey>, LedgerError> {
        let sql = "SELECT s.run, s.step, s.fanout_index, s.attempt, s.users, b.first, b.size FROM batch b JOIN segment s USING (segment)
            WHERE b.batch = ?";
        let (key, users, first, size) = self.db.prepare_cached(sql)?.query_row([batch], |row| {
            let key = MessageKey {
                run: RunId(row.get(0)?),
                step: row.get(1)?,
                fanout_index: row.get(2)?,
                user: UserNo(0),
                attempt: row.get(3)?,
            };
            Ok((
                key,
                row.get::<String>(4)?,
                row.get::<usize>(5)?,
                row.get::<usize>(6)?,
            ))
        })?;
        let users = match user {
            Some(user) => vec![user],
            None => {
                let all = encode::read_users(&blob::load(&self.db, &users)?)
                    .ok_or_else(|| blob::damaged(&users))?;
                all.into_iter().skip(first).take(size).collect()
            }
        };
        let mut keys = Vec::new();
        for user in users {
            let key = MessageKey { user, ..key };
            if self.is_claimed(&key)? {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

impl Dispatcher<'_> {
    /// Keeps calls as they came. When this returns they are durable and may be acknowledged.
    ///
    /// # Errors
    /// When the ledger cannot be written: then they must not be acknowledged.
    pub fn receive(&mut self, calls: &[NewCall], now: Instant) -> Result<(), LedgerError> {
        let (columns, records) = self.received(calls)?;
        if records.is_empty() {
            Ok(())
        } else {
            self.open.writer.commit("receive", now, &columns, &records)
        }
    }

    /// What keeps calls as they came.
    pub(in crate::ledger) fn received(
        &self,
        calls: &[NewCall],
    ) -> Result<(Vec<Blob>, Vec<Record>), LedgerError> {
        let (mut columns, mut records) = (Vec::new(), Vec::new());
        for (number, call) in (self.open.writer.next_id("inbox")?..).zip(calls) {
            let parts = [
                &number.to_string(),
                &call.query,
                &call.signature,
                &call.body,
            ];
            let body = Blob::new(encode::strings(
                &parts,
                salt(self.open.writer.world.as_ref()),
            ));
            records.push(Record::Received {
                n: number,
                account: call.account.clone(),
                at: call.at.0,
                body: body.digest.clone(),
            });
            columns.push(body);
        }
        Ok((columns, records))
    }

    /// Applies what a call says; `None` for one that nobody can read, which stays kept.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn apply(
        &mut self,
        call: &Call,
        told: Option<&[Receipt]>,
        now: Instant,
    ) -> Result<CallApplied, LedgerError> {
        let mut applied = CallApplied::default();
        let mut records = Vec::new();
        let mut seen = BTreeSet::new();
        let account = &call.call.account;
        for one in told.unwrap_or_default() {
            let key = id_digest(account, &one.key);
            let before = self
                .reader()
                .db
                .prepare_cached("SELECT 1 FROM receipt_seen WHERE key = ?")?
                .exists([&key])?;
            if before || !seen.insert(key.clone()) {
                applied.repeated += 1;
                continue;
            }
            records.push(Record::ReceiptSeen { key });
            match &one.what {
                ReceiptContent::Message { id, kind } => {
                    self.about(
                        account,
                        id,
                        one.when,
                        News::Kind(*kind),
                        &mut applied,
                        &mut records,
                    )?;
                }
                ReceiptContent::List { id, all, counts } => {
                    let news = all
                        .iter()
                        .map(|kind| News::Kind(*kind))
                        .chain(counts.iter().map(|counts| News::Counts(*counts)));
                    for news in news {
                        self.about(account, id, one.when, news, &mut applied, &mut records)?;
                    }
                }
                ReceiptContent::Refused { id, reason } => {
                    self.about(
                        account,
                        id,
                        one.when,
                        News::Refused(reason.clone()),
                        &mut applied,
                        &mut records,
                    )?;
                }
                ReceiptContent::OptedOut(users) => {
                    applied.opted_out += users.len();
                    records.extend(users.iter().map(|user| Record::OptedOut {
                        user: user.0,
                        source: account.clone(),
                    }));
                }
                ReceiptContent::Contact { users, kind, topic } => {
                    records.extend(users.iter().map(|user| Record::Contacted {
                        account: account.clone(),
                        user: user.0,
                        kind: *kind,
                        topic: topic.clone(),
                        when: one.when.0,
                    }))
                }
                ReceiptContent::Closed { users, kind } => {
                    records.extend(users.iter().map(|user| Record::WindowClosed {
                        account: account.clone(),
                        user: user.0,
                        kind: *kind,
                        topic: String::new(),
                    }))
                }
            }
        }
        records.push(Record::Applied {
            n: call.number,
            readable: told.is_some(),
        });
        self.open.writer.commit("apply", now, &[], &records)?;
        Ok(applied)
    }

    /// Lets what was told too early count, now that its ids are known; gives of how many messages.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn apply_strays(&mut self, now: Instant) -> Result<usize, LedgerError> {
        let sql = "SELECT s.id, s.content, s.at, s.source, p.batch, p.user_no FROM unmatched_receipt s JOIN platform_id p USING (id) ORDER BY s.id, s.content";
        let mut select = self.reader().db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            Ok((
                row.get::<String>(0)?,
                row.get::<String>(1)?,
                Instant(row.get(2)?),
                row.get::<String>(3)?,
                row.get(4)?,
                row.get::<Option<u32>>(5)?.map(UserNo),
            ))
        })?;
        let found: Vec<_> = rows.collect::<Result<_, _>>()?;
        drop(select);
        let (mut records, mut learned) = (Vec::new(), 0);
        for (id, news, when, source, batch, user) in found {
            if let Some(news) = News::named(&news) {
                learned += self.learned(batch, user, news, when, &source, &mut records)?;
            }
            records.push(Record::ReceiptMatched { id, news });
        }
        if !records.is_empty() {
            self.open.writer.commit("apply", now, &[], &records)?;
        }
        Ok(learned)
    }

    /// What was told of an id: of its messages where it is known, else kept.
    fn about(
        &self,
        account: &str,
        id: &str,
        when: Instant,
        news: News,
        applied: &mut CallApplied,
        records: &mut Vec<Record>,
    ) -> Result<(), LedgerError> {
        let id = id_digest(account, id);
        match self.reader().batch_of(&id)? {
            Some((batch, user)) => {
                applied.learned += self.learned(batch, user, news, when, account, records)?
            }
            None => {
                applied.unknown += 1;
                records.push(Record::ReceiptUnmatched {
                    id,
                    news: news.name(),
                    when: when.0,
                    source: account.into(),
                });
            }
        }
        Ok(())
    }

    fn learned(
        &self,
        batch: i64,
        user: Option<UserNo>,
        news: News,
        when: Instant,
        source: &str,
        records: &mut Vec<Record>,
    ) -> Result<usize, LedgerError> {
        let kind = match news {
            News::Kind(kind) => kind,
            News::Counts(c) => {
                let n = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                let (total, filtered) = (n(c.total), n(c.filtered));
                records.push(Record::ListCounted {
                    batch,
                    total,
                    filtered,
                    delivered: n(c.delivered),
                    failed: n(c.failed),
                });
                return Ok(0);
            }
            News::Refused(reason) => {
                let address = user
                    .map(|user| self.reader().address_of(batch, user))
                    .transpose()?
                    .flatten();
                records.extend(
                    user.zip(address)
                        .map(|(user, address)| Record::AddressBlocked {
                            account: source.into(),
                            user: user.0,
                            address: BlockedAddresses::digest(&self.reader().id, &address),
                            reason,
                            when: Some(when.0),
                        }),
                );
                return Ok(0);
            }
        };
        let keys = self.reader().members_of(batch, user)?;
        records.extend(keys.iter().map(|key| {
            Record::ReceiptLearned(Box::new(ReceiptRecord {
                run: key.run.0,
                step: key.step,
                fanout_index: key.fanout_index,
                user: key.user.0,
                attempt: key.attempt,
                kind,
                when: when.0,
                source: source.into(),
            }))
        }));
        Ok(keys.len())
    }
}

/// What may be told of an id; as a text where it has to wait for the id to become known.
enum News {
    Kind(ReceiptKind),
    Counts(DeliveryCounts),
    Refused(String),
}

impl News {
    fn name(&self) -> String {
        match self {
            News::Kind(kind) => kind.name().into(),
            News::Counts(c) => format!(
                "counts {} {} {} {}",
                c.total, c.filtered, c.delivered, c.failed
            ),
            News::Refused(reason) => format!("address {reason}"),
        }
    }

    fn named(name: &str) -> Option<News> {
        if let Some(reason) = name.strip_prefix("address ") {
            return Some(News::Refused(reason.into()));
        }
        let Some(counts) = name.strip_prefix("counts ") else {
            return ReceiptKind::named(name).map(News::Kind);
        };
        let mut n = counts.split(' ').map(|n| n.parse().ok());
        let mut next = || n.next().flatten();
        Some(News::Counts(DeliveryCounts {
            total: next()?,
            filtered: next()?,
            delivered: next()?,
            failed: next()?,
        }))
    }
}
