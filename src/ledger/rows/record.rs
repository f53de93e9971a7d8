//! What a transaction did, as data. The records of a transaction are its payload in the audit
//! chain, and the tables are made from nothing else: [`crate::ledger::rows::projection`] carries each one out.
//!
//! Records hold user numbers and digests, never ids, addresses or texts: those lie in `blob`, where
//! a user can be erased.

use serde::{Deserialize, Serialize};

use crate::base::{Instant, UserNo};
use crate::ledger::rows::send_limits::SendLimits;
use crate::ledger::state::{ReceiptKind, State};
use crate::program::platform::ContactKind;
use crate::program::typed::{ChannelName, Purpose};

/// A digest of something in `blob`, in hex.
pub(in crate::ledger) type Digest = String;

/// One change. The time is that of the transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub(in crate::ledger) enum Record {
    /// The ledger was made.
    Created {
        ledger: String,
    },
    /// A program's text was kept.
    Program {
        digest: String,
        sources: Digest,
    },
    /// A campaign became live, or stays so with another program.
    Live {
        campaign: String,
        fixed: Option<i64>,
        program: String,
    },
    PlanUsed {
        id: String,
        program: String,
    },
    /// A due instant passed while nobody was there, beyond the deadline.
    Missed {
        campaign: String,
        due: i64,
    },
    Planned(Box<PlanRecord>),
    Segment(Box<Segment>),
    Claimed(Box<ClaimRecord>),
    /// Addresses, texts, ids and most rows of an old run go.
    Forgotten {
        run: i64,
    },
    /// Messages that are planned and not claimed change.
    Replanned(Box<ReplanRecord>),
    Answered(Box<AnswerRecord>),
    /// Claimed by a process that is gone.
    Orphaned {
        batch: i64,
    },
    /// The unclaimed members of a segment end.
    SegmentEnded {
        segment: i64,
        state: State,
    },
    ReceiptLearned(Box<ReceiptRecord>),
    OptedOut {
        user: u32,
        source: String,
    },
    /// A platform refused a message for its address: no other gets there.
    AddressBlocked {
        account: String,
        user: u32,
        /// A salted digest.
        address: i64,
        reason: String,
        /// Where a platform told so later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        when: Option<i64>,
    },
    /// A user did something on an account: a sign of life, and for some channels what opens them.
    Contacted {
        account: String,
        user: u32,
        kind: ContactKind,
        /// What the user subscribed to.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
        when: i64,
    },
    /// A platform says that what a user did opens a channel no more.
    WindowClosed {
        account: String,
        user: u32,
        kind: ContactKind,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        topic: String,
    },
    Finished {
        run: i64,
        step: i64,
    },
    Erased {
        segment: i64,
        addresses: Digest,
        contents: Digest,
    },
    /// A campaign waits after an event.
    WaitStarted(Box<WaitRecord>),
    WaitEnded {
        wait: i64,
        why: String,
    },
    TimersSet(TimerRecord),
    TimerEnded {
        segment: i64,
        step: String,
        why: String,
    },
    /// A person holds something back.
    Held {
        scope: String,
        name: String,
        /// What was planned of it is withdrawn, too.
        cancelled: bool,
        who: String,
    },
    /// A test message was claimed.
    TestSendClaimed(Box<TestSendRecord>),
    TestSendAnswered {
        test_send: i64,
        state: State,
        reason: Option<String>,
        id: String,
    },
    Released {
        scope: String,
        name: String,
        who: String,
    },
    /// A person says that the ledger, although an old copy, is to be resumed.
    Restored {
        who: String,
    },
    /// What arrived up to here is dealt with.
    EventsRead {
        source: String,
        position: i64,
    },
    /// A call of a platform was kept.
    Received {
        n: i64,
        account: String,
        at: i64,
        body: Digest,
    },
    Applied {
        n: i64,
        readable: bool,
    },
    /// Messages wait, for an account, a channel of it, or a campaign on that (empty: all of them);
    /// why, in both languages.
    Trouble {
        account: String,
        endpoint: String,
        campaign: String,
        needs_a_person: bool,
        until: Option<i64>,
        en: String,
        zh: String,
    },
    TroubleEnded {
        account: String,
        endpoint: String,
        campaign: String,
    },
    /// A mailbox was read from a mark of the platform's to another.
    MailboxRead {
        account: String,
        mailbox: String,
        from: String,
        mark: String,
        /// Nothing was left in it.
        all: bool,
    },
    /// Something was told, and will not count again.
    ReceiptSeen {
        key: String,
    },
    /// Something was told of an id that nobody knows yet.
    ReceiptUnmatched {
        id: String,
        news: String,
        when: i64,
        source: String,
    },
    ReceiptMatched {
        id: String,
        news: String,
    },
    /// A platform counted a list without names.
    ListCounted {
        batch: i64,
        total: i64,
        filtered: i64,
        delivered: i64,
        failed: i64,
    },
    /// The platform is to be asked what became of a batch; `None`: not any more.
    PollScheduled {
        batch: i64,
        due: Option<i64>,
        /// So often were those reminded who have to confirm it.
        #[serde(default, skip_serializing_if = "is_zero")]
        reminders: i64,
    },
}

/// A run, or a follow-up of it, was planned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct PlanRecord {
    pub run: i64,
    pub campaign: String,
    pub occasion: String,
    /// Of the trigger's field, for `again per`.
    pub value: Option<String>,
    /// Moves the campaign's place on the calendar.
    pub scheduled: bool,
    pub step: i64,
    pub name: String,
    pub due: i64,
    pub zone: String,
    pub program: String,
    pub snapshot: String,
    pub seed: u64,
    pub purpose: String,
    pub users: i64,
    pub not_matched: i64,
    pub choose_unknown: i64,
    pub limits: SendLimits,
    pub rising: i64,
    /// Seconds of the day in the zone.
    pub quiet: Option<(u32, u32)>,
    pub unknown_because: Vec<(String, i64)>,
    pub stopped: Vec<StoppedRecord>,
    pub arms: Vec<ArmMembers>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct StoppedRecord {
    pub reason: String,
    pub detail: Option<String>,
    pub users: i64,
    pub members: Digest,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct ArmMembers {
    pub arm: String,
    pub users: i64,
    pub members: Digest,
}

/// Messages with everything in common but the user, in the order in which they are sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct Segment {
    pub segment: i64,
    pub run: i64,
    pub step: i64,
    pub fanout_index: i64,
    pub attempt: i64,
    pub arm: Option<String>,
    pub template: String,
    pub account: String,
    pub platform: String,
    pub endpoint: String,
    /// The highest of its members'.
    pub priority: i64,
    pub not_before: i64,
    pub expires: i64,
    /// The day of `not_before` in the policy's zone: what caps count by.
    pub day: i32,
    pub size: i64,
    pub users: Digest,
    pub addresses: Digest,
    pub contents: Digest,
    /// Whether a follow-up may come after it.
    #[serde(default)]
    pub follows: bool,
}

impl Segment {
    pub fn channel(&self) -> ChannelName {
        ChannelName {
            account: self.account.clone(),
            platform: self.platform.clone(),
            endpoint: self.endpoint.clone(),
        }
    }

    /// Something was learned of the message of one of its members.
    pub fn learned(&self, user: UserNo, kind: ReceiptKind, when: Instant, source: &str) -> Record {
        let Segment {
            run,
            step,
            fanout_index,
            attempt,
            ..
        } = *self;
        Record::ReceiptLearned(Box::new(ReceiptRecord {
            run,
            step,
            fanout_index,
            user: user.0,
            attempt,
            kind,
            when: when.0,
            source: source.into(),
        }))
    }
}

/// The next members of a segment were taken for a send.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct ClaimRecord {
    pub segment: i64,
    pub first: i64,
    pub size: i64,
    /// Places in the segment whose users opted out since the plan.
    pub opted_out: Vec<i64>,
    /// Places of those for whom the channel has closed since the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreachable: Vec<i64>,
    /// Unclaimed places that had lost their slots when this was made ready.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub displaced: i64,
    /// Those of them that it passes over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<i64>,
    /// `None` when nobody is left.
    pub batch: Option<BatchRecord>,
    pub spent: Vec<QuotaSpend>,
}

/// Messages of a segment that are planned and not claimed change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct ReplanRecord {
    pub segment: i64,
    pub change: ReplanChange,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::ledger) enum ReplanChange {
    /// Some are stopped at a gate.
    Withdrawn {
        /// In the segment, rising.
        places: Vec<i64>,
        gate: String,
        /// The campaign, or the platform's cap, that has their slots.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
        members: Digest,
    },
    /// All are sent under another policy.
    NewPolicy {
        run: i64,
        step: i64,
        /// Of the whole step: seconds of the day in its zone.
        quiet: Option<(u32, u32)>,
        expires: i64,
    },
    /// What is left continues in other segments.
    Replaced {
        /// So many were claimed, no more.
        claimed: i64,
    },
    /// What is left of a list that is too short to be sent ends.
    ListEnded {
        found: ClaimRecord,
        /// Places of those who go by another channel, and of those who get no message.
        rerouted: Vec<i64>,
        not_sent: Vec<i64>,
    },
}

fn is_zero(n: &i64) -> bool {
    *n == 0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct BatchRecord {
    pub batch: i64,
    pub key: String,
    /// Digest of what is sent: a repeat has the same one.
    pub request: Digest,
    pub worker: String,
}

/// So much of a quota's window.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct QuotaSpend {
    pub holder: String,
    pub starts: i64,
    pub used: i64,
    /// No more than so many are used up by it and all others together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// A test message, before it is sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct TestSendRecord {
    pub test_send: i64,
    pub campaign: String,
    pub template: String,
    pub channel: String,
    pub user: Option<u32>,
    pub key: String,
    pub who: String,
}

/// What a channel said of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct AnswerRecord {
    pub batch: i64,
    pub state: State,
    pub reason: Option<String>,
    /// The platform's ids, in the order of the members.
    pub ids: Option<Digest>,
    /// Places in the segment whose messages were taken although the batch as a whole was not.
    pub accepted: Vec<i64>,
    /// Places whose messages were proved not to be sent although others of the batch may have been;
    /// they are planned again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_sent: Vec<i64>,
}

/// Something was learned of one message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct ReceiptRecord {
    pub run: i64,
    pub step: i64,
    pub fanout_index: i64,
    pub user: u32,
    pub attempt: i64,
    pub kind: ReceiptKind,
    /// When it happened.
    pub when: i64,
    pub source: String,
}

/// A trigger event whose campaign waits until `due`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct WaitRecord {
    pub wait: i64,
    pub campaign: String,
    pub user: u32,
    pub event: String,
    pub event_at: i64,
    pub due: i64,
    /// The event's fields.
    pub values: Digest,
}

/// A segment came to its end, and these follow-ups come after it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct TimerRecord {
    pub segment: i64,
    pub dispatched_at: Option<i64>,
    /// Name and due instant.
    pub timers: Vec<(String, i64)>,
}

/// As scripts write it.
pub(in crate::ledger) fn purpose_name(purpose: Purpose) -> &'static str {
    Purpose::ALL
        .iter()
        .find(|(p, _)| *p == purpose)
        .map_or("", |(_, name)| name)
}

/// The purpose of a name that a plan has written.
pub(in crate::ledger) fn purpose_of(name: &str) -> Purpose {
    Purpose::ALL
        .iter()
        .find(|(_, known)| *known == name)
        .map_or_else(Purpose::default, |(purpose, _)| *purpose)
}
