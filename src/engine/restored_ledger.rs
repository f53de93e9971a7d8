//! Continuing with an old copy of the ledger: what was due by now is recorded as missed, because it
//! may have been sent after the copy was made.

use std::sync::Arc;

use super::agenda::{self, SchedulePosition};
use super::planning::schedule_record;
use super::{Failure, Project};
use crate::base::world::World;
use crate::ledger::{DeciderChanges, Ledger, LedgerLocation, Restored, event_sources};

/// What was recorded as missed.
pub struct RestoreReport {
    pub ledger: Restored,
    /// Due instants that are recorded as missed: by campaign, how many.
    pub missed: Vec<(String, usize)>,
}

/// Takes the fence away; `None` when the ledger is not behind it.
///
/// # Errors
/// A ledger that cannot be written, or is in use.
pub fn resume_after_restore(
    ledger: &LedgerLocation,
    project: &Project,
    who: &str,
    world: &Arc<dyn World>,
) -> Result<Option<RestoreReport>, Failure> {
    let now = world.now();
    let Some((mut writer, restored)) = Ledger::restore(ledger, who, world.clone())? else {
        return Ok(None);
    };
    let mut missed = Vec::new();
    let mut fed = Vec::new();
    for id in project.campaigns() {
        let campaign = project.program.campaign(id);
        let name = &campaign.declared.name;
        if writer.reader().live(name)?.since.is_none() {
            continue;
        }
        let mut n = 0;
        let program = &project.program;
        if let Some((times, after)) = agenda::own_times(
            program,
            campaign,
            schedule_record(writer.reader(), name)?,
            now,
        ) {
            // Every minute is due: the last one is recorded for all.
            if let Some(last) = times.last(after, now) {
                writer.planner().record_missed(name, last, now)?;
                n = 1;
            }
        } else {
            while let SchedulePosition::Next(at) = agenda::schedule_position(
                program,
                campaign,
                schedule_record(writer.reader(), name)?,
                now,
            ) {
                if at > now {
                    break;
                }
                writer.planner().record_missed(name, at, now)?;
                n += 1;
            }
        }
        if n > 0 {
            missed.push((name.clone(), n));
        }
        // Events up to now may have been answered.
        fed.push((event_sources::of_campaign(name), now.0));
    }
    writer.planner().plan_later(
        &[],
        &DeciderChanges {
            fed,
            ..DeciderChanges::default()
        },
        now,
    )?;
    Ok(Some(RestoreReport {
        ledger: restored,
        missed,
    }))
}
