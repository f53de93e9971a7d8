//! What expressions are evaluated over.

use std::collections::BTreeMap;

use super::messages::MessageLog;
use super::prepared::Prepared;
use super::prepared_program::{PreparedCampaign, PreparedProgram, PreparedTemplate};
use super::tables::Tables;
use crate::base::{CampaignId, Instant, TagId, TemplateId, UserNo, Value};
use crate::program::typed::Program;
use crate::program::typed_expr::StepOutcome;
use crate::store::Snapshot;

/// What an expression is evaluated over.
#[derive(Clone, Copy)]
pub struct EvalScope<'a> {
    pub snapshot: &'a Snapshot,
    pub program: &'a Program,
    /// What is prepared of this program.
    pub prepared: &'a PreparedProgram,
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

/// What the program of a scope asks.
impl<'a> EvalScope<'a> {
    pub fn campaign(&self, id: CampaignId) -> &'a PreparedCampaign {
        self.prepared.campaign(self.program, id)
    }

    pub fn template(&self, id: TemplateId) -> &'a PreparedTemplate {
        self.prepared.template(self.program, id)
    }

    /// The value of a tag.
    pub fn tag(&self, id: TagId) -> &'a Prepared {
        self.prepared.tag(self.program, id)
    }

    /// Whom policy excludes, in the order of its clauses.
    pub fn excludes(&self) -> &'a [Prepared] {
        self.prepared.excludes(self.program)
    }
}
