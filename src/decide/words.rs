//! Words that no message may contain, from the files that policy names.

use std::path::{Path, PathBuf};

use aho_corasick::{AhoCorasick, MatchKind};

use super::decision::Rendered;
use crate::base::world::World;
use crate::diag::Msg;
use crate::msg;
use crate::program::typed::Program;

/// The words of all files, ready to be looked for; ASCII letters match in either case.
#[derive(Default)]
pub struct ForbiddenWords {
    matcher: Option<AhoCorasick>,
}

/// Why the words cannot be loaded.
#[derive(Debug)]
pub struct WordsError {
    pub path: PathBuf,
    pub message: Msg,
}

impl ForbiddenWords {
    /// Reads the files of `forbid words`, relative to the program's folder; `*` stands for any part of a file's name.
    ///
    /// # Errors
    /// A file that is not there or cannot be read; a pattern that matches no file.
    pub fn load(program: &Program, folder: &Path, world: &dyn World) -> Result<Self, WordsError> {
        let mut words: Vec<String> = Vec::new();
        for pattern in &program.policy.forbid_words {
            for path in expand(folder, pattern)? {
                let fail = |message: Msg| WordsError { path: path.clone(), message };
                let bytes = world.read(&path).map_err(|e| fail(msg!("cannot be read: {e}", "无法读取:{e}")))?;
                let text = String::from_utf8(bytes).map_err(|_| fail(msg!("is not UTF-8", "不是 UTF-8")))?;
                let lines = text.lines().map(|l| l.trim().trim_start_matches('\u{FEFF}'));
                words.extend(lines.filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_string));
            }
        }
        Self::of(&words)
            .map_err(|e| WordsError { path: folder.to_path_buf(), message: msg!("the words are too many: {e}", "词语过多:{e}") })
    }

    /// # Errors
    /// More words than the matcher can hold.
    pub fn of(words: &[String]) -> Result<Self, aho_corasick::BuildError> {
        if words.is_empty() {
            return Ok(ForbiddenWords::default());
        }
        let matcher = AhoCorasick::builder().ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest).build(words)?;
        Ok(ForbiddenWords { matcher: Some(matcher) })
    }

    pub fn blocks(&self, message: &Rendered) -> bool {
        self.matcher.as_ref().is_some_and(|m| message.parts.iter().any(|(_, text)| m.is_match(text)))
    }
}

/// The files of a pattern, sorted.
fn expand(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, WordsError> {
    let path = folder.join(pattern);
    let Some((before, after)) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.split_once('*')) else { return Ok(vec![path]) };
    let parent = path.parent().unwrap_or(folder);
    let entries = std::fs::read_dir(parent);
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .filter_map(|e| e.ok().map(|e| e.path()))
        .filter(|p| {
            p.file_name()
                .and_then(|n| n.to_str())
                .is_some_and(|n| n.len() >= before.len() + after.len() && n.starts_with(before) && n.ends_with(after))
        })
        .collect();
    found.sort();
    if found.is_empty() {
        let message = msg!("no file fits this pattern", "没有文件符合此模式");
        return Err(WordsError { path, message });
    }
    Ok(found)
}
