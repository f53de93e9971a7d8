//! The store on disk: what goes in comes out, what is damaged is refused, what fails changes nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Instant, TagSchema, Type, Value};
use tagcast::store::{Column, ColumnBuilder, Store, StoreError};

fn world() -> Arc<SimulatedWorld> {
    Arc::new(SimulatedWorld::at(Instant(1_800_000_000_000_000)))
}

fn tag(name: &str, ty: Type) -> TagSchema {
    TagSchema {
        name: name.into(),
        ty,
        always: false,
        private: false,
        consent: false,
        sensitive_by: None,
        fresh: None,
        layer: None,
        refresh: None,
        source: None,
        derived: false,
    }
}

fn column(ty: Type, values: &[Option<Value>]) -> Column {
    let mut b = ColumnBuilder::new(&ty);
    values.iter().for_each(|v| b.push(v.as_ref()));
    Column { data: b.finish(), ty, written: None }
}

fn put(store: &Store, name: &str, values: &[Option<Value>]) {
    let mut writer = store.writer().unwrap();
    writer.put_tag(&tag(name, Type::Money), None, &column(Type::Money, values)).unwrap();
    writer.commit().unwrap();
}

fn files(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_tag_is_replaced_and_readers_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Store::open(dir.path(), world()), Err(StoreError::NoStore(_))));
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    put(&store, "total", &[Some(Value::Money(5)), None]);
    let before = store.snapshot().unwrap();
    put(&store, "total", &[None, Some(Value::Money(-1))]);
    let after = Store::open(dir.path(), world()).unwrap().snapshot().unwrap();
    let values = |s: &tagcast::store::Snapshot| [0, 1, 2].map(|row| s.tag("total").unwrap().value(row));
    assert_eq!(values(&before), [Some(Value::Money(5)), None, None]);
    assert_eq!(values(&after), [None, Some(Value::Money(-1)), None]);
    assert_ne!(before.digest(), after.digest());
    assert_eq!(files(&dir.path().join("tags")), ["total.2.arrow"]);
    store.verify().unwrap();
}

#[test]
fn one_writer_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    let first = store.writer().unwrap();
    let second = store.writer().err().unwrap();
    assert!(matches!(&second, StoreError::Busy(lock) if lock.ends_with("lock")));
    assert!(second.en().contains("another tagcast is writing"), "{second}");
    drop(first);
    store.writer().unwrap();
}

#[test]
fn an_uncommitted_change_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path(), world()).unwrap();
    let mut writer = store.writer().unwrap();
    writer.put_tag(&tag("t", Type::Bool), None, &column(Type::Bool, &[Some(Value::Bool(true))])).unwrap();
    assert_eq!(files(&dir.path().join("tags")).len(), 1);
    drop(writer);
    assert_eq!(files(&dir.path().join("tags")), [""; 0]);
    assert!(store.snapshot().unwrap().tag("t").is_none());
}
