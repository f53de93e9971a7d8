//! The checker: from the trees of all files to a typed program and every finding there is to make.
//!
//! Names are collected first, so that order does not matter. Then types, then expressions
//! (audiences, derived tags and partitions in the order in which they need each other), then
//! templates, policy, campaigns and tests. An expression that failed is silent afterwards: its
//! checker has returned `None`, and whoever needs it returns `None` as well.

mod arith;
mod call;
mod check_expr;
mod check_literal;
mod checker;
mod collect;
mod compare;
mod constant;
mod context;
mod declare;
mod definition_order;
mod definitions;
mod event_pattern;
mod membership;
mod names;
mod test_blocks;

pub use check_expr::MAX_EXPR_DEPTH;
pub use checker::{CheckOptions, Checker, Declaration};
pub use context::ExprContext;
pub use definition_order::MAX_CHAIN;

use self::check_expr::Exprs;
use super::campaign;
use super::scope::Scope;
use super::typed::Program;
use super::typed_expr::Expr;
use crate::diag::{Findings, Sources};
use crate::syntax::ast;

/// Checks all files of a program. With errors among the findings, the program must not be carried
/// out: failed declarations are placeholders.
pub fn check(
    sources: &Sources,
    files: &[ast::File],
    options: &CheckOptions,
    findings: &mut Findings,
) -> Program {
    let mut checker = Checker {
        sources,
        options,
        findings,
        scope: Scope::default(),
        program: Program::default(),
    };
    let items = checker.collect(files);
    let policy = items.policy;
    campaign::check_settings(&mut checker, policy);
    campaign::check_accounts(&mut checker, &items.accounts);
    checker.declare(&items);
    checker.define(&items);
    campaign::check_templates(&mut checker, &items.templates);
    campaign::check_policy(&mut checker, policy);
    campaign::check_campaigns(&mut checker, &items.campaigns);
    checker.check_tests(&items.tests);
    checker.program
}

/// Checks one condition against a checked program (`query`, the REPL). Its file must be among the
/// sources.
pub fn check_condition(
    program: &Program,
    sources: &Sources,
    expr: &ast::Expr,
    findings: &mut Findings,
) -> Option<Expr> {
    let scope = Scope::of(program);
    Exprs::new(sources, program, &scope, findings).condition(expr, &ExprContext::default())
}

/// The same for an expression of any type (`:type` of the REPL).
pub fn check_value(
    program: &Program,
    sources: &Sources,
    expr: &ast::Expr,
    findings: &mut Findings,
) -> Option<Expr> {
    let scope = Scope::of(program);
    Exprs::new(sources, program, &scope, findings).expr(expr, None, &ExprContext::default())
}
