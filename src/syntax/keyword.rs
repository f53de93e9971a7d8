//! Every keyword with its English spelling and its Chinese ones, the first of which the formatter
//! writes. Those that a clause begins with are rows of [`clause_table`](super::clause_table).
//!
//! The id is the name of the grammar's rule without `k_`; a test compares table and grammar.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::clause_table::CLAUSES;
use crate::base::Lang;

/// A keyword; some are phrases of two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyword {
    pub id: &'static str,
    pub en: &'static str,
    pub zh: &'static [&'static str],
}

const fn word(id: &'static str, en: &'static str, zh: &'static [&'static str]) -> Keyword {
    Keyword { id, en, zh }
}

/// The operator words: never names unless quoted.
pub const RESERVED: [&str; 15] = [
    "or", "except", "and", "not", "in", "is", "contains", "mod", "true", "false", "where",
    "missing", "known", "then", "no",
];

/// Those that can stand in a condition, for completion.
const IN_EXPRESSIONS: [&str; 33] = [
    "or",
    "except",
    "and",
    "not",
    "in",
    "not_in",
    "is",
    "contains",
    "contains_any",
    "contains_all",
    "starts_with",
    "mod",
    "true",
    "false",
    "where",
    "missing",
    "known",
    "then",
    "no",
    "everyone",
    "within",
    "last",
    "next",
    "today",
    "yesterday",
    "ever",
    "since",
    "this_week",
    "this_month",
    "this_year",
    "previous_week",
    "previous_month",
    "previous_year",
];

#[rustfmt::skip]
const OPERATORS: &[Keyword] = &[
    word("or", "or", &["或", "或者"]),
    word("except", "except", &["排除"]),
    word("and", "and", &["且", "并且"]),
    word("not", "not", &["非", "不"]),
    word("in", "in", &["属于"]),
    word("not_in", "not in", &["不属于"]),
    word("is", "is", &["是"]),
    word("contains", "contains", &["包含"]),
    word("contains_any", "contains any", &["包含任一"]),
    word("contains_all", "contains all", &["包含全部"]),
    word("starts_with", "starts with", &["开头是"]),
    word("mod", "mod", &["取余"]),
    word("true", "true", &["真"]),
    word("false", "false", &["假"]),
    word("where", "where", &["其中"]),
    word("missing", "missing", &["缺失"]),
    word("known", "known", &["已知"]),
    word("then", "then", &["然后"]),
    word("everyone", "everyone", &["全部用户"]),
];

/// All but the operators and the first words of clauses.
#[rustfmt::skip]
const WORDS: &[Keyword] = &[
    word("tag", "tag", &["标签"]),
    word("event", "event", &["事件"]),
    word("audience", "audience", &["人群"]),
    word("partition", "partition", &["分层"]),
    word("list", "list", &["名单"]),
    word("lookup", "lookup", &["查表"]),
    word("place", "place", &["地点"]),
    word("account", "account", &["账号"]),
    word("template", "template", &["模板"]),
    word("campaign", "campaign", &["活动"]),
    word("policy", "policy", &["策略"]),
    word("test", "test", &["测试"]),
    word("pool", "pool", &["资源池"]),
    word("page", "page", &["页面"]),
    word("base", "base", &["基础"]),
    word("behavior", "behavior", &["行为"]),
    word("predicted", "predicted", &["预测"]),
    word("private", "private", &["隐私"]),
    word("sensitive", "sensitive", &["敏感"]),
    word("fresh", "fresh", &["时效"]),
    word("refresh", "refresh", &["更新"]),
    word("optional", "optional", &["可选"]),
    word("set", "set", &["集合"]),
    word("of", "of", &["之"]),
    word("enum", "enum", &["枚举"]),
    word("text", "text", &["文本"]),
    word("int", "int", &["整数"]),
    word("address", "address", &["地址"]),
    word("title", "title", &["标题"]),
    word("body", "body", &["正文"]),
    word("link", "link", &["链接"]),
    word("image", "image", &["图片"]),
    word("video", "video", &["视频"]),
    word("miniprogram", "miniprogram", &["小程序"]),
    word("entry", "entry", &["回复入口"]),
    word("unsubscribe", "unsubscribe", &["退订"]),
    word("field", "field", &["字段"]),
    word("platform", "platform", &["平台模板"]),
    word("by", "by", &["按"]),
    word("within", "within", &["限时"]),
    word("split", "split", &["分组"]),
    word("choose", "choose", &["选择"]),
    word("otherwise", "otherwise", &["否则"]),
    word("nothing", "nothing", &["不发送"]),
    word("as", "as", &["记作"]),
    word("all", "all", &["全部"]),
    word("weight", "weight", &["权重"]),
    word("now", "now", &["现在"]),
    word("before", "before", &["之前"]),
    word("day", "day", &["天", "日"]),
    word("week", "week", &["周"]),
    word("month", "month", &["月"]),
    word("hour", "hour", &["小时"]),
    word("minute", "minute", &["分钟"]),
    word("until", "until", &["直到"]),
    word("wait", "wait", &["等待"]),
    word("from", "from", &["来自", "从"]),
    word("unless", "unless", &["除非"]),
    word("never", "never", &["从不"]),
    word("always", "always", &["总是"]),
    word("per", "per", &["每"]),
    word("rising", "rising", &["递增"]),
    word("rolling", "rolling", &["滚动"]),
    word("keep", "keep", &["保留"]),
    word("if", "if", &["如果"]),
    word("else", "else", &["不然"]),
    word("at_least", "at least", &["至少"]),
    word("words", "words", &["词语"]),
    word("user", "user", &["用户"]),
    word("users", "users", &["用户表"]),
    word("expect", "expect", &["期望"]),
    word("matches", "matches", &["匹配"]),
    word("unknown", "unknown", &["未知"]),
    word("receives", "receives", &["收到"]),
    word("reaches", "reaches", &["触达"]),
    word("because", "because", &["因为"]),
    word("last", "last", &["最近", "最后"]),
    word("next", "next", &["未来"]),
    word("today", "today", &["今天"]),
    word("yesterday", "yesterday", &["昨天"]),
    word("ever", "ever", &["有史以来"]),
    word("since", "since", &["自"]),
    word("this_week", "this week", &["本周"]),
    word("this_month", "this month", &["本月"]),
    word("this_year", "this year", &["本年", "今年"]),
    word("previous_week", "previous week", &["上周"]),
    word("previous_month", "previous month", &["上月"]),
    word("previous_year", "previous year", &["去年"]),
];

/// The words that a declaration begins with.
pub const ITEM_WORDS: [&str; 14] = [
    "tag",
    "event",
    "lookup",
    "place",
    "list",
    "partition",
    "audience",
    "account",
    "template",
    "campaign",
    "policy",
    "test",
    "pool",
    "page",
];

/// The words that a part of a template begins with.
pub const PART_WORDS: [&str; 10] = [
    "title",
    "body",
    "link",
    "image",
    "video",
    "miniprogram",
    "entry",
    "unsubscribe",
    "platform",
    "field",
];

/// The words that a step of a test begins with.
pub const STEP_WORDS: [&str; 6] = ["now", "until", "user", "users", "event", "expect"];

/// The words that the action of a campaign begins with, beside `send`.
pub const ACTION_WORDS: [&str; 2] = ["split", "choose"];

static ALL: LazyLock<Vec<Keyword>> = LazyLock::new(|| {
    let clauses = CLAUSES.iter().map(|c| word(c.keyword(), c.keyword(), c.zh));
    let mut all = OPERATORS.to_vec();
    all.extend(clauses);
    all.extend_from_slice(WORDS);
    all
});
static BY_ID: LazyLock<BTreeMap<&'static str, &'static Keyword>> =
    LazyLock::new(|| all().iter().map(|k| (k.id, k)).collect());
/// Of words with one spelling the first of [`all`] counts: `每` is `every` and `per`.
static BY_SPELLING: LazyLock<BTreeMap<&'static str, &'static Keyword>> = LazyLock::new(|| {
    all()
        .iter()
        .rev()
        .flat_map(|k| k.spellings().map(move |s| (s, k)))
        .collect()
});

impl Keyword {
    /// The English spelling, then the Chinese ones.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.en).chain(self.zh.iter().copied())
    }

    /// The spelling that the formatter writes.
    pub fn spelling(&self, lang: Lang) -> &'static str {
        match lang {
            Lang::En => self.en,
            Lang::Zh => self.zh.first().copied().unwrap_or(self.en),
        }
    }
}

/// Every keyword: operators, clauses, the rest.
pub fn all() -> &'static [Keyword] {
    &ALL
}

/// The keyword of a grammar rule.
pub fn by_id(id: &str) -> Option<&'static Keyword> {
    BY_ID.get(id).copied()
}

/// The keyword with this spelling, in either language.
pub fn spelled(text: &str) -> Option<&'static Keyword> {
    BY_SPELLING.get(text).copied()
}

pub fn is_keyword(text: &str) -> bool {
    spelled(text).is_some()
}

/// The words that a condition can contain, in both languages.
pub fn expression_words() -> impl Iterator<Item = &'static str> {
    IN_EXPRESSIONS
        .iter()
        .filter_map(|id| by_id(id))
        .flat_map(Keyword::spellings)
}

/// The longest Chinese keyword that a run of text begins with, if more text follows: `当地域` gives
/// `当`.
pub fn glued_prefix(text: &str) -> Option<&'static str> {
    let spellings = all().iter().flat_map(|k| k.zh.iter().copied());
    spellings
        .filter(|s| text.len() > s.len() && text.starts_with(s))
        .max_by_key(|s| s.len())
}

/// The language a file is written in: Chinese when it has more Chinese keywords than English ones.
pub fn language_of(text: &str) -> Lang {
    let words = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|w| !w.is_empty());
    let (mut en, mut zh) = (0usize, 0usize);
    for word in words.take(20_000) {
        if spelled(word).is_some() {
            if word.is_ascii() { en += 1 } else { zh += 1 }
        }
    }
    if zh > en { Lang::Zh } else { Lang::En }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Spellings by rule, read from the grammar's own text: all strings of the line, phrases joined
    /// by one blank.
    fn grammar() -> BTreeMap<String, BTreeSet<String>> {
        let text = include_str!("../../grammar/campaign.pest");
        let mut rules = BTreeMap::new();
        for line in text.lines() {
            let Some((id, body)) = line.strip_prefix("k_").and_then(|l| l.split_once('=')) else {
                continue;
            };
            let body = body.split("~ !(").next().unwrap_or(body);
            let strings: BTreeSet<String> = body
                .split('"')
                .skip(1)
                .step_by(2)
                .map(str::to_string)
                .collect();
            rules.insert(id.trim().to_string(), strings);
        }
        rules
    }

    #[test]
    fn table_and_grammar_agree() {
        let grammar = grammar();
        let ids: BTreeSet<&str> = all().iter().map(|k| k.id).collect();
        assert_eq!(
            ids,
            grammar.keys().map(String::as_str).collect(),
            "every rule `k_…` has a line in the table and the other way round"
        );
        for keyword in all() {
            let rule = &grammar[keyword.id];
            for spelling in keyword.spellings() {
                let known =
                    spelling.split(' ').all(|part| rule.contains(part)) || rule.contains(spelling);
                assert!(
                    known,
                    "the grammar does not know `{spelling}` for `{}`",
                    keyword.id
                );
            }
        }
        assert_eq!(all().len(), ids.len(), "an id stands twice");
    }

    #[test]
    fn language_follows_the_keywords() {
        assert_eq!(
            language_of("当 地域 == \"上海\" 发送 模板 X 于 10:00"),
            Lang::Zh
        );
        assert_eq!(
            language_of("when 地域 == \"上海\" send template X at 10:00"),
            Lang::En
        );
        assert_eq!(glued_prefix("当地域"), Some("当"));
        assert_eq!(glued_prefix("当"), None);
    }
}
