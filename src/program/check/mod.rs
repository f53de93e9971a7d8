//! The checker: from the trees of all files to a typed program and every finding there is to make.
//!
//! Names are collected first, so that order does not matter. Then types, then expressions
//! (audiences, derived tags and partitions in the order in which they need each other), then
//! templates, policy, campaigns and tests. An expression that failed is silent afterwards: its
//! checker has returned `None`, and whoever needs it returns `None` as well.

mod arith;
mod call;
mod check_expr;
mod check_literal;
mod collect;
mod compare;
mod constant;
mod declare;
mod definition_order;
mod definitions;
mod event_pattern;
mod membership;
mod names;
mod test_blocks;

pub use check_expr::MAX_EXPR_DEPTH;
pub use definition_order::MAX_CHAIN;

use self::check_expr::{Exprs, Want};
use super::campaign;
use super::definedness::Definedness;
use super::scope::{Scope, Symbol};
use super::typed::{Declared, Program};
use super::typed_expr::{EventPattern, EventSource, Expr, ExprKind};
use crate::base::Msg;
use crate::base::{
    AudienceId, CampaignId, EventId, Instant, Schema, TagId, TemplateId, Type, Value,
};
use crate::diag::{Finding, Findings, Sources, Span, catalog};
use crate::msg;
use crate::syntax::ast;

/// What the checker may know beside the text.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// For findings about the past; `None` makes none.
    pub now: Option<Instant>,
    /// Tags and events that the program does not declare come from here.
    pub store_schema: Option<Schema>,
}

/// Checks all files of a program. With errors among the findings, the program must not be carried
/// out: failed declarations are placeholders.
pub fn check(
    sources: &Sources,
    files: &[ast::File],
    options: &CheckOptions,
    findings: &mut Findings,
) -> Program {
    let mut checker = Checker {
        sources,
        options,
        findings,
        scope: Scope::default(),
        program: Program::default(),
    };
    let items = checker.collect(files);
    let policy = items.policy;
    campaign::check_settings(&mut checker, policy);
    campaign::check_accounts(&mut checker, &items.accounts);
    checker.declare(&items);
    checker.define(&items);
    campaign::check_templates(&mut checker, &items.templates);
    campaign::check_policy(&mut checker, policy);
    campaign::check_campaigns(&mut checker, &items.campaigns);
    checker.check_tests(&items.tests);
    checker.program
}

/// Checks one condition against a checked program (`query`, the REPL). Its file must be among the
/// sources.
pub fn check_condition(
    program: &Program,
    sources: &Sources,
    expr: &ast::Expr,
    findings: &mut Findings,
) -> Option<Expr> {
    let scope = Scope::of(program);
    Exprs::new(sources, program, &scope, findings).condition(expr, &ExprContext::default())
}

/// The same for an expression of any type (`:type` of the REPL).
pub fn check_value(
    program: &Program,
    sources: &Sources,
    expr: &ast::Expr,
    findings: &mut Findings,
) -> Option<Expr> {
    let scope = Scope::of(program);
    Exprs::new(sources, program, &scope, findings).expr(expr, None, &ExprContext::default())
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
    pub present: Option<&'a Definedness>,
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

    fn exprs(&mut self) -> Exprs<'_> {
        Exprs::new(self.sources, &self.program, &self.scope, self.findings)
    }

    /// An expression that must be a condition.
    pub fn condition(&mut self, e: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        self.exprs().condition(e, cx)
    }

    /// An expression of any type; a literal takes the wanted one, and another type than the wanted
    /// is a finding.
    pub fn value(
        &mut self,
        e: &ast::Expr,
        want: Option<&Type>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let mut exprs = self.exprs();
        let typed = exprs.expr(e, want.map(|ty| Want { ty, from: None }), cx)?;
        match want {
            Some(ty) => exprs.expect_type(typed, ty, None),
            None => Some(typed),
        }
    }

    /// An expression whose value can be ordered as a number: int, number, ratio or money, and also
    /// dates and lengths (`priority`, `top by`, `weight`).
    pub fn ordered_value(&mut self, e: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        let mut exprs = self.exprs();
        let typed = exprs.expr(e, None, cx)?;
        let fits = super::types::is_ordered(&typed.ty) && !matches!(typed.ty, Type::Text { .. });
        if !fits {
            exprs.mismatch(typed.span, &typed.ty, &Type::Number, None);
            return None;
        }
        Some(typed)
    }

    /// `purchase where amount > ¥100` without a sequence: for `goal`, `on`, `unless`.
    pub fn event_pattern(
        &mut self,
        e: &ast::EventExpr,
        cx: &ExprContext<'_>,
    ) -> Option<EventPattern> {
        self.exprs().event_pattern(e, cx)
    }

    /// A field of a declared event: `again per event.field`.
    pub fn event_field(&mut self, event: EventId, field: &ast::Ident) -> Option<u16> {
        self.exprs()
            .event_field(event, field)
            .map(|(position, _)| position)
    }

    // ---- names; `None` after a finding with the nearest name, silently where the declaration
    // itself failed

    pub fn tag_named(&mut self, name: &ast::Ident) -> Option<TagId> {
        match self.symbol(name, &Symbol::Tag(TagId(0)))? {
            Symbol::Tag(id)
                if !self
                    .program
                    .tags
                    .get(id.index())?
                    .declared
                    .as_ref()
                    .is_some_and(|d| d.failed) =>
            {
                Some(id)
            }
            _ => None,
        }
    }
    pub fn event_named(&mut self, name: &ast::Ident) -> Option<EventId> {
        match self.symbol(name, &Symbol::Event(EventId(0)))? {
            Symbol::Event(id)
                if !self
                    .program
                    .events
                    .get(id.index())
                    .is_some_and(|d| d.failed) =>
            {
                Some(id)
            }
            _ => None,
        }
    }
    pub fn template_named(&mut self, name: &ast::Ident) -> Option<TemplateId> {
        match self.symbol(name, &Symbol::Template(TemplateId(0)))? {
            Symbol::Template(id) => Some(id),
            _ => None,
        }
    }
    pub fn campaign_named(&mut self, name: &ast::Ident) -> Option<CampaignId> {
        match self.symbol(name, &Symbol::Campaign(CampaignId(0)))? {
            Symbol::Campaign(id) => Some(id),
            _ => None,
        }
    }
    pub fn audience_named(&mut self, name: &ast::Ident) -> Option<AudienceId> {
        match self.symbol(name, &Symbol::Audience(AudienceId(0)))? {
            Symbol::Audience(id) => Some(id),
            _ => None,
        }
    }

    /// What the name stands for, if that is of the wanted kind.
    fn symbol(&mut self, name: &ast::Ident, wanted: &Symbol) -> Option<Symbol> {
        let same = |s: Symbol| std::mem::discriminant(&s) == std::mem::discriminant(wanted);
        let (n, Msg { en, zh }) = (&name.name, wanted.words());
        let finding = match self.scope.get(n) {
            Some(entry) if same(entry.symbol) => return Some(entry.symbol),
            Some(entry) if entry.symbol == Symbol::Broken => return None,
            Some(entry) => {
                let Msg {
                    en: is_en,
                    zh: is_zh,
                } = entry.symbol.words();
                let finding = Finding::new(
                    &catalog::TYPE_MISMATCH,
                    name.span,
                    msg!(
                        "`{n}` is {is_en}, {en} is expected",
                        "`{n}` 是{is_zh}，这里需要{zh}"
                    ),
                );
                match entry.span {
                    Some(span) => finding.label(span, msg!("declared here", "在这里声明")),
                    None => finding,
                }
            }
            None => {
                let en = en.trim_start_matches("an ").trim_start_matches("a ");
                let finding = Finding::new(
                    &catalog::UNKNOWN_NAME,
                    name.span,
                    msg!("no {en} is named `{n}`", "没有名为 `{n}` 的{zh}"),
                );
                names::suggest(&self.scope, finding, name, same)
            }
        };
        self.report(finding);
        None
    }

    /// Stands where a condition failed, in an item with `Declared::failed`.
    pub fn placeholder(span: Span) -> Expr {
        Expr {
            ty: Type::Bool,
            span,
            optional: false,
            kind: ExprKind::Const(Value::Bool(false)),
        }
    }
}
