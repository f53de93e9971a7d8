//! The store as the scheduler sees it: its newest state, and the events that were acknowledged
//! since it looked.

use std::path::Path;
use std::sync::Arc;

use super::service_state::ServiceState;
use crate::base::Schema;
use crate::base::world::World;
use crate::engine::Failure;
use crate::engine::decider::IncomingEvent;
use crate::store::{Snapshot, Store};

/// Events that are decided in one transaction.
const MOST_EVENTS: usize = 1_000;
/// The name of the log of live changes in the ledger.
pub const LIVE: &str = "live";

pub struct StoreFeed {
    store: Store,
    snapshot: Arc<Snapshot>,
    /// How far the ledger has the log of live changes; `None` until it is asked.
    decided: Option<u64>,
}

/// What has come into the log of live changes.
pub struct LiveChanges {
    pub events: Vec<IncomingEvent>,
    /// How far in the log these go.
    pub position: u64,
    /// There are more.
    pub more: bool,
}

impl StoreFeed {
    /// # Errors
    /// A store that cannot be opened.
    pub fn open(store: &Path, world: Arc<dyn World>) -> Result<Self, Failure> {
        let store = Store::create_or_open(store, world)?;
        let snapshot = store.snapshot()?;
        Ok(StoreFeed {
            store,
            snapshot,
            decided: None,
        })
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// Takes the newest state of the store; whether it is another than before.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn refresh(&mut self, service: &ServiceState) -> Result<bool, Failure> {
        let snapshot = self.store.snapshot()?;
        if Arc::ptr_eq(&snapshot, &self.snapshot) {
            return Ok(false);
        }
        if snapshot.user_count() > self.snapshot.user_count() {
            service.users.publish(snapshot.users().clone());
        }
        self.snapshot = snapshot;
        Ok(true)
    }

    /// Reads what was acknowledged since [`Self::decided`] and takes the state of the store that
    /// holds it; `None` where nothing was.
    ///
    /// # Errors
    /// A store or a ledger that cannot be read.
    pub fn read(
        &mut self,
        schema: &Schema,
        service: &ServiceState,
    ) -> Result<Option<LiveChanges>, Failure> {
        let after = match self.decided {
            Some(position) => position,
            None => service
                .ledger()
                .reader()
                .fed(LIVE)?
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(0),
        };
        self.decided = Some(after);
        let (events, position) = self.store.live_events(schema, after, MOST_EVENTS)?;
        if position <= after {
            return Ok(None);
        }
        // Taken after the events were read, so that it holds them all.
        self.refresh(service)?;
        let more = events.len() >= MOST_EVENTS;
        let events = events.into_iter().map(|e| IncomingEvent {
            id: e.id.unwrap_or_else(|| format!("live {}", e.position)),
            event: e.event,
            user: e.user,
            at: e.at,
            values: e.values,
        });
        Ok(Some(LiveChanges {
            events: events.collect(),
            position,
            more,
        }))
    }

    /// The ledger has what changes up to a position have led to.
    pub fn decided(&mut self, position: u64) {
        self.decided = Some(position);
    }

    /// Asks the ledger again how far it has come.
    pub fn start_anew(&mut self) {
        self.decided = None;
    }
}
