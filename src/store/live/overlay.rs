//! A snapshot with changes laid over it: of tags the blocks that changed, of events one segment
//! more.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::log::LogRow;
use crate::base::{EventSchema, TagSchema, Zone};
use crate::store::build::ColumnBuilder;
use crate::store::changed::ValueUpdate;
use crate::store::import::Reading;
use crate::store::lazy::Lazy;
use crate::store::merge::{self, Arrivals};
use crate::store::snapshot::{EventPart, TagPart};
use crate::store::{EventSegment, EventTable, Snapshot, StoreError};

/// Small segments of live events that are merged into one when there are more.
const MOST_SEGMENTS: usize = 8;

/// The snapshot after the rows, which must follow those that it has already. Of a tag the blocks
/// are copied that changed, and nothing else.
///
/// # Errors
/// When a file of what changed is damaged.
pub fn overlay(base: &Snapshot, rows: &[LogRow], position: u64) -> Result<Snapshot, StoreError> {
    let mut next = base.clone();
    next.position = position;
    if rows.is_empty() {
        return Ok(next);
    }
    next.digest = format!(
        "{}+{position}",
        base.digest.split('+').next().unwrap_or_default()
    );
    let (tags, events) = by_name(rows);
    for (name, rows) in tags {
        // What the store does not declare any more was taken out of it after the change.
        let Some(id) = base.schema.tag_named(name) else {
            continue;
        };
        let (Some(schema), Some(part)) = (
            base.schema.tags.get(id.index()),
            next.tags.get_mut(id.index()),
        ) else {
            continue;
        };
        let column = part
            .column
            .get()?
            .with(&said(schema, &rows), schema.fresh.is_some());
        // Of the blocks that changed the column itself knows what they hold.
        *part = TagPart {
            entry: None,
            file: part.file.clone(),
            column: Arc::new(Lazy::ready(column)),
            stats: part.stats.clone(),
        };
    }
    for (name, rows) in events {
        let Some(id) = base.schema.event_named(name) else {
            continue;
        };
        let (Some(schema), Some(part)) = (
            base.schema.events.get(id.index()),
            next.events.get_mut(id.index()),
        ) else {
            continue;
        };
        let table = with_segment(
            part.table.get()?,
            Arc::new(segment(schema, &rows)),
            part.segments_of_files()?,
        )?;
        *part = EventPart {
            table: Arc::new(Lazy::ready(table)),
            segments: part.segments.clone(),
        };
    }
    Ok(next)
}

/// Changes of tags and of events, each by name, in order.
pub fn by_name(rows: &[LogRow]) -> (BTreeMap<&str, Vec<&LogRow>>, BTreeMap<&str, Vec<&LogRow>>) {
    let (mut tags, mut events): (BTreeMap<&str, Vec<&LogRow>>, BTreeMap<&str, Vec<&LogRow>>) =
        Default::default();
    for row in rows {
        let of = if row.is_event { &mut events } else { &mut tags };
        of.entry(row.name.as_str()).or_default().push(row);
    }
    (tags, events)
}

fn reading() -> Reading {
    Reading {
        zone: Zone::UTC,
        ..Reading::default()
    }
}

/// The last word on each user.
pub fn said(tag: &TagSchema, rows: &[&LogRow]) -> BTreeMap<u32, ValueUpdate> {
    let reading = reading();
    let value = |row: &LogRow| {
        let json: serde_json::Value = serde_json::from_str(&row.body).ok()?;
        reading.json(&json, &tag.ty).ok().flatten()
    };
    rows.iter()
        .map(|row| (row.user.0, (value(row), row.at)))
        .collect()
}

/// Rows as a segment of their own.
pub fn segment(schema: &EventSchema, rows: &[&LogRow]) -> EventSegment {
    let reading = reading();
    let mut columns: Vec<ColumnBuilder> = schema
        .fields
        .iter()
        .map(|f| ColumnBuilder::new(&f.ty))
        .collect();
    for row in rows {
        let body: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
        for (field, column) in schema.fields.iter().zip(&mut columns) {
            let value = body
                .get(&field.name)
                .and_then(|json| reading.json(json, &field.ty).ok().flatten());
            column.push(value.as_ref());
        }
    }
    let mut arrivals = Arrivals::default();
    let (users, at) = rows.iter().map(|r| (r.user.0, r.at.0)).unzip();
    arrivals.add(
        users,
        at,
        columns.into_iter().map(ColumnBuilder::finish).collect(),
    );
    merge::sort(schema, &arrivals)
}

/// A table with one more segment. The live ones, which come after the `stored` files' own, are
/// merged when they become many.
fn with_segment(
    table: &EventTable,
    segment: Arc<EventSegment>,
    stored: usize,
) -> Result<EventTable, StoreError> {
    let mut segments = table.segments.clone();
    segments.push(segment);
    let small: Vec<u64> = segments
        .iter()
        .skip(stored)
        .map(|s| s.len() as u64)
        .collect();
    let count =
        merge::how_many_to_merge(&small).max(if small.len() > MOST_SEGMENTS { 2 } else { 0 });
    if count > 1 {
        let runs: Vec<Vec<Arc<EventSegment>>> = segments
            .split_off(segments.len() - count)
            .into_iter()
            .map(|s| vec![s])
            .collect();
        merge::merge(&table.schema, &runs, merge::BATCH_ROWS, |merged| {
            segments.push(Arc::new(merged));
            Ok::<(), StoreError>(())
        })?;
    }
    Ok(EventTable {
        schema: table.schema.clone(),
        segments,
    })
}
