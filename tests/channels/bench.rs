//! Accounts, batches and worlds for the tests of channels.

use std::sync::Arc;

use tagcast::base::world::{SimulatedWorld, World};
use tagcast::base::{Instant, UserNo, Zone};
use tagcast::decide::decision::Rendered;
use tagcast::deliver::account::{AccountSettings, SettingValue};
use tagcast::deliver::channel::{Channel, NextAction, Reply};
use tagcast::deliver::http::client::Http;
use tagcast::deliver::http::secret::Secret;
use tagcast::deliver::platforms::open_account;
use tagcast::ledger::{Batch, BatchOutcome, Message, RunId, Verdict};
use tagcast::program::typed::ChannelName as Name;

pub const APP: &str = "wx1";
pub const SECRET: &str = "s3cret-of-the-account";

pub struct Account {
    pub world: Arc<SimulatedWorld>,
    settings: AccountSettings,
}

impl Account {
    pub fn new(platform: &str, url: &str) -> Self {
        let settings = AccountSettings::new(platform, platform)
            .with("app_id", APP)
            .with("secret", Secret::new(SECRET))
            .with("base_url", url);
        Account {
            world: Arc::new(SimulatedWorld::at(now())),
            settings,
        }
    }

    pub fn with(mut self, setting: &'static str, value: impl Into<SettingValue>) -> Self {
        self.settings.set(setting, value);
        self
    }

    pub fn world_now(&self) -> Instant {
        self.world.now()
    }

    pub fn channel(&self, endpoint: &str) -> Arc<dyn Channel> {
        let world: Arc<dyn World> = self.world.clone();
        let all = open_account(self.settings.clone(), &Http::new().unwrap(), &world).unwrap();
        all.into_iter()
            .find(|(name, _)| *name == endpoint)
            .unwrap()
            .1
    }
}

pub fn now() -> Instant {
    Zone::SHANGHAI.parse_instant("2026-11-11 10:00").unwrap()
}

pub fn content(parts: &[(&str, &str)]) -> Arc<Rendered> {
    Arc::new(Rendered {
        parts: parts
            .iter()
            .map(|(n, t)| ((*n).to_string(), (*t).to_string()))
            .collect(),
    })
}

/// Openids `o0`, `o1`, ….
pub fn openids(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("o{i}")).collect()
}

/// A batch of one text, with the key that its number makes.
pub fn batch(number: u32, addresses: &[String], content: &Arc<Rendered>) -> Batch {
    let message = |(i, address): (usize, &String)| Message {
        key: format!("{:032x}", (u64::from(number) << 32) + i as u64),
        user: UserNo(i as u32),
        user_id: format!("u{i}").into(),
        address: address.as_str().into(),
        content: content.clone(),
    };
    Batch {
        key: format!("b{number:031x}"),
        run: RunId(1),
        campaign: "c".into(),
        step: "c".into(),
        arm: None,
        template: "t".into(),
        channel: Name {
            account: "x".into(),
            platform: "x".into(),
            endpoint: "x".into(),
        },
        zone: Zone::SHANGHAI,
        at: now(),
        begin_by: None,
        messages: addresses.iter().enumerate().map(message).collect(),
    }
}

/// What became of each message, in a letter: Accepted, Waiting, Refused, Unknown, Not sent.
pub fn letters(reply: &Reply) -> String {
    let letter = |v: &Verdict| match v {
        Verdict::Accepted { .. } => 'a',
        Verdict::Waiting { .. } => 'w',
        Verdict::Refused { .. } => 'r',
        Verdict::Unknown { .. } => 'u',
        Verdict::NotSent { .. } => 'n',
    };
    match &reply.answer {
        BatchOutcome::Taken(verdicts) => verdicts.iter().map(letter).collect(),
        BatchOutcome::Refused { .. } => "R".into(),
        BatchOutcome::Unknown { .. } => "U".into(),
        BatchOutcome::NotSent { .. } => "N".into(),
    }
}

pub fn verdicts(reply: &Reply) -> &[Verdict] {
    match &reply.answer {
        BatchOutcome::Taken(verdicts) => verdicts,
        other => panic!("{other:?}"),
    }
}

/// Until when the channel waits, as its platform's clock shows it.
pub fn waits(reply: &Reply) -> Option<String> {
    match &reply.then {
        NextAction::Wait { until, .. } => Some(Zone::SHANGHAI.show(*until)),
        NextAction::GoOn | NextAction::Stop { .. } => None,
    }
}

/// What a person is asked to do.
pub fn stops(reply: &Reply) -> Option<&str> {
    match &reply.then {
        NextAction::Stop { why } => Some(&why.en),
        NextAction::GoOn | NextAction::Wait { .. } => None,
    }
}
