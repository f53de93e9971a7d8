//! An account of a platform as it is called over HTTP: its settings, its token, what its answers
//! mean, and what it waits for.

use std::future::Future;
use std::sync::Arc;
use std::time;

use serde_json::Value;

use super::api_response::{ApiResponse, SendOutcome};
use super::backoff::Backoff;
use super::client::{Http, Method, Request, Response, TransportError};
use super::secret::Secret;
use super::token::{IssuedToken, Token, TokenError, Tokens};
use crate::base::Msg;
use crate::base::world::World;
use crate::base::{Elapsed, Instant, Zone};
use crate::deliver::account::{AccountSettings, SettingField};
use crate::deliver::channel::NextAction;
use crate::ledger::Refusal;
use crate::msg;
use crate::program::platform::{Platform, Reaction, WaitUntil};

/// Settings of every account that is called over HTTP.
pub const BASE_URL: SettingField = SettingField::text(
    "base_url",
    "another address than the platform's own, such as a test server's",
);
pub const CONCURRENCY: SettingField = SettingField::count(
    "concurrency",
    "concurrent calls for single messages; by default 64",
);

/// Calls of an account that are under way at once, unless its settings say otherwise.
const DEFAULT_CONCURRENCY: usize = 64;

/// The first wait for a platform that cannot be reached; twice as long each time.
const UNREACHABLE: WaitUntil = WaitUntil::For(Elapsed::seconds(30));

/// How long a call for one message may take.
pub const FOR_ONE: time::Duration = time::Duration::from_secs(10);
/// How long a call for a list may take.
pub const FOR_LIST: time::Duration = time::Duration::from_secs(30);

pub struct AccountClient {
    pub name: String,
    pub settings: AccountSettings,
    pub platform: &'static Platform,
    /// The platform's.
    pub zone: Zone,
    /// Without a slash at the end.
    pub base_url: String,
    pub world: Arc<dyn World>,
    http: Arc<Http>,
    tokens: Tokens,
    backoff: Backoff,
}

impl AccountClient {
    /// # Errors
    /// A `base_url` that is no URL.
    pub fn new(
        settings: AccountSettings,
        platform: &'static Platform,
        address: &str,
        http: Arc<Http>,
        world: Arc<dyn World>,
    ) -> Result<Arc<Self>, Msg> {
        let base_url = settings.text(&BASE_URL).unwrap_or(address);
        if !(base_url.starts_with("https://") || base_url.starts_with("http://")) {
            return Err(msg!(
                "`base_url` must begin with `https://` (or `http://` for a test server)",
                "`base_url` 必须以 `https://` 开头（测试服务器可用 `http://`）"
            ));
        }
        Ok(Arc::new(AccountClient {
            name: settings.name.clone(),
            zone: Zone::named(&platform.zone).unwrap_or(Zone::UTC),
            platform,
            base_url: base_url.trim_end_matches('/').to_string(),
            settings,
            world,
            http,
            tokens: Tokens::default(),
            backoff: Backoff::default(),
        }))
    }

    /// A secret that every account of the platform needs.
    ///
    /// # Errors
    /// It is not there.
    pub fn secret(&self, field: &SettingField) -> Result<&Secret, Msg> {
        self.settings.secret(field).ok_or_else(|| {
            let key = field.key();
            msg!("`{key}` is missing", "缺少 `{key}`")
        })
    }

    /// How many calls for single messages may be under way at once.
    pub fn concurrency(&self) -> usize {
        self.settings
            .number(&CONCURRENCY)
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(DEFAULT_CONCURRENCY)
            .max(1)
    }

    /// A text of the platform without what must not be shown.
    pub fn hide(&self, text: &str) -> String {
        let text = self.tokens.hide_in(&self.settings.hide_in(text));
        text.chars().filter(|c| !c.is_control()).take(300).collect()
    }

    /// A JSON request. The body is raw UTF-8; some platforms refuse escapes.
    pub async fn post_json(
        &self,
        url: String,
        headers: Vec<(&'static str, String)>,
        body: &Value,
        how: CallMode,
    ) -> Result<Response, TransportError> {
        let mut headers = headers;
        headers.push(("content-type", "application/json; charset=utf-8".into()));
        let body = serde_json::to_vec(body).map_err(|e| TransportError::NotSent(e.to_string()))?;
        self.exchange(Request {
            method: Method::Post,
            url,
            headers,
            body,
            within: how.within,
            begin_by: how.begin_by,
        })
        .await
    }

    pub async fn get(&self, url: String, how: CallMode) -> Result<Response, TransportError> {
        let request = Request {
            method: Method::Get,
            url,
            headers: Vec::new(),
            body: Vec::new(),
            within: how.within,
            begin_by: how.begin_by,
        };
        self.exchange(request).await
    }

    pub async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        self.http
            .exchange(request)
            .await
            .map_err(|lost| match lost {
                TransportError::NotSent(reason) => TransportError::NotSent(self.hide(&reason)),
                TransportError::Unknown(reason) => TransportError::Unknown(self.hide(&reason)),
            })
    }

    /// Asks with the account's token, and once more with a new one if the platform refuses it. What
    /// it refuses so it does not look at.
    pub async fn with_token<A, F>(
        &self,
        endpoint: &str,
        fetch: impl Fn(bool) -> F,
        ask: impl Fn(String) -> A,
    ) -> SendOutcome
    where
        A: Future<Output = ApiResponse>,
        F: Future<Output = Result<IssuedToken, TokenError>>,
    {
        let no_token = |failed: TokenError| SendOutcome::NotSent {
            reason: failed.reason,
            then: failed.then,
        };
        let token: Token = match self.tokens.get(self.world.now(), &fetch).await {
            Ok(token) => token,
            Err(failed) => return no_token(failed),
        };
        let meaning = self.outcome(endpoint, ask(token.value.clone()).await);
        let SendOutcome::Token { .. } = meaning else {
            return meaning;
        };
        let token = match self.tokens.after(&token, self.world.now(), &fetch).await {
            Ok(token) => token,
            Err(failed) => return no_token(failed),
        };
        match self.outcome(endpoint, ask(token.value).await) {
            SendOutcome::Token { reason } => {
                let name = &self.name;
                let why = msg!(
                    "`{name}` stops: its new token is refused too ({reason}); does another program renew the same account's token?",
                    "`{name}` 已停止：新的 access_token 也被拒绝（{reason}）；是否有其他程序在刷新同一账号的 token？"
                );
                SendOutcome::NotSent {
                    reason,
                    then: NextAction::Stop { why },
                }
            }
            meaning => meaning,
        }
    }

    /// What a refused request for a token means.
    pub fn no_token(&self, heard: ApiResponse) -> TokenError {
        match self.outcome("token", heard) {
            SendOutcome::NotSent { reason, then } => TokenError { reason, then },
            SendOutcome::Done(_) => self.stuck("the platform gave no token"),
            SendOutcome::Unknown { reason } => {
                // Asking for a token sends nothing: it is asked again a little later.
                let until = self.wait("token", WaitUntil::For(Elapsed::seconds(10)));
                let (name, shown) = (&self.name, self.zone.show(until));
                let why = msg!(
                    "`{name}` gets no token ({reason}): it asks again at {shown}",
                    "`{name}` 未能取得 access_token（{reason}）：将于 {shown} 重试"
                );
                TokenError {
                    reason,
                    then: NextAction::Wait { until, why },
                }
            }
            SendOutcome::Dropped { reason, .. }
            | SendOutcome::Wrong { reason }
            | SendOutcome::Token { reason } => self.stuck(&reason),
        }
    }

    fn stuck(&self, reason: &str) -> TokenError {
        let name = &self.name;
        let why = msg!(
            "`{name}` stops: it gets no token ({reason}); check `[accounts.{name}]` in `tagcast.toml`",
            "`{name}` 已停止：未能取得 access_token（{reason}）；请检查 tagcast.toml 的 `[accounts.{name}]`"
        );
        TokenError {
            reason: reason.into(),
            then: NextAction::Stop { why },
        }
    }

    /// What an answer of an endpoint (or of `token`) means, by the error table of the platform file.
    pub fn outcome(&self, endpoint: &str, response: ApiResponse) -> SendOutcome {
        let (code, text, body) = match response {
            ApiResponse::Ok(body) => {
                self.backoff.reset();
                return SendOutcome::Done(body);
            }
            ApiResponse::Lost(TransportError::Unknown(reason)) => {
                return SendOutcome::Unknown { reason };
            }
            ApiResponse::Lost(TransportError::NotSent(reason)) => {
                let until = self.wait("connection", UNREACHABLE);
                let (name, zone) = (&self.name, self.zone);
                let shown = zone.show(until);
                let why = msg!(
                    "`{name}` cannot be reached ({reason}): it is tried again at {shown}",
                    "无法连接 `{name}`（{reason}）：将于 {shown} 重试"
                );
                return SendOutcome::NotSent {
                    reason,
                    then: NextAction::Wait { until, why },
                };
            }
            ApiResponse::NoToken { reason, then } => return SendOutcome::NotSent { reason, then },
            ApiResponse::Error { code, text, body } => (code, self.hide(&text), body),
        };
        let reason = if text.is_empty() {
            code.clone()
        } else {
            format!("{code} {text}")
        };
        // What the table does not know may have been taken.
        let Some(rule) = self.platform.error(endpoint, &code) else {
            return SendOutcome::Unknown { reason };
        };
        let (name, en, zh) = (&self.name, &rule.say.en, &rule.say.zh);
        let stop = || NextAction::Stop {
            why: msg!(
                "`{name}` stops: {en} ({reason})",
                "`{name}` 已停止：{zh}（{reason}）"
            ),
        };
        match rule.does {
            Reaction::Ok => SendOutcome::Done(body),
            Reaction::Token => SendOutcome::Token { reason },
            Reaction::Lookup => SendOutcome::Unknown { reason },
            Reaction::Fix => SendOutcome::Wrong {
                reason: format!("{reason}: {en}"),
            },
            Reaction::DropUser => SendOutcome::Dropped {
                reason,
                because: if rule.for_now {
                    Refusal::ForNow
                } else {
                    Refusal::Address
                },
            },
            Reaction::Stop => SendOutcome::NotSent {
                then: stop(),
                reason,
            },
            // It may be a hiccup of the platform; the second time in a row it is not.
            Reaction::Retry if self.backoff.happened_again(&code, self.world.now()) => {
                SendOutcome::NotSent {
                    then: stop(),
                    reason,
                }
            }
            Reaction::Retry | Reaction::Wait => {
                let until = self.wait(&code, rule.wait.unwrap_or(UNREACHABLE));
                let shown = self.zone.show(until);
                let why = msg!(
                    "`{name}` waits until {shown}: {en} ({reason})",
                    "`{name}` 等待至 {shown}：{zh}（{reason}）"
                );
                SendOutcome::NotSent {
                    then: NextAction::Wait { until, why },
                    reason,
                }
            }
        }
    }

    fn wait(&self, cause: &str, wait: WaitUntil) -> Instant {
        self.backoff.wait(cause, wait, self.world.now(), self.zone)
    }
}

/// How a call is made.
#[derive(Clone, Copy)]
pub struct CallMode {
    pub within: time::Duration,
    pub begin_by: Option<time::Instant>,
}
