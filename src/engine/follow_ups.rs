//! What comes after a message: when a follow-up is due, and what is known of the message before it.
//! The same for `test` blocks, rehearsals and real sends.

use crate::base::{Bitmap, Calendar, CampaignId, Instant, UserNo, Zone};
use crate::eval::{EvalError, EvalScope, ReceiptStatus, StepOutcomes};
use crate::program::typed::Step;
use crate::program::typed_expr::{OwnEvent, StepOutcome};

/// When a follow-up of something that was sent at `last` is due.
pub fn due(step: &Step, zone: Zone, last: Instant) -> Instant {
    let at = step.delay.after(last, zone);
    let Some(time) = step.at else { return at };
    let today = zone.date(at);
    let candidate = zone.instant(today, time);
    if candidate >= at {
        candidate
    } else {
        zone.instant(today.checked_add(Calendar::days(1)).unwrap_or(today), time)
    }
}

/// What is known of the messages of a step when a follow-up asks, at `now` of the scope. Whether
/// the goal was reached is always known.
///
/// # Errors
/// Those of evaluation.
pub fn outcomes(
    scope: &EvalScope,
    campaign: CampaignId,
    from: usize,
    handed_over: Instant,
    reached: &[(UserNo, [ReceiptStatus; 7])],
) -> Result<StepOutcomes, EvalError> {
    let mut outcomes = StepOutcomes::default();
    let truth = |receipts: &[ReceiptStatus; 7], event: OwnEvent| match receipts
        .get(event as usize)
        .copied()
        .unwrap_or_default()
    {
        ReceiptStatus::Yes(at) => Some(at <= scope.now),
        ReceiptStatus::No => Some(false),
        ReceiptStatus::Unknown => None,
    };
    for (user, receipts) in reached {
        outcomes.set(
            from,
            *user,
            StepOutcome::Delivered,
            truth(receipts, OwnEvent::Delivered),
        );
        outcomes.set(
            from,
            *user,
            StepOutcome::Opened,
            truth(receipts, OwnEvent::Opened),
        );
        outcomes.set(
            from,
            *user,
            StepOutcome::Clicked,
            truth(receipts, OwnEvent::Clicked),
        );
    }
    let (Some(goal), Some(reached_goal)) = (
        &scope.program.campaign(campaign).goal,
        &scope.campaign(campaign).goal,
    ) else {
        return Ok(outcomes);
    };
    let end = goal
        .within
        .after(handed_over, scope.program.policy.zone)
        .min(scope.now);
    let then = EvalScope { now: end, ..*scope };
    let users = Bitmap::from_users(
        scope.snapshot.user_count(),
        reached.iter().map(|(user, _)| *user),
    );
    let converted = reached_goal.bind(&then)?.since(handed_over).values(&users);
    for (user, value) in users.iter().zip(converted) {
        let truth = match value {
            Some(crate::base::Value::Bool(did)) => Some(did),
            _ => None,
        };
        outcomes.set(from, user, StepOutcome::Converted, truth);
    }
    Ok(outcomes)
}
