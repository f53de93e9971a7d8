//! The events of the log as they came, for those who act on each: what a campaign waits for.

use serde_json::{Map, Value as Json};

use super::log;
use crate::base::{EventId, Instant, Schema, UserNo, Value, Zone};
use crate::store::import::Reading;
use crate::store::{Store, StoreError};

/// An event of the log, its fields by a schema's order.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveEvent {
    /// Its place in the log.
    pub position: u64,
    pub user: UserNo,
    /// By the schema that was asked with.
    pub event: EventId,
    pub at: Instant,
    /// The sender's.
    pub id: Option<String>,
    pub values: Vec<Option<Value>>,
}

impl Store {
    /// The events after a position of the log, oldest first, at most so many, and the position up
    /// to which that is all. A kind of event that the schema does not have is left out; a value
    /// that does not fit it is missing.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn live_events(
        &self,
        schema: &Schema,
        after: u64,
        most: usize,
    ) -> Result<(Vec<LiveEvent>, u64), StoreError> {
        let reading = Reading {
            zone: Zone::UTC,
            ..Reading::default()
        };
        let mut events = Vec::new();
        let last = log::each_event(self.dir(), after, most, &mut |position, row| {
            let Some(event) = schema.event_named(&row.name) else {
                return;
            };
            let fields: Map<String, Json> = serde_json::from_str(&row.body).unwrap_or_default();
            let value = |name: &str, ty| {
                fields
                    .get(name)
                    .and_then(|json| reading.json(json, ty).ok().flatten())
            };
            let values = schema
                .event(event)
                .fields
                .iter()
                .map(|f| value(&f.name, &f.ty))
                .collect();
            events.push(LiveEvent {
                position,
                user: row.user,
                event,
                at: row.at,
                id: row.id,
                values,
            });
        })?;
        Ok((events, last))
    }
}
