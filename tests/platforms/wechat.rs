//! WeChat service and subscription accounts, as far as their documentation and what is reported of
//! them go.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::sealed::Seal;
use super::{Accepted, Callback, Platform, Said, Seen};

const DAY: i64 = 86_400;
/// Tokens serve so long after the next one has come.
const OVERLAP: i64 = 300;

pub struct WeChat {
    pub app_id: String,
    pub secret: String,
    /// Callbacks are signed with it.
    pub callback_token: String,
    /// The EncodingAESKey of the safe mode; without one callbacks are in clear.
    pub callback_key: Option<String>,
    /// A subscription account sends once a day.
    pub subscription: bool,
    tokens: Vec<Token>,
    issued: u64,
    /// Calls of the endpoints that hand out tokens.
    pub renewals: usize,
    /// Every token is refused, whatever it is.
    pub refuses_tokens: bool,
    /// Who may be written to; empty: everyone whose openid begins with `o`.
    pub followers: BTreeSet<String>,
    /// Refuse this account's messages.
    pub blockers: BTreeSet<String>,
    /// The caller's address is not on the whitelist.
    pub whitelisted: bool,
    /// Templates and the keys of their fields, of template messages and of notices.
    pub templates: BTreeMap<String, Vec<String>>,
    pub notices: BTreeMap<String, Vec<String>>,
    /// Consents left, by user and template.
    pub consents: BTreeMap<(String, String), u32>,
    /// Customer service messages left, by user, and until when.
    pub windows: BTreeMap<String, (u32, i64)>,
    /// Calls left in the day, by path; without an entry there are enough.
    pub calls_left: BTreeMap<&'static str, u32>,
    /// Mass messages that each user had in the month.
    pub had: BTreeMap<String, u32>,
    /// What the review of the next jobs says instead of `send success`.
    pub verdict: Option<String>,
    /// Mass jobs of the minute and of the day.
    minute: (i64, u32),
    day: (i64, u32),
    jobs: BTreeMap<i64, Job>,
    keys: BTreeMap<String, (i64, i64)>,
    /// Digests of content and scope, for sends without a key.
    contents: BTreeMap<String, i64>,
    messages: BTreeMap<(String, String), (i64, i64)>,
    drafts: BTreeSet<String>,
    next: i64,
}

struct Token {
    value: String,
    ends: i64,
    forced: bool,
}

struct Job {
    status: &'static str,
    article: bool,
}

impl WeChat {
    pub fn new(app_id: &str, secret: &str) -> Self {
        let keys = |keys: &[&str]| keys.iter().map(|k| (*k).to_string()).collect();
        WeChat {
            app_id: app_id.into(),
            secret: secret.into(),
            callback_token: "callback-token".into(),
            callback_key: None,
            subscription: false,
            tokens: Vec::new(),
            issued: 0,
            renewals: 0,
            refuses_tokens: false,
            followers: BTreeSet::new(),
            blockers: BTreeSet::new(),
            whitelisted: true,
            templates: BTreeMap::from([("TM1".to_string(), keys(&["thing1", "amount2"]))]),
            notices: BTreeMap::from([("SN1".to_string(), keys(&["thing1", "phrase2"]))]),
            consents: BTreeMap::new(),
            windows: BTreeMap::new(),
            calls_left: BTreeMap::new(),
            had: BTreeMap::new(),
            verdict: None,
            minute: (0, 0),
            day: (0, 0),
            jobs: BTreeMap::new(),
            keys: BTreeMap::new(),
            contents: BTreeMap::new(),
            messages: BTreeMap::new(),
            drafts: BTreeSet::new(),
            next: 1_000_000_000,
        }
    }

    /// A subscription account.
    pub fn subscription(app_id: &str, secret: &str) -> Self {
        WeChat {
            subscription: true,
            ..WeChat::new(app_id, secret)
        }
    }

    /// All tokens end: another program forced a renewal, or the secret was reset.
    pub fn evict(&mut self) {
        self.tokens.clear();
    }

    /// What it says of all its jobs when it is asked.
    pub fn say_of_jobs(&mut self, status: &'static str) {
        self.jobs.values_mut().for_each(|job| job.status = status);
    }

    pub fn jobs(&self) -> usize {
        self.jobs.len()
    }

    fn id(&mut self) -> i64 {
        self.next += 1;
        self.next
    }

    /// The stable endpoint: the same token to all who ask, until shortly before its end.
    fn stable_token(&mut self, seen: &Seen) -> Said {
        self.renewals += 1;
        if seen.text("grant_type") != "client_credential" {
            return Said::error(40002, "invalid grant_type");
        }
        if seen.text("appid") != self.app_id {
            return Said::error(40013, "invalid appid rid: 1");
        }
        if !self.whitelisted {
            return Said::error(
                40164,
                "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 2",
            );
        }
        if seen.text("secret") != self.secret {
            return Said::error(
                40125,
                &format!("invalid appsecret {} rid: 3", seen.text("secret")),
            );
        }
        let force = seen.json["force_refresh"].as_bool().unwrap_or(false);
        let now = seen.now;
        if let Some(token) = self
            .tokens
            .last()
            .filter(|t| !force && t.ends - now > OVERLAP)
        {
            return Said::json(
                &json!({"access_token": token.value, "expires_in": token.ends - now}),
            );
        }
        if force {
            if self
                .tokens
                .iter()
                .any(|t| t.forced && t.ends - now > 7200 - 30)
            {
                return Said::error(45009, "reach max api daily quota limit rid: 4");
            }
            self.tokens.clear();
        }
        self.issued += 1;
        let value = format!("{}_{:0>60}", self.issued, "token");
        self.tokens.push(Token {
            value: value.clone(),
            ends: now + 7200,
            forced: force,
        });
        Said::json(&json!({"access_token": value, "expires_in": 7200}))
    }

    fn check_token(&self, seen: &Seen) -> Result<(), Said> {
        let value = seen.query("access_token");
        if value.is_empty() {
            return Err(Said::error(41001, "access_token missing rid: 5"));
        }
        if self.refuses_tokens {
            return Err(Said::error(
                40001,
                "invalid credential, access_token is invalid or not latest rid: 6",
            ));
        }
        match self.tokens.iter().find(|t| t.value == value) {
            None => Err(Said::error(
                40001,
                "invalid credential, access_token is invalid or not latest rid: 7",
            )),
            Some(t) if t.ends < seen.now => Err(Said::error(42001, "access_token expired rid: 8")),
            Some(_) => Ok(()),
        }
    }

    fn follows(&self, openid: &str) -> bool {
        if self.followers.is_empty() {
            openid.starts_with('o')
        } else {
            self.followers.contains(openid)
        }
    }

    fn spend(&mut self, path: &'static str) -> Result<(), Said> {
        match self.calls_left.get_mut(path) {
            Some(0) => Err(Said::error(45009, "reach max api daily quota limit rid: 9")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    // -------------------------------------------------------------- mass

    fn mass(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Result<Said, Said> {
        self.spend("mass")?;
        let now = seen.now;
        let minute = now.div_euclid(60);
        self.minute = if self.minute.0 == minute {
            (minute, self.minute.1 + 1)
        } else {
            (minute, 1)
        };
        if self.minute.1 > 60 {
            return Err(Said::error(45011, "api minute-quota reach limit rid: 10"));
        }
        let users: Vec<String> = seen.json["touser"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|u| u.as_str().map(str::to_string))
            .collect();
        if users.len() < 2 {
            return Err(Said::error(
                40130,
                "invalid openid list size, at least two openid rid: 11",
            ));
        }
        if users.len() > 10_000 {
            return Err(Said::error(40032, "invalid openid list size rid: 12"));
        }
        if users.iter().any(|u| !self.follows(u)) {
            return Err(Said::error(40003, "invalid openid rid: 13"));
        }
        let kind = seen.text("msgtype").to_string();
        let content = match kind.as_str() {
            "text"
                if seen.json["text"]["content"]
                    .as_str()
                    .is_some_and(|t| !t.is_empty()) =>
            {
                seen.json["text"].clone()
            }
            "text" => return Err(Said::error(44004, "empty content rid: 14")),
            "mpnews" => {
                let media = seen.json["mpnews"]["media_id"].as_str().unwrap_or_default();
                if !self.drafts.contains(media) {
                    return Err(Said::error(40007, "invalid media_id rid: 15"));
                }
                seen.json["mpnews"].clone()
            }
            "image" | "mpvideo" | "video" => seen.json[&*kind].clone(),
            _ => return Err(Said::error(40008, "invalid message type rid: 16")),
        };
        let key = seen.text("clientmsgid").to_string();
        if key.len() > 32 {
            return Err(Said::error(45067, "clientmsgid over size limit rid: 17"));
        }
        // Without a key, the content and the list are one.
        let implied = format!("{content} {users:?}");
        let before = if key.is_empty() {
            self.contents.get(&implied).map(|at| (*at, 0))
        } else {
            self.keys.get(&key).copied()
        };
        if let Some((_, id)) = before.filter(|(at, _)| now - at < DAY) {
            return Err(Said::json(
                &json!({"errcode": 45065, "errmsg": "clientmsgid exist rid: 18", "msg_id": id}),
            ));
        }
        let today = (now + 8 * 3600).div_euclid(DAY);
        if self.subscription {
            self.day = if self.day.0 == today {
                self.day
            } else {
                (today, 0)
            };
            if self.day.1 >= 1 {
                return Err(Said::error(45028, "has no masssend quota rid: 19"));
            }
            self.day.1 += 1;
        }
        let id = self.id();
        self.keys.insert(key.clone(), (now, id));
        self.contents.insert(implied, now);
        let reached: Vec<String> = users
            .iter()
            .filter(|u| {
                let had = self.had.entry((*u).clone()).or_default();
                *had += 1;
                self.subscription || *had <= 4
            })
            .cloned()
            .collect();
        let failed = reached
            .iter()
            .filter(|u| self.blockers.contains(*u))
            .count();
        let (total, filter) = (users.len(), reached.len());
        let verdict = self.verdict.clone();
        let status = if verdict.is_some() {
            "SEND_FAIL"
        } else {
            "SEND_SUCCESS"
        };
        self.jobs.insert(
            id,
            Job {
                status,
                article: kind == "mpnews" || kind == "mpvideo",
            },
        );
        log.push(Accepted {
            endpoint: "mass",
            key,
            users,
            content,
            id: id.to_string(),
        });
        let counts = if verdict.is_some() {
            [0; 4]
        } else {
            [total, filter, filter - failed, failed]
        };
        let fields = format!(
            "<MsgID>{id}</MsgID><Status><![CDATA[{}]]></Status><TotalCount>{}</TotalCount><FilterCount>{}</FilterCount>\
             <SentCount>{}</SentCount><ErrorCount>{}</ErrorCount><CopyrightCheckResult><Count>0</Count><ResultList> </ResultList>\
             <CheckState>0</CheckState></CopyrightCheckResult>",
            verdict.as_deref().unwrap_or("send success"),
            counts[0],
            counts[1],
            counts[2],
            counts[3]
        );
        let event = self.event(now, "operator", "MASSSENDJOBFINISH", &fields);
        let body = json!({"errcode": 0, "errmsg": "send job submission success", "msg_id": id});
        Ok(Said::json(&body).with(event))
    }

    // -------------------------------------------------------------- one by one

    fn template(
        &mut self,
        seen: &Seen,
        notice: bool,
        log: &mut Vec<Accepted>,
    ) -> Result<Said, Said> {
        self.spend(if notice { "notice" } else { "template" })?;
        let (user, template) = (
            seen.text("touser").to_string(),
            seen.text("template_id").to_string(),
        );
        let known = if notice {
            &self.notices
        } else {
            &self.templates
        };
        let Some(fields) = known.get(&template) else {
            return Err(Said::error(40037, "invalid template_id rid: 20"));
        };
        let data = seen.json["data"]
            .as_object()
            .ok_or_else(|| Said::error(47003, "argument invalid! data is no object rid: 21"))?;
        for field in fields {
            let value = data
                .get(field)
                .and_then(|v| v["value"].as_str())
                .unwrap_or_default();
            if let Err(why) = check_field(field, value) {
                return Err(Said::error(
                    47003,
                    &format!("argument invalid! data.{field}.value {why} rid: 22"),
                ));
            }
        }
        if !self.follows(&user) {
            return Err(Said::error(
                if user.starts_with('o') { 43004 } else { 40003 },
                "require subscribe rid: 23",
            ));
        }
        if self.blockers.contains(&user) && notice {
            return Err(Said::error(43101, "user refuse to accept the msg rid: 24"));
        }
        let key = seen.text("client_msg_id").to_string();
        let before = self
            .messages
            .get(&(user.clone(), key.clone()))
            .filter(|(at, _)| !notice && !key.is_empty() && seen.now - at < 600);
        if let Some((_, id)) = before {
            return Ok(Said::json(
                &json!({"errcode": 0, "errmsg": "ok", "msgid": id}),
            ));
        }
        if notice {
            let left = self
                .consents
                .entry((user.clone(), template.clone()))
                .or_default();
            if *left == 0 {
                return Err(Said::error(43101, "user refuse to accept the msg rid: 25"));
            }
            *left -= 1;
        }
        let id = self.id();
        self.messages
            .insert((user.clone(), key.clone()), (seen.now, id));
        let endpoint = if notice { "notice" } else { "template" };
        log.push(Accepted {
            endpoint,
            key,
            users: vec![user.clone()],
            content: seen.json["data"].clone(),
            id: id.to_string(),
        });
        let event = if notice {
            let fields = format!(
                "<SubscribeMsgSentEvent><List><TemplateId><![CDATA[{template}]]></TemplateId><MsgID>{id}</MsgID><ErrorCode>0</ErrorCode>\
                 <ErrorStatus><![CDATA[success]]></ErrorStatus></List></SubscribeMsgSentEvent>"
            );
            self.event(seen.now, &user, "subscribe_msg_sent_event", &fields)
        } else {
            let status = if self.blockers.contains(&user) {
                "failed:user block"
            } else {
                "success"
            };
            let fields = format!("<MsgID>{id}</MsgID><Status><![CDATA[{status}]]></Status>");
            self.event(seen.now, &user, "TEMPLATESENDJOBFINISH", &fields)
        };
        Ok(Said::json(&json!({"errcode": 0, "errmsg": "ok", "msgid": id})).with(event))
    }

    fn chat(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Result<Said, Said> {
        self.spend("chat")?;
        if seen.body.windows(2).any(|w| w == b"\\u") {
            return Err(Said::error(
                40033,
                "invalid charset. please check your request, if include \\uxxxx will create fail! rid: 26",
            ));
        }
        let user = seen.text("touser").to_string();
        if !self.follows(&user) {
            return Err(Said::error(40003, "invalid openid rid: 27"));
        }
        if self.blockers.contains(&user) {
            return Err(Said::error(48002, "user block rid: 28"));
        }
        match self.windows.get_mut(&user) {
            Some((_, until)) if *until < seen.now => {
                return Err(Said::error(45015, "response out of time limit rid: 29"));
            }
            None => {
                return Err(Said::error(
                    45015,
                    "response out of time limit or subscription is canceled rid: 30",
                ));
            }
            Some((0, _)) => return Err(Said::error(45047, "out of response count limit rid: 31")),
            Some((left, _)) => *left -= 1,
        }
        let kind = seen.text("msgtype").to_string();
        log.push(Accepted {
            endpoint: "chat",
            key: String::new(),
            users: vec![user],
            content: seen.json[&*kind].clone(),
            id: String::new(),
        });
        Ok(Said::error(0, "ok"))
    }

    // -------------------------------------------------------------- the rest

    fn rest(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Result<Said, Said> {
        match seen.path.as_str() {
            "/cgi-bin/draft/add" => {
                self.spend("draft")?;
                let article = &seen.json["articles"][0];
                for (part, code) in [
                    ("title", 45003),
                    ("content", 44004),
                    ("thumb_media_id", 40007),
                ] {
                    if article[part].as_str().is_none_or(str::is_empty) {
                        return Err(Said::error(code, &format!("invalid {part} rid: 32")));
                    }
                }
                let media = format!("draft{}", self.drafts.len() + 1);
                self.drafts.insert(media.clone());
                Ok(Said::json(&json!({"media_id": media})))
            }
            "/cgi-bin/user/info/batchget" => {
                let list: Vec<String> = seen.json["user_list"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|u| u["openid"].as_str().map(str::to_string))
                    .collect();
                if list.len() > 100 || list.is_empty() {
                    return Err(Said::error(40032, "invalid openid list size rid: 33"));
                }
                if list.iter().any(|u| !self.follows(u)) {
                    return Err(Said::error(40003, "invalid openid rid: 34"));
                }
                let infos: Vec<Value> = list
                    .iter()
                    .map(|u| json!({"openid": u, "subscribe": 1}))
                    .collect();
                Ok(Said::json(&json!({"user_info_list": infos})))
            }
            "/cgi-bin/message/mass/get" => {
                let id = seen.json["msg_id"]
                    .as_str()
                    .and_then(|t| t.parse().ok())
                    .or(seen.json["msg_id"].as_i64())
                    .unwrap_or(0);
                match self.jobs.get(&id) {
                    Some(job) => Ok(Said::json(&json!({"msg_id": id, "msg_status": job.status}))),
                    None => Err(Said::error(40059, "invalid msg id rid: 35")),
                }
            }
            "/cgi-bin/message/mass/preview" => {
                let user = seen.text("touser").to_string();
                if !self.follows(&user) {
                    return Err(Said::error(40003, "invalid openid rid: 38"));
                }
                let (id, kind) = (self.id(), seen.text("msgtype").to_string());
                let content = seen.json[&*kind].clone();
                log.push(Accepted {
                    endpoint: "preview",
                    key: String::new(),
                    users: vec![user],
                    content,
                    id: id.to_string(),
                });
                Ok(Said::json(
                    &json!({"errcode": 0, "errmsg": "preview success", "msg_id": id}),
                ))
            }
            "/cgi-bin/message/mass/delete" => {
                let id = seen.json["msg_id"].as_i64().unwrap_or(0);
                match self.jobs.get_mut(&id) {
                    Some(job) if job.article && job.status == "SEND_SUCCESS" => {
                        job.status = "DELETE";
                        Ok(Said::error(0, "ok"))
                    }
                    _ => Err(Said::error(40059, "invalid msg id rid: 36")),
                }
            }
            path => Ok(Said::status(404, &format!("no {path}"))),
        }
    }

    /// A follower leaves the account.
    pub fn leaves(&self, user: &str, now: i64) -> Callback {
        self.event(
            now,
            user,
            "unsubscribe",
            "<EventKey><![CDATA[]]></EventKey>",
        )
    }

    fn event(&self, now: i64, from: &str, event: &str, fields: &str) -> Callback {
        let account = "gh_account";
        let xml = format!(
            "<xml><ToUserName><![CDATA[{account}]]></ToUserName><FromUserName><![CDATA[{from}]]></FromUserName>\
             <CreateTime>{now}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[{event}]]></Event>{fields}</xml>"
        );
        let (at, nonce) = (now.to_string(), (now % 1_000_000).to_string());
        let (token, receiver) = (self.callback_token.clone(), self.app_id.clone());
        let seal = Seal {
            token,
            key: self.callback_key.clone().unwrap_or_default(),
            receiver,
        };
        let plain = format!(
            "signature={}&timestamp={at}&nonce={nonce}",
            seal.signature(&[&at, &nonce])
        );
        if self.callback_key.is_none() {
            return Callback {
                query: plain,
                headers: vec![("content-type".into(), "text/xml".into())],
                body: xml,
            };
        }
        // The safe mode signs the call as a whole as well.
        let mut call = seal.call(account, &xml, now);
        call.query = format!(
            "{plain}&openid={from}&encrypt_type=aes&{}",
            call.query
                .replace(&format!("&timestamp={at}&nonce={nonce}"), "")
        );
        call
    }
}

/// The rules of typed fields.
fn check_field(field: &str, value: &str) -> Result<(), &'static str> {
    let kind = field.trim_end_matches(|c: char| c.is_ascii_digit());
    let length = value.chars().count();
    let fine = match kind {
        "thing" => length <= 20,
        "phrase" => {
            length <= 5
                && value
                    .chars()
                    .all(|c| ('\u{4e00}'..='\u{9fff}').contains(&c))
        }
        "number" => length <= 32 && value.parse::<f64>().is_ok(),
        "amount" => length <= 12,
        _ => true,
    };
    match (value.is_empty(), fine) {
        (true, _) => Err("is empty"),
        (false, true) => Ok(()),
        (false, false) => Err("invalid"),
    }
}

impl Platform for WeChat {
    fn answer(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        if seen.path == "/cgi-bin/stable_token" {
            return self.stable_token(seen);
        }
        let answer = self
            .check_token(seen)
            .and_then(|()| match seen.path.as_str() {
                _ if seen.json.is_null() => Err(Said::error(44002, "empty post data rid: 37")),
                "/cgi-bin/message/mass/send" => self.mass(seen, log),
                "/cgi-bin/message/template/send" => self.template(seen, false, log),
                "/cgi-bin/message/subscribe/bizsend" => self.template(seen, true, log),
                "/cgi-bin/message/custom/send" => self.chat(seen, log),
                _ => self.rest(seen, log),
            });
        answer.unwrap_or_else(|refused| refused)
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
