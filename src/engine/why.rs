//! Why a user got a campaign's message, or did not: the condition with this user's values, then the gate.

use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::data::Data;
use super::planning::{self, Planned};
use super::{Failure, Project};
use crate::base::world::World;
use crate::base::{CampaignId, UserNo};
use crate::decide::decision::Decision;
use crate::deliver::ledger::{Happened, Ledger, UserOutcome};
use crate::diag::Lang;
use crate::eval::Trace;
use crate::store::Store;

pub struct Why {
    pub trace: Trace,
    /// What happened in each run that has been; the latest last.
    pub happened: Vec<UserOutcome>,
    /// What would happen at the campaign's next instant.
    pub next: Option<(crate::base::Instant, String)>,
}

/// # Errors
/// A ledger that cannot be read, data that does not fit the program.
pub fn why(
    project: &Project,
    data: &Data,
    store: &Path,
    campaign: CampaignId,
    user: UserNo,
    world: &Arc<dyn World>,
) -> Result<Why, Failure> {
    let declared = &project.program.campaign(campaign).declared.name;
    let happened = match Ledger::open_existing(&Store::ledger_path_in(store))? {
        Some(ledger) => ledger.outcomes(user, declared)?,
        None => Vec::new(),
    };
    let plan = planning::plan(project, data, store, Some(declared), world)?;
    let next = plan.campaigns.into_iter().find_map(|p: Planned| p.decision.map(|d| (d.due, outcome(&d, user))));
    let when = &project.program.campaign(campaign).when;
    Ok(Why { trace: data.explain(&project.program, when, user)?, happened, next })
}

/// The one outcome of a user in a decision.
pub fn outcome(decision: &Decision, user: UserNo) -> String {
    if let Some((gate, _)) = decision.stopped.iter().find(|(_, users)| users.contains(user)) {
        return gate.to_string();
    }
    let sets = [
        ("not_matched", &decision.not_matched),
        ("unknown", &decision.unknown),
        ("below_top", &decision.below_top),
        ("not_sampled", &decision.not_sampled),
    ];
    if let Some((name, _)) = sets.into_iter().find(|(_, users)| users.contains(user)) {
        return name.to_string();
    }
    let group = decision.messages.iter().find(|g| g.users.contains(&user));
    group.map_or_else(
        || "nothing".into(),
        |g| format!("message by {}{}", g.channel, g.arm.as_ref().map_or(String::new(), |a| format!(", arm {a}"))),
    )
}

fn happened_text(h: &Happened) -> String {
    match h {
        Happened::Message(m) => {
            let reason = m.reason.as_ref().map_or(String::new(), |r| format!(" ({r})"));
            format!("{}{reason}: template {} by {}", m.state.name(), m.template, m.channel)
        }
        Happened::NotMatched => "not_matched".into(),
        Happened::Stopped { reason, detail: None } => reason.clone(),
        Happened::Stopped { reason, detail: Some(detail) } => format!("{reason}: {detail}"),
    }
}

impl Why {
    pub fn show(&self, project: &Project, lang: Lang) -> String {
        let zone = project.program.policy.zone;
        let mut out = self.trace.show(&project.sources, lang);
        for h in &self.happened {
            let due = zone.show(h.due);
            let what = happened_text(&h.happened);
            out.push_str(&match lang {
                Lang::En => format!("run of {due}: {what}\n"),
                Lang::Zh => format!("{due} 的运行:{what}\n"),
            });
        }
        if let Some((due, what)) = &self.next {
            let due = zone.show(*due);
            out.push_str(&match lang {
                Lang::En => format!("at {due} it would be: {what}\n"),
                Lang::Zh => format!("到 {due} 时将是:{what}\n"),
            });
        }
        out
    }

    pub fn json(&self, project: &Project) -> Value {
        let zone = project.program.policy.zone;
        json!({
            "condition": trace_json(&self.trace, project),
            "runs": self.happened.iter().map(|h| json!({"due": zone.show_rfc3339(h.due), "step": h.step, "arm": h.arm, "outcome": happened_text(&h.happened)})).collect::<Vec<_>>(),
            "next": self.next.as_ref().map(|(due, what)| json!({"due": zone.show_rfc3339(*due), "outcome": what})),
        })
    }
}

fn trace_json(trace: &Trace, project: &Project) -> Value {
    let values: Vec<Value> = trace.values.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "text": project.sources.slice(trace.span),
        "truth": trace.truth,
        "values": values,
        "parts": trace.parts.iter().map(|p| trace_json(p, project)).collect::<Vec<_>>(),
    })
}
