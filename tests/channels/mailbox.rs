//! WeChat customer service, which keeps what customers write until it is fetched: who may be
//! answered, how often, and what failed.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tagcast::base::Instant;
use tagcast::ledger::{LedgerLocation, LedgerReader};

use super::bench::{APP, SECRET};
use super::callbacks::{folder, purchases, push, secret, served};
use crate::platforms::wecom::{CALLBACK_KEY, KF, WeCom};
use crate::platforms::{Calls, Server, What};
use crate::support;
use crate::support::service::{SERVE, Service, address, log, metric, until};

const SYNC: &str = "/cgi-bin/kf/sync_msg";
const SEND: &str = "/cgi-bin/kf/send_msg";

/// Now, in seconds: customers have to have written in the last two days.
fn now() -> i64 {
    i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap()
}

fn customer_service(server: &Server) -> (tempfile::TempDir, PathBuf) {
    let url = &server.url;
    let account = format!(
        "open_kfid = \"{KF}\"\nsecret_file = \"secret\"\ncallback_token_file = \"token\"\ncallback_key_file = \"key\"\nbase_url = \"{url}\"\n"
    );
    let (dir, folder) = folder("wecom", "wm", &account, "body \"谢谢\"", "wecom.kf");
    for (name, text) in [
        ("secret", SECRET),
        ("token", "callback-token"),
        ("key", CALLBACK_KEY),
    ] {
        secret(&folder, name, text);
    }
    (dir, folder)
}

fn ledger(folder: &Path) -> Option<LedgerReader> {
    LedgerReader::open(LedgerLocation::File(folder.join(".tagcast/ledger.db"))).unwrap()
}

/// Waits until the platform's letters were read to their end after an instant, and all of them are
/// understood.
fn until_read(folder: &Path, since: Instant) {
    until(folder, "letters", || {
        let ledger = ledger(folder)?;
        let read = ledger
            .mailboxes()
            .unwrap()
            .first()
            .and_then(|m| m.read_at)
            .is_some_and(|at| at >= since);
        (read && ledger.calls(1).unwrap().is_empty()).then_some(())
    });
}

/// This moment, for [`until_read`].
fn moment() -> Instant {
    Instant(i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_micros()).unwrap())
}

/// Buys, and waits until that led to a message or to none.
fn bought(folder: &Path, at: &str, user: &str) {
    let before = metric(at, "tagcast_events_decided_total ");
    purchases(at, &[user]);
    until(folder, "decision", || {
        (metric(at, "tagcast_events_decided_total ") > before).then_some(())
    });
}

fn outcome(folder: &Path, user: &str) -> String {
    support::run(folder, &["why", user, "thank"]).1
}

#[test]
fn who_wrote_is_answered_five_times_and_who_did_not_never() {
    let server = Server::start(WeCom::new(APP, SECRET));
    // Pages of two letters.
    server.with(|p: &mut WeCom| p.page = 2);
    let (_dir, folder) = customer_service(&server);
    let start = moment();
    let (mut service, at) = served(&folder, &server, "wecom");
    until_read(&folder, start);
    // Nobody has written, and that is known: nothing is tried.
    bought(&folder, &at, "u0");
    assert_eq!(server.requests(SEND), 0);
    // Five write, each call comes twice, and an employee writes to somebody who did not.
    let since = moment();
    for user in ["wm1", "wm2", "wm3", "a stranger", "wm1"] {
        push(&server, |p: &mut WeCom| p.writes_to_service(user, now()));
    }
    push(&server, |p: &mut WeCom| p.employee_writes("wm0", now()));
    until_read(&folder, since);
    until(&folder, "all letters", || {
        (mark(&folder) == "cursor-6").then_some(())
    });
    until_read(&folder, since);
    for _ in 0..7 {
        bought(&folder, &at, "u1");
    }
    bought(&folder, &at, "u0");
    bought(&folder, &at, "u2");
    until(&folder, "messages", || {
        (server.log().len() >= 6).then_some(())
    });
    let refused = metric(&at, "tagcast_messages_refused_total ");
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let received: Vec<(String, usize)> = server.received().into_iter().collect();
    assert_eq!(received, [("wm1".into(), 5), ("wm2".into(), 1)]);
    // The platform was never asked for more than it takes.
    assert_eq!((server.requests(SEND), refused), (6, 0));
    assert!(
        outcome(&folder, "u0").contains("unreachable"),
        "{}",
        outcome(&folder, "u0")
    );
    // What customers wrote is nowhere.
    let db = std::fs::read(folder.join(".tagcast/ledger.db")).unwrap();
    assert!(!db.windows(6).any(|w| w == "在吗".as_bytes()));
    let (code, out, _) = support::run(&folder, &["status"]);
    assert!(
        code == 0 && out.contains("what users of wecom write is known up to "),
        "{out}"
    );
    assert_eq!(support::run(&folder, &["audit", "verify"]).0, 0);
}

fn mark(folder: &Path) -> String {
    ledger(folder)
        .map(|l| l.mark("wecom", KF).unwrap())
        .unwrap_or_default()
}

/// Calls that get lost lose nothing: the next one, or the next start, fetches from where the last
/// one ended.
#[test]
fn a_lost_call_and_a_crash_lose_no_letter() {
    let server = Server::start(WeCom::new(APP, SECRET));
    let (_dir, folder) = customer_service(&server);
    let start = moment();
    let (mut service, at) = served(&folder, &server, "wecom");
    until_read(&folder, start);
    // Nobody is told of the first letter; the answer with both is cut off once, and asked for
    // again.
    server.with(|p: &mut WeCom| drop(p.writes_to_service("wm0", now())));
    server.fault(SYNC, What::CutAfter, 1);
    push(&server, |p: &mut WeCom| p.writes_to_service("wm1", now()));
    until(&folder, "both letters", || {
        (mark(&folder) == "cursor-2").then_some(())
    });
    until_read(&folder, start);
    bought(&folder, &at, "u0");
    until(&folder, "message", || {
        (server.log().len() == 1).then_some(())
    });
    service.kill();
    // Written while nobody is there.
    server.with(|p: &mut WeCom| drop(p.writes_to_service("wm2", now())));
    let since = moment();
    let mut service = Service::start(&folder, &SERVE);
    until(&folder, "third letter", || {
        (mark(&folder) == "cursor-3").then_some(())
    });
    until_read(&folder, since);
    let at = address(&folder);
    bought(&folder, &at, "u2");
    until(&folder, "message", || {
        (server.log().len() == 2).then_some(())
    });
    let asked: Vec<String> = server
        .bodies(SYNC)
        .iter()
        .map(|b| String::from_utf8_lossy(b).into_owned())
        .collect();
    assert!(
        asked.last().unwrap().contains("\"cursor\":\"cursor-2\""),
        "{asked:?}"
    );
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    assert_eq!(support::run(&folder, &["audit", "verify"]).0, 0);
}

/// What fails after it was taken is told in the same way; who refuses the account's messages gets
/// none until he writes again.
#[test]
fn what_failed_after_it_was_taken_is_known() {
    let server = Server::start(WeCom::new(APP, SECRET));
    server.with(|p: &mut WeCom| p.refusing.insert("wm0".into()));
    let (_dir, folder) = customer_service(&server);
    let (mut service, at) = served(&folder, &server, "wecom");
    push(&server, |p: &mut WeCom| {
        p.writes_to_service("wm0", now() - 60)
    });
    until(&folder, "letter", || {
        (mark(&folder) == "cursor-1").then_some(())
    });
    until_read(&folder, Instant(0));
    bought(&folder, &at, "u0");
    until(&folder, "failure", || {
        outcome(&folder, "u0").contains("failed").then_some(())
    });
    bought(&folder, &at, "u0");
    assert_eq!((server.requests(SEND), server.log().len()), (1, 0));
    // He writes again, and takes messages now.
    server.with(|p: &mut WeCom| p.refusing.clear());
    push(&server, |p: &mut WeCom| {
        p.writes_to_service("wm0", now() + 5)
    });
    until(&folder, "letter", || {
        (mark(&folder) == "cursor-3").then_some(())
    });
    until_read(&folder, Instant(0));
    bought(&folder, &at, "u0");
    until(&folder, "message", || {
        (server.log().len() == 1).then_some(())
    });
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
}

/// While the platform cannot be asked, the journal says so once, and other accounts are none the
/// worse.
#[test]
fn a_platform_that_does_not_answer_is_told_of_once() {
    let server = Server::start(WeCom::new(APP, SECRET));
    server.with(|p: &mut WeCom| p.trusted = false);
    server.call_back("", Calls::Never);
    let (_dir, folder) = customer_service(&server);
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    until(&folder, "failure", || {
        (metric(&at, "tagcast_mailbox_failures_total ") == 1).then_some(())
    });
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    let told: Vec<String> = log(&folder)
        .lines()
        .filter(|l| l.contains("cannot be read"))
        .map(str::to_owned)
        .collect();
    assert!(
        told.len() == 1 && told[0].contains("203.0.113.7"),
        "{told:?}"
    );
}
