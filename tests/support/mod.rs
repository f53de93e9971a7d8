//! Helpers that several test files share.
#![allow(dead_code, reason = "each test binary uses a part")]

pub mod bless;
pub mod campaigns;
pub mod delivery;
pub mod postgres;
pub mod service;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The built binary with a clean environment: no colours, a fixed terminal width, English.
pub fn tagcast(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tagcast"));
    command
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env_remove("LANG");
    command
}

/// Runs with arguments and gives exit code, standard output and standard error.
pub fn run(folder: &Path, args: &[&str]) -> (i32, String, String) {
    let output = tagcast(folder)
        .args(args)
        .output()
        .expect("the binary starts");
    parts(output)
}

pub fn parts(output: Output) -> (i32, String, String) {
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Copies a folder, without hidden entries (stores of earlier runs).
pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a temporary folder");
    for entry in std::fs::read_dir(from).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        if name.to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).expect("a copy");
        }
    }
}

/// The fenced code blocks of a Markdown text: language word, first line number, text.
pub fn code_blocks(markdown: &str) -> Vec<(String, usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, usize, String)> = None;
    for (number, line) in markdown.lines().enumerate() {
        if let Some(word) = line.strip_prefix("```") {
            match open.take() {
                Some(block) => blocks.push(block),
                None => open = Some((word.trim().to_string(), number + 2, String::new())),
            }
        } else if let Some((_, _, text)) = &mut open {
            text.push_str(line);
            text.push('\n');
        }
    }
    assert!(open.is_none(), "a code block is not closed");
    blocks
}

/// Where cases with known answers lie, when they are at hand: `TAGCAST_ORACLE`, else beside the
/// repository.
pub fn oracle() -> PathBuf {
    std::env::var_os("TAGCAST_ORACLE")
        .map_or_else(|| root().join("../shared/oracle"), PathBuf::from)
}
