//! Files as blocks of rows, each row's cells already in columns of the declared types. Blocks are
//! read ahead on a thread of their own, and the columns of typed files on all cores.

use arrow_array::{Array, RecordBatch};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::arrow::{self, Batches, guarded};
use super::open_rows::open_rows;
use super::row_source::{self, FileFormat, RowSource};
use super::table::{ColumnTargets, Header, Role, RowBlock, RowErrors, RowIds, read_rows};
use super::{ImportError, convert, parquet};
use crate::base::Type;
use crate::store::{ColumnData, StoreError};

/// Parts of a Parquet file that are read beside each other; each has the file open.
const MAX_PARTS: usize = 16;
/// Blocks that wait to be taken.
const AHEAD: usize = 2;

/// A file that is being read.
pub(super) struct Blocks {
    source: Source,
    header: Header,
    block_rows: usize,
    /// How many rows the file says that it has.
    rows: Option<u64>,
}

enum Source {
    Rows(Box<dyn RowSource + Send>),
    Arrays(Arrays),
}

/// A file of typed columns.
struct Arrays {
    path: PathBuf,
    parts: Parts,
    /// Rows read so far.
    rows: u64,
    /// What a row counts for in bytes.
    bytes_a_row: f64,
}

enum Parts {
    /// All columns together.
    Arrow {
        batches: Batches,
        batch: Option<RecordBatch>,
        targets: Vec<Target>,
    },
    /// Some columns each.
    Parquet(Vec<Part>),
}

struct Part {
    batches: Batches,
    targets: Vec<Target>,
}

/// What is filled, and from which columns of a batch.
struct Target {
    role: Role,
    name: String,
    columns: Vec<usize>,
}

/// What a target got from a batch.
enum Filled {
    Ids(RowIds),
    At(Vec<i64>),
    Field(usize, ColumnData),
}

impl Blocks {
    /// Opens a file; `wanted` says what to read once its columns are known.
    pub fn open<'a>(
        path: &Path,
        block_rows: usize,
        wanted: impl FnOnce(&[String]) -> Result<ColumnTargets<'a>, ImportError>,
    ) -> Result<(Self, ColumnTargets<'a>), ImportError> {
        let mut rows_said = None;
        let (source, header, wanted) = match row_source::format_of(path)? {
            FileFormat::Csv | FileFormat::Tsv | FileFormat::JsonLines => {
                let rows = open_rows(path)?;
                let wanted = wanted(rows.columns())?;
                let header = Header::of(rows.columns(), &wanted);
                (Source::Rows(rows), header, wanted)
            }
            FileFormat::Arrow => {
                let (schema, batches) = arrow::batches(path)?;
                let names = arrow::names(path, &schema)?;
                let wanted = wanted(&names)?;
                let header = Header::of(&names, &wanted);
                let parts = Parts::Arrow {
                    batches,
                    batch: None,
                    targets: targets(&header),
                };
                (
                    Source::Arrays(Arrays {
                        path: path.into(),
                        parts,
                        rows: 0,
                        bytes_a_row: 0.0,
                    }),
                    header,
                    wanted,
                )
            }
            FileFormat::Parquet => {
                let mut columns = parquet::Columns::open(path)?;
                let names = arrow::names(path, columns.schema())?;
                let wanted = wanted(&names)?;
                let header = Header::of(&names, &wanted);
                columns.keep_dictionaries(|i| match header.roles().get(i) {
                    Some(Role::Field(field)) => {
                        wanted.fields.get(*field).is_some_and(|f| match f.ty {
                            Type::Enum(_) => true,
                            Type::Set(of) => matches!(**of, Type::Enum(_)),
                            _ => false,
                        })
                    }
                    _ => false,
                })?;
                rows_said = Some(columns.rows());
                let bytes = std::fs::metadata(path)
                    .map_err(|e| StoreError::read(path, e))?
                    .len();
                let bytes_a_row = bytes as f64 / columns.rows().max(1) as f64;
                let parts = Parts::Parquet(parquet_parts(&columns, &header, block_rows)?);
                (
                    Source::Arrays(Arrays {
                        path: path.into(),
                        parts,
                        rows: 0,
                        bytes_a_row,
                    }),
                    header,
                    wanted,
                )
            }
        };
        Ok((
            Blocks {
                source,
                header,
                block_rows,
                rows: rows_said,
            },
            wanted,
        ))
    }

    /// The columns seen so far.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// How many rows the file says that it has, if it says so: a guess, until they are read.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }

    /// Hands each block to `take`, and reads the next ones meanwhile.
    ///
    /// # Errors
    /// When the file cannot be read; those of `take`.
    pub fn for_each(
        &mut self,
        wanted: &ColumnTargets<'_>,
        mut take: impl FnMut(RowBlock) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        thread::scope(|scope| {
            let (sender, blocks) = sync_channel(AHEAD);
            scope.spawn(move || {
                while let Some(block) = self.next(wanted).transpose() {
                    let last = block.is_err();
                    if sender.send(block).is_err() || last {
                        break; // Nobody listens any more, or there is nothing more to say.
                    }
                }
            });
            blocks.into_iter().try_for_each(|block| take(block?))
        })
    }

    fn next(&mut self, wanted: &ColumnTargets<'_>) -> Result<Option<RowBlock>, StoreError> {
        match &mut self.source {
            Source::Rows(rows) => read_rows(&mut **rows, self.block_rows, &mut self.header, wanted),
            Source::Arrays(arrays) => arrays.next(self.block_rows, wanted),
        }
    }
}

/// What the columns of a file fill, each with all columns of its name.
fn targets(header: &Header) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for ((column, name), role) in header
        .names()
        .iter()
        .enumerate()
        .zip(header.roles())
        .filter(|(_, role)| **role != Role::Ignored)
    {
        match targets.iter_mut().find(|t| t.role == *role) {
            Some(target) => target.columns.push(column),
            None => targets.push(Target {
                role: *role,
                name: name.clone(),
                columns: vec![column],
            }),
        }
    }
    targets
}

fn parquet_parts(
    file: &parquet::Columns,
    header: &Header,
    block_rows: usize,
) -> Result<Vec<Part>, StoreError> {
    let mut shares: Vec<Vec<Target>> = Vec::new();
    shares.resize_with(MAX_PARTS, Vec::new);
    for (target, share) in targets(header).into_iter().zip((0..MAX_PARTS).cycle()) {
        shares[share].push(target);
    }
    let part = |mut targets: Vec<Target>| {
        let mut columns: Vec<usize> = targets
            .iter()
            .flat_map(|t| t.columns.iter().copied())
            .collect();
        columns.sort_unstable();
        // A batch has the columns of its part in the order of the file.
        for column in targets.iter_mut().flat_map(|t| t.columns.iter_mut()) {
            *column = columns.partition_point(|c| *c < *column);
        }
        Ok(Part {
            batches: file.read(&columns, block_rows)?,
            targets,
        })
    };
    shares
        .into_iter()
        .filter(|targets| !targets.is_empty())
        .map(part)
        .collect()
}

impl Arrays {
    fn next(
        &mut self,
        block_rows: usize,
        wanted: &ColumnTargets<'_>,
    ) -> Result<Option<RowBlock>, StoreError> {
        let path = &self.path;
        let filled: Vec<(usize, Vec<(Filled, RowErrors)>)> = match &mut self.parts {
            Parts::Arrow {
                batches,
                batch,
                targets,
            } => {
                while batch.as_ref().is_none_or(|b| b.num_rows() == 0) {
                    match guarded(path, || batches.next().transpose())? {
                        Some(next) => *batch = Some(next),
                        None => return Ok(None),
                    }
                }
                let Some(whole) = batch.take() else {
                    return Ok(None);
                };
                let rows = whole.num_rows().min(block_rows);
                let block = whole.slice(0, rows);
                *batch =
                    (rows < whole.num_rows()).then(|| whole.slice(rows, whole.num_rows() - rows));
                let fill = |target: &Target| (rows, vec![target.fill(&block, wanted)]);
                targets.par_iter().map(fill).collect()
            }
            Parts::Parquet(parts) => {
                let fill = |part: &mut Part| -> Result<_, StoreError> {
                    Ok(match guarded(path, || part.batches.next().transpose())? {
                        Some(batch) => (
                            batch.num_rows(),
                            part.targets
                                .iter()
                                .map(|t| t.fill(&batch, wanted))
                                .collect(),
                        ),
                        None => (0, Vec::new()),
                    })
                };
                parts.par_iter_mut().map(fill).collect::<Result<_, _>>()?
            }
        };
        let rows = filled.first().map_or(0, |(rows, _)| *rows);
        if rows == 0 {
            return Ok(None);
        }
        if filled.iter().any(|(n, _)| *n != rows) {
            return guarded(path, || {
                Err(arrow_schema::ArrowError::InvalidArgumentError(
                    "its columns are of different lengths".into(),
                ))
            });
        }
        let mut block = RowBlock {
            lines: (self.rows + 1..=self.rows + rows as u64).collect(),
            ..RowBlock::default()
        };
        let mut columns: Vec<Option<ColumnData>> = Vec::new();
        columns.resize_with(wanted.fields.len(), || None);
        for (filled, errors) in filled.into_iter().flat_map(|(_, filled)| filled) {
            block.errors.join(errors);
            match filled {
                Filled::Ids(ids) => block.ids = ids,
                Filled::At(at) => block.at = at,
                Filled::Field(i, column) => columns[i] = Some(column),
            }
        }
        let fields = columns.into_iter().zip(&wanted.fields);
        block.columns = fields
            .map(|(c, f)| {
                c.unwrap_or_else(|| convert::column(f, &[], rows, wanted.how, &mut block.errors))
            })
            .collect();
        self.rows += rows as u64;
        block.bytes = (self.rows as f64 * self.bytes_a_row) as u64;
        Ok(Some(block))
    }
}

impl Target {
    fn fill(&self, batch: &RecordBatch, wanted: &ColumnTargets<'_>) -> (Filled, RowErrors) {
        let (rows, mut errors) = (batch.num_rows(), RowErrors::default());
        let arrays: Vec<&dyn Array> = self
            .columns
            .iter()
            .filter_map(|c| batch.columns().get(*c))
            .map(|a| &**a)
            .collect();
        let filled = match (self.role, arrays.first()) {
            (Role::Field(i), _) if let Some(field) = wanted.fields.get(i) => Filled::Field(
                i,
                convert::column(field, &arrays, rows, wanted.how, &mut errors),
            ),
            (Role::At, Some(array)) => Filled::At(convert::instants(
                wanted,
                &self.name,
                *array,
                rows,
                &mut errors,
            )),
            (Role::Id, Some(array)) => {
                Filled::Ids(convert::ids(&self.name, *array, rows, &mut errors))
            }
            _ => Filled::At(Vec::new()),
        };
        (filled, errors)
    }
}
