//! A store on disk: a folder of immutable files and one manifest that names those in force.
//!
//! ```text
//! manifest.json                    replaced atomically; replacing it is the commit
//! users/<n>.ids.arrow              number -> user id, a range of numbers a file, append-only: a user's number never moves
//! users/<n>.index.arrow            id -> number, a hash table
//! tags/<tag>.<n>.arrow             one column a file
//! events/<event>/<n>.arrow         events clustered by user, merged by size
//! lock                             held by the one writer
//! ledger.db                        of the floors above
//! ```
//!
//! Readers take no lock. A crash leaves files that no manifest names; the next writer removes them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::{StoreError, words};
use super::manifest::{self, EventEntry, Manifest, TagEntry, UsersEntry};
use super::snapshot::Snapshot;
use super::users::Users;
use super::writer::Writer;
use super::{EventTable, batches, file};
use crate::base::world::World;

pub(super) const LOCK: &str = "lock";
/// How often a reader starts again when a writer removed a file under its hands.
const READ_TRIES: usize = 5;

/// A store in a folder.
#[derive(Clone)]
pub struct Store {
    dir: PathBuf,
    world: Arc<dyn World>,
}

impl Store {
    /// Opens the store in `dir`.
    ///
    /// # Errors
    /// When there is none, it is of another version, or its manifest is damaged.
    pub fn open(dir: impl Into<PathBuf>, world: Arc<dyn World>) -> Result<Self, StoreError> {
        let store = Store { dir: dir.into(), world };
        store.manifest()?;
        Ok(store)
    }

    /// Whether there is a store in `dir`, good or damaged.
    pub fn exists(dir: &Path) -> bool {
        dir.join(manifest::FILE).exists()
    }

    /// Where the ledger of the store in `dir` belongs, whether or not there is one.
    pub fn ledger_path_in(dir: &Path) -> PathBuf {
        dir.join("ledger.db")
    }

    /// Opens the store in `dir`, or makes an empty one if the folder is empty or not there.
    ///
    /// # Errors
    /// As [`Store::open`], and when the folder holds other files or cannot be written.
    pub fn create_or_open(dir: impl Into<PathBuf>, world: Arc<dyn World>) -> Result<Self, StoreError> {
        let store = Store { dir: dir.into(), world };
        match store.manifest() {
            Err(StoreError::NoStore(_)) => {
                if store.holds_other_files()? {
                    return Err(StoreError::NotAStore(store.dir));
                }
                fs::create_dir_all(&store.dir).map_err(|e| StoreError::write(&store.dir, e))?;
                drop(Writer::create(&store.dir, store.world.clone())?);
                Ok(store)
            }
            Err(e) => Err(e),
            Ok(_) => Ok(store),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the ledger of runs and messages belongs.
    pub fn ledger_path(&self) -> PathBuf {
        Self::ledger_path_in(&self.dir)
    }

    pub fn world(&self) -> &Arc<dyn World> {
        &self.world
    }

    /// What is in force now.
    ///
    /// # Errors
    /// When a file is missing, damaged or of another version.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        let mut last = self.manifest()?;
        for _ in 1..READ_TRIES {
            match open_snapshot(&self.dir, &last) {
                Err(StoreError::Io { file, error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                    let now = self.manifest()?;
                    if now == last {
                        return Err(missing(file));
                    }
                    last = now;
                }
                result => return result.map(Arc::new),
            }
        }
        open_snapshot(&self.dir, &last).map(Arc::new)
    }

    /// The one who may change the store; there is at most one at a time, over all processes.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when there is another.
    pub fn writer(&self) -> Result<Writer, StoreError> {
        Writer::open(&self.dir, self.world.clone())
    }

    /// Reads every file in full and compares it with the manifest.
    ///
    /// # Errors
    /// The first file that is missing or damaged.
    pub fn verify(&self) -> Result<(), StoreError> {
        self.snapshot()?;
        self.manifest()?.files().try_for_each(|entry| file::verify(&self.dir, entry))
    }

    /// What was imported, oldest first.
    ///
    /// # Errors
    /// When the manifest cannot be read.
    pub fn imports(&self) -> Result<Vec<manifest::ImportEntry>, StoreError> {
        Ok(self.manifest()?.imports)
    }

    fn manifest(&self) -> Result<Manifest, StoreError> {
        read_manifest(&self.dir)
    }

    /// Whether the folder has files that no store has.
    fn holds_other_files(&self) -> Result<bool, StoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(StoreError::read(&self.dir, e)),
        };
        for entry in entries {
            let name = entry.map_err(|e| StoreError::read(&self.dir, e))?.file_name();
            let ours = [LOCK, super::writer::NEW_MANIFEST].iter().any(|n| name == *n);
            if !ours {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn missing(file: PathBuf) -> StoreError {
    StoreError::Damaged { file, what: words!("the manifest names it but it is not there", "清单中有它，但文件不存在") }
}

pub(super) fn read_manifest(dir: &Path) -> Result<Manifest, StoreError> {
    let path = dir.join(manifest::FILE);
    match fs::read(&path) {
        Ok(bytes) => Manifest::parse(&path, &bytes),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(if dir.is_file() { StoreError::NotAStore(dir.into()) } else { StoreError::NoStore(dir.into()) })
        }
        Err(e) => Err(StoreError::read(&path, e)),
    }
}

/// Opens everything that a manifest names.
pub(super) fn open_snapshot(dir: &Path, manifest: &Manifest) -> Result<Snapshot, StoreError> {
    let schema = manifest.schema();
    let tags =
        manifest.tags.iter().zip(&schema.tags).map(|(entry, tag)| open_tag(dir, entry, tag.fresh.is_some())).collect::<Result<_, _>>()?;
    let events = manifest.events.iter().map(|entry| open_events(dir, entry)).collect::<Result<_, _>>()?;
    Ok(Snapshot { users: open_users(dir, &manifest.users)?, schema, tags, events, digest: manifest.digest() })
}

fn other_form(dir: &Path, file: &str) -> StoreError {
    StoreError::Damaged { file: dir.join(file), what: words!("it is not of the form that the manifest says", "形式与清单不符") }
}

pub(super) fn open_users(dir: &Path, entries: &[UsersEntry]) -> Result<Users, StoreError> {
    let open = |entry: &UsersEntry| {
        let (ids, index) = (file::open(dir, &entry.ids)?, file::open(dir, &entry.index)?);
        match (&ids[..], &index[..]) {
            ([ids], [index]) if ids.num_rows() == entry.rows as usize => batches::to_ids(entry.first, ids, index),
            _ => None,
        }
        .ok_or_else(|| other_form(dir, &entry.ids.file))
    };
    Ok(Users { segments: entries.iter().map(open).collect::<Result<_, _>>()? })
}

fn open_tag(dir: &Path, entry: &TagEntry, fresh: bool) -> Result<super::Column, StoreError> {
    let batches = file::open(dir, &entry.data)?;
    match &batches[..] {
        [batch] if batch.num_rows() as u64 == entry.rows => batches::to_column(batch, &entry.schema.ty.to_type(), fresh),
        _ => None,
    }
    .ok_or_else(|| other_form(dir, &entry.data.file))
}

fn open_events(dir: &Path, entry: &EventEntry) -> Result<EventTable, StoreError> {
    let schema = entry.schema.to_event();
    let mut segments = Vec::new();
    for segment in &entry.segments {
        let parts: Option<Vec<_>> = file::open(dir, &segment.data)?.iter().map(|b| batches::to_segment(b, &schema).map(Arc::new)).collect();
        let parts = parts.filter(|p| p.iter().map(|s| s.len() as u64).sum::<u64>() == segment.rows);
        segments.extend(parts.ok_or_else(|| other_form(dir, &segment.data.file))?);
    }
    Ok(EventTable { schema, segments })
}
