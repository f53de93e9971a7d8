//! What hands messages over, and what it must say about itself.
//!
//! A channel is asked once for each batch and answers once. It never repeats anything on its own: whether a hand-over may be repeated is
//! decided from the ledger and from what the channel's pack promises.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::channels::{ChannelError, SandboxFile};
use super::ledger::RunId;
use crate::base::world::World;
use crate::base::{Elapsed, Instant, UserNo, Zone};
use crate::decide::decision::Rendered;
use crate::program::pack::Endpoint;
use crate::program::typed::Channel as Name;

/// A way to hand over messages.
pub trait Channel: Send + Sync {
    /// What its platform promises: how a repeat is recognised, what becomes known of each outcome.
    fn endpoint(&self) -> &Endpoint;

    /// Most messages of a batch.
    fn most(&self) -> usize;

    /// How long after a claim whose process is gone the platform may still receive it.
    fn settles_after(&self) -> Elapsed;

    fn send(&self, batch: &Batch) -> Answer;
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
    pub messages: Vec<Message>,
}

#[derive(Clone, Debug)]
pub struct Message {
    /// Of this message, for a platform that takes them one by one: 32 hex digits, the same for ever.
    pub key: String,
    pub user: UserNo,
    /// The user's id in the store; the number where it is not known any more.
    pub user_id: Arc<str>,
    pub address: Arc<str>,
    pub content: Arc<Rendered>,
}

/// What became of a hand-over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The platform answered for each message, in the order of the batch.
    Taken(Vec<Verdict>),
    /// The platform refused all of it.
    Refused { reason: String },
    /// It may have arrived or not: time-out, reset, an error that says nothing.
    Unknown { reason: String },
    /// Proved: no byte of it was written.
    NotSent { reason: String },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// With the platform's id, the first one if this is a repeat.
    Accepted {
        id: String,
    },
    Refused {
        reason: String,
    },
}

/// Who carries which endpoint.
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
        Channels { bound: BTreeMap::new(), otherwise }
    }

    /// Lets `channel` carry an endpoint of an account.
    #[must_use]
    pub fn bind(mut self, account: &str, endpoint: &str, channel: Arc<dyn Channel>) -> Self {
        self.bound.insert((account.into(), endpoint.into()), channel);
        self
    }

    pub fn of(&self, name: &Name) -> &dyn Channel {
        self.bound.get(&(name.account.clone(), name.endpoint.clone())).unwrap_or(&self.otherwise).as_ref()
    }
}
