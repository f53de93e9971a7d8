//! Why planned messages are checked again, and whether consent has to be asked about again.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::base::{Elapsed, Instant};
use crate::decide::recheck;
use crate::engine::eval_data::EvalData;
use crate::ledger::PlannedMessages;
use crate::program::typed::Program;
use crate::store::Snapshot;

/// A consent that counts only while it is fresh may run out at any time: it is asked about again so
/// much later.
const CONSENT_INTERVAL: Elapsed = Elapsed::minutes(1);

/// Why planned messages are checked again.
#[derive(Clone, Copy)]
pub enum ReplanReason<'a> {
    /// A program was loaded: its quiet hours, deadlines and forbidden words apply to all that is
    /// planned.
    NewProgram,
    /// Users may have ended a consent that their messages need.
    Consent,
    /// Some are due and count on another day than it is.
    AnotherDay,
    /// What is left of these lists is too short to be sent.
    BelowListMin(&'a [PlannedMessages]),
}

/// On which data consent was asked about, and when.
#[derive(Default)]
pub(super) struct ConsentCursor(Option<(Arc<Snapshot>, Instant)>);

impl ConsentCursor {
    pub(super) fn asked(&mut self, data: &EvalData, now: Instant) {
        self.0 = Some((data.snapshot.clone(), now));
    }

    /// Whether no consent that a program needs has changed or can have run out since it was asked
    /// about.
    pub(super) fn is_current(&mut self, program: &Program, data: &EvalData, now: Instant) -> bool {
        let consents: BTreeSet<&str> = recheck::consent_tags(program)
            .into_iter()
            .map(|id| program.schema.tag(id).name.as_str())
            .collect();
        let runs_out = program
            .schema
            .tags
            .iter()
            .any(|tag| tag.fresh.is_some() && consents.contains(tag.name.as_str()));
        let Some((before, at)) = &self.0 else {
            return false;
        };
        let same = Arc::ptr_eq(before, &data.snapshot)
            || consents
                .iter()
                .all(|name| before.shares_tag(&data.snapshot, name));
        let is_current = same && !(runs_out && now >= at.plus(CONSENT_INTERVAL));
        if is_current {
            self.0 = Some((data.snapshot.clone(), *at));
        }
        is_current
    }
}
