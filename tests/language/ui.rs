//! What a person sees for each mistake: every `tests/ui/<area>/<name>.campaign` is checked and
//! linted as a program of its own, and its findings are compared with `<name>.stderr` (English) and
//! `<name>.zh.stderr` (Chinese, where the wording differs, which is always).
//!
//! A first line `# ui: --now 2027-11-01` sets the clock. `BLESS=1 cargo test --test language
//! ui` writes what is seen now; read the diff.

use crate::support::{self, bless};
use std::collections::BTreeSet;
use std::path::PathBuf;

use tagcast::base::Lang;
use tagcast::base::{Instant, Zone};
use tagcast::diag::render::{RenderFormat, render};
use tagcast::diag::{Finding, Findings, Level, Sources};
use tagcast::program::check::{CheckOptions, check};
use tagcast::syntax::parse;
use tagcast::{lint, syntax};

struct Checked {
    sources: Sources,
    findings: Vec<Finding>,
}

/// Parses, checks and lints one text, as the command does.
fn look_at(name: &str, bytes: &[u8], now: Option<Instant>) -> Checked {
    let mut findings = Findings::default();
    let mut sources = Sources::default();
    let id = tagcast::base::FileId(0);
    let text = parse::decode(id, bytes, &mut findings);
    let files: Vec<syntax::ast::File> = vec![parse::parse(id, &text, &mut findings)];
    sources.add(name, text);
    let options = CheckOptions {
        now,
        store_schema: None,
    };
    let program = check(&sources, &files, &options, &mut findings);
    if !findings.has_errors() {
        lint::run(
            &lint::LintContext {
                sources: &sources,
                files: &files,
                program: &program,
                now,
            },
            &mut findings,
        );
    }
    Checked {
        sources,
        findings: findings.sorted(),
    }
}

fn now_of(text: &str) -> Option<Instant> {
    let directive = text.lines().next()?.strip_prefix("# ui: --now ")?;
    Some(
        Zone::SHANGHAI
            .parse_instant(directive.trim())
            .expect("an instant in the directive"),
    )
}

fn cases() -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut areas: Vec<PathBuf> = std::fs::read_dir(support::root().join("tests/ui"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.is_dir())
        .collect();
    areas.sort();
    for area in areas {
        let mut files: Vec<PathBuf> = std::fs::read_dir(area)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "campaign"));
        files.sort();
        out.extend(files);
    }
    out
}

#[test]
fn every_case_says_what_it_said() {
    let cases = cases();
    assert!(cases.len() >= 120, "only {} cases", cases.len());
    let mut failures = Vec::new();
    let mut met: BTreeSet<&str> = BTreeSet::new();
    for path in cases {
        let bytes = std::fs::read(&path).unwrap();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let checked = look_at(&name, &bytes, now_of(&String::from_utf8_lossy(&bytes)));
        met.extend(checked.findings.iter().map(|f| f.code.name));
        for (lang, ending) in [(Lang::En, "stderr"), (Lang::Zh, "zh.stderr")] {
            let seen = render(
                RenderFormat::Human,
                &checked.sources,
                &checked.findings,
                &|_| lang,
                false,
            );
            failures.extend(bless::difference(&path.with_extension(ending), &seen));
        }
    }
    assert!(
        failures.is_empty(),
        "{} cases differ\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    // A file of 5 MiB is made by `tests/language/parse.rs` instead of being kept.
    let missing: Vec<&str> = lint::all_codes()
        .iter()
        .map(|c| c.name)
        .filter(|n| !met.contains(n) && *n != "too-large")
        .collect();
    assert!(missing.is_empty(), "no case shows {missing:?}");
}

/// Each page's `bad` block yields its finding, each `good` block no error and not this finding.
#[test]
fn the_examples_of_every_page_hold() {
    for code in lint::all_codes() {
        let blocks = support::code_blocks(code.page);
        let campaigns: Vec<&String> = blocks
            .iter()
            .filter(|b| b.0 == "campaign")
            .map(|b| &b.2)
            .collect();
        let now = Zone::SHANGHAI.parse_instant("2027-01-01");
        let names = |text: &str| look_at("page.campaign", text.as_bytes(), now).findings;
        if let Some(bad) = campaigns.first() {
            let found = names(bad);
            assert!(
                found.iter().any(|f| f.code.name == code.name),
                "{}: the bad example yields {:?}",
                code.name,
                found.iter().map(|f| f.code.name).collect::<Vec<_>>()
            );
        }
        if let Some(good) = campaigns.get(1) {
            let found = names(good);
            let wrong: Vec<_> = found
                .iter()
                .filter(|f| f.level == Level::Error || f.code.name == code.name)
                .map(|f| (f.code.name, &f.message.en))
                .collect();
            assert!(
                wrong.is_empty(),
                "{}: the good example yields {wrong:?}",
                code.name
            );
        }
    }
}

#[test]
fn machine_formats_hold_what_they_promise() {
    let text = "tag age int 0..120 base\naudience a = agee > 18 and age = 3\n当年龄 > 3";
    let checked = look_at("规则 1.campaign", text.as_bytes(), None);
    assert!(checked.findings.len() >= 3);
    let show = |format| {
        render(
            format,
            &checked.sources,
            &checked.findings,
            &|_| Lang::En,
            false,
        )
    };
    let concise = show(RenderFormat::Concise);
    assert!(
        concise.starts_with("规则 1.campaign:2:14: error[unknown-name]: "),
        "{concise}"
    );
    assert_eq!(concise.lines().count(), checked.findings.len());
    let json: serde_json::Value = serde_json::from_str(&show(RenderFormat::Json)).unwrap();
    assert_eq!(json[0]["place"]["start"]["column"], 14);
    assert_eq!(json[0]["name"], "unknown-name");
    let github = show(RenderFormat::Github);
    assert!(
        github
            .lines()
            .all(|l| l.starts_with("::error file=规则 1.campaign,line=")),
        "{github}"
    );
    let sarif: serde_json::Value = serde_json::from_str(&show(RenderFormat::Sarif)).unwrap();
    assert_eq!(
        sarif["runs"][0]["results"].as_array().unwrap().len(),
        checked.findings.len()
    );
    // The published schema, where it is at hand.
    let schema = support::oracle().join("sarif-2.1.0.schema.json");
    match std::fs::read_to_string(&schema) {
        Ok(schema) => {
            // One pattern of it holds a lone `]`, which only the lenient reading of regular
            // expressions takes.
            let schema = schema.replace("{2}]?$", r"{2}\\]?$");
            let validator =
                jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
            let errors: Vec<String> = validator
                .iter_errors(&sarif)
                .map(|e| e.to_string())
                .collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        Err(_) => println!("skipped: the SARIF schema is not here"),
    }
}
