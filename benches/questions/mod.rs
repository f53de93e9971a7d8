//! The questions of the audience benchmark, and the users that they are asked about.

use std::path::PathBuf;
use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Date, Elapsed, Instant, UserNo, Value, Zone};
use tagcast::engine::eval_data::{self, EvalData};
use tagcast::engine::{Project, ProjectOptions};
use tagcast::eval::{MessageLog, Tables};
use tagcast::program::typed_expr::Expr;
use tagcast::store::{Snapshot, SnapshotBuilder};

const USERS: usize = 1_000_000;
const NOW: &str = "2026-05-27";

const TAGS: &str = include_str!("tags.campaign");

/// The questions that the engines are compared by, and what they answer at ten million users of the
/// shared data.
pub const QUESTIONS: [(&str, &str, usize); 4] = [
    (
        "Q1",
        "region == \"Shanghai\" and coupon_rate > 0.3",
        422_568,
    ),
    (
        "Q2",
        "region in [\"Shanghai\", \"Beijing\", \"Zhejiang\"] and age in 25..40 and order_total > ¥500 \
         and (churn_risk > 0.7 or last_purchase < 2026-02-26) and interests contains \"beauty\"",
        73_743,
    ),
    (
        "Q3",
        "((member_level in [\"gold\", \"platinum\", \"black\"] and activity_score > 0.6) \
         or (region in [\"Shanghai\", \"Beijing\"] and last_login >= 2026-04-27)) except (churn_risk > 0.8 and lifecycle == \"lost\")",
        2_149_974,
    ),
    (
        "Q4",
        "region == \"Shanghai\" and count(purchase, last 30 days) >= 3 and sum(purchase.amount, last 90 days) > ¥500",
        4_298,
    ),
];

pub struct Bench {
    pub project: Project,
    pub data: EvalData,
}

fn world() -> Arc<dyn World> {
    Arc::new(SimulatedWorld::at(Instant(0)))
}

impl Bench {
    /// The program of `TAGCAST_BENCH_PROGRAM` with its store; without it a million users who are
    /// made up.
    pub fn open() -> Bench {
        match std::env::var_os("TAGCAST_BENCH_PROGRAM") {
            Some(folder) => {
                let folder = PathBuf::from(folder);
                let (project, snapshot) = eval_data::load(
                    std::slice::from_ref(&folder),
                    &folder.join(".tagcast"),
                    Some(NOW),
                    &world(),
                )
                .expect("a program");
                Bench::of(project, snapshot)
            }
            None => {
                let folder = tempfile::tempdir().expect("a folder");
                std::fs::write(folder.path().join("tagcast.toml"), "")
                    .expect("a folder to write to");
                std::fs::write(folder.path().join("tags.campaign"), TAGS)
                    .expect("a folder to write to");
                let options = ProjectOptions {
                    now: Some(NOW.into()),
                    store_schema: None,
                };
                let project =
                    Project::load(&[folder.path().to_path_buf()], &options, world().as_ref())
                        .expect("a program");
                let snapshot = made_up(&project);
                Bench::of(project, Arc::new(snapshot))
            }
        }
    }

    fn of(project: Project, snapshot: Arc<Snapshot>) -> Bench {
        assert!(
            !project
                .findings
                .iter()
                .any(|f| f.level == tagcast::diag::Level::Error),
            "the program checks"
        );
        let now = project.now.unwrap_or(Instant(0));
        let data = EvalData {
            prepared: project.prepared(),
            snapshot,
            tables: Tables::default(),
            own: MessageLog::default(),
            now,
        };
        Bench { project, data }
    }

    pub fn condition(&self, text: &str) -> Expr {
        eval_data::condition(&self.project, text)
            .unwrap_or_else(|_| panic!("{text} checks"))
            .0
    }

    pub fn count(&self, condition: &Expr) -> usize {
        self.data
            .counts(&self.project.program, condition)
            .expect("an audience")
            .yes
    }
}

/// Numbers that look random and are the same every time.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

fn made_up(project: &Project) -> Snapshot {
    let schema = &project.program.schema;
    let mut builder = SnapshotBuilder::new();
    (0..USERS).for_each(|i| _ = builder.user(&i.to_string()));
    let mut rng = Rng(0x9e37_79b9_7f4a_7c15);
    let today = Date::ymd(2026, 5, 27).expect("a date");
    for tag in &schema.tags {
        let mut value = |_: usize| {
            Some(match tag.name.as_str() {
                "region" => Value::Enum((rng.below(34) * rng.below(34) / 34) as u16),
                "member_level" | "lifecycle" => Value::Enum(rng.below(6) as u16),
                "age" => Value::Int(rng.below(90) as i64),
                "order_total" => Value::Money(rng.below(200_000) as i64),
                "last_purchase" | "last_login" => {
                    Value::Date(Date(today.0 - rng.below(365) as i32))
                }
                "interests" => Value::Set(
                    (0..24)
                        .filter(|_| rng.below(6) == 0)
                        .map(Value::Enum)
                        .collect(),
                ),
                _ => Value::Ratio(rng.below(1_000_000) as f32 / 1e6),
            })
        };
        builder.tag(tag.clone(), (0..USERS).map(&mut value).collect());
    }
    let now = Zone::UTC.start_of(today);
    for event in &schema.events {
        let rows = (0..USERS)
            .map(|_| {
                let at = now.minus(Elapsed::minutes(rng.below(180 * 1_440) as i64));
                (
                    UserNo(rng.below(USERS as u64) as u32),
                    at,
                    vec![Some(Value::Money(rng.below(60_000) as i64))],
                )
            })
            .collect();
        builder.event(event.clone(), rows);
    }
    builder.build()
}
