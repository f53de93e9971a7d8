//! Plan and snapshot to answers: who is in an audience, what a value is, and why.
//!
//! One plan, two evaluators, one meaning. [`batch`] works on blocks of 4,096 users ([`mod@block`])
//! as masks of 64-bit words and reads columns in loops ([`column_source`]); [`point`] works on one user. Both ask
//! the same [`kernel`](crate::plan::kernel) what operators do and the same [`event_query`] what a user's
//! events amount to; [`event_rows`] finds those of a block. Lists and lookups are in [`tables`], the
//! program's own messages in [`messages`]. Many conditions for one user, and which of them a change
//! can affect, are [`rules`], laid flat by [`steps`]. A third evaluator, which shares nothing with
//! these two, stands in the tests.

mod aggregate;
mod answer_cache;
mod audience_mask;
mod batch;
mod bind;
mod block;
mod bound_test;
mod column_source;
mod derived;
mod error;
mod eval_scope;
mod event_query;
mod event_rows;
mod kept_answers;
mod lowered;
mod masks;
pub mod messages;
mod order;
pub mod physical;
mod point;
mod prepared;
mod prepared_program;
mod questions;
mod rules;
mod scan;
mod steps;
pub mod tables;
mod trace;
mod unknown_causes;
mod vector;
mod vector_ops;

pub use audience_mask::{AudienceCounts, AudienceMask};
pub use bind::BoundPlan;
pub use error::EvalError;
pub use eval_scope::{EvalScope, StepOutcomes};
pub use messages::{MessageLog, OwnMessage, ReceiptStatus};
pub use prepared::Prepared;
pub use prepared_program::{PreparedCampaign, PreparedProgram, PreparedTemplate};
pub use rules::{BoundRules, ChangeKind, RuleEvaluator, RuleSet};
pub use tables::{TableError, Tables};
pub use trace::Trace;

use crate::base::UserNo;
use crate::program::typed_expr::Expr;

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
