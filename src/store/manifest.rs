//! `manifest.json`: which immutable files make up the store now. Replacing it is the commit.

use serde::{Deserialize, Serialize};
use std::path::{Component, Path};

use super::digest;
use super::error::{StoreError, words};
use super::schema_file::{EventSchemaFile, TagSchemaFile, schema_of};
use crate::base::Schema;

pub(super) const FILE: &str = "manifest.json";
const FORMAT: &str = "tagcast store";
/// The layout that this program reads and writes.
pub(super) const VERSION: u64 = 2;
/// The first layout, without statistics beside the columns; it is read, and becomes the present one by the next change.
const OLDEST: u64 = 1;

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
}

/// An immutable file, relative to the store's folder.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    pub file: String,
    pub bytes: u64,
    /// Of all bytes.
    pub checksum: String,
    /// Of the bytes outside the arrays: header, messages' metadata and footer. Checked at every open.
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
    /// The source that a later import of the same source replaces; `None` for events that were appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    pub data: FileEntry,
}

/// One import that was carried out.
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
        }
    }

    /// Reads the bytes of a manifest that stands in `file`.
    pub fn parse(file: &Path, bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = |what| StoreError::Damaged { file: file.into(), what };
        let json: serde_json::Value = serde_json::from_slice(bytes).map_err(|e| {
            damaged(words!("it is not valid JSON (line {}, column {})", "不是有效的 JSON（第 {} 行第 {} 列）", e.line(), e.column()))
        })?;
        if json.get("format").and_then(|f| f.as_str()) != Some(FORMAT) {
            return Err(StoreError::NotAStore(file.parent().unwrap_or(file).into()));
        }
        match json.get("version").and_then(|v| v.as_u64()) {
            Some(OLDEST..=VERSION) => {}
            Some(found) => return Err(StoreError::OtherVersion { file: file.into(), found, known: VERSION }),
            None => return Err(damaged(words!("it names no version", "没有写明版本"))),
        }
        let mut manifest: Manifest = serde_json::from_value(json)
            .map_err(|e| damaged(words!("it does not have the expected form ({e})", "结构不符合预期（{e}）")))?;
        manifest.version = VERSION;
        match manifest.first_flaw() {
            Some(what) => Err(damaged(what)),
            None => Ok(manifest),
        }
    }

    /// What must hold beyond the form: file names stay inside the folder, user numbers have no gap, names are distinct.
    fn first_flaw(&self) -> Option<super::Words> {
        if let Some(entry) = self.files().find(|f| !is_inside(&f.file)) {
            return Some(words!("it names a file outside the store (`{}`)", "它指向数据仓以外的文件（`{}`）", entry.file));
        }
        let mut next = 0u32;
        for users in &self.users {
            if users.first != next {
                return Some(words!("user numbers have a gap at {next}", "用户编号在 {next} 处有缺口"));
            }
            match next.checked_add(users.rows) {
                Some(n) => next = n,
                None => return Some(words!("it has too many users", "用户过多")),
            }
        }
        let mut names: Vec<_> = self.tags.iter().map(|t| &t.schema.name).chain(self.events.iter().map(|e| &e.schema.name)).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair[0] == pair[1])?;
        Some(words!("`{}` is in it twice", "`{}` 出现了两次", twice[0]))
    }

    pub fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }

    /// All files that it names.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let users = self.users.iter().flat_map(|u| [&u.ids, &u.index]);
        let segments = self.events.iter().flat_map(|e| &e.segments).map(|s| &s.data);
        let tags = self.tags.iter().flat_map(|t| std::iter::once(&t.data).chain(&t.stats));
        users.chain(tags).chain(segments)
    }

    pub fn schema(&self) -> Schema {
        schema_of(self.tags.iter().map(|t| &t.schema), self.events.iter().map(|e| &e.schema))
    }

    pub fn user_count(&self) -> usize {
        self.users.last().map_or(0, |u| u.first as usize + u.rows as usize)
    }

    /// The digest of the snapshot that it stands for.
    pub fn digest(&self) -> String {
        digest::of_parts(
            self.users.iter().map(|u| u.ids.checksum.as_str()),
            self.tags.iter().map(|t| (&t.schema, t.data.checksum.as_str())),
            self.events.iter().map(|e| (&e.schema, e.segments.iter().map(|s| s.data.checksum.as_str()).collect())),
        )
    }
}

fn is_inside(file: &str) -> bool {
    !file.is_empty() && Path::new(file).components().all(|c| matches!(c, Component::Normal(_)))
}
