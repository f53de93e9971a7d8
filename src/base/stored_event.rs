//! The fields of an event in a form that outlives the program and the process: JSON by the names of
//! fields and enum members. A field that the program has no more, or in another type, has no value
//! when it is read again.
//!
//! In memory the values of an event are typed by the program's schema, from where the event comes in
//! to the message that shows them. This is the one way into a row and back.

use serde_json::{Map, Value as Json, json};

use super::geo_point::GeoPoint;
use super::schema::EventSchema;
use super::time::{Calendar, Date, Elapsed, Instant, TimeOfDay};
use super::value::{Type, Value};

/// The values of an event as a row keeps them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEvent(String);

impl StoredEvent {
    /// `values` are by field of the schema.
    pub fn new(schema: &EventSchema, values: &[Option<Value>]) -> Self {
        let fields = schema.fields.iter().zip(values);
        let written: Map<String, Json> = fields
            .filter_map(|(field, value)| {
                Some((field.name.clone(), to_json(value.as_ref()?, &field.ty)))
            })
            .collect();
        StoredEvent(Json::Object(written).to_string())
    }

    /// As it was read from a row.
    pub fn from_row(json: String) -> Self {
        StoredEvent(json)
    }

    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// One value for each field of the schema, in its order.
    pub fn values(&self, schema: &EventSchema) -> Vec<Option<Value>> {
        let written: Map<String, Json> = serde_json::from_str(&self.0).unwrap_or_default();
        schema
            .fields
            .iter()
            .map(|field| of_json(written.get(&field.name)?, &field.ty))
            .collect()
    }
}

fn to_json(value: &Value, ty: &Type) -> Json {
    match value {
        Value::Bool(b) => json!(b),
        Value::Int(i) | Value::Money(i) => json!(i),
        Value::Number(f) | Value::Distance(f) => json!(f),
        Value::Ratio(f) => json!(f),
        Value::Text(t) => json!(&**t),
        Value::Enum(code) => match ty {
            Type::Enum(e) => json!(e.members.get(usize::from(*code))),
            _ => Json::Null,
        },
        Value::Set(items) => {
            let of = if let Type::Set(of) = ty { of } else { ty };
            Json::Array(items.iter().map(|item| to_json(item, of)).collect())
        }
        Value::Date(d) => json!(d.0),
        Value::Time(t) => json!(t.0),
        Value::Instant(i) => json!(i.0),
        Value::Elapsed(e) => json!(e.0),
        Value::Calendar(c) => json!([c.months, c.days]),
        Value::Place(p) => json!([p.lat, p.lon]),
    }
}

fn of_json(written: &Json, ty: &Type) -> Option<Value> {
    let int = || written.as_i64();
    let small = || int().and_then(|i| i32::try_from(i).ok());
    let float = || written.as_f64();
    let pair = |n: usize| written.as_array()?.get(n);
    Some(match ty {
        Type::Bool => Value::Bool(written.as_bool()?),
        Type::Int { lo, hi } => Value::Int(
            int().filter(|i| lo.is_none_or(|lo| lo <= *i) && hi.is_none_or(|hi| *i <= hi))?,
        ),
        Type::Number => Value::Number(float()?),
        Type::Ratio => Value::Ratio(float().filter(|f| (0.0..=1.0).contains(f))? as f32),
        Type::Money => Value::Money(int()?),
        Type::Text { max } => Value::text(
            written
                .as_str()
                .filter(|t| max.is_none_or(|max| t.chars().count() <= max as usize))?,
        ),
        Type::Address(_) => Value::text(written.as_str()?),
        Type::Enum(e) => Value::Enum(e.code(written.as_str()?)?),
        Type::Set(of) => {
            let items: Option<Vec<Value>> = written
                .as_array()?
                .iter()
                .map(|item| of_json(item, of))
                .collect();
            Value::Set(items?.into())
        }
        Type::Date => Value::Date(Date(small()?)),
        Type::Time => Value::Time(TimeOfDay(
            int()
                .and_then(|i| u32::try_from(i).ok())
                .filter(|s| *s < 86_400)?,
        )),
        Type::Instant => Value::Instant(Instant(int()?)),
        Type::Elapsed => Value::Elapsed(Elapsed(int()?)),
        Type::Calendar => {
            let part = |n| {
                pair(n)
                    .and_then(Json::as_i64)
                    .and_then(|i| i32::try_from(i).ok())
            };
            Value::Calendar(Calendar {
                months: part(0)?,
                days: part(1)?,
            })
        }
        Type::Distance => Value::Distance(float()?),
        Type::Place => Value::Place(GeoPoint::new(pair(0)?.as_f64()?, pair(1)?.as_f64()?)?),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::value::EnumType;
    use crate::base::{FieldSchema, Zone};

    fn schema(fields: &[(&str, Type)]) -> EventSchema {
        let field = |(name, ty): &(&str, Type)| FieldSchema {
            name: (*name).into(),
            ty: ty.clone(),
            optional: true,
        };
        EventSchema {
            name: "e".into(),
            fields: fields.iter().map(field).collect(),
        }
    }

    #[test]
    fn every_type_comes_back() {
        let colours = Type::Enum(Arc::new(EnumType {
            members: vec!["red".into(), "green".into()],
        }));
        let at = Zone::SHANGHAI.parse_instant("2026-11-11 10:00").unwrap();
        let all = [
            (Type::Bool, Value::Bool(true)),
            (Type::INT, Value::Int(-7)),
            (Type::Number, Value::Number(0.1)),
            (Type::Ratio, Value::Ratio(0.3)),
            (Type::Money, Value::Money(i64::MAX)),
            (Type::TEXT, Value::text("满300减50\"")),
            (colours.clone(), Value::Enum(1)),
            (
                Type::Set(Box::new(colours)),
                Value::Set(vec![Value::Enum(0), Value::Enum(1)].into()),
            ),
            (Type::Date, Value::Date("2026-11-11".parse().unwrap())),
            (Type::Time, Value::Time("10:00".parse().unwrap())),
            (Type::Instant, Value::Instant(at)),
            (Type::Elapsed, Value::Elapsed(Elapsed::minutes(3))),
            (Type::Calendar, Value::Calendar(Calendar::months(1))),
            (Type::Distance, Value::Distance(12.5)),
            (
                Type::Place,
                Value::Place(GeoPoint::new(31.2, 121.4).unwrap()),
            ),
        ];
        let names: Vec<String> = (0..all.len()).map(|i| format!("f{i}")).collect();
        let fields: Vec<(&str, Type)> = names
            .iter()
            .zip(&all)
            .map(|(name, (ty, _))| (name.as_str(), ty.clone()))
            .collect();
        let values: Vec<Option<Value>> = all.iter().map(|(_, v)| Some(v.clone())).collect();
        let schema = schema(&fields);
        assert_eq!(StoredEvent::new(&schema, &values).values(&schema), values);
        let none = vec![None; all.len()];
        assert_eq!(StoredEvent::new(&schema, &none).values(&schema), none);
    }

    #[test]
    fn what_the_program_has_no_more_is_missing() {
        let old = schema(&[("sku", Type::TEXT), ("price", Type::Money)]);
        let stored = StoredEvent::new(&old, &[Some(Value::text("a1")), Some(Value::Money(900))]);
        let new = schema(&[
            ("price", Type::Date),
            ("sku", Type::TEXT),
            ("shop", Type::TEXT),
        ]);
        assert_eq!(
            stored.values(&new),
            [Some(Value::Date(Date(900))), Some(Value::text("a1")), None]
        );
        let new = schema(&[("price", Type::Text { max: Some(3) })]);
        assert_eq!(
            (
                stored.values(&new),
                StoredEvent::from_row("not JSON".into()).values(&new)
            ),
            (vec![None], vec![None])
        );
    }
}
