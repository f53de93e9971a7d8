//! What other programs may do to the files of a store: cut them off, write over them, put others in
//! their place. The answer is the same as before or an error that names the file; never a wrong
//! one, never a panic.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use crate::support::{run, tagcast};
use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Bitmap, Instant, UserNo, Zone};
use tagcast::store::export::Export;
use tagcast::store::{Store, StoreError};

const PROGRAM: &str = "tag region enum(\"Shanghai\", \"Beijing\", \"\u{5e7f}\u{5dde}\")\ntag age int 0..120\ntag name text(20)\ntag score ratio\ntag born date\ntag at time\n\
                       tag seen instant fresh 240000h\ntag likes set of enum(\"a\", \"b\", \"c\")\ntag words set of text\ntag home place\ntag total money\n\
                       tag active bool\nevent buy { amount money, note text optional }\n";

/// A program and its store of some users, filled by the command line.
fn desk(users: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tags.campaign"), PROGRAM).unwrap();
    let mut rows =
        String::from("id,region,age,name,score,born,at,seen,likes,words,home,total,active\n");
    let mut events = String::from("id,at,amount,note\n");
    for i in 0..users {
        let region = ["Shanghai", "Beijing", "\u{5e7f}\u{5dde}", ""][i % 4];
        rows.push_str(&format!(
            "u{i},{region},{},\u{540d}{i},0.{},2000-01-{:02},10:{:02},2026-05-01 10:00,a|c,x|y{i},\"31.2,121.{}\",{i}.50,{}\n",
            i % 120,
            i % 10,
            i % 28 + 1,
            i % 60,
            i % 10,
            i % 2 == 0
        ));
        events.push_str(&format!("u{i},2026-05-{:02},{i},note {i}\n", i % 28 + 1));
    }
    fs::write(d.join("users.csv"), rows).unwrap();
    fs::write(d.join("buys.csv"), events).unwrap();
    for args in [
        &["tags", "import", "users.csv", "--id", "id"][..],
        &[
            "events", "import", "buy", "buys.csv", "--id", "id", "--at", "at",
        ],
    ] {
        let (code, _, err) = run(d, args);
        assert_eq!(code, 0, "{err}");
    }
    dir
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path))
        } else {
            all.push(path)
        }
    }
    all.sort();
    all
}

fn file_of(dir: &Path, part: &str) -> PathBuf {
    let found = files(&dir.join(".tagcast"))
        .into_iter()
        .find(|f| f.to_str().unwrap().contains(part));
    found.unwrap_or_else(|| panic!("no file `{part}`"))
}

fn cut(path: &Path, len: u64) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[allow(clippy::permissions_set_readonly_false)]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(len)
        .unwrap();
}

/// Starts a session that has the store open, cuts off a file, asks, and gives exit code and both
/// outputs.
fn cut_under_a_session(
    dir: &Path,
    options: &[&str],
    warm: Option<&str>,
    file: &Path,
    len: u64,
    question: &str,
) -> (i32, String, String) {
    let mut child = tagcast(dir)
        .args(options)
        .arg("repl")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (
        child.stdin.take().unwrap(),
        BufReader::new(child.stdout.take().unwrap()),
    );
    let mut first = String::new();
    // Once this is answered, every file is open.
    writeln!(to, "{}", warm.unwrap_or("everyone")).unwrap();
    assert!(
        from.read_line(&mut first).unwrap() > 0 && first.contains("20,000")
            || first.contains("3,000"),
        "{first}"
    );
    cut(file, len);
    let _ = writeln!(to, "{question}");
    drop(to);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut from, &mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        rest,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
#[cfg(unix)]
fn a_file_that_is_cut_off_while_it_is_mapped_ends_the_process_with_its_name() {
    let dir = desk(20_000);
    let whole = fs::read(file_of(dir.path(), "tags/total")).unwrap();
    for (options, words) in [
        (&[][..], "was cut off by another program"),
        (
            &["--lang", "zh"][..],
            "\u{88ab}\u{522b}\u{7684}\u{7a0b}\u{5e8f}\u{622a}\u{77ed}",
        ),
    ] {
        for len in [0, 1, 4096, whole.len() as u64 - 9000] {
            // The column was read before, or it was not.
            for warm in [None, Some("total > \u{a5}0")] {
                let file = file_of(dir.path(), "tags/total");
                let (code, out, err) =
                    cut_under_a_session(dir.path(), options, warm, &file, len, "total > \u{a5}100");
                assert_eq!(code, 2, "{len} {warm:?}\n{out}\n{err}");
                assert!(
                    err.contains(words) && err.contains("tags/total") && !err.contains("panicked"),
                    "{err}"
                );
                assert_eq!(out, "", "{len}");
                fs::remove_file(&file).unwrap();
                fs::write(&file, &whole).unwrap();
            }
        }
    }
}

#[test]
fn a_cut_inside_the_last_page_is_seen_too() {
    let dir = desk(20_000);
    let file = file_of(dir.path(), "tags/total");
    let whole = fs::read(&file).unwrap();
    for warm in [None, Some("total > \u{a5}0")] {
        let (_, out, err) = cut_under_a_session(
            dir.path(),
            &[],
            warm,
            &file,
            whole.len() as u64 - 1,
            "total > \u{a5}100",
        );
        assert!(
            !out.contains("of 20,000") && format!("{out}{err}").contains("tags/total"),
            "{out}{err}"
        );
        fs::remove_file(&file).unwrap();
        fs::write(&file, &whole).unwrap();
    }
}

#[test]
fn without_mapping_the_answers_are_the_same() {
    let dir = desk(3000);
    let ask = |options: &[&str]| {
        let condition = "region == \"Shanghai\" and total > \u{a5}100 and did(buy, last 30 days)";
        let args = [options, &["--now", "2026-05-20", "query", condition]].concat();
        (
            run(dir.path(), &[&args[..], &["--count"]].concat()),
            run(dir.path(), &[&args[..], &["--ids"]].concat()),
        )
    };
    let mapped = ask(&[]);
    assert_eq!((mapped.0.0, mapped.1.0), (0, 0), "{mapped:?}");
    assert_eq!(ask(&["--no-mmap"]), mapped);
    // By the environment; and what is cut off under it is refused by name, without a signal.
    let output = tagcast(dir.path())
        .env("TAGCAST_NO_MMAP", "1")
        .args(["query", "everyone", "--count"])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("3,000"),
        "{output:?}"
    );
    let file = file_of(dir.path(), "tags/total");
    let (_, out, err) = cut_under_a_session(
        dir.path(),
        &["--no-mmap"],
        None,
        &file,
        5000,
        "total > \u{a5}100",
    );
    let said = format!("{out}{err}");
    assert!(
        said.contains("tags/total") && said.contains("it became shorter while it was open"),
        "{said}"
    );
}

/// Reads everything there is, as values and as a file.
fn read_all(dir: &Path) -> Result<(), StoreError> {
    let store = Store::open(dir, Arc::new(SimulatedWorld::at(Instant(0))))?;
    let snapshot = store.snapshot()?;
    snapshot.load()?;
    let users = snapshot.user_count();
    for user in (0..users as u32).map(UserNo) {
        if let Some(id) = snapshot.user_id(user) {
            snapshot.user_no(id);
        }
    }
    for event in &snapshot.schema().events {
        let Some(table) = snapshot.event(&event.name)? else {
            continue;
        };
        for user in table.users_with_events().take(100) {
            for row in table.rows_of(user) {
                table.at(row);
                let _ = table.value(row, 0).or_else(|| table.value(row, 1));
            }
        }
    }
    let names: Vec<String> = snapshot
        .schema()
        .tags
        .iter()
        .map(|t| t.name.clone())
        .collect();
    let out = tempfile::tempdir().unwrap();
    for format in ["csv", "jsonl", "parquet"] {
        let everyone = Bitmap::all(users);
        let export = Export {
            snapshot: &snapshot,
            users: &everyone,
            tags: &names,
            zone: Zone::SHANGHAI,
        };
        let written = export.write(
            &out.path().join(format!("all.{format}")),
            &SimulatedWorld::at(Instant(0)),
        );
        assert!(written.is_ok() || written.is_err());
    }
    for tag in &snapshot.schema().tags {
        if let Some(column) = snapshot.tag(&tag.name)? {
            tagcast::store::stats::Stats::of(column, users);
        }
    }
    snapshot.intact()
}

/// A byte changed, bytes lost at the end, bytes added, another file's contents: told by name, or
/// found by the full check.
#[test]
fn damage_anywhere_is_told_by_name_and_never_a_panic() {
    let dir = desk(40);
    let store = dir.path().join(".tagcast");
    read_all(&store).unwrap();
    let world = || Arc::new(SimulatedWorld::at(Instant(0)));
    let all: Vec<PathBuf> = files(&store)
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "arrow" || e == "json"))
        .collect();
    assert!(all.len() > 25, "{all:?}");
    let foreign = fs::read(&all[0]).unwrap();
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for path in &all {
        let whole = fs::read(path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut damaged = vec![
            Vec::new(),
            foreign.clone(),
            [&whole[..], b"x"].concat(),
            vec![0; whole.len()],
            vec![0xff; whole.len()],
        ];
        damaged.extend((0..8).map(|_| whole[..random(whole.len())].to_vec()));
        damaged.extend((0..100).map(|_| {
            let mut bytes = whole.clone();
            bytes[random(whole.len())] ^= 1 << random(8);
            bytes
        }));
        for bytes in damaged {
            if bytes == whole {
                continue;
            }
            fs::remove_file(path).unwrap();
            fs::write(path, &bytes).unwrap();
            let read = catch_unwind(AssertUnwindSafe(|| read_all(&store)));
            let read = read.unwrap_or_else(|_| panic!("a panic from {name}"));
            let checked = Store::open(&store, world()).and_then(|s| s.verify());
            for error in [&read, &checked]
                .into_iter()
                .filter_map(|r| r.as_ref().err())
            {
                // A damaged manifest may name files that are not there: then these are named.
                let named = error.en().contains(name) || name == "manifest.json";
                assert!(named && !error.zh().is_empty(), "{name}: {error}");
            }
            if name != "manifest.json" {
                assert!(checked.is_err(), "{name}: the full check does not see it");
            }
        }
        fs::remove_file(path).unwrap();
        fs::write(path, &whole).unwrap();
    }
    read_all(&store).unwrap();
}

/// Where the arrays of a file with one batch lie.
fn arrays(bytes: &[u8]) -> std::ops::Range<usize> {
    let end = bytes.len() - 10;
    let footer = end - u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap()) as usize..end;
    let footer = arrow_ipc::root_as_footer(&bytes[footer]).unwrap();
    let block = footer.recordBatches().unwrap().get(0);
    let start = block.offset() as usize + block.metaDataLength() as usize;
    start..start + block.bodyLength() as usize
}

/// Values that no import would have let in: nothing that a command does with them is a panic.
#[test]
fn values_that_cannot_be_are_no_panic() {
    let dir = desk(40);
    let store = dir.path().join(".tagcast");
    let condition = "region == \"Beijing\" or age > 3 or born < 2001-01-01 or at > 10:00 or seen < 2026-06-01 00:00 or likes contains \"a\" \
                     or words contains \"x\" or total > \u{a5}3 or active or distance(home, (31.2, 121.4)) < 3km or name == \"x\" or sum(buy.amount, ever) > \u{a5}1";
    let commands = [
        &["tags", "stats"][..],
        &["tags", "stats", "--format", "json"],
        &["events", "list"],
        &["query", condition],
        &[
            "query",
            "everyone",
            "--out",
            "all.csv",
            "--columns",
            "region,age,name,score,born,at,seen,likes,words,home,total,active",
        ],
        &[
            "query",
            "everyone",
            "--out",
            "all.parquet",
            "--columns",
            "region,age,name,score,born,at,seen,likes,words,home,total,active",
        ],
    ];
    for args in commands {
        let (code, _, err) = run(dir.path(), args);
        assert_eq!(code, 0, "{args:?}\n{err}");
    }
    let mut answered = 0;
    for path in files(&store).into_iter().filter(|f| {
        f.extension().is_some_and(|e| e == "arrow") && !f.to_str().unwrap().contains(".stats.")
    }) {
        let whole = fs::read(&path).unwrap();
        for fill in [0xffu8, 0x80, 0x7f] {
            let mut bytes = whole.clone();
            bytes[arrays(&whole)].fill(fill);
            fs::remove_file(&path).unwrap();
            fs::write(&path, &bytes).unwrap();
            for args in commands {
                let (code, out, err) = run(dir.path(), args);
                assert!(
                    (0..=2).contains(&code) && !err.contains("panicked"),
                    "{path:?} {fill} {args:?}: {code}\n{out}\n{err}"
                );
                answered += usize::from(code == 0);
            }
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, &whole).unwrap();
    }
    assert!(answered > 100, "{answered}");
}

/// A question is answered from the columns as they lie; nothing is sent that was decided by bytes
/// that no import wrote.
#[test]
fn what_is_sent_stands_on_bytes_that_were_compared() {
    let dir = desk(3000);
    let campaign = "template hi \"hi\"\nwhen total > \u{a5}100 send template hi at 10:00\n";
    fs::write(dir.path().join("hello.campaign"), campaign).unwrap();
    let (code, out, err) = run(dir.path(), &["plan"]);
    assert_eq!(code, 0, "{out}\n{err}");
    for (part, named) in [("tags/total", true), (".ids", true), ("tags/likes", false)] {
        let path = file_of(dir.path(), part);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[arrays(&whole).start + 40] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, &bytes).unwrap();
        assert_eq!(
            run(dir.path(), &["query", "total > \u{a5}100", "--count"]).0,
            0
        );
        for command in [&["plan"][..], &["run", "--now", "2026-06-01T10:00"]] {
            let (code, out, err) = run(dir.path(), command);
            assert_eq!(
                code,
                if named { 2 } else { 0 },
                "{command:?} {part}\n{out}\n{err}"
            );
            assert_eq!(
                err.contains(part) && err.contains("its contents were changed"),
                named,
                "{command:?} {part}\n{out}\n{err}"
            );
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, &whole).unwrap();
    }
}
