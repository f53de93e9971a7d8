//! Whom an account reaches: the addresses that a platform has refused for good, and what users did on the account since.
//!
//! A refusal is kept for the address that it is about, as a salted digest, and ends with any sign of life of the user on the account. The two
//! may become known in either order: the later one counts.

use super::db::{self, OptionalExtension, params};

use super::claim::Held;
use super::error::LedgerError;
use super::project::Tables;
use super::record::Record;
use super::{Ledger, Writer, schema};
use crate::base::{Elapsed, Instant, UserNo};
use crate::decide::history::Barred;
use crate::deliver::channel::{Refusal, Verdict};
use crate::program::pack::ContactKind;

/// An address of a user that a platform has refused for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    pub account: String,
    pub at: Instant,
    /// What the platform said.
    pub reason: String,
    address: i64,
}

impl Ledger {
    pub(super) fn has_contacts(&self) -> bool {
        self.version >= schema::WITH_CONTACTS
    }

    /// Those whom an account does not reach any more; of all, or of these few.
    pub(super) fn barred_at(&self, account: &str, few: Option<&[UserNo]>) -> Result<Barred, LedgerError> {
        let mut users = Vec::new();
        if self.has_contacts() {
            match few {
                None => {
                    let mut select = self.db.prepare_cached("SELECT user_no, address FROM barred WHERE account = ? ORDER BY user_no")?;
                    let rows = select.query_map([account], |row| Ok((UserNo(row.get(0)?), row.get(1)?)))?;
                    users = rows.collect::<Result<_, db::Error>>()?;
                }
                Some(few) => {
                    let mut select = self.db.prepare_cached("SELECT address FROM barred WHERE account = ? AND user_no = ?")?;
                    for user in few {
                        let address = select.query_row(params![account, user.0], |row| row.get(0)).optional()?;
                        users.extend(address.map(|address| (*user, address)));
                    }
                }
            }
        }
        Ok(Barred::new(&self.id, users))
    }

    /// The addresses of a user that platforms have refused for good, by account.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn refused(&self, user: UserNo) -> Result<Vec<Refused>, LedgerError> {
        if !self.has_contacts() {
            return Ok(Vec::new());
        }
        let mut select = self.db.prepare_cached("SELECT account, at, reason, address FROM barred WHERE user_no = ? ORDER BY account")?;
        let rows = select.query_map([user.0], |row| {
            Ok(Refused { account: row.get(0)?, at: Instant(row.get(1)?), reason: row.get(2)?, address: row.get(3)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a refusal is about an address.
    pub fn is_about(&self, refused: &Refused, address: &str) -> bool {
        refused.address == Barred::digest(&self.id, address)
    }
}

impl Writer {
    /// What the verdicts on a batch say of the addresses in it.
    pub(super) fn barred_by(&self, held: &Held, verdicts: &[Verdict]) -> Vec<Record> {
        let of = held.members.iter().zip(verdicts).filter_map(|(member, verdict)| match verdict {
            Verdict::Refused { reason, because: Refusal::Address } => Some(Record::Barred {
                account: held.segment.of.account.clone(),
                user: member.user.0,
                address: Barred::digest(&self.id, &member.address),
                reason: reason.clone(),
            }),
            Verdict::Refused { because: Refusal::Message | Refusal::ForNow, .. }
            | Verdict::Accepted { .. }
            | Verdict::Waiting { .. }
            | Verdict::Unknown { .. }
            | Verdict::NotSent { .. } => None,
        });
        of.collect()
    }
}

/// Platforms tell whole seconds.
const TOLD_TO: Elapsed = Elapsed(999_999);

impl Tables<'_> {
    /// An account does not reach a user any more, unless he has given a sign of life after that.
    pub(super) fn barred(&self, (account, user): (&str, u32), address: i64, reason: &str, at: i64) -> Result<(), LedgerError> {
        let sql = "SELECT 1 FROM contact WHERE user_no = ? AND account = ? AND at + ? >= ?";
        if self.db.prepare_cached(sql)?.exists(params![user, account, TOLD_TO.0, at])? {
            return Ok(());
        }
        self.run(
            "INSERT INTO barred (account, user_no, address, reason, at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (account, user_no) DO UPDATE SET address = excluded.address, reason = excluded.reason, at = excluded.at",
            params![account, user, address, reason, at],
        )
    }

    /// A user did something on an account.
    pub(super) fn contact(&self, (account, user): (&str, u32), kind: ContactKind, topic: &str, when: i64) -> Result<(), LedgerError> {
        // What adds up is counted since the first of those that are left; of anything else the last one counts.
        let (since, n) = if kind.adds_up() {
            ("CASE WHEN contact.n = 0 THEN excluded.since ELSE min(contact.since, excluded.since) END", "contact.n + 1")
        } else {
            ("max(contact.since, excluded.since)", "1")
        };
        self.run(
            &format!(
                "INSERT INTO contact (account, kind, topic, user_no, since, n, at) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?5)
                 ON CONFLICT (account, kind, topic, user_no) DO UPDATE SET since = {since}, n = {n}, at = max(contact.at, excluded.at)"
            ),
            params![account, kind.name(), topic, user, when],
        )?;
        self.run("DELETE FROM barred WHERE account = ? AND user_no = ? AND at <= ?", params![account, user, when.saturating_add(TOLD_TO.0)])
    }
}
