//! An open database: SQLite, a file of its own, or PostgreSQL, a server that several workers share.

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Deref;

use super::dialect::Dialect;
use super::error::Result;
use super::server::PostgresServer;
use super::sql_value::Params;
use super::statement::{SqlRow, Statement};

/// Rows of numbers that one statement adds to a file.
const ROWS_TOGETHER: usize = 32;

/// A database that is open, for one thread at a time.
pub(in crate::ledger) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<PostgresServer>),
}

impl Connection {
    /// Connects to a server.
    pub fn to_server(url: &str) -> Result<Connection> {
        Ok(Connection::Postgres(Box::new(PostgresServer::connect(
            url,
        )?)))
    }

    /// How its SQL is written.
    pub fn dialect(&self) -> Dialect {
        match self {
            Connection::Sqlite(_) => Dialect::Sqlite,
            Connection::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Whether the connection is gone, and with it all that was held by it.
    pub fn is_lost(&self) -> bool {
        match self {
            Connection::Sqlite(_) => false,
            Connection::Postgres(server) => server.is_closed(),
        }
    }

    /// The statement, read once.
    pub fn prepare_cached(&self, sql: impl AsRef<str>) -> Result<Statement<'_>> {
        let sql = sql.as_ref();
        match self {
            Connection::Sqlite(db) => Ok(Statement::Sqlite(db.prepare_cached(sql)?)),
            Connection::Postgres(server) => {
                let known = server.statements.borrow().get(sql).cloned();
                let statement = match known {
                    Some(known) => known,
                    None => {
                        let text = Dialect::Postgres.with_parameters(sql);
                        let new = server.client.borrow_mut().prepare(&text);
                        let new = server.note(new)?;
                        server
                            .statements
                            .borrow_mut()
                            .insert(sql.to_owned(), new.clone());
                        new
                    }
                };
                Ok(Statement::Postgres { server, statement })
            }
        }
    }

    pub fn query_row<T>(
        &self,
        sql: impl AsRef<str>,
        params: impl Params,
        read: impl FnOnce(&SqlRow) -> Result<T>,
    ) -> Result<T> {
        self.prepare_cached(sql)?.query_row(params, read)
    }

    /// Several statements without parameters.
    pub fn execute_batch(&self, sql: &str) -> Result<()> {
        match self {
            Connection::Sqlite(db) => Ok(db.execute_batch(sql)?),
            Connection::Postgres(server) => {
                let done = server.client.borrow_mut().batch_execute(sql);
                server.note(done)
            }
        }
    }

    /// Adds rows of numbers to a table, as many as there are.
    pub fn insert_numbers<const N: usize>(
        &self,
        table: &str,
        columns: [&str; N],
        rows: impl Iterator<Item = [Option<i64>; N]>,
    ) -> Result<()> {
        let names = columns.join(", ");
        match self {
            Connection::Sqlite(db) => {
                // Several rows a statement: most of the cost of one is the statement's.
                let row = format!("({})", vec!["?"; N].join(", "));
                let values = |n: usize| {
                    format!(
                        "INSERT INTO {table} ({names}) VALUES {}",
                        vec![row.as_str(); n].join(", ")
                    )
                };
                let rows: Vec<[Option<i64>; N]> = rows.collect();
                let (chunks, rest) = rows.as_chunks::<ROWS_TOGETHER>();
                let insert = |together: usize, rows: &[[Option<i64>; N]]| -> Result<()> {
                    let mut insert = db.prepare_cached(&values(together))?;
                    for some in rows.chunks(together) {
                        for (i, value) in some.as_flattened().iter().enumerate() {
                            insert.raw_bind_parameter(i + 1, value)?;
                        }
                        insert.raw_execute()?;
                    }
                    Ok(())
                };
                insert(ROWS_TOGETHER, chunks.as_flattened())?;
                insert(1, rest)
            }
            Connection::Postgres(server) => {
                let mut text = String::new();
                for row in rows {
                    for (i, value) in row.iter().enumerate() {
                        let _ = match value {
                            Some(n) => write!(text, "{}{n}", if i > 0 { "\t" } else { "" }),
                            None => write!(text, "{}\\N", if i > 0 { "\t" } else { "" }),
                        };
                    }
                    text.push('\n');
                }
                let mut client = server.client.borrow_mut();
                let mut writer =
                    server.note(client.copy_in(&format!("COPY {table} ({names}) FROM STDIN")))?;
                // What cannot be written here ends in an error of `finish`.
                let _ = writer.write_all(text.as_bytes());
                server.note(writer.finish()).map(drop)
            }
        }
    }

    /// All that is read through it is of one moment, and all that is written becomes durable
    /// together when it is committed.
    pub fn transaction(&self) -> Result<Transaction<'_>> {
        self.begin(match self {
            Connection::Sqlite(_) => "BEGIN IMMEDIATE",
            Connection::Postgres(_) => "BEGIN",
        })
    }

    /// A transaction that only reads.
    pub fn unchecked_transaction(&self) -> Result<Transaction<'_>> {
        self.begin(match self {
            Connection::Sqlite(_) => "BEGIN",
            Connection::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        })
    }

    fn begin(&self, how: &str) -> Result<Transaction<'_>> {
        self.execute_batch(how)?;
        Ok(Transaction {
            db: self,
            open: true,
        })
    }
}

pub(in crate::ledger) struct Transaction<'c> {
    db: &'c Connection,
    open: bool,
}

impl Transaction<'_> {
    pub fn commit(mut self) -> Result<()> {
        self.db.execute_batch("COMMIT")?;
        self.open = false;
        Ok(())
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.open {
            // Where it cannot be said, the connection is gone and the transaction with it.
            let _ = self.db.execute_batch("ROLLBACK");
        }
    }
}
