//! What is learned after a send: receipts, opt-outs, the word of a person; and the erasing of
//! a user.

use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Operator;
use crate::ledger::sql::params;

use crate::base::{Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::ledger::error::LedgerError;
use crate::ledger::ids::MessageKey;
use crate::ledger::rows::blob::{self, Blob};
use crate::ledger::rows::encode;
use crate::ledger::rows::encode::salt;
use crate::ledger::rows::record::{AnswerRecord, ReceiptRecord, Record};
use crate::ledger::sql::ledger_tables;
use crate::ledger::state::{ReceiptKind, State};

/// Something that became known of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MessageNews {
    pub message: MessageKey,
    pub kind: ReceiptKind,
    pub when: Instant,
    pub source: String,
}

impl LedgerReader {
    pub(in crate::ledger) fn is_claimed(&self, key: &MessageKey) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM message WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ? AND batch IS NOT NULL";
        Ok(self.db.prepare_cached(sql)?.exists(params![
            key.run.0,
            key.step,
            key.fanout_index,
            key.user.0,
            key.attempt
        ])?)
    }
}

impl Operator<'_> {
    /// Keeps what became known, in any order and any number of times: the end is the same. Gives
    /// how many of the messages are known.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn learn(&mut self, news: &[MessageNews], now: Instant) -> Result<usize, LedgerError> {
        let mut records = Vec::new();
        for one in news {
            if self.reader().is_claimed(&one.message)? {
                records.push(Record::ReceiptLearned(Box::new(ReceiptRecord {
                    run: one.message.run.0,
                    step: one.message.step,
                    fanout_index: one.message.fanout_index,
                    user: one.message.user.0,
                    attempt: one.message.attempt,
                    kind: one.kind,
                    when: one.when.0,
                    source: one.source.clone(),
                })));
            }
        }
        if !records.is_empty() {
            self.writer.commit("learn", now, &[], &records)?;
        }
        Ok(records.len())
    }

    /// Records what a person found out of an unknown send. What the platform still says later
    /// is worth more.
    ///
    /// # Errors
    /// When the ledger cannot be written, or the batch is not unknown.
    pub fn settle_by_hand(
        &mut self,
        batch: i64,
        sent: bool,
        who: &str,
        now: Instant,
    ) -> Result<(), LedgerError> {
        let state = if sent {
            State::SaidSent
        } else {
            State::SaidNotSent
        };
        let answered = AnswerRecord {
            batch,
            state,
            reason: Some(who.into()),
            ids: None,
            accepted: Vec::new(),
            not_sent: Vec::new(),
        };
        self.writer
            .commit("settle", now, &[], &[Record::Answered(Box::new(answered))])
    }

    /// These users want no messages. What is planned for them and not yet claimed is struck when
    /// its turn comes.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn opt_out(
        &mut self,
        users: &[UserNo],
        source: &str,
        now: Instant,
    ) -> Result<(), LedgerError> {
        let records: Vec<Record> = users
            .iter()
            .map(|user| Record::OptedOut {
                user: user.0,
                source: source.into(),
            })
            .collect();
        if records.is_empty() {
            Ok(())
        } else {
            self.writer.commit("opt-out", now, &[], &records)
        }
    }

    /// Removes a user's addresses and personal texts from all that was planned. What is not handed
    /// over yet will not be. Numbers and outcomes stay, and the audit chain stays whole.
    ///
    /// # Errors
    /// When the ledger cannot be written or is damaged.
    pub fn erase(&mut self, user: UserNo, now: Instant) -> Result<(), LedgerError> {
        let mut records = vec![Record::OptedOut {
            user: user.0,
            source: "erased".into(),
        }];
        let mut columns = Vec::new();
        let mut select = self
            .reader()
            .db
            .prepare_cached("SELECT wait FROM wait WHERE user_no = ? ORDER BY wait")?;
        for wait in select.query_map([user.0], |row| row.get(0))? {
            records.push(Record::WaitEnded {
                wait: wait?,
                why: "erased".into(),
            });
        }
        drop(select);
        let sql = "SELECT segment, users, addresses, contents FROM segment WHERE run NOT IN (SELECT run FROM forgotten) ORDER BY segment";
        let mut select = self.reader().db.prepare_cached(sql)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            let (segment, digests): (i64, [String; 3]) =
                (row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]);
            if let Some((addresses, contents)) = self.without(user, &digests)? {
                records.push(Record::Erased {
                    segment,
                    addresses: addresses.digest.clone(),
                    contents: contents.digest.clone(),
                });
                columns.extend([addresses, contents]);
            }
        }
        drop(rows);
        drop(select);
        self.writer.commit("erase", now, &columns, &records)?;
        // What the write-ahead log still holds of it goes too.
        ledger_tables::forget_log(&self.reader().db)?;
        Ok(())
    }

    /// The addresses and contents of a segment without those of a user, if the user is in it.
    fn without(
        &self,
        user: UserNo,
        [users, addresses, contents]: &[String; 3],
    ) -> Result<Option<(Blob, Blob)>, LedgerError> {
        let column = blob::load(&self.reader().db, users)?;
        let Some(place) = encode::find_user(&column, user) else {
            return Ok(None);
        };
        let size = column.len() / 4;
        let mut kept = encode::read_strings(&blob::load(&self.reader().db, addresses)?)
            .ok_or_else(|| blob::damaged(addresses))?;
        if let Some(address) = kept.get_mut(place) {
            *address = "".into();
        }
        let mut texts = encode::read_contents(&blob::load(&self.reader().db, contents)?, size)
            .ok_or_else(|| blob::damaged(contents))?;
        let personal = size == 1 || texts.windows(2).any(|w| w[0] != w[1]);
        if personal && let Some(text) = texts.get_mut(place) {
            *text = Arc::new(Rendered { parts: Vec::new() });
        }
        let world = self.writer.world.as_ref();
        let contents = if personal {
            encode::contents(&texts, salt(world))
        } else {
            blob::load(&self.reader().db, contents)?
        };
        Ok(Some((
            Blob::new(encode::strings(&kept, salt(world))),
            Blob::new(contents),
        )))
    }
}
