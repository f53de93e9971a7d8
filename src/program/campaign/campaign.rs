//! A campaign from its clauses.

use std::collections::BTreeMap;

use super::action::{ActionContext, Nested};
use super::campaign_checker::{CampaignChecker, purpose_word};
use super::clauses::{Clauses, twice};
use super::limits::{self, some_share};
use super::message::{Jobs, quota_words};
use super::reported_once::ReportedOnce;
use super::truth::{Truth, nobody, truth};
use super::{observe, policy, route, schedule};
use crate::base::{CampaignId, Type};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::{Checker, Declaration, ExprContext};
use crate::program::definedness::Definedness;
use crate::program::scope::nearest;
use crate::program::typed::{
    Action, Campaign, ChannelName, Goal, Holdout, Once, Priority, Purpose, Route, Schedule, Share,
    Takes, Top, Via,
};
use crate::program::typed_expr::{Expr, ExprKind, Length, StepOutcome};
use crate::syntax::ast::{self, ClauseKind};
use crate::syntax::clause_table::{ClauseId, ClausePlace};

/// How long after the due time a goal counts, unless said.
const GOAL_WITHIN: Length = Length::Elapsed(crate::base::Elapsed::hours(72));
/// `pace` above this is no throttle.
pub const MAX_PACE: u64 = 10_000_000;

pub(super) fn campaign(
    checker: &mut Checker<'_>,
    declaration: &Declaration<'_, CampaignId, ast::CampaignDecl>,
    reported: &mut ReportedOnce,
) -> Campaign {
    let ast = declaration.ast;
    let declared = declaration.declared.clone();
    let clauses = Clauses::collect(checker, &ast.clauses, ClausePlace::Campaign);
    let failed = declared.failed || !clauses.whole;
    let mut work = CampaignChecker {
        checker,
        reported,
        declared,
        failed,
        trigger: None,
        own_time: false,
        trigger_present: Definedness::default(),
        purpose: Purpose::default(),
        via: None,
        recall: None,
        jobs: Vec::new(),
        has_goal: false,
        own_via: false,
        without_via: None,
    };
    let mut typed = work.campaign(&clauses);
    typed.title = ast.title.as_ref().map(|t| t.value.clone());
    typed
}

impl CampaignChecker<'_, '_> {
    fn campaign(&mut self, clauses: &Clauses<'_>) -> Campaign {
        let name = self.declared.name_span;
        let found = schedule::schedule(self.checker, clauses, name);
        let known_schedule = found.is_some();
        let schedule = self.or(found, Schedule::Once(Once::Now));
        if let Schedule::Trigger(t) = &schedule {
            self.trigger = schedule::event_of(&schedule);
            self.trigger_present = proved_by_trigger(self.checker, t.event.filter.as_ref());
        }
        let again = if known_schedule {
            schedule::again(self.checker, clauses, &schedule, name)
        } else {
            Some(None)
        };
        let again = self.or(again, None);

        let when = self.when(clauses, &schedule, known_schedule);
        let mut present = self.trigger_present.clone();
        present.assume(&self.checker.program, &when);
        if let Schedule::OwnTime(own) = &schedule {
            self.own_time = true;
            self.failed |= !schedule::time_is_known(self.checker, own, &present);
        }
        if let Schedule::Dated(dated) = &schedule {
            // Who has no date has no day.
            let known = ExprKind::IsKnown(Box::new(dated.of.clone()));
            present.assume(
                &self.checker.program,
                &Expr {
                    ty: Type::Bool,
                    span: dated.of.span,
                    optional: false,
                    kind: known,
                },
            );
        }

        self.purpose = self.purpose_clause(clauses);
        let recall = clauses.value(ClauseId::Recall);
        let recall = recall.map(|(c, e)| (self.checker.length(e, "recall"), c.span));
        self.recall = match recall {
            None => None,
            Some((length, span)) => {
                self.failed |= length.is_none();
                length.map(|l| (l, span))
            }
        };
        self.via = self.via_clause(clauses, name);

        let at = ActionContext {
            nested: Nested::Campaign,
            present,
            proof: when.span,
            late: false,
        };
        let goal = self.goal(clauses);
        self.has_goal = clauses
            .iter()
            .any(|c| matches!(c.kind, ClauseKind::Goal { .. }))
            || clauses.unread;
        let action = self.action_clause(clauses, &at, name);
        self.enough_jobs();
        let afters: Vec<_> = clauses
            .iter()
            .filter_map(|c| {
                if let ClauseKind::After(a) = &c.kind {
                    Some((c, a))
                } else {
                    None
                }
            })
            .collect();
        let steps = self.steps(&afters, &action);
        self.all_have_channels(clauses);
        let leave_when = self.leave_when(clauses, steps.is_empty());

        let mut caps = Vec::new();
        for clause in clauses.iter() {
            if let ClauseKind::Cap(cap) = &clause.kind {
                let cap = limits::cap(self.checker, cap, clause.span);
                self.failed |= cap.is_none();
                caps.extend(cap);
            }
        }
        let holdout = clauses.find(|k| {
            if let ClauseKind::Holdout { share, key } = k {
                Some((share, key))
            } else {
                None
            }
        });
        let holdout = self.optional(holdout, |w, (share, key)| w.holdout(share, key.as_ref()));
        let quiet = clauses.find(|k| {
            if let ClauseKind::Quiet { from, to } = k {
                Some((from, to))
            } else {
                None
            }
        });
        let quiet = self.optional(quiet, |w, (from, to)| limits::quiet(w.checker, from, to));
        let sample = clauses.value(ClauseId::Sample);
        let sample = self.optional(sample, |w, e| some_share(w.checker, e, "sample", "抽样"));
        let deadline = clauses.value(ClauseId::Deadline);
        let deadline = self.optional(deadline, |w, e| limits::positive(w.checker, e, "deadline"));
        let pace = clauses.value(ClauseId::Pace);
        let pace = self.optional(pace, |w, e| {
            w.checker
                .count(e, "pace", 1..=MAX_PACE)
                .and_then(|n| u32::try_from(n).ok())
        });
        let top = self.top(clauses);
        let priority = self.priority(clauses);
        let target = self.target(clauses, &action);

        self.declared.failed |= self.failed;
        Campaign {
            declared: self.declared.clone(),
            title: None,
            when,
            top,
            sample,
            goal,
            purpose: self.purpose,
            action,
            holdout,
            via: self.via.clone().unwrap_or_else(|| sandbox(name)),
            schedule,
            again,
            priority,
            caps,
            quiet,
            deadline,
            pace,
            recall: self.recall.map(|(l, _)| l),
            steps,
            leave_when,
            target,
        }
    }

    fn when(&mut self, clauses: &Clauses<'_>, schedule: &Schedule, known_schedule: bool) -> Expr {
        let name = self.declared.name_span;
        let found = clauses.find(|k| {
            if let ClauseKind::When(e) = k {
                Some(e)
            } else {
                None
            }
        });
        let Some((_, e)) = found else {
            if !matches!(schedule, Schedule::Trigger(_)) && known_schedule && !clauses.unread {
                self.report(
                    Finding::new(
                        &catalog::MISSING_CLAUSE,
                        name,
                        msg!("nothing says who is meant", "没有写明发送给谁"),
                    )
                    .help(msg!(
                        "add `when CONDITION`; to reach every user, write `when everyone`",
                        "加上 `when 条件`；要发给所有人，写 `when everyone`"
                    )),
                );
            }
            return Expr {
                ty: Type::Bool,
                span: name,
                optional: false,
                kind: ExprKind::Everyone,
            };
        };
        let cx = self.cx();
        let Some(condition) = self.checker.condition(e, &cx) else {
            self.failed = true;
            return Checker::placeholder(e.span);
        };
        match truth(&self.checker.program, &condition) {
            Truth::Never => self.report(nobody(e.span)),
            Truth::Always => self.report(
                Finding::new(
                    &catalog::MATCHES_EVERYONE,
                    e.span,
                    msg!("this is true for every user", "这个条件对所有用户都成立"),
                )
                .fix(
                    msg!(
                        "if every user is meant, write `everyone`",
                        "如果确实要发给所有人，请写 `全部用户`"
                    ),
                    e.span,
                    "everyone",
                    false,
                ),
            ),
            Truth::Everyone | Truth::Open => {}
        }
        condition
    }

    fn purpose_clause(&mut self, clauses: &Clauses<'_>) -> Purpose {
        let found = clauses.name(ClauseId::Purpose);
        self.optional(found, |w, name| policy::purpose(w.checker, name))
            .unwrap_or_default()
    }

    fn via_clause(&mut self, clauses: &Clauses<'_>, name: Span) -> Option<Via> {
        let found = clauses
            .find(|k| {
                if let ClauseKind::Via(v) = k {
                    Some(v)
                } else {
                    None
                }
            })
            .map(|(_, v)| v);
        // `send template T via …` at the top says it for the whole campaign.
        let sent = clauses
            .find(|k| {
                if let ClauseKind::Action(ast::Action::Send(s)) = k {
                    s.via.as_ref()
                } else {
                    None
                }
            })
            .map(|(_, v)| v);
        if let (Some(first), Some(second)) = (found, sent) {
            let finding = twice("via", second.span, first.span);
            self.report(finding);
        }
        let Some(via) = found.or(sent) else {
            return Some(sandbox(name));
        };
        self.own_channels(via)
    }

    fn action_clause(&mut self, clauses: &Clauses<'_>, at: &ActionContext, name: Span) -> Action {
        let found = clauses.find(|k| {
            if let ClauseKind::Action(a) = k {
                Some(a)
            } else {
                None
            }
        });
        let Some((_, action)) = found else {
            if !clauses.unread {
                self.report(
                    Finding::new(
                        &catalog::MISSING_CLAUSE,
                        name,
                        msg!("nothing says what to send", "没有写明发送什么"),
                    )
                    .help(msg!(
                        "add `send template …`, `split {{ … }}` or `choose {{ … }}`",
                        "加上 `send template …`、`split {{ … }}` 或 `choose {{ … }}`"
                    )),
                );
            }
            return Action::Nothing;
        };
        let typed = self.action(action, at);
        self.or(typed, Action::Nothing)
    }

    /// Arms share the quota of a list channel.
    fn enough_jobs(&mut self) {
        let mut by_channel: BTreeMap<String, Vec<Jobs>> = BTreeMap::new();
        for job in std::mem::take(&mut self.jobs) {
            by_channel.entry(job.channel.clone()).or_default().push(job);
        }
        for (channel, jobs) in by_channel {
            let total = jobs.iter().fold(0u64, |t, j| t.saturating_add(j.texts));
            let Some(first) = jobs.first() else { continue };
            if total > first.quota.0 {
                let finding = Finding::new(
                    &catalog::TOO_MANY_TEXTS,
                    first.route,
                    msg!(
                        "`{channel}` takes one text a job, and the messages of this campaign are {total} texts",
                        "`{channel}` 一次任务只能发一种文案，这个活动共有 {total} 种文案"
                    ),
                );
                let finding = finding.help(quota_words(first.quota));
                self.report(finding);
            }
        }
    }

    /// Without a campaign's `via`, a message beside others that name their channels would go to the
    /// sandbox unnoticed.
    fn all_have_channels(&mut self, clauses: &Clauses<'_>) {
        let says_via = clauses.iter().any(|c| {
            if let ClauseKind::Action(ast::Action::Send(s)) = &c.kind {
                s.via.is_some()
            } else {
                matches!(c.kind, ClauseKind::Via(_))
            }
        });
        if let (false, true, Some(span)) = (says_via, self.own_via, self.without_via) {
            self.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    span,
                    msg!(
                        "this message names no channel, and others of this campaign do",
                        "这条消息没有写渠道，而活动里的其他消息写了"
                    ),
                )
                .help(msg!(
                    "add `via …` here, or one `via` for the whole campaign",
                    "在这里加上 `via …`，或为整个活动写一个 `via`"
                )),
            );
        }
    }

    fn leave_when(&mut self, clauses: &Clauses<'_>, no_steps: bool) -> Option<Expr> {
        let (clause, e) = clauses.value(ClauseId::LeaveWhen)?;
        if no_steps {
            self.report(
                Finding::new(
                    &catalog::CONFLICTING_CLAUSES,
                    clause.word,
                    msg!(
                        "`leave when` ends a series, and this campaign has no `after`",
                        "`leave when` 用于结束系列，而这个活动没有 `after`"
                    ),
                )
                .help(msg!(
                    "leave it out, or exclude these users in `when … except …`",
                    "去掉它，或在 `when … except …` 中排除这些用户"
                )),
            );
        }
        let cx = self.cx();
        let condition = self.checker.condition(e, &cx);
        self.failed |= condition.is_none();
        condition
    }

    fn holdout(&mut self, share: &ast::Expr, key: Option<&ast::Str>) -> Option<Holdout> {
        if self
            .checker
            .program
            .policy
            .purposes
            .get(&self.purpose)
            .is_some_and(|p| p.no_holdout)
        {
            let purpose = purpose_word(self.purpose);
            self.report(
                Finding::new(
                    &catalog::CONFLICTING_CLAUSES,
                    share.span,
                    msg!(
                        "the policy says `no holdout` for `{purpose}`",
                        "策略规定 `{purpose}` 用途不设对照组：`no holdout`"
                    ),
                )
                .help(msg!(
                    "leave `holdout` out, or change the policy",
                    "去掉 `holdout`，或修改策略"
                )),
            );
            return None;
        }
        limits::holdout(self.checker, share, key)
    }

    fn top(&mut self, clauses: &Clauses<'_>) -> Option<Top> {
        let found = clauses.find(|k| {
            if let ClauseKind::Top { n, by } = k {
                Some((n, by))
            } else {
                None
            }
        });
        self.optional(found, |w, (n, by)| {
            if w.trigger.is_some() {
                w.report(
                    Finding::new(
                        &catalog::CONFLICTING_CLAUSES,
                        n.span,
                        msg!(
                            "`top` chooses among many users, and an event concerns one",
                            "`top` 从许多用户中选取，而事件只涉及一个用户"
                        ),
                    )
                    .help(msg!(
                        "write a condition instead, for instance `when order_total > ¥1000`",
                        "改用条件，例如 `when order_total > ¥1000`"
                    )),
                );
            }
            let n = w.checker.count(n, "top", 1..=u64::MAX);
            let cx = w.cx();
            let by = w.checker.ordered_value(by, &cx);
            Some(Top { n: n?, by: by? })
        })
    }

    fn goal(&mut self, clauses: &Clauses<'_>) -> Option<Goal> {
        let found = clauses.find(|k| {
            if let ClauseKind::Goal { event, within } = k {
                Some((event, within))
            } else {
                None
            }
        });
        self.optional(found, |w, (event, within)| {
            let pattern = w.checker.event_pattern(event, &ExprContext::default());
            let within = match within {
                None => Some(GOAL_WITHIN),
                Some(e) => limits::positive(w.checker, e, "goal within"),
            };
            Some(Goal {
                event: pattern?,
                within: within?,
            })
        })
    }

    fn priority(&mut self, clauses: &Clauses<'_>) -> Priority {
        let found = clauses.find(|k| {
            if let ClauseKind::Priority { value, rising } = k {
                Some((value, rising))
            } else {
                None
            }
        });
        self.optional(found, |w, (value, rising)| {
            let cx = w.cx();
            let value = w.checker.number(value, "priority", &cx);
            let rising = match rising {
                None => Some(0),
                Some(e) => w
                    .checker
                    .count(e, "rising", 1..=1_000_000)
                    .and_then(|n| i64::try_from(n).ok()),
            };
            Some(Priority {
                value: Some(value?),
                rising_per_hour: rising?,
            })
        })
        .unwrap_or_default()
    }

    fn target(&mut self, clauses: &Clauses<'_>, action: &Action) -> Vec<(StepOutcome, Share)> {
        let found = clauses.find(|k| {
            if let ClauseKind::Target(bands) = k {
                Some(bands)
            } else {
                None
            }
        });
        let Some((_, bands)) = found else {
            return Vec::new();
        };
        let mut out: Vec<(StepOutcome, Share, Span)> = Vec::new();
        for band in bands {
            let Some(outcome) = OUTCOMES
                .iter()
                .find(|(_, n)| *n == band.outcome.name)
                .map(|(o, _)| *o)
            else {
                let names: Vec<&str> = OUTCOMES.iter().map(|(_, n)| *n).collect();
                let finding = Finding::new(
                    &catalog::UNKNOWN_NAME,
                    band.outcome.span,
                    msg!(
                        "`{}` is not an outcome of a message",
                        "`{}` 不是消息的结果",
                        band.outcome.name
                    ),
                );
                self.report(match nearest(&band.outcome.name, names.iter().copied()) {
                    Some(near) => finding.fix(
                        msg!("write `{near}`", "改为 `{near}`"),
                        band.outcome.span,
                        near,
                        false,
                    ),
                    None => {
                        finding.help(msg!("write one of {}", "可写：{}", route::quoted(&names)))
                    }
                });
                continue;
            };
            if let Some((_, _, first)) = out.iter().find(|(o, _, _)| *o == outcome) {
                let finding = twice(&band.outcome.name, band.outcome.span, *first);
                self.report(finding);
                continue;
            }
            let share = some_share(self.checker, &band.at_least, "target", "目标");
            self.failed |= share.is_none();
            if outcome == StepOutcome::Converted {
                self.needs_goal(band.outcome.span);
            }
            if let Some(share) = share {
                if let Some(finding) =
                    observe::target(outcome, band.outcome.span, action, self.via.as_ref())
                {
                    self.report(finding);
                }
                out.push((outcome, share, band.outcome.span));
            }
        }
        out.into_iter().map(|(o, s, _)| (o, s)).collect()
    }
}

const OUTCOMES: [(StepOutcome, &str); 4] = [
    (StepOutcome::Delivered, "delivered"),
    (StepOutcome::Opened, "opened"),
    (StepOutcome::Clicked, "clicked"),
    (StepOutcome::Converted, "converted"),
];

/// Without `via`: nothing leaves the house.
fn sandbox(span: Span) -> Via {
    let channel = ChannelName {
        account: "sandbox".into(),
        platform: "sandbox".into(),
        endpoint: "file".into(),
    };
    Via {
        routes: vec![Route {
            span,
            channel,
            weight: None,
            address: None,
        }],
        takes: Takes::First,
    }
}

/// The fields of the trigger event that its `where` proves to be there.
fn proved_by_trigger(checker: &Checker<'_>, filter: Option<&Expr>) -> Definedness {
    let mut present = Definedness::default();
    if let Some(filter) = filter {
        present.assume_trigger(&checker.program, filter);
    }
    present
}
