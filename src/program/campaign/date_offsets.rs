//! Schedules that count from a date of each user: `at 10:00 on 30, 7, 1 days before plan_end`.

use super::clauses::repeated;
use crate::base::Calendar;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::{Checker, ExprContext};
use crate::program::typed::DateOffset;
use crate::program::types;
use crate::syntax::ast;

/// The most days of one campaign.
pub const MAX_OFFSETS: usize = 100;
/// The furthest day from the date.
pub const MAX_OFFSET_DAYS: i32 = 3660;
const MAX_OFFSET_MONTHS: i32 = 120;

/// `None` after a finding.
pub(super) fn dated(
    checker: &mut Checker<'_>,
    when: &ast::AtExpr,
    on: &ast::OnOffsets,
) -> Option<DateOffset> {
    let at = match when {
        ast::AtExpr::Expr(e) => checker.time(e, "at"),
        ast::AtExpr::Now(span) => {
            checker.report(
                Finding::new(
                    &catalog::BAD_SCHEDULE,
                    *span,
                    msg!(
                        "days that are counted from a date need a time of day",
                        "按日期推算的日子需要写明时间"
                    ),
                )
                .fix(
                    msg!("send at 10:00 on these days", "在这些日子的 10:00 发送"),
                    *span,
                    "10:00",
                    false,
                ),
            );
            None
        }
    };
    let offsets = offsets(checker, on);
    let of = checker.value(&on.of, None, &ExprContext::default()).and_then(|of| {
        if types::has_day(&of.ty) {
            Some(of)
        } else {
            let ty = of.ty.describe();
            let side = if on.after { "after" } else { "before" };
            checker.report(
                Finding::new(
                    &catalog::TYPE_MISMATCH,
                    on.of.span,
                    msg!("days are counted from a date or an instant, and this is {ty}", "日子要从日期或时刻推算，这里是 {ty}"),
                )
                .help(msg!(
                    "name a tag of type `date` or `instant`, for instance `on 7 days {side} plan_end`",
                    "写一个 `date` 或 `instant` 类型的标签，例如 `on 7 days {side} plan_end`"
                )),
            );
            None
        }
    });
    Some(DateOffset {
        at: at?,
        offsets: offsets?,
        of: of?,
    })
}

/// Signed: those before the date are negative. Each once.
fn offsets(checker: &mut Checker<'_>, on: &ast::OnOffsets) -> Option<Vec<Calendar>> {
    if on.numbers.len() >= MAX_OFFSETS {
        checker.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            on.span,
            msg!(
                "a campaign counts at most {MAX_OFFSETS} days from a date",
                "一个活动最多从日期推算 {MAX_OFFSETS} 个日子"
            ),
        ));
        return None;
    }
    let mut seen: Vec<(Calendar, Span)> = Vec::new();
    for (length, span) in checker.calendar_lengths(&on.numbers, &on.last, "on")? {
        if length.days > MAX_OFFSET_DAYS || length.months > MAX_OFFSET_MONTHS {
            checker.report(Finding::new(
                &catalog::OUT_OF_RANGE,
                span,
                msg!(
                    "a day lies at most {MAX_OFFSET_DAYS} days or {MAX_OFFSET_MONTHS} months from the date",
                    "与日期最多相隔 {MAX_OFFSET_DAYS} 天或 {MAX_OFFSET_MONTHS} 个月"
                ),
            ));
            return None;
        }
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == length) {
            let text = checker.sources.slice(span).to_string();
            checker.report(repeated(&text, span, *first));
            return None;
        }
        seen.push((length, span));
    }
    Some(
        seen.into_iter()
            .map(|(length, _)| if on.after { length } else { length.negated() })
            .collect(),
    )
}
