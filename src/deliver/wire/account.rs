//! An account of a platform: who it is, its secrets, its token, and how it has fared lately.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time;

use serde_json::Value;

use super::api_response::{self, ApiResponse, SendOutcome};
use super::client::{Http, Method, Request, Response, TransportError};
use super::secret::Secret;
use super::token::{IssuedToken, Token, TokenError, Tokens};
use crate::base::Msg;
use crate::base::world::World;
use crate::base::{Elapsed, Instant, Zone};
use crate::deliver::channel::NextAction;
use crate::msg;
use crate::program::platform::{self, Platform, WaitUntil};

/// What `tagcast.toml` says of an account; secrets are read by then.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AccountSettings {
    pub name: String,
    pub platform: String,
    pub app_id: Option<String>,
    pub secret: Option<Secret>,
    /// Instead of the platform's own address.
    pub base_url: Option<String>,
    /// Of a WeCom application.
    pub agent_id: Option<i64>,
    /// Of a WeCom customer service account.
    pub open_kfid: Option<String>,
    /// The WeCom member who sends to customers; without one, each customer's own.
    pub sender: Option<String>,
    /// The media id of the cover of articles without an image.
    pub cover: Option<String>,
    /// The template of Douyin's mini program cards.
    pub card: Option<String>,
    /// The platform's public key, for its answers.
    pub platform_key: Option<String>,
    /// The account at the platform: Douyin's `open_id`.
    pub open_id: Option<String>,
    /// What new tokens are fetched with.
    pub refresh_token: Option<Secret>,
    /// A webhook that keeps the keys of messages and recognises a repeat.
    pub keeps_keys: bool,
    /// Signs callbacks.
    pub callback_token: Option<Secret>,
    /// Encrypts callbacks.
    pub callback_key: Option<Secret>,
    /// Calls under way at once.
    pub together: Option<usize>,
}

/// Calls of an account that are under way at once, unless its settings say otherwise.
pub const TOGETHER: usize = 64;

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
    pub app_id: String,
    pub secret: Secret,
    /// Without a slash at the end.
    pub base_url: String,
    pub world: Arc<dyn World>,
    http: Arc<Http>,
    tokens: Tokens,
    /// Waits by their cause: how often in a row, and until when.
    waits: Mutex<BTreeMap<String, (u32, Instant)>>,
    /// Refusals that may be hiccups: when they were first seen.
    hiccups: Mutex<BTreeMap<String, Instant>>,
}

/// A hiccup is forgotten after so long.
const HICCUP: Elapsed = Elapsed::minutes(10);

impl AccountClient {
    /// # Errors
    /// A platform that is not known, or settings that lack what it needs.
    pub fn new(
        settings: AccountSettings,
        address: &str,
        http: Arc<Http>,
        world: Arc<dyn World>,
    ) -> Result<Arc<Self>, Msg> {
        let platform = &settings.platform;
        let data = platform::find(platform).ok_or_else(|| {
            msg!(
                "no platform is named `{platform}`",
                "没有名为 `{platform}` 的平台"
            )
        })?;
        let base_url = settings
            .base_url
            .clone()
            .unwrap_or_else(|| address.to_string());
        if !(base_url.starts_with("https://") || base_url.starts_with("http://")) {
            return Err(msg!(
                "`base_url` must begin with `https://` (or `http://` for a test server)",
                "`base_url` 必须以 `https://` 开头（测试服务器可用 `http://`）"
            ));
        }
        Ok(Arc::new(AccountClient {
            name: settings.name.clone(),
            zone: Zone::named(&data.zone).unwrap_or(Zone::UTC),
            platform: data,
            app_id: settings.app_id.clone().unwrap_or_default(),
            secret: settings.secret.clone().unwrap_or_else(|| Secret::new("")),
            base_url: base_url.trim_end_matches('/').to_string(),
            settings,
            world,
            http,
            tokens: Tokens::default(),
            waits: Mutex::default(),
            hiccups: Mutex::default(),
        }))
    }

    pub fn together(&self) -> usize {
        self.settings.together.unwrap_or(TOGETHER).max(1)
    }

    /// A text of the platform without what must not be shown.
    pub fn hide(&self, text: &str) -> String {
        let mut text = self.tokens.hide_in(&self.secret.hide_in(text));
        for secret in [
            &self.settings.refresh_token,
            &self.settings.callback_token,
            &self.settings.callback_key,
        ]
        .into_iter()
        .flatten()
        {
            text = secret.hide_in(&text);
        }
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
        let meaning = SendOutcome::of(self, endpoint, ask(token.value.clone()).await);
        let SendOutcome::Token { .. } = meaning else {
            return meaning;
        };
        let token = match self.tokens.after(&token, self.world.now(), &fetch).await {
            Ok(token) => token,
            Err(failed) => return no_token(failed),
        };
        match SendOutcome::of(self, endpoint, ask(token.value).await) {
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
        match SendOutcome::of(self, "token", heard) {
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

    /// Until when to wait for a cause; longer each time that it happens again after a wait.
    pub(super) fn wait(&self, cause: &str, wait: WaitUntil) -> Instant {
        let now = self.world.now();
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        match waits.get(cause) {
            Some((_, until)) if now < *until => *until,
            before => {
                let times = before.map_or(0, |(times, _)| times.saturating_add(1));
                let until = api_response::end_of(wait, times, now, self.zone);
                waits.insert(cause.into(), (times, until));
                until
            }
        }
    }

    /// Waits begin short again.
    pub(super) fn went_well(&self) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if !waits.is_empty() {
            waits.clear();
        }
    }

    /// Whether what may be a hiccup happened before and was waited for.
    pub(super) fn again(&self, cause: &str) -> bool {
        let now = self.world.now();
        let waited = {
            let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            waits.get(cause).is_none_or(|(_, until)| now >= *until)
        };
        let mut hiccups = self.hiccups.lock().unwrap_or_else(PoisonError::into_inner);
        match hiccups.get(cause) {
            Some(first) if now < first.plus(HICCUP) => waited,
            _ => {
                hiccups.insert(cause.into(), now);
                false
            }
        }
    }
}

/// How a call is made.
#[derive(Clone, Copy)]
pub struct CallMode {
    pub within: time::Duration,
    pub begin_by: Option<time::Instant>,
}
