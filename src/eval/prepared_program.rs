//! The conditions and values of a loaded program, each lowered once: when it is first asked for, and
//! for as long as the program stays loaded.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::answer_cache::AnswerCache;
use super::prepared::Prepared;
use crate::base::{CampaignId, TagId, TemplateId};
use crate::diag::Span;
use crate::program::builtins::function::Arity;
use crate::program::typed::{Action, Campaign, Program, Schedule, Step, Template, Via};
use crate::program::typed_expr::{Expr, ExprKind};

/// What is prepared of a program, and the answers to its questions that are kept. It belongs to that program alone: it names things by their
/// positions there.
#[derive(Debug)]
pub struct PreparedProgram {
    campaigns: Vec<OnceLock<PreparedCampaign>>,
    templates: Vec<OnceLock<PreparedTemplate>>,
    tags: Vec<OnceLock<Prepared>>,
    excludes: OnceLock<Vec<Prepared>>,
    pub(super) answers: AnswerCache,
}

/// What a campaign asks.
#[derive(Debug)]
pub struct PreparedCampaign {
    pub when: Prepared,
    /// `top … by`.
    pub top: Option<Prepared>,
    pub priority: Option<Prepared>,
    pub leave_when: Option<Prepared>,
    /// By the number of the follow-up, from 0.
    pub steps: Vec<Option<Prepared>>,
    /// `where` of the trigger.
    pub filter: Option<Prepared>,
    /// Whether an event of `unless` came.
    pub unless: Option<Prepared>,
    pub goal: Option<Prepared>,
    /// The date, or the time of day, that each user's schedule is reckoned from.
    pub of_user: Option<Prepared>,
    /// By the place of the arm of `choose`.
    arms: BTreeMap<Span, Prepared>,
    /// By the place of the route.
    weights: BTreeMap<Span, Prepared>,
}

/// What a template asks.
#[derive(Debug)]
pub struct PreparedTemplate {
    /// In the order of [`Template::holes`].
    pub holes: Vec<Prepared>,
    pub defaults: Vec<PreparedDefault>,
}

/// A default (`??`) that may stand in a message.
#[derive(Debug)]
pub struct PreparedDefault {
    /// Whether the value that it stands for is missing.
    pub missing: Prepared,
    /// That value is a tag: a look at a column tells.
    pub of_tag: bool,
}

impl PreparedProgram {
    pub fn new(program: &Program) -> Self {
        fn cells<T>(n: usize) -> Vec<OnceLock<T>> {
            (0..n).map(|_| OnceLock::new()).collect()
        }
        PreparedProgram {
            campaigns: cells(program.campaigns.len()),
            templates: cells(program.templates.len()),
            tags: cells(program.schema.tags.len()),
            excludes: OnceLock::new(),
            answers: AnswerCache::default(),
        }
    }

    pub(super) fn campaign(&self, program: &Program, id: CampaignId) -> &PreparedCampaign {
        self.campaigns[id.index()]
            .get_or_init(|| PreparedCampaign::new(program, program.campaign(id)))
    }

    pub(super) fn template(&self, program: &Program, id: TemplateId) -> &PreparedTemplate {
        self.templates[id.index()]
            .get_or_init(|| PreparedTemplate::new(program, program.template(id)))
    }

    pub(super) fn tag(&self, program: &Program, id: TagId) -> &Prepared {
        self.tags[id.index()].get_or_init(|| Prepared::tag(program, id))
    }

    pub(super) fn excludes(&self, program: &Program) -> &[Prepared] {
        self.excludes.get_or_init(|| {
            let excludes = program.policy.excludes.iter();
            excludes
                .map(|exclude| Prepared::new(program, &exclude.when))
                .collect()
        })
    }

    /// Lets go of the answers that are kept.
    pub fn forget_answers(&self) {
        self.answers.forget();
    }
}

impl PreparedCampaign {
    fn new(program: &Program, campaign: &Campaign) -> Self {
        let of = |expr: &Expr| Prepared::new(program, expr);
        let (trigger, of_user) = match &campaign.schedule {
            Schedule::Trigger(trigger) => (Some(trigger), None),
            Schedule::Dated(dated) => (None, Some(&dated.of)),
            Schedule::OwnTime(own) => (None, Some(&own.at)),
            Schedule::Once(_) | Schedule::Every(_) => (None, None),
        };
        let filter = trigger.and_then(|trigger| trigger.event.filter.as_ref());
        let unless = trigger.and_then(|trigger| trigger.unless.as_ref());
        let mut prepared = PreparedCampaign {
            when: of(&campaign.when),
            top: campaign.top.as_ref().map(|top| of(&top.by)),
            priority: campaign.priority.value.as_ref().map(of),
            leave_when: campaign.leave_when.as_ref().map(of),
            steps: campaign
                .steps
                .iter()
                .map(|step| step.when.as_ref().map(of))
                .collect(),
            filter: filter.map(&of),
            unless: unless.map(|pattern| Prepared::did(program, pattern)),
            goal: campaign
                .goal
                .as_ref()
                .map(|goal| Prepared::did(program, &goal.event)),
            of_user: of_user.map(of),
            arms: BTreeMap::new(),
            weights: BTreeMap::new(),
        };
        prepared.routes(program, &campaign.via);
        prepared.action(program, &campaign.action);
        for Step {
            action, otherwise, ..
        } in &campaign.steps
        {
            prepared.action(program, action);
            otherwise
                .iter()
                .for_each(|action| prepared.action(program, action));
        }
        prepared
    }

    fn action(&mut self, program: &Program, action: &Action) {
        match action {
            Action::Send(send) => {
                if let Some(via) = &send.via {
                    self.routes(program, via);
                }
            }
            Action::Nothing => {}
            Action::Split(arms) => arms
                .iter()
                .for_each(|arm| self.action(program, &arm.action)),
            Action::Choose(arms) => {
                for arm in arms {
                    if let Some(when) = &arm.when {
                        self.arms.insert(arm.span, Prepared::new(program, when));
                    }
                    self.action(program, &arm.action);
                }
            }
        }
    }

    fn routes(&mut self, program: &Program, via: &Via) {
        for route in &via.routes {
            if let Some(weight) = &route.weight {
                self.weights
                    .insert(route.span, Prepared::new(program, weight));
            }
        }
    }

    /// The condition of an arm of `choose`; `None` for `otherwise`.
    pub fn arm(&self, arm: Span) -> Option<&Prepared> {
        self.arms.get(&arm)
    }

    /// The weight of a route of a `via`; `None` where it has none.
    pub fn weight(&self, route: Span) -> Option<&Prepared> {
        self.weights.get(&route)
    }
}

impl PreparedTemplate {
    fn new(program: &Program, template: &Template) -> Self {
        let mut defaults = Vec::new();
        for hole in template.holes() {
            let mut open = vec![hole];
            while let Some(expr) = open.pop() {
                open.extend(expr.children_about_users());
                if let ExprKind::Coalesce(value, _) = &expr.kind {
                    let value = shown_as_it_is(value);
                    defaults.push(PreparedDefault {
                        missing: Prepared::missing(program, value),
                        of_tag: matches!(value.kind, ExprKind::Tag(_)),
                    });
                }
            }
        }
        PreparedTemplate {
            holes: template
                .holes()
                .map(|hole| Prepared::new(program, hole))
                .collect(),
            defaults,
        }
    }
}

/// What a function shows, where it is missing exactly when its argument is.
fn shown_as_it_is(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::ToNumber(of) | ExprKind::MemberName(of) => shown_as_it_is(of),
        ExprKind::Call { function, args }
            if function.arity == Arity::One && !(function.facts.can_fail)(&expr.ty, None) =>
        {
            args.first().map_or(expr, shown_as_it_is)
        }
        _ => expr,
    }
}
