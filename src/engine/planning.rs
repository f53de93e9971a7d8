//! What a run would do, before anything happens: the funnel of every campaign at its next instant.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::agenda::{self, Position, Standing};
use super::data::Data;
use super::{Failure, Project};
use crate::base::world::World;
use crate::base::{Bitmap, CampaignId, Instant};
use crate::decide::decision::Decision;
use crate::decide::history::{History, NoHistory};
use crate::decide::{self, DecideInput};
use crate::deliver::ledger::Ledger;
use crate::store::Store;

/// One campaign of a plan.
pub struct Planned {
    pub campaign: CampaignId,
    pub standing: Standing,
    /// What it would do at its next instant; for a trigger, what it would do if its event came to everyone now.
    pub decision: Option<Decision>,
}

pub struct Plan {
    pub now: Instant,
    pub users: usize,
    pub campaigns: Vec<Planned>,
}

/// Plans the project's campaigns (those of the files given), or the one named.
///
/// # Errors
/// A store or ledger that cannot be read, data that does not fit the program.
pub fn plan(project: &Project, data: &Data, store: &Path, only: Option<&str>, world: &Arc<dyn World>) -> Result<Plan, Failure> {
    let ledger = Ledger::open_existing(&Store::ledger_path_in(store), world.clone())?;
    let zone = project.program.policy.zone;
    let mut campaigns = Vec::new();
    for id in project.campaigns() {
        let campaign = project.program.campaign(id);
        if only.is_some_and(|name| name != campaign.declared.name) {
            continue;
        }
        let position = ledger.as_ref().map_or(Ok(Position::default()), |l| position(l, &campaign.declared.name))?;
        campaigns.push(Planned { campaign: id, standing: agenda::standing(campaign, position, zone, data.now), decision: None });
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
            Some(ledger) => decide_group(project, data, &ids, due, ledger, world)?,
            None => decide_group(project, data, &ids, due, &NoHistory, world)?,
        };
        for (i, decision) in members.into_iter().zip(decisions) {
            campaigns[i].decision = Some(decision);
        }
    }
    Ok(Plan { now: data.now, users: data.snapshot.user_count(), campaigns })
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
    world: &Arc<dyn World>,
) -> Result<Vec<Decision>, Failure> {
    let mut scope = data.scope(&project.program);
    scope.now = due;
    let words = decide::ForbiddenWords::load(&project.program, &project.folder, world.as_ref())?;
    let inputs: Vec<DecideInput> = campaigns.iter().map(|id| DecideInput::scheduled(*id, due, &scope, project.config.seed, &words)).collect();
    Ok(decide::decide_all(&inputs, history)?)
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
