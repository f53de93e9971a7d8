//! A change to the store that is cut off anywhere leaves the old state or the new one, and can be
//! made again.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tagcast::base::world::World;
use tagcast::base::{Bitmap, EventSchema, FieldSchema, Instant, Schema, TagSchema, Type};
use tagcast::store::import::{EventImport, ImportError, Reading, TagImport};
use tagcast::store::{Doing, Store, StoreError, export};

/// What happens before the writes.
enum Fault {
    None,
    /// A copy of the folder is kept before each: what a machine that dies there finds when it
    /// starts again.
    Copy {
        from: PathBuf,
        to: PathBuf,
    },
    /// The write with this number and all after it fail.
    Fail(usize, io::ErrorKind),
}

struct Faulty {
    fault: Fault,
    count: AtomicUsize,
    clock: AtomicI64,
    seen: Mutex<Vec<String>>,
}

impl Faulty {
    fn new(fault: Fault) -> Arc<Self> {
        Arc::new(Faulty {
            fault,
            count: AtomicUsize::new(0),
            clock: AtomicI64::new(1),
            seen: Mutex::new(Vec::new()),
        })
    }
}

impl World for Faulty {
    fn now(&self) -> Instant {
        Instant(self.clock.load(Ordering::SeqCst))
    }

    fn unique(&self) -> u64 {
        0
    }

    fn about_to_write(&self, what: &str) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::SeqCst);
        self.seen.lock().unwrap().push(what.into());
        match &self.fault {
            Fault::None => Ok(()),
            Fault::Copy { from, to } => copy(from, &to.join(number.to_string())),
            Fault::Fail(at, kind) if number >= *at => Err((*kind).into()),
            Fault::Fail(..) => Ok(()),
        }
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?
        } else {
            fs::copy(entry.path(), target).map(drop)?
        }
    }
    Ok(())
}

fn schema() -> Schema {
    let tag = |name: &str, ty, fresh: bool| TagSchema {
        fresh: fresh.then_some(tagcast::base::Elapsed::hours(1)),
        ..TagSchema::new(name, ty)
    };
    let amount = FieldSchema {
        name: "amount".into(),
        ty: Type::Money,
        optional: false,
    };
    Schema {
        tags: vec![tag("age", Type::INT, false), tag("name", Type::TEXT, true)],
        events: vec![EventSchema {
            name: "buy".into(),
            fields: vec![amount],
        }],
    }
}

/// What is imported, in one change.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    TagsAndEvents,
    /// As `--upsert`.
    Upsert,
    /// As `--replace`.
    Replace,
    /// As `--only age`.
    Only,
    Append,
}

const ALL: [(Kind, &str); 6] = [
    (Kind::TagsAndEvents, "csv"),
    (Kind::Upsert, "parquet"),
    (Kind::Replace, "parquet"),
    (Kind::Only, "parquet"),
    (Kind::Append, "parquet"),
    (Kind::Append, "csv"),
];

fn change(
    store: &Store,
    kind: Kind,
    (tags, events): &(PathBuf, PathBuf),
) -> Result<(), ImportError> {
    let mut writer = store.writer()?;
    let age = ["age".to_string()];
    let only = (kind == Kind::Only).then_some(&age[..]);
    if kind != Kind::Append {
        let import = // Without memory, so that rows wait in a file.
        TagImport { only, replace: kind == Kind::Replace, memory: 0, ..TagImport::of(tags, "id") };
        import.run(&mut writer, &schema(), &mut |_| {})?;
    }
    if matches!(kind, Kind::Append | Kind::TagsAndEvents) {
        let import = EventImport {
            file: events,
            id: "id",
            at: "at",
            reading: Reading::default(),
            again: true,
            source: None,
        };
        import.run(
            &mut writer,
            &schema().events[0],
            std::iter::empty(),
            &mut |_| {},
        )?;
    }
    Ok(writer.commit()?)
}

/// A CSV file of users as Parquet, its columns in the types of `tags`.
fn parquet(csv: &Path, tags: &[(&str, Type)]) -> PathBuf {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::create_or_open(dir.path().join("store"), Faulty::new(Fault::None)).unwrap();
    let schema = Schema {
        tags: tags
            .iter()
            .map(|(name, ty)| TagSchema::new(name, ty.clone()))
            .collect(),
        events: Vec::new(),
    };
    let mut writer = store.writer().unwrap();
    let import = TagImport::of(csv, "id");
    import.run(&mut writer, &schema, &mut |_| {}).unwrap();
    writer.commit().unwrap();
    let snapshot = store.snapshot().unwrap();
    let names: Vec<String> = tags.iter().map(|(name, _)| name.to_string()).collect();
    let out = csv.with_extension("parquet");
    export::audience(
        &snapshot,
        &Bitmap::all(snapshot.user_count()),
        &names,
        &out,
        &*Faulty::new(Fault::None),
    )
    .unwrap();
    out
}

struct Desk {
    dir: tempfile::TempDir,
    kind: Kind,
    second: (PathBuf, PathBuf),
}

impl Desk {
    /// A store that one change has been made to, and the files of the next one.
    fn new(kind: Kind, form: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let first = (
            write("a.csv", "id,age,name\nu1,30,甲\nu2,40,乙\n"),
            write("a1.csv", "id,at,amount\nu1,2026-01-01,5\n"),
        );
        let mut second = (
            write("b.csv", "id,age,name\nu3,50,丙\nu1,31,\n"),
            write("b1.csv", "id,at,amount\nu4,2026-01-02,6\nu1,2025-01-01,7\n"),
        );
        let store =
            Store::create_or_open(dir.path().join("store"), Faulty::new(Fault::None)).unwrap();
        change(&store, Kind::TagsAndEvents, &first).unwrap();
        if form == "parquet" {
            let events = [("at", Type::Instant), ("amount", Type::Money)];
            second = (
                parquet(&second.0, &[("age", Type::INT), ("name", Type::TEXT)]),
                parquet(&second.1, &events),
            );
        }
        Desk { dir, kind, second }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn change(&self, store: &Store) -> Result<(), ImportError> {
        change(store, self.kind, &self.second)
    }
}

fn digest(dir: &Path) -> String {
    let store = Store::open(dir, Faulty::new(Fault::None)).unwrap();
    store.verify().unwrap();
    store.snapshot().unwrap().digest().to_string()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path))
        } else {
            all.push(path)
        }
    }
    all.sort();
    all
}

/// Digests before and after the change.
fn both(desk: &Desk) -> (String, String) {
    let before = digest(&desk.path("store"));
    copy(&desk.path("store"), &desk.path("done")).unwrap();
    desk.change(&Store::open(desk.path("done"), Faulty::new(Fault::None)).unwrap())
        .unwrap();
    (before, digest(&desk.path("done")))
}

/// Cuts the files that no manifest names to `part` of their length: what a disk may have kept of
/// them.
fn tear(dir: &Path, part: impl Fn(u64) -> u64) {
    let manifest = fs::read_to_string(dir.join("manifest.json")).unwrap();
    for path in files(dir) {
        let name = path.strip_prefix(dir).unwrap().to_str().unwrap();
        if name != "manifest.json" && !manifest.contains(&format!("\"{name}\"")) {
            let mut permissions = fs::metadata(&path).unwrap().permissions();
            #[allow(clippy::permissions_set_readonly_false)]
            permissions.set_readonly(false);
            fs::set_permissions(&path, permissions).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_len(part(file.metadata().unwrap().len())).unwrap();
        }
    }
}

#[test]
fn a_machine_that_dies_at_any_write_finds_the_old_or_the_new_state() {
    ALL.into_iter()
        .for_each(|(kind, form)| dies_at_any_write(kind, form));
}

fn dies_at_any_write(kind: Kind, form: &str) {
    let desk = Desk::new(kind, form);
    let (before, after) = both(&desk);
    assert_ne!(before, after);
    let copies = desk.path("copies");
    let world = Faulty::new(Fault::Copy {
        from: desk.path("store"),
        to: copies.clone(),
    });
    desk.change(&Store::open(desk.path("store"), world.clone()).unwrap())
        .unwrap();
    let seen = world.seen.lock().unwrap().clone();
    let parts = match kind {
        Kind::TagsAndEvents => &["tags/age.", "tags/name.", ".stats.", "events/"][..],
        Kind::Upsert | Kind::Replace => &["tags/age.", "tags/name.", ".stats."],
        Kind::Only => &["tags/age.", ".stats."],
        Kind::Append => &["events/"],
    };
    for part in parts.iter().chain(&[
        "users/",
        ".ids.",
        ".index.",
        "manifest.json.new",
        "manifest.json",
        "store folder",
    ]) {
        assert!(
            seen.iter().any(|what| what.contains(part)),
            "{kind:?}: no write of {part}: {seen:?}"
        );
    }
    assert!(
        kind != Kind::Only || !seen.iter().any(|what| what.contains("tags/name.")),
        "{seen:?}"
    );
    let mut news = 0;
    for (number, what) in seen.iter().enumerate() {
        for part in [|n| n, |n: u64| n.saturating_sub(1), |n| n / 2, |_| 0] {
            let dir = desk.path("reboot");
            let _ = fs::remove_dir_all(&dir);
            copy(&copies.join(number.to_string()), &dir).unwrap();
            tear(&dir, part);
            let found = digest(&dir);
            assert!(
                found == before || found == after,
                "{kind:?} of {form} at {number} {what}"
            );
            news += usize::from(found == after);
            if found == before {
                desk.change(&Store::open(&dir, Faulty::new(Fault::None)).unwrap())
                    .unwrap();
                assert_eq!(digest(&dir), after, "at {number} {what}");
            }
            // Nothing is left over once a writer has been there.
            drop(
                Store::open(&dir, Faulty::new(Fault::None))
                    .unwrap()
                    .writer()
                    .unwrap(),
            );
            let names = |dir: &Path| {
                files(dir)
                    .iter()
                    .filter(|p| p.extension().is_some_and(|e| e == "arrow"))
                    .count()
            };
            assert_eq!(names(&dir), names(&desk.path("done")), "at {number} {what}");
        }
    }
    assert!(news > 0, "no copy was taken after the commit: {seen:?}");
}

#[test]
fn a_write_that_fails_changes_nothing() {
    ALL.into_iter()
        .for_each(|(kind, form)| fails_at_any_write(kind, form));
}

fn fails_at_any_write(kind: Kind, form: &str) {
    let desk = Desk::new(kind, form);
    let (before, after) = both(&desk);
    let world = Faulty::new(Fault::None);
    copy(&desk.path("store"), &desk.path("counted")).unwrap();
    desk.change(&Store::open(desk.path("counted"), world.clone()).unwrap())
        .unwrap();
    let writes = world.count.load(Ordering::SeqCst);
    for (number, fault) in (0..writes).flat_map(|n| {
        [
            (n, io::ErrorKind::StorageFull),
            (n, io::ErrorKind::ReadOnlyFilesystem),
        ]
    }) {
        let dir = desk.path("failing");
        let _ = fs::remove_dir_all(&dir);
        copy(&desk.path("store"), &dir).unwrap();
        let old: Vec<_> = files(&dir)
            .into_iter()
            .filter(|p| p.extension().is_some_and(|e| e == "arrow"))
            .collect();
        let error = desk
            .change(&Store::open(&dir, Faulty::new(Fault::Fail(number, fault))).unwrap())
            .unwrap_err();
        match &error {
            ImportError::Store(StoreError::Io {
                doing: Doing::Write,
                file,
                error,
            }) => {
                assert_eq!(error.kind(), fault);
                assert!(file.starts_with(&dir));
            }
            other => panic!("{other:?}"),
        }
        let what = if fault == io::ErrorKind::StorageFull {
            "the disk is full"
        } else {
            "the disk is read-only"
        };
        assert!(error.to_string().contains(what), "{error}");
        let last = number + 1 == writes; // The rename is done, only making it durable fails.
        assert_eq!(
            digest(&dir),
            if last { after.clone() } else { before.clone() },
            "at {number}"
        );
        if !last {
            let now: Vec<_> = files(&dir)
                .into_iter()
                .filter(|p| p.extension().is_some_and(|e| e == "arrow"))
                .collect();
            assert_eq!(now, old, "at {number}");
            desk.change(&Store::open(&dir, Faulty::new(Fault::None)).unwrap())
                .unwrap();
            assert_eq!(digest(&dir), after);
        }
    }
}

/// Many changes, with time between them, so that replaced files are removed too: the machine dies
/// at any write of any of them, or after any of the removals.
#[test]
fn a_machine_that_dies_while_old_files_are_removed_finds_a_state_that_was_acknowledged() {
    let desk = Desk::new(Kind::TagsAndEvents, "csv");
    let (dir, copies) = (desk.path("store"), desk.path("copies"));
    let world = Faulty::new(Fault::Copy {
        from: dir.clone(),
        to: copies.clone(),
    });
    let mut acknowledged = vec![digest(&dir)];
    for day in 0..4 {
        world.clock.store(day * 86_400_000_000, Ordering::SeqCst);
        let file = desk.path("day.csv");
        fs::write(&file, format!("id,age,name\nu1,{day},\nn{day},1,x\n")).unwrap();
        let mut writer = Store::open(&dir, world.clone()).unwrap().writer().unwrap();
        let import = TagImport::of(&file, "id");
        import.run(&mut writer, &schema(), &mut |_| {}).unwrap();
        writer.commit().unwrap();
        acknowledged.push(digest(&dir));
    }
    let manifest = |dir: &Path| fs::read_to_string(dir.join("manifest.json")).unwrap();
    let old: Vec<String> = files(&dir)
        .iter()
        .map(|f| f.strip_prefix(&dir).unwrap().display().to_string())
        .collect();
    assert!(
        manifest(&dir).contains("\"retired\"") && !old.iter().any(|f| f == "tags/age.2.arrow"),
        "{old:?}"
    );
    let writes = world.count.load(Ordering::SeqCst);
    let mut found = Vec::new();
    for number in 0..writes {
        let reboot = desk.path("reboot");
        let _ = fs::remove_dir_all(&reboot);
        copy(&copies.join(number.to_string()), &reboot).unwrap();
        tear(&reboot, |n| n / 3);
        found.push(
            acknowledged
                .iter()
                .position(|a| *a == digest(&reboot))
                .expect("a state that was acknowledged"),
        );
    }
    assert!(found.is_sorted() && found.last() == Some(&4), "{found:?}");
    // What is kept for other readers is not needed by the state itself, and may be gone in any
    // order.
    let json: serde_json::Value = serde_json::from_str(&manifest(&dir)).unwrap();
    let retired: Vec<&str> = json["retired"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["file"].as_str().unwrap())
        .collect();
    assert!(!retired.is_empty());
    for file in retired {
        fs::remove_file(dir.join(file)).unwrap();
        assert_eq!(&digest(&dir), acknowledged.last().unwrap());
        drop(Store::open(&dir, world.clone()).unwrap().writer().unwrap());
    }
}

#[test]
fn making_a_store_can_be_cut_off_too() {
    for number in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let made = Store::create_or_open(
            dir.path(),
            Faulty::new(Fault::Fail(number, io::ErrorKind::StorageFull)),
        );
        assert_eq!(made.is_err(), number < 3, "{number}");
        let again = Store::create_or_open(dir.path(), Faulty::new(Fault::None)).unwrap();
        assert_eq!(again.snapshot().unwrap().user_count(), 0);
    }
}

#[test]
fn damage_is_told_by_file() {
    let desk = Desk::new(Kind::TagsAndEvents, "csv");
    let dir = desk.path("store");
    let manifest = fs::read_to_string(dir.join("manifest.json")).unwrap();
    let open = || {
        Store::open(&dir, Faulty::new(Fault::None))
            .and_then(|s| s.snapshot()?.load())
            .err()
            .map(|e| e.en())
            .unwrap_or_default()
    };
    for (text, part) in [
        (
            "".to_string(),
            "is damaged: it is not valid JSON (line 1, column 0)",
        ),
        (
            manifest[..manifest.len() / 2].into(),
            "is damaged: it is not valid JSON",
        ),
        (
            "{\"name\": \"other\"}".into(),
            "is a folder with other files and not a store",
        ),
        (
            manifest.replace("\"version\": 3", "\"version\": 4"),
            "is of store version 4, this tagcast knows up to 3: use a newer tagcast",
        ),
        (
            manifest.replace("\"version\": 3", "\"version\": 0"),
            "is of store version 0, this tagcast reads versions 1 to 3: import the sources",
        ),
        (
            manifest.replace("tags/age", "../age"),
            "it names a file outside the store",
        ),
        (
            manifest.replace("\"first\": 0", "\"first\": 5"),
            "user numbers have a gap at 0",
        ),
        (
            manifest.replace("tags/age", "tags/gone"),
            "the manifest names it but it is not there",
        ),
    ] {
        fs::write(dir.join("manifest.json"), &text).unwrap();
        assert!(open().contains(part), "{part}: {}", open());
    }
    fs::write(dir.join("manifest.json"), &manifest).unwrap();
    let arrow: Vec<_> = files(&dir)
        .into_iter()
        .filter(|p| p.extension().is_some_and(|e| e == "arrow"))
        .collect();
    assert!(arrow.len() >= 5);
    for path in &arrow {
        let whole = fs::read(path).unwrap();
        let put = |bytes: &[u8]| {
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let named = |error: String| {
            error.contains(path.file_name().unwrap().to_str().unwrap())
                && error.contains("is damaged")
        };
        for bytes in [&whole[..whole.len() - 1], &whole[..0], b"ARROW1", &[0; 300]] {
            put(bytes);
            assert!(named(open()), "{path:?}: {}", open());
        }
        // One byte anywhere: refused at open, or found by the full check. Never a panic.
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x41;
            put(&bytes);
            let store = Store::open(&dir, Faulty::new(Fault::None)).unwrap();
            assert!(named(store.verify().unwrap_err().en()), "{path:?} at {at}");
        }
        put(&whole);
    }
    assert_eq!(open(), "");
    let empty = tempfile::tempdir().unwrap();
    fs::write(empty.path().join("holiday.jpg"), "x").unwrap();
    let foreign = Store::create_or_open(empty.path(), Faulty::new(Fault::None))
        .err()
        .unwrap();
    assert!(
        foreign.en().contains(
            "is a folder with other files and not a store: choose an empty or a new folder"
        )
    );
}
