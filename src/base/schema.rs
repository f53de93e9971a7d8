//! The one thing that checker and store must agree on: which tags and events there are, and their
//! types.

use super::{Elapsed, EventId, TagId, Type};

/// Where a tag's knowledge comes from; documentation that `tags stats` checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layer {
    Base,
    Behavior,
    Predicted,
}

/// A stored tag. Derived tags are expressions of the program and have no column of their own unless
/// the store maintains one.
#[derive(Clone, PartialEq, Debug)]
pub struct TagSchema {
    pub name: String,
    pub ty: Type,
    /// The store refuses rows without it.
    pub always: bool,
    /// May select, never leaves unmasked.
    pub private: bool,
    /// The bool tag that permits messages.
    pub consent: bool,
    /// Needs that consent tag too.
    pub sensitive_by: Option<TagId>,
    /// A value written longer ago than this counts as missing.
    pub fresh: Option<Elapsed>,
    pub layer: Option<Layer>,
    /// `refresh monthly`, as written.
    pub refresh: Option<String>,
    /// `from "registration"`.
    pub source: Option<String>,
    /// Computed by the program; never imported.
    pub derived: bool,
}

impl TagSchema {
    /// A tag without qualifiers.
    pub fn new(name: &str, ty: Type) -> Self {
        TagSchema {
            name: name.into(),
            ty,
            always: false,
            private: false,
            consent: false,
            sensitive_by: None,
            fresh: None,
            layer: None,
            refresh: None,
            source: None,
            derived: false,
        }
    }
}

/// A field of an event or a column of a lookup table.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldSchema {
    pub name: String,
    pub ty: Type,
    pub optional: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct EventSchema {
    pub name: String,
    pub fields: Vec<FieldSchema>,
}

/// Tags and events by number; a number is a position.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Schema {
    pub tags: Vec<TagSchema>,
    pub events: Vec<EventSchema>,
}

impl Schema {
    pub fn tag(&self, id: TagId) -> &TagSchema {
        &self.tags[id.index()]
    }

    pub fn event(&self, id: EventId) -> &EventSchema {
        &self.events[id.index()]
    }

    pub fn tag_named(&self, name: &str) -> Option<TagId> {
        self.tags
            .iter()
            .position(|t| t.name == name)
            .map(|i| TagId(i as u32))
    }

    pub fn event_named(&self, name: &str) -> Option<EventId> {
        self.events
            .iter()
            .position(|e| e.name == name)
            .map(|i| EventId(i as u32))
    }
}
