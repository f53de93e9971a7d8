//! Arrow IPC files and streams, and the reading of record batches that Parquet shares.

use crate::msg;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use std::cell::Cell as Quiet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::cell::Cell;
use super::row_source::{Bad, MAX_COLUMNS, RowSource};
use super::shortest::shortest;
use crate::store::StoreError;

pub(super) type Batches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// Record batches as rows.
pub(super) struct BatchRows {
    path: PathBuf,
    columns: Vec<String>,
    batches: Batches,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    at: usize,
    line: u64,
    bytes: u64,
    /// What a row counts for in `bytes`.
    bytes_a_row: u64,
}

/// Opens an Arrow file or stream.
pub(super) fn open(path: &Path) -> Result<BatchRows, StoreError> {
    let (schema, batches) = batches(path)?;
    BatchRows::new(path, &schema, batches, None)
}

/// The batches of an Arrow file or stream.
pub(super) fn batches(path: &Path) -> Result<(SchemaRef, Batches), StoreError> {
    let read = |e| StoreError::read(path, e);
    let mut file = File::open(path).map_err(read)?;
    let mut magic = Vec::new();
    file.by_ref()
        .take(6)
        .read_to_end(&mut magic)
        .map_err(read)?;
    let file = BufReader::new(File::open(path).map_err(read)?);
    guarded(path, || {
        Ok(if magic == b"ARROW1" {
            let reader = FileReader::try_new(file, None)?;
            (reader.schema(), Box::new(reader) as Batches)
        } else {
            let reader = StreamReader::try_new(file, None)?;
            (reader.schema(), Box::new(reader) as Batches)
        })
    })
}

thread_local! {
    /// Whether a panic on this thread is expected and goes without its message.
    static EXPECTED: Quiet<bool> = const { Quiet::new(false) };
}

/// Decoders of binary formats are not trusted with damaged files, on which some of them panic:
/// however they give up, it ends in the same error.
pub(super) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> Result<T, ArrowError>,
) -> Result<T, StoreError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !EXPECTED.get() {
                before(info);
            }
        }));
    });
    EXPECTED.set(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    EXPECTED.set(false);
    let why = match result {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(e)) => e.to_string(),
        Err(_) => "damaged".into(),
    };
    Err(StoreError::Import(msg!(
        "`{0}` cannot be read ({why}): write it again, without compression of Arrow files",
        "无法读取 `{0}`（{why}）：请重新生成，Arrow 文件不要压缩",
        path.display()
    )))
}

/// The names of the columns, unless there are too many.
pub(super) fn names(path: &Path, schema: &Schema) -> Result<Vec<String>, StoreError> {
    if schema.fields().len() > MAX_COLUMNS {
        return Err(StoreError::Import(msg!(
            "`{0}` has more than {MAX_COLUMNS} columns",
            "`{0}` 超过 {MAX_COLUMNS} 列",
            path.display()
        )));
    }
    Ok(schema.fields().iter().map(|f| f.name().clone()).collect())
}

impl BatchRows {
    pub fn new(
        path: &Path,
        schema: &Schema,
        batches: Batches,
        rows: Option<u64>,
    ) -> Result<Self, StoreError> {
        let bytes = std::fs::metadata(path)
            .map_err(|e| StoreError::read(path, e))?
            .len();
        let columns = names(path, schema)?;
        let bytes_a_row = rows.map_or(0, |n| bytes / n.max(1));
        Ok(BatchRows {
            path: path.into(),
            columns,
            batches,
            batch: None,
            at: 0,
            line: 0,
            bytes: 0,
            bytes_a_row,
        })
    }

    /// Makes sure that there is a row to read.
    fn fill(&mut self) -> Result<bool, StoreError> {
        while self.batch.as_ref().is_none_or(|b| self.at >= b.num_rows()) {
            let next = self.batches.by_ref();
            match guarded(&self.path, || next.next().transpose())? {
                Some(batch) => (self.batch, self.at) = (Some(batch), 0),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl RowSource for BatchRows {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(
        &mut self,
        cell_at: &mut dyn FnMut(usize, &str, Cell<'_>),
    ) -> Result<Option<u64>, Bad> {
        if !self.fill()? {
            return Ok(None);
        }
        if let Some(batch) = &self.batch {
            for (i, (array, name)) in batch.columns().iter().zip(&self.columns).enumerate() {
                cell_at(i, name, cell(array, self.at));
            }
        }
        self.at += 1;
        self.line += 1;
        self.bytes += self.bytes_a_row;
        Ok(Some(self.line))
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }
}

/// One value of an array as a cell; missing past the end.
pub(super) fn cell(array: &dyn Array, row: usize) -> Cell<'_> {
    if row >= array.len() || array.is_null(row) {
        return Cell::Missing;
    }
    macro_rules! number {
        ($ty:ty) => {
            array.as_primitive::<$ty>().value(row)
        };
    }
    match array.data_type() {
        DataType::Null => Cell::Missing,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(number!(Int8Type).into()),
        DataType::Int16 => Cell::Int(number!(Int16Type).into()),
        DataType::Int32 => Cell::Int(number!(Int32Type).into()),
        DataType::Int64 => Cell::Int(number!(Int64Type)),
        DataType::UInt8 => Cell::Int(number!(UInt8Type).into()),
        DataType::UInt16 => Cell::Int(number!(UInt16Type).into()),
        DataType::UInt32 => Cell::Int(number!(UInt32Type).into()),
        DataType::UInt64 => Cell::Decimal(number!(UInt64Type).into(), 0),
        DataType::Float32 => Cell::Float(shortest(number!(Float32Type))),
        DataType::Float64 => Cell::Float(number!(Float64Type)),
        DataType::Decimal128(_, scale) => Cell::Decimal(number!(Decimal128Type), *scale),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(row)),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            match cell(dictionary.keys(), row) {
                Cell::Int(key) => cell(
                    dictionary.values(),
                    usize::try_from(key).unwrap_or(usize::MAX),
                ),
                _ => Cell::Other("a dictionary with 64-bit keys"),
            }
        }
        DataType::Date32 => Cell::Date(number!(Date32Type)),
        DataType::Date64 => Cell::Local(number!(Date64Type).saturating_mul(1000)),
        DataType::Time32(TimeUnit::Second) => {
            Cell::Time(i64::from(number!(Time32SecondType)).saturating_mul(1_000_000))
        }
        DataType::Time32(_) => {
            Cell::Time(i64::from(number!(Time32MillisecondType)).saturating_mul(1000))
        }
        DataType::Time64(TimeUnit::Microsecond) => Cell::Time(number!(Time64MicrosecondType)),
        DataType::Time64(_) => Cell::Time(number!(Time64NanosecondType) / 1000),
        DataType::Timestamp(unit, zone) => {
            let micros = match unit {
                TimeUnit::Second => number!(TimestampSecondType).saturating_mul(1_000_000),
                TimeUnit::Millisecond => number!(TimestampMillisecondType).saturating_mul(1000),
                TimeUnit::Microsecond => number!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => number!(TimestampNanosecondType).div_euclid(1000),
            };
            if zone.is_some() {
                Cell::Instant(micros)
            } else {
                Cell::Local(micros)
            }
        }
        DataType::Duration(unit) => Cell::Elapsed(match unit {
            TimeUnit::Second => number!(DurationSecondType).saturating_mul(1_000_000),
            TimeUnit::Millisecond => number!(DurationMillisecondType).saturating_mul(1000),
            TimeUnit::Microsecond => number!(DurationMicrosecondType),
            TimeUnit::Nanosecond => number!(DurationNanosecondType) / 1000,
        }),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            items(
                list.values(),
                offsets.get(row).map(|o| *o as usize),
                offsets.get(row + 1).map(|o| *o as usize),
            )
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            items(
                list.values(),
                offsets.get(row).map(|o| *o as usize),
                offsets.get(row + 1).map(|o| *o as usize),
            )
        }
        DataType::FixedSizeList(_, n) => {
            let list = array.as_fixed_size_list();
            let from = list.value_offset_at(row);
            items(list.values(), Some(from), Some(from + *n as usize))
        }
        DataType::Struct(fields) => place(array, fields, row),
        _ => Cell::Other("a value of a type that is not read"),
    }
}

fn items(values: &dyn Array, from: Option<usize>, to: Option<usize>) -> Cell<'_> {
    let (from, to) = (from.unwrap_or(0), to.unwrap_or(0).min(values.len()));
    Cell::List((from..to).map(|i| cell(values, i)).collect())
}

fn place<'a>(array: &'a dyn Array, fields: &'a [std::sync::Arc<Field>], row: usize) -> Cell<'a> {
    let number = |names: &[&str]| {
        let i = fields
            .iter()
            .position(|f| names.contains(&f.name().as_str()))?;
        match cell(array.as_struct().columns().get(i)?, row) {
            Cell::Float(f) => Some(f),
            _ => None,
        }
    };
    match (
        number(&["lat", "latitude"]),
        number(&["lon", "lng", "longitude"]),
    ) {
        (Some(lat), Some(lon)) => Cell::Place(lat, lon),
        _ => Cell::Other("a structure"),
    }
}
