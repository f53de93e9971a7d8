//! What a platform's answer to one request means, by the error table of its platform file.

use serde_json::Value;

use super::account::AccountClient;
use super::client::TransportError;
use crate::base::{Elapsed, Instant, Zone};
use crate::deliver::channel::NextAction;
use crate::ledger::{Refusal, Verdict};
use crate::msg;
use crate::program::platform::{Reaction, WaitUntil};

/// What came back.
#[derive(Clone, Debug)]
pub enum ApiResponse {
    /// Success, with the body.
    Ok(Value),
    /// The platform's error: its code, its words, the body.
    Error {
        code: String,
        text: String,
        body: Value,
    },
    Lost(TransportError),
    /// There is no token to ask with; nothing was sent.
    NoToken {
        reason: String,
        then: NextAction,
    },
}

/// What it means for what was asked.
#[derive(Clone, Debug)]
pub enum SendOutcome {
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
        then: NextAction,
    },
    /// The token is to be renewed.
    Token {
        reason: String,
    },
}

/// The first wait for a platform that cannot be reached; twice as long each time.
const UNREACHABLE: WaitUntil = WaitUntil::For(Elapsed::seconds(30));
/// The longest of waits that grow.
const LONGEST: Elapsed = Elapsed::hours(1);
/// A quota that ends with a day is asked for again a little later: clocks differ.
const AFTER_MIDNIGHT: Elapsed = Elapsed::minutes(2);

impl SendOutcome {
    /// Reads an answer of an endpoint (or of `token`).
    pub fn of(account: &AccountClient, endpoint: &str, heard: ApiResponse) -> SendOutcome {
        let (code, text, body) = match heard {
            ApiResponse::Ok(body) => {
                account.went_well();
                return SendOutcome::Done(body);
            }
            ApiResponse::Lost(TransportError::Unknown(reason)) => {
                return SendOutcome::Unknown { reason };
            }
            ApiResponse::Lost(TransportError::NotSent(reason)) => {
                let until = account.wait("connection", UNREACHABLE);
                let (name, zone) = (&account.name, account.zone);
                let shown = zone.show(until);
                let why = msg!(
                    "`{name}` cannot be reached ({reason}): it is tried again at {shown}",
                    "无法连接 `{name}`（{reason}）：将于 {shown} 重试"
                );
                return SendOutcome::NotSent {
                    reason,
                    then: NextAction::Wait { until, why },
                };
            }
            ApiResponse::NoToken { reason, then } => return SendOutcome::NotSent { reason, then },
            ApiResponse::Error { code, text, body } => (code, account.hide(&text), body),
        };
        let reason = if text.is_empty() {
            code.clone()
        } else {
            format!("{code} {text}")
        };
        // What the table does not know may have been taken.
        let Some(rule) = account.platform.error(endpoint, &code) else {
            return SendOutcome::Unknown { reason };
        };
        let (name, en, zh) = (&account.name, &rule.say.en, &rule.say.zh);
        let stop = || NextAction::Stop {
            why: msg!(
                "`{name}` stops: {en} ({reason})",
                "`{name}` 已停止：{zh}（{reason}）"
            ),
        };
        match rule.does {
            Reaction::Ok => SendOutcome::Done(body),
            Reaction::Token => SendOutcome::Token { reason },
            Reaction::Lookup => SendOutcome::Unknown { reason },
            Reaction::Fix => SendOutcome::Wrong {
                reason: format!("{reason}: {en}"),
            },
            Reaction::DropUser => SendOutcome::Dropped {
                reason,
                because: if rule.for_now {
                    Refusal::ForNow
                } else {
                    Refusal::Address
                },
            },
            Reaction::Stop => SendOutcome::NotSent {
                then: stop(),
                reason,
            },
            // It may be a hiccup of the platform; the second time in a row it is not.
            Reaction::Retry if account.again(&code) => SendOutcome::NotSent {
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
                SendOutcome::NotSent {
                    then: NextAction::Wait { until, why },
                    reason,
                }
            }
        }
    }

    /// For a message that goes alone. `id` finds the platform's id in the body.
    pub fn verdict(self, id: impl Fn(&Value) -> String) -> (Verdict, NextAction) {
        match self {
            SendOutcome::Done(body) => (Verdict::Accepted { id: id(&body) }, NextAction::GoOn),
            SendOutcome::Dropped { reason, because } => {
                (Verdict::Refused { reason, because }, NextAction::GoOn)
            }
            SendOutcome::Wrong { reason } => (
                Verdict::Refused {
                    reason,
                    because: Refusal::Message,
                },
                NextAction::GoOn,
            ),
            SendOutcome::Unknown { reason } => (Verdict::Unknown { reason }, NextAction::GoOn),
            SendOutcome::NotSent { reason, then } => (Verdict::NotSent { reason }, then),
            // A new token was asked for before; see `AccountClient::with_token`.
            SendOutcome::Token { reason } => (Verdict::NotSent { reason }, NextAction::GoOn),
        }
    }
}

/// When a wait that begins now ends. `times` is how often it has happened in a row before.
pub fn end_of(wait: WaitUntil, times: u32, now: Instant, zone: Zone) -> Instant {
    let day = |date| zone.start_of(date).plus(AFTER_MIDNIGHT);
    let today = zone.date(now);
    match wait {
        WaitUntil::For(first) => {
            let grown = first
                .0
                .saturating_mul(1i64.checked_shl(times.min(30)).unwrap_or(1));
            now.plus(Elapsed(grown.min(LONGEST.0.max(first.0))))
        }
        WaitUntil::NextDay => day(today.plus_days(1)),
        WaitUntil::NextWeek => day(today.week_start().plus_days(7)),
        WaitUntil::NextMonth => day(today.month_end().plus_days(1)),
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
        assert_eq!(
            end(WaitUntil::For(Elapsed::minutes(1)), 0),
            "2026-11-11 10:01"
        );
        assert_eq!(
            end(WaitUntil::For(Elapsed::minutes(1)), 3),
            "2026-11-11 10:08"
        );
        assert_eq!(
            end(WaitUntil::For(Elapsed::minutes(1)), 99),
            "2026-11-11 11:00"
        );
        assert_eq!(end(WaitUntil::NextDay, 0), "2026-11-12 00:02");
        assert_eq!(end(WaitUntil::NextWeek, 5), "2026-11-16 00:02");
        assert_eq!(end(WaitUntil::NextMonth, 0), "2026-12-01 00:02");
    }
}
