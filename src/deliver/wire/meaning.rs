//! What a platform's answer to one request means, by the error table of its pack.

use serde_json::Value;

use super::account::Account;
use super::http::Lost;
use crate::base::{Elapsed, Instant, Zone};
use crate::deliver::channel::{Refusal, Then, Verdict};
use crate::msg;
use crate::program::pack::{Reaction, Wait};

/// What came back.
#[derive(Clone, Debug)]
pub enum Heard {
    /// Success, with the body.
    Ok(Value),
    /// The platform's error: its code, its words, the body.
    Error {
        code: String,
        text: String,
        body: Value,
    },
    Lost(Lost),
    /// There is no token to ask with; nothing was sent.
    NoToken {
        reason: String,
        then: Then,
    },
}

/// What it means for what was asked.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// Taken, now or by an earlier request with the same key.
    Done(Value),
    /// The user cannot be reached; with the body, in which some platforms name the users.
    Dropped {
        reason: String,
        because: Refusal,
    },
    /// The message is wrong, for whomever.
    Wrong {
        reason: String,
    },
    Unknown {
        reason: String,
    },
    /// Proved, and what follows for others.
    NotSent {
        reason: String,
        then: Then,
    },
    /// The token is to be renewed.
    Token {
        reason: String,
    },
}

/// The first wait for a platform that cannot be reached; twice as long each time.
const UNREACHABLE: Wait = Wait::For(Elapsed::seconds(30));
/// The longest of waits that grow.
const LONGEST: Elapsed = Elapsed::hours(1);
/// A quota that ends with a day is asked for again a little later: clocks differ.
const AFTER_MIDNIGHT: Elapsed = Elapsed::minutes(2);

impl Meaning {
    /// Reads an answer of an endpoint (or of `token`).
    pub fn of(account: &Account, endpoint: &str, heard: Heard) -> Meaning {
        let (code, text, body) = match heard {
            Heard::Ok(body) => {
                account.went_well();
                return Meaning::Done(body);
            }
            Heard::Lost(Lost::Unknown(reason)) => return Meaning::Unknown { reason },
            Heard::Lost(Lost::NotSent(reason)) => {
                let until = account.wait("connection", UNREACHABLE);
                let (name, zone) = (&account.name, account.zone);
                let shown = zone.show(until);
                let why = msg!(
                    "`{name}` cannot be reached ({reason}): it is tried again at {shown}",
                    "无法连接 `{name}`（{reason}）：将于 {shown} 重试"
                );
                return Meaning::NotSent {
                    reason,
                    then: Then::Wait { until, why },
                };
            }
            Heard::NoToken { reason, then } => return Meaning::NotSent { reason, then },
            Heard::Error { code, text, body } => (code, account.hide(&text), body),
        };
        let reason = if text.is_empty() {
            code.clone()
        } else {
            format!("{code} {text}")
        };
        // What the table does not know may have been taken.
        let Some(rule) = account.pack.error(endpoint, &code) else {
            return Meaning::Unknown { reason };
        };
        let (name, en, zh) = (&account.name, &rule.say.en, &rule.say.zh);
        let stop = || Then::Stop {
            why: msg!(
                "`{name}` stops: {en} ({reason})",
                "`{name}` 已停止：{zh}（{reason}）"
            ),
        };
        match rule.does {
            Reaction::Ok => Meaning::Done(body),
            Reaction::Token => Meaning::Token { reason },
            Reaction::Lookup => Meaning::Unknown { reason },
            Reaction::Fix => Meaning::Wrong {
                reason: format!("{reason}: {en}"),
            },
            Reaction::DropUser => Meaning::Dropped {
                reason,
                because: if rule.for_now {
                    Refusal::ForNow
                } else {
                    Refusal::Address
                },
            },
            Reaction::Stop => Meaning::NotSent {
                then: stop(),
                reason,
            },
            // It may be a hiccup of the platform; the second time in a row it is not.
            Reaction::Retry if account.again(&code) => Meaning::NotSent {
                then: stop(),
                reason,
            },
            Reaction::Retry | Reaction::Wait => {
                let until = account.wait(&code, rule.wait.unwrap_or(UNREACHABLE));
                let shown = account.zone.show(until);
                let why = msg!(
                    "`{name}` waits until {shown}: {en} ({reason})",
                    "`{name}` 等待至 {shown}：{zh}（{reason}）"
                );
                Meaning::NotSent {
                    then: Then::Wait { until, why },
                    reason,
                }
            }
        }
    }

    /// For a message that goes alone. `id` finds the platform's id in the body.
    pub fn verdict(self, id: impl Fn(&Value) -> String) -> (Verdict, Then) {
        match self {
            Meaning::Done(body) => (Verdict::Accepted { id: id(&body) }, Then::GoOn),
            Meaning::Dropped { reason, because } => {
                (Verdict::Refused { reason, because }, Then::GoOn)
            }
            Meaning::Wrong { reason } => (
                Verdict::Refused {
                    reason,
                    because: Refusal::Message,
                },
                Then::GoOn,
            ),
            Meaning::Unknown { reason } => (Verdict::Unknown { reason }, Then::GoOn),
            Meaning::NotSent { reason, then } => (Verdict::NotSent { reason }, then),
            // A new token was asked for before; see `Account::with_token`.
            Meaning::Token { reason } => (Verdict::NotSent { reason }, Then::GoOn),
        }
    }
}

/// When a wait that begins now ends. `times` is how often it has happened in a row before.
pub fn end_of(wait: Wait, times: u32, now: Instant, zone: Zone) -> Instant {
    let day = |date| zone.start_of(date).plus(AFTER_MIDNIGHT);
    let today = zone.date(now);
    match wait {
        Wait::For(first) => {
            let grown = first
                .0
                .saturating_mul(1i64.checked_shl(times.min(30)).unwrap_or(1));
            now.plus(Elapsed(grown.min(LONGEST.0.max(first.0))))
        }
        Wait::NextDay => day(today.plus_days(1)),
        Wait::NextWeek => day(today.week_start().plus_days(7)),
        Wait::NextMonth => day(today.month_end().plus_days(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_on_the_platforms_calendar() {
        let zone = Zone::SHANGHAI;
        let now = zone.parse_instant("2026-11-11 10:00").unwrap();
        let end = |wait, times| zone.show(end_of(wait, times, now, zone));
        assert_eq!(end(Wait::For(Elapsed::minutes(1)), 0), "2026-11-11 10:01");
        assert_eq!(end(Wait::For(Elapsed::minutes(1)), 3), "2026-11-11 10:08");
        assert_eq!(end(Wait::For(Elapsed::minutes(1)), 99), "2026-11-11 11:00");
        assert_eq!(end(Wait::NextDay, 0), "2026-11-12 00:02");
        assert_eq!(end(Wait::NextWeek, 5), "2026-11-16 00:02");
        assert_eq!(end(Wait::NextMonth, 0), "2026-12-01 00:02");
    }
}
