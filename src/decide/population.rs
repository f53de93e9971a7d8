//! The first part of a run: who matches. Condition, then `top`, then `sample`.

use std::cmp::Ordering;

use super::lottery::Lottery;
use super::{DecideError, DecideInput, ask};
use crate::base::{Bitmap, Instant, TagId, UserNo, Value};
use crate::eval::physical::order;
use crate::eval::{self, AudienceMask, EvalError, EvalScope, Prepared};
use crate::program::typed::{Campaign, Schedule, Step};
use crate::schedule::{date_offset, user_time};

/// Everyone, by how far they came before any gate. The sets are disjoint and together everyone.
pub struct Population {
    pub matched: Bitmap,
    /// Those of a follow-up for whom its condition is false; nobody unless it has an `else`.
    pub otherwise: Bitmap,
    pub not_matched: Bitmap,
    pub unknown: Bitmap,
    pub unknown_because: Vec<(TagId, usize)>,
    pub below_top: Bitmap,
    pub not_sampled: Bitmap,
}

pub fn who(
    input: &DecideInput,
    campaign: &Campaign,
    step: Option<&Step>,
) -> Result<Population, DecideError> {
    let users = input.scope.snapshot.user_count();
    let asked = input
        .only
        .map_or_else(|| Bitmap::all(users), |only| only.and(&Bitmap::all(users)));
    let prepared = input.scope.campaign(input.campaign);
    let mut who = match step {
        // Who is named is meant.
        None if input.only.is_some() => of_condition(input, Some(&prepared.when), asked)?,
        None => of_condition(
            input,
            Some(&prepared.when),
            asked.and(&meant(input.scope, campaign, input.due)?),
        )?,
        Some(step) => of_step(input, step, asked)?,
    };
    if step.is_none() {
        if let (Some(top), Some(by)) = (&campaign.top, &prepared.top) {
            let kept = largest(input, by, top.n, &who.matched)?;
            who.below_top = who.matched.minus(&kept);
            who.matched = kept;
        }
        if let Some(share) = campaign.sample {
            let kept = Lottery::sample(input.seed, campaign).drawn(
                input.scope.snapshot,
                &who.matched,
                share,
            );
            who.not_sampled = who.matched.minus(&kept);
            who.matched = kept;
        }
    }
    Ok(who)
}

/// Those whom the schedule of a campaign means at an instant: everyone, or those whose day or time
/// of day it is.
///
/// # Errors
/// Those of evaluation.
pub fn meant(scope: &EvalScope, campaign: &Campaign, due: Instant) -> Result<Bitmap, EvalError> {
    let (zone, users) = (scope.program.policy.zone, scope.snapshot.user_count());
    let condition = match &campaign.schedule {
        Schedule::Dated(of) => date_offset::condition(of, zone, due),
        Schedule::OwnTime(own) => user_time::condition(&own.at, zone, &[due]),
        Schedule::Once(_) | Schedule::Every(_) | Schedule::Trigger(_) => {
            return Ok(Bitmap::all(users));
        }
    };
    Ok(eval::audience(scope, &condition)?.yes)
}

/// Those for whom a condition holds; without one everybody who is asked.
fn of_condition(
    input: &DecideInput,
    condition: Option<&Prepared>,
    asked: Bitmap,
) -> Result<Population, EvalError> {
    let users = asked.len();
    let AudienceMask { yes, known } = match condition {
        Some(condition) => ask::audience(input.scope, condition, &asked)?,
        None => AudienceMask {
            yes: asked.clone(),
            known: asked.clone(),
        },
    };
    let unknown = asked.minus(&known);
    let unknown_because = match condition {
        Some(condition) if !unknown.is_empty() => condition.unknown_because(
            input.scope,
            &AudienceMask {
                yes: yes.clone(),
                known: unknown.complement(),
            },
        )?,
        Some(_) | None => Vec::new(),
    };
    Ok(Population {
        not_matched: Bitmap::all(users).minus(&yes).minus(&unknown),
        matched: yes,
        otherwise: Bitmap::none(users),
        unknown,
        unknown_because,
        below_top: Bitmap::none(users),
        not_sampled: Bitmap::none(users),
    })
}

/// A follow-up: its `if`, for those who have not left the series.
fn of_step(input: &DecideInput, step: &Step, asked: Bitmap) -> Result<Population, EvalError> {
    let prepared = input.scope.campaign(input.campaign);
    let left = match &prepared.leave_when {
        // As with `except`, only those of whom it is true have left.
        Some(leave) => ask::audience(input.scope, leave, &asked)?.yes,
        None => Bitmap::none(asked.len()),
    };
    let asked = asked.minus(&left);
    let when = input
        .step
        .checked_sub(1)
        .and_then(|number| prepared.steps.get(number)?.as_ref());
    let mut who = of_condition(input, when, asked.clone())?;
    if step.otherwise.is_some() {
        who.otherwise = asked.and(&who.not_matched);
        who.not_matched = who.not_matched.minus(&who.otherwise);
    }
    Ok(who)
}

/// The `n` users with the largest values; missing values come last, ties go by user id.
fn largest(
    input: &DecideInput,
    by: &Prepared,
    n: u64,
    users: &Bitmap,
) -> Result<Bitmap, EvalError> {
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    if n >= users.count() {
        return Ok(users.clone());
    }
    let snapshot = input.scope.snapshot;
    let values = by.values(input.scope, users)?;
    let mut ranked: Vec<(Option<Value>, UserNo)> = values.into_iter().zip(users.iter()).collect();
    ranked.select_nth_unstable_by(n, |(a, user), (b, other)| {
        let by_value = match (a, b) {
            (Some(a), Some(b)) => order(b, a).unwrap_or(Ordering::Equal),
            (a, b) => b.is_some().cmp(&a.is_some()),
        };
        by_value.then_with(|| snapshot.user_id(*user).cmp(&snapshot.user_id(*other)))
    });
    Ok(Bitmap::from_users(
        users.len(),
        ranked.into_iter().take(n).map(|(_, user)| user),
    ))
}
