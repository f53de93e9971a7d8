//! The store on disk: what goes in comes out, what is damaged is refused, what fails changes
//! nothing.

use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{
    Bitmap, Calendar, Date, Elapsed, EnumType, GeoPoint, Instant, Schema, TagSchema, TimeOfDay,
    Type, Value, Zone,
};
use tagcast::store::export::Export;
use tagcast::store::import::TagImport;
use tagcast::store::{
    Column, ColumnBuilder, ColumnStats, Snapshot, SnapshotBuilder, Store, StoreError,
};

fn world() -> Arc<SimulatedWorld> {
    Arc::new(SimulatedWorld::at(Instant(1_800_000_000_000_000)))
}

fn tag(name: &str, ty: Type) -> TagSchema {
    TagSchema::new(name, ty)
}

fn column(ty: Type, values: &[Option<Value>]) -> Column {
    let mut b = ColumnBuilder::new(&ty);
    values.iter().for_each(|v| b.push(v.as_ref()));
    Column::new(ty, b.finish(), None)
}

fn put(store: &Store, name: &str, values: &[Option<Value>]) {
    let mut writer = store.writer().unwrap();
    writer
        .put_tag(&tag(name, Type::Money), None, &column(Type::Money, values))
        .unwrap();
    writer.commit().unwrap();
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_tag_is_replaced_and_readers_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Store::open(dir.path(), world()),
        Err(StoreError::NoStore(_))
    ));
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    put(&store, "total", &[Some(Value::Money(5)), None]);
    let before = store.snapshot().unwrap();
    put(&store, "total", &[None, Some(Value::Money(-1))]);
    let after = Store::open(dir.path(), world())
        .unwrap()
        .snapshot()
        .unwrap();
    let values = |s: &tagcast::store::Snapshot| {
        [0, 1, 2].map(|row| s.tag("total").unwrap().unwrap().value(row))
    };
    assert_eq!(values(&before), [Some(Value::Money(5)), None, None]);
    assert_eq!(values(&after), [None, Some(Value::Money(-1)), None]);
    assert_ne!(before.digest(), after.digest());
    store.verify().unwrap();
}

#[test]
fn what_is_replaced_stays_for_two_changes_and_a_minute() {
    let dir = tempfile::tempdir().unwrap();
    let world = world();
    let store = Store::create_or_open(dir.path(), world.clone()).unwrap();
    let columns = || {
        let mut names = files(&dir.path().join("tags"));
        names.retain(|n| !n.contains("stats"));
        names
    };
    let later = |seconds| world.advance_to(world.now().plus(Elapsed::seconds(seconds)));
    put(&store, "t", &[Some(Value::Money(1))]);
    put(&store, "t", &[Some(Value::Money(2))]);
    assert_eq!(columns(), ["t.1.arrow", "t.2.arrow"]);
    later(61);
    put(&store, "t", &[Some(Value::Money(3))]);
    assert_eq!(columns(), ["t.1.arrow", "t.2.arrow", "t.3.arrow"]); // A minute has passed, but only one more change.
    put(&store, "t", &[Some(Value::Money(4))]);
    assert_eq!(columns(), ["t.2.arrow", "t.3.arrow", "t.4.arrow"]);
    put(&store, "t", &[Some(Value::Money(5))]);
    assert_eq!(
        columns(),
        ["t.2.arrow", "t.3.arrow", "t.4.arrow", "t.5.arrow"]
    ); // Two changes, but no minute since `t.2` was replaced.
    later(59);
    drop(store.writer().unwrap());
    assert_eq!(columns().len(), 4);
    later(2);
    put(&store, "t", &[Some(Value::Money(6))]);
    assert_eq!(
        columns(),
        ["t.4.arrow", "t.5.arrow", "t.6.arrow"].map(String::from)[..]
    );
}

#[test]
fn a_snapshot_outlives_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    put(&store, "t", &[Some(Value::Money(1)), None]);
    put(&store, "same", &[Some(Value::Money(9))]);
    let before = store.snapshot().unwrap();
    put(&store, "t", &[None, Some(Value::Money(2))]);
    let after = store.snapshot().unwrap();
    for name in files(&dir.path().join("tags")) {
        fs::remove_file(dir.path().join("tags").join(name)).unwrap();
    }
    // Nothing of them was read before.
    let value = |s: &Snapshot, name: &str, row| s.tag(name).unwrap().unwrap().value(row);
    assert_eq!(
        [0, 1].map(|row| value(&before, "t", row)),
        [Some(Value::Money(1)), None]
    );
    assert_eq!(
        [0, 1].map(|row| value(&after, "t", row)),
        [None, Some(Value::Money(2))]
    );
    before.intact().unwrap();
    // What has not changed is read once for both.
    assert!(std::ptr::eq(
        before.tag("same").unwrap().unwrap(),
        after.tag("same").unwrap().unwrap()
    ));
    assert!(Arc::ptr_eq(&store.snapshot().unwrap(), &after));
}

#[test]
fn readers_of_other_stores_never_miss_a_file_while_writers_replace_it() {
    let dir = tempfile::tempdir().unwrap();
    let world = world();
    let store = Store::create_or_open(dir.path(), world.clone()).unwrap();
    put(&store, "t", &[Some(Value::Money(0))]);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut reads, mut newest) = (0, 0);
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        let other = Store::open(dir.path(), world.clone()).unwrap();
                        let snapshot = other.snapshot().unwrap();
                        let Some(Value::Money(n)) = snapshot.tag("t").unwrap().unwrap().value(0)
                        else {
                            panic!("no value")
                        };
                        assert!(n >= newest);
                        (reads, newest) = (reads + 1, n);
                    }
                    reads
                })
            })
            .collect();
        for i in 1..=40 {
            world.advance_to(world.now().plus(Elapsed::hours(1))); // Nothing is kept for its age.
            put(&store, "t", &[Some(Value::Money(i))]);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(readers.into_iter().all(|r| r.join().unwrap() > 0));
    });
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    let first = store.writer().unwrap();
    let second = store.writer().err().unwrap();
    assert!(matches!(&second, StoreError::Busy(lock) if lock.ends_with("lock")));
    assert!(
        second.en().contains("another tagcast is writing"),
        "{second}"
    );
    drop(first);
    store.writer().unwrap();
}

#[test]
fn an_uncommitted_change_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    let mut writer = store.writer().unwrap();
    writer
        .put_tag(
            &tag("t", Type::Bool),
            None,
            &column(Type::Bool, &[Some(Value::Bool(true))]),
        )
        .unwrap();
    assert_eq!(files(&dir.path().join("tags")).len(), 2);
    drop(writer);
    assert_eq!(files(&dir.path().join("tags")), [""; 0]);
    assert!(store.snapshot().unwrap().tag("t").unwrap().is_none());
}

fn enum_of(count: usize) -> Type {
    Type::Enum(Arc::new(EnumType {
        members: (0..count).map(|i| format!("成员 {i}|\"")).collect(),
    }))
}

fn set_of(of: Type) -> Type {
    Type::Set(Box::new(of))
}

/// Every type that a tag can have, in every form of storage.
fn types() -> Vec<Type> {
    let int = |lo, hi| Type::Int {
        lo: Some(lo),
        hi: Some(hi),
    };
    vec![
        Type::Bool,
        int(-128, 127),
        int(-32_768, 128),
        int(0, 2_147_483_647),
        int(i64::MIN, 0),
        Type::INT,
        Type::Number,
        Type::Ratio,
        Type::Money,
        Type::TEXT,
        Type::Text { max: Some(3) },
        enum_of(1),
        enum_of(256),
        enum_of(257),
        set_of(enum_of(64)),
        set_of(enum_of(65)),
        set_of(Type::INT),
        set_of(Type::TEXT),
        Type::Date,
        Type::Time,
        Type::Instant,
        Type::Elapsed,
        Type::Calendar,
        Type::Distance,
        Type::Place,
        Type::Address("wecom".into()),
    ]
}

/// The ends of what a type holds.
fn extremes(ty: &Type) -> Vec<Value> {
    match ty {
        Type::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Type::Int { lo, hi } => vec![
            Value::Int(lo.unwrap_or(i64::MIN)),
            Value::Int(hi.unwrap_or(i64::MAX)),
        ],
        Type::Number => vec![
            Value::Number(f64::MIN),
            Value::Number(f64::MAX),
            Value::Number(f64::MIN_POSITIVE),
            Value::Number(-0.0),
        ],
        Type::Ratio => vec![Value::Ratio(0.0), Value::Ratio(1.0), Value::Ratio(0.3)],
        Type::Money => vec![Value::Money(i64::MIN), Value::Money(i64::MAX)],
        Type::Text { max: Some(_) } => vec![Value::text("三个字")],
        Type::Text { max: None } | Type::Address(_) => {
            vec![Value::text(""), Value::text("a\n\"b\",\0c🎉")]
        }
        Type::Enum(of) => vec![Value::Enum(0), Value::Enum(of.members.len() as u16 - 1)],
        Type::Set(of) => vec![Value::Set([].into()), Value::Set(extremes(of).into())],
        Type::Date => vec![Value::Date(Date(i32::MIN)), Value::Date(Date(i32::MAX))],
        Type::Time => vec![Value::Time(TimeOfDay(0)), Value::Time(TimeOfDay(86_399))],
        Type::Instant => vec![
            Value::Instant(Instant(i64::MIN)),
            Value::Instant(Instant(i64::MAX)),
        ],
        Type::Elapsed => vec![
            Value::Elapsed(Elapsed(i64::MIN)),
            Value::Elapsed(Elapsed(i64::MAX)),
        ],
        Type::Calendar => {
            let ends = [
                (i32::MIN, i32::MAX),
                (i32::MAX, i32::MIN),
                (-1, -1),
                (0, -1),
                (-1, 0),
            ];
            ends.map(|(months, days)| Value::Calendar(Calendar { months, days }))
                .to_vec()
        }
        Type::Distance => vec![Value::Distance(0.0), Value::Distance(f64::MAX)],
        Type::Place => vec![
            Value::Place(GeoPoint {
                lat: -90.0,
                lon: -180.0,
            }),
            Value::Place(GeoPoint {
                lat: 90.0,
                lon: 180.0,
            }),
        ],
    }
}

fn written_and_read(name: &str, ty: &Type, values: &[Option<Value>]) -> Vec<Option<Value>> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    let mut writer = store.writer().unwrap();
    writer
        .put_tag(&tag(name, ty.clone()), None, &column(ty.clone(), values))
        .unwrap();
    writer.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let column = snapshot.tag(name).unwrap().unwrap();
    let stats = snapshot.column_stats(name).unwrap().unwrap();
    assert_eq!(*stats, ColumnStats::of(column.stored().0));
    assert_eq!(stats.known(), values.iter().flatten().count());
    assert_eq!(
        (&column.ty, column.len(), column.is_valid(values.len())),
        (ty, values.len(), false)
    );
    (0..values.len()).map(|row| column.value(row)).collect()
}

#[test]
fn extremes_of_every_type_come_back_from_disk() {
    for ty in types() {
        let mut values: Vec<Option<Value>> = extremes(&ty).into_iter().map(Some).collect();
        values.insert(1, None);
        values.push(None);
        assert_eq!(
            written_and_read("a/b..c", &ty, &values),
            values,
            "{}",
            ty.describe()
        );
        assert_eq!(written_and_read("空", &ty, &[]), [], "{}", ty.describe());
        assert_eq!(
            written_and_read("t", &ty, &[None, None]),
            [None, None],
            "{}",
            ty.describe()
        );
    }
}

/// Values that a text file can hold too.
fn value(ty: &Type) -> BoxedStrategy<Value> {
    match ty.clone() {
        Type::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Type::Int { lo, hi } => {
            let (lo, hi) = (
                lo.unwrap_or(i64::MIN).max(-(10i64.pow(17))),
                hi.unwrap_or(i64::MAX).min(10i64.pow(17)),
            );
            (lo..=hi).prop_map(Value::Int).boxed()
        }
        Type::Number => any::<f64>()
            .prop_filter("finite", |f| f.is_finite())
            .prop_map(Value::Number)
            .boxed(),
        Type::Ratio => (0f32..=1.0).prop_map(Value::Ratio).boxed(),
        Type::Money => (-(10i64.pow(17))..10i64.pow(17))
            .prop_map(Value::Money)
            .boxed(),
        Type::Text { max } => {
            prop::string::string_regex(&format!("\\PC{{1,{}}}", max.unwrap_or(20)))
                .unwrap()
                .prop_map(|t| Value::text(&t))
                .boxed()
        }
        Type::Address(_) => "[a-zA-Z0-9_|,-]{1,20}"
            .prop_map(|t| Value::text(&t))
            .boxed(),
        Type::Enum(of) => (0..of.members.len() as u16).prop_map(Value::Enum).boxed(),
        Type::Set(of) => prop::collection::vec(value(&of), 0..5)
            .prop_map(|items| {
                let mut keyed: Vec<_> = items.into_iter().map(|v| (key(&v), v)).collect();
                keyed.sort_by(|a, b| a.0.cmp(&b.0));
                keyed.dedup_by(|a, b| a.0 == b.0);
                Value::Set(keyed.into_iter().map(|(_, v)| v).collect())
            })
            .boxed(),
        Type::Date => (-700_000..2_900_000i32)
            .prop_map(|d| Value::Date(Date(d)))
            .boxed(),
        Type::Time => (0..86_400u32)
            .prop_map(|t| Value::Time(TimeOfDay(t)))
            .boxed(),
        Type::Instant => (-(6 * 10i64.pow(16))..2 * 10i64.pow(17))
            .prop_map(|t| Value::Instant(Instant(t)))
            .boxed(),
        Type::Elapsed => (-(10i64.pow(15))..10i64.pow(15))
            .prop_map(|t| Value::Elapsed(Elapsed(t)))
            .boxed(),
        Type::Calendar => (any::<i32>(), any::<i32>())
            .prop_map(|(months, days)| Value::Calendar(Calendar { months, days }))
            .boxed(),
        Type::Distance => (0f64..1e9).prop_map(Value::Distance).boxed(),
        Type::Place => (-90f64..=90.0, -180f64..=180.0)
            .prop_map(|(lat, lon)| Value::Place(GeoPoint { lat, lon }))
            .boxed(),
    }
}

/// The order of set items.
fn key(v: &Value) -> (i64, String) {
    match v {
        Value::Int(i) => (*i, String::new()),
        Value::Enum(c) => ((*c).into(), String::new()),
        Value::Text(t) => (0, t.to_string()),
        other => panic!("{other:?} is no item"),
    }
}

fn rows() -> impl Strategy<Value = Vec<Vec<Option<Value>>>> {
    let row: Vec<_> = types()
        .iter()
        .map(|ty| prop::option::of(value(ty)))
        .collect();
    prop::collection::vec(row, 1..60)
}

/// One tag a type, all of them public so that they can be exported.
fn all_types() -> Schema {
    let types = types()
        .into_iter()
        .filter(|t| !matches!(t, Type::Address(_)));
    Schema {
        tags: types
            .enumerate()
            .map(|(i, ty)| tag(&format!("t{i}"), ty))
            .collect(),
        events: Vec::new(),
    }
}

fn snapshot_of(schema: &Schema, rows: &[Vec<Option<Value>>]) -> Snapshot {
    let mut b = SnapshotBuilder::new();
    (0..rows.len()).for_each(|i| {
        b.user(&format!("u{i}"));
    });
    for (i, tag) in schema.tags.iter().enumerate() {
        b.tag(tag.clone(), rows.iter().map(|r| r[i].clone()).collect());
    }
    b.build()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_exported_is_imported_as_it_was(rows in rows()) {
        let schema = all_types();
        let snapshot = snapshot_of(&schema, &rows);
        let names: Vec<String> = schema.tags.iter().map(|t| t.name.clone()).collect();
        let dir = tempfile::tempdir().unwrap();
        for format in ["csv", "tsv", "jsonl", "parquet", "arrow"] {
            let file = dir.path().join(format!("users.{format}"));
            let everyone = Bitmap::all(rows.len());
            let export = Export { snapshot: &snapshot, users: &everyone, tags: &names, zone: Zone::SHANGHAI };
            prop_assert_eq!(export.write(&file, &*world()).unwrap(), rows.len());
            let store = Store::create_or_open(dir.path().join(format), world()).unwrap();
            let mut writer = store.writer().unwrap();
            let import = TagImport::of(&file, "id");
            if let Err(e) = import.run(&mut writer, &schema, &mut |_| {}) {
                prop_assert!(false, "{format}: {e:?}");
            }
            writer.commit().unwrap();
            let back = store.snapshot().unwrap();
            for (i, name) in names.iter().enumerate() {
                for (row, values) in rows.iter().enumerate() {
                    let user = back.user_no(&format!("u{row}")).unwrap();
                    let found = back.tag(name).unwrap().and_then(|c| c.value(user.index()));
                    prop_assert_eq!(&found, &values[i], "{} {} {}", format, name, schema.tags[i].ty.describe());
                }
            }
            store.verify().unwrap();
        }
    }

    #[test]
    fn memory_and_disk_have_one_digest(rows in rows()) {
        let schema = all_types();
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(dir.path(), world()).unwrap();
        let mut writer = store.writer().unwrap();
        let memory = snapshot_of(&schema, &rows);
        for tag in &schema.tags {
            writer.put_tag(tag, None, memory.tag(&tag.name).unwrap().unwrap()).unwrap();
        }
        writer.commit().unwrap();
        let mut b = SnapshotBuilder::new();
        for (i, tag) in schema.tags.iter().enumerate() {
            b.tag(tag.clone(), rows.iter().map(|r| r[i].clone()).collect());
        }
        // Without users on both sides: a store without users has no file of ids.
        let digest = b.build().digest().to_string();
        let stored = store.snapshot().unwrap();
        prop_assert_eq!(stored.digest(), digest);
    }
}
