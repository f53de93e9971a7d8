//! A snapshot with changes laid over it. Only the tags and events that changed are made anew, and only when somebody asks for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, ArrowPrimitiveType, Int64Array, PrimitiveArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer, ScalarBuffer};

use super::log::Row;
use crate::base::{EventSchema, Instant, TagSchema, Value, Zone};
use crate::store::build::{ColumnBuilder, Pick, gather};
use crate::store::import::Reading;
use crate::store::lazy::Lazy;
use crate::store::merge::{self, Arrivals};
use crate::store::snapshot::{EventPart, TagPart};
use crate::store::{Column, ColumnData, EventSegment, EventTable, Snapshot, StoreError};

/// A user's new value, and when it was said.
type Said = (Option<Value>, Instant);

/// Small segments of live events that are merged into one when there are more.
const MOST_SEGMENTS: usize = 8;

/// The snapshot after the rows, which must follow those that it has already.
pub fn overlay(base: &Snapshot, rows: &[Row], position: u64) -> Snapshot {
    let mut next = base.clone();
    next.position = position;
    if rows.is_empty() {
        return next;
    }
    next.digest = format!("{}+{position}", base.digest.split('+').next().unwrap_or_default());
    let (mut tags, mut events): (BTreeMap<&str, Vec<&Row>>, BTreeMap<&str, Vec<&Row>>) = Default::default();
    for row in rows {
        let of = if row.is_event { &mut events } else { &mut tags };
        of.entry(row.name.as_str()).or_default().push(row);
    }
    for (name, rows) in tags {
        // What the store does not declare any more was taken out of it after the change.
        let Some(id) = base.schema.tag_named(name) else { continue };
        let (Some(schema), Some(part)) = (base.schema.tags.get(id.index()), next.tags.get_mut(id.index())) else { continue };
        let said = said(schema, &rows);
        let (before, schema) = (part.column.clone(), schema.clone());
        let column = Lazy::new(move || Ok(patched(before.get()?, &schema, &said)));
        *part = TagPart { entry: None, file: part.file.clone(), column: Arc::new(column), stats: Arc::new(Lazy::ready(None)) };
    }
    for (name, rows) in events {
        let Some(id) = base.schema.event_named(name) else { continue };
        let (Some(schema), Some(part)) = (base.schema.events.get(id.index()), next.events.get_mut(id.index())) else { continue };
        let (segment, before, stored) = (Arc::new(segment(schema, &rows)), part.table.clone(), part.segments.len());
        let table = Lazy::new(move || with_segment(before.get()?, &segment, stored));
        *part = EventPart { table: Arc::new(table), segments: part.segments.clone(), as_stored: false };
    }
    next
}

fn reading() -> Reading {
    Reading { zone: Zone::UTC, ..Reading::default() }
}

/// The last word on each user.
pub fn said(tag: &TagSchema, rows: &[&Row]) -> BTreeMap<u32, Said> {
    let reading = reading();
    let value = |row: &Row| {
        let json: serde_json::Value = serde_json::from_str(&row.body).ok()?;
        reading.json(&json, &tag.ty).ok().flatten()
    };
    rows.iter().map(|row| (row.user.0, (value(row), row.at))).collect()
}

/// A column with some values replaced.
pub fn patched(base: &Column, tag: &TagSchema, said: &BTreeMap<u32, Said>) -> Column {
    let mut new = ColumnBuilder::new(&base.ty);
    said.values().for_each(|(value, _)| new.push(value.as_ref()));
    let users: Vec<u32> = said.keys().copied().collect();
    let len = base.len().max(users.last().map_or(0, |u| *u as usize + 1));
    let data = replaced(base, &new.finish(), &users, len);
    let written = tag.fresh.map(|_| {
        let mut at: Vec<Option<i64>> = (0..len).map(|row| base.written_at(row).map(|at| at.0)).collect();
        for (user, (value, when)) in said {
            if let Some(slot) = at.get_mut(*user as usize) {
                *slot = value.as_ref().map(|_| when.0);
            }
        }
        Int64Array::from(at)
    });
    Column { ty: base.ty.clone(), data, written }
}

fn replaced(base: &Column, new: &ColumnData, users: &[u32], len: usize) -> ColumnData {
    macro_rules! primitives {
        ($($variant:ident),*) => {
            match (&base.data, new) {
                $((ColumnData::$variant(old), ColumnData::$variant(new)) => ColumnData::$variant(primitive(old, new, users, len)),)*
                _ => {
                    let mut picks: Vec<Pick> = (0..len).map(|row| Some((0, row as u32))).collect();
                    for (user, row) in users.iter().zip(0..) {
                        if let Some(pick) = picks.get_mut(*user as usize) {
                            *pick = Some((1, row));
                        }
                    }
                    gather(&base.ty, &[&base.data, new], &picks)
                }
            }
        };
    }
    primitives!(Int8, Int16, Int32, Int64, Ratio, Float, Code8, Code16, Bits, Date, Time, Instant)
}

fn primitive<T: ArrowPrimitiveType>(old: &PrimitiveArray<T>, new: &PrimitiveArray<T>, users: &[u32], len: usize) -> PrimitiveArray<T> {
    let mut values = Vec::with_capacity(len);
    values.extend_from_slice(old.values());
    values.resize(len, T::default_value());
    let mut valid = BooleanBufferBuilder::new(len);
    match old.nulls() {
        Some(nulls) => valid.append_buffer(nulls.inner()),
        None => valid.append_n(old.len(), true),
    }
    valid.append_n(len - old.len(), false);
    for (user, row) in users.iter().zip(0..) {
        let user = *user as usize;
        valid.set_bit(user, new.is_valid(row));
        if let Some(slot) = values.get_mut(user) {
            *slot = new.value(row);
        }
    }
    PrimitiveArray::new(ScalarBuffer::from(values), Some(NullBuffer::new(valid.finish()))).with_data_type(old.data_type().clone())
}

/// Rows as a segment of their own.
pub fn segment(schema: &EventSchema, rows: &[&Row]) -> EventSegment {
    let reading = reading();
    let mut columns: Vec<ColumnBuilder> = schema.fields.iter().map(|f| ColumnBuilder::new(&f.ty)).collect();
    for row in rows {
        let body: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
        for (field, column) in schema.fields.iter().zip(&mut columns) {
            let value = body.get(&field.name).and_then(|json| reading.json(json, &field.ty).ok().flatten());
            column.push(value.as_ref());
        }
    }
    let mut arrivals = Arrivals::default();
    let (users, at) = rows.iter().map(|r| (r.user.0, r.at.0)).unzip();
    arrivals.add(users, at, columns.into_iter().map(ColumnBuilder::finish).collect());
    merge::sort(schema, &arrivals)
}

/// A table with one more segment. The live ones, which come after the `stored` files' own, are merged when they become many.
fn with_segment(table: &EventTable, segment: &Arc<EventSegment>, stored: usize) -> Result<EventTable, StoreError> {
    let mut segments = table.segments.clone();
    segments.push(segment.clone());
    let small: Vec<u64> = segments.iter().skip(stored).map(|s| s.len() as u64).collect();
    let count = merge::how_many_to_merge(&small).max(if small.len() > MOST_SEGMENTS { 2 } else { 0 });
    if count > 1 {
        let runs: Vec<Vec<Arc<EventSegment>>> = segments.split_off(segments.len() - count).into_iter().map(|s| vec![s]).collect();
        merge::merge(&table.schema, &runs, merge::BATCH_ROWS, |merged| {
            segments.push(Arc::new(merged));
            Ok::<(), StoreError>(())
        })?;
    }
    Ok(EventTable { schema: table.schema.clone(), segments })
}
