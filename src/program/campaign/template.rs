//! Templates: texts with typed holes. How a channel takes them is checked where a campaign uses
//! them ([`message`](super::message)).

use super::clauses::twice;
use crate::base::{EventId, TemplateId, Type};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::{Checker, Declaration, ExprContext};
use crate::program::typed::{PartKind, Piece, Program, Template, TemplatePart, Text};
use crate::program::typed_expr::{Expr, ExprKind};
use crate::syntax::ast;

pub(super) fn template(
    checker: &mut Checker<'_>,
    declaration: &Declaration<'_, TemplateId, ast::TemplateDecl>,
) -> Template {
    let ast = declaration.ast;
    let mut declared = declaration.declared.clone();
    let for_event = match &ast.for_event {
        None => Some(None),
        Some(name) => checker.event_named(name).map(Some),
    };
    let mut whole = for_event.is_some();
    let mut parts: Vec<TemplatePart> = Vec::new();
    for part in &ast.parts {
        let kind = part_kind(&part.kind);
        if let Some(first) = parts.iter().find(|p| p.kind == kind) {
            let first = first.span;
            checker.report(twice(&part_name(&kind), part.span, first));
            whole = false;
            continue;
        }
        // Holes of a template for an unknown event are not looked at: each would be a finding that
        // says nothing new.
        let text = for_event.and_then(|event| text(checker, &part.text, event));
        whole &= text.is_some();
        if kind == PartKind::Platform
            && text
                .as_ref()
                .is_some_and(|t| t.pieces.iter().any(|p| matches!(p, Piece::Hole(_))))
        {
            checker.report(Finding::new(
                &catalog::FIELD_CONTENT,
                part.text.span,
                msg!(
                    "`platform` is the template's number on the platform, the same for every user",
                    "`platform` 是平台上的模板编号，对所有用户相同"
                ),
            ));
            whole = false;
        }
        parts.push(TemplatePart {
            kind,
            span: part.span,
            text: text.unwrap_or_default(),
        });
    }
    if ast
        .parts
        .iter()
        .all(|p| matches!(p.kind, ast::PartKind::Platform))
    {
        checker.report(
            Finding::new(
                &catalog::EMPTY_TEMPLATE,
                declared.name_span,
                msg!(
                    "template `{}` says nothing",
                    "模板 `{}` 没有内容",
                    declared.name
                ),
            )
            .help(msg!(
                "give it a `body`, for instance `body \"…\"`",
                "至少写一个 `body`，例如 `body \"…\"`"
            )),
        );
        whole = false;
    }
    declared.failed |= !whole;
    Template {
        declared,
        for_event: for_event.flatten(),
        parts,
    }
}

fn text(
    checker: &mut Checker<'_>,
    text: &ast::TemplateText,
    event: Option<EventId>,
) -> Option<Text> {
    let cx = ExprContext {
        trigger: event,
        ..ExprContext::default()
    };
    let mut pieces = Some(Vec::new());
    for piece in &text.pieces {
        let typed = match piece {
            ast::Piece::Text(t) => Some(Piece::Text(t.as_str().into())),
            ast::Piece::Hole(e) => hole(checker, e, &cx).map(Piece::Hole),
            ast::Piece::Broken(_) => None,
        };
        pieces = match (pieces, typed) {
            (Some(mut list), Some(p)) => {
                list.push(p);
                Some(list)
            }
            _ => None,
        };
    }
    pieces.map(|pieces| Text { pieces })
}

fn hole(checker: &mut Checker<'_>, e: &ast::Expr, cx: &ExprContext<'_>) -> Option<Expr> {
    let value = checker.value(e, None, cx)?;
    let Some((span, name)) = leak(&checker.program, &value) else {
        return Some(value);
    };
    let text = checker.sources.slice(span).to_string();
    let finding = Finding::new(
        &catalog::PRIVATE_VALUE,
        span,
        msg!(
            "`{name}` is private and would leave in a message",
            "`{name}` 是隐私标签，不能原样写进消息"
        ),
    );
    checker.report(match value.ty {
        Type::Text { .. } | Type::Address(_) => finding
            .help(msg!(
                "`mask` keeps the first and the last character: `{{mask({text})}}`",
                "`mask` 只保留首尾字符：`{{mask({text})}}`"
            ))
            .fix(
                msg!("mask it", "打码显示"),
                span,
                format!("mask({text})"),
                false,
            ),
        _ => finding.help(msg!(
            "leave it out, or show something that is not private",
            "去掉它，或换成不涉及隐私的内容"
        )),
    });
    None
}

/// A private tag whose value `e` shows. A condition inside `if` only selects, and `mask` hides.
fn leak(program: &Program, e: &Expr) -> Option<(Span, String)> {
    if e.ty == Type::Bool {
        return None;
    }
    match &e.kind {
        ExprKind::Tag(id) => {
            let tag = program.schema.tag(*id);
            (tag.private || matches!(tag.ty, Type::Address(_))).then(|| (e.span, tag.name.clone()))
        }
        ExprKind::Call { function, .. } if function.facts.hides_private => None,
        ExprKind::LookupField { .. } => None,
        _ => e
            .children()
            .into_iter()
            .find_map(|child| leak(program, child)),
    }
}

fn part_kind(kind: &ast::PartKind) -> PartKind {
    match kind {
        ast::PartKind::Title => PartKind::Title,
        ast::PartKind::Body => PartKind::Body,
        ast::PartKind::Link => PartKind::Link,
        ast::PartKind::Image => PartKind::Image,
        ast::PartKind::Video => PartKind::Video,
        ast::PartKind::Miniprogram => PartKind::Miniprogram,
        ast::PartKind::Entry => PartKind::Entry,
        ast::PartKind::Unsubscribe => PartKind::Unsubscribe,
        ast::PartKind::Field(name) => PartKind::Field(name.name.clone()),
        ast::PartKind::Platform => PartKind::Platform,
    }
}

/// As it is written: `title`, `field thing1`.
pub(super) fn part_name(kind: &PartKind) -> String {
    match kind {
        PartKind::Field(name) => format!("field {name}"),
        other => crate::program::platform::MessagePart::of(other)
            .name()
            .to_string(),
    }
}
