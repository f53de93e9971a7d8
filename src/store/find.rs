//! Finding users by a text of theirs, or a part of it: the address at which a platform knows them.
//! What a platform tells names nobody else.
//!
//! An index outlives the snapshot that it was made of: of the next one only the blocks that changed
//! are looked at, and all of it when the column's file is another one. It holds eight bytes a user:
//! half a hash, and the number.

use std::sync::Arc;

use arrow_array::{Array, LargeStringArray};
use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::blocks::BLOCK_ROWS;
use super::changed::ChangedBlock;
use super::column::{Column, ColumnData};
use crate::base::{UserNo, Value};

/// The part of a text by which a user is found.
pub type IdExtractor = fn(&str) -> &str;

/// Of one column of texts.
pub struct TextIndex {
    part: IdExtractor,
    stored: Option<(LargeStringArray, Rows)>,
    changed: Vec<Option<(Arc<ChangedBlock>, Rows)>>,
}

impl TextIndex {
    pub fn by(part: IdExtractor) -> TextIndex {
        TextIndex {
            part,
            stored: None,
            changed: Vec::new(),
        }
    }

    /// The users whose text has this part, by number.
    pub fn find(&mut self, column: &Column, text: &str) -> Vec<UserNo> {
        let (ColumnData::Text(stored), _) = column.stored() else {
            return Vec::new();
        };
        if !self
            .stored
            .as_ref()
            .is_some_and(|(known, _)| is_same(known, stored))
        {
            self.stored = Some((stored.clone(), Rows::of(stored, self.part)));
        }
        self.changed.resize_with(column.changed().len(), || None);
        for (known, block) in self.changed.iter_mut().zip(column.changed()) {
            if !known
                .as_ref()
                .zip(block.as_ref())
                .is_some_and(|((known, _), block)| Arc::ptr_eq(known, block))
            {
                *known = block
                    .as_ref()
                    .map(|block| (block.clone(), Rows::of_data(&block.data, self.part)));
            }
        }
        let mut rows: Vec<usize> = self
            .stored
            .iter()
            .flat_map(|(_, rows)| rows.with(text))
            .collect();
        for (block, (_, known)) in self
            .changed
            .iter()
            .enumerate()
            .filter_map(|(block, known)| Some((block, known.as_ref()?)))
        {
            rows.extend(known.with(text).map(|row| block * BLOCK_ROWS + row));
        }
        // Half a hash may be another text's, and what is stored may have changed since.
        rows.retain(|row| matches!(column.value(*row), Some(Value::Text(found)) if (self.part)(&found) == text));
        rows.sort_unstable();
        rows.dedup();
        rows.into_iter()
            .filter_map(|row| u32::try_from(row).ok())
            .map(UserNo)
            .collect()
    }
}

/// Rows by the hashes of their texts: the upper half of a hash over the row, sorted.
struct Rows(Vec<u64>);

impl Rows {
    fn of(texts: &LargeStringArray, part: IdExtractor) -> Rows {
        let len = texts.len().min(u32::MAX as usize);
        let mut rows: Vec<u64> = (0..len)
            .into_par_iter()
            .filter(|row| texts.is_valid(*row))
            .map(|row| half(part(texts.value(row))) | row as u64)
            .collect();
        rows.par_sort_unstable();
        Rows(rows)
    }

    fn of_data(data: &ColumnData, part: IdExtractor) -> Rows {
        if let ColumnData::Text(texts) = data {
            Rows::of(texts, part)
        } else {
            Rows(Vec::new())
        }
    }

    fn with(&self, text: &str) -> impl Iterator<Item = usize> + '_ {
        let half = half(text);
        let first = self.0.partition_point(|entry| *entry < half);
        self.0
            .iter()
            .skip(first)
            .take_while(move |entry| *entry & UPPER == half)
            .map(|entry| (*entry & !UPPER) as usize)
    }
}

const UPPER: u64 = 0xffff_ffff_0000_0000;

fn half(text: &str) -> u64 {
    xxh3_64(text.as_bytes()) & UPPER
}

/// Whether two are the same memory; both are alive, so that it is not used again.
fn is_same(a: &LargeStringArray, b: &LargeStringArray) -> bool {
    a.len() == b.len()
        && a.offsets().inner().inner().as_ptr() == b.offsets().inner().inner().as_ptr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Instant, Type};
    use crate::store::ColumnBuilder;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn finds_what_is_stored_and_what_has_changed() {
        let ty = Type::Address("wx".into());
        let column = |n: usize| {
            let mut data = ColumnBuilder::new(&ty);
            (0..n).for_each(|i| {
                data.push(
                    (i % 7 != 0)
                        .then(|| Value::text(&format!("o{}", i % 9000)))
                        .as_ref(),
                )
            });
            Column::new(ty.clone(), data.finish(), None)
        };
        let users = |all: &[u32]| all.iter().copied().map(UserNo).collect::<Vec<_>>();
        let mut index = TextIndex::by(|text| text);
        let first = column(10_000);
        assert_eq!(index.find(&first, "o5"), users(&[5, 9005]));
        assert_eq!(index.find(&first, "o7"), users(&[9007]));
        assert_eq!(index.find(&first, "p1"), []);
        let said = |user, text: Option<&str>| (user, (text.map(Value::text), Instant(0)));
        let second = first.with(
            &BTreeMap::from([
                said(5, None),
                said(6, Some("p1")),
                said(9_999, Some("o5")),
                said(10_001, Some("p1")),
            ]),
            false,
        );
        assert_eq!(index.find(&second, "o5"), users(&[9005, 9999]));
        assert_eq!(index.find(&second, "p1"), users(&[6, 10_001]));
        // The older one still, and another column altogether.
        assert_eq!(index.find(&first, "o5"), users(&[5, 9005]));
        assert_eq!(index.find(&column(6), "o5"), users(&[5]));
    }

    #[test]
    fn finds_by_a_part() {
        let ty = Type::TEXT;
        let mut data = ColumnBuilder::new(&ty);
        ["a 1", "b 1", "a", "a 2"]
            .iter()
            .for_each(|text| data.push(Some(&Value::text(text))));
        let column = Column::new(ty, data.finish(), None);
        let mut index = TextIndex::by(|text| text.split(' ').next().unwrap_or(text));
        assert_eq!(index.find(&column, "a"), [UserNo(0), UserNo(2), UserNo(3)]);
        let column = column.with(
            &BTreeMap::from([(0, (Some(Value::text("b 2")), Instant(0)))]),
            false,
        );
        assert_eq!(index.find(&column, "b"), [UserNo(0), UserNo(1)]);
        assert_eq!(index.find(&column, "a 2"), []);
    }

    proptest! {
        /// The same as looking at every row, whatever changed in between.
        #[test]
        fn finds_what_a_scan_finds(rows in prop::collection::vec(prop::option::of(0..4u8), 0..60), changes in prop::collection::vec((0..80u32, prop::option::of(0..4u8)), 0..12)) {
            let ty = Type::TEXT;
            let mut data = ColumnBuilder::new(&ty);
            let text = |n: &Option<u8>| n.map(|n| Value::text(&format!("t{n}")));
            rows.iter().for_each(|row| data.push(text(row).as_ref()));
            let mut column = Column::new(ty, data.finish(), None);
            let mut index = TextIndex::by(|text| text);
            for (user, value) in changes {
                for n in 0..4 {
                    let wanted = Value::text(&format!("t{n}"));
                    let expected: Vec<UserNo> = (0..column.len()).filter(|row| column.value(*row).as_ref() == Some(&wanted)).map(|row| UserNo(row as u32)).collect();
                    prop_assert_eq!(index.find(&column, &format!("t{n}")), expected);
                }
                column = column.with(&BTreeMap::from([(user, (text(&value), Instant(0)))]), false);
            }
        }
    }
}
