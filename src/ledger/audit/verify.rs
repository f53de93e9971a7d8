//! The proof that the tables are what the records made of them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::base::Msg;
use crate::ledger::access::core::LedgerReader;
use crate::ledger::audit::chain::{ChainEntry, Link, MAIN};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::blob::digest;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::Record;
use crate::ledger::sql::{Connection, SqlRow, SqlValue, ledger_tables};
use crate::msg;

/// Problems that a verification names before it stops looking.
const MAX_PROBLEMS: usize = 20;

/// What a verification found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verified {
    pub records: u64,
    /// The end of each writer's chain: two copies with the same ones have the same history.
    pub heads: Vec<Head>,
    /// Empty: everything is as it was written.
    pub problems: Vec<Msg>,
}

/// The end of a writer's chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Head {
    pub writer: String,
    pub records: i64,
    pub digest: String,
}

impl LedgerReader {
    /// Reads every record again: whether the chain is whole, whether the columns are what their
    /// digests say, and whether the tables are what the records make.
    ///
    /// # Errors
    /// When the file cannot be read at all; what is merely wrong is in the answer.
    pub fn verify(&self) -> Result<Verified, LedgerError> {
        let tx = self.db.unchecked_transaction()?;
        let mut problems = Problems::default();
        let again = ledger_tables::tables_in_memory()?;
        let tables = Projection {
            db: &again,
            blobs: &tx,
        };
        let (records, heads) = check_chains(&tx, &tables, &mut problems)?;
        check_blobs(&tx, &mut problems)?;
        for (table, key) in ledger_tables::PROJECTIONS {
            compare(table, key, &tx, &again, &mut problems)?;
        }
        Ok(Verified {
            records,
            heads,
            problems: problems.0,
        })
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

/// Follows the chains and carries their records out, in the order in which they were written, on
/// the empty `tables`.
fn check_chains(
    db: &Connection,
    tables: &Projection,
    problems: &mut Problems,
) -> Result<(u64, Vec<Head>), LedgerError> {
    let mut select = db.prepare_cached(
        "SELECT seq, writer, n, at, kind, payload, prev, digest FROM audit ORDER BY seq",
    )?;
    let mut rows = select.query(())?;
    let mut chains: BTreeMap<String, Link> = BTreeMap::new();
    let (mut records, mut before) = (0, String::from("the first"));
    while let Some(row) = rows.next()? {
        records += 1;
        let Ok(line) = ChainEntry::of_row(&row) else {
            problems.add(msg!(
                "a record after {before} cannot be read",
                "{before} 之后的记录无法读取"
            ));
            continue;
        };
        let ChainEntry { writer, n, .. } = &line;
        let name = if writer == MAIN {
            n.to_string()
        } else {
            format!("{n} of {writer}")
        };
        let last = chains.get(writer).cloned().unwrap_or(Link {
            writer: writer.clone(),
            n: 0,
            digest: String::new(),
        });
        if *n != last.n + 1 {
            problems.add(msg!(
                "records {0} to {1} of `{writer}` are missing",
                "`{writer}` 缺少第 {0} 至第 {1} 条记录",
                last.n + 1,
                n - 1
            ));
        }
        if line.prev != last.digest || line.digest != line.expected() {
            problems.add(msg!(
                "record {name} is not what was written",
                "第 {name} 条记录与写入时不符"
            ));
        }
        match serde_json::from_str::<Vec<Record>>(&line.payload) {
            Ok(records) => {
                if let Some(error) = records.iter().find_map(|r| tables.apply(r, line.at).err()) {
                    let said = error.message();
                    problems.add(Msg {
                        en: format!(
                            "record {name} does not follow from those before it: {}",
                            said.en
                        ),
                        zh: format!("第 {name} 条记录与之前的记录不相符：{}", said.zh),
                    });
                }
            }
            Err(e) => problems.add(msg!(
                "record {name} cannot be read: {e}",
                "第 {name} 条记录无法读取：{e}"
            )),
        }
        chains.insert(
            writer.clone(),
            Link {
                writer: writer.clone(),
                n: *n,
                digest: line.digest.clone(),
            },
        );
        before = name;
    }
    let heads = chains
        .into_iter()
        .map(|(writer, link)| Head {
            writer,
            records: link.n,
            digest: link.digest,
        })
        .collect();
    Ok((records, heads))
}

/// Each column has the digest that it is kept under, and each that a table names is there.
fn check_blobs(db: &Connection, problems: &mut Problems) -> Result<(), LedgerError> {
    let mut select = db.prepare_cached("SELECT digest, data FROM blob")?;
    let mut rows = select.query(())?;
    while let Some(row) = rows.next()? {
        let said: String = row.get(0).unwrap_or_default();
        let bytes = row.get::<Vec<u8>>(1).map(|bytes| digest(&bytes));
        if bytes.ok().as_ref() != Some(&said) {
            let short = said.get(..12).unwrap_or(&said);
            problems.add(msg!(
                "column {short} is not what was written",
                "列 {short} 与写入时不符"
            ));
        }
    }
    let named = "SELECT members AS digest FROM stopped UNION SELECT members FROM arm UNION SELECT users FROM segment
        UNION SELECT addresses FROM segment WHERE run NOT IN (SELECT run FROM forgotten)
        UNION SELECT contents FROM segment WHERE run NOT IN (SELECT run FROM forgotten) UNION SELECT sources FROM program
        UNION SELECT ids FROM batch JOIN segment USING (segment) WHERE ids IS NOT NULL AND run NOT IN (SELECT run FROM forgotten) UNION SELECT event_values FROM wait
        UNION SELECT body FROM inbox WHERE coalesce(readable, 0) <> 1";
    let sql = format!(
        "SELECT digest FROM ({named}) AS named WHERE digest NOT IN (SELECT digest FROM blob)"
    );
    for missing in db
        .prepare_cached(&sql)?
        .query_map((), |row| row.get::<String>(0))?
    {
        let missing = missing?;
        let short = missing.get(..12).unwrap_or(&missing);
        problems.add(msg!("column {short} is missing", "缺少列 {short}"));
    }
    Ok(())
}

/// Names the rows of a table that differ from those that the records make.
fn compare(
    table: &str,
    key: &str,
    db: &Connection,
    again: &Connection,
    problems: &mut Problems,
) -> Result<(), LedgerError> {
    let sql = format!("SELECT {key}, * FROM {table} ORDER BY {key}");
    let keys = key.split(", ").count();
    let (mut found, mut made) = (db.prepare_cached(&sql)?, again.prepare_cached(&sql)?);
    let (mut found, mut made) = (found.query(())?, made.query(())?);
    loop {
        match (found.next()?, made.next()?) {
            (None, None) => return Ok(()),
            (Some(row), Some(expected)) => {
                let differs = (0..row.width().max(expected.width()))
                    .any(|i| row.value(i).ok() != expected.value(i).ok());
                if differs {
                    let which = key_text(&row, keys);
                    problems.add(msg!(
                        "row {which} of `{table}` is not what the records make",
                        "`{table}` 的行 {which} 与记录不符"
                    ));
                    if key_text(&expected, keys) != which {
                        return Ok(()); // A row too many or too few: the others are shifted.
                    }
                }
            }
            (Some(row), None) => {
                let which = key_text(&row, keys);
                problems.add(msg!(
                    "row {which} of `{table}` is in no record",
                    "`{table}` 的行 {which} 没有对应的记录"
                ));
                return Ok(());
            }
            (None, Some(expected)) => {
                let which = key_text(&expected, keys);
                problems.add(msg!(
                    "row {which} of `{table}` is missing",
                    "缺少 `{table}` 的行 {which}"
                ));
                return Ok(());
            }
        }
    }
}

fn key_text(row: &SqlRow, keys: usize) -> String {
    let parts: Vec<String> = (0..keys)
        .map(|i| match row.value(i) {
            Ok(SqlValue::Int(n)) => n.to_string(),
            Ok(SqlValue::Text(t)) => t.to_owned(),
            _ => "?".into(),
        })
        .collect();
    parts.join("/")
}
