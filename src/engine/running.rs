//! Plan, apply and carry out: everything that is due up to an instant, in the order of the clock.
//!
//! Due instants come one after another. At each, all campaigns that are due are decided together and written to the ledger; then what
//! may be handed over is handed over. Nothing here remembers anything: a run that is killed and started again asks the ledger.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::agenda::{self, Standing};
use super::data::Data;
use super::planning::{decide_group, position};
use super::{Failure, Project};
use crate::base::world::{ClockWorld, World};
use crate::base::{CampaignId, Instant};
use crate::decide::ForbiddenWords;
use crate::deliver::carry_out::{CarryOut, Progress};
use crate::deliver::channel::Channels;
use crate::deliver::ledger::{Ledger, LiveCampaign, LiveProgram, Occasion, RunId, RunInfo, RunReport, Writer};
use crate::diag::Msg;
use crate::msg;
use crate::program::typed::{Campaign, Schedule};
use crate::schedule::{calendar, hand_over};
use crate::store::Store;

/// How one campaign came out of a run.
pub struct Ended {
    pub campaign: CampaignId,
    /// What was planned in this run, an entry for each instant that was due.
    pub runs: Vec<RunReport>,
    /// Due instants that nobody was there for in time.
    pub missed: Vec<Instant>,
    /// When it is due next.
    pub next: Option<Instant>,
    /// It was carried out in an earlier run, and nothing is left.
    pub over: bool,
    /// Why it was not carried out, or not to the end; what was sent the ledger knows.
    pub stopped: Option<Msg>,
}

pub struct Report {
    pub campaigns: Vec<Ended>,
    /// Ctrl-C came: what was not handed over stays planned.
    pub interrupted: bool,
    /// Messages handed over without an answer.
    pub unknown: usize,
}

/// Carries out the project's campaigns up to `until`; an `until` after now passes on a simulated clock.
///
/// # Errors
/// A ledger that is in use or cannot be written, data that does not fit. A channel's failure stops its campaign and is reported there.
pub fn run(
    project: &Project,
    mut data: Data,
    store: &Path,
    until: Option<Instant>,
    world: &Arc<dyn World>,
    progress: &mut dyn Progress,
) -> Result<Report, Failure> {
    let now = data.now;
    let until = until.unwrap_or(now).max(now);
    let clock = Arc::new(ClockWorld::new(world.clone(), now));
    let world: Arc<dyn World> = clock.clone();
    let zone = project.program.policy.zone;
    let words = ForbiddenWords::load(&project.program, &project.folder, world.as_ref())?;
    let mut ledger = Ledger::open(&Store::ledger_path_in(store), world.clone())?;
    let channels = Channels::sandbox(&project.outbox(store), world.clone())?;

    let mut campaigns: Vec<Ended> = Vec::new();
    for id in project.campaigns() {
        let stopped = unsupported(project.program.campaign(id));
        campaigns.push(Ended { campaign: id, runs: Vec::new(), missed: Vec::new(), next: None, over: false, stopped });
    }
    let active: Vec<CampaignId> = campaigns.iter().filter(|c| c.stopped.is_none()).map(|c| c.campaign).collect();
    make_live(project, &active, now, None, &mut ledger)?;

    let mut planned: BTreeMap<CampaignId, Vec<RunId>> = BTreeMap::new();
    let mut missed: BTreeMap<CampaignId, Vec<Instant>> = BTreeMap::new();
    let mut unknown = 0;
    let mut carry = CarryOut::new(&mut ledger, channels, data.snapshot.users().clone(), world.clone());
    // What an earlier run left: unknown hand-overs are settled and planned ones continued before anything new is planned.
    unknown += carry.up_to(now, progress)?.unknown;
    while !world.stopping() {
        let mut next: Option<(Instant, Vec<CampaignId>)> = None;
        for id in &active {
            let campaign = project.program.campaign(*id);
            let place = position(carry.ledger(), &campaign.declared.name)?;
            let Standing::Next(at) = agenda::standing(campaign, place, zone, now) else { continue };
            if at > until {
                continue;
            }
            match &mut next {
                Some((first, group)) if *first == at => group.push(*id),
                Some((first, _)) if *first < at => {}
                _ => next = Some((at, vec![*id])),
            }
        }
        let Some((due, group)) = next else { break };
        unknown += carry.up_to(due.max(now), progress)?.unknown;
        clock.advance_to(due);
        data.own = carry.ledger().message_log()?;
        let mut in_time = Vec::new();
        for id in group {
            let campaign = project.program.campaign(id);
            if hand_over(&project.program, campaign, due).missed(now) {
                carry.ledger_mut().record_missed(&campaign.declared.name, due, world.now())?;
                missed.entry(id).or_default().push(due);
            } else {
                in_time.push(id);
            }
        }
        let decisions = decide_group(project, &data, &in_time, due, carry.ledger(), &words)?;
        let digest = project.digest();
        let info = RunInfo {
            program: &project.program,
            program_digest: &digest,
            snapshot_digest: data.snapshot.digest(),
            seed: project.config.seed,
            occasion: Occasion::Due(due),
            now: world.now(),
        };
        let together: Vec<_> = decisions.iter().map(|d| (d, info.clone())).collect();
        let runs = carry.ledger_mut().plan_runs(&together)?;
        for (decision, run) in decisions.iter().zip(runs) {
            planned.entry(decision.campaign).or_default().push(run.run);
        }
        unknown += carry.up_to(due.max(now), progress)?.unknown;
    }
    let last = carry.up_to(until, progress)?;
    unknown += last.unknown;
    clock.advance_to(until);
    carry.ledger_mut().finish(world.now())?;

    for ended in &mut campaigns {
        let campaign = project.program.campaign(ended.campaign);
        if ended.stopped.is_some() {
            continue;
        }
        for run in planned.remove(&ended.campaign).unwrap_or_default() {
            ended.runs.extend(carry.ledger().report(run)?);
        }
        ended.missed = missed.remove(&ended.campaign).unwrap_or_default();
        let name = &campaign.declared.name;
        ended.stopped = carry.stopped().get(name).or_else(|| carry.held(name)).cloned();
        match agenda::standing(campaign, position(carry.ledger(), &campaign.declared.name)?, zone, until) {
            Standing::Next(at) => ended.next = Some(at),
            Standing::Over | Standing::Triggered => ended.over = ended.runs.is_empty() && ended.missed.is_empty(),
        }
    }
    Ok(Report { campaigns, interrupted: last.interrupted || world.stopping(), unknown })
}

/// Makes campaigns live: the instant of a one-off campaign is fixed the first time, and never computed again.
///
/// # Errors
/// A ledger that cannot be written.
pub fn make_live(
    project: &Project,
    campaigns: &[CampaignId],
    now: Instant,
    plan: Option<&str>,
    ledger: &mut Writer,
) -> Result<crate::deliver::ledger::Applied, Failure> {
    let zone = project.program.policy.zone;
    let digest = project.digest();
    let sources: Vec<(String, String)> =
        project.sources.iter().map(|(_, f)| (f.path.to_string_lossy().into_owned(), f.text.clone())).collect();
    let live: Vec<LiveCampaign> = campaigns
        .iter()
        .map(|id| project.program.campaign(*id))
        .map(|c| LiveCampaign {
            name: &c.declared.name,
            fixed: match &c.schedule {
                Schedule::Once(once) => Some(calendar::fix_once(*once, zone, now)),
                Schedule::Every(_) | Schedule::Trigger(_) => None,
            },
        })
        .collect();
    Ok(ledger.make_live(&LiveProgram { digest: &digest, sources: &sources, campaigns: &live, plan }, now)?)
}

/// What `run` cannot carry out yet, by name.
pub fn unsupported(campaign: &Campaign) -> Option<Msg> {
    let name = &campaign.declared.name;
    if matches!(campaign.schedule, Schedule::Trigger(_)) {
        return Some(msg!(
            "`{name}` waits for events with `on`: carrying that out is not supported yet (`tagcast test` runs it)",
            "`{name}` 通过 `触发` 等待事件:尚不支持执行(`tagcast test` 可以运行)"
        ));
    }
    if !campaign.steps.is_empty() {
        return Some(msg!(
            "`{name}` has follow-ups with `after`: carrying them out is not supported yet (`tagcast test` runs them)",
            "`{name}` 含有 `之后` 跟进步骤:尚不支持执行(`tagcast test` 可以运行)"
        ));
    }
    None
}
