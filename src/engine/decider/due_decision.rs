//! What is to be decided, and what is decided and not yet planned.

use super::incoming::IncomingEvent;
use crate::base::{Bitmap, CampaignId};
use crate::decide::decision::Decision;
use crate::eval::StepOutcomes;
use crate::ledger::{DeciderChanges, Occasion, Timer};

/// Decisions that are planned in one transaction, and messages: whichever comes first.
const MOST_DECISIONS: usize = 500;
const MOST_MESSAGES: usize = 50_000;

/// Something that is to be decided at one instant.
pub enum DueDecision {
    Scheduled(CampaignId),
    /// A trigger event whose wait is over, or that needs none.
    Event {
        campaign: CampaignId,
        /// `None`: it never was in the ledger.
        number: Option<i64>,
        event: IncomingEvent,
    },
    FollowUp(Box<FollowUp>),
}

/// A follow-up for the members of one segment.
pub struct FollowUp {
    pub campaign: CampaignId,
    /// Its number in the program; the first follow-up is 1.
    pub step: usize,
    pub timer: Timer,
    pub reached: Bitmap,
    pub outcomes: StepOutcomes,
    /// Nobody knows whether these were sent anything.
    pub unknown: Bitmap,
}

/// What is decided and not yet planned.
#[derive(Default)]
pub struct DecisionBatch {
    pub decisions: Vec<(Decision, Occasion)>,
    pub later: DeciderChanges,
    pub messages: usize,
}

impl DecisionBatch {
    pub fn is_full(&self) -> bool {
        self.decisions.len() >= MOST_DECISIONS || self.messages >= MOST_MESSAGES
    }
}
