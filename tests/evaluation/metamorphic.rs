//! What must not change an answer: its being asked again, the number of threads, the order of the
//! rows, the layout and language of the condition, what the store knows of its blocks, and whether
//! a row was imported or came live. And what must always hold: true, false and unknown are
//! everyone; a list and a range mean the comparisons that they stand for.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::tagcast::base::Lang;
use ::tagcast::base::world::{SimulatedWorld, World};
use ::tagcast::base::*;
use ::tagcast::diag::Findings;
use ::tagcast::engine::eval_data::{self, EvalData};
use ::tagcast::engine::{Project, ProjectOptions};
use ::tagcast::eval::{AudienceMask, MessageLog, Tables};
use ::tagcast::format::{self, FormatOptions};
use ::tagcast::store::Store;
use ::tagcast::store::import::{EventImport, Reading, TagImport};
use ::tagcast::store::live::{Change, LiveWriter};
use ::tagcast::syntax::parse::parse;
use serde_json::json;

const USERS: usize = 70_000;
const NOW: &str = "2026-06-01";

const PROGRAM: &str = "tag region enum(\"Shanghai\", \"Beijing\", \"Guangdong\", \"Sichuan\") base\ntag age int 0..120 base\ntag spent money behavior\n\
    tag rate ratio behavior\ntag likes set of enum(\"tea\", \"tennis\", \"travel\") behavior\ntag joined date base\ntag note text(20) base\n\
    event purchase { amount money }\n\
    tag orders_30d = count(purchase, last 30 days)\ntag spent_ever = sum(purchase.amount, ever)\ntag dearest = max(purchase.amount, since 2026-04-01)\n\
    tag active = did(purchase, last 2 weeks)\n";

const TAGS: [&str; 7] = ["region", "age", "spent", "rate", "likes", "joined", "note"];

const CONDITIONS: [&str; 14] = [
    "region == \"Shanghai\"",
    "region != \"Shanghai\"",
    "region in [\"Shanghai\", \"Sichuan\"] and age in 25..40",
    "age > 30 or rate > 0.7",
    "not (age > 30 and spent > ¥500)",
    "(spent > ¥100 and rate <= 0.25) except region == \"Beijing\"",
    "likes contains \"tea\" and not likes contains \"tennis\"",
    "joined in last 30 days or joined < 2025-01-01",
    "note contains \"7\" and age is known",
    "age is missing or spent is missing",
    "spent ?? ¥0 < ¥50",
    "count(purchase, last 30 days) >= 2 and sum(purchase.amount, last 90 days) > ¥500",
    "did(purchase where amount > ¥400, last 60 days) or age < 10",
    "(age > 60 and rate > 0.4) or (age <= 60 and rate is missing)",
];

/// The tags of a user, as cells of a file.
fn tags(i: usize) -> [String; 7] {
    let pick = |n: usize, k: usize| (i * 7919 + k * 104_729) / 31 % n;
    let cell = |k: usize, text: String| {
        if pick(11, k) == 0 {
            String::new()
        } else {
            text
        }
    };
    let likes = ["tea", "tennis", "travel", "tea|tennis", "[]"][pick(5, 5)];
    [
        cell(
            1,
            ["Shanghai", "Beijing", "Guangdong", "Sichuan"][pick(4, 1)].into(),
        ),
        cell(2, (i % 97).to_string()),
        cell(3, format!("{}.{:02}", pick(1000, 3), pick(100, 4))),
        cell(4, format!("0.{:02}", pick(100, 6))),
        cell(5, likes.into()),
        cell(
            6,
            Date::ymd(2024, 1, 1)
                .unwrap()
                .plus_days((i / 80) as i32)
                .to_string(),
        ),
        cell(7, format!("n{i}")),
    ]
}

/// When a user bought, and for how much.
fn purchases(i: usize) -> impl Iterator<Item = (String, usize)> {
    let pick = move |n: usize, k: usize| (i * 7919 + k * 104_729) / 31 % n;
    (0..pick(4, 8)).map(move |n| {
        let day = Date::ymd(2026, 2, 1)
            .unwrap()
            .plus_days(pick(120, 9 + n) as i32);
        (format!("{day} 1{n}:00"), pick(500, 20 + n))
    })
}

/// A row of each file for each user, the rows in the order of `order`. Users of `late` come live:
/// some are not in the files at all, of the others the files know something else, and none of their
/// purchases.
fn files(dir: &Path, order: &[usize], late: fn(usize) -> bool) {
    let (mut users, mut events) = (
        format!("id,{}\n", TAGS.join(",")),
        String::from("id,at,amount\n"),
    );
    for i in order.iter().filter(|i| !(late(**i) && **i % 2 == 0)) {
        _ = writeln!(
            users,
            "u{i},{}",
            tags(if late(*i) { i + 1 } else { *i }).join(",")
        );
        for (at, amount) in purchases(*i).filter(|_| !late(*i)) {
            _ = writeln!(events, "u{i},{at},{amount}");
        }
    }
    fs::write(dir.join("users.csv"), users).unwrap();
    fs::write(dir.join("events.csv"), events).unwrap();
}

/// The same for the users of `late`, live.
fn live(bench: &Bench, late: fn(usize) -> bool) {
    let (schema, now) = (&bench.project.program.schema, bench.store.world().now());
    let reading = Reading::default();
    let writer = LiveWriter::open(&bench.store, schema.clone()).unwrap();
    let mut tickets = Vec::new();
    for i in (0..USERS).filter(|i| late(*i)) {
        let values: serde_json::Map<_, _> = TAGS
            .iter()
            .zip(tags(i))
            .map(|(name, cell)| ((*name).into(), cell.into()))
            .collect();
        let mut changes = Change::of_tags(
            &json!({"user": format!("u{i}"), "tags": values}),
            schema,
            &reading,
            now,
        )
        .unwrap();
        for (at, amount) in purchases(i) {
            let line =
                json!({"event": "purchase", "user": format!("u{i}"), "at": at, "amount": amount});
            changes.push(Change::of_event(&line, schema, &reading, now).unwrap());
        }
        tickets.push(writer.submit(changes));
    }
    tickets.into_iter().for_each(|t| _ = t.wait().unwrap());
}

struct Bench {
    _dir: tempfile::TempDir,
    project: Project,
    store: Store,
    data: EvalData,
}

fn bench(order: &[usize], late: fn(usize) -> bool) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::write(d.join("tags.campaign"), PROGRAM).unwrap();
    files(d, order, late);
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(
        Zone::UTC.start_of(Date::ymd(2026, 6, 1).unwrap()),
    ));
    let options = ProjectOptions {
        now: Some(NOW.into()),
        store_schema: None,
    };
    let project = Project::load(&[d.to_path_buf()], &options, &*world).unwrap();
    let store = Store::create_or_open(d.join("store"), world).unwrap();
    let mut writer = store.writer().unwrap();
    let (users, events) = (d.join("users.csv"), d.join("events.csv"));
    let tags = TagImport::of(&users, "id");
    tags.run(&mut writer, &project.program.schema, &mut |_| {})
        .unwrap();
    let event = EventImport {
        file: &events,
        id: "id",
        at: "at",
        reading: Reading::default(),
        again: false,
        source: None,
    };
    event
        .run(
            &mut writer,
            &project.program.schema.events[0],
            std::iter::empty(),
            &mut |_| {},
        )
        .unwrap();
    writer.commit().unwrap();
    let now = project.now.unwrap();
    let data = EvalData {
        prepared: project.prepared(),
        snapshot: store.snapshot().unwrap(),
        tables: Tables::default(),
        own: MessageLog::default(),
        now,
    };
    Bench {
        _dir: dir,
        project,
        store,
        data,
    }
}

fn nobody(_: usize) -> bool {
    false
}

impl Bench {
    fn ask(&self, text: &str) -> AudienceMask {
        let Ok((condition, _)) = eval_data::condition(&self.project, text) else {
            panic!("{text} checks")
        };
        self.data
            .audience(&self.project.program, &condition)
            .unwrap()
    }

    /// Looks at what the store holds by now.
    fn look(&mut self) {
        self.data.snapshot = self.store.snapshot().unwrap();
    }

    fn ids(&self, audience: &AudienceMask) -> BTreeSet<String> {
        audience
            .yes
            .iter()
            .map(|u| self.data.snapshot.user_id(u).unwrap().to_owned())
            .collect()
    }
}

#[test]
fn nothing_but_the_question_decides_the_answer() {
    let order: Vec<usize> = (0..USERS).collect();
    let bench = bench(&order, nobody);
    let one = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let mut answers = Vec::new();
    for text in CONDITIONS {
        let first = bench.ask(text);
        // The second time tests of columns are kept, the third time they are read from what was
        // kept.
        for time in 0..3 {
            assert_eq!(bench.ask(text), first, "{text}, asked again {time}");
        }
        assert_eq!(one.install(|| bench.ask(text)), first, "{text}, one thread");
        let none = bench.ask(&format!("not ({text})"));
        assert_eq!(none.known, first.known, "{text}: unknown stays unknown");
        assert_eq!(
            none.yes.count() + first.yes.count(),
            first.known.count(),
            "{text}: true and false are all that is known"
        );
        assert!(
            first.yes.minus(&first.known).is_empty(),
            "{text}: what is true is known"
        );
        let spaced = text
            .replace(" and ", "\n  and\t")
            .replace(" or ", "\n  or  ")
            .replace('(', "( ");
        assert_eq!(bench.ask(&spaced), first, "{text}, in another layout");
        for language in [Lang::Zh, Lang::En] {
            let written = formatted(text, language);
            assert_eq!(bench.ask(&written), first, "{written}");
        }
        let count = first.yes.count();
        assert!(count > 0 && count < USERS, "{text}: {count}");
        answers.push(bench.ids(&first));
    }
    // The rows of the files in another order: other user numbers, the same people.
    let mut shuffled = order;
    let mut state = 0x9e37_79b9u64;
    for i in (1..shuffled.len()).rev() {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        shuffled.swap(i, (state >> 33) as usize % (i + 1));
    }
    let other = self::bench(&shuffled, nobody);
    for (text, ids) in CONDITIONS.iter().zip(&answers) {
        assert_eq!(
            &other.ids(&other.ask(text)),
            ids,
            "{text}, rows in another order"
        );
    }
}

/// A condition in the one layout, with the keywords of a language.
fn formatted(text: &str, language: Lang) -> String {
    let text = format!("audience a = {text}\n");
    let mut findings = Findings::default();
    let file = parse(FileId(0), &text, &mut findings);
    let out = format::format(
        &file,
        &text,
        &FormatOptions {
            keywords: Some(language),
        },
    )
    .unwrap();
    assert_eq!(out.starts_with("audience"), language == Lang::En, "{out}");
    out.split_once('=').unwrap().1.trim().to_owned()
}

#[test]
fn lists_and_ranges_mean_their_comparisons() {
    let order: Vec<usize> = (0..USERS).collect();
    let bench = bench(&order, nobody);
    let mean = "avg(purchase.amount, ever)";
    // Three purchases make a mean that lies between two fen: it is none of them.
    let means: Vec<String> = (100..160)
        .flat_map(|yuan| [0, 33, 67].map(|fen| format!("¥{yuan}.{fen:02}")))
        .collect();
    let some_mean: Vec<String> = means.iter().map(|m| format!("{mean} == {m}")).collect();
    for (short, long) in [
        ("age in [3, 5, 96]", "age == 3 or age == 5 or age == 96"),
        (
            "region not in [\"Beijing\", \"Sichuan\"]",
            "region != \"Beijing\" and region != \"Sichuan\"",
        ),
        ("spent in ¥99.50..¥500", "spent >= ¥99.50 and spent <= ¥500"),
        ("rate in [0.1, 0.25]", "rate == 0.1 or rate == 0.25"),
        (
            &format!("{mean} in [{}]", means.join(", ")),
            &some_mean.join(" or "),
        ),
        (
            &format!("{mean} in ¥100..¥200.33"),
            &format!("{mean} >= ¥100 and {mean} <= ¥200.33"),
        ),
    ] {
        let answer = bench.ask(short);
        assert_eq!(answer, bench.ask(long), "{short}");
        assert!(!answer.yes.is_empty(), "{short}");
    }
}

/// Statistics only say which blocks need no look: without them the answers are the same.
#[test]
fn statistics_of_blocks_change_nothing() {
    let order: Vec<usize> = (0..USERS).collect();
    let mut bench = bench(&order, nobody);
    let with: Vec<AudienceMask> = CONDITIONS.iter().map(|text| bench.ask(text)).collect();
    assert!(
        bench
            .data
            .snapshot
            .block_stats("age")
            .unwrap()
            .is_some_and(|blocks| blocks.len() > 2)
    );
    let manifest = bench.store.dir().join("manifest.json");
    let mut json: serde_json::Value =
        serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    for tag in json["tags"].as_array_mut().unwrap() {
        assert!(tag.as_object_mut().unwrap().remove("stats").is_some());
    }
    fs::write(&manifest, json.to_string()).unwrap();
    bench.look();
    assert!(bench.data.snapshot.block_stats("age").unwrap().is_none());
    for (text, with) in CONDITIONS.iter().zip(with) {
        // Asked first, so that no kept answer of before can speak for them.
        bench.data.prepared.forget_answers();
        assert_eq!(bench.ask(text), with, "{text}");
    }
}

/// Answers about events are kept too: whatever moves (the clock, the events in files, live ones),
/// they are those of the plain definition.
#[test]
fn kept_answers_about_events_are_never_old() {
    let order: Vec<usize> = (0..USERS).collect();
    let mut bench = bench(&order, nobody);
    // A condition on the rows that all of them meet: the same question, but its answers are not
    // kept.
    let conditions = [
        (
            "orders_30d >= 2",
            "count(purchase where amount >= ¥0, last 30 days) >= 2",
        ),
        (
            "spent_ever > ¥700 or active",
            "sum(purchase.amount where amount >= ¥0, ever) > ¥700 or did(purchase where amount >= ¥0, last 2 weeks)",
        ),
        (
            "not active and orders_30d == 1",
            "not did(purchase where amount >= ¥0, last 2 weeks) and count(purchase where amount >= ¥0, last 30 days) == 1",
        ),
        (
            "dearest < ¥200",
            "max(purchase.amount where amount >= ¥0, since 2026-04-01) < ¥200",
        ),
        (
            "avg(purchase.amount, last 30 days) > ¥150",
            "avg(purchase.amount where amount >= ¥0, last 30 days) > ¥150",
        ),
        (
            "latest(purchase.amount, last 24h) is known or did(purchase, this month)",
            "latest(purchase.amount where amount >= ¥0, last 24h) is known or did(purchase where amount >= ¥0, this month)",
        ),
        (
            "count(purchase, last 30 days) in 1..2",
            "count(purchase where amount >= ¥0, last 30 days) in 1..2",
        ),
    ];
    let start = bench.data.now;
    for step in 0..4 {
        match step {
            1 => {
                let more: String = (0..USERS)
                    .map(|i| format!("u{i},2026-05-{:02} 10:00,{}\n", 1 + i % 30, i % 600))
                    .collect();
                let file = bench.store.dir().join("../more.csv");
                fs::write(&file, format!("id,at,amount\n{more}")).unwrap();
                let mut writer = bench.store.writer().unwrap();
                let import = EventImport {
                    file: &file,
                    id: "id",
                    at: "at",
                    reading: Reading::default(),
                    again: false,
                    source: None,
                };
                import
                    .run(
                        &mut writer,
                        &bench.project.program.schema.events[0],
                        std::iter::empty(),
                        &mut |_| {},
                    )
                    .unwrap();
                writer.commit().unwrap();
            }
            2 => live(&bench, |i| i % 1001 == 0),
            3 => {
                let mut writer = bench.store.writer().unwrap();
                writer.fold_live().unwrap();
                writer.commit().unwrap();
            }
            _ => {}
        }
        bench.look();
        // Back in large steps, then on in small ones, as far as to the next day and over its end.
        for minutes in [
            0,
            60,
            24 * 60,
            28_800,
            28_799,
            28_797,
            28_740,
            28_739,
            27_400,
            27_399,
        ] {
            bench.data.now = start.minus(Elapsed::minutes(minutes));
            for (text, plain) in conditions {
                let plain = bench.ask(plain);
                // Kept at the second time; then read from what is kept.
                for time in 0..3 {
                    assert_eq!(
                        bench.ask(text),
                        plain,
                        "{text}, step {step}, {minutes} minutes before, time {time}"
                    );
                }
                assert!(
                    !plain.yes.is_empty(),
                    "{text}, step {step}, {minutes} minutes before"
                );
            }
        }
    }
}

/// Whatever was imported and then changed live, or came live altogether, is as if it had been
/// imported; and so it stays when it is folded.
#[test]
fn live_changes_are_as_good_as_an_import_before_and_after_they_are_folded() {
    let late: fn(usize) -> bool = |i| i % 173 == 0;
    let order: Vec<usize> = (0..USERS).collect();
    let imported = bench(&order, nobody);
    let wanted: Vec<_> = CONDITIONS
        .iter()
        .map(|text| imported.ids(&imported.ask(text)))
        .collect();
    drop(imported);
    let mut bench = bench(&order, late);
    let differs = |bench: &Bench| {
        CONDITIONS
            .iter()
            .zip(&wanted)
            .filter(|(text, ids)| bench.ids(&bench.ask(text)) != **ids)
            .count()
    };
    assert_eq!(
        differs(&bench),
        CONDITIONS.len(),
        "the files alone say something else"
    );
    live(&bench, late);
    for folded in [false, true] {
        if folded {
            let mut writer = bench.store.writer().unwrap();
            writer.fold_live().unwrap();
            writer.commit().unwrap();
        }
        bench.look();
        assert_eq!(bench.data.snapshot.user_count(), USERS);
        for (text, ids) in CONDITIONS.iter().zip(&wanted) {
            assert_eq!(
                &bench.ids(&bench.ask(text)),
                ids,
                "{text}, folded: {folded}"
            );
        }
    }
}
