//! Every code block of the documentation is run, or is of another program: campaigns check,
//! conditions are asked, commands give what the page shows.
//!
//! The first word of a block says what it is:
//!
//! | word | what is done with it |
//! | --- | --- |
//! | `campaign` | checked, beside the first one of the page |
//! | `condition` | each line is asked of an empty store |
//! | `console` | each `$ ` line is run, and prints what follows it |
//! | `sh` | each line is run and succeeds; lines for `cargo`, `git` and scripts of the project are only looked at |
//! | `toml` | `tagcast.toml`, or with `[[fault]]` the sandbox's faults: taken |
//! | `json` | read, line by line |
//! | `rust` | stands in a file of the project (`guides.rs`) |
//! | `text`, `ini`, `yaml` | a drawing, or another program's: not run |
//!
//! Each page has a folder of its own, with a copy of `examples/`. What else a page takes for given
//! is in `tests/house/pages/<page>/`: files, and `setup.sh`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::support::{self, code_blocks, root, run};

const NOT_RUN: &[&str] = &["text", "ini", "yaml"];

/// The pages that people read; those of findings are held by the tests of the language.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec!["README.md".into(), "CONTRIBUTING.md".into()];
    for folder in ["docs", "docs/contributing"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|n| n.ends_with(".md")).collect();
        names.sort();
        pages.extend(names.into_iter().map(|n| Path::new(folder).join(n)));
    }
    pages
}

/// A folder for the blocks of a page.
struct Bench {
    page: PathBuf,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(page: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        support::copy_folder(&root().join("examples"), &dir.path().join("examples"));
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        let bench = Bench {
            page: page.to_owned(),
            dir,
        };
        let given = root()
            .join("tests/house/pages")
            .join(page.file_stem().unwrap());
        if given.exists() {
            support::copy_folder(&given, bench.dir.path());
            let output = bench.bash("bash -eu setup.sh").output().unwrap();
            assert!(output.status.success(), "{}: {output:?}", page.display());
        }
        bench
    }

    fn bash(&self, line: &str) -> Command {
        let binary = Path::new(env!("CARGO_BIN_EXE_tagcast")).parent().unwrap();
        let own = self.dir.path().join("bin");
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command
            .args(["-c", line])
            .current_dir(self.dir.path())
            .env("NO_COLOR", "1")
            .env("COLUMNS", "100")
            .env_remove("LANG")
            .env(
                "PATH",
                format!("{}:{}:{path}", own.display(), binary.display()),
            );
        command
    }

    fn check(&self, folder: &Path, name: &str, line: usize) {
        let (code, out, err) = run(folder, &["check", name, "--now", "2027-01-01"]);
        let at = format!("{}:{line}", self.page.display());
        assert_eq!(code, 0, "{at}: {out}{err}");
        assert!(!err.contains("errors in other files"), "{at}: {err}");
    }
}

#[test]
fn every_block_of_every_page_holds() {
    for page in pages() {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        let blocks = code_blocks(&text);
        if blocks.iter().all(|b| NOT_RUN.contains(&b.0.as_str())) {
            continue;
        }
        let bench = Bench::new(&page);
        let program = bench.dir.path().join("page");
        std::fs::create_dir(&program).unwrap();
        std::fs::write(program.join("tagcast.toml"), "").unwrap();
        for (word, line, block) in &blocks {
            let at = format!("{}:{line}", page.display());
            match word.as_str() {
                "campaign" => campaign(&bench, &program, *line, block),
                "condition" => {
                    for condition in block.lines().filter(|l| !l.trim().is_empty()) {
                        let (code, _, err) = run(&program, &["query", condition, "--count"]);
                        assert_eq!(code, 0, "{at}: {condition}\n{err}");
                    }
                }
                "console" => {
                    for (command, expected) in transcript(block) {
                        let shown = bench.bash(&command).output().unwrap();
                        assert_eq!(said(&shown), expected.trim_end(), "{at}: {command}");
                    }
                }
                "sh" => block.lines().for_each(|l| shell(&bench, &at, l)),
                // An excerpt of a file that the guide lists: `guides.rs` holds it.
                "toml" if page.starts_with("docs/contributing") => {}
                "toml" => settings(&bench, &at, block),
                "json" => {
                    for text in block.lines() {
                        let read: Result<serde_json::Value, _> = serde_json::from_str(text);
                        assert!(read.is_ok(), "{at}: {read:?}: {text}");
                    }
                }
                "rust" => assert!(page.starts_with("docs/contributing"), "{at}: who holds it?"),
                other => assert!(
                    NOT_RUN.contains(&other),
                    "{at}: a block of an unknown kind `{other}`"
                ),
            }
        }
    }
}

/// What is indented would be code that nobody runs.
#[test]
fn code_stands_in_fences() {
    for page in pages() {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        let mut fenced = false;
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            let hidden = !fenced && (line.starts_with("    ") || line.starts_with("~~~"));
            let inside = line.starts_with(' ') && line.trim_start().starts_with("```");
            assert!(
                !hidden && !inside,
                "{}:{}: code stands in a fence of its own",
                page.display(),
                number + 1
            );
        }
    }
}

/// The first block of a page declares what the others use; later commands find it as a file.
fn campaign(bench: &Bench, program: &Path, line: usize, block: &str) {
    let declarations = program.join("declarations.campaign");
    if !declarations.exists() {
        std::fs::write(bench.dir.path().join("example.campaign"), block).unwrap();
        std::fs::write(&declarations, block).unwrap();
        return bench.check(program, "declarations.campaign", line);
    }
    std::fs::write(program.join("block.campaign"), block).unwrap();
    bench.check(program, "block.campaign", line);
    std::fs::remove_file(program.join("block.campaign")).unwrap();
}

/// A service is stopped as soon as it says something.
fn shell(bench: &Bench, at: &str, line: &str) {
    let words = || line.split_whitespace().filter(|w| !w.contains('='));
    match words().next() {
        None => {}
        Some("cargo") => {
            if let Some(wrong) = wrong_target(line) {
                panic!("{at}: {wrong}: {line}");
            }
        }
        Some("git") => {}
        Some("bash") => {
            let script = words().nth(1).unwrap();
            assert!(root().join(script).exists(), "{at}: no {script}");
        }
        _ if words().nth(1) == Some("serve") || line.contains("tagcast serve") => {
            serve(bench, at, line);
        }
        _ => {
            let output = bench.bash(line).output().unwrap();
            assert!(output.status.success(), "{at}: {line}\n{}", said(&output));
        }
    }
}

fn serve(bench: &Bench, at: &str, line: &str) {
    // Any port that is free: others test at the same time.
    let line = line.replace(":7420", ":0");
    let log = bench.dir.path().join("log");
    let file = std::fs::File::create(&log).unwrap();
    let mut child = bench
        .bash(&line)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let began = Instant::now();
    let told = || std::fs::read_to_string(&log).unwrap();
    while told().is_empty() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let stop = format!("kill -TERM {}", child.id());
    assert!(bench.bash(&stop).status().unwrap().success());
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(0), "{at}: {line}\n{}", told());
}

fn settings(bench: &Bench, at: &str, block: &str) {
    let dir = bench.dir.path().join("settings");
    std::fs::create_dir_all(&dir).unwrap();
    for file in [
        "examples/first.campaign",
        "examples/data",
        "examples/tagcast.toml",
    ] {
        let line = format!("cp -r {file} settings/");
        assert!(bench.bash(&line).status().unwrap().success());
    }
    let sync = bench.bash("tagcast sync --program settings").output();
    assert!(sync.unwrap().status.success());
    let fault = block.starts_with("[[fault]]");
    let file = match fault {
        true => dir.join(".tagcast/outbox.jsonl.control"),
        false => dir.join("tagcast.toml"),
    };
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let go = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let now = ["--now", "2026-11-20T09:00"];
        match fault {
            true => run(&dir, &["run", now[0], now[1], "--until", "10:00"]),
            false => run(&dir, &["check", now[0], now[1]]),
        }
    };
    let (code, out, err) = go(&format!("{block}\nno_such_key = 1\n"));
    assert_ne!(code, 0, "{at}: the file is not read: {out}{err}");
    let (code, out, err) = go(block);
    assert_eq!(code, 0, "{at}: {out}{err}");
    std::fs::remove_file(&file).unwrap();
}

fn said(output: &Output) -> String {
    let both = [&output.stdout, &output.stderr].map(|t| String::from_utf8_lossy(t));
    both.concat().trim_end().to_owned()
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

/// What a line for cargo names that is not there: a binary of tests with a filter, a bench, an
/// example, a target of the fuzzer.
fn wrong_target(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap();
    let words: Vec<&str> = line
        .split([' ', '`', ';', ',', ')', '.'])
        .filter(|w| !w.is_empty())
        .collect();
    let named = |option: &str| {
        let at = words.iter().position(|w| *w == option)?;
        Some((*words.get(at + 1)?, words.get(at + 2).copied()))
    };
    let there = |path: String| root().join(path).exists();
    if let Some((test, filter)) = named("--test") {
        if !there(format!("tests/{test}/main.rs")) {
            return Some(format!("no tests `{test}`"));
        }
        let filter = filter.filter(|f| f.chars().all(|c| c.is_alphanumeric() || "_:".contains(c)));
        let last = filter.map(|f| f.rsplit("::").next().unwrap().to_owned());
        if last.is_some_and(|f| !has_test(test, &f)) {
            return Some(format!("no test `{}` in `{test}`", filter.unwrap()));
        }
    }
    if let Some((bench, _)) = named("--bench")
        && !there(format!("benches/{bench}.rs"))
    {
        return Some(format!("no bench `{bench}`"));
    }
    if let Some((example, _)) = named("--example")
        && !there(format!("examples/{example}.rs"))
    {
        return Some(format!("no example `{example}`"));
    }
    if let Some((target, _)) = named("run").filter(|_| words.contains(&"fuzz"))
        && !there(format!("fuzz/fuzz_targets/{target}.rs"))
    {
        return Some(format!("nothing to fuzz called `{target}`"));
    }
    None
}

/// Whether a filter meets a file or a function of a binary of tests.
fn has_test(test: &str, filter: &str) -> bool {
    let main = std::fs::read_to_string(root().join("tests").join(test).join("main.rs")).unwrap();
    if main.contains(&format!("mod {filter};")) {
        return true;
    }
    let folders = [test, "delivery"].map(|f| root().join("tests").join(f));
    folders.iter().any(|folder| {
        crate::source::rust_files(folder).iter().any(|file| {
            let text = std::fs::read_to_string(folder.join(file)).unwrap();
            text.match_indices("fn ")
                .any(|(at, _)| text[at + 3..].split('(').next().unwrap().contains(filter))
        })
    })
}

#[test]
fn commands_for_cargo_name_what_is_there() {
    let more = [
        "CHANGELOG.md",
        "ARCHITECTURE.md",
        "benches/README.md",
        "fuzz/README.md",
    ];
    for page in pages().into_iter().chain(more.map(PathBuf::from)) {
        let text = std::fs::read_to_string(root().join(&page)).unwrap();
        for (number, line) in text.lines().enumerate() {
            for (at, _) in line.match_indices("cargo ") {
                let command = line[at..].split('`').next().unwrap();
                if let Some(wrong) = wrong_target(command) {
                    panic!("{}:{}: {wrong}: {command}", page.display(), number + 1);
                }
            }
        }
    }
}

#[test]
fn the_pages_show_real_output() {
    let commands = |page: &str| -> usize {
        let text = std::fs::read_to_string(root().join(page)).unwrap();
        let blocks = code_blocks(&text);
        let shown = blocks.iter().filter(|b| b.0 == "console");
        shown.map(|b| transcript(&b.2).len()).sum()
    };
    assert!(commands("README.md") >= 4, "the tour");
    assert!(commands("docs/formats.md") >= 5);
}
