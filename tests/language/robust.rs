//! Programs of the repository, damaged at random: nothing panics, every finding can be shown, and
//! what still reads can be formatted.

use crate::support;
use proptest::prelude::*;
use std::sync::LazyLock;

use tagcast::base::FileId;
use tagcast::base::Lang;
use tagcast::diag::render::{RenderFormat, render};
use tagcast::diag::{Findings, Sources};
use tagcast::format::{FormatOptions, format};
use tagcast::lint;
use tagcast::program::check::{CheckOptions, check};
use tagcast::syntax::parse;

static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let mut folders = vec![
        support::root().join("examples"),
        support::root().join("tests"),
    ];
    let mut out = Vec::new();
    while let Some(folder) = folders.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "campaign") {
                out.extend(
                    std::fs::read_to_string(&path)
                        .ok()
                        .filter(|t| t.len() < 8_000),
                );
            }
        }
    }
    assert!(out.len() > 100);
    out
});

#[derive(Clone, Debug)]
enum Damage {
    Delete(usize, usize),
    Repeat(usize, usize),
    Insert(usize, String),
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "(",
        ")",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "##",
        ",",
        "，",
        "：",
        "¥",
        "%",
        "..",
        "not ",
        "except ",
        "in ",
        "is missing",
        "当",
        "且",
        "`",
        "「",
        "2026-13-45",
        "99999999999999999999",
        "30m",
        "last 3 days",
        "{x",
        "\u{202e}",
        "\u{0}",
        "é",
        "👩‍👩‍👧",
        "\r\n",
        "\\u{110000}",
        "when ",
        "every ",
        "send ",
        "template ",
    ]);
    let inserted = prop_oneof![
        piece.prop_map(str::to_string),
        any::<char>().prop_map(|c| c.to_string())
    ];
    prop_oneof![
        (any::<usize>(), 1..40usize).prop_map(|(a, n)| Damage::Delete(a, n)),
        (any::<usize>(), 1..60usize).prop_map(|(a, n)| Damage::Repeat(a, n)),
        (any::<usize>(), inserted).prop_map(|(a, s)| Damage::Insert(a, s)),
        any::<usize>().prop_map(Damage::Cut),
    ]
}

fn apply(text: &str, damages: &[Damage]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for d in damages {
        let len = chars.len().max(1);
        match d {
            Damage::Delete(at, n) => {
                drop(chars.drain((at % len).min(chars.len())..(at % len + n).min(chars.len())))
            }
            Damage::Repeat(at, n) => {
                let piece: Vec<char> = chars.iter().skip(at % len).take(*n).copied().collect();
                let to = (at / 7 % len).min(chars.len());
                chars.splice(to..to, piece);
            }
            Damage::Insert(at, s) => {
                let to = (at % len).min(chars.len());
                chars.splice(to..to, s.chars());
            }
            Damage::Cut(at) => chars.truncate(at % len),
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn damaged_programs_are_answered(which in any::<prop::sample::Index>(), damages in prop::collection::vec(damage(), 1..6)) {
        let original: &String = which.get(CORPUS.as_slice());
        let text = apply(original, &damages);
        let mut findings = Findings::default();
        let mut sources = Sources::default();
        let files = vec![parse::parse(FileId(0), &text, &mut findings)];
        sources.add("damaged.campaign", text.clone());
        let readable = !findings.has_errors();
        let program = check(&sources, &files, &CheckOptions::default(), &mut findings);
        lint::run(&lint::LintContext { sources: &sources, files: &files, program: &program, now: None }, &mut findings);
        let findings = findings.sorted();
        for f in &findings {
            let spans = std::iter::once(f.span).chain(f.labels.iter().map(|l| l.span)).chain(f.fixes.iter().flat_map(|x| &x.edits).map(|e| e.span));
            for span in spans {
                prop_assert!(text.get(span.range()).is_some(), "{} points outside the text: {span:?} of {text:?}", f.code.name);
            }
        }
        for format in [RenderFormat::Human, RenderFormat::Concise, RenderFormat::Json, RenderFormat::Sarif, RenderFormat::Github] {
            render(format, &sources, &findings, &|_| Lang::Zh, false);
        }
        if readable {
            let mut once = text;
            for keywords in [None, None, Some(Lang::Zh), Some(Lang::En)] {
                let mut again = Findings::default();
                let file = parse::parse(FileId(0), &once, &mut again);
                let formatted = format(&file, &once, &FormatOptions { keywords });
                prop_assert!(formatted.is_ok(), "{formatted:?} of\n{once}");
                once = formatted.unwrap();
            }
        }
    }
}
