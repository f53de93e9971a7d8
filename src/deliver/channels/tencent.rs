//! What WeChat and WeCom have in common: a token in the query, `errcode` in a body that comes with
//! HTTP status 200 whatever happened.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::base::Elapsed;
use crate::deliver::wire::account::{AccountClient, CallMode, FOR_ONE};
use crate::deliver::wire::api_response::{ApiResponse, SendOutcome};
use crate::deliver::wire::client::{Response, TransportError, encode};
use crate::deliver::wire::token::{IssuedToken, TokenError};

/// Asks an endpoint with the account's token. `path` begins with a slash.
pub async fn ask(
    account: &Arc<AccountClient>,
    endpoint: &str,
    path: &str,
    body: &Value,
    how: CallMode,
) -> SendOutcome {
    let fetch = |force| token(account.clone(), force);
    account
        .with_token(endpoint, fetch, |token| async move {
            let url = format!("{}{path}?access_token={}", account.base_url, encode(&token));
            read(account.post_json(url, Vec::new(), body, how).await)
        })
        .await
}

/// Never decides by the HTTP status alone; but what is no such body says nothing.
pub fn read(answer: Result<Response, TransportError>) -> ApiResponse {
    let response = match answer {
        Ok(response) => response,
        Err(lost) => return ApiResponse::Lost(lost),
    };
    let body: Value = match serde_json::from_slice(&response.body) {
        Ok(body @ Value::Object(_)) => body,
        _ => {
            return ApiResponse::Lost(TransportError::Unknown(format!(
                "HTTP {} without a JSON body",
                response.status
            )));
        }
    };
    match body.get("errcode").map(Value::as_i64) {
        Some(Some(0)) => ApiResponse::Ok(body),
        Some(Some(code)) => {
            let text = body
                .get("errmsg")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_string();
            ApiResponse::Error {
                code: code.to_string(),
                text,
                body,
            }
        }
        // Some answers carry no code when all went well.
        None if response.status == 200 => ApiResponse::Ok(body),
        _ => ApiResponse::Lost(TransportError::Unknown(format!(
            "HTTP {} with an answer that makes no sense",
            response.status
        ))),
    }
}

/// A token of the platform. WeChat's stable endpoint gives the same one to all who ask, so that no
/// two programs evict each other.
async fn token(account: Arc<AccountClient>, force: bool) -> Result<IssuedToken, TokenError> {
    let how = CallMode {
        within: FOR_ONE,
        begin_by: None,
    };
    let (id, secret) = (&account.app_id, account.secret.expose());
    let answer = if account.platform.name == "wecom" {
        let url = format!(
            "{}/cgi-bin/gettoken?corpid={}&corpsecret={}",
            account.base_url,
            encode(id),
            encode(secret)
        );
        account.get(url, how).await
    } else {
        let body = json!({"grant_type": "client_credential", "appid": id, "secret": secret, "force_refresh": force});
        account
            .post_json(
                format!("{}/cgi-bin/stable_token", account.base_url),
                Vec::new(),
                &body,
                how,
            )
            .await
    };
    let heard = read(answer);
    let ApiResponse::Ok(body) = &heard else {
        return Err(account.no_token(heard));
    };
    match (
        body.get("access_token").and_then(Value::as_str),
        body.get("expires_in").and_then(Value::as_i64),
    ) {
        (Some(value), Some(seconds)) if !value.is_empty() && seconds > 0 => Ok(IssuedToken {
            value: value.to_string(),
            lasts: Elapsed::seconds(seconds.min(7200)),
        }),
        _ => Err(account.no_token(heard)),
    }
}

/// A number or a text, as the platforms mix them.
pub fn text_of(body: &Value, name: &str) -> String {
    match body.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(n)) => n.to_string(),
        _ => String::new(),
    }
}
