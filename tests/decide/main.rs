//! Programs as text, users from their `test` blocks, decisions as what became of each user.

#[path = "../support/mod.rs"]
mod support;

mod caps;
mod gates;
mod memory;
mod outcomes;
mod platform_caps;
mod steps;
mod texts;

use std::collections::BTreeMap;

use tagcast::base::{Bitmap, CampaignId, Instant, UserNo, Value, Zone};
use tagcast::decide::decision::{Contents, Decision, Gate};
use tagcast::decide::history::{History, NoHistory};
use tagcast::decide::{DecideInput, ForbiddenWords, decide_all};
use tagcast::diag::{Findings, Sources};
use tagcast::eval::{EvalScope, MessageLog, PreparedProgram, StepOutcomes, Tables};
use tagcast::program::check::{CheckOptions, check};
use tagcast::program::typed::Program;
use tagcast::store::{Snapshot, SnapshotBuilder};
use tagcast::syntax::parse::parse;

const TAGS: &str = r#"
tag region    enum("Shanghai", "Beijing") base
tag age       int 0..120 base
tag spent     money behavior
tag name      text(20) base
tag openid    address(service_account) base
tag wecom_id  address(wecom) base
tag ok        bool consent base
tag health_ok bool consent base
tag illness   text(20) sensitive by health_ok base
tag banned    bool base
event buy { amount money, sku text(20) optional }
template hi { body "你好" link "https://shop.example/sale" entry "客服 400-000-0000" }
template named { body "{name ?? '您'}好" entry "客服 400-000-0000" }
"#;

/// A program with its users.
pub struct Bench {
    pub program: Program,
    pub prepared: PreparedProgram,
    pub snapshot: Snapshot,
    pub tables: Tables,
    pub own: MessageLog,
    pub words: ForbiddenWords,
    pub seed: u64,
    pub bound: bool,
}

impl Bench {
    /// Policy, campaigns, and users as a `test` block writes them; `TAGS` are there already.
    pub fn new(program: &str, users: &str) -> Self {
        let text = format!(
            "{TAGS}\n{program}\ntest \"data\" {{\n now 2027-01-01 00:00\n{users}\n expect first reaches 0\n}}\n"
        );
        let (mut sources, mut findings) = (Sources::default(), Findings::default());
        let file = sources.add("bench.campaign", text.as_str());
        let tree = parse(file, &text, &mut findings);
        let program = check(&sources, &[tree], &CheckOptions::default(), &mut findings);
        let errors = findings.has_errors();
        let shown: Vec<String> = findings
            .sorted()
            .into_iter()
            .map(|f| format!("{}: {}", f.code.name, f.message.en))
            .collect();
        assert!(!errors, "{shown:#?}");
        let snapshot = snapshot(&program);
        let (tables, own, words) = (
            Tables::default(),
            MessageLog::default(),
            ForbiddenWords::default(),
        );
        Bench {
            prepared: PreparedProgram::new(&program),
            program,
            snapshot,
            tables,
            own,
            words,
            seed: 0,
            bound: false,
        }
    }

    pub fn scope(&self, now: Instant) -> EvalScope<'_> {
        EvalScope {
            snapshot: &self.snapshot,
            program: &self.program,
            prepared: &self.prepared,
            tables: &self.tables,
            own: &self.own,
            now,
            trigger: None,
            outcomes: None,
        }
    }

    pub fn at(&self, text: &str) -> Instant {
        self.zone().parse_instant(text).unwrap()
    }

    pub fn zone(&self) -> Zone {
        self.program.policy.zone
    }

    pub fn campaign(&self, name: &str) -> CampaignId {
        self.program.campaign_named(name).unwrap()
    }

    pub fn user(&self, id: &str) -> UserNo {
        self.snapshot.user_no(id).unwrap()
    }

    /// Campaigns that are due together.
    pub fn decide<H: History>(
        &self,
        campaigns: &[&str],
        due: Instant,
        history: &H,
    ) -> Vec<Decision> {
        let scope = self.scope(due);
        let inputs: Vec<DecideInput> = campaigns
            .iter()
            .map(|name| DecideInput {
                bound: self.bound,
                ..DecideInput::scheduled(self.campaign(name), due, &scope, self.seed, &self.words)
            })
            .collect();
        let decisions = decide_all(&inputs, history).unwrap();
        decisions.iter().for_each(check_complete);
        decisions
    }

    /// The campaign `first` at ten in the morning, as what became of each user.
    pub fn outcomes(&self) -> BTreeMap<String, String> {
        self.outcomes_with(&NoHistory)
    }

    pub fn outcomes_with<H: History>(&self, history: &H) -> BTreeMap<String, String> {
        let decisions = self.decide(&["first"], self.at("2027-01-01 10:00"), history);
        self.shown(&decisions[0])
    }

    pub fn step<H: History>(
        &self,
        campaign: &str,
        step: usize,
        users: &[&str],
        due: &str,
        outcomes: &StepOutcomes,
        history: &H,
    ) -> Decision {
        let due = self.at(due);
        let only = Bitmap::from_users(
            self.snapshot.user_count(),
            users.iter().map(|u| self.user(u)),
        );
        let scope = EvalScope {
            outcomes: Some(outcomes),
            ..self.scope(due)
        };
        let input =
            DecideInput::scheduled(self.campaign(campaign), due, &scope, self.seed, &self.words)
                .for_only(step, &only);
        let decision = decide_all(&[input], history).unwrap().remove(0);
        check_complete(&decision);
        decision
    }

    /// A trigger's event has come to a user.
    pub fn event<H: History>(
        &self,
        campaign: &str,
        user: &str,
        values: &[Option<Value>],
        due: &str,
        history: &H,
    ) -> Decision {
        let due = self.at(due);
        let only = Bitmap::from_users(self.snapshot.user_count(), [self.user(user)]);
        let scope = EvalScope {
            trigger: Some(values),
            ..self.scope(due)
        };
        let input =
            DecideInput::scheduled(self.campaign(campaign), due, &scope, self.seed, &self.words)
                .for_only(0, &only);
        let decision = decide_all(&[input], history).unwrap().remove(0);
        check_complete(&decision);
        decision
    }

    pub fn shown(&self, decision: &Decision) -> BTreeMap<String, String> {
        let all = (0..decision.users as u32).map(UserNo);
        all.map(|user| {
            (
                self.snapshot.user_id(user).unwrap().to_string(),
                self.outcome(decision, user),
            )
        })
        .collect()
    }

    /// `a: template hi by sandbox.file to u1`, `capped by other`, `unknown` …
    pub fn outcome(&self, decision: &Decision, user: UserNo) -> String {
        if let Some(gate) = decision.stopped_by(user) {
            return gate.to_string();
        }
        if let Some(outcome) = decision.outcome(user) {
            return outcome.name().into();
        }
        let mine = decision
            .messages
            .iter()
            .filter_map(|g| Some((g, g.users.iter().position(|u| *u == user)?)));
        let all = mine.map(|(group, at)| {
            let arm = group
                .arm
                .as_ref()
                .map_or(String::new(), |arm| format!("{arm}: "));
            format!(
                "{arm}{} by {} to {}",
                self.program.template(group.template).declared.name,
                group.channel,
                group.addresses[at]
            )
        });
        all.reduce(|a, b| format!("{a}, {b}")).unwrap()
    }
}

fn snapshot(program: &Program) -> Snapshot {
    let test = &program.tests[0];
    let mut builder = SnapshotBuilder::new();
    let users: Vec<UserNo> = test.users.iter().map(|u| builder.user(&u.name)).collect();
    for (i, tag) in program.schema.tags.iter().enumerate() {
        let value = |user: &tagcast::program::typed::TestUser| {
            user.values
                .iter()
                .find(|(id, _)| id.index() == i)
                .and_then(|(_, v)| v.clone())
        };
        builder.tag(tag.clone(), test.users.iter().map(value).collect());
    }
    for (i, event) in program.schema.events.iter().enumerate() {
        let rows = test
            .events
            .iter()
            .filter(|e| e.event.index() == i)
            .map(|e| (users[e.user], e.at, e.values.clone()));
        builder.event(event.clone(), rows.collect());
    }
    builder.build()
}

/// Every user has exactly one outcome, columns fit together, gates come in order, groups are in
/// send order.
pub fn check_complete(decision: &Decision) {
    let mut seen = vec![0; decision.users];
    let before = [
        &decision.not_matched,
        &decision.unknown,
        &decision.below_top,
        &decision.not_sampled,
    ];
    let sets = before
        .into_iter()
        .chain(decision.stopped.iter().map(|(_, users)| users));
    sets.flat_map(|set| set.iter().collect::<Vec<_>>())
        .for_each(|u| seen[u.index()] += 1);
    let mut legs = std::collections::BTreeSet::new();
    for group in &decision.messages {
        assert!(!group.users.is_empty());
        for u in &group.users {
            assert!(legs.insert((*u, group.leg)), "two messages on one leg");
            // Of several messages one leads: that of the first channel.
            assert_eq!(group.leads, seen[u.index()] == 0);
            seen[u.index()] = 1;
        }
        assert_eq!(
            (group.addresses.len(), group.priorities.len()),
            (group.users.len(), group.users.len())
        );
        if let Contents::Each(all) = &group.contents {
            assert_eq!(all.len(), group.users.len());
        }
        let order: Vec<_> = group
            .users
            .iter()
            .zip(&group.priorities)
            .map(|(u, p)| (std::cmp::Reverse(*p), *u))
            .collect();
        assert!(order.is_sorted());
        assert!(group.not_before >= decision.due && group.expires >= group.not_before);
        let mut places: Vec<&str> = group.addresses.iter().map(|a| &**a).collect();
        places.sort_unstable();
        assert!(
            places.windows(2).all(|w| w[0] != w[1]),
            "one address twice on one channel"
        );
    }
    assert!(seen.iter().all(|n| *n == 1), "{seen:?}");
    assert!(decision.stopped.iter().map(|(gate, _)| gate).is_sorted());
    let reached: usize = decision
        .messages
        .iter()
        .filter(|g| g.leads)
        .map(|g| g.users.len())
        .sum();
    assert_eq!(
        decision.matched(),
        reached
            + decision
                .stopped
                .iter()
                .map(|(_, users)| users.count())
                .sum::<usize>()
    );
}

/// How many users a gate stopped.
pub fn stopped(decision: &Decision, gate: &Gate) -> usize {
    decision
        .stopped
        .iter()
        .find(|(g, _)| g == gate)
        .map_or(0, |(_, users)| users.count())
}
