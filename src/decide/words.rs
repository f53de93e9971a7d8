//! Words that no message may contain, from the files that policy names.
//!
//! A file has one word a line; empty lines and lines that begin with `#` say nothing. ASCII letters
//! match in either case, full-width letters, digits and signs like their ASCII twins; characters
//! without width do not hide a word.

use std::borrow::Cow;
use std::path::{Component, Path, PathBuf};

use aho_corasick::AhoCorasick;

use super::decision::Rendered;
use crate::base::Msg;
use crate::base::world::World;
use crate::msg;
use crate::program::typed::Program;

/// More words than these are not a list that people keep.
pub const MAX_WORDS: usize = 1_000_000;

/// The words of all files, ready to be looked for.
#[derive(Default, Debug)]
pub struct ForbiddenWords {
    matcher: Option<AhoCorasick>,
    words: Vec<String>,
}

/// Why the words cannot be loaded.
#[derive(Debug)]
pub struct WordsError {
    pub path: PathBuf,
    pub message: Msg,
}

impl std::fmt::Display for WordsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.message.en)
    }
}

impl std::error::Error for WordsError {}

impl ForbiddenWords {
    /// Reads the files of `forbid words`, relative to the program's folder; `*` stands for any part
    /// of a folder's or file's name.
    ///
    /// # Errors
    /// A file that is not there, cannot be read or is not UTF-8; a pattern that no file fits: a
    /// list that has gone would forbid nothing.
    pub fn load(program: &Program, folder: &Path, world: &dyn World) -> Result<Self, WordsError> {
        let mut words: Vec<String> = Vec::new();
        for path in Self::files(program, folder, world)? {
            let fail = |message: Msg| WordsError {
                path: path.clone(),
                message,
            };
            let bytes = world
                .read(&path)
                .map_err(|e| fail(msg!("cannot be read: {e}", "无法读取：{e}")))?;
            let text = String::from_utf8(bytes).map_err(|e| {
                let line = e
                    .as_bytes()
                    .iter()
                    .take(e.utf8_error().valid_up_to())
                    .filter(|b| **b == b'\n')
                    .count()
                    + 1;
                fail(msg!(
                    "line {line} is not UTF-8; save the file as UTF-8",
                    "第 {line} 行不是 UTF-8；请以 UTF-8 保存"
                ))
            })?;
            let lines = text.trim_start_matches('\u{FEFF}').lines().map(str::trim);
            words.extend(
                lines
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                    .map(str::to_string),
            );
            if words.len() > MAX_WORDS {
                return Err(fail(msg!(
                    "there are more than {MAX_WORDS} words; keep fewer",
                    "词语超过 {MAX_WORDS} 个；请精简"
                )));
            }
        }
        Self::of(words.iter().map(String::as_str)).map_err(|e| WordsError {
            path: folder.to_path_buf(),
            message: msg!("the words cannot be searched: {e}", "无法检索这些词语：{e}"),
        })
    }

    /// The files that [`Self::load`] reads.
    ///
    /// # Errors
    /// A pattern that no file fits.
    pub fn files(
        program: &Program,
        folder: &Path,
        world: &dyn World,
    ) -> Result<Vec<PathBuf>, WordsError> {
        let files = program
            .policy
            .forbid_words
            .iter()
            .map(|pattern| expand(folder, pattern, world));
        Ok(files.collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// Whether nothing is forbidden.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether they forbid the same.
    pub fn same_as(&self, other: &ForbiddenWords) -> bool {
        self.words == other.words
    }

    /// # Errors
    /// More words than can be searched.
    pub fn of<'w>(
        words: impl IntoIterator<Item = &'w str>,
    ) -> Result<Self, aho_corasick::BuildError> {
        let words: Vec<String> = words
            .into_iter()
            .map(|word| fold(word).into_owned())
            .filter(|word| !word.trim().is_empty())
            .collect();
        let matcher = if words.is_empty() {
            None
        } else {
            Some(
                AhoCorasick::builder()
                    .ascii_case_insensitive(true)
                    .build(&words)?,
            )
        };
        Ok(ForbiddenWords { matcher, words })
    }

    /// Whether a part of the message contains one of the words.
    pub fn block(&self, message: &Rendered) -> bool {
        self.matcher.as_ref().is_some_and(|m| {
            message
                .parts
                .iter()
                .any(|(_, text)| m.is_match(&*fold(text)))
        })
    }
}

/// Full-width forms as ASCII, without characters that have no width.
fn fold(text: &str) -> Cow<'_, str> {
    let plain = |c: char| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0),
        '\u{3000}' => Some(' '),
        '\u{00AD}' | '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}' => None,
        c => Some(c),
    };
    if text.chars().all(|c| plain(c) == Some(c)) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter_map(plain).collect())
    }
}

/// The files that fit a pattern, in the order of their names.
fn expand(folder: &Path, pattern: &str, world: &dyn World) -> Result<Vec<PathBuf>, WordsError> {
    let mut found = vec![folder.to_path_buf()];
    for component in Path::new(pattern).components() {
        let name = match component {
            Component::Normal(name) => name.to_str().filter(|name| name.contains('*')),
            _ => None,
        };
        let Some(name) = name else {
            found.iter_mut().for_each(|path| path.push(component));
            continue;
        };
        let mut next = Vec::new();
        for path in found {
            // A folder that is not there, or is a file, holds nothing that fits.
            let entries = world.list(&path).unwrap_or_default();
            next.extend(entries.into_iter().filter(|e| {
                e.file_name()
                    .and_then(|n| n.to_str())
                    .is_some_and(|n| fits(name, n))
            }));
        }
        next.sort();
        found = next;
    }
    if found.is_empty() {
        let message = msg!(
            "no file fits this pattern, so that no word would be forbidden",
            "没有文件符合此模式，这样不会禁止任何词语"
        );
        return Err(WordsError {
            path: folder.join(pattern),
            message,
        });
    }
    Ok(found)
}

/// Whether a name fits a pattern with `*`. Hidden files fit only when the pattern begins with a
/// point.
fn fits(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut pieces = pattern.split('*');
    let (Some(first), Some(last)) = (pieces.next(), pieces.next_back()) else {
        return pattern == name;
    };
    let Some(rest) = name
        .strip_prefix(first)
        .and_then(|rest| rest.strip_suffix(last))
    else {
        return false;
    };
    let mut rest = Some(rest);
    for piece in pieces {
        rest = rest
            .and_then(|rest| rest.split_once(piece))
            .map(|(_, after)| after);
    }
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Instant;
    use crate::base::world::SimulatedWorld;

    fn message(text: &str) -> Rendered {
        Rendered {
            parts: vec![
                ("title".into(), "你好".into()),
                ("body".into(), text.into()),
            ],
        }
    }

    #[test]
    fn words_are_found_however_they_are_written() {
        let words = ForbiddenWords::of(["最佳", "VIP", "加Ｖ信"]).unwrap();
        for text in [
            "全国最佳门店",
            "vip only",
            "ｖｉｐ 专享",
            "加v信",
            "最\u{200B}佳",
        ] {
            assert!(words.block(&message(text)), "{text}");
        }
        assert!(!words.block(&message("最好 V IP")));
        assert!(!ForbiddenWords::default().block(&message("最佳")));
        // A word of nothing but invisible characters forbids nothing.
        assert!(
            !ForbiddenWords::of(["\u{200B}"])
                .unwrap()
                .block(&message("a"))
        );
    }

    #[test]
    fn patterns() {
        assert!(
            fits("*.txt", "a.txt") && fits("a*b*c", "aXbYc") && fits("*", "x") && fits("a*a", "aa")
        );
        assert!(
            !fits("*.txt", ".txt")
                && !fits("*.txt", "a.csv")
                && !fits("a*a", "a")
                && !fits("a*b*c", "acb")
        );
    }

    #[test]
    fn files_are_found_by_pattern_and_missing_ones_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("words/zh")).unwrap();
        std::fs::write(at("words/zh/a.txt"), "\u{FEFF}# 广告法\n最佳\n\n").unwrap();
        std::fs::write(at("words/zh/b.txt"), "国家级\n").unwrap();
        std::fs::write(at("words/bad.txt"), b"ok\n\xFF").unwrap();
        let world = SimulatedWorld::at(Instant(0));
        let load = |pattern: &str| {
            let mut program = Program::default();
            program.policy.forbid_words = vec![pattern.into()];
            ForbiddenWords::load(&program, dir.path(), &world).map_err(|e| e.message.en)
        };
        let words = load("words/*/*.txt").unwrap();
        assert!(
            words.block(&message("国家级"))
                && words.block(&message("最佳"))
                && !words.block(&message("# 广告法"))
        );
        assert!(load("words/zh/b.txt").is_ok());
        assert!(load("words/*.md").unwrap_err().starts_with("no file fits"));
        assert!(
            load("words/none.txt")
                .unwrap_err()
                .starts_with("cannot be read")
        );
        assert!(
            load("words/bad.txt")
                .unwrap_err()
                .starts_with("line 2 is not UTF-8")
        );
    }
}
