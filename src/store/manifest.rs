//! `manifest.json`: which immutable files make up the store now. Replacing it is the commit.

use crate::base::Msg;
use crate::msg;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::digest;
use super::error::StoreError;
use super::schema_file::{EventSchemaFile, TagSchemaFile, schema_of};
use crate::base::{Elapsed, Instant, Schema};

pub(super) const FILE: &str = "manifest.json";
const FORMAT: &str = "tagcast store";
/// The layout that this program reads and writes. 2 had sets of up to 32 members in 64 bits, 1 no
/// statistics beside the columns: both are read, and become the present one by the next change.
pub(super) const VERSION: u64 = 3;
/// The first layout.
const OLDEST: u64 = 1;
/// A replaced file is removed by the second change after that, if this much time has passed: so
/// another process that has read the manifest finds the files that it names, on a slow disk and on
/// a network too.
const KEPT_CHANGES: u64 = 2;
const KEPT_FOR: Elapsed = Elapsed::seconds(60);

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub format: String,
    pub version: u64,
    /// The number that the next new file gets; a number is never used twice.
    pub next_file: u64,
    pub users: Vec<UsersEntry>,
    pub tags: Vec<TagEntry>,
    pub events: Vec<EventEntry>,
    /// What was imported from where, so that the same file is not counted twice.
    #[serde(default)]
    pub imports: Vec<ImportEntry>,
    /// The live changes that columns and segments hold: all up to this position.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub live: u64,
    /// How many changes led here.
    #[serde(default)]
    pub generation: u64,
    /// Files that were replaced, oldest first, kept for those who read an earlier manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<Retired>,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A file that is no longer in force.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retired {
    pub file: String,
    /// The change that replaced it.
    pub generation: u64,
    /// When, in microseconds since 1970 in UTC.
    pub at: i64,
}

/// An immutable file, relative to the store's folder.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub file: String,
    pub bytes: u64,
    /// Of all bytes.
    pub checksum: String,
    /// Of the bytes outside the arrays: header, messages' metadata and footer. Checked at every
    /// open.
    pub frame: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UsersEntry {
    pub first: u32,
    pub rows: u32,
    pub ids: FileEntry,
    pub index: FileEntry,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TagEntry {
    pub schema: TagSchemaFile,
    pub rows: u64,
    pub data: FileEntry,
    /// What its blocks hold; `None` when it was imported by version 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<FileEntry>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventEntry {
    pub schema: EventSchemaFile,
    pub segments: Vec<SegmentEntry>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentEntry {
    pub rows: u64,
    /// The source that a later import of the same source replaces; `None` for events that were
    /// appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub data: FileEntry,
}

/// One import that was run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportEntry {
    /// `tags`, or the event's name.
    pub into: String,
    /// The source's name, or the file as it was named.
    pub file: String,
    pub bytes: u64,
    pub checksum: String,
    /// Identifies the declarations that it was read by.
    pub declared: String,
    /// Tags or fields that it filled.
    pub columns: Vec<String>,
    pub rows: u64,
    /// RFC 3339, UTC.
    pub at: String,
}

impl Manifest {
    pub fn new() -> Self {
        Manifest {
            format: FORMAT.into(),
            version: VERSION,
            next_file: 1,
            users: Vec::new(),
            tags: Vec::new(),
            events: Vec::new(),
            imports: Vec::new(),
            live: 0,
            generation: 0,
            retired: Vec::new(),
        }
    }

    /// Makes this the change after `before`: its files that are not in force any more are kept for
    /// a while, and those of earlier changes are let go.
    pub fn follow(&mut self, before: &Manifest, now: Instant) {
        self.generation = before.generation.saturating_add(1);
        let kept = |r: &Retired| {
            let (changes, age) = (
                self.generation.saturating_sub(r.generation),
                now.0.abs_diff(r.at),
            );
            changes < KEPT_CHANGES || age < KEPT_FOR.0.unsigned_abs()
        };
        let mut retired: Vec<Retired> =
            before.retired.iter().filter(|r| kept(r)).cloned().collect();
        let in_force: BTreeSet<&str> = self.files().map(|f| f.file.as_str()).collect();
        let replaced = before
            .files()
            .filter(|f| !in_force.contains(f.file.as_str()));
        retired.extend(replaced.map(|f| Retired {
            file: f.file.clone(),
            generation: self.generation,
            at: now.0,
        }));
        self.retired = retired;
    }

    /// Reads the bytes of a manifest that stands in `file`.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::Damaged {
            file: file.into(),
            what,
        };
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| {
            damaged(msg!(
                "it is not valid JSON (line {}, column {})",
                "不是有效的 JSON（第 {} 行第 {} 列）",
                e.line(),
                e.column()
            ))
        })?;
        if json.get("format").and_then(|f| f.as_str()) != Some(FORMAT) {
            return Err(StoreError::NotAStore(file.parent().unwrap_or(file).into()));
        }
        match json.get("version").and_then(|v| v.as_u64()) {
            Some(OLDEST..=VERSION) => {}
            Some(found) => {
                return Err(StoreError::OtherVersion {
                    file: file.into(),
                    found,
                    known: VERSION,
                });
            }
            None => return Err(damaged(msg!("it names no version", "没有写明版本"))),
        }
        let mut manifest: Manifest = serde_json::from_value(json).map_err(|e| {
            damaged(msg!(
                "it does not have the expected form ({e})",
                "结构不符合预期（{e}）"
            ))
        })?;
        manifest.version = VERSION;
        match manifest.first_flaw() {
            Some(what) => Err(damaged(what)),
            None => Ok(manifest),
        }
    }

    /// What must hold beyond the form: file names stay inside the folder, user numbers have no gap,
    /// names are distinct.
    fn first_flaw(&self) -> Option<Msg> {
        if let Some(entry) = self.files().find(|f| !is_inside(&f.file)) {
            return Some(msg!(
                "it names a file outside the store (`{}`)",
                "它指向数据仓以外的文件（`{}`）",
                entry.file
            ));
        }
        let mut next = 0u32;
        for users in &self.users {
            if users.first != next {
                return Some(msg!(
                    "user numbers have a gap at {next}",
                    "用户编号在 {next} 处有缺口"
                ));
            }
            match next.checked_add(users.rows) {
                Some(n) => next = n,
                None => return Some(msg!("it has too many users", "用户过多")),
            }
        }
        let mut names: Vec<_> = self
            .tags
            .iter()
            .map(|t| &t.schema.name)
            .chain(self.events.iter().map(|e| &e.schema.name))
            .collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(msg!("`{}` is in it twice", "`{}` 出现了两次", twice[0]))
    }

    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// All files that it names.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let users = self.users.iter().flat_map(|u| [&u.ids, &u.index]);
        let segments = self
            .events
            .iter()
            .flat_map(|e| &e.segments)
            .map(|s| &s.data);
        let tags = self
            .tags
            .iter()
            .flat_map(|t| std::iter::once(&t.data).chain(&t.stats));
        users.chain(tags).chain(segments)
    }

    pub fn schema(&self) -> Schema {
        schema_of(
            self.tags.iter().map(|t| &t.schema),
            self.events.iter().map(|e| &e.schema),
        )
    }

    pub fn user_count(&self) -> usize {
        self.users
            .last()
            .map_or(0, |u| u.first as usize + u.rows as usize)
    }

    /// Whether a file of this name belongs to the store, in force or kept.
    pub fn names(&self) -> BTreeSet<&str> {
        self.files()
            .map(|f| f.file.as_str())
            .chain(self.retired.iter().map(|r| r.file.as_str()))
            .collect()
    }

    /// The digest of the snapshot that it stands for.
    pub fn digest(&self) -> String {
        digest::of_parts(
            self.users.iter().map(|u| u.ids.checksum.as_str()),
            self.tags
                .iter()
                .map(|t| (&t.schema, t.data.checksum.as_str())),
            self.events.iter().map(|e| {
                (
                    &e.schema,
                    e.segments
                        .iter()
                        .map(|s| s.data.checksum.as_str())
                        .collect(),
                )
            }),
        )
    }
}

fn is_inside(file: &str) -> bool {
    !file.is_empty()
        && Path::new(file)
            .components()
            .all(|c| matches!(c, Component::Normal(_)))
}
