//! What is sent: `send`, `split`, `choose`, and the follow-ups `after`.

use super::campaign_checker::CampaignChecker;
use super::clauses::{duplicate_name, twice};
use super::limits::some_share;
use super::message;
use super::template_use::TemplateUse;
use super::truth::{Truth, nobody, truth};
use super::{observe, route};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::Checker;
use crate::program::definedness::Definedness;
use crate::program::scope::nearest;
use crate::program::typed::{Action, Arm, ChooseArm, Send, Share, Step, Via};
use crate::syntax::ast;

/// Where an action stands: what it may be, and what is proved there.
#[derive(Clone)]
pub(super) struct ActionContext {
    pub nested: Nested,
    pub present: Definedness,
    /// For labels of what is not proved.
    pub proof: Span,
    pub late: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nested {
    Campaign,
    Arm,
    ChooseArm,
    Step,
}

impl CampaignChecker<'_, '_> {
    /// What is misplaced is reported and looked at all the same.
    pub(super) fn action(&mut self, action: &ast::Action, at: &ActionContext) -> Option<Action> {
        match action {
            ast::Action::Nothing(span) => {
                if at.nested == Nested::Campaign {
                    self.report(
                        Finding::new(
                            &catalog::MISPLACED_CLAUSE,
                            *span,
                            msg!(
                                "a campaign that sends nothing does nothing",
                                "什么都不发送的活动没有意义"
                            ),
                        )
                        .help(msg!("write `send template …`", "写 `send template …`")),
                    );
                }
                Some(Action::Nothing)
            }
            ast::Action::Send(send) => self.send(send, at).map(Action::Send),
            ast::Action::Split { span, arms } => {
                if at.nested != Nested::Campaign {
                    self.report(
                        Finding::new(&catalog::MISPLACED_CLAUSE, self.word(*span), msg!("`split` cannot stand here", "这里不能写 `split`"))
                            .help(msg!(
                                "split once, at the top of the campaign, and give each arm its own share",
                                "只在活动最外层分组一次，每个分组写各自的比例"
                            )),
                    );
                }
                Some(Action::Split(self.split(arms, self.word(*span), at)))
            }
            ast::Action::Choose { span, arms } => {
                let help = match at.nested {
                    Nested::Campaign | Nested::Arm => None,
                    Nested::ChooseArm => Some(msg!(
                        "write all cases in one `choose`",
                        "把所有情况写在同一个 `choose` 里"
                    )),
                    Nested::Step => Some(msg!(
                        "write several follow-ups, each with its own `if`",
                        "写多个后续步骤，各自带 `if`"
                    )),
                };
                if let Some(help) = help {
                    self.report(
                        Finding::new(
                            &catalog::MISPLACED_CLAUSE,
                            self.word(*span),
                            msg!("`choose` cannot stand here", "这里不能写 `choose`"),
                        )
                        .help(help),
                    );
                }
                Some(Action::Choose(self.choose(arms, self.word(*span), at)))
            }
        }
    }

    /// The word that a block begins with.
    fn word(&self, block: Span) -> Span {
        let text = self.checker.sources.slice(block);
        let length = text
            .find(|c: char| c.is_whitespace() || c == '{')
            .unwrap_or(text.len());
        Span::new(
            block.file,
            block.start as usize,
            block.start as usize + length,
        )
    }

    /// A send with a bad channel is kept without it, in a campaign that has failed.
    fn send(&mut self, send: &ast::Send, at: &ActionContext) -> Option<Send> {
        let template = self.checker.template_named(&send.template);
        // At the top of a campaign, `send T via c` has become the campaign's own `via`.
        let own = send.via.as_ref().filter(|_| at.nested != Nested::Campaign);
        let via = match own {
            Some(via) => {
                self.own_via = true;
                self.own_channels(via)
            }
            None => {
                self.without_via = self.without_via.or(Some(send.template.span));
                None
            }
        };
        let template = template?;
        if self.checker.program.template(template).declared.failed {
            self.failed = true;
        } else {
            let campaign = self.via.as_ref().filter(|_| own.is_none());
            let u = TemplateUse {
                program: &self.checker.program,
                template,
                send: send.template.span,
                routes: via.as_ref().or(campaign).map_or(&[], |v| &v.routes),
                trigger: self.trigger,
                present: &at.present,
                proof: at.proof,
                late: at.late,
                recall: self.recall,
            };
            let checked = message::check(&u, self.reported);
            for finding in checked.findings {
                self.report(finding);
            }
            if !at.late {
                self.jobs.extend(checked.jobs);
            }
        }
        Some(Send {
            span: send.span,
            template,
            via,
        })
    }

    /// The channels of a `via`, as far as they are good; `None` where none is.
    pub(super) fn own_channels(&mut self, via: &ast::Via) -> Option<Via> {
        let cx = self.cx();
        let (typed, whole) = route::via(self.checker, via, &cx, self.reported);
        self.failed |= !whole;
        self.channel_rules(&typed);
        (!typed.routes.is_empty()).then_some(typed)
    }

    fn split(&mut self, arms: &[ast::Arm], span: Span, at: &ActionContext) -> Vec<Arm> {
        let mut typed = Vec::new();
        let mut total: Option<u64> = Some(0);
        for (i, arm) in arms.iter().enumerate() {
            if let Some(first) = arms.iter().take(i).find(|a| a.name.name == arm.name.name) {
                self.report(duplicate_name(&arm.name, first.name.span));
            }
            let share = some_share(self.checker, &arm.share, "split", "分组");
            total = total.zip(share).map(|(t, s)| t + u64::from(s.0));
            let action = self.action(
                &arm.action,
                &ActionContext {
                    nested: Nested::Arm,
                    ..at.clone()
                },
            );
            self.failed |= share.is_none() || action.is_none();
            let (share, action) = (share.unwrap_or(Share(0)), action.unwrap_or(Action::Nothing));
            typed.push(Arm {
                name: arm.name.name.clone(),
                span: arm.span,
                share,
                action,
            });
        }
        let all = u64::from(Share::ALL.0);
        if let Some(total) = total
            && total != all
        {
            self.report(shares(arms, span, total, all));
        }
        typed
    }

    fn choose(
        &mut self,
        arms: &[ast::ChooseArm],
        span: Span,
        at: &ActionContext,
    ) -> Vec<ChooseArm> {
        let mut typed = Vec::new();
        let mut closed: Option<Span> = None;
        if arms.iter().all(|a| a.when.is_none()) {
            self.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    span,
                    msg!(
                        "`choose` without a condition chooses nothing",
                        "`choose` 没有条件，无从选择"
                    ),
                )
                .help(msg!(
                    "write `when CONDITION send …` before `otherwise`",
                    "在 `otherwise` 之前写 `when 条件 send …`"
                )),
            );
        }
        for arm in arms {
            if let Some(first) = closed {
                self.report(
                    Finding::new(
                        &catalog::UNREACHABLE_ARM,
                        arm.span,
                        msg!("no user comes this far", "没有用户会走到这里"),
                    )
                    .label(
                        first,
                        msg!("this one takes everybody", "这一条已经包含所有人"),
                    )
                    .help(msg!(
                        "put the one that takes everybody last, and only once",
                        "把包含所有人的一条放在最后，且只写一次"
                    )),
                );
            }
            let mut here = ActionContext {
                nested: Nested::ChooseArm,
                ..at.clone()
            };
            let when = match &arm.when {
                None => {
                    closed = Some(arm.span);
                    None
                }
                Some(e) => {
                    let cx = self.cx();
                    let condition = self.checker.condition(e, &cx);
                    self.failed |= condition.is_none();
                    if let Some(condition) = &condition {
                        here.present.assume(&self.checker.program, condition);
                        here.proof = condition.span;
                        match truth(&self.checker.program, condition) {
                            Truth::Never => self.report(nobody(condition.span)),
                            Truth::Always | Truth::Everyone => closed = Some(arm.span),
                            Truth::Open => {}
                        }
                    }
                    Some(condition.unwrap_or_else(|| Checker::placeholder(e.span)))
                }
            };
            let action = self.action(&arm.action, &here);
            self.failed |= action.is_none();
            typed.push(ChooseArm {
                span: arm.span,
                when,
                action: action.unwrap_or(Action::Nothing),
            });
        }
        typed
    }

    /// All follow-ups, in order. A failed one ends the list: later ones count from it.
    pub(super) fn steps(
        &mut self,
        afters: &[(&ast::Clause, &ast::After)],
        first: &Action,
    ) -> Vec<Step> {
        let mut steps: Vec<Step> = Vec::new();
        let mut names: Vec<(String, Span)> = Vec::new();
        for (i, (clause, after)) in afters.iter().enumerate() {
            let name = after
                .name
                .as_ref()
                .map_or_else(|| format!("after{}", i + 1), |n| n.name.clone());
            let name_span = after.name.as_ref().map_or(clause.word, |n| n.span);
            if let Some((_, before)) = names.iter().find(|(n, _)| *n == name) {
                let finding = twice(&name, name_span, *before);
                self.report(finding);
                self.failed = true;
            }
            let step = self.step(after, clause.span, name.clone(), &names, &steps, first);
            names.push((name.clone(), name_span));
            match step {
                Some(step) => steps.push(step),
                None => {
                    self.failed = true;
                    // Later steps keep their numbers.
                    steps.push(Step {
                        name,
                        span: clause.span,
                        delay: crate::program::typed_expr::Length::Elapsed(crate::base::Elapsed(0)),
                        from: 0,
                        at: None,
                        when: None,
                        action: Action::Nothing,
                        otherwise: None,
                    });
                }
            }
        }
        steps
    }

    fn step(
        &mut self,
        after: &ast::After,
        span: Span,
        name: String,
        names: &[(String, Span)],
        steps: &[Step],
        first: &Action,
    ) -> Option<Step> {
        let delay = self.checker.length(&after.delay, "after");
        let from = match &after.from {
            None => Some(names.len()),
            Some(wanted) => self.step_named(wanted, names),
        };
        let at_time = match &after.at {
            None => Some(None),
            Some(e) => self.checker.time(e, "after").map(Some),
        };
        let mut here = ActionContext {
            nested: Nested::Step,
            present: self.trigger_present.clone(),
            proof: span,
            late: true,
        };
        let otherwise_at = here.clone();
        let when = match (&after.cond, from) {
            (None, _) => Some(None),
            (Some(_), None) => None,
            (Some(e), Some(from)) => {
                let mut cx = self.cx();
                cx.step = Some(from);
                self.checker.condition(e, &cx).map(Some)
            }
        };
        if let (Some(Some(condition)), Some(from)) = (&when, from) {
            here.present.assume(&self.checker.program, condition);
            here.proof = condition.span;
            let routes = match from.checked_sub(1).map(|i| steps.get(i)) {
                None => observe::routes_of(first, self.via.as_ref()),
                Some(Some(step)) => {
                    let mut routes = observe::routes_of(&step.action, self.via.as_ref());
                    routes.extend(
                        step.otherwise
                            .iter()
                            .flat_map(|a| observe::routes_of(a, self.via.as_ref())),
                    );
                    routes
                }
                Some(None) => Vec::new(),
            };
            for finding in observe::step_outcomes(condition, &routes) {
                self.report(finding);
            }
            if let Some(span) = observe::converted(condition) {
                self.needs_goal(span);
            }
            if truth(&self.checker.program, condition) == Truth::Never {
                let span = condition.span;
                self.report(nobody(span));
            }
        }
        let action = self.action(&after.action, &here);
        let otherwise = match &after.otherwise {
            None => Some(None),
            Some(a) => self.action(a, &otherwise_at).map(Some),
        };
        if let (Some(otherwise), None) = (&after.otherwise, &after.cond) {
            let span = match otherwise {
                ast::Action::Send(s) => s.span,
                ast::Action::Nothing(span)
                | ast::Action::Split { span, .. }
                | ast::Action::Choose { span, .. } => *span,
            };
            self.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    span,
                    msg!(
                        "`else` without `if` is never reached",
                        "没有 `if` 的 `else` 不会执行"
                    ),
                )
                .help(msg!(
                    "add a condition: `after … if CONDITION send … else send …`",
                    "加上条件：`after … if 条件 send … else send …`"
                )),
            );
        }
        Some(Step {
            name,
            span,
            delay: delay?,
            from: from?,
            at: at_time?,
            when: when?,
            action: action?,
            otherwise: otherwise?,
        })
    }

    /// The number of an earlier step; the campaign's own name is its first message.
    fn step_named(&mut self, wanted: &ast::Ident, names: &[(String, Span)]) -> Option<usize> {
        if wanted.name == self.declared.name {
            return Some(0);
        }
        if let Some(i) = names.iter().position(|(n, _)| *n == wanted.name) {
            return Some(i + 1);
        }
        let finding = Finding::new(
            &catalog::UNKNOWN_NAME,
            wanted.span,
            msg!(
                "no earlier step is named `{}`",
                "前面没有名为 `{}` 的步骤",
                wanted.name
            ),
        );
        let known = names
            .iter()
            .map(|(n, _)| n.as_str())
            .chain([self.declared.name.as_str()]);
        let finding = match nearest(&wanted.name, known) {
            Some(near) => finding.fix(
                msg!("write `{near}`", "改为 `{near}`"),
                wanted.span,
                near,
                false,
            ),
            None => finding.help(msg!(
                "the first message is `{}`; a step is named by a label: `remind: after 3 days …`",
                "第一条消息叫 `{}`；步骤用标签命名：`remind: after 3 days …`",
                self.declared.name
            )),
        };
        self.report(finding);
        None
    }
}

fn shares(arms: &[ast::Arm], span: Span, total: u64, all: u64) -> Finding {
    let percent = |millionths: u64| {
        let (whole, part) = (millionths / 10_000, millionths % 10_000);
        if part == 0 {
            format!("{whole}%")
        } else {
            format!("{whole}.{}%", format!("{part:04}").trim_end_matches('0'))
        }
    };
    let sum = percent(total);
    let (en, zh) = if total < all {
        let rest = percent(all - total);
        (format!("{rest} are missing"), format!("还差 {rest}"))
    } else {
        let rest = percent(total - all);
        (format!("{rest} too many"), format!("多出 {rest}"))
    };
    let mut finding = Finding::new(
        &catalog::SHARES_TOTAL,
        span,
        msg!(
            "the shares total {sum}, not 100%: {en}",
            "比例合计 {sum}，不是 100%：{zh}"
        ),
    );
    for arm in arms {
        let share = &arm.share;
        finding = finding.label(share.span, msg!("of `{}`", "`{}` 的比例", arm.name.name));
    }
    if total < all {
        let rest = percent(all - total);
        finding.help(msg!(
            "for users who get nothing, add an arm: `control {rest} nothing`",
            "不发送的用户也要写成一组：`control {rest} nothing`"
        ))
    } else {
        finding
    }
}
