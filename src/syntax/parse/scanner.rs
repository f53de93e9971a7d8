//! One look at a text before pest: comments, bracket depth, unclosed brackets and strings. Linear,
//! and no recursion.

use crate::base::FileId;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::syntax::ast::Comment;

/// Brackets in brackets.
pub const MAX_DEPTH: usize = 64;

pub struct Scanned {
    pub comments: Vec<Comment>,
    /// Brackets and strings that are never closed, or closed wrongly.
    pub unclosed: Vec<Finding>,
    /// The text must not be given to pest at all.
    pub fatal: Option<Finding>,
}

/// More of them say nothing new.
const MAX_UNCLOSED: usize = 1;

pub fn scan(file: FileId, text: &str) -> Scanned {
    let mut out = Scanned {
        comments: Vec::new(),
        unclosed: Vec::new(),
        fatal: None,
    };
    let mut open: Vec<(char, usize)> = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let rest = &text[at..];
        match c {
            '#' => {
                let len = rest.find('\n').unwrap_or(rest.len());
                let comment = rest[..len].trim_end();
                out.comments.push(Comment {
                    span: Span::new(file, at, at + comment.len()),
                    text: comment.to_string(),
                });
                at += len;
                continue;
            }
            '"' if rest.starts_with("\"\"\"") => match rest[3..].find("\"\"\"") {
                Some(end) => {
                    at += end + 6;
                    continue;
                }
                None => {
                    out.string(file, at, rest.len());
                    return out;
                }
            },
            '"' | '\'' | '`' | '“' | '‘' | '「' => {
                let len = string_length(rest, c);
                match len {
                    Some(len) => at += len,
                    None => {
                        let line = rest.find('\n').unwrap_or(rest.len());
                        // A closing quote of a pair alone is text to pest; an apostrophe in a
                        // comment never comes here.
                        out.string(file, at, line);
                        at += line;
                    }
                }
                continue;
            }
            _ => {}
        }
        match c {
            '(' | '[' | '{' | '（' | '［' | '【' | '｛' => {
                open.push((closer(c), at));
                if open.len() > MAX_DEPTH {
                    let span = Span::new(file, at, at + c.len_utf8());
                    let message = msg!(
                        "brackets are nested more than {MAX_DEPTH} deep",
                        "括号嵌套超过 {MAX_DEPTH} 层"
                    );
                    let help = msg!(
                        "name parts of it with `audience NAME = …`",
                        "请用 `人群 名称 = …` 为其中的部分命名"
                    );
                    out.fatal = Some(Finding::new(&catalog::TOO_DEEP, span, message).help(help));
                    return out;
                }
            }
            ')' | ']' | '}' | '）' | '］' | '】' | '｝' => match open.pop() {
                Some((want, _)) if want == plain(c) => {}
                Some((want, from)) => {
                    let opened = Span::new(
                        file,
                        from,
                        from + text[from..].chars().next().map_or(1, char::len_utf8),
                    );
                    let span = Span::new(file, at, at + c.len_utf8());
                    let finding = Finding::new(
                        &catalog::UNCLOSED,
                        span,
                        msg!(
                            "`{c}` does not close what is open here",
                            "`{c}` 与已打开的括号不匹配"
                        ),
                    )
                    .label(
                        opened,
                        msg!(
                            "this is still open; it wants `{want}`",
                            "此处尚未关闭，需要 `{want}`"
                        ),
                    );
                    out.add(finding);
                }
                None => {
                    let span = Span::new(file, at, at + c.len_utf8());
                    out.add(Finding::new(
                        &catalog::UNCLOSED,
                        span,
                        msg!(
                            "nothing is open that `{c}` could close",
                            "没有可由 `{c}` 关闭的括号"
                        ),
                    ));
                }
            },
            _ => {}
        }
        at += c.len_utf8();
    }
    if let Some((want, from)) = open.last() {
        let opened = text[*from..].chars().next().unwrap_or('{');
        let span = Span::new(file, *from, from + opened.len_utf8());
        let finding = Finding::new(
            &catalog::UNCLOSED,
            span,
            msg!("`{opened}` is never closed", "`{opened}` 没有关闭"),
        )
        .help(msg!(
            "put `{want}` where it ends",
            "请在结束处加上 `{want}`"
        ));
        out.add(finding);
    }
    out
}

impl Scanned {
    fn add(&mut self, finding: Finding) {
        if self.unclosed.len() < MAX_UNCLOSED {
            self.unclosed.push(finding);
        }
    }

    fn string(&mut self, file: FileId, at: usize, len: usize) {
        let span = Span::new(file, at, at + len);
        let finding = Finding::new(
            &catalog::UNCLOSED,
            span,
            msg!(
                "this text is not closed on its line",
                "这段文本在本行内没有结束"
            ),
        )
        .help(msg!(
            "close it with the same quote, or write `\"\"\"` around several lines",
            "请用相同的引号结束，多行文本请用 `\"\"\"` 括起"
        ));
        self.add(finding);
    }
}

/// The length of a string with its quotes; `None` when its line ends first.
fn string_length(rest: &str, quote: char) -> Option<usize> {
    let end = match quote {
        '“' => '”',
        '‘' => '’',
        '「' => '」',
        same => same,
    };
    let escapes = matches!(quote, '"' | '\'');
    let mut chars = rest.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '\n' => return None,
            '\\' if escapes && chars.next().is_some_and(|(_, c)| c == '\n') => {
                return None;
            }
            c if c == end => return Some(i + c.len_utf8()),
            _ => {}
        }
    }
    None
}

fn closer(c: char) -> char {
    match c {
        '(' | '（' => ')',
        '[' | '［' | '【' => ']',
        _ => '}',
    }
}

fn plain(c: char) -> char {
    match c {
        '）' => ')',
        '］' | '】' => ']',
        '｝' => '}',
        c => c,
    }
}
