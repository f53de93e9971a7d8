//! The program's tags and events found in a snapshot: types compared, enum codes translated.

use super::{EvalError, Scope};
use crate::base::{EventId, Instant, TagId, Type, UserNo, Value};
use crate::store::{Column, EventTable, RowRef};

/// Stored code to declared code; `None` for a member that the program does not declare.
type CodeMap = Vec<Option<u16>>;

pub struct BoundColumn<'a> {
    pub column: &'a Column,
    /// `None` when the codes are the same.
    pub codes: Option<CodeMap>,
    /// Values written before this instant count as missing.
    pub fresh_from: Option<Instant>,
}

pub struct BoundEvent<'a> {
    pub table: &'a EventTable,
    /// For each declared field its position in the store, and its codes.
    fields: Vec<Option<(usize, Option<CodeMap>)>>,
}

/// Where every tag and event of the program is in the snapshot; what the store does not have is missing.
pub struct Bound<'a> {
    tags: Vec<Option<BoundColumn<'a>>>,
    events: Vec<Option<BoundEvent<'a>>>,
}

impl<'a> Bound<'a> {
    /// # Errors
    /// A tag or field whose stored type does not fit its declaration.
    pub fn new(scope: &Scope<'a>) -> Result<Self, EvalError> {
        let schema = &scope.program.schema;
        let mut tags = Vec::with_capacity(schema.tags.len());
        for tag in &schema.tags {
            let column = if tag.derived { None } else { scope.snapshot.tag(&tag.name) };
            tags.push(match column {
                None => None,
                Some(column) => {
                    let codes = fit(&tag.name, &column.ty, &tag.ty)?;
                    let fresh_from = tag.fresh.map(|d| scope.now.minus(d));
                    Some(BoundColumn { column, codes, fresh_from })
                }
            });
        }
        let mut events = Vec::with_capacity(schema.events.len());
        for event in &schema.events {
            events.push(match scope.snapshot.event(&event.name) {
                None => None,
                Some(table) => {
                    let mut fields = Vec::new();
                    for field in &event.fields {
                        let at = table.schema.fields.iter().position(|f| f.name == field.name);
                        fields.push(match at {
                            None => None,
                            Some(at) => {
                                let name = format!("{}.{}", event.name, field.name);
                                Some((at, fit(&name, &table.schema.fields[at].ty, &field.ty)?))
                            }
                        });
                    }
                    Some(BoundEvent { table, fields })
                }
            });
        }
        Ok(Bound { tags, events })
    }

    pub fn tag(&self, id: TagId) -> Option<&BoundColumn<'a>> {
        self.tags.get(id.index())?.as_ref()
    }

    pub fn event(&self, id: EventId) -> Option<&BoundEvent<'a>> {
        self.events.get(id.index())?.as_ref()
    }
}

impl BoundColumn<'_> {
    pub fn value(&self, user: UserNo) -> Option<Value> {
        let row = user.index();
        if row >= self.column.len() || !self.is_fresh(row) {
            return None;
        }
        translate(self.column.value(row)?, self.codes.as_ref())
    }

    /// Whether the value was written lately enough; one whose time is not known is not.
    pub fn is_fresh(&self, row: usize) -> bool {
        match self.fresh_from {
            None => true,
            Some(from) => self.column.written.is_none() || self.column.written_at(row).is_some_and(|at| at >= from),
        }
    }
}

impl BoundEvent<'_> {
    pub fn value(&self, row: RowRef, field: u16) -> Option<Value> {
        let (at, codes) = self.fields.get(usize::from(field))?.as_ref()?;
        translate(self.table.value(row, *at)?, codes.as_ref())
    }
}

fn translate(value: Value, codes: Option<&CodeMap>) -> Option<Value> {
    let Some(codes) = codes else { return Some(value) };
    let code = |c: u16| codes.get(usize::from(c)).copied().flatten();
    match value {
        Value::Enum(c) => code(c).map(Value::Enum),
        Value::Set(items) => {
            let mut out: Vec<u16> = items.iter().filter_map(|i| if let Value::Enum(c) = i { code(*c) } else { None }).collect();
            out.sort_unstable();
            Some(Value::Set(out.into_iter().map(Value::Enum).collect()))
        }
        value => Some(value),
    }
}

/// Whether a stored type can be read as the declared one, and how codes are translated.
fn fit(name: &str, stored: &Type, declared: &Type) -> Result<Option<CodeMap>, EvalError> {
    let mismatch = || EvalError::TypeOfStore { name: name.into(), stored: stored.describe(), declared: declared.describe() };
    match (stored, declared) {
        (Type::Enum(a), Type::Enum(b)) if a == b => Ok(None),
        (Type::Enum(a), Type::Enum(b)) => Ok(Some(a.members.iter().map(|m| b.code(m)).collect())),
        (Type::Set(a), Type::Set(b)) => fit(name, a, b).map_err(|_| mismatch()),
        (Type::Int { .. }, Type::Int { .. }) | (Type::Text { .. }, Type::Text { .. }) | (Type::Address(_), Type::Address(_)) => Ok(None),
        (Type::Text { .. }, Type::Address(_)) => Ok(None),
        (a, b) if a == b => Ok(None),
        _ => Err(mismatch()),
    }
}
