//! The service's HTTP side: who may call what, how large and how long a call may be, and what is
//! answered.
//!
//! [`ROUTES`] is the list of what there is; `openapi.json` describes the same, and a test holds the
//! two together. Nothing here decides or sends: what comes in is made durable, acknowledged, and
//! the scheduler is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde_json::json;
use tokio::net::TcpListener;

use super::call_inbox::InboxSender;
use super::intake::{Intake, IntakeKind};
use super::listener::LimitedListener;
use super::service_state::ServiceState;
use crate::base::{Lang, Msg};
use crate::deliver::callback::Incoming;
use crate::deliver::http::secret::Secret;
use crate::deliver::http::signature::same;
use crate::engine::Failure;
use crate::ledger::NewCall;
use crate::msg;

/// What a call's body may have, in bytes.
const MOST_BODY: usize = 8 << 20;
/// How long a call may take, its body included.
const MOST_TIME: Duration = Duration::from_secs(30);
/// How long calls that are under way may take to end once the service is asked to stop.
const LAST_CALLS: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(100);
/// A shorter token could be guessed.
pub const SHORTEST_TOKEN: usize = 16;

/// The description of the interface.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    Open,
    /// Whoever has the service's token; everybody where there is none, which only a loopback
    /// address may have.
    Token,
    /// The platform, by its signature.
    Platform,
}

/// Method, path, who may call.
pub const ROUTES: [(&str, &str, Access); 7] = [
    ("get", "/healthz", Access::Open),
    ("get", "/metrics", Access::Token),
    ("get", "/openapi.json", Access::Token),
    ("post", "/v1/events", Access::Token),
    ("post", "/v1/tags", Access::Token),
    ("get", "/v1/callbacks/{account}", Access::Platform),
    ("post", "/v1/callbacks/{account}", Access::Platform),
];

/// How the service listens.
pub struct ListenOptions {
    pub at: SocketAddr,
    pub token: Option<Secret>,
}

impl ListenOptions {
    /// # Errors
    /// An address that others can reach without a token, or a token that could be guessed.
    pub fn new(at: SocketAddr, token: Option<Secret>) -> Result<Self, Failure> {
        if let Some(token) = &token
            && token.expose().len() < SHORTEST_TOKEN
        {
            return Err(Failure::new(msg!(
                "the token is shorter than {SHORTEST_TOKEN} characters and could be guessed",
                "令牌短于 {SHORTEST_TOKEN} 个字符，可能被猜到"
            ))
            .help(msg!(
                "make one with `openssl rand -hex 32`",
                "可用 `openssl rand -hex 32` 生成"
            )));
        }
        if token.is_none() && !at.ip().is_loopback() {
            return Err(Failure::new(msg!(
                "`{at}` can be reached by others, and no token is set",
                "`{at}` 可被其他机器访问，但未设置令牌"
            ))
            .help(msg!(
                "set TAGCAST_TOKEN or `--token-file FILE`, or listen on 127.0.0.1",
                "请设置 TAGCAST_TOKEN 或 `--token-file 文件`，或只监听 127.0.0.1"
            )));
        }
        Ok(ListenOptions { at, token })
    }
}

/// A call's body, or why there is none.
type Body = Result<Bytes, BytesRejection>;

/// What every call can use.
struct AppState {
    service: Arc<ServiceState>,
    token: Option<Secret>,
    inbox: InboxSender,
    intake: Arc<Intake>,
}

pub(super) struct HttpServer {
    listener: std::net::TcpListener,
    app: Arc<AppState>,
}

impl HttpServer {
    /// Takes the address; nothing is answered before [`Self::run`].
    ///
    /// # Errors
    /// An address that is taken or not ours.
    pub fn bind(
        listen: ListenOptions,
        service: Arc<ServiceState>,
        inbox: InboxSender,
        intake: Arc<Intake>,
    ) -> Result<Self, Failure> {
        let at = listen.at;
        let bound =
            std::net::TcpListener::bind(at).and_then(|l| l.set_nonblocking(true).map(|()| l));
        let listener = bound.map_err(|e| {
            Failure::new(msg!("cannot listen on `{at}`: {e}", "无法监听 `{at}`：{e}")).help(msg!(
                "choose another with `--listen 127.0.0.1:PORT`",
                "请用 `--listen 127.0.0.1:端口` 另选地址"
            ))
        })?;
        Ok(HttpServer {
            listener,
            app: Arc::new(AppState {
                service,
                token: listen.token,
                inbox,
                intake,
            }),
        })
    }

    /// Where it listens; the port is known even where 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.listener.local_addr().ok()
    }

    /// Answers until the world asks to stop, and calls under way have ended.
    ///
    /// # Errors
    /// A system that gives no threads or no sockets.
    pub fn run(self) -> Result<(), Failure> {
        let failed = |e: std::io::Error| {
            Failure::new(msg!(
                "the HTTP side cannot work: {e}",
                "HTTP 服务无法运行：{e}"
            ))
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(failed)?;
        let service = self.app.service.clone();
        let asked_to_stop = async move {
            while !service.world.stopping() {
                tokio::time::sleep(TICK).await;
            }
        };
        runtime.block_on(async {
            let listener =
                LimitedListener::new(TcpListener::from_std(self.listener).map_err(failed)?);
            let serving = axum::serve(listener, router(self.app.clone()))
                .with_graceful_shutdown(asked_to_stop);
            let service = self.app.service.clone();
            let at_the_latest = async move {
                while !service.world.stopping() {
                    tokio::time::sleep(TICK).await;
                }
                tokio::time::sleep(LAST_CALLS).await;
            };
            tokio::select! {
                done = serving => done.map_err(failed),
                () = at_the_latest => Ok(()),
            }
        })
    }
}

fn router(app: Arc<AppState>) -> Router {
    let mut router = Router::new();
    for (method, path, access) in ROUTES {
        let handler = handler(method, path);
        router = router.route(
            path,
            match access {
                Access::Open | Access::Platform => handler,
                Access::Token => handler.layer(from_fn_with_state(app.clone(), with_token)),
            },
        );
    }
    router
        .fallback(|headers: HeaderMap| async move {
            refuse(
                StatusCode::NOT_FOUND,
                &headers,
                &msg!(
                    "there is nothing here; see /openapi.json",
                    "此路径不存在；见 /openapi.json"
                ),
            )
        })
        .method_not_allowed_fallback(|headers: HeaderMap| async move {
            let why = msg!(
                "this path does not know the method; see /openapi.json",
                "此路径不支持该方法；见 /openapi.json"
            );
            refuse(StatusCode::METHOD_NOT_ALLOWED, &headers, &why)
        })
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .layer(from_fn_with_state(app.clone(), in_time))
        .with_state(app)
}

/// What answers a route; every one of [`ROUTES`] has an arm, which a test sees to.
fn handler(method: &str, path: &str) -> MethodRouter<Arc<AppState>> {
    match (method, path) {
        (_, "/metrics") => get(metrics),
        (_, "/openapi.json") => get(openapi),
        (_, "/v1/events") => post(events),
        (_, "/v1/tags") => post(tags),
        ("get", "/v1/callbacks/{account}") => get(verify_url),
        (_, "/v1/callbacks/{account}") => post(callback),
        _ => get(health),
    }
}

/// Counts calls, and ends those that take too long.
async fn in_time(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    app.service.metrics.requests.add(1);
    match tokio::time::timeout(MOST_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => refuse(
            StatusCode::REQUEST_TIMEOUT,
            &headers,
            &msg!("the call took too long", "调用超时"),
        ),
    }
}

async fn with_token(State(app): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    if app.knows(request.headers()) {
        next.run(request).await
    } else {
        no_token(request.headers())
    }
}

fn no_token(headers: &HeaderMap) -> Response {
    let why = msg!(
        "send the service's token: `Authorization: Bearer TOKEN`",
        "请携带服务令牌：`Authorization: Bearer 令牌`"
    );
    let mut response = refuse(StatusCode::UNAUTHORIZED, headers, &why);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

impl AppState {
    /// Whether a call brings the token; where there is none, everybody does.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.token else {
            return true;
        };
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| v.strip_prefix("Bearer "));
        given.is_some_and(|given| same(given.trim(), token.expose()))
    }
}

/// An error as callers read it, in the language that they ask for.
fn refuse(status: StatusCode, headers: &HeaderMap, why: &Msg) -> Response {
    (
        status,
        axum::Json(json!({"error": why.get(asked_for(headers))})),
    )
        .into_response()
}

/// A body that is too large, or that ended before its time.
fn no_body(why: &BytesRejection, headers: &HeaderMap) -> Response {
    let message = match why.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            let most = MOST_BODY >> 20;
            msg!(
                "the body has more than {most} MiB: send it in parts",
                "请求体超过 {most} MiB：请分批发送"
            )
        }
        _ => msg!(
            "the body could not be read to its end: repeat the call",
            "请求体未能读完：请重发"
        ),
    };
    refuse(why.status(), headers, &message)
}

fn asked_for(headers: &HeaderMap) -> Lang {
    let zh = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.trim_start().starts_with("zh"));
    if zh { Lang::Zh } else { Lang::En }
}

async fn health(State(app): State<Arc<AppState>>) -> Response {
    let metrics = &app.service.metrics;
    let status = match (metrics.clock_jumped.get(), metrics.retrying.get()) {
        (0, 0) => return axum::Json(json!({"status": "ok"})).into_response(),
        (0, _) => "work is tried again later",
        (_, _) => "the clock jumped",
    };
    (
        StatusCode::SERVICE_UNAVAILABLE,
        axum::Json(json!({"status": status})),
    )
        .into_response()
}

async fn metrics(State(app): State<Arc<AppState>>) -> Response {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        app.service.metrics.show(),
    )
        .into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

async fn events(State(app): State<Arc<AppState>>, headers: HeaderMap, body: Body) -> Response {
    changes(&app, &headers, body, IntakeKind::Events).await
}

async fn tags(State(app): State<Arc<AppState>>, headers: HeaderMap, body: Body) -> Response {
    changes(&app, &headers, body, IntakeKind::Tags).await
}

/// Lines of changes: those that can be read are durable when this answers, the others are named
/// with their line.
async fn changes(
    app: &Arc<AppState>,
    headers: &HeaderMap,
    body: Body,
    kind: IntakeKind,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(why) => return no_body(&why, headers),
    };
    let intake = app.intake.clone();
    // It waits for the disk.
    let taken = tokio::task::spawn_blocking(move || intake.take(&body, kind)).await;
    let metrics = &app.service.metrics;
    let (accepted, refused) = match kind {
        IntakeKind::Events => (&metrics.events, &metrics.events_refused),
        IntakeKind::Tags => (&metrics.tag_changes, &metrics.tag_changes_refused),
    };
    match taken {
        Ok(Ok(taken)) => {
            accepted.add(taken.new);
            refused.add(taken.errors.len());
            let lang = asked_for(headers);
            let errors: Vec<_> = taken
                .errors
                .iter()
                .map(|(line, why)| json!({"line": line, "error": why.get(lang)}))
                .collect();
            // Nothing of it was any good: whoever sent it should look.
            let status = if taken.accepted == 0 && !errors.is_empty() {
                StatusCode::BAD_REQUEST
            } else {
                StatusCode::OK
            };
            let body = json!({"accepted": taken.accepted, "new": taken.new, "position": taken.position, "errors": errors});
            (status, axum::Json(body)).into_response()
        }
        Ok(Err(why)) => refuse(StatusCode::SERVICE_UNAVAILABLE, headers, &why),
        Err(_) => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            headers,
            &msg!(
                "nothing was kept: repeat the call",
                "未保存任何内容：请重发"
            ),
        ),
    }
}

/// The platform checks the address that it was given for callbacks.
async fn verify_url(
    State(app): State<Arc<AppState>>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let all = app.service.accounts.get();
    let Some(callbacks) = all.callbacks.get(&account) else {
        return app.no_account(&account, &headers);
    };
    let call = Incoming {
        query: query.as_deref().unwrap_or(""),
        signature: "",
        body: "",
        at: app.service.world.now(),
    };
    match callbacks.verify_url(&call) {
        Ok(text) => text.into_response(),
        Err(why) => app.not_from_platform(&headers, &why),
    }
}

/// Something to be kept: checked, made durable, acknowledged; read later.
async fn callback(
    State(app): State<Arc<AppState>>,
    Path(account): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(why) => return no_body(&why, &headers),
    };
    let all = app.service.accounts.get();
    let Some(callbacks) = all.callbacks.get(&account) else {
        return app.no_account(&account, &headers);
    };
    let Ok(body) = String::from_utf8(body.into()) else {
        return refuse(
            StatusCode::BAD_REQUEST,
            &headers,
            &msg!("the body is not UTF-8", "请求体不是 UTF-8"),
        );
    };
    let at = app.service.world.now();
    let signature = headers
        .get(callbacks.signature_header())
        .and_then(|v| v.to_str().ok())
        .unwrap_or("")
        .to_owned();
    let query = query.unwrap_or_default();
    let call = Incoming {
        query: &query,
        signature: &signature,
        body: &body,
        at,
    };
    let by_token = callbacks.accepts_token() && signature.is_empty() && app.knows(&headers);
    if !by_token && let Err(why) = callbacks.check(&call) {
        return app.not_from_platform(&headers, &why);
    }
    // A caller with the token can correct its call and reads at once what is wrong; a platform cannot,
    // and repeats what is refused.
    if by_token && let Err(why) = callbacks.read(&call) {
        return refuse(StatusCode::BAD_REQUEST, &headers, &why);
    }
    let answer = callbacks.acknowledge(&call);
    match app
        .inbox
        .keep(NewCall {
            account,
            at,
            query,
            signature,
            body,
        })
        .await
    {
        true => ([(header::CONTENT_TYPE, answer.kind)], answer.body).into_response(),
        false => refuse(
            StatusCode::SERVICE_UNAVAILABLE,
            &headers,
            &msg!(
                "the call could not be kept: repeat it",
                "未能保存调用：请重发"
            ),
        ),
    }
}

impl AppState {
    fn no_account(&self, account: &str, headers: &HeaderMap) -> Response {
        self.service.metrics.callbacks_refused.add(1);
        let shown: String = account.chars().take(40).collect();
        let why = msg!(
            "the account `{shown}` has no callbacks here",
            "账号 `{shown}` 在此没有回调"
        );
        refuse(StatusCode::NOT_FOUND, headers, &why)
    }

    fn not_from_platform(&self, headers: &HeaderMap, why: &Msg) -> Response {
        self.service.metrics.callbacks_refused.add(1);
        refuse(StatusCode::FORBIDDEN, headers, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openapi.json` describes is what there is, method by method, and it says who may call.
    #[test]
    fn the_description_is_true() {
        let described: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let mut there: Vec<(String, String, bool)> = Vec::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            for (method, operation) in methods
                .as_object()
                .unwrap()
                .iter()
                .filter(|(m, _)| *m != "parameters")
            {
                assert!(
                    operation["summary"].is_string() && operation["responses"].is_object(),
                    "{method} {path}"
                );
                let token = operation["security"]
                    .as_array()
                    .is_some_and(|s| s.iter().any(|s| s.get("token").is_some()));
                there.push((method.clone(), path.clone(), token));
            }
        }
        there.sort();
        let mut routes: Vec<(String, String, bool)> = ROUTES
            .iter()
            .map(|(method, path, access)| {
                ((*method).into(), (*path).into(), *access == Access::Token)
            })
            .collect();
        routes.sort();
        assert_eq!(there, routes);
    }

    #[test]
    fn a_public_address_needs_a_token() {
        let listen = |at: &str, token: Option<&str>| {
            ListenOptions::new(at.parse().unwrap(), token.map(Secret::new))
                .map_err(|f| f.message.en)
        };
        assert!(listen("127.0.0.1:7420", None).is_ok());
        assert!(listen("[::1]:7420", None).is_ok());
        assert!(listen("0.0.0.0:7420", None).is_err_and(|e| e.contains("no token is set")));
        assert!(listen("0.0.0.0:7420", Some("0123456789abcdef")).is_ok());
        assert!(
            listen("127.0.0.1:7420", Some("short")).is_err_and(|e| e.contains("shorter than 16"))
        );
    }
}
