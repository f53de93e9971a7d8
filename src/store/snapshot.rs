//! A read view that does not move: the users, tags and events of one moment.
//!
//! Opening a snapshot opens its files and reads nothing of them but the manifest. A column, a
//! column's statistics, the events of a kind are made ready by the first one who asks for them;
//! what was ready in the snapshot before, and has not changed, stays ready in the next.

use arrow_array::Int64Array;
use arrow_buffer::OffsetBuffer;
use rayon::prelude::*;
use std::sync::Arc;

use super::blocks::{BlockStats, ColumnStats};
use super::build::ColumnBuilder;
use super::column::Column;
use super::error::StoreError;
use super::event_table::{EventSegment, EventTable};
use super::file::StoreFile;
use super::lazy::Lazy;
use super::manifest::{SegmentEntry, TagEntry, UsersEntry};
use super::users::{IdSegment, NewUsers, Users};
use super::{digest, users};
use crate::base::{EventId, EventSchema, Instant, Schema, TagId, TagSchema, UserNo, Value};

/// What was known at one moment. Cheap to share, never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) users: Users,
    pub(super) schema: Schema,
    /// One a tag of the schema.
    pub(super) tags: Vec<TagPart>,
    /// One an event of the schema.
    pub(super) events: Vec<EventPart>,
    pub(super) digest: String,
    /// The live changes that it holds: all up to this position.
    pub(super) position: u64,
    /// The entries that the segments of `users` were opened from.
    pub(super) user_files: Vec<UsersEntry>,
}

/// A tag: its column and what is known of the column.
#[derive(Clone, Debug)]
pub(super) struct TagPart {
    /// What it was opened from; `None` in memory.
    pub entry: Option<TagEntry>,
    pub file: Option<Arc<StoreFile>>,
    pub column: Arc<Lazy<Column>>,
    /// `None` in a store of the version that kept none.
    pub stats: Arc<Lazy<Option<ColumnStats>>>,
}

/// The events of a kind, and the files that they are in.
#[derive(Clone, Debug)]
pub(super) struct EventPart {
    pub table: Arc<Lazy<EventTable>>,
    pub segments: Vec<SegmentPart>,
}

/// The batches of an event file.
#[derive(Clone, Debug)]
pub(super) struct SegmentPart {
    pub entry: SegmentEntry,
    pub file: Arc<StoreFile>,
    /// What its batches were read by.
    pub schema: EventSchema,
    pub batches: Arc<Lazy<Vec<Arc<EventSegment>>>>,
}

impl Snapshot {
    /// A snapshot of nobody.
    pub fn empty() -> Self {
        SnapshotBuilder::new().build()
    }

    /// Users have the numbers `0..user_count()`.
    pub fn user_count(&self) -> usize {
        self.users.len()
    }

    pub fn user_id(&self, user: UserNo) -> Option<&str> {
        self.users.id(user)
    }

    pub fn user_no(&self, id: &str) -> Option<UserNo> {
        self.users.number(id)
    }

    pub fn users(&self) -> &Users {
        &self.users
    }

    /// Tags and events as they are stored; the program's own schema may know more, or other types.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The column at a position of [`Self::schema`].
    ///
    /// # Errors
    /// When its file is damaged.
    pub fn tag_at(&self, tag: TagId) -> Result<Option<&Column>, StoreError> {
        self.tags
            .get(tag.index())
            .map(|t| t.column.get())
            .transpose()
    }

    /// Whether nothing can have changed in a tag between two snapshots, because they share its
    /// column.
    pub fn shares_tag(&self, other: &Snapshot, name: &str) -> bool {
        let column = |of: &Snapshot| {
            of.schema
                .tag_named(name)
                .and_then(|id| of.tags.get(id.index()))
                .map(|tag| tag.column.clone())
        };
        match (column(self), column(other)) {
            (Some(a), Some(b)) => Arc::ptr_eq(&a, &b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// The events at a position of [`Self::schema`].
    ///
    /// # Errors
    /// When one of their files is damaged.
    pub fn event_at(&self, event: EventId) -> Result<Option<&EventTable>, StoreError> {
        self.events
            .get(event.index())
            .map(|e| e.table.get())
            .transpose()
    }

    /// # Errors
    /// When its file is damaged.
    pub fn tag(&self, name: &str) -> Result<Option<&Column>, StoreError> {
        self.schema
            .tag_named(name)
            .map_or(Ok(None), |id| self.tag_at(id))
    }

    /// # Errors
    /// When one of their files is damaged.
    pub fn event(&self, name: &str) -> Result<Option<&EventTable>, StoreError> {
        self.schema
            .event_named(name)
            .map_or(Ok(None), |id| self.event_at(id))
    }

    /// What the blocks of a tag's column hold, and how its values are spread; `None` when there is
    /// no such tag, or it was imported when none of this was kept. Of a column in memory they are
    /// counted when first asked for.
    ///
    /// # Errors
    /// When the file that holds them is damaged.
    pub fn column_stats(&self, name: &str) -> Result<Option<&ColumnStats>, StoreError> {
        let Some(part) = self
            .schema
            .tag_named(name)
            .and_then(|id| self.tags.get(id.index()))
        else {
            return Ok(None);
        };
        Ok(part.stats.get()?.as_ref())
    }

    /// One a block of [`super::BLOCK_ROWS`] rows of a tag's column, as [`Self::column_stats`] has
    /// them.
    ///
    /// # Errors
    /// As [`Self::column_stats`].
    pub fn block_stats(&self, name: &str) -> Result<Option<&[BlockStats]>, StoreError> {
        Ok(self.column_stats(name)?.map(ColumnStats::blocks))
    }

    /// Identifies the contents of a tag's column on disk: the same text, the same values. `None` in
    /// memory.
    pub fn tag_version(&self, name: &str) -> Option<&str> {
        let part = self.tags.get(self.schema.tag_named(name)?.index())?;
        Some(&part.entry.as_ref()?.data.checksum)
    }

    /// Makes everything ready that others make ready when they need it.
    ///
    /// # Errors
    /// The first file that is damaged.
    pub fn load(&self) -> Result<(), StoreError> {
        for tag in &self.tags {
            tag.column.get()?;
            tag.stats.get()?;
        }
        self.events
            .iter()
            .try_for_each(|event| event.table.get().map(drop))
    }

    /// Whether the files that were read up to now are still whole: asked before a result is given,
    /// as a mapped file that another program cuts off may read as zeros at its end. (One that loses
    /// whole pages ends the process: [`super::mapped`].)
    ///
    /// # Errors
    /// The first file that is not.
    pub fn intact(&self) -> Result<(), StoreError> {
        self.files_read().try_for_each(|file| file.intact())
    }

    /// Whether the files that were read up to now hold, to the last byte, what was imported: asked
    /// before anything is sent that was decided by them. Each file is read in full once, on all
    /// cores.
    ///
    /// # Errors
    /// A file that is damaged.
    pub fn sound(&self) -> Result<(), StoreError> {
        self.intact()?;
        self.files_read()
            .collect::<Vec<_>>()
            .into_par_iter()
            .try_for_each(|file| file.sound())
    }

    fn files_read(&self) -> impl Iterator<Item = &StoreFile> {
        let columns = self
            .tags
            .iter()
            .filter(|t| t.column.is_ready())
            .filter_map(|t| t.file.as_ref());
        let events = self
            .events
            .iter()
            .flat_map(|e| &e.segments)
            .filter(|s| s.batches.is_ready())
            .map(|s| &s.file);
        self.users
            .segments
            .iter()
            .flat_map(|s| &s.files)
            .chain(columns)
            .chain(events)
            .map(|file| &**file)
    }

    /// The position of the last live change that it holds; 0 when there never was one.
    pub fn live_position(&self) -> u64 {
        self.position
    }

    /// Changes whenever users, schema or values do; the same content gives the same digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

impl TagPart {
    /// A column in memory.
    pub fn of(column: Column) -> Self {
        let column = Arc::new(Lazy::ready(column));
        let counted = column.clone();
        TagPart {
            entry: None,
            file: None,
            column,
            stats: Arc::new(Lazy::new(move || {
                Ok(Some(ColumnStats::of(&counted.get()?.data)))
            })),
        }
    }
}

impl EventPart {
    /// How many of the table's segments are those of the files; they come first.
    pub fn segments_of_files(&self) -> Result<usize, StoreError> {
        self.segments
            .iter()
            .map(|part| Ok(part.batches.get()?.len()))
            .sum()
    }

    /// Events in memory.
    pub fn of(table: EventTable) -> Self {
        EventPart {
            table: Arc::new(Lazy::ready(table)),
            segments: Vec::new(),
        }
    }
}

/// Makes a snapshot in memory, for tests and `test` blocks.
#[derive(Debug)]
pub struct SnapshotBuilder {
    users: NewUsers,
    schema: Schema,
    tags: Vec<Column>,
    events: Vec<EventTable>,
}

impl Default for SnapshotBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl SnapshotBuilder {
    pub fn new() -> Self {
        SnapshotBuilder {
            users: NewUsers::after(0),
            schema: Schema::default(),
            tags: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The number of a user, a new one at first sight.
    pub fn user(&mut self, id: &str) -> UserNo {
        self.users
            .get_or_add(id)
            .unwrap_or(UserNo(users::MAX_USERS))
    }

    /// A tag's values, one a user number; users past the end have none. Replaces a tag of the same
    /// name.
    pub fn tag(&mut self, schema: TagSchema, values: Vec<Option<Value>>) -> &mut Self {
        self.tag_written(
            schema,
            values.into_iter().map(|v| v.map(|v| (v, None))).collect(),
        )
    }

    /// Like [`Self::tag`], each value with the instant it was written (kept where the tag declares
    /// `fresh`).
    pub fn tag_written(
        &mut self,
        schema: TagSchema,
        values: Vec<Option<(Value, Option<Instant>)>>,
    ) -> &mut Self {
        let mut data = ColumnBuilder::new(&schema.ty);
        values
            .iter()
            .for_each(|v| data.push(v.as_ref().map(|(v, _)| v)));
        let written = schema.fresh.map(|_| {
            values
                .iter()
                .map(|v| v.as_ref().and_then(|(_, at)| at.map(|at| at.0)))
                .collect::<Int64Array>()
        });
        let column = Column::new(schema.ty.clone(), data.finish(), written);
        match self.schema.tag_named(&schema.name).map(|id| id.index()) {
            Some(i) => {
                self.schema.tags[i] = schema;
                self.tags[i] = column;
            }
            None => {
                self.schema.tags.push(schema);
                self.tags.push(column);
            }
        }
        self
    }

    /// Events of one kind, in any order; more of them when called again with the same name.
    pub fn event(
        &mut self,
        schema: EventSchema,
        mut rows: Vec<(UserNo, Instant, Vec<Option<Value>>)>,
    ) -> &mut Self {
        rows.sort_by_key(|(user, at, _)| (*user, *at));
        let mut columns: Vec<_> = schema
            .fields
            .iter()
            .map(|f| ColumnBuilder::new(&f.ty))
            .collect();
        let (mut users, mut lengths): (Vec<u32>, Vec<usize>) = (Vec::new(), Vec::new());
        for (user, _, values) in &rows {
            match lengths.last_mut() {
                Some(n) if users.last() == Some(&user.0) => *n += 1,
                _ => {
                    users.push(user.0);
                    lengths.push(1);
                }
            }
            columns
                .iter_mut()
                .enumerate()
                .for_each(|(i, c)| c.push(values.get(i).and_then(Option::as_ref)));
        }
        let at = rows
            .iter()
            .map(|(_, at, _)| Some(at.0))
            .collect::<Int64Array>();
        let columns = columns.into_iter().map(ColumnBuilder::finish).collect();
        let segment = Arc::new(EventSegment::new(
            users.into(),
            OffsetBuffer::from_lengths(lengths),
            at,
            columns,
        ));
        match self.schema.event_named(&schema.name).map(|id| id.index()) {
            Some(i) => self.events[i].segments.push(segment),
            None => {
                self.schema.events.push(schema.clone());
                self.events.push(EventTable {
                    schema,
                    segments: vec![segment],
                });
            }
        }
        self
    }

    pub fn build(self) -> Snapshot {
        let segments: Vec<Arc<IdSegment>> = if self.users.len() == 0 {
            Vec::new()
        } else {
            vec![Arc::new(self.users.finish())]
        };
        let users = Users { segments };
        let digest = digest::of_memory(&users, &self.schema, &self.tags, &self.events);
        let tags = self.tags.into_iter().map(TagPart::of).collect();
        let events = self.events.into_iter().map(EventPart::of).collect();
        Snapshot {
            users,
            schema: self.schema,
            tags,
            events,
            digest,
            user_files: Vec::new(),
            position: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Elapsed, EnumType, FieldSchema, Type};

    fn tag(name: &str, ty: Type) -> TagSchema {
        TagSchema::new(name, ty)
    }

    #[test]
    fn values_come_back() {
        let members = EnumType {
            members: ["beauty", "food"].map(String::from).to_vec(),
        };
        let interests = Type::Set(Box::new(Type::Enum(Arc::new(members))));
        let both = Value::Set([Value::Enum(0), Value::Enum(1)].into());
        let mut b = SnapshotBuilder::new();
        let (u1, u2) = (b.user("u1"), b.user("u2"));
        b.tag(tag("interests", interests), vec![Some(both.clone())]);
        let fresh = TagSchema {
            fresh: Some(Elapsed::hours(1)),
            ..tag("risk", Type::Ratio)
        };
        b.tag_written(
            fresh,
            vec![None, Some((Value::Ratio(0.3), Some(Instant(7))))],
        );
        let purchase = EventSchema {
            name: "purchase".into(),
            fields: vec![FieldSchema {
                name: "amount".into(),
                ty: Type::Money,
                optional: false,
            }],
        };
        b.event(
            purchase.clone(),
            vec![
                (u2, Instant(5), vec![Some(Value::Money(3))]),
                (u2, Instant(1), vec![None]),
            ],
        );
        b.event(
            purchase,
            vec![
                (u2, Instant(3), vec![Some(Value::Money(9))]),
                (u1, Instant(9), vec![]),
            ],
        );
        let s = b.build();
        assert_eq!(
            (s.user_count(), s.user_no("u2"), s.user_id(u1)),
            (2, Some(u2), Some("u1"))
        );
        let interests = s.tag("interests").unwrap().unwrap();
        assert_eq!((interests.value(0), interests.value(1)), (Some(both), None));
        let risk = s.tag("risk").unwrap().unwrap();
        assert_eq!(
            (risk.value(0), risk.value(1), risk.written_at(1)),
            (None, Some(Value::Ratio(0.3)), Some(Instant(7)))
        );
        let events = s.event("purchase").unwrap().unwrap();
        let amounts: Vec<_> = events
            .rows_of(u2)
            .map(|r| (events.at(r).0, events.value(r, 0)))
            .collect();
        assert_eq!(
            amounts,
            [
                (1, None),
                (3, Some(Value::Money(9))),
                (5, Some(Value::Money(3)))
            ]
        );
        assert_eq!(events.users_with_events().collect::<Vec<_>>(), [u1, u2]);
        assert_eq!(events.len(), 4);
        assert_eq!(s.digest(), s.clone().digest());
        assert_ne!(s.digest(), Snapshot::empty().digest());
    }
}
