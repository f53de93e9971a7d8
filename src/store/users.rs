//! User numbers and user ids. A number is given on first sight, never moves and is never reused.
//!
//! Ids come in segments, each a range of numbers with its own hash index: an open-addressed table
//! of slots, a slot being the row in the segment plus one, or 0 when empty. Segments are immutable;
//! new users form a new one.
//!
//! Opening reads nothing of them: ids lie in the mapped file, and each is checked when it is looked
//! at.

use arrow_array::{LargeStringArray, UInt32Array};
use arrow_buffer::{ArrowNativeType, Buffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use std::ops::Range;
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

use super::file::StoreFile;
use crate::base::UserNo;

/// More users than numbers: the last number is kept free so that a count always fits 32 bits.
pub const MAX_USERS: u32 = u32::MAX;

/// Ids that are looked up beside each other.
const LOOKED_UP_AT_ONCE: usize = 64;

/// The users of a snapshot.
#[derive(Clone, Debug, Default)]
pub struct Users {
    pub(super) segments: Vec<Arc<IdSegment>>,
}

/// Users `first`, `first + 1`, … in order.
#[derive(Debug)]
pub(super) struct IdSegment {
    pub first: u32,
    pub ids: IdTexts,
    /// A power of two in length.
    pub slots: ScalarBuffer<u32>,
    /// What they lie in; empty in memory.
    pub files: Vec<Arc<StoreFile>>,
}

/// Texts as they lie in a file; nothing is known of them but where they would be.
#[derive(Debug)]
pub(super) struct IdTexts {
    /// One more than there are ids.
    offsets: ScalarBuffer<i64>,
    bytes: Buffer,
}

impl IdTexts {
    /// `None` when there are not that many offsets.
    pub fn new(rows: usize, offsets: Buffer, bytes: Buffer) -> Option<Self> {
        Some(IdTexts {
            offsets: scalars(offsets, rows.checked_add(1)?)?,
            bytes,
        })
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// `None` past the end, and where a damaged file has no text.
    pub fn get(&self, row: usize) -> Option<&str> {
        std::str::from_utf8(self.bytes_of(row)?).ok()
    }

    fn bytes_of(&self, row: usize) -> Option<&[u8]> {
        self.bytes.get(self.range(row)?)
    }

    fn range(&self, row: usize) -> Option<Range<usize>> {
        let (from, to) = (
            *self.offsets.get(row)?,
            *self.offsets.get(row.checked_add(1)?)?,
        );
        Some(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
    }

    /// The same as an array, after all of it was checked.
    pub fn to_array(&self) -> Result<LargeStringArray, ArrowError> {
        let wrong = || ArrowError::InvalidArgumentError("ids overlap".into());
        if self.offsets.first() != Some(&0) || self.offsets.windows(2).any(|pair| pair[0] > pair[1])
        {
            return Err(wrong());
        }
        LargeStringArray::try_new(
            OffsetBuffer::new(self.offsets.clone()),
            self.bytes.clone(),
            None,
        )
    }
}

/// The first numbers of a buffer; `None` when it is too short or does not lie where numbers may.
fn scalars<T: ArrowNativeType>(buffer: Buffer, len: usize) -> Option<ScalarBuffer<T>> {
    let bytes = len.checked_mul(size_of::<T>())?;
    let sound = bytes <= buffer.len() && buffer.as_ptr().align_offset(align_of::<T>()) == 0;
    sound.then(|| ScalarBuffer::new(buffer, 0, len))
}

impl Users {
    pub fn len(&self) -> usize {
        self.segments
            .last()
            .map_or(0, |s| s.first as usize + s.ids.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn id(&self, user: UserNo) -> Option<&str> {
        let after = self.segments.partition_point(|s| s.first <= user.0);
        let segment = self.segments.get(after.checked_sub(1)?)?;
        segment.ids.get((user.0 - segment.first) as usize)
    }

    pub fn number(&self, id: &str) -> Option<UserNo> {
        let hash = xxh3_64(id.as_bytes());
        self.segments.iter().find_map(|s| s.find(hash, id))
    }

    /// The numbers of many ids. Those that stand in the order of their numbers are found without
    /// the index, as is usual when a file is imported again; the others some at a time, so that the
    /// memory is asked for many of them at once.
    pub fn numbers(&self, ids: &[Option<&str>]) -> Vec<Option<UserNo>> {
        let mut numbers = Vec::with_capacity(ids.len());
        if self.is_empty() {
            numbers.resize(ids.len(), None);
            return numbers;
        }
        let mut expected = UserNo(0);
        for some in ids.chunks(LOOKED_UP_AT_ONCE) {
            let ordered = some.iter().take_while(|id| {
                let found = id.is_some() && self.id(expected) == **id;
                if found {
                    numbers.push(Some(expected));
                    expected.0 += 1;
                }
                found
            });
            let rest = some.get(ordered.count()..).unwrap_or_default();
            let hashes: Vec<u64> = rest
                .iter()
                .map(|id| id.map_or(0, |id| xxh3_64(id.as_bytes())))
                .collect();
            let from = numbers.len();
            numbers.resize(from + rest.len(), None);
            for segment in &self.segments {
                let guesses = segment.guesses(&hashes);
                for (((id, hash), guess), number) in rest
                    .iter()
                    .zip(&hashes)
                    .zip(guesses)
                    .zip(&mut numbers[from..])
                {
                    if let (Some(id), None) = (id, &number) {
                        *number = guess.check(segment, id).or_else(|| segment.find(*hash, id));
                    }
                }
            }
            if let Some(Some(last)) = numbers.last() {
                expected = UserNo(last.0.saturating_add(1));
            }
        }
        numbers
    }
}

impl IdSegment {
    /// A segment of so many users in some files; `None` when ids and slots do not fit together.
    pub fn new(
        first: u32,
        rows: u32,
        ids: IdTexts,
        slots: &UInt32Array,
        files: Vec<Arc<StoreFile>>,
    ) -> Option<Self> {
        let slots = slots.values().clone();
        let whole =
            ids.len() == rows as usize && slots.len().is_power_of_two() && slots.len() > ids.len();
        whole.then_some(IdSegment {
            first,
            ids,
            slots,
            files,
        })
    }

    /// Where each id would be if no other stood in its way. Each step is done for all before the
    /// next one.
    fn guesses(&self, hashes: &[u64]) -> Vec<Guess> {
        let mask = self.slots.len().wrapping_sub(1);
        let rows: Vec<u32> = hashes
            .iter()
            .map(|hash| self.slots.get(*hash as usize & mask).copied().unwrap_or(0))
            .collect();
        let bytes = |row: u32| self.ids.range(row.checked_sub(1)? as usize);
        rows.into_iter()
            .map(|row| Guess {
                row,
                bytes: bytes(row).unwrap_or(0..0),
            })
            .collect()
    }

    fn find(&self, hash: u64, id: &str) -> Option<UserNo> {
        for slot in probe(hash, self.slots.len()) {
            let row = self.slots.get(slot)?.checked_sub(1)?;
            if self.ids.bytes_of(row as usize) == Some(id.as_bytes()) {
                return Some(UserNo(self.first + row));
            }
        }
        None
    }
}

/// A row plus one, or zero, and where its id stands.
struct Guess {
    row: u32,
    bytes: Range<usize>,
}

impl Guess {
    fn check(self, segment: &IdSegment, id: &str) -> Option<UserNo> {
        let row = self.row.checked_sub(1)?;
        (segment.ids.bytes.get(self.bytes)? == id.as_bytes()).then_some(UserNo(segment.first + row))
    }
}

/// Every slot of a table of `len` (a power of two), beginning where the hash says.
fn probe(hash: u64, len: usize) -> impl Iterator<Item = usize> {
    let mask = len.wrapping_sub(1);
    (0..len).map(move |step| (hash as usize).wrapping_add(step) & mask)
}

/// How many slots so many ids have: a power of two, at most half of them full.
fn slots_for(ids: usize) -> usize {
    ids.saturating_mul(2).max(16).next_power_of_two()
}

/// More ids than this are not believed before they are seen.
const MOST_EXPECTED: u64 = 1 << 26;

/// Users being added after those of a snapshot.
#[derive(Clone, Debug)]
pub(super) struct NewUsers {
    first: u32,
    bytes: Vec<u8>,
    /// Where each id begins in `bytes`, and where the last one ends.
    offsets: Vec<i64>,
    slots: Vec<u32>,
}

impl NewUsers {
    pub fn after(count: usize) -> Self {
        NewUsers {
            first: u32::try_from(count).unwrap_or(MAX_USERS),
            bytes: Vec::new(),
            offsets: vec![0],
            slots: vec![0; 16],
        }
    }

    /// Makes room for so many ids, as far as that is a likely number.
    pub fn expect(&mut self, ids: u64) {
        let ids = usize::try_from(ids.min(MOST_EXPECTED)).unwrap_or(0);
        if slots_for(ids) > self.slots.len() {
            self.resize(slots_for(ids));
        }
    }

    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn id(&self, row: usize) -> Option<&[u8]> {
        let (from, to) = (*self.offsets.get(row)?, *self.offsets.get(row + 1)?);
        self.bytes.get(from as usize..to as usize)
    }

    /// The row of an id, or the empty slot where it belongs.
    fn slot_of(&self, id: &str, hash: u64) -> Result<u32, usize> {
        for slot in probe(hash, self.slots.len()) {
            match self.slots.get(slot).and_then(|s| s.checked_sub(1)) {
                None => return Err(slot),
                Some(row) if self.id(row as usize) == Some(id.as_bytes()) => return Ok(row),
                Some(_) => {}
            }
        }
        Err(0) // Not reached: the table is never more than half full.
    }

    /// The number of an id, a new one at first sight; `None` when all numbers are given out.
    pub fn get_or_add(&mut self, id: &str) -> Option<UserNo> {
        self.get_or_add_hashed(id, xxh3_64(id.as_bytes()))
    }

    /// The numbers of many ids, as [`Self::get_or_add`] gives them one by one; the memory is asked
    /// for many of them at once.
    pub fn get_or_add_each(&mut self, ids: &[&str]) -> Option<Vec<UserNo>> {
        let mut numbers = Vec::with_capacity(ids.len());
        for some in ids.chunks(LOOKED_UP_AT_ONCE) {
            if slots_for(self.len() + some.len()) > self.slots.len() {
                self.resize(slots_for(self.len() + some.len()));
            }
            let mask = self.slots.len() - 1;
            let hashes: Vec<u64> = some.iter().map(|id| xxh3_64(id.as_bytes())).collect();
            // Only to have them near: each step is done for all before the next one.
            let rows: Vec<u32> = hashes
                .iter()
                .map(|hash| self.slots.get(*hash as usize & mask).copied().unwrap_or(0))
                .collect();
            let ids_there = rows
                .iter()
                .filter_map(|row| self.id(row.checked_sub(1)? as usize)?.first().copied());
            std::hint::black_box(ids_there.fold(0u8, u8::wrapping_add));
            for (id, hash) in some.iter().zip(hashes) {
                numbers.push(self.get_or_add_hashed(id, hash)?);
            }
        }
        Some(numbers)
    }

    fn get_or_add_hashed(&mut self, id: &str, hash: u64) -> Option<UserNo> {
        let slot = match self.slot_of(id, hash) {
            Ok(row) => return Some(UserNo(self.first + row)),
            Err(slot) => slot,
        };
        let row = u32::try_from(self.len()).ok()?;
        let number = self.first.checked_add(row).filter(|n| *n < MAX_USERS)?;
        self.bytes.extend_from_slice(id.as_bytes());
        self.offsets.push(self.bytes.len() as i64);
        if let Some(s) = self.slots.get_mut(slot) {
            *s = row + 1;
        }
        if slots_for(self.len()) > self.slots.len() {
            self.resize(slots_for(self.len()));
        }
        Some(UserNo(number))
    }

    fn resize(&mut self, len: usize) {
        let mut slots = vec![0u32; len];
        for row in 0..self.len() {
            let hash = xxh3_64(self.id(row).unwrap_or_default());
            let free = probe(hash, slots.len()).find(|s| slots.get(*s) == Some(&0));
            if let Some(slot) = free.and_then(|s| slots.get_mut(s)) {
                *slot = row as u32 + 1;
            }
        }
        self.slots = slots;
    }

    pub fn finish(mut self) -> IdSegment {
        // However many were expected, the same ids make the same table.
        if self.slots.len() > slots_for(self.len()) {
            self.resize(slots_for(self.len()));
        }
        let ids = IdTexts {
            offsets: self.offsets.into(),
            bytes: Buffer::from_vec(self.bytes),
        };
        IdSegment {
            first: self.first,
            ids,
            slots: self.slots.into(),
            files: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once() {
        let mut new = NewUsers::after(0);
        let numbers: Vec<_> = (0..1000)
            .map(|i| new.get_or_add(&format!("u{i}")).unwrap().0)
            .collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
        assert_eq!(new.get_or_add("u7"), Some(UserNo(7)));
        let slots = new.clone().finish().slots;
        for expected in [1, 600, 1000, 5000] {
            let mut others = NewUsers::after(0);
            others.expect(expected);
            (0..1000).for_each(|i| _ = others.get_or_add(&format!("u{i}")));
            let mut by_number: Vec<u32> = others.finish().slots.to_vec();
            assert_eq!(by_number.len(), slots.len());
            by_number.sort_unstable();
            assert!(
                by_number
                    .iter()
                    .filter(|row| **row > 0)
                    .copied()
                    .eq(1..=1000)
            );
        }
        let mut users = Users {
            segments: vec![Arc::new(new.finish())],
        };
        let mut more = NewUsers::after(users.len());
        assert_eq!(more.get_or_add(""), Some(UserNo(1000)));
        assert_eq!(more.get_or_add("用户"), Some(UserNo(1001)));
        users.segments.push(Arc::new(more.finish()));
        assert_eq!(users.len(), 1002);
        for i in 0..1000 {
            assert_eq!(users.number(&format!("u{i}")), Some(UserNo(i)));
        }
        assert_eq!(users.number("用户"), Some(UserNo(1001)));
        assert_eq!(users.id(UserNo(1001)), Some("用户"));
        assert_eq!(users.id(UserNo(999)), Some("u999"));
        let ids: Vec<String> = (0..1000)
            .chain([7, 500, 501, 502, 3, 1001])
            .map(|i| format!("u{i}"))
            .collect();
        let mut asked: Vec<Option<&str>> = ids
            .iter()
            .map(|id| Some(id.as_str()))
            .chain([None, Some("用户"), Some(""), Some("x")])
            .collect();
        for _ in 0..7 {
            let one_by_one: Vec<_> = asked
                .iter()
                .map(|id| id.and_then(|id| users.number(id)))
                .collect();
            assert_eq!(users.numbers(&asked), one_by_one);
            asked.rotate_right(331);
        }
        assert_eq!(
            (users.number("nobody"), users.id(UserNo(1002))),
            (None, None)
        );
    }
}
