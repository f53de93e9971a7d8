//! Stores written by earlier builds open and say the same: those of `tests/stores` were each
//! written once and stay as they are.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tagcast::base::world::SimulatedWorld;
use tagcast::base::{
    Calendar, Date, Elapsed, EnumType, EventSchema, FieldSchema, GeoPoint, Instant, Layer, Schema,
    TagId, TagSchema, TimeOfDay, Type, UserNo, Value,
};
use tagcast::store::import::{EventImport, Reading, TagImport};
use tagcast::store::{BlockStats, Extent, Snapshot, Store};

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/stores")
        .join(version)
}

fn world() -> Arc<SimulatedWorld> {
    Arc::new(SimulatedWorld::at(Instant(1_800_000_000_000_000)))
}

/// A tag of every type, the cell of `u1` in a file, and the value that it is. `u2` has none.
fn tags() -> Vec<(Type, &'static str, Value)> {
    let of = |members: &[&str]| {
        Type::Enum(Arc::new(EnumType {
            members: members.iter().map(|m| m.to_string()).collect(),
        }))
    };
    let many = Type::Enum(Arc::new(EnumType {
        members: (0..300).map(|i| format!("m{i}")).collect(),
    }));
    let int = |lo, hi| Type::Int {
        lo: Some(lo),
        hi: Some(hi),
    };
    let set = |of| Type::Set(Box::new(of));
    let items = |items: Vec<Value>| Value::Set(items.into());
    vec![
        (Type::Bool, "true", Value::Bool(true)),
        (int(0, 120), "120", Value::Int(120)),
        (int(0, 1000), "1000", Value::Int(1000)),
        (int(0, 100_000), "100000", Value::Int(100_000)),
        (Type::INT, "-9000000000", Value::Int(-9_000_000_000)),
        (Type::Number, "0.1", Value::Number(0.1)),
        (Type::Ratio, "30%", Value::Ratio(0.3)),
        (Type::Money, "99.50", Value::Money(9950)),
        (Type::Text { max: Some(3) }, "上海人", Value::text("上海人")),
        (of(&["甲", "乙"]), "乙", Value::Enum(1)),
        (many.clone(), "m299", Value::Enum(299)),
        (
            set(of(&["a", "b", "c"])),
            "c|a",
            items(vec![Value::Enum(0), Value::Enum(2)]),
        ),
        (
            set(many),
            "m299|m1",
            items(vec![Value::Enum(1), Value::Enum(299)]),
        ),
        (
            set(Type::INT),
            "3|1",
            items(vec![Value::Int(1), Value::Int(3)]),
        ),
        (
            set(Type::TEXT),
            "y|x",
            items(vec![Value::text("x"), Value::text("y")]),
        ),
        (Type::Date, "2026-11-11", Value::Date(Date(20_768))),
        (Type::Time, "23:59:59", Value::Time(TimeOfDay(86_399))),
        (
            Type::Instant,
            "2026-11-11T10:00:00.000001+08:00",
            Value::Instant(Instant(1_794_362_400_000_001)),
        ),
        (Type::Elapsed, "72h", Value::Elapsed(Elapsed::hours(72))),
        (
            Type::Calendar,
            "1 month -3 days",
            Value::Calendar(Calendar {
                months: 1,
                days: -3,
            }),
        ),
        (Type::Distance, "3km", Value::Distance(3000.0)),
        (
            Type::Place,
            "31.23,121.47",
            Value::Place(GeoPoint {
                lat: 31.23,
                lon: 121.47,
            }),
        ),
        (
            Type::Address("service_account".into()),
            "o-1",
            Value::text("o-1"),
        ),
    ]
}

fn schema() -> Schema {
    let mut schema = Schema::default();
    for (i, (ty, ..)) in tags().into_iter().enumerate() {
        schema.tags.push(TagSchema {
            name: format!("标签 {i}"),
            ty,
            always: i == 0,
            private: i == 1,
            consent: i == 0,
            sensitive_by: (i == 2).then_some(TagId(0)),
            fresh: (i == 3).then_some(Elapsed::hours(48)),
            layer: [
                None,
                Some(Layer::Base),
                Some(Layer::Behavior),
                Some(Layer::Predicted),
            ][i % 4],
            refresh: (i == 4).then(|| "daily".into()),
            source: (i == 4).then(|| "registration".into()),
            derived: false,
        });
    }
    let field = |name: &str, ty, optional| FieldSchema {
        name: name.into(),
        ty,
        optional,
    };
    let fields = vec![
        field("amount", Type::Money, false),
        field("note", Type::TEXT, true),
    ];
    schema.events.push(EventSchema {
        name: "买".into(),
        fields,
    });
    schema
}

fn fill(store: &Store) {
    let dir = tempfile::tempdir().unwrap();
    let (users, events) = (dir.path().join("users.tsv"), dir.path().join("events.csv"));
    let names: Vec<String> = schema().tags.iter().map(|t| t.name.clone()).collect();
    let cells: Vec<&str> = tags().iter().map(|(_, cell, _)| *cell).collect();
    let nothing = format!("false{}", "\t".repeat(cells.len() - 1));
    fs::write(
        &users,
        format!(
            "id\t{}\nu1\t{}\nu2\t{nothing}\n",
            names.join("\t"),
            cells.join("\t")
        ),
    )
    .unwrap();
    fs::write(
        &events,
        "id,at,amount,note\nu2,2026-01-02,2,\nu2,2026-01-01,1,first\n",
    )
    .unwrap();
    let mut writer = store.writer().unwrap();
    let import = TagImport {
        source: Some("users.tsv"),
        ..TagImport::of(&users, "id")
    };
    import.run(&mut writer, &schema(), &mut |_| {}).unwrap();
    let import = EventImport {
        file: &events,
        id: "id",
        at: "at",
        reading: Reading::default(),
        again: false,
        source: Some("events.csv"),
    };
    import
        .run(
            &mut writer,
            &schema().events[0],
            std::iter::empty(),
            &mut |_| {},
        )
        .unwrap();
    writer.commit().unwrap();
}

fn holds_everything(s: &Snapshot) {
    assert_eq!(*s.schema(), schema());
    assert_eq!(
        (s.user_count(), s.user_id(UserNo(1)), s.user_no("u1")),
        (2, Some("u2"), Some(UserNo(0)))
    );
    for (tag, (_, _, value)) in schema().tags.iter().zip(tags()) {
        let column = s.tag(&tag.name).unwrap().unwrap();
        assert_eq!(column.value(0), Some(value), "{}", tag.name);
        assert_eq!(column.value(1).is_some(), tag.always, "{}", tag.name);
        assert_eq!(column.written_at(0).is_some(), tag.fresh.is_some());
    }
    let table = s.event("买").unwrap().unwrap();
    let rows: Vec<_> = table
        .rows_of(UserNo(1))
        .map(|r| (table.at(r).0, table.value(r, 0), table.value(r, 1)))
        .collect();
    let expected = [
        (
            1_767_196_800_000_000,
            Some(Value::Money(100)),
            Some(Value::text("first")),
        ),
        (1_767_283_200_000_000, Some(Value::Money(200)), None),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn stores_of_every_version_open_and_take_changes() {
    for version in ["v1", "v2", "v3"] {
        let dir = tempfile::tempdir().unwrap();
        copy(&golden(version), dir.path());
        let store = Store::open(dir.path(), world()).unwrap();
        store.verify().unwrap();
        let snapshot = store.snapshot().unwrap();
        holds_everything(&snapshot);
        assert_eq!(
            snapshot.digest(),
            fs::read_to_string(golden(version).join("digest.txt"))
                .unwrap()
                .trim()
        );
        let stats = |s: &Snapshot| s.block_stats("标签 4").unwrap().map(<[_]>::to_vec);
        let lo_and_hi = Extent::Int {
            lo: -9_000_000_000,
            hi: -9_000_000_000,
        };
        let kept = Some(vec![BlockStats {
            known: 1,
            extent: lo_and_hi,
        }]);
        assert_eq!(stats(&snapshot), kept.clone().filter(|_| version != "v1"));
        fill(&store);
        let snapshot = store.snapshot().unwrap();
        holds_everything(&snapshot);
        assert_eq!(stats(&snapshot), kept, "{version}");
        assert!(
            fs::read_to_string(dir.path().join("manifest.json"))
                .unwrap()
                .contains("\"version\": 3")
        );
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            assert!(fs::copy(entry.path(), target).is_ok())
        }
    }
}

#[test]
fn what_is_written_today_holds_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    fill(&store);
    holds_everything(&store.snapshot().unwrap());
}

#[test]
#[ignore = "writes the newest of tests/stores anew: only when the version is new"]
fn write_the_golden_store() {
    let dir = golden("v3");
    let _ = fs::remove_dir_all(&dir);
    let store = Store::create_or_open(&dir, world()).unwrap();
    fill(&store);
    fs::write(
        dir.join("digest.txt"),
        format!("{}\n", store.snapshot().unwrap().digest()),
    )
    .unwrap();
    fs::remove_file(dir.join("lock")).unwrap();
}
