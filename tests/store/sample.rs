//! The sample data: the same every time, and true to itself.

use std::path::Path;
use std::sync::Arc;

use tagcast::base::world::SimulatedWorld;
use tagcast::base::{Instant, UserNo, Value, Zone};
use tagcast::store::sample::{Made, SampleSpec, schema};
use tagcast::store::{Snapshot, Store};

const NOW: Instant = Instant(1_800_000_000_000_000);

fn make(dir: &Path, users: u32, seed: u64) -> (Made, Arc<Snapshot>) {
    let store = Store::create_or_open(dir, Arc::new(SimulatedWorld::at(NOW))).unwrap();
    let mut writer = store.writer().unwrap();
    let made = SampleSpec {
        users,
        seed,
        now: NOW,
        zone: Zone::SHANGHAI,
    }
    .write(&mut writer, &mut |_| {})
    .unwrap();
    writer.commit().unwrap();
    (made, store.snapshot().unwrap())
}

#[test]
fn one_seed_one_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (made, a) = make(&dir.path().join("a"), 500, 1);
    let (again, b) = make(&dir.path().join("b"), 500, 1);
    let (_, c) = make(&dir.path().join("c"), 500, 2);
    assert_eq!((made, a.digest()), (again, b.digest()));
    assert_ne!(a.digest(), c.digest());
    let (_, more) = make(&dir.path().join("d"), 700, 1);
    for tag in &schema().tags {
        let (few, many) = (
            a.tag(&tag.name).unwrap().unwrap(),
            more.tag(&tag.name).unwrap().unwrap(),
        );
        assert!(
            (0..500).all(|row| few.value(row) == many.value(row)),
            "{}",
            tag.name
        );
    }
}

#[test]
fn tags_agree_with_events() {
    let dir = tempfile::tempdir().unwrap();
    let (made, s) = make(dir.path(), 3000, 7);
    assert_eq!(*s.schema(), schema());
    assert_eq!(
        (made.users, s.user_count(), s.user_id(UserNo(0))),
        (3000, 3000, Some("u0000001"))
    );
    let table = |name: &str| s.event(name).unwrap().unwrap();
    for (event, count) in &made.events {
        assert_eq!(table(event).len() as u64, *count);
        assert!(*count > 1000, "{event}: {count}");
    }
    let tag = |name: &str, user: UserNo| s.tag(name).unwrap().unwrap().value(user.index());
    for user in (0..3000).map(UserNo) {
        let rows: Vec<_> = table("purchase").rows_of(user).collect();
        let amount = |row| {
            if let Some(Value::Money(m)) = table("purchase").value(row, 0) {
                m
            } else {
                panic!("no amount")
            }
        };
        let total: i64 = rows.iter().map(|r| amount(*r)).sum();
        assert!(matches!(tag("order_total", user), Some(Value::Money(all)) if all >= total));
        assert!(rows.iter().all(|r| table("purchase").at(*r) < NOW));
        let last = rows
            .last()
            .map(|r| Value::Date(Zone::SHANGHAI.date(table("purchase").at(*r))));
        assert_eq!(tag("last_purchase", user), last);
        let coupons = table("coupon_used").rows_of(user).count();
        let rate = (!rows.is_empty()).then(|| Value::Ratio(coupons as f32 / rows.len() as f32));
        assert_eq!(tag("coupon_rate", user), rate);
    }
    // The first sentence of the tour reaches someone, and most tags are unknown for someone.
    let shanghai = |u: UserNo| {
        tag("region", u) == Some(Value::Enum(1))
            && matches!(tag("coupon_rate", u), Some(Value::Ratio(r)) if r > 0.3)
    };
    assert!((20..600).contains(&(0..3000).map(UserNo).filter(|u| shanghai(*u)).count()));
    let unknown = schema()
        .tags
        .iter()
        .filter(|t| s.tag(&t.name).unwrap().unwrap().known() < 3000)
        .count();
    assert!(unknown >= 12);
}

#[test]
#[ignore = "takes a while without optimisation: cargo test --release --test store sample -- --ignored --nocapture"]
fn real_size() {
    let dir = tempfile::tempdir().unwrap();
    let start = std::time::Instant::now();
    let (made, s) = make(dir.path(), 500_000, 1);
    println!("{made:?} in {:?}", start.elapsed());
    let start = std::time::Instant::now();
    drop(
        Store::open(dir.path(), Arc::new(SimulatedWorld::at(NOW)))
            .unwrap()
            .snapshot()
            .unwrap(),
    );
    println!("opened in {:?}", start.elapsed());
    assert_eq!(s.user_count(), 500_000);
}

/// The declarations that are written beside the sample mean the sample's schema and stand
/// formatted.
#[test]
fn declarations_are_the_schema() {
    use tagcast::diag::{Findings, Sources};
    use tagcast::store::declarations;
    let events: Vec<String> = schema().events.iter().map(declarations::event).collect();
    let text = format!("{}\n{}\n", declarations::tags(&schema()), events.join("\n"));
    let (mut sources, mut findings) = (Sources::default(), Findings::default());
    let id = sources.add("tags.campaign", &text);
    let file = tagcast::syntax::parse::parse(id, &text, &mut findings);
    assert_eq!(
        tagcast::format::format(&file, &text, &Default::default()).unwrap(),
        text
    );
    let program =
        tagcast::program::check::check(&sources, &[file], &Default::default(), &mut findings);
    assert_eq!(format!("{:?}", findings.sorted()), "[]");
    assert_eq!(program.schema, schema());
}
