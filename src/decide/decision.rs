//! What a run of a campaign (or of one of its steps) does with every user: exactly one outcome
//! each.

use std::fmt;
use std::sync::Arc;

use super::history::Unclaimed;
use super::platform_caps::is_cap;
use crate::base::Msg;
use crate::base::{Bitmap, CampaignId, Instant, TagId, TemplateId, UserNo};
use crate::msg;

/// Why a matched user gets no message. The order is the order of the gates: the first that stops is
/// the reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gate {
    OptedOut,
    NoConsent,
    /// With the reason that policy gives.
    Excluded(String),
    DuplicateAddress,
    Again,
    Holdout,
    Control,
    Unreachable,
    /// With the campaign that took the slot, if one campaign did, or the platform's cap
    /// (`service_account.mass 4 per month`).
    Capped(Option<String>),
    BlockedWords,
    TooLong,
    MissingContent,
    TooFewForList,
    NotApproved,
    Quota,
    /// `choose` or the `else` of a follow-up came to `nothing`. (An arm of a split that sends
    /// nothing is a control group.)
    Nothing,
    /// A follow-up of a message of which nobody knows whether it was sent.
    OutcomeUnknown,
    /// Nobody was there in time: the deadline had passed when it was decided.
    Missed,
}

impl Gate {
    /// The name as scripts (`because capped`), reports and the ledger write it.
    pub fn name(&self) -> &'static str {
        match self {
            Gate::OptedOut => "opted_out",
            Gate::NoConsent => "no_consent",
            Gate::Excluded(_) => "excluded",
            Gate::DuplicateAddress => "duplicate_address",
            Gate::Again => "again",
            Gate::Holdout => "holdout",
            Gate::Control => "control",
            Gate::Unreachable => "unreachable",
            Gate::Capped(_) => "capped",
            Gate::BlockedWords => "blocked_words",
            Gate::TooLong => "too_long",
            Gate::MissingContent => "missing_content",
            Gate::TooFewForList => "too_few_for_list",
            Gate::NotApproved => "not_approved",
            Gate::Quota => "quota",
            Gate::Nothing => "nothing",
            Gate::OutcomeUnknown => "outcome_unknown",
            Gate::Missed => "missed",
        }
    }

    /// What goes with the name: the reason that policy gives, or the campaign that has the slot.
    pub fn by(&self) -> Option<&str> {
        match self {
            Gate::Excluded(reason) => Some(reason),
            Gate::Capped(winner) => winner.as_deref(),
            _ => None,
        }
    }

    /// For people.
    pub fn msg(&self) -> Msg {
        match self {
            Gate::OptedOut => msg!("opted out", "已退订"),
            Gate::NoConsent => msg!("no consent", "未同意"),
            Gate::Excluded(reason) => msg!("excluded: {reason}", "策略排除：{reason}"),
            Gate::DuplicateAddress => msg!("duplicate address", "地址重复"),
            Gate::Again => msg!("reached before", "此前已触达"),
            Gate::Holdout => msg!("holdout", "对照"),
            Gate::Control => msg!("control arm", "对照分组"),
            Gate::Unreachable => msg!("unreachable", "无可用渠道"),
            Gate::Capped(Some(cap)) if is_cap(cap) => {
                msg!("capped by the platform: {cap}", "平台频控：{cap}")
            }
            Gate::Capped(Some(winner)) => {
                msg!("capped by {winner}", "频控，名额已被 {winner} 占用")
            }
            Gate::Capped(None) => msg!("capped", "频控"),
            Gate::BlockedWords => msg!("forbidden words", "含禁用词"),
            Gate::TooLong => msg!("too long", "超长"),
            Gate::MissingContent => msg!("missing content", "内容缺失"),
            Gate::TooFewForList => msg!("too few for a list", "人数不足以群发"),
            Gate::NotApproved => msg!("not approved", "未获批准"),
            Gate::Quota => msg!("quota used up", "配额用尽"),
            Gate::Nothing => msg!("nothing chosen", "未选中任何内容"),
            Gate::OutcomeUnknown => msg!(
                "outcome of the message before it unknown",
                "前一条消息结果未知"
            ),
            Gate::Missed => msg!("missed its deadline", "错过最晚期限"),
        }
    }

    /// The gate of a name, with what the ledger keeps beside it.
    pub fn named(name: &str, by: Option<&str>) -> Option<Gate> {
        let by = by.map(str::to_owned);
        Some(match name {
            "opted_out" => Gate::OptedOut,
            "no_consent" => Gate::NoConsent,
            "excluded" => Gate::Excluded(by.unwrap_or_default()),
            "duplicate_address" => Gate::DuplicateAddress,
            "again" => Gate::Again,
            "holdout" => Gate::Holdout,
            "control" => Gate::Control,
            "unreachable" => Gate::Unreachable,
            "capped" => Gate::Capped(by),
            "blocked_words" => Gate::BlockedWords,
            "too_long" => Gate::TooLong,
            "missing_content" => Gate::MissingContent,
            "too_few_for_list" => Gate::TooFewForList,
            "not_approved" => Gate::NotApproved,
            "quota" => Gate::Quota,
            "nothing" => Gate::Nothing,
            "outcome_unknown" => Gate::OutcomeUnknown,
            "missed" => Gate::Missed,
            _ => return None,
        })
    }

    /// All names, in gate order; what a script may write after `because`.
    pub const NAMES: [&'static str; 18] = [
        "opted_out",
        "no_consent",
        "excluded",
        "duplicate_address",
        "again",
        "holdout",
        "control",
        "unreachable",
        "capped",
        "blocked_words",
        "too_long",
        "missing_content",
        "too_few_for_list",
        "not_approved",
        "quota",
        "nothing",
        "outcome_unknown",
        "missed",
    ];
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gate::Excluded(reason) => write!(f, "excluded: {reason}"),
            Gate::Capped(Some(cap)) if is_cap(cap) => write!(f, "capped by the platform: {cap}"),
            Gate::Capped(Some(winner)) => write!(f, "capped by {winner}"),
            gate => f.write_str(gate.name()),
        }
    }
}

/// Why a user got no message, as the ledger keeps it: in English by its name, which scripts use
/// too, in Chinese in words.
pub fn reason(name: &str, by: Option<&str>) -> Msg {
    let en = by.map_or_else(|| name.to_owned(), |by| format!("{name}: {by}"));
    let zh = match name {
        "not_matched" => "不匹配".into(),
        "unknown" => "未知".into(),
        "below_top" => "未进入取前".into(),
        "not_sampled" => "未被抽中".into(),
        _ => Gate::named(name, by).map_or_else(|| en.clone(), |gate| gate.msg().zh),
    };
    Msg { en, zh }
}

/// The outcome of one campaign at one due instant. The user sets are disjoint and together
/// everyone. (With `via all of` a user may have several messages.)
#[derive(Clone, Debug)]
pub struct Decision {
    pub campaign: CampaignId,
    /// 0 is the campaign's first message, n the nth follow-up.
    pub step: usize,
    pub due: Instant,
    /// How many users the store has.
    pub users: usize,
    pub not_matched: Bitmap,
    pub unknown: Bitmap,
    /// Of the unknown: how many because which tag had no value; a user counts for each of them.
    pub unknown_because: Vec<(TagId, usize)>,
    pub below_top: Bitmap,
    pub not_sampled: Bitmap,
    /// Every matched user that a gate stopped.
    pub stopped: Vec<(Gate, Bitmap)>,
    /// The arm that each matched user of a split was assigned to, whatever gates did; for
    /// measuring. The held out are in no arm.
    pub arms: Vec<(String, Bitmap)>,
    /// Users of a `choose` for whom an earlier condition was unknown before one was true or
    /// `otherwise` was reached.
    pub choose_unknown: usize,
    pub messages: Vec<MessageGroup>,
    /// Messages of other runs whose slots these take: planned before, less important, and not yet
    /// claimed.
    pub takes: Vec<SlotTransfer>,
}

/// A user's message that loses its slot.
#[derive(Clone, Debug)]
pub struct SlotTransfer {
    pub user: UserNo,
    pub from: Unclaimed,
}

impl Decision {
    pub fn matched(&self) -> usize {
        self.users
            - self.not_matched.count()
            - self.unknown.count()
            - self.below_top.count()
            - self.not_sampled.count()
    }

    /// Messages planned.
    pub fn planned(&self) -> usize {
        self.messages.iter().map(|g| g.users.len()).sum()
    }
}

/// Messages that have everything in common but the user. Columns, one entry a message, in hand-over
/// order (priority from high to low, then user number).
#[derive(Clone, Debug)]
pub struct MessageGroup {
    /// Of a split.
    pub arm: Option<String>,
    /// 0, or of users who get a message on each channel of a `via` which of them, counted from 1.
    pub leg: u16,
    /// The first of its users' messages in the run: what comes after it comes once.
    pub leads: bool,
    pub template: TemplateId,
    pub channel: crate::program::typed::ChannelName,
    /// Not handed over before: the due time, or the end of quiet hours.
    pub not_before: Instant,
    /// Not handed over later.
    pub expires: Instant,
    pub users: Vec<UserNo>,
    pub addresses: Vec<Arc<str>>,
    pub priorities: Vec<i32>,
    /// The template with the holes filled; texts that do not differ are shared.
    pub contents: Contents,
    /// The position of one message in which a default (`??`) stands for a missing value, if there
    /// is one: worth a look before sending.
    pub defaulted: Option<usize>,
}

/// What is sent to the users of a group.
#[derive(Clone, Debug)]
pub enum Contents {
    /// The same for all.
    Same(Arc<Rendered>),
    /// One a user, in the order of `users`.
    Each(Vec<Arc<Rendered>>),
}

impl Contents {
    pub fn of(&self, position: usize) -> Option<&Arc<Rendered>> {
        match self {
            Contents::Same(one) => Some(one),
            Contents::Each(all) => all.get(position),
        }
    }
}

/// A rendered message: its parts in template order, under the names that scripts use (`title`,
/// `body`, `field thing1` …).
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Rendered {
    pub parts: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_a_gate_with_words() {
        for name in Gate::NAMES {
            let gate = Gate::named(name, Some("c")).unwrap();
            assert_eq!(gate.name(), name);
            assert_ne!(reason(name, None).zh, name, "in Chinese");
        }
        assert_eq!(
            reason("capped", Some("spring")),
            msg!("capped: spring", "频控，名额已被 spring 占用")
        );
        assert_eq!(reason("no_consent", None).en, "no_consent");
        assert_eq!(reason("below_top", None).zh, "未进入取前");
        assert_eq!(Gate::named("nowhere", None), None);
    }
}
