//! Changing a store: new files are written and made durable one by one, then the manifest that
//! names them replaces the old one. Until that moment nothing has changed; a writer that is dropped
//! before it takes its files along.

use crate::msg;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::blocks::{self, ColumnStats};
use super::column::{Column, ColumnData};
use super::disk::{LOCK, open_snapshot, open_users, read_manifest};
use super::durable::{Waiting, sync_folder};
use super::error::StoreError;
use super::event_table::EventSegment;
use super::file::{self, NewFile};
use super::manifest::{
    self, EventEntry, FileEntry, ImportEntry, Manifest, SegmentEntry, TagEntry, UsersEntry,
};
use super::merge;
use super::schema_file::{EventSchemaFile, TagSchemaFile};
use super::snapshot::Snapshot;
use super::users::{IdSegment, NewUsers};
use super::{Users, adapt, batches, live};
use crate::base::world::World;
use crate::base::{EventSchema, Schema, TagSchema};

pub(super) const NEW_MANIFEST: &str = "manifest.json.new";
/// Where an import keeps rows that it has read but not yet placed.
pub(super) const SPILL: &str = "import";
/// Folders whose `.arrow` files belong to the store.
const FOLDERS: [&str; 4] = ["users", "tags", "events", SPILL];
/// The longest part of a name that a file name repeats; what tells files apart is their number.
const MAX_STEM_CHARS: usize = 40;
/// Imports that the manifest remembers.
const MAX_IMPORTS: usize = 1000;

/// The right to change a store, and the change that is being made.
pub struct StoreWriter {
    dir: PathBuf,
    world: Arc<dyn World>,
    /// Held until the writer is dropped.
    _lock: File,
    /// What is in force.
    manifest: Manifest,
    /// What will be in force after the commit.
    next: Manifest,
    /// Files written since the last commit.
    written: Vec<PathBuf>,
    /// Those of them that are not durable yet.
    waiting: Waiting,
}

impl StoreWriter {
    pub(super) fn open(dir: &Path, world: Arc<dyn World>, tries: u32) -> Result<Self, StoreError> {
        let lock = lock(dir, LOCK, tries)?;
        let manifest = read_manifest(dir)?;
        let writer = StoreWriter {
            dir: dir.into(),
            world,
            _lock: lock,
            next: manifest.clone(),
            manifest,
            written: Vec::new(),
            waiting: Waiting::default(),
        };
        writer.remove_orphans()?;
        Ok(writer)
    }

    /// Makes an empty store where there is none.
    pub(super) fn create(dir: &Path, world: Arc<dyn World>) -> Result<Self, StoreError> {
        let lock = lock(dir, LOCK, LOCK_TRIES)?;
        let manifest = match read_manifest(dir) {
            Err(StoreError::NoStore(_)) => Manifest::new(),
            other => other?, // Another process was faster.
        };
        let mut writer = StoreWriter {
            dir: dir.into(),
            world,
            _lock: lock,
            next: manifest.clone(),
            manifest,
            written: Vec::new(),
            waiting: Waiting::default(),
        };
        writer.commit()?;
        Ok(writer)
    }

    /// What will be in force after the commit.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn snapshot(&self) -> Result<Snapshot, StoreError> {
        open_snapshot(&self.dir, &self.next, None)
    }

    /// Users, tags and events after the commit.
    pub fn schema(&self) -> Schema {
        self.next.schema()
    }

    pub fn world(&self) -> &Arc<dyn World> {
        &self.world
    }

    pub(super) fn user_count(&self) -> usize {
        self.next.user_count()
    }

    /// What was imported, oldest first, this writer's imports included.
    pub fn imports(&self) -> &[ImportEntry] {
        &self.next.imports
    }

    pub(super) fn remember_import(&mut self, entry: ImportEntry) {
        let too_many = (self.next.imports.len() + 1).saturating_sub(MAX_IMPORTS);
        self.next.imports.drain(..too_many);
        self.next.imports.push(entry);
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn live_position(&self) -> u64 {
        self.next.live
    }

    pub(super) fn set_live_position(&mut self, position: u64) {
        self.next.live = position;
    }

    /// Adds users after those that are there.
    pub(super) fn add_users(&mut self, new: NewUsers) -> Result<(), StoreError> {
        if new.len() == 0 {
            return Ok(());
        }
        let entry = self.put_ids(&new.finish())?;
        self.next.users.push(entry);
        let rows: Vec<u64> = self.next.users.iter().map(|u| u.rows.into()).collect();
        let count = merge::how_many_to_merge(&rows);
        if count > 0 {
            let old = self.next.users.split_off(self.next.users.len() - count);
            let users: Users = open_users(&self.dir, &old, None)?;
            let mut merged = NewUsers::after(self.next.user_count());
            for (row, entry) in users
                .segments
                .iter()
                .zip(&old)
                .flat_map(|(s, entry)| (0..s.ids.len()).map(move |row| (s.ids.get(row), entry)))
            {
                let id = row.ok_or_else(|| damaged_id(&self.dir, entry))?;
                merged.get_or_add(id).ok_or(StoreError::TooManyUsers)?;
            }
            let entry = self.put_ids(&merged.finish())?;
            self.next.users.push(entry);
        }
        Ok(())
    }

    fn put_ids(&mut self, segment: &IdSegment) -> Result<UsersEntry, StoreError> {
        let number = self.take_number();
        let ids = self.put(
            "users",
            &format!("{number}.ids.arrow"),
            &[batches::of_ids(segment)],
        )?;
        let index = self.put(
            "users",
            &format!("{number}.index.arrow"),
            &[batches::of_slots(segment)],
        )?;
        let rows = segment.ids.len() as u32;
        Ok(UsersEntry {
            first: segment.first,
            rows,
            ids,
            index,
        })
    }

    /// Puts a tag's column in the place of what it had.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn put_tag(
        &mut self,
        tag: &TagSchema,
        sensitive_by: Option<&str>,
        column: &Column,
    ) -> Result<(), StoreError> {
        let mut schema = TagSchemaFile::of(tag, &Schema::default());
        schema.sensitive_by = sensitive_by.map(String::from);
        let entry = self.tag_entry(schema, column)?;
        match self
            .next
            .tags
            .iter_mut()
            .find(|t| t.schema.name == tag.name)
        {
            Some(old) => *old = entry,
            None => self.next.tags.push(entry),
        }
        Ok(())
    }

    /// Puts other values in the place of those of a tag that is there, and leaves its declaration
    /// as it is.
    pub(super) fn put_column(&mut self, tag: &str, column: &Column) -> Result<(), StoreError> {
        let Some(schema) = self
            .next
            .tags
            .iter()
            .find(|t| t.schema.name == tag)
            .map(|t| t.schema.clone())
        else {
            return Ok(());
        };
        let entry = self.tag_entry(schema, column)?;
        if let Some(old) = self.next.tags.iter_mut().find(|t| t.schema.name == tag) {
            *old = entry;
        }
        Ok(())
    }

    fn tag_entry(
        &mut self,
        schema: TagSchemaFile,
        column: &Column,
    ) -> Result<TagEntry, StoreError> {
        let name = format!("{}.{}", stem(&schema.name), self.take_number());
        let column = &*column.whole();
        let data = self.put(
            "tags",
            &format!("{name}.arrow"),
            &[batches::of_column(&schema.name, column)],
        )?;
        let stats = blocks::of_stats(
            &ColumnStats::of(&column.data),
            &ColumnData::data_type_of(&column.ty),
        );
        let stats = Some(self.put("tags", &format!("{name}.stats.arrow"), &[stats])?);
        Ok(TagEntry {
            schema,
            rows: column.len() as u64,
            data,
            stats,
        })
    }

    /// Adds events that are sorted by user and time, as one file of several batches. With a
    /// `source`, they replace what that source gave before.
    ///
    /// # Errors
    /// Those of the file system.
    pub(super) fn put_events(
        &mut self,
        event: &EventSchema,
        source: Option<&str>,
        runs: &[Vec<Arc<EventSegment>>],
    ) -> Result<(), StoreError> {
        let schema = EventSchemaFile::of(event);
        let at = match self
            .next
            .events
            .iter()
            .position(|e| e.schema.name == event.name)
        {
            Some(i) => {
                self.adapt_events(event, i)?;
                i
            }
            None => {
                self.next.events.push(EventEntry {
                    schema,
                    segments: Vec::new(),
                });
                self.next.events.len() - 1
            }
        };
        let rows: u64 = runs.iter().flatten().map(|s| s.len() as u64).sum();
        let data = if rows > 0 {
            Some(self.put_segment(event, runs)?)
        } else {
            None
        };
        if let Some(entry) = self.next.events.get_mut(at) {
            if source.is_some() {
                entry.segments.retain(|s| s.source.as_deref() != source);
            }
            entry.segments.extend(data.map(|data| SegmentEntry {
                rows,
                source: source.map(String::from),
                data,
            }));
        }
        self.merge_events(event, at)
    }

    /// Writes the stored segments of an event anew where its declaration has changed.
    fn adapt_events(&mut self, event: &EventSchema, at: usize) -> Result<(), StoreError> {
        let Some(mut entry) = self.next.events.get(at).cloned() else {
            return Ok(());
        };
        let stored = entry.schema.to_event();
        if !adapt::same_fields(&stored, event) {
            for segment in &mut entry.segments {
                let parts = file::open(&self.dir, &segment.data)?;
                let parts = parts.iter().filter_map(|b| batches::to_segment(b, &stored));
                let run = parts
                    .map(|s| adapt::segment_as(&s, &stored, event).map(Arc::new))
                    .collect::<Result<_, _>>()?;
                segment.data = self.put_segment(event, &[run])?;
            }
        }
        entry.schema = EventSchemaFile::of(event);
        self.next.events[at] = entry;
        Ok(())
    }

    /// Merges the newest appended segments of an event until sizes are far enough apart.
    fn merge_events(&mut self, event: &EventSchema, at: usize) -> Result<(), StoreError> {
        let Some(entry) = self.next.events.get(at) else {
            return Ok(());
        };
        let appended: Vec<usize> = (0..entry.segments.len())
            .filter(|i| entry.segments[*i].source.is_none())
            .collect();
        let rows: Vec<u64> = appended.iter().map(|i| entry.segments[*i].rows).collect();
        let count = merge::how_many_to_merge(&rows);
        if count == 0 {
            return Ok(());
        }
        let merged: BTreeSet<usize> = appended[appended.len() - count..].iter().copied().collect();
        let mut runs = Vec::new();
        for i in &merged {
            let batches = file::open(&self.dir, &entry.segments[*i].data)?;
            runs.push(
                batches
                    .iter()
                    .filter_map(|b| batches::to_segment(b, event).map(Arc::new))
                    .collect(),
            );
        }
        let rows = merged.iter().map(|i| entry.segments[*i].rows).sum();
        let data = self.put_segment(event, &runs)?;
        if let Some(entry) = self.next.events.get_mut(at) {
            let mut position = 0..;
            entry
                .segments
                .retain(|_| position.next().is_none_or(|i| !merged.contains(&i)));
            entry.segments.push(SegmentEntry {
                rows,
                source: None,
                data,
            });
        }
        Ok(())
    }

    fn put_segment(
        &mut self,
        event: &EventSchema,
        runs: &[Vec<Arc<EventSegment>>],
    ) -> Result<FileEntry, StoreError> {
        let folder = format!("events/{}", stem(&event.name));
        let name = format!("{}.arrow", self.take_number());
        let schema = batches::segment_schema(event);
        let (name, path) = self.new_file(&folder, &name)?;
        let mut out = NewFile::create(&path, &schema)?;
        merge::merge(event, runs, merge::BATCH_ROWS, |segment| {
            let batch = batches::of_segment(event, &segment)
                .map_err(|e| StoreError::write(&path, io::Error::other(e)))?;
            out.write(&path, &batch)
        })?;
        self.end(out, &name, &path)
    }

    /// Ends a new file; it is made durable with others.
    fn end(&mut self, file: NewFile, name: &str, path: &Path) -> Result<FileEntry, StoreError> {
        let (entry, file) = file.finish(path, name)?;
        self.waiting.add(&*self.world, name, path, file)?;
        Ok(entry)
    }

    /// The number of the next file.
    fn take_number(&mut self) -> u64 {
        let number = self.next.next_file;
        self.next.next_file += 1;
        number
    }

    fn about_to(&self, what: &str) -> Result<(), StoreError> {
        self.world
            .about_to_write(what)
            .map_err(|e| StoreError::write(&self.dir.join(what), e))
    }

    /// Names a file that is about to be made: relative to the store, and its path.
    fn new_file(&mut self, folder: &str, name: &str) -> Result<(String, PathBuf), StoreError> {
        let name = format!("{folder}/{name}");
        self.about_to(&name)?;
        let folder = self.dir.join(folder);
        fs::create_dir_all(&folder).map_err(|e| StoreError::write(&folder, e))?;
        let path = self.dir.join(&name);
        self.written.push(path.clone());
        Ok((name, path))
    }

    fn put(
        &mut self,
        folder: &str,
        name: &str,
        batches: &[Result<arrow_array::RecordBatch, arrow_schema::ArrowError>],
    ) -> Result<FileEntry, StoreError> {
        let (name, path) = self.new_file(folder, name)?;
        let mut out: Option<NewFile> = None;
        for batch in batches {
            let batch = batch
                .as_ref()
                .map_err(|e| StoreError::write(&path, io::Error::other(e.to_string())))?;
            let file = match &mut out {
                Some(file) => file,
                None => out.insert(NewFile::create(&path, &batch.schema())?),
            };
            file.write(&path, batch)?;
        }
        let out =
            out.ok_or_else(|| StoreError::write(&path, io::ErrorKind::InvalidInput.into()))?;
        self.end(out, &name, &path)
    }

    /// A file for rows that are read but not yet placed; gone after the commit.
    pub(super) fn spill(
        &mut self,
        schema: &arrow_schema::SchemaRef,
    ) -> Result<(PathBuf, NewFile), StoreError> {
        let name = format!("{}.arrow", self.take_number());
        let (_, path) = self.new_file(SPILL, &name)?;
        let file = NewFile::create(&path, schema)?;
        Ok((path, file))
    }

    /// Makes the change: all of it or, on an error, nothing.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.waiting.make_durable(&*self.world)?;
        let folders: BTreeSet<&Path> = self.written.iter().filter_map(|p| p.parent()).collect();
        for folder in folders {
            for folder in folder.ancestors().take_while(|f| f.starts_with(&self.dir)) {
                sync_folder(folder)?;
            }
        }
        self.next.follow(&self.manifest, self.world.now());
        let (new, path) = (self.dir.join(NEW_MANIFEST), self.dir.join(manifest::FILE));
        self.about_to(NEW_MANIFEST)?;
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(&self.next.to_json())?;
            file.sync_all()
        };
        write().map_err(|e| StoreError::write(&new, e))?;
        self.about_to(manifest::FILE)?;
        fs::rename(&new, &path).map_err(|e| StoreError::write(&path, e))?;
        self.written.clear();
        self.manifest = self.next.clone();
        self.about_to("store folder")?;
        sync_folder(&self.dir)?;
        // The change is made; what stays is removed by the next writer.
        let _ = self.remove_orphans();
        let _ = live::collect(&self.dir, self.manifest.live);
        Ok(())
    }

    /// Removes files that the manifest does not name: left over by a crash, or replaced long enough
    /// ago. Who has them open keeps them.
    fn remove_orphans(&self) -> Result<(), StoreError> {
        let named: BTreeSet<PathBuf> = self
            .manifest
            .names()
            .into_iter()
            .map(|f| self.dir.join(f))
            .collect();
        for folder in FOLDERS {
            remove_unnamed(&self.dir.join(folder), &named)?;
        }
        Ok(())
    }
}

impl Drop for StoreWriter {
    fn drop(&mut self) {
        for path in &self.written {
            let _ = fs::remove_file(path); // What stays is removed by the next writer.
        }
    }
}

fn damaged_id(dir: &Path, entry: &UsersEntry) -> StoreError {
    StoreError::Damaged {
        file: dir.join(&entry.ids.file),
        what: msg!("an id in it is not text", "其中有的编号不是文本"),
    }
}

/// How often a lock is tried: one who lets go of it while another program is being started has done
/// so a moment later.
pub(super) const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Takes the lock `name` of the store in `dir`; it is held as long as the file is open.
pub(super) fn lock(dir: &Path, name: &str, tries: u32) -> Result<File, StoreError> {
    let path = dir.join(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|e| {
            if e.kind() == io::ErrorKind::NotFound {
                StoreError::NoStore(dir.into())
            } else {
                StoreError::write(&path, e)
            }
        })?;
    let mut more = 1..tries;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if more.next().is_some() => {
                std::thread::sleep(LOCK_PAUSE)
            }
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy(path)),
            Err(TryLockError::Error(e)) => return Err(StoreError::write(&path, e)),
        }
    }
}

fn remove_unnamed(folder: &Path, named: &BTreeSet<PathBuf>) -> Result<(), StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(StoreError::read(folder, e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| StoreError::read(folder, e))?.path();
        if path.is_dir() {
            remove_unnamed(&path, named)?;
        } else if path.extension().is_some_and(|e| e == "arrow") && !named.contains(&path) {
            fs::remove_file(&path).map_err(|e| StoreError::write(&path, e))?;
        }
    }
    Ok(())
}

/// A name as part of a file name: letters and digits of any script, `_` and `-`; others become `_`.
fn stem(name: &str) -> String {
    name.chars()
        .take(MAX_STEM_CHARS)
        .map(|c| {
            if c.is_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}
