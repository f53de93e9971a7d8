//! Consent is asked again at the send: who ends it after the plan gets nothing of what was
//! planned.

use crate::support;
use std::path::{Path, PathBuf};

use crate::support::service::{
    SERVE, Service, address, log, metric, sent, until, until_sent, with_token,
};

/// One message a minute, so that the others wait.
fn folder(head: &str, campaign: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_path_buf();
    std::fs::write(
        path.join("users.csv"),
        "user_id,ok,ill,told\nu1,true,no,true\nu2,true,no,true\nu3,true,no,true\nu4,true,no,true\n",
    )
    .unwrap();
    std::fs::write(
        path.join("tagcast.toml"),
        "[[tags]]\nfile = \"users.csv\"\nid = \"user_id\"\n",
    )
    .unwrap();
    let program = format!(
        "tag ok bool consent base\ntag told bool consent base\ntag ill text sensitive by told base\n{head}\ntemplate t \"a\"\n\
         campaign c {{ {campaign} pace 1 per minute deadline 5h send template t }}\n"
    );
    std::fs::write(path.join("a.campaign"), program).unwrap();
    (dir, path)
}

fn tell(folder: &Path, args: &[&str]) {
    let (code, _, err) = support::run(folder, &[&["tags", "set"], args].concat());
    assert_eq!(code, 0, "{err}");
}

fn run(folder: &Path, args: &[&str]) -> String {
    let (code, out, err) = support::run(folder, &[&["run"], args].concat());
    assert_eq!(code, 0, "{out}{err}");
    out
}

fn why(folder: &Path, user: &str) -> String {
    let (code, out, err) = support::run(folder, &["why", user, "c", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    let why: serde_json::Value = serde_json::from_str(&out).unwrap();
    why["runs"][0]["outcome"]
        .as_str()
        .unwrap_or_default()
        .into()
}

/// A run that was interrupted continues after consent was ended, or became missing, and was ended and
/// given again.
#[test]
fn who_ends_consent_after_the_plan_is_struck_by_the_next_run() {
    let (_dir, folder) = folder(
        "policy { consent ok cap 1 per day }",
        "when everyone at 2026-11-11 10:00",
    );
    run(&folder, &["--now", "2026-11-11T10:00"]);
    let first = sent(&folder);
    assert_eq!(first.len(), 1);
    let left: Vec<&str> = ["u1", "u2", "u3", "u4"]
        .into_iter()
        .filter(|u| first[0] != format!("t {u}"))
        .collect();
    tell(&folder, &[left[0], "ok=false"]);
    tell(&folder, &[left[1], "ok="]);
    tell(&folder, &[left[2], "ok=false"]);
    tell(&folder, &[left[2], "ok=true"]);
    run(&folder, &["--now", "2026-11-11T10:01", "--until", "10:30"]);
    let all = sent(&folder);
    assert_eq!(all[1..], [format!("t {}", left[2])]);
    for user in &left[..2] {
        assert_eq!(why(&folder, user), "no_consent");
    }
    // Their slots of the day are free, should they consent again in it.
    for user in &left[..2] {
        tell(&folder, &[user, "ok=true"]);
    }
    let program = std::fs::read_to_string(folder.join("a.campaign")).unwrap();
    let later = "campaign later { when everyone at 2026-11-11 11:00 send template t }\n";
    std::fs::write(folder.join("a.campaign"), format!("{program}{later}")).unwrap();
    run(&folder, &["--now", "2026-11-11T11:00"]);
    assert_eq!(
        sent(&folder).len(),
        4,
        "the other two have had their message of the day"
    );
    assert_eq!(support::run(&folder, &["audit", "verify"]).0, 0);
}

/// The consent of a sensitive tag that selects is asked again too.
#[test]
fn the_consent_of_a_sensitive_tag_counts_as_well() {
    let (_dir, folder) = folder("", "when ill == \"no\" at 2026-11-11 10:00");
    run(&folder, &["--now", "2026-11-11T10:00"]);
    let first = sent(&folder);
    let left: Vec<&str> = ["u1", "u2", "u3", "u4"]
        .into_iter()
        .filter(|u| first[0] != format!("t {u}"))
        .collect();
    // Nothing here needs the other consent.
    tell(&folder, &[left[0], "told=false"]);
    tell(&folder, &[left[1], "ok=false"]);
    run(&folder, &["--now", "2026-11-11T10:01", "--until", "10:30"]);
    assert_eq!(
        (sent(&folder).len(), why(&folder, left[0])),
        (3, "no_consent".into())
    );
}

/// A consent that counts only while it is fresh runs out by itself.
#[test]
fn a_consent_runs_out_by_age() {
    let (_dir, folder) = folder("policy { consent lately }", "when everyone at SOON");
    let zone = tagcast::base::Zone::SHANGHAI;
    let start = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap() / 60;
    let minute = |n: i64| {
        zone.show(tagcast::base::Instant::from_seconds((start + n) * 60))
            .replace(' ', "T")
    };
    let program = std::fs::read_to_string(folder.join("a.campaign")).unwrap();
    let program = program
        .replace(
            "tag ok bool",
            "tag lately bool consent base fresh 3min\ntag ok bool",
        )
        .replace("SOON", &minute(2).replace('T', " "));
    std::fs::write(folder.join("a.campaign"), program).unwrap();
    let users = "user_id,ok,ill,told,lately\nu1,true,no,true,true\nu2,true,no,true,true\nu3,true,no,true,true\nu4,true,no,true,true\n";
    std::fs::write(folder.join("users.csv"), users).unwrap();
    run(&folder, &["--now", &minute(1), "--until", &minute(9)]);
    // Written in minute 0, or on a slow machine a little later: at minutes 2 and 3 it is fresh, and
    // not for long after that.
    let had = sent(&folder);
    assert!((2..=3).contains(&had.len()), "{had:?}");
    for user in ["u1", "u2", "u3", "u4"]
        .into_iter()
        .filter(|u| !had.contains(&format!("t {u}")))
    {
        assert_eq!(why(&folder, user), "no_consent");
    }
}

/// A change of tags that the service has acknowledged counts from its next claim on.
#[test]
fn a_service_strikes_as_soon_as_consent_ends() {
    let (_dir, folder) = folder("policy { consent ok }", "when everyone at now");
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    let first = until_sent(&folder, 1);
    let left: Vec<&str> = ["u1", "u2", "u3", "u4"]
        .into_iter()
        .filter(|u| first[0] != format!("t {u}"))
        .collect();
    let end =
        |(user, ok): (&&str, &str)| format!("{{\"user\":\"{user}\",\"tags\":{{\"ok\":{ok}}}}}\n");
    let body: String = left
        .iter()
        .zip(["false", "null", "false"])
        .map(end)
        .collect();
    assert_eq!(with_token(&at, "POST", "/v1/tags", &body).0, 200);
    // A new minute may have begun just before, and with it one more message.
    until(&folder, "striking", || {
        (metric(&at, "tagcast_withdrawn_total ") >= 2).then_some(())
    });
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let all = sent(&folder);
    for user in left {
        assert_eq!(
            why(&folder, user) == "no_consent",
            !all.contains(&format!("t {user}")),
            "{user}: {all:?}"
        );
    }
    assert!(all.len() <= 2, "{all:?}");
}
