//! What reaches the scheduler from the other threads: one bounded channel of commands.
//!
//! A command brings no data that could be lost. Events, tag changes and calls are durable in their
//! logs before anyone is told, so a scheduler that is started anew reads there what it missed. The
//! channel being full holds up who acknowledges, until the scheduler has caught up.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant as Moment};

use crate::engine::cycle::DispatchReport;

/// Commands that may wait. The sending side blocks beyond that.
const CAPACITY: usize = 16_384;
/// Acknowledgements whose latency is measured while the scheduler is held up.
const MOST_MEASURED: usize = 100_000;

pub enum SchedulerCommand {
    /// Events are durable up to a position of the log of live changes.
    Events { position: u64, acknowledged: Moment },
    /// Changes of tags are durable in the same log.
    Tags,
    /// Calls of platforms, or pages of their mailboxes, are durable in the ledger's inbox.
    Calls,
    /// The sender has sent something.
    Dispatched(DispatchReport),
}

/// The sending side, one for each thread.
#[derive(Clone)]
pub struct CommandSender(SyncSender<SchedulerCommand>);

impl CommandSender {
    /// Waits while the channel is full. When the scheduler has ended, the command is dropped: the
    /// next process reads the logs.
    pub fn send(&self, command: SchedulerCommand) {
        let _ = self.0.send(command);
    }
}

/// The receiving side: the commands that have come and are not done yet, taken together.
pub struct CommandQueue {
    receiver: Receiver<SchedulerCommand>,
    /// Calls may be in the ledger's inbox that are not applied.
    pub calls: bool,
    dispatched: DispatchReport,
    acknowledged: Vec<(u64, Moment)>,
}

/// A scheduler that starts does not know whether there are calls, so it looks.
pub fn open() -> (CommandSender, CommandQueue) {
    let (sender, receiver) = sync_channel(CAPACITY);
    let queue = CommandQueue {
        receiver,
        calls: true,
        dispatched: DispatchReport::default(),
        acknowledged: Vec::new(),
    };
    (CommandSender(sender), queue)
}

impl CommandQueue {
    /// Waits for a command, at most so long, and takes all that have come.
    pub fn wait(&mut self, most: Duration) {
        match self.receiver.recv_timeout(most) {
            Ok(command) => {
                self.add(command);
                self.take_all();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(most),
        }
    }

    fn take_all(&mut self) {
        for _ in 0..CAPACITY {
            match self.receiver.try_recv() {
                Ok(command) => self.add(command),
                Err(_) => break,
            }
        }
    }

    fn add(&mut self, command: SchedulerCommand) {
        match command {
            SchedulerCommand::Events {
                position,
                acknowledged,
            } => {
                if self.acknowledged.len() < MOST_MEASURED {
                    self.acknowledged.push((position, acknowledged));
                }
            }
            SchedulerCommand::Tags => {}
            SchedulerCommand::Calls => self.calls = true,
            SchedulerCommand::Dispatched(report) => {
                self.dispatched.history_changed |= report.history_changed;
                self.dispatched.below_min.extend(report.below_min);
            }
        }
    }

    /// What was sent since this was asked last.
    pub fn dispatched(&mut self) -> DispatchReport {
        std::mem::take(&mut self.dispatched)
    }

    /// Events up to a position are decided: how long ago each call that brought some was
    /// acknowledged.
    pub fn decided(&mut self, position: u64) -> Vec<Duration> {
        self.take_all();
        let mut waited = Vec::new();
        self.acknowledged.retain(|(at, acknowledged)| {
            let open = *at > position;
            if !open {
                waited.push(acknowledged.elapsed());
            }
            open
        });
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_came_before_are_taken_together() {
        let (sender, mut queue) = open();
        queue.calls = false;
        for position in [3, 1, 2] {
            sender.send(SchedulerCommand::Events {
                position,
                acknowledged: Moment::now(),
            });
        }
        sender.send(SchedulerCommand::Calls);
        sender.send(SchedulerCommand::Dispatched(DispatchReport {
            history_changed: true,
            ..DispatchReport::default()
        }));
        queue.wait(Duration::from_secs(60));
        assert!(queue.calls);
        assert!(queue.dispatched().history_changed);
        assert!(!queue.dispatched().history_changed);
        assert_eq!((queue.decided(2).len(), queue.decided(3).len()), (2, 1));
    }

    #[test]
    fn a_full_channel_holds_up_the_sender_and_an_ended_scheduler_does_not() {
        let (sender, mut queue) = open();
        for _ in 0..CAPACITY {
            sender.send(SchedulerCommand::Tags);
        }
        let blocked = std::thread::spawn({
            let sender = sender.clone();
            move || sender.send(SchedulerCommand::Calls)
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!blocked.is_finished());
        queue.calls = false;
        while !queue.calls {
            queue.wait(Duration::from_secs(60));
        }
        blocked.join().unwrap();
        drop(queue);
        sender.send(SchedulerCommand::Tags);
    }
}
