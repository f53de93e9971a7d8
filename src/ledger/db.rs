//! One door to two databases: SQLite, a file of its own, and PostgreSQL, a server that several
//! workers share.
//!
//! The ledger's SQL is written once, in what both understand. Parameters are `?` or `?1`; what
//! SQLite calls otherwise than PostgreSQL is translated here, and the two functions that PostgreSQL
//! lacks are made with its tables.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Deref;

use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// Rows of numbers that one statement adds to a file.
const ROWS_TOGETHER: usize = 32;

/// A database that is open, for one thread at a time.
pub(super) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<PostgresServer>),
}

pub(super) struct PostgresServer {
    client: RefCell<postgres::Client>,
    statements: RefCell<HashMap<String, postgres::Statement>>,
    closed: Cell<bool>,
}

#[derive(Debug)]
pub enum Error {
    Sqlite(rusqlite::Error),
    Postgres(postgres::Error),
    /// A row that must be there is not.
    NoRow,
    /// A column holds something else than it must.
    Column(usize),
}

pub(super) type Result<T> = std::result::Result<T, Error>;

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error {
            rusqlite::Error::QueryReturnedNoRows => Error::NoRow,
            other => Error::Sqlite(other),
        }
    }
}

impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        Error::Postgres(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Sqlite(error) => error.fmt(f),
            Error::Postgres(error) => match error.as_db_error() {
                Some(said) => f.write_str(said.message()),
                None => error.fmt(f),
            },
            Error::NoRow => f.write_str("a row is missing"),
            Error::Column(i) => write!(f, "column {i} holds something else"),
        }
    }
}

pub(super) trait OptionalExtension<T> {
    /// `None` where there is no such row.
    fn optional(self) -> Result<Option<T>>;
}

impl<T> OptionalExtension<T> for Result<T> {
    fn optional(self) -> Result<Option<T>> {
        match self {
            Ok(found) => Ok(Some(found)),
            Err(Error::NoRow) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

// ------------------------------------------------------------------ values

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum SqlValue<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Blob(&'a [u8]),
}

pub(super) trait ToValue {
    fn value(&self) -> SqlValue<'_>;
}

pub(super) trait FromValue: Sized {
    fn of(value: SqlValue) -> Option<Self>;
}

macro_rules! whole_numbers {
    ($($t:ty),*) => {$(
        impl ToValue for $t {
            fn value(&self) -> SqlValue<'_> {
                SqlValue::Int(i64::from(*self))
            }
        }
        impl FromValue for $t {
            fn of(value: SqlValue) -> Option<Self> {
                if let SqlValue::Int(n) = value { <$t>::try_from(n).ok() } else { None }
            }
        }
    )*};
}
whole_numbers!(i64, i32, u32);

impl FromValue for usize {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Int(n) = value {
            usize::try_from(n).ok()
        } else {
            None
        }
    }
}

impl ToValue for bool {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Int(i64::from(*self))
    }
}

impl FromValue for bool {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Int(n) = value {
            Some(n != 0)
        } else {
            None
        }
    }
}

impl ToValue for str {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Text(self)
    }
}

impl ToValue for String {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Text(self)
    }
}

impl FromValue for String {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Text(text) = value {
            Some(text.to_owned())
        } else {
            None
        }
    }
}

impl ToValue for Vec<u8> {
    fn value(&self) -> SqlValue<'_> {
        SqlValue::Blob(self)
    }
}

impl FromValue for Vec<u8> {
    fn of(value: SqlValue) -> Option<Self> {
        if let SqlValue::Blob(bytes) = value {
            Some(bytes.to_vec())
        } else {
            None
        }
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn value(&self) -> SqlValue<'_> {
        self.as_ref().map_or(SqlValue::Null, ToValue::value)
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn of(value: SqlValue) -> Option<Self> {
        if value == SqlValue::Null {
            Some(None)
        } else {
            T::of(value).map(Some)
        }
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn value(&self) -> SqlValue<'_> {
        (**self).value()
    }
}

impl rusqlite::ToSql for SqlValue<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            SqlValue::Null => ValueRef::Null,
            SqlValue::Int(n) => ValueRef::Integer(*n),
            SqlValue::Text(text) => ValueRef::Text(text.as_bytes()),
            SqlValue::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

type Anything = Box<dyn std::error::Error + Sync + Send>;

impl ToSql for SqlValue<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> std::result::Result<IsNull, Anything> {
        match (self, ty) {
            (SqlValue::Null, _) => Ok(IsNull::Yes),
            (SqlValue::Int(n), &Type::INT4) => i32::try_from(*n)?.to_sql(ty, out),
            (SqlValue::Int(n), &Type::INT8) => n.to_sql(ty, out),
            (SqlValue::Int(n), _) => n.to_string().to_sql(ty, out),
            (SqlValue::Text(text), _) => text.to_sql(ty, out),
            (SqlValue::Blob(bytes), _) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for SqlValue<'a> {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, Anything> {
        Ok(match *ty {
            Type::BOOL => SqlValue::Int(i64::from(bool::from_sql(ty, raw)?)),
            Type::INT2 => SqlValue::Int(i64::from(i16::from_sql(ty, raw)?)),
            Type::INT4 => SqlValue::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::INT8 => SqlValue::Int(i64::from_sql(ty, raw)?),
            Type::NUMERIC => SqlValue::Int(whole(raw).ok_or("a number that is not whole")?),
            Type::BYTEA => SqlValue::Blob(raw),
            _ => SqlValue::Text(std::str::from_utf8(raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Self, Anything> {
        Ok(SqlValue::Null)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A sum comes as digits to the base 10,000, the first of weight 10,000 to the `weight`.
fn whole(raw: &[u8]) -> Option<i64> {
    let word = |i: usize| {
        raw.get(2 * i..2 * i + 2)
            .and_then(|b| b.try_into().ok())
            .map(i16::from_be_bytes)
    };
    let (n, weight, sign) = (word(0)?, word(1)?, word(2)?);
    let mut value: i64 = 0;
    for i in 0..=weight {
        let digit = if i < n {
            word(4 + usize::try_from(i).ok()?)?
        } else {
            0
        };
        value = value.checked_mul(10_000)?.checked_add(i64::from(digit))?;
    }
    (n <= weight + 1).then_some(if sign == 0x4000 { -value } else { value })
}

// ------------------------------------------------------------------ parameters

/// What stands for the question marks of a statement.
pub(super) trait Params {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R;
}

impl Params for () {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R {
        f(&[])
    }
}

impl Params for &[&dyn ToValue] {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R {
        let values: Vec<SqlValue> = self.iter().map(|v| v.value()).collect();
        f(&values)
    }
}

impl<T: ToValue, const N: usize> Params for [T; N] {
    fn with<R>(&self, f: impl FnOnce(&[SqlValue]) -> R) -> R {
        f(&self.each_ref().map(ToValue::value))
    }
}

macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$(&$value as &dyn $crate::ledger::db::ToValue),*] as &[&dyn $crate::ledger::db::ToValue] };
}
pub(super) use params;

// ------------------------------------------------------------------ rows

/// A row of an answer.
pub(super) enum SqlRow<'a> {
    Sqlite(&'a rusqlite::Row<'a>),
    Postgres(&'a postgres::Row),
}

impl SqlRow<'_> {
    pub fn value(&self, i: usize) -> Result<SqlValue<'_>> {
        match self {
            SqlRow::Sqlite(row) => match row.get_ref(i)? {
                ValueRef::Null => Ok(SqlValue::Null),
                ValueRef::Integer(n) => Ok(SqlValue::Int(n)),
                ValueRef::Text(bytes) => std::str::from_utf8(bytes)
                    .map(SqlValue::Text)
                    .map_err(|_| Error::Column(i)),
                ValueRef::Blob(bytes) => Ok(SqlValue::Blob(bytes)),
                ValueRef::Real(_) => Err(Error::Column(i)),
            },
            SqlRow::Postgres(row) => Ok(row.try_get(i)?),
        }
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        match self {
            SqlRow::Sqlite(row) => row.as_ref().column_count(),
            SqlRow::Postgres(row) => row.len(),
        }
    }

    pub fn get<T: FromValue>(&self, i: usize) -> Result<T> {
        T::of(self.value(i)?).ok_or(Error::Column(i))
    }
}

/// Rows one after the other. PostgreSQL sends all of them first.
pub(super) enum SqlRows<'s> {
    Sqlite(rusqlite::Rows<'s>),
    Postgres {
        rows: std::vec::IntoIter<postgres::Row>,
        at: Option<postgres::Row>,
    },
}

impl SqlRows<'_> {
    pub fn next(&mut self) -> Result<Option<SqlRow<'_>>> {
        match self {
            SqlRows::Sqlite(rows) => Ok(rows.next()?.map(SqlRow::Sqlite)),
            SqlRows::Postgres { rows, at } => {
                *at = rows.next();
                Ok(at.as_ref().map(SqlRow::Postgres))
            }
        }
    }
}

/// Rows read by a function.
pub(super) struct Mapped<'s, F> {
    rows: SqlRows<'s>,
    read: F,
}

impl<T, F: FnMut(&SqlRow) -> Result<T>> Iterator for Mapped<'_, F> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Result<T>> {
        match self.rows.next() {
            Ok(None) => None,
            Ok(Some(row)) => Some((self.read)(&row)),
            Err(error) => Some(Err(error)),
        }
    }
}

// ------------------------------------------------------------------ statements

pub(super) enum Statement<'c> {
    Sqlite(rusqlite::CachedStatement<'c>),
    Postgres {
        server: &'c PostgresServer,
        statement: postgres::Statement,
    },
}

impl Statement<'_> {
    pub fn query(&mut self, params: impl Params) -> Result<SqlRows<'_>> {
        match self {
            Statement::Sqlite(statement) => {
                params.with(|values| {
                    values
                        .iter()
                        .enumerate()
                        .try_for_each(|(i, value)| statement.raw_bind_parameter(i + 1, value))
                })?;
                Ok(SqlRows::Sqlite(statement.raw_query()))
            }
            Statement::Postgres { server, statement } => {
                let rows = params.with(|values| {
                    let values: Vec<&(dyn ToSql + Sync)> =
                        values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
                    server.client.borrow_mut().query(&*statement, &values)
                });
                Ok(SqlRows::Postgres {
                    rows: server.note(rows)?.into_iter(),
                    at: None,
                })
            }
        }
    }

    pub fn query_map<T, F: FnMut(&SqlRow) -> Result<T>>(
        &mut self,
        params: impl Params,
        read: F,
    ) -> Result<Mapped<'_, F>> {
        Ok(Mapped {
            rows: self.query(params)?,
            read,
        })
    }

    pub fn query_row<T>(
        &mut self,
        params: impl Params,
        read: impl FnOnce(&SqlRow) -> Result<T>,
    ) -> Result<T> {
        match self.query(params)?.next()? {
            Some(row) => read(&row),
            None => Err(Error::NoRow),
        }
    }

    pub fn exists(&mut self, params: impl Params) -> Result<bool> {
        Ok(self.query(params)?.next()?.is_some())
    }

    /// Gives how many rows changed.
    pub fn execute(&mut self, params: impl Params) -> Result<usize> {
        match self {
            Statement::Sqlite(statement) => {
                params.with(|values| {
                    values
                        .iter()
                        .enumerate()
                        .try_for_each(|(i, value)| statement.raw_bind_parameter(i + 1, value))
                })?;
                Ok(statement.raw_execute()?)
            }
            Statement::Postgres { server, statement } => {
                let changed = params.with(|values| {
                    let values: Vec<&(dyn ToSql + Sync)> =
                        values.iter().map(|v| v as &(dyn ToSql + Sync)).collect();
                    server.client.borrow_mut().execute(&*statement, &values)
                });
                Ok(usize::try_from(server.note(changed)?).unwrap_or(usize::MAX))
            }
        }
    }
}

impl PostgresServer {
    /// Remembers that the connection was lost.
    fn note<T>(&self, result: std::result::Result<T, postgres::Error>) -> Result<T> {
        if let Err(error) = &result
            && error.is_closed()
        {
            self.closed.set(true);
        }
        Ok(result?)
    }
}

impl Connection {
    /// Connects to a server.
    pub fn to_server(url: &str) -> Result<Connection> {
        let client = postgres::Client::connect(url, postgres::NoTls)?;
        let server = PostgresServer {
            client: RefCell::new(client),
            statements: RefCell::default(),
            closed: Cell::new(false),
        };
        Ok(Connection::Postgres(Box::new(server)))
    }

    /// Whether the connection is gone, and with it all that was held by it.
    pub fn is_lost(&self) -> bool {
        match self {
            Connection::Sqlite(_) => false,
            Connection::Postgres(server) => {
                server.closed.get() || server.client.borrow().is_closed()
            }
        }
    }

    /// The statement, read once.
    pub fn prepare_cached(&self, sql: &str) -> Result<Statement<'_>> {
        match self {
            Connection::Sqlite(db) => Ok(Statement::Sqlite(db.prepare_cached(sql)?)),
            Connection::Postgres(server) => {
                let known = server.statements.borrow().get(sql).cloned();
                let statement = match known {
                    Some(known) => known,
                    None => {
                        let new = server.client.borrow_mut().prepare(&numbered(sql));
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

    pub fn prepare(&self, sql: &str) -> Result<Statement<'_>> {
        self.prepare_cached(sql)
    }

    pub fn query_row<T>(
        &self,
        sql: &str,
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

pub(super) struct Transaction<'c> {
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

/// A statement as PostgreSQL writes it: `$1` for `?1` and for the first `?`.
fn numbered(sql: &str) -> String {
    let sql = sql.replace(
        "json_each(?)",
        "jsonb_array_elements_text(CAST(CAST(? AS TEXT) AS JSONB)) AS names (value)",
    );
    let mut out = String::with_capacity(sql.len() + 16);
    let mut next = 0;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(if c == '?' { '$' } else { c });
        if c == '?' && !chars.peek().is_some_and(char::is_ascii_digit) {
            next += 1;
            let _ = write!(out, "{next}");
        }
    }
    out.replace(" INDEXED BY msg_back", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_marks_become_numbers() {
        assert_eq!(numbered("a = ? AND b = ?"), "a = $1 AND b = $2");
        assert_eq!(numbered("a = ?2 AND b = ?1"), "a = $2 AND b = $1");
    }

    #[test]
    fn sums_are_read() {
        let raw = |words: &[i16]| {
            words
                .iter()
                .flat_map(|w| w.to_be_bytes())
                .collect::<Vec<u8>>()
        };
        assert_eq!(whole(&raw(&[0, 0, 0, 0])), Some(0));
        assert_eq!(whole(&raw(&[2, 1, 0, 0, 12, 3456])), Some(123_456));
        assert_eq!(whole(&raw(&[1, 1, 0x4000, 0, 7])), Some(-70_000));
        assert_eq!(whole(&raw(&[2, 0, 0, 1, 1, 5000])), None);
    }
}
