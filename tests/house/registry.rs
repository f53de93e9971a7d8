//! Everything that is listed somewhere is complete: findings with their pages, lints with their
//! rules; and adding one touches the files that `docs/contributing/` names and no others.
//! `BLESS=1` writes the lists under `docs/` anew.

use crate::support::{self, bless};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tagcast::diag::{Level, catalog};
use tagcast::lint;
use tagcast::program::builtins::{BUILTINS, Builtin};

#[test]
fn names_are_sorted_kebab_case_and_unique() {
    let names: Vec<&str> = lint::all_codes().iter().map(|c| c.name).collect();
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
    for code in lint::all_codes() {
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
fn lints_are_sorted_and_their_files_begin_with_their_names() {
    let rules: Vec<&str> = lint::RULES.iter().map(|r| r.code.name).collect();
    assert!(rules.is_sorted());
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

// ------------------------------------------------------------------ where a row may be named

/// The files that a guide under `docs/contributing/` lists in its section `Files`.
pub fn files_of(guide: &str) -> Vec<String> {
    let path = support::root().join("docs/contributing").join(guide);
    let page = std::fs::read_to_string(&path).unwrap();
    let (_, rest) = page.split_once("\n## Files\n").expect("a section `Files`");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split('`').next());
    rows.map(str::to_owned).collect()
}

/// The Rust and the TOML of a guide stand in one of its files as they are shown.
pub fn code_is_real(guide: &str) {
    let path = support::root().join("docs/contributing").join(guide);
    let page = std::fs::read_to_string(&path).unwrap();
    let texts: Vec<String> = files_of(guide)
        .iter()
        .map(|f| std::fs::read_to_string(support::root().join(f)).expect(f))
        .collect();
    for (language, line, code) in &support::code_blocks(&page) {
        if !matches!(language.as_str(), "rust" | "toml") {
            continue;
        }
        assert!(
            texts.iter().any(|text| text.contains(code)),
            "{guide}:{line}: no file of the guide holds\n{code}"
        );
    }
}

fn files_below(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// The files of `src/` in which one of the words stands.
fn files_with(words: &[String]) -> BTreeSet<String> {
    let mut files = Vec::new();
    files_below(&support::root().join("src"), &mut files);
    let named = files.iter().filter(|file| {
        let text = std::fs::read_to_string(file).unwrap();
        words.iter().any(|word| text.contains(word.as_str()))
    });
    let relative = named.map(|file| file.strip_prefix(support::root()).unwrap());
    relative.map(|file| file.display().to_string()).collect()
}

/// A lint is named in the files that `docs/contributing/add-a-lint.md` lists, and in no other file
/// of `src/`.
#[test]
fn every_lint_has_its_files() {
    const GUIDE: &str = "add-a-lint.md";
    let listed = files_of(GUIDE);
    assert_eq!(listed.len(), 4, "{listed:?}");
    code_is_real(GUIDE);
    for rule in lint::RULES {
        let name = rule.code.name;
        let module = name.replace('-', "_");
        let files: Vec<String> = listed
            .iter()
            .map(|f| f.replace("too_many_tags", &module))
            .collect();
        for file in &files {
            assert!(support::root().join(file).is_file(), "{name}: no {file}");
        }
        let words = [
            format!("\"{name}\""),
            format!("`{name}`"),
            format!("# {name}\n"),
            format!("mod {module};"),
            format!("{module}::"),
        ];
        let named = files_with(&words);
        let expected: BTreeSet<String> = files
            .into_iter()
            .filter(|f| f.starts_with("src/"))
            .collect();
        assert_eq!(named, expected, "{name} is named elsewhere");
    }
}

/// A function is named in the files that `docs/contributing/add-a-function.md` lists, and in no
/// other file of `src/`.
#[test]
fn every_function_has_its_files() {
    const GUIDE: &str = "add-a-function.md";
    let listed = files_of(GUIDE);
    assert_eq!(listed.len(), 4, "{listed:?}");
    code_is_real(GUIDE);
    for builtin in BUILTINS {
        let Builtin::Function(function) = builtin else {
            continue;
        };
        let name = function.usage.name;
        let files: Vec<String> = listed
            .iter()
            .map(|f| f.replace("/length.", &format!("/{name}.")))
            .collect();
        let text = |file: &String| {
            std::fs::read_to_string(support::root().join(file))
                .unwrap_or_else(|e| panic!("{name}: {file}: {e}"))
        };
        assert!(
            text(&files[0]).starts_with(&format!("//! `{name}`: ")),
            "{name}: the header names the function"
        );
        assert!(
            text(&files[2]).contains(&format!("\"{name}\" ")),
            "{name}: no plain rule"
        );
        let words = [
            format!("name: \"{name}\","),
            format!("builtin(\"{name}\")"),
            format!(".name == \"{name}\""),
            format!("{name}::FUNCTION"),
            format!("builtins::{name}"),
        ];
        let expected: BTreeSet<String> = files
            .into_iter()
            .filter(|f| f.starts_with("src/"))
            .collect();
        assert_eq!(files_with(&words), expected, "{name} is named elsewhere");
    }
}

/// `docs/lints.md` lists every finding.
#[test]
fn the_list_of_findings_is_complete() {
    let mut text = String::from(
        "# Findings\n\nEvery finding has a name and a page; `tagcast explain NAME` prints the page. Lints can be allowed where they are meant:\n`# tagcast: allow NAME` behind a line, or on a line of its own above an item. Errors cannot.\n",
    );
    let module = |name: &str| name.replace('-', "_");
    let lints: Vec<&str> = lint::RULES.iter().map(|r| r.code.name).collect();
    let page_of = |name: &str| match name {
        "unused-allow" => "../src/lint/unused_allow.md".to_owned(),
        _ if lints.contains(&name) => format!("../src/lint/rules/{}.md", module(name)),
        _ => format!("findings/{name}.md"),
    };
    for (title, codes) in [
        ("Lints", lint::codes()),
        ("Errors and warnings of the checker", catalog::ALL.to_vec()),
    ] {
        text.push_str(&format!(
            "\n## {title}\n\n| name | level | |\n| --- | --- | --- |\n"
        ));
        for code in codes {
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
                "| [{}]({}) | {level} | {what} |\n",
                code.name,
                page_of(code.name)
            ));
        }
    }
    bless::file("docs/lints.md", &text);
}

/// `docs/keywords.md` lists every keyword.
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
    bless::file("docs/keywords.md", &text);
}
