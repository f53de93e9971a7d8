//! Blocks of a column that changed since it was written: a change copies its block and no other.
//!
//! Those who hold the column from before keep what they saw; blocks that neither changed are the
//! same memory in both. A block knows what it holds ([`BlockStats`]), so that a question may pass
//! over it as over those on disk.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::Int64Array;

use super::blocks::{BLOCK_ROWS, BlockStats};
use super::build::{ColumnBuilder, Picks, gather};
use super::column::{Column, ColumnData};
use crate::base::{Instant, Value};

/// What stands in the place of up to [`BLOCK_ROWS`] rows of a column.
#[derive(Debug, PartialEq)]
pub struct ChangedBlock {
    pub data: ColumnData,
    pub written: Option<Int64Array>,
    pub stats: BlockStats,
}

/// A user's new value, `None` to take it away, and when it was said.
pub type ValueUpdate = (Option<Value>, Instant);

impl Column {
    /// The column with the last word on some users, by their numbers. `fresh`: when a value was
    /// written is kept.
    pub fn with(&self, said: &BTreeMap<u32, ValueUpdate>, fresh: bool) -> Column {
        let mut next = self.clone();
        if fresh && next.written.is_none() && next.data.known() == 0 {
            next.written = Some(Int64Array::new_null(next.data.len()));
        }
        let mut rest = said.iter().peekable();
        while let Some((user, _)) = rest.peek() {
            let block = **user as usize / BLOCK_ROWS;
            let mut here = Vec::new();
            while let Some((user, said)) =
                rest.next_if(|(user, _)| **user as usize / BLOCK_ROWS == block)
            {
                here.push((*user as usize % BLOCK_ROWS, said));
            }
            let changed = Arc::new(self.block_with(block, &here, fresh));
            if next.changed.len() <= block {
                next.changed.resize(block + 1, None);
            }
            if let Some(slot) = next.changed.get_mut(block) {
                *slot = Some(changed);
            }
        }
        next
    }

    fn block_with(
        &self,
        block: usize,
        said: &[(usize, &ValueUpdate)],
        fresh: bool,
    ) -> ChangedBlock {
        let (old, from) = match self.changed.get(block) {
            Some(Some(changed)) => (&changed.data, 0),
            _ => (&self.data, block * BLOCK_ROWS),
        };
        let rows = old.len().saturating_sub(from).min(BLOCK_ROWS);
        let len = said.last().map_or(rows, |(row, _)| rows.max(row + 1));
        let (mut picks, mut new) = (Picks::default(), ColumnBuilder::new(&self.ty));
        let mut rest = said.iter().zip(0..).peekable();
        for row in 0..len {
            picks.push(match rest.next_if(|((said, _), _)| *said == row) {
                Some(((_, (value, _)), number)) => {
                    new.push(value.as_ref());
                    Some((1, number))
                }
                None => (row < rows).then_some((0, (from + row) as u32)),
            });
        }
        let data = gather(&self.ty, &[old, &new.finish()], &picks);
        let written = fresh.then(|| {
            let mut at: Vec<Option<i64>> = (0..len)
                .map(|row| self.written_at(block * BLOCK_ROWS + row).map(|at| at.0))
                .collect();
            for (row, (value, when)) in said {
                if let Some(slot) = at.get_mut(*row) {
                    *slot = value.as_ref().map(|_| when.0);
                }
            }
            Int64Array::from(at)
        });
        let stats = BlockStats::of(&data, 0);
        ChangedBlock {
            data,
            written,
            stats,
        }
    }

    /// The column in one piece, as it is written to disk.
    pub fn whole(&self) -> Cow<'_, Column> {
        if self.changed.is_empty() {
            return Cow::Borrowed(self);
        }
        let len = self.len();
        let written = self.written_in_one(len);
        Cow::Owned(Column::new(self.ty.clone(), self.data_in_one(len), written))
    }

    fn written_in_one(&self, len: usize) -> Option<Int64Array> {
        let kept =
            self.written.is_some() || self.changed.iter().flatten().any(|c| c.written.is_some());
        kept.then(|| {
            (0..len)
                .map(|row| self.written_at(row).map(|at| at.0))
                .collect()
        })
    }

    fn data_in_one(&self, len: usize) -> ColumnData {
        let (mut parts, mut picks) = (vec![&self.data], Picks::default());
        for block in 0..len.div_ceil(BLOCK_ROWS) {
            let from = block * BLOCK_ROWS;
            let rows = BLOCK_ROWS.min(len - from) as u32;
            match self.changed.get(block) {
                Some(Some(changed)) => {
                    picks.push_rows(parts.len() as u32, 0, rows);
                    parts.push(&changed.data);
                }
                _ => picks.push_rows(0, from as u32, rows),
            }
        }
        gather(&self.ty, &parts, &picks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Type;

    fn said(users: &[(u32, Option<i64>)]) -> BTreeMap<u32, ValueUpdate> {
        users
            .iter()
            .map(|(user, value)| {
                (
                    *user,
                    (value.map(Value::Money), Instant(i64::from(*user) + 1)),
                )
            })
            .collect()
    }

    #[test]
    fn changes_copy_their_blocks_and_nothing_else() {
        let mut builder = ColumnBuilder::new(&Type::Money);
        (0..10_000).for_each(|n| builder.push((n % 3 > 0).then_some(Value::Money(n)).as_ref()));
        let column = Column::new(Type::Money, builder.finish(), None);
        let one = column.with(&said(&[(0, Some(7)), (5000, None), (5001, Some(-1))]), true);
        let two = one.with(&said(&[(5001, Some(-2)), (20_000, Some(5))]), true);
        assert_eq!(
            (column.value(0), one.value(0), two.value(0)),
            (None, Some(Value::Money(7)), Some(Value::Money(7)))
        );
        assert_eq!(
            (one.value(5000), one.value(5001), two.value(5001)),
            (None, Some(Value::Money(-1)), Some(Value::Money(-2)))
        );
        assert!(
            std::ptr::eq(
                one.changed[0].as_deref().unwrap(),
                two.changed[0].as_deref().unwrap()
            ),
            "an untouched block is shared"
        );
        assert_eq!(
            (two.len(), two.value(15_000), two.value(20_000)),
            (20_001, None, Some(Value::Money(5)))
        );
        assert_eq!(
            (
                two.written_at(20_000),
                two.written_at(5000),
                two.written_at(1)
            ),
            (Some(Instant(20_001)), None, None)
        );
        assert_eq!(
            two.changed[1].as_ref().unwrap().stats,
            BlockStats::of(&two.whole().data, 1)
        );
        let whole = two.whole();
        assert_eq!((whole.len(), whole.known()), (two.len(), two.known()));
        for row in 0..20_010 {
            assert_eq!(
                (whole.value(row), whole.written_at(row)),
                (two.value(row), two.written_at(row)),
                "{row}"
            );
        }
    }

    #[test]
    fn texts_change_too() {
        let mut builder = ColumnBuilder::new(&Type::TEXT);
        (0..5000).for_each(|n| builder.push(Some(&Value::text(&n.to_string()))));
        let column = Column::new(Type::TEXT, builder.finish(), None);
        let said = BTreeMap::from([
            (4999, (Some(Value::text("new")), Instant(0))),
            (9000, (Some(Value::text("far")), Instant(0))),
        ]);
        let changed = column.with(&said, false);
        let whole = changed.whole();
        for row in [0, 4095, 4998, 4999, 5000, 8999, 9000] {
            assert_eq!(whole.value(row), changed.value(row), "{row}");
        }
        assert_eq!(
            (changed.value(4999), changed.value(5000), changed.known()),
            (Some(Value::text("new")), None, 5001)
        );
    }
}
