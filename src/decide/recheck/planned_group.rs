//! What is planned, and what may change of it before it is sent.

use std::sync::Arc;

use crate::base::{Date, Instant, UserNo, Zone};
use crate::decide::decision::{Gate, Rendered};
use crate::decide::history::PendingMessages;
use crate::program::typed::{ChannelName, Quiet};
use crate::schedule::SendWindow;

/// Planned messages that are not claimed, and what they have in common.
#[derive(Clone, PartialEq, Debug)]
pub struct PlannedGroup {
    pub pending: PendingMessages,
    /// The step's name; of a campaign's first message the campaign's.
    pub step: String,
    /// Of a split.
    pub arm: Option<String>,
    /// When the run, or the follow-up, was due.
    pub due: Instant,
    /// The policy's, when it was planned.
    pub zone: Zone,
    pub policy: MessagePolicy,
    /// One a message, in the order in which they are sent.
    pub users: Vec<UserNo>,
}

/// When a planned message may be sent.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MessagePolicy {
    pub quiet: Option<Quiet>,
    pub expires: Instant,
}

/// What changes of a group. Messages are named by their position in it.
#[derive(Clone, PartialEq, Debug)]
pub enum Recheck {
    /// Some are not sent, and stopped at a gate; the others stay as they are.
    Withdraw(Vec<(usize, Gate)>),
    /// All are sent under this policy.
    NewPolicy(MessagePolicy),
    /// All count on another day, but for those that have no slot there: they are withdrawn.
    Reschedule {
        day: NewDay,
        no_slot: Vec<(usize, Gate)>,
    },
    /// A list that is too short ends. These go by other channels, the others are not sent.
    Reroute(Vec<(usize, NewRoute)>),
    /// A list that is too short continues in one list with that of another segment.
    JoinList(i64),
}

/// The day that messages count on, and from when on they may be sent: not on a day that they do
/// not count on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct NewDay {
    pub day: Date,
    pub not_before: Instant,
}

/// Where and when a message is sent instead.
#[derive(Clone, PartialEq, Debug)]
pub struct NewRoute {
    pub channel: ChannelName,
    pub address: Arc<str>,
    pub window: SendWindow,
}

impl PlannedGroup {
    /// Whether what is left of a list may be sent in one list with another one of the same run, step
    /// and channel, planned earlier or later. `contents` are the text of each.
    pub fn joins(&self, other: &PlannedGroup, contents: [&Rendered; 2]) -> bool {
        let [ours, theirs] = contents;
        let days = |group: &PlannedGroup| (group.pending.day, group.policy.expires);
        self.arm == other.arm && days(self) == days(other) && ours == theirs
    }
}
