//! Alipay life account: a broadcast to a group made for the batch, and template messages to single
//! users.
//!
//! Every request is signed with the application's key, and answers are checked with the platform's
//! where its key is known. A broadcast goes to a group that a label makes. A label acts a day late:
//! the batch's users are labelled, the batch waits for the next day, and only then is the group
//! made and sent to. Finding the label by its name is what tells the second day from the first.

use std::sync::Arc;

use serde_json::{Value, json};

use super::settings::{APP_ID, PLATFORM_KEY, SECRET};
use crate::base::Msg;
use crate::base::{Elapsed, Instant};
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, NextAction, Recalled, Reply};
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_ONE};
use crate::deliver::http::api_response::{ApiResponse, SendOutcome, failure_reason, text_of};
use crate::deliver::http::backoff::end_of;
use crate::deliver::http::client::{self, Method, Request, Response, TransportError};
use crate::deliver::http::signature::{Signer, Verifier};
use crate::deliver::message_parts::MessageParts;
use crate::deliver::platforms::adapter::NamedChannels;
use crate::deliver::send_each::send_each;
use crate::ledger::{Batch, BatchEvidence, BatchOutcome, Message, ReceiptKind, Refusal, Verdict};
use crate::msg;
use crate::program::platform::{Endpoint, MessagePart, WaitUntil};

/// Users that one labelling call takes, and calls under way at once.
const LABELLED_TOGETHER: usize = 10;
const LABELLING: usize = 8;

/// Signs requests and checks answers.
struct Signing {
    signer: Signer,
    verifier: Option<Verifier>,
}

impl Signing {
    /// # Errors
    /// Keys that are none.
    fn of(account: &AccountClient) -> Result<Arc<Self>, Msg> {
        let verifier = account.settings.text(&PLATFORM_KEY).map(Verifier::new);
        Ok(Arc::new(Signing {
            signer: Signer::new(account.secret(&SECRET)?)?,
            verifier: verifier.transpose()?,
        }))
    }
}

struct AlipayChannel {
    account: Arc<AccountClient>,
    signing: Arc<Signing>,
    endpoint: &'static Endpoint,
}

/// # Errors
/// Keys that are none.
pub fn channels(
    account: &Arc<AccountClient>,
    endpoints: &[&'static Endpoint],
) -> Result<NamedChannels, Msg> {
    let signing = Signing::of(account)?;
    Ok(endpoints
        .iter()
        .map(|endpoint| {
            let channel = AlipayChannel {
                account: account.clone(),
                signing: signing.clone(),
                endpoint,
            };
            (
                endpoint.name.as_str(),
                Arc::new(channel) as Arc<dyn Channel>,
            )
        })
        .collect())
}

impl AlipayChannel {
    fn is_single(&self) -> bool {
        self.endpoint.name == "single"
    }
}

impl Channel for AlipayChannel {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        if self.is_single() {
            self.account.concurrency()
        } else {
            10_000
        }
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
        if self.is_single() {
            self.single(batch)
        } else {
            self.broadcast(batch)
        }
    }

    fn send_test(&self, batch: &Batch) -> Reply {
        if self.is_single() {
            return self.send(batch);
        }
        BatchOutcome::Refused {
            reason:
                "a broadcast goes to a group that acts from the next day on: there is no test of it"
                    .into(),
        }
        .into()
    }

    /// How far a broadcast has come; of single messages nothing can be asked.
    fn look_up(&self, _: &Batch, id: Option<&str>) -> Result<BatchEvidence, String> {
        let Some(id) = id.filter(|_| !self.is_single()) else {
            return Ok(BatchEvidence::default());
        };
        let call = self.call(
            "query",
            "alipay.open.public.message.query",
            json!({"message_ids": [id]}),
            None,
        );
        let body = match client::run(call) {
            Some(SendOutcome::Done(body)) => body,
            other => return Err(failure_reason(other)),
        };
        let row = body["list"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|row| text_of(row, "message_id") == id);
        let Some(row) = row else {
            return Ok(BatchEvidence::default());
        };
        let all = match row["status"].as_str() {
            Some("FAILURE") => Some(ReceiptKind::Rejected),
            // The description says whether it was recalled or could not be.
            Some("RECALLED") if !text_of(row, "status_desc").contains("失败") => {
                Some(ReceiptKind::Recalled)
            }
            _ => None,
        };
        Ok(BatchEvidence {
            found: Some(id.into()),
            all,
            over: all.is_some(),
            ..BatchEvidence::default()
        })
    }

    fn recall(&self, id: &str, _: &Rendered) -> Recalled {
        if self.is_single() {
            return Recalled::Cannot {
                reason: "single messages cannot be taken back".into(),
            };
        }
        match client::run(self.call(
            "broadcast",
            "alipay.open.public.life.msg.recall",
            json!({"message_id": id}),
            None,
        )) {
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

impl AlipayChannel {
    /// A call of one method.
    fn call(
        &self,
        endpoint: &'static str,
        method: &'static str,
        body: Value,
        begin_by: Option<std::time::Instant>,
    ) -> impl Future<Output = SendOutcome> + Send + use<> {
        let (account, signing) = (self.account.clone(), self.signing.clone());
        async move {
            ask(
                &account,
                &signing,
                endpoint,
                method,
                &body,
                CallMode {
                    within: FOR_ONE,
                    begin_by,
                },
            )
            .await
        }
    }

    fn single(&self, batch: &Batch) -> Reply {
        let (account, signing, endpoint) =
            (self.account.clone(), self.signing.clone(), self.endpoint);
        let how = CallMode {
            within: FOR_ONE,
            begin_by: batch.begin_by,
        };
        send_each(
            batch.messages.clone(),
            self.account.concurrency(),
            move |message: Message| {
                let (account, signing) = (account.clone(), signing.clone());
                async move {
                    let parts = MessageParts::of(&message.content, endpoint);
                    let mut context = parts.fields();
                    if let Some(link) = parts.get(MessagePart::Link) {
                        context["url"] = link.into();
                    }
                    let body = json!({format!("to_{}", kind_of(&message.address)): &*message.address, "template": {"template_id": parts.text(MessagePart::Platform), "context": context}});
                    let meaning = ask(
                        &account,
                        &signing,
                        "single",
                        "alipay.open.public.message.single.send",
                        &body,
                        how,
                    )
                    .await;
                    let (verdict, then) = meaning.verdict(|body| text_of(body, "message_id"));
                    (vec![verdict], then)
                }
            },
        )
    }
}

/// User ids are 16 digits that begin with 2088; anything else is an open id.
fn kind_of(user: &str) -> &'static str {
    let is_user_id =
        user.len() == 16 && user.starts_with("2088") && user.bytes().all(|b| b.is_ascii_digit());
    if is_user_id { "user_id" } else { "open_id" }
}

/// One signed call. What the platform answers with a status of its own says what it means in
/// `code`.
async fn ask(
    account: &AccountClient,
    signing: &Signing,
    endpoint: &str,
    method: &str,
    body: &Value,
    how: CallMode,
) -> SendOutcome {
    let path = format!("/v3/{}", method.replace('.', "/"));
    let text = body.to_string();
    let (nonce, millis) = (
        format!("{:032x}", account.world.unique()),
        account.world.now().0.div_euclid(1_000),
    );
    let auth = format!(
        "app_id={},nonce={nonce},timestamp={millis}",
        account.settings.text(&APP_ID).unwrap_or_default()
    );
    let Some(signature) = signing
        .signer
        .sign(format!("{auth}\nPOST\n{path}\n{text}\n").as_bytes())
    else {
        return account.outcome(
            endpoint,
            ApiResponse::Lost(TransportError::NotSent(
                "the request could not be signed".into(),
            )),
        );
    };
    let headers = vec![
        (
            "content-type",
            "application/json; charset=utf-8".to_string(),
        ),
        (
            "authorization",
            format!("ALIPAY-SHA256withRSA {auth},sign={signature}"),
        ),
    ];
    let url = format!("{}{path}", account.base_url);
    let request = Request {
        method: Method::Post,
        url,
        headers,
        body: text.into_bytes(),
        within: how.within,
        begin_by: how.begin_by,
    };
    let heard = match account.exchange(request).await {
        Ok(response) => read(&response, signing),
        Err(lost) => ApiResponse::Lost(lost),
    };
    account.outcome(endpoint, heard)
}

fn read(response: &Response, signing: &Signing) -> ApiResponse {
    let signed = |name| response.header(name).unwrap_or_default();
    if let Some(verifier) = &signing.verifier {
        // Over the bytes as they came: printing them again would be another text.
        let head = format!(
            "{}\n{}\n",
            signed("alipay-timestamp"),
            signed("alipay-nonce")
        );
        let text = [head.as_bytes(), &response.body, b"\n"].concat();
        if !verifier.verify(&text, signed("alipay-signature")) {
            return ApiResponse::Lost(TransportError::Unknown(
                "the answer is not signed by the platform".into(),
            ));
        }
    }
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    match (response.status, body.get("code").and_then(Value::as_str)) {
        (200..=299, _) if body.is_object() => ApiResponse::Ok(body),
        (_, Some(code)) => ApiResponse::Error {
            code: code.to_string(),
            text: text_of(&body, "message"),
            body,
        },
        (status, None) => ApiResponse::Lost(TransportError::Unknown(format!(
            "HTTP {status} with an answer that makes no sense"
        ))),
    }
}

// ------------------------------------------------------------------ broadcast

impl AlipayChannel {
    fn broadcast(&self, batch: &Batch) -> Reply {
        let Some(first) = batch.messages.first() else {
            return BatchOutcome::Taken(Vec::new()).into();
        };
        if batch.messages.iter().any(|m| m.content != first.content) {
            return BatchOutcome::Refused {
                reason: "a broadcast carries one text".into(),
            }
            .into();
        }
        let parts = MessageParts::of(&first.content, self.endpoint);
        let material = match parts.shape() {
            "article" => json!({"msg_type": "image-text", "articles": [{
                "title": parts.text(MessagePart::Title), "desc": parts.joined(), "url": parts.text(MessagePart::Link),
                "image_url": parts.text(MessagePart::Image),
            }]}),
            "image" => {
                json!({"msg_type": "image", "image": {"url": parts.text(MessagePart::Image)}})
            }
            _ => {
                json!({"msg_type": "text", "text": {"title": parts.text(MessagePart::Title), "content": parts.joined()}})
            }
        };
        let users: Vec<String> = batch
            .messages
            .iter()
            .map(|m| m.address.to_string())
            .collect();
        let head = format!(
            "{} {} {:?} {}",
            batch.run.0, batch.step, batch.arm, batch.template
        );
        let (account, signing, begin_by) =
            (self.account.clone(), self.signing.clone(), batch.begin_by);
        let done = client::run(async move {
            Broadcast { account, signing }
                .send(&head, users, material, begin_by)
                .await
        });
        match done {
            Some(Ok(id)) => {
                BatchOutcome::Taken(vec![Verdict::Accepted { id }; batch.messages.len()]).into()
            }
            Some(Err(Stopped::Meant(SendOutcome::NotSent { reason, then }))) => Reply {
                answer: BatchOutcome::NotSent { reason },
                then,
            },
            Some(Err(Stopped::Meant(
                SendOutcome::Wrong { reason } | SendOutcome::Dropped { reason, .. },
            ))) => BatchOutcome::Refused { reason }.into(),
            Some(Err(Stopped::Meant(other))) => BatchOutcome::Unknown {
                reason: failure_reason(Some(other)),
            }
            .into(),
            Some(Err(Stopped::Labelled { unknown, until })) => {
                self.tomorrow(batch, &unknown, until)
            }
            None => BatchOutcome::Unknown {
                reason: "no answer".into(),
            }
            .into(),
        }
    }

    /// The users are labelled; those that the platform does not know are left out.
    fn tomorrow(&self, batch: &Batch, unknown: &[String], until: Instant) -> Reply {
        let verdict = |m: &Message| match unknown.iter().any(|u| **u == *m.address) {
            true => Verdict::Refused {
                reason: "not a user that can be labelled".into(),
                because: Refusal::Address,
            },
            false => Verdict::NotSent {
                reason: "labels act from the next day on".into(),
            },
        };
        let (name, shown) = (&self.account.name, self.account.zone.show(until));
        let why = msg!(
            "`{name}` waits until {shown}: Alipay labels act from the next day on (the campaign's `deadline` must allow for it)",
            "`{name}` 等待至 {shown}：支付宝标签次日生效（活动的 `最晚` 须留出时间）"
        );
        Reply {
            answer: BatchOutcome::Taken(batch.messages.iter().map(verdict).collect()),
            then: NextAction::Wait { until, why },
        }
    }
}

/// Why a broadcast is not under way.
enum Stopped {
    Meant(SendOutcome),
    Labelled {
        unknown: Vec<String>,
        until: Instant,
    },
}

struct Broadcast {
    account: Arc<AccountClient>,
    signing: Arc<Signing>,
}

impl Broadcast {
    /// What comes before the send sends nothing: where it has no answer, nothing was sent.
    async fn prepare(&self, method: &str, body: &Value) -> Result<Value, SendOutcome> {
        let how = CallMode {
            within: FOR_ONE,
            begin_by: None,
        };
        match ask(&self.account, &self.signing, "broadcast", method, body, how).await {
            SendOutcome::Done(body) => Ok(body),
            SendOutcome::Unknown { reason } => Err(self.account.outcome(
                "broadcast",
                ApiResponse::Lost(TransportError::NotSent(reason)),
            )),
            other => Err(other),
        }
    }

    async fn send(
        &self,
        head: &str,
        users: Vec<String>,
        material: Value,
        begin_by: Option<std::time::Instant>,
    ) -> Result<String, Stopped> {
        let name = name_of(head, &users);
        let Some(label) = self.find_label(&name).await.map_err(Stopped::Meant)? else {
            return Err(self.label(head, users).await);
        };
        let rule = json!([{"label_id": label, "operator": "EQ", "label_value": "1"}]);
        let made = self
            .prepare(
                "alipay.open.public.group.create",
                &json!({"name": name, "label_rule": rule}),
            )
            .await;
        let group = match made {
            Ok(body) => text_of(&body, "group_id"),
            // The label does not act yet.
            Err(SendOutcome::Wrong { reason })
                if reason.contains("TOO_SMALL") || reason.contains("EMPTY") =>
            {
                return Err(Stopped::Labelled {
                    unknown: Vec::new(),
                    until: self.tomorrow(),
                });
            }
            Err(other) => return Err(Stopped::Meant(other)),
        };
        let mut body = material;
        body["group_id"] = group.into();
        let how = CallMode {
            within: FOR_ONE,
            begin_by,
        };
        let sent = ask(
            &self.account,
            &self.signing,
            "broadcast",
            "alipay.open.public.message.group.send",
            &body,
            how,
        )
        .await;
        match sent {
            SendOutcome::Done(body) => {
                // An account has room for a hundred labels. That this one cannot be removed changes
                // nothing.
                let _ = self
                    .prepare(
                        "alipay.open.public.life.label.delete",
                        &json!({"label_id": label}),
                    )
                    .await;
                Ok(text_of(&body, "message_id"))
            }
            other => Err(Stopped::Meant(other)),
        }
    }

    async fn find_label(&self, name: &str) -> Result<Option<String>, SendOutcome> {
        let body = self
            .prepare("alipay.open.public.life.label.batchquery", &json!({}))
            .await?;
        let labels = body["labels"].as_array().into_iter().flatten();
        Ok(labels
            .into_iter()
            .find(|l| text_of(l, "label_name") == name)
            .map(|l| text_of(l, "label_id")))
    }

    /// Labels the users. If the platform does not know some of them, the others are labelled under
    /// the name that they will have without them.
    async fn label(&self, head: &str, mut users: Vec<String>) -> Stopped {
        let mut unknown: Vec<String> = Vec::new();
        loop {
            let name = name_of(head, &users);
            let made = self
                .prepare(
                    "alipay.open.public.life.label.create",
                    &json!({"label_name": name, "data_type": "string"}),
                )
                .await;
            let label = match made {
                Ok(body) => text_of(&body, "label_id"),
                Err(meaning) => return Stopped::Meant(meaning),
            };
            let bad = match self.match_users(&label, &users).await {
                Ok(bad) => bad,
                Err(meaning) => return Stopped::Meant(meaning),
            };
            if bad.is_empty() || bad.len() == users.len() {
                unknown.extend(bad);
                return Stopped::Labelled {
                    unknown,
                    until: self.tomorrow(),
                };
            }
            let _ = self
                .prepare(
                    "alipay.open.public.life.label.delete",
                    &json!({"label_id": label}),
                )
                .await;
            users.retain(|u| !bad.contains(u));
            unknown.extend(bad);
        }
    }

    /// Gives a label to users; gives back those that the platform does not know.
    async fn match_users(&self, label: &str, users: &[String]) -> Result<Vec<String>, SendOutcome> {
        let calls: Vec<Vec<String>> = users
            .chunks(LABELLED_TOGETHER)
            .map(<[String]>::to_vec)
            .collect();
        let (account, signing, label) = (
            self.account.clone(),
            self.signing.clone(),
            label.to_string(),
        );
        let one = move |some: Vec<String>| {
            let this = Broadcast {
                account: account.clone(),
                signing: signing.clone(),
            };
            let matchers: Vec<Value> = some
                .iter()
                .map(|user| json!({kind_of(user): user}))
                .collect();
            let body = json!({"label_id": label, "label_value": "1", "matchers": matchers});
            async move {
                this.prepare("alipay.open.public.matchuser.label.create", &body)
                    .await
            }
        };
        let mut bad = Vec::new();
        for answer in client::each(calls, LABELLING, one).await {
            let body = answer.unwrap_or_else(|| {
                Err(SendOutcome::Unknown {
                    reason: "no answer".into(),
                })
            })?;
            bad.extend(
                body["error_matchers"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|m| {
                        let id = text_of(m, "open_id");
                        if id.is_empty() {
                            text_of(m, "user_id")
                        } else {
                            id
                        }
                    }),
            );
        }
        Ok(bad)
    }

    fn tomorrow(&self) -> Instant {
        end_of(
            WaitUntil::NextDay,
            0,
            self.account.world.now(),
            self.account.zone,
        )
    }
}

/// The name of the label and the group of some users: the same as long as they are the same.
fn name_of(head: &str, users: &[String]) -> String {
    let mut sorted: Vec<&String> = users.iter().collect();
    sorted.sort_unstable();
    let mut hasher = blake3::Hasher::new();
    hasher.update(head.as_bytes());
    for user in sorted {
        hasher.update(b"\n").update(user.as_bytes());
    }
    let hex = hasher.finalize().to_hex();
    format!("tc{}", hex.get(..20).unwrap_or_default())
}
