//! A template where a campaign uses it: what it needs of the user, and what each channel makes of
//! it.

use super::extent::{self, KnownFacts, Longest, Unbounded};
use super::field;
use super::reported_once::ReportedOnce;
use super::template::part_name;
use super::template_use::{TemplateUse, no_longest, over};
use crate::base::Msg;
use crate::base::value::group_digits;
use crate::base::{Elapsed, Type};
use crate::diag::{Finding, Level, Span, catalog};
use crate::msg;
use crate::program::definedness::{UndefinedCause, can_be_missing};
use crate::program::platform::{
    self, Amount, CountingRule, Endpoint, Holder, LimitOf, MessagePart, Per, Recall, Shape, Unit,
};
use crate::program::typed::{Piece, Route, Template, Text};
use crate::program::typed_expr::{Expr, Length};

/// Jobs in one run on a channel that names no quota: each is a task that somebody has to look at.
pub const MAX_JOBS: u64 = 100;

/// What a list channel needs for one `send`.
pub(super) struct Jobs {
    pub route: Span,
    pub channel: String,
    pub texts: u64,
    pub quota: (u64, Option<Per>),
}

pub(super) struct Checked {
    pub findings: Vec<Finding>,
    pub jobs: Vec<Jobs>,
}

/// Checks a template that has no errors of its own.
pub(super) fn check(u: &TemplateUse<'_>, reported: &mut ReportedOnce) -> Checked {
    let mut out = Checked {
        findings: Vec::new(),
        jobs: Vec::new(),
    };
    let template = u.program.template(u.template);
    if let Some(finding) = wrong_event(u, template) {
        out.findings.push(finding);
        return out;
    }
    out.findings.extend(missing_values(u, template));
    let parts: Vec<MessagePart> = template
        .parts
        .iter()
        .map(|p| MessagePart::of(&p.kind))
        .collect();
    for route in u.routes {
        let Some(platform) = platform::find(&route.channel.platform) else {
            continue;
        };
        let Some(endpoint) = platform.endpoint(&route.channel.endpoint) else {
            continue;
        };
        let Some(shape) = endpoint.shape_for(&parts) else {
            out.findings
                .push(not_carried(u, template, route, endpoint, &parts));
            continue;
        };
        out.findings.extend(not_recallable(u, route, shape));
        // The text is the same in every campaign: one finding for a template and an endpoint is
        // enough.
        if reported.first(&format!(
            "{} {} {}",
            u.template, route.channel.platform, endpoint.name
        )) {
            out.findings.extend(too_long(u, template, route, shape));
            out.findings
                .extend(field::check(u, template, route, platform, shape));
        }
        // On a trigger a list channel is wrong anyway.
        if endpoint.is_list() && u.trigger.is_none() {
            jobs(u, template, route, endpoint, &mut out);
        }
    }
    out
}

fn known<'a>(u: &'a TemplateUse<'_>) -> KnownFacts<'a> {
    KnownFacts {
        program: u.program,
        present: u.present,
    }
}

// ------------------------------------------------------------------ for the user

fn wrong_event(u: &TemplateUse<'_>, template: &Template) -> Option<Finding> {
    let wanted = template.for_event?;
    if u.trigger == Some(wanted) {
        return None;
    }
    let (name, event) = (
        &template.declared.name,
        &u.program.schema.event(wanted).name,
    );
    let finding = Finding::new(
        &catalog::TEMPLATE_EVENT,
        u.send,
        msg!(
            "template `{name}` is for the event `{event}`",
            "模板 `{name}` 是为事件 `{event}` 写的"
        ),
    );
    let finding = match u.trigger.map(|t| &u.program.schema.event(t).name) {
        Some(other) => finding.here(msg!(
            "this campaign starts on `{other}`",
            "这个活动由 `{other}` 触发"
        )),
        None => finding.here(msg!(
            "no event starts this campaign",
            "这个活动没有触发事件"
        )),
    };
    Some(
        finding
            .label(
                template.declared.name_span,
                msg!("declared here", "在这里声明"),
            )
            .help(msg!(
                "start the campaign with `on {event}`, or write a template without `event`",
                "让活动写 `on {event}`，或另写一个不用 `event` 的模板"
            )),
    )
}

fn missing_values(u: &TemplateUse<'_>, template: &Template) -> Vec<Finding> {
    let mut out = Vec::new();
    for part in &template.parts {
        for hole in extent::holes([&part.text]) {
            let sources = can_be_missing(u.program, hole, u.present);
            let Some(source) = sources.iter().next() else {
                continue;
            };
            out.push(missing_value(u, hole, *source));
        }
    }
    out
}

fn missing_value(u: &TemplateUse<'_>, hole: &Expr, source: UndefinedCause) -> Finding {
    let (what, zh) = source_name(u, source);
    let finding = Finding::new(
        &catalog::MISSING_IN_MESSAGE,
        hole.span,
        msg!(
            "{what} can be missing, and then this place is empty",
            "{zh} 可能没有值，这里就会空着"
        ),
    );
    let finding = if u.late {
        finding.label(
            u.proof,
            msg!(
                "sent later: what was known then may be gone",
                "后续发送：当时有的值之后可能没有了"
            ),
        )
    } else {
        finding.label(
            u.proof,
            msg!("nothing here proves that it is known", "这里没有保证它有值"),
        )
    };
    let end = hole.span.after();
    match &hole.ty {
        Type::Text { .. } | Type::Enum(_) => finding.fix(
            msg!(
                "add `?? '…'`: what stands there instead",
                "加上 `?? '…'`：没有值时显示什么"
            ),
            end,
            " ?? '…'",
            false,
        ),
        Type::Int { .. } | Type::Number => finding.fix(
            msg!(
                "add `?? 0`: what stands there instead",
                "加上 `?? 0`：没有值时显示什么"
            ),
            end,
            " ?? 0",
            false,
        ),
        _ => finding.help(msg!(
            "say what stands there instead: `?? …`",
            "写明没有值时显示什么：`?? …`"
        )),
    }
}

fn source_name(u: &TemplateUse<'_>, source: UndefinedCause) -> (String, String) {
    let quoted = |name: &str| (format!("`{name}`"), format!("`{name}`"));
    let both = |en: &str, zh: &str| (en.to_string(), zh.to_string());
    match source {
        UndefinedCause::Tag(id) => quoted(&u.program.schema.tag(id).name),
        UndefinedCause::Partition(id) => quoted(&u.program.partition(id).declared.name),
        UndefinedCause::TriggerField(n) => {
            let field = u
                .trigger
                .and_then(|t| u.program.schema.event(t).fields.get(usize::from(n)));
            field.map_or_else(
                || both("the event's field", "事件字段"),
                |f| quoted(&format!("event.{}", f.name)),
            )
        }
        UndefinedCause::Lookup(id, n) => {
            let lookup = u.program.lookup(id);
            let field = lookup
                .fields
                .get(usize::from(n))
                .map_or("", |f| f.name.as_str());
            quoted(&format!("{}(…).{field}", lookup.declared.name))
        }
        UndefinedCause::RowField(_) | UndefinedCause::Events => {
            both("a value over events", "事件统计值")
        }
        UndefinedCause::StepOutcome => both("the outcome of a step", "步骤的结果"),
        UndefinedCause::Arithmetic => both(
            "a result that overflows or divides by zero",
            "溢出或除以零的结果",
        ),
    }
}

// ------------------------------------------------------------------ for the channel

fn not_carried(
    u: &TemplateUse<'_>,
    template: &Template,
    route: &Route,
    endpoint: &Endpoint,
    parts: &[MessagePart],
) -> Finding {
    let channel = &route.channel;
    let extra = |s: &Shape| parts.iter().filter(|p| !s.may_have(**p)).count();
    let lacking = |s: &Shape| s.requires.iter().filter(|p| !parts.contains(p)).count();
    let Some(nearest) = endpoint.shapes.iter().min_by_key(|s| extra(s) + lacking(s)) else {
        return Finding::new(
            &catalog::CHANNEL_CANNOT_CARRY,
            u.send,
            msg!("`{channel}` takes no messages", "`{channel}` 不接收消息"),
        );
    };
    let names = |list: Vec<MessagePart>| {
        list.iter()
            .map(|p| format!("`{}`", p.name()))
            .collect::<Vec<_>>()
    };
    let extra = names(
        parts
            .iter()
            .copied()
            .filter(|p| !nearest.may_have(*p))
            .collect(),
    );
    let lacking = names(
        nearest
            .requires
            .iter()
            .copied()
            .filter(|p| !parts.contains(p))
            .collect(),
    );
    let name = &template.declared.name;
    let message = match (extra.as_slice(), lacking.as_slice()) {
        ([], lacking) => {
            msg!(
                "`{channel}` needs {} and template `{name}` has none",
                "`{channel}` 需要 {}，模板 `{name}` 没有",
                lacking.join(", ")
            )
        }
        (extra, _) => msg!(
            "`{channel}` cannot carry {}",
            "`{channel}` 不支持 {}",
            extra.join(", ")
        ),
    };
    let mut finding = Finding::new(&catalog::CHANNEL_CANNOT_CARRY, u.send, message);
    if route.span != u.send {
        finding = finding.label(route.span, msg!("this channel", "这个渠道"));
    }
    for part in template
        .parts
        .iter()
        .filter(|p| !nearest.may_have(MessagePart::of(&p.kind)))
    {
        finding = finding.label(part.span, msg!("this part", "这一部分"));
    }
    let all = |s: &Shape| names(s.requires.clone()).join(" ");
    let may = names(nearest.carries.clone());
    let (en, zh, needs, may) = (
        &nearest.title.en,
        &nearest.title.zh,
        all(nearest),
        may.join(" "),
    );
    let help = match (needs.is_empty(), may.is_empty()) {
        (false, false) => {
            msg!(
                "a message there ({en}) has {needs}, and may have {may}",
                "该渠道的消息（{zh}）包含 {needs}，还可以有 {may}"
            )
        }
        (false, true) => msg!(
            "a message there ({en}) has {needs} and nothing else",
            "该渠道的消息（{zh}）只包含 {needs}"
        ),
        (true, _) => msg!(
            "a message there ({en}) may have {may}",
            "该渠道的消息（{zh}）可以有 {may}"
        ),
    };
    finding.help(help).help(msg!(
        "write a template of its own for this channel",
        "为这个渠道单独写一个模板"
    ))
}

fn not_recallable(u: &TemplateUse<'_>, route: &Route, shape: &Shape) -> Option<Finding> {
    let (length, span) = u.recall?;
    let channel = &route.channel;
    if shape.recall.possible_for(at_most(length)) {
        return None;
    }
    let (en, zh) = (&shape.title.en, &shape.title.zh);
    let message = match shape.recall {
        Recall::Within(end) => msg!(
            "what was sent by `{channel}` can be withdrawn for {end}, not for {length}",
            "`{channel}` 发出的消息只能在 {end} 内撤回，不能到 {length}"
        ),
        Recall::Never | Recall::Always => {
            msg!(
                "what was sent by `{channel}` ({en}) cannot be withdrawn",
                "`{channel}` 发出的消息（{zh}）无法撤回"
            )
        }
    };
    let mut finding = Finding::new(&catalog::NOT_RECALLABLE, span, message)
        .label(u.send, msg!("this message", "这条消息"));
    if route.span != u.send {
        finding = finding.label(route.span, msg!("this channel", "这个渠道"));
    }
    Some(finding.help(msg!(
        "leave `recall` out, or send by a channel that can",
        "去掉 `recall`，或换一个能撤回的渠道"
    )))
}

/// No shorter than the length on any day.
fn at_most(length: Length) -> Elapsed {
    match length {
        Length::Elapsed(e) => e,
        Length::Calendar(c) => {
            Elapsed::hours((i64::from(c.months) * 31 + i64::from(c.days)).saturating_mul(24))
        }
    }
}

// ------------------------------------------------------------------ length

fn too_long(
    u: &TemplateUse<'_>,
    template: &Template,
    route: &Route,
    shape: &Shape,
) -> Vec<Finding> {
    let mut out = Vec::new();
    for limit in &shape.limits {
        let covered: Vec<_> = match limit.of {
            LimitOf::Title => template
                .parts
                .iter()
                .filter(|p| MessagePart::of(&p.kind) == MessagePart::Title)
                .collect(),
            LimitOf::Text => shape
                .joined
                .iter()
                .filter_map(|j| {
                    template
                        .parts
                        .iter()
                        .find(|p| MessagePart::of(&p.kind) == *j)
                })
                .collect(),
            LimitOf::Fields => template
                .parts
                .iter()
                .filter(|p| MessagePart::of(&p.kind) == MessagePart::Field)
                .collect(),
        };
        let Some(first) = covered.first() else {
            continue;
        };
        let separator = if limit.of == LimitOf::Text { "\n" } else { "" };
        let texts: Vec<&Text> = covered.iter().map(|p| &p.text).collect();
        let level = if limit.unverified {
            Level::Warning
        } else {
            Level::Error
        };
        let max = u64::from(limit.max);
        match joined(known(u), &texts, separator, limit.unit) {
            Ok(longest) if longest.size <= max => {}
            Ok(longest) => {
                let names: Vec<String> = covered
                    .iter()
                    .map(|p| format!("`{}`", part_name(&p.kind)))
                    .collect();
                let spans: Vec<Span> = covered.iter().skip(1).map(|p| p.span).collect();
                out.push(over(
                    u,
                    route,
                    &names,
                    (first.span, &spans),
                    &longest,
                    (max, limit.unit),
                    level,
                ));
            }
            Err(unbounded) => out.push(no_longest(u, route, &unbounded, (max, limit.unit), level)),
        }
    }
    out
}

fn joined(
    known: KnownFacts<'_>,
    texts: &[&Text],
    separator: &str,
    unit: Unit,
) -> Result<Longest, Unbounded> {
    let mut whole = Longest {
        size: 0,
        example: String::new(),
    };
    for (i, text) in texts.iter().enumerate() {
        if i > 0 && !separator.is_empty() {
            whole = whole.then(&Longest {
                size: unit.of(separator),
                example: separator.to_string(),
            });
        }
        whole = whole.then(&extent::longest_text(known, text, unit)?);
    }
    Ok(whole)
}

// ------------------------------------------------------------------ how many texts

/// The jobs that a list channel may start, if it says.
fn job_quota(endpoint: &Endpoint) -> (u64, Option<Per>) {
    let quota = endpoint
        .quotas
        .iter()
        .find(|q| q.of == Holder::Account && q.counts == CountingRule::Jobs);
    match quota.map(|q| (q.n, q.per)) {
        Some((Amount::Number(n), per)) => (n, Some(per)),
        _ => (MAX_JOBS, None),
    }
}

fn jobs(
    u: &TemplateUse<'_>,
    template: &Template,
    route: &Route,
    endpoint: &Endpoint,
    out: &mut Checked,
) {
    let holes = extent::holes(template.parts.iter().map(|p| &p.text));
    let quota = job_quota(endpoint);
    match extent::how_many(known(u), &holes) {
        Ok(texts) if texts <= quota.0 => {
            out.jobs.push(Jobs {
                route: route.span,
                channel: route.channel.to_string(),
                texts,
                quota,
            });
        }
        Ok(texts) => {
            let n = group_digits(texts);
            let finding = Finding::new(
                &catalog::TOO_MANY_TEXTS,
                u.send,
                msg!(
                    "`{}` takes one text a job, and this template has {n} different texts",
                    "`{}` 一次任务只能发一种文案，这个模板有 {n} 种文案",
                    route.channel
                ),
            );
            let sources = extent::named_sources(u.program, &holes);
            let finding = finding.label(
                holes
                    .first()
                    .map_or(template.declared.name_span, |h| h.span),
                msg!("by {sources}", "来自 {sources}"),
            );
            out.findings
                .push(finding.help(quota_words(quota)).help(way_out()));
        }
        Err(hole) => {
            let sources = extent::named_sources(u.program, &[hole]);
            let what = if sources.is_empty() {
                part_of(template, hole)
            } else {
                sources
            };
            let finding = Finding::new(
                &catalog::TOO_MANY_TEXTS,
                u.send,
                msg!(
                    "`{}` takes one text a job, and {what} gives every user another text: as many jobs as users",
                    "`{}` 一次任务只能发一种文案，而 {what} 让每个用户的文案都不同：有多少用户就要多少任务",
                    route.channel
                ),
            );
            let finding = finding.label(hole.span, msg!("any number of values", "取值不限"));
            out.findings
                .push(finding.help(quota_words(quota)).help(way_out()));
        }
    }
}

/// The part that a hole is in.
fn part_of(template: &Template, hole: &Expr) -> String {
    let part = template.parts.iter().find(|p| {
        p.text
            .pieces
            .iter()
            .any(|x| matches!(x, Piece::Hole(e) if std::ptr::eq(e, hole)))
    });
    part.map_or_else(String::new, |p| format!("`{}`", part_name(&p.kind)))
}

pub(super) fn quota_words((n, per): (u64, Option<Per>)) -> Msg {
    let n = group_digits(n);
    match per {
        Some(per) => {
            let w = per.words();
            let article = if per == Per::Hour { "an" } else { "a" };
            let s = if n == "1" { "" } else { "s" };
            let (en, zh) = (w.en, w.zh);
            msg!(
                "the account may start {n} job{s} {article} {en}",
                "账号每{zh}最多 {n} 次任务"
            )
        }
        None => msg!(
            "more than {n} jobs in one run are refused",
            "一次发送最多 {n} 个任务"
        ),
    }
}

fn way_out() -> Msg {
    msg!(
        "take the changing part out, or send by a channel that takes a text a user",
        "去掉变化的部分，或换一个逐人发送的渠道"
    )
}
