//! The newest program's word on what is planned already: quiet hours, deadlines and forbidden words
//! count as they are at the hand-over, not as they were at the plan. What belongs to a campaign
//! that the program does not have keeps the rules of its plan.

use super::Failure;
use crate::base::Instant;
use crate::decide::words::ForbiddenWords;
use crate::ledger::{LedgerError, SegmentPolicy, WithdrawReason, Writer};
use crate::program::typed::Program;
use crate::schedule::hand_over_by;

/// How often it is tried while other workers claim.
const TRIES: usize = 10;

/// Puts what is planned under the program's rules; gives how many messages were struck for what
/// they say.
///
/// # Errors
/// A ledger that cannot be read or written.
pub fn apply(
    program: &Program,
    words: &ForbiddenWords,
    now: Instant,
    ledger: &mut Writer,
) -> Result<usize, Failure> {
    let mut changed: Vec<SegmentPolicy> = Vec::new();
    for mut rules in ledger.rules()? {
        let Some(campaign) = program
            .campaign_named(&rules.campaign)
            .map(|id| program.campaign(id))
        else {
            continue;
        };
        let quiet = program.rules(campaign).quiet;
        let expires = hand_over_by(program, campaign, &rules.channel, rules.due).expires;
        if (quiet, expires) != (rules.quiet, rules.expires) {
            (rules.quiet, rules.expires) = (quiet, expires);
            changed.push(rules);
        }
    }
    ledger.rule(&changed, now)?;
    if words.is_empty() {
        return Ok(0);
    }
    let mut tries = 0;
    loop {
        let saying = ledger.planned_where(|content| words.block(content))?;
        let all: Vec<_> = saying.iter().map(|one| (one, one.users.clone())).collect();
        tries += 1;
        match ledger.strike(&all, WithdrawReason::BlockedWords, now) {
            // A worker claims at this moment.
            Err(LedgerError::Overtaken(_)) if tries < TRIES => {}
            other => return Ok(other?),
        }
    }
}
