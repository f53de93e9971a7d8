//! The program's own past messages, as events that conditions can ask about.
//!
//! Of each message and each outcome it is known that it came, and when; that it did not come; or
//! nothing. What is not known makes a question unknown wherever the answer could change it, and is
//! never taken for "no".

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::vector::Scalar;
use crate::base::{Instant, UserNo};
use crate::program::typed_expr::{OWN_FIELDS, OwnEvent};

/// What is known of one outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReceiptStatus {
    Yes(Instant),
    No,
    /// No receipt has said; never "no".
    #[default]
    Unknown,
}

/// One message that was sent, or may have been.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnMessage {
    pub user: UserNo,
    /// Of the send: no outcome can be earlier.
    pub at: Instant,
    pub campaign: Arc<str>,
    pub step: Arc<str>,
    /// Of a split.
    pub arm: Option<Arc<str>>,
    pub template: Arc<str>,
    pub channel: Arc<str>,
    /// In the order of [`OwnEvent::ALL`].
    pub receipts: [ReceiptStatus; 7],
}

impl OwnMessage {
    pub fn receipt(&self, event: OwnEvent) -> ReceiptStatus {
        self.receipts
            .get(event as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// A text that is not there.
const NO_TEXT: u32 = u32::MAX;

/// A receipt in a column of instants.
const NO: i64 = i64::MIN;
const UNKNOWN: i64 = i64::MIN + 1;

/// All of them as columns, by user, then time.
#[derive(Clone, Debug, Default)]
pub struct MessageLog {
    users: Vec<u32>,
    at: Vec<i64>,
    /// By the order of [`OWN_FIELDS`]: positions in `words`.
    texts: [Vec<u32>; OWN_FIELDS.len()],
    words: Vec<Arc<str>>,
    /// By the order of [`OwnEvent::ALL`].
    receipts: [Vec<i64>; OwnEvent::ALL.len()],
}

impl MessageLog {
    pub fn new(mut messages: Vec<OwnMessage>) -> Self {
        messages.sort_by_key(|m| (m.user, m.at));
        let mut log = MessageLog::default();
        let mut known: BTreeMap<Arc<str>, u32> = BTreeMap::new();
        for message in &messages {
            log.users.push(message.user.0);
            log.at.push(message.at.0);
            let texts = [
                Some(&message.campaign),
                Some(&message.step),
                message.arm.as_ref(),
                Some(&message.template),
                Some(&message.channel),
            ];
            for (column, text) in log.texts.iter_mut().zip(texts) {
                column.push(match text {
                    None => NO_TEXT,
                    Some(text) => *known.entry(text.clone()).or_insert_with(|| {
                        log.words.push(text.clone());
                        log.words.len() as u32 - 1
                    }),
                });
            }
            for (column, receipt) in log.receipts.iter_mut().zip(message.receipts) {
                column.push(match receipt {
                    ReceiptStatus::Yes(at) => at.0.max(UNKNOWN + 1),
                    ReceiptStatus::No => NO,
                    ReceiptStatus::Unknown => UNKNOWN,
                });
            }
        }
        log
    }

    pub fn len(&self) -> usize {
        self.users.len()
    }

    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// The messages of one user, by time.
    pub fn of(&self, user: UserNo) -> Vec<OwnMessage> {
        let text = |row: usize, field: usize| {
            let word = *self.texts.get(field)?.get(row)?;
            self.words.get(word as usize).cloned()
        };
        let message = |row: usize| OwnMessage {
            user,
            at: self.handed_over(row),
            campaign: text(row, 0).unwrap_or_default(),
            step: text(row, 1).unwrap_or_default(),
            arm: text(row, 2),
            template: text(row, 3).unwrap_or_default(),
            channel: text(row, 4).unwrap_or_default(),
            receipts: OwnEvent::ALL.map(|(event, _)| self.receipt(event, row)),
        };
        self.rows_of(user.0, user.0.saturating_add(1))
            .map(message)
            .collect()
    }

    /// The rows of users from the first number on and before the second.
    pub(super) fn rows_of(&self, from: u32, to: u32) -> Range<usize> {
        self.users.partition_point(|u| *u < from)..self.users.partition_point(|u| *u < to)
    }

    pub(super) fn user(&self, row: usize) -> Option<u32> {
        self.users.get(row).copied()
    }

    pub(super) fn receipt(&self, event: OwnEvent, row: usize) -> ReceiptStatus {
        match self
            .receipts
            .get(event as usize)
            .and_then(|column| column.get(row))
        {
            None | Some(&UNKNOWN) => ReceiptStatus::Unknown,
            Some(&NO) => ReceiptStatus::No,
            Some(at) => ReceiptStatus::Yes(Instant(*at)),
        }
    }

    pub(super) fn handed_over(&self, row: usize) -> Instant {
        Instant(self.at.get(row).copied().unwrap_or(i64::MIN))
    }

    /// A field by its position in [`OWN_FIELDS`].
    pub(super) fn field(&self, row: usize, field: u16) -> Option<Scalar<'_>> {
        let word = *self.texts.get(usize::from(field))?.get(row)?;
        self.words
            .get(word as usize)
            .map(|text| Scalar::Text(Cow::Borrowed(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_keep_what_was_said() {
        let message = |user, at, arm: Option<&str>, opened| OwnMessage {
            user: UserNo(user),
            at: Instant(at),
            campaign: "c".into(),
            step: "first".into(),
            arm: arm.map(Arc::from),
            template: "t".into(),
            channel: "sandbox.file".into(),
            receipts: [
                ReceiptStatus::Yes(Instant(at)),
                ReceiptStatus::Unknown,
                opened,
                ReceiptStatus::No,
                ReceiptStatus::No,
                ReceiptStatus::No,
                ReceiptStatus::No,
            ],
        };
        let log = MessageLog::new(vec![
            message(7, 5, Some("b"), ReceiptStatus::Unknown),
            message(3, 9, None, ReceiptStatus::Yes(Instant(11))),
            message(7, 2, Some("a"), ReceiptStatus::No),
        ]);
        assert_eq!((log.rows_of(0, 7), log.rows_of(7, 8)), (0..1, 1..3));
        assert_eq!((log.user(0), log.handed_over(2)), (Some(3), Instant(5)));
        assert_eq!(
            [0, 1, 2].map(|r| log.receipt(OwnEvent::Opened, r)),
            [
                ReceiptStatus::Yes(Instant(11)),
                ReceiptStatus::No,
                ReceiptStatus::Unknown
            ]
        );
        let arm = |row| match log.field(row, 2) {
            Some(Scalar::Text(t)) => Some(t.to_string()),
            _ => None,
        };
        assert_eq!(
            [0, 1, 2].map(arm),
            [None, Some("a".into()), Some("b".into())]
        );
    }
}
