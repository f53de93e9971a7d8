//! CSV and TSV: UTF-8, with or without a byte order mark, the first row naming the columns.

use crate::msg;
use csv::{ByteRecord, Reader, ReaderBuilder};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cell::Cell;
use super::row_source::{Bad, MAX_COLUMNS, MAX_ROW_BYTES, RowSource, not_utf8, row_too_long};
use crate::store::StoreError;

pub(super) struct Csv {
    path: PathBuf,
    reader: Reader<Budgeted>,
    /// What the reader may still take before the row must have ended.
    budget: Arc<AtomicU64>,
    columns: Vec<String>,
    record: ByteRecord,
}

/// A file that refuses to give more than its budget, so that a lost quote does not pull all of it
/// into memory.
struct Budgeted {
    file: File,
    budget: Arc<AtomicU64>,
}

const OVER_BUDGET: io::ErrorKind = io::ErrorKind::FileTooLarge;

impl Read for Budgeted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self
            .budget
            .load(Ordering::Relaxed)
            .checked_sub(into.len() as u64)
            .ok_or(OVER_BUDGET)?;
        self.budget.store(left, Ordering::Relaxed);
        self.file.read(into)
    }
}

impl Csv {
    pub fn open(path: &Path, separator: u8) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::read(path, e))?;
        let budget = Arc::new(AtomicU64::new(MAX_ROW_BYTES));
        let input = Budgeted {
            file,
            budget: budget.clone(),
        };
        let reader = ReaderBuilder::new()
            .delimiter(separator)
            .flexible(true)
            .has_headers(false)
            .buffer_capacity(1 << 16)
            .from_reader(input);
        let mut csv = Csv {
            path: path.into(),
            reader,
            budget,
            columns: Vec::new(),
            record: ByteRecord::new(),
        };
        csv.read_header(separator)?;
        Ok(csv)
    }

    fn read_header(&mut self, separator: u8) -> Result<(), StoreError> {
        let path = self.path.display().to_string();
        if !self.read().map_err(|e| self.failed(e))? {
            return Err(StoreError::Import(msg!(
                "`{path}` is empty: the first row must name the columns",
                "`{path}` 是空的：第一行必须是列名"
            )));
        }
        if self.record.len() > MAX_COLUMNS {
            return Err(StoreError::Import(msg!(
                "`{path}` has more than {MAX_COLUMNS} columns",
                "`{path}` 超过 {MAX_COLUMNS} 列"
            )));
        }
        for field in &self.record {
            let name = std::str::from_utf8(field)
                .map_err(|_| not_utf8(&self.path, 1))?
                .trim();
            let name = name.strip_prefix('\u{feff}').unwrap_or(name);
            if !name.is_empty() && self.columns.iter().any(|c| c == name) {
                return Err(StoreError::Import(msg!(
                    "`{path}` has two columns named `{name}`: rename one",
                    "`{path}` 有两列都叫 `{name}`：请改名"
                )));
            }
            self.columns.push(name.into());
        }
        if let [only] = &self.columns[..]
            && separator == b','
            && only.contains([';', '\t'])
        {
            return Err(StoreError::Import(msg!(
                "`{path}` separates its columns by semicolons or tabs: save it with commas, or name a file with tabs .tsv",
                "`{path}` 用分号或制表符分列：请改用逗号，制表符分列的文件请以 .tsv 结尾"
            )));
        }
        Ok(())
    }

    fn read(&mut self) -> Result<bool, csv::Error> {
        self.budget.store(MAX_ROW_BYTES, Ordering::Relaxed);
        self.reader.read_byte_record(&mut self.record)
    }

    fn failed(&self, error: csv::Error) -> StoreError {
        let line = self.reader.position().line();
        match error.into_kind() {
            csv::ErrorKind::Io(e) if e.kind() == OVER_BUDGET => row_too_long(&self.path, line),
            csv::ErrorKind::Io(e) => StoreError::read(&self.path, e),
            other => StoreError::read(&self.path, io::Error::other(format!("{other:?}"))),
        }
    }
}

impl RowSource for Csv {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(
        &mut self,
        cell: &mut dyn FnMut(usize, &str, Cell<'_>),
    ) -> Result<Option<u64>, Bad> {
        if !self.read().map_err(|e| self.failed(e))? {
            return Ok(None);
        }
        let line = self.record.position().map_or(0, |p| p.line());
        if self.record.len() != self.columns.len() {
            let (found, wanted) = (self.record.len(), self.columns.len());
            let why = msg!(
                "the row has {found} fields where the header names {wanted} columns: check its commas and quotes",
                "该行有 {found} 个字段，而表头有 {wanted} 列：请检查逗号与引号"
            );
            return Err(Bad::Row { line, why });
        }
        for (i, (field, name)) in self.record.iter().zip(&self.columns).enumerate() {
            let text = std::str::from_utf8(field).map_err(|_| not_utf8(&self.path, line))?;
            cell(i, name, Cell::Text(text));
        }
        Ok(Some(line))
    }

    fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }
}
