//! When a campaign is due: `at`, `every`, `on`, and `again`.

use super::clauses::{Clauses, repeated};
use super::{date_offsets, limits};
use crate::base::{Date, EventId, TimeOfDay, Type};
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::{Checker, ExprContext};
use crate::program::definedness::{Definedness, can_be_missing};
use crate::program::typed::{
    Again, Every, EveryPeriod, Once, OwnDays, Schedule, Trigger, UserTime,
};
use crate::program::typed_expr::{EventSource, Expr, ExprKind};
use crate::syntax::ast::{self, ClauseKind};

/// The longest step of `every N days`.
pub const MAX_EVERY_DAYS: u32 = 3660;

/// The one schedule of a campaign; `None` after a finding.
pub(super) fn schedule(
    checker: &mut Checker<'_>,
    clauses: &Clauses<'_>,
    name: Span,
) -> Option<Schedule> {
    let mut found = clauses.iter().filter(|c| {
        matches!(
            c.kind,
            ClauseKind::At { .. } | ClauseKind::Every(_) | ClauseKind::On(_)
        )
    });
    let Some(clause) = found.next() else {
        if !clauses.unread {
            checker.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    name,
                    msg!("nothing says when to send", "没有写明什么时候发送"),
                )
                .help(msg!(
                    "add `at 10:00`, `every day at 10:00` or `on EVENT`",
                    "加上 `at 10:00`、`every day at 10:00` 或 `on 事件`"
                )),
            );
        }
        return None;
    };
    if let Some(second) = found.next() {
        checker.report(
            Finding::new(
                &catalog::CONFLICTING_CLAUSES,
                second.word,
                msg!(
                    "a campaign has one schedule, and this is the second",
                    "一个活动只有一个发送时间，这是第二个"
                ),
            )
            .label(clause.word, msg!("the first one", "第一个在这里"))
            .help(msg!(
                "keep one of them, or write a second campaign",
                "只保留一个，或另写一个活动"
            )),
        );
        return None;
    }
    if let ClauseKind::At { when, on } = &clause.kind {
        match on {
            Some(on) => date_offsets::dated(checker, when, on).map(Schedule::Dated),
            None => at(checker, when),
        }
    } else if let ClauseKind::Every(e) = &clause.kind {
        every(checker, e, clause.span)
    } else if let ClauseKind::On(on) = &clause.kind {
        trigger(checker, on).map(Schedule::Trigger)
    } else {
        None
    }
}

fn at(checker: &mut Checker<'_>, when: &ast::AtExpr) -> Option<Schedule> {
    let e = match when {
        ast::AtExpr::Now(_) => return Some(Schedule::Once(Once::Now)),
        ast::AtExpr::Expr(e) => e,
    };
    match &*e.kind {
        ast::ExprKind::Literal(l) => match l.kind {
            ast::LiteralKind::Instant(..) => checker
                .date_time(e, "at")
                .map(|(d, t)| Schedule::Once(Once::At(d, t))),
            ast::LiteralKind::Date(d) => {
                checker.report(
                    Finding::new(
                        &catalog::TYPE_MISMATCH,
                        e.span,
                        msg!(
                            "`at` needs a time of day beside the date",
                            "`at` 除了日期还要写时间"
                        ),
                    )
                    .fix(
                        msg!("send at 10:00 that day", "在当天 10:00 发送"),
                        e.span,
                        format!("{d} 10:00"),
                        false,
                    ),
                );
                None
            }
            _ => checker
                .time(e, "at")
                .map(|t| Schedule::Once(Once::TimeOfDay(t))),
        },
        ast::ExprKind::Broken => None,
        _ if is_literal(e) => checker
            .time(e, "at")
            .map(|t| Schedule::Once(Once::TimeOfDay(t))),
        _ => own_time(checker, e).map(|at| {
            Schedule::OwnTime(UserTime {
                at,
                days: OwnDays::Once,
            })
        }),
    }
}

/// A time of day of each user.
fn own_time(checker: &mut Checker<'_>, e: &ast::Expr) -> Option<Expr> {
    checker.value(e, Some(&Type::Time), &ExprContext::default())
}

/// A user without a time of day would be left out without a word.
pub(super) fn time_is_known(
    checker: &mut Checker<'_>,
    own: &UserTime,
    present: &Definedness,
) -> bool {
    if can_be_missing(&checker.program, &own.at, present).is_empty() {
        return true;
    }
    let text = checker.sources.slice(own.at.span).to_string();
    checker.report(
        Finding::new(
            &catalog::MISSING_VALUE,
            own.at.span,
            msg!(
                "`{text}` can be missing, and then this user has no time to be sent to",
                "`{text}` 可能没有值，这个用户就没有发送时间"
            ),
        )
        .fix(
            msg!(
                "say which time it is then: `?? 20:00`",
                "写明没有值时的时间：`?? 20:00`"
            ),
            own.at.span.after(),
            " ?? 20:00",
            false,
        ),
    );
    false
}

fn every(checker: &mut Checker<'_>, every: &ast::Every, span: Span) -> Option<Schedule> {
    let mut own = None;
    let at = match (&every.at, &every.period) {
        (Some(at), ast::EveryPeriod::Hour { .. }) => {
            checker.report(
                Finding::new(
                    &catalog::BAD_SCHEDULE,
                    at.span,
                    msg!(
                        "`every hour` starts on the range's first time, `at` has no place here",
                        "`every hour` 从范围的起点开始，不能再写 `at`"
                    ),
                )
                .help(msg!(
                    "write `every hour 7:00..21:00`",
                    "写成 `every hour 7:00..21:00`"
                )),
            );
            return None;
        }
        (Some(at), _) if is_literal(at) => checker.time(at, "every"),
        (Some(at), _) => {
            own = own_time(checker, at);
            own.as_ref().map(|_| TimeOfDay::MIDNIGHT)
        }
        (None, ast::EveryPeriod::Hour { .. }) => Some(TimeOfDay::MIDNIGHT),
        (None, _) => {
            checker.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    span,
                    msg!("`every` needs a time of day", "`every` 需要写明时间"),
                )
                .help(msg!(
                    "write for instance `every day at 10:00`",
                    "例如写 `every day at 10:00`"
                )),
            );
            None
        }
    };
    let from = optional(every.from.as_ref(), |e| checker.date(e, "from"));
    let until = optional(every.until.as_ref(), |e| checker.date(e, "until"));
    let (Some(from), Some(until)) = (from, until) else {
        return None;
    };
    if let (Some(from), Some(until), Some(e)) = (from, until, &every.until)
        && until < from
    {
        checker.report(Finding::new(
            &catalog::BAD_SCHEDULE,
            e.span,
            msg!(
                "the schedule ends on {until}, before it begins on {from}",
                "结束日期 {until} 早于开始日期 {from}"
            ),
        ));
        return None;
    }
    let period = period(checker, every, at?, from, span)?;
    let every = Every {
        period,
        from,
        until,
    };
    Some(match own {
        Some(at) => Schedule::OwnTime(UserTime {
            at,
            days: OwnDays::Every(every),
        }),
        None => Schedule::Every(every),
    })
}

fn is_literal(e: &ast::Expr) -> bool {
    match &*e.kind {
        ast::ExprKind::Literal(_) | ast::ExprKind::Broken => true,
        ast::ExprKind::Paren(inner) => is_literal(inner),
        _ => false,
    }
}

fn period(
    checker: &mut Checker<'_>,
    every: &ast::Every,
    at: TimeOfDay,
    from: Option<Date>,
    span: Span,
) -> Option<EveryPeriod> {
    match &every.period {
        ast::EveryPeriod::Day => Some(EveryPeriod::Day { at }),
        ast::EveryPeriod::Weekdays(days) => {
            let days = distinct(checker, days)?;
            Some(EveryPeriod::Weekdays { days, at })
        }
        ast::EveryPeriod::Month(days) => {
            let mut numbered = Vec::new();
            let mut last: Option<Span> = None;
            for day in days {
                match day {
                    ast::MonthDay::Day(e) => {
                        let n = checker.count(e, "every month", 1..=31)?;
                        numbered.push((u32::try_from(n).ok()?, e.span));
                    }
                    ast::MonthDay::Last(span) => match last {
                        Some(first) => {
                            checker.report(repeated("last", *span, first));
                            return None;
                        }
                        None => last = Some(*span),
                    },
                }
            }
            let days = distinct(checker, &numbered)?;
            Some(EveryPeriod::Month {
                days,
                last: last.is_some(),
                at,
            })
        }
        ast::EveryPeriod::Days(n) => {
            let days = checker.days(n, "every")?;
            if days > MAX_EVERY_DAYS {
                let finding = Finding::new(
                    &catalog::OUT_OF_RANGE,
                    n.span,
                    msg!(
                        "`every` counts at most {MAX_EVERY_DAYS} days",
                        "`every` 最多 {MAX_EVERY_DAYS} 天"
                    ),
                );
                checker.report(finding);
                return None;
            }
            if from.is_none() {
                checker.report(
                    Finding::new(
                        &catalog::MISSING_CLAUSE,
                        span,
                        msg!(
                            "`every {days} days` needs a day to count from",
                            "`every {days} days` 需要起始日期"
                        ),
                    )
                    .help(msg!(
                        "add for instance `from 2027-01-01`",
                        "例如加上 `from 2027-01-01`"
                    )),
                );
                return None;
            }
            Some(EveryPeriod::Days { n: days, at })
        }
        ast::EveryPeriod::Hour { from, to } => {
            let from = optional(from.as_ref(), |e| checker.time(e, "every hour"))?;
            let end = optional(to.as_ref(), |e| checker.time(e, "every hour"))?;
            let (first, last) = (
                from.unwrap_or(TimeOfDay::MIDNIGHT),
                end.unwrap_or(LAST_SECOND),
            );
            if last < first {
                checker.report(
                    Finding::new(
                        &catalog::BAD_SCHEDULE,
                        to.as_ref().map_or(span, |e| e.span),
                        msg!(
                            "the hours end at {last}, before they begin at {first}",
                            "结束时间 {last} 早于开始时间 {first}"
                        ),
                    )
                    .help(msg!(
                        "hours do not cross midnight here: write two campaigns",
                        "这里的时段不能跨午夜：请写两个活动"
                    )),
                );
                return None;
            }
            Some(EveryPeriod::Hour {
                from: first,
                to: last,
            })
        }
    }
}

const LAST_SECOND: TimeOfDay = TimeOfDay(86_399);

/// Sorted; a repeated one is an error.
fn distinct(checker: &mut Checker<'_>, days: &[(u32, Span)]) -> Option<Vec<u32>> {
    let mut sorted: Vec<(u32, Span)> = Vec::new();
    for (day, span) in days {
        if let Some((_, first)) = sorted.iter().find(|(d, _)| d == day) {
            let text = checker.sources.slice(*span).to_string();
            checker.report(repeated(&text, *span, *first));
            return None;
        }
        sorted.push((*day, *span));
    }
    sorted.sort_by_key(|(day, _)| *day);
    Some(sorted.into_iter().map(|(day, _)| day).collect())
}

fn trigger(checker: &mut Checker<'_>, on: &ast::On) -> Option<Trigger> {
    let event = checker.event_pattern(&on.event, &ExprContext::default());
    let event = match event {
        Some(p) if trigger_event(&p.source).is_none() => {
            checker.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    on.event.event.span,
                    msg!(
                        "`on` waits for a declared event; `{}` is told of an own message",
                        "`on` 只能等待声明过的事件；`{}` 是自己消息的回执",
                        on.event.event.name
                    ),
                )
                .help(msg!(
                    "write a follow-up: `after 3 days if opened send …`",
                    "改用后续步骤：`after 3 days if opened send …`"
                )),
            );
            None
        }
        other => other,
    };
    let wait = optional(on.wait.as_ref(), |e| checker.length(e, "wait"));
    let cx = ExprContext {
        trigger: event.as_ref().and_then(|p| trigger_event(&p.source)),
        ..ExprContext::default()
    };
    let unless = match &on.unless {
        None => Some(None),
        // The fields of a trigger that failed are not known: its `unless` is not looked at.
        Some(_) if event.is_none() => None,
        Some(u) => checker.event_pattern(u, &cx).map(Some),
    };
    Some(Trigger {
        event: event?,
        wait: wait?,
        from_last: on.from_last,
        unless: unless?,
    })
}

fn trigger_event(source: &EventSource) -> Option<EventId> {
    match source {
        EventSource::Declared(id) => Some(*id),
        EventSource::Own(_) => None,
    }
}

/// The event that starts the campaign.
pub(super) fn event_of(schedule: &Schedule) -> Option<EventId> {
    match schedule {
        Schedule::Trigger(t) => trigger_event(&t.event.source),
        Schedule::Once(_) | Schedule::Every(_) | Schedule::Dated(_) | Schedule::OwnTime(_) => None,
    }
}

/// `again`, which campaigns that come back must have.
pub(super) fn again(
    checker: &mut Checker<'_>,
    clauses: &Clauses<'_>,
    schedule: &Schedule,
    name: Span,
) -> Option<Option<Again>> {
    let found = clauses.find(|k| {
        if let ClauseKind::Again(a) = k {
            Some(a)
        } else {
            None
        }
    });
    let Some((_, again)) = found else {
        let comes_back = match schedule {
            // Days counted from a date bring each user a message of its own, once.
            Schedule::Once(_)
            | Schedule::Dated(_)
            | Schedule::OwnTime(UserTime {
                days: OwnDays::Once,
                ..
            }) => false,
            Schedule::Every(_)
            | Schedule::Trigger(_)
            | Schedule::OwnTime(UserTime {
                days: OwnDays::Every(_),
                ..
            }) => true,
        };
        if !comes_back || clauses.unread {
            return Some(None);
        }
        checker.report(
            Finding::new(
                &catalog::MISSING_CLAUSE,
                name,
                msg!(
                    "this campaign comes back, and nothing says whether the same user may be reached again",
                    "活动会重复触发，但没有写明同一用户能否再次触达"
                ),
            )
            .help(msg!(
                "add `again after 7 days`, `again never` or `again always`",
                "加上 `again after 7 days`、`again never` 或 `again always`"
            )),
        );
        return None;
    };
    match again {
        ast::Again::Never(_) => Some(Some(Again::Never)),
        ast::Again::Always(_) => Some(Some(Again::Always)),
        ast::Again::After(e) => {
            limits::positive(checker, e, "again after").map(|l| Some(Again::After(l)))
        }
        ast::Again::Per(e) => {
            per_field(checker, e, schedule).map(|field| Some(Again::Per { field }))
        }
    }
}

fn per_field(checker: &mut Checker<'_>, e: &ast::Expr, schedule: &Schedule) -> Option<u16> {
    let Some(event) = event_of(schedule) else {
        checker.report(
            Finding::new(
                &catalog::CONFLICTING_CLAUSES,
                e.span,
                msg!(
                    "`again per` needs an event that starts the campaign, and this one has a clock",
                    "`again per` 需要由事件触发的活动，而这个活动按时间发送"
                ),
            )
            .help(msg!(
                "write `again after 7 days`, `again never` or `again always`",
                "写 `again after 7 days`、`again never` 或 `again always`"
            )),
        );
        return None;
    };
    if matches!(&*e.kind, ast::ExprKind::Broken) {
        return None;
    }
    let cx = ExprContext {
        trigger: Some(event),
        ..ExprContext::default()
    };
    let value = checker.value(e, None, &cx)?;
    match value.kind {
        ExprKind::TriggerField(field) if !matches!(value.ty, Type::Set(_)) => Some(field),
        _ => {
            checker.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    e.span,
                    msg!(
                        "`again per` takes a field of the event",
                        "`again per` 后面是事件的字段"
                    ),
                )
                .help(msg!(
                    "write for instance `again per event.order_id`",
                    "例如写 `again per event.order_id`"
                )),
            );
            None
        }
    }
}

/// `Some(None)` when there is nothing to check, `None` when the check failed.
fn optional<A, B>(e: Option<A>, check: impl FnOnce(A) -> Option<B>) -> Option<Option<B>> {
    match e {
        None => Some(None),
        Some(e) => check(e).map(Some),
    }
}
