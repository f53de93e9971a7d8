//! Lists by mass send, from the plan in the ledger to the platform's log and back: how they are
//! cut, what a repeat is, what the finish event says. Cases are numbered as the delivery design
//! numbers them.

use std::sync::Arc;

use serde_json::json;
use tagcast::base::UserNo;
use tagcast::base::world::{SimulatedWorld, World};
use tagcast::decide::decision::Contents;
use tagcast::decide::history::{CapScope, History};
use tagcast::deliver::account::AccountSettings;
use tagcast::deliver::callback::{CallbackKind, Incoming};
use tagcast::deliver::channels::Channels;
use tagcast::deliver::dispatch::{DispatchLoop, DispatchSummary};
use tagcast::deliver::http::secret::Secret;
use tagcast::deliver::platforms::callbacks;
use tagcast::ledger::{
    CallApplied, ClaimAttempt, Ledger, MessageOutcome, MessageProgress, NewCall, Receipt,
    ReceiptContent as Says, RunId, State,
};

use super::bench::{APP, SECRET, content};
use super::cuts::channels_at;
use crate::platforms::wechat::WeChat;
use crate::platforms::{Calls, Server, What};
use crate::support::delivery::{DUE, Place, Wanted, at, day, ids, planned, state, users, verified};

/// A run of one campaign to a list of openids, and the platform that it goes to.
struct Run {
    place: Place,
    server: Server,
    ledger: Option<Ledger>,
    run: RunId,
    users: u32,
}

impl Run {
    /// Of users `u0`, `u1`, … with the openids `o0`, `o1`, ….
    fn of(n: u32) -> Run {
        Run::by("mass", n, |_| {})
    }

    fn by(endpoint: &str, n: u32, change: impl FnOnce(&mut Vec<Arc<str>>)) -> Run {
        Run::of_campaign("a", endpoint, n, change)
    }

    fn of_campaign(
        campaign: &'static str,
        endpoint: &str,
        n: u32,
        change: impl FnOnce(&mut Vec<Arc<str>>),
    ) -> Run {
        let (place, server) = (Place::new(), Server::start(WeChat::new(APP, SECRET)));
        let wanted = Wanted {
            of: n,
            ..place.wanted(campaign)
        };
        let mut decision = wanted.to(0..n);
        let group = &mut decision.messages[0];
        group.channel = tagcast::program::typed::ChannelName {
            endpoint: endpoint.into(),
            ..crate::support::delivery::mass()
        };
        group.addresses = (0..n).map(|i| format!("o{i}").into()).collect();
        change(&mut group.addresses);
        group.expires = at("2026-11-13 10:00");
        group.contents = Contents::Same(match endpoint {
            "template" => content(&[
                ("platform", "TM1"),
                ("field thing1", "会员专享"),
                ("field amount2", "¥50"),
            ]),
            _ => content(&[("body", "满300减50")]),
        });
        let mut ledger = place.open();
        let run = ledger
            .planner()
            .plan_run(&decision, &wanted.info())
            .unwrap()
            .run;
        Run {
            ledger: Some(ledger),
            place,
            server,
            run,
            users: n,
        }
    }

    fn ledger(&mut self) -> &mut Ledger {
        self.ledger.as_mut().expect("it is open")
    }

    /// Does what is due at an instant. The platform's clock is right.
    fn work(&mut self, now: &str) -> (DispatchSummary, Vec<String>) {
        self.work_until(now, now)
    }

    fn work_until(&mut self, from: &str, until: &str) -> (DispatchSummary, Vec<String>) {
        self.server.clock_at(at(from).0 / 1_000_000);
        let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(from)));
        let channels: Channels = channels_at([&self.server.url, "http://127.0.0.1:9"], 16, &world);
        let n = self.users;
        let mut carry = DispatchLoop::new(
            self.ledger.as_mut().expect("it is open"),
            channels,
            ids(&users(n)),
            world,
        );
        let carried = carry.up_to(at(until), &mut ()).unwrap();
        (
            carried,
            carry.stopped().values().map(|why| why.en.clone()).collect(),
        )
    }

    /// The process ends, and another one begins.
    fn restart(&mut self, now: &str) {
        self.ledger = None;
        let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(now)));
        self.ledger = Some(Ledger::open(self.place.at(), world).unwrap());
    }

    fn message(&mut self, user: u32) -> MessageOutcome {
        match self
            .ledger()
            .reader()
            .outcomes(UserNo(user), "a")
            .unwrap()
            .pop()
            .unwrap()
            .happened
        {
            MessageProgress::Message(message) => *message,
            other => panic!("{other:?}"),
        }
    }

    fn in_state(&mut self, state: State) -> i64 {
        self.ledger().reader().reports(None).unwrap()[0].in_state(state)
    }

    /// How many messages caps count.
    fn counted(&mut self) -> usize {
        let scope = CapScope {
            campaign: None,
            purpose: None,
            channel: None,
        };
        self.ledger()
            .reader()
            .counted(&scope, day("2026-11-01"), day("2026-11-30"))
            .unwrap()
            .values()
            .map(|c| c.messages as usize)
            .sum()
    }

    fn jobs(&self) -> Vec<usize> {
        self.server
            .log()
            .iter()
            .map(|job| job.users.len())
            .collect()
    }

    /// Lets the platform say what became of its first job, as it says it over HTTP.
    fn told(&mut self, status: &str, [total, filter, sent, error]: [u64; 4]) -> CallApplied {
        let id = self.server.log()[0].id.clone();
        let body = format!(
            "<xml><CreateTime>1794362400</CreateTime><Event><![CDATA[MASSSENDJOBFINISH]]></Event><MsgID>{id}</MsgID>
            <Status><![CDATA[{status}]]></Status><TotalCount>{total}</TotalCount><FilterCount>{filter}</FilterCount>
            <SentCount>{sent}</SentCount><ErrorCount>{error}</ErrorCount></xml>"
        );
        let settings = AccountSettings::new("service_account", "service_account")
            .with("app_id", APP)
            .with("callback_token", Secret::new("token"));
        let reads = callbacks(&settings).unwrap().unwrap();
        let said = reads
            .read(&Incoming {
                query: "",
                signature: "",
                body: &body,
                at: at(DUE),
            })
            .unwrap();
        let told = said.into_iter().map(|said| {
            let what = match said.what {
                CallbackKind::List { id, all, counts } => Says::List { id, all, counts },
                other => panic!("{other:?}"),
            };
            Receipt {
                key: said.key,
                when: said.when,
                what,
            }
        });
        let told: Vec<Receipt> = told.collect();
        let (query, signature) = (String::new(), String::new());
        let call = NewCall {
            account: "service_account".into(),
            at: at(DUE),
            query,
            signature,
            body,
        };
        self.ledger()
            .dispatcher()
            .receive(&[call], at(DUE))
            .unwrap();
        let call = self.ledger().reader().calls(1).unwrap().remove(0);
        self.ledger()
            .dispatcher()
            .apply(&call, Some(&told), at(DUE))
            .unwrap()
    }
}

/// As few jobs as possible, in equal shares; nobody is sent to alone, and nobody is added.
#[test]
fn case_19_lists_of_every_size_at_the_platform() {
    for (size, jobs) in [
        (0, vec![]),
        (1, vec![]),
        (2, vec![2]),
        (9_999, vec![9_999]),
        (10_000, vec![10_000]),
        (10_001, vec![5_001, 5_000]),
        (20_001, vec![6_667, 6_667, 6_667]),
    ] {
        let mut run = Run::of(size);
        run.work("2026-11-11 10:05");
        assert_eq!(run.jobs(), jobs, "{size}");
        let one = i64::from(size == 1);
        assert_eq!(
            (
                run.in_state(State::Accepted),
                run.in_state(State::Withdrawn)
            ),
            (i64::from(size) - one, one),
            "{size}"
        );
        assert!(run.server.received().values().all(|n| *n == 1));
        verified(run.ledger().reader());
    }
}

/// Where a pace cuts a list, it leaves nobody behind alone: 30 a minute of 31 are 29 and 2.
#[test]
fn case_19_a_pace_leaves_nobody_alone() {
    for (size, jobs) in [(31, vec![29, 2]), (32, vec![30, 2]), (61, vec![30, 29, 2])] {
        let mut run = Run::of_campaign("slow", "mass", size, |_| {});
        run.work_until(DUE, "2026-11-11 10:05");
        assert_eq!(
            (run.jobs(), run.in_state(State::Accepted)),
            (jobs, i64::from(size))
        );
        verified(run.ledger().reader());
    }
}

/// Two are planned, one opts out just before the claim: the other is not sent to alone, gives the
/// slot back, and the campaign continues.
#[test]
fn case_20_a_list_that_shrinks_to_one_is_not_sent() {
    let mut run = Run::of(2);
    run.ledger()
        .operator()
        .opt_out(&[UserNo(0)], "callback", at(DUE))
        .unwrap();
    assert_eq!(run.counted(), 2);
    let (carried, stopped) = run.work(DUE);
    assert_eq!(
        (carried.accepted, carried.refused, stopped.len()),
        (0, 0, 0)
    );
    assert_eq!((run.server.requests("mass/send"), run.counted()), (0, 0));
    assert_eq!(state(run.ledger().reader(), 0, "a"), State::Struck);
    let left = run.message(1);
    assert_eq!(
        (left.state, left.reason.as_deref()),
        (State::Withdrawn, Some("too_few_for_list"))
    );
    assert!(
        run.ledger().reader().reports(None).unwrap()[0]
            .finished_at
            .is_some()
    );
    verified(run.ledger().reader());
    // Of three, two are left: enough.
    let mut run = Run::of(3);
    run.ledger()
        .operator()
        .opt_out(&[UserNo(1)], "callback", at(DUE))
        .unwrap();
    run.work(DUE);
    assert_eq!(run.server.log()[0].users, ["o0", "o2"]);
}

/// 10,001 are two lists. Opt-outs leave one user of the first, who goes with the second; nobody is
/// left where that is under way already.
#[test]
fn case_20_who_is_left_alone_joins_another_list() {
    let list = |ledger: &Ledger, n: usize| planned(ledger.reader())[n].group.users.clone();
    let mut run = Run::of(10_001);
    let all_but_one: Vec<UserNo> = list(run.ledger(), 0).split_off(1);
    assert_eq!(all_but_one.len(), 5_000);
    run.ledger()
        .operator()
        .opt_out(&all_but_one, "callback", at(DUE))
        .unwrap();
    let (carried, stopped) = run.work(DUE);
    assert_eq!(
        (carried.accepted, stopped.len(), run.jobs()),
        (5_001, 0, vec![5_001])
    );
    assert!(run.server.log()[0].users.contains(&"o0".to_string()));
    assert_eq!(
        (
            state(run.ledger().reader(), 0, "a"),
            state(run.ledger().reader(), 1, "a")
        ),
        (State::Accepted, State::Struck)
    );
    assert_eq!(run.counted(), 5_001);
    let report = &run.ledger().reader().reports(None).unwrap()[0];
    assert_eq!(
        (
            report.planned,
            report.in_state(State::Accepted),
            report.in_state(State::Struck)
        ),
        (10_001, 5_001, 5_000)
    );
    assert!(report.finished_at.is_some());
    verified(run.ledger().reader());

    // The second has left when the first comes to its turn.
    let mut run = Run::of(10_001);
    let second = list(run.ledger(), 1);
    let due = run
        .ledger()
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = run
        .ledger()
        .dispatcher()
        .claim(due, 2..=10_000, &[], at(DUE))
        .unwrap()
    else {
        panic!("a claim")
    };
    drop(claim);
    run.ledger()
        .operator()
        .opt_out(&second[1..], "callback", at(DUE))
        .unwrap();
    run.work(DUE);
    assert_eq!(
        state(run.ledger().reader(), second[0].0, "a"),
        State::Withdrawn
    );
    verified(run.ledger().reader());
}

/// So many of a list opt out that its next send would have one user: it has the next ones
/// besides, up to as many as there would have been.
#[test]
fn case_20_who_is_left_alone_goes_with_the_next_ones() {
    let mut run = Run::of(7);
    run.ledger()
        .operator()
        .opt_out(&[UserNo(0), UserNo(2)], "callback", at(DUE))
        .unwrap();
    let due = run
        .ledger()
        .dispatcher()
        .due(at(DUE), &Default::default())
        .unwrap()
        .unwrap();
    let ClaimAttempt::Claim(claim) = run
        .ledger()
        .dispatcher()
        .claim(due, 2..=3, &[], at(DUE))
        .unwrap()
    else {
        panic!("a claim")
    };
    let taken: Vec<u32> = claim
        .batch(users(7).users())
        .messages
        .iter()
        .map(|m| m.user.0)
        .collect();
    assert_eq!(taken, [1, 3, 4]);
    drop(claim);
    assert_eq!(state(run.ledger().reader(), 5, "a"), State::Planned);
    verified(run.ledger().reader());

    // Nobody is left alone by it: of five, of whom one has opted out, two go and then two.
    let mut run = Run::of(5);
    run.ledger()
        .operator()
        .opt_out(&[UserNo(1)], "callback", at(DUE))
        .unwrap();
    for expected in [[0, 2], [3, 4]] {
        let due = run
            .ledger()
            .dispatcher()
            .due(at(DUE), &Default::default())
            .unwrap()
            .unwrap();
        let ClaimAttempt::Claim(claim) = run
            .ledger()
            .dispatcher()
            .claim(due, 2..=3, &[], at(DUE))
            .unwrap()
        else {
            panic!("a claim")
        };
        assert_eq!(
            claim
                .batch(users(5).users())
                .messages
                .iter()
                .map(|m| m.user.0)
                .collect::<Vec<_>>(),
            expected
        );
    }
    verified(run.ledger().reader());
}

/// Who opts out after the claim changes no byte of the repeat: the platform would take another list
/// for another job.
#[test]
fn case_21_an_opt_out_after_the_claim_changes_no_byte() {
    let mut run = Run::of(10);
    run.server.fault("mass/send", What::CutBefore, 1);
    run.work(DUE);
    run.ledger()
        .operator()
        .opt_out(&[UserNo(3)], "callback", at("2026-11-11 10:01"))
        .unwrap();
    run.restart("2026-11-11 10:02");
    run.work("2026-11-11 10:05");
    let bodies = run.server.bodies("mass/send");
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0], bodies[1]);
    assert_eq!(state(run.ledger().reader(), 3, "a"), State::Accepted);
}

/// Accepted, then cut: the repeat is answered with 45065 and the id of the job that is there. The
/// same at the first try.
#[test]
fn case_22_a_key_that_is_known_is_one_job() {
    let mut run = Run::of(10);
    run.server.fault("mass/send", What::CutAfter, 1);
    assert_eq!(run.work(DUE).0.unknown, 10);
    run.restart("2026-11-11 10:02");
    run.work("2026-11-11 10:05");
    assert_eq!(
        (run.jobs(), run.server.requests("mass/send")),
        (vec![10], 2)
    );
    let id = run.server.log()[0].id.clone();
    let message = run.message(7);
    assert_eq!(
        (message.state, message.platform_id.as_deref()),
        (State::Accepted, Some(id.as_str()))
    );
    verified(run.ledger().reader());
    let mut run = Run::of(10);
    let known = json!({"errcode": 45065, "errmsg": "clientmsgid exist", "msg_id": 1_000_000_001});
    run.server.fault("mass/send", What::After(200, known), 1);
    run.work(DUE);
    assert_eq!(
        (run.jobs(), run.server.requests("mass/send")),
        (vec![10], 1)
    );
    assert_eq!(
        (run.message(7).state, run.message(7).platform_id.as_deref()),
        (State::Accepted, Some("1000000001"))
    );
}

/// The platform looks back for a day, or for ten minutes: after 23 hours, or eight minutes, nothing
/// is repeated, and a person is asked.
#[test]
fn case_23_no_repeat_after_the_window() {
    for (endpoint, last, late, path) in [
        ("mass", "2026-11-12 08:59", "2026-11-12 10:01", "mass/send"),
        (
            "template",
            "2026-11-11 10:07",
            "2026-11-11 10:10",
            "template/send",
        ),
    ] {
        for (restarted, repeats) in [(last, true), (late, false)] {
            let mut run = Run::by(endpoint, 10, |_| {});
            run.server.fault(path, What::CutAfter, 10);
            assert_eq!(run.work(DUE).0.unknown, 10);
            run.server.clear_faults();
            let before = run.server.requests(path);
            run.restart(restarted);
            run.work(restarted);
            assert_eq!(
                run.server.requests(path) > before,
                repeats,
                "{endpoint} at {restarted}"
            );
            assert!(
                run.server.received().values().all(|n| *n == 1),
                "{endpoint} at {restarted}"
            );
            let listed: i64 = run
                .ledger()
                .reader()
                .stuck()
                .unwrap()
                .iter()
                .map(|s| s.messages)
                .sum();
            assert_eq!(
                (listed, run.in_state(State::Unknown)),
                if repeats { (0, 0) } else { (10, 10) },
                "{endpoint} at {restarted}"
            );
        }
    }
}

/// The finish event counts, and names nobody: 30 filtered, 965 delivered, 5 failed, 0 unaccounted;
/// caps count all of them.
#[test]
fn case_24_counts_without_names() {
    let mut run = Run::of(1_000);
    run.work(DUE);
    for again in [false, true] {
        let applied = run.told("send success", [1_000, 970, 965, 5]);
        assert_eq!(applied.repeated, usize::from(again));
        let id = run.run;
        let [counts] = run.ledger().reader().counted_by_platform(id).unwrap()[..] else {
            panic!("one list")
        };
        assert_eq!(
            (
                counts.total,
                counts.filtered,
                counts.delivered,
                counts.failed
            ),
            (1_000, 30, 965, 5)
        );
        assert_eq!(
            counts.total - counts.filtered - counts.delivered - counts.failed,
            0
        );
        assert_eq!(
            (
                run.in_state(State::Accepted),
                run.in_state(State::Delivered),
                run.in_state(State::Failed)
            ),
            (1_000, 0, 0)
        );
        assert_eq!(
            run.counted(),
            1_000,
            "nobody knows who was filtered, so nobody has a slot too many"
        );
    }
    verified(run.ledger().reader());
}

/// A review says no, and all counts are 0: rejected, and the slots are given back.
#[test]
fn case_25_a_review_that_says_no_gives_slots_back() {
    let mut run = Run::of(50);
    run.work(DUE);
    assert_eq!(run.counted(), 50);
    run.told("err(20008)", [0; 4]);
    assert_eq!((run.in_state(State::Rejected), run.counted()), (50, 0));
    let id = run.run;
    assert!(
        run.ledger()
            .reader()
            .counted_by_platform(id)
            .unwrap()
            .is_empty()
    );
    run.work("2026-11-11 12:00");
    assert_eq!(
        run.server.requests("mass/send"),
        1,
        "it is not sent again by itself"
    );
    verified(run.ledger().reader());
}

/// The finish event got lost: after a day the platform is asked, once it says that the job is over,
/// and only then. The run was finished all along; how many got the message nobody says. Failure
/// mode 8.
#[test]
fn case_26_a_lost_finish_event_is_asked_for_a_day_later() {
    let asked = |run: &Run| run.server.requests("mass/get");
    let set =
        |run: &Run, status: &'static str| run.server.with(|p: &mut WeChat| p.say_of_jobs(status));
    for (said, state) in [
        ("SEND_SUCCESS", State::Accepted),
        ("SEND_FAIL", State::Rejected),
        ("DELETE", State::Recalled),
    ] {
        let mut run = Run::of(10);
        run.work(DUE);
        let id = run.run;
        assert!(
            run.ledger().reader().reports(None).unwrap()[0]
                .finished_at
                .is_some()
        );
        set(&run, "SENDING");
        run.restart("2026-11-12 09:59");
        run.work("2026-11-12 09:59");
        assert_eq!(asked(&run), 0, "its time has not come");
        // The first answer gets lost.
        run.server.fault("mass/get", What::CutAfter, 1);
        for (time, times) in [
            ("2026-11-12 10:00", 1),
            ("2026-11-12 12:00", 1),
            ("2026-11-13 10:00", 2),
        ] {
            run.work(time);
            assert_eq!(
                (asked(&run), run.in_state(State::Accepted)),
                (times, 10),
                "{time}"
            );
        }
        set(&run, said);
        run.restart("2026-11-14 10:00");
        run.work_until("2026-11-14 10:00", "2026-11-20 10:00");
        assert_eq!((asked(&run), run.in_state(state)), (3, 10), "{said}");
        assert_eq!(run.counted(), if state.counts() { 10 } else { 0 }, "{said}");
        assert!(
            run.ledger()
                .reader()
                .counted_by_platform(id)
                .unwrap()
                .is_empty()
        );
        assert_eq!(run.server.requests("mass/send"), 1);
        verified(run.ledger().reader());
    }
    // Where the event came there is nothing to ask; where the platform never says anything, asking
    // ends.
    let mut run = Run::of(10);
    run.work(DUE);
    run.told("send success", [10, 10, 10, 0]);
    run.work_until(DUE, "2026-11-20 10:00");
    assert_eq!(asked(&run), 0);
    let mut run = Run::of(10);
    run.work(DUE);
    set(&run, "SENDING");
    run.work_until(DUE, "2026-11-20 10:00");
    assert_eq!((asked(&run), run.in_state(State::Accepted)), (3, 10));
    assert_eq!(run.ledger().reader().asks().unwrap(), []);
}

/// One openid is of another account: the list is refused, the bad one is found by asking, the
/// others go in one new list under a new key. If that is refused, too, a person is asked.
#[test]
fn case_27_one_bad_openid_one_new_list_then_stop() {
    let mut run = Run::by("mass", 250, |openids| {
        openids[77] = "x-of-another-account".into()
    });
    run.work_until(DUE, "2026-11-11 10:01");
    assert_eq!(
        (run.jobs(), run.server.requests("mass/send")),
        (vec![249], 2)
    );
    assert_eq!(
        (
            state(run.ledger().reader(), 77, "a"),
            state(run.ledger().reader(), 78, "a")
        ),
        (State::Refused, State::Accepted)
    );
    assert_eq!((run.message(78).attempt, run.counted()), (1, 249));
    let keys = run
        .server
        .bodies("mass/send")
        .iter()
        .map(|b| serde_json::from_slice::<serde_json::Value>(b).unwrap()["clientmsgid"].clone())
        .collect::<Vec<_>>();
    assert_ne!(keys[0], keys[1]);
    verified(run.ledger().reader());
    // Refused again although all look right.
    let mut run = Run::by("mass", 250, |openids| {
        openids[77] = "x-of-another-account".into()
    });
    run.server.fault_after(
        "mass/send",
        What::Instead(200, json!({"errcode": 40003, "errmsg": "invalid openid"})),
        1,
        99,
    );
    let (_, stopped) = run.work_until(DUE, "2026-11-11 12:00");
    assert!(
        stopped[0].contains("are they of this account?"),
        "{stopped:?}"
    );
    assert_eq!(
        (run.jobs().len(), run.server.requests("mass/send")),
        (0, 2),
        "nothing is found out by sending"
    );
    assert_eq!(state(run.ledger().reader(), 78, "a"), State::Planned);
}

/// The finish event comes before the answer to the request is recorded, or with a job that nobody
/// knows: kept until somebody does.
#[test]
fn case_09_a_finish_event_overtakes_the_answer() {
    let mut run = Run::of(10);
    run.server.call_back("http://127.0.0.1:9", Calls::Never);
    run.server.fault("mass/send", What::CutAfter, 1);
    run.work(DUE);
    assert_eq!(run.told("send success", [10, 10, 10, 0]).unknown, 1);
    let id = run.run;
    assert!(
        run.ledger()
            .reader()
            .counted_by_platform(id)
            .unwrap()
            .is_empty()
    );
    run.restart("2026-11-11 10:02");
    run.work("2026-11-11 10:05");
    run.ledger()
        .dispatcher()
        .apply_strays(at("2026-11-11 10:05"))
        .unwrap();
    assert_eq!(
        run.ledger().reader().counted_by_platform(id).unwrap()[0].delivered,
        10
    );
    assert_eq!(
        (
            run.in_state(State::Accepted),
            run.ledger().reader().strays().unwrap()
        ),
        (10, 0)
    );
    verified(run.ledger().reader());
}

/// Refused before any byte: the same message is planned again and sent when it can be, once. Reset
/// after the body: unknown.
#[test]
fn case_07_what_a_lost_connection_becomes_in_the_ledger() {
    let mut run = Run::by("template", 10, |_| {});
    let url = std::mem::replace(&mut run.server.url, "http://127.0.0.1:9".into());
    let (carried, _) = run.work(DUE);
    assert_eq!(
        (
            carried.accepted,
            carried.unknown,
            run.in_state(State::Planned)
        ),
        (0, 0, 10)
    );
    assert!(carried.next.is_some(), "it is tried again");
    run.server.url = url;
    run.server
        .fault_after("template/send", What::CutAfter, 3, 1);
    run.work("2026-11-11 10:05");
    assert_eq!(
        (run.in_state(State::Accepted), run.in_state(State::Unknown)),
        (9, 1)
    );
    assert_eq!(run.message(4).attempt, 1);
    assert!(run.server.received().values().all(|n| *n == 1));
    verified(run.ledger().reader());
}
