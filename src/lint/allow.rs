//! `# tagcast: allow NAME` comments, and those that allow nothing.

use super::rule::LintContext;
use super::rules::RULES;
use crate::diag::{Code, Finding, Findings, Span, catalog};
use crate::msg;

/// An allowance that allows nothing.
pub(super) static UNUSED_ALLOW: Code = Code::lint("unused-allow", include_str!("unused_allow.md"));

/// The findings that an `allow` comment can name, by name.
pub fn codes() -> Vec<&'static Code> {
    let rules = RULES.iter().map(|rule| &rule.code);
    let mut codes: Vec<&Code> = rules.chain([&UNUSED_ALLOW]).collect();
    codes.sort_by_key(|code| code.name);
    codes
}

struct Allowance {
    name: String,
    span: Span,
    /// Findings that start in this range are allowed.
    from: u32,
    to: u32,
    used: bool,
}

/// Passes findings on, without the allowed ones.
pub(super) fn apply(cx: &LintContext, found: Findings, out: &mut Findings) {
    let mut allowances: Vec<Allowance> = cx.files.iter().flat_map(|f| allowances(cx, f)).collect();
    for finding in found.iter() {
        let fits = |a: &&mut Allowance| {
            a.name == finding.code.name
                && a.span.file == finding.span.file
                && a.from <= finding.span.start
                && finding.span.start < a.to
        };
        match allowances.iter_mut().find(fits) {
            Some(allowance) => allowance.used = true,
            None => out.push(finding.clone()),
        }
    }
    for a in allowances.iter().filter(|a| !a.used) {
        let name = &a.name;
        let message = if codes().iter().any(|code| code.name == name) {
            msg!(
                "nothing here is allowed by this comment",
                "此注释没有允许任何内容"
            )
        } else if catalog::named(name).is_some() {
            msg!(
                "`{name}` is not a lint: errors cannot be allowed",
                "`{name}` 不是可忽略的检查：错误不能被允许"
            )
        } else {
            msg!("no lint is named `{name}`", "没有名为 `{name}` 的检查")
        };
        out.push(
            Finding::new(&UNUSED_ALLOW, a.span, message)
                .help(msg!("delete the comment", "请删除此注释")),
        );
    }
}

fn allowances(cx: &LintContext, file: &crate::syntax::ast::File) -> Vec<Allowance> {
    let text = cx.sources.text(file.id);
    let mut out = Vec::new();
    for comment in &file.comments {
        let Some(names) = comment
            .text
            .trim_start_matches('#')
            .trim()
            .strip_prefix("tagcast:")
            .and_then(|t| t.trim().strip_prefix("allow"))
        else {
            continue;
        };
        let start = comment.span.start as usize;
        let line_start = text[..start].rfind('\n').map_or(0, |p| p + 1);
        let alone = text[line_start..start].trim().is_empty();
        let (from, to) = if alone {
            below(file, text, comment.span.end as usize)
        } else {
            (line_start, comment.span.end as usize)
        };
        for name in names
            .split([',', ' ', '，'])
            .map(str::trim)
            .filter(|n| !n.is_empty())
        {
            out.push(Allowance {
                name: name.to_string(),
                span: comment.span,
                from: from as u32,
                to: to as u32,
                used: false,
            });
        }
    }
    out
}

/// What stands below a comment of its own: the item that begins next, or the next line inside one.
fn below(file: &crate::syntax::ast::File, text: &str, end: usize) -> (usize, usize) {
    let inside = file
        .items
        .iter()
        .any(|i| (i.span.start as usize) < end && end < i.span.end as usize);
    if !inside && let Some(item) = file.items.iter().find(|i| i.span.start as usize >= end) {
        return (item.span.start as usize, item.span.end as usize);
    }
    let from = text[end..].find('\n').map_or(text.len(), |p| end + p + 1);
    let to = text[from..].find('\n').map_or(text.len(), |p| from + p);
    (from, to)
}
