//! JSON Lines: one object a line; its keys are the columns.

use crate::msg;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::cell::Cell;
use super::row_source::{Bad, MAX_COLUMNS, MAX_ROW_BYTES, RowSource, not_utf8, row_too_long};
use crate::store::StoreError;
use crate::store::live::not_json;

pub(super) struct JsonLines {
    path: PathBuf,
    file: BufReader<File>,
    line: u64,
    bytes: u64,
    columns: Vec<String>,
    positions: HashMap<String, usize>,
    buffer: Vec<u8>,
}

impl JsonLines {
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::read(path, e))?;
        let file = BufReader::with_capacity(1 << 16, file);
        Ok(JsonLines {
            path: path.into(),
            file,
            line: 0,
            bytes: 0,
            columns: Vec::new(),
            positions: HashMap::new(),
            buffer: Vec::new(),
        })
    }

    /// The next line that is not blank.
    fn read_line(&mut self) -> Result<bool, StoreError> {
        loop {
            self.buffer.clear();
            let n = self
                .file
                .by_ref()
                .take(MAX_ROW_BYTES)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|e| StoreError::read(&self.path, e))?;
            if n == 0 {
                return Ok(false);
            }
            self.line += 1;
            self.bytes += n as u64;
            if n as u64 == MAX_ROW_BYTES && self.buffer.last() != Some(&b'\n') {
                return Err(row_too_long(&self.path, self.line));
            }
            if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            if !self.buffer.iter().all(u8::is_ascii_whitespace) {
                return Ok(true);
            }
        }
    }
}

impl RowSource for JsonLines {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next_row(
        &mut self,
        cell_at: &mut dyn FnMut(usize, &str, Cell<'_>),
    ) -> Result<Option<u64>, Bad> {
        if !self.read_line()? {
            return Ok(None);
        }
        let line = self.line;
        let text = std::str::from_utf8(&self.buffer).map_err(|_| not_utf8(&self.path, line))?;
        if line == 1 && text.trim_start().starts_with('[') {
            return Err(Bad::File(StoreError::Import(msg!(
                "`{0}` is one JSON array: write one object a line, without brackets and commas around them",
                "`{0}` 是一个 JSON 数组：请每行写一个对象，外面不要方括号和逗号",
                self.path.display()
            ))));
        }
        let object: serde_json::Map<String, Json> = serde_json::from_str(text).map_err(|e| {
            let why = if e.is_data() {
                msg!(
                    "the line is not a JSON object: write `{{\"id\": …}}`",
                    "该行不是 JSON 对象：请写成 `{{\"id\": …}}`"
                )
            } else {
                not_json(&e)
            };
            Bad::Row { line, why }
        })?;
        for (key, value) in &object {
            let position = match self.positions.get(key) {
                Some(p) => *p,
                None if self.columns.len() >= MAX_COLUMNS => {
                    return Err(Bad::File(StoreError::Import(msg!(
                        "`{0}` has more than {MAX_COLUMNS} different keys: are ids used as keys?",
                        "`{0}` 有超过 {MAX_COLUMNS} 个不同的键：是否把编号当成了键？",
                        self.path.display()
                    ))));
                }
                None => {
                    self.columns.push(key.clone());
                    self.positions.insert(key.clone(), self.columns.len() - 1);
                    self.columns.len() - 1
                }
            };
            cell_at(position, key, cell(value));
        }
        Ok(Some(line))
    }

    fn bytes_read(&self) -> u64 {
        self.bytes
    }
}

/// A JSON value as a cell. An object is a place if it has `lat` and `lon` (or `lng`), and nothing
/// otherwise.
pub(super) fn cell(value: &Json) -> Cell<'_> {
    match value {
        Json::Null => Cell::Missing,
        Json::Bool(b) => Cell::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
            (Some(i), ..) => Cell::Int(i),
            (None, Some(u), _) => Cell::Decimal(u.into(), 0),
            (None, None, Some(f)) => Cell::Float(f),
            (None, None, None) => Cell::Other("a number out of range"),
        },
        Json::String(s) => Cell::Text(s),
        Json::Array(items) => Cell::List(items.iter().map(cell).collect()),
        Json::Object(map) => {
            let number =
                |keys: &[&str]| keys.iter().find_map(|k| map.get(*k)).and_then(Json::as_f64);
            match (
                number(&["lat", "latitude"]),
                number(&["lon", "lng", "longitude"]),
            ) {
                (Some(lat), Some(lon)) => Cell::Place(lat, lon),
                _ => Cell::Other("an object"),
            }
        }
    }
}
