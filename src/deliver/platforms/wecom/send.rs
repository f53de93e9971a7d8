//! How WeCom's API is called.

use std::sync::Arc;

use serde_json::{Value, json};

use super::settings::{APP_ID, SECRET};
use crate::deliver::channel::Recalled;
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_ONE};
use crate::deliver::http::api_response::{SendOutcome, failure_reason};
use crate::deliver::http::client::{self, encode};
use crate::deliver::http::token::{IssuedToken, TokenError};
use crate::deliver::platforms::tencent;

/// Calls an endpoint with the account's token. `path` begins with a slash.
pub async fn ask(
    account: &Arc<AccountClient>,
    endpoint: &str,
    path: &str,
    body: &Value,
    how: CallMode,
) -> SendOutcome {
    tencent::call_api(account, endpoint, path, body, how, |_| {
        token(account.clone())
    })
    .await
}

async fn token(account: Arc<AccountClient>) -> Result<IssuedToken, TokenError> {
    let settings = &account.settings;
    let url = format!(
        "{}/cgi-bin/gettoken?corpid={}&corpsecret={}",
        account.base_url,
        encode(settings.text(&APP_ID).unwrap_or_default()),
        encode(settings.secret(&SECRET).map_or("", |s| s.expose())),
    );
    let how = CallMode {
        within: FOR_ONE,
        begin_by: None,
    };
    tencent::issued_token(&account, account.get(url, how).await)
}

/// Takes back what was sent under an id, by the path of its endpoint.
pub fn recall(
    account: &Arc<AccountClient>,
    endpoint: &'static str,
    path: &'static str,
    id: &str,
) -> Recalled {
    let (account, body) = (account.clone(), json!({"msgid": id}));
    let how = CallMode {
        within: FOR_ONE,
        begin_by: None,
    };
    match client::run(async move { ask(&account, endpoint, path, &body, how).await }) {
        Some(SendOutcome::Done(_)) => Recalled::Done,
        Some(SendOutcome::Wrong { reason } | SendOutcome::Dropped { reason, .. }) => {
            Recalled::Cannot { reason }
        }
        other => Recalled::Unknown {
            reason: failure_reason(other),
        },
    }
}
