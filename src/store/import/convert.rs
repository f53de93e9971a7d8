//! Arrays of typed files as columns of declared types.
//!
//! The forms that files commonly have are converted as a whole ([`fast`]); where such a conversion
//! would refuse or lose anything, and for all other forms, each cell is read by itself as those of
//! text files are. Both give the same column.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, NullBuffer};
use arrow_schema::{DataType, TimeUnit};
use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::arrow::cell;
use super::cell::Cell;
use super::reading::{Reading, money_of_float};
use super::shortest::shortest;
use super::table::{ColumnTargets, Field, RowErrors, RowIds};
use super::user_id::{check_id, id_of};
use crate::base::{Date, EnumType, Type, Value, Zone};
use crate::store::column::MAX_BIT_MEMBERS;
use crate::store::{ColumnBuilder, ColumnData};

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

/// The column of a field from the arrays of its name; the first with a value counts.
pub(super) fn column(
    field: &Field<'_>,
    arrays: &[&dyn Array],
    rows: usize,
    how: &Reading,
    errors: &mut RowErrors,
) -> ColumnData {
    if let [array] = arrays
        && array.len() == rows
        && let Some(column) = fast(*array, field.ty, how)
    {
        if let (Some(why), Some(nulls)) = (&field.required, column.nulls()) {
            nulls
                .iter()
                .enumerate()
                .filter(|(_, known)| !known)
                .for_each(|(row, _)| errors.add(row, Some(field.name), why.clone()));
        }
        return column;
    }
    cell_by_cell(field, arrays, rows, how, errors)
}

fn cell_by_cell(
    field: &Field<'_>,
    arrays: &[&dyn Array],
    rows: usize,
    how: &Reading,
    errors: &mut RowErrors,
) -> ColumnData {
    let mut builder = ColumnBuilder::new(field.ty);
    for row in 0..rows {
        let first = arrays
            .iter()
            .map(|array| how.value_of(&cell(*array, row), field.ty, field.private))
            .find(|value| !matches!(value, Ok(None)));
        let value = first
            .unwrap_or_else(|| field.required.clone().map_or(Ok(None), Err))
            .unwrap_or_else(|why| {
                errors.add(row, Some(field.name), why);
                None
            });
        builder.push(value.as_ref());
    }
    builder.finish()
}

/// The user ids.
pub(super) fn ids(name: &str, array: &dyn Array, rows: usize, errors: &mut RowErrors) -> RowIds {
    let mut ids = RowIds::default();
    let whole = array.null_count() == 0 && array.len() == rows;
    macro_rules! ints {
        ($ty:ty) => {
            array
                .as_primitive::<$ty>()
                .values()
                .iter()
                .for_each(|id| ids.push_int((*id).into()))
        };
    }
    match array.data_type() {
        DataType::Int32 if whole => ints!(Int32Type),
        DataType::UInt32 if whole => ints!(UInt32Type),
        DataType::Int64 if whole => ints!(Int64Type),
        _ => {
            for row in 0..rows {
                let id = match cell(array, row) {
                    Cell::Text(id) if !id.is_empty() => check_id(id).map(|()| ids.push(id)),
                    other => id_of(&other).map(|id| ids.push(&id)),
                };
                if let Err(why) = id {
                    ids.push_none();
                    errors.add(row, Some(name), why);
                }
            }
        }
    }
    ids
}

/// The instants of events.
pub(super) fn instants(
    wanted: &ColumnTargets<'_>,
    name: &str,
    array: &dyn Array,
    rows: usize,
    errors: &mut RowErrors,
) -> Vec<i64> {
    if array.len() == rows
        && array.null_count() == 0
        && let Some(ColumnData::Instant(at)) = fast(array, &Type::Instant, wanted.how)
    {
        return at.values().to_vec();
    }
    let mut at = |row| match wanted.instant(&cell(array, row)) {
        Ok(at) => at.0,
        Err(why) => {
            errors.add(row, Some(name), why);
            0 // Nothing will be imported.
        }
    };
    (0..rows).map(&mut at).collect()
}

/// The whole array at once; `None` where cells have to be looked at one by one.
fn fast(array: &dyn Array, ty: &Type, how: &Reading) -> Option<ColumnData> {
    match ty {
        Type::Bool => Some(ColumnData::Bool(array.as_boolean_opt()?.iter().collect())),
        Type::Int { lo, hi } => ints(
            array,
            ColumnData::data_type_of(ty),
            lo.unwrap_or(i64::MIN)..=hi.unwrap_or(i64::MAX),
        ),
        Type::Money if *array.data_type() == DataType::Float64 => {
            let digits = how.money_digits();
            Some(ColumnData::Int64(map(
                array.as_primitive::<Float64Type>(),
                |f| money_of_float(f, digits),
            )?))
        }
        Type::Money => money(array, 10i64.pow(how.money_digits().into())),
        Type::Number => numbers(array),
        Type::Ratio => ratios(array),
        Type::Date => {
            let years = Date::ymd(1, 1, 1)?.0..=Date::ymd(9999, 12, 31)?.0;
            let days = array.as_primitive_opt::<Date32Type>()?;
            Some(ColumnData::Date(map(days, |day| {
                years.contains(&day).then_some(day)
            })?))
        }
        Type::Instant => instant(array, how.zone),
        Type::Enum(of) => codes(array, of, ty, how),
        Type::Set(of) => match &**of {
            Type::Enum(members) if members.members.len() <= MAX_BIT_MEMBERS => {
                bits(array, of, ty, how)
            }
            _ => None,
        },
        Type::Text { .. }
        | Type::Address(_)
        | Type::Time
        | Type::Elapsed
        | Type::Calendar
        | Type::Distance
        | Type::Place => None,
    }
}

/// The nulls of an array, if it has any.
fn nulls_of(array: &dyn Array) -> Option<NullBuffer> {
    array.nulls().filter(|n| n.null_count() > 0).cloned()
}

/// Each known value by `f`, zero where there is none; `None` when `f` refuses one.
fn map<A: ArrowPrimitiveType, B: ArrowPrimitiveType>(
    array: &PrimitiveArray<A>,
    f: impl Fn(A::Native) -> Option<B::Native>,
) -> Option<PrimitiveArray<B>> {
    let nulls = nulls_of(array);
    let mut fits = true;
    let mut one = |v: A::Native| match f(v) {
        Some(v) => v,
        None => {
            fits = false;
            B::Native::default()
        }
    };
    let values: Vec<B::Native> = match &nulls {
        None => array.values().iter().map(|v| one(*v)).collect(),
        Some(nulls) => array
            .values()
            .iter()
            .zip(nulls.iter())
            .map(|(v, known)| if known { one(*v) } else { B::Native::default() })
            .collect(),
    };
    fits.then(|| PrimitiveArray::new(values.into(), nulls))
}

/// Evaluates an expression with the array as the integers that it holds; `None` when it holds none.
macro_rules! with_ints {
    ($array:expr, $a:ident => $body:expr) => {
        match $array.data_type() {
            DataType::Int8 => {
                let $a = $array.as_primitive::<Int8Type>();
                $body
            }
            DataType::Int16 => {
                let $a = $array.as_primitive::<Int16Type>();
                $body
            }
            DataType::Int32 => {
                let $a = $array.as_primitive::<Int32Type>();
                $body
            }
            DataType::Int64 => {
                let $a = $array.as_primitive::<Int64Type>();
                $body
            }
            DataType::UInt8 => {
                let $a = $array.as_primitive::<UInt8Type>();
                $body
            }
            DataType::UInt16 => {
                let $a = $array.as_primitive::<UInt16Type>();
                $body
            }
            DataType::UInt32 => {
                let $a = $array.as_primitive::<UInt32Type>();
                $body
            }
            _ => None,
        }
    };
}

fn wide(int: impl Into<i64>) -> i64 {
    int.into()
}

fn ints(array: &dyn Array, form: DataType, range: RangeInclusive<i64>) -> Option<ColumnData> {
    macro_rules! into {
        ($variant:ident, $ty:ty) => {
            with_ints!(array, a => Some(ColumnData::$variant(map::<_, $ty>(a, |v| {
                let v = wide(v);
                if range.contains(&v) { v.try_into().ok() } else { None }
            })?)))
        };
    }
    match form {
        DataType::Int8 => into!(Int8, Int8Type),
        DataType::Int16 => into!(Int16, Int16Type),
        DataType::Int32 => into!(Int32, Int32Type),
        DataType::Int64 => into!(Int64, Int64Type),
        _ => None,
    }
}

fn money(array: &dyn Array, minor: i64) -> Option<ColumnData> {
    with_ints!(array, a => Some(ColumnData::Int64(map(a, |v| wide(v).checked_mul(minor))?)))
}

fn numbers(array: &dyn Array) -> Option<ColumnData> {
    if let Some(floats) = array.as_primitive_opt::<Float64Type>() {
        return Some(ColumnData::Float(map(floats, |f| {
            f.is_finite().then_some(f)
        })?));
    }
    if let Some(floats) = array.as_primitive_opt::<Float32Type>() {
        return Some(ColumnData::Float(map(floats, |f| {
            f.is_finite().then(|| shortest(f))
        })?));
    }
    with_ints!(array, a => Some(ColumnData::Float(map(a, |v| Some(wide(v) as f64))?)))
}

fn ratios(array: &dyn Array) -> Option<ColumnData> {
    match array.data_type() {
        // The shortest text of a float is the float again, so that it can be taken as it is.
        DataType::Float32 => Some(ColumnData::Ratio(map(
            array.as_primitive::<Float32Type>(),
            |f| (0.0..=1.0).contains(&f).then_some(f),
        )?)),
        DataType::Float64 => Some(ColumnData::Ratio(map(
            array.as_primitive::<Float64Type>(),
            |f| (0.0..=1.0).contains(&f).then_some(f as f32),
        )?)),
        _ => None,
    }
}

fn instant(array: &dyn Array, zone: Zone) -> Option<ColumnData> {
    let DataType::Timestamp(unit, named) = array.data_type() else {
        return None;
    };
    let mut clock = (named.is_none()).then(|| Clock {
        zone,
        days: HashMap::new(),
        last: (i64::MIN, None),
    });
    // Within these years every zone is within the years that instants may have.
    let sure = Date::ymd(2, 1, 1)?.0 as i64 * DAY * SECOND
        ..=Date::ymd(9998, 12, 31)?.0 as i64 * DAY * SECOND;
    let mut one = |micros: i64| {
        let at = match &mut clock {
            None => micros,
            Some(clock) => micros.checked_sub(clock.offset(micros)?)?,
        };
        sure.contains(&at).then_some(at)
    };
    macro_rules! from {
        ($ty:ty, $factor:expr) => {{
            let a = array.as_primitive::<$ty>();
            let nulls = nulls_of(a);
            let known = |row| nulls.as_ref().is_none_or(|n| n.is_valid(row));
            let values: Option<Vec<i64>> = a
                .values()
                .iter()
                .enumerate()
                .map(|(row, v)| {
                    if known(row) {
                        one(v.checked_mul($factor)?)
                    } else {
                        Some(0)
                    }
                })
                .collect();
            PrimitiveArray::<TimestampMicrosecondType>::new(values?.into(), nulls)
        }};
    }
    let instants = match unit {
        TimeUnit::Second => from!(TimestampSecondType, SECOND),
        TimeUnit::Millisecond => from!(TimestampMillisecondType, 1000),
        TimeUnit::Microsecond => from!(TimestampMicrosecondType, 1),
        TimeUnit::Nanosecond => return None,
    };
    Some(ColumnData::Instant(instants.with_timezone("UTC")))
}

/// How far local clocks are ahead, remembered by day.
struct Clock {
    zone: Zone,
    days: HashMap<i64, Option<i64>>,
    last: (i64, Option<i64>),
}

impl Clock {
    /// In microseconds; `None` on a day on which the clock is changed.
    fn offset(&mut self, local: i64) -> Option<i64> {
        let day = local.div_euclid(DAY * SECOND);
        if self.last.0 != day {
            let zone = self.zone;
            let offset = *self.days.entry(day).or_insert_with(|| {
                let date = Date(i32::try_from(day).ok()?);
                Date::ymd(2, 1, 1).filter(|first| date.0 >= first.0)?;
                Date::ymd(9998, 12, 31).filter(|last| date.0 <= last.0)?;
                let (from, to) = (zone.start_of(date).0, zone.start_of(date.plus_days(1)).0);
                (to - from == DAY * SECOND).then_some(day * DAY * SECOND - from)
            });
            self.last = (day, offset);
        }
        self.last.1
    }
}

/// The number of each text of an array, its nulls left as they are; `None` when `number` refuses
/// one.
fn numbered<N: ArrowNativeType>(
    array: &dyn Array,
    mut number: impl FnMut(&str) -> Option<N>,
) -> Option<(Vec<N>, Option<NullBuffer>)> {
    let nulls = nulls_of(array);
    let known = |row| nulls.as_ref().is_none_or(|n| n.is_valid(row));
    macro_rules! texts {
        ($texts:expr) => {{
            let texts = $texts;
            (0..texts.len())
                .map(|row| {
                    if known(row) {
                        number(texts.value(row))
                    } else {
                        Some(N::default())
                    }
                })
                .collect::<Option<Vec<N>>>()?
        }};
    }
    let values = match array.data_type() {
        DataType::Utf8 => texts!(array.as_string::<i32>()),
        DataType::LargeUtf8 => texts!(array.as_string::<i64>()),
        DataType::Utf8View => texts!(array.as_string_view()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = dictionary.values();
            if values.null_count() > 0 || values.is_empty() {
                return None;
            }
            // A text that stands in the dictionary but in no row may be anything.
            let texts: Vec<Option<N>> = (0..values.len())
                .map(|i| {
                    if let Cell::Text(text) = cell(&**values, i) {
                        number(text)
                    } else {
                        None
                    }
                })
                .collect();
            macro_rules! keys {
                ($ty:ty) => {{
                    let keys = dictionary.keys().as_primitive::<$ty>().values();
                    let one = |(row, key): (usize, &<$ty as ArrowPrimitiveType>::Native)| {
                        if known(row) {
                            *texts.get(usize::try_from(*key).ok()?)?
                        } else {
                            Some(N::default())
                        }
                    };
                    keys.iter()
                        .enumerate()
                        .map(one)
                        .collect::<Option<Vec<N>>>()?
                }};
            }
            match dictionary.keys().data_type() {
                DataType::Int8 => keys!(Int8Type),
                DataType::Int16 => keys!(Int16Type),
                DataType::Int32 => keys!(Int32Type),
                DataType::UInt8 => keys!(UInt8Type),
                DataType::UInt16 => keys!(UInt16Type),
                DataType::UInt32 => keys!(UInt32Type),
                DataType::UInt64 => keys!(UInt64Type),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some((values, nulls))
}

/// Codes of members by their names, each name looked up once.
fn by_name<'a>(
    ty: &'a Type,
    of: &'a EnumType,
    how: &'a Reading,
) -> impl FnMut(&str) -> Option<u16> + 'a {
    let mut known: HashMap<String, u16> = HashMap::with_capacity(of.members.len());
    move |name| {
        if let Some(code) = known.get(name) {
            return Some(*code);
        }
        match how.value(&Cell::Text(name), ty) {
            Ok(Some(Value::Enum(code))) => {
                known.insert(name.into(), code);
                Some(code)
            }
            _ => None, // Missing, or an error to be told.
        }
    }
}

fn codes(array: &dyn Array, of: &EnumType, ty: &Type, how: &Reading) -> Option<ColumnData> {
    let (codes, nulls) = numbered(array, by_name(ty, of, how))?;
    Some(match ColumnData::data_type_of(ty) {
        DataType::UInt8 => {
            let codes: Vec<u8> = codes
                .into_iter()
                .map(|c| u8::try_from(c).ok())
                .collect::<Option<_>>()?;
            ColumnData::Code8(PrimitiveArray::new(codes.into(), nulls))
        }
        _ => ColumnData::Code16(PrimitiveArray::new(codes.into(), nulls)),
    })
}

/// Lists of members as bit sets.
fn bits(array: &dyn Array, of: &Type, ty: &Type, how: &Reading) -> Option<ColumnData> {
    let Type::Enum(members) = of else { return None };
    let (offsets, items): (Vec<usize>, _) = match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            (
                list.value_offsets()
                    .iter()
                    .map(|o| usize::try_from(*o).ok())
                    .collect::<Option<_>>()?,
                list.values(),
            )
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            (
                list.value_offsets()
                    .iter()
                    .map(|o| usize::try_from(*o).ok())
                    .collect::<Option<_>>()?,
                list.values(),
            )
        }
        _ => return None,
    };
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    let mut code = by_name(of, members, how);
    let (items, missing) = numbered(&*items.slice(first, last.checked_sub(first)?), |name| {
        code(name).and_then(|c| 1u64.checked_shl(c.into()))
    })?;
    if missing.is_some() {
        return None;
    }
    let nulls = nulls_of(array);
    let one = |(row, pair): (usize, &[usize])| {
        let known = nulls.as_ref().is_none_or(|n| n.is_valid(row));
        let items = items.get(pair.first()? - first..pair.get(1)? - first)?;
        Some(if known {
            items.iter().fold(0, |bits, item| bits | item)
        } else {
            0
        })
    };
    let values = offsets.windows(2).enumerate().map(one);
    Some(match ColumnData::data_type_of(ty) {
        DataType::UInt32 => {
            let values: Vec<u32> = values
                .map(|bits| u32::try_from(bits?).ok())
                .collect::<Option<_>>()?;
            ColumnData::Bits32(PrimitiveArray::new(values.into(), nulls))
        }
        _ => {
            let values: Vec<u64> = values.collect::<Option<_>>()?;
            ColumnData::Bits64(PrimitiveArray::new(values.into(), nulls))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::builder::{ListBuilder, StringBuilder, StringDictionaryBuilder};
    use arrow_array::{
        BooleanArray, Date32Array, DictionaryArray, Float32Array, Float64Array, Int32Array,
        Int64Array, LargeStringArray, StringArray, TimestampMillisecondArray, TimestampSecondArray,
        UInt16Array,
    };
    use std::sync::Arc;

    fn members(names: &[&str]) -> Type {
        Type::Enum(Arc::new(EnumType {
            members: names.iter().map(|n| n.to_string()).collect(),
        }))
    }

    /// Arrays, the types they are read as, and whether all of the array can be converted at once.
    fn cases() -> Vec<(Arc<dyn Array>, Type, bool)> {
        let plans = || members(&["a", "b", "c"]);
        let int = |lo, hi| Type::Int {
            lo: Some(lo),
            hi: Some(hi),
        };
        let texts = || [Some("a"), None, Some("c"), Some("a"), Some("b")];
        let dictionary: DictionaryArray<Int32Type> = texts().into_iter().collect();
        let mut unused = StringDictionaryBuilder::<Int32Type>::new();
        ["x", "a", "b"].iter().for_each(|t| unused.append_value(t));
        let unused = unused.finish().slice(1, 2);
        let mut lists = ListBuilder::new(StringBuilder::new());
        for items in [Some(&["a", "c"][..]), None, Some(&[]), Some(&["b", "b"])] {
            items
                .into_iter()
                .flatten()
                .for_each(|t| lists.values().append_value(t));
            lists.append(items.is_some());
        }
        let lists = lists.finish();
        let set = || Type::Set(Box::new(plans()));
        let summer = [
            0,
            1_500_000_000,
            1_490_490_000,
            1_490_493_600 + 1800,
            -86_400 * 365 * 80,
            86_400 * 19_000 + 1,
        ];
        vec![
            (
                Arc::new(Int32Array::from(vec![Some(1), None, Some(120)])),
                int(0, 120),
                true,
            ),
            (Arc::new(Int32Array::from(vec![1, 121])), int(0, 120), false),
            (
                Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
                Type::INT,
                true,
            ),
            (
                Arc::new(UInt16Array::from(vec![0, 65_535])),
                Type::INT,
                true,
            ),
            (
                Arc::new(Int64Array::from(vec![Some(7), None])),
                Type::Money,
                true,
            ),
            (
                Arc::new(Int64Array::from(vec![i64::MAX])),
                Type::Money,
                false,
            ),
            (
                Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), None, Some(-9.5)])),
                Type::Money,
                true,
            ),
            (
                Arc::new(Float64Array::from(vec![0.305])),
                Type::Money,
                false,
            ),
            (
                Arc::new(Float32Array::from(vec![
                    Some(0.3),
                    None,
                    Some(0.0),
                    Some(1.0),
                ])),
                Type::Ratio,
                true,
            ),
            (
                Arc::new(Float32Array::from(vec![f32::NAN])),
                Type::Ratio,
                false,
            ),
            (
                Arc::new(Float64Array::from(vec![0.1, 1.0])),
                Type::Ratio,
                true,
            ),
            (Arc::new(Float64Array::from(vec![1.5])), Type::Ratio, false),
            (
                Arc::new(Float64Array::from(vec![Some(1e300), None])),
                Type::Number,
                true,
            ),
            (
                Arc::new(Float32Array::from(vec![Some(0.3), None, Some(-1.5e30)])),
                Type::Number,
                true,
            ),
            (
                Arc::new(Float32Array::from(vec![f32::INFINITY])),
                Type::Number,
                false,
            ),
            (
                Arc::new(Float64Array::from(vec![f64::INFINITY])),
                Type::Number,
                false,
            ),
            (Arc::new(Int32Array::from(vec![3])), Type::Number, true),
            (
                Arc::new(BooleanArray::from(vec![Some(true), None])),
                Type::Bool,
                true,
            ),
            (
                Arc::new(Date32Array::from(vec![Some(0), None, Some(20_000)])),
                Type::Date,
                true,
            ),
            (
                Arc::new(Date32Array::from(vec![i32::MAX])),
                Type::Date,
                false,
            ),
            (Arc::new(StringArray::from(texts().to_vec())), plans(), true),
            (
                Arc::new(LargeStringArray::from(vec!["a", ""])),
                plans(),
                false,
            ),
            (Arc::new(StringArray::from(vec!["d"])), plans(), false),
            (Arc::new(dictionary.clone()), plans(), true),
            (Arc::new(dictionary.slice(1, 3)), plans(), true),
            (Arc::new(unused), plans(), true),
            (Arc::new(lists.clone()), set(), true),
            (Arc::new(lists.slice(1, 3)), set(), true),
            (
                Arc::new(TimestampSecondArray::from(summer.to_vec())),
                Type::Instant,
                true,
            ),
            (
                Arc::new(TimestampSecondArray::from(vec![Some(5), None]).with_timezone("UTC")),
                Type::Instant,
                true,
            ),
            (
                Arc::new(TimestampMillisecondArray::from(vec![i64::MAX])),
                Type::Instant,
                false,
            ),
            (Arc::new(Int32Array::from(vec![7])), Type::TEXT, false),
        ]
    }

    #[test]
    fn whole_arrays_are_what_their_cells_are() {
        for zone in [Zone::SHANGHAI, Zone::UTC] {
            for minor_units in [false, true] {
                let how = Reading {
                    zone,
                    minor_units,
                    nulls: Vec::new(),
                };
                for (array, ty, whole) in cases() {
                    let field = Field {
                        name: "x",
                        ty: &ty,
                        private: false,
                        required: None,
                    };
                    let mut errors = RowErrors::default();
                    let cells = cell_by_cell(&field, &[&*array], array.len(), &how, &mut errors);
                    let at_once = fast(&*array, &ty, &how);
                    let case = format!("{array:?} as {}", ty.describe());
                    assert!(at_once.is_none() || errors.total == 0, "{case}");
                    assert!(
                        at_once.is_some() || !whole || (minor_units && ty == Type::Money),
                        "{case}"
                    );
                    if let Some(column) = at_once {
                        assert_eq!(column, cells, "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_clock_that_is_changed_is_looked_at_by_the_cell() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let day = i64::from(Date::ymd(2026, 3, 29).unwrap().0) * DAY; // Two o'clock becomes three.
        let how = Reading {
            zone: berlin,
            ..Reading::default()
        };
        for (from, whole) in [(day - DAY, true), (day, false), (day + DAY, true)] {
            let array = TimestampSecondArray::from(
                (0..24).map(|hour| from + hour * 3600).collect::<Vec<_>>(),
            );
            let field = Field {
                name: "x",
                ty: &Type::Instant,
                private: false,
                required: None,
            };
            let cells = cell_by_cell(&field, &[&array], 24, &how, &mut RowErrors::default());
            let at_once = fast(&array, &Type::Instant, &how);
            assert_eq!(at_once.is_some(), whole);
            assert_eq!(at_once.unwrap_or_else(|| cells.clone()), cells);
        }
    }
}
