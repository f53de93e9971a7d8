//! Derived tags as columns: what `tag orders_30d = count(purchase, last 30 days)` is for every
//! user, kept in memory and brought up to date.
//!
//! A column is kept in blocks of users. A block holds its values, and how far the window's ends may
//! move before another event is inside or outside for one of its users; beyond that the block is
//! worked out anew, and only the block. When a segment of events comes or goes (an import, live
//! events, a merge) its users are asked about anew, and only they. So minutes and arrivals cost
//! what they change. Where most of the blocks would have to be worked out for one question, those
//! that hold are used and the others are asked about directly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::{ArrowPrimitiveType, BooleanArray, Float64Array, PrimitiveArray, UInt32Array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer};
use rayon::prelude::*;

use super::bind::{BoundPlan, BoundQuery, Events};
use super::block::{BlockEvaluator, Frame};
use super::column_source::ColumnSource;
use super::masks::{BLOCK, Bits, NONE, and, first, get, minus, or, rows, set};
use super::vector::{Vector, VectorData};
use crate::plan::node::Node;
use crate::store::{BlockStats, ChangedBlock, ColumnData, EventSegment, EventTable};

/// So many of the blocks are worked out anew without asking whether it pays: one in sixteen.
const FEW: usize = 16;
/// Segments of up to so many users are known by their users, longer ones by the blocks that those
/// are in.
const SHORT: usize = 1 << 16;

/// What a query about events answers for every user.
pub struct DerivedColumn {
    /// A block each; none where it was never worked out, or where other events came since.
    blocks: Vec<Option<Arc<ChangedBlock>>>,
    holds: Vec<Holds>,
    /// The segments that it was read from, and who is in each.
    segments: Vec<(u64, Touches)>,
    users: usize,
    /// The window when all blocks were last brought up to date, and when it was last asked for.
    whole: (i64, i64),
    asked: (i64, i64),
    nothing: ColumnData,
}

/// Whose events are in a segment.
#[derive(Clone)]
enum Touches {
    /// In rising order.
    Users(UInt32Array),
    /// A bit for each block that has some of them.
    Blocks(Vec<u64>),
}

/// Whose events changed.
#[derive(Default)]
struct Changed {
    /// By block.
    users: BTreeMap<usize, Bits>,
    blocks: Vec<u64>,
}

impl Changed {
    fn add(&mut self, touches: &Touches) {
        match touches {
            Touches::Users(users) => {
                for user in users.values() {
                    set(
                        self.users.entry(*user as usize / BLOCK).or_insert(NONE),
                        *user as usize % BLOCK,
                    );
                }
            }
            Touches::Blocks(bits) => self.blocks.iter_mut().zip(bits).for_each(|(c, b)| *c |= b),
        }
    }

    /// Of a block: everybody may have changed.
    fn whole(&self, block: usize) -> bool {
        self.blocks
            .get(block / 64)
            .is_some_and(|word| word >> (block % 64) & 1 == 1)
    }
}

/// For which windows a block's values are the same: no event is inside one and outside the other.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Holds {
    window: (i64, i64),
    /// The oldest event inside.
    leaves: i64,
    /// The first event after it.
    enters: i64,
}

impl Holds {
    const EVERYTHING: Holds = Holds {
        window: (i64::MIN, i64::MIN),
        leaves: i64::MAX,
        enters: i64::MAX,
    };

    /// Of events at these times.
    fn see(&mut self, times: &[i64]) {
        let (from, to) = self.window;
        for time in times {
            self.leaves = if (from..=to).contains(time) {
                self.leaves.min(*time)
            } else {
                self.leaves
            };
            self.enters = if *time > to {
                self.enters.min(*time)
            } else {
                self.enters
            };
        }
    }

    fn at(&self, (from, to): (i64, i64)) -> bool {
        (self.window.0..=self.leaves).contains(&from) && self.window.1 <= to && to < self.enters
    }
}

impl DerivedColumn {
    /// The column for the block of users from `start` on; `None` where the block does not hold.
    pub fn source(&self, start: usize) -> Option<ColumnSource<'_>> {
        self.blocks.get(start / BLOCK)?.as_ref()?;
        self.holds
            .get(start / BLOCK)
            .filter(|holds| holds.at(self.asked))?;
        Some(ColumnSource {
            changed: &self.blocks,
            ..ColumnSource::plain(&self.nothing)
        })
    }

    pub fn bytes(&self) -> usize {
        let block = |block: &Arc<ChangedBlock>| match &block.data {
            ColumnData::Bool(_) => BLOCK / 8,
            ColumnData::Int8(_) => BLOCK,
            ColumnData::Int16(_) => 2 * BLOCK,
            ColumnData::Int32(_) => 4 * BLOCK,
            _ => 8 * BLOCK,
        };
        let blocks: usize = self
            .blocks
            .iter()
            .flatten()
            .map(|b| block(b) + BLOCK / 8 + 100)
            .sum();
        blocks
            + self
                .segments
                .iter()
                .map(|(_, touches)| touches.bytes())
                .sum::<usize>()
    }

    /// The answers of a query to everyone, from those that were kept before as far as they hold.
    /// `None`: values that are not kept (texts, sets, places), or events that are nowhere.
    pub fn of(
        bound: &BoundPlan,
        node: Node,
        query: &BoundQuery,
        before: Option<&DerivedColumn>,
    ) -> Option<DerivedColumn> {
        let Events::Table(table) = &*query.events else {
            return None;
        };
        let (users, window) = (bound.scope.snapshot.user_count(), query.bounds);
        let count = users.div_ceil(BLOCK);
        let (segments, changed) = changes(table, count, before);
        let mut next = DerivedColumn {
            blocks: vec![None; count],
            holds: vec![Holds::EVERYTHING; count],
            segments,
            users,
            whole: window,
            asked: window,
            nothing: ints::<arrow_array::types::Int8Type>(&[], 0, None),
        };
        // Blocks that are worked out as a whole, and those where only some users are asked about.
        let (mut stale, mut patched): (Vec<usize>, Vec<(usize, Bits)>) =
            ((0..count).collect(), Vec::new());
        if let Some(before) = before {
            let as_long = before.users == users || before.users % BLOCK == 0;
            stale.retain(|block| {
                let kept = before
                    .blocks
                    .get(*block)
                    .and_then(Option::as_ref)
                    .zip(before.holds.get(*block));
                let same = !changed.whole(*block) && (as_long || *block != before.users / BLOCK);
                let Some((values, holds)) = kept.filter(|_| same) else {
                    return true;
                };
                let some = changed.users.get(block);
                if some.is_none_or(|_| holds.at(window))
                    && let (Some(slot), Some(until)) =
                        (next.blocks.get_mut(*block), next.holds.get_mut(*block))
                {
                    (*slot, *until) = (Some(values.clone()), *holds);
                }
                patched.extend(
                    some.filter(|_| holds.at(window))
                        .map(|some| (*block, *some)),
                );
                !holds.at(window)
            });
            if stale.len() > count / FEW && !before.pays(window, stale.len(), count) {
                // What does not hold at this instant is not used, and may hold for who asks for
                // another one.
                next.whole = before.whole;
                stale.clear();
            }
        }
        let known = |segment: &EventSegment| {
            before.is_some_and(|b| b.segments.iter().any(|(id, _)| *id == segment.id()))
        };
        let added = table
            .segments
            .iter()
            .map(|s| &**s)
            .filter(|s| !known(s))
            .collect();
        let work = Work {
            node,
            table,
            window,
            added,
        };
        let whole = stale.into_par_iter().map(|block| (block, None));
        let patches = patched.into_par_iter().map(|(block, some)| {
            (
                block,
                next.blocks
                    .get(block)
                    .cloned()
                    .flatten()
                    .zip(next.holds.get(block))
                    .map(|(v, h)| (v, *h, some)),
            )
        });
        let worked_out: Option<Vec<_>> = whole
            .chain(patches)
            .map_init(
                || BlockEvaluator::new(bound, Frame::Users),
                |block, (number, patch)| {
                    block.reset(number * BLOCK, users);
                    let done = match patch {
                        None => work.whole(block),
                        Some((values, holds, some)) => {
                            work.patch(block, &values.data, holds, &some)
                        }
                    };
                    done.map(|done| (number, done))
                },
            )
            .collect();
        for (number, (data, holds)) in worked_out? {
            let stats = BlockStats::of(&data, 0);
            if let (Some(slot), Some(until)) =
                (next.blocks.get_mut(number), next.holds.get_mut(number))
            {
                (*slot, *until) = (
                    Some(Arc::new(ChangedBlock {
                        data,
                        written: None,
                        stats,
                    })),
                    holds,
                );
            }
        }
        Some(next)
    }

    /// Whether to work out most of the blocks: where the next question comes as soon after this one
    /// as this one after the last, they would mostly hold for it.
    fn pays(&self, window: (i64, i64), stale: usize, count: usize) -> bool {
        let moved = |from: (i64, i64)| {
            window
                .0
                .abs_diff(from.0)
                .saturating_add(window.1.abs_diff(from.1)) as f64
        };
        match moved(self.whole) {
            0.0 => true,
            all => stale as f64 * moved(self.asked) / all <= (count / FEW) as f64,
        }
    }
}

/// The segments of a table, and whose events are in one that came or went.
fn changes(
    table: &EventTable,
    blocks: usize,
    before: Option<&DerivedColumn>,
) -> (Vec<(u64, Touches)>, Changed) {
    let kept = before.map_or(&[][..], |b| &b.segments);
    let mut changed = Changed {
        blocks: vec![0; blocks.div_ceil(64)],
        ..Changed::default()
    };
    let ids: BTreeSet<u64> = table.segments.iter().map(|s| s.id()).collect();
    kept.iter()
        .filter(|(id, _)| !ids.contains(id))
        .for_each(|(_, touches)| changed.add(touches));
    let of_segment = |segment: &Arc<EventSegment>| {
        if let Some((id, touches)) = kept.iter().find(|(id, _)| *id == segment.id()) {
            // More users may have come since; none of them is in it.
            return (*id, touches.clone());
        }
        let touches = match segment.users.values().len() <= SHORT {
            true => Touches::Users(segment.users.clone()),
            false => Touches::Blocks(touched(segment, blocks)),
        };
        changed.add(&touches);
        (segment.id(), touches)
    };
    let segments = table.segments.iter().map(of_segment).collect();
    (segments, changed)
}

impl Touches {
    fn bytes(&self) -> usize {
        match self {
            Touches::Users(users) => 4 * users.values().len(),
            Touches::Blocks(bits) => 8 * bits.len(),
        }
    }
}

/// Which blocks have users in a segment.
fn touched(segment: &EventSegment, blocks: usize) -> Vec<u64> {
    let mut touches = vec![0u64; blocks.div_ceil(64)];
    let mut users = segment
        .users
        .values()
        .iter()
        .map(|user| *user as usize / BLOCK);
    let mut mark = |block: usize| {
        touches
            .get_mut(block / 64)
            .into_iter()
            .for_each(|word| *word |= 1 << (block % 64))
    };
    if segment.users.values().len() < 16 * blocks {
        users.for_each(mark);
    } else {
        // A long one: its next user of another block is found by a search.
        while let Some(block) = users.next() {
            mark(block);
            let here = segment.users.values().len() - users.len();
            let rest = segment.users.values().get(here..).unwrap_or_default();
            let skip = rest.partition_point(|user| *user as usize / BLOCK <= block);
            if skip > 0 {
                users.nth(skip - 1);
            }
        }
    }
    touches
}

/// What is to be worked out.
struct Work<'w> {
    node: Node,
    table: &'w EventTable,
    window: (i64, i64),
    /// Those of the table's segments that came since.
    added: Vec<&'w EventSegment>,
}

impl Work<'_> {
    /// The values of a block, and how long they hold.
    fn whole(&self, block: &mut BlockEvaluator) -> Option<(ColumnData, Holds)> {
        let all = block.all();
        let data = stored(&self.vector(block, &all), block.len)?;
        let mut holds = Holds {
            window: self.window,
            ..Holds::EVERYTHING
        };
        self.table
            .segments
            .iter()
            .for_each(|segment| holds.see(times(segment, block)));
        Some((data, holds))
    }

    /// The values of a block of which some users are asked about anew; the others' hold.
    fn patch(
        &self,
        block: &mut BlockEvaluator,
        values: &ColumnData,
        holds: Holds,
        some: &Bits,
    ) -> Option<(ColumnData, Holds)> {
        let some = and(some, &block.all());
        let new = self.vector(block, &some);
        let data = match patched(values, &new, &some) {
            Some(data) => data,
            None => stored(
                &ColumnSource::plain(values)
                    .vector(0, block.len)
                    .overlay(&new, &some),
                block.len,
            )?,
        };
        // What went with a segment would only let it hold for longer.
        let mut holds = Holds {
            window: self.window,
            ..holds
        };
        self.added
            .iter()
            .for_each(|segment| holds.see(times(segment, block)));
        Some((data, holds))
    }

    fn vector<'b>(&self, block: &mut BlockEvaluator<'b>, need: &Bits) -> Vector<'b> {
        match self.node {
            Node::Cond(id) => {
                let truths = block.cond(id, need);
                Vector {
                    known: and(&truths.known(), need),
                    data: VectorData::Bool(truths.yes),
                }
            }
            Node::Val(id) => {
                let vector = block.val(id, need);
                Vector {
                    known: and(&vector.known, need),
                    data: vector.data.clone(),
                }
            }
        }
    }
}

/// When the events of a block's users were.
fn times<'s>(segment: &'s EventSegment, block: &BlockEvaluator) -> &'s [i64] {
    let users = segment.users.values();
    let position = |user: usize| users.partition_point(|u| (*u as usize) < user);
    let row = |position: usize| segment.offsets.get(position).map_or(0, |row| *row as usize);
    segment
        .at
        .values()
        .get(row(position(block.start))..row(position(block.start + block.len)))
        .unwrap_or_default()
}

/// The values with others for some of the rows, in the same form; `None` where one of them does not
/// fit it.
fn patched(values: &ColumnData, new: &Vector, some: &Bits) -> Option<ColumnData> {
    let len = values.len();
    let mut known = NONE;
    match values.nulls() {
        None => known = first(len),
        Some(nulls) => nulls.valid_indices().for_each(|row| set(&mut known, row)),
    }
    known = or(&minus(&known, some), &and(&new.known, some));
    let nulls = nulls(&known, len);
    macro_rules! ints {
        ($array:expr, $variant:ident) => {{
            let VectorData::Int(new) = &new.data else {
                return None;
            };
            let mut values = $array.values().to_vec();
            for row in rows(&and(&known, some)) {
                *values.get_mut(row)? = (*new.get(row)?).try_into().ok()?;
            }
            Some(ColumnData::$variant(PrimitiveArray::new(
                values.into(),
                nulls,
            )))
        }};
    }
    match values {
        ColumnData::Int8(a) => ints!(a, Int8),
        ColumnData::Int16(a) => ints!(a, Int16),
        ColumnData::Int32(a) => ints!(a, Int32),
        ColumnData::Int64(a) => ints!(a, Int64),
        _ => None,
    }
}

fn nulls(known: &Bits, len: usize) -> Option<NullBuffer> {
    let unknown = minus(&first(len), known);
    unknown
        .iter()
        .any(|w| *w != 0)
        .then(|| NullBuffer::new(bits(known, len)))
}

/// Values of a block in the narrowest form that holds them.
fn stored(vector: &Vector, len: usize) -> Option<ColumnData> {
    use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type};
    let nulls = nulls(&vector.known, len);
    Some(match &vector.data {
        VectorData::Bool(yes) => ColumnData::Bool(BooleanArray::new(bits(yes, len), nulls)),
        VectorData::Int(values) => {
            let known = || {
                values
                    .iter()
                    .take(len)
                    .enumerate()
                    .filter(|(row, _)| get(&vector.known, *row))
                    .map(|(_, v)| *v)
            };
            let fits = |lo: i64, hi: i64| known().all(|v| (lo..=hi).contains(&v));
            if fits(i8::MIN.into(), i8::MAX.into()) {
                ints::<Int8Type>(values, len, nulls)
            } else if fits(i16::MIN.into(), i16::MAX.into()) {
                ints::<Int16Type>(values, len, nulls)
            } else if fits(i32::MIN.into(), i32::MAX.into()) {
                ints::<Int32Type>(values, len, nulls)
            } else {
                ints::<Int64Type>(values, len, nulls)
            }
        }
        VectorData::Float(values) => ColumnData::Float(Float64Array::new(
            values.iter().take(len).copied().collect(),
            nulls,
        )),
        VectorData::Nothing => ints::<Int8Type>(&vec![0; len], len, nulls),
        VectorData::Text(_) | VectorData::Place(_) | VectorData::Set(_) => return None,
    })
}

fn bits(words: &Bits, len: usize) -> BooleanBuffer {
    BooleanBuffer::new(Buffer::from_slice_ref(words), 0, len)
}

/// Whole numbers as they are stored in some width; what does not fit is of rows that have no value.
trait Width: ArrowPrimitiveType + Sized {
    fn column(array: PrimitiveArray<Self>) -> ColumnData;
}

macro_rules! widths {
    ($($ty:ident $variant:ident)*) => {
        $(impl Width for arrow_array::types::$ty {
            fn column(array: PrimitiveArray<Self>) -> ColumnData {
                ColumnData::$variant(array)
            }
        })*
    };
}

widths!(Int8Type Int8 Int16Type Int16 Int32Type Int32 Int64Type Int64);

fn ints<T: Width>(values: &[i64], len: usize, nulls: Option<NullBuffer>) -> ColumnData
where
    T::Native: TryFrom<i64> + Default,
{
    let narrow = values
        .iter()
        .take(len)
        .map(|v| T::Native::try_from(*v).unwrap_or_default());
    T::column(PrimitiveArray::new(
        narrow.collect::<Vec<_>>().into(),
        nulls,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_until_an_event_comes_or_goes() {
        let mut holds = Holds {
            window: (10, 20),
            ..Holds::EVERYTHING
        };
        holds.see(&[3, 12, 17, 20, 25, 40]);
        assert_eq!((holds.leaves, holds.enters), (12, 25));
        for (window, same) in [
            ((10, 20), true),
            ((12, 24), true),
            ((13, 20), false),
            ((11, 25), false),
            ((9, 20), false),
            ((10, 19), false),
        ] {
            assert_eq!(holds.at(window), same, "{window:?}");
        }
        let nobody = Holds {
            window: (10, 20),
            ..Holds::EVERYTHING
        };
        assert!(nobody.at((i64::MAX, i64::MAX - 1)));
    }

    #[test]
    fn values_are_stored_as_narrow_as_they_are() {
        let vector = |values: &[i64], known: &[usize]| {
            let mut vector = Vector {
                known: super::super::masks::NONE,
                data: VectorData::Int(values.to_vec()),
            };
            known
                .iter()
                .for_each(|row| super::super::masks::set(&mut vector.known, *row));
            vector
        };
        for (values, known, width) in [
            (&[1, -128, 127][..], &[0, 1, 2][..], 1),
            (&[1, 128, 127], &[0, 1, 2], 2),
            (&[1, i64::MAX, 3], &[0, 2], 1),
            (&[1, 1 << 40, 3], &[0, 1, 2], 8),
            (&[1, 40_000, 3], &[1], 4),
        ] {
            let data = stored(&vector(values, known), 3).unwrap();
            let found = match data {
                ColumnData::Int8(_) => 1,
                ColumnData::Int16(_) => 2,
                ColumnData::Int32(_) => 4,
                _ => 8,
            };
            assert_eq!(found, width, "{values:?}");
            let source = ColumnSource::plain(&data);
            for (row, value) in values.iter().enumerate() {
                let read = source
                    .get(row)
                    .and_then(|v| v.value(&crate::base::Type::INT));
                assert_eq!(read.is_some(), known.contains(&row));
                assert!(read.is_none_or(|v| v == crate::base::Value::Int(*value)));
            }
        }
    }

    #[test]
    fn long_and_short_segments_touch_the_same_blocks() {
        let segment = |users: Vec<u32>| {
            let n = users.len();
            EventSegment::new(
                users.into(),
                arrow_buffer::OffsetBuffer::from_lengths(std::iter::repeat_n(1, n)),
                arrow_array::Int64Array::from(vec![0; n]),
                Vec::new(),
            )
        };
        // 4 blocks, of which the third has nobody.
        let users: Vec<u32> = (0..4 * BLOCK as u32)
            .filter(|u| u / BLOCK as u32 != 2 && u % 5 == 0)
            .collect();
        assert_eq!(touched(&segment(users.clone()), 4), [0b1011]);
        assert_eq!(
            touched(&segment(users.iter().copied().step_by(200).collect()), 4),
            [0b1011]
        );
        assert_eq!(
            touched(&segment(users), 200)
                .iter()
                .map(|w| w.count_ones())
                .sum::<u32>(),
            3
        );
    }
}
