//! Calls of platforms on their way into the ledger: as many as have come are made durable together,
//! then each is acknowledged.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

use super::commands::{CommandSender, SchedulerCommand};
use super::service_state::ServiceState;
use crate::ledger::NewCall;

/// Calls that may wait at once; a platform whose call is refused repeats it.
const MOST_WAITING: usize = 4_096;
/// Calls that are kept in one transaction.
const MOST_TOGETHER: usize = 500;
const TICK: Duration = Duration::from_millis(250);

type Waiting = (NewCall, oneshot::Sender<bool>);

/// Takes calls in.
#[derive(Clone)]
pub struct InboxSender(SyncSender<Waiting>);

pub fn open() -> (InboxSender, Receiver<Waiting>) {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    (InboxSender(sender), receiver)
}

impl InboxSender {
    /// Whether the call is durable now; `false` means that the platform has to repeat it.
    pub async fn keep(&self, call: NewCall) -> bool {
        let (done, kept) = oneshot::channel();
        self.0.try_send((call, done)).is_ok() && kept.await.unwrap_or(false)
    }
}

/// Works until all senders are gone.
pub fn run(service: &ServiceState, commands: &CommandSender, calls: &Receiver<Waiting>) {
    loop {
        let first = match calls.recv_timeout(TICK) {
            Ok(first) => first,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let (mut together, mut waiting) = (Vec::new(), Vec::new());
        for (call, done) in std::iter::once(first).chain(calls.try_iter().take(MOST_TOGETHER - 1)) {
            together.push(call);
            waiting.push(done);
        }
        let kept = service
            .ledger()
            .dispatcher()
            .receive(&together, service.world.now());
        let kept = match kept {
            Ok(()) => {
                service.metrics.callbacks.add(together.len());
                commands.send(SchedulerCommand::Calls);
                true
            }
            Err(error) => {
                service.metrics.failures.add(1);
                service.journal.retrying(&error.into(), Duration::ZERO);
                false
            }
        };
        // Who gave up waiting does not hear it; the call is kept all the same, and what it says
        // counts once.
        for done in waiting {
            let _ = done.send(kept);
        }
    }
}
