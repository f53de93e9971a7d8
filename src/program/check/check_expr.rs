//! Expressions: every node of the tree to a typed one. Connectives are here, the rest by theme in
//! the files beside.
//!
//! A node that fails has reported why and gives `None`; nobody above says anything more about it.

use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Type, Value};
use crate::diag::{Finding, Findings, Sources, Span, catalog};
use crate::msg;
use crate::program::definedness::optional;
use crate::program::scope::Scope;
use crate::program::typed::Program;
use crate::program::typed_expr::{Expr, ExprKind};
use crate::program::types;
use crate::syntax::ast;

/// Deeper expressions are refused, so that no input decides how deep the stack gets.
pub const MAX_EXPR_DEPTH: u32 = 200;

/// From this length on a chain of `and` or `or` is typed as a balanced tree instead of a
/// left-leaning one.
const LONG_CHAIN: usize = 32;

/// The type that the other side has: a literal takes it.
#[derive(Clone, Copy)]
pub(super) struct Want<'t> {
    pub ty: &'t Type,
    /// The other side, for a label.
    pub from: Option<Span>,
}

/// Checks expressions against a program as far as it is known.
pub(super) struct Exprs<'c> {
    pub sources: &'c Sources,
    pub program: &'c Program,
    pub scope: &'c Scope,
    pub findings: &'c mut Findings,
    /// How deep in an expression we are, and whether it was too deep already.
    depth: u32,
    too_deep: bool,
}

impl<'c> Exprs<'c> {
    pub fn new(
        sources: &'c Sources,
        program: &'c Program,
        scope: &'c Scope,
        findings: &'c mut Findings,
    ) -> Self {
        Exprs {
            sources,
            program,
            scope,
            findings,
            depth: 0,
            too_deep: false,
        }
    }
}

impl Exprs<'_> {
    pub fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The text under a span, short enough for a message.
    pub fn text(&self, span: Span) -> String {
        shorten(self.sources.slice(span))
    }

    /// A typed node; whether it can be missing follows from its parts.
    pub fn node(&self, span: Span, ty: Type, kind: ExprKind) -> Expr {
        let optional = optional(self.program, &ty, &kind);
        Expr {
            ty,
            span,
            optional,
            kind,
        }
    }

    pub fn constant(&self, span: Span, ty: Type, value: Value) -> Expr {
        Expr {
            ty,
            span,
            optional: false,
            kind: ExprKind::Const(value),
        }
    }

    /// An expression that must be a condition.
    pub fn condition(&mut self, e: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        let typed = self.expr(e, None, cx)?;
        if typed.ty == Type::Bool {
            return Some(typed);
        }
        let Msg { en, zh } = types::words(&typed.ty);
        let text = self.text(e.span);
        let finding = Finding::new(
            &catalog::TYPE_MISMATCH,
            e.span,
            msg!(
                "`{text}` is {en}, a condition is expected",
                "`{text}` 是{zh}，这里需要条件"
            ),
        );
        let member = match &typed.ty {
            Type::Enum(of) => of.members.first(),
            _ => None,
        };
        let finding = match (&typed.ty, member) {
            _ if matches!(typed.kind, ExprKind::Const(_)) => finding,
            (Type::Enum(_), Some(member)) => finding.help(msg!(
                "compare it: `{text} == \"{member}\"`",
                "请做比较：`{text} == \"{member}\"`"
            )),
            (Type::Set(_), _) => finding.help(msg!(
                "ask for a member: `{text} contains …`",
                "请判断元素：`{text} contains …`"
            )),
            _ => finding.help(msg!(
                "compare it with a value, or ask `{text} is known`",
                "请与一个值比较，或写 `{text} is known`"
            )),
        };
        self.report(finding);
        None
    }

    /// An expression of any type; a literal takes the wanted one. The caller compares types where
    /// it must.
    pub fn expr(
        &mut self,
        e: &ast::Expr,
        want: Option<Want<'_>>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if self.depth >= MAX_EXPR_DEPTH {
            if std::mem::replace(&mut self.too_deep, true) {
                return None;
            }
            self.report(Finding::new(
                &catalog::TOO_DEEP,
                e.span,
                msg!(
                    "this expression is nested more than {MAX_EXPR_DEPTH} deep",
                    "表达式嵌套超过 {MAX_EXPR_DEPTH} 层"
                ),
            ));
            return None;
        }
        self.depth += 1;
        let typed = self.dispatch(e, want, cx);
        self.depth -= 1;
        typed
    }

    fn dispatch(
        &mut self,
        e: &ast::Expr,
        want: Option<Want<'_>>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        match &*e.kind {
            ast::ExprKind::Literal(literal) => self.literal(&literal.kind, literal.span, want),
            ast::ExprKind::Name(name) => self.name(name, cx),
            ast::ExprKind::Field { of, name } => self.field(e.span, of, name, cx),
            ast::ExprKind::Call { name, args } => self.call(e.span, name, args, want, cx),
            ast::ExprKind::Paren(inner) => self.expr(inner, want, cx),
            ast::ExprKind::Not { of, .. } => {
                let of = self.condition(of, cx)?;
                Some(self.node(e.span, Type::Bool, ExprKind::Not(Box::new(of))))
            }
            ast::ExprKind::Neg(of) => self.negation(e.span, of, want, cx),
            ast::ExprKind::Binary {
                op,
                op_span,
                left,
                right,
            } => match op {
                ast::BinaryOp::And | ast::BinaryOp::Or => self.chain(e, *op, cx),
                ast::BinaryOp::Except => self.except(e.span, left, right, cx),
                ast::BinaryOp::Eq
                | ast::BinaryOp::Ne
                | ast::BinaryOp::Lt
                | ast::BinaryOp::Le
                | ast::BinaryOp::Gt
                | ast::BinaryOp::Ge => self.compare(e.span, *op, *op_span, left, right, cx),
                ast::BinaryOp::Coalesce => self.coalesce(e.span, left, right, want, cx),
                ast::BinaryOp::Add
                | ast::BinaryOp::Sub
                | ast::BinaryOp::Mul
                | ast::BinaryOp::Div
                | ast::BinaryOp::Mod => self.arithmetic(e.span, *op, *op_span, left, right, cx),
            },
            ast::ExprKind::Is { of, state, .. } => {
                let of = Box::new(self.expr(of, None, cx)?);
                let kind = match state {
                    ast::Presence::Missing => ExprKind::IsMissing(of),
                    ast::Presence::Known => ExprKind::IsKnown(of),
                };
                Some(self.node(e.span, Type::Bool, kind))
            }
            ast::ExprKind::In {
                of, negated, set, ..
            } => {
                let inside = self.membership(e.span, of, set, cx)?;
                Some(if *negated {
                    self.node(e.span, Type::Bool, ExprKind::Not(Box::new(inside)))
                } else {
                    inside
                })
            }
            ast::ExprKind::Contains { of, mode, what, .. } => {
                self.contains(e.span, of, *mode, what, cx)
            }
            ast::ExprKind::StartsWith { of, what, .. } => self.starts_with(e.span, of, what, cx),
            ast::ExprKind::Range(..) => {
                self.report(Finding::new(
                    &catalog::TYPE_MISMATCH,
                    e.span,
                    msg!("a range stands only after `in`", "区间只能写在 `in` 之后"),
                ));
                None
            }
            ast::ExprKind::List(_) => {
                self.report(Finding::new(
                    &catalog::TYPE_MISMATCH,
                    e.span,
                    msg!(
                        "a list stands only after `in` and `contains`",
                        "列表只能写在 `in` 和 `contains` 之后"
                    ),
                ));
                None
            }
            ast::ExprKind::Place(lat, lon) => {
                let place = self.place(e.span, lat, lon)?;
                Some(self.constant(e.span, Type::Place, Value::Place(place)))
            }
            ast::ExprKind::Everyone => {
                if let Some(row) = cx.row {
                    self.only_fields(e.span, row);
                    return None;
                }
                Some(self.node(e.span, Type::Bool, ExprKind::Everyone))
            }
            ast::ExprKind::Broken => None,
        }
    }

    // -------------------------------------------------------------- connectives

    /// `a and b and c …`: the whole chain at once, so that its length is no depth.
    fn chain(&mut self, e: &ast::Expr, op: ast::BinaryOp, cx: &ExprContext<'_>) -> Option<Expr> {
        let mut operands = Vec::new();
        let mut rest = e;
        while let ast::ExprKind::Binary {
            op: this,
            left,
            right,
            ..
        } = &*rest.kind
            && *this == op
        {
            operands.push(right);
            rest = left;
        }
        operands.push(rest);
        operands.reverse();
        let typed: Vec<Option<Expr>> = operands
            .into_iter()
            .map(|o| self.condition(o, cx))
            .collect();
        let typed: Vec<Expr> = typed.into_iter().collect::<Option<_>>()?;
        self.join_chain(typed, op)
    }

    /// Left-leaning as written; balanced when it is long. Both mean the same: `and` and `or` are
    /// associative in three values too.
    pub fn join_chain(&self, mut operands: Vec<Expr>, op: ast::BinaryOp) -> Option<Expr> {
        let join = |a: Expr, b: Expr| {
            let span = a.span.to(b.span);
            let (a, b) = (Box::new(a), Box::new(b));
            self.node(
                span,
                Type::Bool,
                if op == ast::BinaryOp::And {
                    ExprKind::And(a, b)
                } else {
                    ExprKind::Or(a, b)
                },
            )
        };
        while operands.len() > LONG_CHAIN {
            let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
            let mut rest = operands.into_iter();
            while let Some(a) = rest.next() {
                pairs.push(match rest.next() {
                    Some(b) => join(a, b),
                    None => a,
                });
            }
            operands = pairs;
        }
        operands.into_iter().reduce(join)
    }

    fn except(
        &mut self,
        span: Span,
        left: &ast::Expr,
        right: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let (left, right) = (self.condition(left, cx), self.condition(right, cx));
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::Except(Box::new(left?), Box::new(right?)),
        ))
    }

    fn coalesce(
        &mut self,
        span: Span,
        left: &ast::Expr,
        right: &ast::Expr,
        want: Option<Want<'_>>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let (left, right) = self.alternatives(left, right, want, cx, cx)?;
        let ty = types::join(&left.ty, &right.ty);
        Some(self.node(
            span,
            ty,
            ExprKind::Coalesce(Box::new(left), Box::new(right)),
        ))
    }

    /// Two values that one result can be: of one kind, an int beside a number made a number.
    pub fn unify(&mut self, left: Expr, right: Expr) -> Option<(Expr, Expr)> {
        match (&left.ty, &right.ty) {
            (a, b) if types::same_kind(a, b) => Some((left, right)),
            (Type::Int { .. }, Type::Number) => Some((self.as_number(left), right)),
            (Type::Number, Type::Int { .. }) => {
                let right = self.as_number(right);
                Some((left, right))
            }
            _ => {
                self.mismatch(right.span, &right.ty, &left.ty, Some(left.span));
                None
            }
        }
    }

    // -------------------------------------------------------------- types

    /// "`x` is money, text is expected".
    pub fn mismatch(&mut self, span: Span, found: &Type, wanted: &Type, from: Option<Span>) {
        let text = self.text(span);
        let Msg {
            en: found_en,
            zh: found_zh,
        } = types::words(found);
        let Msg { en, zh } = types::words(wanted);
        let mut finding = Finding::new(
            &catalog::TYPE_MISMATCH,
            span,
            msg!(
                "`{text}` is {found_en}, {en} is expected",
                "`{text}` 是{found_zh}，这里需要{zh}"
            ),
        );
        if let Some(from) = from {
            finding = finding.label(from, msg!("this is {en}", "这里是{zh}"));
        }
        self.report(finding);
    }

    /// The value of an expression that must have this type: literals have taken it, ints become
    /// numbers.
    pub fn expect_type(&mut self, e: Expr, wanted: &Type, from: Option<Span>) -> Option<Expr> {
        if types::same_kind(&e.ty, wanted) {
            return Some(e);
        }
        match (&e.ty, wanted) {
            (Type::Int { .. }, Type::Number) => Some(self.as_number(e)),
            (Type::Text { .. }, Type::Address(_)) => Some(e),
            _ => {
                self.mismatch(e.span, &e.ty, wanted, from);
                None
            }
        }
    }
}

/// The expression under its parentheses.
pub(super) fn bare(mut e: &ast::Expr) -> &ast::Expr {
    while let ast::ExprKind::Paren(inner) = &*e.kind {
        e = inner;
    }
    e
}

pub(super) fn text_literal(e: &ast::Expr) -> Option<&str> {
    match &*bare(e).kind {
        ast::ExprKind::Literal(ast::Literal {
            kind: ast::LiteralKind::Text(text),
            ..
        }) => Some(text),
        _ => None,
    }
}

/// At most 40 characters of one line.
pub(super) fn shorten(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 40 {
        line
    } else {
        line.chars().take(39).chain(['…']).collect()
    }
}
