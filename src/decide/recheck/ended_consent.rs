//! Consent that users ended after their messages were planned.

use std::collections::{BTreeMap, BTreeSet};

use super::planned_group::{PlannedGroup, Recheck};
use crate::base::{Bitmap, TagId, UserNo};
use crate::decide::decision::Gate;
use crate::decide::{ask, gates};
use crate::eval::{EvalError, EvalScope};
use crate::program::typed::Program;

/// The tags that are consents to anything.
pub fn consent_tags(program: &Program) -> BTreeSet<TagId> {
    let sensitive = program
        .schema
        .tags
        .iter()
        .filter_map(|tag| tag.sensitive_by);
    sensitive.chain(program.policy.consent).collect()
}

/// For each group, which of its users lack a consent that their message needs now.
///
/// # Errors
/// Those of evaluation.
pub fn consent(
    scope: &EvalScope,
    groups: &[&PlannedGroup],
) -> Result<Vec<Option<Recheck>>, EvalError> {
    let users = scope.snapshot.user_count();
    let needs: Vec<BTreeSet<TagId>> = groups.iter().map(|group| needs(scope, group)).collect();
    let mut planned: BTreeMap<TagId, Bitmap> = BTreeMap::new();
    for (group, needs) in groups.iter().zip(&needs) {
        for consent in needs {
            let planned = planned
                .entry(*consent)
                .or_insert_with(|| Bitmap::none(users));
            group
                .users
                .iter()
                .filter(|user| user.index() < users)
                .for_each(|user| planned.insert(*user));
        }
    }
    let mut given: BTreeMap<TagId, Bitmap> = BTreeMap::new();
    for (consent, planned) in planned {
        given.insert(consent, ask::consenting(scope, consent, &planned)?);
    }
    let recheck = |(group, needs): (&&PlannedGroup, &BTreeSet<TagId>)| {
        let has_all = |user: UserNo| {
            needs
                .iter()
                .all(|consent| given.get(consent).is_some_and(|given| given.contains(user)))
        };
        let ended: Vec<(usize, Gate)> = group
            .users
            .iter()
            .enumerate()
            .filter(|(_, user)| !has_all(**user))
            .map(|(position, _)| (position, Gate::NoConsent))
            .collect();
        (!ended.is_empty()).then_some(Recheck::Withdraw(ended))
    };
    Ok(groups.iter().zip(&needs).map(recheck).collect())
}

/// The consents that a message needs by the newest program; of a campaign, step or template that it
/// does not have any more, what the policy asks of all.
fn needs(scope: &EvalScope, group: &PlannedGroup) -> BTreeSet<TagId> {
    let program = scope.program;
    let pending = &group.pending;
    let campaign = program
        .campaign_named(&pending.campaign)
        .map(|id| program.campaign(id));
    let selects = campaign.and_then(|campaign| {
        match campaign.steps.iter().find(|step| step.name == group.step) {
            Some(step) => Some((campaign, Some(step))),
            None => (group.step == pending.campaign).then_some((campaign, None)),
        }
    });
    let template = program
        .templates
        .iter()
        .find(|template| template.declared.name == pending.template);
    gates::consents(scope, selects, template)
}
