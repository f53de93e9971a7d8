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
mod input;
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
pub use input::DecideInput;
pub use population::meant;
pub use words::{ForbiddenWords, WordsError};

use decision::Decision;
use gates::HistoryAnswers;
use history::History;
use run_state::RunState;

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
