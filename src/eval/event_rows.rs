//! Questions to a block of users about their events: which rows a pattern matches, then one answer
//! a user.
//!
//! Events are clustered by user and sorted by time, so that a window is one run of rows for each
//! user and segment. A filter is evaluated over blocks of event rows, and only over those that lie
//! in a run. A row counts when its filter is true; a row for which it is unknown does not.

use super::bind::{BoundQuery, Events};
use super::block::{BlockEvaluator, Frame};
use super::event_query::{Hit, Hits, QueryResult, answer};
use super::masks::{BLOCK, Bits, NONE, Truths, and, get, minus, set};
use super::messages::ReceiptStatus;
use super::vector::{Scalar, Vector};
use crate::base::Type;
use crate::plan::node::CondId;
use crate::program::typed_expr::OwnEvent;
use crate::store::{EventSegment, EventTable};

/// Whether the query finds anything.
pub fn did<'b>(block: &BlockEvaluator<'b>, query: &'b BoundQuery<'b>, need: &Bits) -> Truths {
    let (mut yes, mut unknown) = (NONE, NONE);
    each_user(
        block,
        query,
        &Type::Bool,
        need,
        |row, answer| match answer {
            QueryResult::Did(Some(true)) => set(&mut yes, row),
            QueryResult::Did(None) => set(&mut unknown, row),
            QueryResult::Did(Some(false)) | QueryResult::Value(_) => {}
        },
    );
    Truths {
        yes,
        no: minus(&minus(need, &yes), &unknown),
    }
}

/// The answer of each user in `need`.
pub fn values<'b>(
    block: &BlockEvaluator<'b>,
    query: &'b BoundQuery<'b>,
    ty: &Type,
    need: &Bits,
) -> Vector<'b> {
    let value = |answer| match answer {
        QueryResult::Value(value) => value,
        QueryResult::Did(truth) => truth.map(Scalar::Bool),
    };
    // Of users without events all have the same answer.
    let nothing = value(answer(
        query,
        ty,
        block.bound,
        &Hits::default(),
        &Hits::default(),
    ));
    let mut found: Vec<(usize, Option<Scalar<'b>>)> = Vec::new();
    each_user(block, query, ty, need, |row, answer| {
        found.push((row, value(answer)))
    });
    let mut found = found.into_iter().peekable();
    Vector::collect(need, |row| match found.next_if(|(user, _)| *user == row) {
        Some((_, value)) => value,
        None => nothing.clone(),
    })
}

/// Calls `tell` for each user of `need` who has rows that may matter, in order.
fn each_user<'b>(
    block: &BlockEvaluator<'b>,
    query: &'b BoundQuery<'b>,
    ty: &Type,
    need: &Bits,
    mut tell: impl FnMut(usize, QueryResult<'b>),
) {
    let (from, to) = query.bounds;
    let first = Rows::of(
        block,
        &query.events,
        query.query.pattern.filter,
        (from, to),
        need,
    );
    let next = match (&query.next, &query.query.then) {
        // What follows may lie after the window, but never after now.
        (Some(events), Some(then)) => Some(Rows::of(
            block,
            events,
            then.next.filter,
            (from, block.bound.scope.now.0),
            &first.users(),
        )),
        _ => None,
    };
    let (mut hits, mut next_hits) = (Hits::default(), Hits::default());
    let (mut at, mut next_at) = (0, 0);
    while let Some(run) = first.runs.get(at) {
        let user = run.user;
        at = first.hits(user, at, &mut hits);
        if let Some(rows) = &next {
            next_at = rows.hits(user, next_at, &mut next_hits);
        }
        tell(user, answer(query, ty, block.bound, &hits, &next_hits));
    }
}

/// The rows of a pattern that lie in a window, for the users of a block.
struct Rows<'q> {
    source: RowSource<'q>,
    /// By user, then segment.
    runs: Vec<Run>,
    window: (i64, i64),
    /// For each segment the row that its first bit stands for, and a bit for each row that passes
    /// the filter; empty without a filter.
    passed: Vec<(usize, Vec<u64>)>,
}

enum RowSource<'q> {
    Table(&'q EventTable),
    Own(&'q super::MessageLog, OwnEvent),
    None,
}

/// Rows of one user in one segment.
struct Run {
    /// As a row of the block.
    user: usize,
    segment: usize,
    from: usize,
    to: usize,
}

impl<'q> Rows<'q> {
    fn of(
        block: &BlockEvaluator<'q>,
        events: &'q Events<'_>,
        filter: Option<CondId>,
        window: (i64, i64),
        need: &Bits,
    ) -> Rows<'q> {
        let mut out = Rows {
            source: RowSource::None,
            runs: Vec::new(),
            window,
            passed: Vec::new(),
        };
        match events {
            Events::None => {}
            Events::Table(table) => {
                out.source = RowSource::Table(table);
                for (number, segment) in table.segments.iter().enumerate() {
                    out.runs_of(block, segment, number, need);
                }
                if table.segments.len() > 1 {
                    out.runs.sort_by_key(|r| (r.user, r.segment));
                }
                if let Some(filter) = filter {
                    for (number, segment) in table.segments.iter().enumerate() {
                        out.passed
                            .push(out.filtered(block, Frame::Rows(segment), number, filter));
                    }
                }
            }
            Events::Own(own) => {
                let log = block.bound.scope.own;
                out.source = RowSource::Own(log, *own);
                let (start, end) = (block.start as u32, (block.start + block.len) as u32);
                let mut row = log.rows_of(start, end).start;
                while let Some(user) = log.user(row).filter(|user| *user < end) {
                    let rows = log.rows_of(user, user + 1);
                    row = rows.end.max(row + 1);
                    let user = (user - start) as usize;
                    if get(need, user) {
                        out.runs.push(Run {
                            user,
                            segment: 0,
                            from: rows.start,
                            to: rows.end,
                        });
                    }
                }
                if let Some(filter) = filter {
                    out.passed
                        .push(out.filtered(block, Frame::Own(log), 0, filter));
                }
            }
        }
        out
    }

    fn runs_of(
        &mut self,
        block: &BlockEvaluator,
        segment: &EventSegment,
        number: usize,
        need: &Bits,
    ) {
        let users = segment.users.values();
        let (start, end) = (block.start as u32, (block.start + block.len) as u32);
        let positions = users.partition_point(|u| *u < start)..users.partition_point(|u| *u < end);
        for position in positions {
            let Some(user) = users
                .get(position)
                .map(|u| (u - start) as usize)
                .filter(|user| get(need, *user))
            else {
                continue;
            };
            let rows = segment.rows_at(position);
            let at = segment.at.values().get(rows.clone()).unwrap_or_default();
            let (from, to) = (
                at.partition_point(|t| *t < self.window.0),
                at.partition_point(|t| *t <= self.window.1),
            );
            if from < to {
                self.runs.push(Run {
                    user,
                    segment: number,
                    from: rows.start + from,
                    to: rows.start + to,
                });
            }
        }
    }

    /// The filter over the rows of the runs of one segment.
    fn filtered(
        &self,
        block: &BlockEvaluator<'q>,
        frame: Frame<'q>,
        segment: usize,
        filter: CondId,
    ) -> (usize, Vec<u64>) {
        let runs = || self.runs.iter().filter(|r| r.segment == segment);
        let (Some(first), Some(last)) = (runs().map(|r| r.from).min(), runs().map(|r| r.to).max())
        else {
            return (0, Vec::new());
        };
        // Rows of one segment rise with the users.
        let mut wanted = vec![0u64; (last - first).div_ceil(BLOCK) * (BLOCK / 64)];
        for row in runs().flat_map(|r| r.from - first..r.to - first) {
            if let Some(word) = wanted.get_mut(row / 64) {
                *word |= 1 << (row % 64);
            }
        }
        let mut events = BlockEvaluator::new(block.bound, frame);
        let mut passed = Vec::with_capacity(wanted.len());
        for (number, words) in wanted.chunks(BLOCK / 64).enumerate() {
            let mut need = NONE;
            need.iter_mut().zip(words).for_each(|(n, w)| *n = *w);
            events.reset(first + number * BLOCK, last);
            let truths = events.cond(filter, &need);
            passed.extend(and(&truths.yes, &need));
        }
        (first, passed)
    }

    /// The users who have rows.
    fn users(&self) -> Bits {
        let mut users = NONE;
        self.runs.iter().for_each(|r| set(&mut users, r.user));
        users
    }

    fn passes(&self, segment: usize, row: usize) -> bool {
        match self.passed.get(segment) {
            None => self.passed.is_empty(),
            Some((first, bits)) => {
                let at = row.wrapping_sub(*first);
                bits.get(at / 64).is_some_and(|w| w >> (at % 64) & 1 == 1)
            }
        }
    }

    /// What a user's rows amount to. `at` is a position in the runs that no user before this one
    /// needs any more; the position after them is given back.
    fn hits(&self, user: usize, mut at: usize, hits: &mut Hits) -> usize {
        hits.clear();
        while self.runs.get(at).is_some_and(|r| r.user < user) {
            at += 1;
        }
        while let Some(run) = self.runs.get(at).filter(|r| r.user == user) {
            for row in (run.from..run.to).filter(|row| self.passes(run.segment, *row)) {
                match &self.source {
                    RowSource::Table(table) => {
                        let time = table
                            .segments
                            .get(run.segment)
                            .and_then(|s| s.at.values().get(row));
                        hits.rows.extend(time.map(|at| Hit {
                            at: *at,
                            segment: run.segment as u32,
                            row: row as u32,
                        }));
                    }
                    RowSource::Own(log, own) => hits.own(
                        log.receipt(*own, row),
                        log.handed_over(row),
                        row,
                        self.window,
                    ),
                    RowSource::None => {}
                }
            }
            at += 1;
        }
        hits.sort();
        at
    }
}

impl Hits {
    /// A message with what is known of one outcome.
    pub fn own(
        &mut self,
        receipt: ReceiptStatus,
        handed_over: crate::base::Instant,
        row: usize,
        window: (i64, i64),
    ) {
        match receipt {
            ReceiptStatus::Yes(at) if (window.0..=window.1).contains(&at.0) => {
                self.rows.push(Hit {
                    at: at.0,
                    segment: 0,
                    row: row as u32,
                })
            }
            // It can have come at any time from the send on.
            ReceiptStatus::Unknown if handed_over.0 <= window.1 => self.maybe.push(handed_over.0),
            ReceiptStatus::Yes(_) | ReceiptStatus::No | ReceiptStatus::Unknown => {}
        }
    }
}
