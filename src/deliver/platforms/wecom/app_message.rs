//! WeCom application messages: several members who get the same text are one call.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::send::{ask, recall};
use super::settings::AGENT_ID;
use crate::base::{Elapsed, Instant};
use crate::decide::decision::Rendered;
use crate::deliver::channel::{Channel, NextAction, Recalled, Reply};
use crate::deliver::http::account_client::{AccountClient, CallMode, FOR_LIST};
use crate::deliver::http::api_response::{SendOutcome, text_of};
use crate::deliver::message_parts::MessageParts;
use crate::deliver::send_each::{CallSize, send_each, worse};
use crate::ledger::{Batch, BatchOutcome, Message, Refusal, Verdict};
use crate::msg;
use crate::program::platform::{Endpoint, MessagePart};

/// Members that one call takes.
const MEMBERS: usize = 1_000;
/// The platform drops a message to a member in silence above these.
const A_MINUTE: (usize, Elapsed) = (30, Elapsed::minutes(1));
const AN_HOUR: (usize, Elapsed) = (1_000, Elapsed::hours(1));
/// How long the platform takes equal messages for one.
const DUPLICATE: Elapsed = Elapsed::seconds(1_800);

pub struct AppMessages {
    pub account: Arc<AccountClient>,
    pub endpoint: &'static Endpoint,
    /// When each member got messages lately.
    pub lately: Mutex<HashMap<Arc<str>, VecDeque<Instant>>>,
    /// Messages of the last half hour by their digest, with the call that they belong to.
    pub equal: Mutex<HashMap<blake3::Hash, (String, Instant)>>,
}

/// Members who get the same text in one call.
struct Call {
    messages: Vec<Message>,
}

impl CallSize for Call {
    fn messages_per_call(&self) -> usize {
        self.messages.len()
    }
}

impl Channel for AppMessages {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        MEMBERS
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed::minutes(1)
    }

    fn send(&self, batch: &Batch) -> Reply {
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
        // The platform takes equal messages for one: those of another send wait until it does
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
                then = worse(then.clone(), NextAction::Wait { until, why });
                false
            }
        });
        let (places, calls): (Vec<Vec<usize>>, Vec<Call>) = calls.into_iter().unzip();
        let (account, endpoint) = (self.account.clone(), self.endpoint);
        let how = CallMode {
            within: FOR_LIST,
            begin_by: batch.begin_by,
        };
        let reply = send_each(calls, self.account.concurrency(), move |call: Call| {
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
                        (vec![verdict; call.messages_per_call()], then)
                    }
                }
            }
        });
        let answers = match reply.answer {
            BatchOutcome::Taken(answers) => answers,
            other => {
                return Reply {
                    answer: other,
                    then: worse(then, reply.then),
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
            then: worse(then, reply.then),
        }
    }

    fn recall(&self, id: &str, _: &Rendered) -> Recalled {
        let path = "/cgi-bin/message/recall";
        recall(&self.account, &self.endpoint.name, path, id)
    }
}

impl AppMessages {
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

    /// Until when an equal message of another send stands in the way.
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
        "touser": users.join("|"), "agentid": account.settings.number(&AGENT_ID),
        "enable_duplicate_check": 1, "duplicate_check_interval": DUPLICATE.0 / 1_000_000,
    });
    let Some(first) = call.messages.first() else {
        return body;
    };
    let parts = MessageParts::of(&first.content, endpoint);
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
    let invalid: BTreeSet<String> = body["invaliduser"]
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
