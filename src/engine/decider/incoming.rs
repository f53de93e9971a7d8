//! Events as they come in, and the campaigns that wait for them.

use crate::base::{EventId, Instant, UserNo, Value};
use crate::program::typed::{Campaign, Schedule, Trigger};
use crate::program::typed_expr::EventSource;

/// An event that came in, from a file or over the network.
#[derive(Clone, PartialEq, Debug)]
pub struct IncomingEvent {
    /// No other event has it; the same event has it again.
    pub id: String,
    pub event: EventId,
    pub user: UserNo,
    pub at: Instant,
    /// By field of the program's schema.
    pub values: Vec<Option<Value>>,
}

/// The trigger of a campaign and the declared event that it waits for.
pub(super) fn trigger(campaign: &Campaign) -> Option<(&Trigger, EventId)> {
    match &campaign.schedule {
        Schedule::Trigger(trigger) => match trigger.event.source {
            EventSource::Declared(event) => Some((trigger, event)),
            EventSource::Own(_) => None,
        },
        Schedule::Once(_) | Schedule::Every(_) | Schedule::Dated(_) | Schedule::OwnTime(_) => None,
    }
}

/// The kind of event that a campaign waits for.
pub fn awaited(campaign: &Campaign) -> Option<EventId> {
    trigger(campaign).map(|(_, event)| event)
}
