//! Each platform file says all that a sender has to know, and says it consistently.

use super::*;
use crate::base::{Elapsed, Zone};
use crate::program::typed::{CapPeriod, Purpose};

#[test]
fn every_file_reads() {
    let mut orders = Vec::new();
    for text in FILES {
        let platform: Result<Platform, _> = toml::from_str(text);
        match platform {
            Ok(platform) => orders.push(platform.order),
            Err(e) => panic!(
                "{e}: {}",
                text.lines().take(4).collect::<Vec<_>>().join(" ")
            ),
        }
    }
    orders.sort_unstable();
    assert_eq!(orders, (1..=FILES.len() as u32).collect::<Vec<_>>());
}

#[test]
fn every_channel_of_the_language_is_there() {
    let named: Vec<String> = all()
        .iter()
        .flat_map(|p| {
            p.endpoints
                .iter()
                .map(move |e| format!("{}.{}", p.name, e.name))
        })
        .collect();
    assert_eq!(
        named.join(" "),
        "service_account.mass service_account.template service_account.notice service_account.chat subscription_account.article \
         wecom.group wecom.app wecom.kf alipay.broadcast alipay.single douyin.message webhook.post sandbox.file"
    );
}

#[test]
fn every_endpoint_is_complete() {
    for platform in all() {
        assert!(
            Zone::named(&platform.zone).is_some(),
            "{}: zone",
            platform.name
        );
        for e in &platform.endpoints {
            let at = format!("{}.{}", platform.name, e.name);
            assert!(!e.purposes.is_empty(), "{at}: purposes");
            assert!(!e.source.is_empty(), "{at}: source");
            assert!(!e.shapes.is_empty(), "{at}: shapes");
            if let HandOver::List { min, max } = e.hand_over {
                assert!(
                    min >= 1 && max.is_none_or(|max| min <= max),
                    "{at}: batch size"
                );
                assert!(
                    e.quotas.iter().any(|q| q.counts == CountingRule::Jobs) || e.person.is_some(),
                    "{at}: how many jobs"
                );
            }
            if let Key::Key {
                window: Some(w),
                used: Some(u),
                ..
            }
            | Key::Content {
                window: w, used: u, ..
            } = e.key
            {
                assert!(u < w, "{at}: a key is used for less than its window");
            }
            for words in e
                .contacts
                .iter()
                .map(|c| &c.after)
                .chain(e.former.iter().map(|f| &f.now))
                .chain([&e.title])
            {
                assert!(
                    !words.en.is_empty() && !words.zh.is_empty(),
                    "{at}: words in both languages"
                );
            }
            for s in &e.shapes {
                let at = format!("{at} {}", s.name);
                assert!(
                    s.requires.iter().all(|p| !s.carries.contains(p)),
                    "{at}: a part is either required or carried"
                );
                assert!(
                    s.joined.iter().all(|p| s.may_have(*p)),
                    "{at}: joined parts are carried"
                );
                assert!(
                    s.limits
                        .iter()
                        .all(|l| l.of != LimitOf::Text || !s.joined.is_empty()),
                    "{at}: a limit of a joined text"
                );
                assert!(
                    s.limits
                        .iter()
                        .all(|l| l.of != LimitOf::Title || s.may_have(MessagePart::Title)),
                    "{at}: a limit of a title"
                );
                assert!(
                    s.limits
                        .iter()
                        .all(|l| l.of != LimitOf::Fields || !s.fields.is_empty()),
                    "{at}: a limit of fields"
                );
                assert!(
                    s.fields
                        .iter()
                        .all(|f| platform.field_types.iter().any(|t| t.name == *f)),
                    "{at}: every field type is declared"
                );
            }
        }
    }
}

#[test]
fn what_delivery_relies_on() {
    let mass = endpoint("service_account", "mass").unwrap();
    assert_eq!(
        mass.hand_over,
        HandOver::List {
            min: 2,
            max: Some(10_000)
        }
    );
    assert_eq!(mass.evidence.delivered, Observed::Count);
    let Key::Key { used, .. } = &mass.key else {
        panic!("mass has a key")
    };
    assert_eq!(*used, Some(Elapsed::hours(23)));
    assert!(
        !endpoint("service_account", "template")
            .unwrap()
            .allows(Purpose::Marketing)
    );
    assert_eq!(
        endpoint("wecom", "group")
            .unwrap()
            .person
            .as_ref()
            .map(|p| p.deadline),
        Some(Elapsed::hours(24))
    );
    assert!(endpoint("service_account", "masss").is_none());
}

#[test]
fn a_message_takes_the_first_shape_that_can_carry_it() {
    let mass = endpoint("service_account", "mass").unwrap();
    let shape = |parts: &[MessagePart]| mass.shape_for(parts).map(|s| s.name.as_str());
    assert_eq!(
        shape(&[
            MessagePart::Title,
            MessagePart::Body,
            MessagePart::Link,
            MessagePart::Entry
        ]),
        Some("article")
    );
    assert_eq!(shape(&[MessagePart::Body, MessagePart::Link]), Some("text"));
    assert_eq!(
        shape(&[MessagePart::Title, MessagePart::Video]),
        Some("video")
    );
    assert_eq!(shape(&[MessagePart::Body, MessagePart::Image]), None);
    assert_eq!(shape(&[]), None);
}

#[test]
fn fields_by_their_type() {
    let platform = find("service_account").unwrap();
    let shape = &platform.endpoint("notice").unwrap().shapes[0];
    assert_eq!(
        platform.field_type(shape, "thing12").and_then(|t| t.max),
        Some(20)
    );
    assert!(
        platform.field_type(shape, "keyword1").is_none(),
        "of old templates only"
    );
    assert!(
        platform
            .field_type(
                &platform.endpoint("template").unwrap().shapes[0],
                "keyword1"
            )
            .is_some()
    );
}

#[test]
fn former_limits_are_recognised() {
    let group = endpoint("wecom", "group").unwrap();
    assert!(group.former_limit(4, CapPeriod::Month).is_some());
    assert!(group.former_limit(3, CapPeriod::Month).is_none());
    assert!(
        endpoint("service_account", "chat")
            .unwrap()
            .former_limit(20, CapPeriod::RollingDays(2))
            .is_some()
    );
}

#[test]
fn every_error_says_what_to_do() {
    for platform in all() {
        for rule in &platform.errors {
            let at = format!("{} {:?}", platform.name, rule.codes);
            assert!(
                !rule.codes.is_empty() && !rule.say.en.is_empty() && !rule.say.zh.is_empty(),
                "{at}"
            );
            assert!(
                rule.on
                    .iter()
                    .all(|on| on == "token" || platform.endpoint(on).is_some()),
                "{at}: an endpoint that is not there"
            );
            assert_eq!(
                rule.wait.is_some(),
                matches!(rule.does, Reaction::Wait | Reaction::Retry),
                "{at}: how long"
            );
            assert!(
                !rule.for_now || rule.does == Reaction::DropUser,
                "{at}: for now"
            );
        }
    }
    let does = |platform_name: &str, endpoint: &str, code: &str| {
        find(platform_name)
            .unwrap()
            .error(endpoint, code)
            .map(|e| e.does)
    };
    assert_eq!(does("service_account", "mass", "45065"), Some(Reaction::Ok));
    assert_eq!(does("service_account", "template", "45065"), None);
    assert_eq!(
        does("service_account", "token", "40001"),
        Some(Reaction::Stop)
    );
    assert_eq!(
        does("service_account", "chat", "40001"),
        Some(Reaction::Token)
    );
    assert_eq!(
        does("alipay", "single", "MSG_SINGLE_SD_OVER"),
        Some(Reaction::DropUser)
    );
    assert_eq!(
        does("alipay", "broadcast", "MSG_BATCH_SD_OVER"),
        Some(Reaction::Wait)
    );
    assert_eq!(
        does("alipay", "single", "isv.app-cert-expired"),
        Some(Reaction::Stop)
    );
    assert_eq!(does("douyin", "message", "31"), None);
}
