//! `tagcast run`: plan, apply and run what is due.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::base::Lang;
use crate::base::value::{count_of, group_digits};
use crate::base::{Instant, TimeOfDay, Zone};
use crate::cli::args::{OutputFormat, RunArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::decide::decision::reason;
use crate::deliver::dispatch::DispatchProgress;
use crate::engine::eval_data::EvalData;
use crate::engine::run_until::{self, CampaignSummary, RunSummary};
use crate::engine::{Failure, Project, project};
use crate::ledger::{RunReport, State};
use crate::msg;
use crate::program::typed::Schedule;

pub fn run(cx: &Context, args: &RunArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let cx = cx.for_path(args.path.as_deref())?;
    super::sync::fill_if_empty(&cx)?;
    let store = cx.store_dir();
    std::fs::create_dir_all(&store).map_err(|e| Failure::io(&store, &e))?;
    let (project, snapshot) = cx.load_data(&[])?;
    cx.require_sound(&project)?;
    let now = cx.now(&project);
    let until = args
        .until
        .as_deref()
        .map(|text| until(text, now, project.program.policy.zone))
        .transpose()?;
    let data = EvalData::gather(&project, snapshot, &store, now, &cx.world())?;
    let mut bar = Bar::new(&cx);
    let project = Arc::new(project);
    let report = run_until::run(project.clone(), data, &store, until, &cx.world(), &mut bar)?;
    drop(bar);
    let lang = cx.lang_of(&project);
    match format {
        OutputFormat::Json => print_json(&as_json(&report, &project))?,
        _ => print_out(&show(&report, &project, now, args.until.is_some(), lang))?,
    }
    if report.interrupted {
        return Err(Failure::refused(msg!(
            "stopped on request; what was not sent stays planned, and the next run continues with it",
            "已按要求停止；尚未交付的消息保留在计划中，下次运行会继续"
        )));
    }
    Ok(u8::from(
        report.campaigns.iter().any(|c| c.stopped.is_some()) || report.unknown > 0,
    ))
}

/// An instant, or a time of day: the next such time.
fn until(text: &str, now: Instant, zone: Zone) -> Result<Instant, Failure> {
    let Ok(time) = text.parse::<TimeOfDay>() else {
        return project::parse_instant(text, zone);
    };
    let today = zone.date(now);
    let at = zone.instant(today, time);
    Ok(if at >= now {
        at
    } else {
        zone.instant(today.plus_days(1), time)
    })
}

struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(cx: &Context) -> Self {
        let style = ProgressStyle::with_template("{spinner} {msg}  {pos}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        Bar(cx
            .progress()
            .then(|| ProgressBar::new_spinner().with_style(style)))
    }
}

impl DispatchProgress for Bar {
    fn handed_over(&mut self, campaign: &str, messages: usize) {
        if let Some(bar) = &self.0 {
            bar.set_message(campaign.to_string());
            bar.inc(messages as u64);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn show(
    report: &RunSummary,
    project: &Project,
    now: Instant,
    simulated: bool,
    lang: Lang,
) -> String {
    let zone = project.program.policy.zone;
    let zh = lang == Lang::Zh;
    let mut out = String::new();
    for ended in &report.campaigns {
        let campaign = project.program.campaign(ended.campaign);
        let title = campaign
            .title
            .as_ref()
            .map_or(String::new(), |t| format!("  {t}"));
        let _ = writeln!(out, "{}{title}", campaign.declared.name);
        match campaign.schedule {
            Schedule::Trigger(_) => show_together(ended, ("events", "个事件"), lang, &mut out),
            Schedule::OwnTime(_) => {
                show_together(ended, ("times of users", "个用户时间"), lang, &mut out)
            }
            // Most days are nobody's.
            Schedule::Dated(_) => {
                let concerns = |run: &&RunReport| run.matched() > 0 || !run.stopped.is_empty();
                ended
                    .runs
                    .iter()
                    .filter(concerns)
                    .for_each(|run| show_run(run, project, lang, &mut out));
            }
            Schedule::Once(_) | Schedule::Every(_) => ended
                .runs
                .iter()
                .for_each(|run| show_run(run, project, lang, &mut out)),
        }
        for due in &ended.missed {
            let due = zone.show(*due);
            let _ = writeln!(
                out,
                "  {}",
                if zh {
                    format!("错过了 {due}：已超过最晚期限")
                } else {
                    format!("missed {due}: its deadline had passed")
                }
            );
        }
        if let Some(why) = &ended.stopped {
            let _ = writeln!(out, "  {}", why.get(lang));
        } else if ended.over {
            let _ = writeln!(
                out,
                "  {}",
                if zh {
                    "已经执行完毕"
                } else {
                    "already run; nothing left to do"
                }
            );
        }
        show_next(ended, zone, now, simulated, lang, &mut out);
    }
    if report.campaigns.is_empty() {
        out.push_str(if zh {
            "没有活动\n"
        } else {
            "no campaigns\n"
        });
    }
    if report.rehearsal {
        out.push_str(if zh {
            "模拟时钟下的演练：未使用已绑定的账号，消息写入文件\n"
        } else {
            "a rehearsal on a simulated clock: accounts that are bound were not used, messages became lines of a file\n"
        });
    }
    if report.unknown > 0 {
        let n = report.unknown;
        let _ = writeln!(
            out,
            "{}",
            if zh {
                format!("{n} 条消息的结果未知：下次运行会查询")
            } else {
                format!(
                    "{} without an answer: the next run asks again",
                    count_of(n, "message")
                )
            }
        );
    }
    out
}

fn show_next(
    ended: &CampaignSummary,
    zone: Zone,
    now: Instant,
    simulated: bool,
    lang: Lang,
    out: &mut String,
) {
    let zh = lang == Lang::Zh;
    if ended.waits > 0 {
        let n = group_digits(ended.waits.unsigned_abs());
        let _ = writeln!(
            out,
            "  {}",
            if zh {
                format!("正在等待：{n} 个用户")
            } else {
                format!("waiting after an event: {}", count_of(ended.waits, "user"))
            }
        );
    }
    let Some(next) = ended.next else { return };
    let shown = zone.show(next);
    let _ = writeln!(
        out,
        "  {}",
        if zh {
            format!("下次到期：{shown}")
        } else {
            format!("due next: {shown}")
        }
    );
    if ended.runs.is_empty() && !simulated && next > now {
        let until = shown.replace(' ', "T");
        let _ = writeln!(
            out,
            "  {}",
            if zh {
                format!("届时再运行，或现在用模拟时钟演练：--until {until}")
            } else {
                format!("run again then, or rehearse it now on a simulated clock: --until {until}")
            }
        );
    }
}

fn show_run(run: &RunReport, project: &Project, lang: Lang, out: &mut String) {
    let zh = lang == Lang::Zh;
    let word = |en: &'static str, cn: &'static str| if zh { cn } else { en };
    let due = project.program.policy.zone.show(run.due_at);
    let step = if run.step > 0 {
        format!("{}  ", run.name)
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "  {step}{}",
        if zh {
            format!("{due} 到期")
        } else {
            format!("due {due}")
        }
    );
    let mut line = |depth: usize, n: i64, text: &str| {
        let _ = writeln!(
            out,
            "{}{:>12}  {text}",
            "  ".repeat(depth),
            group_digits(n.unsigned_abs())
        );
    };
    line(0, run.users, word("users", "用户"));
    line(1, run.not_matched, word("not matched", "不匹配"));
    for stopped in run.stopped.iter().filter(|s| s.is_unselected()) {
        let words = reason(&stopped.reason, None);
        line(
            1,
            stopped.users,
            &if zh {
                words.zh
            } else {
                words.en.replace('_', " ")
            },
        );
    }
    line(0, run.matched(), word("matched", "匹配"));
    for stopped in run.stopped.iter().filter(|s| !s.is_unselected()) {
        line(
            1,
            stopped.users,
            reason(&stopped.reason, stopped.detail.as_deref()).get(lang),
        );
    }
    line(0, run.planned, word("messages", "消息"));
    for messages in &run.messages {
        let arm = messages.arm.as_ref().map_or(String::new(), |a| {
            if zh {
                format!("，分组 {a}")
            } else {
                format!(", arm {a}")
            }
        });
        for (state, n) in &messages.states {
            line(
                1,
                *n,
                &format!("{}{arm}", by_channel(*state, &messages.channel, lang)),
            );
        }
    }
}

/// `accepted by sandbox.file`.
fn by_channel(state: State, channel: &impl Display, lang: Lang) -> String {
    let words = state.msg();
    match lang {
        Lang::En => format!("{} by {channel}", words.en),
        Lang::Zh => format!("{}：{channel}", words.zh),
    }
}

/// A campaign that waits for events has a run for each, one whose users have their own times a run
/// for each of them: they are shown together, step by step.
fn show_together(ended: &CampaignSummary, what: (&str, &str), lang: Lang, out: &mut String) {
    let zh = lang == Lang::Zh;
    let mut steps: BTreeMap<(i64, &str), Vec<&RunReport>> = BTreeMap::new();
    for run in &ended.runs {
        steps.entry((run.step, &run.name)).or_default().push(run);
    }
    for ((step, name), runs) in steps {
        let n = group_digits(runs.len() as u64);
        let title = match (step, zh) {
            (0, false) => format!("{n} {}", what.0),
            (0, true) => format!("{n} {}", what.1),
            (_, false) => format!("{name} after {n} of them"),
            (_, true) => format!("其中 {n} 个之后的 {name}"),
        };
        let _ = writeln!(out, "  {title}");
        let mut lines: BTreeMap<String, i64> = BTreeMap::new();
        for stopped in runs.iter().flat_map(|run| &run.stopped) {
            *lines
                .entry(
                    reason(&stopped.reason, stopped.detail.as_deref())
                        .get(lang)
                        .to_string(),
                )
                .or_default() += stopped.users;
        }
        for messages in runs.iter().flat_map(|run| &run.messages) {
            for (state, n) in &messages.states {
                *lines
                    .entry(by_channel(*state, &messages.channel, lang))
                    .or_default() += n;
            }
        }
        for (text, n) in lines {
            let _ = writeln!(out, "  {:>12}  {text}", group_digits(n.unsigned_abs()));
        }
    }
}

fn as_json(report: &RunSummary, project: &Project) -> Value {
    let zone = project.program.policy.zone;
    let campaigns = report.campaigns.iter().map(|c| {
        json!({
            "campaign": project.program.campaign(c.campaign).declared.name,
            "runs": c.runs,
            "missed": c.missed.iter().map(|at| zone.show_rfc3339(*at)).collect::<Vec<_>>(),
            "next": c.next.map(|at| zone.show_rfc3339(at)),
            "waits": c.waits,
            "stopped": c.stopped.as_ref().map(|m| m.en.clone()),
        })
    });
    json!({"campaigns": campaigns.collect::<Vec<_>>(), "unknown": report.unknown, "interrupted": report.interrupted, "rehearsal": report.rehearsal})
}
