//! Asking platforms what became of what they took, and reminding those who have to confirm it.
//!
//! A question sends nothing, so it may be asked again at will; it comes after what is due to be
//! sent, and when it has waited long before it. What people have to confirm is called off at its
//! deadline: after that it is too late, and the user's slot is free again.

use super::{DispatchLoop, DispatchSummary, LedgerAccess};
use crate::base::{Elapsed, Instant};
use crate::deliver::channel::{Channel, Recalled};

use crate::ledger::{BatchEvidence, Dispatching, LedgerError, PollRequest, PolledBatch};
use crate::program::platform::{Asks, Person};

/// While there is something to send, a question that is due is looked for so often.
const PATIENCE: Elapsed = Elapsed::minutes(1);

/// What came of looking for a question.
pub(super) enum PollOutcome {
    /// One was asked; there may be more.
    One,
    /// None is due before that.
    Next(Option<Instant>),
}

impl<D: LedgerAccess> DispatchLoop<D> {
    /// Asks the next question that is due. `busy`: there is something to send, too.
    pub(super) fn ask(
        &mut self,
        busy: bool,
        carried: &mut DispatchSummary,
    ) -> Result<PollOutcome, LedgerError> {
        let now = self.now();
        if busy && now < self.looked_for_asks.plus(PATIENCE) {
            return Ok(PollOutcome::Next(None));
        }
        self.looked_for_asks = now;
        let asks = self.access.ledger().reader().asks()?;
        for ask in asks {
            if ask.due > now {
                return Ok(PollOutcome::Next(Some(ask.due)));
            }
            if self.needs_a_person(&ask.channel.account).is_some()
                || self.held_back(&ask.channel, now).is_some()
            {
                continue;
            }
            // Another process may be asking.
            if !self.access.ledger().dispatcher().look_after(ask.batch)? {
                continue;
            }
            let asked = self.ask_one(ask.clone(), now);
            let left = self.access.ledger().dispatcher().leave(ask.batch);
            carried.learned += asked?;
            left?;
            return Ok(PollOutcome::One);
        }
        Ok(PollOutcome::Next(None))
    }

    fn ask_one(&mut self, mut ask: PollRequest, now: Instant) -> Result<usize, LedgerError> {
        let channel = self.channels.of(&ask.channel);
        let endpoint = channel.endpoint();
        let question = self.access.ledger().reader().question(&ask)?;
        let (Some(question), Some(asks)) = (question, endpoint.asks) else {
            // Nothing of it is left to ask about, or by.
            return self.access.ledger().dispatcher().answered(
                &ask,
                None,
                &BatchEvidence::default(),
                false,
                None,
                now,
            );
        };
        let late = now >= ask.claimed_at.plus(asks.until);
        let called_off = late && question.waits() && calls_off(channel, &question);
        let batch = question.batch(&self.users);
        let found = channel.look_up(&batch, Some(&question.id));
        let now = self.now();
        let again = next(
            &asks,
            &ask,
            &question,
            endpoint.person.is_some(),
            found.as_ref().ok(),
            now,
        );
        if let (Some(person), true, Some(_)) = (&endpoint.person, question.waits() && !late, again)
            && reminders_due(person, &ask, now) > ask.reminded
        {
            // Counted whether it is taken or not: the platform takes only so many.
            let _ = channel.remind(&question.id);
            ask.reminded = reminders_due(person, &ask, now);
        }
        let evidence = found.unwrap_or_default();
        self.access.ledger().dispatcher().answered(
            &ask,
            Some(&question),
            &evidence,
            called_off,
            again,
            now,
        )
    }
}

/// Whether what nobody has confirmed cannot be confirmed any more.
fn calls_off(channel: &dyn Channel, question: &PolledBatch) -> bool {
    let Some(content) = question.content() else {
        return false;
    };
    matches!(
        channel.recall(&question.id, content),
        Recalled::Done | Recalled::Unsent
    )
}

/// When it is asked again; `None` when nothing more will become known.
fn next(
    asks: &Asks,
    ask: &PollRequest,
    question: &PolledBatch,
    has_person: bool,
    found: Option<&BatchEvidence>,
    now: Instant,
) -> Option<Instant> {
    let until = ask.claimed_at.plus(asks.until);
    let again = now.plus(asks.every);
    if found.is_some_and(|e| e.over) || (has_person && !question.waits()) {
        return None;
    }
    if question.waits() {
        // The last question is the one at the deadline; where it could not be called off then, some
        // more follow.
        let last = until.plus(asks.until);
        return Some(if now < until { again.min(until) } else { again })
            .filter(|again| *again <= last);
    }
    (now < until).then(|| again.min(until))
}

/// How many reminders should have gone out by now: as many as may, at equal distances.
fn reminders_due(person: &Person, ask: &PollRequest, now: Instant) -> i64 {
    let distance = (person.deadline.0 / (i64::from(person.reminders) + 1)).max(1);
    (now.since(ask.claimed_at).0 / distance).clamp(0, i64::from(person.reminders))
}
