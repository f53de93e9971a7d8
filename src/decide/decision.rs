//! What a run of a campaign (or of one of its steps) does with every user: exactly one outcome
//! each.

use std::fmt;
use std::sync::Arc;

use super::history::Unclaimed;
use super::platform_caps::is_cap;
use crate::base::Msg;
use crate::base::{Bitmap, CampaignId, Instant, TagId, TemplateId, UserNo};
use crate::msg;
use crate::program::run_outcome::RunOutcome;

/// The gate that stopped a matched user: an [`RunOutcome`], with what else is known.
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
    Nothing,
    OutcomeUnknown,
    Missed,
}

impl Gate {
    pub fn outcome(&self) -> RunOutcome {
        match self {
            Gate::OptedOut => RunOutcome::OptedOut,
            Gate::NoConsent => RunOutcome::NoConsent,
            Gate::Excluded(_) => RunOutcome::Excluded,
            Gate::DuplicateAddress => RunOutcome::DuplicateAddress,
            Gate::Again => RunOutcome::Again,
            Gate::Holdout => RunOutcome::Holdout,
            Gate::Control => RunOutcome::Control,
            Gate::Unreachable => RunOutcome::Unreachable,
            Gate::Capped(_) => RunOutcome::Capped,
            Gate::BlockedWords => RunOutcome::BlockedWords,
            Gate::TooLong => RunOutcome::TooLong,
            Gate::MissingContent => RunOutcome::MissingContent,
            Gate::TooFewForList => RunOutcome::TooFewForList,
            Gate::NotApproved => RunOutcome::NotApproved,
            Gate::Quota => RunOutcome::Quota,
            Gate::Nothing => RunOutcome::Nothing,
            Gate::OutcomeUnknown => RunOutcome::OutcomeUnknown,
            Gate::Missed => RunOutcome::Missed,
        }
    }

    /// The gate of an outcome, with what the ledger keeps beside it; `None` for the users that are
    /// not matched.
    pub fn of(outcome: RunOutcome, by: Option<&str>) -> Option<Gate> {
        let by = by.map(str::to_owned);
        Some(match outcome {
            RunOutcome::NotMatched
            | RunOutcome::Unknown
            | RunOutcome::BelowTop
            | RunOutcome::NotSampled => {
                return None;
            }
            RunOutcome::OptedOut => Gate::OptedOut,
            RunOutcome::NoConsent => Gate::NoConsent,
            RunOutcome::Excluded => Gate::Excluded(by.unwrap_or_default()),
            RunOutcome::DuplicateAddress => Gate::DuplicateAddress,
            RunOutcome::Again => Gate::Again,
            RunOutcome::Holdout => Gate::Holdout,
            RunOutcome::Control => Gate::Control,
            RunOutcome::Unreachable => Gate::Unreachable,
            RunOutcome::Capped => Gate::Capped(by),
            RunOutcome::BlockedWords => Gate::BlockedWords,
            RunOutcome::TooLong => Gate::TooLong,
            RunOutcome::MissingContent => Gate::MissingContent,
            RunOutcome::TooFewForList => Gate::TooFewForList,
            RunOutcome::NotApproved => Gate::NotApproved,
            RunOutcome::Quota => Gate::Quota,
            RunOutcome::Nothing => Gate::Nothing,
            RunOutcome::OutcomeUnknown => Gate::OutcomeUnknown,
            RunOutcome::Missed => Gate::Missed,
        })
    }

    /// The name as scripts (`because capped`), reports and the ledger write it.
    pub fn name(&self) -> &'static str {
        self.outcome().name()
    }

    /// What goes with the name: the reason that policy gives, or the campaign that has the slot.
    pub fn by(&self) -> Option<&str> {
        if let Gate::Excluded(by) | Gate::Capped(Some(by)) = self {
            Some(by)
        } else {
            None
        }
    }

    /// For people.
    pub fn msg(&self) -> Msg {
        let Msg { en, zh } = self.outcome().msg();
        let Some(by) = self.by() else {
            return Msg { en, zh };
        };
        if self.outcome() == RunOutcome::Excluded {
            msg!("{en}: {by}", "{zh}：{by}")
        } else if is_cap(by) {
            msg!("{en} by the platform: {by}", "平台{zh}：{by}")
        } else {
            msg!("{en} by {by}", "{zh}，名额已被 {by} 占用")
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.by().is_some() {
            f.write_str(&self.msg().en)
        } else {
            f.write_str(self.name())
        }
    }
}

/// Why a user got no message, as the ledger keeps it: in English by its name, which scripts use
/// too, in Chinese in words.
pub fn reason(name: &str, by: Option<&str>) -> Msg {
    let en = by.map_or_else(|| name.to_owned(), |by| format!("{name}: {by}"));
    let words = RunOutcome::named(name)
        .map(|outcome| Gate::of(outcome, by).map_or_else(|| outcome.msg(), |gate| gate.msg()));
    let zh = words.map_or_else(|| en.clone(), |words| words.zh);
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

    /// The users that are not matched, by outcome.
    pub fn unselected(&self) -> [(RunOutcome, &Bitmap); 4] {
        [
            (RunOutcome::NotMatched, &self.not_matched),
            (RunOutcome::Unknown, &self.unknown),
            (RunOutcome::BelowTop, &self.below_top),
            (RunOutcome::NotSampled, &self.not_sampled),
        ]
    }

    /// The gate that stopped a user.
    pub fn stopped_by(&self, user: UserNo) -> Option<&Gate> {
        self.stopped
            .iter()
            .find(|(_, users)| users.contains(user))
            .map(|(gate, _)| gate)
    }

    /// Why a user gets no message, if so.
    pub fn outcome(&self, user: UserNo) -> Option<RunOutcome> {
        let unselected = self.unselected().into_iter();
        let found = unselected.filter(|(_, users)| users.contains(user));
        let outcome = found.map(|(outcome, _)| outcome).next();
        outcome.or_else(|| self.stopped_by(user).map(Gate::outcome))
    }

    /// Messages planned.
    pub fn planned(&self) -> usize {
        self.messages.iter().map(|g| g.users.len()).sum()
    }
}

/// Messages that have everything in common but the user. Columns, one entry a message, in send
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
    /// Not sent before: the due time, or the end of quiet hours.
    pub not_before: Instant,
    /// Not sent later.
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
    use crate::program::run_outcome::OUTCOMES;

    #[test]
    fn gates_are_outcomes_of_the_matched() {
        for row in OUTCOMES {
            let gate = Gate::of(row.outcome, Some("c"));
            assert_eq!(gate.is_none(), row.outcome.is_selection(), "{}", row.name);
            assert!(gate.is_none_or(|gate| gate.outcome() == row.outcome));
            assert_ne!(reason(row.name, None).zh, row.name, "in Chinese");
        }
        assert_eq!(
            reason("capped", Some("spring")),
            msg!("capped: spring", "频控，名额已被 spring 占用")
        );
        assert_eq!(reason("no_consent", None).en, "no_consent");
        assert_eq!(reason("below_top", None).zh, "未进入取前");
        assert_eq!(
            Gate::Excluded("young".into()).msg(),
            msg!("excluded: young", "策略排除：young")
        );
    }
}
