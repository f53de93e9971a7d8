//! Rows of a file as columns of declared types, with the user id and, for events, the instant beside them.

use std::collections::HashMap;

use super::cell::Cell;
use super::reading::Reading;
use super::source::{Bad, Rows};
use super::{Errors, id_of};
use crate::base::{Instant, Type};
use crate::store::{ColumnBuilder, ColumnData, StoreError, Words, words};

/// A declared tag or field that a column of the file may fill.
pub(super) struct Field<'a> {
    pub name: &'a str,
    pub ty: &'a Type,
    builder: ColumnBuilder,
    /// Whether the row that is being read gave a value, good or bad.
    pub given: bool,
    /// Whether any row had such a column.
    pub seen: bool,
}

impl<'a> Field<'a> {
    pub fn new(name: &'a str, ty: &'a Type) -> Self {
        Field { name, ty, builder: ColumnBuilder::new(ty), given: false, seen: false }
    }
}

/// What a column of the file is for.
#[derive(Clone, Copy, PartialEq)]
enum Slot {
    Id,
    At,
    Field(usize),
    Ignored,
}

/// The columns that are being filled.
pub(super) struct Table<'a> {
    id: &'a str,
    at: Option<&'a str>,
    pub fields: Vec<Field<'a>>,
    by_name: HashMap<&'a str, usize>,
    /// One a column of the file, as far as they are known.
    slots: Vec<Slot>,
    pub ignored: Vec<String>,
    pub seen_id: bool,
    pub seen_at: bool,
    /// Rows in the builders.
    pub rows: usize,
}

/// What a row says beside its fields.
pub(super) struct Row {
    pub line: u64,
    pub id: Option<Result<String, Words>>,
    pub at: Option<Result<Instant, Words>>,
}

impl<'a> Table<'a> {
    /// `at` names the column of the instant, for events.
    pub fn new(id: &'a str, at: Option<&'a str>, fields: Vec<Field<'a>>) -> Self {
        let by_name = fields.iter().enumerate().map(|(i, f)| (f.name, i)).collect();
        Table { id, at, fields, by_name, slots: Vec::new(), ignored: Vec::new(), seen_id: false, seen_at: false, rows: 0 }
    }

    /// Says what the column at `position` is for; columns come in order of their positions.
    pub fn add_column(&mut self, position: usize, name: &str) {
        if self.slots.len() > position {
            return;
        }
        let slot = match self.by_name.get(name) {
            _ if name == self.id => Slot::Id,
            _ if Some(name) == self.at => Slot::At,
            Some(i) => Slot::Field(*i),
            None => Slot::Ignored,
        };
        match slot {
            Slot::Id => self.seen_id = true,
            Slot::At => self.seen_at = true,
            Slot::Field(i) => self.fields[i].seen = true,
            Slot::Ignored if !name.is_empty() => self.ignored.push(name.into()),
            Slot::Ignored => {}
        }
        self.slots.push(slot);
    }

    /// Reads the next row into the builders and its errors into `errors`; `None` at the end. A row that cannot be read at all has no id.
    /// The fields' `given` tells of this row until the next one is read.
    pub fn read(&mut self, source: &mut dyn Rows, how: &Reading, errors: &mut Errors) -> Result<Option<Row>, StoreError> {
        self.fields.iter_mut().for_each(|f| f.given = false);
        let (mut id, mut at) = (None, None);
        let mut bad: Vec<(String, Words)> = Vec::new();
        let read = source.next_row(&mut |position, name, cell| {
            self.add_column(position, name);
            match self.slots.get(position) {
                Some(Slot::Id) => id = Some(id_of(&cell)),
                Some(Slot::At) => at = Some(how.instant(&cell).ok_or_else(|| not_instant(how, &cell))),
                Some(Slot::Field(i)) => {
                    let field = &mut self.fields[*i];
                    if field.given {
                        return; // Parquet and Arrow may have two columns of one name: the first with a value counts.
                    }
                    let value = how.value(&cell, field.ty).unwrap_or_else(|why| {
                        field.given = true;
                        bad.push((name.into(), why));
                        None
                    });
                    field.given |= value.is_some();
                    if field.given {
                        field.builder.push(value.as_ref());
                    }
                }
                Some(Slot::Ignored) | None => {}
            }
        });
        let line = match read {
            Ok(None) => return Ok(None),
            Ok(Some(line)) => line,
            Err(Bad::File(e)) => return Err(e),
            Err(Bad::Row { line, why }) => {
                errors.add(line, None, why);
                (id, at) = (None, None);
                bad.clear();
                self.fill_row();
                return Ok(Some(Row { line, id, at }));
            }
        };
        for (column, why) in bad {
            errors.add(line, Some(&column), why);
        }
        self.fill_row();
        let id = id.or_else(|| Some(id_of(&Cell::Missing)));
        Ok(Some(Row { line, id, at }))
    }

    /// Completes the row with missing values.
    fn fill_row(&mut self) {
        for field in self.fields.iter_mut().filter(|f| !f.given) {
            field.builder.push(None);
        }
        self.rows += 1;
    }

    /// The columns so far; the next ones begin anew.
    pub fn take(&mut self) -> Vec<ColumnData> {
        self.rows = 0;
        self.fields.iter_mut().map(|f| std::mem::replace(&mut f.builder, ColumnBuilder::new(f.ty)).finish()).collect()
    }
}

fn not_instant(how: &Reading, cell: &Cell<'_>) -> Words {
    match how.value(cell, &Type::Instant) {
        Err(why) => why,
        Ok(_) => words!("the instant is missing: every event needs one", "缺少时间：每个事件都要有"),
    }
}
