//! Whether the files of a program changed, without reading them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::engine::{Failure, project};

/// Path, size and time of each file of a program.
#[derive(PartialEq, Eq, Default)]
pub struct Watch(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Watch {
    /// # Errors
    /// A folder that cannot be read.
    pub fn of(folder: &Path) -> Result<Self, Failure> {
        let mut files = project::source_files(folder)?;
        files.push(folder.join(crate::engine::config::FILE_NAME));
        let of = |path: PathBuf| {
            let meta = std::fs::metadata(&path).ok();
            (path, meta.as_ref().map_or(0, std::fs::Metadata::len), meta.and_then(|m| m.modified().ok()))
        };
        Ok(Watch(files.into_iter().map(of).collect()))
    }
}
