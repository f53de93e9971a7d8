//! Users, tags and event segments as Arrow record batches, and back. What is written is what stands
//! here, so that any program that reads Arrow can read a store:
//!
//! - users: `id`; beside it the index, one column `slot`;
//! - a tag: one column with the tag's name, and `written` where the tag declares `fresh`;
//! - event segments: `user` and `events`, a list of structs of `at` and the fields.
//!
//! The metadata of a column says its declared type, enum members included, as JSON under
//! `tagcast.type`.

use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Int64Array, ListArray, RecordBatch, StructArray, UInt32Array};
use arrow_schema::{
    ArrowError, DataType, Field, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit,
};
use std::collections::HashMap;
use std::sync::Arc;

use super::column::{Column, ColumnData};
use super::event_table::EventSegment;
use super::schema_file::TypeFile;
use super::users::IdSegment;
use crate::base::{EventSchema, Type};

/// Where an Arrow field says its declared type.
pub(super) const TYPE_KEY: &str = "tagcast.type";

fn instants(array: &Int64Array) -> ArrayRef {
    Arc::new(
        array
            .reinterpret_cast::<TimestampMicrosecondType>()
            .with_timezone("UTC"),
    )
}

fn instant_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn micros(array: &dyn Array) -> Option<Int64Array> {
    let typed = array
        .as_any()
        .downcast_ref::<arrow_array::TimestampMicrosecondArray>()?;
    Some(typed.reinterpret_cast::<Int64Type>())
}

/// The Arrow field of a column with a declared type.
pub(super) fn field(name: &str, ty: &Type) -> Field {
    let declared = serde_json::to_string(&TypeFile::of(ty)).unwrap_or_default();
    Field::new(name, ColumnData::data_type_of(ty), true)
        .with_metadata(HashMap::from([(TYPE_KEY.into(), declared)]))
}

pub(super) fn of_ids(segment: &IdSegment) -> Result<RecordBatch, ArrowError> {
    let schema = ArrowSchema::new(vec![Field::new("id", DataType::LargeUtf8, false)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(segment.ids.to_array()?)])
}

pub(super) fn of_slots(segment: &IdSegment) -> Result<RecordBatch, ArrowError> {
    let schema = ArrowSchema::new(vec![Field::new("slot", DataType::UInt32, false)]);
    RecordBatch::try_new(
        Arc::new(schema),
        vec![Arc::new(UInt32Array::new(segment.slots.clone(), None))],
    )
}

/// The slots of an index; `None` when the batch is not of that form.
pub(super) fn to_slots(index: &RecordBatch) -> Option<&UInt32Array> {
    index
        .column_by_name("slot")?
        .as_any()
        .downcast_ref::<UInt32Array>()
        .filter(|slots| slots.null_count() == 0)
}

pub(super) fn of_column(name: &str, column: &Column) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (vec![field(name, &column.ty)], vec![column.data.to_array()]);
    if let Some(written) = &column.written {
        fields.push(Field::new("written", instant_type(), true));
        arrays.push(instants(written));
    }
    RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), arrays)
}

pub(super) fn to_column(batch: &RecordBatch, ty: &Type, fresh: bool) -> Option<Column> {
    let data = ColumnData::from_array(batch.columns().first()?, ty)?;
    let written = if fresh {
        Some(micros(batch.columns().get(1)?)?)
    } else {
        None
    };
    Some(Column::new(ty.clone(), data, written))
}

fn event_fields(schema: &EventSchema) -> Fields {
    let at = Field::new("at", instant_type(), false);
    std::iter::once(at)
        .chain(schema.fields.iter().map(|f| field(&f.name, &f.ty)))
        .collect()
}

fn event_item(fields: Fields) -> Arc<Field> {
    Arc::new(Field::new("event", DataType::Struct(fields), false))
}

/// The Arrow schema of an event's segments.
pub(super) fn segment_schema(schema: &EventSchema) -> SchemaRef {
    let events = DataType::List(event_item(event_fields(schema)));
    Arc::new(ArrowSchema::new(vec![
        Field::new("user", DataType::UInt32, false),
        Field::new("events", events, false),
    ]))
}

pub(super) fn of_segment(
    schema: &EventSchema,
    segment: &EventSegment,
) -> Result<RecordBatch, ArrowError> {
    let fields = event_fields(schema);
    let arrow = segment_schema(schema);
    let arrays = std::iter::once(instants(&segment.at))
        .chain(segment.columns.iter().map(ColumnData::to_array))
        .collect();
    let rows = StructArray::try_new(fields.clone(), arrays, None)?;
    let lists = ListArray::try_new(
        event_item(fields),
        segment.offsets.clone(),
        Arc::new(rows),
        None,
    )?;
    RecordBatch::try_new(
        arrow,
        vec![Arc::new(segment.users.clone()), Arc::new(lists)],
    )
}

pub(super) fn to_segment(batch: &RecordBatch, schema: &EventSchema) -> Option<EventSegment> {
    let users = batch
        .column_by_name("user")?
        .as_any()
        .downcast_ref::<UInt32Array>()?
        .clone();
    let lists = batch
        .column_by_name("events")?
        .as_any()
        .downcast_ref::<ListArray>()?;
    let rows = lists.values().as_any().downcast_ref::<StructArray>()?;
    let (at, fields) = rows.columns().split_first()?;
    if fields.len() != schema.fields.len()
        || users.null_count() + lists.null_count() + rows.null_count() + at.null_count() > 0
    {
        return None;
    }
    let columns = fields
        .iter()
        .zip(&schema.fields)
        .map(|(a, f)| ColumnData::from_array(a, &f.ty))
        .collect::<Option<_>>()?;
    Some(EventSegment::new(
        users,
        lists.offsets().clone(),
        micros(at)?,
        columns,
    ))
}
