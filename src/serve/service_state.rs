//! What the threads of the service share.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::accounts::Accounts;
use super::metrics::Metrics;
use super::published::{Published, locked};
use super::steady_clock::SteadyWorld;
use crate::base::Msg;
use crate::base::world::World;
use crate::engine::Failure;
use crate::ledger::Ledger;
use crate::store::Users;

/// What the operator of the service reads as it happens.
pub trait Journal: Send + Sync {
    fn info(&self, what: Msg);

    /// Work failed and is tried again after a while.
    fn retrying(&self, why: &Failure, wait: Duration);
}

/// What the threads of the service share: the ledger's writer, and what they only read or count.
pub struct ServiceState {
    pub ledger: Arc<Mutex<Ledger>>,
    pub metrics: Metrics,
    pub world: Arc<dyn World>,
    /// The same, asked whether its clock can be believed.
    pub clock: Arc<SteadyWorld>,
    pub journal: Arc<dyn Journal>,
    /// Of the program that is served.
    pub accounts: Published<Accounts>,
    /// Of the newest state of the store.
    pub users: Published<Users>,
}

impl ServiceState {
    /// The ledger, for one transaction or for a turn of the scheduler.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        locked(&self.ledger)
    }
}
