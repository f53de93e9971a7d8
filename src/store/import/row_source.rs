//! Files as rows of cells: which format a file has, and the trait that all formats are read
//! through.

use crate::base::Msg;
use crate::msg;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::cell::Cell;
use crate::store::StoreError;

/// A row longer than this has lost its end.
pub(super) const MAX_ROW_BYTES: u64 = 16 << 20;
/// Columns that a file may have.
pub(super) const MAX_COLUMNS: usize = 10_000;

/// Why a row, or all that follows, cannot be read.
pub(super) enum Bad {
    /// This row cannot; the next one may.
    Row { line: u64, why: Msg },
    /// The file cannot.
    File(StoreError),
}

impl From<StoreError> for Bad {
    fn from(e: StoreError) -> Self {
        Bad::File(e)
    }
}

/// A file that gives its rows one after the other.
pub(super) trait RowSource {
    /// Columns seen so far. Formats that name their columns in each row add to the end as they go.
    fn columns(&self) -> &[String];

    /// Reads the next row and gives its cells with their positions in [`Self::columns`], those
    /// without a value left out or missing. Returns the row's line (or its number, for formats
    /// without lines); `None` at the end.
    fn next_row(&mut self, cell: &mut dyn FnMut(usize, &str, Cell<'_>))
    -> Result<Option<u64>, Bad>;

    /// Bytes read so far, or an estimate.
    fn bytes_read(&self) -> u64;
}

/// The formats that are read and written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileFormat {
    Csv,
    Tsv,
    JsonLines,
    Parquet,
    Arrow,
}

impl FileFormat {
    /// The format that a file's name says.
    pub fn of_name(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" | "txt" => Some(FileFormat::Csv),
            "tsv" => Some(FileFormat::Tsv),
            "jsonl" | "ndjson" | "json" => Some(FileFormat::JsonLines),
            "parquet" | "pq" => Some(FileFormat::Parquet),
            "arrow" | "ipc" | "feather" => Some(FileFormat::Arrow),
            _ => None,
        }
    }
}

/// The format that a file's name says, unless its first bytes say otherwise.
pub(super) fn format_of(path: &Path) -> Result<FileFormat, StoreError> {
    if path.is_dir() {
        return Err(StoreError::Import(msg!(
            "`{0}` is a folder: name one file",
            "`{0}` 是文件夹：请指定一个文件",
            path.display()
        )));
    }
    let mut file = File::open(path).map_err(|e| StoreError::read(path, e))?;
    let mut start = Vec::new();
    file.by_ref()
        .take(8)
        .read_to_end(&mut start)
        .map_err(|e| StoreError::read(path, e))?;
    let named = FileFormat::of_name(path).ok_or_else(|| {
        StoreError::Import(msg!(
            "the name of `{0}` does not say its format: end it in .csv, .tsv, .jsonl, .parquet or .arrow",
            "`{0}` 的扩展名看不出格式：请以 .csv、.tsv、.jsonl、.parquet 或 .arrow 结尾",
            path.display()
        ))
    })?;
    let is = |magic: &[u8]| start.starts_with(magic);
    let other = match named {
        _ if is(b"PAR1") && named != FileFormat::Parquet => Some((
            "a Parquet file",
            "Parquet 文件",
            "name it .parquet",
            "请改名为 .parquet",
        )),
        _ if is(b"ARROW1") && named != FileFormat::Arrow => Some((
            "an Arrow file",
            "Arrow 文件",
            "name it .arrow",
            "请改名为 .arrow",
        )),
        FileFormat::Parquet | FileFormat::Arrow => None,
        _ if is(b"PK\x03\x04") => Some((
            "an Excel or zip file",
            "Excel 或 zip 文件",
            "save it as CSV (UTF-8)",
            "请另存为 CSV（UTF-8）",
        )),
        _ if is(b"\x1f\x8b") => Some(("a gzip file", "gzip 文件", "unpack it first", "请先解压")),
        _ if is(b"\xd0\xcf\x11\xe0") => Some((
            "an old Excel file",
            "旧版 Excel 文件",
            "save it as CSV (UTF-8)",
            "请另存为 CSV（UTF-8）",
        )),
        _ if is(b"\xff\xfe") || is(b"\xfe\xff") => Some((
            "UTF-16 text",
            "UTF-16 文本",
            "save it as UTF-8",
            "请另存为 UTF-8",
        )),
        _ => None,
    };
    if let Some((en, zh, do_en, do_zh)) = other {
        return Err(StoreError::Import(msg!(
            "`{0}` is {en}: {do_en}",
            "`{0}` 是{zh}：{do_zh}",
            path.display()
        )));
    }
    Ok(named)
}

/// What a file whose bytes are not UTF-8 ends in: all of it, as the other lines would be wrong in
/// silence.
pub(super) fn not_utf8(path: &Path, line: u64) -> StoreError {
    StoreError::Import(msg!(
        "`{0}` is not UTF-8 text (line {line}): save it as UTF-8, or convert it with `iconv -f GB18030 -t UTF-8 FILE > NEW`",
        "`{0}` 不是 UTF-8 文本（第 {line} 行）：请另存为 UTF-8，或用 `iconv -f GB18030 -t UTF-8 原文件 > 新文件` 转换",
        path.display()
    ))
}

/// What a row without an end is refused with.
pub(super) fn row_too_long(path: &Path, line: u64) -> StoreError {
    StoreError::Import(msg!(
        "`{0}` line {line}: the row does not end within {1} MB: is a closing quote missing?",
        "`{0}` 第 {line} 行：该行超过 {1} MB 仍未结束：是否缺少右引号？",
        path.display(),
        MAX_ROW_BYTES >> 20
    ))
}
