//! Filling a store from files: CSV, JSON Lines, Parquet, Arrow. All of a file or, when one row is
//! bad, nothing.
//!
//! A file is read a block of rows at a time, ahead of what is done with them ([`file_blocks`]): text row
//! by row ([`row_source`]), its cells as values of the declared types ([`reading`]); arrays of typed
//! files as a whole ([`convert`]). What is read waits until all of it is known to be good
//! ([`import_tags`], [`import_events`]), up to a limit in memory and then in a file of its own; beside it memory
//! holds the user ids, a few numbers a row, and a few columns at a time.

mod arrow;
mod cell;
mod convert;
mod csv;
mod file_blocks;
pub mod import_events;
pub mod import_tags;
pub mod infer;
mod jsonl;
mod open_rows;
mod parquet;
mod reading;
mod row_source;
mod shortest;
mod table;
mod user_id;

use crate::base::Msg;
use crate::msg;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::digest::Checksum;
use super::{ImportEntry, StoreError};
use crate::base::value::count_of;
use crate::base::world::World;
use crate::base::{Instant, Zone};
pub use import_events::EventImport;
pub use import_tags::TagImport;
pub use reading::Reading;
pub use row_source::FileFormat;
pub use table::MAX_SHOWN_ERRORS;
use table::{RowBlock, RowErrors};
pub use user_id::MAX_ID_BYTES;

/// Rows that are read at once; between two of them progress is told and the wish to stop heard.
const BLOCK_ROWS: usize = 16_384;
/// How far an import is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ImportProgress {
    pub rows: u64,
    pub bytes: u64,
    pub total_bytes: u64,
}

/// Why one row is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RowError {
    /// The line in text files, the row's number in others; both begin with 1.
    pub line: u64,
    pub column: Option<String>,
    pub why: Msg,
}

/// A file with bad rows: nothing of it was imported.
#[derive(Clone, PartialEq, Debug)]
pub struct RejectedFile {
    pub file: PathBuf,
    /// The first [`MAX_SHOWN_ERRORS`], in order.
    pub errors: Vec<RowError>,
    /// All of them.
    pub total: u64,
    pub rows: u64,
}

/// Why nothing was imported.
#[derive(Debug)]
pub enum ImportError {
    /// Some rows are bad.
    Rows(RejectedFile),
    /// It could not be done at all.
    Store(StoreError),
}

impl From<StoreError> for ImportError {
    fn from(e: StoreError) -> Self {
        ImportError::Store(e)
    }
}

impl ImportError {
    fn import(words: Msg) -> Self {
        ImportError::Store(StoreError::Import(words))
    }

    /// One sentence that says what happened; the rows' own errors are in [`RejectedFile`].
    pub fn words(&self) -> Msg {
        match self {
            ImportError::Store(e) => e.words(),
            ImportError::Rows(RejectedFile {
                total, rows, file, ..
            }) => {
                let (errors, of, file) = (
                    count_of(*total, "error"),
                    count_of(*rows, "row"),
                    file.display(),
                );
                msg!(
                    "{errors} in {of} of `{file}`: correct them and import again; nothing was imported",
                    "`{file}` 的 {rows} 行中有 {total} 处错误：请更正后重新导入；未导入任何数据"
                )
            }
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().en)
    }
}

impl std::error::Error for ImportError {}

/// What an import did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImportReport {
    pub rows: u64,
    pub new_users: u64,
    /// Tags or fields that were filled.
    pub columns: Vec<String>,
    /// Columns of the file that no declaration names.
    pub ignored: Vec<String>,
}

/// Collects row errors.
struct Errors {
    shown: Vec<RowError>,
    total: u64,
}

impl Errors {
    fn new() -> Self {
        Errors {
            shown: Vec::new(),
            total: 0,
        }
    }

    /// Takes the errors of a block.
    fn take(&mut self, lines: &[u64], mut errors: RowErrors) {
        self.total += errors.total;
        errors.shown.sort_by_key(|(row, ..)| *row); // Stable: what is said of one row stays in order.
        let free = MAX_SHOWN_ERRORS.saturating_sub(self.shown.len());
        let shown = errors.shown.into_iter().take(free);
        self.shown.extend(shown.map(|(row, column, why)| RowError {
            line: lines.get(row).copied().unwrap_or(0),
            column,
            why,
        }));
    }

    /// Ends the import if there was any.
    fn check(self, file: &Path, rows: u64) -> Result<(), ImportError> {
        if self.total == 0 {
            return Ok(());
        }
        Err(ImportError::Rows(RejectedFile {
            file: file.into(),
            errors: self.shown,
            total: self.total,
            rows,
        }))
    }
}

/// Tells of progress, and hears of the wish to stop, every now and then.
struct Steps<'a> {
    world: &'a dyn World,
    total_bytes: u64,
    rows: u64,
    tell: &'a mut dyn FnMut(ImportProgress),
}

impl<'a> Steps<'a> {
    fn new(world: &'a dyn World, file: &Path, tell: &'a mut dyn FnMut(ImportProgress)) -> Self {
        let total_bytes = std::fs::metadata(file).map_or(0, |m| m.len());
        Steps {
            world,
            total_bytes,
            rows: 0,
            tell,
        }
    }

    fn block(&mut self, block: &RowBlock) -> Result<(), StoreError> {
        self.rows += block.lines.len() as u64;
        (self.tell)(ImportProgress {
            rows: self.rows,
            bytes: block.bytes,
            total_bytes: self.total_bytes,
        });
        if self.world.stopping() {
            Err(StoreError::Stopped)
        } else {
            Ok(())
        }
    }
}

/// What is said when the file lacks a column that was asked for.
fn no_column(file: &Path, wanted: &str, role: (&str, &str), columns: &[String]) -> ImportError {
    if columns.is_empty() {
        let file = file.display();
        return ImportError::Store(StoreError::Import(msg!(
            "`{file}` is empty: nothing was imported",
            "`{file}` 是空的：未导入任何数据"
        )));
    }
    let shown: Vec<String> = columns
        .iter()
        .filter(|c| !c.is_empty())
        .take(20)
        .map(|c| format!("`{c}`"))
        .collect();
    let (en, zh) = match cell::nearest(wanted, columns) {
        Some(near) => (
            format!("did you mean `{near}`?"),
            format!("是不是 `{near}`？"),
        ),
        None => (
            format!("its columns are {}", shown.join(", ")),
            format!("它的列是 {}", shown.join("、")),
        ),
    };
    let (file, (role_en, role_zh)) = (file.display(), role);
    ImportError::Store(StoreError::Import(Msg {
        en: format!("`{file}` has no column `{wanted}` for the {role_en}: {en}"),
        zh: format!("`{file}` 中没有作为{role_zh}的列 `{wanted}`：{zh}"),
    }))
}

/// What an import of tags is remembered as; events are remembered by their name.
pub const TAGS: &str = "tags";

/// What identifies a file and the way it is read, to know it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fingerprint {
    bytes: u64,
    checksum: String,
    declared: String,
}

impl Fingerprint {
    /// `declared` is the text of the declarations that it is read by.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(path: &Path, declared: &str) -> Result<Self, StoreError> {
        let mut file = File::open(path).map_err(|e| StoreError::read(path, e))?;
        let (mut sum, mut bytes, mut buffer) = (Checksum::default(), 0u64, vec![0u8; 1 << 20]);
        loop {
            match file
                .read(&mut buffer)
                .map_err(|e| StoreError::read(path, e))?
            {
                0 => break,
                n => {
                    sum.update(buffer.get(..n).unwrap_or_default());
                    bytes += n as u64;
                }
            }
        }
        let mut declaration = Checksum::default();
        declaration.update(declared.as_bytes());
        Ok(Fingerprint {
            bytes,
            checksum: sum.finish(),
            declared: declaration.finish(),
        })
    }

    /// Whether that import was of the same content.
    fn is_of(&self, import: &ImportEntry) -> bool {
        self.bytes == import.bytes && self.checksum == import.checksum
    }

    /// Whether the last import of a source was of the same content, read by the same declarations.
    pub fn is_current(&self, into: &str, source: &str, imports: &[ImportEntry]) -> bool {
        let last = imports.iter().rfind(|i| i.into == into && i.file == source);
        last.is_some_and(|i| self.is_of(i) && self.declared == i.declared)
    }

    fn entry(
        self,
        into: &str,
        file: &Path,
        source: Option<&str>,
        columns: Vec<String>,
        rows: u64,
        now: Instant,
    ) -> ImportEntry {
        ImportEntry {
            into: into.into(),
            file: source.map_or_else(|| file.display().to_string(), String::from),
            bytes: self.bytes,
            checksum: self.checksum,
            declared: self.declared,
            columns,
            rows,
            at: Zone::UTC.show_rfc3339(now),
        }
    }
}
