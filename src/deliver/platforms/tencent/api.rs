//! How Tencent's APIs are called: a token in the query, `errcode` in a body that comes with HTTP
//! status 200 whatever happened.

use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use crate::base::Elapsed;
use crate::deliver::http::account_client::{AccountClient, CallMode};
use crate::deliver::http::api_response::{ApiResponse, SendOutcome};
use crate::deliver::http::client::{Response, TransportError, encode};
use crate::deliver::http::token::{IssuedToken, TokenError};

/// Tokens last no longer, whatever is said.
const LASTS: i64 = 7_200;

/// Calls an endpoint with the account's token, which `token` fetches where it is needed. `path`
/// begins with a slash.
pub async fn call_api<F>(
    account: &Arc<AccountClient>,
    endpoint: &str,
    path: &str,
    body: &Value,
    how: CallMode,
    token: impl Fn(bool) -> F,
) -> SendOutcome
where
    F: Future<Output = Result<IssuedToken, TokenError>>,
{
    account
        .with_token(endpoint, token, |token| async move {
            let url = format!("{}{path}?access_token={}", account.base_url, encode(&token));
            answer_of(account.post_json(url, Vec::new(), body, how).await)
        })
        .await
}

/// Never decides by the HTTP status alone; but what is no such body says nothing.
fn answer_of(answer: Result<Response, TransportError>) -> ApiResponse {
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

/// The token in an answer of the platform.
///
/// # Errors
/// An answer without one.
pub fn issued_token(
    account: &AccountClient,
    answer: Result<Response, TransportError>,
) -> Result<IssuedToken, TokenError> {
    let response = answer_of(answer);
    let ApiResponse::Ok(body) = &response else {
        return Err(account.no_token(response));
    };
    match (
        body.get("access_token").and_then(Value::as_str),
        body.get("expires_in").and_then(Value::as_i64),
    ) {
        (Some(value), Some(seconds)) if !value.is_empty() && seconds > 0 => Ok(IssuedToken {
            value: value.to_string(),
            lasts: Elapsed::seconds(seconds.min(LASTS)),
        }),
        _ => Err(account.no_token(response)),
    }
}
