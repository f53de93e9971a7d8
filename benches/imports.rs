//! How long imports take, by format: a million users with eight tags, and the same number of
//! events. `cargo bench --bench imports`.

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Bitmap, EnumType, EventSchema, FieldSchema, Instant, Schema, TagSchema, Type};
use tagcast::store::import::{EventImport, Reading, TagImport};
use tagcast::store::{Store, export};

const ROWS: u64 = 1_000_000;

fn schema() -> Schema {
    let tag = |(name, ty): (&str, Type)| TagSchema::new(name, ty);
    let regions = || {
        Type::Enum(Arc::new(EnumType {
            members: ["Shanghai", "Beijing", "Zhejiang"]
                .map(String::from)
                .to_vec(),
        }))
    };
    let tags = [
        ("region", regions()),
        ("visited", Type::Set(Box::new(regions()))),
        (
            "age",
            Type::Int {
                lo: Some(0),
                hi: Some(120),
            },
        ),
        ("rate", Type::Ratio),
        ("total", Type::Money),
        ("since", Type::Date),
        ("seen", Type::Instant),
        ("member", Type::Bool),
    ];
    let amount = FieldSchema {
        name: "total".into(),
        ty: Type::Money,
        optional: true,
    };
    Schema {
        tags: tags.map(tag).to_vec(),
        events: vec![EventSchema {
            name: "order".into(),
            fields: vec![amount],
        }],
    }
}

fn import(folder: &Path, file: &Path) -> Store {
    let _ = fs::remove_dir_all(folder);
    let store = Store::create_or_open(folder, Arc::new(SimulatedWorld::at(Instant(5)))).unwrap();
    let mut writer = store.writer().unwrap();
    let import = TagImport::of(file, "id");
    import.run(&mut writer, &schema(), &mut |_| {}).unwrap();
    writer.commit().unwrap();
    drop(writer);
    store
}

fn import_events(folder: &Path, file: &Path) {
    let _ = fs::remove_dir_all(folder);
    let store = Store::create_or_open(folder, Arc::new(SimulatedWorld::at(Instant(5)))).unwrap();
    let mut writer = store.writer().unwrap();
    let import = EventImport {
        file,
        id: "id",
        at: "seen",
        reading: Reading::default(),
        again: false,
        source: None,
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

fn imports(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::from("id,region,visited,age,rate,total,since,seen,member\n");
    for i in 0..ROWS {
        let region = ["Shanghai", "Beijing", "Zhejiang"][(i % 3) as usize];
        let (age, rate, yuan, fen) = (i * 7 % 121, i * 31 % 1000, i * 97 % 5000, i % 100);
        let (day, hour) = (1 + i % 28, i % 24);
        writeln!(
            text,
            "u{i:07},{region},Shanghai|{region},{age},0.{rate:03},{yuan}.{fen:02},2026-01-{day:02},2026-02-{day:02} {hour:02}:00,{}",
            i % 2 == 0
        )
        .unwrap();
    }
    let csv = dir.path().join("users.csv");
    fs::write(&csv, text).unwrap();
    let store = import(&dir.path().join("first"), &csv);
    let snapshot = store.snapshot().unwrap();
    let names: Vec<String> = schema().tags.iter().map(|t| t.name.clone()).collect();
    let everyone = Bitmap::all(snapshot.user_count());
    let mut group = c.benchmark_group("imports");
    group.sample_size(10).throughput(Throughput::Elements(ROWS));
    for form in ["csv", "jsonl", "parquet", "arrow"] {
        let file = dir.path().join(format!("all.{form}"));
        export::audience(&snapshot, &everyone, &names, &file, &**store.world()).unwrap();
        group.bench_function(format!("users/{form}"), |b| {
            b.iter(|| black_box(import(&dir.path().join("store"), &file)))
        });
        group.bench_function(format!("events/{form}"), |b| {
            b.iter(|| import_events(&dir.path().join("store"), &file))
        });
    }
    group.finish();
}

criterion_group!(benches, imports);
criterion_main!(benches);
