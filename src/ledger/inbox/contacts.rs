//! Whom an account reaches: the addresses that a platform has refused for good, and what users did
//! on the account since.
//!
//! A refusal is kept for the address that it is about, as a salted digest, and ends with any sign
//! of life of the user on the account. The two may become known in either order: the later one
//! counts.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::sql::{self, OptionalExtension, params};

use crate::base::{Elapsed, Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::decide::history::{BlockedAddresses, History, LastContact};
use crate::ledger::claim::held_batch::{HeldBatch, Member};
use crate::ledger::dispatch_batch::{Refusal, Verdict};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::{Record, Segment};
use crate::program::platform::{self, Contact, ContactKind, MessagePart};

/// An address of a user that a platform has refused for good.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedAddress {
    pub account: String,
    pub at: Instant,
    /// What the platform said.
    pub reason: String,
    address: i64,
}

/// How a segment's channel stands for its members when their turn comes.
#[derive(Default)]
pub(in crate::ledger) struct SegmentWindows {
    /// Places of those for whom it has closed since they were planned, or was opened anew and is
    /// used up again.
    pub closed: Vec<i64>,
    /// It was opened anew for some, and what was planned before counts there, too.
    pub opened_anew: bool,
}

impl LedgerReader {
    /// Those whom an account does not reach any more; of all, or of these few.
    pub(in crate::ledger) fn barred_at(
        &self,
        account: &str,
        few: Option<&[UserNo]>,
    ) -> Result<BlockedAddresses, LedgerError> {
        let mut users = Vec::new();
        match few {
            None => {
                let mut select = self.db.prepare_cached(
                    "SELECT user_no, address FROM blocked_address WHERE account = ? ORDER BY user_no",
                )?;
                let rows =
                    select.query_map([account], |row| Ok((UserNo(row.get(0)?), row.get(1)?)))?;
                users = rows.collect::<Result<_, sql::Error>>()?;
            }
            Some(few) => {
                let mut select = self.db.prepare_cached(
                    "SELECT address FROM blocked_address WHERE account = ? AND user_no = ?",
                )?;
                for user in few {
                    let address = select
                        .query_row(params![account, user.0], |row| row.get(0))
                        .optional()?;
                    users.extend(address.map(|address| (*user, address)));
                }
            }
        }
        Ok(BlockedAddresses::new(&self.id, users))
    }

    /// Who did something on an account; `None` where nothing is known of it.
    pub(in crate::ledger) fn contacted(
        &self,
        account: &str,
        kind: ContactKind,
        topic: &str,
        after: Option<Instant>,
        few: Option<&[UserNo]>,
    ) -> Result<Option<Vec<LastContact>>, LedgerError> {
        if !self.hears_of(account, kind)? {
            return Ok(None);
        }
        let after = after.map_or(i64::MIN, |after| after.0);
        let mut contacted = Vec::new();
        match few {
            None => {
                let sql = "SELECT user_no, since, n FROM contact WHERE account = ? AND kind = ? AND topic = ? AND since > ? ORDER BY user_no";
                let mut select = self.db.prepare_cached(sql)?;
                let rows =
                    select.query_map(params![account, kind.name(), topic, after], |row| {
                        Ok(LastContact {
                            user: UserNo(row.get(0)?),
                            since: Instant(row.get(1)?),
                            n: row.get(2)?,
                        })
                    })?;
                contacted = rows.collect::<Result<_, sql::Error>>()?;
            }
            Some(few) => {
                for user in few {
                    let found = self.contact_of(account, kind, topic, *user)?;
                    contacted.extend(found.filter(|c| c.since.0 > after));
                }
            }
        }
        Ok(Some(contacted))
    }

    /// Whether it is known who did this on an account: any user was ever told to have, or all that
    /// users do is fetched.
    fn hears_of(&self, account: &str, kind: ContactKind) -> Result<bool, LedgerError> {
        let sql = "SELECT 1 FROM contact WHERE account = ? AND kind = ? LIMIT 1";
        let told = self
            .db
            .prepare_cached(sql)?
            .exists(params![account, kind.name()])?;
        Ok(told || self.mailbox_knows(account, kind)?)
    }

    fn contact_of(
        &self,
        account: &str,
        kind: ContactKind,
        topic: &str,
        user: UserNo,
    ) -> Result<Option<LastContact>, LedgerError> {
        let sql = "SELECT since, n FROM contact WHERE account = ? AND kind = ? AND topic = ? AND user_no = ?";
        let found = self.db.prepare_cached(sql)?.query_row(
            params![account, kind.name(), topic, user.0],
            |row| {
                Ok(LastContact {
                    user,
                    since: Instant(row.get(0)?),
                    n: row.get(1)?,
                })
            },
        );
        Ok(found.optional()?)
    }

    /// How a segment's channel stands for its members now. (How many messages it takes was counted
    /// when they were planned, as it was open then.)
    pub(in crate::ledger) fn windows_of(
        &self,
        of: &Segment,
        members: &[Member],
        now: Instant,
    ) -> Result<SegmentWindows, LedgerError> {
        let rules = platform::endpoint(&of.platform, &of.endpoint)
            .map_or(&[][..], |endpoint| &endpoint.contacts);
        let mut heard = Vec::new();
        for rule in rules {
            if self.hears_of(&of.account, rule.by)? {
                heard.push(rule);
            } else if rule.lasts() {
                return Ok(SegmentWindows::default());
            }
        }
        let mut windows = SegmentWindows::default();
        for member in members.iter().filter(|_| !heard.is_empty()) {
            let mut open = false;
            for rule in &heard {
                let Some(c) = self.contact_of(
                    &of.account,
                    rule.by,
                    topic(rule.by, &member.content),
                    member.user,
                )?
                else {
                    open |= rule.lasts();
                    continue;
                };
                let is_new = rule.messages.is_some() && c.since.0 > of.not_before;
                windows.opened_anew |= is_new;
                open |= c.n > 0
                    && rule.within.is_none_or(|within| c.since.plus(within) > now)
                    && (!is_new || self.has_room(of, rule, c)?);
            }
            if !open {
                windows.closed.push(member.place);
            }
        }
        Ok(windows)
    }

    /// Whether what a user did leaves a message for a segment that was planned before it and so was
    /// not counted.
    fn has_room(&self, of: &Segment, rule: &Contact, c: LastContact) -> Result<bool, LedgerError> {
        let Some(messages) = rule.messages else {
            return Ok(true);
        };
        let template = rule.by.adds_up().then_some(&*of.template);
        let through = self.through_since(&of.channel(), template, c.since, Some(&[c.user]))?;
        Ok(through.len() < messages.saturating_mul(c.n) as usize)
    }

    /// The addresses of a user that platforms have refused for good, by account.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn refused(&self, user: UserNo) -> Result<Vec<RefusedAddress>, LedgerError> {
        let mut select = self.db.prepare_cached(
            "SELECT account, at, reason, address FROM blocked_address WHERE user_no = ? ORDER BY account",
        )?;
        let rows = select.query_map([user.0], |row| {
            Ok(RefusedAddress {
                account: row.get(0)?,
                at: Instant(row.get(1)?),
                reason: row.get(2)?,
                address: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a refusal is about an address.
    pub fn is_about(&self, refused: &RefusedAddress, address: &str) -> bool {
        refused.address == BlockedAddresses::digest(&self.id, address)
    }
}

impl Dispatcher<'_> {
    /// What the verdicts on a batch say of its channel: it is not open for a user, although he did
    /// what opens it.
    pub(in crate::ledger) fn closed_by(
        &self,
        held: &HeldBatch,
        verdicts: &[Verdict],
    ) -> Vec<Record> {
        let of = &held.segment.of;
        let rules = platform::endpoint(&of.platform, &of.endpoint)
            .map_or(&[][..], |endpoint| &endpoint.contacts);
        let for_now = |verdict: &Verdict| {
            matches!(
                verdict,
                Verdict::Refused {
                    because: Refusal::ForNow,
                    ..
                }
            )
        };
        let members = held
            .members
            .iter()
            .zip(verdicts)
            .filter(|(_, verdict)| for_now(verdict));
        let closed = members.flat_map(|(member, _)| {
            rules.iter().map(|rule| Record::WindowClosed {
                account: of.account.clone(),
                user: member.user.0,
                kind: rule.by,
                topic: topic(rule.by, &member.content).into(),
            })
        });
        closed.collect()
    }

    /// What the verdicts on a batch say of the addresses in it.
    pub(in crate::ledger) fn barred_by(
        &self,
        held: &HeldBatch,
        verdicts: &[Verdict],
    ) -> Vec<Record> {
        let of = held
            .members
            .iter()
            .zip(verdicts)
            .filter_map(|(member, verdict)| match verdict {
                Verdict::Refused {
                    reason,
                    because: Refusal::Address,
                } => Some(Record::AddressBlocked {
                    account: held.segment.of.account.clone(),
                    user: member.user.0,
                    address: BlockedAddresses::digest(&self.reader().id, &member.address),
                    reason: reason.clone(),
                    when: None,
                }),
                Verdict::Refused {
                    because: Refusal::Message | Refusal::ForNow,
                    ..
                }
                | Verdict::Accepted { .. }
                | Verdict::Waiting { .. }
                | Verdict::Unknown { .. }
                | Verdict::NotSent { .. } => None,
            });
        of.collect()
    }
}

/// What a message must have been subscribed to: the template by the platform's id.
fn topic(kind: ContactKind, content: &Rendered) -> &str {
    let platform = content
        .parts
        .iter()
        .find(|(name, _)| name == MessagePart::Platform.name());
    if kind == ContactKind::Subscription {
        platform.map_or("", |(_, id)| id)
    } else {
        ""
    }
}

/// Platforms tell whole seconds.
const TOLD_TO: Elapsed = Elapsed(999_999);

impl Projection<'_> {
    /// An account does not reach a user any more, unless he has given a sign of life after that.
    pub(in crate::ledger) fn barred(
        &self,
        (account, user): (&str, u32),
        address: i64,
        reason: &str,
        at: i64,
    ) -> Result<(), LedgerError> {
        let sql = "SELECT 1 FROM contact WHERE user_no = ? AND account = ? AND at + ? >= ?";
        if self
            .db
            .prepare_cached(sql)?
            .exists(params![user, account, TOLD_TO.0, at])?
        {
            return Ok(());
        }
        self.run(
            "INSERT INTO blocked_address (account, user_no, address, reason, at) VALUES (?, ?, ?, ?, ?)
             ON CONFLICT (account, user_no) DO UPDATE SET address = excluded.address, reason = excluded.reason, at = excluded.at",
            params![account, user, address, reason, at],
        )
    }

    /// A user did something on an account.
    pub(in crate::ledger) fn contact(
        &self,
        (account, user): (&str, u32),
        kind: ContactKind,
        topic: &str,
        when: i64,
    ) -> Result<(), LedgerError> {
        // What adds up is counted since the first of those that are left; of anything else the last
        // one counts.
        let (since, n) = if kind.adds_up() {
            (
                "CASE WHEN contact.n = 0 THEN excluded.since ELSE min(contact.since, excluded.since) END",
                "contact.n + 1",
            )
        } else {
            // What is told late opens nothing that was closed meanwhile.
            (
                "max(contact.since, excluded.since)",
                "CASE WHEN excluded.since > contact.since THEN 1 ELSE contact.n END",
            )
        };
        self.run(
            format!(
                "INSERT INTO contact (account, kind, topic, user_no, since, n, at) VALUES (?1, ?2, ?3, ?4, ?5, 1, ?5)
                 ON CONFLICT (account, kind, topic, user_no) DO UPDATE SET since = {since}, n = {n}, at = max(contact.at, excluded.at)"
            ),
            params![account, kind.name(), topic, user, when],
        )?;
        self.run(
            "DELETE FROM blocked_address WHERE account = ? AND user_no = ? AND at <= ?",
            params![account, user, when.saturating_add(TOLD_TO.0)],
        )
    }

    /// A platform says that what a user did before opens nothing any more.
    pub(in crate::ledger) fn closed(
        &self,
        (account, user): (&str, u32),
        kind: ContactKind,
        topic: &str,
        at: i64,
    ) -> Result<(), LedgerError> {
        self.run(
            "UPDATE contact SET n = 0 WHERE account = ? AND kind = ? AND topic = ? AND user_no = ? AND at <= ?",
            params![account, kind.name(), topic, user, at],
        )
    }
}
