//! `test` blocks: who the users are, what happens to them, what is expected.

use std::collections::{BTreeMap, HashMap};

use super::checker::Checker;
use crate::base::{Instant, TagId, Value};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::campaign;
use crate::program::reserved::not_supported;
use crate::program::run_outcome::{OUTCOMES, RunOutcome, RunOutcomeInfo};
use crate::program::scope::nearest;
use crate::program::typed::{Expect, ExpectKind, Test, TestEvent, TestUser};
use crate::program::typed_expr::OwnEvent;
use crate::syntax::ast::{self, LiteralKind, TestStepKind};

/// So many users one test can have.
pub const MAX_TEST_USERS: usize = 10_000;

/// The test under construction.
struct Scene<'a> {
    test: Test,
    /// Position by name.
    users: HashMap<&'a str, usize>,
    failed: bool,
}

impl Checker<'_> {
    pub(super) fn check_tests(&mut self, tests: &[(Span, &ast::TestDecl)]) {
        let mut titles: HashMap<&str, Span> = HashMap::new();
        for (span, test) in tests {
            let title = &test.title.value;
            if let Some(first) = titles.insert(title, test.title.span) {
                self.report(
                    Finding::new(
                        &catalog::DUPLICATE_NAME,
                        test.title.span,
                        msg!(
                            "two tests have the title `{title}`",
                            "两个测试的标题都是 `{title}`"
                        ),
                    )
                    .label(first, msg!("the first one", "第一个")),
                );
            }
            if let Some(test) = self.check_test(*span, test) {
                self.program.tests.push(test);
            }
        }
    }

    fn check_test(&mut self, span: Span, decl: &ast::TestDecl) -> Option<Test> {
        let test = Test {
            title: decl.title.value.clone(),
            span,
            now: None,
            until: None,
            users: vec![],
            events: vec![],
            expects: vec![],
        };
        let mut scene = Scene {
            test,
            users: HashMap::new(),
            failed: false,
        };
        self.check_clock(decl, &mut scene);
        // Users first, so that they may stand anywhere.
        for step in &decl.steps {
            let users = if let TestStepKind::Users(users) = &step.kind {
                &users[..]
            } else if let TestStepKind::User(user) = &step.kind {
                std::slice::from_ref(user)
            } else {
                &[]
            };
            for user in users {
                self.check_user(user, &mut scene);
            }
        }
        for step in &decl.steps {
            if self.check_step(step, &mut scene).is_none() {
                scene.failed = true;
            }
        }
        if scene.test.expects.is_empty() && !scene.failed {
            let title = &decl.title.value;
            self.report(
                Finding::new(
                    &catalog::EMPTY_TEST,
                    decl.title.span,
                    msg!(
                        "the test `{title}` expects nothing",
                        "测试 `{title}` 没有任何期望"
                    ),
                )
                .help(msg!(
                    "add `expect u1 matches CAMPAIGN`, for instance",
                    "例如加上 `expect u1 matches 活动`"
                )),
            );
        }
        (!scene.failed).then_some(scene.test)
    }

    fn check_clock<'a>(&mut self, decl: &'a ast::TestDecl, scene: &mut Scene<'a>) {
        let mut first: [Option<Span>; 2] = [None, None];
        for step in &decl.steps {
            let (which, word, e) = if let TestStepKind::Now(e) = &step.kind {
                (0, "now", e)
            } else if let TestStepKind::Until(e) = &step.kind {
                (1, "until", e)
            } else {
                continue;
            };
            if let Some(span) = first[which].replace(step.span) {
                scene.failed = true;
                self.report(
                    Finding::new(
                        &catalog::DUPLICATE_NAME,
                        step.span,
                        msg!("`{word}` is said twice", "`{word}` 写了两次"),
                    )
                    .label(span, msg!("the first one", "第一个")),
                );
                continue;
            }
            let at = self
                .date_time(e, word)
                .map(|(d, t)| self.program.policy.zone.instant(d, t));
            scene.failed |= at.is_none();
            if which == 0 {
                scene.test.now = at
            } else {
                scene.test.until = at
            }
        }
        if let (Some(now), Some(until), Some(span)) = (scene.test.now, scene.test.until, first[1])
            && until < now
        {
            scene.failed = true;
            self.report(Finding::new(
                &catalog::EMPTY_RANGE,
                span,
                msg!("`until` lies before `now`", "`until` 早于 `now`"),
            ));
        }
    }

    fn check_user<'a>(&mut self, user: &'a ast::TestUser, scene: &mut Scene<'a>) {
        let n = &user.name.name;
        if scene.test.users.len() >= MAX_TEST_USERS {
            scene.failed = true;
            return self.report(Finding::new(
                &catalog::OUT_OF_RANGE,
                user.span,
                msg!(
                    "a test has at most {MAX_TEST_USERS} users",
                    "一个测试最多有 {MAX_TEST_USERS} 个用户"
                ),
            ));
        }
        if let Some(first) = scene
            .users
            .insert(n, scene.test.users.len())
            .and_then(|i| scene.test.users.get(i))
        {
            scene.failed = true;
            self.report(
                Finding::new(
                    &catalog::DUPLICATE_NAME,
                    user.name.span,
                    msg!("the user `{n}` is there twice", "用户 `{n}` 出现了两次"),
                )
                .label(first.span, msg!("first here", "先在这里")),
            );
        }
        let mut values: BTreeMap<TagId, (Span, Option<Value>)> = BTreeMap::new();
        for (tag, e) in &user.values {
            match self.user_value(tag, e) {
                Some((id, value)) => {
                    scene.failed |= value.is_none();
                    if let Some((first, _)) = values.insert(id, (tag.span, value)) {
                        let t = &tag.name;
                        scene.failed = true;
                        self.report(
                            Finding::new(
                                &catalog::DUPLICATE_NAME,
                                tag.span,
                                msg!("`{t}` is given twice", "`{t}` 给了两次"),
                            )
                            .label(first, msg!("first here", "先在这里")),
                        );
                    }
                }
                None => scene.failed = true,
            }
        }
        let lacking: Vec<&str> = self
            .program
            .schema
            .tags
            .iter()
            .enumerate()
            .filter(|(i, t)| t.always && !values.contains_key(&TagId(*i as u32)))
            .map(|(_, t)| t.name.as_str())
            .collect();
        if !lacking.is_empty() {
            let list = lacking.join("`, `");
            scene.failed = true;
            self.report(
                Finding::new(
                    &catalog::MISSING_VALUE,
                    user.name.span,
                    msg!(
                        "the user `{n}` lacks `{list}`, which every user has",
                        "用户 `{n}` 缺少每个用户都有的 `{list}`"
                    ),
                )
                .help(msg!(
                    "the store refuses users without a tag that is `always` there",
                    "没有 `always` 标签的用户会被数据仓拒绝"
                )),
            );
        }
        scene.test.users.push(TestUser {
            name: n.clone(),
            span: user.span,
            values: values
                .into_iter()
                .map(|(id, (_, value))| (id, value))
                .collect(),
        });
    }

    /// The tag and its value; a value that failed is `None`.
    fn user_value(&mut self, tag: &ast::Ident, e: &ast::Expr) -> Option<(TagId, Option<Value>)> {
        let id = self.tag_named(tag)?;
        let schema = self.program.schema.tag(id);
        if schema.derived {
            let n = &tag.name;
            self.report(
                Finding::new(
                    &catalog::WRONG_QUALIFIER,
                    tag.span,
                    msg!(
                        "`{n}` is derived: it has no value of its own",
                        "`{n}` 是派生标签：没有自己的值"
                    ),
                )
                .help(msg!(
                    "give the tags and events that it is computed from",
                    "请给出用来计算它的标签和事件"
                )),
            );
            return None;
        }
        let ty = schema.ty.clone();
        let value = self.constant(e, &ty, tag);
        Some((id, value))
    }

    fn check_step<'a>(&mut self, step: &'a ast::TestStep, scene: &mut Scene<'a>) -> Option<()> {
        let kind = match &step.kind {
            TestStepKind::Now(_)
            | TestStepKind::Until(_)
            | TestStepKind::User(_)
            | TestStepKind::Users(_) => return Some(()),
            TestStepKind::Broken => return None,
            TestStepKind::Event {
                user,
                event,
                fields,
                at,
            } => {
                let event = self.check_test_event(step.span, user, event, fields, at, scene)?;
                scene.test.events.push(event);
                return Some(());
            }
            TestStepKind::Matches {
                user,
                campaign,
                because,
            } => {
                if let Some(because) = because {
                    self.report(
                        Finding::new(
                            &catalog::WRONG_ARGUMENTS,
                            because.span,
                            msg!("`matches` has no reason", "`matches` 不需要原因"),
                        )
                        .help(msg!(
                            "`because` follows `unknown in C` and `receives nothing`",
                            "`because` 写在 `unknown in C` 和 `receives nothing` 之后"
                        )),
                    );
                    return None;
                }
                let (user, campaign) =
                    (self.user_named(user, scene), self.campaign_named(campaign));
                ExpectKind::Matches {
                    user: user?,
                    campaign: campaign?,
                }
            }
            TestStepKind::Unknown {
                user,
                campaign,
                because,
            } => {
                let (user, campaign) =
                    (self.user_named(user, scene), self.campaign_named(campaign));
                let because = match because {
                    Some(tag) => Some(self.tag_named(tag)?),
                    None => None,
                };
                ExpectKind::Unknown {
                    user: user?,
                    campaign: campaign?,
                    because,
                }
            }
            TestStepKind::Receives {
                user,
                template,
                at,
                via,
            } => {
                let (user, template) =
                    (self.user_named(user, scene), self.template_named(template));
                let at = match at {
                    Some(at) => Some(self.expected_time(at, scene.test.now)?),
                    None => None,
                };
                let via = match via {
                    Some(via) => Some(campaign::channel(self, via)?),
                    None => None,
                };
                ExpectKind::Receives {
                    user: user?,
                    template: template?,
                    at,
                    via,
                }
            }
            TestStepKind::ReceivesNothing { user, because } => {
                let user = self.user_named(user, scene);
                let because = match because {
                    Some(name) => Some(self.outcome_named(name)?),
                    None => None,
                };
                ExpectKind::Nothing {
                    user: user?,
                    because,
                }
            }
            TestStepKind::Reaches { campaign, n } => {
                let (campaign, n) = (
                    self.campaign_named(campaign),
                    self.count(n, "reaches", 0..=u64::MAX),
                );
                ExpectKind::Reaches {
                    campaign: campaign?,
                    n: n?,
                }
            }
        };
        scene.test.expects.push(Expect {
            span: step.span,
            kind,
        });
        Some(())
    }

    fn user_named(&mut self, user: &ast::Ident, scene: &Scene<'_>) -> Option<usize> {
        let n = &user.name;
        if let Some(i) = scene.users.get(n.as_str()) {
            return Some(*i);
        }
        let finding = Finding::new(
            &catalog::UNKNOWN_NAME,
            user.span,
            msg!("the test has no user `{n}`", "测试里没有用户 `{n}`"),
        );
        self.report(
            match self.scope.nearest_of(n, scene.users.keys().copied()) {
                Some(near) => finding.fix(
                    msg!("did you mean `{near}`", "是否想写 `{near}`"),
                    user.span,
                    near,
                    false,
                ),
                None => finding.help(msg!("add `user {n} {{ … }}`", "请加上 `user {n} {{ … }}`")),
            },
        );
        None
    }

    fn check_test_event(
        &mut self,
        span: Span,
        user: &ast::Ident,
        event: &ast::Ident,
        fields: &[(ast::Ident, ast::Expr)],
        at: &ast::Expr,
        scene: &Scene<'_>,
    ) -> Option<TestEvent> {
        let user = self.user_named(user, scene);
        let at = self
            .date_time(at, "at")
            .map(|(d, t)| self.program.policy.zone.instant(d, t));
        if self.scope.get(&event.name).is_none()
            && OwnEvent::ALL.iter().any(|(_, n)| *n == event.name)
        {
            self.report(not_supported("event opened", event.span));
            return None;
        }
        let id = self.event_named(event)?;
        let schema = self.program.schema.events.get(id.index())?.clone();
        let mut values: Vec<Option<Value>> = vec![None; schema.fields.len()];
        let mut given: Vec<bool> = vec![false; schema.fields.len()];
        let mut fine = true;
        for (field, e) in fields {
            let Some(position) = self.event_field(id, field).map(usize::from) else {
                fine = false;
                continue;
            };
            let (Some(field_schema), Some(slot), Some(seen)) = (
                schema.fields.get(position),
                values.get_mut(position),
                given.get_mut(position),
            ) else {
                continue;
            };
            *slot = self.constant(e, &field_schema.ty, field);
            fine &= slot.is_some();
            if std::mem::replace(seen, true) {
                let f = &field.name;
                fine = false;
                self.report(Finding::new(
                    &catalog::DUPLICATE_NAME,
                    field.span,
                    msg!("`{f}` is given twice", "`{f}` 给了两次"),
                ));
            }
        }
        let lacking: Vec<&str> = schema
            .fields
            .iter()
            .zip(&given)
            .filter(|(f, given)| !f.optional && !**given)
            .map(|(f, _)| f.name.as_str())
            .collect();
        if !lacking.is_empty() {
            let (list, e) = (lacking.join("`, `"), &event.name);
            self.report(Finding::new(
                &catalog::MISSING_VALUE,
                event.span,
                msg!(
                    "the event `{e}` lacks `{list}`, which is not optional",
                    "事件 `{e}` 缺少必填的 `{list}`"
                ),
            ));
            return None;
        }
        let (user, at) = (user?, at?);
        fine.then_some(TestEvent {
            span,
            user,
            event: id,
            values,
            at,
        })
    }

    /// A time of day is the first such time from `now` on.
    fn expected_time(&mut self, e: &ast::Expr, now: Option<Instant>) -> Option<Instant> {
        let zone = self.program.policy.zone;
        if let ast::ExprKind::Literal(ast::Literal {
            kind: LiteralKind::Time(time),
            ..
        }) = &*super::check_expr::bare(e).kind
        {
            let Some(now) = now.or(self.options.now) else {
                self.report(
                    Finding::new(
                        &catalog::MISSING_VALUE,
                        e.span,
                        msg!(
                            "a time of day needs the test's `now`",
                            "只写时间需要测试的 `now`"
                        ),
                    )
                    .help(msg!(
                        "write `now 2026-11-11 09:00` in the test, or a date before the time",
                        "请在测试中写 `now 2026-11-11 09:00`，或写出日期"
                    )),
                );
                return None;
            };
            let today = zone.date(now);
            let at = zone.instant(today, *time);
            return Some(if at < now {
                zone.instant(today.plus_days(1), *time)
            } else {
                at
            });
        }
        self.date_time(e, "at").map(|(d, t)| zone.instant(d, t))
    }

    /// An outcome that a test can expect.
    fn outcome_named(&mut self, because: &ast::Ident) -> Option<RunOutcome> {
        let n = &because.name;
        let in_tests = || OUTCOMES.iter().filter(|o| o.not_in_tests.is_none());
        let help = || {
            let names: Vec<&str> = in_tests().map(|o| o.name).collect();
            let list = names.join(", ");
            msg!("a test can expect {list}", "测试可以期望 {list}")
        };
        let finding = match RunOutcome::named(n).map(RunOutcome::info) {
            Some(RunOutcomeInfo {
                outcome,
                not_in_tests: None,
                ..
            }) => return Some(*outcome),
            Some(RunOutcomeInfo {
                not_in_tests: Some((en, zh)),
                ..
            }) => Finding::new(
                &catalog::UNKNOWN_NAME,
                because.span,
                msg!(
                    "`{n}` does not happen in a test: {en}",
                    "`{n}` 不会出现在测试中：{zh}"
                ),
            )
            .help(help()),
            None => {
                let finding = Finding::new(
                    &catalog::UNKNOWN_NAME,
                    because.span,
                    msg!("no reason is named `{n}`", "没有名为 `{n}` 的原因"),
                );
                match nearest(n, in_tests().map(|o| o.name)) {
                    Some(near) => finding.fix(
                        msg!("did you mean `{near}`", "是否想写 `{near}`"),
                        because.span,
                        near,
                        false,
                    ),
                    None => finding.help(help()),
                }
            }
        };
        self.report(finding);
        None
    }
}
