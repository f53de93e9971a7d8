//! The contract of the command line: exit codes, what goes where, bad input, and signals.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{copy_folder, parts, root, run, tagcast};
use ::tagcast::base::world::SimulatedWorld;

/// A program of one file beside a store of four users.
fn shop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(
        d.join("users.csv"),
        "id,region,spent\nu1,Shanghai,500\nu2,Beijing,20\nu3,Shanghai,\nu4,,900\n",
    )
    .unwrap();
    fs::write(
        d.join("tagcast.toml"),
        "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n",
    )
    .unwrap();
    fs::write(
        d.join("shop.campaign"),
        "tag region enum(\"Shanghai\", \"Beijing\") base\ntag spent money behavior\n\ntemplate Hello \"你好\"\n\n\
         campaign spring {\n  when region == \"Shanghai\"\n  send template Hello\n  at 2026-03-01 10:00\n}\n",
    )
    .unwrap();
    let (code, _, err) = run(d, &["sync"]);
    assert_eq!(code, 0, "{err}");
    dir
}

#[track_caller]
fn expect(dir: &Path, args: &[&str], exit: i32) -> (String, String) {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, exit, "{args:?}\n{out}\n{err}");
    assert!(!err.contains("panicked"), "{args:?}\n{err}");
    (out, err)
}

const NOW: &str = "2026-02-28";

// ------------------------------------------------------------------ exit codes

#[test]
fn exit_codes_are_those_of_the_contract() {
    let dir = shop();
    let d = dir.path();
    fs::write(d.join("bad.txt"), "campaign { when }").unwrap();
    for (args, exit) in [
        (&["check"][..], 0),
        (&["check", "--now", NOW], 0),
        (&["check", "--now", "2026-04-01"], 0),
        (
            &["check", "--now", "2026-04-01", "--fail-level", "warning"],
            1,
        ),
        (&["check", "nowhere.campaign"], 2),
        (&["fmt", "--check"], 0),
        (&["query", "region == \"Shanghai\"", "--count"], 0),
        (&["query", "regoin == \"Shanghai\""], 1),
        (&["query", "region == \"Shanghai\"", "--now", "soon"], 2),
        (&["plan", "--now", NOW], 0),
        (&["run", "--now", NOW], 0),
        (&["why", "u1", "spring", "--now", NOW], 0),
        (&["why", "nobody", "spring"], 1),
        (&["why", "u1", "autumn"], 1),
        (&["test"], 0),
        (&["explain", "unknown-value"], 0),
        (&["explain", "no-such-finding"], 1),
        (&["completions", "bash"], 0),
        (&["tags", "list"], 0),
        (&["tags", "stats"], 0),
        (&["events", "list"], 0),
        (&["sync"], 0),
        (&["apply", "bad.txt"], 2),
        (&["frobnicate"], 2),
        (&["check", "--format", "csv"], 2),
        (&["query"], 2),
        (&["--version"], 0),
        (&["--help"], 0),
    ] {
        expect(d, args, exit);
    }
}

#[test]
fn every_command_helps_with_an_example_and_knows_chinese() {
    let dir = shop();
    let (help, _) = expect(dir.path(), &["--help"], 0);
    let commands: Vec<&str> = help
        .split_once("Commands:\n")
        .and_then(|(_, rest)| rest.split_once("\n\n"))
        // What a command does may continue in the next line, further in.
        .map(|(list, _)| {
            list.lines()
                .filter(|l| !l.starts_with("   "))
                .filter_map(|l| l.split_whitespace().next())
                .collect()
        })
        .unwrap();
    assert!(commands.len() >= 15, "{commands:?}");
    for command in commands {
        let (help, _) = expect(dir.path(), &[command, "--help"], 0);
        // clap's own `help` command has nothing to show.
        let example = command == "help"
            || help
                .split_once("\nExample")
                .is_some_and(|(_, rest)| rest.contains(&format!("tagcast {command}")));
        assert!(help.contains("Usage: tagcast") && example, "{help}");
    }
    let (_, err) = expect(
        dir.path(),
        &["query", "regoin == \"Shanghai\"", "--lang", "zh"],
        1,
    );
    assert!(
        err.contains("错误[unknown-name]") && err.contains("region"),
        "{err}"
    );
    let (_, err) = expect(dir.path(), &["why", "nobody", "spring", "--lang", "zh"], 1);
    assert!(err.starts_with("错误"), "{err}");
}

#[test]
fn json_is_json_wherever_it_is_offered() {
    let dir = shop();
    let d = dir.path();
    for args in [
        &["check", "--now", "2026-04-01"][..],
        &["check", "--format", "sarif"],
        &["query", "region == \"Shanghai\"", "--count"],
        &["query", "everyone", "--ids"],
        &["query", "everyone", "--out", "ids.csv"],
        &["plan", "--now", NOW],
        &["run", "--now", NOW],
        &["why", "u3", "spring", "--now", NOW],
        &["tags", "list"],
        &["tags", "stats"],
        &["events", "list"],
    ] {
        let mut args = args.to_vec();
        if !args.contains(&"--format") {
            args.extend(["--format", "json"]);
        }
        let (code, out, err) = run(d, &args);
        assert!(code == 0, "{args:?}: {err}");
        serde_json::from_str::<serde_json::Value>(&out)
            .unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}"));
    }
    // What is refused is told in JSON too.
    fs::write(d.join("bad.csv"), "id,spent\nu1,much\n").unwrap();
    for args in [
        &["query", "regoin == 1"][..],
        &["tags", "import", "bad.csv", "--id", "id"],
        &["check", "broken.campaign"],
    ] {
        if args[0] == "check" {
            fs::write(d.join("broken.campaign"), "audience a = nothing_here\n").unwrap();
        }
        let (out, _) = expect(d, &[args, &["--format", "json"]].concat(), 1);
        serde_json::from_str::<serde_json::Value>(&out)
            .unwrap_or_else(|e| panic!("{args:?}: {e}\n{out}"));
    }
    // A format that a command does not have is refused before anything happens.
    for args in [
        &["fmt"][..],
        &["test"],
        &["sync"],
        &["repl"],
        &["explain"],
        &["apply", "p.json"],
        &["sample-data", "s"],
        &["completions", "zsh"],
        &["query", "everyone", "--explain"],
    ] {
        let (_, err) = expect(d, &[args, &["--format", "json"]].concat(), 2);
        assert!(err.contains("has no format `json`"), "{args:?}: {err}");
    }
    assert!(!d.join("s").exists());
}

#[test]
fn what_happened_is_told_in_chinese_too() {
    let dir = shop();
    let d = dir.path();
    let (out, _) = expect(d, &["run", "--now", "2026-03-01 10:00", "--lang", "zh"], 0);
    for words in [
        "2026-03-01 10:00 到期",
        "1  不匹配",
        "1  未知",
        "2  匹配",
        "2  已接收：sandbox.file",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    for (user, words) in [
        ("u1", "已接收：模板 Hello，经 sandbox.file"),
        ("u2", "的运行：不匹配"),
        ("u4", "的运行：未知"),
    ] {
        let (out, _) = expect(d, &["why", user, "spring", "--lang", "zh"], 0);
        assert!(out.contains(words), "{words}: {out}");
    }
    // In English the reasons have the names that tests and reports use.
    let (out, _) = expect(d, &["why", "u2", "spring"], 0);
    assert!(
        out.contains("run of 2026-03-01 10:00: not_matched"),
        "{out}"
    );
}

// ------------------------------------------------------------------ bad input

#[test]
fn a_program_that_nobody_could_read_is_told_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    let whole =
        fs::read_to_string(root().join("examples/double-eleven/double-eleven.campaign")).unwrap();
    let half: String = whole.chars().take(whole.chars().count() / 2).collect();
    let inputs: [(&str, Vec<u8>, &str); 7] = [
        ("half typed", half.into_bytes(), "error["),
        ("binary", (0..=255u8).cycle().take(5_000).collect(), "error"),
        (
            "not UTF-8",
            b"tag region enum(\"\xC9\xCF\xBA\xA3\") base".to_vec(),
            "error",
        ),
        (
            "UTF-16",
            "tag region text(3)"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
            "error",
        ),
        ("10 MB of (", vec![b'('; 10_000_000], "error"),
        (
            "deep",
            [b"audience a = ".to_vec(), vec![b'('; 5_000]].concat(),
            "error[too-deep]",
        ),
        (
            "a circle",
            b"audience a = b\naudience b = c\naudience c = a\n".to_vec(),
            "error[",
        ),
    ];
    for (what, bytes, wanted) in inputs {
        fs::write(d.join("p.campaign"), bytes).unwrap();
        let began = Instant::now();
        let (code, out, err) = run(d, &["check"]);
        let shown = format!("{out}{err}");
        // A file that is no text is either a finding (1) or cannot be read at all (2).
        assert!(code == 1 || code == 2, "{what}: {code} {shown}");
        assert!(
            shown.contains(wanted) && shown.contains("p.campaign") && !shown.contains("panicked"),
            "{what}: {shown}"
        );
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{what} took {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn data_that_does_not_fit_is_told_and_changes_nothing() {
    let dir = shop();
    let d = dir.path();
    let (before, _) = expect(d, &["query", "everyone", "--count"], 0);
    for (name, bytes, exit, wanted) in [
        (
            "types.csv",
            &b"id,region,spent\nu9,Shanghai,lots\n"[..],
            1,
            "types.csv:2: spent",
        ),
        ("member.csv", b"id,region\nu9,Atlantis\n", 1, "Atlantis"),
        (
            "twice.csv",
            b"id,region\nu9,Shanghai\nu9,Beijing\n",
            1,
            "twice.csv:3: id",
        ),
        ("gbk.csv", b"id,region\nu9,\xC9\xCF\xBA\xA3\n", 2, "GB18030"),
        ("ragged.csv", b"id,region\nu9,Shanghai,3\n", 1, "ragged.csv"),
        ("noid.csv", b"name,region\nu9,Shanghai\n", 2, "id"),
        ("empty.csv", b"", 2, "empty.csv"),
        ("fake.parquet", b"PAR1 but not really", 2, "fake.parquet"),
        ("fake.arrow", b"ARROW1 but not really", 2, "fake.arrow"),
        ("what.xlsx", b"PK", 2, "what.xlsx"),
    ] {
        fs::write(d.join(name), bytes).unwrap();
        let (_, err) = expect(d, &["tags", "import", name, "--id", "id"], exit);
        assert!(err.contains(wanted), "{name}: {err}");
        let (after, _) = expect(d, &["query", "everyone", "--count"], 0);
        assert_eq!(before, after, "{name}");
    }
    let (_, err) = expect(d, &["tags", "import", "nowhere.csv", "--id", "id"], 2);
    assert!(err.contains("nowhere.csv"), "{err}");
}

#[test]
fn a_disk_that_is_full_is_told() {
    if !Path::new("/dev/full").exists() {
        return;
    }
    let dir = shop();
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = tagcast(dir.path())
        .args(["query", "everyone", "--ids"])
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    let (code, _, err) = parts(output);
    assert_eq!(code, 2, "{err}");
    assert!(!err.contains("panicked"), "{err}");
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let dir = shop();
    let d = dir.path();
    let ids: String = (0..200_000).map(|i| format!("v{i},Shanghai\n")).collect();
    fs::write(d.join("many.csv"), format!("id,region\n{ids}")).unwrap();
    expect(d, &["tags", "import", "many.csv", "--id", "id"], 0);
    let mut child = tagcast(d)
        .args(["query", "everyone", "--ids"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0u8; 16];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut first)
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!err.contains("panicked"), "{err}");
}

// ------------------------------------------------------------------ plans

#[test]
fn a_plan_is_applied_once_fresh_and_unchanged() {
    let dir = shop();
    let d = dir.path();
    expect(d, &["plan", "--now", NOW, "-o", "plan.json"], 0);
    let (_, err) = expect(d, &["apply", "plan.json", "--now", "2026-03-20"], 1);
    assert!(err.contains("expired"), "{err}");
    // Another half joins the audience: it has drifted.
    fs::write(d.join("more.csv"), "id,region\nu5,Shanghai\n").unwrap();
    expect(d, &["tags", "import", "more.csv", "--id", "id"], 0);
    let (_, err) = expect(d, &["apply", "plan.json", "--now", NOW], 1);
    assert!(err.contains("drifted by 50.0%"), "{err}");
    expect(
        d,
        &["apply", "plan.json", "--now", NOW, "--max-drift", "60"],
        0,
    );
    let (_, err) = expect(
        d,
        &["apply", "plan.json", "--now", NOW, "--max-drift", "60"],
        1,
    );
    assert!(err.contains("applied once"), "{err}");
    // A changed program.
    expect(d, &["plan", "--now", NOW, "-o", "plan2.json"], 0);
    let text = fs::read_to_string(d.join("shop.campaign")).unwrap();
    fs::write(d.join("shop.campaign"), text.replace("10:00", "11:00")).unwrap();
    let (_, err) = expect(d, &["apply", "plan2.json", "--now", NOW], 1);
    assert!(err.contains("the program has changed"), "{err}");
    // A damaged plan.
    let plan = fs::read_to_string(d.join("plan2.json")).unwrap();
    fs::write(d.join("cut.json"), &plan[..plan.len() / 2]).unwrap();
    let (_, err) = expect(d, &["apply", "cut.json"], 2);
    assert!(err.contains("is not a plan"), "{err}");
}

#[test]
fn a_program_with_errors_sends_nothing() {
    let dir = shop();
    let d = dir.path();
    fs::write(
        d.join("broken.campaign"),
        "campaign next { when regoin == \"x\" send template Hello at 2026-03-01 10:00 }\n",
    )
    .unwrap();
    for command in ["plan", "run"] {
        let (_, err) = expect(d, &[command, "--now", "2026-03-01 10:00"], 1);
        assert!(err.contains("nothing was done"), "{err}");
    }
    assert!(!d.join(".tagcast/outbox.jsonl").exists());
}

// ------------------------------------------------------------------ one writer, signals

#[test]
fn a_second_writer_waits_outside() {
    let dir = shop();
    let d = dir.path();
    let store = ::tagcast::store::Store::open(
        d.join(".tagcast").as_path(),
        std::sync::Arc::new(SimulatedWorld::at(::tagcast::base::Instant(0))),
    )
    .unwrap();
    let _writer = store.writer().unwrap();
    let (_, err) = expect(d, &["tags", "import", "users.csv", "--id", "id"], 2);
    assert!(err.contains("another") || err.contains("writ"), "{err}");
    // Readers do not mind.
    expect(d, &["query", "everyone", "--count"], 0);
}

#[cfg(unix)]
#[test]
fn an_interrupt_during_an_import_ends_cleanly_and_keeps_what_was() {
    let dir = shop();
    let d = dir.path();
    let rows: String = (0..1_500_000)
        .map(|i| format!("w{i},Shanghai,{}\n", i % 900))
        .collect();
    fs::write(d.join("huge.csv"), format!("id,region,spent\n{rows}")).unwrap();
    let (before, _) = expect(d, &["query", "everyone", "--count"], 0);
    let child = tagcast(d)
        .args(["tags", "import", "huge.csv", "--id", "id"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap()
        .success();
    let (code, _, err) = parts(child.wait_with_output().unwrap());
    assert!(!err.contains("panicked"), "{err}");
    let (after, _) = expect(d, &["query", "everyone", "--count"], 0);
    if interrupted && code != 0 {
        assert_eq!(code, 1, "{err}");
        assert!(
            err.contains("stopped") || err.contains("interrupt"),
            "{err}"
        );
        assert_eq!(before, after);
    }
}

// ------------------------------------------------------------------ colours

#[test]
fn colours_only_where_they_are_wanted() {
    let dir = shop();
    let d = dir.path();
    fs::write(d.join("broken.campaign"), "audience a = nothing_here\n").unwrap();
    let shown = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = tagcast(d);
        command
            .env_remove("NO_COLOR")
            .args(args)
            .envs(env.iter().copied());
        let (_, out, err) = parts(command.output().unwrap());
        format!("{out}{err}")
    };
    // Into a pipe: none, unless asked for.
    assert!(!shown(&["check"], &[]).contains('\u{1b}'));
    assert!(shown(&["check", "--color", "always"], &[]).contains('\u{1b}'));
    assert!(!shown(&["check", "--color", "never"], &[]).contains('\u{1b}'));
    assert!(!shown(&["check"], &[("TERM", "dumb")]).contains('\u{1b}'));
    assert!(!shown(&["check"], &[("NO_COLOR", "1")]).contains('\u{1b}'));
}

#[test]
fn formatting_reads_standard_input() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let mut child = tagcast(dir.path())
        .args(["fmt", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all("tag   region   text( 3 )  base".as_bytes())
        .unwrap();
    let (code, out, err) = parts(child.wait_with_output().unwrap());
    assert_eq!(
        (code, out.as_str()),
        (0, "tag region text(3) base\n"),
        "{err}"
    );
}

#[test]
fn examples_keep_their_folder_clean() {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(&root().join("examples/retail"), dir.path());
    let list = |d: &Path| {
        let mut names: Vec<_> = fs::read_dir(d)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = list(dir.path());
    expect(dir.path(), &["check"], 0);
    expect(dir.path(), &["test"], 0);
    assert_eq!(
        list(dir.path()),
        before,
        "checking and testing write nothing"
    );
}
