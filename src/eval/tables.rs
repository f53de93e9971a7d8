//! Lists and lookup tables from the files that a program names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::value::Shown;
use crate::base::world::World;
use crate::base::{Bitmap, Decimal, FieldSchema, Instant, ListId, LookupId, Type, UserNo, Value, Zone};
use crate::diag::Msg;
use crate::msg;
use crate::program::typed::{Lookup, Program};
use crate::store::Snapshot;

/// Larger files belong into the store.
const MAX_TABLE_BYTES: usize = 256 << 20;
/// More errors of one file say nothing new.
const MAX_ERRORS: usize = 20;

/// The rows of a lookup by their keys.
type Rows = BTreeMap<Vec<String>, Vec<Option<Value>>>;

/// Everything a program reads from files, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    lists: Vec<Bitmap>,
    /// `None` when the file is older than the table's `fresh`: all values are missing.
    lookups: Vec<Option<Rows>>,
    /// Ids in lists that the store does not have, by list; worth a word, not an error.
    pub unknown_ids: Vec<usize>,
}

/// Why a list or table cannot be loaded.
#[derive(Clone, Debug)]
pub struct TableError {
    pub path: PathBuf,
    pub message: Msg,
}

impl Tables {
    /// Reads every list and lookup of the program; paths are relative to its folder.
    ///
    /// # Errors
    /// All errors of all files: unreadable ones, rows with wrong values, keys that occur twice.
    pub fn load(program: &Program, folder: &Path, world: &dyn World, snapshot: &Snapshot, now: Instant) -> Result<Tables, Vec<TableError>> {
        Self::load_from(program, folder, world, snapshot, now, &|path| read(path, world))
    }

    /// The same for `test` blocks: of a file that is not there, a list is empty and a table has no rows.
    ///
    /// # Errors
    /// As [`Tables::load`], but for files that are not there.
    pub fn load_leniently(
        program: &Program,
        folder: &Path,
        world: &dyn World,
        snapshot: &Snapshot,
        now: Instant,
    ) -> Result<Tables, Vec<TableError>> {
        let header = |path: &Path| {
            let of = |l: &&Lookup| folder.join(&l.file) == path;
            let columns = |l: &Lookup| l.keys.iter().chain(&l.fields).map(|f| f.name.clone()).collect::<Vec<_>>().join(",");
            program.lookups.iter().find(of).map_or(String::new(), |l| columns(l) + "\n")
        };
        let lenient = |path: &Path| if path.exists() { read(path, world) } else { Ok(header(path)) };
        Self::load_from(program, folder, world, snapshot, now, &lenient)
    }

    fn load_from(
        program: &Program,
        folder: &Path,
        world: &dyn World,
        snapshot: &Snapshot,
        now: Instant,
        read: &dyn Fn(&Path) -> Result<String, TableError>,
    ) -> Result<Tables, Vec<TableError>> {
        let mut out = Tables::default();
        let mut errors = Vec::new();
        for list in &program.lists {
            let path = folder.join(&list.file);
            match read(&path) {
                Ok(text) => {
                    let mut map = Bitmap::none(snapshot.user_count());
                    let mut unknown = 0;
                    for id in list_ids(&text) {
                        match snapshot.user_no(&id) {
                            Some(user) => map.insert(user),
                            None => unknown += 1,
                        }
                    }
                    out.lists.push(map);
                    out.unknown_ids.push(unknown);
                }
                Err(e) => errors.push(e),
            }
        }
        for lookup in &program.lookups {
            let path = folder.join(&lookup.file);
            match read(&path) {
                Ok(_) if is_stale(&path, lookup, world, now) => out.lookups.push(None),
                Ok(text) => match rows(lookup, &text, program.policy.zone) {
                    Ok(rows) => out.lookups.push(Some(rows)),
                    Err(messages) => errors.extend(messages.into_iter().map(|message| TableError { path: path.clone(), message })),
                },
                Err(e) => errors.push(e),
            }
        }
        if errors.is_empty() { Ok(out) } else { Err(errors) }
    }

    pub fn in_list(&self, list: ListId, user: UserNo) -> bool {
        self.lists.get(list.index()).is_some_and(|l| l.contains(user))
    }

    /// The users of a list.
    pub fn list(&self, list: ListId) -> Option<&Bitmap> {
        self.lists.get(list.index())
    }

    pub fn look_up(&self, lookup: LookupId, keys: &[String], field: u16) -> Option<Value> {
        self.lookups.get(lookup.index())?.as_ref()?.get(keys)?.get(usize::from(field))?.clone()
    }
}

/// A key as text, the same for a value in the program and a cell in the file.
pub fn key_text(value: &Value, ty: &Type, zone: Zone) -> String {
    Shown { value, ty, zone }.to_string()
}

fn is_stale(path: &Path, lookup: &Lookup, world: &dyn World, now: Instant) -> bool {
    let Some(fresh) = lookup.fresh else { return false };
    // A file whose age nobody knows is not fresh.
    world.modified(path).is_none_or(|at| at < now.minus(fresh))
}

fn read(path: &Path, world: &dyn World) -> Result<String, TableError> {
    let fail = |message: Msg| TableError { path: path.to_path_buf(), message };
    let bytes = world.read(path).map_err(|e| fail(msg!("cannot be read: {e}", "无法读取:{e}")))?;
    if bytes.len() > MAX_TABLE_BYTES {
        return Err(fail(msg!("is larger than 256 MiB; import it as a tag instead", "超过 256 MiB;请作为标签导入")));
    }
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").map(<[u8]>::to_vec).unwrap_or(bytes);
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        fail(msg!("is not UTF-8 (byte {at} is not)", "不是 UTF-8(第 {at} 字节起)"))
    })
}

/// One id a line; of a CSV the column `id` or `user_id`, or the first.
fn list_ids(text: &str) -> Vec<String> {
    let first = text.lines().next().unwrap_or("");
    let head: Vec<String> = first.split(',').map(|c| c.trim().trim_matches('"').to_lowercase()).collect();
    let column = head.iter().position(|h| h == "id" || h == "user_id");
    let mut reader =
        csv::ReaderBuilder::new().has_headers(column.is_some()).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let ids = reader.records().filter_map(Result::ok).filter_map(|r| r.get(column.unwrap_or(0)).map(str::to_string));
    ids.filter(|id| !id.is_empty() && !id.starts_with('#')).collect()
}

/// The rows of a lookup: CSV with a header line, columns found by name.
fn rows(lookup: &Lookup, text: &str, zone: Zone) -> Result<Rows, Vec<Msg>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| vec![msg!("is not CSV: {e}", "不是 CSV:{e}")])?.clone();
    let mut errors = Vec::new();
    let mut find = |field: &FieldSchema| {
        let name = &field.name;
        let at = header.iter().position(|h| h == name);
        if at.is_none() {
            errors.push(msg!("has no column `{name}`", "没有列 `{name}`"));
        }
        at.unwrap_or(usize::MAX)
    };
    let keys: Vec<usize> = lookup.keys.iter().map(&mut find).collect();
    let fields: Vec<usize> = lookup.fields.iter().map(&mut find).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut out = Rows::new();
    for record in reader.records() {
        if errors.len() >= MAX_ERRORS {
            break;
        }
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                errors.push(msg!("is not CSV: {e}", "不是 CSV:{e}"));
                break;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        let mut cell = |at: usize, schema: &FieldSchema| {
            let text = record.get(at).unwrap_or("");
            if text.is_empty() {
                return None;
            }
            let value = cell_value(text, &schema.ty, zone);
            if value.is_none() {
                let (name, ty) = (&schema.name, schema.ty.describe());
                errors.push(msg!("line {line}, column `{name}`: `{text}` is not a {ty}", "第 {line} 行,列 `{name}`:`{text}` 不是 {ty}"));
            }
            value
        };
        let key: Option<Vec<String>> =
            keys.iter().zip(&lookup.keys).map(|(at, schema)| cell(*at, schema).map(|v| key_text(&v, &schema.ty, zone))).collect();
        let row: Vec<Option<Value>> = fields.iter().zip(&lookup.fields).map(|(at, schema)| cell(*at, schema)).collect();
        match key {
            None => errors.push(msg!("line {line}: a key is empty", "第 {line} 行:键为空")),
            Some(key) => {
                let shown = key.join(", ");
                if out.insert(key, row).is_some() {
                    errors.push(msg!("line {line}: the key `{shown}` occurs twice", "第 {line} 行:键 `{shown}` 出现两次"));
                }
            }
        }
    }
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

/// A cell in the type of its column.
fn cell_value(text: &str, ty: &Type, zone: Zone) -> Option<Value> {
    let number = || text.parse::<f64>().ok().filter(|n| n.is_finite());
    match ty {
        Type::Bool => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" | "是" => Some(Value::Bool(true)),
            "false" | "0" | "no" | "否" => Some(Value::Bool(false)),
            _ => None,
        },
        Type::Int { lo, hi } => {
            let n: i64 = text.parse().ok()?;
            (lo.is_none_or(|lo| lo <= n) && hi.is_none_or(|hi| n <= hi)).then_some(Value::Int(n))
        }
        Type::Number => number().map(Value::Number),
        Type::Ratio => {
            let n = match text.strip_suffix('%') {
                Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
                None => number()?,
            };
            (0.0..=1.0).contains(&n).then_some(Value::Ratio(n as f32))
        }
        Type::Money => {
            let (sign, digits) = text.strip_prefix('-').map_or((1, text), |t| (-1, t));
            let digits = digits.trim_start_matches(['¥', '￥']);
            let plain = digits.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '_');
            Decimal::parse(digits).ok().filter(|_| plain && !digits.is_empty())?.to_minor(2).map(|m| Value::Money(sign * m))
        }
        Type::Text { max } => max.is_none_or(|n| text.chars().count() <= n as usize).then(|| Value::text(text)),
        Type::Address(_) => Some(Value::text(text)),
        Type::Enum(e) => e.code(text).map(Value::Enum),
        Type::Date => text.parse().ok().map(Value::Date),
        Type::Time => text.parse().ok().map(Value::Time),
        Type::Instant => zone.parse_instant(text).map(Value::Instant),
        Type::Place => {
            let (lat, lon) = text.trim_matches(['(', ')']).split_once([',', ' '])?;
            crate::base::Place::new(lat.trim().parse().ok()?, lon.trim().parse().ok()?).map(Value::Place)
        }
        Type::Distance => number().map(Value::Distance),
        Type::Set(_) | Type::Elapsed | Type::Calendar => None,
    }
}
