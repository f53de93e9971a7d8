//! WeChat customer service, by WeCom: messages to customers who wrote, and the mailbox of what they
//! wrote.

use std::sync::Arc;

use serde_json::{Value, json};

use super::send::ask;
use super::settings::OPEN_KFID;
use crate::base::Elapsed;
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, Recalled, Reply};
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_LIST, FOR_ONE};
use crate::deliver::http::api_response::{SendOutcome, failure_reason, text_of};
use crate::deliver::http::client;
use crate::deliver::message_parts::MessageParts;
use crate::deliver::send_each::send_each;
use crate::ledger::{Batch, Message, Page};
use crate::program::platform::{Endpoint, MessagePart};

/// Most messages of customers in one answer.
const LETTERS: usize = 1_000;

pub struct CustomerService {
    pub account: Arc<AccountClient>,
    pub endpoint: &'static Endpoint,
}

impl Channel for CustomerService {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        self.account.concurrency()
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
        let (account, endpoint) = (self.account.clone(), self.endpoint);
        let how = CallMode {
            within: FOR_ONE,
            begin_by: batch.begin_by,
        };
        send_each(
            batch.messages.clone(),
            self.account.concurrency(),
            move |message: Message| {
                let account = account.clone();
                async move {
                    let parts = MessageParts::of(&message.content, endpoint);
                    let (kind, payload) = match parts.shape() {
                        "link" => (
                            "link",
                            json!({
                                "title": parts.text(MessagePart::Title), "desc": parts.text(MessagePart::Body), "url": parts.text(MessagePart::Link),
                                "thumb_media_id": parts.text(MessagePart::Image),
                            }),
                        ),
                        "image" => ("image", json!({"media_id": parts.text(MessagePart::Image)})),
                        "video" => ("video", json!({"media_id": parts.text(MessagePart::Video)})),
                        "miniprogram" => {
                            let (app, page) = parts.miniprogram().unwrap_or_default();
                            (
                                "miniprogram",
                                json!({
                                    "appid": app, "pagepath": page, "title": parts.text(MessagePart::Title), "thumb_media_id": parts.text(MessagePart::Image),
                                }),
                            )
                        }
                        _ => ("text", json!({"content": parts.joined()})),
                    };
                    let mut body = json!({
                        "touser": &*message.address, "open_kfid": account.settings.text(&OPEN_KFID), "msgid": message.key, "msgtype": kind,
                    });
                    body[kind] = payload;
                    let (verdict, then) =
                        ask(&account, &endpoint.name, "/cgi-bin/kf/send_msg", &body, how)
                            .await
                            .verdict(|body| text_of(body, "msgid"));
                    (vec![verdict], then)
                }
            },
        )
    }
    fn mailbox(&self) -> Option<&str> {
        self.account.settings.text(&OPEN_KFID)
    }

    /// What customers wrote in the last three days, and which messages failed.
    fn fetch(&self, mark: &str, token: Option<&str>) -> Result<Page, String> {
        let mut body =
            json!({"open_kfid": self.account.settings.text(&OPEN_KFID), "limit": LETTERS});
        let given = [("cursor", Some(mark)), ("token", token)];
        for (name, text) in given
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.filter(|t| !t.is_empty())?)))
        {
            body[name] = text.into();
        }
        let account = self.account.clone();
        let how = CallMode {
            within: FOR_LIST,
            begin_by: None,
        };
        match client::run(
            async move { ask(&account, "kf", "/cgi-bin/kf/sync_msg", &body, how).await },
        ) {
            Some(SendOutcome::Done(answer)) => page(&answer, mark),
            other => Err(failure_reason(other)),
        }
    }

    fn recall(&self, _: &str, _: &Rendered) -> Recalled {
        Recalled::Cannot {
            reason: "customer service messages cannot be taken back".into(),
        }
    }
}

/// A page of what the platform keeps: of each message who wrote it and when, but not what.
fn page(answer: &Value, before: &str) -> Result<Page, String> {
    let (mark, more) = (
        text_of(answer, "next_cursor"),
        text_of(answer, "has_more") == "1",
    );
    if more && (mark.is_empty() || mark == before) {
        return Err("the platform says that there is more, and not where".into());
    }
    let messages = answer["msg_list"].as_array().into_iter().flatten();
    let kept: Vec<Value> = messages
        .map(|m| {
            KEPT.iter()
                .filter_map(|name| Some(((*name).to_string(), m.get(*name)?.clone())))
                .collect()
        })
        .collect();
    let body = (!kept.is_empty()).then(|| Value::from(kept).to_string());
    Ok(Page {
        body,
        mark: if mark.is_empty() { before.into() } else { mark },
        more,
    })
}

/// What is kept of a customer's message.
const KEPT: [&str; 6] = [
    "msgid",
    "external_userid",
    "send_time",
    "origin",
    "msgtype",
    "event",
];
