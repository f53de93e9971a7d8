//! What hands messages over, and what it must say about itself.
//!
//! A channel is asked once for each batch and answers once. It never repeats anything on its own:
//! whether a hand-over may be repeated is decided from the ledger and from what the channel's pack
//! promises. (One exception: a request that the platform refused for its token, or for what must be
//! put right before it is looked at, was not looked at; it is asked again once with a new token.)

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::channels::{ChannelError, SandboxFile};
use super::ledger::{ReceiptKind, RunId};
use crate::base::world::World;
use crate::base::{Elapsed, Instant, UserNo, Zone};
use crate::decide::decision::Rendered;
use crate::diag::Msg;
use crate::program::pack::{Endpoint, Key};
use crate::program::typed::Channel as Name;

/// A way to hand over messages.
pub trait Channel: Send + Sync {
    /// What its platform promises: how a repeat is recognised, what becomes known of each outcome.
    fn endpoint(&self) -> &Endpoint;

    /// Most messages of a batch.
    fn most(&self) -> usize;

    /// How long after a claim whose process is gone the platform may still receive it.
    fn settles_after(&self) -> Elapsed;

    /// Whether a hand-over that may have arrived is recognised when it is repeated with the same
    /// bytes; the pack says for how long.
    fn knows_repeats(&self) -> bool {
        match &self.endpoint().key {
            Key::Key {
                only_if_declared, ..
            } => !only_if_declared,
            Key::Content { .. } => true,
            Key::Proof { .. } | Key::None => false,
        }
    }

    fn send(&self, batch: &Batch) -> Reply;

    /// Hands over one message to one person to look at; a channel that takes only lists may have
    /// another way for that.
    fn send_test(&self, batch: &Batch) -> Reply {
        self.send(batch)
    }

    /// Whether [`Self::look_up`] can find a hand-over whose answer was lost.
    fn finds_lost(&self) -> bool {
        false
    }

    /// Asks what the platform knows of a batch: of one whose answer was lost (`id` is `None`)
    /// whether it arrived, of one that was accepted (`id` is the platform's, of the job or of a
    /// message) what became of it. That nothing is found proves nothing.
    fn look_up(&self, batch: &Batch, id: Option<&str>) -> Result<Evidence, String> {
        let _ = (batch, id);
        Ok(Evidence::default())
    }

    /// What the platform keeps about users of the account until it is fetched, by the platform's
    /// name; `None` where it calls back or says nothing.
    fn mailbox(&self) -> Option<&str> {
        None
    }

    /// Fetches the next page of its mailbox, behind the platform's mark of a place, or from the
    /// beginning where that is empty. `token` is what the platform gave when it called to say that
    /// there is something. It may be asked again at will.
    ///
    /// # Errors
    /// Why there is no page.
    fn fetch(&self, mark: &str, token: Option<&str>) -> Result<Page, String> {
        let _ = (mark, token);
        Err("this channel has no mailbox".into())
    }

    /// Takes back what was sent under one of the platform's ids; `content` is what was sent.
    fn recall(&self, id: &str, content: &Rendered) -> Recalled {
        let _ = (id, content);
        Recalled::Cannot {
            reason: "this channel takes nothing back".into(),
        }
    }

    /// Reminds the people who have to confirm what was accepted under one of the platform's ids.
    ///
    /// # Errors
    /// Where nobody has to, or the platform takes no more reminders.
    fn remind(&self, id: &str) -> Result<(), String> {
        let _ = id;
        Err("nobody has to confirm on this channel".into())
    }
}

/// Messages that are handed over together. A repeat is the same, byte for byte.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Of the hand-over, for a platform that takes a list.
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

/// What a channel says of a batch, and what follows for those that come after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    pub answer: Answer,
    pub then: Then,
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Reply {
            answer,
            then: Then::GoOn,
        }
    }
}

/// What became of a hand-over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
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

/// How to go on with the channel after a batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Then {
    GoOn,
    /// Others on this channel of this account would be refused until then.
    Wait {
        until: Instant,
        why: Msg,
    },
    /// Others on this account would be refused until a person does something.
    Stop {
        why: Msg,
    },
}

/// What a platform knows of a batch.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Evidence {
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
    /// To be read by the account's [`Callbacks`](super::callback::Callbacks); `None` where it holds
    /// nothing.
    pub body: Option<String>,
    /// The platform's mark of the place behind it.
    pub mark: String,
    /// There is more behind it.
    pub more: bool,
}

/// What a platform says of a list without names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub total: u64,
    /// Left out by the platform before sending.
    pub filtered: u64,
    pub delivered: u64,
    pub failed: u64,
}

/// What came of taking something back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Recalled {
    Done,
    /// What people had not confirmed yet is stopped; what they had sent stays.
    Unsent,
    Cannot {
        reason: String,
    },
    /// Whether it was taken back is not known; it may be asked again.
    Unknown {
        reason: String,
    },
}

/// Who carries which endpoint.
#[derive(Clone)]
pub struct Channels {
    bound: BTreeMap<(String, String), Arc<dyn Channel>>,
    otherwise: Arc<dyn Channel>,
}

impl Channels {
    /// Nothing is bound: all messages become lines of a file.
    ///
    /// # Errors
    /// When the file's control file cannot be read.
    pub fn sandbox(file: &Path, world: Arc<dyn World>) -> Result<Self, ChannelError> {
        Ok(Channels::all_by(Arc::new(SandboxFile::at(file, world)?)))
    }

    /// One channel carries everything that is not bound.
    pub fn all_by(otherwise: Arc<dyn Channel>) -> Self {
        Channels {
            bound: BTreeMap::new(),
            otherwise,
        }
    }

    /// Lets `channel` carry an endpoint of an account.
    #[must_use]
    pub fn bind(mut self, account: &str, endpoint: &str, channel: Arc<dyn Channel>) -> Self {
        self.bound
            .insert((account.into(), endpoint.into()), channel);
        self
    }

    /// The same with no account bound.
    #[must_use]
    pub fn unbound(&self) -> Self {
        Channels {
            bound: BTreeMap::new(),
            otherwise: self.otherwise.clone(),
        }
    }

    /// Lets an account's endpoints be carried as they are there.
    #[must_use]
    pub fn bind_as(mut self, account: &str, there: &Channels) -> Self {
        let endpoints = there.bound.iter().filter(|((of, _), _)| of == account);
        self.bound
            .extend(endpoints.map(|(name, channel)| (name.clone(), channel.clone())));
        self
    }

    /// The channels that have a mailbox, each with its account.
    pub fn with_mailbox(&self) -> Vec<(String, Arc<dyn Channel>)> {
        let bound = self
            .bound
            .iter()
            .filter(|(_, channel)| channel.mailbox().is_some());
        bound
            .map(|((account, _), channel)| (account.clone(), channel.clone()))
            .collect()
    }

    pub fn of(&self, name: &Name) -> &dyn Channel {
        self.bound
            .get(&(name.account.clone(), name.endpoint.clone()))
            .unwrap_or(&self.otherwise)
            .as_ref()
    }
}
