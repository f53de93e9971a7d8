//! A receiver of webhooks that keeps keys and checks signatures.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use ring::hmac;
use serde_json::json;

use super::{Accepted, Platform, Said, Seen};

pub struct Receiver {
    pub secret: String,
    /// Users that it does not know any more.
    pub gone: BTreeSet<String>,
    keys: BTreeMap<String, String>,
    /// Forgets keys, as a receiver that does not keep them.
    pub forgets: bool,
}

impl Receiver {
    pub fn new(secret: &str) -> Self {
        Receiver {
            secret: secret.into(),
            gone: BTreeSet::new(),
            keys: BTreeMap::new(),
            forgets: false,
        }
    }

    fn signed(&self, seen: &Seen) -> bool {
        let header: BTreeMap<&str, &str> = seen
            .header("x-tagcast-signature")
            .split(',')
            .filter_map(|p| p.split_once('='))
            .collect();
        let (Some(t), Some(v1)) = (header.get("t"), header.get("v1")) else {
            return false;
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        let text = [t.as_bytes(), b".", &seen.body].concat();
        hex::decode(v1).is_ok_and(|tag| hmac::verify(&key, &text, &tag).is_ok())
    }
}

impl Platform for Receiver {
    fn answer(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        if !self.signed(seen) {
            return Said::status(401, "{}");
        }
        let (key, user) = (
            seen.header("idempotency-key").to_string(),
            seen.text("address").to_string(),
        );
        if key != seen.text("key") || user.is_empty() || !seen.json["parts"].is_object() {
            return Said::status(422, "{}");
        }
        if self.gone.contains(&user) {
            return Said::status(410, "{}");
        }
        if let Some(id) = self.keys.get(&key).filter(|_| !self.forgets) {
            return Said::json(&json!({"id": id}));
        }
        let id = format!("w{}", log.len() + 1);
        self.keys.insert(key.clone(), id.clone());
        log.push(Accepted {
            endpoint: "post",
            key,
            users: vec![user],
            content: seen.json["parts"].clone(),
            id: id.clone(),
        });
        Said::json(&json!({"id": id}))
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
