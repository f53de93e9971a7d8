//! Names and fields: what stands behind a word of an expression, and what was probably meant by one
//! that nothing stands behind.

use super::check_expr::Exprs;
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{EventId, FieldSchema, TagId, Type, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::builtins::builtin;
use crate::program::definedness::{Definedness, can_be_missing};
use crate::program::reserved::not_supported;
use crate::program::scope::{Scope, Symbol};
use crate::program::typed::Declared;
use crate::program::typed_expr::{EventSource, Expr, ExprKind, OWN_FIELDS, OwnEvent, StepOutcome};
use crate::syntax::ast;
use crate::syntax::keyword::glued_prefix;

impl Exprs<'_> {
    pub fn name(&mut self, name: &ast::Ident, cx: &ExprContext<'_>) -> Option<Expr> {
        if let Some(row) = cx.row {
            return self.row_field(name, row);
        }
        if let Some(step) = cx.step
            && let Some(outcome) = step_outcome(&name.name)
        {
            return Some(self.node(
                name.span,
                Type::Bool,
                ExprKind::StepOutcome { step, outcome },
            ));
        }
        let program = self.program;
        let Some(entry) = self.scope.get(&name.name) else {
            self.unknown_value(name, cx);
            return None;
        };
        let failed = |d: Option<&Declared>| d.is_none_or(|d| d.failed);
        match entry.symbol {
            Symbol::Tag(id) => self.tag(id, name.span, cx.present),
            Symbol::Partition(id) => {
                let partition = program
                    .partitions
                    .get(id.index())
                    .filter(|p| !p.declared.failed)?;
                let mut e = self.node(name.span, partition.ty.clone(), ExprKind::Partition(id));
                e.optional &= cx.present.is_none_or(|p| !p.partitions.contains(&id));
                Some(e)
            }
            Symbol::Audience(id) => {
                let audience = program
                    .audiences
                    .get(id.index())
                    .filter(|a| !a.declared.failed)?;
                let mut e = self.node(name.span, Type::Bool, ExprKind::Audience(id));
                if let (true, Some(present)) = (e.optional, cx.present) {
                    e.optional = !can_be_missing(program, &audience.when, present).is_empty();
                }
                Some(e)
            }
            Symbol::List(id) => {
                if failed(program.lists.get(id.index()).map(|l| &l.declared)) {
                    return None;
                }
                Some(self.node(name.span, Type::Bool, ExprKind::List(id)))
            }
            Symbol::Place(i) => {
                let place = program.places.get(i).filter(|p| !p.declared.failed)?;
                Some(self.constant(name.span, Type::Place, Value::Place(place.place)))
            }
            Symbol::Event(_) => {
                self.report(self.event_as_value(name));
                None
            }
            Symbol::Lookup(id) => {
                let lookup = program
                    .lookups
                    .get(id.index())
                    .filter(|l| !l.declared.failed)?;
                let (key, field) = (&lookup.keys, &lookup.fields);
                let keys = key
                    .iter()
                    .map(|k| k.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", ");
                let field = field.first().map_or("field", |f| &f.name);
                let n = &name.name;
                self.report(
                    Finding::new(
                        &catalog::TYPE_MISMATCH,
                        name.span,
                        msg!("`{n}` is a lookup, not a value", "`{n}` 是查表，不是值"),
                    )
                    .help(msg!(
                        "write `{n}({keys}).{field}`",
                        "请写 `{n}({keys}).{field}`"
                    )),
                );
                None
            }
            symbol @ (Symbol::Account(_) | Symbol::Template(_) | Symbol::Campaign(_)) => {
                let (n, Msg { en, zh }) = (&name.name, symbol.words());
                let mut finding = Finding::new(
                    &catalog::TYPE_MISMATCH,
                    name.span,
                    msg!(
                        "`{n}` is {en}, a value is expected",
                        "`{n}` 是{zh}，这里需要值"
                    ),
                );
                if let Some(span) = entry.span {
                    finding = finding.label(span, msg!("declared here", "在这里声明"));
                }
                if let Symbol::Campaign(_) = symbol {
                    finding = finding.help(msg!(
                        "to ask whether its messages reached a user write `did(sent where campaign == \"{n}\", last 30 days)`",
                        "要问该用户是否收到过它的消息，请写 `did(sent where campaign == \"{n}\", last 30 days)`"
                    ));
                }
                self.report(finding);
                None
            }
            Symbol::Broken => None,
        }
    }

    pub fn tag(&mut self, id: TagId, span: Span, present: Option<&Definedness>) -> Option<Expr> {
        let schema = self.program.schema.tags.get(id.index())?;
        if self
            .program
            .tags
            .get(id.index())
            .and_then(|t| t.declared.as_ref())
            .is_some_and(|d| d.failed)
        {
            return None;
        }
        let mut e = self.node(span, schema.ty.clone(), ExprKind::Tag(id));
        e.optional &= present.is_none_or(|p| !p.tags.contains(&id));
        Some(e)
    }

    pub fn event_as_value(&self, name: &ast::Ident) -> Finding {
        let n = self.text(name.span);
        Finding::new(
            &catalog::TYPE_MISMATCH,
            name.span,
            msg!(
                "`{n}` is an event, not a value: say what to ask of it",
                "`{n}` 是事件，不是值：请说明要问什么"
            ),
        )
        .fix(
            msg!(
                "ask whether it happened: `did({n}, last 30 days)`",
                "问是否发生过：`did({n}, last 30 days)`"
            ),
            name.span,
            format!("did({n}, last 30 days)"),
            false,
        )
    }

    /// A name that is declared nowhere, where a value or condition is expected.
    pub fn unknown_value(&mut self, name: &ast::Ident, cx: &ExprContext<'_>) {
        let n = &name.name;
        if !name.quoted && OwnEvent::ALL.iter().any(|(_, own)| own == n) {
            let finding = self.event_as_value(name);
            return self.report(finding);
        }
        if !name.quoted && n == "event" {
            let finding = Finding::new(
                &catalog::UNKNOWN_NAME,
                name.span,
                msg!(
                    "`event` needs a field: `event.name`",
                    "`event` 后要写字段：`event.字段`"
                ),
            );
            return self.report(finding);
        }
        if let Some(b) = builtin(n).filter(|_| !name.quoted) {
            let signature = b.usage().signature;
            return self.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    name.span,
                    msg!(
                        "`{n}` is a function: it needs its arguments",
                        "`{n}` 是函数，需要参数"
                    ),
                )
                .help(msg!("write `{signature}`", "写法：`{signature}`")),
            );
        }
        if ["now", "today", "今天", "现在"].contains(&n.as_str()) {
            return self.report(Finding::new(&catalog::UNKNOWN_NAME, name.span, msg!("`{n}` is not a value", "`{n}` 不是值")).help(msg!(
                "compare with a window: `signup in last 7 days`, `birthday in today`, `since(purchase) > 72h`",
                "请与时间窗口比较：`signup in last 7 days`、`birthday in today`、`since(purchase) > 72h`"
            )));
        }
        let finding = Finding::new(
            &catalog::UNKNOWN_NAME,
            name.span,
            msg!(
                "no tag, audience, partition or list is named `{n}`",
                "没有名为 `{n}` 的标签、人群、分层或名单"
            ),
        );
        let mut finding = self.suggest(finding, name, Symbol::is_value);
        if finding.fixes.is_empty() {
            if cx.step.is_none() && step_outcome(n).is_some() {
                finding = finding.help(msg!(
                    "`{n}` can be asked only in the `if` of a follow-up step",
                    "`{n}` 只能在后续步骤的 `if` 中使用"
                ));
            } else if self.program.schema.tags.is_empty() {
                finding = finding.help(msg!(
                    "declare it: `tag {n} text(20)`, or give a store that knows it (`--store`)",
                    "请声明它：`tag {n} text(20)`，或用 `--store` 指定含有它的数据仓"
                ));
            }
        }
        self.report(finding);
    }

    /// Adds the name that was probably meant, or the space that is missing after a keyword.
    pub fn suggest(
        &self,
        finding: Finding,
        name: &ast::Ident,
        wanted: impl Fn(Symbol) -> bool,
    ) -> Finding {
        suggest(self.scope, finding, name, wanted)
    }

    // -------------------------------------------------------------- fields

    pub fn field(
        &mut self,
        span: Span,
        of: &ast::Expr,
        field: &ast::Ident,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        match &*of.kind {
            ast::ExprKind::Name(name) if name.name == "event" && !name.quoted => {
                self.trigger_field(span, name, field, cx)
            }
            ast::ExprKind::Call { name, args } => {
                match self.scope.get(&name.name).map(|e| e.symbol) {
                    Some(Symbol::Lookup(id)) => self.lookup_field(span, id, name, args, field, cx),
                    _ if name.name == "nearest" => {
                        self.report(not_supported("nearest", span));
                        None
                    }
                    _ => {
                        self.call(of.span, name, args, None, cx)?;
                        self.no_fields(of.span, field);
                        None
                    }
                }
            }
            ast::ExprKind::Name(name) if self.event_source(name).is_some() => {
                let (event, f) = (&name.name, &field.name);
                self.report(
                    Finding::new(
                        &catalog::TYPE_MISMATCH,
                        span,
                        msg!(
                            "`{event}` is an event and may have happened often: say which `{f}` is meant",
                            "事件 `{event}` 可能发生过多次：请说明要哪一次的 `{f}`"
                        ),
                    )
                    .fix(
                        msg!("take the latest", "取最近一次"),
                        span,
                        format!("latest({event}.{f}, last 30 days)"),
                        false,
                    ),
                );
                None
            }
            ast::ExprKind::Name(name) if matches!(self.scope.get(&name.name), Some(e) if matches!(e.symbol, Symbol::Lookup(_))) => {
                self.name(name, cx)
            }
            _ => {
                self.expr(of, None, cx)?;
                self.no_fields(of.span, field);
                None
            }
        }
    }

    pub fn no_fields(&mut self, of: Span, field: &ast::Ident) {
        let (text, f) = (self.text(of), &field.name);
        self.report(Finding::new(
            &catalog::UNKNOWN_FIELD,
            field.span,
            msg!(
                "`{text}` has no fields, so no `{f}`",
                "`{text}` 没有字段，也就没有 `{f}`"
            ),
        ));
    }

    pub fn trigger_field(
        &mut self,
        span: Span,
        name: &ast::Ident,
        field: &ast::Ident,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let Some(event) = cx.trigger else {
            self.report(Finding::new(&catalog::UNKNOWN_NAME, name.span, msg!("there is no `event` here", "这里没有 `event`")).help(msg!(
                "`event.field` speaks of the event that starts a campaign with `on EVENT`, also in a `template … for EVENT`",
                "`event.字段` 指触发活动的事件：用于带 `on EVENT` 的活动，以及 `template … for EVENT`"
            )));
            return None;
        };
        let (position, schema) = self.event_field(event, field)?;
        let optional = schema.optional
            && cx
                .present
                .is_none_or(|p| !p.trigger_fields.contains(&position));
        Some(Expr {
            ty: schema.ty.clone(),
            span,
            optional,
            kind: ExprKind::TriggerField(position),
        })
    }

    /// A field of a declared event by name.
    pub fn event_field(
        &mut self,
        event: EventId,
        field: &ast::Ident,
    ) -> Option<(u16, &FieldSchema)> {
        let program = self.program;
        if program.events.get(event.index()).is_some_and(|d| d.failed) {
            return None;
        }
        let schema = program.schema.events.get(event.index())?;
        let (of_en, of_zh) = (
            format!("event `{}`", schema.name),
            format!("事件 `{}`", schema.name),
        );
        self.find_field(
            &schema.fields,
            field,
            &Msg {
                en: of_en,
                zh: of_zh,
            },
        )
    }

    pub fn find_field<'f>(
        &mut self,
        fields: &'f [FieldSchema],
        field: &ast::Ident,
        of: &Msg,
    ) -> Option<(u16, &'f FieldSchema)> {
        if let Some(i) = fields.iter().position(|f| f.name == field.name) {
            return Some((u16::try_from(i).ok()?, &fields[i]));
        }
        let finding = unknown_field(
            self.scope,
            field,
            of,
            fields.iter().map(|f| f.name.as_str()),
        );
        self.report(finding);
        None
    }

    /// A plain name inside a `where`.
    pub fn row_field(&mut self, name: &ast::Ident, row: EventSource) -> Option<Expr> {
        let (fields, of): (Vec<&str>, Msg) = match row {
            EventSource::Declared(id) => {
                let program = self.program;
                if program.events.get(id.index()).is_some_and(|d| d.failed) {
                    return None;
                }
                let schema = program.schema.events.get(id.index())?;
                if let Some(i) = schema.fields.iter().position(|f| f.name == name.name) {
                    let field = &schema.fields[i];
                    let kind = ExprKind::RowField(u16::try_from(i).ok()?);
                    return Some(Expr {
                        ty: field.ty.clone(),
                        span: name.span,
                        optional: field.optional,
                        kind,
                    });
                }
                (
                    schema.fields.iter().map(|f| f.name.as_str()).collect(),
                    msg!("event `{}`", "事件 `{}`", schema.name),
                )
            }
            EventSource::Own(own) => {
                if let Some(i) = OWN_FIELDS.iter().position(|f| *f == name.name) {
                    // Only a split has arms.
                    let optional = name.name == "arm";
                    return Some(Expr {
                        ty: Type::TEXT,
                        span: name.span,
                        optional,
                        kind: ExprKind::RowField(u16::try_from(i).ok()?),
                    });
                }
                (
                    OWN_FIELDS.to_vec(),
                    msg!("event `{}`", "事件 `{}`", own.name()),
                )
            }
        };
        let mut finding = unknown_field(self.scope, name, &of, fields.iter().copied());
        if let Some(entry) = self.scope.get(&name.name) {
            let (n, Msg { en, zh }) = (&name.name, entry.symbol.words());
            finding = finding.help(msg!(
                "`{n}` is {en}: inside `where` only the event's own fields have a name; ask for `{n}` outside of it with `and`",
                "`{n}` 是{zh}：`where` 里只能写事件自身的字段；请在外面用 `and` 判断 `{n}`"
            ));
        }
        self.report(finding);
        None
    }

    /// Something else than a field inside a `where`.
    pub fn only_fields(&mut self, span: Span, row: EventSource) {
        let text = self.text(span);
        let event = match row {
            EventSource::Declared(id) => self
                .program
                .schema
                .events
                .get(id.index())
                .map_or("", |e| e.name.as_str()),
            EventSource::Own(own) => own.name(),
        };
        self.report(
            Finding::new(&catalog::WHERE_ONLY_FIELDS, span, msg!("`{text}` cannot be asked inside `where`", "`where` 里不能使用 `{text}`"))
                .help(msg!(
                    "inside `where` only the fields of `{event}` count; ask for the rest outside of it with `and`",
                    "`where` 里只能用 `{event}` 的字段；其余条件请在外面用 `and` 连接"
                )),
        );
    }

    /// The event that a name stands for, declared or own.
    pub fn event_source(&self, name: &ast::Ident) -> Option<EventSource> {
        match self.scope.get(&name.name).map(|e| e.symbol) {
            Some(Symbol::Event(id)) => Some(EventSource::Declared(id)),
            Some(_) => None,
            None => OwnEvent::ALL
                .iter()
                .find(|(_, n)| *n == name.name)
                .map(|(own, _)| EventSource::Own(*own)),
        }
    }
}

/// Adds the name that was probably meant, or the space that is missing after a keyword (`非会员`
/// for `非 会员`).
pub(super) fn suggest(
    scope: &Scope,
    finding: Finding,
    name: &ast::Ident,
    wanted: impl Fn(Symbol) -> bool,
) -> Finding {
    if let Some(prefix) = glued_prefix(&name.name).filter(|_| !name.quoted)
        && let Some(rest) = name.name.get(prefix.len()..)
        && scope.get(rest).is_some_and(|e| wanted(e.symbol))
    {
        let start = name
            .span
            .start
            .saturating_add(prefix.len() as u32)
            .min(name.span.end);
        let gap = Span {
            start,
            end: start,
            ..name.span
        };
        return finding.fix(
            msg!("write `{prefix} {rest}`", "写作 `{prefix} {rest}`"),
            gap,
            " ",
            true,
        );
    }
    let Some(near) = scope.nearest(&name.name, wanted) else {
        return finding;
    };
    let finding = match scope.get(near).and_then(|e| e.span) {
        Some(span) => finding.label(
            span,
            msg!("`{near}` is declared here", "`{near}` 在这里声明"),
        ),
        None => finding,
    };
    finding.fix(
        msg!("did you mean `{near}`", "是否想写 `{near}`"),
        name.span,
        near,
        false,
    )
}

pub(super) fn unknown_field<'n>(
    scope: &Scope,
    field: &ast::Ident,
    of: &Msg,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Finding {
    let (f, Msg { en, zh }) = (&field.name, of);
    let finding = Finding::new(
        &catalog::UNKNOWN_FIELD,
        field.span,
        msg!("{en} has no field `{f}`", "{zh} 没有字段 `{f}`"),
    );
    match scope.nearest_of(f, known.clone()) {
        Some(near) => finding.fix(
            msg!("did you mean `{near}`", "是否想写 `{near}`"),
            field.span,
            near,
            false,
        ),
        None => {
            let list = listed(known);
            finding.help(msg!("its fields are {list}", "它的字段有 {list}"))
        }
    }
}

fn step_outcome(name: &str) -> Option<StepOutcome> {
    match name {
        "delivered" => Some(StepOutcome::Delivered),
        "opened" => Some(StepOutcome::Opened),
        "clicked" => Some(StepOutcome::Clicked),
        "converted" => Some(StepOutcome::Converted),
        _ => None,
    }
}

/// Names in backticks, the first twelve of many.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 12;
    let mut list: Vec<String> = names.take(SHOWN + 1).map(|n| format!("`{n}`")).collect();
    if let Some(more) = list.get_mut(SHOWN) {
        *more = "…".into();
    }
    list.join(", ")
}
