//! One package has no walls between its parts, so a test keeps them: what each folder of `src/` may
//! import.

use crate::support;
use std::path::{Path, PathBuf};

/// Folder, and the folders whose names may stand in it after `crate::`. The same table is in
/// `ARCHITECTURE.md`.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("diag", &["base"]),
    ("store", &["base"]),
    ("syntax", &["base", "diag"]),
    ("program", &["base", "diag", "syntax"]),
    ("format", &["base", "diag", "syntax"]),
    ("lint", &["base", "diag", "syntax", "program"]),
    ("plan", &["base", "diag", "program"]),
    ("eval", &["base", "diag", "store", "program", "plan"]),
    ("schedule", &["base", "program"]),
    (
        "decide",
        &[
            "base", "diag", "store", "program", "plan", "eval", "schedule",
        ],
    ),
    (
        "ledger",
        &[
            "base", "diag", "store", "program", "eval", "schedule", "decide",
        ],
    ),
    (
        "deliver",
        &[
            "base", "diag", "store", "program", "eval", "schedule", "decide", "ledger",
        ],
    ),
    (
        "engine",
        &[
            "base", "diag", "store", "syntax", "program", "lint", "plan", "eval", "schedule",
            "decide", "ledger", "deliver",
        ],
    ),
    (
        "repl",
        &[
            "base", "diag", "store", "syntax", "program", "plan", "engine",
        ],
    ),
    (
        "serve",
        &[
            "base", "diag", "store", "program", "eval", "ledger", "deliver", "engine",
        ],
    ),
    (
        "cli",
        &[
            "base", "diag", "store", "syntax", "program", "format", "lint", "plan", "eval",
            "schedule", "decide", "ledger", "deliver", "engine", "repl", "serve",
        ],
    ),
];

fn rust_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn no_file_imports_upwards() {
    let src = support::root().join("src");
    let mut files = Vec::new();
    rust_files(&src, &mut files);
    let mut wrong = Vec::new();
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let Some(floor) = relative
            .iter()
            .next()
            .and_then(|f| f.to_str())
            .filter(|_| relative.iter().count() > 1)
        else {
            continue;
        };
        let allowed = MAY_IMPORT
            .iter()
            .find(|(f, _)| *f == floor)
            .unwrap_or_else(|| panic!("the table does not know `{floor}`"))
            .1;
        let text = std::fs::read_to_string(&file).unwrap();
        // Tests inside a file may look further than the code.
        let code = text.split("#[cfg(test)]").next().unwrap_or(&text);
        for (at, _) in code.match_indices("crate::") {
            if code[..at]
                .lines()
                .last()
                .is_some_and(|l| l.trim_start().starts_with("//"))
            {
                continue;
            }
            let used: String = code[at + 7..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let known = MAY_IMPORT.iter().any(|(f, _)| *f == used);
            if known && used != floor && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", relative.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_tells_its_story_first_and_stays_readable() {
    let mut files = Vec::new();
    rust_files(&support::root().join("src"), &mut files);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//!"), "{} has no header", file.display());
        let code = text
            .split("\n#[cfg(test)]")
            .next()
            .unwrap_or(&text)
            .lines()
            .count();
        assert!(code <= 900, "{} has {code} lines", file.display());
    }
}

#[test]
fn the_map_names_every_folder() {
    let map = std::fs::read_to_string(support::root().join("ARCHITECTURE.md")).unwrap();
    for (floor, allowed) in MAY_IMPORT {
        let line = map
            .lines()
            .find(|l| l.split_whitespace().nth(1) == Some(floor) && l.contains("<-"))
            .unwrap_or_else(|| panic!("no line for `{floor}`"));
        if *floor != "cli" && *floor != "engine" {
            let named: Vec<&str> = line
                .split("<-")
                .nth(1)
                .unwrap()
                .split_whitespace()
                .filter(|w| *w != "nothing")
                .collect();
            assert_eq!(&named, allowed, "{floor}");
        }
    }
}
