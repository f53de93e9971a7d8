//! What went wrong, in words that people use: never a rule of the grammar.

use super::grammar::Rule;
use crate::base::FileId;
use crate::base::Msg;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::syntax::clause_table::{CLAUSES, only_in_policy};
use crate::syntax::keyword::{self, Keyword};

/// A finding for a piece at `span` that went wrong `at` bytes into it, where one of `expected`
/// could have stood.
pub fn unexpected(file: FileId, text: &str, span: Span, at: usize, expected: &[Rule]) -> Finding {
    // `wehn vip`: the first word could only have been a label, so it is the first word that is
    // wrong.
    if at > 0 && expected == [Rule::colon] {
        return first_word(file, text, span);
    }
    let rest = text.get(at..).unwrap_or("");
    let skipped = rest.len() - rest.trim_start().len();
    let (start, rest) = (at + skipped, rest.trim_start());
    let base = span.start as usize;
    let len = token_length(rest);
    let token = &rest[..len];
    // At the end of the piece the place to point at is where its last word ends.
    let (from, to) = if token.is_empty() {
        let end = text.trim_end().len();
        (
            end.saturating_sub(
                text.trim_end()
                    .chars()
                    .next_back()
                    .map_or(0, char::len_utf8),
            ),
            end,
        )
    } else {
        (start, start + len)
    };
    let here = Span::new(file, base + from, base + to);
    // Where the piece could have ended, naming what could also follow would mislead.
    let wanted = if expected.contains(&Rule::EOI) {
        None
    } else {
        wanted(expected)
    };
    let message = match (token.is_empty(), &wanted) {
        (true, Some(w)) => Msg {
            en: format!("something is missing here: expected {}", pick(w, true)),
            zh: format!("这里缺少内容：应为{}", pick(w, false)),
        },
        (true, None) => msg!("something is missing here", "这里缺少内容"),
        (false, Some(w)) => Msg {
            en: format!("expected {}, found `{token}`", pick(w, true)),
            zh: format!("应为{}，却是 `{token}`", pick(w, false)),
        },
        (false, None) => msg!("`{token}` cannot stand here", "`{token}` 不能出现在这里"),
    };
    let finding = Finding::new(&catalog::SYNTAX, here, message);
    if let Some(fixed) = glued(&finding, token, here) {
        return fixed;
    }
    if let Some(placed) = of_policy(&finding, token) {
        return placed;
    }
    if let Some(named) = text_for_name(&finding, text.get(..start).unwrap_or(""), token) {
        return named;
    }
    let ids = expected
        .iter()
        .filter_map(|r| keyword::by_id(format!("{r:?}").strip_prefix("k_")?));
    match nearest(token, ids.flat_map(Keyword::spellings)) {
        Some(near) => finding.fix(msg!("write `{near}`", "写成 `{near}`"), here, near, false),
        None => finding,
    }
}

/// The words that an item, a clause, a part of a template or a step of a test can begin with.
fn openers() -> impl Iterator<Item = &'static str> {
    let lists: [&[&str]; 4] = [
        &keyword::ITEM_WORDS,
        &keyword::ACTION_WORDS,
        &keyword::PART_WORDS,
        &keyword::STEP_WORDS,
    ];
    let clauses = CLAUSES.iter().map(|c| c.keyword());
    lists
        .concat()
        .into_iter()
        .chain(clauses)
        .chain(["otherwise"])
}

fn first_word(file: FileId, text: &str, span: Span) -> Finding {
    let skipped = text.len() - text.trim_start().len();
    let rest = &text[skipped..];
    let word = &rest[..token_length(rest)];
    let start = span.start as usize + skipped;
    let here = Span::new(file, start, start + word.len());
    let finding = Finding::new(
        &catalog::SYNTAX,
        here,
        msg!(
            "nothing begins with `{word}` here",
            "这里没有以 `{word}` 开头的写法"
        ),
    );
    if let Some(fixed) = glued(&finding, word, here) {
        return fixed;
    }
    if let Some(placed) = of_policy(&finding, word) {
        return placed;
    }
    let spellings = openers()
        .filter_map(keyword::by_id)
        .flat_map(Keyword::spellings);
    match nearest(word, spellings) {
        Some(near) => finding.fix(msg!("write `{near}`", "写成 `{near}`"), here, near, false),
        None => finding,
    }
}

/// A line of the policy where a campaign's clause could stand.
fn of_policy(finding: &Finding, word: &str) -> Option<Finding> {
    keyword::spelled(word).filter(|k| only_in_policy(k.id))?;
    let help = msg!(
        "`{word}` is a line of `policy {{ … }}`, for all campaigns",
        "`{word}` 写在 `policy {{ … }}` 里，对所有活动有效"
    );
    Some(finding.clone().help(help))
}

/// `send template "…"`: the text where its name belongs.
fn text_for_name(finding: &Finding, before: &str, token: &str) -> Option<Finding> {
    let words: Vec<&str> = before
        .split_whitespace()
        .rev()
        .take(2)
        .filter_map(|word| Some(keyword::spelled(word)?.en))
        .collect();
    let help = msg!(
        "a template is sent by its name: declare it beside the campaign, `template hello \"…\"`, and write `send template hello`",
        "模板按名称发送：请在活动旁声明 `模板 hello \"…\"`，再写 `发送 模板 hello`"
    );
    (matches!(token, "\"" | "'") && words == ["template", "send"])
        .then(|| finding.clone().help(help))
}

/// `当地域`: a Chinese keyword and what follows it, read as one word.
fn glued(finding: &Finding, word: &str, here: Span) -> Option<Finding> {
    let prefix = keyword::glued_prefix(word)?;
    let rest = &word[prefix.len()..];
    let at = here.start as usize + prefix.len();
    let gap = Span::new(here.file, at, at);
    let finding = finding.clone().help(msg!(
        "`{word}` is read as one word; put a space after `{prefix}`",
        "`{word}` 被读作一个词；请在 `{prefix}` 后加空格"
    ));
    Some(finding.fix(
        msg!("write `{prefix} {rest}`", "写成 `{prefix} {rest}`"),
        gap,
        " ",
        true,
    ))
}

fn pick(words: &[(&'static str, &'static str)], en: bool) -> String {
    let list: Vec<&str> = words
        .iter()
        .map(|(e, z)| if en { *e } else { *z })
        .collect();
    let (last, first) = match list.split_last() {
        Some((last, first)) if !first.is_empty() => {
            (*last, first.join(if en { ", " } else { "、" }))
        }
        Some((last, _)) => return (*last).to_string(),
        None => return String::new(),
    };
    if en {
        format!("{first} or {last}")
    } else {
        format!("{first}或{last}")
    }
}

/// The things that could have stood there, most telling first, at most four; `None` when that would
/// be a long list.
fn wanted(expected: &[Rule]) -> Option<Vec<(&'static str, &'static str)>> {
    let mut words: Vec<(&'static str, &'static str)> = Vec::new();
    for rule in expected {
        let word = describe(*rule);
        if let Some(word) = word
            && !words.contains(&word)
        {
            words.push(word);
        }
    }
    // Operators could stand after nearly everything; naming them helps only when nothing else
    // could.
    (1..=5).contains(&words.len()).then_some(words)
}

fn describe(rule: Rule) -> Option<(&'static str, &'static str)> {
    Some(match rule {
        Rule::expr
        | Rule::operand
        | Rule::literal
        | Rule::call_or_name
        | Rule::op_name
        | Rule::prefix
        | Rule::place_or_paren => ("a condition or value", "条件或值"),
        Rule::name | Rule::word | Rule::word_name | Rule::quoted => ("a name", "名称"),
        Rule::string | Rule::dq_string | Rule::sq_string => ("a text in quotes", "带引号的文本"),
        Rule::number | Rule::decimal | Rule::signed => ("a number", "数字"),
        Rule::calendar | Rule::elapsed => ("a length of time such as `3 days`", "时长，如 `3天`"),
        Rule::type_expr => ("a type", "类型"),
        Rule::lbrace => ("`{`", "`{`"),
        Rule::rbrace => ("`}`", "`}`"),
        Rule::lparen => ("`(`", "`(`"),
        Rule::rparen => ("`)`", "`)`"),
        Rule::rbracket => ("`]`", "`]`"),
        Rule::equals => ("`=`", "`=`"),
        Rule::colon => ("`:`", "`:`"),
        Rule::comma => ("`,`", "`,`"),
        Rule::dots => ("`..`", "`..`"),
        Rule::clause => ("a clause", "子句"),
        Rule::item => ("a declaration or campaign", "声明或活动"),
        Rule::action | Rule::send => ("`send`", "`发送`"),
        Rule::field_decl => ("a field", "字段"),
        Rule::template_part | Rule::part_kind => ("a part such as `body`", "如 `正文` 的部分"),
        Rule::every_period => (
            "`day`, a weekday, `month` or `hour`",
            "`天`、星期、`月`或`小时`",
        ),
        Rule::cap_period => (
            "`day`, `week`, `month` or `rolling`",
            "`天`、`周`、`月`或`滚动`",
        ),
        rule => {
            // Keywords describe themselves; blank or comment rules say nothing.
            let id = format!("{rule:?}");
            let keyword = keyword::by_id(id.strip_prefix("k_")?)?;
            return Some((
                tick(keyword.en)?,
                tick(keyword.zh.first().copied().unwrap_or(keyword.en))?,
            ));
        }
    })
}

/// The spelling in backticks, from the table of all, so that it lives as long as the program.
fn tick(spelling: &'static str) -> Option<&'static str> {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;
    static TICKED: LazyLock<BTreeMap<&'static str, String>> = LazyLock::new(|| {
        let all = keyword::all().iter().flat_map(Keyword::spellings);
        all.map(|s| (s, format!("`{s}`"))).collect()
    });
    TICKED.get(spelling).map(String::as_str)
}

/// The spelling that a word is a slip of.
fn nearest(token: &str, spellings: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    if token.chars().count() < 2 {
        return None;
    }
    let lower = token.to_lowercase();
    let near = spellings
        .map(|s| (strsim::damerau_levenshtein(s, &lower), s))
        .filter(|(d, s)| *d <= 1 + s.chars().count() / 5 && *d < s.chars().count())
        .min();
    near.map(|(_, s)| s).filter(|s| *s != token)
}

/// The word, number or sign at the start of a text.
fn token_length(rest: &str) -> usize {
    let Some(first) = rest.chars().next() else {
        return 0;
    };
    if first.is_alphanumeric() || first == '_' {
        return rest
            .char_indices()
            .find(|(_, c)| !(c.is_alphanumeric() || *c == '_'))
            .map_or(rest.len(), |(i, _)| i);
    }
    first.len_utf8()
}
