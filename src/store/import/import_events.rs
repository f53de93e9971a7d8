//! `events import`: one row an event, a column a field.
//!
//! Events are appended. With a source's name they replace what that source gave before. Users that
//! the store has not seen are created.

use crate::base::Msg;
use crate::msg;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file_blocks::Blocks;
use super::table::{ColumnTargets, Field, Header, Role, RowBlock};
use super::{
    BLOCK_ROWS, Errors, Fingerprint, ImportError, ImportProgress, ImportReport, Reading, Steps,
    no_column,
};
use crate::base::{EventSchema, TagSchema};
use crate::store::file::{self, NewFile};
use crate::store::merge::{self, Arrivals};
use crate::store::users::NewUsers;
use crate::store::{EventSegment, StoreError, StoreWriter, batches, declarations};

/// Events that are sorted in memory before they go to the spill file.
const RUN_ROWS: usize = 1 << 20;

/// What to import and how to read it.
#[derive(Clone, Debug)]
pub struct EventImport<'a> {
    pub file: &'a Path,
    /// The column with the users' ids.
    pub id: &'a str,
    /// The column with the instant; a date alone is local midnight.
    pub at: &'a str,
    pub reading: Reading,
    /// Import a file with the same content a second time.
    pub again: bool,
    /// The source whose earlier events these replace.
    pub source: Option<&'a str>,
}

impl EventImport<'_> {
    /// Reads the file into `writer`. `always` are the tags that no user may lack. Commit to keep
    /// it.
    ///
    /// # Errors
    /// [`ImportError::Rows`] when rows are bad; otherwise why the file or the store cannot be used.
    pub fn run<'t>(
        &self,
        writer: &mut StoreWriter,
        event: &EventSchema,
        always: impl Iterator<Item = &'t TagSchema>,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportReport, ImportError> {
        let always = always.map(|t| t.name.as_str()).next();
        self.run_in_blocks(BLOCK_ROWS, RUN_ROWS, writer, event, always, tell)
    }

    fn run_in_blocks(
        &self,
        block_rows: usize,
        run_rows: usize,
        writer: &mut StoreWriter,
        event: &EventSchema,
        always: Option<&str>,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<ImportReport, ImportError> {
        let print = Fingerprint::of(self.file, &declarations::event(event))?;
        if let Some(before) = writer
            .imports()
            .iter()
            .find(|i| i.into == event.name && print.is_of(i))
            && !self.again
            && self.source.is_none()
        {
            return Err(ImportError::import(msg!(
                "`{0}` was imported at {1} already, its events would count twice: import only what is new, or say `--again`",
                "`{0}` 已在 {1} 导入过，事件会被重复计算：请只导入新增部分，或加 `--again`",
                self.file.display(),
                before.at
            )));
        }
        writer.fold_live()?;
        let loaded = self.load(block_rows, run_rows, writer, event, always, tell)?;
        let new_users = loaded.new.len() as u64;
        writer.add_users(loaded.new)?;
        writer.put_events(event, self.source, &loaded.runs)?;
        let (rows, now) = (loaded.rows, writer.world().now());
        writer.remember_import(print.entry(
            &event.name,
            self.file,
            self.source,
            loaded.filled.clone(),
            rows,
            now,
        ));
        Ok(ImportReport {
            rows,
            new_users,
            columns: loaded.filled,
            ignored: loaded.ignored,
        })
    }

    fn load(
        &self,
        block_rows: usize,
        run_rows: usize,
        writer: &mut StoreWriter,
        event: &EventSchema,
        always: Option<&str>,
        tell: &mut dyn FnMut(ImportProgress),
    ) -> Result<Loaded, ImportError> {
        let snapshot = writer.snapshot()?;
        let (mut blocks, wanted) = Blocks::open(self.file, block_rows, |header| {
            let fields = event.fields.iter().map(|f| Field {
                name: &f.name,
                ty: &f.ty,
                private: false,
                required: (!f.optional).then(|| missing(&f.name)),
            });
            let wanted =
                ColumnTargets::new(self.id, Some(self.at), fields.collect(), &self.reading);
            if !header.is_empty() {
                self.check_columns(&Header::of(header, &wanted), event)?;
            }
            Ok(wanted)
        })?;
        let world = writer.world().clone();
        let (mut errors, mut steps) = (Errors::new(), Steps::new(&*world, self.file, tell));
        let mut new = NewUsers::after(snapshot.user_count());
        let (mut arrivals, mut spill) = (Arrivals::default(), Spill { file: None });
        blocks.for_each(&wanted, |block| {
            steps.block(&block)?;
            let RowBlock {
                lines,
                ids,
                at,
                columns,
                errors: mut found,
                ..
            } = block;
            let mut users = Vec::with_capacity(lines.len());
            for (row, id) in ids.known_to(snapshot.users()).enumerate() {
                users.push(match (id, always) {
                    (None, _) => 0, // Told already.
                    (Some((_, Some(user))), _) => user.0,
                    (Some((id, None)), None) => {
                        new.get_or_add(id).ok_or(StoreError::TooManyUsers)?.0
                    }
                    (Some((_, None)), Some(tag)) => {
                        found.add(row, Some(self.id), unknown_user(tag));
                        0
                    }
                });
            }
            errors.take(&lines, found);
            if errors.total > 0 {
                arrivals = Arrivals::default(); // Nothing will be imported: keep looking for errors, keep no values.
                return Ok(());
            }
            arrivals.add(users, at, columns);
            if arrivals.len() >= run_rows {
                spill.add(
                    writer,
                    event,
                    merge::sort(event, &std::mem::take(&mut arrivals)),
                )?;
            }
            Ok(())
        })?;
        let header = blocks.header();
        self.check_columns(header, event)?;
        errors.check(self.file, steps.rows)?;
        let last = merge::sort(event, &arrivals);
        let filled = event
            .fields
            .iter()
            .enumerate()
            .filter(|(i, _)| header.has(Role::Field(*i)))
            .map(|(_, f)| f.name.clone())
            .collect();
        Ok(Loaded {
            rows: steps.rows,
            new,
            runs: spill.finish(event, last)?,
            filled,
            ignored: header.ignored(),
        })
    }

    fn check_columns(&self, header: &Header, event: &EventSchema) -> Result<(), ImportError> {
        if !header.has(Role::Id) {
            return Err(no_column(
                self.file,
                self.id,
                ("user id", "用户编号"),
                header.names(),
            ));
        }
        if !header.has(Role::At) {
            return Err(no_column(
                self.file,
                self.at,
                ("instant", "时间"),
                header.names(),
            ));
        }
        match event
            .fields
            .iter()
            .enumerate()
            .find(|(i, f)| !f.optional && !header.has(Role::Field(*i)))
        {
            Some((_, field)) => Err(no_column(
                self.file,
                &field.name,
                ("field of the event", "事件字段"),
                header.names(),
            )),
            None => Ok(()),
        }
    }
}

/// What is said of an event without a field that all have.
fn missing(name: &str) -> Msg {
    msg!(
        "`{name}` is missing: give a value, or declare the field `optional`",
        "缺少 `{name}`：请给出值，或把该字段声明为 `optional`"
    )
}

/// What is said of a user that the store does not know, where all users must have a tag.
fn unknown_user(tag: &str) -> Msg {
    msg!(
        "the store does not know this user, and no user may be without `{tag}` (declared `always`): import the tags first",
        "数据仓中没有该用户，而 `{tag}` 声明为 `always`，用户不能没有它：请先导入标签"
    )
}

/// A whole file, read and found good.
struct Loaded {
    rows: u64,
    new: NewUsers,
    /// Sorted runs, in order of arrival.
    runs: Vec<Vec<Arc<EventSegment>>>,
    filled: Vec<String>,
    ignored: Vec<String>,
}

/// Sorted runs that wait in a file until they are merged.
struct Spill {
    file: Option<(PathBuf, NewFile)>,
}

impl Spill {
    fn add(
        &mut self,
        writer: &mut StoreWriter,
        event: &EventSchema,
        run: EventSegment,
    ) -> Result<(), StoreError> {
        let (path, out) = match &mut self.file {
            Some(open) => open,
            None => self
                .file
                .insert(writer.spill(&batches::segment_schema(event))?),
        };
        let batch = batches::of_segment(event, &run)
            .map_err(|e| StoreError::write(path, std::io::Error::other(e)))?;
        out.write(path, &batch)
    }

    fn finish(
        self,
        event: &EventSchema,
        last: EventSegment,
    ) -> Result<Vec<Vec<Arc<EventSegment>>>, StoreError> {
        let mut runs = Vec::new();
        if let Some((path, out)) = self.file {
            out.close(&path)?;
            runs = file::open_own(&path)?
                .iter()
                .filter_map(|b| batches::to_segment(b, event))
                .map(|s| vec![Arc::new(s)])
                .collect();
        }
        runs.push(vec![Arc::new(last)]);
        Ok(runs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::world::SimulatedWorld;
    use crate::base::{FieldSchema, Instant, Type, Value};
    use crate::store::Store;
    use proptest::prelude::*;
    use std::fmt::Write;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever the blocks, the runs, the imports and the merges between them: the same events
        /// in the same order.
        #[test]
        fn events_are_sorted_however_they_come(files in prop::collection::vec(prop::collection::vec((0u8..5, 0u8..4), 0..20), 1..6), block_rows in 1usize..9, run_rows in 1usize..20) {
            let dir = tempfile::tempdir().unwrap();
            let store = Store::create_or_open(dir.path().join("s"), Arc::new(SimulatedWorld::at(Instant(5)))).unwrap();
            let event = EventSchema { name: "e".into(), fields: vec![FieldSchema { name: "n".into(), ty: Type::INT, optional: false }] };
            let mut expected: Vec<(String, u8, i64)> = Vec::new();
            for rows in &files {
                let mut text = String::from("id,at,n\n");
                for (user, minute) in rows {
                    writeln!(text, "u{user},2026-01-01 00:0{minute},{}", expected.len()).unwrap();
                    expected.push((format!("u{user}"), *minute, expected.len() as i64));
                }
                let file = dir.path().join("in.csv");
                std::fs::write(&file, text).unwrap();
                let mut writer = store.writer().unwrap();
                let import = EventImport { file: &file, id: "id", at: "at", reading: Reading::default(), again: true, source: None };
                import.run_in_blocks(block_rows, run_rows, &mut writer, &event, None, &mut |_| {}).unwrap();
                writer.commit().unwrap();
            }
            let s = store.snapshot().unwrap();
            let table = s.event("e").unwrap().unwrap();
            prop_assert_eq!(table.len(), expected.len());
            for user in 0..5 {
                let id = format!("u{user}");
                let mut wanted: Vec<(u8, i64)> = expected.iter().filter(|e| e.0 == id).map(|e| (e.1, e.2)).collect();
                wanted.sort();
                let found: Vec<(u8, i64)> = s.user_no(&id).into_iter().flat_map(|u| table.rows_of(u)).map(|row| {
                    let minute = (table.at(row).0 / 60_000_000 % 60) as u8;
                    (minute, if let Some(Value::Int(n)) = table.value(row, 0) { n } else { -1 })
                }).collect();
                prop_assert_eq!(found, wanted);
            }
        }
    }

    #[test]
    fn a_source_replaces_what_it_gave_before() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(
            dir.path().join("s"),
            Arc::new(SimulatedWorld::at(Instant(5))),
        )
        .unwrap();
        let event = EventSchema {
            name: "e".into(),
            fields: Vec::new(),
        };
        let count = |text: &str, source| {
            let file = dir.path().join("in.csv");
            std::fs::write(&file, text).unwrap();
            let mut writer = store.writer().unwrap();
            let import = EventImport {
                file: &file,
                id: "id",
                at: "at",
                reading: Reading::default(),
                again: false,
                source,
            };
            import
                .run(&mut writer, &event, std::iter::empty(), &mut |_| {})
                .unwrap();
            writer.commit().unwrap();
            store.snapshot().unwrap().event("e").unwrap().unwrap().len()
        };
        assert_eq!(count("id,at\na,2026-01-01\nb,2026-01-01\n", Some("x")), 2);
        assert_eq!(count("id,at\na,2026-01-01\n", None), 3);
        assert_eq!(
            count(
                "id,at\na,2026-01-01\nb,2026-01-01\nb,2026-01-02\n",
                Some("x")
            ),
            4
        );
        assert_eq!(count("id,at\nc,2026-01-03\n", Some("y")), 5);
    }
}
