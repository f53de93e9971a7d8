//! Making columns: from single values, and from rows of columns that are there already.

use arrow_array::builder::{
    BooleanBuilder, FixedSizeListBuilder, Float64Builder, Int64Builder, LargeListBuilder, LargeStringBuilder, PrimitiveBuilder,
    UInt16Builder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time32SecondType,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, PrimitiveArray};
use arrow_schema::DataType;
use std::sync::Arc;

use super::column::{ColumnData, list_item, pack_calendar};
use crate::base::{Place, Type, Value};

/// Takes a value a row; what does not fit the type becomes missing, so check before pushing.
pub struct ColumnBuilder(Form);

enum Form {
    Bool(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Ratio(PrimitiveBuilder<Float32Type>),
    Float(PrimitiveBuilder<Float64Type>),
    Code8(PrimitiveBuilder<UInt8Type>),
    Code16(PrimitiveBuilder<UInt16Type>),
    Bits32(PrimitiveBuilder<UInt32Type>),
    Bits64(PrimitiveBuilder<UInt64Type>),
    Codes(LargeListBuilder<UInt16Builder>),
    Ints(LargeListBuilder<Int64Builder>),
    Texts(LargeListBuilder<LargeStringBuilder>),
    Date(PrimitiveBuilder<Date32Type>),
    Time(PrimitiveBuilder<Time32SecondType>),
    Instant(PrimitiveBuilder<TimestampMicrosecondType>),
    Place(FixedSizeListBuilder<Float64Builder>),
    Text(LargeStringBuilder),
}

impl ColumnBuilder {
    pub fn new(ty: &Type) -> Self {
        ColumnBuilder(match ColumnData::data_type_of(ty) {
            DataType::Boolean => Form::Bool(BooleanBuilder::new()),
            DataType::Int8 => Form::Int8(PrimitiveBuilder::new()),
            DataType::Int16 => Form::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Form::Int32(PrimitiveBuilder::new()),
            DataType::Float32 => Form::Ratio(PrimitiveBuilder::new()),
            DataType::Float64 => Form::Float(PrimitiveBuilder::new()),
            DataType::UInt8 => Form::Code8(PrimitiveBuilder::new()),
            DataType::UInt16 => Form::Code16(PrimitiveBuilder::new()),
            DataType::UInt32 => Form::Bits32(PrimitiveBuilder::new()),
            DataType::UInt64 => Form::Bits64(PrimitiveBuilder::new()),
            DataType::LargeList(item) => match item.data_type() {
                DataType::UInt16 => Form::Codes(LargeListBuilder::new(UInt16Builder::new()).with_field(item)),
                DataType::Int64 => Form::Ints(LargeListBuilder::new(Int64Builder::new()).with_field(item)),
                _ => Form::Texts(LargeListBuilder::new(LargeStringBuilder::new()).with_field(list_item(&Type::TEXT))),
            },
            DataType::Date32 => Form::Date(PrimitiveBuilder::new()),
            DataType::Time32(_) => Form::Time(PrimitiveBuilder::new()),
            DataType::Timestamp(..) => Form::Instant(PrimitiveBuilder::new().with_timezone("UTC")),
            DataType::FixedSizeList(item, n) => Form::Place(FixedSizeListBuilder::new(Float64Builder::new(), n).with_field(item)),
            DataType::LargeUtf8 => Form::Text(LargeStringBuilder::new()),
            _ => Form::Int64(PrimitiveBuilder::new()),
        })
    }

    pub fn push(&mut self, value: Option<&Value>) {
        match (&mut self.0, value) {
            (Form::Bool(b), v) => b.append_option(if let Some(Value::Bool(x)) = v { Some(*x) } else { None }),
            (Form::Int8(b), v) => b.append_option(int(v).and_then(|i| i.try_into().ok())),
            (Form::Int16(b), v) => b.append_option(int(v).and_then(|i| i.try_into().ok())),
            (Form::Int32(b), v) => b.append_option(int(v).and_then(|i| i.try_into().ok())),
            (Form::Int64(b), v) => b.append_option(int(v)),
            (Form::Ratio(b), v) => b.append_option(if let Some(Value::Ratio(x)) = v { Some(*x) } else { None }),
            (Form::Float(b), v) => b.append_option(if let Some(Value::Number(x) | Value::Distance(x)) = v { Some(*x) } else { None }),
            (Form::Code8(b), v) => b.append_option(code(v).and_then(|c| c.try_into().ok())),
            (Form::Code16(b), v) => b.append_option(code(v)),
            (Form::Bits32(b), v) => b.append_option(bits(v).map(|bits| bits as u32)),
            (Form::Bits64(b), v) => b.append_option(bits(v)),
            (Form::Codes(b), v) => append_list(b, v, |items, v| items.append_option(code(Some(v)))),
            (Form::Ints(b), v) => append_list(b, v, |items, v| items.append_option(int(Some(v)))),
            (Form::Texts(b), v) => append_list(b, v, |items, v| items.append_option(text(Some(v)))),
            (Form::Date(b), v) => b.append_option(if let Some(Value::Date(x)) = v { Some(x.0) } else { None }),
            (Form::Time(b), v) => b.append_option(if let Some(Value::Time(x)) = v { i32::try_from(x.0).ok() } else { None }),
            (Form::Instant(b), v) => b.append_option(if let Some(Value::Instant(x)) = v { Some(x.0) } else { None }),
            (Form::Place(b), v) => {
                let place = if let Some(Value::Place(p)) = v { Some(*p) } else { None };
                let Place { lat, lon } = place.unwrap_or(Place { lat: 0.0, lon: 0.0 });
                b.values().append_value(lat);
                b.values().append_value(lon);
                b.append(place.is_some());
            }
            (Form::Text(b), v) => b.append_option(text(v)),
        }
    }

    pub fn finish(self) -> ColumnData {
        match self.0 {
            Form::Bool(mut b) => ColumnData::Bool(b.finish()),
            Form::Int8(mut b) => ColumnData::Int8(b.finish()),
            Form::Int16(mut b) => ColumnData::Int16(b.finish()),
            Form::Int32(mut b) => ColumnData::Int32(b.finish()),
            Form::Int64(mut b) => ColumnData::Int64(b.finish()),
            Form::Ratio(mut b) => ColumnData::Ratio(b.finish()),
            Form::Float(mut b) => ColumnData::Float(b.finish()),
            Form::Code8(mut b) => ColumnData::Code8(b.finish()),
            Form::Code16(mut b) => ColumnData::Code16(b.finish()),
            Form::Bits32(mut b) => ColumnData::Bits32(b.finish()),
            Form::Bits64(mut b) => ColumnData::Bits64(b.finish()),
            Form::Codes(mut b) => ColumnData::List(b.finish()),
            Form::Ints(mut b) => ColumnData::List(b.finish()),
            Form::Texts(mut b) => ColumnData::List(b.finish()),
            Form::Date(mut b) => ColumnData::Date(b.finish()),
            Form::Time(mut b) => ColumnData::Time(b.finish()),
            Form::Instant(mut b) => ColumnData::Instant(b.finish()),
            Form::Place(mut b) => ColumnData::Place(b.finish()),
            Form::Text(mut b) => ColumnData::Text(b.finish()),
        }
    }
}

fn append_list<B: arrow_array::builder::ArrayBuilder>(
    list: &mut LargeListBuilder<B>,
    value: Option<&Value>,
    push: impl Fn(&mut B, &Value),
) {
    for item in items(value).map_or(&[][..], |all| all) {
        push(list.values(), item);
    }
    list.append(items(value).is_some());
}

fn int(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Int(i) | Value::Money(i) => Some(*i),
        Value::Elapsed(e) => Some(e.0),
        Value::Calendar(c) => Some(pack_calendar(*c)),
        _ => None,
    }
}

fn code(value: Option<&Value>) -> Option<u16> {
    if let Some(Value::Enum(c)) = value { Some(*c) } else { None }
}

/// Bit `n` is the member with code `n`.
fn bits(value: Option<&Value>) -> Option<u64> {
    let bit = |item: &Value| code(Some(item)).and_then(|c| 1u64.checked_shl(c.into()));
    items(value).map(|of| of.iter().filter_map(bit).fold(0, |bits, bit| bits | bit))
}

fn text(value: Option<&Value>) -> Option<&str> {
    if let Some(Value::Text(t)) = value { Some(t) } else { None }
}

fn items(value: Option<&Value>) -> Option<&Arc<[Value]>> {
    if let Some(Value::Set(items)) = value { Some(items) } else { None }
}

/// Which row of which part a new row is copied from.
pub type Pick = Option<(u32, u32)>;

/// A column made of picked rows of `parts`, all of type `ty`. `None` picks a missing value, and so does a row past the end of its part.
pub fn gather(ty: &Type, parts: &[&ColumnData], picks: &[Pick]) -> ColumnData {
    macro_rules! primitive {
        ($variant:ident) => {{
            let parts: Vec<_> = parts.iter().map(|p| if let ColumnData::$variant(a) = p { Some(a) } else { None }).collect();
            ColumnData::$variant(gather_primitive(&parts, picks))
        }};
    }
    match ColumnData::data_type_of(ty) {
        DataType::Int8 => primitive!(Int8),
        DataType::Int16 => primitive!(Int16),
        DataType::Int32 => primitive!(Int32),
        DataType::Int64 => primitive!(Int64),
        DataType::Float32 => primitive!(Ratio),
        DataType::Float64 => primitive!(Float),
        DataType::UInt8 => primitive!(Code8),
        DataType::UInt16 => primitive!(Code16),
        DataType::UInt32 => primitive!(Bits32),
        DataType::UInt64 => primitive!(Bits64),
        DataType::Date32 => primitive!(Date),
        DataType::Time32(_) => primitive!(Time),
        DataType::Timestamp(..) => {
            let parts: Vec<_> = parts.iter().map(|p| if let ColumnData::Instant(a) = p { Some(a) } else { None }).collect();
            ColumnData::Instant(gather_primitive(&parts, picks).with_timezone("UTC"))
        }
        DataType::LargeUtf8 => ColumnData::Text(
            picks
                .iter()
                .map(|pick| match pick_of(parts, *pick)? {
                    (ColumnData::Text(a), row) => Some(a.value(row)),
                    _ => None,
                })
                .collect(),
        ),
        _ => {
            let mut out = ColumnBuilder::new(ty);
            for pick in picks {
                out.push(pick_of(parts, *pick).and_then(|(part, row)| part.value(row, ty)).as_ref());
            }
            out.finish()
        }
    }
}

fn pick_of<'a>(parts: &[&'a ColumnData], pick: Pick) -> Option<(&'a ColumnData, usize)> {
    let (part, row) = pick?;
    parts.get(part as usize).map(|p| (*p, row as usize)).filter(|(p, row)| p.is_valid(*row))
}

fn gather_primitive<T: ArrowPrimitiveType>(parts: &[Option<&PrimitiveArray<T>>], picks: &[Pick]) -> PrimitiveArray<T> {
    picks
        .iter()
        .map(|pick| {
            let (part, row) = (*pick)?;
            let (array, row) = ((*parts.get(part as usize)?)?, row as usize);
            (row < array.len() && array.is_valid(row)).then(|| array.value(row))
        })
        .collect()
}
