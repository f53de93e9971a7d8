//! Rows of a file as columns of declared types, a block at a time, with the user id and, for
//! events, the instant beside them.
//!
//! [`ColumnTargets`] says what the columns of a file are to fill and is the same for all blocks; a
//! [`RowBlock`] is what some rows gave.

use crate::base::Msg;
use crate::msg;
use std::collections::HashMap;

use super::cell::Cell;
use super::reading::Reading;
use super::row_source::{Bad, RowSource};
use super::user_id::id_of;
use crate::base::{Instant, Type, UserNo};
use crate::store::{ColumnBuilder, ColumnData, StoreError, Users};

/// Row errors that are kept in full; the rest is counted.
pub const MAX_SHOWN_ERRORS: usize = 1000;

/// A declared tag or field that a column of the file may fill.
pub(super) struct Field<'a> {
    pub name: &'a str,
    pub ty: &'a Type,
    /// Errors do not show its values.
    pub private: bool,
    /// What to say where a row has no value, if every row must have one.
    pub required: Option<Msg>,
}

/// What a column of the file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    Id,
    At,
    Field(usize),
    Ignored,
}

/// What the columns of a file are to fill.
pub(super) struct ColumnTargets<'a> {
    pub id: &'a str,
    /// The column of the instant, for events.
    pub at: Option<&'a str>,
    pub fields: Vec<Field<'a>>,
    pub how: &'a Reading,
    by_name: HashMap<&'a str, usize>,
}

impl<'a> ColumnTargets<'a> {
    pub fn new(id: &'a str, at: Option<&'a str>, fields: Vec<Field<'a>>, how: &'a Reading) -> Self {
        let by_name = fields
            .iter()
            .enumerate()
            .map(|(i, f)| (f.name, i))
            .collect();
        ColumnTargets {
            id,
            at,
            fields,
            how,
            by_name,
        }
    }

    fn role(&self, name: &str) -> Role {
        match self.by_name.get(name) {
            _ if name == self.id => Role::Id,
            _ if Some(name) == self.at => Role::At,
            Some(i) => Role::Field(*i),
            None => Role::Ignored,
        }
    }

    /// The instant in a cell.
    pub fn instant(&self, cell: &Cell<'_>) -> Result<Instant, Msg> {
        if self.how.is_missing(cell, &Type::Instant) {
            return Err(msg!(
                "the instant is missing: every event needs one",
                "缺少时间：每个事件都要有"
            ));
        }
        self.how
            .instant(cell)
            .ok_or_else(|| super::cell::expected(cell, &Type::Instant))
    }
}

/// The columns of a file and what each is for. Formats that name their columns in each row add to
/// the end as they go.
#[derive(Default)]
pub(super) struct Header {
    names: Vec<String>,
    roles: Vec<Role>,
}

impl Header {
    pub fn of(names: &[String], wanted: &ColumnTargets<'_>) -> Self {
        let mut header = Header::default();
        names.iter().for_each(|name| header.add(name, wanted));
        header
    }

    pub fn add(&mut self, name: &str, wanted: &ColumnTargets<'_>) {
        self.names.push(name.into());
        self.roles.push(wanted.role(name));
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    pub fn roles(&self) -> &[Role] {
        &self.roles
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Columns that nothing declares.
    pub fn ignored(&self) -> Vec<String> {
        let named = self
            .names
            .iter()
            .zip(&self.roles)
            .filter(|(name, role)| **role == Role::Ignored && !name.is_empty());
        named.map(|(name, _)| name.clone()).collect()
    }
}

/// Ids by row, one after the other; a row may be without.
#[derive(Default)]
pub(super) struct RowIds {
    bytes: String,
    /// Where each id ends; one that ends where it begins is none.
    ends: Vec<usize>,
}

impl RowIds {
    pub fn push(&mut self, id: &str) {
        self.bytes.push_str(id);
        self.ends.push(self.bytes.len());
    }

    pub fn push_int(&mut self, id: i64) {
        use std::fmt::Write;
        let _ = write!(self.bytes, "{id}"); // Writing to a string does not fail.
        self.ends.push(self.bytes.len());
    }

    pub fn push_none(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&str>> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let id = self.bytes.get(std::mem::replace(&mut from, *end)..*end);
            id.filter(|id| !id.is_empty())
        })
    }
}

impl RowIds {
    /// All of them in order, each with its number where it is one of `users`.
    pub fn known_to<'a>(
        &'a self,
        users: &Users,
    ) -> impl Iterator<Item = Option<(&'a str, Option<UserNo>)>> {
        let ids: Vec<Option<&str>> = self.iter().collect();
        let numbers = users.numbers(&ids);
        ids.into_iter()
            .zip(numbers)
            .map(|(id, number)| Some((id?, number)))
    }
}

/// Errors of some rows, by row; those that are not shown are counted.
#[derive(Default)]
pub(super) struct RowErrors {
    pub shown: Vec<(usize, Option<String>, Msg)>,
    pub total: u64,
}

impl RowErrors {
    pub fn add(&mut self, row: usize, column: Option<&str>, why: Msg) {
        self.total += 1;
        if self.shown.len() < MAX_SHOWN_ERRORS {
            self.shown.push((row, column.map(String::from), why));
        }
    }

    /// Adds what another look at the same rows has found.
    pub fn join(&mut self, other: RowErrors) {
        self.total += other.total;
        self.shown.extend(other.shown);
    }
}

/// What some rows that follow each other gave.
#[derive(Default)]
pub(super) struct RowBlock {
    /// The line of each row, or its number.
    pub lines: Vec<u64>,
    pub ids: RowIds,
    /// Instants, for events.
    pub at: Vec<i64>,
    /// One a field.
    pub columns: Vec<ColumnData>,
    pub errors: RowErrors,
    /// Bytes of the file that were read so far, or an estimate.
    pub bytes: u64,
}

/// Reads the next rows, at most so many; `None` at the end.
pub(super) fn read_rows(
    rows: &mut dyn RowSource,
    max_rows: usize,
    header: &mut Header,
    wanted: &ColumnTargets<'_>,
) -> Result<Option<RowBlock>, StoreError> {
    let mut block = RowBlock::default();
    let mut builders: Vec<ColumnBuilder> = wanted
        .fields
        .iter()
        .map(|f| ColumnBuilder::new(f.ty))
        .collect();
    let mut given = vec![false; wanted.fields.len()];
    let mut bad: Vec<(String, Msg)> = Vec::new();
    while block.lines.len() < max_rows {
        let row = block.lines.len();
        given.fill(false);
        let (mut id, mut at) = (None, None);
        let read = rows.next_row(&mut |position, name, cell| {
            if header.roles.len() <= position {
                header.add(name, wanted);
            }
            match header.roles.get(position) {
                Some(Role::Id) => id = Some(id_of(&cell)),
                Some(Role::At) => at = Some(wanted.instant(&cell)),
                Some(Role::Field(i)) => {
                    let (Some(field), Some(builder), Some(given)) = (
                        wanted.fields.get(*i),
                        builders.get_mut(*i),
                        given.get_mut(*i),
                    ) else {
                        return;
                    };
                    if *given {
                        return; // A file may have two columns of one name: the first with a value counts.
                    }
                    let value = wanted
                        .how
                        .value_of(&cell, field.ty, field.private)
                        .unwrap_or_else(|why| {
                            *given = true;
                            bad.push((name.into(), why));
                            None
                        });
                    *given |= value.is_some();
                    if *given {
                        builder.push(value.as_ref());
                    }
                }
                Some(Role::Ignored) | None => {}
            }
        });
        let errors = &mut block.errors;
        let readable = match read {
            Ok(None) => break,
            Ok(Some(line)) => {
                block.lines.push(line);
                true
            }
            Err(Bad::File(e)) => return Err(e),
            Err(Bad::Row { line, why }) => {
                block.lines.push(line);
                errors.add(row, None, why);
                bad.clear();
                false
            }
        };
        for (column, why) in bad.drain(..) {
            errors.add(row, Some(&column), why);
        }
        for ((field, builder), _) in wanted
            .fields
            .iter()
            .zip(&mut builders)
            .zip(&given)
            .filter(|(_, given)| !**given)
        {
            builder.push(None);
            if let (Some(why), true) = (&field.required, readable) {
                errors.add(row, Some(field.name), why.clone());
            }
        }
        if let Some(name) = wanted.at {
            match at.unwrap_or_else(|| wanted.instant(&Cell::Missing)) {
                Ok(at) => block.at.push(at.0),
                Err(why) => {
                    block.at.push(0); // Nothing will be imported.
                    if readable {
                        errors.add(row, Some(name), why);
                    }
                }
            }
        }
        match id.unwrap_or_else(|| id_of(&Cell::Missing)) {
            Ok(id) if readable => block.ids.push(&id),
            other => {
                block.ids.push_none();
                if let (Err(why), true) = (other, readable) {
                    errors.add(row, Some(wanted.id), why);
                }
            }
        }
    }
    block.columns = builders.into_iter().map(ColumnBuilder::finish).collect();
    block.bytes = rows.bytes_read();
    Ok((!block.lines.is_empty()).then_some(block))
}
