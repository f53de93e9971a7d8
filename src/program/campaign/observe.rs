//! Conditions over receipts: an outcome that no channel tells of each user is unknown for ever, and
//! selects nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::route::quoted;
use crate::base::Value;
use crate::diag::{Finding, Level, Span, catalog};
use crate::msg;
use crate::program::check::Checker;
use crate::program::platform::{self, Observed};
use crate::program::typed::{Action, Campaign, ChannelName, Program, Route, Via};
use crate::program::typed_expr::{
    CompareOp, EventPattern, EventSource, Expr, ExprKind, OWN_FIELDS, OwnEvent, StepOutcome,
};

/// The receipt that an outcome is known by; `None` for one's own events.
fn receipt(outcome: StepOutcome) -> Option<OwnEvent> {
    match outcome {
        StepOutcome::Delivered => Some(OwnEvent::Delivered),
        StepOutcome::Opened => Some(OwnEvent::Opened),
        StepOutcome::Clicked => Some(OwnEvent::Clicked),
        StepOutcome::Converted => None,
    }
}

/// As a condition writes it, and in Chinese.
fn words(event: OwnEvent) -> (&'static str, &'static str) {
    match event {
        OwnEvent::Sent => ("sent", "已发送"),
        OwnEvent::Delivered => ("delivered", "已送达"),
        OwnEvent::Opened => ("opened", "已打开"),
        OwnEvent::Clicked => ("clicked", "已点击"),
        OwnEvent::Failed => ("failed", "已失败"),
        OwnEvent::OptedOut => ("opted_out", "已退订"),
        OwnEvent::Complained => ("complained", "被投诉"),
    }
}

fn evidence(channel: &ChannelName, event: OwnEvent) -> Observed {
    platform::endpoint(&channel.platform, &channel.endpoint)
        .map_or(Observed::None, |e| e.evidence.of(event))
}

/// All routes that the messages of an action can take; `via` is the campaign's.
pub(super) fn routes_of(action: &Action, via: Option<&Via>) -> Vec<Route> {
    match action {
        Action::Nothing => Vec::new(),
        Action::Send(send) => send
            .via
            .as_ref()
            .or(via)
            .map_or_else(Vec::new, |v| v.routes.clone()),
        Action::Split(arms) => arms
            .iter()
            .flat_map(|a| routes_of(&a.action, via))
            .collect(),
        Action::Choose(arms) => arms
            .iter()
            .flat_map(|a| routes_of(&a.action, via))
            .collect(),
    }
}

/// Outcomes in the `if` of a follow-up that the step's channels do not tell.
pub(super) fn step_outcomes(condition: &Expr, routes: &[Route]) -> Vec<Finding> {
    let mut out = Vec::new();
    condition.each(&mut |e| {
        if let ExprKind::StepOutcome { outcome, .. } = e.kind
            && let Some(event) = receipt(outcome)
        {
            out.extend(unobserved(event, e.span, &channels(routes)));
        }
    });
    out
}

/// Where a condition asks whether the goal was reached.
pub(super) fn converted(condition: &Expr) -> Option<Span> {
    let mut found = None;
    condition.each(&mut |e| {
        if matches!(
            e.kind,
            ExprKind::StepOutcome {
                outcome: StepOutcome::Converted,
                ..
            }
        ) {
            found = found.or(Some(e.span));
        }
    });
    found
}

/// A band for an outcome of which nothing is known, not even how many.
pub(super) fn target(
    outcome: StepOutcome,
    span: Span,
    action: &Action,
    via: Option<&Via>,
) -> Option<Finding> {
    let event = receipt(outcome)?;
    let channels = channels(&routes_of(action, via));
    if channels.is_empty()
        || channels
            .iter()
            .any(|c| evidence(c, event) != Observed::None)
    {
        return None;
    }
    let ((name, zh), who) = (words(event), list(&channels));
    let mut finding = Finding::new(
        &catalog::OUTCOME_NOT_OBSERVABLE,
        span,
        msg!(
            "{who} does not report `{name}`: this band stays empty",
            "{who} 不回报消息是否{zh}，这个目标无法统计"
        ),
    );
    finding.level = Level::Warning;
    Some(finding)
}

fn channels(routes: &[Route]) -> Vec<ChannelName> {
    let mut channels: Vec<ChannelName> = Vec::new();
    for route in routes {
        if !channels.contains(&route.channel) {
            channels.push(route.channel.clone());
        }
    }
    channels
}

fn list(channels: &[ChannelName]) -> String {
    let names: Vec<String> = channels.iter().map(ToString::to_string).collect();
    quoted(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

/// No channel tells it: an error. Some do not: a warning.
fn unobserved(event: OwnEvent, span: Span, channels: &[ChannelName]) -> Option<Finding> {
    let (seen, blind): (Vec<ChannelName>, Vec<ChannelName>) = channels
        .iter()
        .cloned()
        .partition(|c| evidence(c, event) == Observed::User);
    if blind.is_empty() {
        return None;
    }
    let (name, zh) = words(event);
    let counted = blind.iter().all(|c| evidence(c, event) == Observed::Count);
    let who = list(&blind);
    let message = match (counted, blind.len()) {
        (true, _) => msg!(
            "{who} reports how many messages were {name}, not whose",
            "{who} 只回报{zh}的数量，不回报是谁"
        ),
        (false, _) => msg!(
            "{who} does not report whose messages were {name}",
            "{who} 不回报谁的消息{zh}"
        ),
    };
    let mut finding = Finding::new(&catalog::OUTCOME_NOT_OBSERVABLE, span, message);
    if seen.is_empty() {
        return Some(
            finding
                .here(msg!(
                    "unknown for every user: this selects nobody",
                    "对所有用户都未知，不会选中任何人"
                ))
                .help(msg!(
                    "ask for something that is known, for instance `not converted`",
                    "改用能知道的结果，例如 `not converted`"
                )),
        );
    }
    finding.level = Level::Warning;
    Some(finding.here(msg!(
        "known only of users that {} reached",
        "只有通过 {} 触达的用户才知道",
        list(&seen)
    )))
}

// ------------------------------------------------------------------ own messages as events

/// `did(opened where campaign == "winback", …)` anywhere in the program, against the channels of
/// the campaigns that it speaks of.
pub(super) fn receipts(checker: &mut Checker<'_>) {
    let program = &checker.program;
    let mut all: Vec<&Expr> = program
        .tags
        .iter()
        .filter_map(|t| t.derived.as_ref())
        .collect();
    all.extend(program.audiences.iter().map(|a| &a.when));
    all.extend(program.partitions.iter().flat_map(|p| &p.arms));
    all.extend(program.policy.excludes.iter().map(|x| &x.when));
    all.extend(program.campaigns.iter().flat_map(conditions));
    let mut patterns: Vec<&EventPattern> = program
        .campaigns
        .iter()
        .filter_map(|c| c.goal.as_ref())
        .map(|g| &g.event)
        .collect();
    for e in all {
        e.each(&mut |e| {
            if let ExprKind::Event(query) = &e.kind {
                patterns.push(&query.pattern);
                patterns.extend(query.then.iter().map(|t| &t.next));
            }
        });
    }
    let by_campaign = channels_by_campaign(program);
    let all = by_campaign
        .values()
        .try_fold(BTreeSet::new(), |mut all, channels| {
            all.extend(channels.as_ref()?.iter().cloned());
            Some(all)
        });
    let all: Option<Vec<ChannelName>> = all.map(|a| a.into_iter().collect());
    let findings: Vec<Finding> = patterns
        .into_iter()
        .filter_map(|p| pattern(p, &by_campaign, all.as_deref()))
        .collect();
    for finding in findings {
        checker.report(finding);
    }
}

fn conditions(c: &Campaign) -> Vec<&Expr> {
    let mut out = vec![&c.when];
    out.extend(c.top.iter().map(|t| &t.by));
    out.extend(c.priority.value.iter());
    out.extend(c.leave_when.iter());
    out.extend(c.steps.iter().filter_map(|s| s.when.as_ref()));
    collect_choose(&c.action, &mut out);
    out
}

fn collect_choose<'c>(action: &'c Action, out: &mut Vec<&'c Expr>) {
    match action {
        Action::Nothing | Action::Send(_) => {}
        Action::Split(arms) => arms.iter().for_each(|a| collect_choose(&a.action, out)),
        Action::Choose(arms) => out.extend(arms.iter().filter_map(|a| a.when.as_ref())),
    }
}

/// The channels of each campaign, its follow-ups' included; `None` where a campaign failed, whose
/// channels are not known.
type Channels<'p> = BTreeMap<&'p str, Option<Vec<ChannelName>>>;

fn channels_by_campaign(program: &Program) -> Channels<'_> {
    let of = |c: &Campaign| {
        let mut routes = routes_of(&c.action, Some(&c.via));
        for step in &c.steps {
            routes.extend(routes_of(&step.action, Some(&c.via)));
            routes.extend(
                step.otherwise
                    .iter()
                    .flat_map(|a| routes_of(a, Some(&c.via))),
            );
        }
        (!c.declared.failed).then(|| channels(&routes))
    };
    program
        .campaigns
        .iter()
        .map(|c| (c.declared.name.as_str(), of(c)))
        .collect()
}

fn pattern(
    pattern: &EventPattern,
    by_campaign: &Channels<'_>,
    all: Option<&[ChannelName]>,
) -> Option<Finding> {
    let event = match pattern.source {
        EventSource::Own(
            event @ (OwnEvent::Delivered | OwnEvent::Opened | OwnEvent::Clicked | OwnEvent::Failed),
        ) => event,
        EventSource::Own(OwnEvent::Sent | OwnEvent::OptedOut | OwnEvent::Complained)
        | EventSource::Declared(_) => return None,
    };
    // With a `where` that names a campaign, only that one counts.
    let channels = match pattern.filter.as_ref().and_then(campaign_name) {
        Some(name) => by_campaign.get(name)?.as_deref()?,
        None => all?,
    };
    // Not to know some is what "unknown" is for; not to know any is worth a word. No error: of a
    // user who was sent nothing it is known.
    if channels.is_empty()
        || channels
            .iter()
            .any(|c| evidence(c, event) == Observed::User)
    {
        return None;
    }
    let ((name, zh), who) = (words(event), list(channels));
    let mut finding = Finding::new(
        &catalog::OUTCOME_NOT_OBSERVABLE,
        pattern.span,
        msg!(
            "{who} does not report whose messages were {name}",
            "{who} 不回报谁的消息{zh}"
        ),
    );
    finding.level = Level::Warning;
    Some(finding.here(msg!(
        "unknown for every user who was sent one",
        "对每个收到过消息的用户都是未知"
    )))
}

/// `… campaign == "winback" …`, joined by `and` only.
fn campaign_name(filter: &Expr) -> Option<&str> {
    match &filter.kind {
        ExprKind::And(a, b) => campaign_name(a).or_else(|| campaign_name(b)),
        ExprKind::Compare {
            op: CompareOp::Eq,
            left,
            right,
        } => match (&left.kind, &right.kind) {
            (ExprKind::RowField(n), ExprKind::Const(Value::Text(t)))
            | (ExprKind::Const(Value::Text(t)), ExprKind::RowField(n)) => {
                (OWN_FIELDS.get(usize::from(*n)) == Some(&"campaign")).then_some(&**t)
            }
            _ => None,
        },
        _ => None,
    }
}
