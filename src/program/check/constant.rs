//! Clauses that take a constant: lengths of time, shares, counts, dates. `what` is the clause word
//! that a finding names.

use std::cmp::Ordering;
use std::ops::RangeInclusive;

use super::check_expr::{Exprs, Want, bare};
use super::check_literal::negated;
use super::checker::Checker;
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Calendar, Date, Decimal, Elapsed, TimeOfDay, Type, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::typed::Share;
use crate::program::typed_expr::{ExprKind, Length};
use crate::program::types;
use crate::syntax::ast::{self, LiteralKind};

impl Exprs<'_> {
    /// The literal that a clause's constant is; anything else is a finding.
    fn constant_literal(
        &mut self,
        e: &ast::Expr,
        what: &str,
        wanted: &Type,
        example: &str,
    ) -> Option<ast::Literal> {
        match &*bare(e).kind {
            ast::ExprKind::Literal(literal) => Some(literal.clone()),
            ast::ExprKind::Neg(of) => match &*bare(of).kind {
                ast::ExprKind::Literal(literal) if let Some(kind) = negated(&literal.kind) => {
                    Some(ast::Literal { span: e.span, kind })
                }
                _ => {
                    self.not_constant(e, what, wanted, Some(example));
                    None
                }
            },
            ast::ExprKind::Broken => None,
            _ => {
                self.not_constant(e, what, wanted, Some(example));
                None
            }
        }
    }

    /// "`at` needs a constant".
    pub fn not_constant(
        &mut self,
        e: &ast::Expr,
        what: &str,
        wanted: &Type,
        example: Option<&str>,
    ) {
        match &*bare(e).kind {
            ast::ExprKind::Broken => {}
            ast::ExprKind::Literal(literal) => {
                self.wrong_literal(&literal.kind, literal.span, wanted, None)
            }
            _ => {
                let text = self.text(e.span);
                let Msg { en, zh } = types::words(wanted);
                let finding = Finding::new(
                    &catalog::CONSTANT_EXPECTED,
                    e.span,
                    msg!(
                        "`{what}` takes a constant ({en}), not `{text}`",
                        "`{what}` 需要常量（{zh}），而不是 `{text}`"
                    ),
                );
                self.report(match example {
                    Some(example) => {
                        finding.help(msg!("for instance `{example}`", "例如 `{example}`"))
                    }
                    None => finding,
                });
            }
        }
    }

    fn out_of_range(&mut self, span: Span, what: &str, en: &str, zh: &str) {
        let text = self.text(span);
        self.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            span,
            msg!(
                "`{text}` is out of range: `{what}` takes {en}",
                "`{text}` 超出范围：`{what}` 需要{zh}"
            ),
        ));
    }

    pub fn length(&mut self, e: &ast::Expr, what: &str) -> Option<Length> {
        let literal = self.constant_literal(e, what, &Type::Elapsed, "30min")?;
        self.length_literal(&literal, what)
    }

    /// `30min` or `3 days`, not negative.
    pub fn length_literal(&mut self, literal: &ast::Literal, what: &str) -> Option<Length> {
        let (length, negative) = match &literal.kind {
            LiteralKind::Elapsed(d, unit) => (
                Length::Elapsed(self.elapsed_literal(*d, *unit, literal.span)?),
                d.mantissa < 0,
            ),
            LiteralKind::Calendar(d, unit) => (
                Length::Calendar(self.calendar_literal(*d, *unit, literal.span)?),
                d.mantissa < 0,
            ),
            LiteralKind::Number(d) => {
                let text = self.text(literal.span);
                let mut finding = Finding::new(
                    &catalog::WRONG_UNIT,
                    literal.span,
                    msg!("`{text}` has no unit", "`{text}` 没有单位"),
                );
                for unit in ["min", "h", " days"] {
                    let fix = format!("{d}{unit}");
                    finding = finding.fix(
                        msg!("write `{fix}`", "写作 `{fix}`"),
                        literal.span,
                        fix.clone(),
                        false,
                    );
                }
                self.report(finding);
                return None;
            }
            kind => {
                self.wrong_literal(kind, literal.span, &Type::Elapsed, None);
                return None;
            }
        };
        if negative {
            self.out_of_range(literal.span, what, "a length of time forward", "非负的时长");
            return None;
        }
        Some(length)
    }

    fn number(&mut self, e: &ast::Expr, what: &str, example: &str) -> Option<(Decimal, Span)> {
        let literal = self.constant_literal(e, what, &Type::INT, example)?;
        match literal.kind {
            LiteralKind::Number(d) => Some((d, literal.span)),
            kind => {
                self.wrong_literal(&kind, literal.span, &Type::INT, None);
                None
            }
        }
    }
}

impl Checker<'_> {
    /// `30min` or `3 days`, not negative.
    pub fn length(&mut self, e: &ast::Expr, what: &str) -> Option<Length> {
        self.exprs().length(e, what)
    }

    /// `30min`: elapsed time only.
    pub fn elapsed(&mut self, e: &ast::Expr, what: &str) -> Option<Elapsed> {
        let mut exprs = self.exprs();
        let literal = exprs.constant_literal(e, what, &Type::Elapsed, "30min")?;
        match (&literal.kind, exprs.length_literal(&literal, what)?) {
            (_, Length::Elapsed(elapsed)) => Some(elapsed),
            (kind, Length::Calendar(_)) => {
                exprs.wrong_literal(kind, literal.span, &Type::Elapsed, None);
                None
            }
        }
    }

    /// `30 days`, `2 weeks` as whole days, at least 1.
    pub fn days(&mut self, e: &ast::Expr, what: &str) -> Option<u32> {
        let mut exprs = self.exprs();
        let literal = exprs.constant_literal(e, what, &Type::Calendar, "30 days")?;
        let LiteralKind::Calendar(d, unit) = literal.kind else {
            exprs.wrong_literal(&literal.kind, literal.span, &Type::Calendar, None);
            return None;
        };
        let length = exprs.calendar_literal(d, unit, literal.span)?;
        match u32::try_from(length.days) {
            Ok(days) if days > 0 && length.months == 0 => Some(days),
            _ => {
                exprs.out_of_range(
                    literal.span,
                    what,
                    "whole days, for instance `30 days`",
                    "整天数，例如 `30 days`",
                );
                None
            }
        }
    }

    /// `30, 7, 1 days`: all in the unit of the last one.
    pub fn calendar_lengths(
        &mut self,
        numbers: &[ast::Expr],
        last: &ast::Expr,
        what: &str,
    ) -> Option<Vec<(Calendar, Span)>> {
        let mut exprs = self.exprs();
        let literal = exprs.constant_literal(last, what, &Type::Calendar, "7 days")?;
        let LiteralKind::Calendar(n, unit) = literal.kind else {
            exprs.wrong_literal(&literal.kind, literal.span, &Type::Calendar, None);
            return None;
        };
        let mut lengths = Vec::new();
        for e in numbers {
            let (n, span) = exprs.number(e, what, "7")?;
            lengths.push((exprs.calendar_literal(n, unit, span)?, span));
        }
        lengths.push((exprs.calendar_literal(n, unit, literal.span)?, literal.span));
        if let Some((_, span)) = lengths
            .iter()
            .find(|(length, _)| length.days < 0 || length.months < 0)
        {
            exprs.out_of_range(*span, what, "no days less than 0", "不小于 0 的天数");
            return None;
        }
        Some(lengths)
    }

    /// `10%` or `0.1`, from 0 to 100%.
    pub fn share(&mut self, e: &ast::Expr, what: &str) -> Option<Share> {
        let mut exprs = self.exprs();
        let literal = exprs.constant_literal(e, what, &Type::Ratio, "10%")?;
        // In millionths: 10% is 10 × 10,000.
        let millionths = match literal.kind {
            LiteralKind::Percent(d) => d.times(10_000),
            LiteralKind::Number(d) => d.times(1_000_000),
            kind => {
                exprs.wrong_literal(&kind, literal.span, &Type::Ratio, None);
                return None;
            }
        };
        let share = millionths
            .and_then(Decimal::to_int)
            .and_then(|n| u32::try_from(n).ok())
            .map(Share);
        match share.filter(|s| *s <= Share::ALL) {
            Some(share) => Some(share),
            None => {
                let whole = match literal.kind {
                    LiteralKind::Number(d)
                        if d.to_int().is_some_and(|n| (2..=100).contains(&n)) =>
                    {
                        Some(format!("{d}%"))
                    }
                    _ => None,
                };
                match whole {
                    Some(fix) => {
                        let text = exprs.text(literal.span);
                        exprs.report(
                            Finding::new(
                                &catalog::OUT_OF_RANGE,
                                literal.span,
                                msg!(
                                    "`{text}` is more than all: `{what}` takes a share",
                                    "`{text}` 超过全部：`{what}` 需要占比"
                                ),
                            )
                            .fix(
                                msg!("write `{fix}`", "写作 `{fix}`"),
                                literal.span,
                                fix.clone(),
                                false,
                            ),
                        );
                    }
                    None => exprs.out_of_range(
                        literal.span,
                        what,
                        "0% to 100%, to four digits after the point",
                        " 0% 到 100%（小数点后最多四位）",
                    ),
                }
                None
            }
        }
    }

    /// A whole number within bounds (both included).
    pub fn count(&mut self, e: &ast::Expr, what: &str, bounds: RangeInclusive<u64>) -> Option<u64> {
        let mut exprs = self.exprs();
        let (d, span) = exprs.number(e, what, &bounds.start().max(&1).to_string())?;
        match d
            .to_int()
            .and_then(|n| u64::try_from(n).ok())
            .filter(|n| bounds.contains(n))
        {
            Some(n) => Some(n),
            None => {
                let (lo, hi) = (bounds.start(), bounds.end());
                let (en, zh) = if *hi == u64::MAX {
                    (
                        format!("a whole number from {lo} on"),
                        format!("不小于 {lo} 的整数"),
                    )
                } else {
                    (
                        format!("a whole number from {lo} to {hi}"),
                        format!(" {lo} 到 {hi} 的整数"),
                    )
                };
                exprs.out_of_range(span, what, &en, &zh);
                None
            }
        }
    }

    /// A whole number that may be negative.
    pub fn integer(&mut self, e: &ast::Expr, what: &str) -> Option<i64> {
        let mut exprs = self.exprs();
        let (d, span) = exprs.number(e, what, "80")?;
        let n = d.to_int();
        if n.is_none() {
            exprs.out_of_range(span, what, "a whole number", "整数");
        }
        n
    }

    pub fn date(&mut self, e: &ast::Expr, what: &str) -> Option<Date> {
        self.exprs().date(e, what)
    }

    pub fn time(&mut self, e: &ast::Expr, what: &str) -> Option<TimeOfDay> {
        let mut exprs = self.exprs();
        let literal = exprs.constant_literal(e, what, &Type::Time, "10:00")?;
        match literal.kind {
            LiteralKind::Time(t) => Some(t),
            kind => {
                exprs.wrong_literal(&kind, literal.span, &Type::Time, None);
                None
            }
        }
    }

    /// `2026-11-11 10:00`, as written (local).
    pub fn date_time(&mut self, e: &ast::Expr, what: &str) -> Option<(Date, TimeOfDay)> {
        let mut exprs = self.exprs();
        let literal = exprs.constant_literal(e, what, &Type::Instant, "2026-11-11 10:00")?;
        match literal.kind {
            LiteralKind::Instant(d, t) => Some((d, t)),
            kind => {
                exprs.wrong_literal(&kind, literal.span, &Type::Instant, None);
                None
            }
        }
    }

    /// A constant of exactly this type, within its bounds: what a test gives to a user or an event.
    pub fn constant(&mut self, e: &ast::Expr, ty: &Type, name: &ast::Ident) -> Option<Value> {
        let mut exprs = self.exprs();
        let value = match (ty, &*bare(e).kind) {
            (Type::Set(member), ast::ExprKind::List(items)) => {
                let items: Vec<Option<Value>> = items
                    .iter()
                    .map(|i| exprs.typed_constant(i, member, name))
                    .collect();
                let mut items: Vec<Value> = items.into_iter().collect::<Option<_>>()?;
                items.sort_by(|a, b| types::order(a, b).unwrap_or(Ordering::Equal));
                items.dedup();
                Value::Set(items.into())
            }
            (Type::Set(member), _) => {
                Value::Set(vec![exprs.typed_constant(e, member, name)?].into())
            }
            _ => exprs.typed_constant(e, ty, name)?,
        };
        Some(value)
    }
}

impl Exprs<'_> {
    fn typed_constant(&mut self, e: &ast::Expr, ty: &Type, name: &ast::Ident) -> Option<Value> {
        let typed = self.expr(
            e,
            Some(Want {
                ty,
                from: Some(name.span),
            }),
            &ExprContext::default(),
        )?;
        let typed = self.expect_type(typed, ty, Some(name.span))?;
        let ExprKind::Const(value) = typed.kind else {
            self.not_constant(e, &name.name, ty, None);
            return None;
        };
        let (en, zh) = match (&value, ty) {
            (Value::Ratio(r), _) if !(0.0..=1.0).contains(r) => (
                "a ratio from 0% to 100%".into(),
                " 0% 到 100% 的比例".into(),
            ),
            (
                Value::Int(n),
                Type::Int {
                    lo: Some(lo),
                    hi: Some(hi),
                },
            ) if n < lo || n > hi => (
                format!("an int from {lo} to {hi}"),
                format!(" {lo} 到 {hi} 的整数"),
            ),
            _ => return Some(value),
        };
        self.out_of_range(e.span, &name.name, &en, &zh);
        None
    }
}
