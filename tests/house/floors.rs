//! One package has no walls between its parts, so a test keeps them: what each folder of `src/` may
//! import, and which files may name each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use crate::source::{Source, rust_files};
use crate::support::root;

/// Level, folder, and the folders that its code may import. `ARCHITECTURE.md` has the same table.
const FLOORS: &[(u32, &str, &[&str])] = &[
    (0, "base", &[]),
    (1, "diag", &["base"]),
    (1, "store", &["base"]),
    (2, "syntax", &["base", "diag"]),
    (3, "program", &["base", "diag", "syntax"]),
    (3, "format", &["base", "diag", "syntax"]),
    (4, "lint", &["base", "diag", "syntax", "program"]),
    (4, "plan", &["base", "diag", "program"]),
    (5, "eval", &["base", "diag", "store", "program", "plan"]),
    (6, "schedule", &["base", "program"]),
    (
        7,
        "decide",
        &[
            "base", "diag", "store", "program", "plan", "eval", "schedule",
        ],
    ),
    (
        8,
        "ledger",
        &[
            "base", "diag", "store", "program", "eval", "schedule", "decide",
        ],
    ),
    (
        9,
        "deliver",
        &[
            "base", "diag", "store", "program", "eval", "schedule", "decide", "ledger",
        ],
    ),
    (
        10,
        "engine",
        &[
            "base", "diag", "store", "syntax", "program", "lint", "plan", "eval", "schedule",
            "decide", "ledger", "deliver",
        ],
    ),
    (
        11,
        "repl",
        &[
            "base", "diag", "store", "syntax", "program", "plan", "engine",
        ],
    ),
    (
        11,
        "serve",
        &[
            "base", "diag", "store", "program", "eval", "ledger", "deliver", "engine",
        ],
    ),
    (
        12,
        "cli",
        &[
            "base", "diag", "store", "syntax", "program", "format", "lint", "plan", "eval",
            "schedule", "decide", "ledger", "deliver", "engine", "repl", "serve",
        ],
    ),
];

/// What code under `#[cfg(test)]` may import beside that.
const FOR_TESTS: &[(&str, &[&str])] = &[("schedule", &["diag"])];

/// How many files stand in the circles of each folder, from the largest circle on. A number may
/// only fall.
const CIRCLES: &[(&str, &[usize])] = &[("deliver", &[3]), ("eval", &[3]), ("store", &[7, 7, 4])];

/// Lines of a file without its tests.
const MAX_LINES: usize = 800;

/// Longer than that today. A number may only fall.
const LONG: &[(&str, usize)] = &[];

pub static SOURCE: LazyLock<Source> = LazyLock::new(|| Source::read(&root().join("src")));

fn level(floor: &str) -> u32 {
    FLOORS
        .iter()
        .find(|(_, f, _)| *f == floor)
        .unwrap_or_else(|| panic!("the table does not know `{floor}`"))
        .0
}

fn architecture() -> String {
    std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

#[test]
fn the_table_goes_downwards_only() {
    for (at, floor, below) in FLOORS {
        for other in *below {
            assert!(level(other) < *at, "{floor} may not import {other}");
        }
    }
}

#[test]
fn every_file_is_a_module_of_the_library() {
    let files: BTreeSet<&str> = SOURCE.files.iter().map(String::as_str).collect();
    for file in rust_files(&root().join("src")) {
        let name = file.to_str().unwrap();
        assert!(
            files.contains(name) || name == "main.rs",
            "{name} is no module"
        );
    }
}

#[test]
fn no_file_imports_upwards() {
    let mut wrong = BTreeSet::new();
    for edge in &SOURCE.edges {
        let (from, file) = (SOURCE.floor(edge.from), &SOURCE.files[edge.from]);
        if from == "lib.rs" {
            wrong.insert(format!("src/lib.rs names {}", edge.path));
            continue;
        }
        let below = FLOORS.iter().find(|(_, f, _)| *f == from);
        let below = below
            .unwrap_or_else(|| panic!("the table does not know `{from}`"))
            .2;
        let more = FOR_TESTS.iter().find(|(f, _)| edge.test && *f == from);
        for floor in edge.floors.iter().map(String::as_str) {
            let allowed = floor == from
                || below.contains(&floor)
                || more.is_some_and(|(_, more)| more.contains(&floor));
            if !allowed {
                wrong.insert(format!(
                    "src/{file}:{}: {} is of {floor}",
                    edge.line, edge.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_binary_is_the_command_line() {
    let text = std::fs::read_to_string(root().join("src/main.rs")).unwrap();
    let named: Vec<&str> = text
        .match_indices("tagcast::")
        .map(|(at, _)| text[at + 9..].split(':').next().unwrap())
        .collect();
    assert_eq!(named, ["cli"]);
}

#[test]
fn circles_of_files_only_become_fewer() {
    let mut found: BTreeMap<&str, Vec<&BTreeSet<String>>> = BTreeMap::new();
    let circles = SOURCE.circles();
    for circle in &circles {
        let floor = circle.first().unwrap().split('/').next().unwrap();
        found.entry(floor).or_default().push(circle);
    }
    for (_, floor, _) in FLOORS {
        let known = CIRCLES.iter().find(|(f, _)| f == floor);
        let known = known.map_or(&[][..], |(_, sizes)| sizes);
        let circles = found.remove(floor).unwrap_or_default();
        let sizes: Vec<usize> = circles.iter().map(|c| c.len()).collect();
        let fewer = sizes.len() <= known.len() && sizes.iter().zip(known).all(|(a, b)| a <= b);
        assert!(
            fewer,
            "{floor} had circles of {known:?} files, now {circles:#?}"
        );
        assert_eq!(sizes, known, "{floor} has less now: lower the numbers");
    }
}

#[test]
fn every_file_tells_its_story_first_and_stays_readable() {
    for (file, lines) in SOURCE.files.iter().zip(&SOURCE.lines) {
        let text = std::fs::read_to_string(root().join("src").join(file)).unwrap();
        assert!(text.starts_with("//!"), "src/{file} has no header");
        let most = LONG
            .iter()
            .find(|(f, _)| f == file)
            .map_or(MAX_LINES, |(_, most)| *most);
        assert!(*lines <= most, "src/{file} has {lines} lines of code");
    }
}

#[test]
fn the_map_names_every_folder() {
    let map = architecture();
    for (at, floor, allowed) in FLOORS {
        let line = map
            .lines()
            .find(|l| l.split_whitespace().nth(1) == Some(floor) && l.contains("<-"))
            .unwrap_or_else(|| panic!("no line for `{floor}`"));
        assert_eq!(
            line.split_whitespace().next(),
            Some(&*at.to_string()),
            "{line}"
        );
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

/// Names of crates in a cell or a sentence: `clap, clap_complete`, `rusqlite (bundled)`.
fn crates(text: &str) -> impl Iterator<Item = String> {
    let mut depth = 0;
    let plain: String = text
        .chars()
        .filter(|c| {
            depth += i32::from(*c == '(');
            let outside = depth == 0;
            depth -= i32::from(*c == ')');
            outside
        })
        .collect();
    plain
        .split(',')
        .map(|name| name.trim().trim_end_matches('.').trim().to_owned())
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn the_map_says_why_each_dependency_is_there() {
    let map = architecture();
    let section = map.split("\n## Dependencies").nth(1).expect("a section");
    let section = section.split("\n## ").next().unwrap();
    let listed: BTreeSet<String> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter(|line| !line.starts_with("crate |") && !line.starts_with("---"))
        .flat_map(|line| crates(line.split('|').next().unwrap()))
        .collect();
    let for_tests: BTreeSet<String> = section
        .split("Only for tests:")
        .nth(1)
        .map(|rest| crates(rest.split("\n\n").next().unwrap()).collect())
        .unwrap_or_default();
    let text = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = text.parse().unwrap();
    let keys = |table: Option<&toml::Value>| -> BTreeSet<String> {
        let table = table.and_then(toml::Value::as_table);
        table
            .map(|t| t.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut needed = keys(manifest.get("dependencies"));
    for target in manifest["target"].as_table().unwrap().values() {
        needed.extend(keys(target.get("dependencies")));
    }
    assert_eq!(listed, needed);
    assert_eq!(for_tests, keys(manifest.get("dev-dependencies")));
}
