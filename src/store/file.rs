//! Arrow IPC files: written uncompressed with 64-byte alignment, so that what is in memory is what
//! is in the file.
//!
//! A file is never changed once it is named by a manifest. When it is opened its length must be the
//! manifest's; when its arrays are first asked for, so must the checksum of everything outside
//! them, and Arrow validates their structure (for text and lists that reads them, for plain numbers
//! it does not). Damage inside plain numbers is found by [`verify`], which reads the whole file.

use crate::base::Msg;
use crate::msg;
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_ipc::{Block, MetadataVersion, root_as_footer, root_as_message};
use arrow_schema::{ArrowError, DataType, SchemaRef};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::digest::Checksum;
use super::error::StoreError;
use super::manifest::FileEntry;
use super::mapped::OpenFile;

/// What an Arrow file ends with.
const MAGIC: &[u8] = b"ARROW1";
/// Length of the footer's length and the closing magic.
const TRAILER: usize = 4 + MAGIC.len();

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
        let out = Summed {
            out: BufWriter::with_capacity(1 << 20, file),
            bytes: 0,
            sum: Checksum::default(),
        };
        let writer = options().and_then(|o| FileWriter::try_new_with_options(out, schema, o));
        Ok(NewFile {
            writer: writer.map_err(|e| failed(path, e))?,
        })
    }

    pub fn write(&mut self, path: &Path, batch: &RecordBatch) -> Result<(), StoreError> {
        self.writer.write(batch).map_err(|e| failed(path, e))
    }

    /// Ends a file that need not outlive this process.
    pub fn close(self, path: &Path) -> Result<(), StoreError> {
        let mut done = self.writer.into_inner().map_err(|e| failed(path, e))?;
        done.out.flush().map_err(|e| StoreError::write(path, e))
    }

    /// Ends the file, makes it read-only, and says what the manifest must know of it. It is not
    /// durable yet.
    pub fn finish(self, path: &Path, name: &str) -> Result<(FileEntry, File), StoreError> {
        let done = self.writer.into_inner().map_err(|e| failed(path, e))?;
        let (bytes, checksum) = (done.bytes, done.sum.finish());
        let file = done
            .out
            .into_inner()
            .map_err(|e| StoreError::write(path, e.into_error()))?;
        let make_read_only = || -> io::Result<()> {
            let mut permissions = file.metadata()?.permissions();
            permissions.set_readonly(true);
            file.set_permissions(permissions)
        };
        make_read_only().map_err(|e| StoreError::write(path, e))?;
        let frame = Contents::of(&OpenFile::open(path)?)?.frame()?;
        Ok((
            FileEntry {
                file: name.into(),
                bytes,
                checksum,
                frame,
            },
            file,
        ))
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

/// The bytes of a file, not yet decoded.
struct Contents<'a> {
    file: &'a OpenFile,
    bytes: Buffer,
}

impl<'a> Contents<'a> {
    fn of(file: &'a OpenFile) -> Result<Self, StoreError> {
        Ok(Contents {
            file,
            bytes: file.contents()?,
        })
    }

    fn damaged(&self, what: Msg) -> StoreError {
        self.file.damaged(what)
    }

    fn not_arrow(&self) -> StoreError {
        self.damaged(msg!(
            "it is not a whole Arrow file",
            "不是完整的 Arrow 文件"
        ))
    }

    /// Where the footer stands.
    fn footer(&self) -> Result<Range<usize>, StoreError> {
        let end = self
            .bytes
            .len()
            .checked_sub(TRAILER)
            .ok_or_else(|| self.not_arrow())?;
        let trailer = self
            .bytes
            .get(end..)
            .and_then(|t| t.try_into().ok())
            .ok_or_else(|| self.not_arrow())?;
        let length = read_footer_length(trailer).map_err(|_| self.not_arrow())?;
        Ok(end.checked_sub(length).ok_or_else(|| self.not_arrow())?..end)
    }

    /// The blocks of the batches, in order and within the file.
    fn blocks(&self) -> Result<Vec<Placed>, StoreError> {
        let footer = self.footer()?;
        let parsed = root_as_footer(self.bytes.get(footer.clone()).unwrap_or_default())
            .map_err(|_| self.not_arrow())?;
        let place = |block: &Block| {
            let start = usize::try_from(block.offset()).ok()?;
            let body = start.checked_add(usize::try_from(block.metaDataLength()).ok()?)?;
            let end = body.checked_add(usize::try_from(block.bodyLength()).ok()?)?;
            (end <= footer.start).then_some(Placed {
                block: *block,
                meta: start..body,
                body: body..end,
            })
        };
        let blocks: Option<Vec<_>> = parsed.recordBatches().iter().flatten().map(place).collect();
        let blocks = blocks.ok_or_else(|| self.not_arrow())?;
        let in_order = blocks
            .windows(2)
            .all(|pair| pair[0].body.end <= pair[1].meta.start);
        if in_order {
            Ok(blocks)
        } else {
            Err(self.not_arrow())
        }
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

    /// Compares every byte with the manifest.
    fn verify(&self, entry: &FileEntry) -> Result<(), StoreError> {
        let mut sum = Checksum::default();
        sum.update(&self.bytes);
        if sum.finish() == entry.checksum {
            Ok(())
        } else {
            Err(self.damaged(msg!("its contents were changed", "内容被改动")))
        }
    }

    fn schema(&self) -> Result<SchemaRef, StoreError> {
        let footer = root_as_footer(self.bytes.get(self.footer()?).unwrap_or_default())
            .map_err(|_| self.not_arrow())?;
        let schema = try_fb_to_schema(footer.schema().ok_or_else(|| self.not_arrow())?);
        Ok(Arc::new(schema.map_err(|e| self.invalid(&e))?))
    }

    /// [`StoreFile::texts`]; `None` when the file is of another form.
    fn texts(&self) -> Result<Option<(usize, Buffer, Buffer)>, StoreError> {
        let schema = self.schema()?;
        let [field] = &schema.fields()[..] else {
            return Ok(None);
        };
        let blocks = self.blocks()?;
        let [Placed { meta, body, .. }] = &blocks[..] else {
            return Ok(None);
        };
        if *field.data_type() != DataType::LargeUtf8 {
            return Ok(None);
        }
        // Before the message stand a marker and its length.
        let message = self
            .bytes
            .get(meta.start + 8..meta.end)
            .and_then(|m| root_as_message(m).ok());
        let Some(batch) = message
            .and_then(|m| m.header_as_record_batch())
            .filter(|b| b.compression().is_none())
        else {
            return Ok(None);
        };
        let Some(buffers) = batch.buffers().filter(|b| b.len() == 3) else {
            return Ok(None);
        };
        let slice = |n: usize| {
            let (offset, length) = (
                usize::try_from(buffers.get(n).offset()).ok()?,
                usize::try_from(buffers.get(n).length()).ok()?,
            );
            let start = body.start.checked_add(offset)?;
            (start.checked_add(length)? <= body.end)
                .then(|| self.bytes.slice_with_length(start, length))
        };
        let rows = usize::try_from(batch.length()).ok();
        Ok(rows
            .zip(slice(1))
            .zip(slice(2))
            .map(|((rows, offsets), bytes)| (rows, offsets, bytes)))
    }

    fn invalid(&self, e: &ArrowError) -> StoreError {
        self.damaged(msg!("its contents are not valid ({e})", "内容无效（{e}）"))
    }

    /// The batches. Only for files whose frame is known to be of our writing.
    fn decode(&self) -> Result<Vec<RecordBatch>, StoreError> {
        let decoder = FileDecoder::new(self.schema()?, MetadataVersion::V5);
        self.blocks()?
            .iter()
            .map(|Placed { block, meta, body }| {
                let bytes = self
                    .bytes
                    .slice_with_length(meta.start, body.end - meta.start);
                decoder
                    .read_record_batch(block, &bytes)
                    .map_err(|e| self.invalid(&e))?
                    .ok_or_else(|| self.not_arrow())
            })
            .collect()
    }
}

/// A file that a manifest names: open and of the right length, its arrays not yet looked at.
#[derive(Debug)]
pub(super) struct StoreFile {
    file: OpenFile,
    entry: FileEntry,
    /// Whether every byte was compared with the checksum.
    sound: AtomicBool,
}

impl StoreFile {
    pub fn open(dir: &Path, entry: &FileEntry) -> Result<Self, StoreError> {
        let file = OpenFile::open(&dir.join(&entry.file))?;
        if file.len() != entry.bytes {
            let found = file.len();
            return Err(file.damaged(msg!(
                "it is {found} bytes long where the manifest says {}",
                "长度为 {found} 字节，清单中写的是 {} 字节",
                entry.bytes
            )));
        }
        Ok(StoreFile {
            file,
            entry: entry.clone(),
            sound: AtomicBool::new(false),
        })
    }

    fn framed(&self) -> Result<Contents<'_>, StoreError> {
        let contents = Contents::of(&self.file)?;
        if contents.frame()? != self.entry.frame {
            return Err(contents.damaged(msg!(
                "its header or footer was changed",
                "文件头或文件尾被改动"
            )));
        }
        Ok(contents)
    }

    /// The batches, after the frame was checked.
    pub fn batches(&self) -> Result<Vec<RecordBatch>, StoreError> {
        self.framed()?.decode()
    }

    /// The batches, after every byte was compared with the checksum: for small files that decisions
    /// stand on.
    pub fn whole(&self) -> Result<Vec<RecordBatch>, StoreError> {
        let contents = Contents::of(&self.file)?;
        contents.verify(&self.entry)?;
        contents.decode()
    }

    /// Compares every byte with the checksum, the first time that it is asked to.
    pub fn sound(&self) -> Result<(), StoreError> {
        if !self.sound.load(Ordering::Relaxed) {
            Contents::of(&self.file)?.verify(&self.entry)?;
            self.sound.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the end of the file is still there: one that was cut off inside its last page reads
    /// as zeros, without a signal.
    pub fn intact(&self) -> Result<(), StoreError> {
        match self.file.mapped() {
            Some(bytes) if !bytes.ends_with(MAGIC) => Err(self.file.damaged(msg!(
                "another program cut it off while it was being read",
                "读取期间被别的程序截短"
            ))),
            _ => Ok(()),
        }
    }

    /// The one column of a file with one batch, of texts without nulls: how many rows, offsets and
    /// bytes as they lie, so that millions of them are opened without being read.
    pub fn texts(&self) -> Result<(usize, Buffer, Buffer), StoreError> {
        let contents = self.framed()?;
        contents.texts()?.ok_or_else(|| self.other_form())
    }

    /// What to say when the file does not hold what the manifest says.
    pub fn other_form(&self) -> StoreError {
        self.file.damaged(msg!(
            "it is not of the form that the manifest says",
            "形式与清单不符"
        ))
    }
}

/// The batches of a file of the store.
pub(super) fn open(dir: &Path, entry: &FileEntry) -> Result<Vec<RecordBatch>, StoreError> {
    StoreFile::open(dir, entry)?.batches()
}

/// The batches of a file that this process has just written and knows to be whole.
pub(super) fn open_own(path: &Path) -> Result<Vec<RecordBatch>, StoreError> {
    Contents::of(&OpenFile::open(path)?)?.decode()
}

/// Reads all of a file and compares it with the manifest.
pub(super) fn verify(dir: &Path, entry: &FileEntry) -> Result<(), StoreError> {
    Contents::of(&OpenFile::open(&dir.join(&entry.file))?)?.verify(entry)
}
