//! Quiet hours, deadlines and forbidden words apply as they are when a message is sent, not as they
//! were when it was planned.

use std::sync::Arc;

use super::planned_group::{MessagePolicy, PlannedGroup, Recheck};
use crate::decide::decision::{Gate, Rendered};
use crate::decide::words::ForbiddenWords;
use crate::program::typed::Program;
use crate::schedule::hand_over_by;

/// Quiet hours and deadline of a group by a newer program. A campaign that the program does not
/// have keeps those of its plan.
pub fn policy(program: &Program, group: &PlannedGroup) -> Option<Recheck> {
    let campaign = program.campaign(program.campaign_named(&group.pending.campaign)?);
    let newest = MessagePolicy {
        quiet: program.rules(campaign).quiet,
        expires: hand_over_by(program, campaign, &group.pending.channel, group.due).expires,
    };
    (newest != group.policy).then_some(Recheck::NewPolicy(newest))
}

/// Which messages of a group contain forbidden words; `contents` are in the order of its users.
pub fn content(words: &ForbiddenWords, contents: &[Arc<Rendered>]) -> Option<Recheck> {
    let mut last: Option<(&Arc<Rendered>, bool)> = None;
    let mut blocked = Vec::new();
    for (position, content) in contents.iter().enumerate() {
        let found = match last {
            // Members of a list share their text.
            Some((known, found)) if Arc::ptr_eq(known, content) => found,
            Some(_) | None => words.block(content),
        };
        last = Some((content, found));
        if found {
            blocked.push((position, Gate::BlockedWords));
        }
    }
    (!blocked.is_empty()).then_some(Recheck::Withdraw(blocked))
}
