//! The thread that fetches what platforms keep until somebody asks for it, as WeChat customer
//! service does.
//!
//! There a call says only that there is something, and brings a token with which it may be fetched
//! for a while. Such a call may get lost, so each mailbox is read from time to time, too, and when
//! the service starts. What comes is kept in the ledger's inbox like a call.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant as Moment};

use super::commands::{CommandSender, SchedulerCommand};
use super::service_state::ServiceState;
use crate::base::{Elapsed, Instant};
use crate::deliver::channel::Channel;
use crate::engine::Failure;
use crate::msg;

const TICK: Duration = Duration::from_millis(250);
/// How long a token may be used. WeCom says ten minutes.
const TOKEN_VALID: Elapsed = Elapsed::minutes(9);
/// When a mailbox is read again that could not be read.
const RETRY: Duration = Duration::from_secs(60);
/// Where a platform file does not say how often.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(600);

/// An account and the name of its mailbox.
type Name = (String, String);

/// A platform has said that there is something in a mailbox.
pub struct MailNotice {
    pub account: String,
    pub mailbox: String,
    pub token: String,
    /// When the platform gave the token.
    pub at: Instant,
}

#[derive(Clone)]
struct Token {
    text: String,
    /// When the platform gave it.
    at: Instant,
}

/// When each mailbox is read next, with its token; and why it could not be read the last time.
#[derive(Default)]
struct MailboxSchedule {
    next: BTreeMap<Name, (Moment, Option<Token>)>,
    failing: BTreeMap<Name, String>,
}

impl MailboxSchedule {
    /// Takes in a notice; gives the token of a mailbox that is to be read now, `None`
    /// where it is not.
    fn due(&mut self, name: &Name, notice: Option<Token>, now: Moment) -> Option<Option<Token>> {
        let entry = self.next.entry(name.clone()).or_insert((now, None));
        if notice.is_some() {
            *entry = (now, notice);
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
            *next = now + RETRY.min(every);
        }
        self.failing
            .insert(name.clone(), why.into())
            .is_none_or(|before| before != why)
    }
}

/// Works until the world asks to stop.
pub fn run(service: &ServiceState, commands: &CommandSender, notices: &Receiver<MailNotice>) {
    let mut schedule = MailboxSchedule::default();
    let mut tokens: BTreeMap<Name, Token> = BTreeMap::new();
    while !service.world.stopping() {
        let channels = service.accounts.get().channels.with_mailbox();
        // Of a mailbox that no account has any more nothing is kept.
        tokens.retain(|(account, mailbox), _| {
            channels
                .iter()
                .any(|(of, channel)| of == account && channel.mailbox() == Some(mailbox))
        });
        for (account, channel) in &channels {
            let Some(mailbox) = channel.mailbox() else {
                continue;
            };
            let name = (account.clone(), mailbox.to_owned());
            let Some(token) = schedule.due(&name, tokens.remove(&name), Moment::now()) else {
                continue;
            };
            let every = channel.endpoint().mailbox.map_or(DEFAULT_INTERVAL, |m| {
                Duration::from_micros(m.every.0.unsigned_abs())
            });
            let fetch = Fetch {
                service,
                commands,
                account,
                mailbox,
                channel: channel.as_ref(),
            };
            match fetch.all(token.as_ref()) {
                Ok(true) => {
                    if schedule.read(&name, every, Moment::now()) {
                        service.journal.info(msg!(
                            "what users of `{account}` write is read again",
                            "`{account}` 用户的来信已恢复读取"
                        ));
                    }
                }
                // Asked to stop, or another process is reading it.
                Ok(false) => drop(schedule.read(&name, every, Moment::now())),
                Err(why) => {
                    service.metrics.fetches_failed.add(1);
                    if schedule.failed(&name, &why, every, Moment::now()) {
                        service.journal.info(msg!(
                            "what users of `{account}` write cannot be read, so that nobody counts as having written; it is tried again every minute: {why}",
                            "无法读取 `{account}` 用户的来信，暂不计入任何人的来信；每分钟重试：{why}"
                        ));
                    }
                }
            }
        }
        match notices.recv_timeout(TICK) {
            // Of several notices of a mailbox the last one counts.
            Ok(first) => tokens.extend(std::iter::once(first).chain(notices.try_iter()).map(
                |notice| {
                    let token = Token {
                        text: notice.token,
                        at: notice.at,
                    };
                    ((notice.account, notice.mailbox), token)
                },
            )),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(TICK),
        }
    }
}

/// A mailbox that is being read.
struct Fetch<'a> {
    service: &'a ServiceState,
    commands: &'a CommandSender,
    account: &'a str,
    mailbox: &'a str,
    channel: &'a dyn Channel,
}

impl Fetch<'_> {
    /// Fetches page after page until nothing is left; `false` where the service stops or another
    /// process continues.
    fn all(&self, token: Option<&Token>) -> Result<bool, String> {
        let text = |failure: Failure| failure.message.en;
        let service = self.service;
        loop {
            if service.world.stopping() {
                return Ok(false);
            }
            let mark = service
                .ledger()
                .reader()
                .mark(self.account, self.mailbox)
                .map_err(|e| text(e.into()))?;
            let valid = token
                .filter(|token| service.world.now() < token.at.plus(TOKEN_VALID))
                .map(|token| token.text.as_str());
            let page = match self.channel.fetch(&mark, valid) {
                // A token that is refused is no reason not to ask; there is a slower way without
                // one.
                Err(_) if valid.is_some() => self.channel.fetch(&mark, None)?,
                other => other?,
            };
            let now = service.world.now();
            let kept = service
                .ledger()
                .dispatcher()
                .fetched(self.account, self.mailbox, &mark, &page, now)
                .map_err(|e| text(e.into()))?;
            if !kept {
                return Ok(false);
            }
            if page.body.is_some() {
                service.metrics.pages.add(1);
                self.commands.send(SchedulerCommand::Calls);
            }
            if !page.more {
                return Ok(true);
            }
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
    fn a_mailbox_is_read_at_the_start_after_a_notice_and_from_time_to_time() {
        let (mut schedule, name, start) = (
            MailboxSchedule::default(),
            ("wecom".to_owned(), "kf1".to_owned()),
            Moment::now(),
        );
        let every = Duration::from_secs(600);
        let due = |schedule: &mut MailboxSchedule, told, after: u64| {
            schedule
                .due(&name, told, start + Duration::from_secs(after))
                .map(|token| token.map(|t| t.text).unwrap_or_default())
        };
        assert_eq!(due(&mut schedule, None, 0).as_deref(), Some(""));
        schedule.read(&name, every, start);
        assert_eq!(due(&mut schedule, None, 599), None);
        assert_eq!(due(&mut schedule, token("t"), 1).as_deref(), Some("t"));
        // The token outlives a failure, and not a success; a failure is reported once.
        assert!(schedule.failed(&name, "no answer", every, start));
        assert_eq!(due(&mut schedule, None, 59), None);
        assert_eq!(due(&mut schedule, None, 60).as_deref(), Some("t"));
        assert!(!schedule.failed(&name, "no answer", every, start));
        assert!(schedule.read(&name, every, start));
        assert_eq!(due(&mut schedule, None, 600).as_deref(), Some(""));
    }
}
