//! Where an expression stands.

use crate::base::EventId;
use crate::program::definedness::Definedness;
use crate::program::typed_expr::EventSource;

/// What is in scope where an expression stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExprContext<'a> {
    /// `event.field` names a field of this event.
    pub trigger: Option<EventId>,
    /// Inside a `where`: plain names are fields of this event and nothing else.
    pub row: Option<EventSource>,
    /// `delivered`, `opened`, `clicked` and `converted` speak of this step (`typed::Step::from`).
    pub step: Option<usize>,
    /// Proved to have a value, for instance by the campaign's `when`.
    pub present: Option<&'a Definedness>,
}
