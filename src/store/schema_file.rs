//! Types, tags and events as JSON: what the manifest and the metadata of the Arrow files say of
//! them.

use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::base::{Elapsed, EnumType, EventSchema, FieldSchema, Layer, Schema, TagSchema, Type};

/// A [`Type`] in a file: `"bool"`, `{"int": {"lo": 0, "hi": 120}}`, `{"enum": ["a", "b"]}`,
/// `{"set": {"enum": […]}}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TypeFile {
    Bool,
    Int {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lo: Option<i64>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hi: Option<i64>,
    },
    Number,
    Ratio,
    Money,
    Text {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<u32>,
    },
    Enum(Vec<String>),
    Set(Box<TypeFile>),
    Date,
    Time,
    Instant,
    Elapsed,
    Calendar,
    Distance,
    Place,
    Address(String),
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TagSchemaFile {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TypeFile,
    #[serde(default, skip_serializing_if = "is_false")]
    pub always: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub consent: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitive_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_micros: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<LayerFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LayerFile {
    Base,
    Behavior,
    Predicted,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventSchemaFile {
    pub name: String,
    pub fields: Vec<FieldSchemaFile>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSchemaFile {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: TypeFile,
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
}

fn is_false(b: &bool) -> bool {
    !b
}

impl TypeFile {
    pub fn of(ty: &Type) -> Self {
        match ty {
            Type::Bool => TypeFile::Bool,
            Type::Int { lo, hi } => TypeFile::Int { lo: *lo, hi: *hi },
            Type::Number => TypeFile::Number,
            Type::Ratio => TypeFile::Ratio,
            Type::Money => TypeFile::Money,
            Type::Text { max } => TypeFile::Text { max: *max },
            Type::Enum(e) => TypeFile::Enum(e.members.clone()),
            Type::Set(of) => TypeFile::Set(Box::new(Self::of(of))),
            Type::Date => TypeFile::Date,
            Type::Time => TypeFile::Time,
            Type::Instant => TypeFile::Instant,
            Type::Elapsed => TypeFile::Elapsed,
            Type::Calendar => TypeFile::Calendar,
            Type::Distance => TypeFile::Distance,
            Type::Place => TypeFile::Place,
            Type::Address(account) => TypeFile::Address(account.to_string()),
        }
    }

    pub fn to_type(&self) -> Type {
        match self {
            TypeFile::Bool => Type::Bool,
            TypeFile::Int { lo, hi } => Type::Int { lo: *lo, hi: *hi },
            TypeFile::Number => Type::Number,
            TypeFile::Ratio => Type::Ratio,
            TypeFile::Money => Type::Money,
            TypeFile::Text { max } => Type::Text { max: *max },
            TypeFile::Enum(members) => Type::Enum(Arc::new(EnumType {
                members: members.clone(),
            })),
            TypeFile::Set(of) => Type::Set(Box::new(of.to_type())),
            TypeFile::Date => Type::Date,
            TypeFile::Time => Type::Time,
            TypeFile::Instant => Type::Instant,
            TypeFile::Elapsed => Type::Elapsed,
            TypeFile::Calendar => Type::Calendar,
            TypeFile::Distance => Type::Distance,
            TypeFile::Place => Type::Place,
            TypeFile::Address(account) => Type::Address(account.as_str().into()),
        }
    }
}

impl TagSchemaFile {
    /// `schema` is where `sensitive by` finds its tag's name.
    pub fn of(tag: &TagSchema, schema: &Schema) -> Self {
        TagSchemaFile {
            name: tag.name.clone(),
            ty: TypeFile::of(&tag.ty),
            always: tag.always,
            private: tag.private,
            consent: tag.consent,
            sensitive_by: tag
                .sensitive_by
                .and_then(|id| schema.tags.get(id.index()))
                .map(|t| t.name.clone()),
            fresh_micros: tag.fresh.map(|e| e.0),
            layer: tag.layer.map(|l| match l {
                Layer::Base => LayerFile::Base,
                Layer::Behavior => LayerFile::Behavior,
                Layer::Predicted => LayerFile::Predicted,
            }),
            refresh: tag.refresh.clone(),
            source: tag.source.clone(),
        }
    }

    /// The tag, still without `sensitive by`: that needs the numbers of all tags.
    pub fn to_tag(&self) -> TagSchema {
        TagSchema {
            name: self.name.clone(),
            ty: self.ty.to_type(),
            always: self.always,
            private: self.private,
            consent: self.consent,
            sensitive_by: None,
            fresh: self.fresh_micros.map(Elapsed),
            layer: self.layer.map(|l| match l {
                LayerFile::Base => Layer::Base,
                LayerFile::Behavior => Layer::Behavior,
                LayerFile::Predicted => Layer::Predicted,
            }),
            refresh: self.refresh.clone(),
            source: self.source.clone(),
            derived: false,
        }
    }
}

impl EventSchemaFile {
    pub fn of(event: &EventSchema) -> Self {
        let field = |f: &FieldSchema| FieldSchemaFile {
            name: f.name.clone(),
            ty: TypeFile::of(&f.ty),
            optional: f.optional,
        };
        EventSchemaFile {
            name: event.name.clone(),
            fields: event.fields.iter().map(field).collect(),
        }
    }

    pub fn to_event(&self) -> EventSchema {
        let field = |f: &FieldSchemaFile| FieldSchema {
            name: f.name.clone(),
            ty: f.ty.to_type(),
            optional: f.optional,
        };
        EventSchema {
            name: self.name.clone(),
            fields: self.fields.iter().map(field).collect(),
        }
    }
}

/// A whole schema from its parts in a file.
pub(super) fn schema_of<'a>(
    tags: impl Iterator<Item = &'a TagSchemaFile> + Clone,
    events: impl Iterator<Item = &'a EventSchemaFile>,
) -> Schema {
    let mut schema = Schema {
        tags: tags.clone().map(TagSchemaFile::to_tag).collect(),
        events: events.map(EventSchemaFile::to_event).collect(),
    };
    for (i, file) in tags.enumerate() {
        schema.tags[i].sensitive_by = file
            .sensitive_by
            .as_deref()
            .and_then(|name| schema.tag_named(name));
    }
    schema
}
