//! Everything that is listed somewhere is complete: findings with their pages, lints with their
//! rules.

use crate::support;
use std::collections::BTreeSet;

use tagcast::diag::{Level, catalog};
use tagcast::lint::registry::RULES;

#[test]
fn names_are_sorted_kebab_case_and_unique() {
    let names: Vec<&str> = catalog::ALL.iter().map(|c| c.name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names, sorted);
    for name in names {
        assert!(
            name.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{name}"
        );
    }
}

#[test]
fn every_finding_has_its_page_and_every_page_its_finding() {
    for code in catalog::ALL {
        let page = code.page;
        assert!(
            page.starts_with(&format!("# {}\n", code.name)),
            "{}",
            code.name
        );
        let level = if code.level == Level::Error {
            "**Error.**"
        } else {
            "**Warning.**"
        };
        assert!(
            page.contains(level),
            "{}: the page says the level",
            code.name
        );
        assert!(page.contains("\n## Why it matters\n"), "{}", code.name);
    }
    let files: BTreeSet<String> = std::fs::read_dir(support::root().join("docs/findings"))
        .unwrap()
        .map(|e| {
            e.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    let names: BTreeSet<String> = catalog::ALL.iter().map(|c| c.name.to_string()).collect();
    assert_eq!(files, names);
}

#[test]
fn every_lint_has_its_rule() {
    let rules: Vec<&str> = RULES.iter().map(|r| r.code.name).collect();
    let mut sorted = rules.clone();
    sorted.sort_unstable();
    assert_eq!(rules, sorted);
    // An allowance that allows nothing is found by the mechanism itself.
    let lints: Vec<&str> = catalog::ALL
        .iter()
        .filter(|c| c.lint)
        .map(|c| c.name)
        .filter(|n| *n != "unused-allow")
        .collect();
    assert_eq!(rules, lints);
    for rule in rules {
        let file = support::root().join(format!("src/lint/rules/{}.rs", rule.replace('-', "_")));
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert!(
            text.starts_with(&format!("//! `{rule}`: ")),
            "{rule}: the header names the rule"
        );
    }
}

/// `docs/lints.md` lists every finding; `TAGCAST_BLESS=1` writes it anew.
#[test]
fn the_list_of_findings_is_complete() {
    let mut text = String::from(
        "# Findings\n\nEvery finding has a name and a page; `tagcast explain NAME` prints the page. Lints can be allowed where they are meant:\n`# tagcast: allow NAME` behind a line, or on a line of its own above an item. Errors cannot.\n",
    );
    for (title, lint) in [
        ("Lints", true),
        ("Errors and warnings of the checker", false),
    ] {
        text.push_str(&format!(
            "\n## {title}\n\n| name | level | |\n| --- | --- | --- |\n"
        ));
        for code in catalog::ALL.iter().filter(|c| c.lint == lint) {
            let level = if code.level == Level::Error {
                "error"
            } else {
                "warning"
            };
            let what = code
                .page
                .lines()
                .find_map(|l| {
                    l.strip_prefix("**Error.** ")
                        .or_else(|| l.strip_prefix("**Warning.** "))
                })
                .unwrap_or("");
            text.push_str(&format!(
                "| [{0}](findings/{0}.md) | {level} | {what} |\n",
                code.name
            ));
        }
    }
    let path = support::root().join("docs/lints.md");
    if std::env::var_os("TAGCAST_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        text,
        "TAGCAST_BLESS=1 writes it"
    );
}

/// `docs/keywords.md` lists every keyword; `TAGCAST_BLESS=1` writes it anew.
#[test]
fn the_list_of_keywords_is_complete() {
    let mut text = String::from(
        "# Keywords\n\nEvery keyword may be written in either language; `tagcast fmt --keywords zh` writes the first Chinese spelling. Only the operator words in\nbold are reserved: they are names only in backticks.\n\n| English | Chinese |\n| --- | --- |\n",
    );
    for keyword in tagcast::syntax::keyword::all() {
        let bold = if tagcast::syntax::keyword::RESERVED.contains(&keyword.id) {
            "**"
        } else {
            ""
        };
        text.push_str(&format!(
            "| {bold}{}{bold} | {} |\n",
            keyword.en,
            keyword.zh.join(" · ")
        ));
    }
    let path = support::root().join("docs/keywords.md");
    if std::env::var_os("TAGCAST_BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        text,
        "TAGCAST_BLESS=1 writes it"
    );
}
