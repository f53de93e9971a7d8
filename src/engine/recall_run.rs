//! Recalling a run: what is not sent is withdrawn, what is sent is recalled where the channel can, and
//! for the rest the report gives the reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Failure;
use crate::base::Lang;
use crate::base::value::count_of;
use crate::base::world::World;
use crate::base::{UserNo, Zone};
use crate::deliver::channel::Recalled;
use crate::deliver::channels::Channels;
use crate::ledger::{MessageNews, Operator, ReceiptKind, RunId, SentMessage, State};
use crate::msg;
use crate::store::Users;

/// News that are kept in one transaction.
const AT_ONCE: usize = 1_000;

/// What became of a message that was sent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    Recalled,
    /// It was never taken, or is gone already.
    NothingThere(State),
    Cannot(String),
    /// It may be asked again.
    Unknown(String),
}

impl Outcome {
    fn name(&self) -> &'static str {
        match self {
            Outcome::Recalled => "recalled",
            Outcome::NothingThere(_) => "nothing_there",
            Outcome::Cannot(_) => "cannot",
            Outcome::Unknown(_) => "unknown",
        }
    }

    fn reason(&self) -> Option<&str> {
        match self {
            Outcome::Recalled => None,
            Outcome::NothingThere(state) => Some(state.name()),
            Outcome::Cannot(reason) | Outcome::Unknown(reason) => Some(reason),
        }
    }
}

/// What came of taking a run back.
pub struct RecallReport {
    pub run: RunId,
    /// Messages that had not been sent and will not be.
    pub withdrawn: i64,
    pub users: Vec<(UserNo, Outcome)>,
}

/// Takes a run back; `None` when there is no such run.
///
/// # Errors
/// A ledger that cannot be written.
pub fn recall(
    run: RunId,
    operator: &mut Operator,
    channels: &Channels,
    who: &str,
    world: &Arc<dyn World>,
) -> Result<Option<RecallReport>, Failure> {
    if operator.reader().is_forgotten(run.0)? {
        return Err(Failure::refused(msg!(
            "run {0} is older than `keep_days` in `tagcast.toml`: only counts of it are kept",
            "执行 {0} 早于 tagcast.toml 的 `keep_days`：只保留了统计数字",
            run.0
        )));
    }
    let withdrawn = operator.withdraw(run, world.now())?;
    let Some(sent) = operator.reader().sent(run)? else {
        return Ok(None);
    };
    let mut report = RecallReport {
        run,
        withdrawn,
        users: Vec::with_capacity(sent.len()),
    };
    // What went out as one is taken back as one.
    let mut asked: BTreeMap<(String, Arc<str>), Outcome> = BTreeMap::new();
    let mut news = Vec::new();
    for message in &sent {
        let outcome = match takeable(message) {
            Err(outcome) => outcome,
            Ok(()) => asked
                .entry((message.channel.to_string(), message.id.clone()))
                .or_insert_with(|| {
                    match channels
                        .of(&message.channel)
                        .recall(&message.id, &message.content)
                    {
                        Recalled::Done | Recalled::Unsent => Outcome::Recalled,
                        Recalled::Cannot { reason } => Outcome::Cannot(reason),
                        Recalled::Unknown { reason } => Outcome::Unknown(reason),
                    }
                })
                .clone(),
        };
        if outcome == Outcome::Recalled {
            news.push(MessageNews {
                message: message.key,
                kind: ReceiptKind::Recalled,
                when: world.now(),
                source: format!("recalled by {who}"),
            });
            if news.len() >= AT_ONCE {
                operator.learn(&std::mem::take(&mut news), world.now())?;
            }
        }
        report.users.push((message.key.user, outcome));
    }
    operator.learn(&news, world.now())?;
    Ok(Some(report))
}

/// Whether there is anything that a channel could take back.
fn takeable(message: &SentMessage) -> Result<(), Outcome> {
    match message.state {
        State::Accepted | State::Waiting | State::Delivered | State::SaidSent
            if !message.id.is_empty() =>
        {
            Ok(())
        }
        State::Accepted | State::Waiting | State::Delivered | State::SaidSent => {
            Err(Outcome::Cannot("the platform gave no id for it".into()))
        }
        State::Claimed | State::Unknown => {
            Err(Outcome::Unknown("nobody knows whether it was sent".into()))
        }
        State::Recalled => Err(Outcome::Recalled),
        State::Planned
        | State::Struck
        | State::Expired
        | State::Withdrawn
        | State::Capped
        | State::SaidNotSent
        | State::NotSent
        | State::Refused
        | State::Rejected
        | State::Failed
        | State::Unconfirmed => Err(Outcome::NothingThere(message.state)),
    }
}

impl RecallReport {
    /// Nothing is left with a user that could not be taken back.
    pub fn is_complete(&self) -> bool {
        self.users
            .iter()
            .all(|(_, outcome)| matches!(outcome, Outcome::Recalled | Outcome::NothingThere(_)))
    }

    /// How many came out how.
    fn counts(&self) -> BTreeMap<&Outcome, usize> {
        let mut counts = BTreeMap::new();
        for (_, outcome) in &self.users {
            *counts.entry(outcome).or_default() += 1;
        }
        counts
    }

    pub fn show(&self, lang: Lang) -> String {
        let zh = lang == Lang::Zh;
        let mut out = if zh {
            format!(
                "运行 {}：{} 条未发送的消息已撤下\n",
                self.run.0, self.withdrawn
            )
        } else {
            format!(
                "run {}: withdrawn before they were sent: {}\n",
                self.run.0,
                count_of(self.withdrawn, "message")
            )
        };
        for (outcome, n) in self.counts() {
            out.push_str(&match (outcome, zh) {
                (Outcome::Recalled, false) => format!("  {n} taken back\n"),
                (Outcome::Recalled, true) => format!("  {n} 条已撤回\n"),
                (Outcome::NothingThere(state), false) => {
                    format!("  {n} never reached anyone ({})\n", state.name())
                }
                (Outcome::NothingThere(state), true) => {
                    format!("  {n} 条未曾到达（{}）\n", state.name())
                }
                (Outcome::Cannot(reason), false) => {
                    format!("  {n} cannot be taken back: {reason}\n")
                }
                (Outcome::Cannot(reason), true) => format!("  {n} 条无法撤回：{reason}\n"),
                (Outcome::Unknown(reason), false) => {
                    format!("  {n} unknown: {reason}; ask again later\n")
                }
                (Outcome::Unknown(reason), true) => format!("  {n} 条未知：{reason}；请稍后再试\n"),
            });
        }
        out
    }

    pub fn json(&self, users: &Users, zone: Zone, world: &dyn World) -> Value {
        let id = |user: UserNo| {
            users
                .id(user)
                .map_or_else(|| user.to_string(), |id| id.to_string())
        };
        json!({
            "run": self.run,
            "at": zone.show_rfc3339(world.now()),
            "withdrawn": self.withdrawn,
            "users": self.users.iter().map(|(user, outcome)| {
                json!({"user": id(*user), "outcome": outcome.name(), "reason": outcome.reason()})
            }).collect::<Vec<_>>(),
        })
    }
}
