//! A tag's values as one Arrow array in the narrowest form that its declared type allows, a row a
//! user number.
//!
//! | type | form |
//! | --- | --- |
//! | `bool` | bits |
//! | `int lo..hi` | the narrowest of 8, 16, 32, 64 bits that holds both bounds |
//! | `ratio` · `number`, `distance` | f32 · f64 |
//! | `money`, elapsed and calendar time | i64 (minor units · microseconds · months and days) |
//! | `enum` | a member's code in 8 bits, or 16 when there are more than 256 members |
//! | `set of enum` | a bit a member: 32 bits up to 32 members, 64 up to 64; otherwise a list of codes |
//! | `set of text`, `set of int` | a list, sorted, without repeats |
//! | `date` · `time` · `instant` | days · seconds · microseconds in UTC |
//! | `place` | latitude and longitude, f64 each |
//! | `text`, `address` | UTF-8 |
//!
//! Missing values are the array's own nulls. A column may be shorter than the number of users: for
//! the rest the value is missing.

use arrow_array::types::Int64Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, FixedSizeListArray, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, LargeListArray, LargeStringArray,
    Time32SecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, TimeUnit};
use std::sync::Arc;

use super::blocks::{BLOCK_ROWS, BlockStats};
use super::changed::ChangedBlock;
use crate::base::{Calendar, Date, Elapsed, GeoPoint, Instant, TimeOfDay, Type, Value};

/// Sets over an enum with at most this many members are bit sets.
pub const MAX_BIT_MEMBERS: usize = 64;
/// And with at most this many, narrow ones.
const MAX_NARROW_MEMBERS: usize = 32;

/// The values themselves. Which variant a type has is fixed: [`ColumnData::data_type_of`].
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnData {
    Bool(BooleanArray),
    Int8(Int8Array),
    Int16(Int16Array),
    Int32(Int32Array),
    /// `int`, `money` in minor units, elapsed time in microseconds, calendar time as
    /// [`pack_calendar`] has it.
    Int64(Int64Array),
    Ratio(Float32Array),
    /// `number`, and `distance` in metres.
    Float(Float64Array),
    Code8(UInt8Array),
    Code16(UInt16Array),
    /// `set of enum`: bit `n` is the member with code `n`.
    Bits32(UInt32Array),
    Bits64(UInt64Array),
    /// Other sets: items are `LargeStringArray` (text), `Int64Array` (int) or `UInt16Array` (enum
    /// codes).
    List(LargeListArray),
    Date(Date32Array),
    Time(Time32SecondArray),
    Instant(TimestampMicrosecondArray),
    /// Two `Float64Array` items a row: latitude, longitude.
    Place(FixedSizeListArray),
    /// Text and addresses.
    Text(LargeStringArray),
}

/// Months in the upper, days in the lower 32 bits.
pub fn pack_calendar(c: Calendar) -> i64 {
    (i64::from(c.months) << 32) | i64::from(c.days as u32)
}

/// What [`pack_calendar`] packed.
pub fn unpack_calendar(packed: i64) -> Calendar {
    Calendar {
        months: (packed >> 32) as i32,
        days: packed as i32,
    }
}

macro_rules! with_array {
    ($data:expr, $array:ident => $body:expr) => {
        match $data {
            ColumnData::Bool($array) => $body,
            ColumnData::Int8($array) => $body,
            ColumnData::Int16($array) => $body,
            ColumnData::Int32($array) => $body,
            ColumnData::Int64($array) => $body,
            ColumnData::Ratio($array) => $body,
            ColumnData::Float($array) => $body,
            ColumnData::Code8($array) => $body,
            ColumnData::Code16($array) => $body,
            ColumnData::Bits32($array) => $body,
            ColumnData::Bits64($array) => $body,
            ColumnData::List($array) => $body,
            ColumnData::Date($array) => $body,
            ColumnData::Time($array) => $body,
            ColumnData::Instant($array) => $body,
            ColumnData::Place($array) => $body,
            ColumnData::Text($array) => $body,
        }
    };
}

impl ColumnData {
    pub fn len(&self) -> usize {
        with_array!(self, a => a.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bitmap of rows that have a value; `None` when all have one.
    pub fn nulls(&self) -> Option<&NullBuffer> {
        with_array!(self, a => a.nulls())
    }

    /// Whether there is such a row and it has a value.
    pub fn is_valid(&self, row: usize) -> bool {
        row < self.len() && self.nulls().is_none_or(|n| n.is_valid(row))
    }

    /// How many rows have a value.
    pub fn known(&self) -> usize {
        self.len() - self.nulls().map_or(0, NullBuffer::null_count)
    }

    pub fn to_array(&self) -> ArrayRef {
        with_array!(self, a => Arc::new(a.clone()))
    }

    /// An array read back, if it has the form that `ty` is stored in.
    pub fn from_array(array: &dyn Array, ty: &Type) -> Option<ColumnData> {
        let any = array.as_any();
        match (array.data_type(), Self::data_type_of(ty)) {
            // Until version 2 of the store all bit sets had 64 bits.
            (DataType::UInt64, DataType::UInt32) => {
                let wide = any.downcast_ref::<UInt64Array>()?;
                let narrow = wide
                    .values()
                    .iter()
                    .map(|bits| u32::try_from(*bits).ok())
                    .collect::<Option<Vec<_>>>()?;
                return Some(ColumnData::Bits32(UInt32Array::new(
                    narrow.into(),
                    wide.nulls().cloned(),
                )));
            }
            (is, should_be) if *is != should_be => return None,
            _ => {}
        }
        macro_rules! take {
            ($variant:ident) => {
                any.downcast_ref().cloned().map(ColumnData::$variant)
            };
        }
        match array.data_type() {
            DataType::Boolean => take!(Bool),
            DataType::Int8 => take!(Int8),
            DataType::Int16 => take!(Int16),
            DataType::Int32 => take!(Int32),
            DataType::Int64 => take!(Int64),
            DataType::Float32 => take!(Ratio),
            DataType::Float64 => take!(Float),
            DataType::UInt8 => take!(Code8),
            DataType::UInt16 => take!(Code16),
            DataType::UInt32 => take!(Bits32),
            DataType::UInt64 => take!(Bits64),
            DataType::LargeList(_) => take!(List),
            DataType::Date32 => take!(Date),
            DataType::Time32(_) => take!(Time),
            DataType::Timestamp(..) => take!(Instant),
            DataType::FixedSizeList(..) => take!(Place),
            DataType::LargeUtf8 => take!(Text),
            _ => None,
        }
    }

    /// The Arrow type that values of `ty` are stored in.
    pub fn data_type_of(ty: &Type) -> DataType {
        match ty {
            Type::Bool => DataType::Boolean,
            Type::Int {
                lo: Some(lo),
                hi: Some(hi),
            } => {
                let within = |min: i64, max: i64| *lo >= min && *hi <= max;
                match () {
                    () if within(i8::MIN.into(), i8::MAX.into()) => DataType::Int8,
                    () if within(i16::MIN.into(), i16::MAX.into()) => DataType::Int16,
                    () if within(i32::MIN.into(), i32::MAX.into()) => DataType::Int32,
                    () => DataType::Int64,
                }
            }
            Type::Int { .. } | Type::Money | Type::Elapsed | Type::Calendar => DataType::Int64,
            Type::Number | Type::Distance => DataType::Float64,
            Type::Ratio => DataType::Float32,
            Type::Enum(e) if e.members.len() <= 256 => DataType::UInt8,
            Type::Enum(_) => DataType::UInt16,
            Type::Set(of) => match &**of {
                Type::Enum(e) if e.members.len() <= MAX_NARROW_MEMBERS => DataType::UInt32,
                Type::Enum(e) if e.members.len() <= MAX_BIT_MEMBERS => DataType::UInt64,
                of => DataType::LargeList(Arc::new(list_item(of))),
            },
            Type::Date => DataType::Date32,
            Type::Time => DataType::Time32(TimeUnit::Second),
            Type::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Type::Place => DataType::FixedSizeList(
                Arc::new(Field::new("degrees", DataType::Float64, false)),
                2,
            ),
            Type::Text { .. } | Type::Address(_) => DataType::LargeUtf8,
        }
    }

    /// The value in a row as one of type `ty`; `None` when it is missing (or `ty` is not the type
    /// it was stored with).
    pub fn value(&self, row: usize, ty: &Type) -> Option<Value> {
        if !self.is_valid(row) {
            return None;
        }
        Some(match (self, ty) {
            (ColumnData::Bool(a), Type::Bool) => Value::Bool(a.value(row)),
            (ColumnData::Int8(a), Type::Int { .. }) => Value::Int(a.value(row).into()),
            (ColumnData::Int16(a), Type::Int { .. }) => Value::Int(a.value(row).into()),
            (ColumnData::Int32(a), Type::Int { .. }) => Value::Int(a.value(row).into()),
            (ColumnData::Int64(a), Type::Int { .. }) => Value::Int(a.value(row)),
            (ColumnData::Int64(a), Type::Money) => Value::Money(a.value(row)),
            (ColumnData::Int64(a), Type::Elapsed) => Value::Elapsed(Elapsed(a.value(row))),
            (ColumnData::Int64(a), Type::Calendar) => {
                Value::Calendar(unpack_calendar(a.value(row)))
            }
            (ColumnData::Ratio(a), Type::Ratio) => Value::Ratio(a.value(row)),
            (ColumnData::Float(a), Type::Number) => Value::Number(a.value(row)),
            (ColumnData::Float(a), Type::Distance) => Value::Distance(a.value(row)),
            (ColumnData::Code8(a), Type::Enum(_)) => Value::Enum(a.value(row).into()),
            (ColumnData::Code16(a), Type::Enum(_)) => Value::Enum(a.value(row)),
            (ColumnData::Bits32(a), Type::Set(_)) => members(a.value(row).into()),
            (ColumnData::Bits64(a), Type::Set(_)) => members(a.value(row)),
            (ColumnData::List(a), Type::Set(of)) => {
                Value::Set(list_values(&*a.value(row), of)?.into())
            }
            (ColumnData::Date(a), Type::Date) => Value::Date(Date(a.value(row))),
            (ColumnData::Time(a), Type::Time) => {
                Value::Time(TimeOfDay(u32::try_from(a.value(row)).ok()?))
            }
            (ColumnData::Instant(a), Type::Instant) => Value::Instant(Instant(a.value(row))),
            (ColumnData::Place(a), Type::Place) => {
                let degrees = a.values().as_any().downcast_ref::<Float64Array>()?;
                let at = a.value_offset_at(row);
                Value::Place(GeoPoint {
                    lat: degrees.value(at),
                    lon: degrees.value(at + 1),
                })
            }
            (ColumnData::Text(a), Type::Text { .. } | Type::Address(_)) => {
                Value::text(a.value(row))
            }
            _ => return None,
        })
    }
}

fn members(bits: u64) -> Value {
    Value::Set(
        (0..64u16)
            .filter(|i| bits >> i & 1 == 1)
            .map(Value::Enum)
            .collect(),
    )
}

/// The item of a stored list.
pub(super) fn list_item(of: &Type) -> Field {
    let item = match of {
        Type::Enum(_) => DataType::UInt16,
        Type::Int { .. } => DataType::Int64,
        _ => DataType::LargeUtf8,
    };
    Field::new("item", item, false)
}

fn list_values(items: &dyn Array, of: &Type) -> Option<Vec<Value>> {
    let any = items.as_any();
    Some(match of {
        Type::Enum(_) => any
            .downcast_ref::<UInt16Array>()?
            .values()
            .iter()
            .map(|c| Value::Enum(*c))
            .collect(),
        Type::Int { .. } => any
            .downcast_ref::<arrow_array::PrimitiveArray<Int64Type>>()?
            .values()
            .iter()
            .map(|i| Value::Int(*i))
            .collect(),
        _ => any
            .downcast_ref::<LargeStringArray>()?
            .iter()
            .flatten()
            .map(Value::text)
            .collect(),
    })
}

/// One tag of a snapshot: its type, its values, and for tags declared `fresh` when each was
/// written.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub ty: Type,
    pub(super) data: ColumnData,
    pub(super) written: Option<Int64Array>,
    /// By block: what stands in the place of the column's own values.
    pub(super) changed: Vec<Option<Arc<ChangedBlock>>>,
}

impl Column {
    /// `written` is in microseconds since 1970 in UTC, and only for a tag that declares `fresh`.
    pub fn new(ty: Type, data: ColumnData, written: Option<Int64Array>) -> Self {
        Column {
            ty,
            data,
            written,
            changed: Vec::new(),
        }
    }

    /// The values, but for the blocks that changed, and when they were written.
    pub fn stored(&self) -> (&ColumnData, Option<&Int64Array>) {
        (&self.data, self.written.as_ref())
    }

    /// By block: what changed since the column was made.
    pub fn changed(&self) -> &[Option<Arc<ChangedBlock>>] {
        &self.changed
    }

    /// Rows that the column has; users with a higher number have no value.
    pub fn len(&self) -> usize {
        let last = self
            .changed
            .iter()
            .enumerate()
            .rev()
            .find_map(|(block, c)| Some(block * BLOCK_ROWS + c.as_ref()?.data.len()));
        self.data.len().max(last.unwrap_or(0))
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that have a value.
    pub fn known(&self) -> usize {
        let blocks = self
            .changed
            .iter()
            .enumerate()
            .filter_map(|(block, c)| Some((block, c.as_ref()?)));
        blocks.fold(self.data.known(), |known, (block, c)| {
            known - BlockStats::of(&self.data, block).known as usize + c.stats.known as usize
        })
    }

    pub fn value(&self, row: usize) -> Option<Value> {
        let (data, _, row) = self.part(row);
        data.value(row, &self.ty)
    }

    pub fn is_valid(&self, row: usize) -> bool {
        let (data, _, row) = self.part(row);
        data.is_valid(row)
    }

    /// When this user's value was written, where that is kept.
    pub fn written_at(&self, row: usize) -> Option<Instant> {
        let (_, written, row) = self.part(row);
        written
            .filter(|w| row < w.len() && w.is_valid(row))
            .map(|w| Instant(w.value(row)))
    }

    /// Where a row is.
    fn part(&self, row: usize) -> (&ColumnData, Option<&Int64Array>, usize) {
        match self.changed.get(row / BLOCK_ROWS) {
            Some(Some(block)) => (&block.data, block.written.as_ref(), row % BLOCK_ROWS),
            _ => (&self.data, self.written.as_ref(), row),
        }
    }
}
