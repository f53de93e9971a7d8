//! Callbacks of Douyin: JSON, signed with the client secret in the header `X-Douyin-Signature`.
//!
//! The platform repeats a call until it is answered, and says that calls come in any order, more
//! than once or not at all. It numbers them in the header `Msg-Id`, which the signature does not
//! cover: what counts once is told by the signed body instead.

use std::sync::Arc;

use serde_json::{Value, json};

use super::settings::{APP_ID, CALLBACK_TOKEN, SECRET};
use crate::base::Msg;
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::{
    Acknowledgement, CallbackEvent, CallbackKind, Callbacks, Incoming, contact, instant,
};
use crate::deliver::http::secret::Secret;
use crate::deliver::http::signature::{same, sha1};
use crate::ledger::ReceiptKind;
use crate::msg;
use crate::program::platform::ContactKind;

struct DouyinCallbacks {
    /// The client secret of the application.
    secret: Secret,
    /// Its client key, which a call must name if it names one.
    client_key: Option<String>,
}

/// `None` without the client secret: then nobody can prove to be the platform.
///
/// # Errors
/// None.
pub fn callbacks(settings: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    let secret = settings
        .secret(&CALLBACK_TOKEN)
        .or(settings.secret(&SECRET));
    Ok(secret.map(|secret| {
        Arc::new(DouyinCallbacks {
            secret: secret.clone(),
            client_key: settings.text(&APP_ID).map(str::to_owned),
        }) as Arc<dyn Callbacks>
    }))
}

impl Callbacks for DouyinCallbacks {
    fn check(&self, call: &Incoming) -> Result<(), Msg> {
        let expected = sha1(format!("{}{}", self.secret.expose(), call.body).as_bytes());
        if !same(&expected, call.signature) {
            return Err(msg!("the signature is wrong", "签名错误"));
        }
        let body = parsed(call.body)?;
        let key = text(&body, "client_key");
        // The call that tries the address may name none.
        if !key.is_empty() && self.client_key.as_ref().is_some_and(|mine| *mine != key) {
            return Err(msg!(
                "the call is meant for another account",
                "该调用属于其他账号"
            ));
        }
        Ok(())
    }

    fn signature_header(&self) -> &'static str {
        "x-douyin-signature"
    }

    /// The call that tries the address wants its challenge back.
    fn acknowledge(&self, call: &Incoming) -> Acknowledgement {
        let body = parsed(call.body).unwrap_or_default();
        let answer = match text(&body, "event").as_str() {
            "verify_webhook" => json!({"challenge": content(&body)["challenge"]}),
            _ => json!({"err_no": 0}),
        };
        Acknowledgement {
            kind: "application/json",
            body: answer.to_string(),
        }
    }

    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg> {
        let body = parsed(call.body)?;
        let content = content(&body);
        let (event, user) = (text(&body, "event"), text(&body, "from_user_id"));
        // What changed an authorisation last.
        let when = ["update_time", "create_time"]
            .into_iter()
            .find_map(|name| content[name].as_i64())
            .map_or(call.at, instant);
        let message = text(&content, "server_message_id");
        let one = |what| {
            Ok(vec![CallbackEvent {
                key: format!("{event} {user} {} {message}", when.0),
                when,
                what,
            }])
        };
        match event.as_str() {
            "im_receive_msg" if !user.is_empty() => one(contact(&user, ContactKind::Message, "")),
            "im_authorize" if !user.is_empty() => match content["auth_status"].as_i64() {
                Some(1) => one(contact(&user, ContactKind::Authorisation, "")),
                Some(2) => one(CallbackKind::OptedOutAt {
                    address: user.clone(),
                }),
                Some(_) | None => Ok(Vec::new()),
            },
            "im_send_msg" if !message.is_empty() => one(CallbackKind::Message {
                id: message.clone(),
                kind: ReceiptKind::Accepted,
            }),
            "im_recall_msg" if !message.is_empty() => one(CallbackKind::Message {
                id: message.clone(),
                kind: ReceiptKind::Recalled,
            }),
            _ => Ok(Vec::new()),
        }
    }
}

fn parsed(body: &str) -> Result<Value, Msg> {
    serde_json::from_str(body)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| {
            msg!(
                "the call is not JSON as the platform writes it",
                "该调用不是平台格式的 JSON"
            )
        })
}

/// JSON inside a string of JSON; the call that tries the address writes it as it is.
fn content(body: &Value) -> Value {
    match &body["content"] {
        Value::String(inner) => serde_json::from_str(inner).unwrap_or_default(),
        other => other.clone(),
    }
}

fn text(of: &Value, name: &str) -> String {
    of[name].as_str().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;

    fn douyin() -> Arc<dyn Callbacks> {
        let settings = AccountSettings::new("douyin", "douyin")
            .with(SECRET.name, Secret::new("client-secret"))
            .with(APP_ID.name, "ck");
        callbacks(&settings).unwrap().unwrap()
    }

    fn call<'a>(body: &'a str, signature: &'a str) -> Incoming<'a> {
        Incoming {
            query: "",
            signature,
            body,
            at: Instant(7),
        }
    }

    fn event(event: &str, content: &Value) -> String {
        json!({"event": event, "client_key": "ck", "from_user_id": "dy1", "to_user_id": "me", "content": content.to_string()}).to_string()
    }

    #[test]
    fn only_who_knows_the_client_secret_is_heard() {
        let d = douyin();
        let body = event("im_receive_msg", &json!({}));
        let signature = sha1(format!("client-secret{body}").as_bytes());
        assert_eq!(d.check(&call(&body, &signature)), Ok(()));
        assert!(d.check(&call(&format!("{body} "), &signature)).is_err());
        assert!(d.check(&call(&body, "")).is_err());
        for (body, good) in [
            ("{\"client_key\":\"other\"}", false),
            ("[]", false),
            ("no JSON", false),
            ("{\"client_key\":\"\"}", true),
        ] {
            let signature = sha1(format!("client-secret{body}").as_bytes());
            assert_eq!(d.check(&call(body, &signature)).is_ok(), good, "{body}");
        }
        assert!(callbacks(&AccountSettings::default()).unwrap().is_none());
    }

    #[test]
    fn the_address_is_tried_with_a_challenge() {
        for content in [json!({"challenge": 12345}), json!("{\"challenge\": 12345}")] {
            let body = json!({"event": "verify_webhook", "client_key": "", "content": content})
                .to_string();
            assert_eq!(
                douyin().acknowledge(&call(&body, "")).body,
                "{\"challenge\":12345}"
            );
            assert_eq!(douyin().read(&call(&body, "")), Ok(Vec::new()));
        }
        assert_eq!(
            douyin().acknowledge(&call("no JSON", "")).body,
            "{\"err_no\":0}"
        );
    }

    #[test]
    fn what_happens_is_read() {
        let read =
            |name: &str, content: Value| douyin().read(&call(&event(name, &content), "")).unwrap();
        let said = read(
            "im_receive_msg",
            json!({"server_message_id": "@m1", "create_time": 1_800_000_000_123_i64}),
        );
        assert_eq!(said[0].what, contact("dy1", ContactKind::Message, ""));
        assert_eq!(said[0].when, Instant(1_800_000_000_123_000));
        let allowed = |status: i64| {
            read(
                "im_authorize",
                json!({"create_time": 1_670_229_453, "auth_status": status}),
            )
        };
        assert_eq!(
            allowed(1)[0].what,
            contact("dy1", ContactKind::Authorisation, "")
        );
        assert_eq!(allowed(1)[0].when, Instant(1_670_229_453_000_000));
        assert_eq!(
            allowed(2)[0].what,
            CallbackKind::OptedOutAt {
                address: "dy1".into()
            }
        );
        assert_eq!(allowed(3), []);
        let sent = read("im_send_msg", json!({"server_message_id": "@m2"}));
        assert_eq!(
            sent[0].what,
            CallbackKind::Message {
                id: "@m2".into(),
                kind: ReceiptKind::Accepted
            }
        );
        let recalled = read("im_recall_msg", json!({"server_message_id": "@m2"}));
        assert_eq!(
            recalled[0].what,
            CallbackKind::Message {
                id: "@m2".into(),
                kind: ReceiptKind::Recalled
            }
        );
        assert_ne!(sent[0].key, recalled[0].key);
        assert_eq!(read("im_enter_direct_msg", json!({})), []);
        assert_eq!(read("im_send_msg", json!("no object")), []);
    }
}
