//! The one list of what becomes of a user in a run of a campaign: a message, or one of these.
//!
//! `decide` maps its gates onto it, test blocks write it after `because`, the ledger keeps its
//! names, `plan`, `status` and `why` show its words.

use crate::base::Msg;

/// When a user leaves the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeStage {
    /// Not among the matched users.
    Selection,
    /// Matched, and stopped by a gate.
    Gate,
}

#[derive(Clone, Copy, Debug)]
pub struct RunOutcomeInfo {
    pub outcome: RunOutcome,
    /// As scripts (`because capped`), machine formats and the ledger write it.
    pub name: &'static str,
    pub stage: OutcomeStage,
    /// In words, English and Chinese.
    pub words: (&'static str, &'static str),
    /// Why it cannot be expected in a test block, where it never happens.
    pub not_in_tests: Option<(&'static str, &'static str)>,
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $id:ident $name:literal $stage:ident $en:literal $zh:literal $not:expr;)*) => {
        /// Why a user gets no message. The order is that of a run: the first that holds is the
        /// outcome.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RunOutcome { $($(#[$doc])* $id),* }

        /// All outcomes, in the order of a run.
        pub static OUTCOMES: &[RunOutcomeInfo] = &[
            $(RunOutcomeInfo {
                outcome: RunOutcome::$id,
                name: $name,
                stage: OutcomeStage::$stage,
                words: ($en, $zh),
                not_in_tests: $not,
            }),*
        ];
    };
}

outcomes! {
    NotMatched       "not_matched"       Selection "not matched"       "不匹配"         None;
    /// The condition is unknown for want of a value.
    Unknown          "unknown"           Selection "unknown"           "未知"           None;
    BelowTop         "below_top"         Selection "below top"         "未进入取前"     None;
    NotSampled       "not_sampled"       Selection "not sampled"       "未被抽中"       None;
    OptedOut         "opted_out"         Gate      "opted out"         "已退订"         None;
    NoConsent        "no_consent"        Gate      "no consent"        "未同意"         None;
    Excluded         "excluded"          Gate      "excluded"          "策略排除"       None;
    DuplicateAddress "duplicate_address" Gate      "duplicate address" "地址重复"       None;
    Again            "again"             Gate      "reached before"    "此前已触达"     None;
    Holdout          "holdout"           Gate      "holdout"           "对照"           None;
    /// An arm of a split that sends nothing.
    Control          "control"           Gate      "control arm"       "对照分组"       None;
    Unreachable      "unreachable"       Gate      "unreachable"       "无可用渠道"     None;
    Capped           "capped"            Gate      "capped"            "频控"           None;
    BlockedWords     "blocked_words"     Gate      "forbidden words"   "含禁用词"       None;
    TooLong          "too_long"          Gate      "too long"          "超长"           None;
    MissingContent   "missing_content"   Gate      "missing content"   "内容缺失"       None;
    TooFewForList    "too_few_for_list"  Gate      "too few for a list" "人数不足以群发" None;
    NotApproved      "not_approved"      Gate      "not approved"      "未获批准"       None;
    Quota            "quota"             Gate      "quota used up"     "配额用尽"       None;
    /// `choose` or the `else` of a follow-up came to `nothing`.
    Nothing          "nothing"           Gate      "nothing chosen"    "未选中任何内容" None;
    /// A follow-up of a message of which nobody knows whether it was sent.
    OutcomeUnknown   "outcome_unknown"   Gate      "outcome of the message before it unknown" "前一条消息结果未知"
        Some(("in a test every message is sent, so its outcome is known", "测试中每条消息都会发出，结果总是已知"));
    /// Nothing ran before the deadline had passed.
    Missed           "missed"            Gate      "missed its deadline" "错过最晚期限"
        Some(("a test runs whatever is due at its time", "测试会按时执行所有到期内容"));
}

impl RunOutcome {
    pub fn info(self) -> &'static RunOutcomeInfo {
        &OUTCOMES[self as usize]
    }

    /// As scripts, machine formats and the ledger write it.
    pub fn name(self) -> &'static str {
        self.info().name
    }

    pub fn named(name: &str) -> Option<RunOutcome> {
        OUTCOMES.iter().find(|o| o.name == name).map(|o| o.outcome)
    }

    /// Whether a user of this outcome is not among the matched ones.
    pub fn is_selection(self) -> bool {
        self.info().stage == OutcomeStage::Selection
    }

    pub fn msg(self) -> Msg {
        let (en, zh) = self.info().words;
        Msg {
            en: en.to_owned(),
            zh: zh.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_row() {
        for (i, row) in OUTCOMES.iter().enumerate() {
            assert_eq!(row.outcome as usize, i, "{}", row.name);
            assert_eq!(RunOutcome::named(row.name), Some(row.outcome));
        }
        assert_eq!(RunOutcome::named("nowhere"), None);
    }
}
