//! One `send` of a campaign, and the findings about texts that are too long for a channel.

use super::extent::{Longest, Unbounded};
use crate::base::value::group_digits;
use crate::base::{EventId, TemplateId, Type};
use crate::diag::{Finding, Level, Span, catalog};
use crate::msg;
use crate::program::definedness::Definedness;
use crate::program::platform::Unit;
use crate::program::typed::{Program, Route};
use crate::program::typed_expr::Length;

/// One `send` of a campaign.
pub(super) struct TemplateUse<'a> {
    pub program: &'a Program,
    pub template: TemplateId,
    pub send: Span,
    pub routes: &'a [Route],
    pub trigger: Option<EventId>,
    pub present: &'a Definedness,
    /// The conditions that select, for labels; the campaign's name where there are none.
    pub proof: Span,
    /// A follow-up: what the campaign's `when` proved was true earlier.
    pub late: bool,
    pub recall: Option<(Length, Span)>,
}

pub(super) fn unit_words(unit: Unit) -> (&'static str, &'static str) {
    match unit {
        Unit::Chars => ("characters", " 个字符"),
        Unit::Bytes => ("bytes", " 字节"),
    }
}

pub(super) fn over(
    u: &TemplateUse<'_>,
    route: &Route,
    names: &[String],
    (first, others): (Span, &[Span]),
    longest: &Longest,
    (max, unit): (u64, Unit),
    level: Level,
) -> Finding {
    let (en, zh) = unit_words(unit);
    let (size, limit) = (group_digits(longest.size), group_digits(max));
    let channel = &route.channel;
    let mut finding = Finding::new(
        &catalog::MESSAGE_TOO_LONG,
        first,
        msg!(
            "{} can be {size} {en} long, and `{channel}` takes {limit}",
            "{} 最长可达 {size}{zh}，`{channel}` 最多 {limit}",
            names.join(" + ")
        ),
    );
    finding.level = level;
    for span in others {
        finding = finding.label(*span, msg!("counts too", "也计算在内"));
    }
    if route.span != u.send {
        finding = finding.label(route.span, msg!("this channel", "这个渠道"));
    }
    finding = finding.help(msg!(
        "the longest one is `{}`",
        "最长的例子：`{}`",
        longest.shown()
    ));
    if level == Level::Warning {
        finding = finding.help(msg!(
            "no source settles this limit of the platform; try it before you rely on it",
            "平台的这个限制没有可靠来源，请先试发"
        ));
    }
    finding
}

pub(super) fn no_longest(
    u: &TemplateUse<'_>,
    route: &Route,
    unbounded: &Unbounded,
    (max, unit): (u64, Unit),
    level: Level,
) -> Finding {
    let (en, zh) = unit_words(unit);
    let (limit, channel) = (group_digits(max), &route.channel);
    let mut finding = Finding::new(
        &catalog::UNBOUNDED_TEXT,
        unbounded.span,
        msg!(
            "this {} can be of any length, and `{channel}` takes {limit} {en}",
            "这里的 {} 没有长度上限，`{channel}` 最多 {limit}{zh}",
            unbounded.ty.describe()
        ),
    );
    finding.level = level;
    if route.span != u.send {
        finding = finding.label(route.span, msg!("this channel", "这个渠道"));
    }
    match unbounded.ty {
        Type::Text { .. } => finding.help(msg!(
            "declare how long it can be, for instance `text(20)`",
            "声明最大长度，例如 `text(20)`"
        )),
        _ => finding.help(msg!(
            "show something that has a longest form",
            "换成长度有限的内容"
        )),
    }
}
