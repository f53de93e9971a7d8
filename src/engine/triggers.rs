//! What an event starts: whether its campaign waits, whether the wait came to nothing, and what is
//! asked when it is over. The same for `test` blocks, rehearsals and real events.

use crate::base::{CampaignId, Instant, UserNo, Zone};
use crate::eval::{EvalError, EvalScope};
use crate::program::typed::{Again, Campaign, Trigger};

/// What an event does to the wait of its user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arming {
    /// A wait begins that ends then; without `wait` at once.
    Starts(Instant),
    /// The wait that is in progress ends then.
    Restarts(Instant),
    /// A wait is in progress: the event starts none.
    Ignored,
}

/// A second event during a wait starts none unless `again always`; with `from last` it starts the
/// wait anew.
pub fn arming(
    campaign: &Campaign,
    trigger: &Trigger,
    zone: Zone,
    at: Instant,
    pending: Option<Instant>,
) -> Arming {
    let Some(wait) = trigger.wait else {
        return Arming::Starts(at);
    };
    let due = wait.after(at, zone);
    match pending {
        Some(end) if at <= end && trigger.from_last => {
            if due > end {
                Arming::Restarts(due)
            } else {
                Arming::Ignored
            }
        }
        Some(end) if at <= end && !matches!(campaign.again, Some(Again::Always)) => Arming::Ignored,
        _ => Arming::Starts(due),
    }
}

/// Whether the event of `unless` came between the trigger and the end of the wait, which is `now`
/// of the scope. What is not known did not.
///
/// # Errors
/// Those of evaluation.
pub fn came_meanwhile(
    scope: &EvalScope,
    campaign: CampaignId,
    armed: Instant,
    user: UserNo,
) -> Result<bool, EvalError> {
    match &scope.campaign(campaign).unless {
        Some(unless) => Ok(unless.was_since(scope, armed, user)? == Some(true)),
        None => Ok(false),
    }
}
