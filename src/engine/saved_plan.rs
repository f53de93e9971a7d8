//! `plan -o FILE` and `apply FILE`: a plan as a file that pins what it was made from, is used once,
//! and is refused when the audience has drifted.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::agenda::SchedulePosition;
use super::planning::{PlanReport, matched};
use super::{Failure, Project};
use crate::base::world::World;
use crate::base::{Bitmap, CampaignId, Elapsed, Instant};
use crate::ledger::{Applied, Ledger};
use crate::msg;
use crate::store::Snapshot;

/// A plan is too old after this.
const VALID: Elapsed = Elapsed::hours(7 * 24);
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct SavedPlan {
    pub version: u32,
    /// No other plan has it; applying uses it up.
    pub id: String,
    /// The program's folder or file, as it was given.
    pub path: PathBuf,
    /// Digest of the program's files.
    pub program: String,
    /// Digest of the snapshot.
    pub snapshot: String,
    pub seed: u64,
    /// RFC 3339.
    pub now: String,
    pub expires: String,
    pub campaigns: Vec<SavedCampaign>,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct SavedCampaign {
    pub name: String,
    /// RFC 3339; `None` for a trigger or one that is over.
    pub due: Option<String>,
    pub matched: usize,
    pub messages: usize,
    /// The matched users as a bit set in hexadecimal, user 0 in the lowest bit of the first digit
    /// pair.
    pub audience: String,
}

impl SavedPlan {
    pub fn of(
        plan: &PlanReport,
        project: &Project,
        path: &Path,
        snapshot: &Snapshot,
        world: &dyn World,
    ) -> Self {
        let zone = project.program.policy.zone;
        let campaigns = plan.campaigns.iter().map(|planned| {
            let audience = planned.decision.as_ref().map(matched);
            SavedCampaign {
                name: project
                    .program
                    .campaign(planned.campaign)
                    .declared
                    .name
                    .clone(),
                due: match planned.schedule {
                    SchedulePosition::Next(at) => Some(zone.show_rfc3339(at)),
                    SchedulePosition::Over | SchedulePosition::Triggered => None,
                },
                matched: audience.as_ref().map_or(0, Bitmap::count),
                messages: planned.decision.as_ref().map_or(0, |d| d.planned()),
                audience: audience.as_ref().map_or(String::new(), to_hex),
            }
        });
        SavedPlan {
            version: VERSION,
            id: format!("{:016x}{:016x}", world.unique(), world.unique()),
            path: path.to_path_buf(),
            program: project.digest().to_owned(),
            snapshot: snapshot.digest().to_string(),
            seed: project.config.seed,
            now: zone.show_rfc3339(plan.now),
            expires: zone.show_rfc3339(plan.now.plus(VALID)),
            campaigns: campaigns.collect(),
        }
    }

    /// # Errors
    /// A file that cannot be read, or is no plan of this version.
    pub fn read(file: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(file).map_err(|e| Failure::io(file, &e))?;
        let shown = file.display();
        let plan: SavedPlan = serde_json::from_str(&text).map_err(|e| {
            Failure::new(msg!(
                "`{shown}` is not a plan: {e}",
                "`{shown}` 不是计划文件：{e}"
            ))
            .help(msg!(
                "`tagcast plan -o FILE` writes one",
                "请用 `tagcast plan -o 文件` 生成"
            ))
        })?;
        if plan.version != VERSION {
            let version = plan.version;
            return Err(Failure::new(msg!(
                "`{shown}` is a plan of version {version}; this program knows {VERSION}",
                "`{shown}` 是版本 {version} 的计划；本程序支持 {VERSION}"
            )));
        }
        Ok(plan)
    }

    /// Makes exactly this plan live. `again` is the plan made now.
    ///
    /// # Errors
    /// Refusals (exit code 1): the program changed, the plan expired or was used, an audience
    /// drifted by more than `max_drift` percent.
    pub fn apply(
        &self,
        again: &PlanReport,
        project: &Project,
        store: &Path,
        max_drift: f64,
        now: Instant,
        world: &Arc<dyn World>,
    ) -> Result<Vec<CampaignId>, Failure> {
        let zone = project.program.policy.zone;
        if project.digest() != self.program {
            return Err(Failure::refused(msg!(
                "the program has changed since it was planned",
                "程序在计划之后已被修改"
            ))
            .help(msg!(
                "plan again: `tagcast plan -o FILE`",
                "请重新计划：`tagcast plan -o 文件`"
            )));
        }
        if zone
            .parse_instant(&self.expires)
            .is_none_or(|end| end < now)
        {
            let at = &self.expires;
            return Err(
                Failure::refused(msg!("the plan expired at {at}", "计划已于 {at} 过期")).help(
                    msg!(
                        "plan again: `tagcast plan -o FILE`",
                        "请重新计划：`tagcast plan -o 文件`"
                    ),
                ),
            );
        }
        let mut ids = Vec::new();
        for saved in &self.campaigns {
            let name = &saved.name;
            let Some(planned) = again
                .campaigns
                .iter()
                .find(|p| project.program.campaign(p.campaign).declared.name == *name)
            else {
                return Err(Failure::refused(msg!(
                    "the program has no campaign `{name}` any more",
                    "程序中已没有活动 `{name}`"
                )));
            };
            if planned.is_another_day(project, saved.due.as_deref()) {
                // Other users' day: there is nothing to compare.
                ids.push(planned.campaign);
                continue;
            }
            let today = planned.decision.as_ref().map(matched).unwrap_or_default();
            let before = from_hex(&saved.audience, today.len()).ok_or_else(|| {
                Failure::new(msg!(
                    "the plan's audience of `{name}` cannot be read",
                    "无法读取计划中 `{name}` 的人群"
                ))
            })?;
            let moved = before.minus(&today).count() + today.minus(&before).count();
            let drift = 100.0 * moved as f64 / before.count().max(1) as f64;
            if drift > max_drift {
                return Err(Failure::refused(msg!(
                    "the audience of `{name}` has drifted by {drift:.1}% since it was planned ({moved} users came or went); at most {max_drift}% is allowed",
                    "`{name}` 的人群自计划以来变化了 {drift:.1}%（{moved} 个用户增减）；最多允许 {max_drift}%"
                ))
                .help(msg!("plan again, or raise --max-drift", "请重新计划，或提高 --max-drift")));
            }
            ids.push(planned.campaign);
        }
        let mut ledger = Ledger::open(project.config.ledger(store)?, world.clone())?;
        let planned_at = zone.parse_instant(&self.now).unwrap_or(now);
        match super::go_live::make_live(
            project,
            &ids,
            planned_at,
            Some(&self.id),
            &mut ledger.planner(),
        )? {
            Applied::Now => Ok(ids),
            Applied::Before { at } => {
                let at = zone.show(at);
                Err(Failure::refused(msg!(
                    "this plan was applied at {at}; a plan is applied once",
                    "该计划已于 {at} 应用；一个计划只能应用一次"
                )))
            }
        }
    }
}

fn to_hex(users: &Bitmap) -> String {
    users
        .words()
        .iter()
        .flat_map(|w| w.to_le_bytes())
        .map(|b| format!("{b:02x}"))
        .collect()
}

fn from_hex(text: &str, users: usize) -> Option<Bitmap> {
    let bytes: Option<Vec<u8>> = text
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let words: Vec<u64> = bytes?
        .chunks(8)
        .map(|c| c.iter().rev().fold(0, |w, b| w << 8 | u64::from(*b)))
        .collect();
    // Users can only have become more since.
    let len = users.max(words.len() * 64);
    Some(Bitmap::from_words(words, len))
}
