//! One layout: formatting twice changes nothing, keeps the meaning, and goes from one language to
//! the other and back.

use crate::support;
use tagcast::base::FileId;
use tagcast::base::Lang;
use tagcast::diag::Findings;
use tagcast::format::{FormatOptions, format};
use tagcast::syntax::parse;

fn formatted(text: &str, keywords: Option<Lang>) -> String {
    let mut findings = Findings::default();
    let file = parse::parse(FileId(0), text, &mut findings);
    assert!(!findings.has_errors(), "{text}\n{findings:?}");
    format(&file, text, &FormatOptions { keywords }).unwrap_or_else(|e| panic!("{e:?}\n{text}"))
}

/// Every sound program of the repository.
fn corpus() -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut folders = vec![
        support::root().join("examples"),
        support::root().join("tests/language/programs"),
        support::root().join("tests/ui"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "campaign") {
                let Ok(text) = std::fs::read_to_string(&path) else {
                    continue;
                };
                let mut findings = Findings::default();
                parse::parse(FileId(0), &text, &mut findings);
                if !findings.has_errors() {
                    out.push((path.display().to_string(), text));
                }
            }
        }
    }
    assert!(out.len() > 8);
    out
}

#[test]
fn formatting_twice_changes_nothing() {
    for (path, text) in corpus() {
        for keywords in [None, Some(Lang::En), Some(Lang::Zh)] {
            let once = formatted(&text, keywords);
            assert_eq!(formatted(&once, keywords), once, "{path}");
        }
    }
}

#[test]
fn from_one_language_to_the_other_and_back() {
    for (path, text) in corpus() {
        let en = formatted(&text, Some(Lang::En));
        let zh = formatted(&en, Some(Lang::Zh));
        assert_eq!(formatted(&zh, Some(Lang::En)), en, "{path}\n{zh}");
    }
}

#[test]
fn one_layout() {
    let messy = "# first\nwhen   region==\"Shanghai\"and coupon_rate＞0.3   send X at 10：00 # behind\n\n\n\n## doc\naudience a=b   is   missing or(c??0)>1\ncampaign  c\"t\"{ at 2026-11-11 10:00\n # about when\n when a\n send template X  split2: after 3 days send template X }\n";
    assert_eq!(
        formatted(messy, None),
        "# first\nwhen region == \"Shanghai\" and coupon_rate > 0.3 send template X at 10:00  # behind\n\n## doc\naudience a = b is missing or (c ?? 0) > 1\ncampaign c \"t\" {\n  # about when\n  when a\n  send template X\n  at 2026-11-11 10:00\n  split2: after 3 days send template X\n}\n"
    );
}

#[test]
fn the_first_sentence_in_chinese() {
    assert_eq!(
        formatted(
            "when 地域==\"上海\" and not (x is missing) send template X every day at 10:00",
            Some(Lang::Zh)
        ),
        "当 地域 == \"上海\" 且 非 (x 缺失) 发送 模板 X 每天 于 10:00\n"
    );
}

#[test]
fn keywords_keep_their_language_unless_told() {
    let mixed = "当 地域 == \"上海\" and x 缺失 发送 template X 于 10:00\n";
    assert_eq!(formatted(mixed, None), mixed);
}
