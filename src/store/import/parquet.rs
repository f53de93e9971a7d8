//! Parquet, by way of record batches.

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::fs::File;
use std::path::Path;

use super::arrow::{BatchRows, guarded};
use crate::store::StoreError;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

pub(super) fn open(path: &Path) -> Result<BatchRows, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::read(path, e))?;
    let (schema, rows, reader) = guarded(path, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).ok();
        Ok((builder.schema().clone(), rows, builder.with_batch_size(BATCH_ROWS).build()?))
    })?;
    BatchRows::new(path, &schema, Box::new(reader), rows)
}
