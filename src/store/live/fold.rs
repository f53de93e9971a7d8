//! Live changes become columns and segments: by every import, by `tags compact`, and when many have
//! gathered.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::log::{self, Log};
use super::overlay::{by_name, said, segment};
use crate::store::{StoreError, StoreWriter};

impl StoreWriter {
    /// Puts what was said up to now into the columns of the next commit. Gives the number of
    /// changes.
    ///
    /// # Errors
    /// When log or columns cannot be read, or files not be written.
    pub fn fold_live(&mut self) -> Result<usize, StoreError> {
        let (rows, position) = Log::after(self.dir(), self.live_position())?;
        if rows.is_empty() {
            return Ok(0);
        }
        let snapshot = self.snapshot()?;
        let (tags, events) = by_name(&rows);
        for (name, rows) in tags {
            let Some(tag) = snapshot
                .schema()
                .tag_named(name)
                .and_then(|id| snapshot.schema().tags.get(id.index()))
            else {
                continue;
            };
            if let Some(column) = snapshot.tag(name)? {
                self.put_column(name, &column.with(&said(tag, &rows), tag.fresh.is_some()))?;
            }
        }
        for (name, rows) in events {
            let Some(event) = snapshot
                .schema()
                .event_named(name)
                .and_then(|id| snapshot.schema().events.get(id.index()))
            else {
                continue;
            };
            self.put_events(event, None, &[vec![Arc::new(segment(event, &rows))]])?;
        }
        self.set_live_position(position);
        Ok(rows.len())
    }
}

/// Removes the files whose changes are all folded, but for the last two, which know the ids of
/// events.
pub fn collect(dir: &Path, position: u64) -> Result<(), StoreError> {
    let files = log::files(dir)?;
    for (i, (_, path)) in files.iter().enumerate() {
        let folded = files
            .get(i + 1)
            .is_some_and(|(next, _)| *next <= position + 1);
        if !folded || i + 2 >= files.len() {
            continue;
        }
        // The file itself last: what a crash leaves is found again by its name.
        for suffix in ["-wal", "-shm", ""] {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            match fs::remove_file(&name) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::write(path, e));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
