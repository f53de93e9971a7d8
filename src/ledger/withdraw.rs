//! Taking slots back from what is planned, because its users have no consent any more, or because
//! it says what is forbidden by now.
//!
//! It happens when the consent ends or the words become known, not when the message's turn comes:
//! the user is stopped at the gate at which he would have been, had it been so before the plan.
//! What is claimed by then leaves; what is not never does, also where he gives the consent anew.

use std::sync::Arc;

use super::blob::{self, Blob};
use super::due::{OPEN, OpenSegment};
use super::error::LedgerError;
use super::record::{Displaced, Record};
use super::sql::states::OPEN_SEGMENTS;
use super::{Ledger, Writer, encode};
use crate::base::{Bitmap, Instant, UserNo};
use crate::decide::decision::Rendered;

/// Why messages are taken back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WithdrawReason {
    NoConsent,
    BlockedWords,
}

/// The unclaimed members of a segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Withdrawable {
    pub campaign: String,
    /// The step's name.
    pub step: String,
    pub template: String,
    /// Rising.
    pub users: Vec<UserNo>,
    segment: i64,
    /// Of each user, in the order of `users`.
    places: Vec<i64>,
}

impl Ledger {
    /// All that is planned and not claimed.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn still_planned(&self) -> Result<Vec<Withdrawable>, LedgerError> {
        let sql = format!(
            "SELECT s.segment, r.campaign, t.name, s.template, s.users, s.claimed, s.displaced
            FROM segment s JOIN run r USING (run) JOIN step t USING (run, step)
            WHERE {OPEN_SEGMENTS} AND s.claimed + s.displaced < s.size ORDER BY s.segment"
        );
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            let numbers: [i64; 3] = [row.get(0)?, row.get(5)?, row.get(6)?];
            let texts: [String; 4] = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?];
            Ok((numbers, texts))
        })?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        drop(select);
        let mut all = Vec::new();
        for ([segment, claimed, taken], [campaign, step, template, column]) in rows {
            let members = encode::read_users(&blob::load(&self.db, &column)?)
                .ok_or_else(|| blob::damaged(&column))?;
            let lost = self.lost(segment, taken, claimed, i64::MAX)?;
            let open = (0i64..)
                .zip(members)
                .skip(usize::try_from(claimed).unwrap_or(usize::MAX));
            let mut open: Vec<(UserNo, i64)> = open
                .filter(|(place, _)| lost.binary_search(place).is_err())
                .map(|(place, user)| (user, place))
                .collect();
            open.sort_unstable();
            let (users, places) = open.into_iter().unzip();
            all.push(Withdrawable {
                campaign,
                step,
                template,
                users,
                segment,
                places,
            });
        }
        Ok(all)
    }

    /// Of what is planned and not claimed, that which says something.
    ///
    /// # Errors
    /// As [`Self::still_planned`].
    pub fn planned_where(
        &self,
        says: impl Fn(&Rendered) -> bool,
    ) -> Result<Vec<Withdrawable>, LedgerError> {
        let sql = format!(
            "{OPEN} WHERE {OPEN_SEGMENTS} AND s.claimed + s.displaced < s.size ORDER BY s.segment"
        );
        let mut select = self.db.prepare_cached(&sql)?;
        let open = select
            .query_map((), OpenSegment::of_row)?
            .collect::<Result<Vec<_>, _>>()?;
        drop(select);
        let mut all = Vec::new();
        for open in open {
            let mut last: Option<(Arc<Rendered>, bool)> = None;
            let mut found = Vec::new();
            for member in self.still_open(&open)? {
                let said = match &last {
                    // Lists say the same to all.
                    Some((content, said)) if Arc::ptr_eq(content, &member.content) => *said,
                    _ => says(&member.content),
                };
                last = Some((member.content.clone(), said));
                found.extend(said.then_some((member.user, member.place)));
            }
            if found.is_empty() {
                continue;
            }
            found.sort_unstable();
            let (users, places) = found.into_iter().unzip();
            let OpenSegment {
                of, campaign, step, ..
            } = open;
            all.push(Withdrawable {
                campaign,
                step,
                template: of.template,
                users,
                segment: of.segment,
                places,
            });
        }
        Ok(all)
    }
}

impl Writer {
    /// Strikes users, in rising order, from what is planned; gives how many messages.
    ///
    /// # Errors
    /// When some of it was claimed in the meantime, or the ledger cannot be written: then nothing
    /// is struck.
    pub fn strike(
        &mut self,
        all: &[(&Withdrawable, Vec<UserNo>)],
        why: WithdrawReason,
        now: Instant,
    ) -> Result<usize, LedgerError> {
        let (mut columns, mut records, mut struck) = (Vec::new(), Vec::new(), 0);
        for (waiting, without) in all {
            let of = waiting.users.iter().zip(&waiting.places);
            let mut places: Vec<i64> = of
                .filter(|(user, _)| without.binary_search(user).is_ok())
                .map(|(_, place)| *place)
                .collect();
            places.sort_unstable();
            struck += places.len();
            let most = without.last().map_or(0, |user| user.index() + 1);
            let column = Blob::new(encode::bitmap(&Bitmap::from_users(
                most,
                without.iter().copied(),
            )));
            let (segment, members) = (waiting.segment, column.digest.clone());
            let (no_consent, blocked_words) = (
                why == WithdrawReason::NoConsent,
                why == WithdrawReason::BlockedWords,
            );
            records.push(Record::Displaced(Box::new(Displaced {
                segment,
                places,
                by: None,
                no_consent,
                blocked_words,
                members,
            })));
            columns.push(column);
        }
        if !records.is_empty() {
            self.commit("strike", now, &columns, &records)?;
        }
        Ok(struck)
    }
}
