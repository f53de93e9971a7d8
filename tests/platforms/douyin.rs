//! Douyin: private messages to users who allowed them, answers to users who wrote.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Accepted, Callback, Platform, Said, Seen, decode};

pub const REFRESH: &str = "refresh-token-of-the-account";
pub const OPEN_ID: &str = "business-open-id";

pub struct Douyin {
    pub client_key: String,
    pub client_secret: String,
    tokens: BTreeSet<String>,
    pub renewals: usize,
    /// The account has to authorise again.
    pub ended: bool,
    pub granted: bool,
    /// Users who allowed messages, and the day of the last call to each.
    pub allowed: BTreeMap<String, Option<i64>>,
    pub banned: BTreeSet<String>,
    /// Messages of users that may be answered: conversation and message id.
    pub written: BTreeSet<(String, String)>,
    next: u64,
    pushed: u64,
}

impl Douyin {
    pub fn new(client_key: &str) -> Self {
        Douyin {
            client_key: client_key.into(),
            client_secret: "client-secret".into(),
            tokens: BTreeSet::new(),
            renewals: 0,
            ended: false,
            granted: true,
            allowed: (0..2_000).map(|i| (format!("dy{i}"), None)).collect(),
            banned: BTreeSet::new(),
            written: BTreeSet::new(),
            next: 0,
            pushed: 0,
        }
    }

    pub fn evict(&mut self) {
        self.tokens.clear();
    }

    fn token(&mut self, seen: &Seen) -> Said {
        self.renewals += 1;
        let text = String::from_utf8_lossy(&seen.body).into_owned();
        let form: BTreeMap<String, String> = text
            .split('&')
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| (n.into(), decode(v)))
            .collect();
        let get = |name: &str| form.get(name).map_or("", String::as_str);
        if get("client_key") != self.client_key || get("grant_type") != "refresh_token" {
            return error(28_001_007, "bad parameter");
        }
        if self.ended || get("refresh_token") != REFRESH {
            return error(10_010, "refresh token is invalid");
        }
        let token = format!("act.{}", self.renewals);
        self.tokens.insert(token.clone());
        Said::json(
            &json!({"data": {"error_code": 0, "description": "", "access_token": token, "expires_in": 1_296_000}, "extra": {"error_code": 0}}),
        )
    }

    fn send(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        if !self.tokens.contains(seen.header("access-token")) {
            return error(28_001_008, "access token is expired");
        }
        if seen.query("open_id") != OPEN_ID {
            return error(28_001_015, "open id does not fit");
        }
        if !self.granted {
            return error(28_001_018, "ability is not granted");
        }
        let user = seen.text("to_user_id").to_string();
        if self.banned.contains(&user) {
            return error(28_001_046, "user is banned");
        }
        let today = (seen.now + 8 * 3600).div_euclid(86_400);
        let content = match seen.text("scene") {
            "im_authorize_message" => {
                let list = seen.json["content_list"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                if list.is_empty()
                    || list.len() > 3
                    || !list.iter().any(|c| c["applet_card"].is_object())
                {
                    return error(28_001_007, "a card is missing");
                }
                match self.allowed.get_mut(&user) {
                    None => return error(28_001_047, "user did not allow it"),
                    Some(Some(day)) if *day == today => {
                        return error(28_003_017, "quota is used up");
                    }
                    Some(day) => *day = Some(today),
                }
                Value::Array(list)
            }
            _ => {
                if !self.written.contains(&(
                    seen.text("conversation_id").into(),
                    seen.text("msg_id").into(),
                )) {
                    return error(28_001_007, "no such message");
                }
                seen.json["content"].clone()
            }
        };
        self.next += 1;
        let id = format!("@msg{}", self.next);
        log.push(Accepted {
            endpoint: "message",
            key: String::new(),
            users: vec![user.clone()],
            content,
            id: id.clone(),
        });
        let inner = json!({"conversation_short_id": "@c", "server_message_id": id, "create_time": seen.now * 1000, "message_type": "text"});
        let event = self.event("im_send_msg", OPEN_ID, &user, &inner);
        Said::json(&json!({"data": {"error_code": 0, "msg_id": id}, "extra": {"error_code": 0, "logid": "1"}})).with(event)
    }

    /// A user writes to the account.
    pub fn writes(&mut self, user: &str, message: &str, now: i64) -> Callback {
        self.written.insert(("@c".into(), message.into()));
        let inner = json!({"conversation_short_id": "@c", "server_message_id": message, "create_time": now * 1000,
            "message_type": "text", "user_infos": [{"open_id": user, "nick_name": "小明"}]});
        self.event("im_receive_msg", user, OPEN_ID, &inner)
    }

    /// A user allows messages of the account, or does not any more.
    pub fn allows(&mut self, user: &str, allows: bool, now: i64) -> Callback {
        if allows {
            self.allowed.insert(user.into(), None);
        } else {
            self.allowed.remove(user);
        }
        let inner = json!({"create_time": now, "expire_time": now + 30 * 86_400, "update_time": now, "operation_type": 1,
            "auth_status": if allows { 1 } else { 2 }, "source": "im.direct_message.bind", "extra": "", "log_id": "2"});
        self.event("im_authorize", user, OPEN_ID, &inner)
    }

    /// Somebody saves an address for callbacks.
    pub fn tries(&mut self, challenge: i64) -> Callback {
        self.signed(&json!({"event": "verify_webhook", "client_key": self.client_key, "content": {"challenge": challenge}}))
    }

    /// The content of an event is JSON in a string.
    fn event(&mut self, event: &str, from: &str, to: &str, content: &Value) -> Callback {
        self.signed(&json!({"event": event, "client_key": self.client_key, "from_user_id": from, "to_user_id": to,
            "content": content.to_string(), "log_id": "1"}))
    }

    fn signed(&mut self, body: &Value) -> Callback {
        self.pushed += 1;
        let body = body.to_string();
        let signed = format!("{}{body}", self.client_secret);
        let signature = hex::encode(ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            signed.as_bytes(),
        ));
        let headers = vec![
            ("content-type".into(), "application/json".into()),
            ("x-douyin-signature".into(), signature),
            ("msg-id".into(), format!("event{}", self.pushed)),
        ];
        Callback {
            query: String::new(),
            headers,
            body,
        }
    }
}

fn error(code: i64, text: &str) -> Said {
    Said::json(
        &json!({"data": {"error_code": code, "description": text}, "extra": {"error_code": code, "description": text, "logid": "2026"}}),
    )
}

impl Platform for Douyin {
    fn answer(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        match seen.path.as_str() {
            "/oauth/refresh_token/" => self.token(seen),
            "/im/send/msg/" => self.send(seen, log),
            path => Said::status(404, &format!("no {path}")),
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
