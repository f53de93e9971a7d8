//! Events that were imported from files, for the campaigns that wait for them in a `run`. An event
//! that was given to the store twice is the same event: its id is made of its values.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::cycle::EventBatch;
use super::decider::{IncomingEvent, awaited};
use super::{Failure, Project};
use crate::base::{CampaignId, EventId, EventSchema, Instant, StoredEvent, Value};
use crate::ledger::{LedgerReader, event_sources};
use crate::program::typed::Program;
use crate::store::Snapshot;

/// Events that are looked at in one transaction.
const MOST_EVENTS: usize = 1_000;

/// The events of the store that campaigns wait for, and that lie ahead of the clock.
pub struct ImportedEvents {
    ahead: VecDeque<IncomingEvent>,
    /// Up to when each campaign that waits for events has seen them.
    seen: BTreeMap<CampaignId, Instant>,
    /// Under which name the ledger keeps how far each of these campaigns has come.
    sources: Vec<String>,
}

impl ImportedEvents {
    /// A campaign sees the events since it became live, each once.
    ///
    /// # Errors
    /// A ledger that cannot be read, stored values that do not fit the program.
    pub fn load(
        project: &Project,
        snapshot: &Snapshot,
        now: Instant,
        until: Instant,
        ledger: &LedgerReader,
    ) -> Result<Self, Failure> {
        let program = &project.program;
        let mut seen = BTreeMap::new();
        let mut sources = Vec::new();
        let mut kinds = BTreeSet::new();
        for id in project.campaigns() {
            let campaign = program.campaign(id);
            let Some(event) = awaited(campaign) else {
                continue;
            };
            let name = &campaign.declared.name;
            let before_live = ledger
                .live(name)?
                .since
                .map(|since| Instant(since.0.saturating_sub(1)));
            seen.insert(id, ledger.events_seen(name)?.or(before_live).unwrap_or(now));
            sources.push(event_sources::of_campaign(name));
            kinds.insert(event);
        }
        let after = seen.values().min().copied().unwrap_or(until);
        Ok(ImportedEvents {
            ahead: between(program, snapshot, &kinds, after, until)?.into(),
            seen,
            sources,
        })
    }

    /// The instant of the next event.
    pub fn next_at(&self) -> Option<Instant> {
        self.ahead.front().map(|event| event.at)
    }

    /// The next events up to an instant. Those of one instant stay together, so that no place
    /// between them has to be kept.
    pub fn next_batch(&mut self, until: Instant) -> Option<EventBatch> {
        let mut events: Vec<IncomingEvent> = Vec::new();
        while let Some(next) = self.ahead.front().filter(|event| event.at <= until) {
            if events.len() >= MOST_EVENTS && events.last().is_some_and(|last| last.at < next.at) {
                break;
            }
            events.extend(self.ahead.pop_front());
        }
        let through = events.last()?.at;
        Some(EventBatch {
            events,
            fed: self
                .sources
                .iter()
                .map(|source| (source.clone(), through.0))
                .collect(),
            seen: self.seen.clone(),
        })
    }
}

/// How the ledger keeps that all events of the store up to an instant are dealt with for the
/// project's campaigns.
pub fn all_seen(project: &Project, until: Instant) -> Vec<(String, i64)> {
    if project.focus.is_none() {
        return vec![(event_sources::of_program(project.digest()), until.0)];
    }
    let campaigns = project.campaigns().into_iter();
    campaigns
        .map(|id| project.program.campaign(id))
        .filter(|campaign| awaited(campaign).is_some())
        .map(|campaign| (event_sources::of_campaign(&campaign.declared.name), until.0))
        .collect()
}

/// The events of some kinds after one instant up to another, oldest first.
///
/// # Errors
/// Stored values that do not fit the program's types.
fn between(
    program: &Program,
    snapshot: &Snapshot,
    kinds: &BTreeSet<EventId>,
    after: Instant,
    until: Instant,
) -> Result<Vec<IncomingEvent>, Failure> {
    let mut out = Vec::new();
    for event in kinds {
        let schema = program.schema.event(*event);
        let Some(table) = snapshot.event(&schema.name)? else {
            continue;
        };
        let table = table.in_schema(schema)?;
        for user in table.users_with_events() {
            for row in table.rows_of(user) {
                let at = table.at(row);
                if after < at && at <= until {
                    let values: Vec<Option<Value>> = (0..schema.fields.len())
                        .map(|field| table.value(row, field))
                        .collect();
                    out.push(IncomingEvent {
                        id: id(schema, user.0, at, &values),
                        event: *event,
                        user,
                        at,
                        values,
                    });
                }
            }
        }
    }
    out.sort_by_key(|a| (a.at, a.user));
    Ok(out)
}

/// The same for the same event, whatever file it came from.
fn id(schema: &EventSchema, user: u32, at: Instant, values: &[Option<Value>]) -> String {
    let text = format!(
        "{} {user} {} {}",
        schema.name,
        at.0,
        StoredEvent::new(schema, values).as_json()
    );
    let mut id = blake3::hash(text.as_bytes()).to_hex().to_string();
    id.truncate(32);
    id
}
