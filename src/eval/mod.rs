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
mod ready;
mod rules;
mod scan;
mod steps;
pub mod tables;
mod trace;
mod unknown_causes;
mod vector;

pub use bind::BoundPlan;
pub use cache::forget;
pub use error::EvalError;
pub use messages::{MessageLog, OwnMessage, ReceiptStatus};
pub use rules::{BoundRules, ChangeKind, RuleEvaluator, RuleSet};
pub use tables::{TableError, Tables};
pub use trace::Trace;

use std::collections::BTreeMap;

use self::point::{Point, PointTarget};
use crate::base::{Bitmap, Instant, TagId, UserNo, Value};
use crate::plan::node::{CondId, Node};
use crate::plan::{self, Plan};
use crate::program::typed::Program;
use crate::program::typed_expr::{EventPattern, Expr, StepOutcome};
use crate::store::Snapshot;

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct EvalScope<'a> {
    pub snapshot: &'a Snapshot,
    pub program: &'a Program,
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

/// The audience of a condition.
///
/// # Errors
/// A store whose values do not fit the program's types; a condition that is nested too deep.
pub fn audience(scope: &EvalScope, condition: &Expr) -> Result<AudienceMask, EvalError> {
    let (plan, root) = lower_condition(scope, condition)?;
    Ok(batch::audience(&BoundPlan::new(scope, &plan)?, root))
}

/// How many users a condition is true, false and unknown for; faster than an [`audience`] that is
/// only counted.
///
/// # Errors
/// As [`audience`].
pub fn counts(scope: &EvalScope, condition: &Expr) -> Result<AudienceCounts, EvalError> {
    let (plan, root) = lower_condition(scope, condition)?;
    Ok(batch::counts(&BoundPlan::new(scope, &plan)?, root))
}

/// A condition for one user; `None` is unknown.
///
/// # Errors
/// As [`audience`].
pub fn holds(scope: &EvalScope, condition: &Expr, user: UserNo) -> Result<Option<bool>, EvalError> {
    let (plan, root) = lower_condition(scope, condition)?;
    let bound = BoundPlan::new(scope, &plan)?;
    Ok(Point::new(&bound, PointTarget::User(user)).cond(root))
}

/// A value for one user; `None` is missing (of a condition: unknown).
///
/// # Errors
/// As [`audience`].
pub fn physical(scope: &EvalScope, expr: &Expr, user: UserNo) -> Result<Option<Value>, EvalError> {
    let plan = plan::lower(scope.program, expr)?;
    Ok(BoundPlan::new(scope, &plan)?.value(user))
}

/// A value for each of some users, in the order of their numbers.
///
/// # Errors
/// As [`audience`].
pub fn values(
    scope: &EvalScope,
    expr: &Expr,
    users: &Bitmap,
) -> Result<Vec<Option<Value>>, EvalError> {
    let plan = plan::lower(scope.program, expr)?;
    Ok(BoundPlan::new(scope, &plan)?.values(users))
}

/// Whether an event row, given by its values, fits the `where` of a pattern; unknown does not.
///
/// # Errors
/// As [`audience`].
pub fn row_fits(
    scope: &EvalScope,
    pattern: &EventPattern,
    row: &[Option<Value>],
) -> Result<bool, EvalError> {
    let Some(filter) = &pattern.filter else {
        return Ok(true);
    };
    let (plan, root) = lower_condition(scope, filter)?;
    let bound = BoundPlan::new(scope, &plan)?;
    Ok(Point::new(&bound, PointTarget::Fields(row)).cond(root) == Some(true))
}

/// A condition taken apart for one user: each part with its truth and values.
///
/// # Errors
/// As [`audience`].
pub fn explain(scope: &EvalScope, condition: &Expr, user: UserNo) -> Result<Trace, EvalError> {
    trace::trace(scope, condition, user)
}

/// The tags whose missing values make a condition unknown for a user, in the order of the schema; a
/// derived tag with those that it stands on.
///
/// # Errors
/// As [`audience`].
pub fn unknown_tags(
    scope: &EvalScope,
    condition: &Expr,
    user: UserNo,
) -> Result<Vec<TagId>, EvalError> {
    let (plan, root) = lower_condition(scope, condition)?;
    Ok(unknown_causes::unknown_tags(
        &BoundPlan::new(scope, &plan)?,
        root,
        user,
    ))
}

/// For how many users a condition is unknown because a tag has no value; a user counts for each
/// such tag. Most first.
///
/// # Errors
/// As [`audience`].
pub fn unknown_because(
    scope: &EvalScope,
    condition: &Expr,
    audience: &AudienceMask,
) -> Result<Vec<(TagId, usize)>, EvalError> {
    let (plan, root) = lower_condition(scope, condition)?;
    let mut list: Vec<(TagId, usize)> =
        unknown_causes::unknown_because(&BoundPlan::new(scope, &plan)?, root, audience)
            .into_iter()
            .collect();
    list.retain(|(_, n)| *n > 0);
    list.sort_by_key(|(tag, n)| (std::cmp::Reverse(*n), *tag));
    Ok(list)
}

fn lower_condition(scope: &EvalScope, condition: &Expr) -> Result<(Plan, CondId), EvalError> {
    let plan = plan::lower(scope.program, condition)?;
    match plan.root {
        Node::Cond(root) => Ok((plan, root)),
        Node::Val(_) => Err(EvalError::Internal(condition.span)),
    }
}
