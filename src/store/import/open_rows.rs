//! Opens a file of any format to be read row by row.

use std::path::Path;

use super::row_source::{FileFormat, RowSource, format_of};
use super::{arrow, csv, jsonl, parquet};
use crate::store::StoreError;

/// Opens a file to be read row by row.
pub(super) fn open_rows(path: &Path) -> Result<Box<dyn RowSource + Send>, StoreError> {
    Ok(match format_of(path)? {
        FileFormat::Csv => Box::new(csv::Csv::open(path, b',')?),
        FileFormat::Tsv => Box::new(csv::Csv::open(path, b'\t')?),
        FileFormat::JsonLines => Box::new(jsonl::JsonLines::open(path)?),
        FileFormat::Parquet => Box::new(parquet::open(path)?),
        FileFormat::Arrow => Box::new(arrow::open(path)?),
    })
}
