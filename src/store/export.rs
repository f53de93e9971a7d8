//! Writing an audience to a file, as ids or with columns: CSV, JSON Lines, Parquet, Arrow. What is
//! written can be imported again.
//!
//! Rows are sorted by user id. Private tags and addresses do not leave the store this way.

use crate::msg;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Decimal128Array, RecordBatch, StringArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema as ArrowSchema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use super::build::{Picks, gather};
use super::import::FileFormat;
use super::{Column, Snapshot, StoreError};
use crate::base::world::World;
use crate::base::{Bitmap, Type, UserNo, Value, Zone};

/// Rows of one batch of Parquet and Arrow files.
const BATCH_ROWS: usize = 1 << 16;
/// Digits of money after the point, and digits that it may have in all.
const MONEY_DIGITS: i8 = 2;
const MONEY_PRECISION: u8 = 19;
/// Minor units from which a float with two digits after the point is no longer exact.
pub(super) const EXACT_MINOR: u64 = 1_000_000_000_000_000;

/// What to write.
pub struct Export<'a> {
    pub snapshot: &'a Snapshot,
    pub users: &'a Bitmap,
    /// Tags beside the id.
    pub tags: &'a [String],
    /// The zone that instants are shown in.
    pub zone: Zone,
}

impl Snapshot {
    /// The ids of some users, sorted.
    pub fn sorted_ids(&self, users: &Bitmap) -> Vec<(&str, UserNo)> {
        let mut ids: Vec<_> = users
            .iter()
            .filter_map(|u| Some((self.user_id(u)?, u)))
            .collect();
        ids.sort_unstable();
        ids
    }
}

impl Export<'_> {
    /// Writes the file in the format that its name says and tells how many users are in it. On an
    /// error there is no file.
    ///
    /// # Errors
    /// When a tag is unknown or private, the name says no format, or the file cannot be written.
    pub fn write(&self, path: &Path, world: &dyn World) -> Result<usize, StoreError> {
        let columns = self.columns()?;
        let format = FileFormat::of_name(path).ok_or_else(|| {
            StoreError::Import(msg!(
                "the name of `{0}` does not say a format: end it in .csv, .tsv, .jsonl, .parquet or .arrow",
                "`{0}` 的扩展名看不出格式：请以 .csv、.tsv、.jsonl、.parquet 或 .arrow 结尾",
                path.display()
            ))
        })?;
        let failed = |e: io::Error| StoreError::write(path, e);
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = Path::new(&part);
        world.about_to_write("export").map_err(failed)?;
        let ids = self.snapshot.sorted_ids(self.users);
        let out = BufWriter::new(File::create(part).map_err(failed)?);
        let written = match format {
            FileFormat::Csv => self.write_separated(out, b',', &columns, &ids),
            FileFormat::Tsv => self.write_separated(out, b'\t', &columns, &ids),
            FileFormat::JsonLines => self.write_json(out, &columns, &ids),
            FileFormat::Parquet => self.write_parquet(out, &columns, &ids),
            FileFormat::Arrow => self.write_arrow(out, &columns, &ids),
        };
        let finished = written.and_then(|()| fs::rename(part, path));
        if finished.is_err() {
            let _ = fs::remove_file(part);
        }
        finished.map_err(failed)?;
        Ok(ids.len())
    }

    fn columns(&self) -> Result<Vec<(&str, &Column)>, StoreError> {
        let schema = self.snapshot.schema();
        let column = |name: &String| {
            let id = schema.tag_named(name);
            let column = id.map_or(Ok(None), |id| self.snapshot.tag_at(id))?;
            match id.and_then(|id| schema.tags.get(id.index())).zip(column) {
                None => Err(StoreError::Import(msg!(
                    "the store has no tag `{name}`: `tagcast tags list` shows them all",
                    "数据仓中没有标签 `{name}`：可用 `tagcast tags list` 查看"
                ))),
                Some((tag, _)) if tag.private || matches!(tag.ty, Type::Address(_)) => {
                    Err(StoreError::Import(msg!(
                        "`{name}` is private and never leaves the store unmasked: leave it out",
                        "`{name}` 是私密的，不脱敏不得导出：请去掉"
                    )))
                }
                Some((tag, column)) => Ok((tag.name.as_str(), column)),
            }
        };
        self.tags.iter().map(column).collect()
    }

    fn write_separated(
        &self,
        out: impl Write,
        separator: u8,
        columns: &[(&str, &Column)],
        ids: &[(&str, UserNo)],
    ) -> io::Result<()> {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(separator)
            .from_writer(out);
        writer.write_record(std::iter::once("id").chain(columns.iter().map(|(name, _)| *name)))?;
        for (id, user) in ids {
            writer.write_field(id)?;
            for (_, column) in columns {
                writer.write_field(
                    column
                        .value(user.index())
                        .map_or_else(String::new, |v| plain(&v, &column.ty, self.zone)),
                )?;
            }
            writer.write_record(None::<&[u8]>)?;
        }
        writer.flush()
    }

    fn write_json(
        &self,
        mut out: impl Write,
        columns: &[(&str, &Column)],
        ids: &[(&str, UserNo)],
    ) -> io::Result<()> {
        for (id, user) in ids {
            write!(out, "{{\"id\":{}", quoted(id))?;
            for (name, column) in columns {
                if let Some(value) = column.value(user.index()) {
                    write!(
                        out,
                        ",{}:{}",
                        quoted(name),
                        json(&value, &column.ty, self.zone)
                    )?;
                }
            }
            out.write_all(b"}\n")?;
        }
        out.flush()
    }

    fn write_parquet(
        &self,
        out: impl Write + Send,
        columns: &[(&str, &Column)],
        ids: &[(&str, UserNo)],
    ) -> io::Result<()> {
        let schema = typed_schema(columns);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .build();
        let mut writer = ArrowWriter::try_new(out, schema.clone(), Some(properties))?;
        for rows in ids.chunks(BATCH_ROWS) {
            writer.write(&typed_batch(&schema, columns, rows).map_err(io::Error::other)?)?;
        }
        writer.into_inner()?.flush()
    }

    fn write_arrow(
        &self,
        out: impl Write,
        columns: &[(&str, &Column)],
        ids: &[(&str, UserNo)],
    ) -> io::Result<()> {
        let schema = typed_schema(columns);
        let mut writer = FileWriter::try_new(out, &schema).map_err(io_error)?;
        for rows in ids.chunks(BATCH_ROWS) {
            writer
                .write(&typed_batch(&schema, columns, rows).map_err(io_error)?)
                .map_err(io_error)?;
        }
        writer.into_inner().map_err(io_error)?.flush()
    }
}

/// Writes some users' ids and tags; instants in UTC.
///
/// # Errors
/// Those of [`Export::write`].
pub fn audience(
    snapshot: &Snapshot,
    users: &Bitmap,
    tags: &[String],
    path: &Path,
    world: &dyn World,
) -> Result<usize, StoreError> {
    Export {
        snapshot,
        users,
        tags,
        zone: Zone::UTC,
    }
    .write(path, world)
}

fn io_error(e: ArrowError) -> io::Error {
    match e {
        ArrowError::IoError(_, e) => e,
        other => io::Error::other(other),
    }
}

/// A value as text that an import reads back as the same value.
pub fn plain(value: &Value, ty: &Type, zone: Zone) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Number(n) | Value::Distance(n) => n.to_string(),
        Value::Ratio(r) => r.to_string(),
        Value::Money(m) => crate::base::Decimal {
            mantissa: *m,
            scale: MONEY_DIGITS as u8,
        }
        .to_string(),
        Value::Text(t) => t.to_string(),
        Value::Enum(code) => member(ty, *code),
        Value::Set(items) => {
            let texts: Vec<String> = items
                .iter()
                .map(|item| plain(item, item_type(ty), zone))
                .collect();
            let bare = !texts.is_empty()
                && texts
                    .iter()
                    .all(|t| !t.is_empty() && t.trim() == t && !t.contains(['|', '[']));
            if bare {
                texts.join("|")
            } else {
                json(value, ty, zone)
            }
        }
        Value::Date(d) => d.to_string(),
        Value::Time(t) => t.to_string(),
        Value::Instant(at) => {
            let local = zone.show_rfc3339(*at);
            // Before about 1900 offsets have seconds, which the format cannot write.
            if zone.parse_instant(&local) == Some(*at) {
                local
            } else {
                Zone::UTC.show_rfc3339(*at)
            }
        }
        Value::Elapsed(e) if e.0 % 1_000_000 == 0 => e.to_string(),
        Value::Elapsed(e) => format!(
            "{}s",
            crate::base::Decimal {
                mantissa: e.0,
                scale: 6
            }
        ),
        Value::Calendar(c) => c.to_string(),
        Value::Place(p) => format!("{},{}", p.lat, p.lon),
    }
}

pub(super) fn json(value: &Value, ty: &Type, zone: Zone) -> String {
    match value {
        // JSON numbers are floats to most readers: past their exact range money stands as text.
        Value::Money(m) if m.unsigned_abs() >= EXACT_MINOR => quoted(&plain(value, ty, zone)),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Number(_)
        | Value::Distance(_)
        | Value::Ratio(_)
        | Value::Money(_) => plain(value, ty, zone),
        Value::Set(items) => {
            let items: Vec<String> = items
                .iter()
                .map(|item| json(item, item_type(ty), zone))
                .collect();
            format!("[{}]", items.join(","))
        }
        Value::Place(p) => format!("[{},{}]", p.lat, p.lon),
        Value::Text(_)
        | Value::Enum(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Instant(_)
        | Value::Elapsed(_)
        | Value::Calendar(_) => quoted(&plain(value, ty, zone)),
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn item_type(ty: &Type) -> &Type {
    if let Type::Set(of) = ty { of } else { ty }
}

fn member(ty: &Type, code: u16) -> String {
    let members = if let Type::Enum(of) = ty {
        &of.members[..]
    } else {
        &[]
    };
    members.get(usize::from(code)).cloned().unwrap_or_default()
}

/// The Arrow schema of an export: names of members instead of codes, money as decimals.
fn typed_schema(columns: &[(&str, &Column)]) -> SchemaRef {
    let data_type = |column: &Column| match &column.ty {
        Type::Money => DataType::Decimal128(MONEY_PRECISION, MONEY_DIGITS),
        Type::Enum(_) | Type::Elapsed | Type::Calendar => DataType::Utf8,
        Type::Set(of) if matches!(**of, Type::Enum(_)) => {
            DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
        }
        _ => column.data.to_array().data_type().clone(),
    };
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(*name, data_type(column), true));
    Arc::new(ArrowSchema::new(
        std::iter::once(Field::new("id", DataType::Utf8, false))
            .chain(fields)
            .collect::<Vec<_>>(),
    ))
}

fn typed_batch(
    schema: &SchemaRef,
    columns: &[(&str, &Column)],
    rows: &[(&str, UserNo)],
) -> Result<RecordBatch, ArrowError> {
    let picks: Picks = rows.iter().map(|(_, user)| Some((0, user.0))).collect();
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(
        rows.iter()
            .map(|(id, _)| Some(*id))
            .collect::<StringArray>(),
    )];
    for (_, column) in columns {
        let values = || rows.iter().map(|(_, user)| column.value(user.index()));
        arrays.push(match &column.ty {
            Type::Money => {
                let minor = values().map(|v| {
                    if let Some(Value::Money(m)) = v {
                        Some(i128::from(m))
                    } else {
                        None
                    }
                });
                Arc::new(
                    minor
                        .collect::<Decimal128Array>()
                        .with_precision_and_scale(MONEY_PRECISION, MONEY_DIGITS)?,
                )
            }
            Type::Enum(_) | Type::Elapsed | Type::Calendar => Arc::new(
                values()
                    .map(|v| v.map(|v| plain(&v, &column.ty, Zone::UTC)))
                    .collect::<StringArray>(),
            ),
            Type::Set(of) if matches!(**of, Type::Enum(_)) => {
                let mut lists = ListBuilder::new(StringBuilder::new());
                for value in values() {
                    if let Some(Value::Set(items)) = &value {
                        items.iter().for_each(|item| {
                            lists.values().append_value(plain(item, of, Zone::UTC))
                        });
                    }
                    lists.append(value.is_some());
                }
                Arc::new(lists.finish())
            }
            ty => gather(ty, &[&column.whole().data], &picks).to_array(),
        });
    }
    RecordBatch::try_new(schema.clone(), arrays)
}
