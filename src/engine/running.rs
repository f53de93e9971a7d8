//! Plan, apply and carry out: everything that is due up to an instant, in the order of the clock.
//!
//! Due instants come one after another. At each, all campaigns that are due are decided together and written to the ledger; then what
//! may be handed over is handed over. Nothing here remembers anything: a run that is killed and started again asks the ledger.

use std::path::Path;
use std::sync::Arc;

use super::agenda::{self, Standing};
use super::data::Data;
use super::planning::{decide_group, position};
use super::{Failure, Project};
use crate::base::world::{ClockWorld, World};
use crate::base::{CampaignId, Instant};
use crate::deliver::carry_out::{CarryOut, Progress};
use crate::deliver::channel::Channels;
use crate::deliver::ledger::{Ledger, RunInfo, RunSummary};
use crate::diag::Msg;
use crate::msg;
use crate::program::typed::{Campaign, Schedule};
use crate::store::Store;

/// How one campaign came out of a run.
pub enum Ended {
    /// Carried out, once for each instant that was due.
    Ran(Vec<RunSummary>),
    /// Not due yet.
    Waits(Instant),
    /// Done before.
    Over,
    /// Not carried out, with the reason; nothing of it was sent in this run.
    Refused(Msg),
    /// Stopped in the middle, with the reason; the ledger knows what was sent.
    Stopped(Msg),
}

pub struct CampaignReport {
    pub campaign: CampaignId,
    pub ended: Ended,
}

pub struct Report {
    pub campaigns: Vec<CampaignReport>,
    /// Ctrl-C came: what was not handed over stays planned.
    pub interrupted: bool,
}

/// Carries out the project's campaigns up to `until`; with `until` after `now` on a simulated clock.
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
    let clock = Arc::new(ClockWorld::new(world.clone(), data.now));
    let world: Arc<dyn World> = clock.clone();
    let until = until.unwrap_or(data.now);
    let zone = project.program.policy.zone;
    let mut ledger = Ledger::open(&Store::ledger_path_in(store), world.clone())?;
    let channels = Channels::sandbox(&project.outbox(store), world.clone())?;
    let mut report: Vec<CampaignReport> = Vec::new();
    let mut active: Vec<CampaignId> = Vec::new();
    for id in project.campaigns() {
        let campaign = project.program.campaign(id);
        match unsupported(campaign) {
            Some(why) => report.push(CampaignReport { campaign: id, ended: Ended::Refused(why) }),
            None => active.push(id),
        }
    }
    make_live(project, &active, data.now, &mut ledger)?;
    // What an earlier run left: unknown hand-overs are settled and planned ones continued before anything new is planned.
    let mut carry = CarryOut::new(&mut ledger, channels, world.clone());
    carry.up_to(data.now, progress)?;
    while !world.stopping() {
        let mut next: Option<(Instant, Vec<CampaignId>)> = None;
        for id in &active {
            let campaign = project.program.campaign(*id);
            let place = position(carry.ledger(), &campaign.declared.name)?;
            let Standing::Next(at) = agenda::standing(campaign, place, zone, data.now) else { continue };
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
        carry.up_to(due.max(data.now), progress)?;
        clock.advance_to(due);
        data.own = carry.ledger().message_log()?;
        let (late, in_time): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|id| project.program.campaign(*id).deadline().after(due, zone) < data.now);
        for id in late {
            carry.ledger_mut().record_missed(&project.program.campaign(id).declared.name, due)?;
        }
        let decisions = decide_group(project, &data, &in_time, due, carry.ledger(), &world)?;
        for decision in decisions {
            let campaign = project.program.campaign(decision.campaign);
            carry.ledger_mut().plan_run(&decision, &RunInfo::scheduled(project_info(project, &data, campaign), due))?;
        }
        carry.up_to(due.max(data.now), progress)?;
    }
    clock.advance_to(until);
    carry.up_to(until, progress)?;
    Ok(Report { campaigns: report, interrupted: world.stopping() })
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
