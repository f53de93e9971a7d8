//! `tagcast resolve`: what nobody knows is settled by a person, and an old copy of the ledger is
//! resumed.

use std::sync::Arc;

use serde_json::json;

use super::hold::{console, no_ledger};
use crate::base::Lang;
use crate::base::Zone;
use crate::base::value::count_of;
use crate::base::world::{ClockWorld, World};
use crate::cli::args::{OutputFormat, ResolveArgs};
use crate::cli::output::{Context, print_json, print_out};
use crate::engine::ledger_status::{unknown_json, unknown_line};
use crate::engine::{Failure, ProjectOptions, restored_ledger};
use crate::ledger::LedgerReader;
use crate::msg;

pub fn run(cx: &Context, args: &ResolveArgs) -> Result<u8, Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    match (args.number, args.by.as_deref()) {
        (Some(number), Some(who)) => settle(cx, number, args.sent, who, format),
        (None, Some(who)) if args.after_restore => after_restore(cx, who, format),
        _ => list(cx, format),
    }
}

fn list(cx: &Context, format: OutputFormat) -> Result<u8, Failure> {
    let Some(ledger) = LedgerReader::open(cx.ledger()?)? else {
        return Err(no_ledger());
    };
    let unknown = ledger.stuck()?;
    let project = cx.project(&[], ProjectOptions::default()).ok();
    let zone = project
        .as_ref()
        .map_or(Zone::SHANGHAI, |p| p.program.policy.zone);
    let zh = project.as_ref().map_or(cx.lang(), |p| cx.lang_of(p)) == Lang::Zh;
    match format {
        OutputFormat::Json => print_json(
            &json!({"unknown": unknown.iter().map(|s| unknown_json(s, zone)).collect::<Vec<_>>()}),
        )?,
        _ => print_out(
            &unknown
                .iter()
                .map(|s| unknown_line(s, zone, zh).trim_start().to_owned() + "\n")
                .collect::<String>(),
        )?,
    }
    if unknown.is_empty() {
        cx.say(&msg!("nothing is unknown", "没有未知的发送"));
    }
    Ok(u8::from(!unknown.is_empty()))
}

fn settle(
    cx: &Context,
    number: i64,
    sent: bool,
    who: &str,
    format: OutputFormat,
) -> Result<u8, Failure> {
    let mut console = console(cx)?;
    let Some(stuck) = console
        .reader()
        .stuck()?
        .into_iter()
        .find(|s| s.batch == number)
    else {
        return Err(Failure::refused(msg!(
            "no unknown send has the number {number}",
            "没有编号为 {number} 的未知发送"
        ))
        .help(msg!(
            "`tagcast resolve` lists them",
            "`tagcast resolve` 会列出它们"
        )));
    };
    console
        .operator()
        .settle_by_hand(number, sent, who, cx.world().now())?;
    let (n, messages) = (stuck.messages, count_of(stuck.messages, "message"));
    let count = if n == 1 { "counts" } else { "count" };
    match format {
        OutputFormat::Json => {
            print_json(&json!({"number": number, "messages": n, "sent": sent, "by": who}))?
        }
        _ if sent => cx.say(&msg!(
            "{messages} {count} as sent, says {who}",
            "{n} 条消息由 {who} 认定为已发送"
        )),
        _ => cx.say(&msg!(
            "{messages} {count} as not sent, says {who}; nothing is sent again by this",
            "{n} 条消息由 {who} 认定为未发送；不会因此重新发送"
        )),
    }
    Ok(0)
}

fn after_restore(cx: &Context, who: &str, format: OutputFormat) -> Result<u8, Failure> {
    let project = cx.project(&[], ProjectOptions::default())?;
    let world: Arc<dyn World> = Arc::new(ClockWorld::new(cx.world(), cx.now(&project)));
    let Some(given_up) =
        restored_ledger::resume_after_restore(&cx.ledger()?, &project, who, &world)?
    else {
        return Err(Failure::refused(msg!(
            "the ledger is not behind what was sent with it, nothing was changed",
            "账本并不落后于已完成的发送，未作任何改动"
        )));
    };
    let (withdrawn, ended) = (given_up.ledger.withdrawn, given_up.ledger.ended);
    let missed: usize = given_up.missed.iter().map(|(_, n)| n).sum();
    match format {
        OutputFormat::Json => {
            let by_campaign: serde_json::Map<_, _> = given_up.missed.iter().map(|(name, n)| (name.clone(), json!(n))).collect();
            print_json(&json!({"withdrawn": withdrawn, "ended": ended, "missed": by_campaign, "by": who}))?;
        }
        _ => cx.say(&msg!(
            "the ledger is resumed; given up, for they may have been sent: planned messages {withdrawn}, waits and follow-ups {ended}, due instants {missed}",
            "已继续使用该账本；因可能已发送而放弃：{withdrawn} 条计划的消息、{ended} 个等待与跟进、{missed} 个到期时刻"
        )),
    }
    Ok(0)
}
