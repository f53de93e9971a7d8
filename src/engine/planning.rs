//! What a run would do, before anything happens: the funnel of every campaign at its next instant.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::agenda::{self, SchedulePosition, ScheduleRecord};
use super::eval_data::EvalData;
use super::user_schedule::UserScheduleCounts;
use super::{Failure, Project, binding};
use crate::base::Lang;
use crate::base::world::World;
use crate::base::{Bitmap, CampaignId, Instant};
use crate::decide::decision::Decision;
use crate::decide::funnel::Funnel;
use crate::decide::history::{History, NoHistory};
use crate::decide::{DecideInput, ForbiddenWords, decide_all};
use crate::ledger::LedgerReader;
use crate::program::typed::Schedule;

/// One campaign of a plan.
pub struct PlannedCampaign {
    pub campaign: CampaignId,
    pub schedule: SchedulePosition,
    /// What it would do at its next instant; of a trigger, what it would do if its event came to
    /// everyone now.
    pub decision: Option<Decision>,
    /// Where the schedule is per user: how many are due when. Where each has a time of
    /// their own, the decision is about all of them.
    pub due_per_user: UserScheduleCounts,
}

impl PlannedCampaign {
    /// Whether its schedule counts from dates of users and it is due on another day than it was.
    pub fn is_another_day(&self, project: &Project, before: Option<&str>) -> bool {
        let zone = project.program.policy.zone;
        let counts_days = matches!(
            project.program.campaign(self.campaign).schedule,
            Schedule::Dated(_)
        );
        let day = |at| zone.date(at);
        let before = before.and_then(|text| zone.parse_instant(text)).map(day);
        matches!(self.schedule, SchedulePosition::Next(at) if counts_days && Some(day(at)) != before)
    }
}

pub struct PlanReport {
    pub now: Instant,
    pub campaigns: Vec<PlannedCampaign>,
}

/// Plans the project's campaigns (those of the files given), or the one named.
///
/// # Errors
/// A store or ledger that cannot be read, data that does not fit the program.
pub fn plan(
    project: &Project,
    data: &EvalData,
    store: &Path,
    only: Option<&str>,
    world: &Arc<dyn World>,
) -> Result<PlanReport, Failure> {
    let ledger = LedgerReader::open(project.config.ledger(store)?)?;
    let words = ForbiddenWords::load(&project.program, &project.folder, world.as_ref())?;
    let mut campaigns = Vec::new();
    for id in project.campaigns() {
        let campaign = project.program.campaign(id);
        if only.is_some_and(|name| name != campaign.declared.name) {
            continue;
        }
        let position = match &ledger {
            Some(ledger) => schedule_record(ledger, &campaign.declared.name)?,
            None => ScheduleRecord::default(),
        };
        let schedule = agenda::schedule_position(&project.program, campaign, position, data.now);
        let due_per_user = match (&campaign.schedule, schedule) {
            (Schedule::Dated(dated), SchedulePosition::Next(first)) => {
                UserScheduleCounts::by_day(project, data, dated, first)?
            }
            (Schedule::Dated(_), SchedulePosition::Over | SchedulePosition::Triggered)
            | (
                Schedule::Once(_)
                | Schedule::Every(_)
                | Schedule::OwnTime(_)
                | Schedule::Trigger(_),
                SchedulePosition::Next(_) | SchedulePosition::Over | SchedulePosition::Triggered,
            ) => UserScheduleCounts::default(),
        };
        campaigns.push(PlannedCampaign {
            campaign: id,
            schedule,
            decision: None,
            due_per_user,
        });
    }
    // Those due at one instant compete for the same slots: they are decided together.
    let mut groups: BTreeMap<Instant, Vec<usize>> = BTreeMap::new();
    for (i, planned) in campaigns.iter().enumerate() {
        match planned.schedule {
            SchedulePosition::Next(at) => groups.entry(at).or_default().push(i),
            SchedulePosition::Triggered => groups.entry(data.now).or_default().push(i),
            SchedulePosition::Over => {}
        }
    }
    for (due, members) in groups {
        let ids: Vec<CampaignId> = members.iter().map(|i| campaigns[*i].campaign).collect();
        let decisions = match &ledger {
            Some(ledger) => decide_group(project, data, &ids, due, ledger, &words, true)?,
            None => decide_group(project, data, &ids, due, &NoHistory, &words, true)?,
        };
        for (i, decision) in members.into_iter().zip(decisions) {
            if let Schedule::OwnTime(own) = &project.program.campaign(decision.campaign).schedule {
                campaigns[i].due_per_user =
                    UserScheduleCounts::by_hour(project, data, own, &decision)?;
            }
            campaigns[i].decision = Some(decision);
        }
    }
    Ok(PlanReport {
        now: data.now,
        campaigns,
    })
}

/// What one campaign would do at an instant.
///
/// # Errors
/// As [`plan`].
pub fn decide_at(
    project: &Project,
    data: &EvalData,
    ledger: Option<&LedgerReader>,
    campaign: CampaignId,
    due: Instant,
    world: &Arc<dyn World>,
) -> Result<Option<Decision>, Failure> {
    let words = ForbiddenWords::load(&project.program, &project.folder, world.as_ref())?;
    let decisions = match ledger {
        Some(ledger) => decide_group(project, data, &[campaign], due, ledger, &words, false)?,
        None => decide_group(project, data, &[campaign], due, &NoHistory, &words, false)?,
    };
    Ok(decisions.into_iter().next())
}

/// Decides campaigns that are due at the same instant; those whose users have times of their own
/// for all of them, where `at_any_time` is set.
///
/// # Errors
/// Those of evaluation and of the history.
pub fn decide_group<H: History>(
    project: &Project,
    data: &EvalData,
    campaigns: &[CampaignId],
    due: Instant,
    history: &H,
    words: &ForbiddenWords,
    at_any_time: bool,
) -> Result<Vec<Decision>, Failure> {
    let mut scope = data.scope(&project.program);
    scope.now = due;
    let (bound, foreign) = (project.is_bound(), project.config.foreign());
    let everyone = Bitmap::all(data.snapshot.user_count());
    let inputs: Vec<DecideInput> = campaigns
        .iter()
        .map(|id| {
            let own = at_any_time
                && matches!(project.program.campaign(*id).schedule, Schedule::OwnTime(_));
            let only = own.then_some(&everyone);
            DecideInput {
                bound,
                foreign: &foreign,
                only,
                ..DecideInput::scheduled(*id, due, &scope, project.config.seed, words)
            }
        })
        .collect();
    let decisions = decide_all(&inputs, history)?;
    data.snapshot.sound()?;
    Ok(decisions)
}

/// What the ledger remembers of a campaign's schedule.
///
/// # Errors
/// Those of the ledger.
pub fn schedule_record(ledger: &LedgerReader, campaign: &str) -> Result<ScheduleRecord, Failure> {
    let live = ledger.live(campaign)?;
    Ok(ScheduleRecord {
        fixed: live.fixed,
        handled: live.handled,
        live_since: live.since,
    })
}

/// The users that a decision selects, before any gate.
pub fn matched(decision: &Decision) -> Bitmap {
    let out = decision
        .not_matched
        .or(&decision.unknown)
        .or(&decision.below_top)
        .or(&decision.not_sampled);
    out.complement()
}

impl PlanReport {
    /// A paragraph a campaign: when it is due, its funnel, what the program says of it.
    pub fn show(&self, project: &Project, lang: Lang) -> String {
        let mut out = String::new();
        let zone = project.program.policy.zone;
        for (planned, funnel) in self.campaigns.iter().zip(self.funnels(project)) {
            let campaign = project.program.campaign(planned.campaign);
            let title = campaign
                .title
                .as_ref()
                .map_or(String::new(), |t| format!("  {t}"));
            let _ = writeln!(out, "{}{title}", campaign.declared.name);
            for line in &campaign.declared.doc {
                let _ = writeln!(out, "  {line}");
            }
            let is_own = matches!(campaign.schedule, Schedule::OwnTime(_));
            let when = match (planned.schedule, lang) {
                (SchedulePosition::Next(at), Lang::En) if is_own => {
                    format!("due from {} on, each user at their own time", zone.show(at))
                }
                (SchedulePosition::Next(at), Lang::Zh) if is_own => {
                    format!("{} 起，按每个用户各自的时间到期", zone.show(at))
                }
                (SchedulePosition::Next(at), Lang::En) => format!("due {}", zone.show(at)),
                (SchedulePosition::Next(at), Lang::Zh) => format!("{} 到期", zone.show(at)),
                (SchedulePosition::Over, Lang::En) => "already run; nothing left to do".into(),
                (SchedulePosition::Over, Lang::Zh) => "已经执行完毕".into(),
                (SchedulePosition::Triggered, Lang::En) => {
                    "waits for events; if one came to everyone now:".into()
                }
                (SchedulePosition::Triggered, Lang::Zh) => {
                    "等待事件；若事件现在发生在所有人身上：".into()
                }
            };
            let _ = writeln!(out, "  {when}");
            if let Some(open) = binding::unbound(project, campaign) {
                let _ = writeln!(out, "  {}", open.get(lang));
            }
            out.push_str(&planned.due_per_user.show(zone, lang));
            if let Some(funnel) = funnel {
                out.push_str(&funnel.show(lang));
            }
            out.push('\n');
        }
        if self.campaigns.is_empty() {
            out.push_str(match lang {
                Lang::En => "no campaigns\n",
                Lang::Zh => "没有活动\n",
            });
        }
        out.trim_end().to_string() + "\n"
    }

    /// One a campaign, where it is due; each knows its rivals among the others.
    fn funnels(&self, project: &Project) -> Vec<Option<Funnel>> {
        let decisions: Vec<&Decision> = self
            .campaigns
            .iter()
            .filter_map(|c| c.decision.as_ref())
            .collect();
        let mut funnels = Funnel::of_all(&decisions, &project.program).into_iter();
        self.campaigns
            .iter()
            .map(|c| c.decision.as_ref().and_then(|_| funnels.next()))
            .collect()
    }

    pub fn json(&self, project: &Project) -> Value {
        let zone = project.program.policy.zone;
        let campaigns = self.campaigns.iter().zip(self.funnels(project)).map(|(planned, funnel)| {
            let campaign = project.program.campaign(planned.campaign);
            let due = match planned.schedule {
                SchedulePosition::Next(at) => json!(zone.show_rfc3339(at)),
                SchedulePosition::Over | SchedulePosition::Triggered => Value::Null,
            };
            let schedule = match planned.schedule {
                SchedulePosition::Next(_) => "due",
                SchedulePosition::Over => "over",
                SchedulePosition::Triggered => "triggered",
            };
            let funnel = funnel.map(|f| f.json());
            let mut json = json!({"campaign": campaign.declared.name, "standing": schedule, "due": due, "unbound": binding::unbound(project, campaign).map(|m| m.en), "funnel": funnel});
            if let Some(fields) = json.as_object_mut() {
                fields.extend(planned.due_per_user.json(zone).into_iter().map(|(name, value)| (name.to_string(), value)));
            }
            json
        });
        json!({"now": zone.show_rfc3339(self.now), "program": project.digest(), "campaigns": campaigns.collect::<Vec<_>>()})
    }
}
