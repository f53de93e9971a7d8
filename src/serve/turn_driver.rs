//! A turn of the engine's cycle in the service: calls and events come in over HTTP, and the sender
//! sends on a thread of its own.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use super::call_reader::CallReader;
use super::commands::CommandQueue;
use super::service_state::ServiceState;
use super::store_feed::{LIVE, StoreFeed};
use crate::base::Instant;
use crate::engine::cycle::{CycleDriver, DispatchReport, EventBatch, Received};
use crate::engine::{Failure, Project, store_events};
use crate::ledger::Ledger;

pub struct TurnDriver<'a> {
    service: &'a ServiceState,
    project: &'a Project,
    feed: &'a mut StoreFeed,
    calls: &'a mut CallReader,
    queue: &'a mut CommandQueue,
    now: Instant,
    ledger: Option<MutexGuard<'a, Ledger>>,
    batch: Option<EventBatch>,
    /// How far in the log of live changes the batch goes.
    position: Option<u64>,
    more: bool,
}

impl<'a> TurnDriver<'a> {
    pub fn new(
        service: &'a ServiceState,
        project: &'a Project,
        feed: &'a mut StoreFeed,
        calls: &'a mut CallReader,
        queue: &'a mut CommandQueue,
        now: Instant,
    ) -> Self {
        TurnDriver {
            service,
            project,
            feed,
            calls,
            queue,
            now,
            ledger: None,
            batch: None,
            position: None,
            more: false,
        }
    }
}

impl CycleDriver for TurnDriver<'_> {
    /// Held until the turn ends: each time it is let go, the sender may take it and wait for the
    /// disk. What this process claims it claims under the same lock, so what is not withdrawn in a
    /// turn was claimed before it.
    fn ledger(&mut self) -> &mut Ledger {
        self.ledger.get_or_insert_with(|| self.service.ledger())
    }

    fn receive(&mut self) -> Result<Received, Failure> {
        let mut received = Received::default();
        if std::mem::take(&mut self.queue.calls) {
            received.history_changed =
                self.calls
                    .apply_all(self.service, self.project, self.feed.snapshot())?;
        }
        let program = &self.project.program;
        if let Some(changes) = self.feed.read(&program.schema, self.service)? {
            received.snapshot = Some(self.feed.snapshot().clone());
            let position = i64::try_from(changes.position).unwrap_or(i64::MAX);
            // `run` must not take what came this way for an import that it has not seen.
            let mut fed = store_events::all_seen(self.project, self.now);
            fed.push((LIVE.to_owned(), position));
            self.batch = Some(EventBatch {
                events: changes.events,
                fed,
                seen: BTreeMap::new(),
            });
            self.position = Some(changes.position);
            self.more = changes.more;
        }
        Ok(received)
    }

    fn dispatch(&mut self, _: Instant) -> Result<DispatchReport, Failure> {
        Ok(self.queue.dispatched())
    }

    fn next_events(&mut self, _: Instant) -> Option<EventBatch> {
        self.batch.take()
    }

    fn events_decided(&mut self) {
        if let Some(position) = self.position.take() {
            self.feed.decided(position);
            for waited in self.queue.decided(position) {
                self.service.metrics.decision.add(waited, 1);
            }
        }
    }

    fn next_event_at(&self) -> Option<Instant> {
        self.more.then_some(self.now)
    }
}
