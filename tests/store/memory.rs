//! Opening a store takes memory for what is looked at, not for what is there.
#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;
use std::sync::Arc;

use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Instant, TagSchema, Type, Value};
use tagcast::store::{Column, ColumnBuilder, Store};

const CHILD: &str = "TAGCAST_MEMORY_CHILD";
const MEASURED: &str = "memory measured";
const ROWS: i64 = 1_000_000;
const COLUMNS: i64 = 8;

/// Bytes of this process that are in memory, those of mapped files included.
fn resident() -> i64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4096
}

fn tag(name: &str) -> TagSchema {
    TagSchema::new(name, Type::Money)
}

/// Other tests take memory, too: this one is alone in a process of its own.
#[test]
fn a_column_takes_memory_when_it_is_asked_for() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::the_child", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(MEASURED),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_child() {
    if std::env::var_os(CHILD).is_some() {
        measure();
        println!("{MEASURED}");
    }
}

fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(SimulatedWorld::at(Instant(0)));
    {
        let store = Store::create_or_open(dir.path(), world.clone()).unwrap();
        let mut writer = store.writer().unwrap();
        for n in 0..COLUMNS {
            let mut values = ColumnBuilder::new(&Type::Money);
            (0..ROWS).for_each(|row| values.push(Some(&Value::Money(row * n))));
            writer
                .put_tag(
                    &tag(&format!("t{n}")),
                    None,
                    &Column::new(Type::Money, values.finish(), None),
                )
                .unwrap();
        }
        writer.commit().unwrap();
    }
    let before = resident();
    let snapshot = Store::open(dir.path(), world).unwrap().snapshot().unwrap();
    let opened = resident() - before;
    assert!(opened < 2_000_000, "opening took {opened} bytes");
    let column = snapshot.tag("t3").unwrap().unwrap();
    let made_ready = resident() - before;
    assert!(
        made_ready < 4_000_000,
        "making a column ready took {made_ready} bytes"
    );
    assert_eq!(
        (0..ROWS as usize)
            .filter(|row| column.value(*row) == Some(Value::Money(*row as i64 * 3)))
            .count(),
        ROWS as usize
    );
    let read = resident() - before;
    assert!(
        (ROWS * 8 - 1_000_000..ROWS * 8 * 2).contains(&read),
        "reading a column of {} bytes took {read}",
        ROWS * 8
    );
    let stats = snapshot.column_stats("t5").unwrap().unwrap();
    assert_eq!((stats.blocks().len(), stats.known()), (245, ROWS as usize));
    assert!(resident() - before < read + 1_000_000);
}
