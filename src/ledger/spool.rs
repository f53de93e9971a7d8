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

use super::Writer;
use super::claim::HeldBatch;
use super::error::LedgerError;
use super::location;
use super::state::State;
use crate::base::Instant;
use crate::base::world::World;
use crate::ledger::BatchOutcome;

/// What a channel said of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SpooledAnswer {
    ledger: String,
    batch: i64,
    /// Digest of what was handed over: a claim that was never committed leaves its number to
    /// another.
    request: String,
    /// It answers the first hand-over, not a repeat.
    first: bool,
    /// Whom it is about, by their places in the batch.
    members: BTreeSet<usize>,
    answer: BatchOutcome,
    at: i64,
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
pub(super) struct Spool {
    folder: PathBuf,
    late: Vec<SpooledAnswer>,
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
    fn read(&mut self, ledger: &str) -> Result<(), LedgerError> {
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

    fn remove(&self, late: &SpooledAnswer) {
        // One that comes back after a crash finds its batch settled and changes nothing.
        let _ = std::fs::remove_file(late.file(&self.folder));
    }
}

impl Writer {
    /// Keeps an answer that the ledger could not be told.
    pub(super) fn keep_for_later(&mut self, late: SpooledAnswer) {
        let Writer { console, spool, .. } = self;
        spool.keep(late, console.world.as_ref());
    }

    /// Takes in what this process and those that are gone could not tell the ledger.
    pub(super) fn take_in_spool(&mut self) -> Result<(), LedgerError> {
        let Writer { console, spool, .. } = self;
        spool.read(&console.id)?;
        self.take_in_late()
    }

    /// Takes in the answers that the ledger could not be told.
    ///
    /// # Errors
    /// When it still cannot: they are kept.
    pub fn take_in_late(&mut self) -> Result<(), LedgerError> {
        let mut waiting = std::mem::take(&mut self.spool.late).into_iter();
        while let Some(late) = waiting.next() {
            match self.take_in(&late) {
                Ok(true) => self.spool.remove(&late),
                Ok(false) => self.spool.late.push(late),
                Err(error) => {
                    self.spool.late.push(late);
                    self.spool.late.extend(waiting);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Whether it is done with: not while somebody else looks after the batch.
    fn take_in(&mut self, late: &SpooledAnswer) -> Result<bool, LedgerError> {
        if !location::try_hold(&self.db, -late.batch)? {
            return Ok(false);
        }
        let done = self.settle_late(late);
        location::let_go(&self.db, -late.batch)?;
        done.map(|()| true)
    }

    fn settle_late(&mut self, late: &SpooledAnswer) -> Result<(), LedgerError> {
        // Settled by others, or never claimed at all.
        let Some(open) = self
            .without_answer(late.batch)?
            .filter(|open| open.held.request == late.request)
        else {
            return Ok(());
        };
        let first = late.first && open.state == State::Claimed;
        let held = open.only(&late.members);
        match self.record_answer(&held, &late.answer, first, Instant(late.at)) {
            // Another one did at this moment.
            Err(LedgerError::Overtaken(_)) => Ok(()),
            other => other,
        }
    }
}
