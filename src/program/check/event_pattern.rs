//! Questions to a user's events: patterns, sequences and windows of time.

use super::check_expr::{Exprs, bare};
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{Date, Elapsed, Type};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::reserved::not_supported;
use crate::program::scope::{Symbol, nearest};
use crate::program::typed_expr::{
    Aggregate, EventPattern, EventQuery, EventSource, Expr, ExprKind, Length, OWN_FIELDS, OwnEvent,
    Sequence, Window,
};
use crate::program::types;
use crate::syntax::ast::{self, LiteralKind, Period, WindowKind};

/// The first argument of a question: the event, maybe a field of it, a condition, what must follow.
struct Subject<'e> {
    event: &'e ast::Ident,
    field: Option<&'e ast::Ident>,
    filter: Option<&'e ast::Expr>,
    then: &'e [ast::Then],
}

impl Exprs<'_> {
    pub fn event_query(
        &mut self,
        span: Span,
        what: Aggregate,
        name: &ast::Ident,
        args: &[ast::Arg],
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if let Some(row) = cx.row {
            self.only_fields(span, row);
            return None;
        }
        let Some((subject, rest)) = args
            .split_first()
            .and_then(|(first, rest)| Some((subject(first)?, rest)))
        else {
            self.wrong_arguments(name, span);
            return None;
        };
        let pattern = self.pattern(subject.event, subject.filter, cx);
        let source = pattern.as_ref().map(|p| p.source);
        let then = self.sequence(what, &subject, cx);
        let field = match source {
            Some(source) if then.is_some() => self.aggregated_field(what, name, &subject, source),
            _ => None,
        };
        let window = if what == Aggregate::Since {
            self.no_window(name, rest, span)
        } else {
            self.event_window(name, rest, span)
        };
        let (pattern, (field, ty), then, window) = (pattern?, field?, then?, window?);
        let query = EventQuery {
            what,
            pattern,
            field,
            then,
            window,
        };
        Some(self.node(span, ty, ExprKind::Event(Box::new(query))))
    }

    /// An event with its `where`.
    pub fn pattern(
        &mut self,
        event: &ast::Ident,
        filter: Option<&ast::Expr>,
        cx: &ExprContext<'_>,
    ) -> Option<EventPattern> {
        let Some(source) = self.event_source(event) else {
            self.unknown_event(event);
            return None;
        };
        let span = filter.map_or(event.span, |f| event.span.to(f.span));
        if let EventSource::Declared(id) = source
            && self
                .program
                .events
                .get(id.index())
                .is_some_and(|d| d.failed)
        {
            return None;
        }
        let inside = ExprContext {
            row: Some(source),
            step: None,
            ..*cx
        };
        let filter = match filter {
            Some(filter) => Some(self.condition(filter, &inside)?),
            None => None,
        };
        Some(EventPattern {
            span,
            source,
            filter,
        })
    }

    /// A pattern alone: of a campaign's `goal`, `on`, `unless`.
    pub fn event_pattern(
        &mut self,
        e: &ast::EventExpr,
        cx: &ExprContext<'_>,
    ) -> Option<EventPattern> {
        if let Some(field) = &e.field {
            let f = &field.name;
            self.report(Finding::new(
                &catalog::TYPE_MISMATCH,
                field.span,
                msg!(
                    "an event is expected here, not its field `{f}`",
                    "这里需要事件，而不是它的字段 `{f}`"
                ),
            ));
            return None;
        }
        if let Some(then) = e.then.first() {
            self.report(
                Finding::new(
                    &catalog::WRONG_ARGUMENTS,
                    then.span,
                    msg!("a sequence cannot stand here", "这里不能写事件序列"),
                )
                .help(msg!(
                    "sequences stand in `did(…)` and `count(…)`",
                    "序列只能写在 `did(…)` 和 `count(…)` 里"
                )),
            );
            return None;
        }
        self.pattern(&e.event, e.filter.as_ref(), cx)
    }

    fn unknown_event(&mut self, event: &ast::Ident) {
        let n = &event.name;
        let finding = match self.scope.get(n) {
            Some(entry) if entry.symbol == Symbol::Broken => return,
            Some(entry) => {
                let Msg { en, zh } = entry.symbol.words();
                let finding = Finding::new(
                    &catalog::TYPE_MISMATCH,
                    event.span,
                    msg!(
                        "`{n}` is {en}, an event is expected",
                        "`{n}` 是{zh}，这里需要事件"
                    ),
                );
                match entry.span {
                    Some(span) => finding.label(span, msg!("declared here", "在这里声明")),
                    None => finding,
                }
            }
            None => {
                let finding = Finding::new(
                    &catalog::UNKNOWN_NAME,
                    event.span,
                    msg!("no event is named `{n}`", "没有名为 `{n}` 的事件"),
                );
                let finding = self.suggest(finding, event, |s| matches!(s, Symbol::Event(_)));
                match nearest(n, OwnEvent::ALL.iter().map(|(_, name)| *name)) {
                    Some(near) if finding.fixes.is_empty() => finding.fix(
                        msg!("did you mean `{near}`", "是否想写 `{near}`"),
                        event.span,
                        near,
                        false,
                    ),
                    _ => finding,
                }
            }
        };
        self.report(finding);
    }

    /// The field that is asked for and the type of the answer.
    fn aggregated_field(
        &mut self,
        what: Aggregate,
        name: &ast::Ident,
        subject: &Subject<'_>,
        source: EventSource,
    ) -> Option<(Option<u16>, Type)> {
        let counted = Type::Int {
            lo: Some(0),
            hi: Some(u32::MAX.into()),
        };
        let plain = match what {
            Aggregate::Did => Some(Type::Bool),
            Aggregate::Count => Some(counted.clone()),
            Aggregate::Since => Some(Type::Elapsed),
            _ => None,
        };
        match (plain, subject.field) {
            (Some(ty), None) => Some((None, ty)),
            (Some(_), Some(field)) => {
                let (n, e, f) = (&name.name, &subject.event.name, &field.name);
                self.report(
                    Finding::new(
                        &catalog::WRONG_ARGUMENTS,
                        subject.event.span.to(field.span),
                        msg!(
                            "`{n}` asks for the event, not for its field `{f}`",
                            "`{n}` 问的是事件，而不是它的字段 `{f}`"
                        ),
                    )
                    .fix(
                        msg!("write `{e}`", "写作 `{e}`"),
                        subject.event.span.to(field.span),
                        e.as_str(),
                        false,
                    ),
                );
                None
            }
            (None, None) => {
                let (n, e) = (&name.name, &subject.event.name);
                let field = self.summable_field(source);
                self.report(
                    Finding::new(
                        &catalog::WRONG_ARGUMENTS,
                        subject.event.span,
                        msg!(
                            "`{n}` needs a field of `{e}`",
                            "`{n}` 需要 `{e}` 的一个字段"
                        ),
                    )
                    .help(msg!(
                        "write `{n}({e}.{field}, last 30 days)`",
                        "请写 `{n}({e}.{field}, last 30 days)`"
                    )),
                );
                None
            }
            (None, Some(field)) => {
                let (position, ty) = match source {
                    EventSource::Declared(id) => {
                        let (position, schema) = self.event_field(id, field)?;
                        (position, schema.ty.clone())
                    }
                    EventSource::Own(own) => (self.own_field(own, field)?, Type::TEXT),
                };
                let answer = match what {
                    Aggregate::Distinct => Some(counted),
                    Aggregate::First | Aggregate::Latest => Some(ty.clone()),
                    Aggregate::Min | Aggregate::Max => types::is_ordered(&ty).then(|| ty.clone()),
                    Aggregate::Sum => types::sum_of(&ty),
                    Aggregate::Avg | Aggregate::Did | Aggregate::Count | Aggregate::Since => {
                        types::mean_of(&ty)
                    }
                };
                let Some(answer) = answer else {
                    let (n, f) = (&name.name, &field.name);
                    let Msg { en, zh } = types::words(&ty);
                    self.report(Finding::new(
                        &catalog::TYPE_MISMATCH,
                        field.span,
                        msg!(
                            "`{f}` is {en}: `{n}` needs numbers",
                            "`{f}` 是{zh}：`{n}` 需要数值"
                        ),
                    ));
                    return None;
                };
                Some((Some(position), answer))
            }
        }
    }

    /// A field to name in an example.
    fn summable_field(&self, source: EventSource) -> &str {
        match source {
            EventSource::Declared(id) => {
                let fields = self
                    .program
                    .schema
                    .events
                    .get(id.index())
                    .map_or(&[][..], |e| &e.fields[..]);
                let numeric = fields
                    .iter()
                    .find(|f| matches!(f.ty, Type::Money | Type::Number | Type::Int { .. }));
                numeric
                    .or(fields.first())
                    .map_or("field", |f| f.name.as_str())
            }
            EventSource::Own(_) => "template",
        }
    }

    fn own_field(&mut self, own: OwnEvent, field: &ast::Ident) -> Option<u16> {
        let found = OWN_FIELDS
            .iter()
            .position(|f| *f == field.name)
            .and_then(|i| u16::try_from(i).ok());
        if found.is_none() {
            let name = own.name();
            let finding = super::names::unknown_field(
                self.scope,
                field,
                &msg!("event `{name}`", "事件 `{name}`"),
                OWN_FIELDS.iter().copied(),
            );
            self.report(finding);
        }
        found
    }

    /// `then purchase within 1h`; the outer `None` is an error.
    #[allow(
        clippy::option_option,
        reason = "a mistake is something else than nothing written"
    )]
    fn sequence(
        &mut self,
        what: Aggregate,
        subject: &Subject<'_>,
        cx: &ExprContext<'_>,
    ) -> Option<Option<Sequence>> {
        let [then, more @ ..] = subject.then else {
            return Some(None);
        };
        if let Some(more) = more.first() {
            self.report(not_supported("then … then", more.span));
            return None;
        }
        if !matches!(what, Aggregate::Did | Aggregate::Count) {
            self.report(
                Finding::new(
                    &catalog::WRONG_ARGUMENTS,
                    then.span,
                    msg!("a sequence cannot stand here", "这里不能写事件序列"),
                )
                .help(msg!(
                    "sequences stand in `did(…)` and `count(…)`",
                    "序列只能写在 `did(…)` 和 `count(…)` 里"
                )),
            );
            return None;
        }
        let next = self.pattern(&then.event, then.filter.as_ref(), cx);
        let within = self.length(&then.within, "within");
        Some(Some(Sequence {
            no: then.no,
            next: next?,
            within: within?,
        }))
    }

    // -------------------------------------------------------------- windows

    fn event_window(&mut self, name: &ast::Ident, rest: &[ast::Arg], span: Span) -> Option<Window> {
        match rest {
            [ast::Arg::Window(window)] => self.window(window, false),
            [] => {
                // Before the closing parenthesis.
                let end = Span {
                    start: span.end.saturating_sub(1),
                    end: span.end.saturating_sub(1),
                    ..span
                };
                let n = &name.name;
                self.report(
                    Finding::new(
                        &catalog::WRONG_WINDOW,
                        span,
                        msg!("`{n}` needs a window of time", "`{n}` 需要时间窗口"),
                    )
                    .fix(
                        msg!("the last 30 days", "最近 30 天"),
                        end,
                        ", last 30 days",
                        false,
                    )
                    .fix(
                        msg!("whenever it was", "不限时间"),
                        end,
                        ", ever",
                        false,
                    ),
                );
                None
            }
            [ast::Arg::Expr(e)] if is_duration(e) => {
                let (text, length) = match &*bare(e).kind {
                    ast::ExprKind::Literal(ast::Literal {
                        kind: LiteralKind::Number(d),
                        ..
                    }) => (self.text(e.span), format!("{d} days")),
                    ast::ExprKind::Literal(ast::Literal {
                        kind: LiteralKind::Distance(d, _),
                        ..
                    }) => (self.text(e.span), format!("{d}min")),
                    _ => (self.text(e.span), self.sources.slice(e.span).to_owned()),
                };
                self.report(
                    Finding::new(
                        &catalog::WRONG_WINDOW,
                        e.span,
                        msg!(
                            "`{text}` is a length, a window of time is expected",
                            "`{text}` 是时长，这里需要时间窗口"
                        ),
                    )
                    .fix(
                        msg!("write `last {length}`", "写作 `last {length}`"),
                        e.span,
                        format!("last {length}"),
                        false,
                    ),
                );
                None
            }
            [ast::Arg::Expr(e)] if matches!(&*e.kind, ast::ExprKind::Broken) => None,
            _ => {
                self.wrong_arguments(name, span);
                None
            }
        }
    }

    fn no_window(&mut self, name: &ast::Ident, rest: &[ast::Arg], span: Span) -> Option<Window> {
        if rest.is_empty() {
            return Some(Window::Ever);
        }
        self.wrong_arguments(name, span);
        None
    }

    /// `next` looks ahead: only where dates and instants lie, never where events are counted.
    pub fn window(&mut self, window: &ast::Window, ahead: bool) -> Option<Window> {
        match &window.kind {
            WindowKind::Last(literal) => self.window_length(literal, "last").map(Window::Last),
            WindowKind::Next(literal) => {
                let length = self.window_length(literal, "next")?;
                if ahead {
                    return Some(Window::Next(length));
                }
                self.report(Finding::new(
                    &catalog::WRONG_WINDOW,
                    window.span,
                    msg!(
                        "events of the future are not known: `next` is for dates",
                        "未来的事件无从知晓：`next` 只用于日期"
                    ),
                ));
                None
            }
            WindowKind::Today => Some(Window::Today),
            WindowKind::Yesterday => Some(Window::Yesterday),
            WindowKind::This(Period::Week) => Some(Window::ThisWeek),
            WindowKind::This(Period::Month) => Some(Window::ThisMonth),
            WindowKind::This(Period::Year) => Some(Window::ThisYear),
            WindowKind::Previous(Period::Week) => Some(Window::PreviousWeek),
            WindowKind::Previous(Period::Month) => Some(Window::PreviousMonth),
            WindowKind::Previous(Period::Year) => Some(Window::PreviousYear),
            WindowKind::Dates(lo, hi) => {
                let (from, to) = (self.date(lo, "a window"), self.date(hi, "a window"));
                let (from, to) = (from?, to?);
                self.ordered(from <= to, lo, hi)?;
                Some(Window::Dates(from, to))
            }
            WindowKind::Since(date) => self.date(date, "since").map(Window::Since),
            WindowKind::Ever => Some(Window::Ever),
        }
    }

    fn window_length(&mut self, literal: &ast::Literal, word: &str) -> Option<Length> {
        // What stands for a length that could not be read.
        if let LiteralKind::Bool(_) = literal.kind {
            return None;
        }
        let length = self.length_literal(literal, word)?;
        let positive = match length {
            Length::Elapsed(e) => e > Elapsed(0),
            Length::Calendar(c) => c.months > 0 || c.days > 0,
        };
        if positive {
            return Some(length);
        }
        let text = self.text(literal.span);
        self.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            literal.span,
            msg!(
                "a window of `{text}` holds nothing",
                "`{text}` 的窗口是空的"
            ),
        ));
        None
    }

    /// A constant date.
    pub fn date(&mut self, e: &ast::Expr, what: &str) -> Option<Date> {
        if let Some(date) = super::membership::date_literal(e) {
            return Some(date);
        }
        self.not_constant(e, what, &Type::Date, Some("2026-11-11"));
        None
    }
}

fn is_duration(e: &ast::Expr) -> bool {
    matches!(
        &*bare(e).kind,
        ast::ExprKind::Literal(ast::Literal {
            kind: LiteralKind::Calendar(..)
                | LiteralKind::Elapsed(..)
                | LiteralKind::Number(_)
                | LiteralKind::Distance(..),
            ..
        })
    )
}

/// `purchase`, `purchase.amount`, `purchase where …`.
fn subject(arg: &ast::Arg) -> Option<Subject<'_>> {
    match arg {
        ast::Arg::Expr(e) => match &*bare(e).kind {
            ast::ExprKind::Name(event) => Some(Subject {
                event,
                field: None,
                filter: None,
                then: &[],
            }),
            ast::ExprKind::Field { of, name } => match &*of.kind {
                ast::ExprKind::Name(event) => Some(Subject {
                    event,
                    field: Some(name),
                    filter: None,
                    then: &[],
                }),
                _ => None,
            },
            _ => None,
        },
        ast::Arg::Event(e) => Some(Subject {
            event: &e.event,
            field: e.field.as_ref(),
            filter: e.filter.as_ref(),
            then: &e.then,
        }),
        ast::Arg::Within(..) | ast::Arg::Window(_) => None,
    }
}
