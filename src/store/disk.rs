//! A store on disk: a folder of immutable files and one manifest that names those in force.
//!
//! ```text
//! manifest.json                    replaced atomically; replacing it is the commit
//! users/<n>.ids.arrow              number -> user id, a range of numbers a file, append-only: a user's number never moves
//! users/<n>.index.arrow            id -> number, a hash table
//! tags/<tag>.<n>.arrow             one column a file
//! events/<event>/<n>.arrow         events clustered by user, merged by size
//! live/<n>.db                      acknowledged changes that are not in the columns yet: [`super::live`]
//! lock                             held by the one writer
//! live.lock                        held by the one who appends live changes
//! ledger.db                        of the floors above
//! ```
//!
//! Readers take no lock. A crash leaves files that no manifest names; the next writer removes them.

use crate::msg;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::column::ColumnData;
use super::error::StoreError;
use super::file::StoreFile;
use super::lazy::Lazy;
use super::live::{Log, overlay};
use super::manifest::{self, EventEntry, Manifest, SegmentEntry, TagEntry, UsersEntry};
use super::snapshot::{EventPart, SegmentPart, Snapshot, TagPart};
use super::users::{IdSegment, IdTexts, Users};
use super::writer::{LOCK_TRIES, StoreWriter};
use super::{EventSegment, EventTable, batches, blocks, file};
use crate::base::world::World;
use crate::base::{EventSchema, TagSchema};

pub(super) const LOCK: &str = "lock";
/// How often a reader starts again when a writer removed a file under its hands.
const READ_TRIES: usize = 5;
/// The same for live changes, which are many and small.
const LIVE_TRIES: usize = 100;

/// A store in a folder.
#[derive(Clone)]
pub struct Store {
    dir: PathBuf,
    world: Arc<dyn World>,
    /// The last snapshot and the manifest that it was made from, so that the next one opens only
    /// what is new.
    last: Kept,
    /// The same with the live changes laid over it.
    live: Kept,
}

type Kept = Arc<Mutex<Option<(Manifest, Arc<Snapshot>)>>>;

impl Store {
    /// Opens the store in `dir`.
    ///
    /// # Errors
    /// When there is none, it is of another version, or its manifest is damaged.
    pub fn open(dir: impl Into<PathBuf>, world: Arc<dyn World>) -> Result<Self, StoreError> {
        let store = Store {
            dir: dir.into(),
            world,
            last: Arc::default(),
            live: Arc::default(),
        };
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
    pub fn create_or_open(
        dir: impl Into<PathBuf>,
        world: Arc<dyn World>,
    ) -> Result<Self, StoreError> {
        let store = Store {
            dir: dir.into(),
            world,
            last: Arc::default(),
            live: Arc::default(),
        };
        match store.manifest() {
            Err(StoreError::NoStore(_)) => {
                if store.holds_other_files()? {
                    return Err(StoreError::NotAStore(store.dir));
                }
                fs::create_dir_all(&store.dir).map_err(|e| StoreError::write(&store.dir, e))?;
                drop(StoreWriter::create(&store.dir, store.world.clone())?);
                Ok(store)
            }
            Err(e) => Err(e),
            Ok(_) => Ok(store),
        }
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    pub fn world(&self) -> &Arc<dyn World> {
        &self.world
    }

    /// What is in force now, every live change that was acknowledged among it. Its files are open
    /// from here on: what a writer replaces later is still there for those who hold the snapshot.
    ///
    /// # Errors
    /// When a file is missing, damaged or of another version.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        for _ in 0..LIVE_TRIES {
            let (folded, base) = self.folded_snapshot()?;
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            // Changes are laid over the last snapshot where that stands on the same columns, so
            // that each is laid once.
            let from = match &*live {
                Some((manifest, snapshot)) if *manifest == folded => snapshot.clone(),
                _ => base,
            };
            let (rows, position) = Log::after(&self.dir, from.live_position())?;
            if self.manifest()? != folded {
                continue; // Changes were folded meanwhile, and their files may be gone; or users came in whom these columns do not know.
            }
            let snapshot = if rows.is_empty() {
                from
            } else {
                Arc::new(overlay(&from, &rows, position)?)
            };
            *live = Some((folded, snapshot.clone()));
            return Ok(snapshot);
        }
        Err(StoreError::Busy(self.dir.join(LOCK)))
    }

    /// What the manifest names, without the live changes after it.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    pub fn manifest_snapshot(&self) -> Result<Arc<Snapshot>, StoreError> {
        self.folded_snapshot().map(|(_, snapshot)| snapshot)
    }

    fn folded_snapshot(&self) -> Result<(Manifest, Arc<Snapshot>), StoreError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut manifest = self.manifest()?;
        for _ in 0..READ_TRIES {
            let before = match &*last {
                Some((known, snapshot)) if *known == manifest => {
                    return Ok((manifest, snapshot.clone()));
                }
                other => other.as_ref().map(|(_, snapshot)| &**snapshot),
            };
            match open_snapshot(&self.dir, &manifest, before) {
                Err(StoreError::Io { file, error, .. })
                    if error.kind() == io::ErrorKind::NotFound =>
                {
                    let now = self.manifest()?;
                    if now == manifest {
                        return Err(missing(file));
                    }
                    manifest = now; // A writer was faster.
                }
                result => {
                    let snapshot = Arc::new(result?);
                    *last = Some((manifest.clone(), snapshot.clone()));
                    return Ok((manifest, snapshot));
                }
            }
        }
        let snapshot = Arc::new(open_snapshot(&self.dir, &manifest, None)?);
        Ok((manifest, snapshot))
    }

    /// The one who may change the store; there is at most one at a time, over all processes.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when there is another.
    pub fn writer(&self) -> Result<StoreWriter, StoreError> {
        StoreWriter::open(&self.dir, self.world.clone(), LOCK_TRIES)
    }

    /// As [`Store::writer`], without a moment's wait.
    pub(super) fn writer_at_once(&self) -> Result<StoreWriter, StoreError> {
        StoreWriter::open(&self.dir, self.world.clone(), 1)
    }

    /// Reads every file in full and compares it with the manifest.
    ///
    /// # Errors
    /// The first file that is missing or damaged.
    pub fn verify(&self) -> Result<(), StoreError> {
        let manifest = self.manifest()?;
        open_snapshot(&self.dir, &manifest, None)?.load()?;
        manifest
            .files()
            .try_for_each(|entry| file::verify(&self.dir, entry))
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
            let name = entry
                .map_err(|e| StoreError::read(&self.dir, e))?
                .file_name();
            let ours = [LOCK, super::live::LOCK, super::writer::NEW_MANIFEST]
                .iter()
                .any(|n| name == *n);
            if !ours {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn missing(file: PathBuf) -> StoreError {
    StoreError::Damaged {
        file,
        what: msg!(
            "the manifest names it but it is not there",
            "清单中有它，但文件不存在"
        ),
    }
}

pub(super) fn read_manifest(dir: &Path) -> Result<Manifest, StoreError> {
    let path = dir.join(manifest::FILE);
    match fs::read(&path) {
        Ok(bytes) => Manifest::parse(&path, &bytes),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(if dir.is_file() {
                StoreError::NotAStore(dir.into())
            } else {
                StoreError::NoStore(dir.into())
            })
        }
        Err(e) => Err(StoreError::read(&path, e)),
    }
}

/// Opens everything that a manifest names; parts that `before` has open already are taken over.
pub(super) fn open_snapshot(
    dir: &Path,
    manifest: &Manifest,
    before: Option<&Snapshot>,
) -> Result<Snapshot, StoreError> {
    let schema = manifest.schema();
    let (users, user_files) = (
        open_users(dir, &manifest.users, before)?,
        manifest.users.clone(),
    );
    let tag =
        |(entry, tag): (&TagEntry, &TagSchema)| open_tag(dir, entry, tag.fresh.is_some(), before);
    let tags = manifest
        .tags
        .iter()
        .zip(&schema.tags)
        .map(tag)
        .collect::<Result<_, _>>()?;
    let events = manifest
        .events
        .iter()
        .map(|entry| open_events(dir, entry, before))
        .collect::<Result<_, _>>()?;
    Ok(Snapshot {
        users,
        schema,
        tags,
        events,
        digest: manifest.digest(),
        user_files,
        position: manifest.live,
    })
}

pub(super) fn open_users(
    dir: &Path,
    entries: &[UsersEntry],
    before: Option<&Snapshot>,
) -> Result<Users, StoreError> {
    let open = |entry: &UsersEntry| {
        let known = before.and_then(|b| {
            b.user_files
                .iter()
                .zip(&b.users.segments)
                .find(|(e, _)| *e == entry)
        });
        if let Some((_, segment)) = known {
            return Ok(segment.clone());
        }
        let (ids, index) = (
            Arc::new(StoreFile::open(dir, &entry.ids)?),
            Arc::new(StoreFile::open(dir, &entry.index)?),
        );
        let (rows, offsets, bytes) = ids.texts()?;
        let texts = IdTexts::new(rows, offsets, bytes).ok_or_else(|| ids.other_form())?;
        let segment = match &index.batches()?[..] {
            [batch] => batches::to_slots(batch).and_then(|slots| {
                IdSegment::new(
                    entry.first,
                    entry.rows,
                    texts,
                    slots,
                    vec![ids.clone(), index.clone()],
                )
            }),
            _ => None,
        };
        segment.map(Arc::new).ok_or_else(|| index.other_form())
    };
    Ok(Users {
        segments: entries.iter().map(open).collect::<Result<_, _>>()?,
    })
}

fn open_tag(
    dir: &Path,
    entry: &TagEntry,
    fresh: bool,
    before: Option<&Snapshot>,
) -> Result<TagPart, StoreError> {
    let known = before.and_then(|b| b.tags.iter().find(|t| t.entry.as_ref() == Some(entry)));
    if let Some(part) = known {
        return Ok(part.clone());
    }
    let (ty, rows) = (entry.schema.ty.to_type(), entry.rows);
    let form = ColumnData::data_type_of(&ty);
    let file = Arc::new(StoreFile::open(dir, &entry.data)?);
    let data = file.clone();
    let column = Lazy::new(move || {
        let column = match &data.batches()?[..] {
            [batch] if batch.num_rows() as u64 == rows => batches::to_column(batch, &ty, fresh),
            _ => None,
        };
        column.ok_or_else(|| data.other_form())
    });
    let side = entry
        .stats
        .as_ref()
        .map(|entry| StoreFile::open(dir, entry))
        .transpose()?;
    let stats = Lazy::new(move || {
        let Some(side) = &side else { return Ok(None) };
        let stats = match &side.whole()?[..] {
            [batch] => usize::try_from(rows)
                .ok()
                .and_then(|rows| blocks::to_stats(batch, &form, rows)),
            _ => None,
        };
        stats.map(Some).ok_or_else(|| side.other_form())
    });
    Ok(TagPart {
        entry: Some(entry.clone()),
        file: Some(file),
        column: Arc::new(column),
        stats: Arc::new(stats),
    })
}

fn open_events(
    dir: &Path,
    entry: &EventEntry,
    before: Option<&Snapshot>,
) -> Result<EventPart, StoreError> {
    let schema = entry.schema.to_event();
    let segments: Vec<SegmentPart> = entry
        .segments
        .iter()
        .map(|segment| open_segment(dir, segment, &schema, before))
        .collect::<Result<_, _>>()?;
    let parts = segments.clone();
    let table = Lazy::new(move || {
        let mut segments = Vec::new();
        for part in &parts {
            segments.extend(part.batches.get()?.iter().cloned());
        }
        Ok(EventTable {
            schema: schema.clone(),
            segments,
        })
    });
    Ok(EventPart {
        table: Arc::new(table),
        segments,
    })
}

fn open_segment(
    dir: &Path,
    entry: &SegmentEntry,
    schema: &EventSchema,
    before: Option<&Snapshot>,
) -> Result<SegmentPart, StoreError> {
    let mut known = before
        .iter()
        .flat_map(|b| &b.events)
        .flat_map(|e| &e.segments);
    if let Some(part) = known.find(|part| part.entry == *entry && part.schema == *schema) {
        return Ok(part.clone());
    }
    let file = Arc::new(StoreFile::open(dir, &entry.data)?);
    let (data, rows, of) = (file.clone(), entry.rows, schema.clone());
    let batches = Lazy::new(move || {
        let segments: Option<Vec<_>> = data
            .batches()?
            .iter()
            .map(|b| batches::to_segment(b, &of).map(Arc::new))
            .collect();
        let whole =
            |s: &Vec<Arc<EventSegment>>| s.iter().map(|s| s.len() as u64).sum::<u64>() == rows;
        segments.filter(whole).ok_or_else(|| data.other_form())
    });
    Ok(SegmentPart {
        entry: entry.clone(),
        file,
        schema: schema.clone(),
        batches: Arc::new(batches),
    })
}
