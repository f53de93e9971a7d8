//! Whether two trees mean the same: everything but places, and the order of a campaign's clauses.

use super::format_clause::clause_rank;
use crate::syntax::ast::{Clause, ClauseKind, File, ItemKind};

pub fn same(a: &File, b: &File) -> bool {
    shape(a) == shape(b)
}

/// The tree as text without spans, clauses in the formatter's order, comments as a sorted list.
fn shape(file: &File) -> String {
    let mut file = file.clone();
    for item in &mut file.items {
        if let ItemKind::Campaign(c) = &mut item.kind {
            sort(&mut c.clauses);
        } else if let ItemKind::Policy(p) = &mut item.kind {
            sort(&mut p.clauses);
            for clause in &mut p.clauses {
                if let ClauseKind::For { clauses, .. } = &mut clause.kind {
                    sort(clauses);
                }
            }
        }
    }
    let mut comments: Vec<&str> = file.comments.iter().map(|c| c.text.trim_end()).collect();
    comments.sort_unstable();
    let comments = format!("{comments:?}");
    without_spans(&format!("{:?}{comments}", file.items))
}

fn sort(clauses: &mut [Clause]) {
    clauses.sort_by_key(|c| clause_rank(&c.kind));
}

/// Takes `Span { … }` out of a debug text.
fn without_spans(text: &str) -> String {
    let mut out = String::with_capacity(text.len() / 2);
    let mut rest = text;
    while let Some(at) = rest.find("Span { file:") {
        out.push_str(&rest[..at]);
        rest = rest[at..].find('}').map_or("", |end| &rest[at + end + 1..]);
    }
    out.push_str(rest);
    out
}
