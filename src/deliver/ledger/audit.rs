//! The chain of records, and the proof that the tables are what the records made of them.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::bulk::digest;
use super::error::LedgerError;
use super::project::Tables;
use super::record::Record;
use super::{Ledger, schema};
use crate::base::Instant;
use crate::diag::Msg;
use crate::msg;

/// There is one writer; with several each has its own chain.
pub(super) const WRITER: &str = "main";
/// Problems that a verification names before it stops looking.
const MAX_PROBLEMS: usize = 20;

/// A place in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    pub n: i64,
    pub digest: String,
}

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    pub records: u64,
    /// Digest of the last record: two copies with the same one have the same history.
    pub head: String,
    /// Empty: everything is as it was written.
    pub problems: Vec<Msg>,
}

fn chained(prev: &str, writer: &str, n: i64, at: i64, kind: &str, payload: &str) -> String {
    digest(format!("{prev}\n{writer}\n{n}\n{at}\n{kind}\n{payload}").as_bytes())
}

/// The end of the chain.
pub(super) fn last(db: &Connection) -> Result<Link, LedgerError> {
    let mut select = db.prepare_cached("SELECT n, digest FROM audit ORDER BY n DESC LIMIT 1")?;
    let found = select.query_row([], |row| Ok(Link { n: row.get(0)?, digest: row.get(1)? })).optional()?;
    Ok(found.unwrap_or(Link { n: 0, digest: String::new() }))
}

pub(super) fn digest_of(db: &Connection, n: i64) -> Result<Option<String>, LedgerError> {
    Ok(db.query_row("SELECT digest FROM audit WHERE n = ?", [n], |row| row.get(0)).optional()?)
}

/// Adds the records of a transaction as one link.
pub(super) fn append(db: &Connection, at: Instant, kind: &str, records: &[Record]) -> Result<Link, LedgerError> {
    let prev = last(db)?;
    let payload =
        serde_json::to_string(records).map_err(|e| LedgerError::Damaged(msg!("a record has no text: {e}", "记录无法写成文本：{e}")))?;
    let n = prev.n + 1;
    let digest = chained(&prev.digest, WRITER, n, at.0, kind, &payload);
    db.prepare_cached("INSERT INTO audit (n, writer, at, kind, payload, prev, digest) VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
        n,
        WRITER,
        at.0,
        kind,
        payload,
        prev.digest,
        digest
    ])?;
    Ok(Link { n, digest })
}

impl Ledger {
    /// Reads every record again: whether the chain is whole, whether the columns are what their digests say, and whether the tables are
    /// what the records make.
    ///
    /// # Errors
    /// When the file cannot be read at all; what is merely wrong is in the answer.
    pub fn verify(&self) -> Result<Verified, LedgerError> {
        let tx = self.db.unchecked_transaction()?;
        let mut problems = Problems::default();
        let again = Connection::open_in_memory()?;
        schema::create_tables(&again)?;
        let tables = Tables { db: &again, bulk: &tx };
        let head = check_chain(&tx, &tables, &mut problems)?;
        check_bulk(&tx, &mut problems)?;
        for (table, key) in schema::PROJECTIONS {
            compare(table, key, &tx, &again, &mut problems)?;
        }
        Ok(Verified { records: head.n.unsigned_abs(), head: head.digest, problems: problems.0 })
    }
}

#[derive(Default)]
struct Problems(Vec<Msg>);

impl Problems {
    fn add(&mut self, problem: Msg) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(problem);
        }
    }
}

/// Follows the chain and carries its records out on the empty `tables`.
fn check_chain(db: &Connection, tables: &Tables, problems: &mut Problems) -> Result<Link, LedgerError> {
    let mut select = db.prepare("SELECT n, writer, at, kind, payload, prev, digest FROM audit ORDER BY n")?;
    let mut rows = select.query([])?;
    let mut before = Link { n: 0, digest: String::new() };
    while let Some(row) = rows.next()? {
        let (n, link, payload, at) = match read_link(row) {
            Ok(read) => read,
            Err(_) => {
                problems.add(msg!("a record after number {0} cannot be read", "第 {0} 条之后的记录无法读取", before.n));
                continue;
            }
        };
        if n != before.n + 1 {
            problems.add(msg!("records {0} to {1} are missing", "缺少第 {0} 至第 {1} 条记录", before.n + 1, n - 1));
        }
        if link.prev != before.digest || link.digest != link.expected {
            problems.add(msg!("record {n} is not what was written", "第 {n} 条记录与写入时不符"));
        }
        before = Link { n, digest: link.digest };
        match serde_json::from_str::<Vec<Record>>(&payload) {
            Ok(records) => {
                if let Some(error) = records.iter().find_map(|r| tables.apply(r, at).err()) {
                    let said = error.message();
                    problems.add(Msg {
                        en: format!("record {n} does not follow from those before it: {}", said.en),
                        zh: format!("第 {n} 条记录与之前的记录不相符：{}", said.zh),
                    });
                }
            }
            Err(e) => problems.add(msg!("record {n} cannot be read: {e}", "第 {n} 条记录无法读取：{e}")),
        }
    }
    Ok(before)
}

struct Read {
    prev: String,
    digest: String,
    expected: String,
}

fn read_link(row: &Row) -> rusqlite::Result<(i64, Read, String, i64)> {
    let (n, writer, at, kind): (i64, String, i64, String) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
    let (payload, prev, digest): (String, String, String) = (row.get(4)?, row.get(5)?, row.get(6)?);
    let expected = chained(&prev, &writer, n, at, &kind, &payload);
    Ok((n, Read { prev, digest, expected }, payload, at))
}

/// Each column has the digest that it is kept under, and each that a table names is there.
fn check_bulk(db: &Connection, problems: &mut Problems) -> Result<(), LedgerError> {
    let mut select = db.prepare("SELECT digest, data FROM bulk")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0).unwrap_or_default();
        if row.get_ref(1)?.as_bytes().map(digest).ok().as_ref() != Some(&said) {
            let short = said.get(..12).unwrap_or(&said);
            problems.add(msg!("column {short} is not what was written", "列 {short} 与写入时不符"));
        }
    }
    let named = "SELECT members AS digest FROM stopped UNION SELECT members FROM arm UNION SELECT users FROM segment
        UNION SELECT addresses FROM segment UNION SELECT contents FROM segment UNION SELECT sources FROM program
        UNION SELECT ids FROM batch WHERE ids IS NOT NULL UNION SELECT vals FROM wait";
    let sql = format!("SELECT digest FROM ({named}) WHERE digest NOT IN (SELECT digest FROM bulk)");
    for missing in db.prepare(&sql)?.query_map([], |row| row.get::<_, String>(0))? {
        let missing = missing?;
        let short = missing.get(..12).unwrap_or(&missing);
        problems.add(msg!("column {short} is missing", "缺少列 {short}"));
    }
    Ok(())
}

/// Names the rows of a table that differ from those that the records make.
fn compare(table: &str, key: &str, db: &Connection, again: &Connection, problems: &mut Problems) -> Result<(), LedgerError> {
    let sql = format!("SELECT {key}, * FROM {table} ORDER BY {key}");
    let keys = key.split(", ").count();
    let (mut found, mut made) = (db.prepare(&sql)?, again.prepare(&sql)?);
    let width = found.column_count();
    let (mut found, mut made) = (found.query([])?, made.query([])?);
    loop {
        match (found.next()?, made.next()?) {
            (None, None) => return Ok(()),
            (Some(row), Some(expected)) => {
                let differs = (0..width).any(|i| row.get_ref(i).ok() != expected.get_ref(i).ok());
                if differs {
                    let which = key_text(row, keys);
                    problems.add(msg!("row {which} of `{table}` is not what the records make", "`{table}` 的行 {which} 与记录不符"));
                    if key_text(expected, keys) != which {
                        return Ok(()); // A row too many or too few: the others are shifted.
                    }
                }
            }
            (Some(row), None) => {
                let which = key_text(row, keys);
                problems.add(msg!("row {which} of `{table}` is in no record", "`{table}` 的行 {which} 没有对应的记录"));
                return Ok(());
            }
            (None, Some(expected)) => {
                let which = key_text(expected, keys);
                problems.add(msg!("row {which} of `{table}` is missing", "缺少 `{table}` 的行 {which}"));
                return Ok(());
            }
        }
    }
}

fn key_text(row: &Row, keys: usize) -> String {
    let parts: Vec<String> = (0..keys)
        .map(|i| match row.get_ref(i) {
            Ok(ValueRef::Integer(n)) => n.to_string(),
            Ok(ValueRef::Text(t)) => String::from_utf8_lossy(t).into_owned(),
            _ => "?".into(),
        })
        .collect();
    parts.join("/")
}
