//! `deprecated-platform-limit`: a cap that repeats a platform's limit as it once was.

use crate::diag::{Code, Finding, Findings};
use crate::lint::{LintContext, Rule};
use crate::msg;
use crate::program::platform;
use crate::program::typed::Cap;

pub static RULE: Rule = Rule {
    code: Code::lint(
        "deprecated-platform-limit",
        include_str!("deprecated_platform_limit.md"),
    ),
    check,
};

fn check(cx: &LintContext, out: &mut Findings) {
    let policy = &cx.program.policy;
    let of_purposes = policy.purposes.values().flat_map(|p| &p.caps);
    for cap in policy
        .caps
        .iter()
        .chain(of_purposes)
        .chain(cx.program.campaigns.iter().flat_map(|c| &c.caps))
    {
        look(cap, out);
    }
}

fn look(cap: &Cap, out: &mut Findings) {
    let Some(channel) = &cap.channel else { return };
    let Some(former) = platform::endpoint(&channel.platform, &channel.endpoint)
        .and_then(|e| e.former_limit(cap.n, cap.per))
    else {
        return;
    };
    let (en, zh) = (&former.now.en, &former.now.zh);
    let message = msg!(
        "this was the limit of `{channel}` once; it is no more",
        "这是 `{channel}` 曾经的限制，现已失效"
    );
    out.push(Finding::new(&RULE.code, cap.span, message).help(msg!("now: {en}", "现行规则：{zh}")));
}
