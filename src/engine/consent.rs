//! Consent asked again: who ends it between the plan and the hand-over is struck from what is
//! planned.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Failure;
use super::eval_data::EvalData;
use crate::base::{Bitmap, Elapsed, Instant, TagId, UserNo};
use crate::decide::{consenting, consents};
use crate::eval::EvalScope;
use crate::ledger::{LedgerError, WithdrawReason, Withdrawable, Writer};
use crate::program::typed::Program;
use crate::store::Snapshot;

/// A consent that counts only while it is fresh may run out at any time: it is asked about again so
/// much later.
const AGAIN: Elapsed = Elapsed::minutes(1);

/// How far consent was asked about: on which data, and when.
#[derive(Default)]
pub struct ConsentCursor(Option<(Arc<Snapshot>, Instant)>);

impl ConsentCursor {
    /// Strikes what is planned for users who lack a consent that it needs, as the data says now;
    /// gives how many messages. Where no consent has changed or can have run out since it was asked
    /// last, there is nothing to do.
    ///
    /// # Errors
    /// Data or a ledger that cannot be read or written.
    pub fn strike(
        &mut self,
        program: &Program,
        data: &EvalData,
        now: Instant,
        ledger: &mut Writer,
    ) -> Result<usize, Failure> {
        let asked = consent_tags(program);
        let runs_out = program
            .schema
            .tags
            .iter()
            .any(|tag| tag.fresh.is_some() && asked.contains(tag.name.as_str()));
        let unchanged = |(before, at): &(Arc<Snapshot>, Instant)| {
            let same = Arc::ptr_eq(before, &data.snapshot)
                || asked
                    .iter()
                    .all(|name| before.shares_tag(&data.snapshot, name));
            same && !(runs_out && now >= at.plus(AGAIN))
        };
        if let Some(before) = self.0.as_ref().filter(|before| unchanged(before)) {
            self.0 = Some((data.snapshot.clone(), before.1));
            return Ok(0);
        }
        let scope = EvalScope {
            now,
            ..data.scope(program)
        };
        let struck = match strike(&scope, ledger, now) {
            Ok(struck) => struck,
            // A worker claims at this moment: at the next turn it is asked again.
            Err(Failed::Overtaken) => return Ok(0),
            Err(Failed::For(failure)) => return Err(failure),
        };
        self.0 = Some((data.snapshot.clone(), now));
        Ok(struck)
    }
}

enum Failed {
    Overtaken,
    For(Failure),
}

impl<E: Into<Failure>> From<E> for Failed {
    fn from(error: E) -> Self {
        Failed::For(error.into())
    }
}

/// The tags that are consents to anything.
fn consent_tags(program: &Program) -> BTreeSet<&str> {
    let sensitive = program
        .schema
        .tags
        .iter()
        .filter_map(|tag| tag.sensitive_by);
    sensitive
        .chain(program.policy.consent)
        .map(|id| program.schema.tag(id).name.as_str())
        .collect()
}

fn strike(scope: &EvalScope, ledger: &mut Writer, now: Instant) -> Result<usize, Failed> {
    if consent_tags(scope.program).is_empty() {
        return Ok(0);
    }
    let waiting = ledger.still_planned()?;
    let needs: Vec<BTreeSet<TagId>> = waiting.iter().map(|one| needs(scope, one)).collect();
    let mut planned: BTreeMap<TagId, Bitmap> = BTreeMap::new();
    let users = scope.snapshot.user_count();
    for (one, needs) in waiting.iter().zip(&needs) {
        for consent in needs {
            let planned = planned
                .entry(*consent)
                .or_insert_with(|| Bitmap::none(users));
            one.users
                .iter()
                .filter(|user| user.index() < users)
                .for_each(|user| planned.insert(*user));
        }
    }
    let mut given: BTreeMap<TagId, Bitmap> = BTreeMap::new();
    for (consent, planned) in planned {
        given.insert(consent, consenting(scope, consent, &planned)?);
    }
    let mut struck: Vec<(&Withdrawable, Vec<UserNo>)> = Vec::new();
    for (one, needs) in waiting.iter().zip(&needs) {
        let has = |user: UserNo| {
            needs
                .iter()
                .all(|consent| given.get(consent).is_some_and(|given| given.contains(user)))
        };
        let without: Vec<UserNo> = one
            .users
            .iter()
            .copied()
            .filter(|user| !has(*user))
            .collect();
        if !without.is_empty() {
            struck.push((one, without));
        }
    }
    match ledger.strike(&struck, WithdrawReason::NoConsent, now) {
        Err(LedgerError::Overtaken(_)) => Err(Failed::Overtaken),
        other => Ok(other?),
    }
}

/// The consents that a message needs by the newest program; of a campaign, step or template that it
/// has no more, what the policy asks of all.
fn needs(scope: &EvalScope, one: &Withdrawable) -> BTreeSet<TagId> {
    let program = scope.program;
    let campaign = program
        .campaign_named(&one.campaign)
        .map(|id| program.campaign(id));
    let selects = campaign.and_then(|campaign| {
        match campaign.steps.iter().find(|step| step.name == one.step) {
            Some(step) => Some((campaign, Some(step))),
            None => (one.step == one.campaign).then_some((campaign, None)),
        }
    });
    let template = program
        .templates
        .iter()
        .find(|template| template.declared.name == one.template);
    consents(scope, selects, template)
}
