//! The state of checking one campaign, and what its clauses and messages ask of it.

use super::message::Jobs;
use super::reported_once::ReportedOnce;
use super::route;
use crate::base::EventId;
use crate::diag::{Finding, Level, Span, catalog};
use crate::msg;
use crate::program::check::{Checker, ExprContext};
use crate::program::definedness::Definedness;
use crate::program::platform;
use crate::program::typed::{Declared, Purpose, Via};
use crate::program::typed_expr::Length;
use crate::syntax::ast;

/// One campaign while it is checked. What fails is replaced by something harmless, and the campaign
/// is marked.
pub(super) struct CampaignChecker<'w, 'c> {
    pub checker: &'w mut Checker<'c>,
    pub reported: &'w mut ReportedOnce,
    pub declared: Declared,
    pub failed: bool,
    pub trigger: Option<EventId>,
    /// Each user has a time of their own, so that no list comes together.
    pub own_time: bool,
    /// What the trigger's `where` proves; it holds for follow-ups too.
    pub trigger_present: Definedness,
    pub purpose: Purpose,
    /// `None` where no channel of the clause is good.
    pub via: Option<Via>,
    pub recall: Option<(Length, Span)>,
    /// What list channels need for the first message.
    pub jobs: Vec<Jobs>,
    /// There is a `goal`, so that a user can be converted.
    pub has_goal: bool,
    /// A message has channels of its own.
    pub own_via: bool,
    /// The first message that has none of its own.
    pub without_via: Option<Span>,
}

impl CampaignChecker<'_, '_> {
    /// An error marks the campaign.
    pub(super) fn report(&mut self, finding: Finding) {
        self.failed |= finding.level == Level::Error;
        self.checker.report(finding);
    }

    pub(super) fn or<T>(&mut self, value: Option<T>, otherwise: T) -> T {
        self.failed |= value.is_none();
        value.unwrap_or(otherwise)
    }

    /// The value of a clause that may be absent; a failed one marks the campaign.
    pub(super) fn optional<A, B>(
        &mut self,
        clause: Option<(&ast::Clause, A)>,
        check: impl FnOnce(&mut Self, A) -> Option<B>,
    ) -> Option<B> {
        let (_, inner) = clause?;
        let value = check(self, inner);
        self.failed |= value.is_none();
        value
    }

    /// What is in scope in this campaign's expressions.
    pub(super) fn cx<'p>(&self) -> ExprContext<'p> {
        ExprContext {
            trigger: self.trigger,
            ..ExprContext::default()
        }
    }

    /// What holds for a channel whatever is sent: purposes, and no lists on a trigger.
    pub(super) fn channel_rules(&mut self, via: &Via) {
        for route in &via.routes {
            let Some(endpoint) =
                platform::endpoint(&route.channel.platform, &route.channel.endpoint)
            else {
                continue;
            };
            let channel = &route.channel;
            if !endpoint.allows(self.purpose) {
                let purpose = purpose_word(self.purpose);
                let allowed: Vec<&str> = Purpose::ALL
                    .iter()
                    .filter(|(p, _)| endpoint.allows(*p))
                    .map(|(_, n)| *n)
                    .collect();
                self.report(
                    Finding::new(
                        &catalog::PURPOSE_REFUSED,
                        route.span,
                        msg!("`{channel}` is not for messages of purpose `{purpose}`", "`{channel}` 不允许用途为 `{purpose}` 的消息"),
                    )
                    .help(msg!(
                        "it takes {}; say `purpose` if the message is one of these, or choose another channel",
                        "它允许 {}；如果消息属于这些用途，请写 `purpose`，否则换一个渠道",
                        route::quoted(&allowed)
                    )),
                );
            }
            if endpoint.is_list() && self.own_time {
                self.report(
                    Finding::new(
                        &catalog::LIST_CHANNEL_ON_TRIGGER,
                        route.span,
                        msg!(
                            "`{channel}` sends to lists of users, and here each user has a time of their own",
                            "`{channel}` 按名单群发，而这里每个用户有各自的时间"
                        ),
                    )
                    .help(msg!(
                        "choose a channel that takes a text a user, or write one time for all: `at 20:00`",
                        "换一个逐人发送的渠道，或写统一的时间：`at 20:00`"
                    )),
                );
            }
            if endpoint.is_list() && self.trigger.is_some() {
                self.report(
                    Finding::new(
                        &catalog::LIST_CHANNEL_ON_TRIGGER,
                        route.span,
                        msg!(
                            "`{channel}` sends to lists of users, and an event concerns one",
                            "`{channel}` 按名单群发，而事件只涉及一个用户"
                        ),
                    )
                    .help(msg!(
                        "choose a channel that takes a text a user, or collect the users and send `every day at …`",
                        "换一个逐人发送的渠道，或改为 `every day at …` 汇总后发送"
                    )),
                );
            }
        }
    }

    /// `converted` asks whether the campaign's goal was reached.
    pub(super) fn needs_goal(&mut self, span: Span) {
        if !self.has_goal {
            self.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    span,
                    msg!(
                        "`converted` asks for the goal, and this campaign has none",
                        "`converted` 指达成目标，而这个活动没有目标"
                    ),
                )
                .help(msg!(
                    "add for instance `goal EVENT within 72h`",
                    "例如加上 `goal 事件 within 72h`"
                )),
            );
        }
    }
}

pub(super) fn purpose_word(purpose: Purpose) -> &'static str {
    Purpose::ALL
        .iter()
        .find(|(p, _)| *p == purpose)
        .map_or("", |(_, n)| n)
}
