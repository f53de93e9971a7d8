//! The only door to the outside: clock, randomness and disk. A test holds the other side of it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use super::Instant;

/// What the engine may ask of the outside world.
pub trait World: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Instant;

    /// A number that no other call returns, for ids (not for choosing users: that is hashed from
    /// the seed).
    fn unique(&self) -> u64;

    /// Called before every durable write with a short name of what is written; a test lets one of
    /// them fail or end the process.
    ///
    /// # Errors
    /// What the test wants the write to end in.
    fn about_to_write(&self, what: &str) -> io::Result<()> {
        let _ = what;
        Ok(())
    }

    /// Reads a whole file that the program names (lists, lookups, word files).
    ///
    /// # Errors
    /// Those of the file system.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    /// What lies directly in a folder, in no order.
    ///
    /// # Errors
    /// Those of the file system.
    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| entry.map(|e| e.path()))
            .collect()
    }

    /// When a file was last written; `None` when nobody knows.
    fn modified(&self, path: &Path) -> Option<Instant> {
        let at = std::fs::metadata(path).and_then(|m| m.modified()).ok()?;
        let since = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_micros()).ok().map(Instant)
    }

    /// What this machine's clock says at this moment, to be compared with that of another machine;
    /// `None` where there is no such clock.
    fn wall(&self) -> Option<Instant> {
        None
    }

    /// Whether someone has asked the process to stop (Ctrl-C, SIGTERM).
    fn stopping(&self) -> bool {
        false
    }
}

/// All of a world but its clock, by the one inside.
macro_rules! all_but_the_clock {
    () => {
        fn unique(&self) -> u64 {
            self.inner.unique()
        }

        fn about_to_write(&self, what: &str) -> std::io::Result<()> {
            self.inner.about_to_write(what)
        }

        fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            self.inner.read(path)
        }

        fn list(&self, folder: &std::path::Path) -> std::io::Result<Vec<std::path::PathBuf>> {
            self.inner.list(folder)
        }

        fn modified(&self, path: &std::path::Path) -> Option<$crate::base::Instant> {
            self.inner.modified(path)
        }

        fn wall(&self) -> Option<$crate::base::Instant> {
            self.inner.wall()
        }

        fn stopping(&self) -> bool {
            self.inner.stopping()
        }
    };
}

pub(crate) use all_but_the_clock;

/// Another world with a clock of its own that only moves when told to: `--now` and `run --until`.
pub struct ClockWorld {
    inner: Arc<dyn World>,
    now: AtomicI64,
}

impl ClockWorld {
    pub fn new(inner: Arc<dyn World>, now: Instant) -> Self {
        ClockWorld {
            inner,
            now: AtomicI64::new(now.0),
        }
    }

    /// Moves the clock forward; it never goes back.
    pub fn advance_to(&self, at: Instant) {
        self.now.fetch_max(at.0, Ordering::SeqCst);
    }
}

impl World for ClockWorld {
    fn now(&self) -> Instant {
        Instant(self.now.load(Ordering::SeqCst))
    }

    all_but_the_clock!();
}

/// A world for tests: nothing is random, and the clock only moves when told to.
pub struct SimulatedWorld {
    now: AtomicI64,
    counter: AtomicI64,
}

impl SimulatedWorld {
    pub fn at(now: Instant) -> Self {
        SimulatedWorld {
            now: AtomicI64::new(now.0),
            counter: AtomicI64::new(0),
        }
    }

    /// Moves the clock forward; it never goes back.
    pub fn advance_to(&self, at: Instant) {
        self.now.fetch_max(at.0, Ordering::SeqCst);
    }
}

impl World for SimulatedWorld {
    fn now(&self) -> Instant {
        Instant(self.now.load(Ordering::SeqCst))
    }

    fn unique(&self) -> u64 {
        self.counter.fetch_add(1, Ordering::SeqCst) as u64
    }
}
