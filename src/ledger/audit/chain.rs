//! The chains of records, one a writer: each record has the digest of the one before.

use crate::base::Instant;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob::digest;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::{self, Connection, OptionalExtension, SqlRow, ledger_tables, params};
use crate::msg;

/// The chain of the process that decides.
pub(in crate::ledger) const MAIN: &str = "main";
/// The chain of people at the command line.
pub(in crate::ledger) const CONSOLE: &str = "console";

/// A place in a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ledger) struct Link {
    pub writer: String,
    pub n: i64,
    pub digest: String,
}

/// A record as it lies in the table.
pub(in crate::ledger) struct ChainEntry {
    pub seq: i64,
    pub writer: String,
    pub n: i64,
    pub at: i64,
    pub kind: String,
    pub payload: String,
    pub prev: String,
    pub digest: String,
}

impl ChainEntry {
    pub fn of_row(row: &SqlRow) -> sql::Result<ChainEntry> {
        Ok(ChainEntry {
            seq: row.get(0)?,
            writer: row.get(1)?,
            n: row.get(2)?,
            at: row.get(3)?,
            kind: row.get(4)?,
            payload: row.get(5)?,
            prev: row.get(6)?,
            digest: row.get(7)?,
        })
    }

    /// What the digest must be. A record's place among those of all writers is said where it is not
    /// its place in its own chain.
    pub fn expected(&self) -> String {
        let ChainEntry {
            seq,
            writer,
            n,
            at,
            kind,
            payload,
            prev,
            digest: _,
        } = self;
        let place = if seq == n {
            n.to_string()
        } else {
            format!("{n} {seq}")
        };
        digest(format!("{prev}\n{writer}\n{place}\n{at}\n{kind}\n{payload}").as_bytes())
    }
}

/// The end of a writer's chain.
pub(in crate::ledger) fn last(db: &Connection, writer: &str) -> Result<Link, LedgerError> {
    let mut select =
        db.prepare_cached("SELECT n, digest FROM audit WHERE writer = ? ORDER BY n DESC LIMIT 1")?;
    let found = select
        .query_row([writer], |row| {
            Ok(Link {
                writer: writer.into(),
                n: row.get(0)?,
                digest: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or(Link {
        writer: writer.into(),
        n: 0,
        digest: String::new(),
    }))
}

pub(in crate::ledger) fn digest_of(
    db: &Connection,
    writer: &str,
    n: i64,
) -> Result<Option<String>, LedgerError> {
    let mut select = db.prepare_cached("SELECT digest FROM audit WHERE writer = ? AND n = ?")?;
    Ok(select
        .query_row(params![writer, n], |row| row.get(0))
        .optional()?)
}

/// Adds the records of a transaction as one link to a writer's chain.
pub(in crate::ledger) fn append(
    db: &Connection,
    writer: &str,
    at: Instant,
    kind: &str,
    records: &[Record],
) -> Result<Link, LedgerError> {
    let payload = serde_json::to_string(records).map_err(|e| {
        LedgerError::Damaged(msg!("a record has no text: {e}", "记录无法写成文本：{e}"))
    })?;
    if let (Connection::Postgres(_), CONSOLE) = (db, writer) {
        // Several people may be at their command lines.
        db.query_row(
            "SELECT CAST(pg_advisory_xact_lock(29793, 1001) AS TEXT)",
            (),
            |_| Ok(()),
        )?;
    }
    let before = last(db, writer)?;
    let seq = ledger_tables::next_id(db, "audit")?;
    let (writer, kind) = (writer.to_owned(), kind.to_owned());
    let mut line = ChainEntry {
        seq,
        writer,
        n: before.n + 1,
        at: at.0,
        kind,
        payload,
        prev: before.digest,
        digest: String::new(),
    };
    line.digest = line.expected();
    let sql = "INSERT INTO audit (seq, writer, n, at, kind, payload, prev, digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    let ChainEntry {
        seq,
        writer,
        n,
        at,
        kind,
        payload,
        prev,
        digest,
    } = &line;
    db.prepare_cached(sql)?
        .execute(params![seq, writer, n, at, kind, payload, prev, digest])?;
    Ok(Link {
        writer: line.writer,
        n: line.n,
        digest: line.digest,
    })
}
