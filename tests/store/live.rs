//! Live changes: durable when acknowledged, seen by every snapshot after that, the same before and
//! after they are folded. Numbers in names are those of the delivery design's cases.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::support::{self, run, tagcast};
use ::tagcast::base::world::{SimulatedWorld, World};
use ::tagcast::base::*;
use ::tagcast::store::import::TagImport;
use ::tagcast::store::live::{Change, LiveWriter};
use ::tagcast::store::{Snapshot, Store};

const PROGRAM: &str = "tag city enum(\"Shanghai\", \"Beijing\", \"Xi'an\") base\ntag age int 0..120 base\ntag spent money behavior\n\
    tag likes set of enum(\"tea\", \"tennis\") behavior\ntag note text(20) base\ntag seen instant behavior\n\
    event purchase { amount money, store text(20) optional }\nevent view { sku text(20) }\n";

fn shop() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::write(d.join("tags.campaign"), PROGRAM).unwrap();
    fs::write(
        d.join("users.csv"),
        "id,city,age,spent\nu0,Shanghai,30,5\nu1,Beijing,,7\nu2,,20,\nu3,Shanghai,40,9\n",
    )
    .unwrap();
    expect(d, &["tags", "import", "users.csv", "--id", "id"], 0);
    dir
}

#[track_caller]
fn expect(dir: &Path, args: &[&str], exit: i32) -> (String, String) {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, exit, "{args:?}\n{out}\n{err}");
    (out, err)
}

#[track_caller]
fn count(dir: &Path, condition: &str) -> u64 {
    let (out, _) = expect(
        dir,
        &[
            "query",
            condition,
            "--count",
            "--format",
            "json",
            "--now",
            "2026-06-01 12:00",
        ],
        0,
    );
    serde_json::from_str::<serde_json::Value>(&out).unwrap()["true"]
        .as_u64()
        .unwrap()
}

fn feed(dir: &Path, args: &[&str], lines: &str) -> (i32, String, String) {
    let mut child = tagcast(dir)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    support::parts(child.wait_with_output().unwrap())
}

// ------------------------------------------------------------------ commands

#[test]
fn a_tag_is_set_taken_away_and_refused() {
    let dir = shop();
    let d = dir.path();
    assert_eq!(count(d, "city == \"Beijing\""), 1);
    expect(d, &["tags", "set", "u0", "city=Beijing", "age="], 0);
    assert_eq!(
        (count(d, "city == \"Beijing\""), count(d, "age is known")),
        (2, 2)
    );
    // The columns themselves are as they were.
    let (out, _) = expect(d, &["query", "city == \"Beijing\"", "--at", "manifest"], 0);
    assert!(out.starts_with("true 1 "), "{out}");
    for (args, wanted) in [
        (&["tags", "set", "u0", "city=Atlantis"][..], "Atlantis"),
        (&["tags", "set", "u0", "age=300"], "0..120"),
        (&["tags", "set", "u0", "colour=red"], "no tag `colour`"),
    ] {
        let (_, err) = expect(d, args, 1);
        assert!(err.contains(wanted), "{err}");
    }
    expect(d, &["tags", "set", "u0", "city"], 2);
    // A user whom nobody has seen before.
    expect(d, &["tags", "set", "new one", "city=Xi'an", "note=你好"], 0);
    assert_eq!(
        (
            count(d, "city == \"Xi'an\" and note contains \"好\""),
            count(d, "everyone")
        ),
        (1, 5)
    );
}

#[test]
fn lines_are_answered_one_by_one_and_bad_ones_stop_no_other() {
    let dir = shop();
    let d = dir.path();
    let lines = "{\"user\": \"u1\", \"tags\": {\"age\": 33, \"likes\": [\"tea\"], \"spent\": 12.5}}\nnonsense\n\n\
                 {\"user\": \"u1\", \"tags\": {\"age\": 999}}\n{\"user\": \"u2\", \"tags\": {\"city\": \"Shanghai\"}, \"more\": 1}\n{\"user\": \"u9\", \"tags\": {\"age\": 18}}\n";
    let (code, out, err) = feed(d, &["tags", "set", "--format", "jsonl"], lines);
    assert_eq!(code, 1, "{err}");
    let answers: Vec<serde_json::Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let told: Vec<(u64, Option<u64>)> = answers
        .iter()
        .map(|a| (a["line"].as_u64().unwrap(), a["changes"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [(1, Some(3)), (2, None), (4, None), (5, None), (6, Some(1))]
    );
    assert_eq!(
        (
            count(
                d,
                "age == 33 and spent == ¥12.50 and likes contains \"tea\""
            ),
            count(d, "age == 18"),
            count(d, "everyone")
        ),
        (1, 1, 5)
    );
    let (code, _, err) = feed(
        d,
        &["tags", "set", "--lang", "zh"],
        "{\"user\": \"u1\", \"tags\": {\"age\": 999}}\n",
    );
    assert!(
        code == 1 && err.contains("-:1: age：") && err.contains("1 行被拒绝"),
        "{err}"
    );
}

#[test]
fn events_are_added_and_repeated_ones_count_once() {
    let dir = shop();
    let d = dir.path();
    let event = |user: &str, at: &str, id: &str, amount: &str| {
        format!(
            "{{\"event\": \"purchase\", \"user\": \"{user}\", \"at\": \"{at}\", \"id\": \"{id}\", \"amount\": {amount}}}\n"
        )
    };
    let lines = [
        event("u0", "2026-05-30 10:00", "a", "10"),
        event("u0", "2026-05-31 10:00", "b", "20.5"),
        event("u0", "2026-05-31 10:00", "b", "20.5"),
        event("u7", "2026-05-31T02:00:00Z", "c", "1"),
        event("u0", "2926-05-31 10:00", "d", "1"),
        event("u0", "2026-05-31 10:00", "e", "\"much\""),
        "{\"event\": \"purchase\", \"user\": \"u0\", \"at\": \"2026-05-31 10:00\"}\n".into(),
        "{\"event\": \"stroll\", \"user\": \"u0\"}\n".into(),
    ];
    let (code, out, err) = feed(d, &["events", "add", "--format", "jsonl"], &lines.concat());
    assert_eq!(code, 1, "{err}");
    let answers: Vec<serde_json::Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(
        answers.iter().filter(|a| a["changes"] == 1).count(),
        3,
        "{out}"
    );
    assert_eq!(
        (
            answers[2]["repeated"].as_u64(),
            answers.iter().filter(|a| a["error"].is_string()).count()
        ),
        (Some(1), 4)
    );
    let all = |d: &Path| {
        (
            count(
                d,
                "count(purchase, last 30 days) == 2 and sum(purchase.amount, last 30 days) == ¥30.50",
            ),
            count(d, "did(purchase, last 30 days)"),
        )
    };
    assert_eq!(all(d), (1, 2));
    let (out, _) = expect(d, &["tags", "compact", "--format", "json"], 0);
    assert_eq!(out.trim(), "{\"folded\":3}");
    assert_eq!(all(d), (1, 2));
    // The id is still known after folding.
    let (_, out, _) = feed(d, &["events", "add", "--format", "jsonl"], &lines[1]);
    assert!(out.contains("\"repeated\":1"), "{out}");
    assert_eq!(all(d), (1, 2));
}

// ------------------------------------------------------------------ the library

struct Place {
    dir: tempfile::TempDir,
    world: Arc<SimulatedWorld>,
}

fn schema() -> Schema {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tagcast.toml"), "").unwrap();
    fs::write(folder.path().join("tags.campaign"), PROGRAM).unwrap();
    let world = SimulatedWorld::at(Instant(0));
    let options = ::tagcast::engine::ProjectOptions::default();
    ::tagcast::engine::Project::load(&[folder.path().to_path_buf()], &options, &world)
        .unwrap()
        .program
        .schema
}

impl Place {
    fn new() -> Place {
        let world = Arc::new(SimulatedWorld::at(
            Zone::UTC.start_of(Date::ymd(2026, 6, 1).unwrap()),
        ));
        Place {
            dir: tempfile::tempdir().unwrap(),
            world,
        }
    }

    fn store(&self) -> Store {
        Store::create_or_open(self.dir.path().join("store"), self.world.clone()).unwrap()
    }

    fn live(&self, store: &Store) -> LiveWriter {
        LiveWriter::open(store, schema()).unwrap()
    }
}

fn tag(user: &str, tag: &str, value: Option<Value>, at: i64) -> Change {
    Change::Tag {
        user: user.into(),
        tag: tag.into(),
        value,
        at: Instant(at),
    }
}

fn view(user: &str, at: i64, id: &str) -> Change {
    Change::Event {
        user: user.into(),
        event: "view".into(),
        at: Instant(at),
        id: Some(id.into()),
        fields: vec![Some(Value::text("s"))],
    }
}

/// All that a snapshot knows, by user id.
fn contents(snapshot: &Snapshot) -> BTreeMap<String, Vec<String>> {
    let mut all = BTreeMap::new();
    for user in (0..snapshot.user_count() as u32).map(UserNo) {
        let mut known = Vec::new();
        for tag in &snapshot.schema().tags {
            let value = snapshot
                .tag(&tag.name)
                .unwrap()
                .and_then(|c| c.value(user.index()));
            known.extend(value.map(|v| format!("{} {v:?}", tag.name)));
        }
        for event in &snapshot.schema().events {
            let table = snapshot.event(&event.name).unwrap().unwrap();
            known.extend(table.rows_of(user).map(|row| {
                format!(
                    "{} {:?} {:?}",
                    event.name,
                    table.at(row),
                    table.value(row, 0)
                )
            }));
        }
        known.sort();
        all.insert(snapshot.user_id(user).unwrap().to_owned(), known);
    }
    all
}

/// Merging, folding, importing and opening anew, in any order, change nothing of what is known.
#[test]
fn case_50_folding_and_restarting_in_any_order_keeps_everything() {
    let mut rng = 0x2545_f491_4f6c_dd1du64;
    let mut below = |n: u64| {
        rng ^= rng << 13;
        rng ^= rng >> 7;
        rng ^= rng << 17;
        (rng >> 11) % n
    };
    for _ in 0..12 {
        let place = Place::new();
        let mut store = place.store();
        let mut live = Some(place.live(&store));
        let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let (mut ages, mut views): (BTreeMap<String, Option<i64>>, BTreeMap<String, Vec<i64>>) =
            Default::default();
        for step in 0..40 {
            match below(8) {
                0 => {
                    let mut writer = store.writer().unwrap();
                    writer.fold_live().unwrap();
                    writer.commit().unwrap();
                }
                1 => {
                    drop(live.take());
                    store = place.store();
                    live = Some(place.live(&store));
                }
                2 => {
                    let file = place.dir.path().join("import.csv");
                    let (user, age) = (format!("u{}", below(9)), below(90) as i64);
                    fs::write(&file, format!("id,age\n{user},{age}\n")).unwrap();
                    let mut writer = store.writer().unwrap();
                    let import = TagImport::of(&file, "id");
                    import.run(&mut writer, &schema(), &mut |_| {}).unwrap();
                    writer.commit().unwrap();
                    ages.insert(user, Some(age));
                }
                3 | 4 => {
                    let (user, at) = (format!("u{}", below(9)), below(1_000_000) as i64);
                    live.as_ref()
                        .unwrap()
                        .submit(vec![view(&user, at, &format!("e{step}"))])
                        .wait()
                        .unwrap();
                    views.entry(user).or_default().push(at);
                }
                _ => {
                    let user = format!("u{}", below(9));
                    let age = (below(4) > 0).then(|| below(90) as i64);
                    live.as_ref()
                        .unwrap()
                        .submit(vec![tag(&user, "age", age.map(Value::Int), step)])
                        .wait()
                        .unwrap();
                    ages.insert(user, age);
                }
            }
            wanted.clear();
            for user in ages.keys().chain(views.keys()) {
                let age = ages
                    .get(user)
                    .copied()
                    .flatten()
                    .map(|age| format!("age {:?}", Value::Int(age)));
                let seen = views
                    .get(user)
                    .into_iter()
                    .flatten()
                    .map(|at| format!("view {:?} {:?}", Instant(*at), Some(Value::text("s"))));
                let mut known: Vec<String> = age.into_iter().chain(seen).collect();
                known.sort();
                wanted.insert(user.clone(), known);
            }
            assert_eq!(contents(&store.snapshot().unwrap()), wanted, "step {step}");
        }
        drop(live);
        let numbers: Vec<String> = {
            let snapshot = store.snapshot().unwrap();
            (0..snapshot.user_count() as u32)
                .map(|n| snapshot.user_id(UserNo(n)).unwrap().to_owned())
                .collect()
        };
        let mut writer = store.writer().unwrap();
        writer.fold_live().unwrap();
        writer.commit().unwrap();
        drop(writer);
        let snapshot = place.store().snapshot().unwrap();
        assert_eq!(contents(&snapshot), wanted);
        assert!(
            numbers
                .iter()
                .zip(0..)
                .all(|(id, n)| snapshot.user_no(id) == Some(UserNo(n))),
            "numbers do not move"
        );
    }
}

/// A snapshot that somebody holds does not move, whatever is said, folded or collected meanwhile.
#[test]
fn case_51_old_readers_keep_their_answer() {
    let place = Place::new();
    let store = place.store();
    let live = place.live(&store);
    live.submit(
        (0..50)
            .map(|i| tag(&format!("u{i}"), "age", Some(Value::Int(i)), 0))
            .collect(),
    )
    .wait()
    .unwrap();
    let before = store.snapshot().unwrap();
    let known = contents(&before);
    for round in 0..6 {
        live.submit(
            (0..50)
                .map(|i| tag(&format!("u{i}"), "age", Some(Value::Int(i + round)), 1))
                .collect(),
        )
        .wait()
        .unwrap();
        let mut writer = store.writer().unwrap();
        writer.fold_live().unwrap();
        writer.commit().unwrap();
    }
    assert_eq!(contents(&before), known);
    assert_ne!(contents(&store.snapshot().unwrap()), known);
}

/// The same event after 59 minutes, and once more across a new file.
#[test]
fn case_53_an_id_is_known_for_an_hour_and_across_files() {
    let place = Place::new();
    let store = place.store();
    let live = place.live(&store);
    let send = |minutes: i64, id: &str| {
        place
            .world
            .advance_to(Instant(place.world.now().0 + minutes * 60_000_000));
        live.submit(vec![view("u1", 5, id)]).wait().unwrap().new
    };
    assert_eq!(send(0, "one"), [true]);
    assert_eq!(send(59, "one"), [false]);
    assert_eq!(send(2, "two"), [true]); // The file is an hour old after this one.
    assert_eq!(
        (send(0, "one"), send(0, "two"), send(0, "three")),
        (vec![false], vec![false], vec![true])
    );
    let files = fs::read_dir(store.dir().join("live")).unwrap().filter(|f| {
        f.as_ref()
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "db")
    });
    assert_eq!(files.count(), 2);
    let snapshot = store.snapshot().unwrap();
    assert_eq!(snapshot.event("view").unwrap().unwrap().len(), 3);
}

#[test]
fn one_process_appends_at_a_time() {
    let place = Place::new();
    let store = place.store();
    let live = place.live(&store);
    assert!(LiveWriter::open(&store, schema()).is_err());
    let clone = live.clone();
    drop(live);
    assert!(LiveWriter::open(&store, schema()).is_err());
    drop(clone);
    assert!(LiveWriter::open(&store, schema()).is_ok());
}

// ------------------------------------------------------------------ crashes

/// A world that ends every write after the first few.
struct Torn {
    inner: SimulatedWorld,
    left: AtomicI64,
}

impl World for Torn {
    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn unique(&self) -> u64 {
        self.inner.unique()
    }

    fn about_to_write(&self, _: &str) -> std::io::Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) > 0 {
            Ok(())
        } else {
            Err(std::io::Error::other("torn"))
        }
    }
}

/// Whichever write of appending and folding is the last one: what was acknowledged is there, once.
#[test]
fn case_51_every_step_of_folding_can_be_the_last() {
    for writes in 0.. {
        let place = Place::new();
        let torn = Arc::new(Torn {
            inner: SimulatedWorld::at(Instant(0)),
            left: AtomicI64::new(i64::MAX),
        });
        let store = Store::create_or_open(place.dir.path().join("store"), torn.clone()).unwrap();
        torn.left.store(writes, Ordering::SeqCst);
        let (mut acknowledged, mut whole) = (0i64, true);
        {
            let live = LiveWriter::open(&store, schema()).unwrap();
            for i in 0..3 {
                let done = live
                    .submit(vec![
                        tag("u1", "age", Some(Value::Int(i + 1)), i),
                        view("u1", i, &format!("e{i}")),
                    ])
                    .wait();
                acknowledged = if done.is_ok() { i + 1 } else { acknowledged };
                whole &= done.is_ok();
                whole &= store
                    .writer()
                    .and_then(|mut w| w.fold_live().and_then(|_| w.commit()))
                    .is_ok();
            }
        }
        let store = Store::open(place.dir.path().join("store"), place.world.clone()).unwrap();
        let snapshot = store.snapshot().unwrap();
        let age = snapshot
            .user_no("u1")
            .and_then(|u| snapshot.tag("age").unwrap()?.value(u.index()));
        assert_eq!(
            age,
            (acknowledged > 0).then_some(Value::Int(acknowledged)),
            "{writes}"
        );
        let seen = snapshot.event("view").unwrap().map_or(0, |t| t.len());
        assert_eq!(seen as i64, acknowledged, "{writes}");
        if whole {
            assert!(writes > 20, "{writes}");
            return;
        }
    }
}

/// Kill -9 while lines are being answered: each answered line is there, once, and a process that
/// asks after an answer sees it.
#[test]
fn case_47_49_what_was_answered_survives_a_kill_and_is_seen_elsewhere() {
    let dir = shop();
    let d = dir.path();
    let mut sent = 0;
    for round in 0..3 {
        let (mut child, mut answers) = adder(d);
        let mut input = child.stdin.take().unwrap();
        for i in 0..20 {
            let line = format!(
                "{{\"event\": \"view\", \"user\": \"u{}\", \"at\": \"2026-05-31 10:00\", \"id\": \"{round}-{i}\", \"sku\": \"x\"}}\n",
                i % 6
            );
            input.write_all(line.as_bytes()).unwrap();
            let mut answer = String::new();
            answers.read_line(&mut answer).unwrap();
            assert!(answer.contains("\"changes\":1"), "{answer}");
            sent += 1;
            if i % 7 == 0 {
                assert_eq!(views(d), sent, "another process sees it");
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(views(d), sent);
        if round == 1 {
            expect(d, &["tags", "compact"], 0);
        }
    }
}

/// A run sends as fast as it can while events come as fast as they can: each event that was
/// answered is there, each user got one message, and events were answered while messages left.
#[test]
fn case_48_events_come_while_messages_leave() {
    const USERS: usize = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    let campaign = "template hello { title \"hi\" body \"there\" }\n\
        campaign all { when everyone send template hello via sandbox.file at 2026-06-01 10:00 }\n";
    fs::write(d.join("a.campaign"), format!("{PROGRAM}{campaign}")).unwrap();
    let users: String = (0..USERS).map(|i| format!("u{i},{}\n", i % 90)).collect();
    fs::write(d.join("users.csv"), format!("id,age\n{users}")).unwrap();
    expect(d, &["tags", "import", "users.csv", "--id", "id"], 0);

    let (mut child, mut answers) = adder(d);
    let mut input = child.stdin.take().unwrap();
    let mut answered = 0;
    let mut add = |count: u64| {
        let lines: String = (answered..answered + count)
            .map(|i| {
                format!(
                    "{{\"event\": \"view\", \"user\": \"u{}\", \"at\": \"2026-05-31 10:00\", \"id\": \"e{i}\", \"sku\": \"x\"}}\n",
                    i % 3_000
                )
            })
            .collect();
        input.write_all(lines.as_bytes()).unwrap();
        for _ in 0..count {
            let mut answer = String::new();
            answers.read_line(&mut answer).unwrap();
            assert!(answer.contains("\"changes\":1"), "{answer}");
        }
        answered += count;
        answered
    };
    let before = add(100);
    let mut run = tagcast(d);
    run.args([
        "run",
        "--now",
        "2026-06-01 09:00",
        "--until",
        "2026-06-01 10:00",
    ])
    .stdout(Stdio::null())
    .stderr(Stdio::piped());
    let mut run = run.spawn().unwrap();
    let mut during = before;
    while run.try_wait().unwrap().is_none() {
        during = add(100);
    }
    let (code, _, err) = support::parts(run.wait_with_output().unwrap());
    assert_eq!(code, 0, "{err}");
    assert!(
        during > before,
        "events were answered while the run continued"
    );
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(views(d), during);
    let outbox = fs::read_to_string(d.join(".tagcast/outbox.jsonl")).unwrap();
    let user = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["user"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let reached: std::collections::BTreeSet<String> = outbox.lines().map(user).collect();
    assert_eq!((outbox.lines().count(), reached.len()), (USERS, USERS));
}

/// While an import continues, those of known users are answered; the one of a new user waits for it,
/// and an undeclared name is only its sender's.
#[test]
fn one_sender_holds_up_no_other() {
    let place = Place::new();
    let store = place.store();
    let live = place.live(&store);
    let at_once = |change: Change| live.submit(vec![change]).wait();
    at_once(tag("u0", "age", Some(Value::Int(1)), 0)).unwrap();
    let importing = store.writer().unwrap();
    let new_user = live.submit(vec![tag("u1", "age", Some(Value::Int(2)), 1)]);
    let undeclared = at_once(tag("u0", "shoe_size", Some(Value::Int(3)), 2)).unwrap_err();
    assert!(
        undeclared.words().en.contains("not declared"),
        "{undeclared:?}"
    );
    for i in 3..30 {
        at_once(tag("u0", "age", Some(Value::Int(i)), i)).unwrap();
    }
    assert_eq!(
        store.snapshot().unwrap().user_no("u1"),
        None,
        "it waits for its number"
    );
    drop(importing);
    new_user.wait().unwrap();
    let snapshot = store.snapshot().unwrap();
    let age = |user: &str| {
        snapshot
            .tag("age")
            .unwrap()
            .unwrap()
            .value(snapshot.user_no(user).unwrap().index())
    };
    assert_eq!(
        (age("u0"), age("u1")),
        (Some(Value::Int(29)), Some(Value::Int(2)))
    );
}

/// Every snapshot taken while changes arrive is one position of the log: what came before is in it,
/// what comes after is not.
#[test]
fn case_49_a_snapshot_during_writes_is_one_position() {
    const USERS: i64 = 10_000;
    let place = Place::new();
    let store = place.store();
    let live = place.live(&store);
    live.submit(
        (0..USERS)
            .map(|i| tag(&format!("u{i}"), "age", Some(Value::Int(0)), i))
            .collect(),
    )
    .wait()
    .unwrap();
    let start = store.snapshot().unwrap().live_position();
    // One change a position: the n-th after the start sets one user's age to 1 + n / USERS and adds
    // one event.
    let writer = std::thread::spawn({
        let live = live.clone();
        move || {
            for n in 0..250 {
                let user = format!("u{}", n * 7 % USERS);
                live.submit(vec![tag(&user, "age", Some(Value::Int(1 + n / USERS)), n)])
                    .wait()
                    .unwrap();
                live.submit(vec![view(&user, n, &format!("v{n}"))])
                    .wait()
                    .unwrap();
            }
        }
    });
    let mut seen = Vec::new();
    while !writer.is_finished() {
        let snapshot = store.snapshot().unwrap();
        let column = snapshot.tag("age").unwrap().unwrap();
        let grown = (0..snapshot.user_count())
            .filter(|row| column.value(*row) == Some(Value::Int(1)))
            .count() as u64;
        let views = snapshot
            .event("view")
            .unwrap()
            .map_or(0, |t| t.len() as u64);
        seen.push((snapshot.live_position() - start, grown, views));
        if seen.len() % 20 == 0 {
            let mut fold = store.writer().unwrap();
            fold.fold_live().unwrap();
            fold.commit().unwrap();
        }
    }
    writer.join().unwrap();
    for (position, grown, views) in &seen {
        assert_eq!(
            (grown + views, grown - views),
            (*position, position % 2),
            "of {} snapshots",
            seen.len()
        );
    }
    assert!(seen.len() > 3, "it looked while changes came");
}

/// Ten thousand users, some changed: every block asked as a whole and every user asked alone say
/// the same as the folded column.
#[test]
fn changed_blocks_are_asked_as_folded_ones_are() {
    let place = Place::new();
    let store = place.store();
    let live = place.live(&store);
    let regions = ["Shanghai", "Beijing", "Xi'an"];
    let set = |i: u32, n: u32| {
        let user = format!("u{i}");
        let age = (!n.is_multiple_of(5)).then_some(Value::Int(i64::from(n % 100)));
        vec![
            tag(&user, "age", age, i64::from(n)),
            tag(
                &user,
                "city",
                (!n.is_multiple_of(7)).then_some(Value::Enum((n % 3) as u16)),
                i64::from(n),
            ),
            tag(
                &user,
                "note",
                (!n.is_multiple_of(3)).then(|| Value::text(&format!("n{}", n % 10))),
                i64::from(n),
            ),
        ]
    };
    live.submit((0..10_000).flat_map(|i| set(i, i)).collect())
        .wait()
        .unwrap();
    let fold = || {
        let mut writer = store.writer().unwrap();
        writer.fold_live().unwrap();
        writer.commit().unwrap();
    };
    fold();
    // Two blocks of three change; one of them again in a later snapshot.
    live.submit((0..50).flat_map(|i| set(i * 3, i * 31 + 4)).collect())
        .wait()
        .unwrap();
    let _ = store.snapshot().unwrap();
    live.submit(
        (0..50)
            .flat_map(|i| set(if i % 2 == 0 { i } else { 9_000 + i }, i * 17 + 9))
            .collect(),
    )
    .wait()
    .unwrap();
    let changed = store.snapshot().unwrap();
    fold();
    let folded = store.snapshot().unwrap();
    assert!(
        changed.tag("age").unwrap().unwrap().changed().len() == 3
            && folded.tag("age").unwrap().unwrap().changed().is_empty()
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tagcast.toml"), "").unwrap();
    fs::write(folder.path().join("tags.campaign"), PROGRAM).unwrap();
    let options = ::tagcast::engine::ProjectOptions::default();
    let project = ::tagcast::engine::Project::load(
        &[folder.path().to_path_buf()],
        &options,
        place.world.as_ref(),
    )
    .unwrap();
    let data = |snapshot: &Arc<Snapshot>| ::tagcast::engine::eval_data::EvalData {
        prepared: project.prepared(),
        snapshot: snapshot.clone(),
        tables: Default::default(),
        own: Default::default(),
        now: Instant(0),
    };
    for region in regions {
        for text in [
            format!("city == \"{region}\" and age > 40"),
            format!("city != \"{region}\" or note == \"n4\""),
            "age in 10..30 and not (note contains \"7\")".to_owned(),
            "age is missing".to_owned(),
        ] {
            let (condition, _) = ::tagcast::engine::eval_data::condition(&project, &text)
                .unwrap_or_else(|_| panic!("{text} checks"));
            let (before, after) = (data(&changed), data(&folded));
            let audience = before.audience(&project.program, &condition).unwrap();
            assert_eq!(
                audience,
                after.audience(&project.program, &condition).unwrap(),
                "{text}"
            );
            for user in (0..10_000).step_by(37).map(UserNo) {
                let alone = ::tagcast::eval::Prepared::new(&project.program, &condition)
                    .holds(&before.scope(&project.program), user)
                    .unwrap();
                assert_eq!(
                    alone,
                    audience
                        .known
                        .contains(user)
                        .then(|| audience.yes.contains(user)),
                    "{text} {user}"
                );
            }
        }
    }
}

fn adder(dir: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = tagcast(dir)
        .args(["events", "add", "--format", "jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let answers = BufReader::new(child.stdout.take().unwrap());
    (child, answers)
}

fn views(dir: &Path) -> u64 {
    let store = Store::open(
        dir.join(".tagcast"),
        Arc::new(SimulatedWorld::at(Instant(0))),
    )
    .unwrap();
    store
        .snapshot()
        .unwrap()
        .event("view")
        .unwrap()
        .map_or(0, |t| t.len() as u64)
}
