//! What passes between the ledger and a channel: a batch of messages, what became of it, and what a
//! platform knows of it. These are values; who sends them is `deliver`'s.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ids::RunId;
use super::state::ReceiptKind;
use crate::base::{Instant, UserNo, Zone};
use crate::decide::decision::Rendered;
use crate::program::typed::ChannelName as Name;

/// Messages that are sent together. A repeat is the same, byte for byte.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Of the send, for a platform that takes a list.
    pub key: String,
    pub run: RunId,
    pub campaign: String,
    pub step: String,
    pub arm: Option<String>,
    pub template: String,
    /// The channel that the campaign names, whoever carries it.
    pub channel: Name,
    /// The policy's.
    pub zone: Zone,
    /// When it was claimed.
    pub at: Instant,
    /// A request that has not begun by then is not begun: what was claimed leaves soon or not at
    /// all.
    pub begin_by: Option<std::time::Instant>,
    pub messages: Vec<Message>,
}

#[derive(Clone, Debug)]
pub struct Message {
    /// Of this message, for a platform that takes them one by one: 32 hex digits, the same for
    /// ever.
    pub key: String,
    pub user: UserNo,
    /// The user's id in the store; the number where it is not known any more.
    pub user_id: Arc<str>,
    pub address: Arc<str>,
    pub content: Arc<Rendered>,
}

/// What became of a send.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum BatchOutcome {
    /// The platform answered for each message, in the order of the batch.
    Taken(Vec<Verdict>),
    /// The platform refused all of it.
    Refused { reason: String },
    /// It may have arrived or not: time-out, reset, an error that says nothing.
    Unknown { reason: String },
    /// Proved: no byte of it was written, or the platform said that it did not look at it.
    NotSent { reason: String },
}

/// What became of one message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// With the platform's id, the first one if this is a repeat.
    Accepted { id: String },
    /// Taken, but a person has to confirm it before it is sent.
    Waiting { id: String },
    /// Not taken, and it would not be taken if it were sent again.
    Refused { reason: String, because: Refusal },
    /// It may have arrived or not.
    Unknown { reason: String },
    /// Proved: not sent. It is planned again.
    NotSent { reason: String },
}

impl Verdict {
    /// The platform's id; empty where it gave none.
    pub fn id(&self) -> &str {
        match self {
            Verdict::Accepted { id } | Verdict::Waiting { id } => id,
            Verdict::Refused { .. } | Verdict::Unknown { .. } | Verdict::NotSent { .. } => "",
        }
    }

    /// Why it was not taken, or is not known.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Accepted { .. } | Verdict::Waiting { .. } => None,
            Verdict::Refused { reason, .. }
            | Verdict::Unknown { reason }
            | Verdict::NotSent { reason } => Some(reason),
        }
    }
}

/// What a refusal says of other messages to the same address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// Nothing: it is about this message.
    Message,
    /// None gets there until the user does something: writes, subscribes, authorises.
    ForNow,
    /// None ever gets there: the address is unknown, or the user does not want this account.
    Address,
}

/// What a platform knows of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BatchEvidence {
    /// It is there, under this id.
    pub found: Option<String>,
    /// What became of all of it.
    pub all: Option<ReceiptKind>,
    /// What became of messages, by their place in the batch, and when if the platform says.
    pub each: Vec<(usize, ReceiptKind, Option<Instant>)>,
    /// Nothing else will become known by asking.
    pub over: bool,
}

/// A page of a platform's mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// To be read by the account's callbacks; `None` where it holds
    /// nothing.
    pub body: Option<String>,
    /// The platform's mark of the place behind it.
    pub mark: String,
    /// There is more behind it.
    pub more: bool,
}

/// What a platform says of a list without names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DeliveryCounts {
    pub total: u64,
    /// Left out by the platform before sending.
    pub filtered: u64,
    pub delivered: u64,
    pub failed: u64,
}
