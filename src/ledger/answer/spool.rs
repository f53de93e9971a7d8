//! Answers that the ledger could not be told: kept beside it, each in a file of its own that is on
//! the disk before anything else is done, and taken in as soon as the ledger can be written again.
//!
//! Such an answer settles its batch like any evidence, once, in whatever state others have left it.
//! Only that nothing was sent is worth less when it comes late: as soon as others have taken the
//! batch for unknown, one of them may have repeated it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::Instant;
use crate::base::world::World;
use crate::ledger::claim::held_batch::HeldBatch;
use crate::ledger::dispatch_batch::BatchOutcome;
use crate::ledger::error::LedgerError;

/// What a channel said of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::ledger) struct SpooledAnswer {
    pub ledger: String,
    pub batch: i64,
    /// Digest of what was sent: a claim that was never committed leaves its number to
    /// another.
    pub request: String,
    /// It answers the first send, not a repeat.
    pub first: bool,
    /// Whom it is about, by their places in the batch.
    pub members: BTreeSet<usize>,
    pub answer: BatchOutcome,
    pub at: i64,
}

impl SpooledAnswer {
    pub fn of(
        ledger: &str,
        held: &HeldBatch,
        answer: &BatchOutcome,
        first: bool,
        now: Instant,
    ) -> SpooledAnswer {
        SpooledAnswer {
            ledger: ledger.into(),
            batch: held.batch,
            request: held.request.clone(),
            first,
            members: held.places().collect(),
            answer: answer.clone(),
            at: now.0,
        }
    }

    fn file(&self, folder: &Path) -> PathBuf {
        let short = self.request.get(..16).unwrap_or(&self.request);
        folder.join(format!("{}-{short}.json", self.batch))
    }
}

#[derive(Default)]
pub(in crate::ledger) struct Spool {
    folder: PathBuf,
    /// Not recorded yet.
    pub late: Vec<SpooledAnswer>,
}

impl Spool {
    pub fn at(folder: PathBuf) -> Self {
        Spool {
            folder,
            late: Vec::new(),
        }
    }

    /// Goes on with what another has not taken in yet.
    pub fn go_on_with(&mut self, before: &Spool) {
        self.late.extend(before.late.iter().cloned());
    }

    /// Reads what processes that are gone have left. What is no answer of this ledger stays where
    /// it is.
    pub fn read(&mut self, ledger: &str) -> Result<(), LedgerError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(LedgerError::io(&self.folder, e)),
        };
        let mut files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "json"));
        files.sort();
        for file in files {
            let text = match std::fs::read(&file) {
                Ok(text) => text,
                // Taken in by another process at this moment.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(LedgerError::io(&file, e)),
            };
            let late: Option<SpooledAnswer> = serde_json::from_slice(&text).ok();
            let is_new = |late: &SpooledAnswer| {
                late.ledger == ledger && self.late.iter().all(|l| l.request != late.request)
            };
            self.late.extend(late.filter(is_new));
        }
        Ok(())
    }

    /// Keeps an answer: in memory, and on the disk if that is possible.
    pub fn keep(&mut self, late: SpooledAnswer, world: &dyn World) {
        // Without the file it is kept as long as the process lives; then its batch is unknown, as
        // after any crash.
        let _ = world
            .about_to_write("spool")
            .and_then(|()| self.write(&late));
        self.late.push(late);
    }

    fn write(&self, late: &SpooledAnswer) -> io::Result<()> {
        if !self.folder.exists() {
            std::fs::create_dir_all(&self.folder)?;
            if let Some(above) = self.folder.parent() {
                File::open(above)?.sync_all()?;
            }
        }
        let path = late.file(&self.folder);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(&serde_json::to_vec(late)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &path)?;
        File::open(&self.folder)?.sync_all()
    }

    pub fn remove(&self, late: &SpooledAnswer) {
        // One that comes back after a crash finds its batch settled and changes nothing.
        let _ = std::fs::remove_file(late.file(&self.folder));
    }
}
