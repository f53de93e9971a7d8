//! A decision as a funnel: how many users came how far, why the others did not, what is sent and
//! how long that takes. As data, for machines (JSON) and for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::decision::{Decision, MessageGroup, Rendered};
use super::load::{AccountLoad, about};
use crate::base::Lang;
use crate::base::value::{count_of, group_digits};
use crate::base::{Bitmap, Elapsed, Instant, UserNo, Zone};
use crate::program::typed::{Campaign, ChannelName, Program};

/// Counts of a decision, and messages to look at.
#[derive(Clone, Debug, Serialize)]
pub struct Funnel {
    pub users: usize,
    pub not_matched: usize,
    pub unknown: usize,
    /// How many of them because which tag has no value; a user counts for each of them.
    pub unknown_because: Vec<StopReason>,
    pub below_top: usize,
    pub not_sampled: usize,
    pub matched: usize,
    /// In gate order.
    pub stopped: Vec<StoppedCounts>,
    pub messages: usize,
    pub arms: Vec<ArmCounts>,
    /// Passed on by `choose` because a condition was unknown.
    pub choose_unknown: usize,
    pub channels: Vec<ByChannel>,
    pub samples: Vec<SampleMessage>,
    /// Messages of others that lose their slots to this.
    pub takes: Vec<TakesCounts>,
    /// Campaigns that are due later, are more important, and want some of the same users.
    pub rivals: Vec<Competitor>,
    /// Times are shown in it.
    #[serde(skip)]
    zone: Zone,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StopReason {
    pub tag: String,
    pub users: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct StoppedCounts {
    /// The gate's name as scripts write it.
    pub gate: &'static str,
    /// The reason that policy gives, or the campaign that has the slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    pub users: usize,
    #[serde(skip)]
    words: crate::base::Msg,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArmCounts {
    pub arm: String,
    /// Whom the lottery put there; results are compared by these.
    pub assigned: usize,
    pub messages: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ByChannel {
    pub channel: String,
    pub messages: usize,
    /// Distinct ones.
    pub texts: usize,
    /// Jobs on a channel that takes lists, else requests.
    pub calls: u64,
    #[serde(skip)]
    pub lists: bool,
    /// The time that the limits of the channel and of the campaign make it take.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub takes: Elapsed,
    #[serde(serialize_with = "rfc3339")]
    pub not_before: Instant,
    #[serde(serialize_with = "rfc3339")]
    pub expires: Instant,
    /// It takes longer than the deadline allows: the last ones expire.
    pub too_slow: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct SampleMessage {
    pub kind: SampleKind,
    pub channel: String,
    #[serde(serialize_with = "parts")]
    pub message: Arc<Rendered>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    Shortest,
    Longest,
    /// A default (`??`) stands for a missing value.
    Default,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakesCounts {
    pub from: String,
    pub messages: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Competitor {
    pub campaign: String,
    #[serde(serialize_with = "rfc3339")]
    pub due: Instant,
    pub users: usize,
}

fn seconds<S: Serializer>(length: &Elapsed, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_i64(length.0 / Elapsed::seconds(1).0)
}

fn rfc3339<S: Serializer>(at: &Instant, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&Zone::UTC.show_rfc3339(*at))
}

/// `{"title": …, "body": …}` instead of a list of pairs.
fn parts<S: Serializer>(message: &Arc<Rendered>, s: S) -> Result<S::Ok, S::Error> {
    s.collect_map(message.parts.iter().map(|(name, text)| (name, text)))
}

impl Funnel {
    /// The funnel of one decision.
    pub fn of(decision: &Decision, program: &Program) -> Self {
        let campaign = program.campaign(decision.campaign);
        let messages_of = |arm: &str| {
            decision
                .messages
                .iter()
                .filter(|g| g.arm.as_deref() == Some(arm))
                .map(|g| g.users.len())
                .sum()
        };
        let mut channels: Vec<(&ChannelName, Vec<&MessageGroup>)> = Vec::new();
        for group in &decision.messages {
            match channels
                .iter_mut()
                .find(|(channel, _)| *channel == &group.channel)
            {
                Some((_, groups)) => groups.push(group),
                None => channels.push((&group.channel, vec![group])),
            }
        }
        Funnel {
            users: decision.users,
            not_matched: decision.not_matched.count(),
            unknown: decision.unknown.count(),
            unknown_because: decision
                .unknown_because
                .iter()
                .map(|(tag, users)| StopReason {
                    tag: program.schema.tag(*tag).name.clone(),
                    users: *users,
                })
                .collect(),
            below_top: decision.below_top.count(),
            not_sampled: decision.not_sampled.count(),
            matched: decision.matched(),
            stopped: decision
                .stopped
                .iter()
                .map(|(gate, users)| StoppedCounts {
                    gate: gate.name(),
                    by: gate.by().map(str::to_string),
                    users: users.count(),
                    words: gate.msg(),
                })
                .collect(),
            messages: decision.planned(),
            arms: decision
                .arms
                .iter()
                .map(|(arm, users)| ArmCounts {
                    arm: arm.clone(),
                    assigned: users.count(),
                    messages: messages_of(arm),
                })
                .collect(),
            choose_unknown: decision.choose_unknown,
            channels: channels
                .iter()
                .map(|(channel, groups)| by_channel(channel, groups, campaign))
                .collect(),
            samples: samples(&decision.messages),
            takes: takes(decision),
            rivals: Vec::new(),
            zone: program.policy.zone,
        }
    }

    /// The funnels of a plan, each with its rivals among the others.
    pub fn of_all(decisions: &[&Decision], program: &Program) -> Vec<Self> {
        let rivals = |mine: &Decision| {
            decisions
                .iter()
                .filter_map(|other| rival(mine, other, program))
                .collect()
        };
        decisions
            .iter()
            .map(|decision| Funnel {
                rivals: rivals(decision),
                ..Self::of(decision, program)
            })
            .collect()
    }

    /// As JSON.
    pub fn json(&self) -> serde_json::Value {
        // Strings, numbers and lists only: nothing in it can fail to be JSON.
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Lines for people: users, who left on the way and why, what is planned, messages to look at.
    pub fn show(&self, lang: Lang) -> String {
        let zone = self.zone;
        let zh = lang == Lang::Zh;
        let word = |en: &'static str, cn: &'static str| if zh { cn } else { en };
        let mut out = String::new();
        // Writing into a string does not fail.
        let mut line = |depth: usize, n: usize, text: &str| {
            let _ = writeln!(
                out,
                "{:>12}  {}{text}",
                group_digits(n as u64),
                "  ".repeat(depth)
            );
        };
        line(0, self.users, word("users", "用户"));
        line(1, self.not_matched, word("not matched", "不匹配"));
        if self.unknown > 0 {
            let because: Vec<String> = self
                .unknown_because
                .iter()
                .map(|b| format!("{} {}", b.tag, group_digits(b.users as u64)))
                .collect();
            let list = because.join(word(", ", "、"));
            let text = if list.is_empty() {
                word("unknown", "未知").to_string()
            } else {
                format!("{}{list}", word("unknown, for want of ", "未知，缺少 "))
            };
            line(1, self.unknown, &text);
        }
        for (n, text) in [
            (self.below_top, word("below top", "未进入取前")),
            (self.not_sampled, word("not sampled", "未被抽中")),
        ] {
            if n > 0 {
                line(1, n, text);
            }
        }
        line(0, self.matched, word("matched", "匹配"));
        for stopped in &self.stopped {
            line(1, stopped.users, stopped.words.get(lang));
        }
        line(0, self.messages, word("messages", "消息"));
        for arm in &self.arms {
            let assigned = group_digits(arm.assigned as u64);
            let text = if zh {
                format!("分组 {}（共分入 {assigned} 人）", arm.arm)
            } else {
                format!("arm {} ({assigned} assigned)", arm.arm)
            };
            line(1, arm.messages, &text);
        }
        if self.choose_unknown > 0 {
            line(
                1,
                self.choose_unknown,
                word(
                    "passed on by `choose`, a condition being unknown",
                    "因条件未知被 `选择` 转到下一项",
                ),
            );
        }
        for channel in &self.channels {
            line(1, channel.messages, &channel.show(zh, zone));
        }
        for takes in &self.takes {
            let from = &takes.from;
            let text = if zh {
                format!("占用 {from} 尚未发出的消息的名额")
            } else {
                format!("take the slots of messages of {from} that are not sent yet")
            };
            line(1, takes.messages, &text);
        }
        for rival in &self.rivals {
            let (name, due) = (&rival.campaign, zone.show(rival.due));
            let text = if zh {
                format!("之后优先级更高的 {name}（{due}）也想触达")
            } else {
                format!("also wanted by {name}, later ({due}) and higher")
            };
            line(1, rival.users, &text);
        }
        for sample in &self.samples {
            let kind = match sample.kind {
                SampleKind::Shortest => word("shortest", "最短"),
                SampleKind::Longest => word("longest", "最长"),
                SampleKind::Default => word("with a default", "含默认值"),
            };
            let text: Vec<String> = sample
                .message
                .parts
                .iter()
                .map(|(part, text)| format!("{part} {}", one_line(text)))
                .collect();
            let _ = writeln!(
                out,
                "{:>14}{kind}{}{}",
                "",
                word(": ", "："),
                text.join(" | ")
            );
        }
        out
    }
}

impl ByChannel {
    fn show(&self, zh: bool, zone: Zone) -> String {
        let (texts, calls, takes) = (
            group_digits(self.texts as u64),
            group_digits(self.calls),
            about(self.takes, zh),
        );
        let mut out = match (zh, self.lists) {
            (false, true) => format!(
                "by {}: {}, {}",
                self.channel,
                count_of(self.texts, "text"),
                count_of(self.calls, "job")
            ),
            (false, false) => format!("by {}: {}", self.channel, count_of(self.texts, "text")),
            (true, true) => format!("经 {}：{texts} 种文本，{calls} 个任务", self.channel),
            (true, false) => format!("经 {}：{texts} 种文本", self.channel),
        };
        if self.takes.0 > 0 {
            out += &if zh {
                format!("，约需 {takes}")
            } else {
                format!(", takes about {takes}")
            };
        }
        if self.too_slow {
            let until = zone.show(self.expires);
            out += &if zh {
                format!("，超过期限（{until}），最后一批将过期")
            } else {
                format!(", longer than until {until}: the last ones expire")
            };
        }
        out
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn by_channel(channel: &ChannelName, groups: &[&MessageGroup], campaign: &Campaign) -> ByChannel {
    // Each group has its own jobs: they differ in more than the text.
    let sizes: Vec<usize> = groups
        .iter()
        .flat_map(|group| distinct(group).into_iter().map(|(_, size)| size))
        .collect();
    let load = AccountLoad::of(channel, &sizes, Some(campaign));
    let not_before = groups
        .iter()
        .map(|g| g.not_before)
        .min()
        .unwrap_or(Instant(0));
    let expires = groups.iter().map(|g| g.expires).min().unwrap_or(Instant(0));
    ByChannel {
        channel: channel.to_string(),
        messages: sizes.iter().sum(),
        texts: sizes.len(),
        calls: load.calls,
        lists: load.lists,
        takes: load.takes,
        not_before,
        expires,
        too_slow: not_before.plus(load.takes) > expires,
    }
}

/// The distinct messages of a group, and how many users get each.
fn distinct(group: &MessageGroup) -> Vec<(&Arc<Rendered>, usize)> {
    use super::decision::Contents;
    match &group.contents {
        Contents::Same(one) => vec![(one, group.users.len())],
        Contents::Each(all) => {
            let mut sorted: Vec<&Arc<Rendered>> = all.iter().collect();
            // Equal messages are one allocation.
            sorted.sort_unstable_by_key(|text| Arc::as_ptr(text));
            sorted
                .chunk_by(|a, b| Arc::ptr_eq(a, b))
                .filter_map(|same| same.first().map(|first| (*first, same.len())))
                .collect()
        }
    }
}

/// The shortest, the longest, and one with a default; each once, and none that another is equal to.
fn samples(groups: &[MessageGroup]) -> Vec<SampleMessage> {
    let length = |r: &Rendered| {
        r.parts
            .iter()
            .map(|(_, text)| text.chars().count())
            .sum::<usize>()
    };
    let all: Vec<(&Arc<Rendered>, &MessageGroup)> = groups
        .iter()
        .flat_map(|g| distinct(g).into_iter().map(move |(text, _)| (text, g)))
        .collect();
    // Of equally long ones the first by its text, so that the same decision shows the same samples.
    let shortest = all.iter().min_by(|(a, _), (b, _)| {
        length(a)
            .cmp(&length(b))
            .then_with(|| a.parts.cmp(&b.parts))
    });
    let longest = all.iter().min_by(|(a, _), (b, _)| {
        length(b)
            .cmp(&length(a))
            .then_with(|| a.parts.cmp(&b.parts))
    });
    let default = groups
        .iter()
        .find_map(|g| Some((g.contents.of(g.defaulted?)?, g)));
    let mut out: Vec<SampleMessage> = Vec::new();
    let kinds = [
        (SampleKind::Shortest, shortest.copied()),
        (SampleKind::Longest, longest.copied()),
        (SampleKind::Default, default),
    ];
    for (kind, found) in kinds {
        if let Some((message, group)) = found
            && out.iter().all(|sample| sample.message != *message)
        {
            out.push(SampleMessage {
                kind,
                channel: group.channel.to_string(),
                message: message.clone(),
            });
        }
    }
    out
}

/// Whose messages lose their slots to a decision.
fn takes(decision: &Decision) -> Vec<TakesCounts> {
    let mut from: BTreeMap<&str, usize> = BTreeMap::new();
    for take in &decision.takes {
        *from.entry(&take.from.standing.campaign).or_default() += 1;
    }
    from.into_iter()
        .map(|(from, messages)| TakesCounts {
            from: from.to_owned(),
            messages,
        })
        .collect()
}

/// How many of `mine` a later and higher campaign plans to reach, too, where a cap can make it
/// lose.
fn rival(mine: &Decision, other: &Decision, program: &Program) -> Option<Competitor> {
    let campaign = program.campaign(other.campaign);
    let is_capped = !program.rules(campaign).policy_caps.is_empty();
    if other.due <= mine.due || other.campaign == mine.campaign || !is_capped {
        return None;
    }
    let mut higher: Vec<Option<i32>> = vec![None; other.users];
    for (user, priority) in messages(other) {
        if let Some(slot) = higher.get_mut(user.index()) {
            *slot = Some(priority);
        }
    }
    let wanted = messages(mine).filter(|(user, priority)| {
        higher
            .get(user.index())
            .copied()
            .flatten()
            .is_some_and(|p| p > *priority)
    });
    let users = Bitmap::from_users(mine.users, wanted.map(|(user, _)| user)).count();
    (users > 0).then(|| Competitor {
        campaign: campaign.declared.name.clone(),
        due: other.due,
        users,
    })
}

fn messages(decision: &Decision) -> impl Iterator<Item = (UserNo, i32)> + '_ {
    decision
        .messages
        .iter()
        .flat_map(|g| g.users.iter().copied().zip(g.priorities.iter().copied()))
}
