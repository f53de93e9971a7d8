//! Text to tree. This folder is the only place that names pest.
//!
//! Before pest sees a text, [`scanner`] has looked at it once: size, bracket depth, unclosed brackets
//! and strings, comments. Then the grammar reads the whole file; what it cannot read it skips as a
//! broken item or clause, and the piece alone is read again to find out where it went wrong. The
//! rest builds the tree from pest's pairs, by theme: [`decl`], [`clause`], [`parse_test`], [`parse_expr`],
//! [`parse_literal`].

mod builder;
mod clause;
mod decl;
mod grammar;
mod parse_event;
mod parse_expr;
mod parse_literal;
mod parse_test;
mod scanner;
mod wording;

pub use scanner::MAX_DEPTH;

use pest::Parser as _;

use self::builder::TreeBuilder;
use self::grammar::{Grammar, Rule};
use super::ast;
use crate::base::FileId;
use crate::diag::{Finding, Findings, Span, catalog};
use crate::msg;

/// Larger files are refused unread.
pub const MAX_FILE_BYTES: usize = 4 << 20;
/// Bytes of a file as text. A byte order mark is skipped; anything but UTF-8 is a finding, and the
/// text is empty.
pub fn decode(file: FileId, bytes: &[u8], findings: &mut Findings) -> String {
    let start = Span::new(file, 0, 0);
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if bytes.len() > MAX_FILE_BYTES {
        let (size, limit) = (bytes.len() >> 20, MAX_FILE_BYTES >> 20);
        let message = msg!(
            "this file has {size} MiB; a program file has at most {limit} MiB",
            "文件有 {size} MiB；程序文件最多 {limit} MiB"
        );
        findings.push(Finding::new(&catalog::TOO_LARGE, start, message).help(msg!(
            "data belongs into the store: `tagcast tags import`",
            "数据请导入存储：`tagcast tags import`"
        )));
        return String::new();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_string(),
        Ok(_) => {
            findings.push(Finding::new(
                &catalog::NOT_UTF8,
                start,
                msg!(
                    "this is a binary file, not a program",
                    "这是二进制文件，不是程序"
                ),
            ));
            String::new()
        }
        Err(error) => {
            let at = error.valid_up_to();
            let message = if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
                msg!(
                    "this file is UTF-16; programs are UTF-8",
                    "此文件是 UTF-16；程序须为 UTF-8"
                )
            } else {
                msg!(
                    "this file is not UTF-8 (byte {at} is not)",
                    "此文件不是 UTF-8(第 {at} 字节起)"
                )
            };
            findings.push(Finding::new(&catalog::NOT_UTF8, start, message).help(msg!(
                "save it as UTF-8 in your editor",
                "请在编辑器中另存为 UTF-8"
            )));
            String::new()
        }
    }
}

/// Reads one file. Never fails: what cannot be read is `Broken`, with one finding each.
pub fn parse(file: FileId, text: &str, findings: &mut Findings) -> ast::File {
    let scanned = scanner::scan(file, text);
    let mut out = ast::File {
        id: file,
        items: Vec::new(),
        comments: scanned.comments,
    };
    if let Some(finding) = scanned.fatal {
        findings.push(finding);
        return out;
    }
    let comments = out
        .comments
        .iter()
        .map(|c| (c.span.end as usize, c.span.start as usize))
        .collect();
    let mut builder = TreeBuilder {
        file,
        offset: 0,
        findings,
        unclosed: scanned.unclosed,
        comments,
        operators: 0,
    };
    for finding in &builder.unclosed {
        builder.findings.push(finding.clone());
    }
    // The rule has an alternative for any text, so it always matches; a failure would be a mistake
    // in the grammar.
    let Ok(mut pairs) = Grammar::parse(Rule::file, text) else {
        builder.syntax_at(
            text,
            Span::new(file, 0, text.len().min(1)),
            Rule::item_alone,
        );
        return out;
    };
    let Some(root) = pairs.next() else { return out };
    let mut before: Option<Span> = None;
    for node in root.into_inner() {
        let span = builder.span(&node);
        match node.as_rule() {
            Rule::item => {
                let item = builder.item(node);
                out.items.push(item);
            }
            Rule::broken_item => {
                let glued = builder.broken(&node, before, Rule::item_alone);
                if glued {
                    // What was read of it ends in the middle: it means something else than what was
                    // meant.
                    if let Some(last) = out
                        .items
                        .last_mut()
                        .filter(|i| decl::is_open_ended(&i.kind))
                    {
                        last.kind = ast::ItemKind::Broken {
                            name: decl::name_of(&last.kind),
                        };
                        last.span = last.span.to(span);
                    }
                } else {
                    let name = decl::name_of_broken(file, node.as_str(), span);
                    out.items.push(ast::Item {
                        span,
                        doc: Vec::new(),
                        kind: ast::ItemKind::Broken { name },
                    });
                }
            }
            _ => {}
        }
        before = Some(span);
    }
    attach_docs(&mut out, text);
    out
}

/// Reads one expression, which must be the whole text.
pub fn parse_condition(file: FileId, text: &str, findings: &mut Findings) -> Option<ast::Expr> {
    let scanned = scanner::scan(file, text);
    if let Some(finding) = scanned
        .fatal
        .or_else(|| scanned.unclosed.into_iter().next())
    {
        findings.push(finding);
        return None;
    }
    let comments = scanned
        .comments
        .iter()
        .map(|c| (c.span.end as usize, c.span.start as usize))
        .collect();
    let mut builder = TreeBuilder {
        file,
        offset: 0,
        findings,
        unclosed: Vec::new(),
        comments,
        operators: 0,
    };
    builder.whole_expr(text, 0, Span::new(file, 0, text.len()))
}

/// Whether the text has open brackets or strings, so that a line editor should ask for more.
pub fn is_incomplete(text: &str) -> bool {
    !scanner::scan(FileId(0), text).unclosed.is_empty()
}

/// `##` comments directly above an item are its documentation.
fn attach_docs(file: &mut ast::File, text: &str) {
    let mut comments = file.comments.iter().peekable();
    for item in &mut file.items {
        let mut lines: Vec<(&str, Span)> = Vec::new();
        while let Some(comment) = comments.next_if(|c| c.span.start < item.span.start) {
            if let Some(line) = comment.text.strip_prefix("##") {
                lines.push((line.strip_prefix(' ').unwrap_or(line), comment.span));
            } else {
                lines.clear();
            }
        }
        while comments.next_if(|c| c.span.end <= item.span.end).is_some() {}
        let Some((_, last)) = lines.last() else {
            continue;
        };
        let between = text
            .get(last.end as usize..item.span.start as usize)
            .unwrap_or("");
        if between.trim().is_empty() && between.matches('\n').count() <= 1 {
            item.doc = lines
                .into_iter()
                .map(|(line, _)| line.trim_end().to_string())
                .collect();
        }
    }
}
