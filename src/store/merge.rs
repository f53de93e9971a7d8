//! Segments of events: sorting what arrives, and merging sorted segments into fewer.

use arrow_buffer::OffsetBuffer;
use rayon::prelude::*;
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::build::{Picks, gather};
use super::column::ColumnData;
use super::event_table::EventSegment;
use crate::base::EventSchema;

/// Rows of one batch of a segment file: what merging keeps in memory of its output.
pub(super) const BATCH_ROWS: usize = 1 << 21;
/// Batches that are sorted beside each other.
const AT_ONCE: usize = 2;

/// Events as they arrive: one row each, in order of arrival.
#[derive(Default)]
pub(super) struct Arrivals {
    users: Vec<u32>,
    at: Vec<i64>,
    /// The fields, in parts, and where each part begins.
    parts: Vec<(u32, Vec<ColumnData>)>,
}

impl Arrivals {
    /// Adds the next events: a user, an instant and a row of each column each.
    pub fn add(&mut self, users: Vec<u32>, at: Vec<i64>, columns: Vec<ColumnData>) {
        self.parts.push((self.len() as u32, columns));
        self.users.extend(users);
        self.at.extend(at);
    }

    pub fn len(&self) -> usize {
        self.at.len()
    }
}

/// Sorts arrivals by user, then time; at one instant the order of arrival stays.
pub(super) fn sort(schema: &EventSchema, arrivals: &Arrivals) -> EventSegment {
    let mut order: Vec<(u32, i64, u32)> = arrivals
        .users
        .iter()
        .zip(&arrivals.at)
        .zip(0u32..)
        .map(|((u, at), row)| (*u, *at, row))
        .collect();
    order.par_sort_unstable();
    let mut out = Output::default();
    for (user, at, row) in order {
        let part = arrivals
            .parts
            .partition_point(|(first, _)| *first <= row)
            .saturating_sub(1);
        let first = arrivals.parts.get(part).map_or(0, |(first, _)| *first);
        out.push(user, at, (part as u32, row - first));
    }
    let parts: Vec<Part<'_>> = arrivals
        .parts
        .iter()
        .map(|(_, columns)| Part { columns })
        .collect();
    out.finish(schema, &parts)
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
    picks: Picks,
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
        let column = |i: usize| -> Vec<&ColumnData> {
            parts.iter().filter_map(|p| p.columns.get(i)).collect()
        };
        let columns = schema
            .fields
            .iter()
            .enumerate()
            .map(|(i, f)| gather(&f.ty, &column(i), &self.picks))
            .collect();
        EventSegment::new(
            self.users.into(),
            OffsetBuffer::from_lengths(self.lengths),
            self.at.into(),
            columns,
        )
    }
}

/// Merges runs into one; a run is a list of segments with rising users. At one instant an earlier
/// run comes first. `emit` gets segments of at most `batch_rows` rows, with rising users.
///
/// The users are cut into ranges with about as many rows as a batch has, and each range is sorted
/// by itself, some of them beside each other.
///
/// # Errors
/// Those of `emit`.
pub(super) fn merge<E>(
    schema: &EventSchema,
    runs: &[Vec<Arc<EventSegment>>],
    batch_rows: usize,
    mut emit: impl FnMut(EventSegment) -> Result<(), E>,
) -> Result<(), E> {
    let segments: Vec<&EventSegment> = runs.iter().flatten().map(|s| &**s).collect();
    for some in ranges(&segments, batch_rows).chunks(AT_ONCE) {
        let sorted: Vec<Vec<EventSegment>> = some
            .par_iter()
            .map(|users| merge_range(schema, &segments, users, batch_rows))
            .collect();
        sorted.into_iter().flatten().try_for_each(&mut emit)?;
    }
    Ok(())
}

/// Ranges of users that together are all users, in order, each with at most so many rows unless it
/// is one user alone.
fn ranges(segments: &[&EventSegment], batch_rows: usize) -> Vec<RangeInclusive<u32>> {
    if segments.iter().map(|s| s.len()).sum::<usize>() <= batch_rows {
        return vec![0..=u32::MAX];
    }
    let last = segments
        .iter()
        .filter_map(|s| s.users.values().last())
        .max()
        .copied()
        .unwrap_or(0);
    let mut rows = vec![0u32; last as usize + 1];
    for segment in segments {
        for (i, user) in segment.users.values().iter().enumerate() {
            rows[*user as usize] += segment.rows_at(i).len() as u32;
        }
    }
    let (mut ranges, mut first, mut sum) = (Vec::new(), 0u32, 0usize);
    for (user, n) in (0u32..).zip(rows) {
        let n = n as usize;
        if sum > 0 && sum + n > batch_rows {
            ranges.push(first..=user - 1);
            (first, sum) = (user, 0);
        }
        sum += n;
    }
    ranges.push(first..=u32::MAX);
    ranges
}

/// The events of some users, sorted.
fn merge_range(
    schema: &EventSchema,
    segments: &[&EventSegment],
    users: &RangeInclusive<u32>,
    batch_rows: usize,
) -> Vec<EventSegment> {
    let mut rows: Vec<(u32, i64, u32, u32)> = Vec::new();
    for (number, segment) in segments.iter().enumerate() {
        let all = segment.users.values();
        let (from, to) = (
            all.partition_point(|u| u < users.start()),
            all.partition_point(|u| u <= users.end()),
        );
        for index in from..to {
            let of_user = segment.rows_at(index).filter_map(|row| {
                Some((
                    all[index],
                    *segment.at.values().get(row)?,
                    number as u32,
                    row as u32,
                ))
            });
            rows.extend(of_user);
        }
    }
    // Stable, so segments stay in order of runs; and quick where rows stand in order already, as
    // those of a segment do.
    rows.sort_by_key(|(user, at, ..)| (*user, *at));
    let parts: Vec<Part<'_>> = segments
        .iter()
        .map(|s| Part {
            columns: &s.columns,
        })
        .collect();
    let batch = |rows: &[(u32, i64, u32, u32)]| {
        let mut out = Output::default();
        rows.iter()
            .for_each(|(user, at, segment, row)| out.push(*user, *at, (*segment, *row)));
        out.finish(schema, &parts)
    };
    rows.chunks(batch_rows.max(1)).map(batch).collect()
}

/// How many of the newest files to merge into one, given the rows of all from oldest to newest: as
/// many as it takes until every file has at least twice the rows of the next newer one. So there
/// are few files, and a row is rewritten a logarithmic number of times.
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
    use proptest::prelude::*;

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

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        /// However events come in, there are at most as many files as their number has binary
        /// digits.
        #[test]
        fn files_stay_few(arrivals in prop::collection::vec(1u64..5000, 1..400)) {
            let mut files: Vec<u64> = Vec::new();
            for rows in arrivals {
                files.push(rows);
                let count = how_many_to_merge(&files);
                let merged: u64 = files.drain(files.len() - count..).sum();
                files.extend((count > 0).then_some(merged));
                let total: u64 = files.iter().sum();
                prop_assert!(files.len() as u32 <= u64::BITS - total.leading_zeros(), "{:?}", files);
            }
        }
    }

    fn rows(segment: &EventSegment) -> Vec<(u32, i64)> {
        let users = segment.users.values().iter().enumerate();
        users
            .flat_map(|(i, u)| segment.rows_at(i).map(|r| (*u, segment.at.value(r))))
            .collect()
    }

    #[test]
    fn merging_sorts_by_user_and_time() {
        let schema = EventSchema {
            name: "e".into(),
            fields: Vec::new(),
        };
        let segment = |pairs: &[(u32, i64)]| {
            let (users, at) = pairs.iter().copied().unzip();
            let mut arrivals = Arrivals::default();
            arrivals.add(users, at, Vec::new());
            Arc::new(sort(&schema, &arrivals))
        };
        let runs = [
            vec![
                segment(&[(2, 5), (1, 9), (2, 1)]),
                segment(&[(2, 7), (4, 1)]),
            ],
            vec![],
            vec![segment(&[(2, 6), (3, 3)])],
        ];
        for batch_rows in 1..8 {
            let mut merged = Vec::new();
            merge(&schema, &runs, batch_rows, |s| {
                assert!(s.len() <= batch_rows);
                merged.extend(rows(&s));
                Ok::<_, ()>(())
            })
            .unwrap();
            assert_eq!(
                merged,
                [(1, 9), (2, 1), (2, 5), (2, 6), (2, 7), (3, 3), (4, 1)]
            );
        }
    }
}
