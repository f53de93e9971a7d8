//! `tags import`: one row a user, a column a tag.
//!
//! The first import creates the users. Later ones update the users in the file and create those
//! that are new: each column of the file replaces these users' values (an empty cell takes the
//! value away); users and tags that are not in the file keep theirs. With [`TagImport::replace`]
//! the file is all there is for the tags that it fills.

use crate::base::Msg;
use crate::msg;
use arrow_array::{Int64Array, RecordBatch};
use arrow_schema::{Schema as ArrowSchema, SchemaRef};
use rayon::prelude::*;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_blocks::Blocks;
use super::table::{ColumnTargets, Field, Role, RowBlock};
use super::{
    BLOCK_ROWS, Errors, Fingerprint, ImportError, ImportProgress, ImportReport, Reading, Steps,
    TAGS, no_column,
};
use crate::base::value::count_of;
use crate::base::{Instant, Schema, TagSchema, UserNo};
use crate::store::build::{Picks, gather};
use crate::store::file::{self, NewFile};
use crate::store::users::NewUsers;
use crate::store::{
    Column, ColumnBuilder, ColumnData, Snapshot, StoreError, StoreWriter, batches, declarations,
};

/// Columns that are placed beside each other: what the last step of an import keeps in memory.
const AT_ONCE: usize = 2;
/// Bytes of values that an import keeps in memory unless it is told otherwise.
const MEMORY: usize = 1 << 30;
/// Stands for "no row" where a row is kept for each user.
const NO_ROW: u32 = u32::MAX;

/// What to import and how to read it.
#[derive(Clone, Debug)]
pub struct TagImport<'a> {
    pub file: &'a Path,
    /// The column with the users' ids.
    pub id: &'a str,
    pub reading: Reading,
    /// What the store remembers the file as; its path unless said.
    pub source: Option<&'a str>,
    /// Only these columns; all that are declared unless said.
    pub only: Option<&'a [String]>,
    /// Whether the file is all there is for the tags that it fills: users that are not in it lose
    /// their values of these.
    pub replace: bool,
    /// Bytes of values that wait in memory until all is known to be good; more of them wait in a
    /// file.
    pub memory: usize,
}

impl<'a> TagImport<'a> {
    /// All declared columns of a file, whose users' ids are in the column `id`.
    pub fn of(file: &'a Path, id: &'a str) -> Self {
        TagImport {
            file,
            id,
            reading: Reading::default(),
            source: None,
            only: None,
            replace: false,
            memory: MEMORY,
        }
    }
}

impl TagImport<'_> {
    /// Reads the file into `writer`, with the types of `program` or, for tags that it does not
    /// declare, those of the store. Commit to keep it.
    ///
    /// # Errors
    /// [`ImportError::Rows`] when rows are bad; otherwise why the file or the store cannot be used.
    pub fn run(
        &self,
        writer: &mut StoreWriter,
        program: &Schema,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportReport, ImportError> {
        self.run_in_blocks(BLOCK_ROWS, writer, program, tell)
    }

    fn run_in_blocks(
        &self,
        block_rows: usize,
        writer: &mut StoreWriter,
        program: &Schema,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportReport, ImportError> {
        writer.fold_live()?;
        let snapshot = writer.snapshot()?;
        let tags = Declared::of(program, snapshot.schema());
        let print = Fingerprint::of(self.file, &declarations::tags(program))?;
        let loaded = self.load(block_rows, writer, &snapshot, &tags, tell)?;
        if self.replace {
            self.keeps_always(&loaded)?;
        }
        let new_users = loaded.new.len() as u64;
        writer.add_users(loaded.new)?;
        let lengths = loaded
            .chunks
            .iter()
            .map(|c| c.first().map_or(0, ColumnData::len));
        let keep = if self.replace {
            0
        } else {
            snapshot.user_count()
        };
        let picks = picks_of(writer.user_count(), keep, &loaded.row_of_user, lengths);
        let now = writer.world().now();
        let place_at = |position: usize, tag: &TagSchema| {
            let new: Vec<&ColumnData> = loaded
                .chunks
                .iter()
                .filter_map(|c| c.get(position))
                .collect();
            place(tag, snapshot.tag(&tag.name)?, &new, &picks, now)
        };
        let positions: Vec<usize> = (0..loaded.filled.len()).collect();
        for some in positions.chunks(AT_ONCE) {
            let columns: Vec<Result<Column, StoreError>> = some
                .par_iter()
                .map(|i| place_at(*i, loaded.filled[*i]))
                .collect();
            for (i, column) in some.iter().zip(columns) {
                let tag = loaded.filled[*i];
                writer.put_tag(tag, tags.needs_consent(tag), &column?)?;
            }
        }
        let columns: Vec<String> = loaded.filled.iter().map(|t| t.name.clone()).collect();
        let rows = loaded.rows;
        writer.remember_import(print.entry(
            TAGS,
            self.file,
            self.source,
            columns.clone(),
            rows,
            now,
        ));
        Ok(ImportReport {
            rows,
            new_users,
            columns,
            ignored: loaded.ignored,
        })
    }

    /// Reads all rows, checks them, and says which user each belongs to.
    fn load<'a>(
        &self,
        block_rows: usize,
        writer: &mut StoreWriter,
        snapshot: &Snapshot,
        tags: &Declared<'a>,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<Loaded<'a>, ImportError> {
        let mut fillable: Vec<&TagSchema> = Vec::new();
        let (mut blocks, wanted) = Blocks::open(self.file, block_rows, |header| {
            if let (Some(only), false) = (self.only, header.is_empty())
                && let Some(name) = only.iter().find(|name| !header.contains(name))
            {
                return Err(no_column(self.file, name, ("tag", "标签"), header));
            }
            // Without a header any tag may still come up in some row.
            let wanted = |name: &String| {
                (header.is_empty() || header.contains(name))
                    && self.only.is_none_or(|only| only.contains(name))
            };
            fillable = tags
                .all
                .iter()
                .copied()
                .filter(|t| !t.derived && wanted(&t.name))
                .collect();
            if !header.is_empty() {
                self.check_header(header, fillable.is_empty(), tags, snapshot)?;
            }
            let fields = fillable.iter().map(|t| {
                let required = t.always.then(|| missing(&t.name));
                Field {
                    name: &t.name,
                    ty: &t.ty,
                    private: t.private,
                    required,
                }
            });
            Ok(ColumnTargets::new(
                self.id,
                None,
                fields.collect(),
                &self.reading,
            ))
        })?;
        // Tags that a new user would lack whatever the rows say.
        let lacking: Vec<&str> = tags
            .always()
            .map(|t| t.name.as_str())
            .filter(|n| !fillable.iter().any(|t| t.name == *n))
            .collect();
        let world = writer.world().clone();
        let (mut errors, mut steps) = (Errors::new(), Steps::new(&*world, self.file, tell));
        let (mut users, mut spill) = (
            UsersOfRows::new(snapshot),
            Spill::new(&fillable, self.memory),
        );
        if let (Some(rows), 0) = (blocks.rows(), snapshot.user_count()) {
            users.new.expect(rows);
        }
        blocks.for_each(&wanted, |block| {
            steps.block(&block)?;
            let RowBlock {
                lines,
                ids,
                columns,
                errors: mut found,
                ..
            } = block;
            let ids: Vec<_> = ids.known_to(snapshot.users()).collect();
            let unknown: Vec<&str> = ids
                .iter()
                .flatten()
                .filter(|(_, known)| known.is_none())
                .map(|(id, _)| *id)
                .collect();
            let mut new = users
                .new
                .get_or_add_each(&unknown)
                .ok_or(StoreError::TooManyUsers)?
                .into_iter();
            for ((row, id), line) in ids.into_iter().enumerate().zip(&lines) {
                let Some((user, is_new)) = id
                    .and_then(|(_, known)| Some((known.or_else(|| new.next())?, known.is_none())))
                else {
                    continue;
                };
                match users.add(user, is_new, *line)? {
                    Err(why) => found.add(row, Some(self.id), why),
                    Ok(true) => lacking
                        .iter()
                        .for_each(|name| found.add(row, Some(name), missing(name))),
                    Ok(false) => {}
                }
            }
            errors.take(&lines, found);
            // With errors nothing will be imported: look for more of them, keep no values.
            if errors.total == 0 {
                spill.add(writer, columns).map_err(ImportError::from)
            } else {
                Ok(())
            }
        })?;
        let header = blocks.header();
        if !header.has(Role::Id) {
            return Err(no_column(
                self.file,
                self.id,
                ("user id", "用户编号"),
                header.names(),
            ));
        }
        // Rows that name their columns themselves have all been read only now.
        if let Some(name) = self
            .only
            .and_then(|only| only.iter().find(|name| !header.names().contains(name)))
        {
            return Err(no_column(self.file, name, ("tag", "标签"), header.names()));
        }
        errors.check(self.file, steps.rows)?;
        let seen: Vec<bool> = (0..fillable.len())
            .map(|i| header.has(Role::Field(i)))
            .collect();
        if !seen.contains(&true) {
            return Err(self.no_tags(header.names()));
        }
        let only_seen = |all: Vec<ColumnData>| {
            all.into_iter()
                .zip(&seen)
                .filter(|(_, seen)| **seen)
                .map(|(c, _)| c)
                .collect()
        };
        let chunks = spill
            .finish(&fillable)?
            .into_iter()
            .map(only_seen)
            .collect();
        let filled = fillable
            .iter()
            .zip(&seen)
            .filter(|(_, seen)| **seen)
            .map(|(t, _)| *t)
            .collect();
        // What `--only` left out is known to whoever said so.
        let declared = |name: &String| tags.all.iter().any(|t| t.name == *name);
        let ignored = header
            .ignored()
            .into_iter()
            .filter(|name| !declared(name))
            .collect();
        Ok(Loaded {
            rows: steps.rows,
            new: users.new,
            row_of_user: users.row_of_user,
            filled,
            chunks,
            ignored,
        })
    }

    /// Refuses to replace a column that everyone has by one that leaves somebody out.
    fn keeps_always(&self, loaded: &Loaded<'_>) -> Result<(), ImportError> {
        let without = loaded
            .row_of_user
            .iter()
            .filter(|row| **row == NO_ROW)
            .count();
        match loaded.filled.iter().find(|tag| tag.always) {
            Some(tag) if without > 0 => {
                let (users, file, name) =
                    (count_of(without, "user"), self.file.display(), &tag.name);
                Err(ImportError::import(msg!(
                    "`{file}` lacks {users} of the store, who would lose `{name}`, which is declared `always`: add them, or import without `--replace`",
                    "`{file}` 缺少数据仓中的 {without} 个用户，他们会失去声明为 `always` 的 `{name}`：请补上这些用户，或不带 `--replace` 导入"
                )))
            }
            _ => Ok(()),
        }
    }

    /// What the names of the columns alone make impossible.
    fn check_header(
        &self,
        header: &[String],
        no_tags: bool,
        tags: &Declared<'_>,
        snapshot: &Snapshot,
    ) -> Result<(), ImportError> {
        if !header.iter().any(|name| name == self.id) {
            return Err(no_column(
                self.file,
                self.id,
                ("user id", "用户编号"),
                header,
            ));
        }
        if let Some(tag) = tags
            .all
            .iter()
            .find(|t| t.derived && header.contains(&t.name))
        {
            return Err(ImportError::import(msg!(
                "`{0}` is a derived tag, its values come from its expression: leave the column out of `{1}`",
                "`{0}` 是推导标签，值来自其表达式：请从 `{1}` 中去掉该列",
                tag.name,
                self.file.display()
            )));
        }
        if let Some(tag) = tags
            .always()
            .find(|t| !header.contains(&t.name) && snapshot.schema().tag_named(&t.name).is_none())
        {
            return Err(ImportError::import(msg!(
                "`{0}` has no column `{1}`, which is declared `always`: add the column, or remove `always`",
                "`{0}` 中没有声明为 `always` 的列 `{1}`：请加上该列，或去掉 `always`",
                self.file.display(),
                tag.name
            )));
        }
        if no_tags {
            Err(self.no_tags(header))
        } else {
            Ok(())
        }
    }

    fn no_tags(&self, columns: &[String]) -> ImportError {
        let names: Vec<String> = columns
            .iter()
            .filter(|c| *c != self.id && !c.is_empty())
            .take(20)
            .map(|c| format!("`{c}`"))
            .collect();
        ImportError::import(msg!(
            "no column of `{0}` is a declared tag (it has {1}): declare them, or let `--infer` write the declarations",
            "`{0}` 中没有一列是已声明的标签（它有 {1}）：请先声明，或用 `--infer` 生成声明",
            self.file.display(),
            names.join(", ")
        ))
    }
}

/// What is said of a user without a value of a tag that everyone has.
fn missing(name: &str) -> Msg {
    msg!(
        "`{name}` is declared `always` and missing here: give a value",
        "`{name}` 声明为 `always`，这里却没有值：请给出值"
    )
}

/// The tags that a column may fill: first the program's, then those that only the store has.
struct Declared<'a> {
    all: Vec<&'a TagSchema>,
    program: &'a Schema,
    stored: &'a Schema,
}

impl<'a> Declared<'a> {
    fn of(program: &'a Schema, stored: &'a Schema) -> Self {
        let only_stored = stored
            .tags
            .iter()
            .filter(|t| program.tag_named(&t.name).is_none());
        Declared {
            all: program.tags.iter().chain(only_stored).collect(),
            program,
            stored,
        }
    }

    fn always(&self) -> impl Iterator<Item = &'a TagSchema> {
        self.all.iter().copied().filter(|t| t.always && !t.derived)
    }

    /// The name of the tag that a sensitive one names.
    pub fn needs_consent(&self, tag: &TagSchema) -> Option<&'a str> {
        let schema = if self.program.tag_named(&tag.name).is_some() {
            self.program
        } else {
            self.stored
        };
        schema
            .tags
            .get(tag.sensitive_by?.index())
            .map(|t| t.name.as_str())
    }
}

/// A whole file, read and found good.
struct Loaded<'a> {
    rows: u64,
    new: NewUsers,
    /// [`NO_ROW`], or the row in the file, by user number.
    row_of_user: Vec<u32>,
    filled: Vec<&'a TagSchema>,
    /// One column a filled tag, in chunks of equal length, the last one shorter.
    chunks: Vec<Vec<ColumnData>>,
    ignored: Vec<String>,
}

/// Which user each row is about.
struct UsersOfRows {
    new: NewUsers,
    row_of_user: Vec<u32>,
    /// By row.
    lines: Vec<u32>,
}

impl UsersOfRows {
    fn new(snapshot: &Snapshot) -> Self {
        let count = snapshot.user_count();
        UsersOfRows {
            new: NewUsers::after(count),
            row_of_user: vec![NO_ROW; count],
            lines: Vec::new(),
        }
    }

    /// Notes the user of the next row; says whether the store has not seen the user before, or why
    /// there cannot be such a row.
    fn add(
        &mut self,
        user: UserNo,
        is_new: bool,
        line: u64,
    ) -> Result<Result<bool, Msg>, StoreError> {
        let row = u32::try_from(self.lines.len())
            .ok()
            .filter(|r| *r != NO_ROW)
            .ok_or(StoreError::TooManyUsers)?;
        self.lines.push(u32::try_from(line).unwrap_or(u32::MAX));
        if self.row_of_user.len() <= user.index() {
            self.row_of_user.resize(user.index() + 1, NO_ROW);
        }
        let before = std::mem::replace(&mut self.row_of_user[user.index()], row);
        Ok(match self.lines.get(before as usize) {
            Some(first) if before != NO_ROW => Err(msg!(
                "this user id stands in line {first} already: keep one of the two rows",
                "该用户编号已在第 {first} 行出现：两行只保留一行"
            )),
            _ => Ok(is_new),
        })
    }
}

/// Chunks that wait until the whole of the import is known to be good: the first in memory, the
/// others in a file.
struct Spill {
    kept: Vec<Vec<ColumnData>>,
    /// Bytes that may still be kept in memory.
    memory: usize,
    schema: SchemaRef,
    file: Option<(PathBuf, NewFile)>,
}

impl Spill {
    fn new(tags: &[&TagSchema], memory: usize) -> Self {
        let fields: Vec<_> = tags
            .iter()
            .map(|t| batches::field(&t.name, &t.ty))
            .collect();
        Spill {
            kept: Vec::new(),
            memory,
            schema: Arc::new(ArrowSchema::new(fields)),
            file: None,
        }
    }

    fn add(&mut self, writer: &mut StoreWriter, chunk: Vec<ColumnData>) -> Result<(), StoreError> {
        if chunk.is_empty() {
            return Ok(());
        }
        let bytes = chunk
            .iter()
            .map(|column| column.to_array().get_buffer_memory_size())
            .sum();
        if let (Some(left), None) = (self.memory.checked_sub(bytes), &self.file) {
            self.memory = left;
            self.kept.push(chunk);
            return Ok(());
        }
        let (path, out) = match &mut self.file {
            Some(open) => open,
            None => self.file.insert(writer.spill(&self.schema)?),
        };
        let arrays = chunk.iter().map(ColumnData::to_array).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), arrays)
            .map_err(|e| StoreError::write(path, io::Error::other(e)))?;
        out.write(path, &batch)
    }

    /// All chunks.
    fn finish(self, tags: &[&TagSchema]) -> Result<Vec<Vec<ColumnData>>, StoreError> {
        let mut chunks = self.kept;
        let Some((path, out)) = self.file else {
            return Ok(chunks);
        };
        out.close(&path)?;
        let columns = |batch: RecordBatch| {
            batch
                .columns()
                .iter()
                .zip(tags)
                .filter_map(|(array, tag)| ColumnData::from_array(array, &tag.ty))
                .collect()
        };
        chunks.extend(file::open_own(&path)?.into_iter().map(columns));
        Ok(chunks)
    }
}

/// Where each user's value comes from: part 0 is the stored column, whose first so many users keep
/// theirs, part `n + 1` is chunk `n`, of so many rows.
fn picks_of(
    users: usize,
    keep: usize,
    row_of_user: &[u32],
    chunks: impl Iterator<Item = usize>,
) -> Picks {
    let mut starts = vec![0u32];
    starts.extend(chunks.scan(0u32, |rows, n| {
        *rows = rows.saturating_add(n as u32);
        Some(*rows)
    }));
    let mut chunk = 0; // Most rows are in the same chunk as the one before.
    let mut pick = |user: usize| match row_of_user.get(user) {
        Some(row) if *row != NO_ROW => {
            let is_in = |chunk: usize| matches!(starts.get(chunk..chunk + 2), Some([from, to]) if (*from..*to).contains(row));
            if !is_in(chunk) {
                chunk = starts.partition_point(|from| from <= row).saturating_sub(1);
            }
            Some((
                1 + chunk as u32,
                row - starts.get(chunk).copied().unwrap_or(0),
            ))
        }
        _ => (user < keep).then_some((0, user as u32)),
    };
    (0..users).map(&mut pick).collect()
}

/// The new column of a tag.
fn place(
    tag: &TagSchema,
    old: Option<&Column>,
    chunks: &[&ColumnData],
    picks: &Picks,
    now: Instant,
) -> Result<Column, StoreError> {
    let old = match old.filter(|_| picks.has(0)) {
        Some(column) => Some(column.in_type(&tag.name, &tag.ty)?),
        None => None,
    };
    let nothing = ColumnBuilder::new(&tag.ty).finish();
    let parts: Vec<&ColumnData> = std::iter::once(old.as_ref().map_or(&nothing, |c| &c.data))
        .chain(chunks.iter().copied())
        .collect();
    let data = gather(&tag.ty, &parts, picks);
    let written = tag.fresh.map(|_| {
        let at = |(user, pick)| match pick {
            Some((0, row)) => old.as_ref()?.written_at(row as usize).map(|at| at.0),
            _ => data.is_valid(user).then_some(now.0),
        };
        picks.iter().enumerate().map(at).collect::<Int64Array>()
    });
    Ok(Column::new(tag.ty.clone(), data, written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::world::SimulatedWorld;
    use crate::base::{Elapsed, Type, Value};
    use crate::store::Store;

    #[test]
    fn chunks_do_not_show() {
        let dir = tempfile::tempdir().unwrap();
        let mut tag = crate::store::sample::schema().tags.remove(0);
        (tag.name, tag.ty, tag.fresh) = ("n".into(), Type::INT, Some(Elapsed::hours(1)));
        let schema = Schema {
            tags: vec![tag],
            events: Vec::new(),
        };
        for (block_rows, memory) in [
            (1, 0),
            (1, 300),
            (2, 600),
            (3, MEMORY),
            (7, 0),
            (100, MEMORY),
        ] {
            let world = Arc::new(SimulatedWorld::at(Instant(5)));
            let store = Store::create_or_open(
                dir.path().join(format!("{block_rows}-{memory}")),
                world.clone(),
            )
            .unwrap();
            let import = |text: &str| {
                let file = dir.path().join("in.csv");
                std::fs::write(&file, text).unwrap();
                let mut writer = store.writer().unwrap();
                let import = TagImport {
                    memory,
                    ..TagImport::of(&file, "id")
                };
                import
                    .run_in_blocks(block_rows, &mut writer, &schema, &mut |_| {})
                    .unwrap();
                writer.commit().unwrap();
            };
            import("id,n\na,1\nb,2\nc,\nd,4\ne,5\nf,6\ng,7\n");
            world.advance_to(Instant(9));
            import("id,n\nz,26\nc,3\nf,\n");
            let s = store.snapshot().unwrap();
            let column = s.tag("n").unwrap().unwrap();
            let values: Vec<_> = (0..8)
                .map(|row| (column.value(row), column.written_at(row).map(|at| at.0)))
                .collect();
            let int = |i, at| (Some(Value::Int(i)), Some(at));
            let expected = [
                int(1, 5),
                int(2, 5),
                int(3, 9),
                int(4, 5),
                int(5, 5),
                (None, None),
                int(7, 5),
                int(26, 9),
            ];
            assert_eq!(values, expected, "{block_rows}");
        }
    }
}
