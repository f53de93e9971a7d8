//! WeCom: group sends that employees confirm, application messages, customer service.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::sealed::Seal;
use super::{Accepted, Callback, Platform, Said, Seen};

/// Made for tests; it guards nothing.
pub const CALLBACK_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

/// The account of customer service.
pub const KF: &str = "kf1";

pub struct WeCom {
    pub corp_id: String,
    pub secret: String,
    /// Callbacks are always encrypted.
    pub seal: Seal,
    tokens: BTreeMap<String, i64>,
    issued: usize,
    pub trusted: bool,
    /// Customers and the employee who last talked with each.
    pub customers: BTreeMap<String, String>,
    /// Customers who are not friends any more when their employee confirms.
    pub left: BTreeSet<String>,
    pub members: BTreeSet<String>,
    /// Group messages that each customer had in the month.
    pub had: BTreeMap<String, u32>,
    pub allowed: u32,
    tasks: Vec<Task>,
    /// When each member got application messages.
    got: BTreeMap<String, Vec<i64>>,
    /// What members really saw: above the limits the rest is dropped in silence.
    pub shown: BTreeMap<String, usize>,
    equal: BTreeMap<String, (i64, String)>,
    recalled: BTreeSet<String>,
    /// Customer service messages left, by customer.
    pub windows: BTreeMap<String, u32>,
    /// Customers who refuse what customer service sends; the call is taken all the same.
    pub refusing: BTreeSet<String>,
    /// What customers wrote and what failed, in order.
    letters: Vec<Value>,
    /// With which the letters may be fetched, and since when.
    mail_tokens: BTreeMap<String, i64>,
    /// When letters were fetched without one.
    fetched: Vec<i64>,
    /// Rows of a page, to see cursors at work.
    pub page: usize,
    next: u64,
}

struct Task {
    id: String,
    at: i64,
    attachments: Value,
    text: Value,
    /// Customer, employee, status.
    rows: Vec<(String, String, i64)>,
    cancelled: bool,
    reminders: usize,
}

impl WeCom {
    pub fn new(corp_id: &str, secret: &str) -> Self {
        WeCom {
            corp_id: corp_id.into(),
            secret: secret.into(),
            seal: Seal {
                token: "callback-token".into(),
                key: CALLBACK_KEY.into(),
                receiver: corp_id.into(),
            },
            tokens: BTreeMap::new(),
            issued: 0,
            trusted: true,
            customers: (0..2_000)
                .map(|i| (format!("wm{i}"), format!("employee{}", i % 3)))
                .collect(),
            left: BTreeSet::new(),
            members: (0..3_000).map(|i| format!("m{i}")).collect(),
            had: BTreeMap::new(),
            allowed: 30,
            tasks: Vec::new(),
            got: BTreeMap::new(),
            shown: BTreeMap::new(),
            equal: BTreeMap::new(),
            recalled: BTreeSet::new(),
            windows: BTreeMap::new(),
            refusing: BTreeSet::new(),
            letters: Vec::new(),
            mail_tokens: BTreeMap::new(),
            fetched: Vec::new(),
            page: 1_000,
            next: 0,
        }
    }

    /// A member writes to the application.
    pub fn writes(&self, member: &str, id: &str, now: i64) -> Callback {
        self.tells(
            member,
            &format!("<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[收到]]></Content><MsgId>{id}</MsgId><AgentID>1</AgentID>"),
            now,
        )
    }

    /// A member unsubscribes from the application.
    pub fn unsubscribes(&self, member: &str, now: i64) -> Callback {
        self.tells(member, "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[unsubscribe]]></Event><AgentID>1</AgentID>", now)
    }

    /// A customer ends the relation with an employee: it says nothing of the members whom the
    /// application writes to.
    pub fn leaves(&self, customer: &str, now: i64) -> Callback {
        let event = "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_external_contact]]></Event>";
        let what = format!(
            "<ChangeType><![CDATA[del_follow_user]]></ChangeType><UserID>m0</UserID><ExternalUserID>{customer}</ExternalUserID>"
        );
        self.tells("sys", &format!("{event}{what}"), now)
    }

    /// A customer writes to customer service: the window opens, and the call says only that there
    /// is something.
    pub fn writes_to_service(&mut self, customer: &str, now: i64) -> Callback {
        self.windows.insert(customer.into(), 5);
        self.letter(
            customer,
            3,
            json!({"msgtype": "text", "text": {"content": "在吗", "menu_id": ""}}),
            now,
        )
    }

    /// An employee answers a customer, who has not written for that.
    pub fn employee_writes(&mut self, customer: &str, now: i64) -> Callback {
        self.letter(
            customer,
            5,
            json!({"msgtype": "text", "text": {"content": "您好"}, "servicer_userid": "employee0"}),
            now,
        )
    }

    fn letter(&mut self, customer: &str, origin: i64, mut letter: Value, now: i64) -> Callback {
        let id = self.id("letter");
        letter["msgid"] = id.into();
        letter["open_kfid"] = KF.into();
        letter["send_time"] = now.into();
        letter["origin"] = origin.into();
        if origin != 4 {
            letter["external_userid"] = customer.into();
        }
        self.letters.push(letter);
        let token = self.id("mail-token-");
        let inner =
            "<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event>";
        let callback = self.tells(
            "sys",
            &format!(
                "{inner}<Token><![CDATA[{token}]]></Token><OpenKfId><![CDATA[{KF}]]></OpenKfId>"
            ),
            now,
        );
        self.mail_tokens.insert(token, now);
        callback
    }

    /// What was told of three days, page by page. Without a token of the last ten minutes only ten
    /// times a minute.
    fn sync(&mut self, seen: &Seen) -> Said {
        if seen.text("open_kfid") != KF {
            return Said::error(95000, "invalid open_kfid");
        }
        match seen.text("token") {
            "" => {
                self.fetched.retain(|at| seen.now - at < 60);
                if self.fetched.len() >= 10 {
                    return Said::error(45009, "api freq out of limit");
                }
                self.fetched.push(seen.now);
            }
            token
                if self
                    .mail_tokens
                    .get(token)
                    .is_some_and(|at| seen.now - at < 600) => {}
            _ => return Said::error(95007, "invalid msg token"),
        }
        let Ok(from) = seen
            .text("cursor")
            .trim_start_matches("cursor-")
            .parse::<usize>()
            .or(match seen.text("cursor") {
                "" => Ok(0),
                _ => Err(()),
            })
        else {
            return Said::error(40097, "invalid cursor");
        };
        let limit = usize::try_from(seen.json["limit"].as_u64().unwrap_or(1000))
            .unwrap_or(1000)
            .min(1000)
            .min(self.page);
        let (to, young) = (
            (from + limit).min(self.letters.len()),
            seen.now - 3 * 86_400,
        );
        let some = self
            .letters
            .get(from..to)
            .unwrap_or_default()
            .iter()
            .filter(|l| l["send_time"].as_i64() >= Some(young));
        let some: Vec<&Value> = some.collect();
        let more = i64::from(to < self.letters.len());
        Said::json(
            &json!({"errcode": 0, "errmsg": "ok", "next_cursor": format!("cursor-{to}"), "has_more": more, "msg_list": some}),
        )
    }

    fn tells(&self, from: &str, inner: &str, now: i64) -> Callback {
        let corp = &self.corp_id;
        let head = format!(
            "<ToUserName><![CDATA[{corp}]]></ToUserName><FromUserName><![CDATA[{from}]]></FromUserName>"
        );
        self.seal.call(
            corp,
            &format!("<xml>{head}<CreateTime>{now}</CreateTime>{inner}</xml>"),
            now,
        )
    }

    /// An employee confirms all tasks.
    pub fn confirm(&mut self, employee: &str) {
        for task in self.tasks.iter_mut().filter(|t| !t.cancelled) {
            for (customer, _, status) in task
                .rows
                .iter_mut()
                .filter(|(_, e, status)| e == employee && *status == 0)
            {
                let had = self.had.entry(customer.clone()).or_default();
                *status = if self.left.contains(customer) {
                    2
                } else if *had >= self.allowed {
                    3
                } else {
                    *had += 1;
                    1
                };
            }
        }
    }

    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    fn id(&mut self, head: &str) -> String {
        self.next += 1;
        format!("{head}{}", self.next)
    }

    fn token(&mut self, seen: &Seen) -> Said {
        if seen.query("corpid") != self.corp_id {
            return Said::error(40013, "invalid corpid");
        }
        if seen.query("corpsecret") != self.secret {
            return Said::error(40001, "invalid credential");
        }
        if let Some((value, ends)) = self.tokens.iter().find(|(_, ends)| **ends > seen.now) {
            return Said::json(
                &json!({"errcode": 0, "errmsg": "ok", "access_token": value, "expires_in": ends - seen.now}),
            );
        }
        self.issued += 1;
        let value = format!("wecom-token-{}", self.issued);
        self.tokens.insert(value.clone(), seen.now + 7200);
        Said::json(
            &json!({"errcode": 0, "errmsg": "ok", "access_token": value, "expires_in": 7200}),
        )
    }

    pub fn evict(&mut self) {
        self.tokens.clear();
    }

    fn app(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        let users: Vec<&str> = seen
            .text("touser")
            .split('|')
            .filter(|u| !u.is_empty())
            .collect();
        if users.is_empty() || users.len() > 1000 || users.contains(&"@all") {
            return Said::error(40031, "invalid userid list");
        }
        if seen.json["agentid"].as_i64().is_none() {
            return Said::error(40056, "invalid agentid");
        }
        let kind = seen.text("msgtype").to_string();
        if kind == "text"
            && seen.json["text"]["content"]
                .as_str()
                .unwrap_or_default()
                .len()
                > 2048
        {
            return Said::error(45002, "content size out of limit");
        }
        let (known, unknown): (Vec<&str>, Vec<&str>) =
            users.into_iter().partition(|u| self.members.contains(*u));
        if known.is_empty() {
            return Said::error(81013, "user & party & tag all invalid");
        }
        let bytes = String::from_utf8_lossy(&seen.body).into_owned();
        let interval = seen.json["duplicate_check_interval"]
            .as_i64()
            .unwrap_or(1800);
        if seen.json["enable_duplicate_check"] == 1
            && let Some((_, id)) = self
                .equal
                .get(&bytes)
                .filter(|(at, _)| seen.now - at < interval)
        {
            return Said::json(
                &json!({"errcode": 0, "errmsg": "ok", "msgid": id, "invaliduser": unknown.join("|").to_lowercase()}),
            );
        }
        let id = self.id("app");
        self.equal.insert(bytes, (seen.now, id.clone()));
        for user in &known {
            let got = self.got.entry((*user).to_string()).or_default();
            got.push(seen.now);
            if got.iter().filter(|at| seen.now - **at < 60).count() <= 30
                && got.iter().filter(|at| seen.now - **at < 3600).count() <= 1000
            {
                *self.shown.entry((*user).to_string()).or_default() += 1;
            }
        }
        log.push(Accepted {
            endpoint: "app",
            key: String::new(),
            users: known.iter().map(|u| (*u).to_string()).collect(),
            content: seen.json[&*kind].clone(),
            id: id.clone(),
        });
        Said::json(
            &json!({"errcode": 0, "errmsg": "ok", "msgid": id, "invaliduser": unknown.join("|").to_lowercase()}),
        )
    }

    fn group(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        let users: Vec<String> = seen.json["external_userid"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|u| u.as_str().map(str::to_string))
            .collect();
        if seen.text("chat_type") != "single" || users.is_empty() || users.len() > 10_000 {
            return Said::error(40096, "invalid external userid list");
        }
        if seen.json["text"]["content"]
            .as_str()
            .unwrap_or_default()
            .len()
            > 4000
        {
            return Said::error(45002, "content size out of limit");
        }
        if seen.json.get("text").is_none() && seen.json.get("attachments").is_none() {
            return Said::error(41016, "no content");
        }
        let (known, fail): (Vec<String>, Vec<String>) = users
            .into_iter()
            .partition(|u| self.customers.contains_key(u));
        let id = self.id("group");
        let rows = known
            .iter()
            .map(|u| {
                (
                    u.clone(),
                    self.customers.get(u).cloned().unwrap_or_default(),
                    0,
                )
            })
            .collect();
        let (attachments, text) = (seen.json["attachments"].clone(), seen.json["text"].clone());
        self.tasks.push(Task {
            id: id.clone(),
            at: seen.now,
            attachments,
            text,
            rows,
            cancelled: false,
            reminders: 0,
        });
        log.push(Accepted {
            endpoint: "group",
            key: String::new(),
            users: known,
            content: seen.json["text"].clone(),
            id: id.clone(),
        });
        Said::json(&json!({"errcode": 0, "errmsg": "ok", "fail_list": fail, "msgid": id}))
    }

    fn page(&self, seen: &Seen, rows: Vec<Value>, name: &str) -> Said {
        let from: usize = seen.text("cursor").parse().unwrap_or(0);
        let limit = usize::try_from(seen.json["limit"].as_u64().unwrap_or(500))
            .unwrap_or(500)
            .min(self.page);
        let next = if from + limit < rows.len() {
            (from + limit).to_string()
        } else {
            String::new()
        };
        let some: Vec<Value> = rows.into_iter().skip(from).take(limit).collect();
        Said::json(&json!({"errcode": 0, "errmsg": "ok", name: some, "next_cursor": next}))
    }

    fn kf(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        if seen.text("open_kfid").is_empty() {
            return Said::error(95000, "invalid open_kfid");
        }
        let key = seen.text("msgid").to_string();
        if key.len() > 32
            || !key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
        {
            return Said::error(40058, "invalid msgid");
        }
        let user = seen.text("touser").to_string();
        match self.windows.get_mut(&user) {
            None | Some(0) => Said::error(95001, "send msg count limit"),
            Some(left) => {
                *left -= 1;
                let kind = seen.text("msgtype").to_string();
                let said = Said::json(&json!({"errcode": 0, "errmsg": "ok", "msgid": key}));
                if self.refusing.contains(&user) {
                    let event = json!({"event_type": "msg_send_fail", "open_kfid": KF, "external_userid": user, "fail_msgid": key, "fail_type": 10});
                    return said.with(self.letter(
                        &user,
                        4,
                        json!({"msgtype": "event", "event": event}),
                        seen.now,
                    ));
                }
                log.push(Accepted {
                    endpoint: "kf",
                    key: key.clone(),
                    users: vec![user],
                    content: seen.json[&*kind].clone(),
                    id: key,
                });
                said
            }
        }
    }

    fn task(&mut self, seen: &Seen) -> Option<&mut Task> {
        let id = seen.text("msgid");
        self.tasks.iter_mut().find(|t| t.id == id)
    }
}

impl Platform for WeCom {
    fn answer(&mut self, seen: &Seen, log: &mut Vec<Accepted>) -> Said {
        if seen.path == "/cgi-bin/gettoken" {
            return self.token(seen);
        }
        if !self.trusted {
            return Said::error(
                60020,
                "not allow to access from your ip, from ip: 203.0.113.7",
            );
        }
        match self.tokens.get(seen.query("access_token")) {
            None => return Said::error(40014, "invalid access_token"),
            Some(ends) if *ends < seen.now => return Said::error(42001, "access_token expired"),
            Some(_) => {}
        }
        let ok = || Said::error(0, "ok");
        let unknown = || Said::error(40058, "invalid msgid");
        match seen.path.as_str() {
            "/cgi-bin/message/send" => self.app(seen, log),
            "/cgi-bin/message/recall" => {
                self.recalled.insert(seen.text("msgid").to_string());
                ok()
            }
            "/cgi-bin/kf/send_msg" => self.kf(seen, log),
            "/cgi-bin/kf/sync_msg" => self.sync(seen),
            "/cgi-bin/externalcontact/add_msg_template" => self.group(seen, log),
            "/cgi-bin/externalcontact/get_groupmsg_list_v2" => {
                let range = seen.json["start_time"].as_i64().unwrap_or(0)
                    ..=seen.json["end_time"].as_i64().unwrap_or(0);
                let row = |t: &Task| json!({"msgid": t.id, "create_time": t.at, "text": t.text, "attachments": t.attachments});
                let rows = self
                    .tasks
                    .iter()
                    .filter(|t| range.contains(&t.at))
                    .map(row)
                    .collect();
                self.page(seen, rows, "group_msg_list")
            }
            "/cgi-bin/externalcontact/get_groupmsg_task" => {
                let Some(task) = self.task(seen) else {
                    return unknown();
                };
                let members: BTreeSet<&String> = task.rows.iter().map(|(_, e, _)| e).collect();
                let rows = members
                    .into_iter()
                    .map(|e| json!({"userid": e, "status": 0}))
                    .collect();
                self.page(seen, rows, "task_list")
            }
            "/cgi-bin/externalcontact/get_groupmsg_send_result" => {
                let (member, at) = (seen.text("userid").to_string(), seen.now);
                let Some(task) = self.task(seen) else {
                    return unknown();
                };
                let row = |(c, e, s): &(String, String, i64)| json!({"external_userid": c, "userid": e, "status": s, "send_time": at});
                let rows = task
                    .rows
                    .iter()
                    .filter(|(_, e, _)| *e == member)
                    .map(row)
                    .collect();
                self.page(seen, rows, "send_list")
            }
            "/cgi-bin/externalcontact/remind_groupmsg_send" => match self.task(seen) {
                Some(task) if task.reminders < 3 => {
                    task.reminders += 1;
                    ok()
                }
                Some(_) => Said::error(45009, "api freq out of limit"),
                None => unknown(),
            },
            "/cgi-bin/externalcontact/cancel_groupmsg_send" => match self.task(seen) {
                Some(task) => {
                    task.cancelled = true;
                    ok()
                }
                None => unknown(),
            },
            path => Said::status(404, &format!("no {path}")),
        }
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
