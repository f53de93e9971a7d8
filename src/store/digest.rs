//! What identifies content: a checksum a file, and one digest over all of a snapshot.
//!
//! The checksum of a file is that of the bytes it has on disk, so a snapshot made in memory and one
//! read from a store have the same digest when they would be stored as the same bytes.

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use xxhash_rust::xxh3::Xxh3;

use super::column::Column;
use super::event_table::EventTable;
use super::schema_file::{EventSchemaFile, TagSchemaFile};
use super::users::Users;
use super::{batches, file};
use crate::base::Schema;

/// The checksum of a byte stream, as 32 hexadecimal digits. Finds damage, not forgery.
#[derive(Default)]
pub(super) struct Checksum(Xxh3);

impl Checksum {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}

/// The digest of a snapshot from the checksums of its parts.
pub(super) fn of_parts<'a>(
    users: impl Iterator<Item = &'a str>,
    tags: impl Iterator<Item = (&'a TagSchemaFile, &'a str)>,
    events: impl Iterator<Item = (&'a EventSchemaFile, Vec<&'a str>)>,
) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut line = |text: &str| {
        hasher.update(text.as_bytes());
        hasher.update(b"\n");
    };
    users.for_each(&mut line);
    for (tag, checksum) in tags {
        line(&serde_json::to_string(tag).unwrap_or_default());
        line(checksum);
    }
    for (event, checksums) in events {
        line(&serde_json::to_string(event).unwrap_or_default());
        checksums.into_iter().for_each(&mut line);
    }
    hasher.finalize().to_hex().as_str()[..32].to_string()
}

/// The digest of parts that are in no file.
pub(super) fn of_memory(
    users: &Users,
    schema: &Schema,
    tags: &[Column],
    events: &[EventTable],
) -> String {
    let users: Vec<_> = users
        .segments
        .iter()
        .map(|s| checksum(batches::of_ids(s)))
        .collect();
    let tags: Vec<_> = schema
        .tags
        .iter()
        .zip(tags)
        .map(|(tag, column)| {
            (
                TagSchemaFile::of(tag, schema),
                checksum(batches::of_column(&tag.name, column)),
            )
        })
        .collect();
    let events: Vec<_> = events
        .iter()
        .map(|e| {
            (
                EventSchemaFile::of(&e.schema),
                e.segments
                    .iter()
                    .map(|s| checksum(batches::of_segment(&e.schema, s)))
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    of_parts(
        users.iter().map(String::as_str),
        tags.iter().map(|(tag, sum)| (tag, sum.as_str())),
        events
            .iter()
            .map(|(event, sums)| (event, sums.iter().map(String::as_str).collect())),
    )
}

fn checksum(batch: Result<RecordBatch, ArrowError>) -> String {
    let mut sum = Checksum::default();
    match batch.and_then(|b| file::encode(&b, |bytes| sum.update(bytes))) {
        Ok(()) => sum.finish(),
        Err(e) => e.to_string(), // Arrays of our own making always fit together; if not, the digest still differs.
    }
}
