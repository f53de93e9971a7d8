//! `tagcast pause`, `resume`, `cancel`: what a person holds back, beside a process that is at work.
//! They need no program that checks.

use serde_json::json;

use crate::base::Msg;
use crate::cli::args::{HoldArgs, OutputFormat};
use crate::cli::output::{Context, print_json};
use crate::engine::Failure;
use crate::ledger::{Console, HoldScope};
use crate::msg;
use crate::program::platform;

pub fn pause(cx: &Context, args: &HoldArgs) -> Result<u8, Failure> {
    let (mut console, scope, format) = open(cx, args)?;
    let n = console
        .operator()
        .pause(&scope, &who(args.by.as_deref()), cx.world().now())?;
    let what = text(&scope);
    let (en, zh) = (&what.en, &what.zh);
    report(
        cx,
        format,
        &scope,
        "paused",
        n,
        &msg!(
            "paused {en}: {n} planned messages wait for `tagcast resume`, or for their deadline",
            "已暂停{zh}：{n} 条计划的消息等待 `tagcast resume`，或直至其最晚期限"
        ),
    )
}

pub fn resume(cx: &Context, args: &HoldArgs) -> Result<u8, Failure> {
    let (mut console, scope, format) = open(cx, args)?;
    let what = text(&scope);
    let (en, zh) = (&what.en, &what.zh);
    if !console
        .operator()
        .resume(&scope, &who(args.by.as_deref()), cx.world().now())?
    {
        return Err(Failure::refused(msg!(
            "{en} is not paused or cancelled",
            "{zh}未被暂停或取消"
        ))
        .help(msg!(
            "`tagcast status` lists what is held back",
            "`tagcast status` 会列出被暂停和取消的内容"
        )));
    }
    report(
        cx,
        format,
        &scope,
        "resumed",
        0,
        &msg!("resumed {en}", "已恢复{zh}"),
    )
}

pub fn cancel(cx: &Context, args: &HoldArgs) -> Result<u8, Failure> {
    let (mut console, scope, format) = open(cx, args)?;
    let n = console
        .operator()
        .cancel(&scope, &who(args.by.as_deref()), cx.world().now())?;
    let what = text(&scope);
    let (en, zh) = (&what.en, &what.zh);
    report(
        cx,
        format,
        &scope,
        "cancelled",
        n,
        &msg!(
            "cancelled {en}: {n} planned messages will not be sent; `tagcast resume` lets it be planned again",
            "已取消{zh}：{n} 条计划的消息不会发送；`tagcast resume` 可使其重新参与计划"
        ),
    )
}

/// The ledger, beside whoever is at work with it.
pub fn console(cx: &Context) -> Result<Console, Failure> {
    Console::open(cx.ledger()?, cx.world())?.ok_or_else(no_ledger)
}

pub fn no_ledger() -> Failure {
    Failure::refused(msg!(
        "nothing was ever planned with this store",
        "此数据仓从未计划过任何活动"
    ))
    .help(msg!(
        "name another store with --store, or the program with --program",
        "请用 --store 指定数据仓，或用 --program 指定程序"
    ))
}

/// Who says so, for the record.
pub fn who(by: Option<&str>) -> String {
    let login = || {
        ["USER", "LOGNAME"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
    };
    by.map(str::to_owned)
        .or_else(login)
        .unwrap_or_else(|| "unknown".into())
}

fn open(cx: &Context, args: &HoldArgs) -> Result<(Console, HoldScope, OutputFormat), Failure> {
    let format = cx.format(&[OutputFormat::Human, OutputFormat::Json])?;
    let console = console(cx)?;
    let scope = match (&args.campaign, &args.account) {
        (Some(name), _) => {
            known(
                name,
                &console.reader().campaigns()?,
                &msg!("campaign", "活动"),
            )?;
            HoldScope::Campaign(name.clone())
        }
        (None, Some(name)) => {
            let mut accounts = console.reader().accounts()?;
            accounts.extend(cx.config.accounts.keys().cloned());
            accounts.extend(platform::names().iter().map(|name| (*name).to_owned()));
            known(name, &accounts, &msg!("account", "账号"))?;
            HoldScope::Account(name.clone())
        }
        (None, None) => HoldScope::All,
    };
    Ok((console, scope, format))
}

/// Refuses a name that nobody has, with the one that was probably meant.
fn known(name: &str, names: &[String], what: &Msg) -> Result<(), Failure> {
    if names.iter().any(|n| n == name) {
        return Ok(());
    }
    let (en, zh) = (&what.en, &what.zh);
    let failure = Failure::refused(msg!(
        "the ledger knows no {en} `{name}`",
        "账本中没有{zh} `{name}`"
    ));
    Err(
        match names
            .iter()
            .min_by_key(|n| strsim::damerau_levenshtein(n, name))
        {
            Some(near) => failure.help(msg!("did you mean `{near}`?", "是否想要 `{near}`？")),
            None => failure,
        },
    )
}

fn text(scope: &HoldScope) -> Msg {
    match scope {
        HoldScope::All => msg!("everything", "全部"),
        HoldScope::Campaign(name) => msg!("campaign `{name}`", "活动 `{name}`"),
        HoldScope::Account(name) => msg!("account `{name}`", "账号 `{name}`"),
    }
}

fn report(
    cx: &Context,
    format: OutputFormat,
    scope: &HoldScope,
    did: &str,
    messages: i64,
    said: &Msg,
) -> Result<u8, Failure> {
    match format {
        OutputFormat::Json => print_json(&json!({"did": did, "of": scope, "messages": messages}))?,
        _ => cx.say(said),
    }
    Ok(0)
}
