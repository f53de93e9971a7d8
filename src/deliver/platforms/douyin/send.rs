//! Douyin business account: private messages to users who allowed them, and answers to users who
//! wrote.
//!
//! A card goes to users who authorised the account in its mini program; their address is their open
//! id. Text, images and videos go only in answer to a message; there the address is `OPEN_ID
//! CONVERSATION_ID MESSAGE_ID`, with a space between them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::settings::{APP_ID, CARD, OPEN_ID, REFRESH_TOKEN};
use crate::base::Elapsed;
use crate::base::Msg;
use crate::deliver::channel::{Channel, NextAction, Reply};
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_ONE};
use crate::deliver::http::api_response::{ApiResponse, text_of};
use crate::deliver::http::client::{Method, Request, Response, TransportError, encode};
use crate::deliver::http::token::{IssuedToken, TokenError};
use crate::deliver::message_parts::MessageParts;
use crate::deliver::platforms::adapter::NamedChannels;
use crate::deliver::send_each::send_each;
use crate::ledger::{Batch, Message, Refusal, Verdict};
use crate::program::platform::{Endpoint, MessagePart};

/// Numbers of content kinds.
const TEXT: i64 = 1;
const IMAGE: i64 = 2;
const VIDEO: i64 = 3;
const APPLET_CARD: i64 = 10;

/// A token that the platform gives no life lasts at least so long.
const LASTS: i64 = 86_400;

struct DouyinChannel {
    account: Arc<AccountClient>,
    endpoint: &'static Endpoint,
}

/// # Errors
/// None.
pub fn channels(
    account: &Arc<AccountClient>,
    endpoints: &[&'static Endpoint],
) -> Result<NamedChannels, Msg> {
    Ok(endpoints
        .iter()
        .map(|endpoint| {
            let channel = DouyinChannel {
                account: account.clone(),
                endpoint,
            };
            (
                endpoint.name.as_str(),
                Arc::new(channel) as Arc<dyn Channel>,
            )
        })
        .collect())
}

impl Channel for DouyinChannel {
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
                    let body = match body(&message, &account, endpoint) {
                        Ok(body) => body,
                        Err(reason) => {
                            return (
                                vec![Verdict::Refused {
                                    reason: reason.into(),
                                    because: Refusal::Message,
                                }],
                                NextAction::GoOn,
                            );
                        }
                    };
                    let fetch = |_| token(account.clone());
                    let open_id = account
                        .settings
                        .text(&OPEN_ID)
                        .unwrap_or_default()
                        .to_owned();
                    let meaning = account
                        .with_token(&endpoint.name, fetch, |token| {
                            let (url, body) = (
                                format!(
                                    "{}/im/send/msg/?open_id={}",
                                    account.base_url,
                                    encode(&open_id)
                                ),
                                body.clone(),
                            );
                            let account = account.clone();
                            async move {
                                read(
                                    account
                                        .post_json(url, vec![("access-token", token)], &body, how)
                                        .await,
                                )
                            }
                        })
                        .await;
                    let id = |body: &Value| match text_of(body, "msg_id") {
                        id if id.is_empty() => body
                            .get("data")
                            .map_or_else(String::new, |data| text_of(data, "msg_id")),
                        id => id,
                    };
                    let (verdict, then) = meaning.verdict(id);
                    (vec![verdict], then)
                }
            },
        )
    }
}

/// The open id of an address, which may name a conversation and a message, too.
pub fn open_id_of(address: &str) -> &str {
    address.split_whitespace().next().unwrap_or(address)
}

fn body(
    message: &Message,
    account: &AccountClient,
    endpoint: &'static Endpoint,
) -> Result<Value, &'static str> {
    let parts = MessageParts::of(&message.content, endpoint);
    let mut address = message.address.split_whitespace();
    let user = address.next().ok_or("the address is empty")?;
    if parts.shape() == "card" {
        let (app, page) = parts.miniprogram().unwrap_or_default();
        let (path, query) = page.split_once('?').unwrap_or((page, ""));
        let mut card = json!({"app_id": app, "path": path, "query": query});
        if let Some(template) = account.settings.text(&CARD) {
            card["card_template_id"] = template.into();
        }
        let mut list = vec![json!({"msg_type": APPLET_CARD, "applet_card": card})];
        let text = parts.joined();
        if !text.is_empty() {
            list.insert(0, json!({"msg_type": TEXT, "text": {"text": text}}));
        }
        if let Some(image) = parts.get(MessagePart::Image) {
            list.insert(
                list.len() - 1,
                json!({"msg_type": IMAGE, "image": {"media_id": image}}),
            );
        }
        return Ok(
            json!({"to_user_id": user, "scene": "im_authorize_message", "content_list": list}),
        );
    }
    let (Some(conversation), Some(id)) = (address.next(), address.next()) else {
        return Err("an answer needs an address of the form `OPEN_ID CONVERSATION_ID MESSAGE_ID`");
    };
    let content = match parts.shape() {
        "image" => {
            json!({"msg_type": IMAGE, "image": {"media_id": parts.text(MessagePart::Image)}})
        }
        "video" => json!({"msg_type": VIDEO, "video": {"item_id": parts.text(MessagePart::Video)}}),
        _ => json!({"msg_type": TEXT, "text": {"text": parts.joined()}}),
    };
    Ok(
        json!({"to_user_id": user, "scene": "im_reply_msg", "conversation_id": conversation, "msg_id": id, "content": content}),
    )
}

/// The code of an error stands in `extra`, in `data` or, in newer interfaces, in `err_no`.
fn read(answer: Result<Response, TransportError>) -> ApiResponse {
    let response = match answer {
        Ok(response) => response,
        Err(lost) => return ApiResponse::Lost(lost),
    };
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let codes = [
        (&body["extra"], "error_code", "description"),
        (&body["data"], "error_code", "description"),
        (&body, "err_no", "err_msg"),
    ];
    let mut said = false;
    for (place, code, text) in codes {
        match place.get(code).and_then(Value::as_i64) {
            None => {}
            Some(0) => said = true,
            Some(code) => {
                let log = text_of(&body["extra"], "logid");
                let text = format!("{} {log}", text_of(place, text));
                return ApiResponse::Error {
                    code: code.to_string(),
                    text: text.trim().to_string(),
                    body: body.clone(),
                };
            }
        }
    }
    match response.status {
        200 if said => ApiResponse::Ok(body),
        status => ApiResponse::Lost(TransportError::Unknown(format!(
            "HTTP {status} with an answer that makes no sense"
        ))),
    }
}

/// A new token of the account that authorised the application.
async fn token(account: Arc<AccountClient>) -> Result<IssuedToken, TokenError> {
    let settings = &account.settings;
    let refresh = settings.secret(&REFRESH_TOKEN).map_or("", |s| s.expose());
    let form = format!(
        "client_key={}&grant_type=refresh_token&refresh_token={}",
        encode(settings.text(&APP_ID).unwrap_or_default()),
        encode(refresh)
    );
    let request = Request {
        method: Method::Post,
        url: format!("{}/oauth/refresh_token/", account.base_url),
        headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
        body: form.into_bytes(),
        within: FOR_ONE,
        begin_by: None,
    };
    let heard = read(account.exchange(request).await);
    let ApiResponse::Ok(body) = &heard else {
        return Err(account.no_token(heard));
    };
    match text_of(&body["data"], "access_token") {
        value if value.is_empty() => Err(account.no_token(heard)),
        value => {
            let seconds = body["data"]["expires_in"]
                .as_i64()
                .filter(|s| *s > 0)
                .unwrap_or(LASTS);
            Ok(IssuedToken {
                value,
                lasts: Elapsed::seconds(seconds),
            })
        }
    }
}
