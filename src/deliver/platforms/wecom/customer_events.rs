//! What is fetched of WeChat customer service: who wrote, and which of our messages failed after
//! they were taken. (developer.work.weixin.qq.com/document/path/94670.)

use serde::Deserialize;

use crate::base::Instant;
use crate::base::Msg;
use crate::deliver::callback::{CallbackEvent, CallbackKind, contact};
use crate::ledger::ReceiptKind;
use crate::msg;
use crate::program::platform::ContactKind;

/// `origin` of what a customer wrote; others are events and what employees wrote.
const CUSTOMER: i64 = 3;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Letter {
    msgid: String,
    external_userid: String,
    /// Seconds.
    send_time: i64,
    origin: i64,
    msgtype: String,
    event: Event,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    event_type: String,
    external_userid: String,
    fail_msgid: String,
    fail_type: i64,
}

/// Why a message failed, where that says more than that it did.
enum Failed {
    /// The window is over, the conversation closed, or as many messages were sent as it takes: the
    /// customer has to write first.
    Closed,
    /// The customer wants none of this account.
    Refused,
}

impl Failed {
    fn of(fail_type: i64) -> Option<Self> {
        match fail_type {
            4..=6 => Some(Failed::Closed),
            10 => Some(Failed::Refused),
            _ => None,
        }
    }
}

/// What a page says, in its order.
///
/// # Errors
/// A page that is none.
pub fn read(page: &str) -> Result<Vec<CallbackEvent>, Msg> {
    let letters: Vec<Letter> = serde_json::from_str(page)
        .map_err(|e| msg!("this is no page of messages: {e}", "不是一页消息：{e}"))?;
    let mut said = Vec::new();
    for letter in letters {
        let when = Instant::from_seconds(letter.send_time);
        let key = |what: &str| {
            format!(
                "{what} {} {} {}",
                letter.msgid, letter.external_userid, letter.send_time
            )
        };
        if letter.origin == CUSTOMER && letter.msgtype != "event" {
            said.push(CallbackEvent {
                key: key("kf"),
                when,
                what: contact(&letter.external_userid, ContactKind::Message, ""),
            });
        }
        if letter.event.event_type != "msg_send_fail" {
            continue;
        }
        let Event {
            external_userid: address,
            fail_msgid: id,
            fail_type,
            ..
        } = letter.event;
        let key = |what: &str| format!("msg_send_fail {id} {what}");
        said.push(CallbackEvent {
            key: key(""),
            when,
            what: CallbackKind::Message {
                id: id.clone(),
                kind: ReceiptKind::Failed,
            },
        });
        let more = Failed::of(fail_type).map(|failed| match failed {
            Failed::Closed => CallbackKind::Closed {
                address,
                kind: ContactKind::Message,
            },
            Failed::Refused => CallbackKind::Refused {
                id: id.clone(),
                reason: "the customer refuses messages of this account".into(),
            },
        });
        said.extend(more.map(|what| CallbackEvent {
            key: key("because"),
            when,
            what,
        }));
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_wrote_and_what_failed() {
        let fails = |id: &str, kind: i64| {
            let event = json!({"event_type": "msg_send_fail", "external_userid": "wm1", "fail_msgid": id, "fail_type": kind});
            json!({"msgid": format!("e{id}"), "send_time": 1_764_000_001, "origin": 4, "msgtype": "event", "event": event})
        };
        let enters =
            json!({"event_type": "enter_session", "external_userid": "wm2", "welcome_code": "c"});
        let page = json!([
            {"msgid": "a", "external_userid": "wm0", "send_time": 1_764_000_000, "origin": 3, "msgtype": "text"},
            {"msgid": "b", "external_userid": "wm0", "send_time": 1_764_000_000, "origin": 5, "msgtype": "text"},
            {"msgid": "c", "send_time": 1_764_000_000, "origin": 4, "msgtype": "event", "event": enters},
            fails("x", 0),
            fails("y", 6),
            fails("z", 10),
        ]);
        let said: Vec<(Instant, CallbackKind)> = read(&page.to_string())
            .unwrap()
            .into_iter()
            .map(|s| (s.when, s.what))
            .collect();
        let failed = |id: &str| CallbackKind::Message {
            id: id.into(),
            kind: ReceiptKind::Failed,
        };
        let (first, then) = (
            Instant::from_seconds(1_764_000_000),
            Instant::from_seconds(1_764_000_001),
        );
        let closed = CallbackKind::Closed {
            address: "wm1".into(),
            kind: ContactKind::Message,
        };
        let refused = CallbackKind::Refused {
            id: "z".into(),
            reason: "the customer refuses messages of this account".into(),
        };
        let expected = [
            (first, contact("wm0", ContactKind::Message, "")),
            (then, failed("x")),
            (then, failed("y")),
            (then, closed),
            (then, failed("z")),
            (then, refused),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn one_thing_has_one_key() {
        let page = json!([
            {"msgid": "a", "external_userid": "wm0", "send_time": 1, "origin": 3, "msgtype": "text"},
            {"msgid": "b", "external_userid": "wm0", "send_time": 1, "origin": 3, "msgtype": "text"},
        ]);
        let keys = || {
            read(&page.to_string())
                .unwrap()
                .into_iter()
                .map(|s| s.key)
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(), keys());
        assert_ne!(keys()[0], keys()[1]);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for page in ["", "[", "{}", "[1]", "[{\"send_time\":\"x\"}]"] {
            assert!(read(page).is_err(), "{page}");
        }
        assert_eq!(read("[]").unwrap(), []);
        assert_eq!(read("[{}]").unwrap(), []);
    }
}
