//! Arrow IPC files: written uncompressed with 64-byte alignment, opened by mapping them into memory without decoding.

use arrow_array::RecordBatch;
use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::ArrowError;
use std::io::{self, Write};

/// Hands the bytes of an IPC file with one batch to `sink`, in order.
pub(super) fn encode(batch: &RecordBatch, sink: impl FnMut(&[u8])) -> Result<(), ArrowError> {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5)?;
    let mut writer = FileWriter::try_new_with_options(Sink(sink), &batch.schema(), options)?;
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
