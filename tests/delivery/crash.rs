//! Whatever write a process dies at, the next one continues: nobody gets a message twice, nobody is
//! left out, and every planned message has an outcome. Case 1 of the delivery design, with the
//! sandbox as the platform.

use crate::support::campaigns;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::support::delivery::{Dying, Wanted, at, day, ids, outbox, program, users};
use tagcast::base::world::World;
use tagcast::base::{Instant, UserNo};
use tagcast::decide::decision::{Decision, Gate};
use tagcast::decide::history::{CapScope, History};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::ledger::{
    Ledger, LedgerError, LedgerReader, LiveCampaign, LiveProgram, MessageProgress, State,
};

/// Users in the store.
const OF: u32 = 260;

/// `first` and `second` are due together and compete for one message a month; `later` finds out who
/// is left.
fn campaigns() -> String {
    "template T \"满300减50\"
     policy { cap 1 per month }
     campaign first { when everyone send template T at 2026-11-11 10:00 pace 20 per minute }
     campaign second { when everyone send template T at 2026-11-11 10:00 priority 5 }
     campaign later { when everyone send template T at 2026-11-11 11:00 }"
        .into()
}

/// Plans and runs everything, as the engine does: decide what is due, plan it, hand it over;
/// then the next instant.
fn go(dir: &Path, world: Arc<dyn World>) -> Result<(), LedgerError> {
    let program = program(&campaigns());
    let snapshot = users(OF);
    let mut ledger = Ledger::open(&dir.join("ledger.db"), world.clone())?;
    let names = ["first", "second", "later"];
    let live = names.map(|name| LiveCampaign {
        name,
        fixed: Some(at("2026-11-11 10:00")),
    });
    let sources = [("a.campaign".to_owned(), campaigns())];
    ledger.planner().make_live(
        &LiveProgram {
            digest: "program 1",
            sources: &sources,
            campaigns: &live,
            plan: Some("plan 1"),
        },
        world.now(),
    )?;
    let channels =
        Channels::sandbox(&dir.join("outbox.jsonl"), world.clone()).expect("no control file");
    let mut carry = DispatchLoop::new(&mut ledger, channels, ids(&snapshot), world.clone());
    let (ten, eleven) = (at("2026-11-11 10:00"), at("2026-11-11 11:00"));
    let wanted = |campaign, due| Wanted {
        program: &program,
        campaign,
        due,
        of: OF,
    };
    for due in [ten, eleven] {
        carry.up_to(due, &mut ())?;
        if due == ten {
            // `first` and `second` compete for one slot a user: they are decided and planned
            // together.
            let (a, b) = (wanted("first", ten), wanted("second", ten));
            let mut second = b.personal(120..200);
            Wanted::stop(&mut second, Gate::Capped(Some("first".into())), 60..120);
            carry
                .ledger()
                .planner()
                .plan_runs(&[(&a.to(0..120), a.info()), (&second, b.info())])?;
        } else {
            let later = capped(&wanted("later", eleven), carry.ledger().reader())?;
            carry
                .ledger()
                .planner()
                .plan_run(&later, &wanted("later", eleven).info())?;
        }
    }
    carry.up_to(at("2026-11-11 13:00"), &mut ())?;
    Ok(())
}

/// Everyone whose slot of the month is free.
fn capped(wanted: &Wanted, ledger: &LedgerReader) -> Result<Decision, LedgerError> {
    let scope = CapScope {
        campaign: None,
        purpose: None,
        channel: None,
    };
    let counted = ledger.counted(&scope, day("2026-11-01"), day("2026-11-30"))?;
    let free = |user: &u32| !counted.contains_key(&UserNo(*user));
    let mut decision = wanted.to((0..OF).filter(free));
    for winner in ["first", "second"] {
        let lost = counted
            .iter()
            .filter(|(_, c)| c.latest_campaign == winner)
            .map(|(user, _)| user.0);
        Wanted::stop(
            &mut decision,
            Gate::Capped(Some(winner.into())),
            lost.collect::<Vec<_>>(),
        );
    }
    Ok(decision)
}

/// What a run without any trouble writes.
fn expected() -> BTreeMap<String, Vec<(String, String)>> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    go(dir.path(), Dying::after(at("2026-11-11 09:59"), usize::MAX)).expect("no trouble");
    let sent = outbox(&dir.path().join("outbox.jsonl"));
    let sizes: Vec<(&str, usize)> = sent
        .iter()
        .map(|(campaign, lines)| (campaign.as_str(), lines.len()))
        .collect();
    assert_eq!(sizes, [("first", 120), ("later", 60), ("second", 80)]);
    sent
}

/// Compares file and ledger with what must be: 0 doubled, 0 lost, an outcome for every planned
/// message, an audit chain that is whole.
fn compare(dir: &Path, expected: &BTreeMap<String, Vec<(String, String)>>, what: &str) {
    assert_eq!(&outbox(&dir.join("outbox.jsonl")), expected, "{what}");
    let ledger = LedgerReader::open(&dir.join("ledger.db"))
        .unwrap()
        .expect("a ledger");
    for report in ledger.reports(None).unwrap() {
        assert_eq!(
            report.in_state(State::Accepted),
            report.planned,
            "{what}: {report:?}"
        );
        assert_eq!(
            report.planned as usize,
            expected[&report.campaign].len(),
            "{what}"
        );
        assert!(report.finished_at.is_some(), "{what}");
        let stopped: i64 = report.stopped.iter().map(|s| s.users).sum();
        assert_eq!(
            report.users,
            report.not_matched + stopped + report.planned,
            "{what}"
        );
    }
    assert!(ledger.stuck().unwrap().is_empty(), "{what}");
    assert_eq!(ledger.verify().unwrap().problems, [], "{what}");
    let [outcome] = &ledger.outcomes(UserNo(70), "second").unwrap()[..] else {
        panic!("{what}: one run")
    };
    assert_eq!(
        outcome.happened,
        MessageProgress::Stopped {
            reason: "capped".into(),
            detail: Some("first".into())
        },
        "{what}"
    );
}

fn start() -> Instant {
    at("2026-11-11 09:59")
}

#[test]
fn case_01_a_process_that_dies_at_any_write_is_made_good_by_the_next() {
    let expected = expected();
    let whole = tempfile::tempdir().unwrap();
    let world = Dying::after(start(), 10_000);
    go(whole.path(), world.clone()).unwrap();
    let writes = world.used(10_000);
    assert!(writes > 30, "{writes}");
    for k in 0..writes {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            go(dir.path(), Dying::after(start(), k)).is_err(),
            "write {k} fails"
        );
        // The next process dies too, a little further on; the third comes through.
        let _ = go(dir.path(), Dying::after(start(), 1 + k % 5));
        go(dir.path(), Dying::after(start(), usize::MAX)).unwrap();
        compare(dir.path(), &expected, &format!("died at write {k}"));
    }
}

/// The same with real processes that end without any clean-up.
#[test]
fn a_killed_process_is_made_good_by_the_next() {
    let expected = expected();
    let mut killed = 0;
    for k in (0..40).step_by(4) {
        let dir = tempfile::tempdir().unwrap();
        killed += usize::from(!child(dir.path(), &format!("abort {k}"), "").success());
        assert!(child(dir.path(), "finish 0", "").success());
        compare(dir.path(), &expected, &format!("killed at write {k}"));
    }
    assert!(killed >= 9, "{killed}");
}

/// A disk that is full at any size leaves a ledger that continues where it stopped once there is
/// room.
#[cfg(unix)]
#[test]
fn case_12_a_full_disk_stops_and_loses_nothing() {
    let expected = expected();
    let mut stopped = 0;
    for blocks in (0..900).step_by(60) {
        let dir = tempfile::tempdir().unwrap();
        // Files may not grow beyond so many blocks; the signal that would end the process is
        // ignored, so writes fail as on a full disk.
        let limit = format!("trap '' XFSZ; ulimit -f {blocks}; ");
        stopped += usize::from(!child(dir.path(), "finish 0", &limit).success());
        assert!(child(dir.path(), "finish 0", "").success(), "{blocks}");
        compare(dir.path(), &expected, &format!("full at {blocks} blocks"));
    }
    assert!(stopped >= 4, "{stopped}");
}

/// Runs this test binary again as a process of its own, by way of a shell that sets its limits.
fn child(dir: &Path, job: &str, limits: &str) -> std::process::ExitStatus {
    let me = std::env::current_exe().expect("this test");
    let script = format!("{limits}exec \"$0\" --exact crash::the_child --nocapture");
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(script)
        .arg(me)
        .env("TAGCAST_CRASH_DIR", dir)
        .env("TAGCAST_CRASH_JOB", job);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    command.status().expect("a shell")
}

/// Not a test of its own: what [`child`] runs. Without a job it has nothing to do.
#[test]
fn the_child() {
    let (Some(dir), Ok(job)) = (
        std::env::var_os("TAGCAST_CRASH_DIR"),
        std::env::var("TAGCAST_CRASH_JOB"),
    ) else {
        return;
    };
    let (what, n) = job.split_once(' ').expect("a job and a number");
    let n: usize = n.parse().expect("a number");
    let world = if what == "abort" {
        Dying::aborting_after(start(), n)
    } else {
        Dying::after(start(), usize::MAX)
    };
    go(&PathBuf::from(dir), world).expect("no trouble");
}

/// A write that fails says why and what to do, and nothing is half done.
#[test]
fn a_failed_write_says_what_to_do() {
    let expected = expected();
    for (kind, word) in [
        (io::ErrorKind::StorageFull, "free some space"),
        (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
    ] {
        for k in 0..12 {
            let dir = tempfile::tempdir().unwrap();
            match go(dir.path(), Dying::failing_after(start(), k, kind)) {
                Err(error) => assert!(error.message().en.contains(word), "{k}: {error}"),
                Ok(()) => panic!("write {k} fails"),
            }
            go(dir.path(), Dying::after(start(), usize::MAX)).unwrap();
            compare(dir.path(), &expected, &format!("{kind:?} at write {k}"));
        }
    }
}

/// Nothing is sent before its claim is durable, and no claim is without its plan: seen from
/// the platform.
#[test]
fn the_platform_never_sees_what_is_not_claimed() {
    struct Watching {
        ledger: PathBuf,
        inner: tagcast::deliver::platforms::sandbox::SandboxFile,
    }
    impl tagcast::deliver::channel::Channel for Watching {
        fn endpoint(&self) -> &tagcast::program::platform::Endpoint {
            self.inner.endpoint()
        }
        fn max_batch(&self) -> usize {
            50
        }
        fn settles_after(&self) -> tagcast::base::Elapsed {
            self.inner.settles_after()
        }
        fn send(&self, batch: &tagcast::ledger::Batch) -> tagcast::deliver::channel::Reply {
            let ledger = LedgerReader::open(&self.ledger).unwrap().expect("a ledger");
            let claimed = ledger.stuck().unwrap();
            assert!(
                claimed
                    .iter()
                    .any(|s| s.run == batch.run && s.messages as usize == batch.messages.len())
            );
            for message in &batch.messages {
                assert!(
                    ledger
                        .message_key(batch.run, 0, message.user)
                        .unwrap()
                        .is_some()
                );
            }
            self.inner.send(batch)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let world: Arc<dyn World> = Dying::after(start(), usize::MAX);
    let program = program(&campaigns());
    let path = dir.path().join("ledger.db");
    let mut ledger = Ledger::open(&path, world.clone()).unwrap();
    let wanted = Wanted {
        program: &program,
        campaign: "second",
        due: at("2026-11-11 10:00"),
        of: OF,
    };
    ledger
        .planner()
        .plan_run(&wanted.personal(0..OF), &wanted.info())
        .unwrap();
    let inner = tagcast::deliver::platforms::sandbox::SandboxFile::at(
        &dir.path().join("outbox.jsonl"),
        world.clone(),
    )
    .unwrap();
    let channels = Channels::all_by(Arc::new(Watching {
        ledger: path,
        inner,
    }));
    let mut carry = DispatchLoop::new(&mut ledger, channels, ids(&users(OF)), world);
    assert_eq!(
        carry
            .up_to(at("2026-11-11 10:05"), &mut ())
            .unwrap()
            .accepted,
        OF as usize
    );
}

/// Case 3: between the plan and the rest of the send a user's first address goes away. The run
/// was frozen with it: one message, by the channel that was planned, or by the other one if nothing
/// was planned yet.
#[test]
fn case_03_an_address_that_goes_away_after_the_plan() {
    let program = "tag openid address(service_account) base
        tag wecom_id address(wecom) base
        template t \"满300减50\"
        campaign c { when everyone send template t via service_account.mass, wecom.group at 2026-11-11 10:00 }";
    let users = ["u1", "u2", "u3"];
    let (mut by_first, mut by_second) = (0, 0);
    for writes in 0.. {
        let mut bench = campaigns::Bench::new(program);
        for user in users {
            bench.addressed(user, "openid");
            bench.addressed(user, "wecom_id");
        }
        let died = bench
            .run_dying("2026-11-11 09:00", "2026-11-11 10:30", writes)
            .is_err();
        bench.unaddressed("u2", "openid");
        bench.run("2026-11-11 09:00", "2026-11-11 10:30");
        let mut sent: Vec<(String, String)> = bench
            .sent()
            .into_iter()
            .map(|m| (m.user, m.channel))
            .collect();
        sent.sort();
        assert_eq!(
            sent.iter()
                .map(|(user, _)| user.as_str())
                .collect::<Vec<_>>(),
            users,
            "died at write {writes}"
        );
        match sent[1].1.as_str() {
            "service_account.mass" => by_first += 1,
            "wecom.group" => by_second += 1,
            other => panic!("{other}"),
        }
        bench.verified();
        if !died {
            break;
        }
    }
    assert!(by_first > 2 && by_second > 2, "{by_first} {by_second}");
}
