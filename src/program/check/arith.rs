//! `+ - * / mod`: which types they take. Overflow and division by zero are missing values, so
//! nothing here can fail at run time.

use super::check_expr::{Exprs, Want, bare};
use super::check_literal::is_literal;
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Type, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::definedness::int_bounds_of;
use crate::program::typed_expr::{ArithOp, Expr, ExprKind};
use crate::program::types;
use crate::syntax::ast::{self, LiteralKind};

impl Exprs<'_> {
    /// An int or a ratio as a number; constants at once.
    pub fn as_number(&self, e: Expr) -> Expr {
        match e.kind {
            ExprKind::Const(Value::Int(n)) => {
                self.constant(e.span, Type::Number, Value::Number(n as f64))
            }
            // By way of the shortest decimal, so that 30% is 0.3.
            ExprKind::Const(Value::Ratio(r)) => self.constant(
                e.span,
                Type::Number,
                Value::Number(r.to_string().parse().unwrap_or_else(|_| f64::from(r))),
            ),
            _ if e.ty == Type::Number => e,
            _ => self.node(e.span, Type::Number, ExprKind::ToNumber(Box::new(e))),
        }
    }

    pub fn arithmetic(
        &mut self,
        span: Span,
        op: ast::BinaryOp,
        op_span: Span,
        left: &ast::Expr,
        right: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let op = match op {
            ast::BinaryOp::Add => ArithOp::Add,
            ast::BinaryOp::Sub => ArithOp::Sub,
            ast::BinaryOp::Mul => ArithOp::Mul,
            ast::BinaryOp::Div => ArithOp::Div,
            _ => ArithOp::Mod,
        };
        let (l, r) = if is_literal(left) && !is_literal(right) {
            let r = self.expr(right, None, cx);
            let l = self.operand(left, op, r.as_ref(), cx);
            (l?, r?)
        } else {
            let l = self.expr(left, None, cx);
            let r = if is_literal(right) {
                self.operand(right, op, l.as_ref(), cx)
            } else {
                self.expr(right, None, cx)
            };
            (l?, r?)
        };
        let (l, r) = (self.plain_ratio(l), self.plain_ratio(r));
        let Some((ty, swap)) = result(op, &l, &r) else {
            self.refuse_arithmetic(span, op, op_span, &l, &r);
            return None;
        };
        let (l, r) = if swap { (r, l) } else { (l, r) };
        // Beside money a ratio column stays what it is; elsewhere it is a number.
        let (l, r) = match (&l.ty, &r.ty) {
            (Type::Money, Type::Ratio) if op == ArithOp::Mul => (l, r),
            _ => {
                let number = |e: Expr| {
                    if e.ty == Type::Ratio {
                        self.as_number(e)
                    } else {
                        e
                    }
                };
                (number(l), number(r))
            }
        };
        Some(self.node(
            span,
            ty,
            ExprKind::Arith {
                op,
                left: Box::new(l),
                right: Box::new(r),
            },
        ))
    }

    /// A literal beside `other`: `+` and `-` give it the type that fits, `*` and `/` leave it a
    /// number.
    fn operand(
        &mut self,
        e: &ast::Expr,
        op: ArithOp,
        other: Option<&Expr>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let sum = matches!(op, ArithOp::Add | ArithOp::Sub);
        let plain = matches!(
            &*bare(e).kind,
            ast::ExprKind::Literal(ast::Literal {
                kind: LiteralKind::Number(_) | LiteralKind::Distance(..),
                ..
            })
        );
        let percent = matches!(
            &*bare(e).kind,
            ast::ExprKind::Literal(ast::Literal {
                kind: LiteralKind::Percent(_),
                ..
            })
        );
        let want = match other.map(|o| (&o.ty, o.span)) {
            Some((Type::Money, from)) if sum && !percent => Some(Want {
                ty: &Type::Money,
                from: Some(from),
            }),
            Some((Type::Date, _)) if sum && plain => Some(Want {
                ty: &Type::Calendar,
                from: None,
            }),
            Some((Type::Instant, _)) if sum && plain => Some(Want {
                ty: &Type::Elapsed,
                from: None,
            }),
            _ => None,
        };
        self.expr(e, want, cx)
    }

    /// A ratio literal in arithmetic is a plain number: `order_total * 150%`.
    fn plain_ratio(&self, e: Expr) -> Expr {
        if matches!(e.kind, ExprKind::Const(Value::Ratio(_))) {
            self.as_number(e)
        } else {
            e
        }
    }

    fn refuse_arithmetic(&mut self, span: Span, op: ArithOp, op_span: Span, l: &Expr, r: &Expr) {
        let sign = self.text(op_span);
        let (left, right) = (self.text(l.span), self.text(r.span));
        let Msg { en: l_en, zh: l_zh } = types::words(&l.ty);
        let Msg { en: r_en, zh: r_zh } = types::words(&r.ty);
        let mut finding = Finding::new(
            &catalog::TYPE_MISMATCH,
            op_span,
            msg!(
                "`{sign}` does not go with {l_en} and {r_en}",
                "`{sign}` 不能用于{l_zh}和{r_zh}"
            ),
        )
        .label(l.span, msg!("{l_en}", "{l_zh}"))
        .label(r.span, msg!("{r_en}", "{r_zh}"));
        finding = match (op, &l.ty, &r.ty) {
            (ArithOp::Sub, Type::Date | Type::Instant, Type::Date | Type::Instant) => finding.fix(
                msg!(
                    "count the days: `days({right}, {left})`",
                    "计算天数：`days({right}, {left})`"
                ),
                span,
                format!(
                    "days({}, {})",
                    self.sources.slice(r.span),
                    self.sources.slice(l.span)
                ),
                false,
            ),
            (ArithOp::Add | ArithOp::Sub, Type::Date, Type::Elapsed) => finding.help(msg!(
                "a date has no hours: add calendar time, for instance `3 days`",
                "日期没有小时：请加日历时长，例如 `3 days`"
            )),
            (ArithOp::Add, Type::Text { .. }, _) | (ArithOp::Add, _, Type::Text { .. }) => finding
                .help(msg!(
                    "texts are put together in a template: `\"{{{left}}} {{{right}}}\"`",
                    "文本在模板里拼接：`\"{{{left}}} {{{right}}}\"`"
                )),
            (ArithOp::Add | ArithOp::Sub, Type::Money, Type::Number | Type::Ratio) => {
                finding.help(msg!(
                    "to change it by a part, multiply: `{left} * 1.1`",
                    "按比例增减请用乘法：`{left} * 1.1`"
                ))
            }
            _ => finding,
        };
        self.report(finding);
    }
}

/// The type of `left op right`, and whether the sides change places so that money, dates and
/// instants stand on the left.
fn result(op: ArithOp, left: &Expr, right: &Expr) -> Option<(Type, bool)> {
    let number = |ty: &Type| matches!(ty, Type::Int { .. } | Type::Number | Type::Ratio);
    let keep = |ty: Type| Some((ty, false));
    let swap = |ty: Type| Some((ty, true));
    match (op, &left.ty, &right.ty) {
        (ArithOp::Div, Type::Int { .. }, Type::Int { .. }) => keep(Type::Number),
        (
            ArithOp::Add | ArithOp::Sub | ArithOp::Mul | ArithOp::Mod,
            Type::Int { .. },
            Type::Int { .. },
        ) => {
            let bounds = int_bounds_of(op, left, right);
            let bound = |n: i128| i64::try_from(n).ok();
            keep(Type::Int {
                lo: bounds.and_then(|b| bound(b.0)),
                hi: bounds.and_then(|b| bound(b.1)),
            })
        }
        (_, l, r) if number(l) && number(r) => keep(Type::Number),
        (ArithOp::Add | ArithOp::Sub, Type::Money, Type::Money) => keep(Type::Money),
        (ArithOp::Div, Type::Money, Type::Money) => keep(Type::Number),
        (ArithOp::Mul | ArithOp::Div, Type::Money, r) if number(r) => keep(Type::Money),
        (ArithOp::Mul, l, Type::Money) if number(l) => swap(Type::Money),
        (ArithOp::Add | ArithOp::Sub, Type::Date, Type::Calendar) => keep(Type::Date),
        (ArithOp::Add, Type::Calendar, Type::Date) => swap(Type::Date),
        (ArithOp::Add | ArithOp::Sub, Type::Instant, Type::Elapsed | Type::Calendar) => {
            keep(Type::Instant)
        }
        (ArithOp::Add, Type::Elapsed | Type::Calendar, Type::Instant) => swap(Type::Instant),
        (ArithOp::Sub, Type::Instant, Type::Instant) => keep(Type::Elapsed),
        _ => None,
    }
}
