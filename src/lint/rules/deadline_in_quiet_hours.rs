//! `deadline-in-quiet-hours`: a campaign that is due in quiet hours waits for their end, however
//! short its deadline is.

use crate::base::TimeOfDay;
use crate::diag::{Code, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::typed::{EveryPeriod, Once, Quiet, Schedule};
use crate::program::typed_expr::Length;

pub static RULE: Rule = Rule {
    code: Code::lint(
        "deadline-in-quiet-hours",
        include_str!("deadline_in_quiet_hours.md"),
    ),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    for campaign in &cx.program.campaigns {
        let (Some(quiet), Some(Length::Elapsed(deadline))) =
            (cx.program.rules(campaign).quiet, campaign.deadline)
        else {
            continue;
        };
        let time = match &campaign.schedule {
            Schedule::Once(Once::TimeOfDay(t) | Once::At(_, t)) => *t,
            Schedule::Dated(dated) => dated.at,
            Schedule::Every(every) => match &every.period {
                EveryPeriod::Day { at }
                | EveryPeriod::Weekdays { at, .. }
                | EveryPeriod::Month { at, .. }
                | EveryPeriod::Days { at, .. } => *at,
                EveryPeriod::Hour { .. } => continue,
            },
            Schedule::Once(Once::Now) | Schedule::OwnTime(_) | Schedule::Trigger(_) => continue,
        };
        let Some(wait) = wait(quiet, time) else {
            continue;
        };
        if i64::from(wait) * 1_000_000 <= deadline.0 {
            continue;
        }
        let (from, to) = (quiet.from, quiet.to);
        let message = msg!(
            "this is due at {time}, in the quiet hours {from}..{to}: it always waits longer than its deadline of {deadline}",
            "活动在 {time} 到期，处于免打扰时段 {from}..{to}：等待时间总是超过最晚期限 {deadline}"
        );
        out.push(Finding::new(&RULE.code, campaign.declared.name_span, message).help(msg!(
            "it will be sent at {to}, and the deadline counts from then; move it out of the quiet hours",
            "消息将在 {to} 发出，期限从那时起算；请把时间移出免打扰时段"
        )));
    }
}

/// Seconds from a time of day to the end of the quiet hours that it lies in.
fn wait(quiet: Quiet, time: TimeOfDay) -> Option<u32> {
    const DAY: u32 = 86_400;
    let since_start = (time.0 + DAY - quiet.from.0) % DAY;
    let length = (quiet.to.0 + DAY - quiet.from.0) % DAY;
    (since_start < length).then(|| length - since_start)
}
