//! Making files and the names of files durable. A disk writes many files as fast as one when they
//! are asked for together, so files that were written are made durable several at a time, at the
//! latest before the manifest that names them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::thread;

use super::error::StoreError;
use crate::base::world::World;

/// Files that may wait; each is open until then.
const MAX_WAITING: usize = 64;
/// Files that are made durable at a time.
const AT_A_TIME: usize = 8;

/// Files that are written but that the disk may not have yet.
#[derive(Default)]
pub(super) struct Waiting(Vec<Written>);

struct Written {
    /// As the manifest names it.
    name: String,
    path: PathBuf,
    file: File,
}

impl Waiting {
    /// Takes a file that is written in full.
    pub fn add(
        &mut self,
        world: &dyn World,
        name: &str,
        path: &Path,
        file: File,
    ) -> Result<(), StoreError> {
        self.0.push(Written {
            name: name.into(),
            path: path.into(),
            file,
        });
        if self.0.len() < MAX_WAITING {
            Ok(())
        } else {
            self.make_durable(world)
        }
    }

    /// Returns when the disk has all of them.
    pub fn make_durable(&mut self, world: &dyn World) -> Result<(), StoreError> {
        let files = std::mem::take(&mut self.0);
        for Written { name, path, .. } in &files {
            world
                .about_to_write(name)
                .map_err(|e| StoreError::write(path, e))?;
        }
        let sync = |files: &[Written]| {
            files.iter().try_for_each(|written| {
                written
                    .file
                    .sync_all()
                    .map_err(|e| StoreError::write(&written.path, e))
            })
        };
        let share = files.len().div_ceil(AT_A_TIME).max(1);
        thread::scope(|scope| {
            let others: Vec<_> = files
                .chunks(share)
                .skip(1)
                .map(|files| scope.spawn(move || sync(files)))
                .collect();
            let own = sync(files.get(..share.min(files.len())).unwrap_or_default());
            // A thread that panicked has made nothing durable; it is done again here.
            let join = |(done, files): (thread::ScopedJoinHandle<'_, _>, &[Written])| {
                done.join().unwrap_or_else(|_| sync(files))
            };
            let others: Result<(), _> = others
                .into_iter()
                .zip(files.chunks(share).skip(1))
                .try_for_each(join);
            own.and(others)
        })
    }
}

/// Makes the names in a folder durable. Where folders cannot be opened as files (Windows) the
/// system does it alone.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    if cfg!(unix) {
        File::open(folder)
            .and_then(|f| f.sync_all())
            .map_err(|e| StoreError::write(folder, e))?;
    }
    Ok(())
}
