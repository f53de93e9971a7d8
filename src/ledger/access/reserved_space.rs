//! Room on the disk that is kept for answers: a file that holds nothing and is given up when the
//! disk is full.
//!
//! A message is claimed only while the file is there, so that whatever is sent can be
//! answered for. When an answer finds the disk full, the file goes and the answer is written in its
//! place; nothing more is claimed until the disk has room for it again.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;

use crate::base::world::World;
use crate::ledger::error::LedgerError;

/// How much: the answers of every call under way, many times over.
const SIZE: u64 = 64 << 20;

pub(in crate::ledger) struct ReservedSpace {
    /// `None` where the ledger is not on this disk.
    path: Option<PathBuf>,
    /// It is there, or this disk cannot have it.
    is_settled: bool,
}

impl ReservedSpace {
    pub fn at(path: Option<PathBuf>) -> Self {
        ReservedSpace {
            is_settled: path.is_none(),
            path,
        }
    }

    /// Sees to it that it is there.
    ///
    /// # Errors
    /// When the disk has no room for it.
    pub fn require(&mut self, world: &dyn World) -> Result<(), LedgerError> {
        let Some(path) = self.path.as_ref().filter(|_| !self.is_settled) else {
            return Ok(());
        };
        let made = world.about_to_write("ballast").and_then(|()| {
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(path)?;
            reserve(&file, SIZE)
        });
        match made {
            Ok(()) => {}
            // Files may not grow so far here: it is done without.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::FileTooLarge | io::ErrorKind::Unsupported
                ) =>
            {
                drop(std::fs::remove_file(path))
            }
            Err(e) => {
                // What was made of it is better left to others.
                let _ = std::fs::remove_file(path);
                return Err(LedgerError::io(path, e));
            }
        }
        self.is_settled = true;
        Ok(())
    }

    /// Gives the room up; whether there was any.
    pub fn release(&mut self) -> bool {
        let Some(path) = &self.path else { return false };
        self.is_settled = false;
        std::fs::remove_file(path).is_ok()
    }
}

/// Takes room on the disk: a file that is merely long may have none.
#[cfg(target_os = "linux")]
fn reserve(file: &File, size: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let size = libc::off_t::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: the file is open for as long as the call takes; no memory is touched.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size) } {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(mut file: &File, size: u64) -> io::Result<()> {
    use std::io::Write;
    let some = vec![0x55; 1 << 20];
    (0..size / some.len() as u64).try_for_each(|_| file.write_all(&some))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::base::world::SimulatedWorld;

    #[test]
    fn it_takes_room_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.ballast");
        let world = SimulatedWorld::at(Instant(0));
        let mut ballast = ReservedSpace::at(Some(path.clone()));
        assert!(!ballast.release(), "there is none yet");
        for _ in 0..2 {
            ballast.require(&world).unwrap();
            #[cfg(unix)]
            assert!(
                std::os::unix::fs::MetadataExt::blocks(&std::fs::metadata(&path).unwrap()) * 512
                    >= SIZE
            );
            assert!(ballast.release());
            assert!(!path.exists());
        }
        let mut none = ReservedSpace::at(None);
        none.require(&world).unwrap();
        assert!(!none.release());
    }
}
