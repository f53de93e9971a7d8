//! Carrying out what the ledger holds: claim, send, record, batch by batch.
//!
//! The clock may be simulated: [`DispatchLoop::up_to`] works through the time up to an instant, waiting
//! for nothing. When it returns, all that may be sent by then has been, or its campaign is
//! stopped with a reason. A campaign whose channel fails stops alone.

mod polling;
mod troubles;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::DerefMut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use self::polling::PollOutcome;
use self::troubles::Troubles;
use super::channel::{Channel, NextAction, Reply};
use super::channels::Channels;
use super::quota;
use crate::base::Msg;
use crate::base::value::count_of;
use crate::base::world::World;
use crate::base::{Elapsed, Instant};
use crate::ledger::{
    Batch, BatchOutcome, ClaimAttempt, Dispatching, DueFilter, Ledger, LedgerError, LedgerReader,
    PlannedMessages, Verdict, Worker,
};
use crate::msg;
use crate::program::platform::{HandOver, Key};
use crate::program::typed::ChannelName as Name;
use crate::store::Users;

/// An unknown send of this process is not repeated sooner; each time it waits twice as long.
const REPEAT_AFTER: Elapsed = Elapsed::minutes(1);
/// A lost send is looked for so long after its claim; then a person decides.
const LOOKED_FOR: Elapsed = Elapsed::hours(24);
/// An account that needs a person is tried again so much later: what was put right need not be
/// told, and a quota outlives the questions.
const HALTED_FOR: Elapsed = Elapsed::hours(1);
/// Whoever is left alone on a list is left to the decider for so long; then it is looked again
/// whether that is still so.
const AWAIT_DECIDER: Elapsed = Elapsed::minutes(1);
/// A request begins so soon after its claim or not at all: whoever settles the claims of a process
/// that is gone relies on it.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// Told of every batch.
pub trait DispatchProgress {
    fn handed_over(&mut self, campaign: &str, messages: usize);
}

/// For those who do not look.
impl DispatchProgress for () {
    fn handed_over(&mut self, _: &str, _: usize) {}
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DispatchSummary {
    /// Messages that a platform accepted, repeats among them.
    pub accepted: usize,
    pub refused: usize,
    /// Sent without an answer.
    pub unknown: usize,
    /// Not sent any more: their deadline passed.
    pub expired: i64,
    /// Messages of which a platform said more when it was asked.
    pub learned: usize,
    /// Some went through a window that was opened after they had been planned.
    pub opened_anew: bool,
    /// Someone asked to stop; what is left stays planned.
    pub interrupted: bool,
    /// When there is more to do, if nothing is planned besides.
    pub next: Option<Instant>,
}

impl DispatchSummary {
    /// Whether what counts of the past is not what it was when these were planned.
    pub fn changes_the_past(&self) -> bool {
        self.refused > 0 || self.expired > 0 || self.learned > 0 || self.opened_anew
    }
}

/// Where the ledger is had from: one's own, or one that is shared and held for one transaction at a
/// time.
pub trait LedgerAccess {
    type Held<'h>: DerefMut<Target: Dispatching>
    where
        Self: 'h;

    fn ledger(&mut self) -> Self::Held<'_>;
}

impl LedgerAccess for &mut Ledger {
    type Held<'h>
        = &'h mut Ledger
    where
        Self: 'h;

    fn ledger(&mut self) -> &mut Ledger {
        self
    }
}

/// One of several processes.
impl LedgerAccess for &mut Worker {
    type Held<'h>
        = &'h mut Worker
    where
        Self: 'h;

    fn ledger(&mut self) -> &mut Worker {
        self
    }
}

/// Shared by the threads of one process.
impl LedgerAccess for Arc<Mutex<Ledger>> {
    type Held<'h> = MutexGuard<'h, Ledger>;

    fn ledger(&mut self) -> MutexGuard<'_, Ledger> {
        // Who panicked while holding it has not changed the file: transactions end or never were.
        self.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct DispatchLoop<D: LedgerAccess> {
    access: D,
    channels: Channels,
    users: Users,
    world: Arc<dyn World>,
    /// How far the work has come.
    time: Instant,
    /// Campaigns that stopped, and why.
    stopped: BTreeMap<String, Msg>,
    /// Unknown batches that this process has sent.
    tried: BTreeMap<i64, Tried>,
    /// Channels that would refuse everything until then, and why.
    paused: BTreeMap<(String, String), (Instant, Msg)>,
    /// Accounts that would refuse everything until a person does something, when to see whether it
    /// is done, and what it is.
    halted: BTreeMap<String, (Instant, Msg)>,
    /// Campaigns that wait for a channel that is held back, and why.
    held: BTreeMap<String, Msg>,
    /// What the ledger is told of all that.
    troubles: Troubles,
    /// When it was last looked whether a platform is to be asked something.
    looked_for_asks: Instant,
    /// Whether a decider finds other channels for the members of lists that have become too short.
    has_decider: bool,
    /// Such lists, for the decider; and until when each segment waits for it.
    lists_below_min: Vec<PlannedMessages>,
    awaiting_decider: BTreeMap<i64, Instant>,
}

/// When a batch may be sent again, and how long it will wait after that.
struct Tried {
    next: Instant,
    wait: Elapsed,
}

impl DispatchLoop<&mut Ledger> {
    pub fn reader(&self) -> &LedgerReader {
        self.access.reader()
    }

    /// For what is done between two rounds.
    pub fn ledger(&mut self) -> &mut Ledger {
        self.access
    }
}

impl<D: LedgerAccess> DispatchLoop<D> {
    /// `users` gives user ids to channels that show them.
    pub fn new(access: D, channels: Channels, users: Users, world: Arc<dyn World>) -> Self {
        let time = world.now();
        DispatchLoop {
            access,
            channels,
            users,
            world,
            time,
            stopped: BTreeMap::new(),
            tried: BTreeMap::new(),
            paused: BTreeMap::new(),
            halted: BTreeMap::new(),
            held: BTreeMap::new(),
            troubles: Troubles::new(),
            looked_for_asks: Instant(i64::MIN),
            has_decider: false,
            lists_below_min: Vec::new(),
            awaiting_decider: BTreeMap::new(),
        }
    }

    /// Leaves lists that have become too short to a decider, which takes them by
    /// [`Self::lists_below_min`].
    #[must_use]
    pub fn with_decider(self) -> Self {
        DispatchLoop {
            has_decider: true,
            ..self
        }
    }

    /// The lists that have become too short since it was asked last. Until the decider has changed
    /// them they are not claimed for a while.
    pub fn lists_below_min(&mut self) -> Vec<PlannedMessages> {
        std::mem::take(&mut self.lists_below_min)
    }

    /// Shows these users' ids from now on.
    pub fn set_users(&mut self, users: Users) {
        self.users = users;
    }

    /// Sends by these from now on. Of accounts that changed it is not known any more what
    /// keeps them from sending.
    pub fn set_channels(&mut self, channels: Channels, changed: &BTreeSet<String>) {
        self.channels = channels;
        self.paused
            .retain(|(account, _), _| !changed.contains(account));
        self.halted.retain(|account, _| !changed.contains(account));
        self.stopped.clear();
        changed
            .iter()
            .for_each(|account| self.troubles.rebound(account));
    }

    /// Tries again what stopped because of its channel.
    pub fn try_stopped(&mut self) {
        self.stopped.clear();
    }

    /// Channels (account, endpoint) that take nothing until then, and why.
    pub fn paused(&self) -> &BTreeMap<(String, String), (Instant, Msg)> {
        &self.paused
    }

    /// Why a campaign has messages that are due and not sent: its channel is held back for a
    /// while.
    pub fn held(&self, campaign: &str) -> Option<&Msg> {
        self.held.get(campaign)
    }

    /// Until when a channel is held back, and why.
    fn held_back(&self, name: &Name, now: Instant) -> Option<(Instant, Msg)> {
        self.paused
            .get(&(name.account.clone(), name.endpoint.clone()))
            .filter(|(until, _)| *until > now)
            .cloned()
    }

    /// What a person has to do before an account takes anything.
    fn needs_a_person(&self, account: &str) -> Option<&Msg> {
        self.halted
            .get(account)
            .filter(|(until, _)| *until > self.now())
            .map(|(_, why)| why)
    }

    /// Campaigns that stopped because of their channel, and why. What they have left stays planned.
    pub fn stopped(&self) -> &BTreeMap<String, Msg> {
        &self.stopped
    }

    fn now(&self) -> Instant {
        self.time.max(self.world.now())
    }

    /// Does all that may be done up to `until`. On a real clock `until` is now; on a simulated one
    /// the time in between passes at once.
    ///
    /// # Errors
    /// Those of the ledger. A channel's failure is no error: it stops its campaign.
    pub fn up_to(
        &mut self,
        until: Instant,
        progress: &mut dyn DispatchProgress,
    ) -> Result<DispatchSummary, LedgerError> {
        let mut carried = DispatchSummary::default();
        // Campaigns that wait for their own rate or for the end of quiet hours.
        let mut waiting: BTreeMap<String, Instant> = BTreeMap::new();
        // Channels, by account and endpoint, that wait for their next window.
        let mut full: BTreeMap<(String, String), Instant> = BTreeMap::new();
        self.access.ledger().dispatcher().renew_if_lost()?;
        self.access.ledger().dispatcher().retry_late()?;
        loop {
            if self.world.stopping() {
                carried.interrupted = true;
                break;
            }
            let now = self.now();
            self.access.ledger().dispatcher().take_over(now)?;
            let again = self.settle(&mut carried, progress)?;
            self.tell_troubles()?;
            carried.expired += self
                .access
                .ledger()
                .dispatcher()
                .expire(now)?
                .iter()
                .map(|(_, n)| n)
                .sum::<i64>();
            waiting.retain(|_, end| *end > now);
            full.retain(|_, end| *end > now);
            let campaigns = waiting.keys().chain(self.stopped.keys()).cloned().collect();
            self.awaiting_decider.retain(|_, until| *until > now);
            let segments = self.awaiting_decider.keys().copied().collect();
            let except = DueFilter {
                campaigns,
                channels: full.keys().cloned().collect(),
                segments,
            };
            let due = self.access.ledger().dispatcher().due(now, &except)?;
            let asks = match self.ask(due.is_some(), &mut carried)? {
                PollOutcome::One => continue,
                PollOutcome::Next(asks) => asks,
            };
            match due {
                Some(due) => {
                    let campaign = due.campaign().to_owned();
                    if let Some(end) = due.quiet_until(now) {
                        waiting.insert(campaign, end);
                        continue;
                    }
                    let name = due.channel();
                    if let Some(why) = self.needs_a_person(&name.account) {
                        self.stopped.insert(campaign, why.clone());
                        continue;
                    }
                    let held = self.held_back(&name, now);
                    if let Some((until, why)) = held {
                        self.held.insert(campaign.clone(), why);
                        waiting.insert(campaign, until);
                        continue;
                    }
                    self.held.remove(&campaign);
                    let in_windows = self.access.ledger().dispatcher().in_windows(now)?;
                    let own_rate = due.own_rate(in_windows);
                    let channel = self.channels.of(&name);
                    let together = least(channel)..=channel.max_batch();
                    let mut limits = quota::limits(channel.endpoint(), &name, in_windows);
                    limits.extend(own_rate.clone());
                    let begin_by = std::time::Instant::now() + BEGIN_WITHIN;
                    let taken = self
                        .access
                        .ledger()
                        .dispatcher()
                        .claim(due, together, &limits, now)?;
                    match taken {
                        ClaimAttempt::UsedUp(limit) => {
                            let ends = now.plus(limit.ends.since(in_windows));
                            if own_rate.as_ref() == Some(&limit) {
                                waiting.insert(campaign, ends);
                            } else {
                                full.insert((name.account, name.endpoint), ends);
                            }
                        }
                        ClaimAttempt::AllStruck
                        | ClaimAttempt::Joined
                        | ClaimAttempt::Overtaken => {}
                        ClaimAttempt::BelowListMin(left) if self.has_decider => {
                            self.awaiting_decider
                                .insert(left.number(), now.plus(AWAIT_DECIDER));
                            self.lists_below_min.push(*left);
                        }
                        ClaimAttempt::BelowListMin(left) => {
                            self.access.ledger().dispatcher().end_list(&left, now)?;
                        }
                        ClaimAttempt::Claim(claim) => {
                            carried.opened_anew |= claim.opened_anew;
                            let batch = Batch {
                                begin_by: Some(begin_by),
                                ..claim.batch(&self.users)
                            };
                            let number = claim.number();
                            let reply = self.channels.of(&batch.channel).send(&batch);
                            let now = self.now();
                            let answered =
                                self.access
                                    .ledger()
                                    .dispatcher()
                                    .answer(claim, &reply.answer, now);
                            progress.handed_over(&campaign, batch.messages.len());
                            self.take_note(
                                &mut carried,
                                number,
                                &campaign,
                                &batch.channel,
                                &reply,
                                batch.messages.len(),
                            );
                            answered?;
                        }
                    }
                }
                None => {
                    let due = self.access.ledger().reader().next_due(now)?;
                    let next = waiting
                        .values()
                        .chain(full.values())
                        .copied()
                        .chain(due)
                        .chain(again)
                        .min();
                    // Nobody waits for the answer to a question; it is asked when its time passes.
                    carried.next = next;
                    match next.into_iter().chain(asks).min() {
                        Some(next) if next <= until => self.time = self.time.max(next),
                        _ => break,
                    }
                }
            }
        }
        if !carried.interrupted {
            self.time = self.time.max(until);
            let now = self.now();
            carried.expired += self
                .access
                .ledger()
                .dispatcher()
                .expire(now)?
                .iter()
                .map(|(_, n)| n)
                .sum::<i64>();
        }
        self.tell_troubles()?;
        self.end_idle_troubles()?;
        let now = self.now();
        self.access.ledger().dispatcher().finish(now)?;
        Ok(carried)
    }

    /// Settles unknown sends where the channel recognises a repeat: the same bytes under the
    /// same key. Gives when the next one is due.
    fn settle(
        &mut self,
        carried: &mut DispatchSummary,
        progress: &mut dyn DispatchProgress,
    ) -> Result<Option<Instant>, LedgerError> {
        let mut next = None;
        let stuck = self.access.ledger().reader().stuck()?;
        for stuck in stuck {
            // Of a process that is at work: it will say what became of it.
            if stuck.in_flight {
                continue;
            }
            // A repeat begins soon after it was found to be in time, or not at all.
            let begin_by = std::time::Instant::now() + BEGIN_WITHIN;
            let now = self.now();
            let channel = self.channels.of(&stuck.channel);
            // The claim of a process that is gone may still be on its way to a platform; where that
            // cannot be, its time does not matter.
            if self.needs_a_person(&stuck.channel.account).is_some() {
                continue;
            }
            let held = self
                .held_back(&stuck.channel, now)
                .map_or(now, |(until, _)| until);
            let from = match self.tried.get(&stuck.batch) {
                Some(tried) => tried.next,
                None if channel.settles_after() == Elapsed(0) => now,
                None => stuck.claimed_at.plus(channel.settles_after()),
            }
            .max(held);
            let repeat = may_repeat(channel, stuck.claimed_at, now.max(from));
            let look = channel.finds_lost() && now.max(from) < stuck.claimed_at.plus(LOOKED_FOR);
            if !repeat && !look {
                continue;
            }
            if from > now || self.world.stopping() {
                next = [next, Some(from)].into_iter().flatten().min();
                continue;
            }
            if !self.access.ledger().dispatcher().look_after(stuck.batch)? {
                continue;
            }
            let unsettled = self.access.ledger().reader().unsettled(stuck.batch)?;
            let Some(unsettled) = unsettled else {
                self.access.ledger().dispatcher().leave(stuck.batch)?;
                self.tried.insert(
                    stuck.batch,
                    Tried {
                        next: Instant(i64::MAX),
                        wait: REPEAT_AFTER,
                    },
                );
                continue;
            };
            let batch = Batch {
                begin_by: Some(begin_by),
                ..unsettled.batch(&self.users)
            };
            let reply = if repeat {
                Some(channel.send(&batch))
            } else {
                found(channel, &batch)
            };
            let Some(reply) = reply else {
                // That it is not found proves nothing: it may come up later, or a person knows.
                self.try_later(stuck.batch);
                next = [next, self.tried.get(&stuck.batch).map(|t| t.next)]
                    .into_iter()
                    .flatten()
                    .min();
                continue;
            };
            let now = self.now();
            let settled = self
                .access
                .ledger()
                .dispatcher()
                .settle(unsettled, &reply.answer, now);
            let left = self.access.ledger().dispatcher().leave(stuck.batch);
            progress.handed_over(&batch.campaign, batch.messages.len());
            self.take_note(
                carried,
                stuck.batch,
                &batch.campaign,
                &batch.channel,
                &reply,
                batch.messages.len(),
            );
            next = [next, self.tried.get(&stuck.batch).map(|t| t.next)]
                .into_iter()
                .flatten()
                .min();
            settled?;
            left?;
        }
        Ok(next)
    }

    /// Counts an answer, and stops or holds what would fare no better.
    fn take_note(
        &mut self,
        carried: &mut DispatchSummary,
        number: i64,
        campaign: &str,
        channel: &Name,
        reply: &Reply,
        messages: usize,
    ) {
        let held = self.hold(channel, &reply.then);
        let why = match &reply.answer {
            BatchOutcome::Taken(verdicts) if verdicts.len() == messages => {
                let (mut lost, mut not_sent) = (None, None);
                for verdict in verdicts {
                    match verdict {
                        Verdict::Accepted { .. } | Verdict::Waiting { .. } => carried.accepted += 1,
                        Verdict::Refused { .. } => carried.refused += 1,
                        Verdict::NotSent { reason } => not_sent = Some(reason),
                        Verdict::Unknown { reason } => {
                            let (n, _) = lost.get_or_insert((0, reason));
                            *n += 1;
                        }
                    }
                }
                match (lost, not_sent) {
                    (Some((n, reason)), _) => Some(self.lost(carried, number, channel, reason, n)),
                    // What is planned again at once would fare no better.
                    (None, Some(reason)) if !held => Some(unreachable_now(channel, reason)),
                    (None, _) => {
                        if self.tried.remove(&number).is_some() {
                            self.stopped.remove(campaign);
                        }
                        None
                    }
                }
            }
            BatchOutcome::Refused { reason } => {
                carried.refused += messages;
                Some(msg!(
                    "`{channel}` refused a batch ({reason})",
                    "`{channel}` 拒绝了一批消息（{reason}）"
                ))
            }
            BatchOutcome::NotSent { reason } => {
                // Of a repeat it says nothing: the batch is as unknown as before.
                self.try_later(number);
                (!held).then(|| unreachable_now(channel, reason))
            }
            BatchOutcome::Taken(_) => {
                Some(self.lost(carried, number, channel, "too few answers", messages))
            }
            BatchOutcome::Unknown { reason } => {
                Some(self.lost(carried, number, channel, reason, messages))
            }
        };
        self.troubles
            .note(campaign, channel, reply, why.as_ref(), self.now());
        if let Some(why) = why.or_else(|| self.needs_a_person(&channel.account).cloned()) {
            self.stopped.insert(campaign.into(), why);
        }
    }

    /// Holds a channel or an account back as its reply says; whether it did.
    fn hold(&mut self, channel: &Name, then: &NextAction) -> bool {
        match then {
            NextAction::GoOn => false,
            NextAction::Wait { until, why } => {
                self.paused.insert(
                    (channel.account.clone(), channel.endpoint.clone()),
                    (*until, why.clone()),
                );
                true
            }
            NextAction::Stop { why } => {
                self.halted.insert(
                    channel.account.clone(),
                    (self.now().plus(HALTED_FOR), why.clone()),
                );
                true
            }
        }
    }

    fn try_later(&mut self, number: i64) {
        let wait = self
            .tried
            .get(&number)
            .map_or(REPEAT_AFTER, |tried| tried.wait);
        self.tried.insert(
            number,
            Tried {
                next: self.now().plus(wait),
                wait: Elapsed(wait.0.saturating_mul(2)),
            },
        );
    }

    fn lost(
        &mut self,
        carried: &mut DispatchSummary,
        number: i64,
        channel: &Name,
        reason: &str,
        messages: usize,
    ) -> Msg {
        carried.unknown += messages;
        self.try_later(number);
        let them = count_of(messages, "message");
        msg!(
            "`{channel}` gave no answer for {them} ({reason}): listed as unknown and looked up at the next run, nothing is sent twice",
            "`{channel}` 对 {messages} 条消息没有答复（{reason}）：已列为未知，下次运行时核实，不会重复发送"
        )
    }
}

fn unreachable_now(channel: &Name, reason: &str) -> Msg {
    msg!(
        "`{channel}` could not be reached ({reason}): what is left stays planned; run again when it can be",
        "无法连接 `{channel}`（{reason}）：剩余消息保留在计划中，恢复后请重新运行"
    )
}

/// The fewest messages that a channel takes together.
fn least(channel: &dyn Channel) -> usize {
    match channel.endpoint().hand_over {
        HandOver::List { min, .. } => usize::try_from(min).unwrap_or(usize::MAX).max(1),
        HandOver::Single { .. } => 1,
    }
}

/// The answer that a lost send had, where the platform has it.
fn found(channel: &dyn Channel, batch: &Batch) -> Option<Reply> {
    let id = channel.look_up(batch, None).ok()?.found?;
    let verdict = match channel.endpoint().person {
        Some(_) => Verdict::Waiting { id },
        None => Verdict::Accepted { id },
    };
    Some(BatchOutcome::Taken(vec![verdict; batch.messages.len()]).into())
}

/// Whether a send that may have arrived can be repeated without being doubled.
fn may_repeat(channel: &dyn Channel, claimed_at: Instant, now: Instant) -> bool {
    channel.knows_repeats()
        && match &channel.endpoint().key {
            Key::Key { used, .. } => used.is_none_or(|used| now < claimed_at.plus(used)),
            Key::Content { used, .. } => now < claimed_at.plus(*used),
            Key::Proof { .. } | Key::None => false,
        }
}
