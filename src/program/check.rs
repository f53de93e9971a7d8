//! The checker: from the trees of all files to a typed program and every finding there is to make.
//!
//! Names are collected first, so that order does not matter. Then types, then expressions (audiences, derived tags and partitions in the order
//! in which they need each other), then templates, policy, campaigns and tests. An expression that failed is silent afterwards: its checker has
//! returned `None`, and whoever needs it returns `None` as well.

use std::path::PathBuf;

use super::expr::{EventPattern, EventSource, Expr, ExprKind, Length};
use super::presence::Present;
use super::scope::Scope;
use super::typed::{Declared, Program, Share};
use crate::base::{AudienceId, CampaignId, Date, Elapsed, EventId, Instant, Schema, TagId, TemplateId, TimeOfDay, Type, Value};
use crate::diag::{Finding, Findings, Sources, Span};
use crate::syntax::ast;

/// What the checker may know beside the text.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// For findings about the past; `None` makes none.
    pub now: Option<Instant>,
    /// The program's folder: files that a program names are relative to it. Empty: files are not looked for.
    pub folder: PathBuf,
    /// Tags and events that the program does not declare come from here.
    pub store_schema: Option<Schema>,
}

/// Checks all files of a program. With errors among the findings, the program must not be carried out: failed declarations are placeholders.
pub fn check(sources: &Sources, files: &[ast::File], options: &CheckOptions, findings: &mut Findings) -> Program {
    let _ = files;
    let checker = Checker { sources, options, findings, scope: Scope::default(), program: Program::default() };
    checker.program
}

/// Checks one condition against a checked program (`query`, the REPL).
pub fn check_condition(program: &Program, sources: &Sources, expr: &ast::Expr, findings: &mut Findings) -> Option<Expr> {
    let _ = (program, sources, expr, findings);
    None
}

/// A declaration with the number it was given.
#[derive(Clone, Debug)]
pub struct Declaration<'a, Id, T> {
    pub id: Id,
    /// Ready to be stored in the typed item; a bare rule has its file's name.
    pub declared: Declared,
    pub ast: &'a T,
}

/// What is in scope where an expression stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExprContext<'a> {
    /// `event.field` names a field of this event.
    pub trigger: Option<EventId>,
    /// Inside a `where`: plain names are fields of this event and nothing else.
    pub row: Option<EventSource>,
    /// `delivered`, `opened`, `clicked` and `converted` speak of this step (`typed::Step::from`).
    pub step: Option<usize>,
    /// Proved to have a value, for instance by the campaign's `when`.
    pub present: Option<&'a Present>,
}

/// The state of one check. The program grows in it.
pub struct Checker<'a> {
    pub sources: &'a Sources,
    pub options: &'a CheckOptions,
    pub findings: &'a mut Findings,
    pub scope: Scope,
    pub program: Program,
}

impl Checker<'_> {
    pub fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// An expression that must be a condition.
    pub fn condition(&mut self, _e: &ast::Expr, _cx: &ExprContext<'_>) -> Option<Expr> {
        None
    }

    /// An expression of any type; a literal takes the wanted one, and another type than the wanted is a finding.
    pub fn value(&mut self, _e: &ast::Expr, _want: Option<&Type>, _cx: &ExprContext<'_>) -> Option<Expr> {
        None
    }

    /// `purchase where amount > ¥100` without a sequence: for `goal`, `on`, `unless`.
    pub fn event_pattern(&mut self, _e: &ast::EventExpr, _cx: &ExprContext<'_>) -> Option<EventPattern> {
        None
    }

    // ---- constants. `what` names the clause in findings: "`wait`".

    /// `30min` or `3 days`, not negative.
    pub fn length(&mut self, _e: &ast::Expr, _what: &str) -> Option<Length> {
        None
    }

    /// `30min`: elapsed time only.
    pub fn elapsed(&mut self, _e: &ast::Expr, _what: &str) -> Option<Elapsed> {
        None
    }

    /// `30 days`, `2 weeks` as whole days, at least 1.
    pub fn days(&mut self, _e: &ast::Expr, _what: &str) -> Option<u32> {
        None
    }

    /// `10%` or `0.1`, from 0 to 100%.
    pub fn share(&mut self, _e: &ast::Expr, _what: &str) -> Option<Share> {
        None
    }

    /// A whole number within bounds (both included).
    pub fn count(&mut self, _e: &ast::Expr, _what: &str, _bounds: std::ops::RangeInclusive<u64>) -> Option<u64> {
        None
    }

    pub fn date(&mut self, _e: &ast::Expr, _what: &str) -> Option<Date> {
        None
    }

    pub fn time(&mut self, _e: &ast::Expr, _what: &str) -> Option<TimeOfDay> {
        None
    }

    /// `2026-11-11 10:00`, as written (local).
    pub fn date_time(&mut self, _e: &ast::Expr, _what: &str) -> Option<(Date, TimeOfDay)> {
        None
    }

    // ---- names; `None` after a finding with the nearest name

    pub fn tag_named(&mut self, _name: &ast::Ident) -> Option<TagId> {
        None
    }
    pub fn event_named(&mut self, _name: &ast::Ident) -> Option<EventId> {
        None
    }
    pub fn template_named(&mut self, _name: &ast::Ident) -> Option<TemplateId> {
        None
    }
    pub fn campaign_named(&mut self, _name: &ast::Ident) -> Option<CampaignId> {
        None
    }
    pub fn audience_named(&mut self, _name: &ast::Ident) -> Option<AudienceId> {
        None
    }

    /// Stands where a condition failed, in an item with `Declared::failed`.
    pub fn placeholder(span: Span) -> Expr {
        Expr { ty: Type::Bool, span, optional: false, kind: ExprKind::Const(Value::Bool(false)) }
    }
}
