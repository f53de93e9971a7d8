//! The one name space of a program: what each name stands for, and which known name a misspelt one is near to.

use std::collections::HashMap;

use crate::base::{AudienceId, CampaignId, EventId, ListId, LookupId, PartitionId, TagId, TemplateId};
use crate::diag::Span;

/// What a name stands for. The number of a place or an account is its position in the typed program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Symbol {
    Tag(TagId),
    Event(EventId),
    Lookup(LookupId),
    Place(usize),
    List(ListId),
    Partition(PartitionId),
    Audience(AudienceId),
    Account(usize),
    Template(TemplateId),
    Campaign(CampaignId),
    /// Declared, but by an item that could not be read: uses of it are silent.
    Broken,
}

/// A name with the place where it was declared; tags and events that only the store knows have none.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub symbol: Symbol,
    pub span: Option<Span>,
}

#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: HashMap<String, Entry>,
}

impl Scope {
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.names.get(name).copied()
    }
}
