//! The ledger: what is live, what was planned, what was claimed, what was answered. A SQLite file
//! beside the store, or a PostgreSQL database that several workers share ([`access::location`]).
//!
//! | transaction | writes | a crash before its commit | a crash after it |
//! | --- | --- | --- | --- |
//! | plan | runs, texts, frozen segments, stopped users | nothing happened, planned again | never evaluated again |
//! | claim | the next members of a segment, their keys, digest of the request | nothing was sent | unknown, settled at the next start |
//! | answer | accepted, refused, unknown, or proved not sent | unknown, settled at the next start | done |
//!
//! A change is a list of [`rows::record`]s. They are the payload of one link of the audit chain and the
//! only thing that the tables are made from ([`rows::projection`]), so that [`LedgerReader::verify`] can
//! make the tables again and compare. What is long (users, addresses, texts) lies in [`rows::blob`] under its
//! digest.
//!
//! It is opened as a [`LedgerReader`], as the one [`Ledger`] that decides, as a [`Worker`] or as a
//! person's [`Console`], and used by views of which none has another's verbs: [`LedgerReader`] asks,
//! [`Planner`] plans, [`Dispatcher`] sends, [`Operator`] is a person. There is one writer at a time
//! over all processes. What may follow what is in the types: only a [`DueSegment`] can be claimed,
//! only a [`Claim`] or an [`UnsettledBatch`] can be answered, each once.

mod access;
mod answer;
mod audit;
mod claim;
mod dispatch_batch;
mod error;
pub mod event_sources;
mod ids;
mod inbox;
mod operator;
mod plan;
mod rate_limit;
mod replan;
mod report;
mod rows;
mod sql;
mod state;
mod timers;

pub use access::console::Console;
pub use access::core::LedgerReader;
pub use access::location::LedgerLocation;
pub use access::opening::{Ledger, Worker};
pub use access::restore::Restored;
pub use access::views::{Dispatcher, Dispatching, Operator, Planner};
pub use answer::polls::{PollRequest, PolledBatch};
pub use answer::trouble::Trouble;
pub use audit::verify::{Head, Verified};
pub use claim::claiming::{Claim, ClaimAttempt};
pub use claim::due::{DueFilter, DueSegment};
pub use claim::unknown_batches::{UnknownBatch, UnsettledBatch};
pub use dispatch_batch::{
    Batch, BatchEvidence, BatchOutcome, DeliveryCounts, Message, Page, Refusal, Verdict,
};
pub use error::LedgerError;
pub use ids::{MessageKey, RunId};
pub use inbox::calls::{Call, CallApplied, NewCall, Receipt, ReceiptContent};
pub use inbox::contacts::RefusedAddress;
pub use inbox::mailbox::MailboxState;
pub use operator::holds::{Hold, HoldScope};
pub use operator::learned::MessageNews;
pub use operator::test_messages::{TestSend, TestSendState};
pub use plan::live_programs::{
    Applied, Live, LiveCampaign, LiveProgram, MissedInstant, StoredProgram,
};
pub use plan::planned_runs::{Occasion, PlannedRun, RunInfo};
pub use rate_limit::RateLimit;
pub use replan::{PlannedFilter, PlannedMessages};
pub use report::backlog::Backlog;
pub use report::outcome::{MessageOutcome, MessageProgress, UserOutcome};
pub use report::run_report::{MessagesReport, RunReport, StoppedReport};
pub use report::sent_messages::SentMessage;
pub use sql::Error as DbError;
pub use state::{ReceiptKind, State};
pub use timers::{
    CampaignNames, DeciderChanges, DispatchedSegment, EndReason, FollowUpMember, NewWait, Timer,
    Wait,
};
