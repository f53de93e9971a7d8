//! Clauses that campaigns and the policy share: `cap`, `quiet`, `holdout`.

use super::route;
use crate::diag::{Finding, Span, catalog};
use crate::msg;
use crate::program::check::Checker;
use crate::program::typed::{Cap, CapPeriod, Holdout, Quiet, Share};
use crate::program::typed_expr::Length;
use crate::syntax::ast;

/// More messages than this in one period are no limit.
pub const MAX_CAP: u64 = 1_000_000;
/// The longest `per rolling` period, in days.
pub const MAX_ROLLING_DAYS: u32 = 366;

pub(super) fn cap(checker: &mut Checker<'_>, cap: &ast::Cap, span: Span) -> Option<Cap> {
    let channel = match &cap.channel {
        Some(path) => route::channel(checker, path).map(|r| Some(r.channel)),
        None => Some(None),
    };
    let n = checker
        .count(&cap.n, "cap", 1..=MAX_CAP)
        .and_then(|n| u32::try_from(n).ok());
    let per = match &cap.per {
        ast::CapPeriod::Day => Some(CapPeriod::Day),
        ast::CapPeriod::Week => Some(CapPeriod::Week),
        ast::CapPeriod::Month => Some(CapPeriod::Month),
        ast::CapPeriod::Rolling(days) => rolling(checker, days),
    };
    let keep = match &cap.keep {
        None => Some(None),
        Some(keep) => {
            let kept = checker
                .count(&keep.n, "keep", 1..=MAX_CAP)
                .and_then(|n| u32::try_from(n).ok());
            let priority = checker.integer(&keep.priority, "priority");
            match (kept, n) {
                (Some(kept), Some(n)) if kept > n => {
                    checker.report(Finding::new(
                        &catalog::OUT_OF_RANGE,
                        keep.n.span,
                        msg!(
                            "the cap is {n}, so {kept} of them cannot be kept",
                            "上限是 {n}，无法保留 {kept} 条"
                        ),
                    ));
                    None
                }
                _ => kept.zip(priority).map(Some),
            }
        }
    };
    Some(Cap {
        span,
        channel: channel?,
        n: n?,
        per: per?,
        keep: keep?,
    })
}

fn rolling(checker: &mut Checker<'_>, days: &ast::Expr) -> Option<CapPeriod> {
    let n = checker.days(days, "per rolling")?;
    if n > MAX_ROLLING_DAYS {
        checker.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            days.span,
            msg!(
                "`per rolling` looks back at most {MAX_ROLLING_DAYS} days",
                "`per rolling` 最多回看 {MAX_ROLLING_DAYS} 天"
            ),
        ));
        return None;
    }
    Some(CapPeriod::RollingDays(n))
}

pub(super) fn quiet(checker: &mut Checker<'_>, from: &ast::Expr, to: &ast::Expr) -> Option<Quiet> {
    let (start, end) = (checker.time(from, "quiet"), checker.time(to, "quiet"));
    let (start, end) = (start?, end?);
    if start == end {
        checker.report(
            Finding::new(
                &catalog::OUT_OF_RANGE,
                from.span.to(to.span),
                msg!(
                    "quiet hours from {start} to {end} are either empty or the whole day",
                    "免打扰从 {start} 到 {end}，要么为空，要么是全天"
                ),
            )
            .help(msg!(
                "write two different times, for instance `quiet 22:00..08:00`",
                "写两个不同的时间，例如 `quiet 22:00..08:00`"
            )),
        );
        return None;
    }
    Some(Quiet {
        from: start,
        to: end,
    })
}

pub(super) fn holdout(
    checker: &mut Checker<'_>,
    share: &ast::Expr,
    key: Option<&ast::Str>,
) -> Option<Holdout> {
    let part = some_share(checker, share, "holdout", "对照")?;
    if part == Share::ALL {
        checker.report(
            Finding::new(
                &catalog::OUT_OF_RANGE,
                share.span,
                msg!(
                    "a holdout of 100% leaves nobody to send to",
                    "对照组占 100%，没有人会收到消息"
                ),
            )
            .help(msg!(
                "hold out less, for instance `holdout 10%`",
                "缩小对照组，例如 `holdout 10%`"
            )),
        );
        return None;
    }
    Some(Holdout {
        share: part,
        key: key.map(|k| k.value.clone()),
    })
}

/// A share above 0.
pub(super) fn some_share(
    checker: &mut Checker<'_>,
    e: &ast::Expr,
    what: &str,
    zh: &str,
) -> Option<Share> {
    let share = checker.share(e, what)?;
    if share == Share(0) {
        checker.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            e.span,
            msg!(
                "`{what}` of 0% is nobody: leave it out or write more",
                "{zh} 0% 不包含任何人：去掉它，或写更大的比例"
            ),
        ));
        return None;
    }
    Some(share)
}

/// A length of time above zero.
pub(super) fn positive(checker: &mut Checker<'_>, e: &ast::Expr, what: &str) -> Option<Length> {
    let length = checker.length(e, what)?;
    let zero = match length {
        Length::Elapsed(e) => e.0 == 0,
        Length::Calendar(c) => c.months == 0 && c.days == 0,
    };
    if zero {
        checker.report(Finding::new(
            &catalog::OUT_OF_RANGE,
            e.span,
            msg!("`{what}` of no time at all", "`{what}` 的时长为零"),
        ));
        return None;
    }
    Some(length)
}
