//! `in`, `contains` and `starts with`: ranges, lists, windows, sets and parts of texts.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::check_expr::{Exprs, Want, bare, text_literal};
use super::check_literal::{beside, quoted};
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Date, Instant, Type, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::scope::Symbol;
use crate::program::typed_expr::{Expr, ExprKind, SetMode, Window};
use crate::program::types;
use crate::syntax::ast;

impl Exprs<'_> {
    // -------------------------------------------------------------- in

    pub fn membership(
        &mut self,
        span: Span,
        of: &ast::Expr,
        set: &ast::InSet,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        match set {
            ast::InSet::Range(lo, hi) => {
                let of = self.expr(of, None, cx)?;
                self.in_range(span, of, lo, hi, cx)
            }
            ast::InSet::Window(window) => {
                if let ast::WindowKind::Dates(lo, hi) = &window.kind
                    && !is_yearly(of)
                {
                    let of = self.expr(of, None, cx)?;
                    return self.in_range(span, of, lo, hi, cx);
                }
                self.in_window(span, of, window, cx)
            }
            ast::InSet::Expr(set) => match &*bare(set).kind {
                ast::ExprKind::List(items) => {
                    let of = self.expr(of, None, cx)?;
                    self.in_list(span, of, items, set.span, cx)
                }
                _ => self.in_value(span, of, set, cx),
            },
        }
    }

    fn in_range(
        &mut self,
        span: Span,
        of: Expr,
        lo: &ast::Expr,
        hi: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        // Whole days of an instant: from the first moment of the first day to the last moment of
        // the last.
        if of.ty == Type::Instant
            && let (Some(from), Some(to)) = (date_literal(lo), date_literal(hi))
        {
            self.ordered(from <= to, lo, hi)?;
            let zone = self.program.policy.zone;
            let end = Instant(zone.start_of(to.plus_days(1)).0.saturating_sub(1));
            let lo = self.constant(lo.span, Type::Instant, Value::Instant(zone.start_of(from)));
            let hi = self.constant(hi.span, Type::Instant, Value::Instant(end));
            return Some(self.node(
                span,
                Type::Bool,
                ExprKind::InRange {
                    of: Box::new(of),
                    lo: Box::new(lo),
                    hi: Box::new(hi),
                },
            ));
        }
        if !types::is_ordered(&of.ty) {
            let text = self.text(of.span);
            let Msg { en, zh } = types::words(&of.ty);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    lo.span.to(hi.span),
                    msg!(
                        "`{text}` is {en}, which has no ranges",
                        "`{text}` 是{zh}，没有区间"
                    ),
                )
                .help(msg!(
                    "list the values: `in [a, b]`",
                    "请列出各值：`in [a, b]`"
                )),
            );
            return None;
        }
        let ty = beside(&of, false);
        let mut end = |e: &ast::Expr| {
            let typed = self.expr(
                e,
                Some(Want {
                    ty: &ty,
                    from: Some(of.span),
                }),
                cx,
            )?;
            if types::same_kind(&typed.ty, &of.ty)
                || (types::is_number(&typed.ty) && types::is_number(&of.ty))
            {
                return Some(typed);
            }
            self.mismatch(e.span, &typed.ty, &of.ty, Some(of.span));
            None
        };
        let (low, high) = (end(lo), end(hi));
        let (low, high) = (low?, high?);
        if let (ExprKind::Const(a), ExprKind::Const(b)) = (&low.kind, &high.kind) {
            self.ordered(types::order(a, b) != Some(Ordering::Greater), lo, hi)?;
        }
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::InRange {
                of: Box::new(of),
                lo: Box::new(low),
                hi: Box::new(high),
            },
        ))
    }

    /// A range whose ends are the wrong way round holds nothing.
    pub fn ordered(&mut self, is: bool, lo: &ast::Expr, hi: &ast::Expr) -> Option<()> {
        if is {
            return Some(());
        }
        let (low, high) = (self.sources.slice(lo.span), self.sources.slice(hi.span));
        let finding = Finding::new(
            &catalog::EMPTY_RANGE,
            lo.span.to(hi.span),
            msg!(
                "nothing lies from `{low}` to `{high}`: the smaller end comes first",
                "从 `{low}` 到 `{high}` 没有值：小的一端写在前面"
            ),
        )
        .fix(
            msg!("swap them: `{high}..{low}`", "交换两者：`{high}..{low}`"),
            lo.span.to(hi.span),
            format!("{high}..{low}"),
            false,
        );
        let finding = match (&*bare(lo).kind, &*bare(hi).kind) {
            (ast::ExprKind::Literal(a), ast::ExprKind::Literal(b))
                if matches!(
                    (&a.kind, &b.kind),
                    (ast::LiteralKind::Time(_), ast::LiteralKind::Time(_))
                ) =>
            {
                finding.help(msg!(
                    "across midnight write `t >= {low} or t <= {high}`",
                    "跨越午夜请写 `t >= {low} or t <= {high}`"
                ))
            }
            _ => finding,
        };
        self.report(finding);
        None
    }

    fn in_list(
        &mut self,
        span: Span,
        of: Expr,
        items: &[ast::Expr],
        list: Span,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if let Type::Set(_) = of.ty {
            let text = self.text(of.span);
            let list_text = self.sources.slice(list);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    of.span,
                    msg!(
                        "`{text}` is a set: `in` asks for a single value",
                        "`{text}` 是集合：`in` 判断的是单个值"
                    ),
                )
                .fix(
                    msg!(
                        "ask whether it contains any of them",
                        "改为判断是否包含其中任意一个"
                    ),
                    span,
                    format!("{} contains any {list_text}", self.sources.slice(of.span)),
                    false,
                ),
            );
            return None;
        }
        if !matches!(of.ty, Type::Bool | Type::Enum(_)) && !types::is_ordered(&of.ty) {
            let text = self.text(of.span);
            let Msg { en, zh } = types::words(&of.ty);
            self.report(Finding::new(
                &catalog::TYPE_MISMATCH,
                of.span,
                msg!(
                    "`{text}` is {en}, which is not looked for in lists",
                    "`{text}` 是{zh}，不能在列表中查找"
                ),
            ));
            return None;
        }
        let values = self.list_values(items, list, &of, cx)?;
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::InList {
                of: Box::new(of),
                list: values,
            },
        ))
    }

    /// The constants of a list, in the type of `of` (or, for a set, of its members).
    fn list_values(
        &mut self,
        items: &[ast::Expr],
        list: Span,
        of: &Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Vec<Value>> {
        if items.is_empty() {
            self.report(Finding::new(
                &catalog::EMPTY_RANGE,
                list,
                msg!("an empty list matches nothing", "空列表什么也不匹配"),
            ));
            return None;
        }
        let ty = if let Type::Set(of) = &of.ty {
            (**of).clone()
        } else {
            beside(of, true)
        };
        let ty = &ty;
        // A long list of a large enum: members are found by hash.
        let codes: HashMap<&str, u16> = match ty {
            Type::Enum(e) if items.len() > 32 => e
                .members
                .iter()
                .zip(0u16..)
                .map(|(m, code)| (m.as_str(), code))
                .collect(),
            _ => HashMap::new(),
        };
        let values: Vec<Option<Value>> = items
            .iter()
            .map(
                |item| match text_literal(item).and_then(|text| codes.get(text)) {
                    Some(code) => Some(Value::Enum(*code)),
                    None => self.list_item(item, ty, of.span, cx),
                },
            )
            .collect();
        values.into_iter().collect()
    }

    fn list_item(
        &mut self,
        item: &ast::Expr,
        ty: &Type,
        from: Span,
        cx: &ExprContext<'_>,
    ) -> Option<Value> {
        let typed = self.expr(
            item,
            Some(Want {
                ty,
                from: Some(from),
            }),
            cx,
        )?;
        let typed = self.expect_type(typed, ty, Some(from))?;
        match typed.kind {
            ExprKind::Const(value) => Some(value),
            _ => {
                let text = self.text(item.span);
                self.report(
                    Finding::new(
                        &catalog::CONSTANT_EXPECTED,
                        item.span,
                        msg!(
                            "`{text}` is not a constant: a list holds constants only",
                            "`{text}` 不是常量：列表只能包含常量"
                        ),
                    )
                    .help(msg!(
                        "compare with it: `x == {text} or x in […]`",
                        "请与它比较：`x == {text} or x in […]`"
                    )),
                );
                None
            }
        }
    }

    /// `"beauty" in interests`, and what people write after `in` by mistake.
    fn in_value(
        &mut self,
        span: Span,
        of: &ast::Expr,
        set: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if let ast::ExprKind::Name(name) = &*bare(set).kind
            && cx.row.is_none()
            && let Some(Symbol::List(_) | Symbol::Audience(_)) =
                self.scope.get(&name.name).map(|e| e.symbol)
        {
            let n = self.text(name.span);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    span,
                    msg!(
                        "`{n}` is a condition by its name: nothing stands before it",
                        "`{n}` 本身就是条件：前面不必写别的"
                    ),
                )
                .fix(msg!("write `{n}`", "写作 `{n}`"), span, n.clone(), false),
            );
            return None;
        }
        let set = self.expr(set, None, cx)?;
        let Type::Set(member) = &set.ty else {
            let text = self.text(set.span);
            let Msg { en, zh } = types::words(&set.ty);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    set.span,
                    msg!(
                        "`{text}` is {en}: `in` needs a range, a list, a window or a set",
                        "`{text}` 是{zh}：`in` 后要写区间、列表、窗口或集合"
                    ),
                )
                .help(msg!(
                    "write `x in 18..30`, `x in [\"a\", \"b\"]` or `x == {text}`",
                    "请写 `x in 18..30`、`x in [\"a\", \"b\"]` 或 `x == {text}`"
                )),
            );
            return None;
        };
        let item = self.list_item(of, member, set.span, cx)?;
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::SetContains {
                set: Box::new(set),
                mode: SetMode::One,
                items: vec![item],
            },
        ))
    }

    /// `signup in last 7 days`, `yearly(birthday) in next 7 days`.
    fn in_window(
        &mut self,
        span: Span,
        of: &ast::Expr,
        window: &ast::Window,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let (of_ast, yearly) = match &*bare(of).kind {
            ast::ExprKind::Call { name, args } if is_yearly(of) => match &args[..] {
                [ast::Arg::Expr(date)] => (date, true),
                _ => {
                    self.wrong_arguments(name, of.span);
                    return None;
                }
            },
            _ => (of, false),
        };
        let of = self.expr(of_ast, None, cx);
        let window = self.window(window, true);
        let (of, window) = (of?, window?);
        let fits = if yearly {
            of.ty == Type::Date
        } else {
            matches!(of.ty, Type::Date | Type::Instant)
        };
        if !fits {
            let text = self.text(of.span);
            let Msg { en, zh } = types::words(&of.ty);
            self.report(Finding::new(
                &catalog::TYPE_MISMATCH,
                of.span,
                if yearly {
                    msg!(
                        "`{text}` is {en}, `yearly` needs a date",
                        "`{text}` 是{zh}，`yearly` 需要日期"
                    )
                } else {
                    msg!(
                        "`{text}` is {en}: only dates and instants lie in a window of time",
                        "`{text}` 是{zh}：只有日期和时刻才能落在时间窗口里"
                    )
                },
            ));
            return None;
        }
        if let (Window::Ever, true) = (window, yearly) {
            self.report(Finding::new(
                &catalog::WRONG_WINDOW,
                span,
                msg!(
                    "a day that comes round every year is always in `ever`",
                    "每年都来的日子总在 `ever` 里"
                ),
            ));
            return None;
        }
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::InWindow {
                of: Box::new(of),
                window,
                yearly,
            },
        ))
    }

    // -------------------------------------------------------------- contains, starts with

    pub fn contains(
        &mut self,
        span: Span,
        of: &ast::Expr,
        mode: ast::ContainsMode,
        what: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let of = self.expr(of, None, cx)?;
        let list = match &*bare(what).kind {
            ast::ExprKind::List(items) => Some(items),
            _ => None,
        };
        let mode = match (mode, list) {
            (ast::ContainsMode::One, None) => SetMode::One,
            (ast::ContainsMode::Any, Some(_)) => SetMode::Any,
            (ast::ContainsMode::All, Some(_)) => SetMode::All,
            (ast::ContainsMode::One, Some(_)) => {
                let text = self.sources.slice(what.span);
                self.report(
                    Finding::new(
                        &catalog::TYPE_MISMATCH,
                        what.span,
                        msg!(
                            "`contains` takes one value: of a list say `any` or `all`",
                            "`contains` 后是单个值：列表要写明 `any` 或 `all`"
                        ),
                    )
                    .fix(
                        msg!("any of them", "其中任意一个"),
                        what.span,
                        format!("any {text}"),
                        false,
                    )
                    .fix(
                        msg!("all of them", "全部"),
                        what.span,
                        format!("all {text}"),
                        false,
                    ),
                );
                return None;
            }
            (ast::ContainsMode::Any | ast::ContainsMode::All, None) => {
                let text = self.sources.slice(what.span);
                self.report(
                    Finding::new(
                        &catalog::TYPE_MISMATCH,
                        what.span,
                        msg!(
                            "a list is expected after `any` and `all`",
                            "`any` 和 `all` 后要写列表"
                        ),
                    )
                    .fix(
                        msg!("write `[{text}]`", "写作 `[{text}]`"),
                        what.span,
                        format!("[{text}]"),
                        false,
                    ),
                );
                return None;
            }
        };
        match (&of.ty, list) {
            (Type::Set(member), None) => {
                let item = self.list_item(what, member, of.span, cx)?;
                Some(self.node(
                    span,
                    Type::Bool,
                    ExprKind::SetContains {
                        set: Box::new(of),
                        mode,
                        items: vec![item],
                    },
                ))
            }
            (Type::Set(_), Some(items)) => {
                let items = self.list_values(items, what.span, &of, cx)?;
                Some(self.node(
                    span,
                    Type::Bool,
                    ExprKind::SetContains {
                        set: Box::new(of),
                        mode,
                        items,
                    },
                ))
            }
            (Type::Text { .. }, None) => {
                let what = self.text_operand(what, cx)?;
                Some(self.node(
                    span,
                    Type::Bool,
                    ExprKind::TextContains {
                        of: Box::new(of),
                        what: Box::new(what),
                    },
                ))
            }
            (Type::Text { .. }, Some(items)) => {
                let parts: Vec<Option<Expr>> = items
                    .iter()
                    .map(|item| {
                        let what = Box::new(self.text_operand(item, cx)?);
                        Some(self.node(
                            span,
                            Type::Bool,
                            ExprKind::TextContains {
                                of: Box::new(of.clone()),
                                what,
                            },
                        ))
                    })
                    .collect();
                let op = if mode == SetMode::All {
                    ast::BinaryOp::And
                } else {
                    ast::BinaryOp::Or
                };
                self.join_chain(parts.into_iter().collect::<Option<Vec<_>>>()?, op)
            }
            _ => {
                self.no_text(&of, "contains", what);
                None
            }
        }
    }

    pub fn starts_with(
        &mut self,
        span: Span,
        of: &ast::Expr,
        what: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let of = self.expr(of, None, cx)?;
        if !matches!(of.ty, Type::Text { .. }) {
            self.no_text(&of, "starts with", what);
            return None;
        }
        let what = self.text_operand(what, cx)?;
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::StartsWith {
                of: Box::new(of),
                what: Box::new(what),
            },
        ))
    }

    fn text_operand(&mut self, e: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        let typed = self.expr(
            e,
            Some(Want {
                ty: &Type::TEXT,
                from: None,
            }),
            cx,
        )?;
        self.expect_type(typed, &Type::TEXT, None)
    }

    /// `contains` or `starts with` on something that is no text; of an enum the members that are
    /// meant are known.
    fn no_text(&mut self, of: &Expr, word: &str, what: &ast::Expr) {
        let text = self.text(of.span);
        let Msg { en, zh } = types::words(&of.ty);
        let mut finding = Finding::new(
            &catalog::TYPE_MISMATCH,
            of.span,
            if word == "contains" {
                msg!(
                    "`{text}` is {en}: `contains` needs a text or a set",
                    "`{text}` 是{zh}：`contains` 需要文本或集合"
                )
            } else {
                msg!(
                    "`{text}` is {en}: `starts with` needs a text",
                    "`{text}` 是{zh}：`starts with` 需要文本"
                )
            },
        );
        if let (Type::Enum(members), Some(part)) = (&of.ty, text_literal(what)) {
            let meant = |m: &&String| {
                if word == "contains" {
                    m.contains(part)
                } else {
                    m.starts_with(part)
                }
            };
            let list = members
                .members
                .iter()
                .filter(meant)
                .map(|m| quoted(m))
                .collect::<Vec<_>>();
            if !list.is_empty() && list.len() <= 20 {
                let list = format!("{} in [{}]", self.sources.slice(of.span), list.join(", "));
                finding = finding.fix(
                    msg!("name the members", "列出这些成员"),
                    of.span.to(what.span),
                    list,
                    false,
                );
            }
        }
        self.report(finding);
    }
}

fn is_yearly(of: &ast::Expr) -> bool {
    matches!(&*bare(of).kind, ast::ExprKind::Call { name, .. } if name.name == "yearly")
}

pub(super) fn date_literal(e: &ast::Expr) -> Option<Date> {
    match &*bare(e).kind {
        ast::ExprKind::Literal(ast::Literal {
            kind: ast::LiteralKind::Date(d),
            ..
        }) => Some(*d),
        _ => None,
    }
}
