//! Platforms to test against: servers that check what the real ones check, refuse what they refuse,
//! and fail as they are known to fail.
//!
//! A server keeps a log of what it accepted: the truth to compare a ledger with. Faults are
//! switched on by [`Server::fault`]. By hand: `cargo run --example platform -- service_account
//! --port 8080`.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod alipay;
pub mod douyin;
pub mod sealed;
pub mod wechat;
pub mod wecom;

pub mod webhook;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};
use serde_json::{Value, json};

/// A request as a platform sees it.
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// `Null` where the body is no JSON.
    pub json: Value,
    /// Seconds.
    pub now: i64,
}

impl Seen {
    pub fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn text(&self, name: &str) -> &str {
        self.json
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What it answers, and what it will tell its customer later.
pub struct Said {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub events: Vec<Callback>,
}

impl Said {
    pub fn json(body: &Value) -> Said {
        Said {
            status: 200,
            headers: Vec::new(),
            body: body.to_string().into_bytes(),
            events: Vec::new(),
        }
    }

    pub fn status(status: u16, body: &str) -> Said {
        Said {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            events: Vec::new(),
        }
    }

    pub fn error(code: i64, text: &str) -> Said {
        Said::json(&json!({"errcode": code, "errmsg": text}))
    }

    pub fn with(mut self, event: Callback) -> Said {
        self.events.push(event);
        self
    }
}

/// A request that the platform makes to its customer.
#[derive(Clone, Debug)]
pub struct Callback {
    pub query: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// One accepted message or job.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub endpoint: &'static str,
    /// The sender's key, where the endpoint has one.
    pub key: String,
    pub users: Vec<String>,
    pub content: Value,
    pub id: String,
}

/// A simulated platform.
pub trait Platform: Send {
    fn answer(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said;

    fn as_any(&mut self) -> &mut dyn std::any::Any;
}

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum What {
    /// The connection is cut before the platform has looked at the request.
    CutBefore,
    /// … after it has accepted it.
    CutAfter,
    /// No answer comes; the platform has not looked at it.
    HangBefore,
    /// No answer comes; the platform has accepted it.
    HangAfter,
    /// This answer, whatever was asked; the platform has not looked at it.
    Instead(u16, Value),
    /// This answer after the platform has accepted it.
    After(u16, Value),
    /// Sent elsewhere, body and all.
    Redirect,
}

#[derive(Clone, Debug)]
pub struct Fault {
    /// A part of the path.
    pub path: String,
    pub what: What,
    /// Requests let through first.
    pub after: usize,
    pub times: usize,
}

/// Something that happens to the customer in the middle of a request; the connection ends with it.
pub struct Blow {
    /// A part of the path.
    pub path: String,
    /// Requests let through first.
    pub after: usize,
    /// The platform has accepted the request by then; else it never looks at it.
    pub accepted: bool,
    pub falls: Box<dyn FnOnce() + Send>,
}

/// How callbacks go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Calls {
    Once,
    Never,
    Twice,
    /// Before the answer to the request.
    Early,
    /// The newest first.
    Reversed,
}

struct Inside {
    platform: Box<dyn Platform>,
    log: Vec<Accepted>,
    faults: Vec<Fault>,
    blow: Option<Blow>,
    requests: Vec<(String, Bytes)>,
    latency: Duration,
    callbacks: Option<(String, Calls)>,
    held: Vec<Callback>,
    undelivered: usize,
    under_way: usize,
    most_under_way: usize,
}

#[derive(Clone)]
struct Shared {
    inside: Arc<Mutex<Inside>>,
    /// Seconds that its clock is ahead.
    ahead: Arc<AtomicI64>,
    client: reqwest::Client,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running platform.
pub struct Server {
    pub url: String,
    shared: Shared,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    pub fn start(platform: impl Platform + 'static) -> Server {
        Server::on_port(platform, 0)
    }

    pub fn on_port(platform: impl Platform + 'static, port: u16) -> Server {
        let inside = Inside {
            platform: Box::new(platform),
            log: Vec::new(),
            faults: Vec::new(),
            blow: None,
            requests: Vec::new(),
            latency: Duration::ZERO,
            callbacks: None,
            held: Vec::new(),
            undelivered: 0,
            under_way: 0,
            most_under_way: 0,
        };
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5))
            .build()
            .expect("a client");
        let shared = Shared {
            inside: Arc::new(Mutex::new(inside)),
            ahead: Arc::default(),
            client,
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
                    .await
                    .expect("a port");
                tell.send(listener.local_addr().expect("an address"))
                    .expect("someone waits");
                let app = axum::Router::new().fallback(handle).with_state(served);
                tokio::select! {
                    _ = axum::serve(listener, app) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = told.recv().expect("the server starts");
        Server {
            url: format!("http://{address}"),
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Waits until the server ends; for running it by hand.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    /// Something goes wrong with the next requests whose path contains this.
    pub fn fault(&self, path: &str, what: What, times: usize) {
        self.fault_after(path, what, 0, times);
    }

    pub fn fault_after(&self, path: &str, what: What, after: usize, times: usize) {
        self.shared.lock().faults.push(Fault {
            path: path.into(),
            what,
            after,
            times,
        });
    }

    pub fn clear_faults(&self) {
        self.shared.lock().faults.clear();
    }

    /// Something happens in the middle of one of the next requests.
    pub fn blow(&self, blow: Blow) {
        self.shared.lock().blow = Some(blow);
    }

    /// Whether it has not happened yet.
    pub fn blow_is_due(&self) -> bool {
        self.shared.lock().blow.is_some()
    }

    pub fn latency(&self, latency: Duration) {
        self.shared.lock().latency = latency;
    }

    pub fn call_back(&self, url: &str, how: Calls) {
        self.shared.lock().callbacks = Some((url.into(), how));
    }

    /// Sends the callbacks that were held back, the newest first.
    pub fn release_callbacks(&self) {
        let (shared, held) = (
            self.shared.clone(),
            std::mem::take(&mut self.shared.lock().held),
        );
        let url = shared
            .lock()
            .callbacks
            .as_ref()
            .map(|(url, _)| url.clone())
            .unwrap_or_default();
        block(async move {
            for callback in held.into_iter().rev() {
                deliver(&shared, &url, &callback).await;
            }
        });
    }

    /// Pushes a callback, as often as the platform does until it is taken; gives the answers.
    pub fn push(&self, callback: &Callback) -> Vec<(u16, String)> {
        let (shared, callback) = (self.shared.clone(), callback.clone());
        let url = shared
            .lock()
            .callbacks
            .as_ref()
            .map(|(url, _)| url.clone())
            .unwrap_or_default();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let kept = answers.clone();
        block(async move {
            let answers = deliver(&shared, &url, &callback).await;
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = answers;
        });
        std::mem::take(&mut answers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the platform's clock, in seconds.
    pub fn clock_at(&self, seconds: i64) {
        self.shared
            .ahead
            .store(seconds - wall_clock(), Ordering::SeqCst);
    }

    /// Moves the platform's clock.
    pub fn advance(&self, by: Duration) {
        self.shared.ahead.fetch_add(
            i64::try_from(by.as_secs()).expect("a short time"),
            Ordering::SeqCst,
        );
    }

    pub fn log(&self) -> Vec<Accepted> {
        self.shared.lock().log.clone()
    }

    /// How often each user got a message, by the platform's own log.
    pub fn received(&self) -> BTreeMap<String, usize> {
        let mut received = BTreeMap::new();
        for accepted in self.log() {
            for user in accepted.users {
                *received.entry(user).or_default() += 1;
            }
        }
        received
    }

    /// Requests whose path contains this.
    pub fn requests(&self, path: &str) -> usize {
        self.shared
            .lock()
            .requests
            .iter()
            .filter(|(p, _)| p.contains(path))
            .count()
    }

    /// What was sent to paths that contain this.
    pub fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        self.shared
            .lock()
            .requests
            .iter()
            .filter(|(p, _)| p.contains(path))
            .map(|(_, body)| body.to_vec())
            .collect()
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> usize {
        self.shared.lock().most_under_way
    }

    pub fn undelivered(&self) -> usize {
        self.shared.lock().undelivered
    }

    /// Does something with the platform.
    pub fn with<P: Platform + 'static, T>(&self, f: impl FnOnce(&mut P) -> T) -> T {
        f(self
            .shared
            .lock()
            .platform
            .as_any()
            .downcast_mut::<P>()
            .expect("the platform that the server was started with"))
    }
}

fn block(work: impl Future<Output = ()> + Send + 'static) {
    std::thread::spawn(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(work)
    })
    .join()
    .expect("done");
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct UnderWay(Shared);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.lock().under_way -= 1;
    }
}

/// Ends the connection as it is, without a word: the task that serves it unwinds.
fn cut() -> ! {
    std::panic::resume_unwind(Box::new(()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a platform has a clock of its own"
)]
fn wall_clock() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_secs() as i64)
}

async fn handle(
    State(shared): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let now = wall_clock() + shared.ahead.load(Ordering::SeqCst);
    let path = uri.path().to_string();
    let (fault, blow, latency, _under_way) = {
        let mut inside = shared.lock();
        inside.requests.push((path.clone(), body.clone()));
        inside.under_way += 1;
        inside.most_under_way = inside.most_under_way.max(inside.under_way);
        let fault = inside
            .faults
            .iter_mut()
            .find(|f| f.times > 0 && path.contains(&f.path))
            .and_then(|f| {
                if f.after > 0 {
                    f.after -= 1;
                    return None;
                }
                f.times -= 1;
                Some(f.what.clone())
            });
        let blow = match inside.blow.take() {
            Some(blow) if path.contains(&blow.path) && blow.after == 0 => Some(blow),
            Some(blow) if path.contains(&blow.path) => {
                inside.blow = Some(Blow {
                    after: blow.after - 1,
                    ..blow
                });
                None
            }
            other => {
                inside.blow = other;
                None
            }
        };
        (fault, blow, inside.latency, UnderWay(shared.clone()))
    };
    tokio::time::sleep(latency).await;
    let blow = match blow {
        Some(blow) if !blow.accepted => {
            (blow.falls)();
            cut()
        }
        other => other,
    };
    match &fault {
        Some(What::CutBefore) => cut(),
        Some(What::HangBefore) => tokio::time::sleep(Duration::from_secs(600)).await,
        Some(What::Instead(status, body)) => {
            return respond(Said {
                status: *status,
                ..Said::json(body)
            });
        }
        Some(What::Redirect) => {
            let headers = vec![("location".into(), uri.to_string())];
            return respond(Said {
                status: 307,
                headers,
                body: Vec::new(),
                events: Vec::new(),
            });
        }
        _ => {}
    }
    let seen = Seen {
        method: method.to_string(),
        path,
        query: uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(n, v)| (n.into(), decode(v)))
            .collect(),
        headers: headers
            .iter()
            .map(|(n, v)| {
                (
                    n.to_string(),
                    String::from_utf8_lossy(v.as_bytes()).into_owned(),
                )
            })
            .collect(),
        json: serde_json::from_slice(&body).unwrap_or(Value::Null),
        body: body.to_vec(),
        now,
    };
    let (mut said, callbacks) = {
        let mut inside = shared.lock();
        let Inside {
            platform,
            log,
            callbacks,
            ..
        } = &mut *inside;
        (platform.answer(&seen, log), callbacks.clone())
    };
    if let Some(blow) = blow {
        (blow.falls)();
        cut();
    }
    let events = std::mem::take(&mut said.events);
    if let Some((url, how)) = callbacks {
        let shared = shared.clone();
        match how {
            Calls::Never => {}
            Calls::Reversed => shared.lock().held.extend(events),
            Calls::Early => {
                for event in &events {
                    deliver(&shared, &url, event).await;
                }
            }
            Calls::Once | Calls::Twice => {
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    for _ in 0..if how == Calls::Twice { 2 } else { 1 } {
                        for event in &events {
                            deliver(&shared, &url, event).await;
                        }
                    }
                });
            }
        }
    }
    match fault {
        Some(What::CutAfter) => cut(),
        Some(What::HangAfter) => tokio::time::sleep(Duration::from_secs(600)).await,
        Some(What::After(status, body)) => {
            return respond(Said {
                status,
                ..Said::json(&body)
            });
        }
        _ => {}
    }
    respond(said)
}

/// As the platforms do: three tries, five seconds each.
async fn deliver(shared: &Shared, url: &str, callback: &Callback) -> Vec<(u16, String)> {
    let mut answers = Vec::new();
    let url = if callback.query.is_empty() {
        url.to_string()
    } else {
        format!("{url}?{}", callback.query)
    };
    for _ in 0..3 {
        let mut request = shared.client.post(&url).body(callback.body.clone());
        for (name, value) in &callback.headers {
            request = request.header(name, value);
        }
        if let Ok(answer) = request.send().await {
            let status = answer.status();
            answers.push((status.as_u16(), answer.text().await.unwrap_or_default()));
            if status.is_success() {
                return answers;
            }
        }
    }
    shared.lock().undelivered += 1;
    answers
}

fn respond(said: Said) -> Response<Body> {
    let mut response = Response::builder().status(said.status);
    if !said.headers.iter().any(|(n, _)| n == "content-type") {
        response = response.header("content-type", "application/json; charset=utf-8");
    }
    for (name, value) in said.headers {
        let name = HeaderName::try_from(name).expect("a header");
        response = response.header(name, HeaderValue::try_from(value).expect("a header"));
    }
    response.body(Body::from(said.body)).expect("a response")
}

pub fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'%' => {
                let hex: String = bytes.by_ref().take(2).map(char::from).collect();
                out.push(u8::from_str_radix(&hex, 16).unwrap_or(b'?'));
            }
            b'+' => out.push(b' '),
            b => out.push(b),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
