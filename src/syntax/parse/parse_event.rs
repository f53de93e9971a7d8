//! Events and the windows of time that they are counted in: `purchase where … then …`, `last 30
//! days`.

use super::builder::TreeBuilder;
use super::grammar::{NodeParts, ParseNode, Rule};
use crate::syntax::ast::{
    EventExpr, Expr, ExprKind, Ident, Literal, LiteralKind, Period, Then, Window, WindowKind,
};

impl TreeBuilder<'_> {
    pub fn then(&mut self, node: ParseNode<'_>) -> Option<Then> {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        parts.eat(Rule::k_then);
        let no = parts.eat(Rule::k_no);
        let event = parts.take(Rule::name).map(|n| self.ident(n))?;
        let filter = if parts.eat(Rule::k_where) {
            parts.take(Rule::expr).map(|n| self.expr(n))
        } else {
            None
        };
        let within = parts.find(Rule::expr).map(|n| self.expr(n))?;
        Some(Then {
            span,
            no,
            event,
            filter,
            within,
        })
    }

    /// An event in a clause: `goal purchase where …`.
    pub fn event_expr(&mut self, node: ParseNode<'_>) -> EventExpr {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        let event = parts
            .take(Rule::name)
            .map(|n| self.ident(n))
            .unwrap_or(Ident {
                name: String::new(),
                span,
                quoted: false,
            });
        let field = if parts.eat(Rule::dot) {
            parts.take(Rule::name).map(|n| self.ident(n))
        } else {
            None
        };
        let filter = if parts.eat(Rule::k_where) {
            parts.take(Rule::expr).map(|n| self.expr(n))
        } else {
            None
        };
        let mut then = Vec::new();
        while let Some(n) = parts.take(Rule::then) {
            then.extend(self.then(n));
        }
        EventExpr {
            span,
            event,
            field,
            filter,
            then,
        }
    }

    pub fn window(&mut self, node: ParseNode<'_>) -> Window {
        let span = self.span(&node);
        let mut parts = NodeParts::of(node);
        let word = parts.next().map(|n| n.as_rule());
        let literal = parts.next();
        let length = |b: &mut Self, n: Option<ParseNode<'_>>| {
            n.and_then(|n| b.literal_kind(n)).unwrap_or(Literal {
                span,
                kind: LiteralKind::Bool(false),
            })
        };
        let kind = match word {
            Some(Rule::k_last) => WindowKind::Last(length(self, literal)),
            Some(Rule::k_next) => WindowKind::Next(length(self, literal)),
            Some(Rule::k_this_week) => WindowKind::This(Period::Week),
            Some(Rule::k_this_month) => WindowKind::This(Period::Month),
            Some(Rule::k_this_year) => WindowKind::This(Period::Year),
            Some(Rule::k_previous_week) => WindowKind::Previous(Period::Week),
            Some(Rule::k_previous_month) => WindowKind::Previous(Period::Month),
            Some(Rule::k_previous_year) => WindowKind::Previous(Period::Year),
            Some(Rule::k_today) => WindowKind::Today,
            Some(Rule::k_yesterday) => WindowKind::Yesterday,
            Some(Rule::k_since) => {
                let date = length(self, literal);
                WindowKind::Since(Expr {
                    span: date.span,
                    kind: Box::new(ExprKind::Literal(date)),
                })
            }
            _ => WindowKind::Ever,
        };
        Window { span, kind }
    }
}
