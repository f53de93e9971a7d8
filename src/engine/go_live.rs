//! Campaigns become live: the ledger keeps the program that they come from and the instants that
//! are fixed then.

use super::{Failure, Project};
use crate::base::{CampaignId, Instant};
use crate::ledger::{Applied, LiveCampaign, LiveProgram, Planner};
use crate::program::typed::{OwnDays, Schedule, UserTime};
use crate::schedule::calendar;

/// Makes campaigns live: the instant of a one-off campaign is fixed the first time, and never
/// computed again.
///
/// # Errors
/// A ledger that cannot be written.
pub fn make_live(
    project: &Project,
    campaigns: &[CampaignId],
    now: Instant,
    plan: Option<&str>,
    ledger: &mut Planner,
) -> Result<Applied, Failure> {
    let zone = project.program.policy.zone;
    let digest = project.digest();
    let sources: Vec<(String, String)> = project
        .sources
        .iter()
        .map(|(_, f)| (f.path.to_string_lossy().into_owned(), f.text.clone()))
        .collect();
    let live: Vec<LiveCampaign> = campaigns
        .iter()
        .map(|id| project.program.campaign(*id))
        .map(|c| LiveCampaign {
            name: &c.declared.name,
            fixed: match &c.schedule {
                Schedule::Once(once) => Some(calendar::fix_once(*once, zone, now)),
                Schedule::OwnTime(UserTime {
                    days: OwnDays::Once,
                    ..
                }) => Some(now),
                Schedule::OwnTime(_)
                | Schedule::Every(_)
                | Schedule::Dated(_)
                | Schedule::Trigger(_) => None,
            },
        })
        .collect();
    Ok(ledger.make_live(
        &LiveProgram {
            digest,
            sources: &sources,
            campaigns: &live,
            plan,
        },
        now,
    )?)
}
