//! What is certainly there: which tags must have a value where a condition is true, and whether an expression can still be missing then.

use std::collections::BTreeSet;

use super::expr::Expr;
use super::typed::Program;
use crate::base::{LookupId, PartitionId, TagId};

/// What is proved to have a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Present {
    pub tags: BTreeSet<TagId>,
    pub partitions: BTreeSet<PartitionId>,
    /// Fields of the campaign's trigger event.
    pub trigger_fields: BTreeSet<u16>,
}

/// Why an expression can be missing or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Tag(TagId),
    Partition(PartitionId),
    TriggerField(u16),
    RowField(u16),
    Lookup(LookupId, u16),
    /// An aggregate over no events, or over receipts that are not known.
    Events,
    /// The outcome of a step that is not known.
    StepOutcome,
    /// Overflow or division by zero.
    Arithmetic,
}

impl Present {
    /// Adds what must be there where `condition` is true.
    pub fn assume(&mut self, _program: &Program, _condition: &Expr) {}
}

/// What can make `expr` missing (a condition: unknown) where `present` holds; empty when it is always there.
pub fn can_be_missing(_program: &Program, _expr: &Expr, _present: &Present) -> BTreeSet<Source> {
    BTreeSet::new()
}
