//! Reading stored columns: one value, a block of values, or a block of answers to a test, by loops
//! over the column in its own width.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, FixedSizeListArray, Float64Array, Int64Array};
use arrow_buffer::BooleanBuffer;

use super::bound_test::{BoundTest, in_list};
use super::masks::{BLOCK, Bits, NONE, Truths, among, and, count, first, rows, set, within};
use super::scan::{BitSet, Number, one_of, prefetch, scan};
use super::vector::{Scalar, SetRef, Vector, VectorData};
use crate::base::GeoPoint;
use crate::store::{BlockStats, ChangedBlock, ColumnData, Extent};

/// A column as an evaluation reads it.
#[derive(Clone, Copy)]
pub struct ColumnSource<'b> {
    pub data: &'b ColumnData,
    /// For a tag declared `fresh`: when values were written, and the instant before which they
    /// count as missing.
    pub fresh: Option<(&'b Int64Array, i64)>,
    /// What each block of the column holds, where that is known.
    pub blocks: Option<&'b [BlockStats]>,
    /// By block: what stands in the place of the column's own values.
    pub changed: &'b [Option<Arc<ChangedBlock>>],
}

impl<'b> ColumnSource<'b> {
    pub fn plain(data: &'b ColumnData) -> Self {
        ColumnSource {
            data,
            fresh: None,
            blocks: None,
            changed: &[],
        }
    }

    /// The block of a row that changed, as a column of its own.
    #[inline]
    fn changed(&self, row: usize) -> Option<ColumnSource<'b>> {
        let block = self.changed.get(row / BLOCK)?.as_deref()?;
        let fresh = self
            .fresh
            .map(|(written, from)| (block.written.as_ref().unwrap_or(written), from));
        Some(ColumnSource {
            data: &block.data,
            fresh,
            blocks: Some(std::slice::from_ref(&block.stats)),
            changed: &[],
        })
    }

    /// How many of the block's rows the column has.
    fn rows(&self, start: usize, len: usize) -> usize {
        self.data.len().saturating_sub(start).min(len).min(BLOCK)
    }

    /// Whether the row has a value.
    pub fn is_known(&self, row: usize) -> bool {
        if let Some(block) = self.changed(row) {
            return block.is_known(row % BLOCK);
        }
        self.data.is_valid(row) && self.is_fresh(row)
    }

    fn is_fresh(&self, row: usize) -> bool {
        // A value whose age nobody knows is not fresh.
        self.fresh.is_none_or(|(written, from)| {
            row < written.len() && written.is_valid(row) && written.value(row) >= from
        })
    }

    /// Which of the `len` rows from `start` on have a value.
    pub fn known(&self, start: usize, len: usize) -> Bits {
        if let Some(block) = self.changed(start) {
            return block.known(0, len);
        }
        let n = self.rows(start, len);
        let mut known = first(n);
        if let Some(nulls) = self.data.nulls() {
            known = and(&known, &bits_of(nulls.inner(), start, n));
        }
        if self.fresh.is_some() {
            let mut fresh = NONE;
            rows(&known)
                .filter(|row| self.is_fresh(start + row))
                .for_each(|row| set(&mut fresh, row));
            known = fresh;
        }
        known
    }

    pub fn get(&self, row: usize) -> Option<Scalar<'b>> {
        if let Some(block) = self.changed(row) {
            return block.get(row % BLOCK);
        }
        if !self.is_known(row) {
            return None;
        }
        Some(match self.data {
            ColumnData::Bool(a) => Scalar::Bool(a.value(row)),
            ColumnData::Int8(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Int16(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Int32(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Int64(a) => Scalar::Int(a.value(row)),
            ColumnData::Ratio(a) => Scalar::Float(a.value(row).into()),
            ColumnData::Float(a) => Scalar::Float(a.value(row)),
            ColumnData::Code8(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Code16(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Bits32(a) => Scalar::Set(SetRef::Bits(a.value(row).into())),
            ColumnData::Bits64(a) => Scalar::Set(SetRef::Bits(a.value(row))),
            ColumnData::List(a) => Scalar::Set(SetRef::Row(a, row)),
            ColumnData::Date(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Time(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Instant(a) => Scalar::Int(a.value(row)),
            ColumnData::Place(a) => Scalar::Place(place(a, row)?),
            ColumnData::Text(a) => Scalar::Text(Cow::Borrowed(a.value(row))),
        })
    }

    /// The values of the `len` rows from `start` on.
    pub fn vector(&self, start: usize, len: usize) -> Vector<'b> {
        if let Some(block) = self.changed(start) {
            return block.vector(0, len);
        }
        let known = self.known(start, len);
        let n = self.rows(start, len);
        macro_rules! widened {
            ($array:expr, $variant:ident, $zero:expr) => {{
                let mut out = vec![$zero; BLOCK];
                out.iter_mut()
                    .zip(block($array.values(), start, n))
                    .for_each(|(o, v)| *o = (*v).into());
                VectorData::$variant(out)
            }};
        }
        let data = match self.data {
            ColumnData::Bool(a) => VectorData::Bool(bits_of(a.values(), start, n)),
            ColumnData::Int8(a) => widened!(a, Int, 0i64),
            ColumnData::Int16(a) => widened!(a, Int, 0i64),
            ColumnData::Int32(a) => widened!(a, Int, 0i64),
            ColumnData::Int64(a) => widened!(a, Int, 0i64),
            ColumnData::Code8(a) => widened!(a, Int, 0i64),
            ColumnData::Code16(a) => widened!(a, Int, 0i64),
            ColumnData::Date(a) => widened!(a, Int, 0i64),
            ColumnData::Time(a) => widened!(a, Int, 0i64),
            ColumnData::Instant(a) => widened!(a, Int, 0i64),
            ColumnData::Ratio(a) => widened!(a, Float, 0f64),
            ColumnData::Float(a) => widened!(a, Float, 0f64),
            ColumnData::Bits32(_)
            | ColumnData::Bits64(_)
            | ColumnData::List(_)
            | ColumnData::Place(_)
            | ColumnData::Text(_) => {
                return Vector::collect(&known, |row| self.get(start + row));
            }
        };
        Vector { known, data }
    }

    /// The answers of the `len` rows from `start` on to a test, in the rows of `need`; of other
    /// rows nothing is said.
    pub fn test(&self, test: &BoundTest, start: usize, len: usize, need: &Bits, out: &mut Truths) {
        if let Some(block) = self.changed(start) {
            return block.test(test, 0, len, need, out);
        }
        let known = self.known(start, len);
        match self.foreseen(test, start) {
            Some(true) => {
                return *out = Truths {
                    yes: known,
                    no: NONE,
                };
            }
            Some(false) => {
                return *out = Truths {
                    yes: NONE,
                    no: known,
                };
            }
            None => {}
        }
        let n = self.rows(start, len);
        let wanted = and(&known, need);
        let few = count(&wanted);
        macro_rules! values {
            ($array:expr) => {
                Values {
                    values: block($array.values(), start, n),
                    wanted: &wanted,
                    few,
                }
            };
        }
        macro_rules! ints {
            ($array:expr, $t:ty) => {{
                let values = values!($array);
                match test {
                    BoundTest::Int { lo, hi } => {
                        match (
                            <$t>::try_from((*lo).max(<$t>::MIN.into())),
                            <$t>::try_from((*hi).min(<$t>::MAX.into())),
                        ) {
                            (Ok(lo), Ok(hi)) => values.between(lo, hi),
                            // The range lies beyond everything that the column can hold.
                            _ => NONE,
                        }
                    }
                    BoundTest::IntIn([one]) => {
                        <$t>::try_from(*one).map_or(NONE, |one| values.between(one, one))
                    }
                    BoundTest::IntIn(list) => values.that(|v| in_list(list, v.into())),
                    other => values.that(|v| other.int(v.into())),
                }
            }};
        }
        let yes = match self.data {
            ColumnData::Int8(a) => ints!(a, i8),
            ColumnData::Int16(a) => ints!(a, i16),
            ColumnData::Int32(a) => ints!(a, i32),
            ColumnData::Int64(a) => ints!(a, i64),
            ColumnData::Date(a) => ints!(a, i32),
            ColumnData::Time(a) => ints!(a, i32),
            ColumnData::Instant(a) => ints!(a, i64),
            ColumnData::Code16(a) => ints!(a, u16),
            ColumnData::Code8(a) => match test {
                BoundTest::IntIn(list) => {
                    let codes: Vec<u8> = list
                        .iter()
                        .filter_map(|code| u8::try_from(*code).ok())
                        .collect();
                    values!(a).one_of(&codes)
                }
                _ => ints!(a, u8),
            },
            ColumnData::Ratio(a) => match test {
                BoundTest::Float { lo, hi } => values!(a).between(at_least(*lo), at_most(*hi)),
                other => values!(a).that(|v| other.float(v.into())),
            },
            ColumnData::Float(a) => match test {
                BoundTest::Float { lo, hi } => values!(a).between(*lo, *hi),
                other => values!(a).that(|v| other.float(v)),
            },
            ColumnData::Bits32(a) => match test {
                BoundTest::Set {
                    all: false, bits, ..
                } => values!(a).shares_any(*bits as u32),
                other => values!(a).that(|v| other.bit_set(v.into())),
            },
            ColumnData::Bits64(a) => match test {
                BoundTest::Set {
                    all: false, bits, ..
                } => values!(a).shares_any(*bits),
                other => values!(a).that(|v| other.bit_set(v)),
            },
            ColumnData::Text(a) => among(&wanted, |row| test.text(a.value(start + row))),
            ColumnData::List(a) => among(&wanted, |row| test.set(&SetRef::Row(a, start + row))),
            ColumnData::Bool(_) | ColumnData::Place(_) => NONE,
        };
        within(out, &yes, &known);
    }
}

impl ColumnSource<'_> {
    /// The answer of every value of a block, where what the block holds leaves only one.
    fn foreseen(&self, test: &BoundTest, start: usize) -> Option<bool> {
        let stats = self
            .blocks
            .filter(|_| start.is_multiple_of(BLOCK))?
            .get(start / BLOCK)?;
        match (test, stats.extent) {
            (
                BoundTest::Int { lo, hi },
                Extent::Int {
                    lo: least,
                    hi: most,
                },
            ) => foregone(*lo <= least && most <= *hi, most < *lo || *hi < least),
            (BoundTest::IntIn(list), Extent::Int { lo, hi }) => foregone(
                lo == hi && in_list(list, lo),
                !list.iter().any(|n| (lo..=hi).contains(n)),
            ),
            (
                BoundTest::Float { lo, hi },
                Extent::Float {
                    lo: least,
                    hi: most,
                },
            ) => foregone(*lo <= least && most <= *hi, most < *lo || *hi < least),
            (
                BoundTest::Set {
                    all: false, bits, ..
                },
                Extent::Bits { all, any },
            ) => foregone(all & bits != 0, any & bits == 0),
            (
                BoundTest::Set {
                    all: true,
                    bits,
                    beyond,
                    ..
                },
                Extent::Bits { all, any },
            ) => foregone(
                !beyond && all & bits == *bits,
                *beyond || any & bits != *bits,
            ),
            _ => None,
        }
    }
}

fn foregone(all: bool, none: bool) -> Option<bool> {
    match (all, none) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    }
}

/// The values of a block, and which of them are asked for.
struct Values<'v, T> {
    values: &'v [T],
    wanted: &'v Bits,
    /// How many are wanted.
    few: usize,
}

impl<T: Copy> Values<'_, T> {
    /// Where a test holds. When few values are wanted only those are looked at, so that most of a
    /// wide column stays in memory.
    #[inline(always)]
    fn either_way(&self, one: impl Fn(T) -> bool, all: impl FnOnce(&[T]) -> Bits) -> Bits {
        if self.few < FEW_A_BYTE * size_of::<T>() {
            // All of them are on their way before the first is looked at.
            rows(self.wanted).for_each(|row| prefetch(self.values, row));
            return among(self.wanted, |row| {
                self.values.get(row).is_some_and(|v| one(*v))
            });
        }
        all(self.values)
    }

    fn that(&self, holds: impl Fn(T) -> bool) -> Bits {
        self.either_way(&holds, |values| scan(values, &holds))
    }
}

impl<T: Number> Values<'_, T> {
    /// Both ends included.
    fn between(&self, lo: T, hi: T) -> Bits {
        self.either_way(
            |v| (lo <= v) & (v <= hi),
            |values| T::between(values, lo, hi),
        )
    }
}

impl Values<'_, u8> {
    fn one_of(&self, codes: &[u8]) -> Bits {
        if codes.len() <= FEW_CODES {
            return self.either_way(|v| codes.contains(&v), |values| one_of(values, codes));
        }
        let mut flags = [false; 256];
        for code in codes {
            flags[usize::from(*code)] = true;
        }
        self.that(|v| flags[usize::from(v)])
    }
}

impl<T: BitSet> Values<'_, T> {
    fn shares_any(&self, members: T) -> Bits {
        self.either_way(
            |v| v.shares(members),
            |values| T::shares_any(values, members),
        )
    }
}

/// More codes are looked up in a table: comparisons are wide, a table is not.
const FEW_CODES: usize = 16;

/// Looking at single values pays below so many of a block for each byte that a value has: fewer
/// lines of memory are read then (`cargo bench --bench queries`; between 32 and 64 it makes little
/// difference).
const FEW_A_BYTE: usize = 48;

fn block<T>(values: &[T], start: usize, n: usize) -> &[T] {
    values.get(start..start + n).unwrap_or_default()
}

/// The bits of the `n` rows from `start` on.
fn bits_of(buffer: &BooleanBuffer, start: usize, n: usize) -> Bits {
    let mut out = NONE;
    if n == 0 || start + n > buffer.len() {
        return out;
    }
    let bit = buffer.offset() + start;
    if let (true, Some(bytes)) = (
        bit.is_multiple_of(8),
        buffer.values().get(bit / 8..(bit + n).div_ceil(8)),
    ) {
        let (eights, rest) = bytes.as_chunks::<8>();
        out.iter_mut()
            .zip(eights)
            .for_each(|(o, eight)| *o = u64::from_le_bytes(*eight));
        if let (Some(o), false) = (out.get_mut(eights.len()), rest.is_empty()) {
            *o = rest
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        return and(&out, &first(n));
    }
    out.iter_mut()
        .zip(buffer.slice(start, n).bit_chunks().iter_padded())
        .for_each(|(o, w)| *o = w);
    out
}

fn place(array: &FixedSizeListArray, row: usize) -> Option<GeoPoint> {
    let degrees = array.values().as_any().downcast_ref::<Float64Array>()?;
    let at = array.value_offset_at(row);
    Some(GeoPoint {
        lat: *degrees.values().get(at)?,
        lon: *degrees.values().get(at + 1)?,
    })
}

/// The smallest f32 that is not below.
fn at_least(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x {
        near.next_up()
    } else {
        near
    }
}

/// The largest f32 that is not above.
fn at_most(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x {
        near.next_down()
    } else {
        near
    }
}
