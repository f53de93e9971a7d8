//! The program's own past messages, as events that conditions can ask about.

use std::ops::Range;
use std::sync::Arc;

use crate::base::{Instant, UserNo};
use crate::program::expr::OwnEvent;

/// What is known of one outcome of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Receipt {
    Yes(Instant),
    No,
    /// No receipt has said; never "no".
    #[default]
    Unknown,
}

/// One message that was handed over, or may have been.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnMessage {
    pub user: UserNo,
    /// Of the hand-over: no outcome can be earlier.
    pub at: Instant,
    pub campaign: Arc<str>,
    pub step: Arc<str>,
    /// Of a split.
    pub arm: Option<Arc<str>>,
    pub template: Arc<str>,
    pub channel: Arc<str>,
    /// In the order of [`OwnEvent::ALL`].
    pub receipts: [Receipt; 7],
}

impl OwnMessage {
    pub fn receipt(&self, event: OwnEvent) -> Receipt {
        self.receipts[event as usize]
    }
}

/// All of them, by user, then time.
#[derive(Clone, Debug, Default)]
pub struct MessageLog {
    messages: Vec<OwnMessage>,
}

impl MessageLog {
    pub fn new(mut messages: Vec<OwnMessage>) -> Self {
        messages.sort_by_key(|m| (m.user, m.at));
        MessageLog { messages }
    }

    /// A user's messages, oldest first.
    pub fn of(&self, user: UserNo) -> &[OwnMessage] {
        let from = self.messages.partition_point(|m| m.user < user);
        let range: Range<usize> = from..from + self.messages[from..].partition_point(|m| m.user == user);
        &self.messages[range]
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}
