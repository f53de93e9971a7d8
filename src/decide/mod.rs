//! Who gets what, by which channel, and who does not and why: one typed outcome a user, the same for the same inputs.
//!
//! Pure: what happened before comes in as [`history::History`], what is decided goes out as [`decision::Decision`]. [`run`] keeps the order of
//! the language reference: audience, top, sample, then the gates; [`assign`] says which arm, template and channel a user would get.

mod assign;
pub mod caps;
pub mod decision;
mod error;
pub mod funnel;
pub mod hash;
pub mod history;
pub mod render;
mod run;
pub mod words;

pub use error::DecideError;
pub use run::decide_all;
pub use words::{ForbiddenWords, WordsError};

use crate::base::{Bitmap, CampaignId, Instant};
use crate::eval::Scope;

/// One campaign, or one of its follow-ups, that is due.
#[derive(Clone, Copy)]
pub struct DecideInput<'a> {
    pub campaign: CampaignId,
    /// 0 is the campaign's first message, n the nth follow-up.
    pub step: usize,
    pub due: Instant,
    /// `now` in it is the due time.
    pub scope: &'a Scope<'a>,
    pub seed: u64,
    pub words: &'a ForbiddenWords,
    /// Only these users can match: of a trigger or a follow-up.
    pub only: Option<&'a Bitmap>,
    /// The value of the field that `again per event.field` names.
    pub again_value: Option<&'a str>,
    /// Whether accounts are bound to real platforms, whose lists have a least size.
    pub bound: bool,
}

impl<'a> DecideInput<'a> {
    /// A campaign's scheduled run on `sandbox.file`.
    pub fn scheduled(campaign: CampaignId, due: Instant, scope: &'a Scope<'a>, seed: u64, words: &'a ForbiddenWords) -> Self {
        DecideInput { campaign, step: 0, due, scope, seed, words, only: None, again_value: None, bound: false }
    }
}
