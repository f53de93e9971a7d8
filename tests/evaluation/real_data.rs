//! Real data with known answers: files imported as a user would, conditions compared with what
//! another program found.
//!
//! The data is not part of the project; without it at hand these tests pass without doing anything.

use crate::sha256;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tagcast::base::world::SimulatedWorld;
use tagcast::base::{FileId, Instant, Zone};
use tagcast::diag::{Findings, Sources};
use tagcast::eval::{self, EvalScope, MessageLog, PreparedProgram, Tables};
use tagcast::program::check::{CheckOptions, check, check_condition};
use tagcast::program::typed::Program;
use tagcast::store::import::{EventImport, Reading, TagImport, infer};
use tagcast::store::{Snapshot, Store};
use tagcast::syntax::parse::{parse, parse_condition};

fn oracle(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TAGCAST_ORACLE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/oracle"),
        PathBuf::from,
    );
    Some(root.join(name)).filter(|p| p.exists())
}

/// A program of one file, which must check.
fn program(text: &str) -> (Program, Sources) {
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let id = sources.add("real.campaign", text);
    let file = parse(id, text, &mut findings);
    let program = check(&sources, &[file], &CheckOptions::default(), &mut findings);
    assert!(!findings.has_errors(), "{:#?}", findings.sorted());
    (program, sources)
}

/// Users for whom a condition is true, and how many it is unknown for.
fn audience(
    program: &Program,
    sources: &Sources,
    snapshot: &Snapshot,
    when: &str,
    now: Instant,
) -> (Vec<String>, usize) {
    let (mut sources, mut findings) = (sources.clone(), Findings::default());
    let id: FileId = sources.add("condition", when);
    let tree = parse_condition(id, when, &mut findings);
    let expr = tree.and_then(|t| check_condition(program, &sources, &t, &mut findings));
    let expr = expr.unwrap_or_else(|| panic!("{when}: {:#?}", findings.clone().sorted()));
    let (tables, own) = (Tables::default(), MessageLog::default());
    let scope = EvalScope {
        snapshot,
        program,
        prepared: &PreparedProgram::new(program),
        tables: &tables,
        own: &own,
        now,
        trigger: None,
        outcomes: None,
    };
    let audience = eval::audience(&scope, &expr).unwrap();
    let ids = snapshot
        .sorted_ids(&audience.yes)
        .into_iter()
        .map(|(id, _)| id.to_string())
        .collect();
    (ids, audience.known.complement().count())
}

fn lines(file: &Path) -> Vec<serde_json::Value> {
    std::fs::read_to_string(file)
        .unwrap()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

fn agree(case: &serde_json::Value, ids: &[String], unknown: Option<usize>) {
    let when = case["when"].as_str().unwrap();
    assert_eq!(Some(ids.len() as u64), case["count"].as_u64(), "{when}");
    if let Some(unknown) = unknown {
        assert_eq!(Some(unknown as u64), case["unknown"].as_u64(), "{when}");
    }
    assert_eq!(
        sha256::hex(ids.join("\n").as_bytes()),
        case["ids_sha256"],
        "{when}"
    );
}

#[test]
fn digests_are_those_of_the_standard() {
    assert_eq!(
        sha256::hex(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(
        sha256::hex(&[b'a'; 119]),
        "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb"
    );
}

const WRITTEN: &str = r#"
tag churn enum("Yes", "No") behavior
tag female bool
tag senior_citizen bool
tag partner bool
tag dependents bool
tag tenure int 0..120
tag phone_service bool
tag multiple_lines enum("Yes", "No", "No phone service")
tag internet_service enum("Fiber optic", "DSL", "No")
tag online_security enum("Yes", "No", "No internet service")
tag online_backup enum("Yes", "No", "No internet service")
tag device_protection enum("Yes", "No", "No internet service")
tag tech_support enum("Yes", "No", "No internet service")
tag streaming_tv enum("Yes", "No", "No internet service")
tag streaming_movies enum("Yes", "No", "No internet service")
tag contract enum("Two year", "One year", "Month-to-month")
tag paperless_billing bool
tag payment_method enum("Mailed check", "Electronic check", "Bank transfer (automatic)", "Credit card (automatic)")
tag monthly_charges number
tag total_charges number
"#;

#[test]
fn audiences_of_real_customers() {
    let (Some(users), Some(cases)) = (oracle("telco_users.csv"), oracle("telco_audiences.jsonl"))
    else {
        return;
    };
    let inferred = infer::tags(&users, "user_id", &Reading::default(), &|_| true)
        .unwrap()
        .text;
    for declarations in [inferred.as_str(), WRITTEN] {
        let dir = tempfile::tempdir().unwrap();
        let (program, sources) = program(declarations);
        let store =
            Store::create_or_open(dir.path(), Arc::new(SimulatedWorld::at(Instant(0)))).unwrap();
        let mut writer = store.writer().unwrap();
        let import = TagImport::of(&users, "user_id");
        import
            .run(&mut writer, &program.schema, &mut |_| {})
            .unwrap();
        writer.commit().unwrap();
        let snapshot = store.snapshot().unwrap();
        let cases = lines(&cases);
        assert_eq!(cases.len(), 200);
        for case in &cases {
            let (ids, unknown) = audience(
                &program,
                &sources,
                &snapshot,
                case["when"].as_str().unwrap(),
                Instant(0),
            );
            agree(case, &ids, Some(unknown));
        }
    }
}

fn agree_on_purchases(wanted: impl Fn(&str) -> bool, count: usize) {
    let (Some(purchases), Some(cases)) = (
        oracle("cdnow_purchases.csv"),
        oracle("cdnow_audiences.jsonl"),
    ) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (program, sources) = program("event purchase { quantity int, amount money }");
    let store =
        Store::create_or_open(dir.path(), Arc::new(SimulatedWorld::at(Instant(0)))).unwrap();
    let mut writer = store.writer().unwrap();
    let reading = Reading::default();
    let import = EventImport {
        file: &purchases,
        id: "user_id",
        at: "at",
        reading,
        again: false,
        source: None,
    };
    import
        .run(
            &mut writer,
            &program.schema.events[0],
            std::iter::empty(),
            &mut |_| {},
        )
        .unwrap();
    writer.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let mut seen = 0;
    for case in lines(&cases) {
        let when = case["when"].as_str().unwrap();
        if wanted(when) {
            let now = Zone::SHANGHAI
                .parse_instant(case["now"].as_str().unwrap())
                .unwrap();
            agree(
                &case,
                &audience(&program, &sources, &snapshot, when, now).0,
                None,
            );
            seen += 1;
        }
    }
    assert_eq!(seen, count);
}

#[test]
fn audiences_by_real_purchases() {
    agree_on_purchases(|when| !when.contains("avg("), 5);
}

#[test]
fn audiences_by_the_mean_of_real_purchases() {
    agree_on_purchases(|when| when.contains("avg("), 1);
}
