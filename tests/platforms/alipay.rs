//! Alipay life account, v3: signatures both ways, labels that act a day late, groups, broadcasts,
//! single messages.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tagcast::deliver::http::signature::Verifier;

use super::{Accepted, Callback, Platform, Said, Seen};

/// Keys made for tests; they guard nothing.
pub const APP_PRIVATE: &str = include_str!("keys/app_private.pem");
const APP_PUBLIC: &str = include_str!("keys/app_public.pem");
pub const PLATFORM_PUBLIC: &str = include_str!("keys/alipay_public.pem");
const PLATFORM_PRIVATE: &str = include_str!("keys/alipay_private.pem");

const DAY: i64 = 86_400;

pub struct Alipay {
    pub app_id: String,
    app_key: Verifier,
    key: RsaKeyPair,
    /// Answers are signed by somebody else.
    pub forged: bool,
    /// Requests may be so far from its clock; tests run on a clock of their own.
    pub tolerance: i64,
    pub users: BTreeSet<String>,
    pub unfollowed: BTreeSet<String>,
    /// Label id: name, when it was made, its users.
    labels: BTreeMap<String, (String, i64, BTreeSet<String>)>,
    groups: BTreeMap<String, (String, BTreeSet<String>)>,
    messages: BTreeMap<String, &'static str>,
    pub broadcasts_left: u32,
    pub singles_left: BTreeMap<String, u32>,
    nonces: BTreeSet<String>,
    next: u64,
}

impl Alipay {
    pub fn new(app_id: &str) -> Self {
        let der: String = PLATFORM_PRIVATE
            .lines()
            .filter(|l| !l.starts_with("-----"))
            .collect();
        Alipay {
            app_id: app_id.into(),
            app_key: Verifier::new(APP_PUBLIC).expect("a key"),
            key: RsaKeyPair::from_pkcs8(&STANDARD.decode(der).expect("base64")).expect("a key"),
            forged: false,
            tolerance: i64::MAX,
            users: (0..2_000).map(|i| format!("ali{i}")).collect(),
            unfollowed: BTreeSet::new(),
            labels: BTreeMap::new(),
            groups: BTreeMap::new(),
            messages: BTreeMap::new(),
            broadcasts_left: u32::MAX,
            singles_left: BTreeMap::new(),
            nonces: BTreeSet::new(),
            next: 0,
        }
    }

    pub fn labels(&self) -> usize {
        self.labels.len()
    }

    fn id(&mut self, head: &str) -> String {
        self.next += 1;
        format!("{head}{}", self.next)
    }

    /// The signature of a request.
    fn check(&mut self, seen: &Seen) -> Result<(), Said> {
        let header = seen.header("authorization").to_string();
        let refuse = |code: &str| Err(error(400, code, "request refused"));
        let Some(text) = header.strip_prefix("ALIPAY-SHA256withRSA ") else {
            return refuse("missing-signature");
        };
        let Some((auth, signature)) = text.split_once(",sign=") else {
            return refuse("missing-signature");
        };
        let parts: BTreeMap<&str, &str> =
            auth.split(',').filter_map(|p| p.split_once('=')).collect();
        if parts.get("app_id") != Some(&self.app_id.as_str()) {
            return refuse("invalid-app-id");
        }
        let at: i64 = parts
            .get("timestamp")
            .and_then(|t| t.parse().ok())
            .unwrap_or(0);
        if (at / 1000 - seen.now).abs() > self.tolerance {
            return refuse("invalid-timestamp");
        }
        if !self
            .nonces
            .insert((*parts.get("nonce").unwrap_or(&"")).to_string())
        {
            return refuse("invalid-nonce");
        }
        let text = [
            auth.as_bytes(),
            b"\nPOST\n",
            seen.path.as_bytes(),
            b"\n",
            &seen.body,
            b"\n",
        ]
        .concat();
        if self.app_key.verify(&text, signature) {
            Ok(())
        } else {
            refuse("invalid-signature")
        }
    }

    fn sign(&self, mut said: Said, now: i64) -> Said {
        let (at, nonce) = ((now * 1000).to_string(), format!("n{now}"));
        let body: &[u8] = if self.forged {
            b"something else"
        } else {
            &said.body
        };
        let text = [at.as_bytes(), b"\n", nonce.as_bytes(), b"\n", body, b"\n"].concat();
        let signature = self.signature(&text);
        said.headers = vec![
            ("alipay-timestamp".into(), at),
            ("alipay-nonce".into(), nonce),
            ("alipay-signature".into(), signature),
        ];
        said
    }

    fn signature(&self, text: &[u8]) -> String {
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                text,
                &mut signature,
            )
            .expect("signed");
        STANDARD.encode(signature)
    }

    /// A user follows the account, or does not any more.
    pub fn follows(&mut self, user: &str, follows: bool, now: i64) -> Callback {
        if follows {
            self.unfollowed.remove(user);
        } else {
            self.unfollowed.insert(user.into());
        }
        let event = if follows { "follow" } else { "unfollow" };
        self.notify(
            user,
            &format!(
                "<MsgType><![CDATA[event]]></MsgType><EventType><![CDATA[{event}]]></EventType>"
            ),
            now,
        )
    }

    /// A user writes to the account.
    pub fn writes(&self, user: &str, message: &str, now: i64) -> Callback {
        let text = "<Text><Content><![CDATA[你好 & <再见>]]></Content></Text>";
        self.notify(
            user,
            &format!(
                "<MsgType><![CDATA[text]]></MsgType><MsgId><![CDATA[{message}]]></MsgId>{text}"
            ),
            now,
        )
    }

    /// Somebody saves an address for callbacks.
    pub fn tries(&self, now: i64) -> Callback {
        self.call(
            "alipay.service.check",
            "",
            "<EventType><![CDATA[verifygw]]></EventType>",
            now,
        )
    }

    fn notify(&self, user: &str, inner: &str, now: i64) -> Callback {
        let user = format!("<FromUserId><![CDATA[{user}]]></FromUserId>");
        self.call("alipay.mobile.public.message.notify", &user, inner, now)
    }

    /// A form, signed over its sorted fields.
    fn call(&self, service: &str, user: &str, inner: &str, now: i64) -> Callback {
        let app = &self.app_id;
        let content = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><XML><AppId><![CDATA[{app}]]></AppId>{user}<CreateTime><![CDATA[{}]]></CreateTime>{inner}</XML>",
            now * 1000
        );
        let fields = [
            ("biz_content", content.as_str()),
            ("charset", "UTF-8"),
            ("service", service),
            ("sign_type", "RSA2"),
        ];
        let text: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let sign = self.signature(text.join("&").as_bytes());
        let escape = |text: &str| -> String {
            text.bytes()
                .map(|b| {
                    if b.is_ascii_alphanumeric() {
                        char::from(b).to_string()
                    } else {
                        format!("%{b:02X}")
                    }
                })
                .collect()
        };
        let form: Vec<String> = fields
            .iter()
            .rev()
            .chain([&("sign", sign.as_str())])
            .map(|(n, v)| format!("{n}={}", escape(v)))
            .collect();
        let headers = vec![(
            "content-type".into(),
            "application/x-www-form-urlencoded;charset=UTF-8".into(),
        )];
        Callback {
            query: String::new(),
            headers,
            body: form.join("&"),
        }
    }

    /// What merchants answer is signed too: its content, if its signature is the application's.
    pub fn believes(&self, answer: &str) -> Option<String> {
        let (content, rest) = answer
            .split_once("<response>")?
            .1
            .split_once("</response><sign>")?;
        let signature = rest.split_once("</sign>")?.0;
        self.app_key
            .verify(content.as_bytes(), signature)
            .then(|| content.to_string())
    }

    fn carry_out(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        let body = &seen.json;
        match seen
            .path
            .strip_prefix("/v3/alipay/open/public/")
            .unwrap_or_default()
        {
            "message/single/send" => self.single(seen, log),
            "message/group/send" => self.group_send(seen, log),
            "life/label/create" => {
                let name = seen.text("label_name").to_string();
                if self.labels.len() >= 100 {
                    return error(400, "LABEL_COUNT_LIMIT", "too many labels");
                }
                if name.is_empty()
                    || name.contains([',', ' '])
                    || self.labels.values().any(|(n, ..)| *n == name)
                {
                    return error(400, "LABEL_NAME_INVALID", "label name");
                }
                let id = self.id("label");
                self.labels
                    .insert(id.clone(), (name, seen.now, BTreeSet::new()));
                Said::json(&json!({"label_id": id}))
            }
            "life/label/delete" => {
                self.labels.remove(seen.text("label_id"));
                Said::json(&json!({}))
            }
            "life/label/batchquery" => {
                let labels: Vec<Value> = self
                    .labels
                    .iter()
                    .map(|(id, (name, ..))| json!({"label_id": id, "label_name": name}))
                    .collect();
                Said::json(&json!({"labels": labels}))
            }
            "matchuser/label/create" => {
                let matchers = body["matchers"].as_array().cloned().unwrap_or_default();
                if matchers.is_empty() || matchers.len() > 10 {
                    return error(400, "ILLEGAL_ARGUMENT_PARAMS", "matchers");
                }
                let users = self.users.clone();
                let Some((_, _, members)) = self.labels.get_mut(seen.text("label_id")) else {
                    return error(400, "LABEL_NOT_EXIST", "no label");
                };
                let mut wrong = Vec::new();
                for matcher in matchers {
                    match matcher["open_id"].as_str().filter(|u| users.contains(*u)) {
                        Some(user) => {
                            members.insert(user.to_string());
                        }
                        None => wrong.push(matcher),
                    }
                }
                Said::json(&json!({"error_count": wrong.len(), "error_matchers": wrong}))
            }
            "group/create" => {
                let rule = &body["label_rule"][0];
                let label = self
                    .labels
                    .get(rule["label_id"].as_str().unwrap_or_default());
                // Labels are cached for a day: what was set today selects nobody.
                let day = |at: i64| (at + 8 * 3600).div_euclid(DAY);
                let members = label
                    .filter(|(_, made, _)| day(*made) < day(seen.now))
                    .map(|(.., members)| members.clone());
                match members.filter(|m| !m.is_empty()) {
                    None => error(400, "GROUP_CROWD_TOO_SMALL", "nobody in the group"),
                    Some(members) => {
                        let id = self.id("group");
                        self.groups
                            .insert(id.clone(), (seen.text("name").to_string(), members));
                        Said::json(&json!({"group_id": id}))
                    }
                }
            }
            "life/msg/recall" => match self.messages.get_mut(seen.text("message_id")) {
                Some(status) => {
                    *status = "RECALLED";
                    Said::json(&json!({}))
                }
                None => error(400, "ILLEGAL_ARGUMENT_PARAMS", "no message"),
            },
            "message/query" => {
                let ids: Vec<&str> = body["message_ids"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .collect();
                let known = ids
                    .iter()
                    .filter_map(|id| Some((id, self.messages.get(*id)?)));
                let list: Vec<Value> = known
                    .map(
                        |(id, s)| json!({"message_id": id, "status": s, "status_desc": "撤回成功"}),
                    )
                    .collect();
                Said::json(&json!({"list": list}))
            }
            path => error(404, "invalid-method", path),
        }
    }

    fn single(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        let user = [seen.text("to_open_id"), seen.text("to_user_id")].concat();
        let template = &seen.json["template"];
        if template["template_id"].as_str().is_none_or(str::is_empty) {
            return error(400, "MSG_TEMPLATE_NOT_EXIST", "no template");
        }
        if !self.users.contains(&user) {
            return error(400, "OPENID_INVALID", "no such user");
        }
        if self.unfollowed.contains(&user) {
            return error(400, "MSG_SD_NOFOLLOW", "not a follower");
        }
        if let Some(left) = self.singles_left.get_mut(&user) {
            if *left == 0 {
                return error(400, "MSG_SINGLE_SD_OVER", "enough");
            }
            *left -= 1;
        }
        let content = template["context"].clone();
        log.push(Accepted {
            endpoint: "single",
            key: String::new(),
            users: vec![user],
            content,
            id: String::new(),
        });
        Said::json(&json!({}))
    }

    fn group_send(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        let Some((_, users)) = self.groups.get(seen.text("group_id")).cloned() else {
            return error(400, "GROUP_EMPTY_ERROR", "no group");
        };
        if self.broadcasts_left == 0 {
            return error(400, "MSG_BATCH_SD_OVER", "no broadcast left");
        }
        self.broadcasts_left -= 1;
        let id = self.id("message");
        self.messages.insert(id.clone(), "SUCCESS");
        let users = users
            .into_iter()
            .filter(|u| !self.unfollowed.contains(u))
            .collect();
        log.push(Accepted {
            endpoint: "broadcast",
            key: String::new(),
            users,
            content: seen.json.clone(),
            id: id.clone(),
        });
        Said::json(&json!({"message_id": id}))
    }
}

fn error(status: u16, code: &str, message: &str) -> Said {
    Said {
        status,
        ..Said::json(&json!({"code": code, "message": message, "links": []}))
    }
}

impl Platform for Alipay {
    fn answer(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        let said = match self.check(seen) {
            Ok(()) => self.carry_out(seen, log),
            Err(refused) => refused,
        };
        self.sign(said, seen.now)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
