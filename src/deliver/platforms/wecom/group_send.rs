//! WeCom group sends. One sends nothing: it makes tasks for employees, who confirm them in their
//! app. Its messages are *waiting* until the platform says what each employee did.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::send::{ask, recall};
use super::settings::SENDER;
use crate::base::{Elapsed, Instant};
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, Recalled, Reply};
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_LIST, FOR_ONE};
use crate::deliver::http::api_response::{SendOutcome, failure_reason, text_of};
use crate::deliver::http::client;
use crate::deliver::message_parts::MessageParts;
use crate::ledger::{Batch, BatchEvidence, BatchOutcome, Message, ReceiptKind, Refusal, Verdict};
use crate::program::platform::{Endpoint, MessagePart};

/// Customers of one group send.
const CUSTOMERS: usize = 10_000;
/// Reminders of one group send that the platform allows in a day.
const REMINDERS: (usize, Elapsed) = (3, Elapsed::hours(24));
/// Questions about a group send that are in flight at once; the platform refuses many.
const QUESTIONS: usize = 4;
/// Rows of an answer, and pages that are read of one question.
const ROWS: usize = 1_000;
const PAGES: usize = 100;
/// How often a question is asked again that came while too many were in flight.
const PATIENCE: u32 = 5;

pub struct GroupSend {
    pub account: Arc<AccountClient>,
    pub endpoint: &'static Endpoint,
    /// When each task was reminded of lately.
    pub reminded: Mutex<HashMap<String, VecDeque<Instant>>>,
}

impl Channel for GroupSend {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        CUSTOMERS
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
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
        if let Some(sender) = self.account.settings.text(&SENDER) {
            body["sender"] = sender.into();
        }
        let parts = MessageParts::of(&first.content, self.endpoint);
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
                reason: failure_reason(other),
            }
            .into(),
        }
    }
    fn finds_lost(&self) -> bool {
        true
    }

    /// Of a group send: whether its task is there, by the mark in its link; and what each employee
    /// did.
    fn look_up(&self, batch: &Batch, id: Option<&str>) -> Result<BatchEvidence, String> {
        let (account, mark, at) = (self.account.clone(), mark(batch), batch.at);
        let id = match id {
            Some(id) => id.to_string(),
            None => match client::run(async move { find_task(&account, &mark, at).await }) {
                Some(Ok(Some(id))) => id,
                Some(Ok(None)) => return Ok(BatchEvidence::default()),
                Some(Err(meaning)) => return Err(failure_reason(Some(meaning))),
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
            Some(Err(meaning)) => return Err(failure_reason(Some(meaning))),
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

    /// Cancels what employees have not confirmed.
    fn recall(&self, id: &str, _: &Rendered) -> Recalled {
        let path = "/cgi-bin/externalcontact/cancel_groupmsg_send";
        match recall(&self.account, &self.endpoint.name, path, id) {
            Recalled::Done => Recalled::Unsent,
            other @ (Recalled::Unsent | Recalled::Cannot { .. } | Recalled::Unknown { .. }) => {
                other
            }
        }
    }

    /// Reminds the employees who have not confirmed; the platform allows it three times in a day.
    fn remind(&self, id: &str) -> Result<(), String> {
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
            other => Err(failure_reason(other)),
        }
    }
}

/// What marks a group send as this batch's, in a link of its own.
fn mark(batch: &Batch) -> String {
    format!("tc={}", batch.key)
}

fn attachments(parts: &MessageParts<'_>, mark: &str) -> Vec<Value> {
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

fn strings(list: &Value) -> BTreeSet<String> {
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
    for answer in client::each(members, QUESTIONS, of_member).await {
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
