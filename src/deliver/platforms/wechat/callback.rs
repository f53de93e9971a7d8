//! Callbacks of WeChat: what became of mass sends, template messages and notices, and what users
//! do.

use std::sync::Arc;

use super::settings::APP_ID;
use crate::base::Msg;
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::{
    Acknowledgement, CallbackEvent, CallbackKind, Callbacks, Incoming, contact,
};
use crate::deliver::platforms::tencent::{CALLBACK_TOKEN, CallSeal};
use crate::ledger::{DeliveryCounts, ReceiptKind};
use crate::program::platform::ContactKind;

struct WeChatCallbacks {
    seal: CallSeal,
}

/// `None` without a `callback_token`: then nobody can prove to be the platform.
///
/// # Errors
/// A key that is none.
pub fn callbacks(settings: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    if !settings.has(&CALLBACK_TOKEN) {
        return Ok(None);
    }
    let seal = CallSeal::new(settings, settings.text(&APP_ID))?;
    Ok(Some(Arc::new(WeChatCallbacks { seal })))
}

impl Callbacks for WeChatCallbacks {
    fn check(&self, call: &Incoming) -> Result<(), Msg> {
        self.seal.check(call)
    }

    fn verify_url(&self, call: &Incoming) -> Result<String, Msg> {
        self.seal.verify_url(call)
    }

    fn acknowledge(&self, _: &Incoming) -> Acknowledgement {
        Acknowledgement::text("success")
    }

    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg> {
        let call = self.seal.open(call)?;
        let one = |key: String, what| Ok(vec![call.event(key, what)]);
        match call.text("Event") {
            "MASSSENDJOBFINISH" => {
                let id = call.message_id();
                let counts = DeliveryCounts {
                    total: call.number("TotalCount"),
                    filtered: call
                        .number("TotalCount")
                        .saturating_sub(call.number("FilterCount")),
                    delivered: call.number("SentCount"),
                    failed: call.number("ErrorCount"),
                };
                // A review that fails leaves all counts at 0. `send success` does not say who got
                // it.
                let all = call
                    .text("Status")
                    .starts_with("err(")
                    .then_some(ReceiptKind::Rejected);
                let all =
                    all.or((call.text("Status") == "send fail").then_some(ReceiptKind::Failed));
                let counts = all.is_none().then_some(counts);
                one(
                    format!("MASSSENDJOBFINISH {id}"),
                    CallbackKind::List { id, all, counts },
                )
            }
            "TEMPLATESENDJOBFINISH" => {
                let id = call.message_id();
                let kind = if call.text("Status") == "success" {
                    ReceiptKind::Delivered
                } else {
                    ReceiptKind::Failed
                };
                let key = format!("TEMPLATESENDJOBFINISH {id}");
                // The user has switched off messages of this account.
                let blocked = call
                    .text("Status")
                    .contains("user block")
                    .then(|| CallbackEvent {
                        key: format!("{key} block"),
                        when: call.when(),
                        what: CallbackKind::Refused {
                            id: id.clone(),
                            reason: call.text("Status").to_owned(),
                        },
                    });
                let of_message = CallbackEvent {
                    key,
                    when: call.when(),
                    what: CallbackKind::Message { id, kind },
                };
                Ok([of_message].into_iter().chain(blocked).collect())
            }
            "subscribe_msg_sent_event" => {
                // One entry a message; of several in one call the fields of the last are what is
                // kept, so that each call tells of one.
                let id = call.message_id();
                let kind = if call.text("ErrorCode") == "0" {
                    ReceiptKind::Delivered
                } else {
                    ReceiptKind::Failed
                };
                one(
                    format!("subscribe_msg_sent_event {id}"),
                    CallbackKind::Message { id, kind },
                )
            }
            "subscribe_msg_popup_event" => {
                // One entry a template; of equal names the parts come in the same order.
                let (topics, answers) = (call.all("TemplateId"), call.all("SubscribeStatusString"));
                let accepted = topics
                    .into_iter()
                    .zip(answers)
                    .enumerate()
                    .filter(|(_, (_, answer))| *answer == "accept");
                let said = accepted.map(|(n, (topic, _))| CallbackEvent {
                    key: format!(
                        "subscribe_msg_popup_event {} {} {n}",
                        call.text("FromUserName"),
                        call.when().0
                    ),
                    when: call.when(),
                    what: contact(call.text("FromUserName"), ContactKind::Subscription, topic),
                });
                Ok(said.collect())
            }
            "unsubscribe" => Ok(vec![call.unsubscribed()]),
            event => {
                let kind = match event {
                    "subscribe" => ContactKind::Follow,
                    "SCAN" => ContactKind::Scan,
                    "CLICK" | "scancode_push" | "scancode_waitmsg" => ContactKind::Menu,
                    "" if MESSAGES.contains(&call.text("MsgType")) => ContactKind::Message,
                    _ => return Ok(Vec::new()),
                };
                let user = call.text("FromUserName");
                let key = if kind == ContactKind::Message {
                    call.message_id()
                } else {
                    format!("{event} {user} {}", call.when().0)
                };
                one(format!("contact {key}"), contact(user, kind, ""))
            }
        }
    }
}

/// The types of what a user writes to an account.
const MESSAGES: [&str; 7] = [
    "text",
    "image",
    "voice",
    "video",
    "shortvideo",
    "location",
    "link",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::deliver::http::secret::Secret;

    fn wechat() -> Arc<dyn Callbacks> {
        let settings = AccountSettings::new("rose", "service_account")
            .with("callback_token", Secret::new("token"))
            .with("app_id", "wx1");
        callbacks(&settings).unwrap().unwrap()
    }

    fn call(body: &str) -> Incoming<'_> {
        Incoming {
            query: "",
            signature: "",
            body,
            at: Instant(0),
        }
    }

    const FINISH: &str = "<xml><ToUserName><![CDATA[gh]]></ToUserName><CreateTime>1764000000</CreateTime><Event><![CDATA[MASSSENDJOBFINISH]]></Event>
        <MsgID>42</MsgID><Status><![CDATA[send success]]></Status><TotalCount>1000</TotalCount><FilterCount>970</FilterCount>
        <SentCount>965</SentCount><ErrorCount>5</ErrorCount><CopyrightCheckResult><Count>0</Count><ResultList> </ResultList></CopyrightCheckResult></xml>";

    #[test]
    fn a_mass_send_has_ended() {
        let t = wechat();
        let said = t.read(&call(FINISH)).unwrap();
        // Case 24 of the delivery design: 970 of 1000 were left to send to.
        let counts = Some(DeliveryCounts {
            total: 1000,
            filtered: 30,
            delivered: 965,
            failed: 5,
        });
        assert_eq!(
            said[0].what,
            CallbackKind::List {
                id: "42".into(),
                all: None,
                counts
            }
        );
        assert_eq!(said[0].when, Instant(1_764_000_000_000_000));
        let refused = FINISH.replace("send success", "err(20008)");
        let said = t.read(&call(&refused)).unwrap();
        assert_eq!(
            said[0].what,
            CallbackKind::List {
                id: "42".into(),
                all: Some(ReceiptKind::Rejected),
                counts: None
            }
        );
    }

    #[test]
    fn one_message_and_one_user() {
        let t = wechat();
        let read = |body: &str| t.read(&call(body)).unwrap();
        let template = |status: &str| {
            format!(
                "<xml><Event>TEMPLATESENDJOBFINISH</Event><MsgID>7</MsgID><Status><![CDATA[{status}]]></Status></xml>"
            )
        };
        assert_eq!(
            read(&template("success"))[0].what,
            CallbackKind::Message {
                id: "7".into(),
                kind: ReceiptKind::Delivered
            }
        );
        for failed in [
            "failed:user block",
            "failed: system failed",
            "failed:freq limit",
        ] {
            let said = read(&template(failed));
            assert_eq!(
                said[0].what,
                CallbackKind::Message {
                    id: "7".into(),
                    kind: ReceiptKind::Failed
                }
            );
            let blocked = CallbackKind::Refused {
                id: "7".into(),
                reason: failed.into(),
            };
            assert_eq!(
                said.get(1).map(|said| &said.what),
                Some(&blocked).filter(|_| failed.contains("block")),
                "{failed}"
            );
        }
        let left = read("<xml><FromUserName>o1</FromUserName><Event>unsubscribe</Event></xml>");
        assert_eq!(
            left[0].what,
            CallbackKind::OptedOutAt {
                address: "o1".into()
            }
        );
        assert_eq!(read("<xml><Event>LOCATION</Event></xml>"), []);
    }

    #[test]
    fn what_users_do() {
        let t = wechat();
        let read = |body: &str| -> Vec<(String, CallbackKind)> {
            let body = format!(
                "<xml><FromUserName>o1</FromUserName><CreateTime>1764000000</CreateTime>{body}</xml>"
            );
            t.read(&call(&body))
                .unwrap()
                .into_iter()
                .map(|said| (said.key, said.what))
                .collect()
        };
        for (body, kind) in [
            (
                "<MsgType>text</MsgType><Content>hi</Content><MsgId>5</MsgId>",
                ContactKind::Message,
            ),
            (
                "<MsgType>voice</MsgType><MsgId>6</MsgId>",
                ContactKind::Message,
            ),
            (
                "<MsgType>event</MsgType><Event>subscribe</Event>",
                ContactKind::Follow,
            ),
            (
                "<MsgType>event</MsgType><Event>SCAN</Event>",
                ContactKind::Scan,
            ),
            (
                "<MsgType>event</MsgType><Event>CLICK</Event><EventKey>k</EventKey>",
                ContactKind::Menu,
            ),
        ] {
            assert_eq!(
                read(body)
                    .into_iter()
                    .map(|(_, what)| what)
                    .collect::<Vec<_>>(),
                [contact("o1", kind, "")],
                "{body}"
            );
        }
        // A page that is opened from the menu opens no window.
        assert_eq!(read("<MsgType>event</MsgType><Event>VIEW</Event>"), []);
        let entry = |id: &str, answer: &str| {
            format!(
                "<List><TemplateId>{id}</TemplateId><SubscribeStatusString>{answer}</SubscribeStatusString><PopupScene>2</PopupScene></List>"
            )
        };
        let popup = format!(
            "<MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event><SubscribeMsgPopupEvent>{}{}{}</SubscribeMsgPopupEvent>",
            entry("T1", "accept"),
            entry("T2", "reject"),
            entry("T3", "accept")
        );
        let said = read(&popup);
        let subscribed = |topic| contact("o1", ContactKind::Subscription, topic);
        assert_eq!(
            said.iter()
                .map(|(_, what)| what.clone())
                .collect::<Vec<_>>(),
            [subscribed("T1"), subscribed("T3")]
        );
        assert_ne!(said[0].0, said[1].0);
    }

    #[test]
    fn without_a_token_nobody_is_heard() {
        let settings = AccountSettings::new("rose", "service_account");
        assert!(callbacks(&settings).unwrap().is_none());
    }
}
