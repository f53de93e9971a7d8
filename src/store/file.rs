//! Arrow IPC files: written uncompressed with 64-byte alignment, opened by mapping them into memory without decoding.
//!
//! A file is never changed once it is named by a manifest. At open its length must be the manifest's, and so must the checksum
//! of everything outside the arrays; the arrays' own structure is validated by Arrow. Damage inside plain numbers is found by
//! [`verify`], which reads the whole file.

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{Block, MetadataVersion, root_as_footer};
use arrow_schema::{ArrowError, SchemaRef};
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use super::digest::Checksum;
use super::error::{StoreError, words};
use super::manifest::FileEntry;

/// Length of the footer's length and the closing magic.
const TRAILER: usize = 10;

fn options() -> Result<IpcWriteOptions, ArrowError> {
    IpcWriteOptions::try_new(64, false, MetadataVersion::V5)
}

/// Hands the bytes of an IPC file with one batch to `sink`, in order.
pub(super) fn encode(batch: &RecordBatch, sink: impl FnMut(&[u8])) -> Result<(), ArrowError> {
    let mut writer = FileWriter::try_new_with_options(Sink(sink), &batch.schema(), options()?)?;
    writer.write(batch)?;
    writer.finish()
}

struct Sink<F>(F);

impl<F: FnMut(&[u8])> Write for Sink<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (self.0)(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A new file that takes batches of one schema.
pub(super) struct NewFile {
    writer: FileWriter<Summed>,
}

/// A file that counts and sums what is written to it.
struct Summed {
    out: BufWriter<File>,
    bytes: u64,
    sum: Checksum,
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.out.write(bytes)?;
        let written = bytes.get(..n).unwrap_or(bytes);
        self.bytes += written.len() as u64;
        self.sum.update(written);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl NewFile {
    /// # Errors
    /// When the file exists already, or cannot be written.
    pub fn create(path: &Path, schema: &SchemaRef) -> Result<Self, StoreError> {
        let file = File::create_new(path).map_err(|e| StoreError::write(path, e))?;
        let out = Summed { out: BufWriter::with_capacity(1 << 20, file), bytes: 0, sum: Checksum::default() };
        let writer = options().and_then(|o| FileWriter::try_new_with_options(out, schema, o));
        Ok(NewFile { writer: writer.map_err(|e| failed(path, e))? })
    }

    pub fn write(&mut self, path: &Path, batch: &RecordBatch) -> Result<(), StoreError> {
        self.writer.write(batch).map_err(|e| failed(path, e))
    }

    /// Ends a file that need not outlive this process.
    pub fn close(self, path: &Path) -> Result<(), StoreError> {
        let mut done = self.writer.into_inner().map_err(|e| failed(path, e))?;
        done.out.flush().map_err(|e| StoreError::write(path, e))
    }

    /// Ends the file, makes it durable and read-only, and says what the manifest must know of it.
    pub fn finish(self, path: &Path, name: &str) -> Result<FileEntry, StoreError> {
        let done = self.writer.into_inner().map_err(|e| failed(path, e))?;
        let (bytes, checksum) = (done.bytes, done.sum.finish());
        let file = done.out.into_inner().map_err(|e| StoreError::write(path, e.into_error()))?;
        let durable = || -> io::Result<()> {
            let mut permissions = file.metadata()?.permissions();
            permissions.set_readonly(true);
            file.set_permissions(permissions)?;
            file.sync_all()
        };
        durable().map_err(|e| StoreError::write(path, e))?;
        let frame = Mapped::open(path)?.frame()?;
        Ok(FileEntry { file: name.into(), bytes, checksum, frame })
    }
}

/// An Arrow error that came from writing: the operating system's own words where it has them.
fn failed(path: &Path, error: ArrowError) -> StoreError {
    let error = match error {
        ArrowError::IoError(_, e) => e,
        other => io::Error::other(other),
    };
    StoreError::write(path, error)
}

/// A batch, and where its metadata and its arrays stand in the file.
struct Placed {
    block: Block,
    meta: Range<usize>,
    body: Range<usize>,
}

/// A file in memory, not yet decoded.
struct Mapped<'a> {
    path: &'a Path,
    bytes: Buffer,
}

impl<'a> Mapped<'a> {
    fn open(path: &'a Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|e| StoreError::read(path, e))?;
        let length = file.metadata().map_err(|e| StoreError::read(path, e))?.len();
        if length == 0 {
            return Ok(Mapped { path, bytes: Buffer::from(Vec::<u8>::new()) }); // An empty file cannot be mapped.
        }
        // SAFETY: files of a store are read-only and never rewritten or truncated; nobody else has business in the folder.
        let map = unsafe { Mmap::map(&file) }.map_err(|e| StoreError::read(path, e))?;
        let (start, len) = (NonNull::from(&*map).cast::<u8>(), map.len());
        // SAFETY: `start` is valid for `len` bytes as long as the map lives, and the buffer owns the map.
        let bytes = unsafe { Buffer::from_custom_allocation(start, len, Arc::new(map)) };
        Ok(Mapped { path, bytes })
    }

    fn damaged(&self, what: super::Words) -> StoreError {
        StoreError::Damaged { file: self.path.into(), what }
    }

    fn not_arrow(&self) -> StoreError {
        self.damaged(words!("it is not a whole Arrow file", "不是完整的 Arrow 文件"))
    }

    /// Where the footer stands.
    fn footer(&self) -> Result<Range<usize>, StoreError> {
        let end = self.bytes.len().checked_sub(TRAILER).ok_or_else(|| self.not_arrow())?;
        let trailer = self.bytes.get(end..).and_then(|t| t.try_into().ok()).ok_or_else(|| self.not_arrow())?;
        let length = read_footer_length(trailer).map_err(|_| self.not_arrow())?;
        Ok(end.checked_sub(length).ok_or_else(|| self.not_arrow())?..end)
    }

    /// The blocks of the batches, in order and within the file.
    fn blocks(&self) -> Result<Vec<Placed>, StoreError> {
        let footer = self.footer()?;
        let parsed = root_as_footer(self.bytes.get(footer.clone()).unwrap_or_default()).map_err(|_| self.not_arrow())?;
        let place = |block: &Block| {
            let start = usize::try_from(block.offset()).ok()?;
            let body = start.checked_add(usize::try_from(block.metaDataLength()).ok()?)?;
            let end = body.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
            (end <= footer.start).then_some(Placed { block: *block, meta: start..body, body: body..end })
        };
        let blocks: Option<Vec<_>> = parsed.recordBatches().iter().flatten().map(place).collect();
        let blocks = blocks.ok_or_else(|| self.not_arrow())?;
        let in_order = blocks.windows(2).all(|pair| pair[0].body.end <= pair[1].meta.start);
        if in_order { Ok(blocks) } else { Err(self.not_arrow()) }
    }

    /// The checksum of everything outside the arrays.
    fn frame(&self) -> Result<String, StoreError> {
        let (mut sum, mut from) = (Checksum::default(), 0);
        for Placed { body, .. } in self.blocks()? {
            sum.update(self.bytes.get(from..body.start).unwrap_or_default());
            from = body.end;
        }
        sum.update(self.bytes.get(from..).unwrap_or_default());
        Ok(sum.finish())
    }

    /// The batches. Only for files whose frame is known to be of our writing.
    fn decode(&self) -> Result<Vec<RecordBatch>, StoreError> {
        let invalid = |e: ArrowError| self.damaged(words!("its contents are not valid ({e})", "内容无效（{e}）"));
        let footer = root_as_footer(self.bytes.get(self.footer()?).unwrap_or_default()).map_err(|_| self.not_arrow())?;
        let schema = try_fb_to_schema(footer.schema().ok_or_else(|| self.not_arrow())?).map_err(invalid)?;
        let decoder = FileDecoder::new(Arc::new(schema), footer.version());
        self.blocks()?
            .iter()
            .map(|Placed { block, meta, body }| {
                let bytes = self.bytes.slice_with_length(meta.start, body.end - meta.start);
                decoder.read_record_batch(block, &bytes).map_err(invalid)?.ok_or_else(|| self.not_arrow())
            })
            .collect()
    }
}

/// Maps a file of the store and gives its batches, after checking it against the manifest.
pub(super) fn open(dir: &Path, entry: &FileEntry) -> Result<Vec<RecordBatch>, StoreError> {
    let path = dir.join(&entry.file);
    let mapped = Mapped::open(&path)?;
    if mapped.bytes.len() as u64 != entry.bytes {
        let found = mapped.bytes.len();
        return Err(mapped.damaged(words!(
            "it is {found} bytes long where the manifest says {}",
            "长度为 {found} 字节，清单中写的是 {} 字节",
            entry.bytes
        )));
    }
    if mapped.frame()? != entry.frame {
        return Err(mapped.damaged(words!("its header or footer was changed", "文件头或文件尾被改动")));
    }
    mapped.decode()
}

/// Maps a file that this process has just written and knows to be whole.
pub(super) fn open_own(path: &Path) -> Result<Vec<RecordBatch>, StoreError> {
    Mapped::open(path)?.decode()
}

/// Reads all of a file and compares it with the manifest.
pub(super) fn verify(dir: &Path, entry: &FileEntry) -> Result<(), StoreError> {
    let path = dir.join(&entry.file);
    let mapped = Mapped::open(&path)?;
    let mut sum = Checksum::default();
    sum.update(&mapped.bytes);
    if sum.finish() == entry.checksum { Ok(()) } else { Err(mapped.damaged(words!("its contents were changed", "内容被改动"))) }
}
