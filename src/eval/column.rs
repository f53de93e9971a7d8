//! Reading stored columns: one value, a block of values, or a block of answers to a test, by loops over the column in its own width.

use std::borrow::Cow;

use arrow_array::{Array, FixedSizeListArray, Float64Array, Int64Array};
use arrow_buffer::BooleanBuffer;

use super::lanes::{BLOCK, Bits, Data, Lanes, NONE, Scalar, SetRef, Truths, and, first, or, rows, set};
use super::ready::{Ready, in_list};
use super::scan::{count, scan};
use crate::base::Place;
use crate::store::{BlockStats, ColumnData, Extent};

/// A column as an evaluation reads it.
#[derive(Clone, Copy)]
pub struct Source<'b> {
    pub data: &'b ColumnData,
    /// For a tag declared `fresh`: when values were written, and the instant before which they count as missing.
    pub fresh: Option<(&'b Int64Array, i64)>,
    /// What each block of the column holds, where that is known.
    pub blocks: Option<&'b [BlockStats]>,
}

impl<'b> Source<'b> {
    pub fn plain(data: &'b ColumnData) -> Self {
        Source { data, fresh: None, blocks: None }
    }

    /// How many of the block's rows the column has.
    fn rows(&self, start: usize, len: usize) -> usize {
        self.data.len().saturating_sub(start).min(len).min(BLOCK)
    }

    /// Whether the row has a value.
    pub fn is_known(&self, row: usize) -> bool {
        self.data.is_valid(row) && self.is_fresh(row)
    }

    fn is_fresh(&self, row: usize) -> bool {
        // A value whose age nobody knows is not fresh.
        self.fresh.is_none_or(|(written, from)| row < written.len() && written.is_valid(row) && written.value(row) >= from)
    }

    /// Which of the `len` rows from `start` on have a value.
    pub fn known(&self, start: usize, len: usize) -> Bits {
        let n = self.rows(start, len);
        let mut known = first(n);
        if let Some(nulls) = self.data.nulls() {
            known = and(&known, &bits_of(nulls.inner(), start, n));
        }
        if self.fresh.is_some() {
            let mut fresh = NONE;
            rows(&known).filter(|row| self.is_fresh(start + row)).for_each(|row| set(&mut fresh, row));
            known = fresh;
        }
        known
    }

    pub fn get(&self, row: usize) -> Option<Scalar<'b>> {
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
            ColumnData::Bits(a) => Scalar::Set(SetRef::Bits(a.value(row))),
            ColumnData::List(a) => Scalar::Set(SetRef::Row(a, row)),
            ColumnData::Date(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Time(a) => Scalar::Int(a.value(row).into()),
            ColumnData::Instant(a) => Scalar::Int(a.value(row)),
            ColumnData::Place(a) => Scalar::Place(place(a, row)?),
            ColumnData::Text(a) => Scalar::Text(Cow::Borrowed(a.value(row))),
        })
    }

    /// The values of the `len` rows from `start` on.
    pub fn lanes(&self, start: usize, len: usize) -> Lanes<'b> {
        let known = self.known(start, len);
        let n = self.rows(start, len);
        macro_rules! widened {
            ($array:expr, $variant:ident, $zero:expr) => {{
                let mut out = vec![$zero; BLOCK];
                out.iter_mut().zip(block($array.values(), start, n)).for_each(|(o, v)| *o = (*v).into());
                Data::$variant(out)
            }};
        }
        let data = match self.data {
            ColumnData::Bool(a) => Data::Bool(bits_of(a.values(), start, n)),
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
            ColumnData::Bits(_) | ColumnData::List(_) | ColumnData::Place(_) | ColumnData::Text(_) => {
                return Lanes::collect(&known, |row| self.get(start + row));
            }
        };
        Lanes { known, data }
    }

    /// The answers of the `len` rows from `start` on to a test, in the rows of `need`; of other rows nothing is said.
    pub fn test(&self, test: &Ready, start: usize, len: usize, need: &Bits) -> Truths {
        let known = self.known(start, len);
        match self.foreseen(test, start) {
            Some(true) => return Truths { yes: known, no: NONE },
            Some(false) => return Truths { yes: NONE, no: known },
            None => {}
        }
        let n = self.rows(start, len);
        let wanted = and(&known, need);
        let few = count(&wanted);
        macro_rules! ints {
            ($array:expr, $t:ty) => {{
                let values = Values { values: block($array.values(), start, n), wanted: &wanted, few };
                match test {
                    Ready::Int { lo, hi } => {
                        match (<$t>::try_from((*lo).max(<$t>::MIN.into())), <$t>::try_from((*hi).min(<$t>::MAX.into()))) {
                            (Ok(lo), Ok(hi)) => values.that(|v| (lo <= v) & (v <= hi)),
                            // The range lies beyond everything that the column can hold.
                            _ => NONE,
                        }
                    }
                    Ready::IntIn(list) => match list {
                        [a] => values.that(|v| i64::from(v) == *a),
                        [a, b] => values.that(|v| (i64::from(v) == *a) | (i64::from(v) == *b)),
                        [a, b, c] => values.that(|v| (i64::from(v) == *a) | (i64::from(v) == *b) | (i64::from(v) == *c)),
                        list => values.that(|v| in_list(list, v.into())),
                    },
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
            ColumnData::Code8(a) => {
                let values = Values { values: block(a.values(), start, n), wanted: &wanted, few };
                let code = |at: &i64| u8::try_from(*at).ok();
                match test {
                    // Comparisons are wide, a table is not.
                    Ready::IntIn(list) if list.len() <= 8 => {
                        list.iter().filter_map(code).fold(NONE, |found, code| or(&found, &values.that(|v| v == code)))
                    }
                    Ready::IntIn(_) => {
                        let mut flags = [false; 256];
                        flags.iter_mut().zip(0..).for_each(|(flag, code)| *flag = test.int(code));
                        values.that(|v| flags[usize::from(v)])
                    }
                    _ => ints!(a, u8),
                }
            }
            ColumnData::Ratio(a) => {
                let values = Values { values: block(a.values(), start, n), wanted: &wanted, few };
                match test {
                    Ready::Float { lo, hi } => {
                        let (lo, hi) = (at_least(*lo), at_most(*hi));
                        values.that(|v| (lo <= v) & (v <= hi))
                    }
                    other => values.that(|v| other.float(v.into())),
                }
            }
            ColumnData::Float(a) => {
                let values = Values { values: block(a.values(), start, n), wanted: &wanted, few };
                match test {
                    Ready::Float { lo, hi } => values.that(|v| (*lo <= v) & (v <= *hi)),
                    other => values.that(|v| other.float(v)),
                }
            }
            ColumnData::Bits(a) => {
                let values = Values { values: block(a.values(), start, n), wanted: &wanted, few };
                match test {
                    Ready::Set { all: false, bits, .. } => values.that(|v| v & bits != 0),
                    other => values.that(|v| other.bit_set(v)),
                }
            }
            ColumnData::Text(a) => some(&wanted, |row| test.text(a.value(start + row))),
            ColumnData::List(a) => some(&wanted, |row| test.set(&SetRef::Row(a, start + row))),
            ColumnData::Bool(_) | ColumnData::Place(_) => NONE,
        };
        Truths::within(&yes, &known)
    }
}

impl Source<'_> {
    /// The answer of every value of a block, where what the block holds leaves only one.
    fn foreseen(&self, test: &Ready, start: usize) -> Option<bool> {
        let stats = self.blocks.filter(|_| start.is_multiple_of(BLOCK))?.get(start / BLOCK)?;
        match (test, stats.extent) {
            (Ready::Int { lo, hi }, Extent::Int { lo: least, hi: most }) => within(*lo <= least && most <= *hi, most < *lo || *hi < least),
            (Ready::IntIn(list), Extent::Int { lo, hi }) => {
                within(lo == hi && in_list(list, lo), !list.iter().any(|n| (lo..=hi).contains(n)))
            }
            (Ready::Float { lo, hi }, Extent::Float { lo: least, hi: most }) => {
                within(*lo <= least && most <= *hi, most < *lo || *hi < least)
            }
            (Ready::Set { all: false, bits, .. }, Extent::Bits { all, any }) => within(all & bits != 0, any & bits == 0),
            (Ready::Set { all: true, bits, beyond, .. }, Extent::Bits { all, any }) => {
                within(!beyond && all & bits == *bits, *beyond || any & bits != *bits)
            }
            _ => None,
        }
    }
}

fn within(all: bool, none: bool) -> Option<bool> {
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
    /// Where a test holds. When few values are wanted only those are looked at, so that most of a wide column stays in memory.
    fn that(&self, holds: impl Fn(T) -> bool) -> Bits {
        if self.few < FEW_A_BYTE * size_of::<T>() {
            return some(self.wanted, |row| self.values.get(row).is_some_and(|v| holds(*v)));
        }
        scan(self.values, holds)
    }
}

/// Looking at single values pays below so many of a block for each byte that a value has (measured: a scan reads about 14 bytes a nanosecond, a
/// single value takes about 1.5).
const FEW_A_BYTE: usize = 40;

fn block<T>(values: &[T], start: usize, n: usize) -> &[T] {
    values.get(start..start + n).unwrap_or_default()
}

fn some(of: &Bits, holds: impl Fn(usize) -> bool) -> Bits {
    let mut out = NONE;
    rows(of).filter(|row| holds(*row)).for_each(|row| set(&mut out, row));
    out
}

/// The bits of the `n` rows from `start` on.
fn bits_of(buffer: &BooleanBuffer, start: usize, n: usize) -> Bits {
    let mut out = NONE;
    if n == 0 || start + n > buffer.len() {
        return out;
    }
    let bit = buffer.offset() + start;
    if let (true, Some(bytes)) = (bit.is_multiple_of(8), buffer.values().get(bit / 8..(bit + n).div_ceil(8))) {
        let (eights, rest) = bytes.as_chunks::<8>();
        out.iter_mut().zip(eights).for_each(|(o, eight)| *o = u64::from_le_bytes(*eight));
        if let (Some(o), false) = (out.get_mut(eights.len()), rest.is_empty()) {
            *o = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        return and(&out, &first(n));
    }
    out.iter_mut().zip(buffer.slice(start, n).bit_chunks().iter_padded()).for_each(|(o, w)| *o = w);
    out
}

fn place(array: &FixedSizeListArray, row: usize) -> Option<Place> {
    let degrees = array.values().as_any().downcast_ref::<Float64Array>()?;
    let at = array.value_offset_at(row);
    Some(Place { lat: *degrees.values().get(at)?, lon: *degrees.values().get(at + 1)? })
}

/// The smallest f32 that is not below.
fn at_least(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}

/// The largest f32 that is not above.
fn at_most(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}
