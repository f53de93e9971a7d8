//! Who gets what, by which channel, and who does not and why: one typed outcome a user, the same
//! for the same inputs.
//!
//! Pure: what happened before comes in as [`history::History`], what is decided goes out as
//! [`decision::Decision`]. A run is decided in this order: [`population`] matches (condition, `top`,
//! `sample`); which [`assignments`] they go (arm, `choose`); the [`gates`] that need no message; by which
//! channel they are [`reach`]ed, and whether it is open for them ([`windows`]); what the message
//! says ([`render`]) and whether it may ([`content`]); who gets the last slots among all that is
//! due at the same instant ([`arbitrate`], [`caps`], [`platform_caps`]). [`funnel`] shows a decision to
//! people.

mod arbitrate;
mod ask;
mod assignments;
mod caps;
mod content;
pub mod decision;
mod error;
pub mod funnel;
mod gates;
mod groups;
pub mod history;
mod lists;
pub mod load;
pub mod lottery;
mod next_route;
pub mod platform_caps;
mod population;
mod reach;
pub mod recheck;
pub mod render;
mod run_state;
pub mod windows;
pub mod words;

pub use error::DecideError;
pub use gates::again_value;
pub use population::meant;
pub use words::{ForbiddenWords, WordsError};

use crate::base::{Bitmap, CampaignId, Instant};
use crate::eval::EvalScope;
use decision::Decision;
use gates::HistoryAnswers;
use history::History;
use platform_caps::ForeignUse;
use run_state::RunState;

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

/// Decides everything that is due at one instant; the decisions are in the order of the inputs.
/// Campaigns compete for slots by priority, then name, so that the order of the inputs changes
/// nothing.
///
/// # Errors
/// Those of evaluation and of the history.
pub fn decide_all<H: History>(
    inputs: &[DecideInput],
    history: &H,
) -> Result<Vec<Decision>, DecideError> {
    let mut past = HistoryAnswers::new(history);
    let mut drafts = inputs
        .iter()
        .map(|input| RunState::new(input, &mut past))
        .collect::<Result<Vec<_>, _>>()?;
    arbitrate::arbitrate(&mut drafts, history)?;
    Ok(drafts.into_iter().map(RunState::finish).collect())
}
