//! WeChat service and subscription accounts: mass sends, template messages, subscription notices,
//! customer service messages.
//!
//! A mass send goes to a list of openids. There is no way in here to send to "everyone": the
//! endpoint that can (`sendall`) is not called.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::settings::{APP_ID, COVER, SECRET};
use crate::base::Elapsed;
use crate::base::Msg;
use crate::base::value::count_of;
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, NextAction, Recalled, Reply};
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_LIST, FOR_ONE};
use crate::deliver::http::api_response::{ApiResponse, SendOutcome, failure_reason, text_of};
use crate::deliver::http::client;
use crate::deliver::http::token::{IssuedToken, TokenError};
use crate::deliver::message_parts::{MessageParts, html};
use crate::deliver::platforms::adapter::NamedChannels;
use crate::deliver::platforms::tencent;
use crate::deliver::send_each::send_each;
use crate::ledger::{Batch, BatchEvidence, BatchOutcome, Message, ReceiptKind, Refusal, Verdict};
use crate::msg;
use crate::program::platform::{Endpoint, MessagePart};

/// Openids that one call of `user/info/batchget` takes.
const LOOKED_UP_TOGETHER: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Mass,
    Template,
    Notice,
    Chat,
}

/// One endpoint of an account.
struct WeChatChannel {
    account: Arc<AccountClient>,
    endpoint: &'static Endpoint,
    kind: Kind,
    /// The drafts of articles by the digest of their content: the same text is uploaded once.
    drafts: Arc<Mutex<HashMap<blake3::Hash, String>>>,
    /// Lists whose openids were looked at after the platform refused them.
    looked_at: Mutex<HashSet<blake3::Hash>>,
}

/// # Errors
/// None.
pub fn channels(
    account: &Arc<AccountClient>,
    endpoints: &[&'static Endpoint],
) -> Result<NamedChannels, Msg> {
    let mut channels = NamedChannels::new();
    for endpoint in endpoints {
        let kind = match endpoint.name.as_str() {
            "mass" | "article" => Kind::Mass,
            "template" => Kind::Template,
            "notice" => Kind::Notice,
            "chat" => Kind::Chat,
            _ => continue,
        };
        let channel = WeChatChannel {
            account: account.clone(),
            endpoint,
            kind,
            drafts: Arc::default(),
            looked_at: Mutex::default(),
        };
        channels.push((&endpoint.name, Arc::new(channel)));
    }
    Ok(channels)
}

/// Calls an endpoint with the account's token. `path` begins with a slash.
async fn ask(
    account: &Arc<AccountClient>,
    endpoint: &str,
    path: &str,
    body: &Value,
    how: CallMode,
) -> SendOutcome {
    tencent::call_api(account, endpoint, path, body, how, |force| {
        token(account.clone(), force)
    })
    .await
}

/// The stable endpoint gives the same token to all who ask, so that no two programs evict each
/// other.
async fn token(account: Arc<AccountClient>, force: bool) -> Result<IssuedToken, TokenError> {
    let settings = &account.settings;
    let body = json!({
        "grant_type": "client_credential", "appid": settings.text(&APP_ID).unwrap_or_default(),
        "secret": settings.secret(&SECRET).map_or("", |s| s.expose()), "force_refresh": force,
    });
    let how = CallMode {
        within: FOR_ONE,
        begin_by: None,
    };
    let url = format!("{}/cgi-bin/stable_token", account.base_url);
    tencent::issued_token(
        &account,
        account.post_json(url, Vec::new(), &body, how).await,
    )
}

impl WeChatChannel {
    fn name(&self) -> &'static str {
        &self.endpoint.name
    }
}

impl Channel for WeChatChannel {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        match self.kind {
            Kind::Mass => 10_000,
            Kind::Template | Kind::Notice | Kind::Chat => self.account.concurrency(),
        }
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
        match self.kind {
            Kind::Mass => self.mass(batch),
            Kind::Template | Kind::Notice | Kind::Chat => self.single(batch),
        }
    }

    /// One person sees a mass send by the platform's preview.
    fn send_test(&self, batch: &Batch) -> Reply {
        let (Kind::Mass, Some(message)) = (self.kind, batch.messages.first()) else {
            return self.send(batch);
        };
        let (account, endpoint, message, drafts) = (
            self.account.clone(),
            self.endpoint,
            message.clone(),
            self.drafts.clone(),
        );
        let how = CallMode {
            within: FOR_ONE,
            begin_by: None,
        };
        let asked = client::run(async move {
            let (kind, payload) = match payload(&account, endpoint, &message.content, &drafts).await
            {
                Ok(made) => made,
                Err(meaning) => return meaning,
            };
            let mut body = json!({"touser": &*message.address, "msgtype": kind});
            body[kind] = payload;
            ask(
                &account,
                &endpoint.name,
                "/cgi-bin/message/mass/preview",
                &body,
                how,
            )
            .await
        });
        let meaning = asked.unwrap_or_else(|| SendOutcome::Unknown {
            reason: "no answer".into(),
        });
        let (verdict, then) = meaning.verdict(|body| text_of(body, "msg_id"));
        Reply {
            answer: BatchOutcome::Taken(vec![verdict]),
            then,
        }
    }

    /// How far a mass send has come. Its counts come with the finish event only.
    fn look_up(&self, _: &Batch, id: Option<&str>) -> Result<BatchEvidence, String> {
        let (Kind::Mass, Some(id)) = (self.kind, id) else {
            return Ok(BatchEvidence::default());
        };
        let (account, name, body) = (self.account.clone(), self.name(), json!({"msg_id": id}));
        let how = CallMode {
            within: FOR_ONE,
            begin_by: None,
        };
        let asked = client::run(async move {
            ask(&account, name, "/cgi-bin/message/mass/get", &body, how).await
        });
        let status = match asked {
            Some(SendOutcome::Done(body)) => text_of(&body, "msg_status"),
            other => return Err(failure_reason(other)),
        };
        let all = match status.as_str() {
            "SEND_FAIL" => Some(ReceiptKind::Rejected),
            "DELETE" => Some(ReceiptKind::Recalled),
            _ => None,
        };
        let over = matches!(status.as_str(), "SEND_SUCCESS" | "SEND_FAIL" | "DELETE");
        Ok(BatchEvidence {
            found: Some(id.into()),
            all,
            over,
            ..BatchEvidence::default()
        })
    }

    /// Deletes the page behind an article or a video; the card stays.
    fn recall(&self, id: &str, content: &Rendered) -> Recalled {
        let parts = MessageParts::of(content, self.endpoint);
        if self.kind != Kind::Mass || !matches!(parts.shape(), "article" | "video") {
            return Recalled::Cannot {
                reason: "only articles and videos of mass sends can be taken back".into(),
            };
        }
        let Ok(number) = id.parse::<i64>() else {
            return Recalled::Cannot {
                reason: "the platform gave no id".into(),
            };
        };
        let (account, name, body) = (self.account.clone(), self.name(), json!({"msg_id": number}));
        let how = CallMode {
            within: FOR_ONE,
            begin_by: None,
        };
        match client::run(async move {
            ask(&account, name, "/cgi-bin/message/mass/delete", &body, how).await
        }) {
            Some(SendOutcome::Done(_)) => Recalled::Done,
            Some(SendOutcome::Wrong { reason } | SendOutcome::Dropped { reason, .. }) => {
                Recalled::Cannot { reason }
            }
            other => Recalled::Unknown {
                reason: failure_reason(other),
            },
        }
    }
}

// ------------------------------------------------------------------ one by one

impl WeChatChannel {
    fn single(&self, batch: &Batch) -> Reply {
        let (account, endpoint, kind) = (self.account.clone(), self.endpoint, self.kind);
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
                    let (path, id, body) = match kind {
                        Kind::Template => (
                            "/cgi-bin/message/template/send",
                            "msgid",
                            template(&message, endpoint, true),
                        ),
                        Kind::Notice => (
                            "/cgi-bin/message/subscribe/bizsend",
                            "msgid",
                            template(&message, endpoint, false),
                        ),
                        Kind::Chat | Kind::Mass => (
                            "/cgi-bin/message/custom/send",
                            "msgid",
                            chat(&message, endpoint),
                        ),
                    };
                    let (verdict, then) = ask(&account, &endpoint.name, path, &body, how)
                        .await
                        .verdict(|body| text_of(body, id));
                    (vec![verdict], then)
                }
            },
        )
    }
}

fn template(message: &Message, endpoint: &'static Endpoint, keyed: bool) -> Value {
    let parts = MessageParts::of(&message.content, endpoint);
    let mut body = json!({"touser": &*message.address, "template_id": parts.text(MessagePart::Platform), "data": parts.fields()});
    if let Some(link) = parts.get(MessagePart::Link) {
        body[if keyed { "url" } else { "page" }] = link.into();
    }
    if let Some((app, page)) = parts.miniprogram() {
        body["miniprogram"] = json!({"appid": app, "pagepath": page});
    }
    if keyed {
        body["client_msg_id"] = message.key.as_str().into();
    }
    body
}

fn chat(message: &Message, endpoint: &'static Endpoint) -> Value {
    let parts = MessageParts::of(&message.content, endpoint);
    let (kind, payload) = parts.chat(|| {
        let ((app, page), title) = (parts.miniprogram().unwrap_or_default(), parts.text(MessagePart::Title));
        ("miniprogrampage", json!({"title": title, "appid": app, "pagepath": page, "thumb_media_id": parts.text(MessagePart::Image)}))
    });
    let mut body = json!({"touser": &*message.address, "msgtype": kind});
    body[kind] = payload;
    body
}

// ------------------------------------------------------------------ mass

impl WeChatChannel {
    fn mass(&self, batch: &Batch) -> Reply {
        let Some(first) = batch.messages.first() else {
            return BatchOutcome::Taken(Vec::new()).into();
        };
        if batch.messages.iter().any(|m| m.content != first.content) {
            return BatchOutcome::Refused {
                reason: "a mass send carries one text".into(),
            }
            .into();
        }
        if batch.messages.len() < 2 {
            return BatchOutcome::Refused {
                reason: "a mass send needs at least two users".into(),
            }
            .into();
        }
        let (account, endpoint, content, drafts) = (
            self.account.clone(),
            self.endpoint,
            first.content.clone(),
            self.drafts.clone(),
        );
        let users: Vec<String> = batch
            .messages
            .iter()
            .map(|m| m.address.to_string())
            .collect();
        let key = batch.key.clone();
        let how = CallMode {
            within: FOR_LIST,
            begin_by: batch.begin_by,
        };
        let meaning = client::run(async move {
            let (kind, payload) = match payload(&account, endpoint, &content, &drafts).await {
                Ok(made) => made,
                Err(meaning) => return meaning,
            };
            let mut body = json!({"touser": users, "msgtype": kind, "clientmsgid": key});
            body[kind] = payload;
            if kind == "mpnews" {
                body["send_ignore_reprint"] = 0.into();
            }
            ask(
                &account,
                &endpoint.name,
                "/cgi-bin/message/mass/send",
                &body,
                how,
            )
            .await
        });
        match meaning {
            Some(SendOutcome::Done(body)) => {
                let id = text_of(&body, "msg_id");
                BatchOutcome::Taken(vec![Verdict::Accepted { id }; batch.messages.len()]).into()
            }
            Some(SendOutcome::Dropped { reason, .. }) => self.leave_out(batch, reason),
            Some(SendOutcome::Wrong { reason }) => BatchOutcome::Refused { reason }.into(),
            Some(SendOutcome::NotSent { reason, then }) => Reply {
                answer: BatchOutcome::NotSent { reason },
                then,
            },
            other => BatchOutcome::Unknown {
                reason: failure_reason(other),
            }
            .into(),
        }
    }

    /// The platform refused a list for an openid in it: those that it does not know are left out,
    /// the rest is planned again. A list that was looked at before and is refused again needs a
    /// person.
    fn leave_out(&self, batch: &Batch, reason: String) -> Reply {
        let digest = |messages: &mut dyn Iterator<Item = &Message>| {
            let mut hasher = blake3::Hasher::new();
            messages.for_each(|m| {
                hasher.update(m.address.as_bytes()).update(b"\n");
            });
            hasher.finalize()
        };
        let name = &self.account.name;
        let stop = |reason: String| Reply {
            then: NextAction::Stop {
                why: msg!(
                    "`{name}` stops: the platform refuses a list of openids ({reason}), and they look right; are they of this account?",
                    "`{name}` 已停止：平台拒绝了 openid 列表（{reason}），但逐个核对未发现问题；它们是否属于本账号？"
                ),
            },
            answer: BatchOutcome::NotSent { reason },
        };
        let this = digest(&mut batch.messages.iter());
        if self
            .looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(&this)
        {
            return stop(reason);
        }
        let (account, endpoint) = (self.account.clone(), &*self.endpoint.name);
        let addresses: Vec<String> = batch
            .messages
            .iter()
            .map(|m| m.address.to_string())
            .collect();
        let bad =
            match client::run(async move { unknown_openids(account, endpoint, addresses).await }) {
                Some(Ok(bad)) => bad,
                Some(Err(SendOutcome::NotSent { reason, then })) => {
                    return Reply {
                        answer: BatchOutcome::NotSent { reason },
                        then,
                    };
                }
                Some(Err(other)) => return stop(failure_reason(Some(other))),
                None => return stop(reason),
            };
        if bad.is_empty() {
            return stop(reason);
        }
        let is_bad = |m: &Message| bad.contains(&*m.address);
        let rest = digest(&mut batch.messages.iter().filter(|m| !is_bad(m)));
        self.looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(rest);
        let verdict = |m: &Message| match is_bad(m) {
            true => Verdict::Refused {
                reason: "40003 not an openid of this account".into(),
                because: Refusal::Address,
            },
            false => Verdict::NotSent {
                reason: reason.clone(),
            },
        };
        let until = self.account.world.now().plus(Elapsed::seconds(1));
        let left = bad.len();
        let openids = count_of(left, "openid");
        let why = msg!(
            "`{name}` leaves out what is not of this account ({openids}), and sends to the others",
            "`{name}` 剔除了 {left} 个不属于本账号的 openid，其余继续发送"
        );
        Reply {
            answer: BatchOutcome::Taken(batch.messages.iter().map(verdict).collect()),
            then: NextAction::Wait { until, why },
        }
    }
}

/// Which of some openids the platform does not know for this account. A call is refused as a whole
/// for one of them, so a refused call is asked again in halves: these are questions, nothing is
/// sent.
async fn unknown_openids(
    account: Arc<AccountClient>,
    endpoint: &str,
    openids: Vec<String>,
) -> Result<BTreeSet<String>, SendOutcome> {
    let how = CallMode {
        within: FOR_ONE,
        begin_by: None,
    };
    let mut todo: Vec<Vec<String>> = openids
        .chunks(LOOKED_UP_TOGETHER)
        .map(<[String]>::to_vec)
        .collect();
    let mut bad = BTreeSet::new();
    while let Some(some) = todo.pop() {
        let list: Vec<Value> = some
            .iter()
            .map(|openid| json!({"openid": openid, "lang": "zh_CN"}))
            .collect();
        match ask(
            &account,
            endpoint,
            "/cgi-bin/user/info/batchget",
            &json!({"user_list": list}),
            how,
        )
        .await
        {
            SendOutcome::Done(body) => {
                let infos = body.get("user_info_list").and_then(Value::as_array);
                let known: BTreeSet<&str> = infos
                    .into_iter()
                    .flatten()
                    .filter_map(|i| i.get("openid")?.as_str())
                    .collect();
                bad.extend(
                    some.iter()
                        .filter(|openid| !known.contains(openid.as_str()))
                        .cloned(),
                );
            }
            SendOutcome::Dropped { .. } if some.len() == 1 => bad.extend(some),
            SendOutcome::Dropped { .. } => {
                let (left, right) = some.split_at(some.len() / 2);
                todo.extend([left.to_vec(), right.to_vec()]);
            }
            other => return Err(other),
        }
    }
    Ok(bad)
}

/// The payload of a mass send: its type, and what stands under that name.
async fn payload(
    account: &Arc<AccountClient>,
    endpoint: &'static Endpoint,
    content: &Rendered,
    drafts: &Mutex<HashMap<blake3::Hash, String>>,
) -> Result<(&'static str, Value), SendOutcome> {
    let parts = MessageParts::of(content, endpoint);
    Ok(match parts.shape() {
        "article" => (
            "mpnews",
            json!({"media_id": draft(account, endpoint, &parts, content, drafts).await?}),
        ),
        "image" => ("image", json!({"media_id": parts.text(MessagePart::Image)})),
        "video" => (
            "mpvideo",
            json!({
                "media_id": parts.text(MessagePart::Video), "title": parts.text(MessagePart::Title), "description": parts.text(MessagePart::Body),
            }),
        ),
        _ => ("text", json!({"content": parts.joined()})),
    })
}

/// The media id of an article, made in the draft box the first time. Nothing is sent by that.
async fn draft(
    account: &Arc<AccountClient>,
    endpoint: &'static Endpoint,
    parts: &MessageParts<'_>,
    content: &Rendered,
    drafts: &Mutex<HashMap<blake3::Hash, String>>,
) -> Result<String, SendOutcome> {
    let mut hasher = blake3::Hasher::new();
    for (name, text) in &content.parts {
        hasher
            .update(name.as_bytes())
            .update(&[0])
            .update(text.as_bytes())
            .update(&[0]);
    }
    let digest = hasher.finalize();
    let known = drafts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&digest)
        .cloned();
    if let Some(known) = known {
        return Ok(known);
    }
    let Some(cover) = parts
        .get(MessagePart::Image)
        .or(account.settings.text(&COVER))
    else {
        let name = &account.name;
        return Err(SendOutcome::Wrong {
            reason: format!(
                "an article needs a cover: an `image` part, or `cover` in `[accounts.{name}]`"
            ),
        });
    };
    let article = json!({
        "title": parts.text(MessagePart::Title), "content": html(&parts.joined()), "thumb_media_id": cover,
        "content_source_url": parts.text(MessagePart::Link), "need_open_comment": 0,
    });
    let how = CallMode {
        within: FOR_LIST,
        begin_by: None,
    };
    let made = ask(
        account,
        &endpoint.name,
        "/cgi-bin/draft/add",
        &json!({"articles": [article]}),
        how,
    )
    .await;
    let media = match made {
        SendOutcome::Done(body) => text_of(&body, "media_id"),
        // A draft may be there that nobody will use; nothing was sent.
        SendOutcome::Unknown { reason } => {
            return Err(account.outcome(&endpoint.name, not_sent(reason)));
        }
        other => return Err(other),
    };
    drafts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(digest, media.clone());
    Ok(media)
}

/// A question before the send had no answer: the send did not begin.
fn not_sent(reason: String) -> ApiResponse {
    ApiResponse::Lost(client::TransportError::NotSent(reason))
}
