//! Counts and sums over plain windows, for a block of users at once: no filter, no sequence, a column of whole numbers that is always there.
//!
//! It is the question that campaigns ask most ("three purchases in 30 days, more than ¥500 in 90"), and the answer needs no list of rows: each
//! user's run is read once, a time compared, a number added. [`events`](super::events) answers everything else.

use std::ops::Range;

use super::batch::Block;
use super::bind::{BoundQuery, Events};
use super::lanes::{BLOCK, Bits, Data, Lanes, rows};
use crate::plan::node::Query;
use crate::program::expr::Aggregate;
use crate::store::{ColumnData, EventSegment, EventTable};

/// Longer runs are searched for the window's ends, shorter ones read through.
const SHORT: usize = 16;

/// What a segment adds to each user.
enum Adds<'b> {
    One,
    Int8(&'b [i8]),
    Int16(&'b [i16]),
    Int32(&'b [i32]),
    Int64(&'b [i64]),
}

/// The counts or sums of the users of `need`; `None` when the query is not of this plain kind.
pub fn tally<'b>(block: &Block<'b>, query: &'b BoundQuery<'b>, need: &Bits) -> Option<Lanes<'b>> {
    let Events::Table(table) = &query.events else { return None };
    let adds = plain(query.query, table)?;
    let mut totals = vec![0i128; if matches!(query.query.what, Aggregate::Sum) { BLOCK } else { 0 }];
    let mut counts = vec![0i64; BLOCK];
    for (segment, adds) in table.segments.iter().zip(&adds) {
        each_run(block, segment, need, |user, rows| {
            let at = segment.at.values();
            match adds {
                Adds::One => {
                    if let Some(count) = counts.get_mut(user) {
                        *count += inside(at, rows, query.bounds, |_| 1) as i64;
                    }
                }
                Adds::Int8(values) => {
                    add(&mut totals, user, inside(at, rows, query.bounds, |row| values.get(row).map_or(0, |v| i128::from(*v))))
                }
                Adds::Int16(values) => {
                    add(&mut totals, user, inside(at, rows, query.bounds, |row| values.get(row).map_or(0, |v| i128::from(*v))))
                }
                Adds::Int32(values) => {
                    add(&mut totals, user, inside(at, rows, query.bounds, |row| values.get(row).map_or(0, |v| i128::from(*v))))
                }
                Adds::Int64(values) => {
                    add(&mut totals, user, inside(at, rows, query.bounds, |row| values.get(row).map_or(0, |v| i128::from(*v))))
                }
            }
        });
    }
    let mut known = *need;
    for row in rows(need) {
        if let (Some(total), Some(count)) = (totals.get(row), counts.get_mut(row)) {
            match i64::try_from(*total) {
                Ok(total) => *count = total,
                // A sum that no column could hold is not known.
                Err(_) => known.iter_mut().skip(row / 64).take(1).for_each(|w| *w &= !(1 << (row % 64))),
            }
        }
    }
    Some(Lanes { known, data: Data::Int(counts) })
}

fn add(totals: &mut [i128], user: usize, more: i128) {
    if let Some(total) = totals.get_mut(user) {
        *total += more;
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

/// Calls `tell` with the rows of each user of `need` who has some in the segment, the user as a row of the block.
fn each_run(block: &Block, segment: &EventSegment, need: &Bits, mut tell: impl FnMut(usize, Range<usize>)) {
    let users = segment.users.values();
    let (start, end) = (block.start as u32, (block.start + block.len) as u32);
    let from = users.partition_point(|u| *u < start);
    let Some(users) = users.get(from..) else { return };
    let mut position = 0;
    for row in rows(need) {
        let user = start + row as u32;
        if user >= end {
            return;
        }
        // Users rise by at least one a position, so this one cannot lie further on than that.
        position = seek(users, position, user);
        match users.get(position) {
            Some(found) if *found == user => tell(row, segment.rows_at(from + position)),
            Some(_) => {}
            None => return,
        }
    }
}

/// The first position from `from` on whose user is not below `user`; users are distinct and rise.
fn seek(users: &[u32], from: usize, user: u32) -> usize {
    let Some(at) = users.get(from) else { return from };
    let far = (user.saturating_sub(*at) as usize).min(users.len() - from);
    if far <= 8 {
        return users.iter().skip(from).take(far).take_while(|u| **u < user).count() + from;
    }
    users.get(from..=(from + far).min(users.len() - 1)).map_or(from, |part| from + part.partition_point(|u| *u < user))
}

/// The sum of `worth` over those rows of a run whose time lies in the window, both ends included.
#[inline]
fn inside(at: &[i64], rows: Range<usize>, (from, to): (i64, i64), worth: impl Fn(usize) -> i128) -> i128 {
    let Some(times) = at.get(rows.clone()) else { return 0 };
    let (first, last) = match times.len() {
        0..=SHORT => (times.iter().take_while(|t| **t < from).count(), times.iter().take_while(|t| **t <= to).count()),
        _ => (times.partition_point(|t| *t < from), times.partition_point(|t| *t <= to)),
    };
    (first..last).map(|i| worth(rows.start + i)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeking_finds_the_first_that_is_not_below() {
        let users: Vec<u32> = (0..300).map(|i| i * 3 + i % 2).collect();
        for from in [0, 1, 7, 150, 299, 300] {
            for user in 0..920 {
                let plain = (from..users.len()).find(|p| users[*p] >= user).unwrap_or(users.len().max(from));
                assert_eq!(seek(&users, from, user), plain, "{from} {user}");
            }
        }
    }

    #[test]
    fn windows_hold_both_ends() {
        let at: Vec<i64> = (0..100).collect();
        for (rows, window, wanted) in
            [(0..10, (3, 5), 3), (0..100, (3, 5), 3), (0..0, (3, 5), 0), (4..5, (4, 4), 1), (90..100, (0, 1000), 10)]
        {
            assert_eq!(inside(&at, rows, window, |_| 1), wanted);
        }
        assert_eq!(inside(&at, 0..4, (1, 2), |row| row as i128), 3);
    }
}
