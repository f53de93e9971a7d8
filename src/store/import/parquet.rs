//! Parquet, by way of record batches.

use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::arrow::{BatchRows, Batches, guarded};
use crate::store::StoreError;

/// Rows that are decoded at once.
const BATCH_ROWS: usize = 8192;

pub(super) fn open(path: &Path) -> Result<BatchRows, StoreError> {
    let file = File::open(path).map_err(|e| StoreError::read(path, e))?;
    let (schema, rows, reader) = guarded(path, || {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).ok();
        Ok((
            builder.schema().clone(),
            rows,
            builder.with_batch_size(BATCH_ROWS).build()?,
        ))
    })?;
    BatchRows::new(path, &schema, Box::new(reader), rows)
}

/// A file whose columns can be read apart from each other.
pub(super) struct Columns {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

impl Columns {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::read(path, e))?;
        let metadata = guarded(path, || {
            Ok(ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?)
        })?;
        Ok(Columns {
            path: path.into(),
            metadata,
        })
    }

    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.metadata.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// Leaves texts that repeat in the dictionaries that they are stored with, for these columns,
    /// where the file allows it.
    pub fn keep_dictionaries(&mut self, of: impl Fn(usize) -> bool) -> Result<(), StoreError> {
        let fields = self.schema().fields().iter().enumerate();
        let fields: Vec<Arc<Field>> = fields
            .map(|(i, f)| if of(i) { in_dictionary(f) } else { f.clone() })
            .collect();
        let options = ArrowReaderOptions::new().with_schema(Arc::new(Schema::new(fields)));
        let file = File::open(&self.path).map_err(|e| StoreError::read(&self.path, e))?;
        let with = guarded(&self.path, || {
            Ok(ArrowReaderMetadata::load(&file, options).ok())
        })?;
        if let Some(metadata) = with {
            self.metadata = metadata;
        }
        Ok(())
    }

    /// Some of the columns, so many rows at a time.
    pub fn read(&self, columns: &[usize], batch_rows: usize) -> Result<Batches, StoreError> {
        let file = File::open(&self.path).map_err(|e| StoreError::read(&self.path, e))?;
        guarded(&self.path, || {
            let builder =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone());
            let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
            let reader = builder
                .with_projection(mask)
                .with_batch_size(batch_rows)
                .build()?;
            Ok(Box::new(
                reader.map(|batch| batch.map_err(|e| ArrowError::from_external_error(Box::new(e)))),
            ) as Batches)
        })
    }
}

/// The same field, with texts in a dictionary.
fn in_dictionary(field: &Arc<Field>) -> Arc<Field> {
    let form = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        DataType::List(item) => DataType::List(in_dictionary(item)),
        DataType::LargeList(item) => DataType::LargeList(in_dictionary(item)),
        _ => return field.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(form))
}
