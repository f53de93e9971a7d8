//! How far sends have come, outside the ledger: a ledger that does not know the last of them
//! is an old copy, and sends nothing.
//!
//! The file has two slots that are written in turn, so that a torn write leaves the other. A file
//! of which nothing can be read says only that sends were made, and stops any ledger.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::ledger::sql::Connection;

use crate::ledger::audit::chain::{self, Link};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob::digest;

const SLOT: usize = 192;

pub(in crate::ledger) struct Fence {
    path: PathBuf,
    mark: Option<Mark>,
    /// Something is written there, and nothing of it can be read.
    unreadable: bool,
}

/// The link of the audit chain that was the last when something was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Mark {
    ledger: String,
    link: Link,
}

impl Mark {
    fn to_slot(&self) -> Vec<u8> {
        let Link {
            writer,
            n,
            digest: head,
        } = &self.link;
        let text = format!("{} {n} {head} {writer}", self.ledger);
        let line = format!("{text} {}", &digest(text.as_bytes())[..16]);
        format!("{line:<width$}\n", width = SLOT - 1).into_bytes()
    }

    fn of_slot(slot: &[u8]) -> Option<Mark> {
        let line = std::str::from_utf8(slot).ok()?.trim_end();
        let (text, check) = line.rsplit_once(' ')?;
        if digest(text.as_bytes()).get(..16) != Some(check) {
            return None;
        }
        // A fence of an earlier version names no writer: there was one.
        let mut words = text.splitn(4, ' ');
        let (ledger, n, head) = (words.next()?, words.next()?, words.next()?);
        Some(Mark {
            ledger: ledger.into(),
            link: Link {
                writer: words.next().unwrap_or(chain::MAIN).into(),
                n: n.parse().ok()?,
                digest: head.into(),
            },
        })
    }
}

impl Fence {
    pub fn at(path: PathBuf) -> Result<Self, LedgerError> {
        let mut data = Vec::new();
        match File::open(&path) {
            Ok(mut file) => file
                .read_to_end(&mut data)
                .map(drop)
                .map_err(|e| LedgerError::io(&path, e))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(LedgerError::io(&path, e)),
        }
        let mark = data
            .chunks(SLOT)
            .filter_map(Mark::of_slot)
            .max_by_key(|mark| mark.link.n);
        // A first write that a crash cut off before its first byte leaves nothing, or zeros.
        let unreadable = mark.is_none() && data.iter().any(|byte| *byte != 0);
        Ok(Fence {
            path,
            mark,
            unreadable,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_raised(&self) -> bool {
        self.mark.is_some() || self.unreadable
    }

    /// Whether the ledger lacks what the fence knows.
    pub fn stops(&self, ledger: &str, db: &Connection) -> Result<bool, LedgerError> {
        let Some(mark) = &self.mark else {
            return Ok(self.unreadable);
        };
        Ok(mark.ledger != ledger
            || chain::digest_of(db, &mark.link.writer, mark.link.n)?.as_ref()
                != Some(&mark.link.digest))
    }

    pub fn error(&self, ledger: &Path) -> LedgerError {
        LedgerError::Fenced {
            ledger: ledger.into(),
            fence: self.path.clone(),
            unreadable: self.unreadable,
        }
    }

    /// Moves the mark to `link`, durably.
    pub fn raise(&mut self, ledger: &str, link: &Link) -> Result<(), LedgerError> {
        let mark = Mark {
            ledger: ledger.into(),
            link: link.clone(),
        };
        self.write(&mark)
            .map_err(|e| LedgerError::io(&self.path, e))?;
        self.mark = Some(mark);
        Ok(())
    }

    /// Puts the mark back to `link`, on a person's word.
    pub fn put_back(&mut self, ledger: &str, link: &Link) -> Result<(), LedgerError> {
        let mark = Mark {
            ledger: ledger.into(),
            link: link.clone(),
        };
        let new = self.path.with_extension("highwater.new");
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(&mark.to_slot())?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            self.path
                .parent()
                .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
        };
        write().map_err(|e| LedgerError::io(&self.path, e))?;
        (self.mark, self.unreadable) = (Some(mark), false);
        Ok(())
    }

    fn write(&self, mark: &Mark) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        let slot = (mark.link.n.rem_euclid(2)) as u64;
        file.seek(SeekFrom::Start(slot * SLOT as u64))?;
        file.write_all(&mark.to_slot())?;
        file.sync_data()?;
        if self.mark.is_none()
            && let Some(dir) = self.path.parent()
        {
            File::open(dir)?.sync_all()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_slot_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.highwater");
        let mut fence = Fence::at(path.clone()).unwrap();
        let link = |n| Link {
            writer: "main".into(),
            n,
            digest: "d".repeat(64),
        };
        for n in [3, 4] {
            fence.raise("abc", &link(n)).unwrap();
        }
        assert_eq!(Fence::at(path.clone()).unwrap().mark.unwrap().link, link(4));
        let mut data = std::fs::read(&path).unwrap();
        data[10] ^= 1;
        std::fs::write(&path, data).unwrap();
        assert_eq!(Fence::at(path.clone()).unwrap().mark.unwrap().link, link(3));
        // With both gone nobody knows how far it was; a write that never began says nothing.
        for (content, raised) in [
            (&b"garbage"[..], true),
            (&[b' '; SLOT * 2], true),
            (&[0; SLOT], false),
            (b"", false),
        ] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(
                Fence::at(path.clone()).unwrap().is_raised(),
                raised,
                "{content:?}"
            );
        }
    }
}
