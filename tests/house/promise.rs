//! `docs/promise.md` names a test for each way in which the promise could break; the tests are
//! there.

use crate::support;
use std::collections::BTreeSet;

/// As the delivery design numbers them.
const CASES: u32 = 53;

/// The rows of the tables: number, and each file with a test in it.
fn rows() -> Vec<(u32, Vec<(String, String)>)> {
    let text = std::fs::read_to_string(support::root().join("docs/promise.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let number = cells.get(1)?.parse().ok()?;
        let (mut file, mut tests) = (String::new(), Vec::new());
        for word in cells.get(4)?.split('`').skip(1).step_by(2) {
            if word.contains('/') {
                file = word.into();
            } else {
                tests.push((file.clone(), word.to_owned()));
            }
        }
        Some((number, tests))
    };
    text.lines().filter_map(row).collect()
}

/// Whether a file has a test of this name.
fn has_test(file: &str, name: &str) -> bool {
    let text = std::fs::read_to_string(support::root().join(file)).unwrap_or_default();
    let Some(at) = text.find(&format!("fn {name}()")) else {
        return false;
    };
    text[..at]
        .lines()
        .rev()
        .take(3)
        .any(|line| line.trim() == "#[test]")
}

#[test]
fn every_case_has_its_test() {
    let rows = rows();
    assert_eq!(
        rows.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
        (1..=CASES).collect::<Vec<_>>(),
        "each number once, in order"
    );
    for (number, tests) in &rows {
        assert!(!tests.is_empty(), "case {number}");
        for (file, name) in tests {
            assert!(
                has_test(file, name),
                "case {number}: no test `{name}` in `{file}`"
            );
        }
        let names: BTreeSet<_> = tests.iter().collect();
        assert_eq!(names.len(), tests.len(), "case {number} names a test twice");
    }
}
