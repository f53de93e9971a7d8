//! The line editor: completion, highlighting, history, several lines. Without a terminal, lines are
//! read as they come.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal, Write};
use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hinter, HistoryHinter};
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Config, Editor, Helper};

use super::complete::Vocabulary;
use super::session::{ReplResponse, Session};
use crate::engine::Failure;
use crate::msg;
use crate::syntax::keyword;

/// Runs a session until it ends: on `:quit`, Ctrl-D, or the end of input.
///
/// # Errors
/// A terminal that cannot be used.
pub fn run(session: &mut Session, color: bool, history: Option<PathBuf>) -> Result<(), Failure> {
    if std::io::stdin().is_terminal() {
        interactive(session, color, history)
    } else {
        piped(session)
    }
}

/// Lines from a file or a pipe: no prompt, the answers only.
fn piped(session: &mut Session) -> Result<(), Failure> {
    let fail = |e: std::io::Error| {
        Failure::new(msg!(
            "standard input could not be read: {e}",
            "无法读取标准输入：{e}"
        ))
    };
    let mut text = String::new();
    for line in std::io::stdin().lock().lines() {
        text.push_str(&line.map_err(fail)?);
        if Session::is_incomplete(&text) {
            text.push('\n');
            continue;
        }
        match session.answer(&text) {
            ReplResponse::Text(answer) => print(&answer),
            ReplResponse::Quit => return Ok(()),
        }
        text.clear();
    }
    if !text.is_empty()
        && let ReplResponse::Text(answer) = session.answer(&text)
    {
        print(&answer);
    }
    Ok(())
}

fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader that went away ends the session at its next line; nothing is lost.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn interactive(
    session: &mut Session,
    color: bool,
    history: Option<PathBuf>,
) -> Result<(), Failure> {
    let fail = |e: ReadlineError| {
        Failure::new(msg!(
            "the terminal cannot be used: {e}",
            "无法使用终端：{e}"
        ))
    };
    let config = Config::builder()
        .history_ignore_space(true)
        .completion_type(rustyline::CompletionType::List)
        .build();
    let mut editor: Editor<LineHelper, FileHistory> = Editor::with_config(config).map_err(fail)?;
    editor.set_helper(Some(LineHelper {
        vocabulary: Vocabulary::of(session.program()),
        hinter: HistoryHinter::new(),
        color,
    }));
    if let Some(file) = &history {
        // The first session has no history yet.
        let _ = editor.load_history(file);
    }
    print(&session.greeting());
    loop {
        match editor.readline("tagcast> ") {
            Ok(line) => {
                if !line.trim().is_empty() {
                    let _ = editor.add_history_entry(line.as_str());
                }
                match session.answer(&line) {
                    ReplResponse::Text(answer) => print(&answer),
                    ReplResponse::Quit => break,
                }
                if line.trim().starts_with(":reload")
                    && let Some(helper) = editor.helper_mut()
                {
                    helper.vocabulary = Vocabulary::of(session.program());
                }
            }
            // Ctrl-C drops the line, as in a shell.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(e) => return Err(fail(e)),
        }
    }
    if let Some(file) = &history {
        // Without a place for it the history is not kept; not worth failing for.
        let _ = editor.save_history(file);
    }
    Ok(())
}

struct LineHelper {
    vocabulary: Vocabulary,
    hinter: HistoryHinter,
    color: bool,
}

impl Helper for LineHelper {}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, words) = self.vocabulary.complete(line, pos);
        Ok((
            start,
            words
                .into_iter()
                .map(|w| Pair {
                    display: w.clone(),
                    replacement: w,
                })
                .collect(),
        ))
    }
}

impl Hinter for LineHelper {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, cx: &rustyline::Context<'_>) -> Option<String> {
        self.hinter.hint(line, pos, cx)
    }
}

impl Validator for LineHelper {
    fn validate(&self, cx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        Ok(if Session::is_incomplete(cx.input()) {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Valid(None)
        })
    }
}

impl Highlighter for LineHelper {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.color {
            Cow::Owned(highlight(line))
        } else {
            Cow::Borrowed(line)
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        if self.color {
            Cow::Owned(format!("\u{1b}[2m{hint}\u{1b}[0m"))
        } else {
            Cow::Borrowed(hint)
        }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.color
    }
}

/// Keywords bold blue, strings green, numbers yellow, comments dim.
fn highlight(line: &str) -> String {
    let mut out = String::with_capacity(line.len() * 2);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (len, color) = if c == '#' {
            (rest.len(), "2")
        } else if c == '"' || c == '\'' {
            (rest[1..].find(c).map_or(rest.len(), |end| end + 2), "32")
        } else if c.is_ascii_digit() {
            (
                rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '%')))
                    .unwrap_or(rest.len()),
                "33",
            )
        } else if c.is_alphabetic() || c == '_' || c == ':' {
            let len = rest
                .char_indices()
                .find(|(i, c)| *i > 0 && !(c.is_alphanumeric() || *c == '_'))
                .map_or(rest.len(), |(i, _)| i);
            (
                len,
                if c == ':' || keyword::is_keyword(&rest[..len]) {
                    "1;34"
                } else {
                    ""
                },
            )
        } else {
            (c.len_utf8(), "")
        };
        let (word, after) = rest.split_at(len.max(c.len_utf8()).min(rest.len()));
        if color.is_empty() {
            out.push_str(word)
        } else {
            out.push_str(&format!("\u{1b}[{color}m{word}\u{1b}[0m"))
        }
        rest = after;
    }
    out
}
