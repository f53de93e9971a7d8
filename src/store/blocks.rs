//! What each block of rows of a column holds, and how its values are spread: written beside the
//! column when it is imported, so that a reader can leave out blocks that cannot matter and begin
//! with the condition that decides most.
//!
//! Blocks have [`BLOCK_ROWS`] rows, the last one what is left. The file is an Arrow file with a row
//! a block: `known`, `lo`, `hi`.

use arrow_array::UInt64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, BooleanArray, Float64Array, Int64Array, PrimitiveArray,
    RecordBatch, UInt32Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema as ArrowSchema};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

use super::column::ColumnData;

/// Rows of a block.
pub const BLOCK_ROWS: usize = 4096;
/// Steps of the distribution that is kept of numbers.
const STEPS: usize = 64;
/// Rows that the distribution is taken from.
const SAMPLE_ROWS: usize = 1 << 14;
/// Where the schema of the file keeps the distribution.
const SPREAD_KEY: &str = "tagcast.spread";

/// What a block of rows holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BlockStats {
    /// Rows that have a value.
    pub known: u32,
    pub extent: Extent,
}

/// Between what the values of a block lie.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Extent {
    /// There is no value, or values of this type have no order.
    None,
    /// Ints, money, elapsed time, dates, times, instants; enums by their code; `false` and `true`
    /// as 0 and 1. As stored.
    Int {
        lo: i64,
        hi: i64,
    },
    Float {
        lo: f64,
        hi: f64,
    },
    /// Sets as bits: members that all of them have, and members that any of them has.
    Bits {
        all: u64,
        any: u64,
    },
}

/// How the values of a column are spread: enough to guess how many rows a condition selects.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Spread {
    None,
    /// Rows by value: bools, enum codes, members of sets.
    Counts(Vec<u64>),
    /// Values at equal steps of their order, from the smallest to the largest, in a sample.
    Steps(Vec<f64>),
}

/// What a column holds, block by block and in all.
#[derive(Clone, PartialEq, Debug)]
pub struct ColumnStats {
    rows: usize,
    blocks: Vec<BlockStats>,
    spread: Spread,
}

impl ColumnStats {
    /// Reads all of a column.
    pub fn of(data: &ColumnData) -> Self {
        let rows = data.len();
        let blocks = (0..rows.div_ceil(BLOCK_ROWS))
            .map(|block| BlockStats::of(data, block))
            .collect();
        ColumnStats {
            rows,
            blocks,
            spread: spread(data),
        }
    }

    /// Rows of the column.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One a block, in order.
    pub fn blocks(&self) -> &[BlockStats] {
        &self.blocks
    }

    /// Rows that have a value.
    pub fn known(&self) -> usize {
        self.blocks.iter().map(|b| b.known as usize).sum()
    }

    /// About which share of the rows that have a value lies from `lo` to `hi`, both included, in
    /// the scale of [`Extent`]; `None` when that is not known.
    pub fn share_between(&self, lo: f64, hi: f64) -> Option<f64> {
        match &self.spread {
            Spread::None => None,
            Spread::Counts(counts) => {
                let within = counts
                    .iter()
                    .zip(0u32..)
                    .filter(|(_, value)| (lo..=hi).contains(&f64::from(*value)))
                    .map(|(n, _)| *n);
                Some(ratio(within.sum(), self.known()))
            }
            Spread::Steps(steps) => {
                let (below, above) = (rank(steps, lo, false)?, rank(steps, hi, true)?);
                Some((above - below).max(0.0))
            }
        }
    }

    /// About which share of the sets that are known has a member; `None` when that is not known.
    pub fn share_with(&self, member: u16) -> Option<f64> {
        match &self.spread {
            Spread::Counts(counts) => Some(ratio(*counts.get(usize::from(member))?, self.known())),
            Spread::None | Spread::Steps(_) => None,
        }
    }
}

fn ratio(part: u64, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The share of the values that lie below `x`, or (`through`) not above it.
fn rank(steps: &[f64], x: f64, through: bool) -> Option<f64> {
    let last = steps.len().checked_sub(1).filter(|n| *n > 0)? as f64;
    let at = steps.partition_point(|s| *s < x || (through && *s == x));
    let (Some(before), Some(after)) = (at.checked_sub(1).and_then(|i| steps.get(i)), steps.get(at))
    else {
        return Some(if at == 0 { 0.0 } else { 1.0 });
    };
    let part = if after > before {
        (x - before) / (after - before)
    } else {
        0.0
    };
    Some(((at - 1) as f64 + part.clamp(0.0, 1.0)) / last)
}

impl BlockStats {
    /// Reads a block of a column.
    pub fn of(data: &ColumnData, block: usize) -> Self {
        let from = block.saturating_mul(BLOCK_ROWS).min(data.len());
        let len = (data.len() - from).min(BLOCK_ROWS);
        let known = data
            .nulls()
            .map_or(len, |n| len - n.slice(from, len).null_count()) as u32;
        let extent = match data {
            ColumnData::Bool(a) => bools(a, from, len),
            ColumnData::Int8(a) => ints(a, from, len),
            ColumnData::Int16(a) => ints(a, from, len),
            ColumnData::Int32(a) => ints(a, from, len),
            ColumnData::Int64(a) => ints(a, from, len),
            ColumnData::Code8(a) => ints(a, from, len),
            ColumnData::Code16(a) => ints(a, from, len),
            ColumnData::Date(a) => ints(a, from, len),
            ColumnData::Time(a) => ints(a, from, len),
            ColumnData::Instant(a) => ints(a, from, len),
            ColumnData::Ratio(a) => floats(a, from, len),
            ColumnData::Float(a) => floats(a, from, len),
            ColumnData::Bits32(a) => sets(a, from, len),
            ColumnData::Bits64(a) => sets(a, from, len),
            ColumnData::List(_) | ColumnData::Place(_) | ColumnData::Text(_) => Extent::None,
        };
        BlockStats { known, extent }
    }
}

/// Folds the known values of a block; `None` when there is none.
fn fold<T: ArrowPrimitiveType, A>(
    array: &PrimitiveArray<T>,
    from: usize,
    len: usize,
    start: A,
    step: impl Fn(A, T::Native) -> A,
) -> Option<A> {
    let values = array.values().get(from..from + len)?;
    match array.nulls().map(|n| n.slice(from, len)) {
        None if len > 0 => Some(values.iter().fold(start, |a, v| step(a, *v))),
        Some(nulls) if nulls.null_count() < len => Some(
            nulls
                .valid_indices()
                .filter_map(|i| values.get(i))
                .fold(start, |a, v| step(a, *v)),
        ),
        _ => None,
    }
}

fn ints<T: ArrowPrimitiveType<Native: Into<i64> + Ord>>(
    array: &PrimitiveArray<T>,
    from: usize,
    len: usize,
) -> Extent {
    let Some(first) = (from..from + len)
        .find(|row| array.is_valid(*row))
        .map(|row| array.value(row))
    else {
        return Extent::None;
    };
    let ends = fold(array, from, len, (first, first), |(lo, hi), v| {
        (lo.min(v), hi.max(v))
    });
    ends.map_or(Extent::None, |(lo, hi)| Extent::Int {
        lo: lo.into(),
        hi: hi.into(),
    })
}

fn floats<T: ArrowPrimitiveType<Native: Into<f64>>>(
    array: &PrimitiveArray<T>,
    from: usize,
    len: usize,
) -> Extent {
    let start = (f64::INFINITY, f64::NEG_INFINITY, true);
    let ends = fold(array, from, len, start, |(lo, hi, sound), v| {
        let v = v.into();
        (lo.min(v), hi.max(v), sound & !v.is_nan())
    });
    // What is not a number lies nowhere: then nothing is said of the block.
    ends.filter(|(.., sound)| *sound)
        .map_or(Extent::None, |(lo, hi, _)| Extent::Float { lo, hi })
}

fn sets<T: ArrowPrimitiveType<Native: Into<u64>>>(
    array: &PrimitiveArray<T>,
    from: usize,
    len: usize,
) -> Extent {
    let both = fold(array, from, len, (u64::MAX, 0u64), |(all, any), v| {
        (all & v.into(), any | v.into())
    });
    both.map_or(Extent::None, |(all, any)| Extent::Bits { all, any })
}

fn bools(array: &BooleanArray, from: usize, len: usize) -> Extent {
    let part = array.slice(from, len);
    let (yes, no) = (part.true_count(), part.false_count());
    if yes + no == 0 {
        Extent::None
    } else {
        Extent::Int {
            lo: i64::from(no == 0),
            hi: i64::from(yes > 0),
        }
    }
}

fn spread(data: &ColumnData) -> Spread {
    match data {
        ColumnData::Bool(a) => Spread::Counts(vec![a.false_count() as u64, a.true_count() as u64]),
        ColumnData::Code8(a) => {
            let mut counts = vec![0u64; 256];
            each(a, |code| {
                counts
                    .iter_mut()
                    .skip(code.into())
                    .take(1)
                    .for_each(|n| *n += 1)
            });
            counts.truncate(
                counts
                    .iter()
                    .rposition(|n| *n > 0)
                    .map_or(0, |last| last + 1),
            );
            Spread::Counts(counts)
        }
        ColumnData::Bits32(a) => members(a, 32),
        ColumnData::Bits64(a) => members(a, 64),
        ColumnData::Int8(a) => steps(a, f64::from),
        ColumnData::Int16(a) => steps(a, f64::from),
        ColumnData::Int32(a) => steps(a, f64::from),
        ColumnData::Int64(a) => steps(a, |v| v as f64),
        ColumnData::Code16(a) => steps(a, f64::from),
        ColumnData::Date(a) => steps(a, f64::from),
        ColumnData::Time(a) => steps(a, f64::from),
        ColumnData::Instant(a) => steps(a, |v| v as f64),
        ColumnData::Ratio(a) => steps(a, f64::from),
        ColumnData::Float(a) => steps(a, |v| v),
        ColumnData::List(_) | ColumnData::Place(_) | ColumnData::Text(_) => Spread::None,
    }
}

fn members<T: ArrowPrimitiveType<Native: Into<u64>>>(
    array: &PrimitiveArray<T>,
    most: usize,
) -> Spread {
    let mut counts = vec![0u64; most];
    each(array, |bits| {
        let bits: u64 = bits.into();
        counts
            .iter_mut()
            .zip(0..)
            .for_each(|(n, member)| *n += bits >> member & 1);
    });
    Spread::Counts(counts)
}

fn each<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, mut take: impl FnMut(T::Native)) {
    match array.nulls() {
        None => array.values().iter().for_each(|v| take(*v)),
        Some(nulls) => nulls.valid_indices().for_each(|row| take(array.value(row))),
    }
}

fn steps<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    number: impl Fn(T::Native) -> f64,
) -> Spread {
    let every = array.len().div_ceil(SAMPLE_ROWS).max(1);
    let rows = (0..array.len())
        .step_by(every)
        .filter(|row| array.is_valid(*row));
    let mut sample: Vec<f64> = rows
        .map(|row| number(array.value(row)))
        .filter(|v| v.is_finite())
        .collect();
    sample.sort_unstable_by(f64::total_cmp);
    let Some(last) = sample.len().checked_sub(1) else {
        return Spread::None;
    };
    Spread::Steps(
        (0..=STEPS)
            .filter_map(|step| sample.get(last * step / STEPS).copied())
            .collect(),
    )
}

// ---------------------------------------------------------------- as a file

/// The form that `lo` and `hi` have for a column: what [`BlockStats::of`] makes of it.
fn form(data: &DataType) -> DataType {
    match data {
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::UInt32 | DataType::UInt64 => DataType::UInt64,
        _ => DataType::Int64,
    }
}

pub(super) fn of_stats(stats: &ColumnStats, column: &DataType) -> Result<RecordBatch, ArrowError> {
    let form = form(column);
    let extents = || stats.blocks.iter().map(|b| b.extent);
    let (lo, hi): (ArrayRef, ArrayRef) = match form {
        DataType::Float64 => {
            let pick = |which: fn(f64, f64) -> f64| -> ArrayRef {
                Arc::new(
                    extents()
                        .map(|e| {
                            if let Extent::Float { lo, hi } = e {
                                Some(which(lo, hi))
                            } else {
                                None
                            }
                        })
                        .collect::<Float64Array>(),
                )
            };
            (pick(|lo, _| lo), pick(|_, hi| hi))
        }
        DataType::UInt64 => {
            let pick = |which: fn(u64, u64) -> u64| -> ArrayRef {
                Arc::new(
                    extents()
                        .map(|e| {
                            if let Extent::Bits { all, any } = e {
                                Some(which(all, any))
                            } else {
                                None
                            }
                        })
                        .collect::<UInt64Array>(),
                )
            };
            (pick(|all, _| all), pick(|_, any| any))
        }
        _ => {
            let pick = |which: fn(i64, i64) -> i64| -> ArrayRef {
                Arc::new(
                    extents()
                        .map(|e| {
                            if let Extent::Int { lo, hi } = e {
                                Some(which(lo, hi))
                            } else {
                                None
                            }
                        })
                        .collect::<Int64Array>(),
                )
            };
            (pick(|lo, _| lo), pick(|_, hi| hi))
        }
    };
    let known: UInt32Array = stats.blocks.iter().map(|b| Some(b.known)).collect();
    let fields = vec![
        Field::new("known", DataType::UInt32, false),
        Field::new("lo", form.clone(), true),
        Field::new("hi", form, true),
    ];
    let spread =
        serde_json::to_string(&stats.spread).map_err(|e| ArrowError::ExternalError(e.into()))?;
    let schema =
        ArrowSchema::new(fields).with_metadata(HashMap::from([(SPREAD_KEY.into(), spread)]));
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(known), lo, hi])
}

/// `None` when the batch is not the statistics of a column of that form and length.
pub(super) fn to_stats(batch: &RecordBatch, column: &DataType, rows: usize) -> Option<ColumnStats> {
    let known = batch
        .column_by_name("known")?
        .as_primitive_opt::<UInt32Type>()?;
    let (lo, hi) = (batch.column_by_name("lo")?, batch.column_by_name("hi")?);
    if *lo.data_type() != form(column)
        || hi.data_type() != lo.data_type()
        || known.null_count() > 0
        || known.len() != rows.div_ceil(BLOCK_ROWS)
    {
        return None;
    }
    fn both<T: ArrowPrimitiveType>(
        lo: &ArrayRef,
        hi: &ArrayRef,
        row: usize,
    ) -> Option<(T::Native, T::Native)> {
        let (lo, hi) = (lo.as_primitive_opt::<T>()?, hi.as_primitive_opt::<T>()?);
        (lo.is_valid(row) && hi.is_valid(row)).then(|| (lo.value(row), hi.value(row)))
    }
    let extent = |row: usize| match lo.data_type() {
        DataType::Float64 => {
            both::<Float64Type>(lo, hi, row).map(|(lo, hi)| Extent::Float { lo, hi })
        }
        DataType::UInt64 => {
            both::<UInt64Type>(lo, hi, row).map(|(all, any)| Extent::Bits { all, any })
        }
        _ => both::<Int64Type>(lo, hi, row).map(|(lo, hi)| Extent::Int { lo, hi }),
    };
    let blocks = known
        .values()
        .iter()
        .enumerate()
        .map(|(row, known)| BlockStats {
            known: *known,
            extent: extent(row).unwrap_or(Extent::None),
        });
    let spread = serde_json::from_str(batch.schema().metadata().get(SPREAD_KEY)?).ok()?;
    Some(ColumnStats {
        rows,
        blocks: blocks.collect(),
        spread,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{EnumType, Type, Value};
    use crate::store::ColumnBuilder;

    fn column(ty: &Type, values: impl Iterator<Item = Option<Value>>) -> ColumnData {
        let mut b = ColumnBuilder::new(ty);
        values.for_each(|v| b.push(v.as_ref()));
        b.finish()
    }

    fn through_a_file(data: &ColumnData) -> ColumnStats {
        let stats = ColumnStats::of(data);
        let form = data.to_array().data_type().clone();
        let back = to_stats(&of_stats(&stats, &form).unwrap(), &form, data.len()).unwrap();
        assert_eq!(back, stats);
        back
    }

    #[test]
    fn blocks_have_their_ends() {
        let value = |i: i64| (i % 3 != 0).then_some(Value::Int(i - 5000));
        let stats = through_a_file(&column(&Type::INT, (0..10_000).map(value)));
        assert_eq!(stats.blocks().len(), 3);
        let expected = BlockStats {
            known: 2731,
            extent: Extent::Int {
                lo: 4096 - 5000,
                hi: 8191 - 5000,
            },
        };
        assert_eq!(stats.blocks()[1], expected);
        assert_eq!(stats.known(), 6666);
        let share = stats.share_between(-5000.0, 0.0).unwrap();
        assert!((0.48..0.52).contains(&share), "{share}");
        assert_eq!(
            (
                stats.share_between(6000.0, 7000.0),
                stats.share_between(-9e9, 9e9)
            ),
            (Some(0.0), Some(1.0))
        );
        let none = through_a_file(&column(&Type::INT, (0..5000).map(|_| None)));
        assert_eq!(
            none.blocks(),
            [BlockStats {
                known: 0,
                extent: Extent::None
            }; 2]
        );
        assert_eq!(
            through_a_file(&column(&Type::INT, std::iter::empty())).blocks(),
            []
        );
    }

    #[test]
    fn each_type_in_its_own_way() {
        let members = EnumType {
            members: (0..40).map(|i| format!("m{i}")).collect(),
        };
        let of = Type::Enum(Arc::new(members));
        let codes = through_a_file(&column(
            &of,
            (0..4000).map(|i| Some(Value::Enum(i % 4 * 10))),
        ));
        assert_eq!(codes.blocks()[0].extent, Extent::Int { lo: 0, hi: 30 });
        assert_eq!(
            (
                codes.share_between(10.0, 10.0),
                codes.share_between(1.0, 9.0)
            ),
            (Some(0.25), Some(0.0))
        );
        let set = |items: &[u16]| Some(Value::Set(items.iter().map(|i| Value::Enum(*i)).collect()));
        let sets = through_a_file(&column(
            &Type::Set(Box::new(of)),
            [set(&[0, 2]), None, set(&[2, 39])].into_iter(),
        ));
        assert_eq!(
            sets.blocks()[0].extent,
            Extent::Bits {
                all: 4,
                any: 1 << 39 | 5
            }
        );
        assert_eq!(
            (sets.share_with(2), sets.share_with(0), sets.share_with(7)),
            (Some(1.0), Some(0.5), Some(0.0))
        );
        let bools = through_a_file(&column(
            &Type::Bool,
            [Some(Value::Bool(true)), None].into_iter(),
        ));
        assert_eq!(
            (bools.blocks()[0].extent, bools.share_between(1.0, 1.0)),
            (Extent::Int { lo: 1, hi: 1 }, Some(1.0))
        );
        let ratios = through_a_file(&column(
            &Type::Ratio,
            [Some(Value::Ratio(0.25)), Some(Value::Ratio(0.75))].into_iter(),
        ));
        assert_eq!(
            ratios.blocks()[0].extent,
            Extent::Float { lo: 0.25, hi: 0.75 }
        );
        let odd = through_a_file(&column(
            &Type::Number,
            [Some(Value::Number(f64::NAN)), Some(Value::Number(1.0))].into_iter(),
        ));
        assert_eq!(
            odd.blocks()[0],
            BlockStats {
                known: 2,
                extent: Extent::None
            }
        );
        let texts = through_a_file(&column(&Type::TEXT, [Some(Value::text("a"))].into_iter()));
        assert_eq!(
            texts.blocks()[0],
            BlockStats {
                known: 1,
                extent: Extent::None
            }
        );
        assert_eq!(texts.share_between(0.0, 1.0), None);
    }
}
