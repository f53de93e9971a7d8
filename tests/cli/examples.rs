//! Everything under `examples/` parses, checks without findings, stands formatted, passes its
//! tests, and runs.

use std::path::PathBuf;

use crate::support::{copy_folder, root, run};

/// Folders with a `tagcast.toml`, the top one first.
fn projects() -> Vec<PathBuf> {
    let top = root().join("examples");
    let mut found = vec![top.clone()];
    let mut inner: Vec<PathBuf> = std::fs::read_dir(&top)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.join("tagcast.toml").is_file())
        .collect();
    inner.sort();
    found.extend(inner);
    assert!(found.len() >= 7, "the standard cases of the field");
    found
}

#[test]
fn all_check_without_findings_and_stand_formatted() {
    for project in projects() {
        let (code, out, err) = run(
            &project,
            &["check", "--fail-level", "note", "--now", "2026-11-20"],
        );
        assert_eq!(
            (code, out.as_str()),
            (0, ""),
            "{}: {err}",
            project.display()
        );
        let (code, out, err) = run(&project, &["fmt", "--check"]);
        assert_eq!(
            (code, out.as_str(), err.as_str()),
            (0, "", ""),
            "{}",
            project.display()
        );
    }
}

#[test]
fn their_tests_pass() {
    for project in projects() {
        let (code, out, err) = run(&project, &["test"]);
        assert_eq!(code, 0, "{}: {out}{err}", project.display());
    }
}

#[test]
fn all_run_to_the_end_and_repeat_nothing() {
    for project in projects() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("project");
        copy_folder(&project, &copy);
        let args = [
            "run",
            "--now",
            "2026-11-20 09:00",
            "--until",
            "2026-11-21 09:00",
        ];
        let (code, out, err) = run(&copy, &args);
        assert_eq!(code, 0, "{}: {out}{err}", project.display());
        let outbox = copy.join(".tagcast/outbox.jsonl");
        let first = std::fs::read_to_string(&outbox).unwrap_or_default();
        let (code, _, err) = run(&copy, &args);
        assert_eq!(code, 0, "{}: {err}", project.display());
        assert_eq!(
            first,
            std::fs::read_to_string(&outbox).unwrap_or_default(),
            "{}: a second run sent again",
            project.display()
        );
    }
}

#[test]
fn the_first_sentence_reaches_exactly_the_heavy_coupon_users_of_shanghai() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("examples");
    copy_folder(&root().join("examples"), &copy);
    let (code, out, err) = run(
        dir.path(),
        &[
            "run",
            "examples/first.campaign",
            "--now",
            "2026-11-20 09:00",
            "--until",
            "2026-11-20 10:05",
        ],
    );
    assert_eq!(code, 0, "{out}{err}");
    // Counted here from the file itself, without any of the program's own code.
    let users = std::fs::read_to_string(copy.join("data/users.csv")).unwrap();
    let mut expected: Vec<&str> = users
        .lines()
        .skip(1)
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[1] == "Shanghai" && cells[2].parse::<f32>().is_ok_and(|r| r > 0.3))
                .then_some(cells[0])
        })
        .collect();
    expected.sort_unstable();
    let outbox = std::fs::read_to_string(copy.join(".tagcast/outbox.jsonl")).unwrap();
    let mut sent: Vec<String> = outbox
        .lines()
        .map(|l| {
            serde_json::from_str::<serde_json::Value>(l).unwrap()["user"]
                .as_str()
                .unwrap()
                .to_string()
        })
        .collect();
    sent.sort_unstable();
    assert_eq!(sent, expected);
}
