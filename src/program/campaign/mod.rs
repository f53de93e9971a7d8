//! Templates, campaigns and policy: their clauses, and what must fit together.
//!
//! Called by [`check`](super::check::check) in this order: settings, accounts, (tags, events and audiences), templates, policy, campaigns.
//! Each push exactly one typed item for every declaration, in the order given, so that positions are ids; where an error was found the item is
//! a placeholder with `Declared::failed`.

use super::check::{Checker, Declaration};
use crate::base::{CampaignId, TemplateId};
use crate::syntax::ast;

/// `timezone` and `currency`: what expressions need to know before anything else is read.
pub fn check_settings(_checker: &mut Checker<'_>, _policy: Option<&ast::PolicyDecl>) {}

/// Fills `program.accounts`.
pub fn check_accounts(_checker: &mut Checker<'_>, _accounts: &[&ast::AccountDecl]) {}

pub fn check_templates(_checker: &mut Checker<'_>, _templates: &[Declaration<'_, TemplateId, ast::TemplateDecl>]) {}

pub fn check_policy(_checker: &mut Checker<'_>, _policy: Option<&ast::PolicyDecl>) {}

pub fn check_campaigns(_checker: &mut Checker<'_>, _campaigns: &[Declaration<'_, CampaignId, ast::CampaignDecl>]) {}
