//! What employees have to confirm, from the plan in the ledger until it is over: asked for,
//! reminded of, called off.

use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::decide::decision::Contents;
use tagcast::decide::history::{CapScope, History};
use tagcast::deliver::dispatch::DispatchLoop;
use tagcast::ledger::{Ledger, RunId, State};
use tagcast::program::typed::ChannelName as Name;

use super::bench::{APP, SECRET, content};
use super::cuts::channels_at;
use crate::platforms::wecom::WeCom;
use crate::platforms::{Server, What};
use crate::support::delivery::{DUE, Place, Wanted, at, day, ids, state, users, verified};

/// A group send to twelve customers: those of employee0 are 0, 3, 6, 9, of employee1 the next ones,
/// and so on.
struct Group {
    place: Place,
    server: Server,
    run: RunId,
}

const OF: u32 = 12;

impl Group {
    fn new() -> Group {
        let (place, server) = (Place::new(), Server::start(WeCom::new(APP, SECRET)));
        let wanted = Wanted {
            of: OF,
            ..place.wanted("a")
        };
        let mut decision = wanted.to(0..OF);
        let group = &mut decision.messages[0];
        group.channel = Name {
            account: "wecom".into(),
            platform: "wecom".into(),
            endpoint: "group".into(),
        };
        group.addresses = (0..OF)
            .map(|i| {
                if i == 4 {
                    "nobody".into()
                } else {
                    format!("wm{i}").into()
                }
            })
            .collect();
        group.expires = at("2026-11-13 10:00");
        group.contents = Contents::Same(content(&[
            ("title", "双十一"),
            ("body", "满300减50"),
            ("link", "https://shop.example/a"),
        ]));
        let run = place
            .open()
            .planner()
            .plan_run(&decision, &wanted.info())
            .unwrap()
            .run;
        Group { place, server, run }
    }

    /// A process of its own that does what is due in a stretch of time; gives what the ledger holds
    /// then.
    fn work(&self, from: &str, until: &str) -> Ledger {
        self.server.clock_at(at(from).0 / 1_000_000);
        let world: Arc<dyn World> = Arc::new(SimulatedWorld::at(at(from)));
        let mut ledger = self.place.open();
        let channels = channels_at(["http://127.0.0.1:9", &self.server.url], 16, &world);
        DispatchLoop::new(&mut ledger, channels, ids(&users(OF)), world)
            .up_to(at(until), &mut ())
            .unwrap();
        verified(ledger.reader());
        ledger
    }

    fn states(&self, ledger: &Ledger) -> String {
        let letter = |state| match state {
            State::Waiting => 'w',
            State::Delivered => 'd',
            State::Failed => 'f',
            State::Refused => 'r',
            State::Unconfirmed => 'u',
            other => panic!("{other:?}"),
        };
        (0..OF)
            .map(|user| letter(state(ledger.reader(), user, "a")))
            .collect()
    }
}

fn counted(ledger: &Ledger) -> usize {
    let scope = CapScope {
        campaign: None,
        purpose: None,
        channel: None,
    };
    ledger
        .reader()
        .counted(&scope, day("2026-11-01"), day("2026-11-30"))
        .unwrap()
        .values()
        .map(|c| c.messages as usize)
        .sum()
}

/// Who is refused at once is named; what each employee does is asked for every half hour, by
/// whichever process is there; after a day the rest is called off, nobody can send it any more, and
/// its slots are free. Failure mode 16.
#[test]
fn case_30_employees_are_asked_about_reminded_and_called_off() {
    let group = Group::new();
    let asked = || group.server.requests("get_groupmsg_task");
    let ledger = group.work(DUE, DUE);
    assert_eq!(
        (group.states(&ledger).as_str(), asked()),
        ("wwwwrwwwwwww", 0)
    );
    assert!(
        ledger.reader().report(group.run).unwrap()[0]
            .finished_at
            .is_some(),
        "nothing is left to do but to wait for people"
    );
    drop(ledger);
    group.server.with(|p: &mut WeCom| {
        p.left.insert("wm3".into());
        p.confirm("employee0");
    });
    let ledger = group.work("2026-11-11 10:09", "2026-11-11 10:09");
    assert_eq!(
        (group.states(&ledger).as_str(), asked()),
        ("wwwwrwwwwwww", 0)
    );
    drop(ledger);
    let ledger = group.work("2026-11-11 10:10", "2026-11-11 10:10");
    assert_eq!(
        (group.states(&ledger).as_str(), asked()),
        ("dwwfrwdwwdww", 1)
    );
    assert_eq!(counted(&ledger), 10);
    drop(ledger);
    // An answer that gets lost is asked for again; three reminders go out in the day.
    group.server.fault("get_groupmsg_task", What::CutBefore, 1);
    drop(group.work("2026-11-11 10:40", "2026-11-11 10:40"));
    assert_eq!((asked(), group.server.requests("remind")), (2, 0));
    group.server.with(|p: &mut WeCom| p.confirm("employee1"));
    let ledger = group.work("2026-11-11 10:41", "2026-11-12 09:59");
    assert_eq!(
        (
            group.states(&ledger).as_str(),
            group.server.requests("remind")
        ),
        ("ddwfrwddwddw", 3)
    );
    assert_eq!(group.server.requests("cancel"), 0);
    drop(ledger);
    let ledger = group.work("2026-11-12 10:00", "2026-11-20 10:00");
    assert_eq!(
        (
            group.states(&ledger).as_str(),
            group.server.requests("cancel")
        ),
        ("ddufrudduddu", 1)
    );
    assert_eq!(
        (counted(&ledger), ledger.reader().asks().unwrap().len()),
        (6, 0)
    );
    drop(ledger);
    let before = asked();
    group.server.with(|p: &mut WeCom| p.confirm("employee2"));
    let ledger = group.work("2026-11-21 10:00", "2026-11-22 10:00");
    assert_eq!(
        (group.states(&ledger).as_str(), asked()),
        ("ddufrudduddu", before)
    );
}

/// Somebody confirmed just before it was called off: that is said by the question that follows.
#[test]
fn case_30_a_confirmation_at_the_last_moment_counts() {
    let group = Group::new();
    drop(group.work(DUE, DUE));
    group
        .server
        .fault("cancel_groupmsg_send", What::CutBefore, 1);
    let ledger = group.work("2026-11-12 10:00", "2026-11-12 10:00");
    assert_eq!(
        group.states(&ledger),
        "wwwwrwwwwwww",
        "whether it was called off is not known"
    );
    drop(ledger);
    group.server.with(|p: &mut WeCom| p.confirm("employee2"));
    let ledger = group.work("2026-11-12 10:30", "2026-11-12 12:00");
    assert_eq!(group.states(&ledger), "uudurduuduud");
    assert_eq!(ledger.reader().asks().unwrap(), []);
}
