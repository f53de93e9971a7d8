//! Stored columns in the types of a program: members moved, ranges widened, text read as an enum.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::build::ColumnBuilder;
use super::column::{Column, ColumnData};
use super::error::StoreError;
use super::event_table::{EventSegment, EventTable};
use crate::base::{EventSchema, Type, Value};

/// How values of one type become values of another.
enum Conversion {
    /// The arrays are the same.
    None,
    /// The arrays are the same, the values may not fit.
    Check,
    /// Old member code to new one.
    Codes(BTreeMap<u16, u16>),
    /// Code to text, and text to code.
    Names(Vec<String>),
    Members(BTreeMap<String, u16>),
    IntToNumber,
    Items(Box<Conversion>),
    Impossible,
}

impl Conversion {
    fn between(from: &Type, to: &Type) -> Self {
        let members = |of: &crate::base::EnumType| -> BTreeMap<String, u16> {
            of.members.iter().cloned().zip(0u16..).collect()
        };
        match (from, to) {
            _ if from == to => Conversion::None,
            (Type::Int { .. }, Type::Int { .. }) => Conversion::Check,
            (Type::Int { .. }, Type::Number) => Conversion::IntToNumber,
            (Type::Text { .. } | Type::Address(_), Type::Text { max: Some(_) }) => {
                Conversion::Check
            }
            (Type::Text { .. } | Type::Address(_), Type::Text { max: None } | Type::Address(_)) => {
                Conversion::None
            }
            (Type::Enum(a), Type::Enum(b)) => {
                let new = members(b);
                Conversion::Codes(
                    a.members
                        .iter()
                        .zip(0u16..)
                        .filter_map(|(m, old)| Some((old, *new.get(m)?)))
                        .collect(),
                )
            }
            (Type::Enum(a), Type::Text { .. }) => Conversion::Names(a.members.clone()),
            (Type::Text { .. }, Type::Enum(b)) => Conversion::Members(members(b)),
            (Type::Set(a), Type::Set(b)) => match Self::between(a, b) {
                Conversion::None => Conversion::None,
                other => Conversion::Items(Box::new(other)),
            },
            _ => Conversion::Impossible,
        }
    }

    fn apply(&self, value: &Value, to: &Type) -> Option<Value> {
        let value = match (self, value) {
            (Conversion::None | Conversion::Check, v) => v.clone(),
            (Conversion::IntToNumber, Value::Int(i)) => Value::Number(*i as f64),
            (Conversion::Codes(map), Value::Enum(code)) => Value::Enum(*map.get(code)?),
            (Conversion::Names(names), Value::Enum(code)) => {
                Value::text(names.get(usize::from(*code))?)
            }
            (Conversion::Members(map), Value::Text(name)) => Value::Enum(*map.get(&**name)?),
            (Conversion::Items(each), Value::Set(items)) => {
                let Type::Set(of) = to else { return None };
                return set_of(
                    items
                        .iter()
                        .map(|item| each.apply(item, of))
                        .collect::<Option<Vec<_>>>()?,
                );
            }
            _ => return None,
        };
        fits(&value, to).then_some(value)
    }
}

/// Items as a set: sorted, without repeats. `None` when they are not all enum members, all text or
/// all ints.
pub(super) fn set_of(items: Vec<Value>) -> Option<Value> {
    fn sorted<T: Ord>(
        items: &[Value],
        key: impl Fn(&Value) -> Option<T>,
        back: impl Fn(T) -> Value,
    ) -> Option<Value> {
        let mut keys = items.iter().map(key).collect::<Option<Vec<T>>>()?;
        keys.sort();
        keys.dedup();
        Some(Value::Set(keys.into_iter().map(back).collect()))
    }
    match items.first() {
        None => Some(Value::Set([].into())),
        Some(Value::Enum(_)) => sorted(
            &items,
            |v| {
                if let Value::Enum(c) = v {
                    Some(*c)
                } else {
                    None
                }
            },
            Value::Enum,
        ),
        Some(Value::Int(_)) => sorted(
            &items,
            |v| {
                if let Value::Int(i) = v {
                    Some(*i)
                } else {
                    None
                }
            },
            Value::Int,
        ),
        Some(Value::Text(_)) => sorted(
            &items,
            |v| {
                if let Value::Text(t) = v {
                    Some(t.clone())
                } else {
                    None
                }
            },
            Value::Text,
        ),
        Some(_) => None,
    }
}

/// Whether a value of the right kind is within the bounds of `ty`.
fn fits(value: &Value, ty: &Type) -> bool {
    match (value, ty) {
        (Value::Int(i), Type::Int { lo, hi }) => {
            lo.is_none_or(|lo| *i >= lo) && hi.is_none_or(|hi| *i <= hi)
        }
        (Value::Text(t), Type::Text { max: Some(max) }) => t.chars().count() <= *max as usize,
        _ => true,
    }
}

/// The same values in the form of `to`.
///
/// # Errors
/// How many values do not fit.
pub(super) fn convert(data: &ColumnData, from: &Type, to: &Type) -> Result<ColumnData, usize> {
    let conversion = Conversion::between(from, to);
    if matches!(conversion, Conversion::None) {
        return Ok(data.clone());
    }
    let (mut out, mut unfit) = (ColumnBuilder::new(to), 0);
    for row in 0..data.len() {
        let old = data.value(row, from);
        let new = old.as_ref().and_then(|v| conversion.apply(v, to));
        unfit += usize::from(old.is_some() && new.is_none());
        out.push(new.as_ref());
    }
    if unfit > 0 {
        Err(unfit)
    } else {
        Ok(out.finish())
    }
}

impl Column {
    /// The column in another type: the same Arrow array where its form is the same, a new one
    /// otherwise.
    ///
    /// # Errors
    /// [`StoreError::TypeChanged`] when there are values that the type cannot hold.
    pub fn in_type(&self, name: &str, to: &Type) -> Result<Column, StoreError> {
        let whole = self.whole();
        let data = convert(&whole.data, &self.ty, to)
            .map_err(|values| changed(name, &self.ty, to, values))?;
        Ok(Column::new(to.clone(), data, whole.written.clone()))
    }
}

fn changed(name: &str, from: &Type, to: &Type, values: usize) -> StoreError {
    StoreError::TypeChanged {
        name: name.into(),
        from: from.describe(),
        to: to.describe(),
        values,
    }
}

/// An event segment with the fields of `to`; a field that was not stored is missing throughout.
pub(super) fn segment_as(
    segment: &EventSegment,
    from: &EventSchema,
    to: &EventSchema,
) -> Result<EventSegment, StoreError> {
    let mut columns = Vec::new();
    for field in &to.fields {
        let stored = from.fields.iter().position(|f| f.name == field.name);
        columns.push(
            match stored.and_then(|i| Some((from.fields.get(i)?, segment.columns.get(i)?))) {
                Some((old, data)) => convert(data, &old.ty, &field.ty).map_err(|n| {
                    changed(
                        &format!("{}.{}", to.name, field.name),
                        &old.ty,
                        &field.ty,
                        n,
                    )
                })?,
                None => {
                    let mut nothing = ColumnBuilder::new(&field.ty);
                    (0..segment.len()).for_each(|_| nothing.push(None));
                    nothing.finish()
                }
            },
        );
    }
    Ok(segment.with_columns(columns))
}

impl EventTable {
    /// The same events with the fields of `to`, in its order and its types; a field that was not
    /// stored is missing throughout.
    ///
    /// # Errors
    /// [`StoreError::TypeChanged`] when stored values do not fit.
    pub fn in_schema(&self, to: &EventSchema) -> Result<EventTable, StoreError> {
        if same_fields(&self.schema, to) {
            return Ok(EventTable {
                schema: to.clone(),
                segments: self.segments.clone(),
            });
        }
        let segments = self
            .segments
            .iter()
            .map(|s| segment_as(s, &self.schema, to).map(Arc::new))
            .collect::<Result<_, _>>()?;
        Ok(EventTable {
            schema: to.clone(),
            segments,
        })
    }
}

/// Whether rows of one can be read as rows of the other.
pub(super) fn same_fields(a: &EventSchema, b: &EventSchema) -> bool {
    a.fields.len() == b.fields.len()
        && a.fields
            .iter()
            .zip(&b.fields)
            .all(|(a, b)| a.name == b.name && a.ty == b.ty)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::EnumType;

    fn enum_of(members: &[&str]) -> Type {
        Type::Enum(Arc::new(EnumType {
            members: members.iter().map(|m| m.to_string()).collect(),
        }))
    }

    fn column(ty: &Type, values: &[Option<Value>]) -> ColumnData {
        let mut b = ColumnBuilder::new(ty);
        values.iter().for_each(|v| b.push(v.as_ref()));
        b.finish()
    }

    #[test]
    fn members_keep_their_names() {
        let (old, new) = (enum_of(&["a", "b"]), enum_of(&["c", "b", "a"]));
        let data = column(&old, &[Some(Value::Enum(0)), None, Some(Value::Enum(1))]);
        let moved = convert(&data, &old, &new).unwrap();
        assert_eq!(
            [0, 1, 2].map(|r| moved.value(r, &new)),
            [Some(Value::Enum(2)), None, Some(Value::Enum(1))]
        );
        assert_eq!(convert(&data, &old, &enum_of(&["b"])), Err(1));
        let text = convert(&data, &old, &Type::TEXT).unwrap();
        assert_eq!(text.value(2, &Type::TEXT), Some(Value::text("b")));
        assert_eq!(convert(&text, &Type::TEXT, &new).unwrap(), moved);
        assert_eq!(convert(&data, &old, &Type::Bool), Err(2));
    }

    #[test]
    fn ranges_and_sets() {
        let narrow = Type::Int {
            lo: Some(0),
            hi: Some(100),
        };
        let data = column(&narrow, &[Some(Value::Int(100)), Some(Value::Int(7))]);
        assert_eq!(
            convert(&data, &narrow, &Type::INT)
                .unwrap()
                .value(0, &Type::INT),
            Some(Value::Int(100))
        );
        assert_eq!(
            convert(
                &data,
                &narrow,
                &Type::Int {
                    lo: Some(0),
                    hi: Some(99)
                }
            ),
            Err(1)
        );
        let (from, to) = (
            Type::Set(Box::new(enum_of(&["a", "b"]))),
            Type::Set(Box::new(enum_of(&["b", "x", "a"]))),
        );
        let data = column(
            &from,
            &[Some(Value::Set([Value::Enum(0), Value::Enum(1)].into()))],
        );
        assert_eq!(
            convert(&data, &from, &to).unwrap().value(0, &to),
            Some(Value::Set([Value::Enum(0), Value::Enum(2)].into()))
        );
    }
}
