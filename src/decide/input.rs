//! What is decided: a campaign that is due, and what is looked at for it.

use super::platform_caps::ForeignUse;
use super::words::ForbiddenWords;
use crate::base::{Bitmap, CampaignId, Instant};
use crate::eval::EvalScope;

/// One campaign, or one of its follow-ups, that is due.
#[derive(Clone, Copy)]
pub struct DecideInput<'a> {
    pub campaign: CampaignId,
    /// 0 is the campaign's first message, n the nth follow-up.
    pub step: usize,
    pub due: Instant,
    /// `now` in it is the due time.
    pub scope: &'a EvalScope<'a>,
    pub seed: u64,
    pub words: &'a ForbiddenWords,
    /// Only these users can match, whenever the schedule says that it is their turn: those of a
    /// trigger event, or those whom a follow-up's step reached.
    pub only: Option<&'a Bitmap>,
    /// Whether accounts are bound to real platforms, whose lists have a least size. The sandbox
    /// takes any.
    pub bound: bool,
    /// Which are, and what others send from them.
    pub foreign: &'a ForeignUse,
}

/// No account is bound.
static NOTHING_BOUND: ForeignUse = ForeignUse::new();

impl<'a> DecideInput<'a> {
    /// A campaign's scheduled run on `sandbox.file`.
    pub fn scheduled(
        campaign: CampaignId,
        due: Instant,
        scope: &'a EvalScope<'a>,
        seed: u64,
        words: &'a ForbiddenWords,
    ) -> Self {
        DecideInput {
            campaign,
            step: 0,
            due,
            scope,
            seed,
            words,
            only: None,
            bound: false,
            foreign: &NOTHING_BOUND,
        }
    }

    /// A follow-up, or a campaign that an event starts, for some users.
    #[must_use]
    pub fn for_only(self, step: usize, users: &'a Bitmap) -> Self {
        DecideInput {
            step,
            only: Some(users),
            ..self
        }
    }
}
