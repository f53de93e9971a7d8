//! A receiver of one's own: one signed POST a message.
//!
//! The body is JSON; the header `X-Tagcast-Signature` is `t=SECONDS,v1=HEX`, HMAC-SHA256 under the
//! account's secret over `SECONDS.BODY`. `Idempotency-Key` is the message's key: the same for ever,
//! and the same again when a send is repeated.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::settings::{KEEPS_KEYS, SECRET};
use crate::base::Elapsed;
use crate::base::Msg;
use crate::deliver::channel::{Channel, NextAction, Reply};
use crate::deliver::http::account_client::{AccountClient, FOR_ONE};
use crate::deliver::http::api_response::ApiResponse;
use crate::deliver::http::client::{Method, Request, Response, TransportError};
use crate::deliver::http::secret::Secret;
use crate::deliver::http::signature::hmac_sha256;
use crate::deliver::platforms::adapter::NamedChannels;
use crate::deliver::send_each::send_each;
use crate::ledger::{Batch, Message};
use crate::program::platform::Endpoint;

struct WebhookChannel {
    account: Arc<AccountClient>,
    endpoint: &'static Endpoint,
    secret: Secret,
}

/// # Errors
/// No secret.
pub fn channels(
    account: &Arc<AccountClient>,
    endpoints: &[&'static Endpoint],
) -> Result<NamedChannels, Msg> {
    let secret = account.secret(&SECRET)?;
    Ok(endpoints
        .iter()
        .map(|endpoint| {
            let channel = WebhookChannel {
                account: account.clone(),
                endpoint,
                secret: secret.clone(),
            };
            (
                endpoint.name.as_str(),
                Arc::new(channel) as Arc<dyn Channel>,
            )
        })
        .collect())
}

impl Channel for WebhookChannel {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        self.account.concurrency()
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn knows_repeats(&self) -> bool {
        self.account.settings.flag(&KEEPS_KEYS)
    }

    fn send(&self, batch: &Batch) -> Reply {
        let (account, endpoint, begin_by) = (self.account.clone(), self.endpoint, batch.begin_by);
        let secret = self.secret.clone();
        let head = Arc::new((
            batch.campaign.clone(),
            batch.step.clone(),
            batch.arm.clone(),
            batch.template.clone(),
            batch.zone.show_rfc3339(batch.at),
        ));
        send_each(
            batch.messages.clone(),
            self.account.concurrency(),
            move |message: Message| {
                let (account, head, secret) = (account.clone(), head.clone(), secret.clone());
                async move {
                    let (campaign, step, arm, template, at) = &*head;
                    let parts: Map<String, Value> = message
                        .content
                        .parts
                        .iter()
                        .map(|(n, v)| (n.clone(), v.as_str().into()))
                        .collect();
                    let body = json!({
                        "key": message.key, "campaign": campaign, "step": step, "arm": arm, "template": template,
                        "user": &*message.user_id, "address": &*message.address, "parts": parts, "at": at,
                    });
                    let body = body.to_string().into_bytes();
                    let seconds = account.world.now().0.div_euclid(1_000_000).to_string();
                    let signature =
                        hmac_sha256(&secret, &[seconds.as_bytes(), b".", &body].concat());
                    let headers = vec![
                        (
                            "content-type",
                            "application/json; charset=utf-8".to_string(),
                        ),
                        ("idempotency-key", message.key.clone()),
                        ("x-tagcast-signature", format!("t={seconds},v1={signature}")),
                    ];
                    let request = Request {
                        method: Method::Post,
                        url: account.base_url.clone(),
                        headers,
                        body,
                        within: FOR_ONE,
                        begin_by,
                    };
                    let heard = read(account.exchange(request).await);
                    let key = message.key.clone();
                    let meaning = account.outcome(&endpoint.name, heard);
                    let (verdict, then): (_, NextAction) = meaning.verdict(|body| {
                        body.get("id")
                            .and_then(Value::as_str)
                            .unwrap_or(&key)
                            .to_string()
                    });
                    (vec![verdict], then)
                }
            },
        )
    }
}

/// 2xx is taken; the platform file says what the others mean; what it does not list may have been
/// taken.
fn read(answer: Result<Response, TransportError>) -> ApiResponse {
    let response = match answer {
        Ok(response) => response,
        Err(lost) => return ApiResponse::Lost(lost),
    };
    let body = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    match response.status {
        200..=299 => ApiResponse::Ok(body),
        status => ApiResponse::Error {
            code: format!("http {status}"),
            text: String::new(),
            body,
        },
    }
}
