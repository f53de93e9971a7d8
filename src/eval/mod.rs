//! Plan and snapshot to answers: who is in an audience, what a value is, and why.
//!
//! Two evaluators, one meaning. [`batch`] works on blocks of 4,096 users as masks of 64-bit words and reads columns in loops; [`point`] works on one
//! user and also serves the batch evaluator for atoms that no column loop knows. Values and operators are in [`value`], events in [`events`],
//! lists and lookup tables in [`tables`], the program's own messages in [`messages`].

mod batch;
mod bind;
mod error;
mod events;
pub mod messages;
mod point;
pub mod tables;
mod trace;
pub mod value;

pub use bind::Bound;
pub use error::EvalError;
pub use messages::{MessageLog, OwnMessage, Receipt};
pub use tables::{TableError, Tables};
pub use trace::Trace;

use std::collections::BTreeMap;

use crate::base::{Bitmap, Instant, TagId, UserNo, Value};
use crate::plan;
use crate::program::expr::{EventPattern, Expr};
use crate::program::typed::Program;
use crate::store::Snapshot;

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
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

/// The outcomes of steps, by step and user: yes, no, or not known.
#[derive(Clone, Debug, Default)]
pub struct StepOutcomes {
    pub known: BTreeMap<(usize, UserNo), [Option<bool>; 4]>,
}

/// For whom a condition is true, and for whom it is known to be true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audience {
    /// Those for whom it is true; all of them are `known`.
    pub yes: Bitmap,
    pub known: Bitmap,
}

/// The audience of a condition.
///
/// # Errors
/// A store whose types do not fit the program's.
pub fn audience(scope: &Scope, condition: &Expr) -> Result<Audience, EvalError> {
    let bound = Bound::new(scope)?;
    Ok(batch::audience(scope, &bound, &plan::lower(scope.program, condition)))
}

/// A condition for one user; `None` is unknown.
///
/// # Errors
/// As [`audience`].
pub fn holds(scope: &Scope, condition: &Expr, user: UserNo) -> Result<Option<bool>, EvalError> {
    let bound = Bound::new(scope)?;
    Ok(point::Point::new(scope, &bound, user).plan(&plan::lower(scope.program, condition)))
}

/// Whether an event, given by its values, fits a pattern of its kind (triggers and `unless`).
///
/// # Errors
/// As [`audience`].
pub fn event_fits(scope: &Scope, pattern: &EventPattern, user: UserNo, values: &[Option<Value>]) -> Result<bool, EvalError> {
    let bound = Bound::new(scope)?;
    Ok(events::row_fits(&point::Point::new(scope, &bound, user), pattern, values))
}

/// A value for one user; `None` is missing.
///
/// # Errors
/// As [`audience`].
pub fn value(scope: &Scope, expr: &Expr, user: UserNo) -> Result<Option<Value>, EvalError> {
    let bound = Bound::new(scope)?;
    Ok(point::Point::new(scope, &bound, user).value(expr))
}

/// A value for each of some users, in the order of their numbers.
///
/// # Errors
/// As [`audience`].
pub fn values(scope: &Scope, expr: &Expr, users: &Bitmap) -> Result<Vec<Option<Value>>, EvalError> {
    use rayon::prelude::*;
    let bound = Bound::new(scope)?;
    let users: Vec<UserNo> = users.iter().collect();
    Ok(users.par_iter().with_min_len(1024).map(|user| point::Point::new(scope, &bound, *user).value(expr)).collect())
}

/// A condition taken apart for one user: each part with its truth and values.
///
/// # Errors
/// As [`audience`].
pub fn explain(scope: &Scope, condition: &Expr, user: UserNo) -> Result<Trace, EvalError> {
    let bound = Bound::new(scope)?;
    Ok(trace::trace(&point::Point::new(scope, &bound, user), condition))
}

/// The stored tags whose missing values make a condition unknown for a user, in the order of the schema.
///
/// # Errors
/// As [`audience`].
pub fn unknown_tags(scope: &Scope, condition: &Expr, user: UserNo) -> Result<Vec<TagId>, EvalError> {
    let bound = Bound::new(scope)?;
    Ok(trace::unknown_tags(&point::Point::new(scope, &bound, user), condition))
}

/// For how many users a condition is unknown because a tag has no value; a user counts for each such tag. Most first.
///
/// # Errors
/// As [`audience`].
pub fn unknown_because(scope: &Scope, condition: &Expr, audience: &Audience) -> Result<Vec<(TagId, usize)>, EvalError> {
    use rayon::prelude::*;
    let bound = Bound::new(scope)?;
    let users: Vec<UserNo> = audience.known.complement().iter().collect();
    let merge = |mut a: BTreeMap<TagId, usize>, b: BTreeMap<TagId, usize>| {
        for (tag, n) in b {
            *a.entry(tag).or_default() += n;
        }
        a
    };
    let counts = users
        .par_iter()
        .with_min_len(1024)
        .fold(BTreeMap::new, |mut counts: BTreeMap<TagId, usize>, user| {
            for tag in trace::unknown_tags(&point::Point::new(scope, &bound, *user), condition) {
                *counts.entry(tag).or_default() += 1;
            }
            counts
        })
        .reduce(BTreeMap::new, merge);
    let mut list: Vec<(TagId, usize)> = counts.into_iter().collect();
    list.sort_by_key(|(tag, n)| (std::cmp::Reverse(*n), *tag));
    Ok(list)
}
