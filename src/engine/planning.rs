//! What a run would do, before anything happens: the funnel of every campaign at its next instant.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::agenda::{self, Position, Standing};
use super::data::Data;
use super::{Failure, Project, binding};
use crate::base::value::group_digits;
use crate::base::world::World;
use crate::base::{Bitmap, CampaignId, Instant, Zone};
use crate::decide::decision::Decision;
use crate::decide::funnel::Funnel;
use crate::decide::history::{History, NoHistory};
use crate::decide::{DecideInput, ForbiddenWords, decide_all};
use crate::deliver::ledger::Ledger;
use crate::diag::Lang;
use crate::eval::{self, Scope};
use crate::program::typed::{Dated, Schedule};
use crate::schedule::dated;

/// How far a plan looks ahead for the days of users.
const DAYS_AHEAD: usize = 31;
/// So many of them are shown to people.
const DAYS_SHOWN: usize = 7;

/// One campaign of a plan.
pub struct Planned {
    pub campaign: CampaignId,
    pub standing: Standing,
    /// What it would do at its next instant; of a trigger, what it would do if its event came to everyone now.
    pub decision: Option<Decision>,
    /// Where the schedule counts from a date of each user: how many users' day each of the next days is, whatever the condition says.
    pub days: Vec<(Instant, usize)>,
}

impl Planned {
    /// Whether its schedule counts from dates of users and it is due on another day than it was.
    pub fn is_another_day(&self, project: &Project, before: Option<&str>) -> bool {
        let zone = project.program.policy.zone;
        let counts_days = matches!(project.program.campaign(self.campaign).schedule, Schedule::Dated(_));
        let day = |at| zone.date(at);
        let before = before.and_then(|text| zone.parse_instant(text)).map(day);
        matches!(self.standing, Standing::Next(at) if counts_days && Some(day(at)) != before)
    }
}

pub struct Plan {
    pub now: Instant,
    pub campaigns: Vec<Planned>,
}

/// Plans the project's campaigns (those of the files given), or the one named.
///
/// # Errors
/// A store or ledger that cannot be read, data that does not fit the program.
pub fn plan(project: &Project, data: &Data, store: &Path, only: Option<&str>, world: &Arc<dyn World>) -> Result<Plan, Failure> {
    let ledger = Ledger::open_existing(project.config.ledger(store)?)?;
    let zone = project.program.policy.zone;
    let words = ForbiddenWords::load(&project.program, &project.folder, world.as_ref())?;
    let mut campaigns = Vec::new();
    for id in project.campaigns() {
        let campaign = project.program.campaign(id);
        if only.is_some_and(|name| name != campaign.declared.name) {
            continue;
        }
        let position = match &ledger {
            Some(ledger) => position(ledger, &campaign.declared.name)?,
            None => Position::default(),
        };
        let standing = agenda::standing(campaign, position, zone, data.now);
        let days = match (&campaign.schedule, standing) {
            (Schedule::Dated(dated), Standing::Next(first)) => days_ahead(project, data, dated, first)?,
            _ => Vec::new(),
        };
        campaigns.push(Planned { campaign: id, standing, decision: None, days });
    }
    // Those due at one instant compete for the same slots: they are decided together.
    let mut groups: BTreeMap<Instant, Vec<usize>> = BTreeMap::new();
    for (i, planned) in campaigns.iter().enumerate() {
        match planned.standing {
            Standing::Next(at) => groups.entry(at).or_default().push(i),
            Standing::Triggered => groups.entry(data.now).or_default().push(i),
            Standing::Over => {}
        }
    }
    for (due, members) in groups {
        let ids: Vec<CampaignId> = members.iter().map(|i| campaigns[*i].campaign).collect();
        let decisions = match &ledger {
            Some(ledger) => decide_group(project, data, &ids, due, ledger, &words)?,
            None => decide_group(project, data, &ids, due, &NoHistory, &words)?,
        };
        for (i, decision) in members.into_iter().zip(decisions) {
            campaigns[i].decision = Some(decision);
        }
    }
    Ok(Plan { now: data.now, campaigns })
}

/// Whose day each of the next days is, from the first occasion on; days that are nobody's are left out.
fn days_ahead(project: &Project, data: &Data, dated: &Dated, first: Instant) -> Result<Vec<(Instant, usize)>, Failure> {
    let zone = project.program.policy.zone;
    let mut days = Vec::new();
    for due in std::iter::successors(Some(first), |due| dated::next_due(dated.at, zone, Some(*due), first)).take(DAYS_AHEAD) {
        let scope = Scope { now: due, ..data.scope(&project.program) };
        let users = eval::counts(&scope, &dated::condition(dated, zone, due))?.yes;
        days.extend((users > 0).then_some((due, users)));
    }
    Ok(days)
}

/// What one campaign would do at an instant.
///
/// # Errors
/// As [`plan`].
pub fn decide_at(
    project: &Project,
    data: &Data,
    store: &Path,
    campaign: CampaignId,
    due: Instant,
    world: &Arc<dyn World>,
) -> Result<Option<Decision>, Failure> {
    let words = ForbiddenWords::load(&project.program, &project.folder, world.as_ref())?;
    let decisions = match Ledger::open_existing(project.config.ledger(store)?)? {
        Some(ledger) => decide_group(project, data, &[campaign], due, &ledger, &words)?,
        None => decide_group(project, data, &[campaign], due, &NoHistory, &words)?,
    };
    Ok(decisions.into_iter().next())
}

/// Decides campaigns that are due at the same instant.
///
/// # Errors
/// Those of evaluation and of the history.
pub fn decide_group<H: History>(
    project: &Project,
    data: &Data,
    campaigns: &[CampaignId],
    due: Instant,
    history: &H,
    words: &ForbiddenWords,
) -> Result<Vec<Decision>, Failure> {
    let mut scope = data.scope(&project.program);
    scope.now = due;
    let (bound, foreign) = (project.is_bound(), project.config.foreign());
    let inputs: Vec<DecideInput> = campaigns
        .iter()
        .map(|id| DecideInput { bound, foreign: &foreign, ..DecideInput::scheduled(*id, due, &scope, project.config.seed, words) })
        .collect();
    let decisions = decide_all(&inputs, history)?;
    data.snapshot.sound()?;
    Ok(decisions)
}

/// What the ledger remembers of a campaign's schedule.
///
/// # Errors
/// Those of the ledger.
pub fn position(ledger: &Ledger, campaign: &str) -> Result<Position, Failure> {
    let live = ledger.live(campaign)?;
    Ok(Position { fixed: live.fixed, handled: live.handled, live_since: live.since })
}

/// The users that a decision selects, before any gate.
pub fn matched(decision: &Decision) -> Bitmap {
    let out = decision.not_matched.or(&decision.unknown).or(&decision.below_top).or(&decision.not_sampled);
    out.complement()
}

impl Plan {
    /// A paragraph a campaign: when it is due, its funnel, what the program says of it.
    pub fn show(&self, project: &Project, lang: Lang) -> String {
        let mut out = String::new();
        let zone = project.program.policy.zone;
        for (planned, funnel) in self.campaigns.iter().zip(self.funnels(project)) {
            let campaign = project.program.campaign(planned.campaign);
            let title = campaign.title.as_ref().map_or(String::new(), |t| format!("  {t}"));
            let _ = writeln!(out, "{}{title}", campaign.declared.name);
            for line in &campaign.declared.doc {
                let _ = writeln!(out, "  {line}");
            }
            let when = match (planned.standing, lang) {
                (Standing::Next(at), Lang::En) => format!("due {}", zone.show(at)),
                (Standing::Next(at), Lang::Zh) => format!("{} 到期", zone.show(at)),
                (Standing::Over, Lang::En) => "carried out before; nothing is left to do".into(),
                (Standing::Over, Lang::Zh) => "已经执行完毕".into(),
                (Standing::Triggered, Lang::En) => "waits for events; if one came to everyone now:".into(),
                (Standing::Triggered, Lang::Zh) => "等待事件;若事件现在发生在所有人身上:".into(),
            };
            let _ = writeln!(out, "  {when}");
            if let Some(open) = binding::unbound(project, campaign) {
                let _ = writeln!(out, "  {}", open.get(lang));
            }
            show_days(&planned.days, zone, lang, &mut out);
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
        let decisions: Vec<&Decision> = self.campaigns.iter().filter_map(|c| c.decision.as_ref()).collect();
        let mut funnels = Funnel::of_all(&decisions, &project.program).into_iter();
        self.campaigns.iter().map(|c| c.decision.as_ref().and_then(|_| funnels.next())).collect()
    }

    pub fn json(&self, project: &Project) -> Value {
        let zone = project.program.policy.zone;
        let campaigns = self.campaigns.iter().zip(self.funnels(project)).map(|(planned, funnel)| {
            let campaign = project.program.campaign(planned.campaign);
            let due = match planned.standing {
                Standing::Next(at) => json!(zone.show_rfc3339(at)),
                Standing::Over | Standing::Triggered => Value::Null,
            };
            let standing = match planned.standing {
                Standing::Next(_) => "due",
                Standing::Over => "over",
                Standing::Triggered => "triggered",
            };
            let funnel = funnel.map(|f| f.json());
            let mut json = json!({"campaign": campaign.declared.name, "standing": standing, "due": due, "unbound": binding::unbound(project, campaign).map(|m| m.en), "funnel": funnel});
            if let (Schedule::Dated(_), Some(fields)) = (&campaign.schedule, json.as_object_mut()) {
                let days = planned.days.iter().map(|(due, users)| json!({"due": zone.show_rfc3339(*due), "users": users}));
                fields.insert("days".into(), days.collect());
            }
            json
        });
        json!({"now": zone.show_rfc3339(self.now), "program": project.digest(), "campaigns": campaigns.collect::<Vec<_>>()})
    }
}

/// `2027-11-11 10:00: 3,000 users`, a line a day.
fn show_days(days: &[(Instant, usize)], zone: Zone, lang: Lang, out: &mut String) {
    let zh = lang == Lang::Zh;
    let line = |text: String, users: usize| {
        let n = group_digits(users as u64);
        if zh { format!("    {text}：{n} 个用户的日子\n") } else { format!("    {text}: the day of {n} users\n") }
    };
    let (shown, rest) = days.split_at(days.len().min(DAYS_SHOWN));
    shown.iter().for_each(|(due, users)| out.push_str(&line(zone.show(*due), *users)));
    if !rest.is_empty() {
        let n = rest.len();
        let text = if zh { format!("之后 {n} 天") } else { format!("{n} days after these") };
        out.push_str(&line(text, rest.iter().map(|(_, users)| users).sum()));
    }
}
