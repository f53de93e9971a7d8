//! A condition taken apart for one user: which part is true, false or unknown, and with what values.

use std::collections::BTreeSet;

use super::point::Point;
use crate::base::value::Shown;
use crate::base::{TagId, Type};
use crate::diag::{Lang, Sources, Span};
use crate::plan;
use crate::program::expr::{Expr, ExprKind};

/// One part of a condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    pub span: Span,
    pub truth: Option<bool>,
    /// What the part reads: the text as the program has it and the value, `None` for missing. Private values are masked.
    pub values: Vec<(String, Option<String>)>,
    pub parts: Vec<Trace>,
}

pub fn trace(point: &Point, expr: &Expr) -> Trace {
    let truth = point.truth(expr);
    let program = point.scope.program;
    let parts: Vec<&Expr> = match &expr.kind {
        ExprKind::And(a, b) | ExprKind::Or(a, b) => {
            // `a and b and c` is one line with three parts.
            let mut list = Vec::new();
            flatten(a, &expr.kind, &mut list);
            flatten(b, &expr.kind, &mut list);
            list
        }
        ExprKind::Except(a, b) => vec![a, b],
        ExprKind::Not(a) => vec![a],
        ExprKind::Audience(id) => vec![&program.audience(*id).when],
        _ => Vec::new(),
    };
    let mut values = Vec::new();
    if parts.is_empty() {
        leaves(point, expr, &mut values);
    }
    Trace { span: expr.span, truth, values, parts: parts.into_iter().map(|p| trace(point, p)).collect() }
}

fn flatten<'e>(expr: &'e Expr, outer: &ExprKind, out: &mut Vec<&'e Expr>) {
    match (&expr.kind, outer) {
        (ExprKind::And(a, b), ExprKind::And(..)) | (ExprKind::Or(a, b), ExprKind::Or(..)) => {
            flatten(a, outer, out);
            flatten(b, outer, out);
        }
        _ => out.push(expr),
    }
}

/// The values that a leaf reads, by the text that names them.
fn leaves(point: &Point, expr: &Expr, out: &mut Vec<(String, Option<String>)>) {
    let program = point.scope.program;
    match &expr.kind {
        ExprKind::Const(_) | ExprKind::Everyone => {}
        ExprKind::Tag(_)
        | ExprKind::Partition(_)
        | ExprKind::LookupField { .. }
        | ExprKind::TriggerField(_)
        | ExprKind::Event(_)
        | ExprKind::StepOutcome { .. } => {
            let name = plan::show(program, expr, None);
            let private = matches!(&expr.kind, ExprKind::Tag(id) if program.schema.tag(*id).private) || matches!(expr.ty, Type::Address(_));
            let value = point.value(expr).map(|value| match private {
                true => "***".to_string(),
                false => Shown { value: &value, ty: &expr.ty, zone: point.zone() }.to_string(),
            });
            if !out.iter().any(|(n, _)| *n == name) {
                out.push((name, value));
            }
        }
        _ => plan::children(expr).into_iter().for_each(|child| leaves(point, child, out)),
    }
}

/// The stored tags whose missing values make the condition unknown.
pub fn unknown_tags(point: &Point, expr: &Expr) -> Vec<TagId> {
    let mut out = BTreeSet::new();
    gather(point, expr, &mut out);
    out.into_iter().collect()
}

fn gather(point: &Point, expr: &Expr, out: &mut BTreeSet<TagId>) {
    if point.truth(expr).is_some() {
        return;
    }
    let program = point.scope.program;
    match &expr.kind {
        ExprKind::And(a, b) | ExprKind::Or(a, b) => {
            gather(point, a, out);
            gather(point, b, out);
        }
        // The right side of `except` decides or keeps; it never makes the whole unknown.
        ExprKind::Not(a) | ExprKind::Except(a, _) => gather(point, a, out),
        ExprKind::Audience(id) => gather(point, &program.audience(*id).when, out),
        _ => {
            for tag in plan::tags_of(program, expr) {
                if point.bound.tag(tag).and_then(|t| t.value(point.user)).is_none() {
                    out.insert(tag);
                }
            }
        }
    }
}

impl Trace {
    /// As an indented tree: truth, the part as the program has it, the values it read.
    pub fn show(&self, sources: &Sources, lang: Lang) -> String {
        let mut out = String::new();
        self.write(sources, lang, 0, &mut out);
        out
    }

    fn write(&self, sources: &Sources, lang: Lang, depth: usize, out: &mut String) {
        let word = match (self.truth, lang) {
            (Some(true), Lang::En) => "true   ",
            (Some(false), Lang::En) => "false  ",
            (None, Lang::En) => "unknown",
            (Some(true), Lang::Zh) => "真  ",
            (Some(false), Lang::Zh) => "假  ",
            (None, Lang::Zh) => "未知",
        };
        let missing = if lang == Lang::Zh { "缺失" } else { "missing" };
        let text = sources.slice(self.span).split_whitespace().collect::<Vec<_>>().join(" ");
        let values: Vec<String> = self.values.iter().map(|(n, v)| format!("{n} = {}", v.as_deref().unwrap_or(missing))).collect();
        let values = if values.is_empty() { String::new() } else { format!("    [{}]", values.join(", ")) };
        out.push_str(&format!("{}{word}  {text}{values}\n", "  ".repeat(depth)));
        self.parts.iter().for_each(|p| p.write(sources, lang, depth + 1, out));
    }
}
