//! `docs/channels.md` says what the platform files say. `BLESS=1 cargo test --test house channels_doc`
//! writes it anew.

use crate::support::bless;
use std::fmt::Write as _;

use tagcast::base::value::group_digits;
use tagcast::deliver::account::{Needed, SettingField};
use tagcast::deliver::{account_config, platforms};
use tagcast::program::platform::{
    self, Amount, AmountWord, Contact, CountingRule, Endpoint, Fact, HandOver, Holder, Key,
    LimitOf, MessagePart, Observed, Per, Quota, Reaction, Recall, Shape, Unit, WaitUntil,
};
use tagcast::program::typed::Purpose;

const HEAD: &str = "# Channels

A channel is `ACCOUNT.ENDPOINT`: an account of a platform (`service_account`, or one declared by `account rose service_account`) and a way to send.
What each takes is data, one file a platform under `platforms/`; this page is written from them, and a test compares the two.
The checker holds every message against it before anything is sent. A mark † means that no source settles it: such a limit warns, it does not refuse.

The longest possible text is computed from the types: `text(10)` is ten characters (forty bytes where bytes count), an enum its longest member,
`int 0..120` three digits. Numbers and money have no bound that a message could respect; they are counted as `-123456789.123456` and `¥99,999,999.99`,
and a value beyond is stopped with the reason `too_long` when its message is made. On channels that take one text a job, the different texts are
counted in the same way, and the arms of a campaign share the jobs of an account.

Some channels are open for a user only after he did something: for a while, for so many messages, or both, as the table says. What users do is
heard from the platform's callbacks; where a channel is not open when the message would be sent, or has no message left, the next channel of the `via` is
taken, or the user is stopped as `unreachable`. A window that closes while a message waits for its turn ends the message (`expired`), and a platform that
refuses a message for now ends what the user did before. Subscriptions add up, one message each, by template. An account that has never told of any
of these things is not held back: there the platform's own refusal has to do. (WeChat customer service, `wecom.kf`, calls only to say that there is
something; `tagcast serve` fetches what it is, and so knows of everybody who wrote in the last three days from the start.) So it has where an authorisation opens a channel for good, which may be older
than the callbacks. A window's messages are slots like those of caps: of campaigns that are due at the same instant the more important ones have the last
of them, and what comes later takes them from what is less important and not sent yet. Who finds none goes by the next channel of the `via`, or is
stopped as `capped`, with the campaign that has it. What waits while the user opens the window anew counts in the new one. A subscription that was accepted before
the account's callbacks came here is not known, and not used once others are.

The platforms' own limits a user (\"for a user\" below) are caps beside those of the policy, in the platform's own calendar: what they leave no room for is stopped
as `capped`, with the limit's name. When exactly a platform counts is up to it, so that a message planned for the last hour of a period counts in the next
one, too. What others send, a person at the platform's console or another program, is not seen: `foreign` in `[accounts.NAME]` of `tagcast.toml` takes so
many off. Limits a minute or an hour (`wecom.app`) are left to the platform. Where an account is not bound there is no platform, and no such cap.

";

#[test]
fn page_and_platform_files_agree() {
    bless::file("docs/channels.md", &page());
}

fn page() -> String {
    let mut out = HEAD.to_string();
    endpoints(&mut out);
    shapes(&mut out);
    fields(&mut out);
    settings(&mut out);
    promises(&mut out);
    errors(&mut out);
    former(&mut out);
    sources(&mut out);
    out
}

fn each(mut row: impl FnMut(String, &'static platform::Platform, &'static Endpoint)) {
    for p in platform::all() {
        for e in &p.endpoints {
            row(format!("`{}.{}`", p.name, e.name), p, e);
        }
    }
}

fn endpoints(out: &mut String) {
    out.push_str("## What each channel takes\n\n");
    out.push_str("| channel | | purposes | texts | limits of the platform | the user must have | a repeat | a person confirms |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    each(|name, p, e| {
        let limits: Vec<String> = e
            .rate
            .iter()
            .map(|r| format!("{} calls {}", number(r.n), per(r.per)))
            .chain(e.quotas.iter().map(quota))
            .collect();
        let contacts: Vec<String> = e.contacts.iter().map(contact).collect();
        let person = e.person.as_ref().map_or(String::new(), |x| {
            format!("{}, within {}", x.who.en, x.deadline)
        });
        let _ = writeln!(
            out,
            "| {name} | {}: {} | {} | {} | {} | {} | {} | {person} |",
            p.title.en,
            e.title.en,
            purposes(e),
            hand_over(e.hand_over),
            limits.join("; "),
            contacts.join("; "),
            key(&e.key)
        );
    });
    out.push_str("\n## What becomes known\n\n`user`: of each user. `count`: how many, not who. `none`: nothing; a condition over it selects nobody, and is an error.\n\n");
    out.push_str(
        "| channel | delivered | opened | clicked | failed | opted out | complained |\n| --- | --- | --- | --- | --- | --- | --- |\n",
    );
    each(|name, _, e| {
        let v = &e.evidence;
        let words = [
            v.delivered,
            v.opened,
            v.clicked,
            v.failed,
            v.opted_out,
            v.complained,
        ]
        .map(|o| match o {
            Observed::None => "none",
            Observed::Count => "count",
            Observed::User => "user",
        });
        let _ = writeln!(out, "| {name} | {} |", words.join(" | "));
    });
}

fn purposes(e: &Endpoint) -> String {
    let refused: Vec<&str> = Purpose::ALL
        .iter()
        .filter(|(p, _)| !e.allows(*p))
        .map(|(_, n)| *n)
        .collect();
    if refused.is_empty() {
        "all".into()
    } else {
        format!("not {}", refused.join(", "))
    }
}

fn hand_over(h: HandOver) -> String {
    match h {
        HandOver::List {
            min,
            max: Some(max),
        } => format!("one a job of {min} to {} users", number(max)),
        HandOver::List { min, max: None } => format!("one a job of {min} or more users"),
        HandOver::Single { together: 1 } => "one a user".into(),
        HandOver::Single { together } => format!(
            "one a user; {} users with the same text share a call",
            number(together)
        ),
    }
}

fn quota(q: &Quota) -> String {
    let n = match q.n {
        Amount::Number(n) => number(n),
        Amount::Word(AmountWord::DaysOfMonth) => "as many as the month has days:".into(),
    };
    let plural = if q.n == Amount::Number(1) { "" } else { "s" };
    let what = match q.counts {
        CountingRule::Messages => "message",
        CountingRule::Calls => "call",
        CountingRule::Jobs => "job",
    };
    let whose = match q.of {
        Holder::User => "for a user",
        Holder::Account => "for the account",
    };
    let note = q
        .note
        .as_ref()
        .map_or(String::new(), |w| format!(" ({})", w.en));
    format!("{n} {what}{plural} {} {whose}{note}", per(q.per))
}

fn per(per: Per) -> String {
    format!(
        "{} {}",
        if per == Per::Hour { "an" } else { "a" },
        per.words().en
    )
}

fn number(n: impl Into<u64>) -> String {
    group_digits(n.into())
}

fn contact(c: &Contact) -> String {
    let messages = c
        .messages
        .map(|n| format!("{n} message{}", if n == 1 { "" } else { "s" }));
    let how: Vec<String> = messages
        .into_iter()
        .chain(c.within.map(|w| format!("within {w}")))
        .collect();
    if how.is_empty() {
        c.after.en.clone()
    } else {
        format!("{} ({})", c.after.en, how.join(", "))
    }
}

fn key(k: &Key) -> String {
    match k {
        Key::Key {
            field,
            window,
            only_if_declared,
            ..
        } => {
            let window = window.map_or(String::new(), |w| format!(" for {w}"));
            let only = if *only_if_declared {
                ", if the receiver declares it"
            } else {
                ""
            };
            format!("refused by `{field}`{window}{only}")
        }
        Key::Content { field, window, .. } => {
            format!("of the same bytes refused by `{field}` for {window}")
        }
        Key::Proof { by } => format!("`{by}` proves that it was sent"),
        Key::None => "cannot be told: a person decides".into(),
    }
}

fn shapes(out: &mut String) {
    out.push_str("\n## What a message may have\n\nA message takes the first shape of its channel that can carry all its parts.\n\n");
    out.push_str("| channel | shape | needs | may also have | limits | recall |\n| --- | --- | --- | --- | --- | --- |\n");
    each(|name, _, e| {
        for s in &e.shapes {
            let recall = match s.recall {
                Recall::Never => "no".into(),
                Recall::Within(d) => format!("for {d}"),
                Recall::Always => "yes".to_string(),
            };
            let _ = writeln!(
                out,
                "| {name} | {} | {} | {} | {} | {recall} |",
                s.title.en,
                parts(&s.requires),
                parts(&s.carries),
                limits(s)
            );
        }
    });
}

fn parts(parts: &[MessagePart]) -> String {
    parts
        .iter()
        .map(|p| format!("`{}`", p.name()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn limits(s: &Shape) -> String {
    let one = |l: &platform::PlatformLimit| {
        let of = match l.of {
            LimitOf::Title => "title".to_string(),
            LimitOf::Text => format!(
                "{} together",
                s.joined
                    .iter()
                    .map(|p| p.name())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            LimitOf::Fields => "all fields together".into(),
        };
        let unit = match l.unit {
            Unit::Chars => "characters",
            Unit::Bytes => "bytes",
        };
        format!(
            "{of} {} {unit}{}",
            number(l.max),
            if l.unverified { " †" } else { "" }
        )
    };
    s.limits.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn fields(out: &mut String) {
    out.push_str("\n## Fields\n\n`field thing1 = \"…\"`: the type is the name without its number.\n\n| platform | type | at most | holds |\n| --- | --- | --- | --- |\n");
    for p in platform::all() {
        for t in &p.field_types {
            let most = match (t.max, t.max_ascii) {
                (Some(n), Some(ascii)) => format!("{n} characters, {ascii} if all are ASCII"),
                (Some(n), None) => format!("{n} characters"),
                (None, _) => String::new(),
            };
            let _ = writeln!(
                out,
                "| `{}` | `{}` | {most} | {} |",
                p.name,
                t.name,
                t.takes.words().en
            );
        }
    }
}

const PARTS: &str = "## What parts become

`image` and `video` are the ids that the platform gave when the material was uploaded (on Alipay, Douyin link cards and webhooks an address), `miniprogram` is
`APPID/page?query`, `platform` the id of a template in the account's console. An article of a mass send is made in the draft box once a text; without an
`image` it takes the account's `cover`. A text on Douyin answers a message: its address is `OPEN_ID CONVERSATION_ID MESSAGE_ID`, with spaces between; callbacks name the user by the open id alone.
A broadcast on Alipay goes to a group that labels make; labels act a day late, so the campaign's `deadline` must be two days or more.

";

/// What `[accounts.NAME]` needs for a channel besides its platform.
fn needs(platform: &str, endpoint: &str) -> String {
    let needed = platforms::settings_of(platform)
        .iter()
        .filter(|field| match field.needed {
            Needed::Always => true,
            Needed::ByEndpoint(name) => name == endpoint,
            Needed::Optional => false,
        });
    let keys: Vec<String> = needed.map(|field| format!("`{}`", field.key())).collect();
    match keys.is_empty() {
        true => "nothing".into(),
        false => keys.join(" "),
    }
}

fn settings(out: &mut String) {
    out.push_str(
        "## Settings of an account\n\nThe keys of `[accounts.NAME]` in `tagcast.toml` ([operations.md](operations.md#accounts)). Of a secret one of two is written: `…_env`, the variable of the\n\
         environment that holds it, or `…_file`, the file that holds it and that only its owner may read.\n\n| platform | key | needed | meaning |\n| --- | --- | --- | --- |\n",
    );
    let mut row = |platform: &str, field: &SettingField| {
        let keys: Vec<String> = field.keys().iter().map(|key| format!("`{key}`")).collect();
        let needed = match field.needed {
            Needed::Always => "yes".to_owned(),
            Needed::ByEndpoint(endpoint) => format!("by `{endpoint}`"),
            Needed::Optional => "no".into(),
        };
        let _ = writeln!(
            out,
            "| {platform} | {} | {needed} | {} |",
            keys.join(", "),
            field.doc
        );
    };
    row("all", &account_config::PLATFORM);
    row("all", &account_config::FOREIGN);
    for p in platform::all() {
        for field in platforms::settings_of(&p.name) {
            row(&format!("`{}`", p.name), field);
        }
    }
    out.push('\n');
}

fn promises(out: &mut String) {
    out.push_str(
        "## What is bound, and what it promises\n\nWhat `[accounts.NAME]` in `tagcast.toml` needs ([operations.md](operations.md#accounts)), and how a send whose answer was lost is settled.\n\n\
         | channel | needs | class | an unknown send |\n| --- | --- | --- | --- |\n",
    );
    each(|name, p, e| {
        let (class, settled) = match &e.key {
            Key::Key {
                used,
                only_if_declared,
                ..
            } => (
                "key",
                format!(
                    "is repeated with the same bytes under the same key{}{}",
                    used.map_or(String::new(), |d| format!(
                        " for {d}; then a person decides"
                    )),
                    if *only_if_declared {
                        ", where the receiver keeps keys"
                    } else {
                        ""
                    }
                ),
            ),
            Key::Content { used, .. } => (
                "content key",
                format!("is repeated with the same bytes for {used}; then a person decides"),
            ),
            Key::Proof { by } if by == "get_groupmsg_list_v2" => (
                "positive proof",
                format!(
                    "is found by `{by}`, by a mark in its link; that it is not found proves nothing: a person decides"
                ),
            ),
            Key::Proof { by } => (
                "positive proof",
                format!("is settled by `{by}`, if it comes; else a person decides"),
            ),
            Key::None => ("none", "a person decides: `tagcast resolve`".into()),
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {class} | {settled} |",
            needs(&p.name, &e.name)
        );
    });
    out.push('\n');
    out.push_str(PARTS);
}

fn errors(out: &mut String) {
    out.push_str(
        "## What errors mean\n\nThe first row that fits holds, those that name an endpoint before the others. `*` stands for any text. A code that no row knows may have been\n\
         taken: the message is unknown.\n\n| platform | codes | on | what follows | meaning |\n| --- | --- | --- | --- | --- |\n",
    );
    for p in platform::all() {
        for e in &p.errors {
            let codes: Vec<String> = e.codes.iter().map(|c| format!("`{c}`")).collect();
            let wait = match e.wait {
                None => String::new(),
                Some(WaitUntil::For(d)) => format!(" {d}"),
                Some(WaitUntil::NextDay) => " until the next day".into(),
                Some(WaitUntil::NextWeek) => " until the next week".into(),
                Some(WaitUntil::NextMonth) => " until the next month".into(),
            };
            let does = match e.does {
                Reaction::Ok => "accepted".to_string(),
                Reaction::Retry => format!("wait{wait}, the second time stop the account"),
                Reaction::Token => "a new token, once".into(),
                Reaction::Wait => format!("wait{wait}"),
                Reaction::DropUser if e.for_now => "refuse this user for now".into(),
                Reaction::DropUser => "refuse this user".into(),
                Reaction::Fix => "refuse the message".into(),
                Reaction::Stop => "stop the account".into(),
                Reaction::Lookup => "unknown".into(),
            };
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {does} | {} |",
                p.name,
                codes.join(" "),
                e.on.join(", "),
                e.say.en
            );
        }
    }
    out.push('\n');
}

fn former(out: &mut String) {
    out.push_str("\n## Limits that have changed\n\n| channel | was | now | source |\n| --- | --- | --- | --- |\n");
    each(|name, _, e| {
        for f in &e.former {
            let per = match f.per {
                platform::FormerPer::Day => "a day".to_string(),
                platform::FormerPer::Week => "a week".into(),
                platform::FormerPer::Month => "a month".into(),
                platform::FormerPer::RollingDays(n) => format!("in {n} days"),
            };
            let since = f.since.map_or(String::new(), |d| format!(" (since {d})"));
            let _ = writeln!(
                out,
                "| {name} | {} {per} | {}{since} | {} |",
                f.n, f.now.en, f.source
            );
        }
    });
}

fn sources(out: &mut String) {
    out.push_str("\n## Sources\n\n| channel | valid from | source | not settled † |\n| --- | --- | --- | --- |\n");
    each(|name, _, e| {
        let open: Vec<String> = e.unverified.iter().map(|f| fact(*f).to_string()).collect();
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} |",
            e.valid_from,
            e.source,
            open.join(", ")
        );
    });
}

fn fact(fact: Fact) -> &'static str {
    match fact {
        Fact::Purposes => "purposes",
        Fact::HandOver => "job size",
        Fact::Rate => "rate",
        Fact::Quota => "quota",
        Fact::Key => "repeats",
        Fact::Person => "deadline",
        Fact::Evidence => "outcomes",
        Fact::Recall => "recall",
    }
}
