//! Case 20 of the delivery design, where a list that opt-outs have made too short finds no other
//! list: whoever is left goes by the next channel of the `via`, or stays without a message.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{UserNo, Value};
use tagcast::engine::run_until::{self, RunSummary};
use tagcast::engine::{Project, ProjectOptions};
use tagcast::ledger::{Ledger, LedgerLocation, LedgerReader, MessageProgress, State};

use super::bench::{APP, SECRET};
use super::callbacks::{push, secret};
use crate::platforms::wechat::WeChat;
use crate::platforms::{Calls, Server};
use crate::support;
use crate::support::campaigns::{Bench, at};
use crate::support::delivery::planned;
use crate::support::service::{SERVE, Service, address, log, metric, sent, until, until_sent};

/// Planned in quiet hours; sent when they end.
const PLANNED: &str = "2026-11-11 23:00";
const MORNING: &str = "2026-11-12 08:00";

/// Three users of a service account that is bound to a platform.
fn bench(program: &str) -> (Bench, Server) {
    let server = Server::start(WeChat::new(APP, SECRET));
    let mut bench = Bench::new(&format!(
        "tag wx address(service_account)\ntag other address(wecom)\ntag n int\n{program}"
    ));
    (0..3).for_each(|i| bench.addressed(&format!("u{i}"), "wx"));
    bind(bench.dir.path(), &server);
    (bench, server)
}

fn bind(folder: &std::path::Path, server: &Server) {
    let config = format!(
        "[accounts.service_account]\napp_id = \"{APP}\"\nsecret_file = \"secret\"\nbase_url = \"{}\"\n",
        server.url
    );
    std::fs::write(folder.join("tagcast.toml"), config).unwrap();
    secret(folder, "secret", SECRET);
}

/// Does what is due at an instant, for real.
fn work(bench: &Bench, server: &Server, now: &str) -> RunSummary {
    server.clock_at(at(now).0 / 1_000_000);
    let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(now)));
    let project = Project::load(
        &[bench.dir.path().to_path_buf()],
        &ProjectOptions::default(),
        world.as_ref(),
    )
    .unwrap();
    assert!(
        !project.has_errors(),
        "{:?}",
        project
            .findings
            .iter()
            .map(|f| &f.message.en)
            .collect::<Vec<_>>()
    );
    let data = bench.data(&project, at(now));
    run_until::run(
        Arc::new(project),
        data,
        &bench.store(),
        None,
        &world,
        &mut (),
    )
    .unwrap()
}

/// The three are planned for the morning; then two of them want no messages.
fn below_min(bench: &Bench, server: &Server) {
    work(bench, server, PLANNED);
    let mut ledger =
        Ledger::open(bench.place(), Arc::new(SimulatedWorld::at(at(PLANNED)))).unwrap();
    assert_eq!(
        planned(ledger.reader())
            .iter()
            .map(|of| of.group.users.len())
            .max(),
        Some(3)
    );
    ledger
        .operator()
        .opt_out(&[UserNo(0), UserNo(1)], "callback", at(PLANNED))
        .unwrap();
}

/// State and reason of the last message of a campaign to the user who is left.
fn left(bench: &Bench, campaign: &str) -> (State, Option<String>) {
    match bench
        .ledger()
        .outcomes(UserNo(2), campaign)
        .unwrap()
        .pop()
        .unwrap()
        .happened
    {
        MessageProgress::Message(message) => (message.state, message.reason),
        other => panic!("{other:?}"),
    }
}

fn campaign(name: &str, rest: &str) -> String {
    format!(
        "campaign {name} {{ when everyone send template T {rest} at {PLANNED} quiet 22:00..8:00 }}\n"
    )
}

const TEMPLATE: &str = "template T { body \"满300减50\" }\n";

#[test]
fn case_20_who_is_left_alone_goes_by_the_next_channel() {
    let follow_up = "remind: after 1 day send template T via sandbox.file";
    let program = format!(
        "{TEMPLATE}template U {{ body \"hello\" }}\n{}",
        campaign("a", "via service_account.mass, sandbox.file")
    );
    let program = program.replace(
        "quiet 22:00..8:00 }",
        &format!(
            "quiet 22:00..8:00\n{} }}",
            follow_up.replace("template T", "template U")
        ),
    );
    let (bench, server) = bench(&program);
    below_min(&bench, &server);
    work(&bench, &server, MORNING);
    assert_eq!(
        (server.requests("mass/send"), bench.got("a")),
        (0, vec!["u2: 满300减50".to_owned()])
    );
    assert_eq!(left(&bench, "a"), (State::Accepted, None));
    let report = &bench.ledger().reports(None).unwrap()[0];
    assert_eq!(
        (
            report.planned,
            report.in_state(State::Accepted),
            report.in_state(State::Struck)
        ),
        (3, 1, 2)
    );
    assert!(report.finished_at.is_some());
    // Once and only once, and what comes after it comes.
    work(&bench, &server, "2026-11-12 08:30");
    assert_eq!(bench.sent().len(), 1);
    work(&bench, &server, "2026-11-13 08:30");
    assert_eq!(
        (bench.got_of("a", "U"), bench.sent().len()),
        (vec!["u2".to_owned()], 2)
    );
    bench.verified();
}

/// Of several channels the next one that reaches the user and takes the message: not one without an
/// address.
#[test]
fn case_20_the_next_channel_must_take_the_message() {
    let program = format!(
        "{TEMPLATE}{}",
        campaign("a", "via service_account.mass, wecom.app, sandbox.file")
    );
    let (bench, server) = bench(&program);
    below_min(&bench, &server);
    work(&bench, &server, MORNING);
    assert_eq!(
        bench
            .sent()
            .iter()
            .map(|m| m.channel.as_str())
            .collect::<Vec<_>>(),
        ["sandbox.file"]
    );
    bench.verified();
}

/// With weights it is the one of the highest.
#[test]
fn case_20_weights_choose_the_next_channel() {
    let program = format!(
        "{TEMPLATE}{}",
        campaign(
            "a",
            "via service_account.mass weight 3, sandbox.file weight 1, wecom.app weight n"
        )
    );
    let (mut bench, server) = bench(&program);
    (0..3).for_each(|i| bench.addressed(&format!("u{i}"), "other"));
    bench.set("u2", "n", Some(Value::Int(2)));
    below_min(&bench, &server);
    work(&bench, &server, MORNING);
    // An account that is not bound writes to the sandbox's file, under its own name.
    assert_eq!(
        bench
            .sent()
            .iter()
            .map(|m| m.channel.as_str())
            .collect::<Vec<_>>(),
        ["wecom.app"]
    );
    bench.verified();
}

/// What no other channel takes ends, and gives its slots back.
#[test]
fn case_20_whom_no_other_channel_takes_gets_nothing() {
    for (via, more) in [
        // No other channel, and no address there.
        ("via service_account.mass", ""),
        ("via service_account.mass, wecom.app", ""),
        // A campaign before has the only slot of the other channel.
        ("via service_account.mass, sandbox.file", "first"),
    ] {
        let caps = "policy { cap sandbox.file 1 per day }\n";
        let first = campaign("before", "via sandbox.file");
        let program = format!(
            "{}{TEMPLATE}{}{}",
            if more.is_empty() { "" } else { caps },
            if more.is_empty() { "" } else { &first },
            campaign("late", via)
        );
        let (bench, server) = bench(&program);
        below_min(&bench, &server);
        work(&bench, &server, MORNING);
        assert_eq!(
            left(&bench, "late"),
            (State::Withdrawn, Some("too_few_for_list".into())),
            "{via}"
        );
        assert_eq!(
            (server.requests("mass/send"), bench.got("late").len()),
            (0, 0),
            "{via}"
        );
        assert!(
            bench
                .ledger()
                .reports(None)
                .unwrap()
                .iter()
                .all(|report| report.finished_at.is_some())
        );
        bench.verified();
    }
}

/// Where the address stands in the run already, whoever has it got the message.
#[test]
fn case_20_an_address_occurs_once_in_a_run() {
    for (address, expected) in [("another", 2), ("shared", 1)] {
        let arms = "split { x 50% send template T y 50% send template U } via service_account.mass, wecom.app";
        let campaign =
            format!("campaign a {{ when everyone {arms} at {PLANNED} quiet 22:00..8:00 }}");
        let (mut bench, server) = bench(&format!(
            "{TEMPLATE}template U {{ body \"hello\" }}\n{campaign}"
        ));
        (0..40).for_each(|i| bench.addressed(&format!("u{i}"), "wx"));
        // Reached only by the other channel.
        bench.addressed_at("v", "other", "shared");
        work(&bench, &server, PLANNED);
        let mut lists = planned(&bench.ledger());
        lists.retain(|of| of.group.users.len() > 1);
        let (left, others) = lists[0].group.users.split_first().unwrap();
        bench.addressed_at(&format!("u{}", left.0), "other", address);
        let mut ledger =
            Ledger::open(bench.place(), Arc::new(SimulatedWorld::at(at(PLANNED)))).unwrap();
        ledger
            .operator()
            .opt_out(others, "callback", at(PLANNED))
            .unwrap();
        drop(ledger);
        work(&bench, &server, MORNING);
        let by_app = bench
            .sent()
            .into_iter()
            .filter(|m| m.channel == "wecom.app");
        assert_eq!(by_app.count(), expected, "{address}");
        bench.verified();
    }
}

/// The same by the service, whose sender and decider are two.
#[test]
fn case_20_the_service_finds_the_next_channel() {
    let server = Server::start(WeChat::new(APP, SECRET));
    let dir = tempfile::tempdir().unwrap();
    let folder: PathBuf = dir.path().to_path_buf();
    bind(&folder, &server);
    let config = std::fs::read_to_string(folder.join("tagcast.toml")).unwrap();
    let tags = "[[tags]]\nfile = \"users.csv\"\nid = \"id\"\n";
    std::fs::write(
        folder.join("tagcast.toml"),
        format!("{tags}{config}callback_token_file = \"token\"\n"),
    )
    .unwrap();
    secret(&folder, "token", "callback-token");
    std::fs::write(folder.join("users.csv"), "id,wx\nu0,o0\nu1,o1\nu2,o2\n").unwrap();
    let later =
        "campaign later { when everyone send template T via sandbox.file at 2099-01-01 10:00 }";
    let head = format!("tag wx address(service_account) base\n{TEMPLATE}{later}\n");
    std::fs::write(folder.join("a.campaign"), &head).unwrap();
    let mut service = Service::start(&folder, &SERVE);
    let at = address(&folder);
    server.call_back(
        &format!("http://{at}/v1/callbacks/service_account"),
        Calls::Once,
    );
    // Held back, so that users can leave between the plan and its turn.
    assert_eq!(
        support::run(&folder, &["pause", "--account", "service_account"]).0,
        0
    );
    let now = "campaign a { when everyone send template T via service_account.mass, sandbox.file at now }";
    std::fs::write(folder.join("a.campaign"), format!("{head}{now}\n")).unwrap();
    until(&folder, "plan", || {
        let ledger =
            LedgerReader::open(LedgerLocation::File(folder.join(".tagcast/ledger.db"))).unwrap()?;
        (planned(&ledger).len() == 1).then_some(())
    });
    let seconds = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    for user in ["o0", "o1"] {
        push(&server, |p: &mut WeChat| p.leaves(user, seconds));
    }
    until(&folder, "opt-outs", || {
        (metric(&at, "tagcast_opt_outs_total ") == 2).then_some(())
    });
    assert_eq!(
        support::run(&folder, &["resume", "--account", "service_account"]).0,
        0
    );
    assert_eq!(until_sent(&folder, 1), ["T u2"]);
    assert_eq!(service.stop(), Some(0), "{}", log(&folder));
    assert_eq!((server.requests("mass/send"), sent(&folder).len()), (0, 1));
    assert_eq!(support::run(&folder, &["audit", "verify"]).0, 0);
}

/// Where the account is not bound there is no platform that wants two: one user gets what the plan
/// promised.
#[test]
fn the_sandbox_takes_a_list_of_one() {
    let program = format!(
        "tag wx address(service_account)\n{TEMPLATE}{}",
        campaign("a", "via service_account.mass")
    );
    let mut bench = Bench::new(&program);
    bench.addressed("u0", "wx");
    bench.run(PLANNED, MORNING);
    assert_eq!(bench.got("a"), ["u0: 满300减50"]);
    bench.verified();
}
