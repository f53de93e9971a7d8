//! Counts and sums over plain windows, for a block of users at once: no filter, no sequence, a
//! column of whole numbers that is always there.
//!
//! It is the question that campaigns ask most ("three purchases in 30 days, more than ¥500 in 90"),
//! and the answer needs no list of rows: each user's run is read once, times compared, numbers
//! added. First the runs of all wanted users are found, then they are read: neither loop waits for
//! what the other fetches, so that a machine has many users on their way from memory at a time.
//! [`event_rows`](super::event_rows) answers everything else.

use std::ops::Range;

use super::bind::{BoundQuery, Events};
use super::block::BlockEvaluator;
use super::bound_test::BoundTest;
use super::masks::{BLOCK, Bits, NONE, Truths, among, minus, or, rows, set, wide};
use super::scan::prefetch;
use super::vector::{Vector, VectorData};
use crate::plan::node::Query;
use crate::program::typed_expr::Aggregate;
use crate::store::{ColumnData, EventSegment, EventTable};

/// Of a short run of so many rows, which are its own.
const TAKEN: [[i64; SHORT]; SHORT + 1] = {
    let mut taken = [[0; SHORT]; SHORT + 1];
    let mut rows = 0;
    while rows <= SHORT {
        let mut row = 0;
        while row < rows {
            taken[rows][row] = -1;
            row += 1;
        }
        rows += 1;
    }
    taken
};
/// Rows that are looked at in one step; longer runs are searched for the window's ends.
const SHORT: usize = 8;

/// What is added for each row of a segment.
enum Adds<'b> {
    One,
    Int8(&'b [i8]),
    Int16(&'b [i16]),
    Int32(&'b [i32]),
    Int64(&'b [i64]),
}

/// The rows of one user in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// As a row of the block.
    user: u16,
    from: u32,
    rows: u32,
}

/// What a block of aggregates needs, kept from block to block.
#[derive(Default)]
pub struct Aggregates {
    /// Users as rows of the block, and their positions in a segment.
    found: Vec<(u16, u32)>,
    runs: Vec<Run>,
    /// By row of the block: the sums of the low and of the high halves of what is added, which
    /// nothing that fits in memory can overflow.
    low: Vec<i64>,
    high: Vec<i64>,
    /// Counts have no high halves.
    sums: bool,
}

/// The counts or sums of the users of `need`; `None` when the query is not of this plain kind.
pub fn values(
    block: &mut BlockEvaluator,
    query: &BoundQuery,
    need: &Bits,
) -> Option<Vector<'static>> {
    let (aggregates, there) = aggregate(block, query, need)?;
    let (mut known, mut values) = (minus(need, &there), vec![0i64; BLOCK]);
    for row in rows(&there) {
        if let (Some(total), Some(value)) = (aggregates.total(row), values.get_mut(row)) {
            *value = total;
            set(&mut known, row);
        }
    }
    block.aggregates = aggregates;
    Some(Vector {
        known,
        data: VectorData::Int(values),
    })
}

/// A test of the counts or sums of the users of `need`; `None` when the query is not of this plain
/// kind.
pub fn test(
    block: &mut BlockEvaluator,
    query: &BoundQuery,
    test: &BoundTest,
    need: &Bits,
) -> Option<Truths> {
    let (aggregates, there) = aggregate(block, query, need)?;
    let mut yes = among(&there, |row| {
        aggregates.total(row).is_some_and(|total| test.int(total))
    });
    let beyond = among(&there, |row| aggregates.total(row).is_none());
    let mut no = minus(&minus(&there, &yes), &beyond);
    let rest = minus(need, &there);
    match test.int(0) {
        true => yes = or(&yes, &rest),
        false => no = or(&no, &rest),
    }
    block.aggregates = aggregates;
    Some(Truths { yes, no })
}

/// The totals of those users of `need` who have events at all, and who they are; of the others the
/// total is nought.
fn aggregate(
    block: &mut BlockEvaluator,
    query: &BoundQuery,
    need: &Bits,
) -> Option<(Aggregates, Bits)> {
    let Events::Table(table) = &*query.events else {
        return None;
    };
    let adds = plain(query.query, table)?;
    let mut aggregates = std::mem::take(&mut block.aggregates);
    aggregates.sums = query.query.what == Aggregate::Sum;
    aggregates.low.resize(BLOCK, 0);
    aggregates.high.resize(BLOCK, 0);
    let mut there = NONE;
    for (segment, adds) in table.segments.iter().zip(&adds) {
        aggregates.find(segment, block.start, need, &mut there);
        let (at, window) = (segment.at.values(), query.bounds);
        let Aggregates {
            runs, low, high, ..
        } = &mut aggregates;
        match adds {
            Adds::One => count(at, window, runs, low),
            Adds::Int8(values) => add(at, window, values, runs, low, high),
            Adds::Int16(values) => add(at, window, values, runs, low, high),
            Adds::Int32(values) => add(at, window, values, runs, low, high),
            Adds::Int64(values) => add_wide(at, window, values, runs, low, high),
        }
    }
    Some((aggregates, there))
}

impl Aggregates {
    /// A user's total; `None` when no column could hold it.
    #[inline]
    fn total(&self, row: usize) -> Option<i64> {
        let low = *self.low.get(row)?;
        match self.sums {
            true => i64::try_from((i128::from(*self.high.get(row)?) << 32) + i128::from(low)).ok(),
            false => Some(low),
        }
    }

    /// The runs of the users of `need` in a segment, marked in `there`; those who were not there
    /// before begin at nought.
    fn find(&mut self, segment: &EventSegment, start: usize, need: &Bits, there: &mut Bits) {
        self.found.clear();
        self.runs.clear();
        // A large import lies in segments one after the other: most of them have nobody of this
        // block.
        let users = segment.users.values();
        if users.last().is_none_or(|last| (*last as usize) < start)
            || users
                .first()
                .is_none_or(|first| *first as usize >= start + BLOCK)
        {
            return;
        }
        let offsets: &[i32] = &segment.offsets;
        let mut found = |there: &mut u64, user: usize, position: usize| {
            prefetch(offsets, position);
            self.found.push((user as u16, position as u32));
            let bit = 1 << (user % 64);
            if *there & bit == 0 {
                *there |= bit;
                self.low
                    .get_mut(user)
                    .into_iter()
                    .chain(self.high.get_mut(user))
                    .for_each(|total| *total = 0);
            }
        };
        match segment.index() {
            Some(index) => {
                for ((word, need), there) in need.iter().enumerate().zip(there) {
                    let (users, before) = index.word(start / 64 + word);
                    let mut rest = users & need;
                    while rest != 0 {
                        let bit = rest & rest.wrapping_neg();
                        found(
                            there,
                            word * 64 + bit.trailing_zeros() as usize,
                            before + (users & (bit - 1)).count_ones() as usize,
                        );
                        rest ^= bit;
                    }
                }
            }
            None => {
                let first = users.partition_point(|u| (*u as usize) < start);
                for (position, user) in users.iter().enumerate().skip(first) {
                    let row = *user as usize - start;
                    let (Some(need), Some(there)) = (need.get(row / 64), there.get_mut(row / 64))
                    else {
                        break;
                    };
                    if need >> (row % 64) & 1 == 1 {
                        found(there, row, position);
                    }
                }
            }
        }
        let at = segment.at.values();
        self.runs.extend(self.found.iter().map(|(user, position)| {
            let rows = segment.rows_at(*position as usize);
            prefetch(at, rows.start);
            Run {
                user: *user,
                from: rows.start as u32,
                rows: rows.len() as u32,
            }
        }));
    }
}

wide! {
    /// Adds to `totals` how many rows of each run lie in the window, both ends included.
    pub fn count(at: &[i64], window: (i64, i64), runs: &[Run], totals: &mut [i64]) {
        for run in runs {
            let inside = match short(at, run) {
                Some(times) => {
                    let taken = TAKEN.get(run.rows as usize).unwrap_or(&TAKEN[0]);
                    let inside: [i64; SHORT] = std::array::from_fn(|i| i64::from(inside(times[i], window)) & taken[i]);
                    inside.iter().sum()
                }
                None => inside_of(at, window, run).len() as i64,
            };
            if let Some(total) = totals.get_mut(usize::from(run.user)) {
                *total += inside;
            }
        }
    }

    /// As [`add`], of numbers whose sum may not fit.
    pub fn add_wide(at: &[i64], window: (i64, i64), values: &[i64], runs: &[Run], low: &mut [i64], high: &mut [i64]) {
        add_halves(at, window, values, runs, low, high);
    }
}

/// Adds to the totals the values of those rows of each run that lie in the window, both ends
/// included.
fn add<T: Copy + Into<i64>>(
    at: &[i64],
    window: (i64, i64),
    values: &[T],
    runs: &[Run],
    low: &mut [i64],
    high: &mut [i64],
) {
    add_halves(at, window, values, runs, low, high);
}

#[inline(always)]
fn add_halves<T: Copy + Into<i64>>(
    at: &[i64],
    window: (i64, i64),
    values: &[T],
    runs: &[Run],
    low: &mut [i64],
    high: &mut [i64],
) {
    let halves = |value: i64| (value & 0xffff_ffff, value >> 32);
    let plus = |a: (i64, i64), b: (i64, i64)| (a.0 + b.0, a.1 + b.1);
    for run in runs {
        let values = values.get(inside_of(at, window, run)).unwrap_or_default();
        let sum = values
            .iter()
            .map(|v| halves((*v).into()))
            .fold((0, 0), plus);
        if let (Some(low), Some(high)) = (
            low.get_mut(usize::from(run.user)),
            high.get_mut(usize::from(run.user)),
        ) {
            (*low, *high) = (*low + sum.0, *high + sum.1);
        }
    }
}

/// The rows from a short run's start on, some of them beyond its end; `None` of a long one, and at
/// the end of the column.
#[inline(always)]
fn short<'v, T>(column: &'v [T], run: &Run) -> Option<&'v [T; SHORT]> {
    match run.rows as usize <= SHORT {
        true => column.get(run.from as usize..)?.first_chunk(),
        false => None,
    }
}

#[inline(always)]
fn inside(time: i64, (from, to): (i64, i64)) -> bool {
    (from <= time) & (time <= to)
}

/// Those rows of a run that lie in the window.
#[inline(always)]
fn inside_of(at: &[i64], (from, to): (i64, i64), run: &Run) -> Range<usize> {
    let start = run.from as usize;
    let times = at.get(start..start + run.rows as usize).unwrap_or_default();
    match times.len() {
        // Times rise, so counting finds the ends too.
        0..=SHORT => {
            start + times.iter().filter(|t| **t < from).count()
                ..start + times.iter().filter(|t| **t <= to).count()
        }
        _ => {
            start + times.partition_point(|t| *t < from)
                ..start + times.partition_point(|t| *t <= to)
        }
    }
}

/// What each segment adds; `None` when the query needs more than this file knows.
fn plain<'b>(query: &Query, table: &'b EventTable) -> Option<Vec<Adds<'b>>> {
    if query.then.is_some() || query.pattern.filter.is_some() {
        return None;
    }
    let segments = table.segments.iter();
    match (query.what, &query.field) {
        (Aggregate::Count, None) => Some(segments.map(|_| Adds::One).collect()),
        (Aggregate::Sum, Some((field, _))) => segments
            .map(|segment| {
                let column = segment.columns.get(usize::from(*field))?;
                if column.nulls().is_some_and(|n| n.null_count() > 0) {
                    return None;
                }
                Some(match column {
                    ColumnData::Int8(a) => Adds::Int8(a.values()),
                    ColumnData::Int16(a) => Adds::Int16(a.values()),
                    ColumnData::Int32(a) => Adds::Int32(a.values()),
                    ColumnData::Int64(a) => Adds::Int64(a.values()),
                    _ => return None,
                })
            })
            .collect(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_hold_both_ends() {
        let at: Vec<i64> = (0..100).collect();
        let extreme: Vec<i64> = at
            .iter()
            .map(|t| if t % 2 == 0 { i64::MAX } else { i64::MIN + t })
            .collect();
        let small: Vec<i8> = at.iter().map(|t| *t as i8 - 50).collect();
        for (from, rows, window) in [
            (0, 10, (3, 5)),
            (0, 100, (3, 5)),
            (0, 0, (3, 5)),
            (4, 1, (4, 4)),
            (90, 10, (0, 1000)),
            (97, 3, (98, 99)),
            (0, 8, (7, 8)),
        ] {
            let run = [Run {
                user: 7,
                from,
                rows,
            }];
            let wanted: Vec<usize> = (from as usize..(from + rows) as usize)
                .filter(|i| (window.0..=window.1).contains(&at[*i]))
                .collect();
            let mut aggregates = Aggregates {
                low: vec![0; BLOCK],
                ..Aggregates::default()
            };
            count(&at, window, &run, &mut aggregates.low);
            assert_eq!(
                aggregates.total(7),
                Some(wanted.len() as i64),
                "{from} {rows} {window:?}"
            );
            let sums = || Aggregates {
                low: vec![0; BLOCK],
                high: vec![0; BLOCK],
                sums: true,
                ..Aggregates::default()
            };
            let (mut wide, mut narrow) = (sums(), sums());
            add_wide(&at, window, &extreme, &run, &mut wide.low, &mut wide.high);
            add(&at, window, &small, &run, &mut narrow.low, &mut narrow.high);
            assert_eq!(
                wide.total(7),
                i64::try_from(wanted.iter().map(|i| i128::from(extreme[*i])).sum::<i128>()).ok()
            );
            assert_eq!(
                narrow.total(7),
                Some(wanted.iter().map(|i| i64::from(small[*i])).sum())
            );
        }
    }
}
