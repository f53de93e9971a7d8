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
mod campaign_checker;
mod clauses;
mod date_offsets;
mod extent;
mod field;
pub mod limits;
mod message;
mod observe;
mod policy;
mod reported_once;
mod route;
pub mod schedule;
mod template;
mod template_use;
mod truth;

use self::reported_once::ReportedOnce;
use super::check::{Checker, Declaration};
use super::typed::ChannelName;
use crate::base::{CampaignId, TemplateId};
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
    let mut reported = ReportedOnce::default();
    for declaration in campaigns {
        let typed = campaign::campaign(checker, declaration, &mut reported);
        checker.program.campaigns.push(typed);
    }
    observe::receipts(checker);
}

/// The channel that a path names; `None` after a finding.
pub fn channel(checker: &mut Checker<'_>, path: &ast::ChannelPath) -> Option<ChannelName> {
    route::channel(checker, path).map(|resolved| resolved.channel)
}
