//! Segments of events: sorting what arrives, and merging sorted segments into fewer.

use arrow_array::{Int64Array, UInt32Array};
use arrow_buffer::OffsetBuffer;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::build::{Pick, gather};
use super::column::ColumnData;
use super::event_table::EventSegment;
use crate::base::EventSchema;

/// Rows of one batch of a segment file: what merging keeps in memory of its output.
pub(super) const BATCH_ROWS: usize = 1 << 21;

/// Events as they arrive: one row each, in order of arrival.
pub(super) struct Arrivals {
    pub users: Vec<u32>,
    pub at: Vec<i64>,
    pub columns: Vec<ColumnData>,
}

/// Sorts arrivals by user, then time; at one instant the order of arrival stays.
pub(super) fn sort(schema: &EventSchema, arrivals: &Arrivals) -> EventSegment {
    let mut order: Vec<(u32, i64, u32)> =
        arrivals.users.iter().zip(&arrivals.at).zip(0u32..).map(|((u, at), row)| (*u, *at, row)).collect();
    order.sort_unstable();
    let mut out = Output::default();
    order.iter().for_each(|(user, at, row)| out.push(*user, *at, (0, *row)));
    let part = Part { columns: &arrivals.columns };
    out.finish(schema, &[part])
}

struct Part<'a> {
    columns: &'a [ColumnData],
}

/// Rows of a segment to be, in their order.
#[derive(Default)]
struct Output {
    users: Vec<u32>,
    lengths: Vec<usize>,
    at: Vec<i64>,
    picks: Vec<Pick>,
}

impl Output {
    fn push(&mut self, user: u32, at: i64, from: (u32, u32)) {
        match self.lengths.last_mut() {
            Some(n) if self.users.last() == Some(&user) => *n += 1,
            _ => {
                self.users.push(user);
                self.lengths.push(1);
            }
        }
        self.at.push(at);
        self.picks.push(Some(from));
    }

    fn finish(self, schema: &EventSchema, parts: &[Part<'_>]) -> EventSegment {
        let column = |i: usize| -> Vec<&ColumnData> { parts.iter().filter_map(|p| p.columns.get(i)).collect() };
        EventSegment {
            users: UInt32Array::from(self.users),
            offsets: OffsetBuffer::from_lengths(self.lengths),
            at: Int64Array::from(self.at),
            columns: schema.fields.iter().enumerate().map(|(i, f)| gather(&f.ty, &column(i), &self.picks)).collect(),
        }
    }
}

/// Merges runs into one; a run is a list of segments with rising users. At one instant an earlier run comes first.
/// `emit` gets segments of at most [`BATCH_ROWS`] rows, with rising users.
///
/// # Errors
/// Those of `emit`.
pub(super) fn merge<E>(
    schema: &EventSchema,
    runs: &[Vec<Arc<EventSegment>>],
    batch_rows: usize,
    mut emit: impl FnMut(EventSegment) -> Result<(), E>,
) -> Result<(), E> {
    // Segments by number over all runs, in order of the runs; a run's position is (number of its current segment, user's index in it).
    let segments: Vec<&Arc<EventSegment>> = runs.iter().flatten().collect();
    let parts: Vec<Part<'_>> = segments.iter().map(|s| Part { columns: &s.columns }).collect();
    let mut heap = BinaryHeap::new();
    let mut first = 0;
    for run in runs {
        let end = first + run.len();
        heap.extend(next_user(&segments, first, 0, end).map(Reverse));
        first = end;
    }
    let mut out = Output::default();
    let mut rows: Vec<(i64, u32, u32)> = Vec::new();
    while let Some(Reverse(Position { user, segment, index, end })) = heap.pop() {
        let range = segments.get(segment).map_or(0..0, |s| s.rows_at(index));
        rows.extend(range.map(|row| (segments[segment].at.value(row), segment as u32, row as u32)));
        heap.extend(next_user(&segments, segment, index + 1, end).map(Reverse));
        if heap.peek().is_some_and(|Reverse(p)| p.user == user) {
            continue; // More of the same user to come.
        }
        rows.sort_unstable(); // By time, then run, then row: segments are numbered in order of runs.
        for (at, segment, row) in rows.drain(..) {
            out.push(user, at, (segment, row));
            if out.at.len() >= batch_rows {
                emit(std::mem::take(&mut out).finish(schema, &parts))?;
            }
        }
    }
    if !out.at.is_empty() {
        emit(out.finish(schema, &parts))?;
    }
    Ok(())
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    user: u32,
    segment: usize,
    index: usize,
    /// Where the run's segments end.
    end: usize,
}

/// The position at `index` of `segment`, or the first of the following segments of the run.
fn next_user(segments: &[&Arc<EventSegment>], segment: usize, index: usize, end: usize) -> Option<Position> {
    let mut at = (segment, index);
    while at.0 < end {
        if let Some(user) = segments.get(at.0)?.users.values().get(at.1) {
            return Some(Position { user: *user, segment: at.0, index: at.1, end });
        }
        at = (at.0 + 1, 0);
    }
    None
}

/// How many of the newest files to merge into one, given the rows of all from oldest to newest: as many as it takes until every
/// file has at least twice the rows of the next newer one. So there are few files, and a row is rewritten a logarithmic number of times.
pub(super) fn how_many_to_merge(rows: &[u64]) -> usize {
    let mut merged = 0u64;
    let mut count = 0;
    for (i, n) in rows.iter().rev().enumerate() {
        if i > 0 && *n >= merged.saturating_mul(2) {
            break;
        }
        merged = merged.saturating_add(*n);
        count = i + 1;
    }
    if count > 1 { count } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_until_sizes_halve() {
        for (rows, count) in [
            (&[][..], 0),
            (&[5], 0),
            (&[5, 5], 2),
            (&[100, 5], 0),
            (&[100, 10, 5], 0),
            (&[100, 9, 5], 2),
            (&[100, 40, 9, 5], 2),
            (&[100, 20, 9, 5], 3),
            (&[60, 20, 9, 5], 4),
        ] {
            assert_eq!(how_many_to_merge(rows), count, "{rows:?}");
        }
    }

    fn rows(segment: &EventSegment) -> Vec<(u32, i64)> {
        let users = segment.users.values().iter().enumerate();
        users.flat_map(|(i, u)| segment.rows_at(i).map(|r| (*u, segment.at.value(r)))).collect()
    }

    #[test]
    fn merging_sorts_by_user_and_time() {
        let schema = EventSchema { name: "e".into(), fields: Vec::new() };
        let segment = |pairs: &[(u32, i64)]| {
            let (users, at) = pairs.iter().copied().unzip();
            Arc::new(sort(&schema, &Arrivals { users, at, columns: Vec::new() }))
        };
        let runs = [vec![segment(&[(2, 5), (1, 9), (2, 1)]), segment(&[(2, 7), (4, 1)])], vec![], vec![segment(&[(2, 6), (3, 3)])]];
        for batch_rows in 1..8 {
            let mut merged = Vec::new();
            merge(&schema, &runs, batch_rows, |s| {
                assert!(s.len() <= batch_rows);
                merged.extend(rows(&s));
                Ok::<_, ()>(())
            })
            .unwrap();
            assert_eq!(merged, [(1, 9), (2, 1), (2, 5), (2, 6), (2, 7), (3, 3), (4, 1)]);
        }
    }
}
