//! The REPL, driven as a person does: lines in, answers out.

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{self, copy_folder, parts, root, tagcast};
use ::tagcast::base::Instant;
use ::tagcast::base::world::SimulatedWorld;
use ::tagcast::repl::complete::Vocabulary;
use ::tagcast::repl::session::{COMMANDS, ReplResponse, Session, SessionOptions};

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(&root().join("examples"), dir.path());
    let (code, _, err) = support::run(dir.path(), &["sync", "--program", "first.campaign"]);
    assert_eq!(code, 0, "{err}");
    dir
}

fn session(dir: &Path, lang: Option<::tagcast::base::Lang>) -> Session {
    let program = dir.join("first.campaign");
    let options = SessionOptions {
        program,
        store: dir.join(".tagcast"),
        now: Some("2026-11-11".into()),
        lang,
        color: false,
        world: std::sync::Arc::new(SimulatedWorld::at(Instant(0))),
    };
    Session::open(options).unwrap()
}

fn ask(session: &mut Session, line: &str) -> String {
    match session.answer(line) {
        ReplResponse::Text(text) => text,
        ReplResponse::Quit => "quit".into(),
    }
}

#[test]
fn a_condition_gives_all_three_counts() {
    let dir = folder();
    let mut s = session(dir.path(), None);
    assert_eq!(
        ask(&mut s, "region == \"Shanghai\" and coupon_rate > 0.3").trim(),
        "true 343 · false 1,555 · unknown 102 · of 2,000 users"
    );
    assert_eq!(ask(&mut s, "").trim(), "");
    assert_eq!(ask(&mut s, "# a remark").trim(), "");
    assert_eq!(ask(&mut s, ":quit"), "quit");
}

#[test]
fn mistakes_are_explained_and_the_session_goes_on() {
    let dir = folder();
    let mut s = session(dir.path(), None);
    let answer = ask(&mut s, "regoin == \"Shanghai\"");
    assert!(
        answer.contains("unknown-name") && answer.contains("did you mean `region`"),
        "{answer}"
    );
    let answer = ask(&mut s, "region > 3");
    assert!(answer.contains("error["), "{answer}");
    let answer = ask(&mut s, ":nonsense");
    assert!(answer.contains(":help"), "{answer}");
    let mut s = session(dir.path(), Some(::tagcast::base::Lang::Zh));
    let answer = ask(&mut s, "regoin == \"Shanghai\"");
    assert!(answer.contains("错误[unknown-name]"), "{answer}");
    assert!(
        ask(&mut s, "everyone").contains("2,000"),
        "the session continues"
    );
}

#[test]
fn commands_say_types_reasons_and_plans() {
    let dir = folder();
    let mut s = session(dir.path(), None);
    assert_eq!(
        ask(&mut s, ":type coupon_rate").trim(),
        "ratio, can be missing"
    );
    assert!(
        ask(&mut s, ":type coupon_rate ?? 0").contains("ratio"),
        "a default"
    );
    let tags = ask(&mut s, ":tags");
    assert!(
        tags.contains("region") && tags.contains("coupon_rate"),
        "{tags}"
    );
    assert!(!ask(&mut s, ":tags coup").contains("region"));
    let why = ask(
        &mut s,
        ":why u00002 region == \"Beijing\" and coupon_rate > 0.3",
    );
    assert!(why.contains("Beijing") && why.contains("79%"), "{why}");
    let why = ask(&mut s, ":why nobody everyone");
    assert!(why.contains("no user"), "{why}");
    let plan = ask(&mut s, ":plan first");
    assert!(plan.contains("343  matched"), "{plan}");
    for command in [":why", ":type", ":explain"] {
        let answer = ask(&mut s, command);
        assert!(answer.contains(&format!("write `{command} ")), "{answer}");
    }
    assert!(ask(&mut s, ":explain region == \"Shanghai\"").contains("region"));
    let help = ask(&mut s, ":help");
    for (command, ..) in COMMANDS {
        assert!(help.contains(command), "{command}");
    }
}

#[test]
fn the_program_can_change_under_a_session() {
    let dir = folder();
    let mut s = session(dir.path(), None);
    assert!(ask(&mut s, "heavy").contains("unknown-name"));
    let path = dir.path().join("first.campaign");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        format!("{text}\naudience heavy = coupon_rate > 0.3\n"),
    )
    .unwrap();
    ask(&mut s, ":reload");
    assert!(ask(&mut s, "heavy").starts_with("true "));
}

#[test]
fn completion_knows_commands_words_tags_and_members() {
    let dir = folder();
    let s = session(dir.path(), None);
    let words = Vocabulary::of(s.program());
    let complete = |line: &str| words.complete(line, line.len());
    assert_eq!(complete("regi"), (0, vec!["region".to_string()]));
    assert!(
        complete("coupon_rate is kn")
            .1
            .contains(&"known".to_string())
    );
    assert!(
        complete("cou").1.iter().any(|w| w == "count")
            && complete("cou").1.iter().any(|w| w == "coupon_rate")
    );
    assert_eq!(complete("region == \"Sh").1, ["Shanghai\"", "Shenzhen\""]);
    assert!(complete(":t").1.contains(&":tags".to_string()));
    assert!(complete("").1.is_empty());
}

#[test]
fn text_goes_on_while_something_is_open() {
    assert!(Session::is_incomplete("(region == \"Shanghai\""));
    assert!(Session::is_incomplete("region in [\"Shanghai\","));
    assert!(!Session::is_incomplete("region == \"Shanghai\""));
    assert!(!Session::is_incomplete(":why u1 (region"));
}

/// Lines from a pipe: answers on standard output, no greeting, no prompt, no colours; a line may go
/// on in the next.
#[test]
fn a_pipe_is_answered_line_by_line() {
    let dir = folder();
    let state = tempfile::tempdir().unwrap();
    let mut child = tagcast(dir.path())
        .args(["repl", "--program", "first.campaign"])
        .env("XDG_STATE_HOME", state.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all("(region == \"Shanghai\"\n and coupon_rate > 0.3)\n:type region\n".as_bytes())
        .unwrap();
    let (code, out, err) = parts(child.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("true 343")
            && out.contains("enum of 5 members, can be missing")
            && !out.contains('\u{1b}'),
        "{out}"
    );
}

// ------------------------------------------------------------------ at a terminal

/// A session at a pseudo-terminal of `script`: keys are pressed, then the screen has to show what
/// is named. `None` where there is no such program.
fn at_a_terminal(dir: &Path, state: &Path, term: &str, steps: &[(&str, &str)]) -> Option<String> {
    let command = format!(
        "{} repl --program first.campaign",
        env!("CARGO_BIN_EXE_tagcast")
    );
    let mut child = std::process::Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .current_dir(dir)
        .envs([
            ("XDG_STATE_HOME", state.as_os_str()),
            ("TERM", term.as_ref()),
        ])
        .env_remove("NO_COLOR")
        .env_remove("LANG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(n @ 1..) = screen.read(&mut bytes) {
            if tell.send(bytes[..n].to_vec()).is_err() {
                break;
            }
        }
    });
    let mut shown = Vec::new();
    let mut seen = 0;
    for (pressed, wanted) in [("", "tagcast> ")].iter().chain(steps) {
        keys.write_all(pressed.as_bytes()).unwrap();
        keys.flush().unwrap();
        loop {
            // Some of a character may be still to come: then it is looked for once more.
            if let Some(at) = String::from_utf8_lossy(&shown[seen..]).find(wanted) {
                seen = (seen + at + wanted.len()).min(shown.len());
                break;
            }
            match told.recv_timeout(Duration::from_secs(60)) {
                Ok(more) => shown.extend(more),
                Err(_) => panic!(
                    "`{wanted}` does not come after {pressed:?}: {}",
                    String::from_utf8_lossy(&shown)
                ),
            }
        }
    }
    drop(keys);
    while let Ok(more) = told.recv_timeout(Duration::from_secs(60)) {
        shown.extend(more);
    }
    child.wait().unwrap();
    Some(String::from_utf8_lossy(&shown).into_owned())
}

/// Words are completed, coloured, and kept for the next session; Ctrl-C drops a line, an open
/// parenthesis asks for the next one.
#[test]
fn a_terminal_completes_colours_and_remembers() {
    let dir = folder();
    let state = tempfile::tempdir().unwrap();
    let steps = [
        ("regi\t", "region"),
        (
            " == \"Shanghai\" and coupon_rate > 0.3\r",
            "true 343 · false 1,555 · unknown 102",
        ),
        // A prompt ends with a new line's: then the keys are read one by one again.
        ("", "tagcast> "),
        ("nonsense", "nonsense"),
        ("\u{3}", "\n"),
        ("", "tagcast> "),
        ("(region ==\r", "\n"),
        ("\"Shanghai\")\r", "true "),
        ("", "tagcast> "),
        (" region is known\r", "true "),
        ("", "tagcast> "),
        (":quit\r", "\n"),
    ];
    let Some(screen) = at_a_terminal(dir.path(), state.path(), "xterm", &steps) else {
        return;
    };
    assert!(screen.contains("2,000 users"), "{screen}");
    assert!(
        screen.contains("\u{1b}[1;34mand\u{1b}[0m"),
        "keywords are coloured: {screen}"
    );
    assert!(
        !screen.contains("unknown-name"),
        "a dropped line is not answered: {screen}"
    );
    let kept = fs::read_to_string(state.path().join("tagcast/history")).unwrap();
    assert!(
        kept.contains("region == \"Shanghai\" and coupon_rate > 0.3"),
        "{kept}"
    );
    assert!(
        !kept.contains("is known"),
        "a line after a blank is not kept: {kept}"
    );
    // The next session finds it by Ctrl-R.
    let steps = [
        ("\u{12}coupon", "coupon_rate"),
        ("\r", "true 343 · false 1,555 · unknown 102"),
        ("", "tagcast> "),
        (":quit\r", "\n"),
    ];
    at_a_terminal(dir.path(), state.path(), "xterm", &steps);
}

#[test]
fn a_dumb_terminal_gets_plain_text() {
    let dir = folder();
    let state = tempfile::tempdir().unwrap();
    let steps = [
        ("coupon_rate > 0.3\r", "true "),
        ("", "tagcast> "),
        (":quit\r", "\n"),
    ];
    let Some(screen) = at_a_terminal(dir.path(), state.path(), "dumb", &steps) else {
        return;
    };
    assert!(!screen.contains('\u{1b}'), "{screen}");
}
