//! Why a user got a campaign's message, or did not: the condition with this user's values, then the
//! gate.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::agenda::ScheduleRecord;
use super::eval_data::EvalData;
use super::message_preview::sends;
use super::planning;
use super::user_schedule::UserSchedule;
use super::{Failure, Project};
use crate::base::world::World;
use crate::base::{CampaignId, Instant, UserNo, Zone};
use crate::base::{Lang, Msg};
use crate::decide::decision::{Decision, reason};
use crate::decide::render::address_of;
use crate::decide::windows::{self, WindowState};
use crate::eval::Trace;
use crate::ledger::{LedgerReader, MessageProgress, RunId, UserOutcome};
use crate::msg;
use crate::program::run_outcome::RunOutcome;
use crate::program::typed::ChannelName;
use crate::schedule::hand_over_by;

pub struct Why {
    pub trace: Trace,
    /// What happened in each run that has been; the latest last.
    pub happened: Vec<UserOutcome>,
    /// Channels of the campaign that do not reach the user now although there is an address.
    pub passed_over: Vec<(ChannelName, Msg)>,
    /// What would happen at the campaign's next instant, or where the schedule is per user, at this
    /// user's.
    pub next: Option<(Instant, Msg)>,
    /// When this user is due, where the schedule is per user.
    pub user_schedule: Option<UserSchedule>,
}

/// # Errors
/// A ledger that cannot be read, data that does not fit the program.
pub fn why(
    project: &Project,
    data: &EvalData,
    store: &Path,
    campaign: CampaignId,
    user: UserNo,
    world: &Arc<dyn World>,
) -> Result<Why, Failure> {
    let declared = &project.program.campaign(campaign).declared.name;
    let typed = project.program.campaign(campaign);
    let plan = planning::plan(project, data, store, Some(declared), world)?;
    let mut decision = plan
        .campaigns
        .into_iter()
        .find_map(|planned| planned.decision);
    let ledger = LedgerReader::open(project.config.ledger(store)?)?;
    let position = match &ledger {
        Some(ledger) => planning::schedule_record(ledger, declared)?,
        None => ScheduleRecord::default(),
    };
    let user_schedule = UserSchedule::of(project, data, campaign, position, user)?;
    if let Some(user_schedule) = &user_schedule {
        decision = match decision.and_then(|next| user_schedule.ahead(next.due)) {
            Some(due) => planning::decide_at(project, data, ledger.as_ref(), campaign, due, world)?,
            None => None,
        };
    }
    let next = decision.map(|decision| (decision.due, outcome(&decision, user)));
    let at = next.as_ref().map_or(data.now, |(due, _)| *due);
    let (mut happened, passed_over) = match &ledger {
        Some(ledger) => (
            ledger.outcomes(user, declared)?,
            passed_over(project, data, ledger, campaign, user, at)?,
        ),
        None => (Vec::new(), Vec::new()),
    };
    if let Some(user_schedule) = &user_schedule {
        // Runs at which other users were due are left out.
        let is_nothing = |h: &UserOutcome| matches!(h.happened, MessageProgress::NotMatched);
        let concern: BTreeSet<RunId> = happened
            .iter()
            .filter(|h| !is_nothing(h) || user_schedule.is_at(h.due, h.zone))
            .map(|h| h.run)
            .collect();
        happened.retain(|h| concern.contains(&h.run));
    }
    let trace = data.explain(&project.program, &typed.when, user)?;
    Ok(Why {
        trace,
        happened,
        passed_over,
        next,
        user_schedule,
    })
}

/// The channels of a campaign that are closed to a user at an instant by what was sent and
/// received before, and why.
fn passed_over(
    project: &Project,
    data: &EvalData,
    ledger: &LedgerReader,
    campaign: CampaignId,
    user: UserNo,
    due: Instant,
) -> Result<Vec<(ChannelName, Msg)>, Failure> {
    let program = &project.program;
    let campaign = program.campaign(campaign);
    let (scope, zone) = (data.scope(program), program.policy.zone);
    let refused = ledger.refused(user)?;
    let mut out: Vec<(ChannelName, Msg)> = Vec::new();
    for (_, _, send) in sends(campaign) {
        for route in &send.via.as_ref().unwrap_or(&campaign.via).routes {
            let channel = &route.channel;
            let Some(address) = address_of(&scope, route.address, user)? else {
                continue;
            };
            let message = windows::PlannedMessage {
                channel,
                template: program.template(send.template),
                at: hand_over_by(program, campaign, channel, due).not_before,
            };
            let why = match refused
                .iter()
                .find(|r| r.account == channel.account && ledger.is_about(r, &address))
            {
                Some(refused) => {
                    let (at, reason) = (zone.show(refused.at), &refused.reason);
                    Some(msg!(
                        "the address was refused on {at}: {reason}",
                        "地址于 {at} 被拒绝：{reason}"
                    ))
                }
                None => not_open(&message, ledger, user, zone)?,
            };
            out.extend(
                why.filter(|why| {
                    !out.iter()
                        .any(|(of, reason_text)| of == channel && reason_text == why)
                })
                .map(|why| (channel.clone(), why)),
            );
        }
    }
    Ok(out)
}

/// Why a channel is not open to a message, if it is not: each of the things that would open it, and
/// how it stands.
fn not_open(
    message: &windows::PlannedMessage,
    ledger: &LedgerReader,
    user: UserNo,
    zone: Zone,
) -> Result<Option<Msg>, Failure> {
    let mut all: Option<Msg> = None;
    for rule in message.rules() {
        let states = message.doors(rule, None, ledger, Some(&[user]))?;
        if rule.lasts() && states.as_ref().is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        let Some(states) = states else { continue };
        let Msg { en, zh } = &rule.after;
        let reason_text = match states.first() {
            Some((_, WindowState::Open(_))) => return Ok(None),
            Some((_, WindowState::ClosedAt(at))) => {
                let at = zone.show(*at);
                msg!("{en} opened it until {at}", "{zh}（开放至 {at}）")
            }
            Some((_, WindowState::UsedUp(since))) => {
                let at = zone.show(*since);
                msg!(
                    "{en} on {at} allows no more messages",
                    "{zh}（{at} 起的名额已用完）"
                )
            }
            Some((_, WindowState::Shut(since))) => {
                let at = zone.show(*since);
                msg!(
                    "{en} on {at} counts no more, says the platform",
                    "{zh}（{at} 的已失效，平台如此答复）"
                )
            }
            None => msg!("{en} would open it", "{zh}即可开放"),
        };
        all = Some(match all {
            None => reason_text,
            Some(before) => Msg {
                en: format!("{}; {}", before.en, reason_text.en),
                zh: format!("{}；{}", before.zh, reason_text.zh),
            },
        });
    }
    Ok(all.map(|all| Msg {
        en: format!("it is not open: {}", all.en),
        zh: format!("未开放：{}", all.zh),
    }))
}

/// The one outcome of a user in a decision.
pub fn outcome(decision: &Decision, user: UserNo) -> Msg {
    if let Some(gate) = decision.stopped_by(user) {
        return Msg {
            en: gate.to_string(),
            zh: gate.msg().zh,
        };
    }
    if let Some(outcome) = decision.outcome(user) {
        return reason(outcome.name(), None);
    }
    let groups: Vec<_> = decision
        .messages
        .iter()
        .filter(|g| g.users.contains(&user))
        .collect();
    let Some(first) = groups.first() else {
        return reason(RunOutcome::Nothing.name(), None);
    };
    let arm = first
        .arm
        .as_ref()
        .map_or(msg!("", ""), |a| msg!(", arm {a}", "，分组 {a}"));
    let channels = |between: &str| {
        groups
            .iter()
            .map(|g| g.channel.to_string())
            .collect::<Vec<_>>()
            .join(between)
    };
    let (en, zh) = (channels(" and by "), channels("、"));
    Msg {
        en: format!("message by {en}{}", arm.en),
        zh: format!("经 {zh} 的消息{}", arm.zh),
    }
}

fn happened_text(h: &MessageProgress) -> Msg {
    match h {
        MessageProgress::Message(m) => {
            let state = m.state.msg();
            let reason = m
                .reason
                .as_ref()
                .map_or(String::new(), |r| format!(" ({r})"));
            Msg {
                en: format!(
                    "{}{reason}: template {} by {}",
                    state.en, m.template, m.channel
                ),
                zh: format!(
                    "{}{reason}：模板 {}，经 {}",
                    state.zh, m.template, m.channel
                ),
            }
        }
        MessageProgress::NotMatched => reason(RunOutcome::NotMatched.name(), None),
        MessageProgress::Stopped {
            reason: name,
            detail,
        } => reason(name, detail.as_deref()),
    }
}

impl Why {
    pub fn show(&self, project: &Project, lang: Lang) -> String {
        let zone = project.program.policy.zone;
        let mut out = self.trace.show(&project.sources, lang);
        out.extend(
            self.user_schedule
                .iter()
                .map(|user_schedule| user_schedule.show(zone, lang)),
        );
        for h in &self.happened {
            let due = zone.show(h.due);
            let what = happened_text(&h.happened);
            let what = what.get(lang);
            out.push_str(&match lang {
                Lang::En => format!("run of {due}: {what}\n"),
                Lang::Zh => format!("{due} 的运行：{what}\n"),
            });
        }
        for (channel, why) in &self.passed_over {
            let why = why.get(lang);
            out.push_str(&match lang {
                Lang::En => format!("passed over: {channel}, {why}\n"),
                Lang::Zh => format!("跳过 {channel}：{why}\n"),
            });
        }
        if let Some((due, what)) = &self.next {
            let (due, what) = (zone.show(*due), what.get(lang));
            out.push_str(&match lang {
                Lang::En => format!("at {due} it would be: {what}\n"),
                Lang::Zh => format!("到 {due} 时将是：{what}\n"),
            });
        }
        out
    }

    pub fn json(&self, project: &Project) -> Value {
        let zone = project.program.policy.zone;
        let mut why = json!({
            "condition": trace_json(&self.trace, project),
            "runs": self.happened.iter().map(|h| json!({"due": zone.show_rfc3339(h.due), "step": h.step, "arm": h.arm, "outcome": happened_text(&h.happened).en})).collect::<Vec<_>>(),
            "passed_over": self.passed_over.iter().map(|(channel, why)| json!({"channel": channel.to_string(), "why": why.en})).collect::<Vec<_>>(),
            "next": self.next.as_ref().map(|(due, what)| json!({"due": zone.show_rfc3339(*due), "outcome": what.en})),
        });
        if let (Some(user_schedule), Some(fields)) = (&self.user_schedule, why.as_object_mut()) {
            fields.insert("turn".into(), user_schedule.json(zone));
        }
        why
    }
}

fn trace_json(trace: &Trace, project: &Project) -> Value {
    let values: Vec<Value> = trace
        .values
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect();
    json!({
        "text": project.sources.slice(trace.span),
        "truth": trace.truth,
        "values": values,
        "parts": trace.parts.iter().map(|p| trace_json(p, project)).collect::<Vec<_>>(),
    })
}
