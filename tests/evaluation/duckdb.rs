//! DuckDB answers the same: made-up conditions, each written once in the language and once in SQL,
//! are asked of a store and of DuckDB over what the store exports; who is chosen and who is not
//! must be the same people, unknown included.
//!
//! `TAGCAST_DUCKDB` names DuckDB's command line or a Python that has the module; otherwise `duckdb`
//! and `python3` are looked for, and without either the test says that it is skipped.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Bitmap, Instant, UserNo, Zone};
use tagcast::engine::eval_data::{self, EvalData};
use tagcast::engine::{Project, ProjectOptions};
use tagcast::eval::{MessageLog, Tables};
use tagcast::store::import::{EventImport, Reading, TagImport};
use tagcast::store::{Store, export};

const USERS: usize = 400;
const QUESTIONS: usize = 250;
const NOW: &str = "2026-06-01 12:00:00";

const PROGRAM: &str = "policy { timezone \"UTC\" }\n\
    tag region enum(\"North\", \"South\", \"East\") base\ntag age int 0..120 base\ntag spent money behavior\ntag rate ratio behavior\n\
    tag likes set of enum(\"tea\", \"tennis\", \"travel\") behavior\ntag joined date base\ntag note text(20) base\n\
    event purchase { amount money, category text(20) optional }\n";
const TAGS: [&str; 7] = ["region", "age", "spent", "rate", "likes", "joined", "note"];

struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// DuckDB as a command that reads statements, one a line, and writes the rows of their answers as
/// `a,b`.
struct Duck {
    program: String,
    python: bool,
}

/// What a Python with the module does with the lines.
const PYTHON: &str = "import sys, duckdb
con = duckdb.connect()
for line in sys.stdin:
    rows = con.execute(line)
    if line.startswith('select'):
        for row in rows.fetchall():
            print(','.join(map(str, row)))
";

impl Duck {
    fn find() -> Option<Duck> {
        let works = |program: &str, args: &[&str]| {
            let run = Command::new(program)
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            run.is_ok_and(|status| status.success())
        };
        let named = std::env::var("TAGCAST_DUCKDB").ok();
        let candidates = named.clone().map_or_else(
            || vec!["duckdb".to_owned(), "python3".to_owned()],
            |named| vec![named],
        );
        let found = candidates.into_iter().find_map(|program| {
            let python = !works(&program, &["-csv", "-c", "select 1"]);
            (!python || works(&program, &["-c", "import duckdb"]))
                .then_some(Duck { program, python })
        });
        assert!(
            found.is_some() || named.is_none(),
            "TAGCAST_DUCKDB is neither DuckDB nor a Python with the module duckdb"
        );
        found
    }

    fn ask(&self, statements: &str) -> BTreeSet<String> {
        let args: &[&str] = if self.python {
            &["-c", PYTHON]
        } else {
            &["-csv", "-noheader"]
        };
        let mut child = Command::new(&self.program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, statements) = (child.stdin.take().unwrap(), statements.to_owned());
        let writer = std::thread::spawn(move || input.write_all(statements.as_bytes()));
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "DuckDB refuses a statement");
        writer.join().unwrap().unwrap();
        String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

/// A condition in both languages.
type Both = (String, String);

fn both(ours: impl Into<String>, sql: impl Into<String>) -> Both {
    (ours.into(), sql.into())
}

fn condition(rng: &mut Rng, depth: usize) -> Both {
    if depth == 0 || rng.one_in(4) {
        return atom(rng);
    }
    let a = condition(rng, depth - 1);
    match rng.below(5) {
        0 => both(format!("not ({})", a.0), format!("(not ({}))", a.1)),
        n => {
            let b = condition(rng, depth - 1);
            match n {
                1 | 2 => both(
                    format!("({}) and ({})", a.0, b.0),
                    format!("(({}) and ({}))", a.1, b.1),
                ),
                3 => both(
                    format!("({}) or ({})", a.0, b.0),
                    format!("(({}) or ({}))", a.1, b.1),
                ),
                _ => both(
                    format!("({}) except ({})", a.0, b.0),
                    format!("(case when {} then false else {} end)", b.1, a.1),
                ),
            }
        }
    }
}

fn atom(rng: &mut Rng) -> Both {
    let op = rng.pick(&[
        ("==", "="),
        ("!=", "<>"),
        ("<", "<"),
        ("<=", "<="),
        (">", ">"),
        (">=", ">="),
    ]);
    match rng.below(9) {
        0 | 1 => {
            let (name, a, b) = number(rng);
            match rng.below(4) {
                0 => both(
                    format!("{name} in {}..{}", a.0, b.0),
                    format!("({name} between {} and {})", a.1, b.1),
                ),
                1 => both(
                    format!("{name} in [{}, {}]", a.0, b.0),
                    format!("({name} in ({}, {}))", a.1, b.1),
                ),
                2 => both(
                    format!("({name} ?? {}) {} {}", a.0, op.0, b.0),
                    format!("(coalesce({name}, {}) {} {})", a.1, op.1, b.1),
                ),
                _ => both(
                    format!("{name} {} {}", op.0, a.0),
                    format!("({name} {} {})", op.1, a.1),
                ),
            }
        }
        2 => {
            let (a, b) = (
                rng.pick(&["North", "South", "East"]),
                rng.pick(&["North", "South", "East"]),
            );
            match rng.below(3) {
                0 => both(format!("region == \"{a}\""), format!("(region = '{a}')")),
                1 => both(
                    format!("region not in [\"{a}\", \"{b}\"]"),
                    format!("(region not in ('{a}', '{b}'))"),
                ),
                _ => both(format!("region != \"{a}\""), format!("(region <> '{a}')")),
            }
        }
        3 => {
            let name = rng.pick(&TAGS);
            let (ours, sql) = rng.pick(&[("missing", "null"), ("known", "not null")]);
            both(format!("{name} is {ours}"), format!("({name} is {sql})"))
        }
        4 => {
            let (a, b) = (
                rng.pick(&["tea", "tennis", "travel"]),
                rng.pick(&["tea", "tennis", "travel"]),
            );
            match rng.below(3) {
                0 => both(
                    format!("likes contains \"{a}\""),
                    format!("list_contains(likes, '{a}')"),
                ),
                1 => both(
                    format!("likes contains any [\"{a}\", \"{b}\"]"),
                    format!("list_has_any(likes, ['{a}', '{b}'])"),
                ),
                _ => both(
                    format!("likes contains all [\"{a}\", \"{b}\"]"),
                    format!("list_has_all(likes, ['{a}', '{b}'])"),
                ),
            }
        }
        5 => match rng.below(3) {
            0 => both("note contains \"7\"", "contains(note, '7')"),
            1 => both("note starts with \"n1\"", "starts_with(note, 'n1')"),
            _ => both(
                format!("note {} \"n25\"", op.0),
                format!("(note {} 'n25')", op.1),
            ),
        },
        _ => events(rng, op),
    }
}

/// A tag of numbers or days, and two of its values, the lesser first.
fn number(rng: &mut Rng) -> (&'static str, Both, Both) {
    let (a, b) = (rng.below(99), rng.below(99));
    let (a, b) = (a.min(b), a.max(b).max(a.min(b) + 1));
    match rng.below(4) {
        0 => (
            "age",
            both(a.to_string(), a.to_string()),
            both(b.to_string(), b.to_string()),
        ),
        1 => (
            "spent",
            both(format!("¥{a}.50"), format!("{a}.50")),
            both(format!("¥{b}"), b.to_string()),
        ),
        2 => {
            // A literal has the width of the column.
            let ratio = |n: usize| both(format!("0.{n:02}"), format!("cast(0.{n:02} as float)"));
            ("rate", ratio(a), ratio(b))
        }
        _ => {
            let day = |n: usize| format!("2025-{:02}-{:02}", 1 + n % 100 / 9, 1 + n % 9 * 3);
            (
                "joined",
                both(day(a), format!("date '{}'", day(a))),
                both(day(b), format!("date '{}'", day(b))),
            )
        }
    }
}

fn events(rng: &mut Rng, op: (&str, &str)) -> Both {
    let (window, during) = window(rng);
    let (filter, passed) = match rng.below(4) {
        0 => (" where amount > ¥50", " and amount > 50"),
        1 => (" where category == \"food\"", " and category = 'food'"),
        2 => (
            " where not category == \"food\"",
            " and not category = 'food'",
        ),
        _ => ("", ""),
    };
    let asked = |what: &str| {
        format!("(select {what} from purchase p where p.id = u.id and {during}{passed})")
    };
    let (n, yuan) = (rng.below(4), rng.below(300));
    match rng.below(5) {
        0 => both(
            format!("count(purchase{filter}, {window}) {} {n}", op.0),
            format!("({} {} {n})", asked("count(*)"), op.1),
        ),
        1 => both(
            format!("did(purchase{filter}, {window})"),
            format!("({} > 0)", asked("count(*)")),
        ),
        2 => {
            let sum = asked("coalesce(sum(amount), 0)");
            both(
                format!("sum(purchase.amount{filter}, {window}) {} ¥{yuan}", op.0),
                format!("({sum} {} {yuan})", op.1),
            )
        }
        3 => {
            let distinct = asked("count(distinct category)");
            both(
                format!("distinct(purchase.category{filter}, {window}) {} {n}", op.0),
                format!("({distinct} {} {n})", op.1),
            )
        }
        _ => {
            let what = rng.pick(&["min", "max"]);
            let value = asked(&format!("{what}(amount)"));
            both(
                format!("{what}(purchase.amount{filter}, {window}) {} ¥{yuan}", op.0),
                format!("({value} {} {yuan})", op.1),
            )
        }
    }
}

fn window(rng: &mut Rng) -> Both {
    let between = |from: &str, to: &str| {
        format!(
            "happened >= timestamp '{from}' and happened < timestamp '{to}' and happened <= timestamp '{NOW}'"
        )
    };
    match rng.below(6) {
        0 => {
            let days = 1 + rng.below(120);
            let from = format!("timestamp '{NOW}' - interval {days} day");
            both(
                format!("last {days} days"),
                format!("happened > {from} and happened <= timestamp '{NOW}'"),
            )
        }
        1 => both(
            "yesterday",
            between("2026-05-31 00:00:00", "2026-06-01 00:00:00"),
        ),
        2 => both(
            "previous month",
            between("2026-05-01 00:00:00", "2026-06-01 00:00:00"),
        ),
        3 => both(
            "2026-03-10..2026-04-20",
            between("2026-03-10 00:00:00", "2026-04-21 00:00:00"),
        ),
        4 => both(
            "since 2026-05-15",
            between("2026-05-15 00:00:00", "9999-01-01 00:00:00"),
        ),
        _ => both(
            "ever",
            between("0001-01-01 00:00:00", "9999-01-01 00:00:00"),
        ),
    }
}

/// Users with many gaps; events before, at and after now.
fn files(rng: &mut Rng, dir: &Path) {
    let (mut users, mut events) = (
        format!("id,{}\n", TAGS.join(",")),
        String::from("id,at,amount,category\n"),
    );
    for i in 0..USERS {
        let mut cell = |text: String| if rng.one_in(5) { String::new() } else { text };
        let row = [
            cell(["North", "South", "East"][i % 3].into()),
            cell((i * 7 % 100).to_string()),
            cell(format!("{}.{:02}", i * 13 % 100, i % 2 * 50)),
            cell(format!("0.{:02}", i * 31 % 100)),
            cell(["tea", "tennis", "travel", "tea|tennis", "[]"][i % 5].into()),
            cell(format!("2025-{:02}-{:02}", 1 + i % 12, 1 + i % 28)),
            cell(format!("n{}", i % 50)),
        ];
        writeln!(users, "u{i},{}", row.join(",")).unwrap();
        for _ in 0..rng.below(6) {
            let (month, day) = if rng.one_in(3) {
                (5, 31)
            } else {
                (2 + rng.below(4), 1 + rng.below(28))
            };
            let at = if rng.one_in(10) {
                NOW.into()
            } else {
                format!("2026-{month:02}-{day:02} {:02}:00:00", rng.below(24))
            };
            let at = if rng.one_in(15) {
                "2026-06-02 00:00:00".into()
            } else {
                at
            };
            let category = rng.pick(&["food", "toys", ""]);
            writeln!(
                events,
                "u{i},{at},{}.{:02},{category}",
                rng.below(200),
                rng.below(100)
            )
            .unwrap();
        }
    }
    fs::write(dir.join("users.csv"), users).unwrap();
    fs::write(dir.join("events.csv"), events).unwrap();
}

#[test]
fn duckdb_chooses_the_same_people() {
    let Some(duck) = Duck::find() else {
        return println!(
            "skipped: no DuckDB here; TAGCAST_DUCKDB names its command line, or a Python that has the module duckdb"
        );
    };
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let mut rng = Rng(20_260_601);
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::write(d.join("tags.campaign"), PROGRAM).unwrap();
    files(&mut rng, d);
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(Instant(0)));
    let options = ProjectOptions {
        now: Some(NOW.into()),
        store_schema: None,
    };
    let project = Project::load(&[d.to_path_buf()], &options, &*world).unwrap();
    let (program, store) = (
        &project.program,
        Store::create_or_open(d.join("store"), world).unwrap(),
    );
    let mut writer = store.writer().unwrap();
    let reading = Reading {
        zone: Zone::UTC,
        ..Reading::default()
    };
    let file = d.join("users.csv");
    let tags = TagImport {
        reading: reading.clone(),
        ..TagImport::of(&file, "id")
    };
    tags.run(&mut writer, &program.schema, &mut |_| {}).unwrap();
    let events = EventImport {
        file: &d.join("events.csv"),
        id: "id",
        at: "at",
        reading,
        again: false,
        source: None,
    };
    events
        .run(
            &mut writer,
            &program.schema.events[0],
            std::iter::empty(),
            &mut |_| {},
        )
        .unwrap();
    writer.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let everyone = Bitmap::all(snapshot.user_count());
    export::audience(
        &snapshot,
        &everyone,
        &TAGS.map(String::from),
        &d.join("out.parquet"),
        &**store.world(),
    )
    .unwrap();
    let data = EvalData {
        prepared: project.prepared(),
        snapshot,
        tables: Tables::default(),
        own: MessageLog::default(),
        now: project.now.unwrap(),
    };

    let columns = "{'id': 'VARCHAR', 'happened': 'TIMESTAMP', 'amount': 'DECIMAL(18,2)', 'category': 'VARCHAR'}";
    let mut statements = format!(
        "create table users as from '{0}/out.parquet';\ncreate table purchase as from read_csv('{0}/events.csv', header = true, columns = {columns});\n",
        d.display()
    );
    let cases = std::env::var("TAGCAST_CASES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(QUESTIONS);
    let questions: Vec<Both> = (0..cases).map(|_| condition(&mut rng, 3)).collect();
    for (number, (_, sql)) in questions.iter().enumerate() {
        writeln!(
            statements,
            "select 'yes {number}', id from users u where {sql};"
        )
        .unwrap();
        writeln!(
            statements,
            "select 'no {number}', id from users u where not {sql};"
        )
        .unwrap();
    }
    let theirs = duck.ask(&statements);
    for (number, (ours, sql)) in questions.iter().enumerate() {
        let Ok((condition, _)) = eval_data::condition(&project, ours) else {
            panic!("{ours} checks")
        };
        let audience = data.audience(program, &condition).unwrap();
        for no in 0..USERS as u32 {
            let no = UserNo(no);
            let id = data.snapshot.user_id(no).unwrap();
            let (yes, known) = (audience.yes.contains(no), audience.known.contains(no));
            let said = |word: &str| theirs.contains(&format!("{word} {number},{id}"));
            assert_eq!(
                (yes, known && !yes),
                (said("yes"), said("no")),
                "user {id} of\n  {ours}\n  {sql}"
            );
        }
    }
    println!("{} conditions, {} answers", questions.len(), theirs.len());
}
