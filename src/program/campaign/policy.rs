//! The policy and the accounts: what holds for every campaign.

use super::clauses::{Clauses, twice};
use super::limits;
use super::route::quoted;
use super::truth::{Truth, nobody, truth};
use crate::base::{Type, Zone};
use crate::diag::{Finding, Level, Span, catalog};
use crate::msg;
use crate::program::check::{Checker, ExprContext};
use crate::program::platform;
use crate::program::scope::nearest;
use crate::program::typed::{Account, Exclude, Policy, Purpose, PurposeRules, Requirement};
use crate::syntax::ast::{self, ClauseKind};
use crate::syntax::clause_table::{ClauseId, ClausePlace};
use crate::syntax::keyword;

/// The currencies that money can be in, ISO 4217, all with two minor digits.
const CURRENCIES: [&str; 20] = [
    "AUD", "BRL", "CAD", "CHF", "CNY", "EUR", "GBP", "HKD", "IDR", "INR", "MOP", "MYR", "NZD",
    "PHP", "RUB", "SGD", "THB", "TWD", "USD", "ZAR",
];

/// `timezone` and `currency`: what expressions need to know before anything else is read.
pub fn check_settings(checker: &mut Checker<'_>, policy: Option<&ast::PolicyDecl>) {
    for clause in policy.iter().flat_map(|p| &p.clauses) {
        if let ClauseKind::Text(ClauseId::Timezone, name) = &clause.kind {
            timezone(checker, name);
        } else if let ClauseKind::Text(ClauseId::Currency, name) = &clause.kind {
            currency(checker, name);
        }
    }
}

fn timezone(checker: &mut Checker<'_>, name: &ast::Str) {
    if let Some(zone) = Zone::named(&name.value) {
        checker.program.policy.zone = zone;
        return;
    }
    let finding = Finding::new(
        &catalog::UNKNOWN_NAME,
        name.span,
        msg!(
            "no time zone is named `{}`",
            "没有名为 `{}` 的时区",
            name.value
        ),
    );
    checker.report(match nearest(&name.value, Zone::names()) {
        Some(near) => finding.fix(
            msg!("write `{near}`", "改为 `{near}`"),
            name.span,
            format!("\"{near}\""),
            false,
        ),
        None => finding.help(msg!(
            "write a name of the IANA list, for instance `Asia/Shanghai`",
            "写 IANA 时区名，例如 `Asia/Shanghai`"
        )),
    });
}

fn currency(checker: &mut Checker<'_>, name: &ast::Str) {
    if CURRENCIES.contains(&name.value.as_str()) {
        checker.program.policy.currency = name.value.clone();
        return;
    }
    let finding = Finding::new(
        &catalog::UNKNOWN_NAME,
        name.span,
        msg!(
            "`{}` is not a currency that money can be in",
            "不支持货币 `{}`",
            name.value
        ),
    );
    checker.report(finding.help(msg!("write one of {}", "可写：{}", quoted(&CURRENCIES))));
}

/// Fills `program.accounts`: the default account of each platform first, in the order of
/// [`platform::names`], then the declared ones.
pub fn check_accounts(checker: &mut Checker<'_>, accounts: &[&ast::AccountDecl]) {
    let default = |p: &&str| Account {
        name: (*p).to_string(),
        platform: (*p).to_string(),
        title: None,
    };
    checker.program.accounts = platform::names().iter().map(default).collect();
    for account in accounts {
        let platform = &account.platform;
        let known = platform::find(&platform.name).is_some();
        if !known {
            let finding = Finding::new(
                &catalog::UNKNOWN_NAME,
                platform.span,
                msg!(
                    "no platform is named `{}`",
                    "没有名为 `{}` 的平台",
                    platform.name
                ),
            );
            checker.report(
                match nearest(&platform.name, platform::names().iter().copied()) {
                    Some(near) => finding.fix(
                        msg!("write `{near}`", "改为 `{near}`"),
                        platform.span,
                        near,
                        false,
                    ),
                    None => finding.help(msg!(
                        "the platforms are {}",
                        "平台有 {}",
                        quoted(platform::names())
                    )),
                },
            );
        }
        // An account on an unknown platform keeps its place: positions are what names stand for.
        checker.program.accounts.push(Account {
            name: account.name.name.clone(),
            platform: platform.name.clone(),
            title: account.title.as_ref().map(|t| t.value.clone()),
        });
    }
}

pub fn check_policy(checker: &mut Checker<'_>, policy: Option<&ast::PolicyDecl>) {
    let Some(ast) = policy else { return };
    let clauses = Clauses::collect(checker, &ast.clauses, ClausePlace::Policy);
    // `timezone` and `currency` are there already.
    let mut typed = std::mem::take(&mut checker.program.policy);
    let spans = ast.clauses.iter().map(|c| c.span);
    typed.span = spans.reduce(Span::to);
    let mut seen_purposes: Vec<(Purpose, Span)> = Vec::new();
    for clause in clauses.iter() {
        match &clause.kind {
            ClauseKind::Name(ClauseId::Consent, name) => typed.consent = consent(checker, name),
            ClauseKind::Texts(ClauseId::ForbidWords, files) => {
                files.iter().for_each(|f| checker.need_file(f));
                typed
                    .forbid_words
                    .extend(files.iter().map(|f| f.value.clone()));
            }
            ClauseKind::Names(ClauseId::Require, names) => require(checker, names, &mut typed),
            ClauseKind::Exclude { when, reason } => {
                typed
                    .excludes
                    .extend(exclude(checker, when, reason.as_ref()))
            }
            ClauseKind::Holdout { share, key } => {
                typed.holdout = limits::holdout(checker, share, key.as_ref())
            }
            ClauseKind::Cap(cap) => typed.caps.extend(limits::cap(checker, cap, clause.span)),
            ClauseKind::Quiet { from, to } => typed.quiet = limits::quiet(checker, from, to),
            ClauseKind::For {
                purpose: name,
                clauses,
            } => {
                let Some(of) = purpose(checker, name) else {
                    continue;
                };
                if let Some((_, first)) = seen_purposes.iter().find(|(p, _)| *p == of) {
                    checker.report(twice(&format!("for {}", name.name), name.span, *first));
                    continue;
                }
                seen_purposes.push((of, name.span));
                let rules = purpose_rules(checker, clauses);
                typed.purposes.insert(of, rules);
            }
            // `collect` has left out what does not stand in the policy.
            ClauseKind::Value(..)
            | ClauseKind::Name(..)
            | ClauseKind::Names(..)
            | ClauseKind::Text(..)
            | ClauseKind::Texts(..)
            | ClauseKind::Reserved(_)
            | ClauseKind::When(_)
            | ClauseKind::Top { .. }
            | ClauseKind::Goal { .. }
            | ClauseKind::Action(_)
            | ClauseKind::Via(_)
            | ClauseKind::At { .. }
            | ClauseKind::Every(_)
            | ClauseKind::On(_)
            | ClauseKind::Again(_)
            | ClauseKind::Priority { .. }
            | ClauseKind::After(_)
            | ClauseKind::Target(_)
            | ClauseKind::Broken => {}
        }
    }
    checker.program.policy = typed;
}

/// The purpose of that name; `None` after a finding.
pub(super) fn purpose(checker: &mut Checker<'_>, name: &ast::Ident) -> Option<Purpose> {
    let found = Purpose::ALL
        .iter()
        .find(|(_, n)| *n == name.name)
        .map(|(p, _)| *p);
    if found.is_none() {
        let names = Purpose::ALL.map(|(_, n)| n);
        let finding = Finding::new(
            &catalog::UNKNOWN_NAME,
            name.span,
            msg!("`{}` is not a purpose", "`{}` 不是用途", name.name),
        );
        checker.report(match nearest(&name.name, names) {
            Some(near) => finding.fix(
                msg!("write `{near}`", "改为 `{near}`"),
                name.span,
                near,
                false,
            ),
            None => finding.help(msg!("write one of {}", "可写：{}", quoted(&names))),
        });
    }
    found
}

fn consent(checker: &mut Checker<'_>, name: &ast::Ident) -> Option<crate::base::TagId> {
    let id = checker.tag_named(name)?;
    let tag = checker.program.schema.tag(id);
    if tag.ty != Type::Bool {
        let ty = tag.ty.describe();
        checker.report(
            Finding::new(
                &catalog::TYPE_MISMATCH,
                name.span,
                msg!(
                    "consent is a yes or no, and `{}` is {ty}",
                    "同意与否是 bool，而 `{}` 是 {ty}",
                    name.name
                ),
            )
            .help(msg!(
                "name a tag declared as `bool consent`",
                "写一个声明为 `bool consent` 的标签"
            )),
        );
        return None;
    }
    if !tag.consent {
        let mut finding = Finding::new(
            &catalog::NOT_CONSENT,
            name.span,
            msg!(
                "`{}` is not declared as a consent",
                "`{}` 没有声明为同意标签",
                name.name
            ),
        )
        .help(msg!(
            "declare it `tag {} bool consent`",
            "声明为 `tag {} bool consent`",
            name.name
        ));
        if let Some(declared) = checker
            .program
            .tags
            .get(id.index())
            .and_then(|t| t.declared.as_ref())
        {
            finding = finding.label(declared.name_span, msg!("declared here", "在这里声明"));
        }
        finding.level = Level::Error;
        checker.report(finding);
        return None;
    }
    Some(id)
}

/// The word that a name is, if it is a keyword in either language.
fn word(name: &ast::Ident) -> &str {
    keyword::spelled(&name.name).map_or(&name.name, |k| k.id)
}

const REQUIREMENTS: [(Requirement, &str); 5] = [
    (Requirement::Goal, "goal"),
    (Requirement::Entry, "entry"),
    (Requirement::Recall, "recall"),
    (Requirement::Unsubscribe, "unsubscribe"),
    (Requirement::Holdout, "holdout"),
];

fn require(checker: &mut Checker<'_>, names: &[ast::Ident], policy: &mut Policy) {
    for name in names {
        match REQUIREMENTS.iter().find(|(_, n)| *n == word(name)) {
            Some((requirement, known)) => {
                match policy.require.iter().find(|(r, _)| r == requirement) {
                    Some((_, first)) => checker.report(twice(known, name.span, *first)),
                    None => policy.require.push((*requirement, name.span)),
                }
            }
            None => {
                let known = REQUIREMENTS.map(|(_, n)| n);
                let finding = Finding::new(
                    &catalog::UNKNOWN_NAME,
                    name.span,
                    msg!("`{}` cannot be required", "不能要求 `{}`", name.name),
                );
                checker.report(match nearest(&name.name, known) {
                    Some(near) => finding.fix(
                        msg!("write `{near}`", "改为 `{near}`"),
                        name.span,
                        near,
                        false,
                    ),
                    None => finding.help(msg!("write one of {}", "可写：{}", quoted(&known))),
                });
            }
        }
    }
}

fn exclude(
    checker: &mut Checker<'_>,
    when: &ast::Expr,
    reason: Option<&ast::Str>,
) -> Option<Exclude> {
    let condition = checker.condition(when, &ExprContext::default())?;
    match truth(&checker.program, &condition) {
        Truth::Never => {
            checker.report(nobody(when.span));
            return None;
        }
        Truth::Always | Truth::Everyone => {
            checker.report(
                Finding::new(
                    &catalog::MATCHES_EVERYONE,
                    when.span,
                    msg!(
                        "this excludes every user from every campaign",
                        "这会把所有用户排除在所有活动之外"
                    ),
                )
                .help(msg!(
                    "change the condition, or leave it out",
                    "修改条件，或去掉它"
                )),
            );
            return None;
        }
        Truth::Open => {}
    }
    let reason = reason.map_or_else(
        || checker.sources.slice(when.span).to_string(),
        |r| r.value.clone(),
    );
    Some(Exclude {
        when: condition,
        reason,
    })
}

fn purpose_rules(checker: &mut Checker<'_>, clauses: &[ast::Clause]) -> PurposeRules {
    let clauses = Clauses::collect(checker, clauses, ClausePlace::Purpose);
    let mut rules = PurposeRules::default();
    let (mut cap, mut quiet, mut holdout): (Option<Span>, Option<Span>, Option<Span>) =
        (None, None, None);
    let mut nos: Vec<(&str, Span)> = Vec::new();
    for clause in clauses.iter() {
        match &clause.kind {
            ClauseKind::Cap(c) => {
                cap = cap.or(Some(clause.word));
                rules.caps.extend(limits::cap(checker, c, clause.span));
            }
            ClauseKind::Quiet { from, to } => {
                quiet = Some(clause.word);
                rules.quiet = limits::quiet(checker, from, to);
            }
            ClauseKind::Holdout { share, key } => {
                holdout = Some(clause.word);
                rules.holdout = limits::holdout(checker, share, key.as_ref());
            }
            ClauseKind::Name(ClauseId::No, what) => {
                let (flag, word) = match word(what) {
                    "cap" => (&mut rules.no_cap, "cap"),
                    "quiet" => (&mut rules.no_quiet, "quiet"),
                    "holdout" => (&mut rules.no_holdout, "holdout"),
                    _ => {
                        checker.report(
                            Finding::new(
                                &catalog::UNKNOWN_NAME,
                                what.span,
                                msg!("`no {}` says nothing", "`no {}` 没有意义", what.name),
                            )
                            .help(msg!(
                                "write `no cap`, `no quiet` or `no holdout`",
                                "写 `no cap`、`no quiet` 或 `no holdout`"
                            )),
                        );
                        continue;
                    }
                };
                if let Some((_, first)) = nos.iter().find(|(w, _)| *w == word) {
                    checker.report(twice(&format!("no {word}"), what.span, *first));
                }
                *flag = true;
                nos.push((word, what.span));
            }
            // `collect` has left out what does not stand in `for`.
            ClauseKind::Value(..)
            | ClauseKind::Name(..)
            | ClauseKind::Names(..)
            | ClauseKind::Text(..)
            | ClauseKind::Texts(..)
            | ClauseKind::Reserved(_)
            | ClauseKind::When(_)
            | ClauseKind::Top { .. }
            | ClauseKind::Goal { .. }
            | ClauseKind::Action(_)
            | ClauseKind::Via(_)
            | ClauseKind::At { .. }
            | ClauseKind::Every(_)
            | ClauseKind::On(_)
            | ClauseKind::Again(_)
            | ClauseKind::Priority { .. }
            | ClauseKind::After(_)
            | ClauseKind::Target(_)
            | ClauseKind::Exclude { .. }
            | ClauseKind::For { .. }
            | ClauseKind::Broken => {}
        }
    }
    for (word, span) in nos {
        let set = match word {
            "cap" => cap,
            "quiet" => quiet,
            _ => holdout,
        };
        if let Some(set) = set {
            checker.report(
                Finding::new(
                    &catalog::CONFLICTING_CLAUSES,
                    span,
                    msg!(
                        "`no {word}` and `{word}` exclude each other",
                        "`no {word}` 与 `{word}` 互相矛盾"
                    ),
                )
                .label(set, msg!("set here", "在这里设置")),
            );
        }
    }
    rules
}
