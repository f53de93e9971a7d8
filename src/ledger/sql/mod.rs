//! SQL: connections to two databases, what they hold, the tables.
//!
//! The ledger's SQL is written once, in what both databases understand. Parameters are `?` or `?1`;
//! where the databases differ, a text is put together of parts that [`dialect::Dialect`] knows, and
//! codes of states come from [`states`].

mod connection;
mod dialect;
mod error;

pub(super) mod ledger_tables;
mod server;
mod sql_value;
mod statement;
pub(super) mod states;

pub(super) use connection::Connection;
pub use error::Error;
pub(super) use error::{OptionalExtension, Result};
pub(super) use sql_value::{SqlValue, ToValue, params};
pub(super) use statement::{SqlRow, SqlRows};
