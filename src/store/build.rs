//! Making columns: from single values, and from rows of columns that are there already.

use arrow_array::builder::{
    BooleanBuilder, FixedSizeListBuilder, Float64Builder, Int64Builder, LargeListBuilder,
    LargeStringBuilder, PrimitiveBuilder, UInt16Builder,
};
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32SecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type,
    UInt64Type,
};
use arrow_array::{Array, BooleanArray, PrimitiveArray};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::DataType;
use std::ops::Range;
use std::sync::Arc;

use super::column::{ColumnData, list_item, pack_calendar};
use crate::base::{GeoPoint, Type, Value};

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
                DataType::UInt16 => {
                    Form::Codes(LargeListBuilder::new(UInt16Builder::new()).with_field(item))
                }
                DataType::Int64 => {
                    Form::Ints(LargeListBuilder::new(Int64Builder::new()).with_field(item))
                }
                _ => Form::Texts(
                    LargeListBuilder::new(LargeStringBuilder::new())
                        .with_field(list_item(&Type::TEXT)),
                ),
            },
            DataType::Date32 => Form::Date(PrimitiveBuilder::new()),
            DataType::Time32(_) => Form::Time(PrimitiveBuilder::new()),
            DataType::Timestamp(..) => Form::Instant(PrimitiveBuilder::new().with_timezone("UTC")),
            DataType::FixedSizeList(item, n) => {
                Form::Place(FixedSizeListBuilder::new(Float64Builder::new(), n).with_field(item))
            }
            DataType::LargeUtf8 => Form::Text(LargeStringBuilder::new()),
            _ => Form::Int64(PrimitiveBuilder::new()),
        })
    }

    pub fn push(&mut self, value: Option<&Value>) {
        match (&mut self.0, value) {
            (Form::Bool(b), v) => b.append_option(if let Some(Value::Bool(x)) = v {
                Some(*x)
            } else {
                None
            }),
            (Form::Int8(b), v) => b.append_option(int(v).and_then(|i| i.try_into().ok())),
            (Form::Int16(b), v) => b.append_option(int(v).and_then(|i| i.try_into().ok())),
            (Form::Int32(b), v) => b.append_option(int(v).and_then(|i| i.try_into().ok())),
            (Form::Int64(b), v) => b.append_option(int(v)),
            (Form::Ratio(b), v) => b.append_option(if let Some(Value::Ratio(x)) = v {
                Some(*x)
            } else {
                None
            }),
            (Form::Float(b), v) => {
                b.append_option(if let Some(Value::Number(x) | Value::Distance(x)) = v {
                    Some(*x)
                } else {
                    None
                })
            }
            (Form::Code8(b), v) => b.append_option(code(v).and_then(|c| c.try_into().ok())),
            (Form::Code16(b), v) => b.append_option(code(v)),
            (Form::Bits32(b), v) => b.append_option(bits(v).map(|bits| bits as u32)),
            (Form::Bits64(b), v) => b.append_option(bits(v)),
            (Form::Codes(b), v) => append_list(b, v, |items, v| items.append_option(code(Some(v)))),
            (Form::Ints(b), v) => append_list(b, v, |items, v| items.append_option(int(Some(v)))),
            (Form::Texts(b), v) => append_list(b, v, |items, v| items.append_option(text(Some(v)))),
            (Form::Date(b), v) => b.append_option(if let Some(Value::Date(x)) = v {
                Some(x.0)
            } else {
                None
            }),
            (Form::Time(b), v) => b.append_option(if let Some(Value::Time(x)) = v {
                i32::try_from(x.0).ok()
            } else {
                None
            }),
            (Form::Instant(b), v) => b.append_option(if let Some(Value::Instant(x)) = v {
                Some(x.0)
            } else {
                None
            }),
            (Form::Place(b), v) => {
                let place = if let Some(Value::Place(p)) = v {
                    Some(*p)
                } else {
                    None
                };
                let GeoPoint { lat, lon } = place.unwrap_or(GeoPoint { lat: 0.0, lon: 0.0 });
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
    if let Some(Value::Enum(c)) = value {
        Some(*c)
    } else {
        None
    }
}

/// Bit `n` is the member with code `n`.
fn bits(value: Option<&Value>) -> Option<u64> {
    let bit = |item: &Value| code(Some(item)).and_then(|c| 1u64.checked_shl(c.into()));
    items(value).map(|of| of.iter().filter_map(bit).fold(0, |bits, bit| bits | bit))
}

fn text(value: Option<&Value>) -> Option<&str> {
    if let Some(Value::Text(t)) = value {
        Some(t)
    } else {
        None
    }
}

fn items(value: Option<&Value>) -> Option<&Arc<[Value]>> {
    if let Some(Value::Set(items)) = value {
        Some(items)
    } else {
        None
    }
}

/// Which row of which part a new row is copied from; `None` for a missing value.
pub type SourceRow = Option<(u32, u32)>;

/// Which rows of which parts a column is made of, in order.
#[derive(Default)]
pub struct Picks {
    runs: Vec<Run>,
    len: usize,
}

/// Rows of a part that follow each other.
struct Run {
    /// Or [`MISSING`].
    part: u32,
    row: u32,
    rows: u32,
}

/// Stands for a part where values are missing.
const MISSING: u32 = u32::MAX;

impl Picks {
    pub fn push(&mut self, pick: SourceRow) {
        let (part, row) = pick.unwrap_or((MISSING, 0));
        self.push_run(part, row, 1);
    }

    /// So many rows of a part, from `row` on.
    pub fn push_rows(&mut self, part: u32, row: u32, rows: u32) {
        self.push_run(part, row, rows);
    }

    fn push_run(&mut self, part: u32, row: u32, rows: u32) {
        self.len += rows as usize;
        match self.runs.last_mut() {
            Some(last)
                if last.part == part
                    && (part == MISSING || last.row.checked_add(last.rows) == Some(row)) =>
            {
                last.rows += rows
            }
            _ => self.runs.push(Run { part, row, rows }),
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is a row of a part.
    pub fn has(&self, part: u32) -> bool {
        self.runs.iter().any(|run| run.part == part)
    }

    pub fn iter(&self) -> impl Iterator<Item = SourceRow> + '_ {
        self.runs.iter().flat_map(|run| {
            (0..run.rows).map(move |n| (run.part != MISSING).then_some((run.part, run.row + n)))
        })
    }
}

impl FromIterator<SourceRow> for Picks {
    fn from_iter<I: IntoIterator<Item = SourceRow>>(all: I) -> Self {
        let mut picks = Picks::default();
        all.into_iter().for_each(|pick| picks.push(pick));
        picks
    }
}

/// A column made of picked rows of `parts`, all of type `ty`. A row past the end of its part is a
/// missing value.
pub fn gather(ty: &Type, parts: &[&ColumnData], picks: &Picks) -> ColumnData {
    macro_rules! parts {
        ($variant:ident) => {
            parts
                .iter()
                .map(|p| {
                    if let ColumnData::$variant(a) = p {
                        Some(a)
                    } else {
                        None
                    }
                })
                .collect::<Vec<_>>()
        };
    }
    macro_rules! primitive {
        ($variant:ident) => {
            ColumnData::$variant(gather_primitive(&parts!($variant), picks))
        };
    }
    match ColumnData::data_type_of(ty) {
        DataType::Boolean => ColumnData::Bool(gather_bools(&parts!(Bool), picks)),
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
            ColumnData::Instant(gather_primitive(&parts!(Instant), picks).with_timezone("UTC"))
        }
        DataType::LargeUtf8 => ColumnData::Text(
            picks
                .iter()
                .map(|pick| match pick_of(parts, pick)? {
                    (ColumnData::Text(a), row) => Some(a.value(row)),
                    _ => None,
                })
                .collect(),
        ),
        _ => {
            let mut out = ColumnBuilder::new(ty);
            for pick in picks.iter() {
                out.push(
                    pick_of(parts, pick)
                        .and_then(|(part, row)| part.value(row, ty))
                        .as_ref(),
                );
            }
            out.finish()
        }
    }
}

fn pick_of<'a>(parts: &[&'a ColumnData], pick: SourceRow) -> Option<(&'a ColumnData, usize)> {
    let (part, row) = pick?;
    parts
        .get(part as usize)
        .map(|p| (*p, row as usize))
        .filter(|(p, row)| p.is_valid(*row))
}

/// Calls `take` with each run: the part, the rows of it that there are, and how many are missing
/// behind them.
fn for_each_run<A: Array>(
    parts: &[Option<&A>],
    picks: &Picks,
    mut take: impl FnMut(Option<&A>, Range<usize>, usize),
) {
    for run in &picks.runs {
        let (from, rows) = (run.row as usize, run.rows as usize);
        let part = parts.get(run.part as usize).copied().flatten();
        let here = part.map_or(0, |part| part.len().saturating_sub(from).min(rows));
        take(part.filter(|_| here > 0), from..from + here, rows - here);
    }
}

fn append_known(valid: &mut BooleanBufferBuilder, part: &impl Array, rows: Range<usize>) {
    match part.nulls() {
        None => valid.append_n(rows.len(), true),
        Some(nulls) if rows.len() == 1 => valid.append(nulls.is_valid(rows.start)),
        Some(nulls) => valid.append_buffer(nulls.slice(rows.start, rows.len()).inner()),
    }
}

fn nulls_of(mut valid: BooleanBufferBuilder) -> Option<NullBuffer> {
    Some(NullBuffer::new(valid.finish())).filter(|nulls| nulls.null_count() > 0)
}

fn gather_primitive<T: ArrowPrimitiveType>(
    parts: &[Option<&PrimitiveArray<T>>],
    picks: &Picks,
) -> PrimitiveArray<T> {
    let (mut values, mut valid) = (
        Vec::with_capacity(picks.len()),
        BooleanBufferBuilder::new(picks.len()),
    );
    for_each_run(parts, picks, |part, rows, missing| {
        if let Some(part) = part {
            append_known(&mut valid, part, rows.clone());
            values.extend_from_slice(part.values().get(rows).unwrap_or_default());
        }
        valid.append_n(missing, false);
        values.resize(values.len() + missing, T::default_value());
    });
    let nulls = nulls_of(valid);
    // What stands where nothing is known shows in the bytes of the file: always the same.
    for missing in nulls
        .iter()
        .flat_map(|nulls| (!nulls.inner()).set_indices().collect::<Vec<_>>())
    {
        values
            .iter_mut()
            .skip(missing)
            .take(1)
            .for_each(|v| *v = T::default_value());
    }
    PrimitiveArray::new(values.into(), nulls)
}

fn gather_bools(parts: &[Option<&BooleanArray>], picks: &Picks) -> BooleanArray {
    let (mut values, mut valid) = (
        BooleanBufferBuilder::new(picks.len()),
        BooleanBufferBuilder::new(picks.len()),
    );
    for_each_run(parts, picks, |part, rows, missing| {
        if let Some(part) = part {
            append_known(&mut valid, part, rows.clone());
            values.append_buffer(&part.values().slice(rows.start, rows.len()));
        }
        valid.append_n(missing, false);
        values.append_n(missing, false);
    });
    let (values, nulls) = (values.finish(), nulls_of(valid));
    let values = nulls
        .as_ref()
        .map_or(values.clone(), |nulls| &values & nulls.inner());
    BooleanArray::new(values, nulls)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows in order, backwards, twice, past the end and missing, of parts with and without missing
    /// values: what picking row by row gives.
    #[test]
    fn gathering_is_picking_row_by_row() {
        let enums = |n: u16| {
            Type::Enum(Arc::new(crate::base::EnumType {
                members: (0..n).map(|i| format!("m{i}")).collect(),
            }))
        };
        let set = |items: &[u16]| Value::Set(items.iter().map(|i| Value::Enum(*i)).collect());
        let cases: [(Type, fn(u32) -> Value); 5] = [
            (Type::Bool, |n| Value::Bool(n % 3 == 1)),
            (Type::Money, |n| Value::Money(i64::from(n) + 1)),
            (Type::TEXT, |n| Value::text(&n.to_string())),
            (Type::Instant, |n| {
                Value::Instant(crate::base::Instant(i64::from(n) + 1))
            }),
            (Type::Set(Box::new(Type::INT)), |n| {
                Value::Set([Value::Int(n.into())].into())
            }),
        ];
        let picks = [
            (0, 0..100),
            (1, 3..70),
            (0, 150..260),
            (1, 0..1),
            (1, 0..1),
            (0, 60..62),
            (7, 0..2),
        ];
        let mut all: Vec<SourceRow> = picks
            .into_iter()
            .flat_map(|(part, rows)| rows.map(move |row| Some((part, row))))
            .collect();
        all.extend([None, None]);
        all.extend((0..130).rev().map(|row| Some((0, row))));
        let picks: Picks = all.iter().copied().collect();
        assert_eq!(picks.iter().collect::<Vec<_>>(), all);
        assert!(picks.has(1) && picks.has(7) && !picks.has(2) && picks.runs.len() < 150);
        let of = |ty: &Type, rows: &mut dyn Iterator<Item = Option<Value>>| {
            let mut b = ColumnBuilder::new(ty);
            rows.for_each(|v| b.push(v.as_ref()));
            b.finish()
        };
        let sets = (Type::Set(Box::new(enums(20))), set(&[1, 19]));
        let wide = (Type::Set(Box::new(enums(40))), set(&[1, 39]));
        for (ty, value) in [sets, wide] {
            let part = of(&ty, &mut [Some(value.clone()), None].into_iter());
            let out = gather(
                &ty,
                &[&part],
                &[Some((0, 1)), Some((0, 0)), None].into_iter().collect(),
            );
            assert_eq!(
                [0, 1, 2].map(|row| out.value(row, &ty)),
                [None, Some(value), None]
            );
        }
        for (ty, value) in cases {
            let full = of(&ty, &mut (0..200).map(|n| Some(value(n))));
            let holey = of(&ty, &mut (0..100).map(|n| (n % 5 > 0).then(|| value(n))));
            for parts in [[&full, &holey], [&holey, &full], [&full, &full]] {
                let expected = of(
                    &ty,
                    &mut all.iter().map(|pick| {
                        pick_of(&parts, *pick).and_then(|(part, row)| part.value(row, &ty))
                    }),
                );
                assert_eq!(gather(&ty, &parts, &picks), expected, "{}", ty.describe());
            }
        }
    }
}
