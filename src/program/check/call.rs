//! Calls: the built-in functions over single values, and lookups.

use super::check_expr::{Exprs, Want, text_literal};
use super::check_literal::is_literal;
use super::context::ExprContext;
use crate::base::Msg;
use crate::base::{LookupId, Type};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::builtins::function::{Arity, Coercion, Function};
use crate::program::builtins::{BUILTINS, Builtin, builtin, by_synonym};
use crate::program::definedness::Definedness;
use crate::program::reserved::not_supported;
use crate::program::scope::{Symbol, nearest};
use crate::program::typed_expr::{Expr, ExprKind};
use crate::program::types;
use crate::syntax::ast;

impl Exprs<'_> {
    pub fn call(
        &mut self,
        span: Span,
        name: &ast::Ident,
        args: &[ast::Arg],
        want: Option<Want<'_>>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let n = &name.name;
        match builtin(n) {
            Some(Builtin::Function(function)) => self.function(span, function, name, args, cx),
            Some(Builtin::Events(what, _)) => self.event_query(span, what, name, args, cx),
            Some(Builtin::If(_)) => self.choice(span, name, args, want, cx),
            Some(Builtin::Yearly(_)) => {
                self.report(
                    Finding::new(
                        &catalog::WRONG_ARGUMENTS,
                        span,
                        msg!(
                            "`yearly` stands only before `in`",
                            "`yearly` 只能写在 `in` 之前"
                        ),
                    )
                    .help(msg!(
                        "write `yearly(birthday) in next 7 days`",
                        "写法：`yearly(birthday) in next 7 days`"
                    )),
                );
                None
            }
            None => {
                self.unknown_call(span, name);
                None
            }
        }
    }

    fn unknown_call(&mut self, span: Span, name: &ast::Ident) {
        let n = &name.name;
        if n == "nearest" {
            return self.report(not_supported("nearest", span));
        }
        let finding = match self.scope.get(n).map(|e| e.symbol) {
            Some(Symbol::Broken) => return,
            Some(Symbol::Lookup(id)) => {
                let Some(lookup) = self
                    .program
                    .lookups
                    .get(id.index())
                    .filter(|l| !l.declared.failed)
                else {
                    return;
                };
                let field = lookup.fields.first().map_or("", |f| f.name.as_str());
                let text = self.text(span);
                Finding::new(
                    &catalog::UNKNOWN_FIELD,
                    span,
                    msg!(
                        "say which field of the lookup is meant: `{text}.{field}`",
                        "请写明要查表的哪个字段：`{text}.{field}`"
                    ),
                )
            }
            Some(symbol) if symbol.is_value() => {
                let Msg { en, zh } = symbol.words();
                Finding::new(
                    &catalog::UNKNOWN_FUNCTION,
                    span,
                    msg!("`{n}` is {en}, not a function", "`{n}` 是{zh}，不是函数"),
                )
                .fix(
                    msg!("write `{n}`", "写作 `{n}`"),
                    span,
                    self.sources.slice(name.span),
                    false,
                )
            }
            _ => {
                let finding = Finding::new(
                    &catalog::UNKNOWN_FUNCTION,
                    name.span,
                    msg!("no function is named `{n}`", "没有名为 `{n}` 的函数"),
                );
                let lower = n.to_lowercase();
                let near = by_synonym(&lower)
                    .or_else(|| nearest(n, BUILTINS.iter().map(|b| b.usage().name)))
                    .or_else(|| self.scope.nearest(n, |s| matches!(s, Symbol::Lookup(_))));
                match near {
                    Some(near) => finding.fix(
                        msg!("did you mean `{near}`", "是否想写 `{near}`"),
                        name.span,
                        near,
                        false,
                    ),
                    None if lower == "coalesce" || lower == "ifnull" || lower == "nvl" => {
                        finding.help(msg!("write `a ?? b`", "请写 `a ?? b`"))
                    }
                    None => finding,
                }
            }
        };
        self.report(finding);
    }

    /// "`days` is called as …".
    pub fn wrong_arguments(&mut self, name: &ast::Ident, span: Span) {
        let n = &name.name;
        let signature = builtin(n).map_or(n.as_str(), |b| b.usage().signature);
        self.report(Finding::new(
            &catalog::WRONG_ARGUMENTS,
            span,
            msg!(
                "`{n}` is called as `{signature}`",
                "`{n}` 的用法是 `{signature}`"
            ),
        ));
    }

    /// The arguments as expressions, of the right number.
    fn plain_args<'e>(
        &mut self,
        name: &ast::Ident,
        args: &'e [ast::Arg],
        span: Span,
        count: std::ops::RangeInclusive<usize>,
    ) -> Option<Vec<&'e ast::Expr>> {
        let plain: Option<Vec<&ast::Expr>> = args
            .iter()
            .map(|a| match a {
                ast::Arg::Expr(e) => Some(e),
                ast::Arg::Within(..) | ast::Arg::Event(_) | ast::Arg::Window(_) => None,
            })
            .collect();
        match plain {
            Some(plain) if count.contains(&plain.len()) => Some(plain),
            _ => {
                self.wrong_arguments(name, span);
                None
            }
        }
    }

    fn function(
        &mut self,
        span: Span,
        function: &'static Function,
        name: &ast::Ident,
        args: &[ast::Arg],
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let args = self.plain_args(name, args, span, function.arity.count())?;
        if function.arity == Arity::Alike {
            return self.alike(span, function, &args, cx);
        }
        let typed: Vec<Option<Expr>> = args.iter().map(|a| self.expr(a, None, cx)).collect();
        let mut typed: Vec<Expr> = typed.into_iter().collect::<Option<_>>()?;
        for e in &typed {
            if (function.overload)(&e.ty).is_none() {
                self.mismatch(e.span, &e.ty, &function.expects, None);
                return None;
            }
        }
        let overload = (function.overload)(&typed.first()?.ty)?;
        if overload.body.is_none() {
            return typed.pop();
        }
        let convert = |e| match overload.convert {
            Coercion::Number => self.as_number(e),
            Coercion::MemberName => self.as_text(e),
            // The plan takes the date of an instant, for it knows the zone.
            Coercion::Keep | Coercion::Day => e,
        };
        let args = typed.into_iter().map(convert).collect();
        Some(self.node(span, overload.result, ExprKind::Call { function, args }))
    }

    /// An enum member as the text of its name; a text as it is.
    pub fn as_text(&self, e: Expr) -> Expr {
        match &e.ty {
            Type::Enum(of) => {
                let max = of
                    .members
                    .iter()
                    .map(|m| m.chars().count())
                    .max()
                    .and_then(|n| u32::try_from(n).ok());
                self.node(
                    e.span,
                    Type::Text { max },
                    ExprKind::MemberName(Box::new(e)),
                )
            }
            _ => e,
        }
    }

    /// `least(a, b, …)`: values of one ordered type; literals take the type of the first that is
    /// none.
    fn alike(
        &mut self,
        span: Span,
        function: &'static Function,
        args: &[&ast::Expr],
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let first = args.iter().position(|a| !is_literal(a)).unwrap_or(0);
        let lead = self.expr(args.get(first)?, None, cx);
        let mut typed = Vec::with_capacity(args.len());
        for (i, arg) in args.iter().enumerate() {
            let e = match &lead {
                Some(lead) if i == first => Some(lead.clone()),
                Some(lead)
                    if matches!(lead.ty, Type::Text { .. }) && text_literal(arg).is_some() =>
                {
                    self.expr(arg, None, cx)
                }
                Some(lead) => self.expr(
                    arg,
                    Some(Want {
                        ty: &lead.ty,
                        from: Some(lead.span),
                    }),
                    cx,
                ),
                None if i == first || is_literal(arg) => None,
                None => self.expr(arg, None, cx),
            };
            typed.push(e);
        }
        let typed: Vec<Expr> = typed.into_iter().collect::<Option<_>>()?;
        let mut ty = lead?.ty;
        let numbers = typed.iter().any(|e| e.ty == Type::Number);
        let typed: Vec<Expr> = typed
            .into_iter()
            .map(|e| {
                if numbers && types::is_number(&e.ty) {
                    self.as_number(e)
                } else {
                    e
                }
            })
            .collect();
        if numbers && types::is_number(&ty) {
            ty = Type::Number;
        }
        for e in &typed {
            if !types::same_kind(&e.ty, &ty) || !types::is_ordered(&e.ty) {
                self.mismatch(
                    e.span,
                    &e.ty,
                    if types::is_ordered(&ty) {
                        &ty
                    } else {
                        &Type::Number
                    },
                    None,
                );
                return None;
            }
            ty = types::join(&ty, &e.ty);
        }
        Some(self.node(
            span,
            ty,
            ExprKind::Call {
                function,
                args: typed,
            },
        ))
    }

    /// `if(c, a, b)`: `a` may rely on what `c` proves.
    fn choice(
        &mut self,
        span: Span,
        name: &ast::Ident,
        args: &[ast::Arg],
        want: Option<Want<'_>>,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let args = self.plain_args(name, args, span, 3..=3)?;
        let [when, then, otherwise] = args[..] else {
            return None;
        };
        let when = self.condition(when, cx);
        let mut present: Definedness = cx.present.cloned().unwrap_or_default();
        if let Some(when) = &when {
            present.assume(self.program, when);
        }
        let inside = ExprContext {
            present: Some(&present),
            ..*cx
        };
        let pair = self.alternatives(then, otherwise, want, &inside, cx);
        let (when, (then, otherwise)) = (when?, pair?);
        let ty = types::join(&then.ty, &otherwise.ty);
        let kind = ExprKind::If {
            when: Box::new(when),
            then: Box::new(then),
            otherwise: Box::new(otherwise),
        };
        Some(self.node(span, ty, kind))
    }

    /// Two expressions that one result can be. A literal takes the type of the other; beside an
    /// enum, a text that is no member turns both into text.
    pub fn alternatives(
        &mut self,
        a: &ast::Expr,
        b: &ast::Expr,
        want: Option<Want<'_>>,
        cx_a: &ExprContext<'_>,
        cx_b: &ExprContext<'_>,
    ) -> Option<(Expr, Expr)> {
        if is_literal(a) && !is_literal(b) {
            let (b, a) = self.literal_after(b, a, want, cx_b, cx_a)?;
            return Some((a, b));
        }
        self.literal_after(a, b, want, cx_a, cx_b)
    }

    fn literal_after(
        &mut self,
        lead: &ast::Expr,
        other: &ast::Expr,
        want: Option<Want<'_>>,
        cx_lead: &ExprContext<'_>,
        cx_other: &ExprContext<'_>,
    ) -> Option<(Expr, Expr)> {
        let Some(lead) = self.expr(lead, want, cx_lead) else {
            if !is_literal(other) {
                self.expr(other, want, cx_other);
            }
            return None;
        };
        if let (Type::Enum(of), Some(text)) = (&lead.ty, text_literal(other))
            && of.code(text).is_none()
            && nearest(text, of.members.iter().map(String::as_str)).is_none()
        {
            let other = self.expr(other, None, cx_other)?;
            return Some((self.as_text(lead), other));
        }
        let want = match &lead.ty {
            // A text is as long as it is: "会员" beside "普通用户".
            Type::Text { .. } if text_literal(other).is_some() => want,
            ty => Some(Want {
                ty,
                from: Some(lead.span),
            }),
        };
        let other = self.expr(other, want, cx_other)?;
        self.unify(lead, other)
    }

    // -------------------------------------------------------------- lookups

    pub fn lookup_field(
        &mut self,
        span: Span,
        id: LookupId,
        name: &ast::Ident,
        args: &[ast::Arg],
        field: &ast::Ident,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        if let Some(row) = cx.row {
            self.only_fields(span, row);
            return None;
        }
        let program = self.program;
        let lookup = program
            .lookups
            .get(id.index())
            .filter(|l| !l.declared.failed)?;
        let n = &name.name;
        let plain: Option<Vec<&ast::Expr>> = args
            .iter()
            .map(|a| {
                if let ast::Arg::Expr(e) = a {
                    Some(e)
                } else {
                    None
                }
            })
            .collect();
        let Some(plain) = plain.filter(|p| p.len() == lookup.keys.len()) else {
            let keys = lookup
                .keys
                .iter()
                .map(|k| k.name.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            self.report(
                Finding::new(
                    &catalog::WRONG_ARGUMENTS,
                    span,
                    msg!(
                        "`{n}` is looked up by `{n}({keys})`",
                        "`{n}` 的查法是 `{n}({keys})`"
                    ),
                )
                .label(
                    lookup.declared.name_span,
                    msg!("declared here", "在这里声明"),
                ),
            );
            return None;
        };
        let keys: Vec<Option<Expr>> = plain
            .into_iter()
            .zip(&lookup.keys)
            .map(|(e, key)| self.key(e, &key.ty, lookup.declared.name_span, cx))
            .collect();
        let of = msg!("lookup `{n}`", "查表 `{n}`");
        let found = self.find_field(&lookup.fields, field, &of);
        let (keys, (field, schema)) = (keys.into_iter().collect::<Option<Vec<_>>>()?, found?);
        Some(self.node(
            span,
            schema.ty.clone(),
            ExprKind::LookupField {
                lookup: id,
                keys,
                field,
            },
        ))
    }

    fn key(
        &mut self,
        e: &ast::Expr,
        ty: &Type,
        declared: Span,
        cx: &ExprContext<'_>,
    ) -> Option<Expr> {
        let typed = self.expr(e, Some(Want { ty, from: None }), cx)?;
        let typed = if matches!(ty, Type::Text { .. }) {
            self.as_text(typed)
        } else {
            typed
        };
        self.expect_type(typed, ty, Some(declared))
    }
}
