//! The real world: the wall clock, and Ctrl-C as a wish to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::base::Instant;
use crate::base::world::World;

static STOPPING: AtomicBool = AtomicBool::new(false);

pub struct RealWorld {
    /// Of this process: start time and process number, so that two processes never share one.
    stem: u64,
    counter: AtomicU64,
}

impl RealWorld {
    /// Also takes over Ctrl-C and SIGTERM: the first asks to stop cleanly, the second ends the
    /// process at once.
    pub fn new() -> Self {
        let handler = || {
            if STOPPING.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        };
        // A second call in one process (tests) keeps the first handler, which does the same.
        let _ = ctrlc::set_handler(handler);
        let seed = (wall_clock().0 as u64) ^ (u64::from(std::process::id()) << 44);
        RealWorld {
            stem: xxhash_rust::xxh3::xxh3_64(&seed.to_le_bytes()),
            counter: AtomicU64::new(0),
        }
    }
}

impl Default for RealWorld {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn wall_clock() -> Instant {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Instant(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

impl World for RealWorld {
    fn now(&self) -> Instant {
        wall_clock()
    }

    fn unique(&self) -> u64 {
        let n = self.counter.fetch_add(1, Ordering::SeqCst);
        xxhash_rust::xxh3::xxh3_64_with_seed(&n.to_le_bytes(), self.stem)
    }

    fn wall(&self) -> Option<Instant> {
        Some(wall_clock())
    }

    fn stopping(&self) -> bool {
        STOPPING.load(Ordering::SeqCst)
    }
}
