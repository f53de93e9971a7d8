//! The page that is printed on: lines, indentation, comments, and keywords in the language they
//! were written in.

use crate::base::Lang;
use crate::diag::Span;
use crate::syntax::ast::{Comment, File, Ident};
use crate::syntax::keyword;

/// Longer lines are broken where the language lets them.
pub const WIDTH: usize = 100;

pub struct Printer<'t> {
    text: &'t str,
    keywords: Option<Lang>,
    /// Words of the source outside strings and comments.
    words: Vec<(usize, &'t str)>,
    /// From here on the source's spelling of a keyword is looked for.
    cursor: usize,
    /// The rest of a word that began with a keyword: 天 of 每天.
    glued: &'t str,
    comments: Vec<&'t Comment>,
    /// The first comment that is not printed yet.
    next_comment: usize,
    pub out: String,
    pub indent: usize,
}

impl<'t> Printer<'t> {
    pub fn new(file: &'t File, text: &'t str, keywords: Option<Lang>) -> Self {
        let comments: Vec<&Comment> = file.comments.iter().collect();
        Printer {
            text,
            keywords,
            words: words(text, &comments),
            cursor: 0,
            glued: "",
            comments,
            next_comment: 0,
            out: String::new(),
            indent: 0,
        }
    }

    /// The language that keywords are rewritten in.
    pub fn language(&self) -> Option<Lang> {
        self.keywords
    }

    pub fn slice(&self, span: Span) -> &'t str {
        self.text.get(span.range()).unwrap_or("")
    }

    /// Keywords printed from now on are looked for from the start of this node.
    pub fn at(&mut self, span: Span) {
        self.cursor = span.start as usize;
    }

    /// A keyword in the language asked for, else as the source has it at this place.
    pub fn kw(&mut self, id: &str) -> String {
        let Some(word) = keyword::by_id(id) else {
            return id.to_string();
        };
        if let Some(lang) = self.keywords {
            return word.spelling(lang).to_string();
        }
        let spellings = || std::iter::once(word.en).chain(word.zh.iter().copied());
        let glued = std::mem::take(&mut self.glued);
        if let Some(spelling) = spellings().find(|s| *s == glued) {
            return spelling.to_string();
        }
        let from = self
            .words
            .partition_point(|(start, _)| *start < self.cursor);
        for (i, (start, text)) in self.words[from..].iter().enumerate() {
            let next = self.words.get(from + i + 1).map_or("", |w| w.1);
            let found = spellings().find(|spelling| match spelling.split_once(' ') {
                Some((first, second)) => first == *text && second == next,
                // 每天 is one word of the source.
                None => spelling == text || (id == "every" && text.starts_with(spelling)),
            });
            if let Some(spelling) = found {
                self.cursor = start + text.len();
                self.glued = text.strip_prefix(spelling).unwrap_or("");
                return spelling.to_string();
            }
        }
        word.en.to_string()
    }

    pub fn name(&self, ident: &Ident) -> String {
        if ident.quoted {
            format!("`{}`", ident.name)
        } else {
            ident.name.clone()
        }
    }

    /// A line without comments.
    pub fn push(&mut self, text: &str) {
        for part in text.split('\n') {
            self.out.push_str(&"  ".repeat(self.indent));
            self.out.push_str(part);
            self.out.push('\n');
        }
    }

    /// Prints the comments that begin before `end`, each on its own line, at most one blank line
    /// between them.
    pub fn comments_before(&mut self, end: usize) {
        while let Some(comment) = self
            .comments
            .get(self.next_comment)
            .copied()
            .filter(|c| (c.span.start as usize) < end)
        {
            self.next_comment += 1;
            self.blank_before(comment.span.start as usize);
            self.push(comment.text.trim_end());
        }
        self.blank_before(end);
    }

    /// Puts the comment that stands behind a node, on the node's last line, behind the line just
    /// printed.
    pub fn trailing(&mut self, end: usize) {
        let Some(comment) = self.comments.get(self.next_comment).copied() else {
            return;
        };
        let start = comment.span.start as usize;
        let between = self.text.get(end..start);
        if between.is_some_and(|b| {
            !b.contains('\n')
                && b.chars()
                    .all(|c| c.is_whitespace() || matches!(c, ',' | '，' | '、' | '}' | '｝' | ')'))
        }) {
            self.next_comment += 1;
            if self.out.ends_with('\n') {
                self.out.pop();
            }
            self.out.push_str("  ");
            self.out.push_str(comment.text.trim_end());
            self.out.push('\n');
        }
    }

    /// Keeps one blank line where the source has some; only between items.
    fn blank_before(&mut self, at: usize) {
        if self.indent > 0 || self.out.is_empty() || self.out.ends_with("\n\n") {
            return;
        }
        let before = self
            .text
            .get(..at)
            .unwrap_or("")
            .trim_end_matches([' ', '\t', '\u{3000}']);
        let mut newlines = before
            .chars()
            .rev()
            .take_while(|c| c.is_whitespace())
            .filter(|c| *c == '\n');
        if newlines.by_ref().take(2).count() == 2 {
            self.out.push('\n');
        }
    }
}

/// The words outside strings and comments, with their places.
fn words<'t>(text: &'t str, comments: &[&Comment]) -> Vec<(usize, &'t str)> {
    let mut out = Vec::new();
    let mut comments = comments.iter().peekable();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|r| r.chars().next()) {
        if let Some(comment) = comments.next_if(|c| c.span.start as usize <= at) {
            at = at.max(comment.span.end as usize);
            continue;
        }
        let rest = &text[at..];
        let closing = match c {
            '"' if rest.starts_with("\"\"\"") => {
                at += rest[3..].find("\"\"\"").map_or(rest.len(), |e| e + 6);
                continue;
            }
            '"' | '\'' | '`' => Some(c),
            '“' => Some('”'),
            '‘' => Some('’'),
            '「' => Some('」'),
            _ => None,
        };
        if let Some(close) = closing {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, d)| {
                let hit = *d == close && !escaped;
                escaped = *d == '\\' && !escaped;
                hit
            });
            at += end.map_or(rest.len(), |(i, d)| i + d.len_utf8());
        } else if c.is_alphabetic() || c == '_' {
            let len = rest
                .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                .unwrap_or(rest.len());
            out.push((at, &rest[..len]));
            at += len;
        } else {
            at += c.len_utf8();
        }
    }
    out
}
