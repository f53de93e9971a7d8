//! Plan and snapshot to answers: who is in an audience, what a value is, and why.
//!
//! One plan, two evaluators, one meaning. [`batch`] works on blocks of 4,096 users as masks of
//! 64-bit words and reads columns in loops ([`mod@column`]); [`point`] works on one user. Both ask
//! the same [`kernel`](crate::plan::kernel) what operators do and the same [`event_query`] what a user's
//! events amount to; [`event_rows`] finds those of a block. Lists and lookups are in [`tables`], the
//! program's own messages in [`messages`]. Many conditions for one user, and which of them a change
//! can affect, are [`rules`], laid flat by [`steps`]. A third evaluator, which shares nothing with
//! these two, stands in the tests.

mod aggregate;
mod batch;
mod bind;
mod bound_test;
mod cache;
mod column_source;
mod derived;
mod error;
mod event_query;
mod event_rows;
mod masks;
pub mod messages;
mod order;
pub mod physical;
mod point;
mod prepared;
mod prepared_program;
mod rules;
mod scan;
mod steps;
pub mod tables;
mod trace;
mod unknown_causes;
mod vector;
mod vector_ops;

pub use bind::BoundPlan;
pub use error::EvalError;
pub use messages::{MessageLog, OwnMessage, ReceiptStatus};
pub use prepared::Prepared;
pub use prepared_program::{PreparedCampaign, PreparedProgram, PreparedTemplate};
pub use rules::{BoundRules, ChangeKind, RuleEvaluator, RuleSet};
pub use tables::{TableError, Tables};
pub use trace::Trace;

use std::collections::BTreeMap;

use crate::base::{Bitmap, Instant, UserNo, Value};
use crate::program::typed::Program;
use crate::program::typed_expr::{Expr, StepOutcome};
use crate::store::Snapshot;

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct EvalScope<'a> {
    pub snapshot: &'a Snapshot,
    pub program: &'a Program,
    /// What is prepared of this program.
    pub prepared: &'a PreparedProgram,
    pub tables: &'a Tables,
    pub own: &'a MessageLog,
    pub now: Instant,
    /// The values of `event.field`, by field position; `None` outside a trigger.
    pub trigger: Option<&'a [Option<Value>]>,
    /// The outcomes of a follow-up's step.
    pub outcomes: Option<&'a StepOutcomes>,
}

/// The outcomes of steps, by step and user: yes, no, or not known. What is not there is not known.
#[derive(Clone, Debug, Default)]
pub struct StepOutcomes {
    /// By the order of [`StepOutcome`]: delivered, opened, clicked, converted.
    pub known: BTreeMap<(usize, UserNo), [Option<bool>; 4]>,
}

impl StepOutcomes {
    pub fn set(&mut self, step: usize, user: UserNo, outcome: StepOutcome, truth: Option<bool>) {
        if let Some(slot) = self
            .known
            .entry((step, user))
            .or_default()
            .get_mut(outcome as usize)
        {
            *slot = truth;
        }
    }
}

/// For whom a condition is true, and for whom it is known to be true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceMask {
    /// Those for whom it is true; all of them are `known`.
    pub yes: Bitmap,
    pub known: Bitmap,
}

/// An audience in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudienceCounts {
    pub users: usize,
    pub yes: usize,
    pub no: usize,
    pub unknown: usize,
}

/// The audience of a condition that is asked once; for those of a program see [`PreparedProgram`].
///
/// # Errors
/// A store whose values do not fit the program's types; a condition that is nested too deep.
pub fn audience(scope: &EvalScope, condition: &Expr) -> Result<AudienceMask, EvalError> {
    Prepared::new(scope.program, condition).audience(scope)
}

/// How many users such a condition is true, false and unknown for; faster than an [`audience`] that
/// is only counted.
///
/// # Errors
/// As [`audience`].
pub fn counts(scope: &EvalScope, condition: &Expr) -> Result<AudienceCounts, EvalError> {
    Prepared::new(scope.program, condition).counts(scope)
}

/// A condition taken apart for one user: each part with its truth and values.
///
/// # Errors
/// As [`audience`].
pub fn explain(scope: &EvalScope, condition: &Expr, user: UserNo) -> Result<Trace, EvalError> {
    trace::trace(scope, condition, user)
}
