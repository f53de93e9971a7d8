//! A PostgreSQL server: its connection and the statements that it has prepared.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::error::Result;

pub(in crate::ledger) struct PostgresServer {
    pub(super) client: RefCell<postgres::Client>,
    /// By the text of the ledger.
    pub(super) statements: RefCell<HashMap<String, postgres::Statement>>,
    closed: Cell<bool>,
}

impl PostgresServer {
    pub(super) fn connect(url: &str) -> Result<PostgresServer> {
        Ok(PostgresServer {
            client: RefCell::new(postgres::Client::connect(url, postgres::NoTls)?),
            statements: RefCell::default(),
            closed: Cell::new(false),
        })
    }

    /// Whether the connection was lost.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.get() || self.client.borrow().is_closed()
    }

    /// Remembers that the connection was lost.
    pub(super) fn note<T>(&self, result: std::result::Result<T, postgres::Error>) -> Result<T> {
        if let Err(error) = &result
            && error.is_closed()
        {
            self.closed.set(true);
        }
        Ok(result?)
    }
}
