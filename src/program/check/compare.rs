//! Comparisons, `in`, `contains`, `starts with`: which pairs of types they take, and what to write instead of the others.

use std::collections::HashMap;

use super::ExprContext;
use super::expr::{Exprs, Want, bare};
use super::literal::{is_literal, quoted};
use crate::base::{Date, TimeOfDay, Type, Value};
use crate::diag::{Finding, Msg, Span, catalog};
use crate::msg;
use crate::program::expr::{CompareOp, EventSource, Expr, ExprKind, Function, OWN_FIELDS, SetMode, Window};
use crate::program::scope::Symbol;
use crate::program::types;
use crate::syntax::ast;

impl Exprs<'_> {
    // -------------------------------------------------------------- == != < <= > >=

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
        if !types::same_kind(&l.ty, &r.ty) && !(types::is_number(&l.ty) && types::is_number(&r.ty)) {
            self.refuse_pair(&l, &r, op_span);
            return None;
        }
        Some(self.node(span, Type::Bool, ExprKind::Compare { op, left: Box::new(l), right: Box::new(r) }))
    }

    /// A word in the place of a sign that may stand without blanks: `age==1..3`.
    fn spaced(&self, word: &str, sign: Span) -> String {
        let text = self.sources.text(sign.file);
        let touches = |before: Option<char>| before.is_some_and(|c| !c.is_whitespace());
        let before = text.get(..sign.start as usize).and_then(|t| t.chars().next_back());
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
                msg!("`{sign}` compares with one value, not with `{right_text}`", "`{sign}` 只与一个值比较，不能与 `{right_text}` 比较"),
            )
            .fix(msg!("write `{word}`", "写作 `{word}`"), op_span, self.spaced(word, op_span), false),
        );
        true
    }

    /// The other side of a comparison with `known`; a literal takes its type. First of all `known` must be something that this operator compares.
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
            && let Some(text) = super::expr::text_literal(e)
            && !texts.iter().any(|t| t == text)
        {
            self.unlikely_text(text, e.span, &texts);
            return None;
        }
        self.expr(e, Some(Want { ty: &known.ty, from: Some(known.span) }), cx)
    }

    /// `interests == "beauty"`.
    fn set_meant(&mut self, set: &Expr, item: &ast::Expr, set_ast: &ast::Expr) -> bool {
        if !matches!(set.ty, Type::Set(_)) {
            return false;
        }
        let (name, item_text) = (self.text(set.span), self.text(item.span));
        let whole = set_ast.span.to(item.span);
        let text = format!("{} contains {}", self.sources.slice(set.span), self.sources.slice(item.span));
        self.report(
            Finding::new(
                &catalog::TYPE_MISMATCH,
                whole,
                msg!("`{name}` is a set, `{item_text}` a single value", "`{name}` 是集合，`{item_text}` 是单个值"),
            )
            .fix(msg!("ask whether it contains the value", "改为判断是否包含该值"), whole, text, false),
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
                msg!("the members of `{text}` have no order, so no `{sign}`", "`{text}` 的成员没有大小之分，不能用 `{sign}`"),
            )
            .help(msg!("list the members that are meant: `{text} in [\"…\", \"…\"]`", "请列出所指的成员：`{text} in [\"…\", \"…\"]`")),
            Type::Bool => Finding::new(
                &catalog::TYPE_MISMATCH,
                op_span,
                msg!("`{text}` is true or false and has no order", "`{text}` 只有真假，没有大小之分"),
            ),
            Type::Place => Finding::new(&catalog::TYPE_MISMATCH, op_span, msg!("places are not compared", "地点不能比较"))
                .help(msg!("compare a distance: `distance({text}, …) < 3km`", "请比较距离：`distance({text}, …) < 3km`")),
            Type::Set(_) => Finding::new(&catalog::TYPE_MISMATCH, op_span, msg!("sets are not compared", "集合不能比较"))
                .help(msg!("ask for members: `{text} contains all […]`", "请判断元素：`{text} contains all […]`")),
            Type::Address(_) => Finding::new(&catalog::TYPE_MISMATCH, op_span, msg!("addresses are not compared", "地址不能比较"))
                .help(msg!("ask whether there is one: `{text} is known`", "请判断是否存在：`{text} is known`")),
            _ => {
                Finding::new(&catalog::TYPE_MISMATCH, op_span, msg!("`{text}` is {en}, which is not compared", "`{text}` 是{zh}，不能比较"))
            }
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
                msg!("`{left}` and `{right}` are enums with different members", "`{left}` 与 `{right}` 是成员不同的枚举")
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

    /// A name that the messages of this program never carry, compared with `campaign` or `template` of an own event.
    fn own_field_value(&mut self, field: &Expr, value: &Expr, cx: &ExprContext<'_>) {
        let (Some(EventSource::Own(_)), ExprKind::RowField(i), ExprKind::Const(Value::Text(name))) = (cx.row, &field.kind, &value.kind)
        else {
            return;
        };
        let is_wanted: fn(Symbol) -> bool = match OWN_FIELDS.get(usize::from(*i)) {
            Some(&"campaign") => |s| matches!(s, Symbol::Campaign(_)),
            Some(&"template") => |s| matches!(s, Symbol::Template(_)),
            _ => return,
        };
        if self.scope.get(name).is_some_and(|e| is_wanted(e.symbol) || e.symbol == Symbol::Broken) {
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
            finding = finding.fix(msg!("did you mean `{near}`", "是否想写 `{near}`"), value.span, quoted(near), false);
        }
        self.report(finding);
    }

    /// `(region ?? "nowhere") == "Shanghia"`: neither a member nor the fallback.
    fn unlikely_text(&mut self, text: &str, span: Span, texts: &[String]) {
        let finding = Finding::new(
            &catalog::UNKNOWN_MEMBER,
            span,
            msg!("`{text}` is neither a member nor the fallback, so it never matches", "`{text}` 既不是成员也不是默认值，永远不会匹配"),
        );
        let finding = match self.scope.nearest_of(text, texts.iter().map(String::as_str)) {
            Some(near) => finding.fix(msg!("did you mean `{near}`", "是否想写 `{near}`"), span, quoted(near), false),
            None => finding,
        };
        self.report(finding);
    }

    /// An int constant beside a number is a number.
    fn pair_numbers(&self, l: Expr, r: Expr) -> (Expr, Expr) {
        match (&l.ty, &r.ty) {
            (Type::Int { .. }, Type::Number) if matches!(l.kind, ExprKind::Const(_)) => (self.as_number(l), r),
            (Type::Number, Type::Int { .. }) if matches!(r.kind, ExprKind::Const(_)) => {
                let r = self.as_number(r);
                (l, r)
            }
            _ => (l, r),
        }
    }

    // -------------------------------------------------------------- in

    pub fn membership(&mut self, span: Span, of: &ast::Expr, set: &ast::InSet, cx: &ExprContext<'_>) -> Option<Expr> {
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

    fn in_range(&mut self, span: Span, of: Expr, lo: &ast::Expr, hi: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        // Whole days of an instant: from the first moment of the first day to the last moment of the last.
        if of.ty == Type::Instant
            && let (Some(from), Some(to)) = (date_literal(lo), date_literal(hi))
        {
            self.ordered(from <= to, lo, hi)?;
            let zone = self.program.policy.zone;
            let end = crate::base::Instant(zone.start_of(to.plus_days(1)).0.saturating_sub(1));
            let lo = self.constant(lo.span, Type::Instant, Value::Instant(zone.start_of(from)));
            let hi = self.constant(hi.span, Type::Instant, Value::Instant(end));
            return Some(self.node(span, Type::Bool, ExprKind::InRange { of: Box::new(of), lo: Box::new(lo), hi: Box::new(hi) }));
        }
        if !types::is_ordered(&of.ty) {
            let text = self.text(of.span);
            let Msg { en, zh } = types::words(&of.ty);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    lo.span.to(hi.span),
                    msg!("`{text}` is {en}, which has no ranges", "`{text}` 是{zh}，没有区间"),
                )
                .help(msg!("list the values: `in [a, b]`", "请列出各值：`in [a, b]`")),
            );
            return None;
        }
        let mut end = |e: &ast::Expr| {
            let typed = self.expr(e, Some(Want { ty: &of.ty, from: Some(of.span) }), cx)?;
            if types::same_kind(&typed.ty, &of.ty) || (types::is_number(&typed.ty) && types::is_number(&of.ty)) {
                return Some(typed);
            }
            self.mismatch(e.span, &typed.ty, &of.ty, Some(of.span));
            None
        };
        let (low, high) = (end(lo), end(hi));
        let (low, high) = (low?, high?);
        if let (ExprKind::Const(a), ExprKind::Const(b)) = (&low.kind, &high.kind) {
            self.ordered(less_or_equal(a, b), lo, hi)?;
        }
        Some(self.node(span, Type::Bool, ExprKind::InRange { of: Box::new(of), lo: Box::new(low), hi: Box::new(high) }))
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
            msg!("nothing lies from `{low}` to `{high}`: the smaller end comes first", "从 `{low}` 到 `{high}` 没有值：小的一端写在前面"),
        )
        .fix(msg!("swap them: `{high}..{low}`", "交换两者：`{high}..{low}`"), lo.span.to(hi.span), format!("{high}..{low}"), false);
        let finding = match (&*bare(lo).kind, &*bare(hi).kind) {
            (ast::ExprKind::Literal(a), ast::ExprKind::Literal(b))
                if matches!((&a.kind, &b.kind), (ast::LiteralKind::Time(_), ast::LiteralKind::Time(_))) =>
            {
                finding.help(msg!("across midnight write `t >= {low} or t <= {high}`", "跨越午夜请写 `t >= {low} or t <= {high}`"))
            }
            _ => finding,
        };
        self.report(finding);
        None
    }

    fn in_list(&mut self, span: Span, of: Expr, items: &[ast::Expr], list: Span, cx: &ExprContext<'_>) -> Option<Expr> {
        if let Type::Set(_) = of.ty {
            let text = self.text(of.span);
            let list_text = self.sources.slice(list);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    of.span,
                    msg!("`{text}` is a set: `in` asks for a single value", "`{text}` 是集合：`in` 判断的是单个值"),
                )
                .fix(
                    msg!("ask whether it contains any of them", "改为判断是否包含其中任意一个"),
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
                msg!("`{text}` is {en}, which is not looked for in lists", "`{text}` 是{zh}，不能在列表中查找"),
            ));
            return None;
        }
        let values = self.list_values(items, list, &of, cx)?;
        Some(self.node(span, Type::Bool, ExprKind::InList { of: Box::new(of), list: values }))
    }

    /// The constants of a list, in the type of `of` (or, for a set, of its members).
    fn list_values(&mut self, items: &[ast::Expr], list: Span, of: &Expr, cx: &ExprContext<'_>) -> Option<Vec<Value>> {
        if items.is_empty() {
            self.report(Finding::new(&catalog::EMPTY_RANGE, list, msg!("an empty list matches nothing", "空列表什么也不匹配")));
            return None;
        }
        let ty = if let Type::Set(of) = &of.ty { of } else { &of.ty };
        // A long list of a large enum: members are found by hash.
        let codes: HashMap<&str, u16> = match ty {
            Type::Enum(e) if items.len() > 32 => e.members.iter().zip(0u16..).map(|(m, code)| (m.as_str(), code)).collect(),
            _ => HashMap::new(),
        };
        let values: Vec<Option<Value>> = items
            .iter()
            .map(|item| match super::expr::text_literal(item).and_then(|text| codes.get(text)) {
                Some(code) => Some(Value::Enum(*code)),
                None => self.list_item(item, ty, of.span, cx),
            })
            .collect();
        values.into_iter().collect()
    }

    fn list_item(&mut self, item: &ast::Expr, ty: &Type, from: Span, cx: &ExprContext<'_>) -> Option<Value> {
        let typed = self.expr(item, Some(Want { ty, from: Some(from) }), cx)?;
        let typed = match (&typed.ty, ty) {
            // `age in [1.5]`: beside an int a fraction is a number; it equals none of them, but it is no mistake of types.
            (Type::Number, Type::Int { .. }) => typed,
            _ => self.expect_type(typed, ty, Some(from))?,
        };
        match typed.kind {
            ExprKind::Const(value) => Some(value),
            _ => {
                let text = self.text(item.span);
                self.report(
                    Finding::new(
                        &catalog::CONSTANT_EXPECTED,
                        item.span,
                        msg!("`{text}` is not a constant: a list holds constants only", "`{text}` 不是常量：列表只能包含常量"),
                    )
                    .help(msg!("compare with it: `x == {text} or x in […]`", "请与它比较：`x == {text} or x in […]`")),
                );
                None
            }
        }
    }

    /// `"beauty" in interests`, and what people write after `in` by mistake.
    fn in_value(&mut self, span: Span, of: &ast::Expr, set: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        if let ast::ExprKind::Name(name) = &*bare(set).kind
            && cx.row.is_none()
            && let Some(Symbol::List(_) | Symbol::Audience(_)) = self.scope.get(&name.name).map(|e| e.symbol)
        {
            let n = self.text(name.span);
            self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    span,
                    msg!("`{n}` is a condition by its name: nothing stands before it", "`{n}` 本身就是条件：前面不必写别的"),
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
        Some(self.node(span, Type::Bool, ExprKind::SetContains { set: Box::new(set), mode: SetMode::One, items: vec![item] }))
    }

    /// `signup in last 7 days`, `yearly(birthday) in next 7 days`.
    fn in_window(&mut self, span: Span, of: &ast::Expr, window: &ast::Window, cx: &ExprContext<'_>) -> Option<Expr> {
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
        let fits = if yearly { of.ty == Type::Date } else { matches!(of.ty, Type::Date | Type::Instant) };
        if !fits {
            let text = self.text(of.span);
            let Msg { en, zh } = types::words(&of.ty);
            self.report(Finding::new(
                &catalog::TYPE_MISMATCH,
                of.span,
                if yearly {
                    msg!("`{text}` is {en}, `yearly` needs a date", "`{text}` 是{zh}，`yearly` 需要日期")
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
                msg!("a day that comes round every year is always in `ever`", "每年都来的日子总在 `ever` 里"),
            ));
            return None;
        }
        Some(self.node(span, Type::Bool, ExprKind::InWindow { of: Box::new(of), window, yearly }))
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
                    .fix(msg!("any of them", "其中任意一个"), what.span, format!("any {text}"), false)
                    .fix(msg!("all of them", "全部"), what.span, format!("all {text}"), false),
                );
                return None;
            }
            (ast::ContainsMode::Any | ast::ContainsMode::All, None) => {
                let text = self.sources.slice(what.span);
                self.report(
                    Finding::new(
                        &catalog::TYPE_MISMATCH,
                        what.span,
                        msg!("a list is expected after `any` and `all`", "`any` 和 `all` 后要写列表"),
                    )
                    .fix(msg!("write `[{text}]`", "写作 `[{text}]`"), what.span, format!("[{text}]"), false),
                );
                return None;
            }
        };
        match (&of.ty, list) {
            (Type::Set(member), None) => {
                let item = self.list_item(what, member, of.span, cx)?;
                Some(self.node(span, Type::Bool, ExprKind::SetContains { set: Box::new(of), mode, items: vec![item] }))
            }
            (Type::Set(_), Some(items)) => {
                let items = self.list_values(items, what.span, &of, cx)?;
                Some(self.node(span, Type::Bool, ExprKind::SetContains { set: Box::new(of), mode, items }))
            }
            (Type::Text { .. }, None) => {
                let what = self.text_operand(what, cx)?;
                Some(self.node(span, Type::Bool, ExprKind::TextContains { of: Box::new(of), what: Box::new(what) }))
            }
            (Type::Text { .. }, Some(items)) => {
                let parts: Vec<Option<Expr>> = items
                    .iter()
                    .map(|item| {
                        let what = Box::new(self.text_operand(item, cx)?);
                        Some(self.node(span, Type::Bool, ExprKind::TextContains { of: Box::new(of.clone()), what }))
                    })
                    .collect();
                let op = if mode == SetMode::All { ast::BinaryOp::And } else { ast::BinaryOp::Or };
                self.join_chain(parts.into_iter().collect::<Option<Vec<_>>>()?, op)
            }
            _ => {
                self.no_text(&of, "contains", what);
                None
            }
        }
    }

    pub fn starts_with(&mut self, span: Span, of: &ast::Expr, what: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        let of = self.expr(of, None, cx)?;
        if !matches!(of.ty, Type::Text { .. }) {
            self.no_text(&of, "starts with", what);
            return None;
        }
        let what = self.text_operand(what, cx)?;
        Some(self.node(span, Type::Bool, ExprKind::StartsWith { of: Box::new(of), what: Box::new(what) }))
    }

    fn text_operand(&mut self, e: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
        let typed = self.expr(e, Some(Want { ty: &Type::TEXT, from: None }), cx)?;
        self.expect_type(typed, &Type::TEXT, None)
    }

    /// `contains` or `starts with` on something that is no text; of an enum the members that are meant are known.
    fn no_text(&mut self, of: &Expr, word: &str, what: &ast::Expr) {
        let text = self.text(of.span);
        let Msg { en, zh } = types::words(&of.ty);
        let mut finding = Finding::new(
            &catalog::TYPE_MISMATCH,
            of.span,
            if word == "contains" {
                msg!("`{text}` is {en}: `contains` needs a text or a set", "`{text}` 是{zh}：`contains` 需要文本或集合")
            } else {
                msg!("`{text}` is {en}: `starts with` needs a text", "`{text}` 是{zh}：`starts with` 需要文本")
            },
        );
        if let (Type::Enum(members), Some(part)) = (&of.ty, super::expr::text_literal(what)) {
            let meant = |m: &&String| if word == "contains" { m.contains(part) } else { m.starts_with(part) };
            let list = members.members.iter().filter(meant).map(|m| quoted(m)).collect::<Vec<_>>();
            if !list.is_empty() && list.len() <= 20 {
                let list = format!("{} in [{}]", self.sources.slice(of.span), list.join(", "));
                finding = finding.fix(msg!("name the members", "列出这些成员"), of.span.to(what.span), list, false);
            }
        }
        self.report(finding);
    }
}

fn is_yearly(of: &ast::Expr) -> bool {
    matches!(&*bare(of).kind, ast::ExprKind::Call { name, .. } if name.name == "yearly")
}

fn is_comparison(e: &ast::Expr) -> bool {
    matches!(&*e.kind, ast::ExprKind::Binary { op, .. } if compare_op(*op).is_some())
}

pub(super) fn date_literal(e: &ast::Expr) -> Option<Date> {
    match &*bare(e).kind {
        ast::ExprKind::Literal(ast::Literal { kind: ast::LiteralKind::Date(d), .. }) => Some(*d),
        _ => None,
    }
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

/// The order of two constants of one type; true where there is none.
fn less_or_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) | (Value::Money(a), Value::Money(b)) => a <= b,
        (Value::Number(a), Value::Number(b)) | (Value::Distance(a), Value::Distance(b)) => a <= b,
        (Value::Int(a), Value::Number(b)) => *a as f64 <= *b,
        (Value::Number(a), Value::Int(b)) => *a <= *b as f64,
        (Value::Ratio(a), Value::Ratio(b)) => a <= b,
        (Value::Text(a), Value::Text(b)) => a <= b,
        (Value::Date(a), Value::Date(b)) => a <= b,
        (Value::Time(TimeOfDay(a)), Value::Time(TimeOfDay(b))) => a <= b,
        (Value::Instant(a), Value::Instant(b)) => a <= b,
        (Value::Elapsed(a), Value::Elapsed(b)) => a <= b,
        _ => true,
    }
}

/// Of `enum ?? "other"`: the texts that it can be.
fn member_texts(e: &Expr) -> Option<Vec<String>> {
    let ExprKind::Coalesce(left, right) = &e.kind else { return None };
    let (ExprKind::Call { function: Function::Text, args }, ExprKind::Const(Value::Text(fallback))) = (&left.kind, &right.kind) else {
        return None;
    };
    let Type::Enum(of) = &args.first()?.ty else { return None };
    Some(of.members.iter().cloned().chain([fallback.to_string()]).collect())
}
