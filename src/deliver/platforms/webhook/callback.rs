//! Callbacks of a receiver of one's own, and of the sandbox: JSON Lines.
//!
//! `{"id": "…", "kind": "delivered", "at": "2026-11-11T10:00:00+08:00"}` tells of one message, by
//! the id that the receiver answered with or the message's key; `kind` is `delivered`, `opened`,
//! `clicked`, `failed`, `rejected`, `recalled` or `complained`. `{"user": "u1", "kind":
//! "opted_out"}` tells of a user, as do the kinds of what users do: `message`, `follow` and others.
//! Signed as our own calls are: `X-Tagcast-Signature: t=SECONDS,v1=HEX`, HMAC-SHA256 over
//! `SECONDS.BODY`.

use std::sync::Arc;

use serde::Deserialize;

use super::settings::{CALLBACK_TOKEN, SECRET};
use crate::base::Msg;
use crate::base::{Elapsed, Instant, Zone};
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::{
    Acknowledgement, CallbackEvent, CallbackKind, CallbackSubject, Callbacks, Incoming,
};
use crate::deliver::http::secret::Secret;
use crate::deliver::http::signature::{hmac_sha256, same};
use crate::ledger::ReceiptKind;
use crate::msg;
use crate::program::platform::ContactKind;

/// An older signature is somebody else's copy.
const MOST_AGE: Elapsed = Elapsed::minutes(5);

/// What may be told of a message.
const KINDS: [ReceiptKind; 7] = [
    ReceiptKind::Delivered,
    ReceiptKind::Opened,
    ReceiptKind::Clicked,
    ReceiptKind::Failed,
    ReceiptKind::Rejected,
    ReceiptKind::Recalled,
    ReceiptKind::Complained,
];

/// Every account of a webhook has its callbacks: it needs a secret.
///
/// # Errors
/// None.
pub fn callbacks(settings: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    let secret = settings
        .secret(&CALLBACK_TOKEN)
        .or(settings.secret(&SECRET));
    Ok(Some(Arc::new(WebhookCallbacks::signed(secret.cloned()))))
}

pub struct WebhookCallbacks {
    /// `None`: only the service's own token is accepted.
    secret: Option<Secret>,
}

impl WebhookCallbacks {
    pub fn signed(secret: Option<Secret>) -> Self {
        WebhookCallbacks { secret }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Option<String>,
    user: Option<String>,
    kind: String,
    /// What a user subscribed to.
    topic: Option<String>,
    at: Option<String>,
}

impl Callbacks for WebhookCallbacks {
    fn check(&self, call: &Incoming) -> Result<(), Msg> {
        let Some(secret) = &self.secret else {
            return Err(msg!("the token is missing", "缺少令牌"));
        };
        let part = |name: &str| {
            call.signature
                .split(',')
                .find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='))
        };
        let (Some(seconds), Some(signature)) = (part("t"), part("v1")) else {
            return Err(msg!(
                "`X-Tagcast-Signature` is missing or not `t=SECONDS,v1=HEX`",
                "缺少 `X-Tagcast-Signature`，或其格式不是 `t=秒,v1=十六进制`"
            ));
        };
        let age = seconds
            .parse::<i64>()
            .ok()
            .map(|s| call.at.since(Instant(s.saturating_mul(1_000_000))));
        if age.is_none_or(|age| age.0.saturating_abs() > MOST_AGE.0) {
            return Err(msg!(
                "the signature is more than 5 minutes old",
                "签名已超过 5 分钟"
            ));
        }
        let expected = hmac_sha256(secret, format!("{seconds}.{}", call.body).as_bytes());
        if same(&expected, signature) {
            Ok(())
        } else {
            Err(msg!("the signature is wrong", "签名错误"))
        }
    }

    fn accepts_token(&self) -> bool {
        true
    }

    fn verify_url(&self, _: &Incoming) -> Result<String, Msg> {
        Ok("ok".into())
    }

    fn acknowledge(&self, _: &Incoming) -> Acknowledgement {
        Acknowledgement::text("ok")
    }

    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg> {
        let mut said = Vec::new();
        for (number, text) in (1..)
            .zip(call.body.lines())
            .filter(|(_, text)| !text.trim().is_empty())
        {
            said.push(line(text, call.at).map_err(|why| {
                let Msg { en, zh } = why;
                msg!("line {number}: {en}", "第 {number} 行：{zh}")
            })?);
        }
        Ok(said)
    }
}

fn line(text: &str, now: Instant) -> Result<CallbackEvent, Msg> {
    let line: Line = serde_json::from_str(text).map_err(|e| msg!("{e}", "{e}"))?;
    let when = match &line.at {
        Some(at) => Zone::UTC
            .parse_instant(at)
            .ok_or_else(|| msg!("`at` is not an instant", "`at` 不是一个时刻"))?,
        None => now,
    };
    let Line {
        id,
        user,
        kind,
        topic,
        ..
    } = line;
    let said = |what, key| Ok(CallbackEvent { key, when, what });
    match (id, user) {
        (Some(id), None) => match ReceiptKind::named(&kind).filter(|k| KINDS.contains(k)) {
            Some(kind) => {
                let key = format!("{id} {}", kind.name());
                said(CallbackKind::Message { id, kind }, key)
            }
            None => {
                let known: Vec<&str> = KINDS.iter().map(|k| k.name()).collect();
                let known = known.join(", ");
                Err(msg!(
                    "`{kind}` is no kind of receipt: write one of {known}",
                    "`{kind}` 不是回执类型：可用 {known}"
                ))
            }
        },
        (None, Some(user)) => {
            let key = format!("{user} {kind} {}", when.0);
            match ContactKind::named(&kind) {
                Some(kind) => said(
                    CallbackKind::Contact {
                        who: CallbackSubject::Id(user),
                        kind,
                        topic: topic.unwrap_or_default(),
                    },
                    key,
                ),
                None if kind == "opted_out" => said(CallbackKind::OptedOut { user }, key),
                None => {
                    let known: Vec<&str> = ContactKind::ALL.iter().map(|(_, name)| *name).collect();
                    let known = known.join(", ");
                    Err(msg!(
                        "`{kind}` is nothing that users do: write `opted_out` or one of {known}",
                        "`{kind}` 不是用户行为：可用 opted_out 或 {known}"
                    ))
                }
            }
        }
        (Some(_), Some(_)) | (None, None) => Err(msg!(
            "write `id` and the kind of a receipt, or `user` and what the user did",
            "请写 `id` 和回执类型，或 `user` 和用户行为"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_800_000_000_000_000);

    fn call<'a>(body: &'a str, signature: &'a str) -> Incoming<'a> {
        Incoming {
            query: "",
            signature,
            body,
            at: NOW,
        }
    }

    #[test]
    fn only_the_holder_of_the_secret_is_heard() {
        let secret = Secret::new("hunter2");
        let lines = WebhookCallbacks::signed(Some(secret.clone()));
        let sign = |seconds: i64, body: &str| {
            format!(
                "t={seconds},v1={}",
                hmac_sha256(&secret, format!("{seconds}.{body}").as_bytes())
            )
        };
        let check =
            |body: &str, signature: &str| lines.check(&call(body, signature)).map_err(|m| m.en);
        assert_eq!(check("x", &sign(1_800_000_000, "x")), Ok(()));
        assert_eq!(
            check("y", &sign(1_800_000_000, "x")),
            Err("the signature is wrong".into())
        );
        for (seconds, good) in [
            (1_799_999_700, true),
            (1_799_999_699, false),
            (1_800_000_300, true),
            (1_800_000_301, false),
        ] {
            assert_eq!(check("x", &sign(seconds, "x")).is_ok(), good, "{seconds}");
        }
        for wrong in [
            "",
            "t=1",
            "v1=aa",
            "t=x,v1=aa",
            "t=9223372036854775807,v1=aa",
        ] {
            assert!(check("x", wrong).is_err(), "{wrong}");
        }
        assert!(
            WebhookCallbacks::signed(None)
                .check(&call("x", &sign(1_800_000_000, "x")))
                .is_err()
        );
    }

    #[test]
    fn lines_are_read_or_refused_with_their_number() {
        let read = |body: &str| {
            WebhookCallbacks::signed(None)
                .read(&call(body, ""))
                .map_err(|m| m.en)
        };
        let said =
            read("{\"id\":\"a\",\"kind\":\"opened\",\"at\":\"2026-11-11T10:00:00+08:00\"}\n\n{\"user\":\"u1\",\"kind\":\"opted_out\"}\n")
                .unwrap();
        assert_eq!(
            said[0].what,
            CallbackKind::Message {
                id: "a".into(),
                kind: ReceiptKind::Opened
            }
        );
        assert_eq!(
            said[0].when,
            Zone::SHANGHAI.parse_instant("2026-11-11 10:00").unwrap()
        );
        assert_eq!(
            (said[1].what.clone(), said[1].when),
            (CallbackKind::OptedOut { user: "u1".into() }, NOW)
        );
        for (body, why) in [
            ("{}", "line 1: missing field `kind`"),
            (
                "\n{\"id\":\"a\",\"kind\":\"said_sent\"}",
                "line 2: `said_sent` is no kind of receipt",
            ),
            (
                "{\"id\":\"a\",\"kind\":\"opened\",\"at\":\"noon\"}",
                "line 1: `at` is not an instant",
            ),
            (
                "{\"id\":\"a\",\"user\":\"u\",\"kind\":\"opened\"}",
                "line 1: write `id` and the kind",
            ),
            (
                "{\"id\":\"a\",\"kind\":\"opened\",\"x\":1}",
                "line 1: unknown field `x`",
            ),
        ] {
            assert!(
                read(body).unwrap_err().starts_with(why),
                "{body}: {:?}",
                read(body)
            );
        }
    }
}
