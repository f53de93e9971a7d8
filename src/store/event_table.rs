//! The events of one kind, clustered by user: a user's events lie side by side, oldest first, so
//! that a window reads one run of rows.
//!
//! A table is a list of immutable segments, each with its own rows for some of the users. A user's
//! events may be in several segments; [`EventTable::rows_of`] merges them. Of two events at the
//! same instant the one in the earlier segment comes first.

use arrow_array::{Int64Array, UInt32Array};
use arrow_buffer::OffsetBuffer;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::column::ColumnData;
use super::user_index::UserIndex;
use crate::base::{EventSchema, Instant, UserNo, Value};

/// All events of one declared kind.
#[derive(Clone, Debug)]
pub struct EventTable {
    pub schema: EventSchema,
    pub segments: Vec<Arc<EventSegment>>,
}

/// Events of some users, sorted by user, then time.
#[derive(Clone, Debug)]
pub struct EventSegment {
    /// Sorted, distinct, without missing values.
    pub users: UInt32Array,
    /// The rows of `users[i]` are `offsets[i]..offsets[i + 1]`.
    pub offsets: OffsetBuffer<i32>,
    /// Microseconds since 1970 in UTC; never missing, rising within a user.
    pub at: Int64Array,
    /// One a field, in the order of the schema, each as long as `at`.
    pub columns: Vec<ColumnData>,
    index: OnceLock<Option<UserIndex>>,
    id: u64,
}

/// One event: which segment, which row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RowRef {
    pub segment: u32,
    pub row: u32,
}

impl EventSegment {
    pub fn new(
        users: UInt32Array,
        offsets: OffsetBuffer<i32>,
        at: Int64Array,
        columns: Vec<ColumnData>,
    ) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        EventSegment {
            users,
            offsets,
            at,
            columns,
            index: OnceLock::new(),
            id: MADE.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The same for the same rows; of segments that are read at different times it differs, even if
    /// they hold the same.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The same events with other fields.
    pub fn with_columns(&self, columns: Vec<ColumnData>) -> Self {
        EventSegment {
            columns,
            ..self.clone()
        }
    }

    /// Where users are among [`users`](Self::users); made on the first call. None where a search
    /// costs less.
    pub fn index(&self) -> Option<&UserIndex> {
        self.index
            .get_or_init(|| UserIndex::of(self.users.values()))
            .as_ref()
    }

    /// The rows of the user at position `index` of `users`.
    pub fn rows_at(&self, index: usize) -> Range<usize> {
        match (self.offsets.get(index), self.offsets.get(index + 1)) {
            (Some(from), Some(to)) if from <= to => *from as usize..*to as usize,
            _ => 0..0,
        }
    }

    /// The rows of a user, oldest first; empty when there are none.
    pub fn rows_of(&self, user: UserNo) -> Range<usize> {
        let position = match self.index.get() {
            Some(Some(index)) => index.position(user.0),
            // Not made for one user alone.
            _ => self.users.values().binary_search(&user.0).ok(),
        };
        position.map_or(0..0, |i| self.rows_at(i))
    }

    pub fn len(&self) -> usize {
        self.at.values().len()
    }

    pub fn is_empty(&self) -> bool {
        self.at.values().is_empty()
    }
}

impl EventTable {
    pub fn empty(schema: EventSchema) -> Self {
        EventTable {
            schema,
            segments: Vec::new(),
        }
    }

    /// A user's events over all segments, oldest first.
    pub fn rows_of(&self, user: UserNo) -> impl Iterator<Item = RowRef> + use<> {
        let mut rows: Vec<(i64, RowRef)> = Vec::new();
        let mut parts = 0;
        for (number, segment) in self.segments.iter().enumerate() {
            let range = segment.rows_of(user);
            parts += usize::from(!range.is_empty());
            rows.extend(range.map(|row| {
                (
                    segment.at.value(row),
                    RowRef {
                        segment: number as u32,
                        row: row as u32,
                    },
                )
            }));
        }
        if parts > 1 {
            rows.sort_by_key(|(at, _)| *at); // Stable: at one instant the earlier segment stays first.
        }
        rows.into_iter().map(|(_, row)| row)
    }

    pub fn at(&self, row: RowRef) -> Instant {
        Instant(
            self.segments[row.segment as usize]
                .at
                .value(row.row as usize),
        )
    }

    /// The value of the field at position `field` of the schema.
    pub fn value(&self, row: RowRef, field: usize) -> Option<Value> {
        let ty = &self.schema.fields.get(field)?.ty;
        self.segments
            .get(row.segment as usize)?
            .columns
            .get(field)?
            .value(row.row as usize, ty)
    }

    /// Users with at least one event, in order of their numbers.
    pub fn users_with_events(&self) -> impl Iterator<Item = UserNo> + use<> {
        let mut users: Vec<u32> = self
            .segments
            .iter()
            .flat_map(|s| s.users.values().iter().copied())
            .collect();
        if self.segments.len() > 1 {
            users.sort_unstable();
            users.dedup();
        }
        users.into_iter().map(UserNo)
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|s| s.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.segments.iter().all(|s| s.is_empty())
    }
}
