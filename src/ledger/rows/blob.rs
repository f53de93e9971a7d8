//! Columns of a plan under their digests: written once, checked whenever they are read.

use crate::ledger::sql::{self, Connection, OptionalExtension, params};

use crate::ledger::error::LedgerError;
use crate::msg;

pub(in crate::ledger) struct Blob {
    pub digest: String,
    data: Vec<u8>,
}

impl Blob {
    pub fn new(data: Vec<u8>) -> Self {
        Blob {
            digest: digest(&data),
            data,
        }
    }

    pub fn put(&self, db: &Connection) -> sql::Result<()> {
        let mut insert = db.prepare_cached(
            "INSERT INTO blob (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING",
        )?;
        insert.execute(params![self.digest, self.data]).map(drop)
    }
}

pub(in crate::ledger) fn digest(data: &[u8]) -> String {
    blake3::hash(data).to_hex().to_string()
}

/// # Errors
/// When it is not there or is not what it was.
pub(in crate::ledger) fn load(db: &Connection, digest: &str) -> Result<Vec<u8>, LedgerError> {
    let mut select = db.prepare_cached("SELECT data FROM blob WHERE digest = ?")?;
    let data: Option<Vec<u8>> = select.query_row([digest], |row| row.get(0)).optional()?;
    data.filter(|data| self::digest(data) == digest)
        .ok_or_else(|| damaged(digest))
}

/// The error for bytes that cannot be read as what they were written as.
pub(in crate::ledger) fn damaged(digest: &str) -> LedgerError {
    let short = digest.get(..12).unwrap_or(digest);
    LedgerError::Damaged(msg!(
        "column {short} is not what was written",
        "列 {short} 与写入时不符"
    ))
}

/// An id of a platform as the ledger keeps it: long ids are no longer than short ones, and none of
/// them stands in the audit.
pub(in crate::ledger) fn id_digest(account: &str, id: &str) -> String {
    let mut digest = self::digest(format!("{account}\n{id}").as_bytes());
    digest.truncate(32);
    digest
}
