//! A decision as a funnel: how many users came how far, and why the others did not.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::{Value, json};

use super::decision::{Decision, Rendered};
use crate::base::value::group_digits;
use crate::diag::Lang;
use crate::program::typed::Program;

/// Counts of a decision, and messages to look at.
#[derive(Clone, Debug)]
pub struct Funnel {
    pub users: usize,
    pub not_matched: usize,
    pub unknown: usize,
    /// By tag name.
    pub unknown_because: Vec<(String, usize)>,
    pub below_top: usize,
    pub not_sampled: usize,
    pub matched: usize,
    /// By reason, in gate order.
    pub stopped: Vec<(String, usize)>,
    pub planned: usize,
    pub arms: Vec<(String, usize)>,
    pub choose_unknown: usize,
    /// By channel: messages, and distinct texts.
    pub channels: Vec<(String, usize, usize)>,
    /// The shortest and the longest message; one if they are the same.
    pub samples: Vec<Arc<Rendered>>,
}

impl Funnel {
    pub fn of(decision: &Decision, program: &Program) -> Self {
        let mut channels: Vec<(String, usize, usize)> = Vec::new();
        let mut samples: Vec<Arc<Rendered>> = Vec::new();
        let length = |r: &Rendered| r.parts.iter().map(|(_, text)| text.chars().count()).sum::<usize>();
        for group in &decision.messages {
            let mut texts: Vec<&Arc<Rendered>> = (0..group.users.len()).filter_map(|i| group.contents.of(i)).collect();
            texts.sort_by_key(|t| Arc::as_ptr(t));
            texts.dedup_by(|a, b| Arc::ptr_eq(a, b));
            let name = group.channel.to_string();
            match channels.iter_mut().find(|(n, _, _)| *n == name) {
                Some((_, messages, distinct)) => {
                    *messages += group.users.len();
                    *distinct += texts.len();
                }
                None => channels.push((name, group.users.len(), texts.len())),
            }
            // By length, then text, so that the same decision shows the same samples.
            let key = |t: &&Arc<Rendered>| (length(t), t.parts.clone());
            samples.extend(texts.iter().copied().min_by_key(key).cloned());
            samples.extend(texts.iter().copied().max_by_key(key).cloned());
        }
        samples.sort_by_key(|s| (length(s), s.parts.clone()));
        samples.dedup();
        if samples.len() > 2 {
            samples.drain(1..samples.len() - 1);
        }
        let tag = |id: &crate::base::TagId| program.schema.tag(*id).name.clone();
        Funnel {
            users: decision.users,
            not_matched: decision.not_matched.count(),
            unknown: decision.unknown.count(),
            unknown_because: decision.unknown_because.iter().map(|(id, n)| (tag(id), *n)).collect(),
            below_top: decision.below_top.count(),
            not_sampled: decision.not_sampled.count(),
            matched: decision.matched(),
            stopped: decision.stopped.iter().map(|(gate, users)| (gate.to_string(), users.count())).collect(),
            planned: decision.planned(),
            arms: decision.arms.iter().map(|(name, users)| (name.clone(), users.count())).collect(),
            choose_unknown: decision.choose_unknown,
            channels,
            samples,
        }
    }

    /// Indented lines: users, what left on the way, what is planned.
    pub fn show(&self, lang: Lang) -> String {
        let zh = lang == Lang::Zh;
        let word = |en: &'static str, cn: &'static str| if zh { cn } else { en };
        let mut out = String::new();
        let mut line = |depth: usize, n: usize, text: &str| {
            let _ = writeln!(out, "{}{:>12}  {text}", "  ".repeat(depth), group_digits(n as u64));
        };
        line(0, self.users, word("users", "用户"));
        line(1, self.not_matched, word("not matched", "不匹配"));
        if self.unknown > 0 {
            let because: Vec<String> = self.unknown_because.iter().map(|(tag, n)| format!("{tag} {}", group_digits(*n as u64))).collect();
            let why = if because.is_empty() {
                String::new()
            } else {
                format!("{}{}", word(" because of missing ", ",因缺失 "), because.join(", "))
            };
            line(1, self.unknown, &format!("{}{why}", word("unknown", "未知")));
        }
        if self.below_top > 0 {
            line(1, self.below_top, word("below top", "未进入取前"));
        }
        if self.not_sampled > 0 {
            line(1, self.not_sampled, word("not sampled", "未被抽样"));
        }
        line(0, self.matched, word("matched", "匹配"));
        for (gate, n) in &self.stopped {
            line(1, *n, gate);
        }
        line(0, self.planned, word("messages", "消息"));
        for (arm, n) in &self.arms {
            line(1, *n, &format!("{} {arm}", word("assigned to arm", "分到组")));
        }
        if self.choose_unknown > 0 {
            line(1, self.choose_unknown, word("sent on by `choose` because a condition was unknown", "因条件未知而被 `选择` 转到下一项"));
        }
        for (channel, n, texts) in &self.channels {
            line(
                1,
                *n,
                &if zh {
                    format!("经 {channel},{texts} 种文本")
                } else {
                    format!("by {channel}, {texts} distinct text{}", if *texts == 1 { "" } else { "s" })
                },
            );
        }
        for sample in &self.samples {
            let text: Vec<String> = sample.parts.iter().map(|(part, text)| format!("{part}: {}", text.replace('\n', " "))).collect();
            let _ = writeln!(out, "{:>14}{}", "", text.join(" | "));
        }
        out
    }

    pub fn json(&self) -> Value {
        let pairs = |list: &[(String, usize)]| Value::Object(list.iter().map(|(k, n)| (k.clone(), json!(n))).collect());
        json!({
            "users": self.users,
            "not_matched": self.not_matched,
            "unknown": self.unknown,
            "unknown_because": pairs(&self.unknown_because),
            "below_top": self.below_top,
            "not_sampled": self.not_sampled,
            "matched": self.matched,
            "stopped": pairs(&self.stopped),
            "messages": self.planned,
            "arms": pairs(&self.arms),
            "choose_unknown": self.choose_unknown,
            "channels": self.channels.iter().map(|(c, n, t)| json!({"channel": c, "messages": n, "texts": t})).collect::<Vec<_>>(),
            "samples": self.samples.iter().map(|s| Value::Object(s.parts.iter().map(|(k, v)| (k.clone(), json!(v))).collect())).collect::<Vec<_>>(),
        })
    }
}
