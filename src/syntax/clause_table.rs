//! The one table of clauses. Parser, formatter, checker, error messages and completion read it, so
//! that a clause of a common shape is one row here and one rule of the grammar.
//!
//! The order of the rows is the order in which the formatter writes clauses: what holds for all
//! campaigns, what the campaign is for, who, what, by which channel, when, and under which limits.

use self::ClausePlace::{Campaign, Policy, Purpose};

/// A block in which clauses stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClausePlace {
    /// `campaign NAME { … }`, or a rule without braces.
    Campaign,
    /// `policy { … }`
    Policy,
    /// `for PURPOSE { … }` of the policy.
    Purpose,
}

/// What follows the words of a clause. All but `Own` are parsed, visited and formatted alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClauseShape {
    /// One expression, and keywords behind it that never differ: `pace 500 per minute`.
    Value(&'static [&'static str]),
    /// `purpose service`
    Name,
    /// `require goal, entry`
    Names,
    /// `timezone "Asia/Shanghai"`
    Text,
    /// `forbid words "a.txt", "b.txt"`
    Texts,
    /// Anything, refused by name: the form is reserved for a later version.
    Reserved,
    /// A node of its own in the syntax tree.
    Own,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClauseInfo {
    pub id: ClauseId,
    /// As findings write it: the English keywords that it begins with, `leave when`. Clauses of one
    /// name exclude each other.
    pub name: &'static str,
    /// Chinese spellings of the first of these keywords.
    pub zh: &'static [&'static str],
    pub places: &'static [ClausePlace],
    /// Whether one block may have several.
    pub repeats: bool,
    pub shape: ClauseShape,
}

impl ClauseInfo {
    /// The ids of the keywords that it begins with.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.name.split(' ')
    }

    /// The id of its first keyword; its rule in the grammar is `<keyword>_clause`.
    pub fn keyword(&self) -> &'static str {
        self.words().next().unwrap_or_default()
    }
}

const ONCE: bool = false;
const REPEATS: bool = true;
const IN_CAMPAIGN: &[ClausePlace] = &[Campaign];
const IN_POLICY: &[ClausePlace] = &[Policy];
const IN_PURPOSE: &[ClausePlace] = &[Purpose];
const ANYWHERE: &[ClausePlace] = &[Campaign, Policy, Purpose];

macro_rules! clauses {
    ($($id:ident $name:literal $($zh:literal)|+ $places:ident $repeats:ident $shape:expr;)*) => {
        /// Which clause; ordered as the formatter orders them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ClauseId { $($id),* }

        /// All clauses, in the formatter's order.
        pub static CLAUSES: &[ClauseInfo] = &[
            $(ClauseInfo {
                id: ClauseId::$id,
                name: $name,
                zh: &[$($zh),+],
                places: $places,
                repeats: $repeats,
                shape: $shape,
            }),*
        ];
    };
}

clauses! {
    Timezone    "timezone"     "时区"   IN_POLICY   ONCE    ClauseShape::Text;
    Currency    "currency"     "币种"   IN_POLICY   ONCE    ClauseShape::Text;
    Consent     "consent"      "授权"   IN_POLICY   ONCE    ClauseShape::Name;
    ForbidWords "forbid words" "禁止"   IN_POLICY   REPEATS ClauseShape::Texts;
    Require     "require"      "要求"   IN_POLICY   REPEATS ClauseShape::Names;
    Exclude     "exclude"      "剔除"   IN_POLICY   REPEATS ClauseShape::Own;
    Goal        "goal"         "目标"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    Purpose     "purpose"      "用途"   IN_CAMPAIGN ONCE    ClauseShape::Name;
    On          "on"           "触发"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    When        "when"         "当"     IN_CAMPAIGN ONCE    ClauseShape::Own;
    Top         "top"          "取前"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    Sample      "sample"       "抽样"   IN_CAMPAIGN ONCE    ClauseShape::Value(&[]);
    Action      "send"         "发送"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    Holdout     "holdout"      "对照"   ANYWHERE    ONCE    ClauseShape::Own;
    Via         "via"          "渠道"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    At          "at"           "于" | "在" IN_CAMPAIGN ONCE    ClauseShape::Own;
    Every       "every"        "每"     IN_CAMPAIGN ONCE    ClauseShape::Own;
    Again       "again"        "再次"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    Priority    "priority"     "优先级" IN_CAMPAIGN ONCE    ClauseShape::Own;
    Cap         "cap"          "频控"   ANYWHERE    REPEATS ClauseShape::Own;
    Quiet       "quiet"        "免打扰" ANYWHERE    ONCE    ClauseShape::Own;
    Deadline    "deadline"     "最晚"   IN_CAMPAIGN ONCE    ClauseShape::Value(&[]);
    Pace        "pace"         "速率"   IN_CAMPAIGN ONCE    ClauseShape::Value(&["per", "minute"]);
    Recall      "recall"       "撤回"   IN_CAMPAIGN ONCE    ClauseShape::Value(&[]);
    No          "no"           "无"     IN_PURPOSE  REPEATS ClauseShape::Name;
    After       "after"        "之后"   IN_CAMPAIGN REPEATS ClauseShape::Own;
    LeaveWhen   "leave when"   "退出"   IN_CAMPAIGN ONCE    ClauseShape::Value(&[]);
    Rollout     "rollout"      "灰度"   IN_CAMPAIGN REPEATS ClauseShape::Reserved;
    StopIf      "stop if"      "停止"   IN_CAMPAIGN REPEATS ClauseShape::Reserved;
    Target      "target"       "达标"   IN_CAMPAIGN ONCE    ClauseShape::Own;
    For         "for"          "针对"   IN_POLICY   REPEATS ClauseShape::Own;
    Review      "review"       "审批"   IN_POLICY   REPEATS ClauseShape::Reserved;
}

impl ClauseId {
    pub fn info(self) -> &'static ClauseInfo {
        &CLAUSES[self as usize]
    }
}

/// Whether error messages may say that a line with this keyword belongs into the policy. `for`
/// also stands inside other forms.
pub fn only_in_policy(keyword: &str) -> bool {
    CLAUSES.iter().any(|c| {
        c.keyword() == keyword
            && c.places == IN_POLICY
            && c.shape != ClauseShape::Reserved
            && c.id != ClauseId::For
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::syntax::keyword::{ITEM_WORDS, PART_WORDS, STEP_WORDS};

    /// The words of a rule's body that begin with `prefix` or end in `suffix`, without them.
    fn grammar(rule: &str, prefix: &str, suffix: &str) -> BTreeSet<&'static str> {
        let text = include_str!("../../grammar/campaign.pest");
        let start = text
            .lines()
            .position(|l| l.split_whitespace().next() == Some(rule));
        let mut lines = text.lines().skip(start.expect("the rule"));
        let first = lines.next().unwrap_or_default();
        let rest = lines.take_while(|l| l.starts_with(' '));
        let one_line = first.ends_with('}').then_some(first);
        let body: Vec<&str> = match one_line {
            Some(line) => vec![line.split_once('=').unwrap().1],
            None => rest.collect(),
        };
        body.into_iter()
            .flat_map(|l| l.split(|c: char| !(c.is_alphanumeric() || c == '_')))
            .filter_map(|w| w.strip_prefix(prefix)?.strip_suffix(suffix))
            .filter(|w| !w.is_empty())
            .collect()
    }

    fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
        words.into_iter().collect()
    }

    #[test]
    fn rows_stand_in_the_order_of_their_ids() {
        for (i, row) in CLAUSES.iter().enumerate() {
            assert_eq!(row.id as usize, i, "{}", row.name);
            assert_eq!(row.id.info(), row);
        }
        let keywords = set(CLAUSES.iter().map(ClauseInfo::keyword));
        assert_eq!(keywords.len(), CLAUSES.len(), "a keyword stands twice");
    }

    #[test]
    fn the_grammar_has_the_clauses_of_the_table() {
        let keywords = || CLAUSES.iter().map(ClauseInfo::keyword);
        assert_eq!(
            grammar("clause_word", "k_", ""),
            set(keywords().chain(["split", "choose"])),
            "the words at which reading continues after a mistake"
        );
        let standing = |places: &[ClausePlace]| {
            let rows = CLAUSES.iter().filter(|c| {
                c.id != ClauseId::Action && c.places.iter().any(|place| places.contains(place))
            });
            set(rows.map(ClauseInfo::keyword))
        };
        assert_eq!(grammar("clause", "", "_clause"), standing(&[Campaign]));
        assert_eq!(
            grammar("policy_clause", "", "_clause"),
            standing(&[Policy, Purpose])
        );
    }

    #[test]
    fn the_grammar_has_the_words_of_items_parts_and_steps() {
        assert_eq!(grammar("item_word", "k_", ""), set(ITEM_WORDS));
        assert_eq!(grammar("part_kind", "k_", ""), set(PART_WORDS));
        assert_eq!(grammar("step_word", "k_", ""), set(STEP_WORDS));
    }
}
