//! WeCom: group sends to customers, application messages to members, WeChat customer service.
//!
//! A group send sends nothing: it makes tasks for employees, who confirm them in their app. Its
//! messages are *waiting* until the platform says what each employee did. An application message to
//! several members with the same text is one call.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::parts::Parts;
use super::singles::{self, CallSize};
use super::tencent::{ask, text_of};
use super::wechat::why_not;
use crate::base::{Elapsed, Instant};
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, NextAction, Recalled, Reply};
use crate::deliver::wire::account::{AccountClient, CallMode, FOR_LIST, FOR_ONE};
use crate::deliver::wire::api_response::SendOutcome;
use crate::deliver::wire::client;
use crate::ledger::ReceiptKind;
use crate::ledger::{Batch, BatchEvidence, BatchOutcome, Message, Page, Refusal, Verdict};
use crate::msg;
use crate::program::platform::{Endpoint, MessagePart};

pub const ADDRESS: &str = "https://qyapi.weixin.qq.com";

/// Members that one call of the application endpoint takes.
const MEMBERS: usize = 1_000;
/// The platform drops an application message to a member in silence above these.
const A_MINUTE: (usize, Elapsed) = (30, Elapsed::minutes(1));
const AN_HOUR: (usize, Elapsed) = (1_000, Elapsed::hours(1));
/// How long the platform takes equal messages for one.
const DUPLICATE: Elapsed = Elapsed::seconds(1_800);
/// Reminders of one group send that the platform allows in a day.
const REMINDERS: (usize, Elapsed) = (3, Elapsed::hours(24));
/// Questions about a group send that are under way at once; the platform refuses many.
const ASKED_TOGETHER: usize = 4;
/// Rows of an answer, and pages that are read of one question.
const ROWS: usize = 1_000;
const PAGES: usize = 100;
/// Most messages of customers in one answer.
const LETTERS: usize = 1_000;
/// How often a question is asked again that came while too many were under way.
const PATIENCE: u32 = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Group,
    App,
    Kf,
}

/// One endpoint of an account.
pub struct WeComChannel {
    account: Arc<AccountClient>,
    endpoint: &'static Endpoint,
    kind: Kind,
    /// When each member got application messages lately.
    lately: Mutex<HashMap<Arc<str>, VecDeque<Instant>>>,
    /// Application messages of the last half hour by their digest, with the hand-over that they
    /// belong to.
    equal: Mutex<HashMap<blake3::Hash, (String, Instant)>>,
    reminded: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl WeComChannel {
    /// The channel of an endpoint, or what it lacks.
    pub fn of(
        account: &Arc<AccountClient>,
        endpoint: &'static Endpoint,
    ) -> Result<Self, &'static str> {
        let kind = match endpoint.name.as_str() {
            "app" if account.settings.agent_id.is_none() => return Err("agent_id"),
            "kf" if account.settings.open_kfid.is_none() => return Err("open_kfid"),
            "app" => Kind::App,
            "kf" => Kind::Kf,
            _ => Kind::Group,
        };
        Ok(WeComChannel {
            account: account.clone(),
            endpoint,
            kind,
            lately: Mutex::default(),
            equal: Mutex::default(),
            reminded: Mutex::default(),
        })
    }
}

impl Channel for WeComChannel {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn most(&self) -> usize {
        match self.kind {
            Kind::Group => 10_000,
            Kind::App => MEMBERS,
            Kind::Kf => self.account.together(),
        }
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
        match self.kind {
            Kind::Group => self.group(batch),
            Kind::App => self.app(batch),
            Kind::Kf => self.kf(batch),
        }
    }

    fn finds_lost(&self) -> bool {
        self.kind == Kind::Group
    }

    /// Of a group send: whether its task is there, by the mark in its link; and what each employee
    /// did.
    fn look_up(&self, batch: &Batch, id: Option<&str>) -> Result<BatchEvidence, String> {
        if self.kind != Kind::Group {
            return Ok(BatchEvidence::default());
        }
        let (account, mark, at) = (self.account.clone(), mark(batch), batch.at);
        let id = match id {
            Some(id) => id.to_string(),
            None => match client::run(async move { find_task(&account, &mark, at).await }) {
                Some(Ok(Some(id))) => id,
                Some(Ok(None)) => return Ok(BatchEvidence::default()),
                Some(Err(meaning)) => return Err(why_not(Some(meaning))),
                None => return Err("no answer".into()),
            },
        };
        let places: HashMap<Arc<str>, usize> = batch
            .messages
            .iter()
            .enumerate()
            .map(|(i, m)| (m.address.clone(), i))
            .collect();
        let (account, task) = (self.account.clone(), id.clone());
        let rows = match client::run(async move { results(&account, &task).await }) {
            Some(Ok(rows)) => rows,
            Some(Err(meaning)) => return Err(why_not(Some(meaning))),
            None => return Err("no answer".into()),
        };
        let each = rows.into_iter().filter_map(|(user, status, at)| {
            let kind = match status {
                1 => ReceiptKind::Delivered,
                2 | 3 => ReceiptKind::Failed,
                _ => return None,
            };
            Some((*places.get(user.as_str())?, kind, at))
        });
        let mut each: Vec<_> = each.collect();
        each.sort_by_key(|(place, ..)| *place);
        Ok(BatchEvidence {
            found: Some(id),
            each,
            ..BatchEvidence::default()
        })
    }

    fn mailbox(&self) -> Option<&str> {
        self.account
            .settings
            .open_kfid
            .as_deref()
            .filter(|_| self.kind == Kind::Kf)
    }

    /// Of customer service: what customers wrote in the last three days, and which messages failed.
    fn fetch(&self, mark: &str, token: Option<&str>) -> Result<Page, String> {
        let mut body = json!({"open_kfid": self.account.settings.open_kfid, "limit": LETTERS});
        let given = [("cursor", Some(mark)), ("token", token)];
        for (name, text) in given
            .into_iter()
            .filter_map(|(name, text)| Some((name, text.filter(|t| !t.is_empty())?)))
        {
            body[name] = text.into();
        }
        let account = self.account.clone();
        let how = CallMode {
            within: FOR_LIST,
            begin_by: None,
        };
        match client::run(
            async move { ask(&account, "kf", "/cgi-bin/kf/sync_msg", &body, how).await },
        ) {
            Some(SendOutcome::Done(answer)) => page(&answer, mark),
            other => Err(why_not(other)),
        }
    }

    fn recall(&self, id: &str, _: &Rendered) -> Recalled {
        let path = match self.kind {
            Kind::Group => "/cgi-bin/externalcontact/cancel_groupmsg_send",
            Kind::App => "/cgi-bin/message/recall",
            Kind::Kf => {
                return Recalled::Cannot {
                    reason: "customer service messages cannot be taken back".into(),
                };
            }
        };
        let (account, name, body) = (
            self.account.clone(),
            &*self.endpoint.name,
            json!({"msgid": id}),
        );
        let how = CallMode {
            within: FOR_ONE,
            begin_by: None,
        };
        match (
            self.kind,
            client::run(async move { ask(&account, name, path, &body, how).await }),
        ) {
            (Kind::Group, Some(SendOutcome::Done(_))) => Recalled::Unsent,
            (_, Some(SendOutcome::Done(_))) => Recalled::Done,
            (_, Some(SendOutcome::Wrong { reason } | SendOutcome::Dropped { reason, .. })) => {
                Recalled::Cannot { reason }
            }
            (_, other) => Recalled::Unknown {
                reason: why_not(other),
            },
        }
    }

    /// Reminds the employees who have not confirmed; the platform allows it three times in a day.
    fn remind(&self, id: &str) -> Result<(), String> {
        if self.kind != Kind::Group {
            return Err("nobody has to confirm on this channel".into());
        }
        let now = self.account.world.now();
        {
            let mut reminded = self.reminded.lock().unwrap_or_else(PoisonError::into_inner);
            let times = reminded.entry(id.to_string()).or_default();
            times.retain(|at| now < at.plus(REMINDERS.1));
            if times.len() >= REMINDERS.0 {
                return Err(format!("reminded {} times in 24h already", REMINDERS.0));
            }
            times.push_back(now);
        }
        let (account, body) = (self.account.clone(), json!({"msgid": id}));
        let how = CallMode {
            within: FOR_ONE,
            begin_by: None,
        };
        match client::run(async move {
            ask(
                &account,
                "group",
                "/cgi-bin/externalcontact/remind_groupmsg_send",
                &body,
                how,
            )
            .await
        }) {
            Some(SendOutcome::Done(_)) => Ok(()),
            other => Err(why_not(other)),
        }
    }
}

// ------------------------------------------------------------------ group send

/// What marks a group send as this batch's, in a link of its own.
fn mark(batch: &Batch) -> String {
    format!("tc={}", batch.key)
}

impl WeComChannel {
    fn group(&self, batch: &Batch) -> Reply {
        let Some(first) = batch.messages.first() else {
            return BatchOutcome::Taken(Vec::new()).into();
        };
        if batch.messages.iter().any(|m| m.content != first.content) {
            return BatchOutcome::Refused {
                reason: "a group send carries one text".into(),
            }
            .into();
        }
        let users: Vec<&str> = batch.messages.iter().map(|m| &*m.address).collect();
        let mut body = json!({"chat_type": "single", "external_userid": users});
        if let Some(sender) = &self.account.settings.sender {
            body["sender"] = sender.as_str().into();
        }
        let parts = Parts::of(&first.content, self.endpoint);
        let text = parts.joined();
        if !text.is_empty() {
            body["text"] = json!({"content": text});
        }
        let attachments = attachments(&parts, &mark(batch));
        if !attachments.is_empty() {
            body["attachments"] = attachments.into();
        }
        let account = self.account.clone();
        let how = CallMode {
            within: FOR_LIST,
            begin_by: batch.begin_by,
        };
        let asked = client::run(async move {
            ask(
                &account,
                "group",
                "/cgi-bin/externalcontact/add_msg_template",
                &body,
                how,
            )
            .await
        });
        match asked {
            Some(SendOutcome::Done(body)) => {
                let id = text_of(&body, "msgid");
                let failed = strings(&body["fail_list"]);
                let verdict = |m: &Message| match failed.contains(&*m.address) {
                    true => Verdict::Refused {
                        reason: "in the list of those who cannot be sent to".into(),
                        because: Refusal::Message,
                    },
                    false => Verdict::Waiting { id: id.clone() },
                };
                BatchOutcome::Taken(batch.messages.iter().map(verdict).collect()).into()
            }
            Some(SendOutcome::Dropped { reason, because }) => BatchOutcome::Taken(vec![
                    Verdict::Refused { reason, because };
                    batch.messages.len()
                ])
            .into(),
            Some(SendOutcome::Wrong { reason }) => BatchOutcome::Refused { reason }.into(),
            Some(SendOutcome::NotSent { reason, then }) => Reply {
                answer: BatchOutcome::NotSent { reason },
                then,
            },
            other => BatchOutcome::Unknown {
                reason: why_not(other),
            }
            .into(),
        }
    }
}

fn attachments(parts: &Parts<'_>, mark: &str) -> Vec<Value> {
    let mut out = Vec::new();
    if let Some(image) = parts.get(MessagePart::Image).filter(|_| {
        parts.get(MessagePart::Link).is_none() && parts.get(MessagePart::Miniprogram).is_none()
    }) {
        out.push(json!({"msgtype": "image", "image": {"media_id": image}}));
    }
    if let Some(link) = parts.get(MessagePart::Link) {
        let url = if link.contains('#') {
            link.to_string()
        } else {
            format!("{link}#{mark}")
        };
        let title = parts.get(MessagePart::Title).unwrap_or(link);
        out.push(json!({"msgtype": "link", "link": {"title": title, "picurl": parts.text(MessagePart::Image), "url": url}}));
    }
    if let Some((app, page)) = parts.miniprogram() {
        let page = format!("{page}{}{mark}", if page.contains('?') { '&' } else { '?' });
        let card = json!({"title": parts.text(MessagePart::Title), "pic_media_id": parts.text(MessagePart::Image), "appid": app, "page": page});
        out.push(json!({"msgtype": "miniprogram", "miniprogram": card}));
    }
    if let Some(video) = parts.get(MessagePart::Video) {
        out.push(json!({"msgtype": "video", "video": {"media_id": video}}));
    }
    out
}

fn strings(list: &Value) -> std::collections::BTreeSet<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v.as_str().map(str::to_string))
        .collect()
}

/// A question, asked again a second later where too many were under way.
async fn question(
    account: &Arc<AccountClient>,
    path: &str,
    body: &Value,
) -> Result<Value, SendOutcome> {
    let how = CallMode {
        within: FOR_LIST,
        begin_by: None,
    };
    let mut tries = 0;
    loop {
        match ask(account, "group", path, body, how).await {
            SendOutcome::Done(body) => return Ok(body),
            SendOutcome::NotSent { reason, .. }
                if reason.starts_with("45033") && tries < PATIENCE =>
            {
                tries += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            other => return Err(other),
        }
    }
}

/// All pages of a question: what stands under `list`, page after page.
async fn pages(
    account: &Arc<AccountClient>,
    path: &str,
    mut body: Value,
    list: &str,
) -> Result<Vec<Value>, SendOutcome> {
    let mut rows = Vec::new();
    for _ in 0..PAGES {
        let mut page = question(account, path, &body).await?;
        if let Some(Value::Array(more)) = page.get_mut(list).map(Value::take) {
            rows.extend(more);
        }
        match page.get("next_cursor").and_then(Value::as_str) {
            Some(cursor) if !cursor.is_empty() => body["cursor"] = cursor.into(),
            _ => return Ok(rows),
        }
    }
    Err(SendOutcome::Unknown {
        reason: "too many pages".into(),
    })
}

/// The task that carries a mark, among those made around a time.
async fn find_task(
    account: &Arc<AccountClient>,
    mark: &str,
    at: Instant,
) -> Result<Option<String>, SendOutcome> {
    let seconds = at.0.div_euclid(1_000_000);
    let body = json!({"chat_type": "single", "start_time": seconds - 600, "end_time": seconds + 3_600, "filter_type": 2, "limit": 100});
    let rows = pages(
        account,
        "/cgi-bin/externalcontact/get_groupmsg_list_v2",
        body,
        "group_msg_list",
    )
    .await?;
    let marked = |row: &&Value| {
        let attachments = row["attachments"].as_array();
        let mut urls = attachments
            .into_iter()
            .flatten()
            .flat_map(|a| [&a["link"]["url"], &a["miniprogram"]["page"]]);
        urls.any(|url| url.as_str().is_some_and(|url| url.contains(mark)))
    };
    Ok(rows.iter().find(marked).map(|row| text_of(row, "msgid")))
}

/// What became of a task for each customer: id, status, time.
async fn results(
    account: &Arc<AccountClient>,
    id: &str,
) -> Result<Vec<(String, i64, Option<Instant>)>, SendOutcome> {
    let body = json!({"msgid": id, "limit": ROWS});
    let members = pages(
        account,
        "/cgi-bin/externalcontact/get_groupmsg_task",
        body,
        "task_list",
    )
    .await?;
    let members: Vec<String> = members.iter().map(|m| text_of(m, "userid")).collect();
    let (account, id) = (account.clone(), id.to_string());
    let of_member = move |member: String| {
        let (account, body) = (
            account.clone(),
            json!({"msgid": id, "userid": member, "limit": ROWS}),
        );
        async move {
            pages(
                &account,
                "/cgi-bin/externalcontact/get_groupmsg_send_result",
                body,
                "send_list",
            )
            .await
        }
    };
    let mut rows = Vec::new();
    for answer in client::each(members, ASKED_TOGETHER, of_member).await {
        let lost = || SendOutcome::Unknown {
            reason: "no answer".into(),
        };
        for row in answer.ok_or_else(lost)?? {
            let at = row["send_time"]
                .as_i64()
                .filter(|at| *at > 0)
                .map(Instant::from_seconds);
            rows.push((
                text_of(&row, "external_userid"),
                row["status"].as_i64().unwrap_or(0),
                at,
            ));
        }
    }
    Ok(rows)
}

// ------------------------------------------------------------------ application message

/// Members who get the same text in one call.
struct Call {
    messages: Vec<Message>,
}

impl CallSize for Call {
    fn members(&self) -> usize {
        self.messages.len()
    }
}

impl WeComChannel {
    fn app(&self, batch: &Batch) -> Reply {
        let now = self.account.world.now();
        // Where each message stands in the batch; those over the platform's silent limit do not go.
        let mut verdicts: Vec<Option<Verdict>> = vec![None; batch.messages.len()];
        let mut then = self.over_the_limit(batch, now, &mut verdicts);
        let mut calls: Vec<(Vec<usize>, Call)> = Vec::new();
        let mut by_text: BTreeMap<&[(String, String)], usize> = BTreeMap::new();
        for (place, message) in batch
            .messages
            .iter()
            .enumerate()
            .filter(|(i, _)| verdicts.get(*i).is_some_and(Option::is_none))
        {
            let text: &[(String, String)] = &message.content.parts;
            let known = by_text
                .get(text)
                .and_then(|n| calls.get(*n))
                .is_some_and(|(places, _)| places.len() < MEMBERS);
            if !known {
                by_text.insert(text, calls.len());
                calls.push((
                    Vec::new(),
                    Call {
                        messages: Vec::new(),
                    },
                ));
            }
            if let Some((places, call)) = by_text.get(text).and_then(|n| calls.get_mut(*n)) {
                places.push(place);
                call.messages.push(message.clone());
            }
        }
        // The platform takes equal messages for one: those of another hand-over wait until it does
        // not any more.
        calls.retain(|(places, call)| match self.equal_before(call, &batch.key, now) {
            None => true,
            Some(until) => {
                for place in places {
                    if let Some(slot) = verdicts.get_mut(*place) {
                        *slot = Some(Verdict::NotSent { reason: "the same text went to the same members a moment ago".into() });
                    }
                }
                let (name, shown) = (&self.account.name, self.account.zone.show(until));
                let why = msg!(
                    "`{name}` waits until {shown}: the platform would take the message for a repeat of another campaign's",
                    "`{name}` 等待至 {shown}：平台会将该消息视为另一活动消息的重复"
                );
                then = singles::worse(then.clone(), NextAction::Wait { until, why });
                false
            }
        });
        let (places, calls): (Vec<Vec<usize>>, Vec<Call>) = calls.into_iter().unzip();
        let (account, endpoint) = (self.account.clone(), self.endpoint);
        let how = CallMode {
            within: FOR_LIST,
            begin_by: batch.begin_by,
        };
        let reply = singles::hand_over(calls, self.account.together(), move |call: Call| {
            let account = account.clone();
            async move {
                let body = app_body(&call, &account, endpoint);
                let meaning = ask(
                    &account,
                    &endpoint.name,
                    "/cgi-bin/message/send",
                    &body,
                    how,
                )
                .await;
                match meaning {
                    SendOutcome::Done(body) => (app_verdicts(&call, &body), NextAction::GoOn),
                    other => {
                        let (verdict, then) = other.verdict(|_| String::new());
                        (vec![verdict; call.members()], then)
                    }
                }
            }
        });
        let answers = match reply.answer {
            BatchOutcome::Taken(answers) => answers,
            other => {
                return Reply {
                    answer: other,
                    then: singles::worse(then, reply.then),
                };
            }
        };
        for (place, verdict) in places.into_iter().flatten().zip(answers) {
            if let Some(slot) = verdicts.get_mut(place) {
                *slot = Some(verdict);
            }
        }
        let unknown = || Verdict::Unknown {
            reason: "the call died".into(),
        };
        let verdicts = verdicts
            .into_iter()
            .map(|v| v.unwrap_or_else(unknown))
            .collect();
        Reply {
            answer: BatchOutcome::Taken(verdicts),
            then: singles::worse(then, reply.then),
        }
    }

    /// Marks those whose member has had as many messages as the platform delivers, and counts the
    /// others.
    fn over_the_limit(
        &self,
        batch: &Batch,
        now: Instant,
        verdicts: &mut [Option<Verdict>],
    ) -> NextAction {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        let mut until = None;
        for (message, verdict) in batch.messages.iter().zip(verdicts) {
            let times = lately.entry(message.address.clone()).or_default();
            while times.front().is_some_and(|at| now >= at.plus(AN_HOUR.1)) {
                times.pop_front();
            }
            let free = [A_MINUTE, AN_HOUR]
                .into_iter()
                .filter_map(|(most, window)| {
                    let oldest = times.len().checked_sub(most).and_then(|n| times.get(n))?;
                    Some(oldest.plus(window)).filter(|free| *free > now)
                });
            match free.max() {
                None => times.push_back(now),
                Some(free) => {
                    until = until.max(Some(free));
                    *verdict = Some(Verdict::NotSent {
                        reason: "the member has had as many messages as the platform delivers"
                            .into(),
                    });
                }
            }
        }
        // Members who got nothing lately take no room.
        lately.retain(|_, times| times.back().is_some_and(|at| now < at.plus(AN_HOUR.1)));
        let Some(until) = until else {
            return NextAction::GoOn;
        };
        let (name, shown) = (&self.account.name, self.account.zone.show(until));
        let why = msg!(
            "`{name}` waits until {shown}: above 30 messages a minute and 1,000 an hour for a member the platform drops them in silence",
            "`{name}` 等待至 {shown}：每位成员每分钟超过 30 条或每小时超过 1,000 条时平台会静默丢弃"
        );
        NextAction::Wait { until, why }
    }

    /// Until when an equal message of another hand-over stands in the way.
    fn equal_before(&self, call: &Call, key: &str, now: Instant) -> Option<Instant> {
        let body = app_body(call, &self.account, self.endpoint).to_string();
        let digest = blake3::hash(body.as_bytes());
        let mut equal = self.equal.lock().unwrap_or_else(PoisonError::into_inner);
        equal.retain(|_, (_, at)| now < at.plus(DUPLICATE));
        match equal.get(&digest) {
            Some((other, at)) if other != key => Some(at.plus(DUPLICATE)),
            Some(_) => None,
            None => {
                equal.insert(digest, (key.to_string(), now));
                None
            }
        }
    }
}

fn app_body(call: &Call, account: &AccountClient, endpoint: &Endpoint) -> Value {
    let users: Vec<&str> = call.messages.iter().map(|m| &*m.address).collect();
    let mut body = json!({
        "touser": users.join("|"), "agentid": account.settings.agent_id,
        "enable_duplicate_check": 1, "duplicate_check_interval": DUPLICATE.0 / 1_000_000,
    });
    let Some(first) = call.messages.first() else {
        return body;
    };
    let parts = Parts::of(&first.content, endpoint);
    let (kind, payload) = parts.chat(|| {
        let ((app, page), description) = (parts.miniprogram().unwrap_or_default(), parts.text(MessagePart::Body));
        ("miniprogram_notice", json!({"appid": app, "page": page, "title": parts.text(MessagePart::Title), "description": description}))
    });
    body["msgtype"] = kind.into();
    body[kind] = payload;
    body
}

/// A call that is taken names the members that it could not reach; their ids come back in lower
/// case.
fn app_verdicts(call: &Call, body: &Value) -> Vec<Verdict> {
    let id = text_of(body, "msgid");
    let invalid: std::collections::BTreeSet<String> = body["invaliduser"]
        .as_str()
        .unwrap_or_default()
        .split('|')
        .filter(|u| !u.is_empty())
        .map(str::to_lowercase)
        .collect();
    let verdict = |m: &Message| match invalid.contains(&m.address.to_lowercase()) {
        true => Verdict::Refused {
            reason: "no such member in the scope of the application".into(),
            because: Refusal::Address,
        },
        false => Verdict::Accepted { id: id.clone() },
    };
    call.messages.iter().map(verdict).collect()
}

// ------------------------------------------------------------------ customer service

impl WeComChannel {
    fn kf(&self, batch: &Batch) -> Reply {
        let (account, endpoint) = (self.account.clone(), self.endpoint);
        let how = CallMode {
            within: FOR_ONE,
            begin_by: batch.begin_by,
        };
        singles::hand_over(
            batch.messages.clone(),
            self.account.together(),
            move |message: Message| {
                let account = account.clone();
                async move {
                    let parts = Parts::of(&message.content, endpoint);
                    let (kind, payload) = match parts.shape() {
                        "link" => (
                            "link",
                            json!({
                                "title": parts.text(MessagePart::Title), "desc": parts.text(MessagePart::Body), "url": parts.text(MessagePart::Link),
                                "thumb_media_id": parts.text(MessagePart::Image),
                            }),
                        ),
                        "image" => ("image", json!({"media_id": parts.text(MessagePart::Image)})),
                        "video" => ("video", json!({"media_id": parts.text(MessagePart::Video)})),
                        "miniprogram" => {
                            let (app, page) = parts.miniprogram().unwrap_or_default();
                            (
                                "miniprogram",
                                json!({
                                    "appid": app, "pagepath": page, "title": parts.text(MessagePart::Title), "thumb_media_id": parts.text(MessagePart::Image),
                                }),
                            )
                        }
                        _ => ("text", json!({"content": parts.joined()})),
                    };
                    let mut body = json!({
                        "touser": &*message.address, "open_kfid": account.settings.open_kfid, "msgid": message.key, "msgtype": kind,
                    });
                    body[kind] = payload;
                    let (verdict, then) =
                        ask(&account, &endpoint.name, "/cgi-bin/kf/send_msg", &body, how)
                            .await
                            .verdict(|body| text_of(body, "msgid"));
                    (vec![verdict], then)
                }
            },
        )
    }
}

/// A page of what the platform keeps: of each message who wrote it and when, but not what.
fn page(answer: &Value, before: &str) -> Result<Page, String> {
    let (mark, more) = (
        text_of(answer, "next_cursor"),
        text_of(answer, "has_more") == "1",
    );
    if more && (mark.is_empty() || mark == before) {
        return Err("the platform says that there is more, and not where".into());
    }
    let messages = answer["msg_list"].as_array().into_iter().flatten();
    let kept: Vec<Value> = messages
        .map(|m| {
            KEPT.iter()
                .filter_map(|name| Some(((*name).to_string(), m.get(*name)?.clone())))
                .collect()
        })
        .collect();
    let body = (!kept.is_empty()).then(|| Value::from(kept).to_string());
    Ok(Page {
        body,
        mark: if mark.is_empty() { before.into() } else { mark },
        more,
    })
}

/// What is kept of a customer's message.
const KEPT: [&str; 6] = [
    "msgid",
    "external_userid",
    "send_time",
    "origin",
    "msgtype",
    "event",
];
