//! The only access to the network.
//!
//! Every request leaves through [`Http::exchange`]: no redirects, no retries, explicit time-outs,
//! HTTP/1.1. What did not come back is either proved not to have been sent (the connection was
//! never made) or unknown; there is nothing in between.
//!
//! One runtime serves all channels. Callers block on it through [`run`], from any thread, also from
//! inside another runtime.

use std::future::Future;
use std::sync::mpsc;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::base::Msg;
use crate::msg;

/// How long a connection may take to be made, name and TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// An idle connection is not used longer: platforms close theirs after a minute or so, and a
/// request on a closed one is an unknown.
const IDLE: Duration = Duration::from_secs(15);
/// The longest answer that is read.
const MAX_ANSWER: usize = 8 << 20;
/// Threads of the runtime; the work is waiting.
const THREADS: usize = 2;

static RUNTIME: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("channels")
        .enable_all()
        .build()
        .ok()
});

/// Does work on the shared runtime and waits for it; `None` when the work died or the runtime could
/// not be made.
pub fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Option<T> {
    let (tell, told) = mpsc::sync_channel(1);
    RUNTIME.as_ref()?.spawn(async move {
        let _ = tell.send(work.await);
    });
    told.recv().ok()
}

/// Does work for each item, at most `concurrency` at a time. The results are in the order of the
/// items; `None` where the work died.
pub async fn each<I, T, F>(
    items: Vec<I>,
    concurrency: usize,
    work: impl Fn(I) -> F,
) -> Vec<Option<T>>
where
    I: Send,
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut results: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let mut waiting = items.into_iter().enumerate();
    let mut in_flight = JoinSet::new();
    loop {
        while in_flight.len() < concurrency.max(1) {
            let Some((place, item)) = waiting.next() else {
                break;
            };
            let one = work(item);
            in_flight.spawn(async move { (place, one.await) });
        }
        match in_flight.join_next().await {
            None => return results,
            Some(Ok((place, result))) => {
                if let Some(slot) = results.get_mut(place) {
                    *slot = Some(result);
                }
            }
            Some(Err(_)) => {}
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Get,
    Post,
}

/// A request, as it is written on the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// From the first byte to the last of the answer.
    pub within: Duration,
    /// Not begun later: what was claimed must leave soon or not at all.
    pub begin_by: Option<Instant>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Why there is no answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TransportError {
    /// No byte of the request was written.
    NotSent(String),
    /// It may have arrived.
    Unknown(String),
}

/// Gives requests to the network. Clones share their connections.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
}

impl Http {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new() -> Result<Arc<Self>, Msg> {
        let built = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // An address that a platform trusts must not depend on the environment.
            .no_proxy()
            .http1_only()
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .build();
        let client =
            built.map_err(|e| msg!("HTTPS cannot be set up: {e}", "无法初始化 HTTPS：{e}"))?;
        Ok(Arc::new(Http { client }))
    }

    /// One request, written once.
    ///
    /// # Errors
    /// When there is no whole answer; says whether that proves that nothing was sent.
    pub async fn exchange(&self, request: Request) -> Result<Response, TransportError> {
        if request
            .begin_by
            .is_some_and(|latest| Instant::now() > latest)
        {
            return Err(TransportError::NotSent(
                "given up: too long since it was claimed".into(),
            ));
        }
        let mut builder = match request.method {
            Method::Get => self.client.get(&request.url),
            Method::Post => self.client.post(&request.url).body(request.body),
        };
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        let mut response = builder
            .timeout(request.within)
            .send()
            .await
            .map_err(|e| lost(&e))?;
        let headers = response.headers().iter().map(|(n, v)| {
            (
                n.as_str().to_string(),
                String::from_utf8_lossy(v.as_bytes()).into_owned(),
            )
        });
        let (status, headers) = (response.status().as_u16(), headers.collect());
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|e| TransportError::Unknown(why(&e)))?
        {
            if body.len() + piece.len() > MAX_ANSWER {
                return Err(TransportError::Unknown("the answer is too long".into()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Response {
            status,
            headers,
            body,
        })
    }
}

/// What an error proves. Only a connection that was never made, or a request that could not even be
/// formed, proves anything.
fn lost(error: &reqwest::Error) -> TransportError {
    if error.is_connect() || error.is_builder() {
        TransportError::NotSent(why(error))
    } else {
        TransportError::Unknown(why(error))
    }
}

/// The innermost reason, without the address: that may carry a token.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            "no connection in time".into()
        } else {
            "no answer in time".into()
        };
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    if std::ptr::addr_eq(inner, error) {
        "the request failed".into()
    } else {
        inner.to_string()
    }
}

/// Text in a query or a form.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_and_the_bound() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let now = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let seen = now.clone();
        let work = move |n: u64| {
            let now = now.clone();
            async move {
                now.1
                    .fetch_max(now.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20 - n)).await;
                now.0.fetch_sub(1, Ordering::SeqCst);
                assert_ne!(n, 7, "one of them dies");
                n
            }
        };
        let results = run(each((0..20).collect(), 4, work)).unwrap();
        let expected: Vec<Option<u64>> = (0..20).map(|n| (n != 7).then_some(n)).collect();
        assert_eq!(results, expected);
        assert_eq!(seen.1.load(Ordering::SeqCst), 4);
    }

    #[test]
    fn a_connection_that_is_refused_proves_that_nothing_was_sent() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let http = Http::new().unwrap();
        let request = Request {
            method: Method::Post,
            url: url.clone(),
            headers: Vec::new(),
            body: b"x".to_vec(),
            within: Duration::from_secs(5),
            begin_by: None,
        };
        let door = http.clone();
        let late = Request {
            begin_by: Some(Instant::now() - Duration::from_secs(1)),
            ..request.clone()
        };
        assert!(matches!(
            run(async move { door.exchange(request).await }).unwrap(),
            Err(TransportError::NotSent(_))
        ));
        assert!(
            matches!(run(async move { http.exchange(late).await }).unwrap(), Err(TransportError::NotSent(why)) if why.contains("too long"))
        );
    }

    #[test]
    fn encodes_what_a_query_must_not_hold() {
        assert_eq!(encode("a b&c=中/~"), "a%20b%26c%3D%E4%B8%AD%2F~");
    }
}
