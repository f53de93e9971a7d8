//! Templates, campaigns and policy: their clauses, and what must fit together.
//!
//! Called by [`check`](super::check::check) in this order: settings, accounts, (tags, events and
//! audiences), templates, policy, campaigns. Each pushes exactly one typed item for every
//! declaration, in the order given, so that positions are ids; where an error was found the item is
//! a placeholder with `Declared::failed`.
//!
//! | file | what |
//! | --- | --- |
//! | [`clauses`] | every clause in its place, each once |
//! | [`campaign`] | a campaign from its clauses |
//! | [`schedule`], [`action`], [`route`], [`limits`] | when, what, by which channel, how often |
//! | [`policy`], [`template`] | the other two declarations |
//! | [`message`], [`field`], [`extent`] | a template on a channel: carried, long enough, how many texts |
//! | [`observe`] | conditions over receipts that a channel does not give |
//! | [`truth`] | conditions that say nothing |

mod action;
#[allow(
    clippy::module_inception,
    reason = "the file is named after what it checks"
)]
mod campaign;
mod clauses;
mod date_offsets;
mod extent;
mod field;
pub mod limits;
mod message;
mod observe;
mod policy;
mod route;
pub mod schedule;
mod template;
mod truth;

use std::collections::BTreeSet;

use super::check::{Checker, Declaration, ExprContext};
use super::scope::Symbol;
use super::typed::ChannelName;
use super::typed_expr::{Expr, ExprKind};
use crate::base::{CampaignId, TemplateId, Type};
use crate::diag::{Finding, catalog};
use crate::msg;
use crate::syntax::ast;

pub use message::MAX_JOBS;
pub use policy::{check_accounts, check_policy, check_settings};

pub fn check_templates(
    checker: &mut Checker<'_>,
    templates: &[Declaration<'_, TemplateId, ast::TemplateDecl>],
) {
    for declaration in templates {
        let typed = template::template(checker, declaration);
        checker.program.templates.push(typed);
    }
}

pub fn check_campaigns(
    checker: &mut Checker<'_>,
    campaigns: &[Declaration<'_, CampaignId, ast::CampaignDecl>],
) {
    let mut told = ReportedOnce::default();
    for declaration in campaigns {
        let typed = campaign::campaign(checker, declaration, &mut told);
        checker.program.campaigns.push(typed);
    }
    observe::receipts(checker);
}

/// The channel that a path names; `None` after a finding.
pub fn channel(checker: &mut Checker<'_>, path: &ast::ChannelPath) -> Option<ChannelName> {
    route::channel(checker, path).map(|resolved| resolved.channel)
}

/// What has been reported and need not be again.
#[derive(Debug, Default)]
pub(crate) struct ReportedOnce(BTreeSet<String>);

impl ReportedOnce {
    /// Whether `what` has not been told before.
    fn first(&mut self, what: &str) -> bool {
        self.0.insert(what.to_string())
    }
}

/// An expression that is a number: `priority`, `weight`. A ratio counts as one.
fn number(
    checker: &mut Checker<'_>,
    e: &ast::Expr,
    what: &str,
    cx: &ExprContext<'_>,
) -> Option<Expr> {
    let value = checker.value(e, None, cx)?;
    match value.ty {
        Type::Int { .. } | Type::Number => Some(value),
        Type::Ratio => Some(Expr {
            ty: Type::Number,
            span: value.span,
            optional: value.optional,
            kind: ExprKind::ToNumber(Box::new(value)),
        }),
        _ => {
            let ty = value.ty.describe();
            checker.report(Finding::new(
                &catalog::TYPE_MISMATCH,
                e.span,
                msg!(
                    "`{what}` takes a number, and this is {ty}",
                    "`{what}` 需要数字，这里是 {ty}"
                ),
            ));
            None
        }
    }
}

/// The known name that a misspelt one is nearest to.
fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    super::scope::nearest(name, known.into_iter())
}

/// The name stands for something that could not be read: uses of it are silent.
fn is_broken(checker: &Checker<'_>, name: &str) -> bool {
    checker
        .scope
        .get(name)
        .is_some_and(|e| e.symbol == Symbol::Broken)
}
