//! Every code block of the documentation is run: campaigns check, conditions check, commands give
//! what the page shows.

use std::path::Path;

use crate::support::{self, code_blocks, root, run};

/// Checks the blocks of a page beside its first `campaign` block.
fn check_page(page: &Path) {
    let text = std::fs::read_to_string(page).unwrap();
    let blocks = code_blocks(&text);
    let mut campaigns = blocks.iter().filter(|b| b.0 == "campaign");
    let Some(first) = campaigns.next() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tagcast.toml"), "").unwrap();
    std::fs::write(dir.path().join("declarations.campaign"), &first.2).unwrap();
    let check = |name: &str, line: usize| {
        let (code, out, err) = run(dir.path(), &["check", name, "--now", "2027-01-01"]);
        assert_eq!(code, 0, "{}:{line}: {out}{err}", page.display());
        assert!(
            !err.contains("errors in other files"),
            "{}:{line}: {err}",
            page.display()
        );
    };
    check("declarations.campaign", first.1);
    for (_, line, text) in campaigns {
        std::fs::write(dir.path().join("block.campaign"), text).unwrap();
        check("block.campaign", *line);
        std::fs::remove_file(dir.path().join("block.campaign")).unwrap();
    }
    for (_, line, text) in blocks.iter().filter(|b| b.0 == "condition") {
        for condition in text.lines().filter(|l| !l.trim().is_empty()) {
            let (code, _, err) = run(dir.path(), &["query", condition, "--count"]);
            assert_eq!(code, 0, "{}:{line}: {condition}\n{err}", page.display());
        }
    }
}

#[test]
fn the_language_reference_checks() {
    check_page(&root().join("docs/language.md"));
}

#[test]
fn the_readme_shows_real_output() {
    assert!(shows_real_output("README.md") >= 4, "the tour");
}

#[test]
fn the_machine_formats_are_real_output() {
    assert!(shows_real_output("docs/formats.md") >= 5);
}

/// A page's `console` blocks: each `$ ` line is run in a copy of the repository's examples, and
/// prints what follows it. A `campaign` block is the file `example.campaign` from there on.
fn shows_real_output(page: &str) -> usize {
    let text = std::fs::read_to_string(root().join(page)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    support::copy_folder(&root().join("examples"), &dir.path().join("examples"));
    let mut commands = 0;
    for (word, line, block) in code_blocks(&text) {
        match word.as_str() {
            "console" => {
                for (command, expected) in transcript(&block) {
                    let output = std::process::Command::new("bash")
                        .args(["-c", &command])
                        .current_dir(dir.path())
                        .env("NO_COLOR", "1")
                        .env("PATH", path_with_binary())
                        .output()
                        .unwrap();
                    let shown = format!(
                        "{}{}",
                        String::from_utf8_lossy(&output.stdout),
                        String::from_utf8_lossy(&output.stderr)
                    );
                    assert_eq!(
                        shown.trim_end(),
                        expected.trim_end(),
                        "{page}:{line}: {command}"
                    );
                    commands += 1;
                }
            }
            "campaign" => {
                std::fs::write(dir.path().join("example.campaign"), &block).unwrap();
                let (code, out, err) = run(dir.path(), &["check", "example.campaign"]);
                assert_eq!(code, 0, "{page}:{line}: {out}{err}");
            }
            "sh" | "yaml" => {}
            other => panic!("{page}:{line}: a block of an unknown kind `{other}`"),
        }
    }
    commands
}

fn path_with_binary() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_tagcast")).parent().unwrap();
    format!(
        "{}:{}",
        folder.display(),
        std::env::var("PATH").unwrap_or_default()
    )
}

/// Commands after `$ `, each with the lines that follow.
fn transcript(block: &str) -> Vec<(String, String)> {
    let mut steps: Vec<(String, String)> = Vec::new();
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((command.to_string(), String::new())),
            (None, Some((_, output))) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, None) => panic!("a console block starts with a command"),
        }
    }
    steps
}
