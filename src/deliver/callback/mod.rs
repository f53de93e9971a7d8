//! Callbacks: what platforms report over HTTP, who may report it, and what it means.
//!
//! A call is checked when it comes, kept as it is in the ledger's inbox, acknowledged, and read
//! afterwards: a reader may be slow or wrong without anything being lost.

pub mod xml;

use crate::base::Instant;
use crate::base::Msg;
use crate::ledger::{DeliveryCounts, ReceiptKind};
use crate::msg;
use crate::program::platform::ContactKind;

/// A call as it came.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// After the `?`, not decoded.
    pub query: &'a str,
    /// The header that brings the signature ([`Callbacks::signature_header`]); empty where there is none.
    pub signature: &'a str,
    pub body: &'a str,
    /// When it came.
    pub at: Instant,
}

/// Something that a platform reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallbackEvent {
    /// The same for the same thing, however often it is reported.
    pub key: String,
    pub when: Instant,
    pub what: CallbackKind,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallbackKind {
    /// Of one message, by the platform's id.
    Message { id: String, kind: ReceiptKind },
    /// Of a list, by the platform's id.
    List {
        id: String,
        all: Option<ReceiptKind>,
        counts: Option<DeliveryCounts>,
    },
    /// The message with this id did not arrive, and none ever will at its address.
    Refused { id: String, reason: String },
    /// The user with this address at the account wants no messages.
    OptedOutAt { address: String },
    /// The user with this id in the store wants no messages.
    OptedOut { user: String },
    /// Somebody did something on the account; `topic` is what was subscribed to, else empty.
    Contact {
        who: CallbackSubject,
        kind: ContactKind,
        topic: String,
    },
    /// What the user with this address did before opens nothing any more.
    Closed { address: String, kind: ContactKind },
    /// There is something to be fetched, with this token while it is valid.
    Mail { mailbox: String, token: String },
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallbackSubject {
    /// The user with this address at the account.
    At(String),
    /// The user with this id in the store.
    Id(String),
}

/// The answer that a platform reads as "taken".
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acknowledgement {
    /// The type of the content.
    pub kind: &'static str,
    pub body: String,
}

impl Acknowledgement {
    pub fn text(body: &str) -> Self {
        Acknowledgement {
            kind: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }
}

/// How an account's callbacks are understood.
pub trait Callbacks: Send + Sync {
    /// Whether the call comes from the platform. (The service's own token may open the door
    /// instead, where [`Self::accepts_token`] says so.)
    ///
    /// # Errors
    /// Why it does not.
    fn check(&self, call: &Incoming) -> Result<(), Msg>;

    /// Whether the service's token is enough.
    fn accepts_token(&self) -> bool {
        false
    }

    /// The header of a call that brings its signature, where neither its query nor its body does.
    fn signature_header(&self) -> &'static str {
        "x-tagcast-signature"
    }

    /// The answer to the GET by which a platform verifies the URL that it was given; some verify it
    /// by a call like any other.
    ///
    /// # Errors
    /// Why it gets none.
    fn verify_url(&self, _: &Incoming) -> Result<String, Msg> {
        Err(msg!("this platform asks by POST", "该平台以 POST 校验地址"))
    }

    /// The answer that tells the platform that a call was taken, which [`Self::check`] has found
    /// good.
    fn acknowledge(&self, call: &Incoming) -> Acknowledgement;

    /// What a call says; what means nothing to us is left out.
    ///
    /// # Errors
    /// Why nobody can read it.
    fn read(&self, call: &Incoming) -> Result<Vec<CallbackEvent>, Msg>;
}

/// That the user with this address at the account did something.
pub fn contact(address: &str, kind: ContactKind, topic: &str) -> CallbackKind {
    CallbackKind::Contact {
        who: CallbackSubject::At(address.into()),
        kind,
        topic: topic.into(),
    }
}

/// An instant that a platform writes in seconds or in milliseconds.
pub fn instant(number: i64) -> Instant {
    // In seconds this is the year 5138.
    let micros = if number.unsigned_abs() < 100_000_000_000 {
        1_000_000
    } else {
        1_000
    };
    Instant(number.saturating_mul(micros))
}

/// A value of a query, decoded.
pub fn query_value(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| String::from_utf8_lossy(&decoded(value)).into_owned())
    })
}

/// `%2B` is `+`, and `+` is a blank.
pub fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits: Vec<u8> = bytes.by_ref().take(2).collect();
                let value = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|d| d.len() == 2)
                    .and_then(|d| u8::from_str_radix(d, 16).ok());
                match value {
                    Some(value) => out.push(value),
                    None => {
                        out.push(b'%');
                        out.extend(digits);
                    }
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let q = "signature=a%2Bb&nonce=1+2&echostr=%E4%BD%A0&empty&odd=%zz%4";
        let of = |name| query_value(q, name);
        assert_eq!(of("signature").as_deref(), Some("a+b"));
        assert_eq!(of("nonce").as_deref(), Some("1 2"));
        assert_eq!(of("echostr").as_deref(), Some("你"));
        assert_eq!((of("empty").as_deref(), of("missing")), (Some(""), None));
        assert_eq!(of("odd").as_deref(), Some("%zz%4"));
    }
}
