//! Events that were imported from files, as arrivals: what `run` lets campaigns wait after. An
//! event that was given to the store twice is the same event: its id is made of what it says.

use std::collections::BTreeSet;

use super::Failure;
use super::decider::IncomingEvent;
use crate::base::{EventId, EventSchema, Instant, Value};
use crate::program::typed::Program;
use crate::store::Snapshot;

/// Where a campaign's place among the imported events is kept in the ledger.
pub fn source(campaign: &str) -> String {
    format!("store {campaign}")
}

/// The events of some kinds after one instant up to another, oldest first.
///
/// # Errors
/// Stored values that do not fit the program's types.
pub fn between(
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
        super::event_values::write(schema, values)
    );
    let mut id = blake3::hash(text.as_bytes()).to_hex().to_string();
    id.truncate(32);
    id
}
