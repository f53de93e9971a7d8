//! The thread that fetches what platforms keep until somebody asks for it, as WeChat customer
//! service does.
//!
//! There a call says only that there is something, and brings a token with which it may be fetched
//! for a while. Such a call may get lost, so each mailbox is looked into from time to time, too,
//! and when the service starts. What comes is kept in the ledger's inbox like a call.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant as Moment};

use super::notify::Notify;
use super::{ServiceState, held};
use crate::base::{Elapsed, Instant};
use crate::deliver::channel::{Channel, Channels};
use crate::engine::Failure;
use crate::msg;

const TICK: Duration = Duration::from_millis(250);
/// How long a token may be used. WeCom says ten minutes.
const VALID: Elapsed = Elapsed::minutes(9);
/// When a mailbox is looked into again that could not be read.
const AGAIN: Duration = Duration::from_secs(60);
/// Where a platform file does not say how often.
const EVERY: Duration = Duration::from_secs(600);

/// An account and the name of its mailbox.
type Name = (String, String);

/// What the others tell this thread.
#[derive(Default)]
pub struct FetchQueue {
    /// Those that have a mailbox, with their accounts.
    channels: Mutex<Vec<(String, Arc<dyn Channel>)>>,
    /// Mailboxes that were called about, with the last token of each.
    told: Mutex<BTreeMap<Name, Token>>,
    bell: Notify,
}

#[derive(Clone)]
struct Token {
    text: String,
    /// When the platform gave it.
    at: Instant,
}

impl FetchQueue {
    /// Looks into the mailboxes of these from now on, and at once.
    pub fn set_channels(&self, channels: &Channels) {
        *held(&self.channels) = channels.with_mailbox();
        self.bell.ring();
    }

    /// There is something in a mailbox; of one that is not looked into nothing is kept.
    pub fn tell(&self, account: &str, mailbox: &str, token: &str, at: Instant) {
        if !held(&self.channels)
            .iter()
            .any(|(of, channel)| of == account && channel.mailbox() == Some(mailbox))
        {
            return;
        }
        held(&self.told).insert(
            (account.into(), mailbox.into()),
            Token {
                text: token.into(),
                at,
            },
        );
        self.bell.ring();
    }
}

/// When each mailbox is looked into the next time, with its token; and why it could not be read the
/// last time.
#[derive(Default)]
struct Rounds {
    next: BTreeMap<Name, (Moment, Option<Token>)>,
    failing: BTreeMap<Name, String>,
}

impl Rounds {
    /// Takes in what was told; gives the token of a mailbox that is to be looked into now, `None`
    /// where it is not.
    fn due(&mut self, name: &Name, told: Option<Token>, now: Moment) -> Option<Option<Token>> {
        let entry = self.next.entry(name.clone()).or_insert((now, None));
        if told.is_some() {
            *entry = (now, told);
        }
        (entry.0 <= now).then(|| entry.1.clone())
    }

    /// It was read to its end.
    fn read(&mut self, name: &Name, every: Duration, now: Moment) -> bool {
        self.next.insert(name.clone(), (now + every, None));
        self.failing.remove(name).is_some()
    }

    /// It could not be read. Whether that is news. The token stays good for another try.
    fn failed(&mut self, name: &Name, why: &str, every: Duration, now: Moment) -> bool {
        if let Some((next, _)) = self.next.get_mut(name) {
            *next = now + AGAIN.min(every);
        }
        self.failing
            .insert(name.clone(), why.into())
            .is_none_or(|before| before != why)
    }
}

/// Works until the world asks to stop.
pub fn run(office: &ServiceState) {
    let mut rounds = Rounds::default();
    while !office.world.stopping() {
        let channels = held(&office.mail.channels).clone();
        for (account, channel) in &channels {
            let Some(mailbox) = channel.mailbox() else {
                continue;
            };
            let name = (account.clone(), mailbox.to_owned());
            let told = held(&office.mail.told).remove(&name);
            let Some(token) = rounds.due(&name, told, Moment::now()) else {
                continue;
            };
            let every = channel
                .endpoint()
                .mailbox
                .map_or(EVERY, |m| Duration::from_micros(m.every.0.unsigned_abs()));
            match empty(office, account, mailbox, channel.as_ref(), token.as_ref()) {
                Ok(true) => {
                    if rounds.read(&name, every, Moment::now()) {
                        office.journal.say(msg!(
                            "what users of `{account}` write is read again",
                            "`{account}` 用户的来信已恢复读取"
                        ));
                    }
                }
                // Asked to stop, or another process is reading it.
                Ok(false) => drop(rounds.read(&name, every, Moment::now())),
                Err(why) => {
                    office.metrics.fetches_failed.add(1);
                    if rounds.failed(&name, &why, every, Moment::now()) {
                        office.journal.say(msg!(
                            "what users of `{account}` write cannot be read, so that nobody counts as having written; it is tried again every minute: {why}",
                            "无法读取 `{account}` 用户的来信，暂不计入任何人的来信；每分钟重试：{why}"
                        ));
                    }
                }
            }
        }
        office.mail.bell.wait(TICK);
    }
}

/// Fetches page after page until nothing is left; `false` where somebody else goes on.
fn empty(
    office: &ServiceState,
    account: &str,
    mailbox: &str,
    channel: &dyn Channel,
    token: Option<&Token>,
) -> Result<bool, String> {
    let text = |failure: Failure| failure.message.en;
    loop {
        if office.world.stopping() {
            return Ok(false);
        }
        let mark = office
            .ledger()
            .mark(account, mailbox)
            .map_err(|e| text(e.into()))?;
        let valid = token
            .filter(|token| office.world.now() < token.at.plus(VALID))
            .map(|token| token.text.as_str());
        let page = match channel.fetch(&mark, valid) {
            // A token that is refused is no reason not to ask; there is a slower way without one.
            Err(_) if valid.is_some() => channel.fetch(&mark, None)?,
            other => other?,
        };
        if !office
            .ledger()
            .fetched(account, mailbox, &mark, &page, office.world.now())
            .map_err(|e| text(e.into()))?
        {
            return Ok(false);
        }
        if page.body.is_some() {
            office.calls.store(true, Ordering::SeqCst);
            office.metrics.pages.add(1);
            office.decide.ring();
        }
        if !page.more {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Option<Token> {
        Some(Token {
            text: text.into(),
            at: Instant(0),
        })
    }

    #[test]
    fn a_mailbox_is_looked_into_at_the_start_when_told_and_from_time_to_time() {
        let (mut rounds, name, start) = (
            Rounds::default(),
            ("wecom".to_owned(), "kf1".to_owned()),
            Moment::now(),
        );
        let every = Duration::from_secs(600);
        let due = |rounds: &mut Rounds, told, after: u64| {
            rounds
                .due(&name, told, start + Duration::from_secs(after))
                .map(|token| token.map(|t| t.text).unwrap_or_default())
        };
        assert_eq!(due(&mut rounds, None, 0).as_deref(), Some(""));
        rounds.read(&name, every, start);
        assert_eq!(due(&mut rounds, None, 599), None);
        assert_eq!(due(&mut rounds, token("t"), 1).as_deref(), Some("t"));
        // The token outlives a failure, and not a success; a failure is told once.
        assert!(rounds.failed(&name, "no answer", every, start));
        assert_eq!(due(&mut rounds, None, 59), None);
        assert_eq!(due(&mut rounds, None, 60).as_deref(), Some("t"));
        assert!(!rounds.failed(&name, "no answer", every, start));
        assert!(rounds.read(&name, every, start));
        assert_eq!(due(&mut rounds, None, 600).as_deref(), Some(""));
    }
}
