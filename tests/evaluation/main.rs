//! Conditions and what they answer, compared with others that answer the same: a plain evaluator,
//! DuckDB, published cases of other languages, and themselves under change.

#[path = "../support/mod.rs"]
mod support;

mod conformance;
mod duckdb;
mod foreign;
mod generate;
mod metamorphic;
mod oracle;
mod plain;
mod real_data;
mod sha256;
