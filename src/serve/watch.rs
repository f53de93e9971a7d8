//! Whether the files of a program changed, by size, time and permissions: its text, its lists of forbidden words,
//! `tagcast.toml`, and the files of secrets that this names.

use std::fs::Permissions;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::engine::config::{Config, FILE_NAME};
use crate::engine::{Failure, project};

/// Size, time of the last change, permissions.
type FileState = (u64, Option<SystemTime>, Permissions);

/// Each file of a program; `None` for one that is not there.
#[derive(PartialEq, Eq, Default)]
pub struct FileWatch(Vec<(PathBuf, Option<FileState>)>);

impl FileWatch {
    /// `words`: files of forbidden words.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(folder: &Path, words: Vec<PathBuf>) -> Result<Self, Failure> {
        // Whoever mends one that cannot be read changes it.
        let config = Config::load(folder).unwrap_or_default();
        let mut files = project::source_files(folder)?;
        files.push(folder.join(FILE_NAME));
        files.extend(words);
        files.extend(
            config
                .accounts
                .values()
                .flat_map(|account| account.files())
                .map(|file| folder.join(file)),
        );
        let of = |path: PathBuf| {
            let meta = std::fs::metadata(&path).ok();
            (
                path,
                meta.map(|m| (m.len(), m.modified().ok(), m.permissions())),
            )
        };
        Ok(FileWatch(files.into_iter().map(of).collect()))
    }
}
