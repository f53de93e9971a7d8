//! The state of one check, and what the checks of declarations ask of it: expressions and names.

use super::check_expr::{Exprs, Want};
use super::context::ExprContext;
use super::names;
use crate::base::{CampaignId, EventId, Instant, Msg, Schema, TagId, TemplateId, Type, Value};
use crate::diag::{Finding, Findings, Sources, Span, catalog};
use crate::msg;
use crate::program::scope::{Scope, Symbol};
use crate::program::typed::{Declared, Program};
use crate::program::typed_expr::{EventPattern, Expr, ExprKind};
use crate::program::types;
use crate::syntax::ast;

/// What the checker may know beside the text.
#[derive(Clone, Debug, Default)]
pub struct CheckOptions {
    /// For findings about the past; `None` makes none.
    pub now: Option<Instant>,
    /// Tags and events that the program does not declare come from here.
    pub store_schema: Option<Schema>,
}

/// A declaration with the number it was given.
#[derive(Clone, Debug)]
pub struct Declaration<'a, Id, T> {
    pub id: Id,
    /// Ready to be stored in the typed item; a bare rule has its file's name.
    pub declared: Declared,
    pub ast: &'a T,
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

    pub(super) fn exprs(&mut self) -> Exprs<'_> {
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
        let fits = types::is_ordered(&typed.ty) && !matches!(typed.ty, Type::Text { .. });
        if !fits {
            exprs.mismatch(typed.span, &typed.ty, &Type::Number, None);
            return None;
        }
        Some(typed)
    }

    /// An expression that is a number: `priority`, `weight`. A ratio counts as one.
    pub fn number(&mut self, e: &ast::Expr, what: &str, cx: &ExprContext<'_>) -> Option<Expr> {
        let value = self.value(e, None, cx)?;
        match value.ty {
            Type::Int { .. } | Type::Number => Some(value),
            Type::Ratio => Some(Expr {
                ty: Type::Number,
                span: value.span,
                optional: value.optional,
                kind: ExprKind::ToNumber(Box::new(value)),
            }),
            _ => {
                let ty = value.ty.describe();
                self.report(Finding::new(
                    &catalog::TYPE_MISMATCH,
                    e.span,
                    msg!(
                        "`{what}` takes a number, and this is {ty}",
                        "`{what}` 需要数字，这里是 {ty}"
                    ),
                ));
                None
            }
        }
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
    /// What the name stands for, if that is of the wanted kind.
    pub(super) fn symbol(&mut self, name: &ast::Ident, wanted: &Symbol) -> Option<Symbol> {
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

    /// The name stands for something that could not be read: uses of it are silent.
    pub fn is_broken(&self, name: &str) -> bool {
        self.scope
            .get(name)
            .is_some_and(|entry| entry.symbol == Symbol::Broken)
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
