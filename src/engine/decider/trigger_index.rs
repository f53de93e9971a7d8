//! Which campaigns an event can trigger, and which of those mean its user.
//!
//! Campaigns that wait for one kind of event are one set of rules: what several of them ask is
//! answered once an event, and those that wait for other events cost nothing.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::incoming::{IncomingEvent, awaited};
use crate::base::{CampaignId, EventId, Type};
use crate::eval::{BoundRules, EvalError, EvalScope, RuleSet};
use crate::program::typed::{Program, Schedule};
use crate::program::typed_expr::{Expr, ExprKind};

/// The campaigns that wait for events, by the kind of event.
pub(super) struct TriggerIndex(BTreeMap<EventId, EventTriggers>);

/// The campaigns that wait for one kind of event. Their rules are named by their positions here.
struct EventTriggers {
    campaigns: Vec<CampaignId>,
    /// Which of them decide at once: those without `wait`.
    at_once: Vec<bool>,
    /// `where` of each, about the event's fields.
    filters: RuleSet,
    /// `when` of each, about the event's user.
    conditions: RuleSet,
}

impl TriggerIndex {
    /// # Errors
    /// A condition that is nested too deep.
    pub fn new(program: &Program, campaigns: &[CampaignId]) -> Result<Self, EvalError> {
        let mut by_event: BTreeMap<EventId, Vec<CampaignId>> = BTreeMap::new();
        for id in campaigns {
            if let Some(event) = awaited(program.campaign(*id)) {
                by_event.entry(event).or_default().push(*id);
            }
        }
        let mut index = BTreeMap::new();
        for (event, campaigns) in by_event {
            index.insert(event, EventTriggers::new(program, campaigns)?);
        }
        Ok(TriggerIndex(index))
    }

    /// Every campaign that waits for an event.
    pub fn campaigns(&self) -> impl Iterator<Item = (CampaignId, EventId)> {
        self.0
            .iter()
            .flat_map(|(event, of)| of.campaigns.iter().map(|id| (*id, *event)))
    }

    /// Something to ask about events, over the store and the messages of a scope.
    pub fn bind<'a>(&'a self, scope: &EvalScope<'a>) -> BoundTriggers<'a> {
        BoundTriggers {
            index: self,
            scope: *scope,
            bound: BTreeMap::new(),
        }
    }
}

impl EventTriggers {
    fn new(program: &Program, campaigns: Vec<CampaignId>) -> Result<Self, EvalError> {
        let (mut at_once, mut filters, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for id in &campaigns {
            let campaign = program.campaign(*id);
            let trigger = match &campaign.schedule {
                Schedule::Trigger(trigger) => Some(trigger),
                Schedule::Once(_)
                | Schedule::Every(_)
                | Schedule::Dated(_)
                | Schedule::OwnTime(_) => None,
            };
            at_once.push(trigger.is_some_and(|trigger| trigger.wait.is_none()));
            let filter = trigger.and_then(|trigger| trigger.event.filter.clone());
            filters.push(filter.unwrap_or(Expr {
                ty: Type::Bool,
                span: campaign.declared.span,
                optional: false,
                kind: ExprKind::Everyone,
            }));
            conditions.push(&campaign.when);
        }
        Ok(EventTriggers {
            filters: RuleSet::new(program, &filters)?,
            conditions: RuleSet::new(program, conditions)?,
            campaigns,
            at_once,
        })
    }
}

/// The index over one state of the store. Of a kind of event what its campaigns ask is bound when
/// the first event of it comes.
pub(super) struct BoundTriggers<'a> {
    index: &'a TriggerIndex,
    scope: EvalScope<'a>,
    bound: BTreeMap<EventId, BoundEvent<'a>>,
}

struct BoundEvent<'a> {
    triggers: &'a EventTriggers,
    filters: BoundRules<'a>,
    conditions: BoundRules<'a>,
}

impl<'a> BoundTriggers<'a> {
    /// The campaigns that an event triggers, in their order: of those that decide at once only the
    /// ones for which its user is not known to be left out, of those that wait all.
    ///
    /// # Errors
    /// Stored values that do not fit the program's types.
    pub fn triggered(&mut self, event: &'a IncomingEvent) -> Result<Vec<CampaignId>, EvalError> {
        let bound = match self.bound.entry(event.event) {
            Entry::Occupied(bound) => bound.into_mut(),
            Entry::Vacant(free) => {
                let Some(triggers) = self.index.0.get(&event.event) else {
                    return Ok(Vec::new());
                };
                free.insert(BoundEvent {
                    triggers,
                    filters: triggers.filters.bind(&self.scope)?,
                    conditions: triggers.conditions.bind(&self.scope)?,
                })
            }
        };
        let triggers = bound.triggers;
        let scope = EvalScope {
            now: event.at,
            trigger: Some(&event.values),
            ..self.scope
        };
        let mut taken = Vec::new();
        let all = 0..triggers.campaigns.len();
        bound
            .filters
            .at(&scope)
            .asker()
            .ask_row(&event.values, all, |rule, fits| {
                taken.extend((fits == Some(true)).then_some(rule));
            });
        let (asked, mut triggered): (Vec<usize>, Vec<usize>) = taken
            .into_iter()
            .partition(|rule| triggers.at_once.get(*rule) == Some(&true));
        // Who came after the store was read is in no audience yet.
        let is_known = event.user.index() < self.scope.snapshot.user_count();
        if is_known && !asked.is_empty() {
            let conditions = bound.conditions.at(&scope);
            conditions.asker().ask(event.user, asked, |rule, means| {
                triggered.extend((means != Some(false)).then_some(rule));
            });
            triggered.sort_unstable();
        }
        let campaign = |rule: usize| triggers.campaigns.get(rule).copied();
        Ok(triggered.into_iter().filter_map(campaign).collect())
    }
}
