//! `tagcast preview`: what a person sees of a campaign's messages before anything is decided.

use std::path::Path;

use crate::support::run;

const PROGRAM: &str = r#"tag nickname text(10)
tag city text(10)
tag openid address(service_account)
template hello { title "你好 {nickname}" body "{city ?? '您的城市'}<全场>\n满300减50" link "https://shop.example/a" }
template again { body "还有 1 天" }
campaign both "双十一" {
  when nickname is known
  split { a 50% send hello  b 50% send again via sandbox.file }
  via service_account.chat
  at 2027-01-01 10:00
  last: after 24h send again
}
"#;

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("p.campaign"), PROGRAM).unwrap();
    std::fs::write(
        dir.path().join("tagcast.toml"),
        "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n",
    )
    .unwrap();
    let users =
        "id,nickname,city,openid\nu1,小林,上海,o1\nu2,亚历山大,北京,o2\nu3,小陈,,o3\nu4,,上海,o4\n";
    std::fs::write(dir.path().join("users.csv"), users).unwrap();
    dir
}

fn shown(dir: &Path, args: &[&str]) -> String {
    let (code, out, err) = run(dir, args);
    assert_eq!(code, 0, "{args:?}\n{out}{err}");
    out
}

#[test]
fn every_way_with_its_variants() {
    let dir = folder();
    let out = shown(dir.path(), &["preview", "both", "--lang", "en"]);
    for expected in [
        "both  双十一",
        "arm a · template hello · service_account.chat (text)",
        "the longest",
        "│ 你好 亚历山大",
        "with a default",
        "│ 您的城市<全场>",
        "of 2048 bytes",
        "arm b · template again · sandbox.file",
        "last · template again · service_account.chat",
    ] {
        assert!(out.contains(expected), "{expected}\n{out}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&shown(dir.path(), &["preview", "both", "--format", "json"])).unwrap();
    let kinds: Vec<&str> = json["ways"][0]["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["longest", "default"]);
    assert_eq!(
        (
            json["ways"][0]["shape"].as_str(),
            json["ways"][2]["step"].as_str()
        ),
        (Some("text"), Some("last"))
    );
}

#[test]
fn one_users_message() {
    let dir = folder();
    let out = shown(
        dir.path(),
        &["preview", "both", "--user", "u3", "--lang", "en"],
    );
    assert!(
        out.contains("this user's")
            && out.contains("你好 小陈")
            && out.contains("您的城市")
            && !out.contains("亚历山大"),
        "{out}"
    );
    // One whom the campaign does not reach, because a value is missing.
    let out = shown(
        dir.path(),
        &["preview", "both", "--user", "u4", "--lang", "en"],
    );
    assert!(
        out.contains("with a value missing: it would not be sent")
            && out.contains("你好 {nickname}"),
        "{out}"
    );
}

/// The page shows what a message says and runs nothing of it.
#[test]
fn a_page_with_bubbles() {
    let dir = folder();
    shown(
        dir.path(),
        &["preview", "both", "--user", "u4", "--html", "missing.html"],
    );
    assert!(
        std::fs::read_to_string(dir.path().join("missing.html"))
            .unwrap()
            .contains("class=\"bubble missing\"")
    );
    shown(dir.path(), &["preview", "both", "--html", "page.html"]);
    let page = std::fs::read_to_string(dir.path().join("page.html")).unwrap();
    assert!(page.contains("您的城市&lt;全场&gt;<br>满300减50"), "{page}");
    assert!(
        !page.contains("<script") && !page.contains("http-equiv") && !page.contains("src="),
        "{page}"
    );
}

#[test]
fn what_cannot_be_previewed() {
    let dir = folder();
    for (args, exit, says) in [
        (&["preview", "bth"][..], 1, "did you mean `both`"),
        (
            &["preview", "both", "--user", "nobody"],
            1,
            "no user with this id",
        ),
        (
            &["preview", "both", "--html", "nowhere/page.html"],
            2,
            "nowhere",
        ),
        (&["preview"], 2, "<CAMPAIGN>"),
    ] {
        let (code, out, err) = run(dir.path(), args);
        assert_eq!(code, exit, "{args:?}\n{out}{err}");
        assert!(err.contains(says), "{args:?}\n{err}");
    }
}
