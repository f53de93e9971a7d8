//! Carrying out what the ledger holds: claim, hand over, record, batch by batch.
//!
//! The clock may be simulated: [`CarryOut::up_to`] works through the time up to an instant, waiting for nothing. When it returns, all that
//! may be handed over by then has been, or its campaign is stopped with a reason. A campaign whose channel fails stops alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::channel::{Answer, Channels, Verdict};
use super::ledger::{Ledger, LedgerError, Limit, Taken, Writer};
use crate::base::world::World;
use crate::base::{Elapsed, Instant};
use crate::diag::Msg;
use crate::msg;
use crate::program::pack::{Endpoint, Key};
use crate::program::typed::Channel as Name;
use crate::store::Users;

/// An unknown hand-over of this process is not repeated sooner; each time it waits twice as long.
const REPEAT_AFTER: Elapsed = Elapsed::minutes(1);

/// Told of every batch.
pub trait Progress {
    fn handed_over(&mut self, campaign: &str, messages: usize);
}

/// For those who do not look.
impl Progress for () {
    fn handed_over(&mut self, _: &str, _: usize) {}
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// Messages that a platform accepted, repeats among them.
    pub accepted: usize,
    pub refused: usize,
    /// Handed over without an answer.
    pub unknown: usize,
    /// Not handed over any more: their deadline passed.
    pub expired: i64,
    /// Someone asked to stop; what is left stays planned.
    pub interrupted: bool,
    /// When there is more to do, if nothing is planned besides.
    pub next: Option<Instant>,
}

pub struct CarryOut<'a> {
    ledger: &'a mut Writer,
    channels: Channels,
    users: Users,
    world: Arc<dyn World>,
    /// How far the work has come.
    time: Instant,
    /// Campaigns that stopped, and why.
    stopped: BTreeMap<String, Msg>,
    /// Unknown batches that this process has handed over.
    tried: BTreeMap<i64, Tried>,
}

/// When a batch may be handed over again, and how long it will wait after that.
struct Tried {
    next: Instant,
    wait: Elapsed,
}

impl<'a> CarryOut<'a> {
    /// `users` gives user ids to channels that show them.
    pub fn new(ledger: &'a mut Writer, channels: Channels, users: Users, world: Arc<dyn World>) -> Self {
        let time = world.now();
        CarryOut { ledger, channels, users, world, time, stopped: BTreeMap::new(), tried: BTreeMap::new() }
    }

    pub fn ledger(&self) -> &Ledger {
        self.ledger
    }

    pub fn ledger_mut(&mut self) -> &mut Writer {
        self.ledger
    }

    /// Campaigns that stopped because of their channel, and why. What they have left stays planned.
    pub fn stopped(&self) -> &BTreeMap<String, Msg> {
        &self.stopped
    }

    fn now(&self) -> Instant {
        self.time.max(self.world.now())
    }

    /// Does all that may be done up to `until`. On a real clock `until` is now; on a simulated one the time in between passes at once.
    ///
    /// # Errors
    /// Those of the ledger. A channel's failure is no error: it stops its campaign.
    pub fn up_to(&mut self, until: Instant, progress: &mut dyn Progress) -> Result<Carried, LedgerError> {
        let mut carried = Carried::default();
        // Campaigns that wait for their pace or for the end of quiet hours.
        let mut waiting: BTreeMap<String, Instant> = BTreeMap::new();
        loop {
            if self.world.stopping() {
                carried.interrupted = true;
                break;
            }
            let now = self.now();
            let again = self.settle(&mut carried, progress)?;
            carried.expired += self.ledger.expire(now)?.iter().map(|(_, n)| n).sum::<i64>();
            waiting.retain(|_, end| *end > now);
            let except: BTreeSet<String> = waiting.keys().chain(self.stopped.keys()).cloned().collect();
            match self.ledger.due(now, &except)? {
                Some(due) => {
                    let campaign = due.campaign().to_owned();
                    if let Some(end) = due.quiet_until(now) {
                        waiting.insert(campaign, end);
                        continue;
                    }
                    let pace = due.pace().map(|most| Limit::a_minute(format!("campaign {campaign}"), most, now));
                    let most = self.channels.of(&due.channel()).most();
                    match self.ledger.claim(due, most, pace.as_slice(), now)? {
                        Taken::NotBefore(end) => {
                            waiting.insert(campaign, end);
                        }
                        Taken::AllStruck => {}
                        Taken::Claim(claim) => {
                            let batch = claim.batch(&self.users);
                            let number = claim.number();
                            let answer = self.channels.of(&batch.channel).send(&batch);
                            self.ledger.answer(claim, &answer, self.now())?;
                            progress.handed_over(&campaign, batch.messages.len());
                            self.take_note(&mut carried, number, &campaign, &batch.channel, &answer, batch.messages.len());
                        }
                    }
                }
                None => {
                    let next = waiting.values().copied().chain(self.ledger.next_due(now)?).chain(again).min();
                    carried.next = next;
                    match next {
                        Some(next) if next <= until => self.time = self.time.max(next),
                        _ => break,
                    }
                }
            }
        }
        if !carried.interrupted {
            self.time = self.time.max(until);
            carried.expired += self.ledger.expire(self.now())?.iter().map(|(_, n)| n).sum::<i64>();
        }
        self.ledger.finish(self.now())?;
        Ok(carried)
    }

    /// Settles unknown hand-overs where the channel recognises a repeat: the same bytes under the same key. Gives when the next one is due.
    fn settle(&mut self, carried: &mut Carried, progress: &mut dyn Progress) -> Result<Option<Instant>, LedgerError> {
        let mut next = None;
        for stuck in self.ledger.stuck()? {
            let now = self.now();
            let channel = self.channels.of(&stuck.channel);
            // The claim of a process that is gone may still be on its way to a platform; where that cannot be, its time does not matter.
            let from = match self.tried.get(&stuck.batch) {
                Some(tried) => tried.next,
                None if channel.settles_after() == Elapsed(0) => now,
                None => stuck.claimed_at.plus(channel.settles_after()),
            };
            if !may_repeat(channel.endpoint(), stuck.claimed_at, now.max(from)) {
                continue;
            }
            if from > now || self.world.stopping() {
                next = [next, Some(from)].into_iter().flatten().min();
                continue;
            }
            let Some(unsettled) = self.ledger.unsettled(stuck.batch)? else {
                self.tried.insert(stuck.batch, Tried { next: Instant(i64::MAX), wait: REPEAT_AFTER });
                continue;
            };
            let batch = unsettled.batch(&self.users);
            let answer = channel.send(&batch);
            self.ledger.settle(unsettled, &answer, self.now())?;
            progress.handed_over(&batch.campaign, batch.messages.len());
            self.take_note(carried, stuck.batch, &batch.campaign, &batch.channel, &answer, batch.messages.len());
            next = [next, self.tried.get(&stuck.batch).map(|t| t.next)].into_iter().flatten().min();
        }
        Ok(next)
    }

    /// Counts an answer, and stops the campaign where it says that others would fare no better.
    fn take_note(&mut self, carried: &mut Carried, number: i64, campaign: &str, channel: &Name, answer: &Answer, messages: usize) {
        let why = match answer {
            Answer::Taken(verdicts) if verdicts.len() == messages => {
                let accepted = verdicts.iter().filter(|v| matches!(v, Verdict::Accepted { .. })).count();
                carried.accepted += accepted;
                carried.refused += verdicts.len() - accepted;
                if self.tried.remove(&number).is_some() {
                    self.stopped.remove(campaign);
                }
                return;
            }
            Answer::Refused { reason } => {
                carried.refused += messages;
                msg!("`{channel}` refused a batch ({reason})", "`{channel}` 拒绝了一批消息（{reason}）")
            }
            Answer::NotSent { reason } => {
                // Of a repeat it says nothing: the batch is as unknown as before.
                self.try_later(number);
                msg!(
                    "`{channel}` could not be reached ({reason}): what is left stays planned; run again when it can be",
                    "无法连接 `{channel}`（{reason}）：剩余消息保留在计划中，恢复后请重新运行"
                )
            }
            Answer::Taken(_) => self.lost(carried, number, channel, "too few answers", messages),
            Answer::Unknown { reason } => self.lost(carried, number, channel, reason, messages),
        };
        self.stopped.insert(campaign.into(), why);
    }

    fn try_later(&mut self, number: i64) {
        let wait = self.tried.get(&number).map_or(REPEAT_AFTER, |tried| tried.wait);
        self.tried.insert(number, Tried { next: self.now().plus(wait), wait: Elapsed(wait.0.saturating_mul(2)) });
    }

    fn lost(&mut self, carried: &mut Carried, number: i64, channel: &Name, reason: &str, messages: usize) -> Msg {
        carried.unknown += messages;
        self.try_later(number);
        msg!(
            "`{channel}` gave no answer for {messages} message(s) ({reason}): they are listed as unknown and looked up at the next run, nothing is sent twice",
            "`{channel}` 对 {messages} 条消息没有答复（{reason}）：已列为未知，下次运行时核实，不会重复发送"
        )
    }
}

/// Whether a hand-over that may have arrived can be repeated without being doubled.
fn may_repeat(endpoint: &Endpoint, claimed_at: Instant, now: Instant) -> bool {
    match &endpoint.key {
        Key::Key { used, only_if_declared, .. } => !only_if_declared && used.is_none_or(|used| now < claimed_at.plus(used)),
        Key::Content { used, .. } => now < claimed_at.plus(*used),
        Key::Proof { .. } | Key::None => false,
    }
}
