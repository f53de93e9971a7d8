//! Imports: what good files fill, and what is said of bad ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{
    EnumType, EventSchema, FieldSchema, Instant, Schema, TagSchema, Type, UserNo, Value, Zone,
};
use tagcast::store::import::{EventImport, ImportError, ImportReport, Reading, TagImport, infer};
use tagcast::store::{Snapshot, Store};

/// A store and files in a folder of their own.
struct Desk {
    dir: tempfile::TempDir,
    store: Store,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::create_or_open(
            dir.path().join("store"),
            Arc::new(SimulatedWorld::at(Instant(7))),
        )
        .unwrap();
        Desk { dir, store }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn tags(&self, schema: &Schema, file: &Path) -> Result<ImportReport, ImportError> {
        let mut writer = self.store.writer().unwrap();
        let report = TagImport::of(file, "id").run(&mut writer, schema, &mut |_| {})?;
        writer.commit()?;
        Ok(report)
    }

    fn events(&self, schema: &Schema, file: &Path) -> Result<ImportReport, ImportError> {
        let mut writer = self.store.writer().unwrap();
        let import = EventImport {
            file,
            id: "id",
            at: "at",
            reading: Reading::default(),
            again: false,
            source: None,
        };
        let report = import.run(
            &mut writer,
            &schema.events[0],
            schema.tags.iter().filter(|t| t.always),
            &mut |_| {},
        )?;
        writer.commit()?;
        Ok(report)
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.store.snapshot().unwrap()
    }
}

fn tag(name: &str, ty: Type) -> TagSchema {
    TagSchema::new(name, ty)
}

fn enum_of(members: &[&str]) -> Type {
    Type::Enum(Arc::new(EnumType {
        members: members.iter().map(|m| m.to_string()).collect(),
    }))
}

fn schema() -> Schema {
    let field = |name: &str, ty, optional| FieldSchema {
        name: name.into(),
        ty,
        optional,
    };
    Schema {
        tags: vec![
            tag("region", enum_of(&["Shanghai", "Beijing"])),
            tag(
                "age",
                Type::Int {
                    lo: Some(0),
                    hi: Some(120),
                },
            ),
            tag("rate", Type::Ratio),
            tag("total", Type::Money),
            tag(
                "interests",
                Type::Set(Box::new(enum_of(&["food", "travel"]))),
            ),
            tag("seen", Type::Instant),
        ],
        events: vec![EventSchema {
            name: "purchase".into(),
            fields: vec![
                field("amount", Type::Money, false),
                field("category", Type::Text { max: Some(10) }, true),
            ],
        }],
    }
}

/// All errors of an import as `line column: reason`.
fn errors(result: Result<ImportReport, ImportError>) -> Vec<String> {
    match result {
        Err(ImportError::Rows(r)) => {
            assert_eq!(r.total as usize, r.errors.len());
            r.errors
                .iter()
                .map(|e| {
                    format!(
                        "{} {}: {}",
                        e.line,
                        e.column.as_deref().unwrap_or("-"),
                        e.why.en
                    )
                })
                .collect()
        }
        Err(ImportError::Store(e)) => vec![e.en()],
        Ok(report) => panic!("imported {report:?}"),
    }
}

#[test]
fn the_first_import_creates_users_and_later_ones_update_them() {
    let desk = Desk::new();
    let first = desk.file(
        "a.csv",
        "\u{feff}id,region,age,rate,total,interests,seen,extra\r\nu1,Shanghai,30,30%,\"¥1,234.50\",food|travel,2026-11-11 10:00,x\r\nu2,,,,,,,\r\n",
    );
    let report = desk.tags(&schema(), &first).unwrap();
    assert_eq!(
        (report.rows, report.new_users, &report.ignored[..]),
        (2, 2, &["extra".to_string()][..])
    );
    let s = desk.snapshot();
    let value = |s: &Snapshot, name: &str, row| s.tag(name).unwrap().unwrap().value(row);
    assert_eq!(value(&s, "region", 0), Some(Value::Enum(0)));
    assert_eq!(value(&s, "total", 0), Some(Value::Money(123_450)));
    assert_eq!(value(&s, "rate", 0), Some(Value::Ratio(0.3)));
    assert_eq!(
        value(&s, "interests", 0),
        Some(Value::Set([Value::Enum(0), Value::Enum(1)].into()))
    );
    assert_eq!(
        value(&s, "seen", 0),
        Zone::SHANGHAI
            .parse_instant("2026-11-11 10:00")
            .map(Value::Instant)
    );
    for name in ["region", "age", "rate", "total", "interests", "seen"] {
        assert_eq!(value(&s, name, 1), None);
    }

    let second = desk.file(
        "b.jsonl",
        "{\"id\": \"u3\", \"age\": 7}\n\n{\"id\": \"u1\", \"region\": null, \"age\": 31}\n",
    );
    assert_eq!(
        desk.tags(&schema(), &second).unwrap().columns,
        ["region", "age"]
    );
    let s = desk.snapshot();
    assert_eq!(
        [0, 1, 2].map(|r| value(&s, "age", r)),
        [Some(Value::Int(31)), None, Some(Value::Int(7))]
    );
    assert_eq!(
        value(&s, "region", 0),
        None,
        "an empty cell takes the value away"
    );
    assert_eq!(
        value(&s, "total", 0),
        Some(Value::Money(123_450)),
        "a column that is not in the file stays"
    );
    assert_eq!(
        (s.user_no("u3"), s.user_id(UserNo(2))),
        (Some(UserNo(2)), Some("u3"))
    );
}

#[test]
fn every_bad_row_is_told_and_nothing_is_imported() {
    let desk = Desk::new();
    let file = desk.file(
        "bad.csv",
        "id,region,age,rate,total\nu1,Shangai,30,0.3,1\n,Beijing,1,,\nu3,Beijing,121,30,1.005\nu3,,,,\nu4,Beijing\n\" u5\",,x,,\n",
    );
    let found = errors(desk.tags(&schema(), &file));
    let expected = [
        "2 region: `Shangai` is not a member of the enum: did you mean `Shanghai`? If not, add it to the declaration",
        "3 id: the user id is empty: every row needs one",
        "4 age: 121 is outside the declared `int 0..120`: correct it, or declare a wider range",
        "4 rate: `30` is not between 0 and 1: for 30 percent write `30%` or `0.3`",
        "4 total: `1.005` is not money: write `99.50`, with at most 2 digits after the point",
        "5 id: this user id stands in line 4 already: keep one of the two rows",
        "6 -: the row has 2 fields where the header names 5 columns: check its commas and quotes",
        "7 age: `x` is not a whole number: write digits like `12`",
        "7 id: the user id has spaces around it or control characters in it: remove them",
    ];
    assert_eq!(found, expected);
    assert_eq!(desk.snapshot().user_count(), 0);
}

#[test]
fn many_errors_are_counted_and_the_first_thousand_shown() {
    let desk = Desk::new();
    let mut text = String::from("id,age\n");
    (0..2500).for_each(|i| text.push_str(&format!("u{i},old\n")));
    match desk.tags(&schema(), &desk.file("bad.csv", text)) {
        Err(ImportError::Rows(r)) => {
            assert_eq!((r.total, r.errors.len(), r.rows), (2500, 1000, 2500));
            let words = ImportError::Rows(r).words();
            assert!(
                words.en.starts_with("2,500 errors in 2,500 rows of"),
                "{}",
                words.en
            );
            assert!(words.zh.contains("未导入任何数据"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn files_that_cannot_be_read_say_what_to_do() {
    let desk = Desk::new();
    let gbk = b"id,region\nu1,\xc9\xcf\xba\xa3\n";
    let long = format!("id,region\nu1,\"{}", "x".repeat(17 << 20));
    for (name, content, part) in [
        (
            "empty.csv",
            &b""[..],
            "is empty: the first row must name the columns",
        ),
        (
            "gbk.csv",
            gbk,
            "is not UTF-8 text (line 2): save it as UTF-8, or convert it with `iconv",
        ),
        (
            "utf16.csv",
            b"\xff\xfei\0d\0",
            "is UTF-16 text: save it as UTF-8",
        ),
        (
            "book.csv",
            b"PK\x03\x04....",
            "is an Excel or zip file: save it as CSV (UTF-8)",
        ),
        (
            "packed.csv",
            b"\x1f\x8b....",
            "is a gzip file: unpack it first",
        ),
        ("a.csv", b"PAR1....", "is a Parquet file: name it .parquet"),
        ("a.parquet", b"PAR1....PAR1", "cannot be read"),
        ("a.arrow", b"ARROW1\0\0....", "cannot be read"),
        (
            "a.xlsx",
            b"PK\x03\x04....",
            "does not say its format: end it in .csv",
        ),
        (
            "noid.csv",
            b"user,region\nu1,Beijing\n",
            "has no column `id` for the user id: its columns are `user`, `region`",
        ),
        (
            "near.csv",
            b"Id,region\nu1,Beijing\n",
            "has no column `id` for the user id: did you mean `Id`?",
        ),
        (
            "semicolon.csv",
            b"id;region\nu1;Beijing\n",
            "separates its columns by semicolons or tabs",
        ),
        (
            "twice.csv",
            b"id,age,age\nu1,1,1\n",
            "has two columns named `age`",
        ),
        ("none.csv", b"id,foo\nu1,1\n", "no column of"),
        ("empty.jsonl", b"\n", "is empty: nothing was imported"),
        (
            "array.jsonl",
            b"[{\"id\": 1}]",
            "is one JSON array: write one object a line",
        ),
        (
            "quote.csv",
            long.as_bytes(),
            "does not end within 16 MB: is a closing quote missing?",
        ),
    ] {
        let found = errors(desk.tags(&schema(), &desk.file(name, content)));
        assert!(
            found.len() == 1 && found[0].contains(part),
            "{name}: {found:?}"
        );
    }
    let missing = errors(desk.tags(&schema(), Path::new("/nowhere/x.csv")));
    assert!(
        missing[0].contains("does not exist: check the path"),
        "{missing:?}"
    );
    assert_eq!(desk.snapshot().user_count(), 0);
}

#[test]
fn bad_json_lines_are_told_by_line() {
    let desk = Desk::new();
    let file = desk.file(
        "bad.jsonl",
        "{\"id\": 1, \"age\": 3}\n{\"id\": 2, \"age\":}\n3\n{\"age\": 4}\n{\"id\": {}, \"interests\": [\"food\", null]}\n",
    );
    let expected = [
        "2 -: the line is not valid JSON at character 17: correct it",
        "3 -: the line is not a JSON object: write `{\"id\": …}`",
        "4 id: the user id is empty: every row needs one",
        "5 interests: a set holds no missing value: leave the item out",
        "5 id: the user id is not text or a number",
    ];
    assert_eq!(errors(desk.tags(&schema(), &file)), expected);
}

#[test]
fn a_file_replaces_whole_columns_and_no_others() {
    let desk = Desk::new();
    desk.tags(
        &schema(),
        &desk.file(
            "a.csv",
            "id,region,age\nu1,Beijing,30\nu2,Shanghai,40\nu3,Beijing,50\n",
        ),
    )
    .unwrap();
    let replace = |schema: &Schema, text: &str| -> Result<ImportReport, ImportError> {
        let (file, only) = (desk.file("b.csv", text), ["age".to_string()]);
        let mut writer = desk.store.writer().unwrap();
        let import = TagImport {
            only: Some(&only),
            replace: true,
            ..TagImport::of(&file, "id")
        };
        let report = import.run(&mut writer, schema, &mut |_| {})?;
        writer.commit()?;
        Ok(report)
    };
    let values = |name: &str| {
        let (snapshot, mut values) = (desk.snapshot(), Vec::new());
        (0..4).for_each(|row| values.push(snapshot.tag(name).unwrap().unwrap().value(row)));
        values
    };
    let mut everyone = schema();
    everyone.tags[1].always = true;
    let refused = errors(replace(&everyone, "id,age\nu3,1\nu1,2\n"));
    assert!(
        refused[0].contains("lacks 1 user of the store, who would lose `age`"),
        "{refused:?}"
    );
    assert_eq!(
        replace(
            &schema(),
            "id,age,region\nu3,51,Shanghai\nu4,60,Shanghai\nu1,31,x\n"
        )
        .unwrap()
        .columns,
        ["age"]
    );
    assert_eq!(
        values("age"),
        [
            Some(Value::Int(31)),
            None,
            Some(Value::Int(51)),
            Some(Value::Int(60))
        ]
    );
    assert_eq!(
        values("region"),
        [
            Some(Value::Enum(1)),
            Some(Value::Enum(0)),
            Some(Value::Enum(1)),
            None
        ]
    );
}

#[test]
fn always_is_kept() {
    let desk = Desk::new();
    let mut schema = schema();
    schema.tags[0].always = true;
    let without = errors(desk.tags(&schema, &desk.file("a.csv", "id,age\nu1,1\n")));
    assert!(
        without[0].contains("has no column `region`, which is declared `always`"),
        "{without:?}"
    );
    let empty = errors(desk.tags(&schema, &desk.file("a.csv", "id,region\nu1,Beijing\nu2,\n")));
    assert_eq!(
        empty,
        ["3 region: `region` is declared `always` and missing here: give a value"]
    );
    desk.tags(&schema, &desk.file("a.csv", "id,region\nu1,Beijing\n"))
        .unwrap();
    desk.tags(&schema, &desk.file("b.csv", "id,age\nu1,5\n"))
        .unwrap();
    let newcomer = errors(desk.tags(&schema, &desk.file("c.csv", "id,age\nu1,5\nu9,5\n")));
    assert_eq!(
        newcomer,
        ["3 region: `region` is declared `always` and missing here: give a value"]
    );
    let event = errors(desk.events(
        &schema,
        &desk.file("e.csv", "id,at,amount\nu9,2026-01-01,5\n"),
    ));
    assert!(
        event[0].starts_with(
            "2 id: the store does not know this user, and no user may be without `region`"
        ),
        "{event:?}"
    );
}

#[test]
fn events_are_appended_in_order_and_not_twice() {
    let desk = Desk::new();
    let file = desk.file("e.csv", "at,id,amount,category\n2026-01-02,u2,5,food\n2026-01-01 10:00,u2,12.50,\n2026-01-01T00:00:00Z,u1,1,\n");
    assert_eq!(desk.events(&schema(), &file).unwrap().new_users, 2);
    let again = errors(desk.events(&schema(), &file));
    assert!(
        again[0].contains("was imported at 1970-01-01T00:00:00.000007Z already"),
        "{again:?}"
    );
    desk.events(
        &schema(),
        &desk.file("f.csv", "at,id,amount\n2026-01-01 12:00,u2,7\n"),
    )
    .unwrap();
    let s = desk.snapshot();
    let purchases = s.event("purchase").unwrap().unwrap();
    let of = |id: &str| -> Vec<_> {
        let rows = purchases.rows_of(s.user_no(id).unwrap());
        rows.map(|r| {
            (
                Zone::SHANGHAI.show(purchases.at(r)),
                purchases.value(r, 0),
                purchases.value(r, 1),
            )
        })
        .collect()
    };
    assert_eq!(
        of("u2"),
        [
            ("2026-01-01 10:00".into(), Some(Value::Money(1250)), None),
            ("2026-01-01 12:00".into(), Some(Value::Money(700)), None),
            (
                "2026-01-02 00:00".into(),
                Some(Value::Money(500)),
                Some(Value::text("food"))
            ),
        ]
    );
    assert_eq!(of("u1")[0].0, "2026-01-01 08:00");
    let bad = errors(desk.events(
        &schema(),
        &desk.file("g.csv", "at,id,amount\n,u1,\nsoon,u1,1\n"),
    ));
    assert_eq!(
        bad,
        [
            "2 amount: `amount` is missing: give a value, or declare the field `optional`",
            "2 at: the instant is missing: every event needs one",
            "3 at: `soon` is not an instant: write `2026-11-11 10:00` or `2026-11-11T10:00:00+08:00`",
        ]
    );
}

#[test]
fn a_changed_declaration_moves_what_is_stored() {
    let desk = Desk::new();
    desk.tags(
        &schema(),
        &desk.file("a.csv", "id,region,age\nu1,Beijing,30\nu2,Shanghai,40\n"),
    )
    .unwrap();
    let mut wider = schema();
    wider.tags[0].ty = enum_of(&["Guangzhou", "Shanghai", "Beijing"]);
    wider.tags[1].ty = Type::INT;
    desk.tags(
        &wider,
        &desk.file("b.csv", "id,region,age\nu1,Guangzhou,1000\n"),
    )
    .unwrap();
    let s = desk.snapshot();
    assert_eq!(
        [0, 1].map(|r| s.tag("region").unwrap().unwrap().value(r)),
        [Some(Value::Enum(0)), Some(Value::Enum(1))]
    );
    let mut other = schema();
    other.tags[0].ty = Type::Bool;
    let refused = errors(desk.tags(&other, &desk.file("c.csv", "id,region\nu1,true\n")));
    assert!(
        refused[0].contains("`region` is stored as enum"),
        "{refused:?}"
    );
    let narrower = s
        .tag("age")
        .unwrap()
        .unwrap()
        .in_type("age", &schema().tags[1].ty);
    assert!(
        narrower
            .unwrap_err()
            .to_string()
            .contains("which does not fit 1 stored value")
    );
    desk.tags(
        &other,
        &desk.file("d.csv", "id,region\nu1,true\nu2,false\n"),
    )
    .unwrap();
}

/// A world in which someone has pressed Ctrl-C.
struct Stopping;

impl World for Stopping {
    fn now(&self) -> Instant {
        Instant(7)
    }
    fn unique(&self) -> u64 {
        0
    }
    fn stopping(&self) -> bool {
        true
    }
}

#[test]
fn a_wish_to_stop_ends_an_import_and_changes_nothing() {
    let desk = Desk::new();
    let mut text = String::from("id,age\n");
    (0..40_000).for_each(|i| text.push_str(&format!("u{i},1\n")));
    let file = desk.file("a.csv", text);
    let store = Store::open(desk.store.dir(), Arc::new(Stopping)).unwrap();
    let mut writer = store.writer().unwrap();
    let mut told = Vec::new();
    let import = TagImport::of(&file, "id");
    let stopped = import
        .run(&mut writer, &schema(), &mut |p| told.push(p.rows))
        .unwrap_err();
    assert_eq!(
        stopped.to_string(),
        "stopped before the end: nothing was changed"
    );
    assert_eq!(told, [16_384]);
    drop(writer);
    assert_eq!(desk.snapshot().user_count(), 0);
    assert_eq!(desk.tags(&schema(), &file).unwrap().new_users, 40_000);
}

/// Binary files are damaged in ways that their decoders may not expect.
#[test]
fn damaged_binary_files_are_refused_or_read() {
    let desk = Desk::new();
    let file = desk.file("a.csv", "id,region,age,total,interests,seen\nu1,Beijing,30,5,food,2026-01-01\nu2,,,,,\nu3,Shanghai,7,8.25,,\n");
    desk.tags(&schema(), &file).unwrap();
    let snapshot = desk.snapshot();
    let names: Vec<String> = ["region", "age", "total", "interests", "seen"]
        .map(String::from)
        .to_vec();
    for name in ["x.parquet", "x.arrow"] {
        let path = desk.dir.path().join(name);
        let everyone = tagcast::base::Bitmap::all(3);
        tagcast::store::export::audience(
            &snapshot,
            &everyone,
            &names,
            &path,
            &SimulatedWorld::at(Instant(0)),
        )
        .unwrap();
        let whole = std::fs::read(&path).unwrap();
        let other = Desk::new();
        let mut refused = 0;
        for at in (0..whole.len()).step_by(13) {
            for (flip, keep) in [(0x01, whole.len()), (0xff, whole.len()), (0, at)] {
                let mut bytes = whole[..keep].to_vec();
                bytes.iter_mut().skip(at).take(1).for_each(|b| *b ^= flip);
                let file = other.file(name, &bytes);
                let mut writer = other.store.writer().unwrap();
                let import = TagImport::of(&file, "id");
                refused += usize::from(import.run(&mut writer, &schema(), &mut |_| {}).is_err());
            }
        }
        assert!(refused > whole.len() / 13, "{refused} of {}", whole.len());
    }
}

#[test]
fn inferred_declarations_read_their_own_file() {
    let desk = Desk::new();
    let file = desk.file("users.csv", "id,plan,since,score,vip,phone,tags,note\n1,a,2026-01-01,1.5,true,0139,x|y,\n2,b,2026-02-01,2,false,0138,x,\n3,a,,,,,,\n4,b,,,,,,\n");
    let inferred = infer::tags(&file, "id", &Reading::default(), &|_| true).unwrap();
    let expected = "\
# Inferred from users.csv: correct what is wrong, then import again.
tag plan enum(\"a\", \"b\")
tag since date
tag score number
tag vip bool
tag phone text(10) private
tag tags set of enum(\"x\", \"y\")
# note: it has no values: no type can be told
";
    assert_eq!(inferred.text, expected);
    let schema = Schema {
        tags: inferred.tags,
        events: Vec::new(),
    };
    assert_eq!(desk.tags(&schema, &file).unwrap().rows, 4);
}

/// Data of other makers, where it is at hand.
fn oracle(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TAGCAST_ORACLE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/oracle"),
        PathBuf::from,
    );
    Some(root.join(name)).filter(|p| p.exists())
}

#[test]
fn real_customers_are_inferred_and_imported() {
    let Some(file) = oracle("telco_users.csv") else {
        return;
    };
    let inferred = infer::tags(&file, "user_id", &Reading::default(), &|_| true).unwrap();
    let expected = "\
# Inferred from telco_users.csv: correct what is wrong, then import again.
tag churn enum(\"No\", \"Yes\")
tag female bool
tag senior_citizen bool
tag partner bool
tag dependents bool
tag tenure int 0..200
tag phone_service bool
tag multiple_lines enum(\"No\", \"No phone service\", \"Yes\")
tag internet_service enum(\"DSL\", \"Fiber optic\", \"No\")
tag online_security enum(\"No\", \"No internet service\", \"Yes\")
tag online_backup enum(\"No\", \"No internet service\", \"Yes\")
tag device_protection enum(\"No\", \"No internet service\", \"Yes\")
tag tech_support enum(\"No\", \"No internet service\", \"Yes\")
tag streaming_tv enum(\"No\", \"No internet service\", \"Yes\")
tag streaming_movies enum(\"No\", \"No internet service\", \"Yes\")
tag contract enum(\"Month-to-month\", \"One year\", \"Two year\")
tag paperless_billing bool
tag payment_method enum(\"Bank transfer (automatic)\", \"Credit card (automatic)\", \"Electronic check\", \"Mailed check\")
tag monthly_charges number
tag total_charges number
";
    assert_eq!(inferred.text, expected);
    let desk = Desk::new();
    let schema = Schema {
        tags: inferred.tags,
        events: Vec::new(),
    };
    let mut writer = desk.store.writer().unwrap();
    let report = TagImport::of(&file, "user_id")
        .run(&mut writer, &schema, &mut |_| {})
        .unwrap();
    writer.commit().unwrap();
    assert_eq!(
        (report.rows, report.new_users, report.columns.len()),
        (7043, 7043, 20)
    );
    let text = std::fs::read_to_string(&file).unwrap();
    let s = desk.snapshot();
    for (line, user) in text.lines().skip(1).zip(0..) {
        let (id, rest) = line.split_once(',').unwrap();
        assert_eq!(s.user_no(id), Some(UserNo(user)));
        let churn = match s.tag("churn").unwrap().unwrap().value(user as usize) {
            Some(Value::Enum(0)) => "No",
            Some(Value::Enum(1)) => "Yes",
            _ => "",
        };
        assert_eq!(rest.split(',').next(), Some(churn));
    }
}

#[test]
fn real_purchases_are_imported() {
    let Some(file) = oracle("cdnow_purchases.csv") else {
        return;
    };
    let field = |name: &str, ty| FieldSchema {
        name: name.into(),
        ty,
        optional: false,
    };
    let purchase = EventSchema {
        name: "purchase".into(),
        fields: vec![field("quantity", Type::INT), field("amount", Type::Money)],
    };
    let desk = Desk::new();
    let mut writer = desk.store.writer().unwrap();
    let import = EventImport {
        file: &file,
        id: "user_id",
        at: "at",
        reading: Reading::default(),
        again: false,
        source: None,
    };
    let report = import
        .run(&mut writer, &purchase, std::iter::empty(), &mut |_| {})
        .unwrap();
    writer.commit().unwrap();
    assert_eq!((report.rows, report.new_users), (69_659, 23_570));
    let s = desk.snapshot();
    let table = s.event("purchase").unwrap().unwrap();
    assert_eq!(
        (table.len(), table.users_with_events().count()),
        (69_659, 23_570)
    );
    let first = table.rows_of(s.user_no("00001").unwrap()).next().unwrap();
    assert_eq!(
        (Zone::SHANGHAI.show(table.at(first)), table.value(first, 1)),
        ("1997-01-01 00:00".into(), Some(Value::Money(1177)))
    );
}
