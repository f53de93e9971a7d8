//! Whether a program asks about its own messages: reading them all costs time, and most programs do
//! not.

use crate::program::typed::{Program, Schedule};
use crate::program::typed_expr::{EventSource, ExprKind};
use crate::program::walk;

/// Whether the program asks anywhere about its own messages.
pub fn asks_own(program: &Program) -> bool {
    let own = |source: &EventSource| matches!(source, EventSource::Own(_));
    let unless = program.campaigns.iter().any(|c| match &c.schedule {
        Schedule::Trigger(t) => t.unless.as_ref().is_some_and(|u| own(&u.source)),
        Schedule::Once(_) | Schedule::Every(_) | Schedule::Dated(_) | Schedule::OwnTime(_) => false,
    });
    let mut asks = unless
        || program
            .campaigns
            .iter()
            .any(|c| c.goal.as_ref().is_some_and(|g| own(&g.event.source)));
    for root in walk::roots(program) {
        root.each(&mut |expr| {
            if let ExprKind::Event(query) = &expr.kind {
                asks |= own(&query.pattern.source)
                    || query.then.as_ref().is_some_and(|t| own(&t.next.source));
            }
        });
    }
    asks
}
