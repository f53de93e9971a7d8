//! Prepared statements and the rows that they give.

use postgres::types::ToSql;
use rusqlite::types::ValueRef;

use super::error::{Error, Result};
use super::server::PostgresServer;
use super::sql_value::{FromValue, Params, SqlValue};

/// A row of an answer.
pub(in crate::ledger) enum SqlRow<'a> {
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
pub(in crate::ledger) enum SqlRows<'s> {
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
pub(in crate::ledger) struct Mapped<'s, F> {
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

pub(in crate::ledger) enum Statement<'c> {
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
