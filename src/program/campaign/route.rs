//! Channels: which account and endpoint a path names, and where a user's address is.

use super::clauses::twice;
use super::reported_once::ReportedOnce;
use crate::base::{TagId, Type};
use crate::diag::{Finding, catalog};
use crate::msg;
use crate::program::check::{Checker, ExprContext};
use crate::program::platform::{self, Address, Endpoint};
use crate::program::scope::nearest;
use crate::program::typed::{ChannelName, Route, Takes, Via};
use crate::syntax::ast;

/// A channel and what its platform says of it.
pub(super) struct Resolved {
    pub channel: ChannelName,
    pub endpoint: &'static Endpoint,
}

/// The channel of a path; `None` after a finding.
pub(super) fn channel(checker: &mut Checker<'_>, path: &ast::ChannelPath) -> Option<Resolved> {
    let name = &path.account.name;
    let Some(account) = checker.program.accounts.iter().find(|a| a.name == *name) else {
        if !checker.is_broken(name) {
            let accounts: Vec<&str> = checker
                .program
                .accounts
                .iter()
                .map(|a| a.name.as_str())
                .collect();
            let near = nearest(name, accounts.iter().copied());
            let finding = Finding::new(
                &catalog::UNKNOWN_NAME,
                path.account.span,
                msg!("no account is named `{name}`", "没有名为 `{name}` 的账号"),
            );
            checker.report(match near {
                Some(near) => finding.fix(msg!("write `{near}`", "改为 `{near}`"), path.account.span, near, false),
                None => finding.help(msg!(
                    "the accounts are {}; another one is declared by `account {name} service_account`",
                    "已有账号：{}；声明新账号：`account {name} service_account`",
                    quoted(&accounts)
                )),
            });
        }
        return None;
    };
    let (account, platform) = (account.name.clone(), account.platform.clone());
    let platform_data = platform::find(&platform)?;
    let endpoints: Vec<&str> = platform_data
        .endpoints
        .iter()
        .map(|e| e.name.as_str())
        .collect();
    let full: Vec<String> = endpoints.iter().map(|e| format!("{account}.{e}")).collect();
    let full: Vec<&str> = full.iter().map(String::as_str).collect();
    let Some(wanted) = &path.endpoint else {
        let finding = Finding::new(
            &catalog::UNKNOWN_NAME,
            path.span,
            msg!(
                "`{account}` is an account, not a channel",
                "`{account}` 是账号，不是渠道"
            ),
        );
        checker.report(match endpoints.as_slice() {
            [only] => finding.fix(
                msg!("write `{account}.{only}`", "改为 `{account}.{only}`"),
                path.span,
                format!("{account}.{only}"),
                true,
            ),
            _ => finding.help(msg!("write one of {}", "写其中一个：{}", quoted(&full))),
        });
        return None;
    };
    match platform_data.endpoint(&wanted.name) {
        Some(endpoint) => Some(Resolved {
            channel: ChannelName {
                account,
                platform,
                endpoint: endpoint.name.clone(),
            },
            endpoint,
        }),
        None => {
            let finding = Finding::new(
                &catalog::UNKNOWN_NAME,
                wanted.span,
                msg!(
                    "`{account}` has no channel `{}`",
                    "`{account}` 没有渠道 `{}`",
                    wanted.name
                ),
            );
            checker.report(match nearest(&wanted.name, endpoints.iter().copied()) {
                Some(near) => finding.fix(
                    msg!("write `{near}`", "改为 `{near}`"),
                    wanted.span,
                    near,
                    false,
                ),
                None => finding.help(msg!("it has {}", "它有 {}", quoted(&full))),
            });
            None
        }
    }
}

/// A `via` clause: its good routes, and whether those are all.
pub(super) fn via(
    checker: &mut Checker<'_>,
    via: &ast::Via,
    cx: &ExprContext<'_>,
    reported: &mut ReportedOnce,
) -> (Via, bool) {
    let weight = via.routes.iter().find_map(|r| r.weight.as_ref());
    let weighted = weight.is_some();
    let takes = match (via.all_of, weighted) {
        (true, _) => Takes::All,
        (false, true) => Takes::Heaviest,
        (false, false) => Takes::First,
    };
    let mut typed = Via {
        routes: Vec::new(),
        takes,
    };
    let mut whole = true;
    if let Some(weight) = weight.filter(|_| via.all_of) {
        let finding = Finding::new(
            &catalog::CONFLICTING_CLAUSES,
            weight.span,
            msg!(
                "a weight chooses one channel, and `all of` takes them all",
                "权重用于选出一个渠道，而 `all of` 使用全部渠道"
            ),
        );
        checker.report(finding.help(msg!(
            "leave out the weights, or `all of`",
            "去掉权重，或去掉 `all of`"
        )));
        whole = false;
    }
    for (at, route) in via.routes.iter().enumerate() {
        let first = via
            .routes
            .iter()
            .take(at)
            .find(|r| same_channel(&r.channel, &route.channel));
        if let Some(first) = first {
            checker.report(twice(
                checker.sources.slice(route.channel.span),
                route.channel.span,
                first.channel.span,
            ));
            whole = false;
            continue;
        }
        match self::route(checker, route, weighted, cx, reported) {
            Some(route) => typed.routes.push(route),
            None => whole = false,
        }
    }
    (typed, whole)
}

fn same_channel(a: &ast::ChannelPath, b: &ast::ChannelPath) -> bool {
    let endpoint = |p: &ast::ChannelPath| p.endpoint.as_ref().map(|e| e.name.clone());
    a.account.name == b.account.name && endpoint(a) == endpoint(b)
}

fn route(
    checker: &mut Checker<'_>,
    route: &ast::Route,
    weighted: bool,
    cx: &ExprContext<'_>,
    reported: &mut ReportedOnce,
) -> Option<Route> {
    let resolved = channel(checker, &route.channel);
    let weight = match &route.weight {
        Some(e) => checker.number(e, "weight", cx).map(Some),
        None if weighted => {
            checker.report(
                Finding::new(
                    &catalog::MISSING_CLAUSE,
                    route.channel.span,
                    msg!(
                        "this channel has no `weight`, and others have",
                        "这个渠道没有 `weight`，其他渠道有"
                    ),
                )
                .help(msg!(
                    "give every channel a weight, or none: then their order decides",
                    "要么每个渠道都写权重，要么都不写，按顺序选择"
                )),
            );
            None
        }
        None => Some(None),
    };
    let resolved = resolved?;
    let address = address(checker, &resolved, route, reported)?;
    Some(Route {
        span: route.channel.span,
        channel: resolved.channel,
        weight: weight?,
        address,
    })
}

/// The tag that holds a user's address on an account; `Some(None)` where the user id does.
fn address(
    checker: &mut Checker<'_>,
    resolved: &Resolved,
    route: &ast::Route,
    reported: &mut ReportedOnce,
) -> Option<Option<TagId>> {
    let account = &resolved.channel.account;
    let is_address = |ty: &Type| matches!(ty, Type::Address(of) if **of == **account);
    let tags: Vec<usize> = (0..checker.program.schema.tags.len())
        .filter(|i| is_address(&checker.program.schema.tags[*i].ty))
        .collect();
    let span = route.channel.span;
    match tags.as_slice() {
        [one] => u32::try_from(*one).ok().map(|i| Some(TagId(i))),
        [] if resolved.endpoint.address == Address::UserId => Some(None),
        [] => {
            if reported.first(&format!("no address {account}")) {
                checker.report(
                    Finding::new(
                        &catalog::NO_ADDRESS,
                        span,
                        msg!(
                            "no tag says where a user is reached on `{account}`",
                            "没有标签说明用户在 `{account}` 上的地址"
                        ),
                    )
                    .help(msg!(
                        "declare one, for instance `tag {account}_id address({account})`",
                        "声明一个，例如 `tag {account}_id address({account})`"
                    )),
                );
            }
            None
        }
        many => {
            let finding = Finding::new(
                &catalog::AMBIGUOUS_ADDRESS,
                span,
                msg!(
                    "{} tags say where a user is reached on `{account}`",
                    "有 {} 个标签都是用户在 `{account}` 上的地址",
                    many.len()
                ),
            );
            let spans: Vec<_> = many
                .iter()
                .filter_map(|i| checker.program.tags.get(*i))
                .filter_map(|t| t.declared.as_ref())
                .map(|d| d.name_span)
                .collect();
            let finding = spans.into_iter().fold(finding, |f, s| {
                f.label(s, msg!("an address on `{account}`", "`{account}` 的地址"))
            });
            if reported.first(&format!("many addresses {account}")) {
                checker.report(finding.help(msg!(
                    "keep one, or declare a further account and give the other tag its address type",
                    "只保留一个，或另外声明账号，并把另一个标签的类型改为该账号的地址"
                )));
            }
            None
        }
    }
}

/// A list of names in backticks.
pub(super) fn quoted(names: &[&str]) -> String {
    names
        .iter()
        .map(|n| format!("`{n}`"))
        .collect::<Vec<_>>()
        .join(", ")
}
