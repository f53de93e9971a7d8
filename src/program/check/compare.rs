//! `== != < <= > >=`: which pairs of types they take, and what to write instead of the others.

use super::check_expr::{Exprs, Want, bare};
use super::check_literal::{beside, is_literal, quoted};
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Type, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::scope::Symbol;
use crate::program::typed_expr::{CompareOp, EventSource, Expr, ExprKind, OWN_FIELDS};
use crate::program::types;
use crate::syntax::ast;

impl Exprs<'_> {
    pub fn compare(
        &mut self,
        span: Span,
        op: ast::BinaryOp,
        op_span: Span,
        left: &ast::Expr,
        right: &ast::Expr,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        // `18 < age < 30` has been reported where it was read.
        if is_comparison(left) {
            return None;
        }
        if self.in_meant(op, op_span, right) {
            return None;
        }
        let op = compare_op(op)?;
        let (l, r) = if is_literal(left) && !is_literal(right) {
            let r = self.expr(right, None, cx)?;
            let l = self.other_side(left, right, &r, op, op_span, cx)?;
            (l, r)
        } else {
            let Some(l) = self.expr(left, None, cx) else {
                if !is_literal(right) {
                    self.expr(right, None, cx);
                }
                return None;
            };
            let r = self.other_side(right, left, &l, op, op_span, cx)?;
            (l, r)
        };
        let (l, r) = self.pair_numbers(l, r);
        self.own_field_value(&l, &r, cx);
        self.own_field_value(&r, &l, cx);
        let numbers = types::is_number(&l.ty) && types::is_number(&r.ty);
        if !numbers && !types::same_kind(&l.ty, &r.ty) {
            self.refuse_pair(&l, &r, op_span);
            return None;
        }
        Some(self.node(
            span,
            Type::Bool,
            ExprKind::Compare {
                op,
                left: Box::new(l),
                right: Box::new(r),
            },
        ))
    }

    /// A word in the place of a sign that may stand without blanks: `age==1..3`.
    fn spaced(&self, word: &str, sign: Span) -> String {
        let text = self.sources.text(sign.file);
        let touches = |before: Option<char>| before.is_some_and(|c| !c.is_whitespace());
        let before = text
            .get(..sign.start as usize)
            .and_then(|t| t.chars().next_back());
        let after = text.get(sign.end as usize..).and_then(|t| t.chars().next());
        let blank = |is: bool| if is { " " } else { "" };
        format!("{}{word}{}", blank(touches(before)), blank(touches(after)))
    }

    /// `age == 18..30`, `region == ["a", "b"]`.
    fn in_meant(&mut self, op: ast::BinaryOp, op_span: Span, right: &ast::Expr) -> bool {
        let word = match (op, &*bare(right).kind) {
            (ast::BinaryOp::Eq, ast::ExprKind::Range(..) | ast::ExprKind::List(_)) => "in",
            (ast::BinaryOp::Ne, ast::ExprKind::Range(..) | ast::ExprKind::List(_)) => "not in",
            _ => return false,
        };
        let sign = self.text(op_span);
        let right_text = self.text(right.span);
        self.report(
            Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!(
                    "`{sign}` compares with one value, not with `{right_text}`",
                    "`{sign}` 只与一个值比较，不能与 `{right_text}` 比较"
                ),
            )
            .fix(
                msg!("write `{word}`", "写作 `{word}`"),
                op_span,
                self.spaced(word, op_span),
                false,
            ),
        );
        true
    }

    /// The other side of a comparison with `known`; a literal takes its type. First of all `known`
    /// must be something that this operator compares.
    fn other_side(
        &mut self,
        e: &ast::Expr,
        known_ast: &ast::Expr,
        known: &Expr,
        op: CompareOp,
        op_span: Span,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if !is_literal(e) {
            let typed = self.expr(e, None, cx)?;
            self.comparable(known, op, op_span)?;
            return Some(typed);
        }
        if self.set_meant(known, e, known_ast) {
            return None;
        }
        self.comparable(known, op, op_span)?;
        if let Some(texts) = member_texts(known)
            && let Some(text) = super::check_expr::text_literal(e)
            && !texts.iter().any(|t| t == text)
        {
            self.unlikely_text(text, e.span, &texts);
            return None;
        }
        let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        self.expr(
            e,
            Some(Want {
                ty: &beside(known, equality),
                from: Some(known.span),
            }),
            cx,
        )
    }

    /// `interests == "beauty"`.
    fn set_meant(&mut self, set: &Expr, item: &ast::Expr, set_ast: &ast::Expr) -> bool {
        if !matches!(set.ty, Type::Set(_)) {
            return false;
        }
        let (name, item_text) = (self.text(set.span), self.text(item.span));
        let whole = set_ast.span.to(item.span);
        let text = format!(
            "{} contains {}",
            self.sources.slice(set.span),
            self.sources.slice(item.span)
        );
        self.report(
            Finding::new(
                &catalog::TYPE_MISMATCH,
                whole,
                msg!(
                    "`{name}` is a set, `{item_text}` a single value",
                    "`{name}` 是集合，`{item_text}` 是单个值"
                ),
            )
            .fix(
                msg!("ask whether it contains the value", "改为判断是否包含该值"),
                whole,
                text,
                false,
            ),
        );
        true
    }

    /// Whether the operator takes values of this type at all.
    fn comparable(&mut self, e: &Expr, op: CompareOp, op_span: Span) -> Option<()> {
        let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        let text = self.text(e.span);
        let Msg { en, zh } = types::words(&e.ty);
        let sign = self.text(op_span);
        let finding = match &e.ty {
            ty if types::is_ordered(ty) => return Some(()),
            Type::Bool | Type::Enum(_) if equality => return Some(()),
            Type::Enum(_) => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!(
                    "the members of `{text}` have no order, so no `{sign}`",
                    "`{text}` 的成员没有大小之分，不能用 `{sign}`"
                ),
            )
            .help(msg!(
                "list the members that are meant: `{text} in [\"…\", \"…\"]`",
                "请列出所指的成员：`{text} in [\"…\", \"…\"]`"
            )),
            Type::Bool => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!(
                    "`{text}` is true or false and has no order",
                    "`{text}` 只有真假，没有大小之分"
                ),
            ),
            Type::Place => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!("places are not compared", "地点不能比较"),
            )
            .help(msg!(
                "compare a distance: `distance({text}, …) < 3km`",
                "请比较距离：`distance({text}, …) < 3km`"
            )),
            Type::Set(_) => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!("sets are not compared", "集合不能比较"),
            )
            .help(msg!(
                "ask for members: `{text} contains all […]`",
                "请判断元素：`{text} contains all […]`"
            )),
            Type::Address(_) => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!("addresses are not compared", "地址不能比较"),
            )
            .help(msg!(
                "ask whether there is one: `{text} is known`",
                "请判断是否存在：`{text} is known`"
            )),
            Type::Calendar
            | Type::Int { .. }
            | Type::Number
            | Type::Ratio
            | Type::Money
            | Type::Text { .. }
            | Type::Date
            | Type::Time
            | Type::Instant
            | Type::Elapsed
            | Type::Distance => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!(
                    "`{text}` is {en}, which is not compared",
                    "`{text}` 是{zh}，不能比较"
                ),
            ),
        };
        self.report(finding);
        None
    }

    /// Two values of types that are never compared.
    fn refuse_pair(&mut self, l: &Expr, r: &Expr, op_span: Span) {
        let (left, right) = (self.text(l.span), self.text(r.span));
        let Msg { en: l_en, zh: l_zh } = types::words(&l.ty);
        let Msg { en: r_en, zh: r_zh } = types::words(&r.ty);
        let message = match (&l.ty, &r.ty) {
            (Type::Enum(_), Type::Enum(_)) => {
                msg!(
                    "`{left}` and `{right}` are enums with different members",
                    "`{left}` 与 `{right}` 是成员不同的枚举"
                )
            }
            _ => msg!(
                "`{left}` is {l_en} and `{right}` is {r_en}: they are not compared",
                "`{left}` 是{l_zh}，`{right}` 是{r_zh}：两者不能比较"
            ),
        };
        let mut finding = Finding::new(&catalog::TYPE_MISMATCH, op_span, message)
            .label(l.span, msg!("{l_en}", "{l_zh}"))
            .label(r.span, msg!("{r_en}", "{r_zh}"));
        finding = match (&l.ty, &r.ty) {
            (Type::Bool, _) => {
                finding.help(msg!("a condition stands by itself: `{left}` or `not {left}`", "条件可直接使用：`{left}` 或 `not {left}`"))
            }
            (Type::Elapsed, Type::Calendar) | (Type::Calendar, Type::Elapsed) => finding.help(msg!(
                "elapsed time (`72h`) is the same on every day, calendar time (`3 days`) follows the calendar",
                "时长（`72h`）每天都一样长，日历时长（`3 days`）随日历变化"
            )),
            (Type::Date, Type::Instant) | (Type::Instant, Type::Date) => {
                finding.help(msg!("`days(a, b)` counts the days between a date and an instant", "`days(a, b)` 可计算日期与时刻之间的天数"))
            }
            _ => finding,
        };
        self.report(finding);
    }

    /// A name that the messages of this program never carry, compared with `campaign` or `template`
    /// of an own event.
    fn own_field_value(&mut self, field: &Expr, value: &Expr, cx: &ExprContext<'_>) {
        let (Some(EventSource::Own(_)), ExprKind::RowField(i), ExprKind::Const(Value::Text(name))) =
            (cx.row, &field.kind, &value.kind)
        else {
            return;
        };
        let is_wanted: fn(Symbol) -> bool = match OWN_FIELDS.get(usize::from(*i)) {
            Some(&"campaign") => |s| matches!(s, Symbol::Campaign(_)),
            Some(&"template") => |s| matches!(s, Symbol::Template(_)),
            _ => return,
        };
        if self
            .scope
            .get(name)
            .is_some_and(|e| is_wanted(e.symbol) || e.symbol == Symbol::Broken)
        {
            return;
        }
        let field = OWN_FIELDS.get(usize::from(*i)).copied().unwrap_or_default();
        let mut finding = Finding::new(
            &catalog::UNKNOWN_CAMPAIGN,
            value.span,
            msg!(
                "no {field} of this program is named `{name}`: only messages of an earlier program can match",
                "本程序没有名为 `{name}` 的 {field}：只可能匹配以前程序发出的消息"
            ),
        );
        if let Some(near) = self.scope.nearest(name, is_wanted) {
            finding = finding.fix(
                msg!("did you mean `{near}`", "是否想写 `{near}`"),
                value.span,
                quoted(near),
                false,
            );
        }
        self.report(finding);
    }

    /// `(region ?? "nowhere") == "Shanghia"`: neither a member nor the fallback.
    fn unlikely_text(&mut self, text: &str, span: Span, texts: &[String]) {
        let finding = Finding::new(
            &catalog::UNKNOWN_MEMBER,
            span,
            msg!(
                "`{text}` is neither a member nor the fallback, so it never matches",
                "`{text}` 既不是成员也不是默认值，永远不会匹配"
            ),
        );
        let finding = match self
            .scope
            .nearest_of(text, texts.iter().map(String::as_str))
        {
            Some(near) => finding.fix(
                msg!("did you mean `{near}`", "是否想写 `{near}`"),
                span,
                quoted(near),
                false,
            ),
            None => finding,
        };
        self.report(finding);
    }

    /// An int constant beside a number is a number.
    fn pair_numbers(&self, l: Expr, r: Expr) -> (Expr, Expr) {
        match (&l.ty, &r.ty) {
            (Type::Int { .. }, Type::Number) if matches!(l.kind, ExprKind::Const(_)) => {
                (self.as_number(l), r)
            }
            (Type::Number, Type::Int { .. }) if matches!(r.kind, ExprKind::Const(_)) => {
                let r = self.as_number(r);
                (l, r)
            }
            _ => (l, r),
        }
    }
}

fn is_comparison(e: &ast::Expr) -> bool {
    matches!(&*e.kind, ast::ExprKind::Binary { op, .. } if compare_op(*op).is_some())
}

fn compare_op(op: ast::BinaryOp) -> Option<CompareOp> {
    match op {
        ast::BinaryOp::Eq => Some(CompareOp::Eq),
        ast::BinaryOp::Ne => Some(CompareOp::Ne),
        ast::BinaryOp::Lt => Some(CompareOp::Lt),
        ast::BinaryOp::Le => Some(CompareOp::Le),
        ast::BinaryOp::Gt => Some(CompareOp::Gt),
        ast::BinaryOp::Ge => Some(CompareOp::Ge),
        ast::BinaryOp::Or
        | ast::BinaryOp::Except
        | ast::BinaryOp::And
        | ast::BinaryOp::Coalesce
        | ast::BinaryOp::Add
        | ast::BinaryOp::Sub
        | ast::BinaryOp::Mul
        | ast::BinaryOp::Div
        | ast::BinaryOp::Mod => None,
    }
}

/// Of `enum ?? "other"`: the texts that it can be.
fn member_texts(e: &Expr) -> Option<Vec<String>> {
    let ExprKind::Coalesce(left, right) = &e.kind else {
        return None;
    };
    let (ExprKind::MemberName(member), ExprKind::Const(Value::Text(fallback))) =
        (&left.kind, &right.kind)
    else {
        return None;
    };
    let Type::Enum(of) = &member.ty else {
        return None;
    };
    Some(
        of.members
            .iter()
            .cloned()
            .chain([fallback.to_string()])
            .collect(),
    )
}
