//! What a program reads from files beside the store: lists of user ids, and lookup tables.
//!
//! A list holds one id a line, or is a CSV whose header names `id` or `user_id`, or JSON Lines of
//! ids or of objects with such a key. A lookup is CSV with a header, or JSON Lines; its columns are
//! found by name. Files are as old as the file system says: a lookup that is older than its `fresh`
//! has no values.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::vector::Scalar;
use crate::base::Msg;
use crate::base::world::World;
use crate::base::{Bitmap, FieldSchema, Instant, ListId, LookupId, Value};
use crate::msg;
use crate::program::typed::{Lookup, Program};
use crate::store::Snapshot;
use crate::store::import::Reading;

/// Larger files belong into the store.
pub const MAX_TABLE_BYTES: usize = 256 << 20;
/// More errors of one file are counted and not told.
pub const MAX_ERRORS: usize = 100;

/// Everything a program reads from files, ready to be asked.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    lists: Vec<Bitmap>,
    lookups: Vec<Table>,
    /// Ids in lists that the store does not have, by list; worth a word, not an error.
    pub unknown_ids: Vec<usize>,
}

/// Rows by their keys, as [`write_key`] has them; none when the file is stale.
type Table = HashMap<Vec<u8>, Vec<Option<Value>>>;

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
    pub fn load(
        program: &Program,
        folder: &Path,
        world: &dyn World,
        snapshot: &Snapshot,
        now: Instant,
    ) -> Result<Tables, Vec<TableError>> {
        Self::load_files(program, folder, world, snapshot, now, false)
    }

    /// The same for `test` blocks: of a file that is not there, a list is empty and a table has no
    /// rows.
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
        Self::load_files(program, folder, world, snapshot, now, true)
    }

    fn load_files(
        program: &Program,
        folder: &Path,
        world: &dyn World,
        snapshot: &Snapshot,
        now: Instant,
        lenient: bool,
    ) -> Result<Tables, Vec<TableError>> {
        let mut out = Tables::default();
        let mut errors = Vec::new();
        let mut told = |path: &Path, messages: Vec<Msg>| {
            errors.extend(messages.into_iter().map(|message| TableError {
                path: path.to_path_buf(),
                message,
            }));
        };
        for list in &program.lists {
            let path = folder.join(&list.file);
            let ids = match read(&path, world) {
                Err(Unreadable::Absent(_)) if lenient => Ok(Vec::new()),
                Err(why) => Err(vec![why.message()]),
                Ok(text) => ids(&text, &path),
            };
            let mut users = Bitmap::none(snapshot.user_count());
            let mut unknown = 0;
            match ids {
                Err(messages) => told(&path, messages),
                Ok(ids) => ids.iter().for_each(|id| match snapshot.user_no(id) {
                    Some(user) => users.insert(user),
                    None => unknown += 1,
                }),
            }
            out.lists.push(users);
            out.unknown_ids.push(unknown);
        }
        for lookup in &program.lookups {
            let path = folder.join(&lookup.file);
            let reading = Reading {
                zone: program.policy.zone,
                ..Reading::default()
            };
            let table = match read(&path, world) {
                Err(Unreadable::Absent(_)) if lenient => Ok(Table::new()),
                Err(why) => Err(vec![why.message()]),
                Ok(_) if is_stale(&path, lookup, world, now) => Ok(Table::new()),
                Ok(text) => table(lookup, &text, &path, &reading),
            };
            out.lookups.push(table.unwrap_or_else(|messages| {
                told(&path, messages);
                Table::new()
            }));
        }
        if errors.is_empty() {
            Ok(out)
        } else {
            Err(errors)
        }
    }

    /// The users of a list.
    pub fn list(&self, list: ListId) -> Option<&Bitmap> {
        self.lists.get(list.index())
    }

    /// The field of the row with this key; an absent key and an empty cell are missing.
    pub(super) fn look_up(&self, lookup: LookupId, key: &[u8], field: u16) -> Option<&Value> {
        self.lookups
            .get(lookup.index())?
            .get(key)?
            .get(usize::from(field))?
            .as_ref()
    }
}

/// One part of a key, so that equal keys and no others have the same bytes.
pub(super) fn write_key(key: &mut Vec<u8>, part: &Scalar) {
    // Zero has two signs and is one number.
    let float = |f: f64| (f + 0.0).to_bits().to_le_bytes();
    match part {
        Scalar::Bool(b) => key.push(u8::from(*b)),
        Scalar::Int(n) => key.extend(n.to_le_bytes()),
        Scalar::Float(f) => key.extend(float(*f)),
        Scalar::Place(p) => {
            key.extend(float(p.lat));
            key.extend(float(p.lon));
        }
        Scalar::Text(t) => {
            key.extend((t.len() as u64).to_le_bytes());
            key.extend(t.as_bytes());
        }
        Scalar::Set(set) => {
            let items = set.items();
            key.extend((items.len() as u64).to_le_bytes());
            items
                .iter()
                .filter_map(Scalar::of)
                .for_each(|item| write_key(key, &item));
        }
    }
}

fn is_stale(path: &Path, lookup: &Lookup, world: &dyn World, now: Instant) -> bool {
    let Some(fresh) = lookup.fresh else {
        return false;
    };
    // A file whose age nobody knows is not fresh.
    world.modified(path).is_none_or(|at| at < now.minus(fresh))
}

/// Why a file has no text.
enum Unreadable {
    Absent(Msg),
    Other(Msg),
}

impl Unreadable {
    fn message(self) -> Msg {
        match self {
            Unreadable::Absent(message) | Unreadable::Other(message) => message,
        }
    }
}

fn read(path: &Path, world: &dyn World) -> Result<String, Unreadable> {
    let bytes = world.read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Unreadable::Absent(msg!(
            "does not exist: check the path in the program",
            "不存在：请检查程序中的路径"
        )),
        _ => Unreadable::Other(msg!(
            "cannot be read ({e}): check the path and its permissions",
            "无法读取（{e}）：请检查路径和权限"
        )),
    })?;
    if bytes.len() > MAX_TABLE_BYTES {
        let mib = MAX_TABLE_BYTES >> 20;
        let why = msg!(
            "is larger than {mib} MiB: import it as a tag instead",
            "超过 {mib} MiB：请改为作为标签导入"
        );
        return Err(Unreadable::Other(why));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Unreadable::Other(msg!(
            "is not UTF-8 (byte {at} is not): save it as UTF-8",
            "不是 UTF-8（第 {at} 字节不是）：请存为 UTF-8"
        ))
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| {
        ["jsonl", "ndjson"]
            .iter()
            .any(|j| e.eq_ignore_ascii_case(j))
    })
}

/// The first errors of a file; the rest is counted.
#[derive(Default)]
struct Errors {
    told: Vec<Msg>,
    more: usize,
}

impl Errors {
    fn push(&mut self, message: Msg) {
        if self.told.len() < MAX_ERRORS {
            self.told.push(message)
        } else {
            self.more += 1
        }
    }

    fn row(&mut self, line: u64, why: &Msg) {
        self.push(Msg {
            en: format!("line {line}: {}", why.en),
            zh: format!("第 {line} 行：{}", why.zh),
        });
    }

    fn or<T>(mut self, good: T) -> Result<T, Vec<Msg>> {
        if self.more > 0 {
            let more = self.more;
            self.told
                .push(msg!("and {more} more", "以及另外 {more} 处"));
        }
        if self.told.is_empty() {
            Ok(good)
        } else {
            Err(self.told)
        }
    }
}

// ------------------------------------------------------------------ lists

const ID_COLUMNS: [&str; 2] = ["id", "user_id"];

fn ids(text: &str, path: &Path) -> Result<Vec<String>, Vec<Msg>> {
    let mut errors = Errors::default();
    let mut out = Vec::new();
    if is_json(path) {
        for (line, json) in json_lines(text) {
            match json.as_ref().map(json_id) {
                Some(Some(id)) => out.push(id),
                _ => errors.push(msg!(
                    "line {line}: an id or an object with `id` is expected, for instance `{{\"id\": \"u1\"}}`",
                    "第 {line} 行：需要编号或带 `id` 的对象，例如 `{{\"id\": \"u1\"}}`"
                )),
            }
        }
        return errors.or(out);
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut column = None;
    for (number, record) in reader.records().enumerate() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                errors.push(msg!("is not CSV: {e}", "不是 CSV：{e}"));
                break;
            }
        };
        if number == 0
            && let Some(at) = record
                .iter()
                .position(|name| ID_COLUMNS.contains(&name.to_lowercase().as_str()))
        {
            column = Some(at);
            continue;
        }
        let line = record.position().map_or(0, csv::Position::line);
        match (column, record.get(column.unwrap_or(0)).unwrap_or_default()) {
            (_, "") => {}
            (None, id) if record.len() == 1 => {
                // A comment, as in programs.
                if !id.starts_with('#') {
                    out.push(id.to_owned());
                }
            }
            (None, _) => errors.push(msg!(
                "line {line}: one id a line is expected; of several columns a first line must say which is `id`",
                "第 {line} 行：应每行一个编号；若有多列，首行须标明哪一列是 `id`"
            )),
            (Some(_), id) => out.push(id.to_owned()),
        }
    }
    errors.or(out)
}

fn json_id(json: &serde_json::Value) -> Option<String> {
    match json {
        serde_json::Value::String(id) if !id.is_empty() => Some(id.clone()),
        serde_json::Value::Number(id) => Some(id.to_string()),
        serde_json::Value::Object(map) => ID_COLUMNS
            .iter()
            .find_map(|key| map.get(*key))
            .filter(|id| !id.is_object())
            .and_then(json_id),
        _ => None,
    }
}

/// The lines that are not blank, with their numbers; `None` for one that is not JSON.
fn json_lines(text: &str) -> impl Iterator<Item = (u64, Option<serde_json::Value>)> {
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    lines.map(|(line, number)| (number, serde_json::from_str(line).ok()))
}

// ------------------------------------------------------------------ lookups

fn table(lookup: &Lookup, text: &str, path: &Path, reading: &Reading) -> Result<Table, Vec<Msg>> {
    let mut errors = Errors::default();
    let mut table = Table::new();
    if is_json(path) {
        for (line, json) in json_lines(text) {
            let Some(serde_json::Value::Object(row)) = json else {
                errors.push(msg!(
                    "line {line}: a JSON object is expected",
                    "第 {line} 行：需要 JSON 对象"
                ));
                continue;
            };
            let cell = |field: &FieldSchema| {
                row.get(&field.name)
                    .map_or(Ok(None), |json| reading.json(json, &field.ty))
            };
            insert(&mut table, lookup, line, cell, &mut errors);
        }
        return errors.or(table);
    }
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(e) => return Err(vec![msg!("is not CSV: {e}", "不是 CSV：{e}")]),
    };
    let position = |field: &FieldSchema| header.iter().position(|name| name == field.name);
    for field in lookup
        .keys
        .iter()
        .chain(&lookup.fields)
        .filter(|f| position(f).is_none())
    {
        let (name, found) = (&field.name, header.iter().collect::<Vec<_>>().join("`, `"));
        errors.push(msg!(
            "has no column `{name}`; its first line names `{found}`",
            "没有列 `{name}`；首行是 `{found}`"
        ));
    }
    if !errors.told.is_empty() {
        return errors.or(table);
    }
    for record in reader.records() {
        match record {
            Ok(record) => {
                let line = record.position().map_or(0, csv::Position::line);
                let cell = |field: &FieldSchema| {
                    reading.text(
                        position(field)
                            .and_then(|at| record.get(at))
                            .unwrap_or_default(),
                        &field.ty,
                    )
                };
                insert(&mut table, lookup, line, cell, &mut errors);
            }
            Err(e) => {
                let line = e.position().map_or(0, csv::Position::line);
                match e.kind() {
                    csv::ErrorKind::UnequalLengths {
                        expected_len, len, ..
                    } => errors.push(msg!(
                        "line {line}: {len} columns, the first line has {expected_len}",
                        "第 {line} 行：有 {len} 列，首行有 {expected_len} 列"
                    )),
                    _ => {
                        errors.push(msg!(
                            "line {line}: is not CSV ({e})",
                            "第 {line} 行：不是 CSV（{e}）"
                        ));
                        break;
                    }
                }
            }
        }
    }
    errors.or(table)
}

fn insert(
    table: &mut Table,
    lookup: &Lookup,
    line: u64,
    cell: impl Fn(&FieldSchema) -> Result<Option<Value>, Msg>,
    errors: &mut Errors,
) {
    let (mut key, mut whole) = (Vec::new(), true);
    for field in &lookup.keys {
        match cell(field) {
            Ok(Some(value)) => {
                if let Some(part) = Scalar::of(&value) {
                    write_key(&mut key, &part);
                }
            }
            Ok(None) => {
                whole = false;
                let name = &field.name;
                errors.push(msg!(
                    "line {line}: the key `{name}` is empty",
                    "第 {line} 行：键 `{name}` 为空"
                ));
            }
            Err(why) => {
                whole = false;
                errors.row(line, &named(field, why));
            }
        }
    }
    let mut row = Vec::with_capacity(lookup.fields.len());
    for field in &lookup.fields {
        row.push(cell(field).unwrap_or_else(|why| {
            errors.row(line, &named(field, why));
            None
        }));
    }
    if whole && table.insert(key, row).is_some() {
        errors.push(msg!(
            "line {line}: the key has stood in a line before",
            "第 {line} 行：该键在前面的行中已出现"
        ));
    }
}

fn named(field: &FieldSchema, why: Msg) -> Msg {
    let name = &field.name;
    Msg {
        en: format!("column `{name}`: {}", why.en),
        zh: format!("列 `{name}`：{}", why.zh),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::world::SimulatedWorld;
    use crate::base::{Elapsed, FileId, Type};
    use crate::diag::Span;
    use crate::program::typed::{Declared, List};
    use crate::store::SnapshotBuilder;

    fn declared(name: &str) -> Declared {
        let span = Span::new(FileId(0), 0, 0);
        Declared {
            name: name.into(),
            name_span: span,
            span,
            doc: Vec::new(),
            failed: false,
        }
    }

    fn load(files: &[(&str, &str)], fresh: Option<Elapsed>) -> Result<Tables, Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let field = |name: &str, ty| FieldSchema {
            name: name.into(),
            ty,
            optional: false,
        };
        let mut program = Program::default();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
            if name.starts_with("list") {
                program.lists.push(List {
                    declared: declared(name),
                    file: name.to_string(),
                });
            } else {
                let keys = vec![field("city", Type::TEXT), field("day", Type::INT)];
                let fields = vec![field("uv", Type::Number), field("rain", Type::Bool)];
                program.lookups.push(Lookup {
                    declared: declared(name),
                    keys,
                    fields,
                    file: name.to_string(),
                    fresh,
                });
            }
        }
        let mut builder = SnapshotBuilder::new();
        for id in ["u1", "u2", "u,3"] {
            builder.user(id);
        }
        let world = SimulatedWorld::at(Instant(0));
        let now = world
            .modified(&dir.path().join(files[0].0))
            .unwrap()
            .plus(Elapsed::hours(2));
        Tables::load(&program, dir.path(), &world, &builder.build(), now).map_err(|errors| {
            errors
                .into_iter()
                .map(|e| {
                    format!(
                        "{}: {}",
                        e.path.file_name().unwrap().display(),
                        e.message.en
                    )
                })
                .collect()
        })
    }

    fn look_up(tables: &Tables, city: &str, day: i64, field: u16) -> Option<Value> {
        let mut key = Vec::new();
        write_key(&mut key, &Scalar::Text(city.into()));
        write_key(&mut key, &Scalar::Int(day));
        tables.look_up(LookupId(0), &key, field).cloned()
    }

    #[test]
    fn lists_come_in_several_shapes() {
        let list = |name: &str, content: &str| {
            let tables = load(&[(name, content)], None)?;
            Ok::<_, Vec<String>>((
                tables
                    .list(ListId(0))
                    .unwrap()
                    .iter()
                    .map(|u| u.0)
                    .collect::<Vec<_>>(),
                tables.unknown_ids[0],
            ))
        };
        assert_eq!(
            list("list.txt", "\u{feff}u1\n\n# later\nu2\nghost\n"),
            Ok((vec![0, 1], 1))
        );
        assert_eq!(
            list("list.csv", "name,User_ID\nx,u2\ny,\"u,3\"\n"),
            Ok((vec![1, 2], 0))
        );
        assert_eq!(list("list.csv", "\"u,3\"\n"), Ok((vec![2], 0)));
        assert_eq!(
            list("list.jsonl", "\"u1\"\n{\"id\":\"u2\"}\n7\n"),
            Ok((vec![0, 1], 1))
        );
        assert!(list("list.csv", "u1,a\nu2,b\n").unwrap_err()[0].contains("line 1: one id a line"));
        assert!(list("list.jsonl", "{}\n").unwrap_err()[0].contains("line 1: an id"));
    }

    #[test]
    fn lookups_find_their_columns_by_name() {
        let tables = load(
            &[(
                "w.csv",
                "rain,city,uv,day,more\ntrue,上海,3.5,1,x\n,上海,,2,x\n",
            )],
            None,
        )
        .unwrap();
        assert_eq!(look_up(&tables, "上海", 1, 0), Some(Value::Number(3.5)));
        assert_eq!(look_up(&tables, "上海", 1, 1), Some(Value::Bool(true)));
        assert_eq!(look_up(&tables, "上海", 2, 0), None);
        assert_eq!(look_up(&tables, "北京", 1, 0), None);
        let tables = load(
            &[("w.jsonl", "{\"city\":\"上海\",\"day\":1,\"uv\":3.5}\n")],
            None,
        )
        .unwrap();
        assert_eq!(
            (
                look_up(&tables, "上海", 1, 0),
                look_up(&tables, "上海", 1, 1)
            ),
            (Some(Value::Number(3.5)), None)
        );
    }

    #[test]
    fn every_bad_row_is_told() {
        let errors = load(
            &[(
                "w.csv",
                "city,day,uv,rain\na,x,1,true\n,1,hot,true\nb,1,1,true\nb,1,2,true\nc,1\n",
            )],
            None,
        )
        .unwrap_err();
        let lines: Vec<&str> = errors.iter().filter_map(|e| e.split(": ").nth(1)).collect();
        assert_eq!(
            lines,
            ["line 2", "line 3", "line 3", "line 5", "line 6"],
            "{errors:#?}"
        );
        let errors = load(&[("w.csv", "city,uv\n"), ("list.txt", "u1,\n")], None).unwrap_err();
        assert!(
            errors.iter().any(|e| e.contains("no column `day`"))
                && errors.iter().any(|e| e.contains("list.txt")),
            "{errors:#?}"
        );
        let many = format!("city,day,uv,rain\n{}", "a,b,c,d\n".repeat(MAX_ERRORS));
        let errors = load(&[("w.csv", &many)], None).unwrap_err();
        assert_eq!(
            (errors.len(), errors.last().unwrap().as_str()),
            (MAX_ERRORS + 1, "w.csv: and 200 more")
        );
    }

    #[test]
    fn an_old_table_has_no_values() {
        let files = [("w.csv", "city,day,uv,rain\na,1,1,true\n")];
        assert_eq!(
            look_up(&load(&files, Some(Elapsed::hours(3))).unwrap(), "a", 1, 0),
            Some(Value::Number(1.0))
        );
        assert_eq!(
            look_up(&load(&files, Some(Elapsed::hours(1))).unwrap(), "a", 1, 0),
            None
        );
    }

    #[test]
    fn keys_are_told_apart() {
        let key = |parts: &[&str]| {
            let mut key = Vec::new();
            parts
                .iter()
                .for_each(|p| write_key(&mut key, &Scalar::Text((*p).into())));
            key
        };
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
    }
}
