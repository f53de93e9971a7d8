//! A batch and its members, as they were claimed.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Instant, UserNo};
use crate::decide::decision::Rendered;
use crate::ledger::claim::open_segment::OpenSegment;
use crate::ledger::dispatch_batch::{Batch, Message};
use crate::ledger::ids::RunId;
use crate::ledger::rows::blob;
use crate::ledger::state::State;
use crate::store::Users;

/// A batch and its members, as they were claimed.
#[derive(Debug)]
pub(in crate::ledger) struct HeldBatch {
    pub(in crate::ledger) segment: OpenSegment,
    pub(in crate::ledger) batch: i64,
    pub(in crate::ledger) key: String,
    /// Digest of what was sent the first time.
    pub(in crate::ledger) request: String,
    pub(in crate::ledger) claimed_at: Instant,
    /// Those that are sent; of a repeat, those of which nothing is known.
    pub(in crate::ledger) members: Vec<Member>,
    /// How many were sent the first time.
    pub(in crate::ledger) of: usize,
    /// The least that is known of those that are not sent again.
    pub(in crate::ledger) least: Option<State>,
}

#[derive(Clone, Debug)]
pub(in crate::ledger) struct Member {
    /// In the segment.
    pub(in crate::ledger) place: i64,
    /// In the batch.
    pub(in crate::ledger) nth: usize,
    pub(in crate::ledger) user: UserNo,
    pub(in crate::ledger) key: String,
    pub(in crate::ledger) address: Arc<str>,
    pub(in crate::ledger) content: Arc<Rendered>,
}

impl HeldBatch {
    pub(in crate::ledger) fn batch(&self, users: &Users) -> Batch {
        let name = |user: UserNo| {
            users
                .id(user)
                .map_or_else(|| user.to_string().into(), Arc::from)
        };
        let message = |m: &Member| Message {
            key: m.key.clone(),
            user: m.user,
            user_id: name(m.user),
            address: m.address.clone(),
            content: m.content.clone(),
        };
        Batch {
            key: self.key.clone(),
            run: RunId(self.segment.of.run),
            campaign: self.segment.campaign.clone(),
            step: self.segment.step.clone(),
            arm: self.segment.of.arm.clone(),
            template: self.segment.of.template.clone(),
            channel: self.segment.channel(),
            zone: self.segment.zone,
            at: self.claimed_at,
            begin_by: None,
            messages: self.members.iter().map(message).collect(),
        }
    }

    /// The places in the batch of those that are sent.
    pub(in crate::ledger) fn places(&self) -> impl Iterator<Item = usize> {
        self.members.iter().map(|m| m.nth)
    }

    /// Digest of what is sent.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        put(&self.key);
        put(&self.segment.channel().to_string());
        put(&self.claimed_at.0.to_string());
        for m in &self.members {
            put(&m.key);
            put(&m.address);
            m.content.parts.iter().for_each(|(name, value)| {
                put(name);
                put(value);
            });
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// A batch as it was claimed, and what is known of it.
#[derive(Debug)]
pub(in crate::ledger) struct ClaimedBatch {
    pub held: HeldBatch,
    /// Of the batch as a whole.
    pub state: State,
    /// What is known of each member besides.
    pub states: Vec<State>,
}

impl ClaimedBatch {
    /// As far as it concerns some members.
    pub fn only(mut self, places: &BTreeSet<usize>) -> HeldBatch {
        let others = self
            .states
            .iter()
            .enumerate()
            .filter(|(nth, _)| !places.contains(nth))
            .map(|(_, s)| *s);
        self.held.least = others.filter(|s| s.is_known()).min();
        self.held.members.retain(|m| places.contains(&m.nth));
        self.held
    }
}

/// 32 hex digits: what the shortest key field of a platform holds.
pub(in crate::ledger) fn platform_key(text: &str) -> String {
    let mut key = blob::digest(text.as_bytes());
    key.truncate(32);
    key
}
