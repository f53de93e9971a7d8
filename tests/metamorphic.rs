//! What must not change an answer: its being asked again, the number of threads, the order of the rows, the layout and language of the condition.
//! And what must always hold: true, false and unknown are everyone.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use ::tagcast::base::world::{SimulatedWorld, World};
use ::tagcast::base::*;
use ::tagcast::engine::data::{self, Data};
use ::tagcast::engine::{Project, ProjectOptions};
use ::tagcast::eval::{Audience, MessageLog, Tables};
use ::tagcast::store::Store;
use ::tagcast::store::import::{EventImport, Reading, TagImport};

const USERS: usize = 70_000;
const NOW: &str = "2026-06-01";

const PROGRAM: &str = "tag region enum(\"Shanghai\", \"Beijing\", \"Guangdong\", \"Sichuan\") base\ntag age int 0..120 base\ntag spent money behavior\n\
    tag rate ratio behavior\ntag likes set of enum(\"tea\", \"tennis\", \"travel\") behavior\ntag joined date base\ntag note text(20) base\n\
    event purchase { amount money }\n";

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

/// A row of each file for each user, the rows in the order of `order`.
fn files(dir: &Path, order: &[usize]) {
    let (mut users, mut events) = (String::from("id,region,age,spent,rate,likes,joined,note\n"), String::from("id,at,amount\n"));
    let start = Date::ymd(2024, 1, 1).unwrap();
    for i in order {
        let pick = |n: usize, k: usize| (i * 7919 + k * 104_729) / 31 % n;
        let cell = |k: usize, text: String| if pick(11, k) == 0 { String::new() } else { text };
        let likes = ["tea", "tennis", "travel", "tea|tennis", "[]"][pick(5, 5)];
        let row = [
            cell(1, ["Shanghai", "Beijing", "Guangdong", "Sichuan"][pick(4, 1)].into()),
            cell(2, (i % 97).to_string()),
            cell(3, format!("{}.{:02}", pick(1000, 3), pick(100, 4))),
            cell(4, format!("0.{:02}", pick(100, 6))),
            cell(5, likes.into()),
            cell(6, start.plus_days((i / 80) as i32).to_string()),
            cell(7, format!("n{i}")),
        ];
        _ = writeln!(users, "u{i},{}", row.join(","));
        for n in 0..pick(4, 8) {
            let day = Date::ymd(2026, 2, 1).unwrap().plus_days(pick(120, 9 + n) as i32);
            _ = writeln!(events, "u{i},{day} 1{n}:00,{}", pick(500, 20 + n));
        }
    }
    fs::write(dir.join("users.csv"), users).unwrap();
    fs::write(dir.join("events.csv"), events).unwrap();
}

struct Bench {
    _dir: tempfile::TempDir,
    project: Project,
    data: Data,
}

fn bench(order: &[usize]) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    fs::write(d.join("tagcast.toml"), "").unwrap();
    fs::write(d.join("tags.campaign"), PROGRAM).unwrap();
    files(d, order);
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(Instant(0)));
    let options = ProjectOptions { now: Some(NOW.into()), store_schema: None };
    let project = Project::load(&[d.to_path_buf()], &options, &*world).unwrap();
    let store = Store::create_or_open(d.join("store"), world).unwrap();
    let mut writer = store.writer().unwrap();
    let (users, events) = (d.join("users.csv"), d.join("events.csv"));
    let tags = TagImport { file: &users, id: "id", reading: Reading::default(), source: None, only: None, replace: false };
    tags.run(&mut writer, &project.program.schema, &mut |_| {}).unwrap();
    let event = EventImport { file: &events, id: "id", at: "at", reading: Reading::default(), again: false, source: None };
    event.run(&mut writer, &project.program.schema.events[0], std::iter::empty(), &mut |_| {}).unwrap();
    writer.commit().unwrap();
    let now = project.now.unwrap();
    let data = Data { snapshot: store.snapshot().unwrap(), tables: Tables::default(), own: MessageLog::default(), now };
    Bench { _dir: dir, project, data }
}

impl Bench {
    fn ask(&self, text: &str) -> Audience {
        let Ok((condition, _)) = data::condition(&self.project, text) else { panic!("{text} checks") };
        self.data.audience(&self.project.program, &condition).unwrap()
    }

    fn ids(&self, audience: &Audience) -> BTreeSet<String> {
        audience.yes.iter().map(|u| self.data.snapshot.user_id(u).unwrap().to_owned()).collect()
    }
}

#[test]
fn nothing_but_the_question_decides_the_answer() {
    let order: Vec<usize> = (0..USERS).collect();
    let bench = bench(&order);
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut answers = Vec::new();
    for text in CONDITIONS {
        let first = bench.ask(text);
        // The second time tests of columns are kept, the third time they are read from what was kept.
        for time in 0..3 {
            assert_eq!(bench.ask(text), first, "{text}, asked again {time}");
        }
        assert_eq!(one.install(|| bench.ask(text)), first, "{text}, one thread");
        let none = bench.ask(&format!("not ({text})"));
        assert_eq!(none.known, first.known, "{text}: unknown stays unknown");
        assert_eq!(none.yes.count() + first.yes.count(), first.known.count(), "{text}: true and false are all that is known");
        assert!(first.yes.minus(&first.known).is_empty(), "{text}: what is true is known");
        let spaced = text.replace(" and ", "\n  and\t").replace(" or ", "\n  or  ").replace('(', "( ");
        assert_eq!(bench.ask(&spaced), first, "{text}, in another layout");
        let count = first.yes.count();
        assert!(count > 0 && count < USERS, "{text}: {count}");
        answers.push(bench.ids(&first));
    }
    let chinese = [
        ("region == \"Shanghai\" 且 age > 30", "region == \"Shanghai\" and age > 30"),
        ("非 (age > 30 或 rate > 0.7)", "not (age > 30 or rate > 0.7)"),
    ];
    for (zh, en) in chinese {
        assert_eq!(bench.ask(zh), bench.ask(en), "{zh}");
    }
    // The rows of the files in another order: other user numbers, the same people.
    let mut shuffled = order;
    let mut state = 0x9e37_79b9u64;
    for i in (1..shuffled.len()).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        shuffled.swap(i, (state >> 33) as usize % (i + 1));
    }
    let other = self::bench(&shuffled);
    for (text, ids) in CONDITIONS.iter().zip(&answers) {
        assert_eq!(&other.ids(&other.ask(text)), ids, "{text}, rows in another order");
    }
}
