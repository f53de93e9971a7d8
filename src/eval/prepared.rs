//! Expressions of a program, lowered once and asked as often as somebody asks.
//!
//! Lowering depends on the program alone. What depends on a snapshot is found when a plan is bound
//! ([`BoundPlan`](super::BoundPlan)); what depends on the clock, a trigger event or the outcomes of
//! a follow-up's step is cheap and comes last.

use super::lowered::Lowered;
use crate::base::{TagId, Type, Value};
use crate::plan::node::{Cond, Node, ValKind};
use crate::plan::{self, LowerError};
use crate::program::typed::Program;
use crate::program::typed_expr::{Aggregate, EventPattern, EventQuery, Expr, ExprKind, Window};

/// An expression ready to be bound. One that cannot be lowered says so when it is asked.
#[derive(Debug)]
pub struct Prepared {
    pub(super) lowered: Result<Lowered, LowerError>,
}

impl Prepared {
    pub fn new(program: &Program, expr: &Expr) -> Self {
        Prepared {
            lowered: plan::lower(program, expr).map(Lowered::new),
        }
    }

    /// Whether an expression has no value.
    pub fn missing(program: &Program, expr: &Expr) -> Self {
        let asked = Expr {
            ty: Type::Bool,
            span: expr.span,
            optional: false,
            kind: ExprKind::IsMissing(Box::new(expr.clone())),
        };
        Prepared::new(program, &asked)
    }

    /// The value of a tag.
    pub fn tag(program: &Program, tag: TagId) -> Self {
        let expr = Expr {
            ty: program.schema.tag(tag).ty.clone(),
            span: crate::diag::Span::new(crate::base::FileId(0), 0, 0),
            optional: true,
            kind: ExprKind::Tag(tag),
        };
        Prepared::new(program, &expr)
    }

    /// Whether such an event was; since when is said with [`BoundPlan::since`](super::BoundPlan::since).
    pub fn did(program: &Program, pattern: &EventPattern) -> Self {
        let query = EventQuery {
            what: Aggregate::Did,
            pattern: pattern.clone(),
            field: None,
            then: None,
            window: Window::Ever,
        };
        let expr = Expr {
            ty: Type::Bool,
            span: pattern.span,
            optional: true,
            kind: ExprKind::Event(Box::new(query)),
        };
        Prepared::new(program, &expr)
    }

    /// The value that it has for everyone.
    pub fn constant(&self) -> Option<&Value> {
        match &self.lowered {
            Ok(Lowered { plan, .. }) => {
                let Node::Val(root) = plan.root else {
                    return None;
                };
                let ValKind::Const(value) = &plan.val(root).kind else {
                    return None;
                };
                Some(value)
            }
            Err(_) => None,
        }
    }

    /// Whether it is true for everyone, whoever they are.
    pub fn is_everyone(&self) -> bool {
        match &self.lowered {
            Ok(Lowered { plan, .. }) => match plan.root {
                Node::Cond(root) => *plan.cond(root) == Cond::Always(Some(true)),
                Node::Val(_) => false,
            },
            Err(_) => false,
        }
    }
}
