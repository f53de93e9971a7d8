//! Expressions of a program, lowered once and asked as often as somebody asks.
//!
//! Lowering depends on the program alone. What depends on a snapshot is found when a plan is bound
//! ([`BoundPlan`]); what depends on the clock, a trigger event or a follow-up's outcomes is cheap and
//! comes last ([`BoundPlan::at`]).

use super::bind::BoundPlan;
use super::{AudienceCounts, AudienceMask, EvalError, EvalScope, unknown_causes};
use crate::base::{Bitmap, Instant, TagId, Type, UserNo, Value};
use crate::plan::node::{Cond, CondId, Node, ValKind};
use crate::plan::{self, LowerError, Plan};
use crate::program::typed::Program;
use crate::program::typed_expr::{Aggregate, EventPattern, EventQuery, Expr, ExprKind, Window};

/// An expression ready to be bound. One that cannot be lowered says so when it is asked.
#[derive(Debug)]
pub struct Prepared {
    lowered: Result<Lowered, LowerError>,
}

/// A plan, and what is known of its nodes.
#[derive(Debug)]
pub struct Lowered {
    pub plan: Plan,
    /// Whether more than one node asks it, by [`CondId`].
    pub shared_conds: Vec<bool>,
    /// The same by [`ValId`](crate::plan::node::ValId).
    pub shared_vals: Vec<bool>,
    /// The conditions and values that ask about events.
    pub queries: Vec<Node>,
    /// The tests that are others at another instant.
    pub clock_tests: Vec<CondId>,
}

impl Lowered {
    pub fn new(plan: Plan) -> Self {
        let nodes = plan.order.iter().copied();
        let queries = nodes.clone().filter(|n| plan.query(*n).is_some());
        let moves =
            |cond: &Cond| matches!(cond, Cond::Test { test, .. } if test.moves_with_the_clock());
        let clock_tests = (0..)
            .map(CondId)
            .zip(&plan.conds)
            .filter(|(_, cond)| moves(cond));
        Lowered {
            shared_conds: shared(&plan, plan.conds.len(), |node| match node {
                Node::Cond(id) => Some(id.0),
                Node::Val(_) => None,
            }),
            shared_vals: shared(&plan, plan.vals.len(), |node| match node {
                Node::Val(id) => Some(id.0),
                Node::Cond(_) => None,
            }),
            queries: queries.collect(),
            clock_tests: clock_tests.map(|(id, _)| id).collect(),
            plan,
        }
    }
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

    /// Whether such an event was; since when is said with [`BoundPlan::since`].
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

    /// # Errors
    /// An expression that is nested too deep; stored values that do not fit the program's types. So
    /// for all of these.
    pub fn bind<'a>(&'a self, scope: &EvalScope<'a>) -> Result<BoundPlan<'a>, EvalError> {
        match &self.lowered {
            Ok(lowered) => BoundPlan::new(scope, lowered),
            Err(error) => Err((*error).into()),
        }
    }

    /// Everyone for whom it is true, false or unknown.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn audience(&self, scope: &EvalScope) -> Result<AudienceMask, EvalError> {
        Ok(self.bind(scope)?.audience())
    }

    /// As [`audience`](Self::audience), counted: faster.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn counts(&self, scope: &EvalScope) -> Result<AudienceCounts, EvalError> {
        Ok(self.bind(scope)?.counts())
    }

    /// Whether it is true for one user; `None` is unknown.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn holds(&self, scope: &EvalScope, user: UserNo) -> Result<Option<bool>, EvalError> {
        Ok(self.bind(scope)?.holds(user))
    }

    /// Whether an event row, given by its values, fits; unknown does not.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn fits(&self, scope: &EvalScope, row: &[Option<Value>]) -> Result<bool, EvalError> {
        Ok(self.bind(scope)?.fits(row) == Some(true))
    }

    /// What it is for one user; `None` is missing.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn value(&self, scope: &EvalScope, user: UserNo) -> Result<Option<Value>, EvalError> {
        Ok(self.bind(scope)?.value(user))
    }

    /// What it is for each of some users, in the order of their numbers.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn values(
        &self,
        scope: &EvalScope,
        users: &Bitmap,
    ) -> Result<Vec<Option<Value>>, EvalError> {
        Ok(self.bind(scope)?.values(users))
    }

    /// The tags whose missing values make it unknown for a user, in the order of the schema; a
    /// derived tag with those that it stands on.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn unknown_tags(&self, scope: &EvalScope, user: UserNo) -> Result<Vec<TagId>, EvalError> {
        let bound = self.bind(scope)?;
        Ok(match bound.plan.root {
            Node::Cond(root) => unknown_causes::unknown_tags(&bound, root, user),
            Node::Val(_) => Vec::new(),
        })
    }

    /// The value that it has for everyone.
    pub fn constant(&self) -> Option<&Value> {
        match &self.lowered {
            Ok(Lowered { plan, .. }) => match plan.root {
                Node::Val(root) => match &plan.val(root).kind {
                    ValKind::Const(value) => Some(value),
                    _ => None,
                },
                Node::Cond(_) => None,
            },
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

    /// For how many users it is unknown because a tag has no value; a user counts for each such tag.
    /// Most first.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn unknown_because(
        &self,
        scope: &EvalScope,
        audience: &AudienceMask,
    ) -> Result<Vec<(TagId, usize)>, EvalError> {
        let bound = self.bind(scope)?;
        let Node::Cond(root) = bound.plan.root else {
            return Ok(Vec::new());
        };
        let mut list: Vec<(TagId, usize)> = unknown_causes::unknown_because(&bound, root, audience)
            .into_iter()
            .collect();
        list.retain(|(_, n)| *n > 0);
        list.sort_by_key(|(tag, n)| (std::cmp::Reverse(*n), *tag));
        Ok(list)
    }

    /// Whether the event of [`Prepared::did`] was for one user after an instant, and not after
    /// `now` of the scope; `None` is unknown.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn was_since(
        &self,
        scope: &EvalScope,
        after: Instant,
        user: UserNo,
    ) -> Result<Option<bool>, EvalError> {
        Ok(self.bind(scope)?.since(after).holds(user))
    }
}

/// Which nodes of a kind have more than one parent; `number` tells the nodes of that kind.
fn shared(plan: &Plan, nodes: usize, number: impl Fn(Node) -> Option<u32>) -> Vec<bool> {
    let mut parents = vec![0u32; nodes];
    let parts = plan
        .conds
        .iter()
        .flat_map(Cond::parts)
        .chain(plan.vals.iter().flat_map(|v| v.kind.parts()));
    for part in parts.filter_map(number) {
        if let Some(n) = parents.get_mut(part as usize) {
            *n += 1;
        }
    }
    parents.into_iter().map(|n| n > 1).collect()
}
