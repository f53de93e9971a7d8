//! The commands that fill the store, as a user types them.

use std::fs;
use std::path::Path;

use crate::support::{copy_folder, root, run};

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("users.csv"),
        "id,region,age,phone\nu1,Shanghai,30,139\nu2,Beijing,,138\nu3,Shanghai,25,\n",
    )
    .unwrap();
    fs::write(
        dir.path().join("buys.csv"),
        "id,at,amount\nu1,2026-01-05,12.50\nu9,2026-01-06 10:00,3\n",
    )
    .unwrap();
    dir
}

/// Runs and expects an exit code; gives both outputs.
fn expect(dir: &Path, args: &[&str], exit: i32) -> (String, String) {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, exit, "{args:?}\n{out}\n{err}");
    (out, err)
}

#[test]
fn tags_are_inferred_imported_listed_and_summed_up() {
    let dir = folder();
    let d = dir.path();
    let (_, err) = expect(d, &["tags", "import", "users.csv", "--id", "id"], 2);
    assert!(
        err.contains("let `--infer` write the declarations"),
        "{err}"
    );
    let (out, err) = expect(
        d,
        &["tags", "import", "users.csv", "--id", "id", "--infer"],
        0,
    );
    assert_eq!(out, "");
    assert!(
        err.contains("wrote 3 declarations to `tags.campaign`"),
        "{err}"
    );
    assert!(
        err.contains("imported 3 rows of `users.csv`: region, age, phone; 3 new users"),
        "{err}"
    );
    let (out, _) = expect(d, &["tags", "list"], 0);
    assert_eq!(
        out,
        "tag region text(10)\ntag age int 0..100\ntag phone text(10) private\n"
    );
    let (out, _) = expect(
        d,
        &["tags", "stats", "age", "phone", "--now", "2026-06-01"],
        0,
    );
    assert!(
        out.starts_with("3 users\nage  known 66.7% · 25 .. 30 · mean 27.5 · imported "),
        "{out}"
    );
    assert!(
        out.contains("\nphone  known 66.7% · private · imported "),
        "{out}"
    );
    let (out, _) = expect(d, &["tags", "stats", "--verify", "--format", "json"], 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (
            json["users"].as_u64(),
            json["tags"][1]["known"].as_u64(),
            json["tags"][2].get("min")
        ),
        (Some(3), Some(2), None)
    );
    let (_, err) = expect(d, &["tags", "stats", "colour"], 2);
    assert!(err.contains("there is no tag `colour`"), "{err}");
}

#[test]
fn bad_rows_are_told_and_end_in_exit_1() {
    let dir = folder();
    let d = dir.path();
    fs::write(d.join("tags.campaign"), "tag age int 0..120\n").unwrap();
    fs::write(d.join("bad.csv"), "id,age\nu1,x\nu2,3\nu2,400\n").unwrap();
    let (out, err) = expect(d, &["tags", "import", "bad.csv", "--id", "id"], 1);
    assert_eq!(out, "");
    assert_eq!(
        err,
        "bad.csv:2: age: `x` is not a whole number: write digits like `12`\n\
         bad.csv:4: age: 400 is outside the declared `int 0..120`: correct it, or declare a wider range\n\
         bad.csv:4: id: this user id stands in line 3 already: keep one of the two rows\n\
         error: 3 errors in 3 rows of `bad.csv`: correct them and import again; nothing was imported\n"
    );
    let (out, _) = expect(
        d,
        &[
            "tags", "import", "bad.csv", "--id", "id", "--format", "json", "--lang", "zh",
        ],
        1,
    );
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (
            json["error_count"].as_u64(),
            json["errors"][0]["line"].as_u64()
        ),
        (Some(3), Some(2))
    );
    assert!(
        json["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("不是整数"),
        "{out}"
    );
}

#[test]
fn events_need_a_declaration_and_are_not_counted_twice() {
    let dir = folder();
    let d = dir.path();
    let import = [
        "events", "import", "purchase", "buys.csv", "--id", "id", "--at", "at",
    ];
    let (_, err) = expect(d, &import, 2);
    assert!(err.contains("no event `purchase` is declared"), "{err}");
    assert!(
        err.contains("declare: event purchase { amount number }"),
        "{err}"
    );
    fs::write(
        d.join("events.campaign"),
        "event purchase { amount money }\n",
    )
    .unwrap();
    let (_, err) = expect(d, &import, 0);
    assert!(
        err.contains("imported 2 rows of `buys.csv`: amount; 2 new users"),
        "{err}"
    );
    let (_, err) = expect(d, &import, 2);
    assert!(err.contains("its events would count twice"), "{err}");
    expect(d, &[&import[..], &["--again"]].concat(), 0);
    let (out, _) = expect(d, &["events", "list"], 0);
    assert_eq!(out, "event purchase { amount money }  # 4 of 2 users\n");
}

#[test]
fn every_example_syncs_and_then_has_nothing_to_do() {
    let dir = tempfile::tempdir().unwrap();
    copy_folder(&root().join("examples"), dir.path());
    for entry in fs::read_dir(dir.path()).unwrap() {
        let example = entry.unwrap().path();
        if example.join("tagcast.toml").exists() {
            let (_, err) = expect(&example, &["sync"], 0);
            assert!(err.contains("imported "), "{err}");
            let (_, err) = expect(&example, &["sync"], 0);
            assert!(err.starts_with("unchanged sources: "), "{err}");
        }
    }
    let retail = dir.path().join("retail");
    let (before, _) = expect(&retail, &["events", "list"], 0);
    let more = fs::read_to_string(retail.join("purchases.csv")).unwrap();
    let last = more.lines().last().unwrap().to_string();
    fs::write(
        retail.join("purchases.csv"),
        format!("{}\n{last}\n", more.trim_end()),
    )
    .unwrap();
    expect(&retail, &["sync"], 0);
    let (after, _) = expect(&retail, &["events", "list"], 0);
    let count = |text: &str| -> u32 {
        text.split("# ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .replace(',', "")
            .parse()
            .unwrap()
    };
    assert_eq!(
        count(&after),
        count(&before) + 1,
        "the source's events are replaced, not added to"
    );
    let empty = folder();
    let (_, err) = expect(empty.path(), &["sync"], 2);
    assert!(err.contains("names no sources"), "{err}");
}

#[test]
fn sample_data_is_a_program_that_checks() {
    let dir = tempfile::tempdir().unwrap();
    let d = dir.path();
    let (_, err) = expect(
        d,
        &[
            "sample-data",
            "demo",
            "--users",
            "3000",
            "--now",
            "2026-06-01",
        ],
        0,
    );
    assert!(err.contains("made 3,000 users with "), "{err}");
    expect(d, &["check", "demo"], 0);
    expect(d, &["fmt", "--check", "demo"], 0);
    let (out, _) = expect(
        d,
        &[
            "query",
            "--program",
            "demo",
            "region == \"Shanghai\" and coupon_rate > 30%",
            "--format",
            "json",
        ],
        0,
    );
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(
        json["true"].as_u64().unwrap() > 50 && json["unknown"].as_u64().unwrap() > 50,
        "{out}"
    );
    let (_, err) = expect(d, &["sample-data", "demo"], 2);
    assert!(err.contains("`demo` is not empty"), "{err}");
    assert!(!d.join("demo.part").exists());
    let (_, err) = expect(d, &["tags", "stats", "--store", "nowhere"], 2);
    assert!(err.contains("there is no store in `nowhere`"), "{err}");
}

#[test]
fn what_is_private_is_shown_by_no_error() {
    let dir = folder();
    let d = dir.path();
    fs::write(
        d.join("tags.campaign"),
        "tag phone text(5) private\ntag home place private\ntag city text(5)\n",
    )
    .unwrap();
    fs::write(
        d.join("bad.csv"),
        "id,phone,home,city\nu1,13800138000,\"31.2,721.4\",Shanghai\n",
    )
    .unwrap();
    let (_, err) = expect(d, &["tags", "import", "bad.csv", "--id", "id"], 1);
    assert!(
        err.contains(
            "bad.csv:2: phone: the value is not a `text(5)` (it is private and not shown)"
        ),
        "{err}"
    );
    assert!(
        err.contains("bad.csv:2: home: the value is not a `place`"),
        "{err}"
    );
    assert!(err.contains("city: `Shanghai` has 8 characters"), "{err}");
    assert!(
        !err.contains("13800138000") && !err.contains("721.4"),
        "{err}"
    );
    let (out, _) = expect(
        d,
        &[
            "tags", "import", "bad.csv", "--id", "id", "--format", "json",
        ],
        1,
    );
    assert!(
        out.contains("`place`") && !out.contains("13800138000") && !out.contains("721.4"),
        "{out}"
    );
    fs::write(
        d.join("bad.jsonl"),
        "{\"id\":\"u1\",\"phone\":13800138000}\n",
    )
    .unwrap();
    let (_, err) = expect(d, &["tags", "import", "bad.jsonl", "--id", "id"], 1);
    assert!(
        err.contains("phone: the value is not a `text(5)`") && !err.contains("13800138000"),
        "{err}"
    );
    let (out, err) = expect(d, &["tags", "set", "u1", "phone=13800138000"], 1);
    assert!(
        err.contains("the value is not a `text(5)`")
            && !err.contains("13800138000")
            && !out.contains("13800138000"),
        "{out}{err}"
    );
}

#[test]
fn only_means_these_columns_and_says_which_is_missing() {
    let dir = folder();
    let d = dir.path();
    fs::write(
        d.join("tags.campaign"),
        "tag age int 0..120\ntag region text(10)\n",
    )
    .unwrap();
    fs::write(
        d.join("users.jsonl"),
        "{\"id\":\"u1\",\"age\":3,\"region\":\"x\",\"odd\":1}\n",
    )
    .unwrap();
    for file in ["users.csv", "users.jsonl"] {
        let (_, err) = expect(
            d,
            &["tags", "import", file, "--id", "id", "--only", "age,nope"],
            2,
        );
        assert!(err.contains("has no column `nope`"), "{err}");
    }
    let (_, err) = expect(
        d,
        &[
            "tags",
            "import",
            "users.jsonl",
            "--id",
            "id",
            "--only",
            "age",
        ],
        0,
    );
    assert!(
        err.contains("nothing declares `odd`: left out") && !err.contains("`region`"),
        "{err}"
    );
}
