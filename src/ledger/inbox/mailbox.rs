//! What platforms keep until it is fetched: how far each mailbox has been read, by the platform's
//! own mark of a place.
//!
//! A page is kept in the inbox like a call, in the transaction that moves the mark: nothing between
//! two pages is ever lost, and what is fetched again (by another process, after an old copy of the
//! ledger) says nothing that was not told before.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::sql::{OptionalExtension, params};

use crate::base::Instant;
use crate::ledger::dispatch_batch::Page;
use crate::ledger::error::LedgerError;
use crate::ledger::inbox::calls::NewCall;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::Record;
use crate::program::platform::ContactKind;

/// A mailbox that was looked into.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxState {
    pub account: String,
    /// The platform's name for it.
    pub name: String,
    /// When it was read to its end the last time; `None`: never yet.
    pub read_at: Option<Instant>,
}

impl LedgerReader {
    /// The mark up to which a mailbox has been read; empty where nothing has been.
    ///
    /// # Errors
    /// When the ledger cannot be read; so for all of these.
    pub fn mark(&self, account: &str, mailbox: &str) -> Result<String, LedgerError> {
        let sql = "SELECT mark FROM mailbox WHERE account = ? AND name = ?";
        let found = self
            .db
            .prepare_cached(sql)?
            .query_row([account, mailbox], |row| row.get(0))
            .optional()?;
        Ok(found.unwrap_or_default())
    }

    /// The mailboxes that were ever looked into.
    ///
    /// # Errors
    /// As [`Self::mark`].
    pub fn mailboxes(&self) -> Result<Vec<MailboxState>, LedgerError> {
        let mut select = self
            .db
            .prepare_cached("SELECT account, name, read_at FROM mailbox ORDER BY account, name")?;
        let rows = select.query_map((), |row| {
            Ok(MailboxState {
                account: row.get(0)?,
                name: row.get(1)?,
                read_at: row.get::<Option<i64>>(2)?.map(Instant),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether all that users of an account did of a kind is known from its mailbox. (A mailbox
    /// holds what users write.)
    pub(in crate::ledger) fn mailbox_knows(
        &self,
        account: &str,
        kind: ContactKind,
    ) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM mailbox m WHERE m.account = ? AND m.read_at IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM inbox i WHERE i.account = m.account AND i.applied_at IS NULL)";
        Ok(kind == ContactKind::Message && self.db.prepare_cached(sql)?.exists([account])?)
    }
}

impl Dispatcher<'_> {
    /// Keeps a page that was fetched from behind a mark; `false` where another process has moved
    /// the mark meanwhile, and nothing is kept.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn fetched(
        &mut self,
        account: &str,
        mailbox: &str,
        from: &str,
        page: &Page,
        now: Instant,
    ) -> Result<bool, LedgerError> {
        if self.reader().mark(account, mailbox)? != from {
            return Ok(false);
        }
        let call = page.body.as_ref().map(|body| {
            let (account, body) = (account.to_owned(), body.clone());
            NewCall {
                account,
                at: now,
                query: String::new(),
                signature: String::new(),
                body,
            }
        });
        let (columns, mut records) = self.received(call.as_slice())?;
        records.push(Record::MailboxRead {
            account: account.into(),
            mailbox: mailbox.into(),
            from: from.into(),
            mark: page.mark.clone(),
            all: !page.more,
        });
        match self.open.writer.commit("fetched", now, &columns, &records) {
            Err(LedgerError::Overtaken(_)) => Ok(false),
            other => other.map(|()| true),
        }
    }
}

impl Projection<'_> {
    /// A mailbox was read from a mark to another, and perhaps to its end.
    pub(in crate::ledger) fn fetched(
        &self,
        (account, name): (&str, &str),
        (from, to): (&str, &str),
        all: bool,
        at: i64,
    ) -> Result<(), LedgerError> {
        self.guarded(
            "INSERT INTO mailbox (account, name, mark, read_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (account, name) DO UPDATE SET mark = excluded.mark, read_at = coalesce(excluded.read_at, mailbox.read_at)
             WHERE mailbox.mark = ?5",
            params![account, name, to, all.then_some(at), from],
            "mailbox at that mark",
        )
    }
}
