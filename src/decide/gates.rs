//! Gates that need no message: opt-out, consent, exclusions, `again`, holdout. Each takes out those
//! who are still in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::assignments::{Assignment, Leaf};
use super::decision::Gate;
use super::history::{BlockedAddresses, History, Unclaimed};
use super::windows::{OpenWindows, PlannedMessage};
use super::{DecideError, DecideInput, ask};
use crate::base::value::Shown;
use crate::base::{Bitmap, Instant, TagId, UserNo};
use crate::eval::{EvalError, EvalScope};
use crate::program::typed::{Action, Again, Campaign, OwnDays, Schedule, Step, Template, UserTime};
use crate::program::typed_expr::{EventSource, Expr};

/// Who is still in, and who was stopped where.
pub struct Gates {
    pub stopped: Vec<(Gate, Bitmap)>,
    pub open: Bitmap,
}

impl Gates {
    pub fn new(open: Bitmap) -> Self {
        Gates {
            stopped: Vec::new(),
            open,
        }
    }

    /// Stops those of the users who are still in.
    pub fn stop(&mut self, gate: Gate, users: &Bitmap) {
        let caught = self.open.and(users);
        if caught.is_empty() {
            return;
        }
        self.open = self.open.minus(&caught);
        match self.stopped.iter_mut().find(|(g, _)| *g == gate) {
            Some((_, all)) => *all = all.or(&caught),
            None => self.stopped.push((gate, caught)),
        }
    }
}

/// A way's conditions for the consents it needs: policy's, and that of each sensitive tag that
/// selecting or the message reads.
pub fn consent(
    input: &DecideInput,
    campaign: &Campaign,
    step: Option<&Step>,
    ways: &[Assignment],
    gates: &mut Gates,
) -> Result<(), EvalError> {
    let scope = input.scope;
    let for_all = consents(scope, Some((campaign, step)), None);
    for consent in &for_all {
        let given = ask::consenting(scope, *consent, &gates.open)?;
        gates.stop(Gate::NoConsent, &given.complement());
    }
    for way in ways {
        let Leaf::Send { template, .. } = way.leaf else {
            continue;
        };
        for consent in
            consents(scope, None, Some(scope.program.template(template))).difference(&for_all)
        {
            let asked = way.users.and(&gates.open);
            let given = ask::consenting(scope, *consent, &asked)?;
            gates.stop(Gate::NoConsent, &asked.minus(&given));
        }
    }
    Ok(())
}

/// The consents that a message needs: policy's, and that of each sensitive tag that selecting its
/// users or its text reads.
pub fn consents(
    scope: &EvalScope,
    selects: Option<(&Campaign, Option<&Step>)>,
    text: Option<&Template>,
) -> BTreeSet<TagId> {
    let mut all = ask::sensitive(
        scope,
        selects
            .into_iter()
            .flat_map(|(campaign, step)| reads(campaign, step)),
    );
    all.extend(ask::sensitive(
        scope,
        text.into_iter().flat_map(Template::holes),
    ));
    all.extend(scope.program.policy.consent);
    all
}

/// What selecting a user reads.
fn reads<'a>(campaign: &'a Campaign, step: Option<&'a Step>) -> Vec<&'a Expr> {
    fn choices<'a>(action: &'a Action, out: &mut Vec<&'a Expr>) {
        match action {
            Action::Choose(arms) => arms.iter().for_each(|arm| {
                out.extend(&arm.when);
                choices(&arm.action, out);
            }),
            Action::Split(arms) => arms.iter().for_each(|arm| choices(&arm.action, out)),
            Action::Send(send) => {
                out.extend(
                    send.via
                        .iter()
                        .flat_map(|via| &via.routes)
                        .filter_map(|route| route.weight.as_ref()),
                );
            }
            Action::Nothing => {}
        }
    }
    let mut out = Vec::new();
    match step {
        None => {
            out.push(&campaign.when);
            match &campaign.schedule {
                Schedule::Dated(dated) => out.push(&dated.of),
                Schedule::OwnTime(own) => out.push(&own.at),
                Schedule::Once(_) | Schedule::Every(_) | Schedule::Trigger(_) => {}
            }
            out.extend(campaign.top.iter().map(|top| &top.by));
            choices(&campaign.action, &mut out);
        }
        Some(step) => {
            out.extend(&step.when);
            choices(&step.action, &mut out);
            step.otherwise
                .iter()
                .for_each(|action| choices(action, &mut out));
        }
    }
    out.extend(
        campaign
            .via
            .routes
            .iter()
            .filter_map(|route| route.weight.as_ref()),
    );
    out.extend(&campaign.priority.value);
    out
}

/// Those whom policy excludes. As with `except`, one of whom it is not known stays.
pub fn exclusions(input: &DecideInput, gates: &mut Gates) -> Result<(), EvalError> {
    let excludes = &input.scope.program.policy.excludes;
    for (exclude, when) in excludes.iter().zip(input.scope.excludes()) {
        let excluded = ask::audience(input.scope, when, &gates.open)?.yes;
        gates.stop(Gate::Excluded(exclude.reason.clone()), &excluded);
    }
    Ok(())
}

/// What history was asked for, once for all that is due together.
pub struct HistoryAnswers<'h, H: History> {
    history: &'h H,
    opted_out: Option<Bitmap>,
    last: BTreeMap<String, BTreeMap<UserNo, Instant>>,
    values: BTreeMap<String, BTreeMap<UserNo, Vec<String>>>,
    /// By account, where all were asked for.
    barred: BTreeMap<String, Arc<BlockedAddresses>>,
}

/// So many users are asked about one by one.
const FEW: usize = 256;

fn few(users: &Bitmap) -> Option<Vec<UserNo>> {
    (users.count() <= FEW).then(|| users.iter().collect())
}

impl<'h, H: History> HistoryAnswers<'h, H> {
    pub fn new(history: &'h H) -> Self {
        HistoryAnswers {
            history,
            opted_out: None,
            last: BTreeMap::new(),
            values: BTreeMap::new(),
            barred: BTreeMap::new(),
        }
    }

    pub fn opted_out(&mut self, users: usize) -> Result<&Bitmap, DecideError> {
        if self
            .opted_out
            .as_ref()
            .is_none_or(|known| known.len() < users)
        {
            self.opted_out = Some(
                self.history
                    .opted_out(users)
                    .map_err(DecideError::history)?,
            );
        }
        Ok(self.opted_out.get_or_insert_default())
    }

    /// Those of the users whom an account does not reach any more.
    pub fn barred(
        &mut self,
        account: &str,
        users: &Bitmap,
    ) -> Result<Arc<BlockedAddresses>, DecideError> {
        if let Some(known) = self.barred.get(account) {
            return Ok(known.clone());
        }
        let few = few(users);
        let barred = Arc::new(
            self.history
                .barred(account, few.as_deref())
                .map_err(DecideError::history)?,
        );
        if few.is_none() {
            self.barred.insert(account.into(), barred.clone());
        }
        Ok(barred)
    }

    /// Those of the users for whom a channel is open to a message; `None` where nothing is known.
    pub fn open(
        &self,
        planned: &PlannedMessage,
        users: &Bitmap,
    ) -> Result<Option<OpenWindows>, DecideError> {
        if planned.rules().is_empty() {
            return Ok(None);
        }
        planned
            .open(self.history, users, few(users).as_deref())
            .map_err(DecideError::history)
    }

    /// What of these users' messages waits to be sent and is less important.
    pub fn unclaimed(
        &self,
        users: &Bitmap,
        below: i64,
        now: Instant,
    ) -> Result<BTreeMap<UserNo, Vec<Unclaimed>>, DecideError> {
        self.history
            .unclaimed(users, below, now)
            .map_err(DecideError::history)
    }

    fn last_planned(&mut self, campaign: &str) -> Result<&BTreeMap<UserNo, Instant>, DecideError> {
        if !self.last.contains_key(campaign) {
            let last = self
                .history
                .last_planned(campaign)
                .map_err(DecideError::history)?;
            self.last.insert(campaign.into(), last);
        }
        Ok(self.last.entry(campaign.into()).or_default())
    }

    fn reached_values(
        &mut self,
        campaign: &str,
    ) -> Result<&BTreeMap<UserNo, Vec<String>>, DecideError> {
        if !self.values.contains_key(campaign) {
            let values = self
                .history
                .reached_values(campaign)
                .map_err(DecideError::history)?;
            self.values.insert(campaign.into(), values);
        }
        Ok(self.values.entry(campaign.into()).or_default())
    }

    /// Those whom `again` spares.
    pub fn spared(
        &mut self,
        input: &DecideInput,
        campaign: &Campaign,
    ) -> Result<Bitmap, DecideError> {
        let users = input.scope.snapshot.user_count();
        let name = &campaign.declared.name;
        let zone = input.scope.program.policy.zone;
        let again = self.again(input, campaign)?;
        // Whose own time changes is not reached a second time: of what goes out once never, else
        // not on the same day.
        let since = match &campaign.schedule {
            Schedule::OwnTime(UserTime {
                days: OwnDays::Once,
                ..
            }) => Instant(i64::MIN),
            Schedule::OwnTime(UserTime {
                days: OwnDays::Every(_),
                ..
            }) => zone.start_of(zone.date(input.due)),
            Schedule::Once(_) | Schedule::Every(_) | Schedule::Dated(_) | Schedule::Trigger(_) => {
                return Ok(again);
            }
        };
        let reached = self
            .last_planned(name)?
            .iter()
            .filter(|(_, at)| **at >= since)
            .map(|(user, _)| *user);
        Ok(again.or(&Bitmap::from_users(users, reached)))
    }

    /// As `again` says it.
    fn again(&mut self, input: &DecideInput, campaign: &Campaign) -> Result<Bitmap, DecideError> {
        let users = input.scope.snapshot.user_count();
        let name = &campaign.declared.name;
        let zone = input.scope.program.policy.zone;
        Ok(match &campaign.again {
            None | Some(Again::Always) => Bitmap::none(users),
            Some(Again::Never) => {
                Bitmap::from_users(users, self.last_planned(name)?.keys().copied())
            }
            Some(Again::After(length)) => {
                let last = self.last_planned(name)?.iter();
                Bitmap::from_users(
                    users,
                    last.filter(|(_, at)| length.after(**at, zone) > input.due)
                        .map(|(user, _)| *user),
                )
            }
            Some(Again::Per { .. }) => match again_value(input.scope, campaign) {
                Some(value) => {
                    let reached = self.reached_values(name)?.iter();
                    Bitmap::from_users(
                        users,
                        reached
                            .filter(|(_, values)| values.contains(&value))
                            .map(|(user, _)| *user),
                    )
                }
                // Whether this value was there before is not known: whoever was reached is spared.
                None => Bitmap::from_users(users, self.last_planned(name)?.keys().copied()),
            },
        })
    }
}

/// The value of the trigger event that `again per event.field` looks at, as the ledger keeps it;
/// `None` when it is missing, or nothing looks.
pub fn again_value(scope: &EvalScope, campaign: &Campaign) -> Option<String> {
    let (Some(Again::Per { field }), Schedule::Trigger(trigger)) =
        (&campaign.again, &campaign.schedule)
    else {
        return None;
    };
    let EventSource::Declared(event) = trigger.event.source else {
        return None;
    };
    let schema = scope
        .program
        .schema
        .event(event)
        .fields
        .get(usize::from(*field))?;
    let value = scope.trigger?.get(usize::from(*field))?.as_ref()?;
    Some(
        Shown {
            value,
            ty: &schema.ty,
            zone: scope.program.policy.zone,
        }
        .to_string(),
    )
}
