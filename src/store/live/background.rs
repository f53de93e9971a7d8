//! What runs beside the one who appends: moving the log into its file, and folding changes into
//! columns. Neither is waited for by an acknowledgement, and neither loses anything by failing: it
//! is noted, and tried again.

use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::log::failed;
use crate::store::{Store, StoreError};

/// Changes that lie outside the columns before they are folded: so many another process lays over
/// them in a few milliseconds.
const FOLD_ROWS: u64 = 20_000;
/// Folding takes at most one part in so many of the time: where many tags change it writes whole
/// columns.
const FOLD_SHARE: u32 = 10;
/// After a failure.
const FOLD_PAUSE: Duration = Duration::from_secs(1);
/// The log begins anew with every so many checkpoints: changes wait for two syncs of the disk then.
const BEGIN_ANEW: u32 = 5;
/// How often a checkpoint looks whether a change is written or one who reads is done, and for how
/// many times. While it waits for one who reads, changes wait for it: rather another time.
const LOOK: Duration = Duration::from_micros(200);
const LOOKS: i32 = 50;

/// The last thing that went wrong in the background.
#[derive(Debug, Default)]
pub struct BackgroundError(Mutex<Option<Arc<StoreError>>>);

impl BackgroundError {
    pub fn note<T>(&self, result: Result<T, StoreError>) -> Option<T> {
        result
            .map_err(|e| *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(e)))
            .ok()
    }

    pub fn take(&self) -> Option<Arc<StoreError>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Moves what is in a write-ahead log into its file, on a connection of its own. The appending one
/// never does: a change that comes when the log is full would wait for all of it.
pub struct Checkpoints {
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub fn of(path: &Path, trouble: &Arc<BackgroundError>) -> Result<Checkpoints, StoreError> {
        let open = || -> rusqlite::Result<Connection> {
            let db = Connection::open(path)?;
            db.busy_handler(Some(|looks| {
                thread::sleep(LOOK);
                looks < LOOKS
            }))?;
            Ok(db)
        };
        let db = open().map_err(|e| failed(path, e))?;
        let (wake, woken) = mpsc::channel();
        let (owned, trouble) = (path.to_path_buf(), trouble.clone());
        let mut times = 0u32;
        let work = move || {
            while woken.recv().is_ok() {
                while woken.try_recv().is_ok() {}
                let checkpoint = |mode: &str| {
                    let busy = db.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
                        row.get(0)
                    });
                    trouble.note(busy.map_err(|e| failed(&owned, e))) == Some(false)
                };
                // All that is there, while changes continue.
                checkpoint("PASSIVE");
                times += 1;
                // For a moment without them the little that came meanwhile, so that the log begins
                // anew.
                if times >= BEGIN_ANEW && checkpoint("RESTART") {
                    times = 0;
                }
            }
        };
        let thread = thread::Builder::new()
            .name("live checkpoints".into())
            .spawn(work)
            .map_err(|e| StoreError::write(path, e))?;
        Ok(Checkpoints {
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    pub fn wake(&self) {
        if let Some(wake) = &self.wake {
            let _ = wake.send(()); // It ends with this value and not before.
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // What is not moved yet is moved by whoever opens the file next.
        }
    }
}

/// Folds changes into columns when many have gathered.
pub struct Folding {
    store: Store,
    /// Up to where the columns hold everything, as far as this process knows.
    folded: u64,
    running: Option<(Instant, JoinHandle<bool>)>,
    /// Not before this.
    next: Instant,
    trouble: Arc<BackgroundError>,
}

impl Folding {
    pub fn new(store: Store, folded: u64, trouble: Arc<BackgroundError>) -> Self {
        Folding {
            store,
            folded,
            running: None,
            next: Instant::now(),
            trouble,
        }
    }

    /// Begins to fold when that is due; `position` is that of the last change.
    pub fn tend(&mut self, position: u64) {
        if let Some((began, thread)) = self.running.take_if(|(_, thread)| thread.is_finished()) {
            let done = thread.join().unwrap_or(false);
            self.next = Instant::now()
                + if done {
                    began.elapsed() * (FOLD_SHARE - 1)
                } else {
                    FOLD_PAUSE
                };
            if let Some(snapshot) = self.trouble.note(self.store.manifest_snapshot()) {
                self.folded = snapshot.live_position();
            }
        }
        if self.running.is_some()
            || position.saturating_sub(self.folded) <= FOLD_ROWS
            || Instant::now() < self.next
        {
            return;
        }
        let (store, trouble) = (self.store.clone(), self.trouble.clone());
        let work = move || match fold(&store) {
            // An import continues, and folds as it ends.
            Err(StoreError::Busy(_)) => false,
            result => trouble.note(result).is_some(),
        };
        let thread = thread::Builder::new()
            .name("fold live changes".into())
            .spawn(work);
        let thread = thread.map_err(|e| StoreError::write(self.store.dir(), e));
        self.running = self
            .trouble
            .note(thread)
            .map(|thread| (Instant::now(), thread));
    }

    /// Waits for what has begun.
    pub fn end(&mut self) {
        if let Some((_, thread)) = self.running.take() {
            let _ = thread.join(); // What is not folded stays in the log.
        }
    }
}

fn fold(store: &Store) -> Result<(), StoreError> {
    let mut writer = store.writer()?;
    writer.fold_live()?;
    writer.commit()
}
