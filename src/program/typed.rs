//! The typed program: what a script means, with every name resolved and every literal in the type
//! it is compared with.
//!
//! Later floors read this and nothing else of a script. Expressions are in [`typed_expr`](super::typed_expr),
//! campaigns, policy and tests here. Spans lead back to the text for `why`, hover and findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::run_outcome::RunOutcome;
use super::typed_expr::{EventPattern, Expr, Length, StepOutcome};
use crate::base::{
    AudienceId, Calendar, CampaignId, Date, Elapsed, EventId, FieldSchema, GeoPoint, Instant,
    ListId, LookupId, PartitionId, Schema, TagId, TemplateId, TimeOfDay, Type, Value, Zone,
};
use crate::diag::Span;

/// A whole program: all files of a folder.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Declared tags and events; with a store, also tags that only the store declares.
    pub schema: Schema,
    /// By [`TagId`].
    pub tags: Vec<Tag>,
    /// By [`EventId`]; events that only the store declares come after these and have none.
    pub events: Vec<Declared>,
    pub lookups: Vec<Lookup>,
    pub lists: Vec<List>,
    pub places: Vec<PlaceDef>,
    pub partitions: Vec<Partition>,
    pub audiences: Vec<Audience>,
    pub accounts: Vec<Account>,
    pub templates: Vec<Template>,
    pub campaigns: Vec<Campaign>,
    pub policy: Policy,
    pub tests: Vec<Test>,
}

impl Program {
    pub fn lookup(&self, id: LookupId) -> &Lookup {
        &self.lookups[id.index()]
    }
    pub fn list(&self, id: ListId) -> &List {
        &self.lists[id.index()]
    }
    pub fn partition(&self, id: PartitionId) -> &Partition {
        &self.partitions[id.index()]
    }
    pub fn audience(&self, id: AudienceId) -> &Audience {
        &self.audiences[id.index()]
    }
    pub fn template(&self, id: TemplateId) -> &Template {
        &self.templates[id.index()]
    }
    pub fn campaign(&self, id: CampaignId) -> &Campaign {
        &self.campaigns[id.index()]
    }
    pub fn campaign_named(&self, name: &str) -> Option<CampaignId> {
        self.campaigns
            .iter()
            .position(|c| c.declared.name == name)
            .map(|i| CampaignId(i as u32))
    }

    /// What holds for one campaign: its own clauses come before its purpose's, those before
    /// policy's.
    pub fn rules(&self, campaign: &Campaign) -> Rules {
        let none = PurposeRules::default();
        let purpose = self.policy.purposes.get(&campaign.purpose).unwrap_or(&none);
        let policy_caps = match purpose {
            p if p.no_cap => Vec::new(),
            p if p.caps.is_empty() => self.policy.caps.clone(),
            p => p.caps.clone(),
        };
        let quiet = campaign.quiet.or(match purpose {
            p if p.no_quiet => None,
            p => p.quiet.or(self.policy.quiet),
        });
        let holdout = match purpose {
            p if p.no_holdout => None,
            p => campaign
                .holdout
                .clone()
                .or(p.holdout.clone())
                .or(self.policy.holdout.clone()),
        };
        Rules {
            policy_caps,
            campaign_caps: campaign.caps.clone(),
            quiet,
            holdout,
        }
    }
}

/// What every declaration has.
#[derive(Clone, Debug, PartialEq)]
pub struct Declared {
    pub name: String,
    /// The name in its declaration; for a bare rule without a label, its first word.
    pub name_span: Span,
    /// The whole declaration.
    pub span: Span,
    pub doc: Vec<String>,
    /// An error was found in it: its content is a placeholder, no lint looks at it, and nothing of
    /// the program may be run.
    pub failed: bool,
}

#[derive(Clone, Debug)]
pub struct Tag {
    /// `None` for a tag that only the store declares.
    pub declared: Option<Declared>,
    /// The expression of a derived tag.
    pub derived: Option<Expr>,
}

/// A table from a file: key columns, then value columns.
#[derive(Clone, Debug)]
pub struct Lookup {
    pub declared: Declared,
    pub keys: Vec<FieldSchema>,
    pub fields: Vec<FieldSchema>,
    /// As written, relative to the program's folder.
    pub file: String,
    /// A table whose file is older than this has no values.
    pub fresh: Option<Elapsed>,
}

/// User ids from a file: one a line, or the first column of a CSV whose header names `id` or
/// `user_id`.
#[derive(Clone, Debug)]
pub struct List {
    pub declared: Declared,
    pub file: String,
}

#[derive(Clone, Debug)]
pub struct PlaceDef {
    pub declared: Declared,
    pub place: GeoPoint,
}

/// The first arm that is true; missing when an arm before the first true one is unknown.
#[derive(Clone, Debug)]
pub struct Partition {
    pub declared: Declared,
    /// `Type::Enum` of the arm names in order, `otherwise` included.
    pub ty: Type,
    pub arms: Vec<Expr>,
    /// Whether the last member of `ty` is an `otherwise` arm (then `ty` has one member more than
    /// `arms`).
    pub otherwise: bool,
}

#[derive(Clone, Debug)]
pub struct Audience {
    pub declared: Declared,
    pub when: Expr,
}

/// A channel account: a platform's default account (implicit, named like the platform), or one
/// declared by `account`.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub name: String,
    pub platform: String,
    pub title: Option<String>,
}

// ------------------------------------------------------------------ templates

#[derive(Clone, Debug)]
pub struct Template {
    pub declared: Declared,
    pub for_event: Option<EventId>,
    pub parts: Vec<TemplatePart>,
}

impl Template {
    /// The values that its messages show, in the order of the text.
    pub fn holes(&self) -> impl Iterator<Item = &Expr> {
        self.parts
            .iter()
            .flat_map(|part| &part.text.pieces)
            .filter_map(|piece| match piece {
                Piece::Hole(expr) => Some(expr),
                Piece::Text(_) => None,
            })
    }
}

#[derive(Clone, Debug)]
pub struct TemplatePart {
    pub kind: PartKind,
    pub span: Span,
    pub text: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartKind {
    Title,
    Body,
    Link,
    Image,
    Video,
    Miniprogram,
    Entry,
    Unsubscribe,
    Field(String),
    Platform,
}

/// Literal pieces and holes; doubled braces are resolved.
#[derive(Clone, Debug, Default)]
pub struct Text {
    pub pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
pub enum Piece {
    Text(Arc<str>),
    Hole(Expr),
}

// ------------------------------------------------------------------ campaigns

/// A share in millionths; 1,000,000 is all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

impl Share {
    pub const ALL: Share = Share(1_000_000);
}

#[derive(Clone, Debug)]
pub struct Campaign {
    pub declared: Declared,
    pub title: Option<String>,
    /// `Everyone` for a trigger without `when`.
    pub when: Expr,
    pub top: Option<Top>,
    pub sample: Option<Share>,
    pub goal: Option<Goal>,
    pub purpose: Purpose,
    pub action: Action,
    /// The campaign's own; [`Program::rules`] adds policy's.
    pub holdout: Option<Holdout>,
    /// Never empty: without `via` it is `sandbox.file`.
    pub via: Via,
    pub schedule: Schedule,
    pub again: Option<Again>,
    pub priority: Priority,
    pub caps: Vec<Cap>,
    pub quiet: Option<Quiet>,
    /// As written; [`Campaign::deadline`] fills the default.
    pub deadline: Option<Length>,
    /// Messages a minute.
    pub pace: Option<u32>,
    pub recall: Option<Length>,
    pub steps: Vec<Step>,
    pub leave_when: Option<Expr>,
    pub target: Vec<(StepOutcome, Share)>,
}

impl Campaign {
    /// Not sent later than this after its due time or the end of quiet hours: 1 h for
    /// schedules, 24 h for triggers unless said.
    pub fn deadline(&self) -> Length {
        self.deadline.unwrap_or(match self.schedule {
            Schedule::Trigger(_) => Length::Elapsed(Elapsed::hours(24)),
            Schedule::Once(_) | Schedule::Every(_) | Schedule::Dated(_) | Schedule::OwnTime(_) => {
                Length::Elapsed(Elapsed::hours(1))
            }
        })
    }
}

#[derive(Clone, Debug)]
pub struct Top {
    pub n: u64,
    /// Largest first, missing last, ties by user id.
    pub by: Expr,
}

#[derive(Clone, Debug)]
pub struct Goal {
    pub event: EventPattern,
    /// From the due time; 72 h unless said.
    pub within: Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Purpose {
    #[default]
    Marketing,
    Service,
    Transaction,
    Emergency,
}

impl Purpose {
    pub const ALL: [(Purpose, &'static str); 4] = [
        (Purpose::Marketing, "marketing"),
        (Purpose::Service, "service"),
        (Purpose::Transaction, "transaction"),
        (Purpose::Emergency, "emergency"),
    ];
}

#[derive(Clone, Debug)]
pub enum Action {
    Send(Send),
    Nothing,
    Split(Vec<Arm>),
    Choose(Vec<ChooseArm>),
}

#[derive(Clone, Debug)]
pub struct Send {
    pub span: Span,
    pub template: TemplateId,
    /// Overrides the campaign's.
    pub via: Option<Via>,
}

#[derive(Clone, Debug)]
pub struct Arm {
    pub name: String,
    pub span: Span,
    pub share: Share,
    /// Not `Split`.
    pub action: Action,
}

#[derive(Clone, Debug)]
pub struct ChooseArm {
    pub span: Span,
    /// `None` is `otherwise`.
    pub when: Option<Expr>,
    /// `Send` or `Nothing`.
    pub action: Action,
}

#[derive(Clone, Debug)]
pub struct Holdout {
    pub share: Share,
    /// Campaigns that share the key share the people.
    pub key: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Via {
    pub routes: Vec<Route>,
    pub takes: Takes,
}

/// Which channels of a `via` a user's message takes, of those that reach the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// The first as written.
    First,
    /// The one of the highest weight.
    Heaviest,
    /// One message on each.
    All,
}

#[derive(Clone, Debug)]
pub struct Route {
    pub span: Span,
    pub channel: ChannelName,
    /// Missing counts as 0.
    pub weight: Option<Expr>,
    /// The tag that holds the address; `None` on the sandbox, where the user id is the address.
    pub address: Option<TagId>,
}

/// `ACCOUNT.ENDPOINT`
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName {
    pub account: String,
    pub platform: String,
    pub endpoint: String,
}

impl std::fmt::Display for ChannelName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.account, self.endpoint)
    }
}

#[derive(Clone, Debug)]
pub enum Schedule {
    Once(Once),
    Every(Every),
    /// Per user: counted from a date of theirs.
    Dated(DateOffset),
    /// Per user: at a time of day of theirs.
    OwnTime(UserTime),
    Trigger(Trigger),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Once {
    Now,
    /// The next such time of day when the campaign is first applied.
    TimeOfDay(TimeOfDay),
    /// Local date and time in the policy's zone.
    At(Date, TimeOfDay),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Every {
    pub period: EveryPeriod,
    pub from: Option<Date>,
    pub until: Option<Date>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EveryPeriod {
    Day {
        at: TimeOfDay,
    },
    /// 1 = Monday; sorted, without repeats.
    Weekdays {
        days: Vec<u32>,
        at: TimeOfDay,
    },
    /// Days of the month, sorted, and whether the last one; a day that a month lacks is skipped.
    Month {
        days: Vec<u32>,
        last: bool,
        at: TimeOfDay,
    },
    /// Counted from `Every::from`, which is there.
    Days {
        n: u32,
        at: TimeOfDay,
    },
    /// Every hour from the first time of day to the last, both included.
    Hour {
        from: TimeOfDay,
        to: TimeOfDay,
    },
}

/// `at 10:00 on 30, 7, 1 days before plan_end`: every day at this time, for those whose day it is.
#[derive(Clone, Debug)]
pub struct DateOffset {
    pub at: TimeOfDay,
    /// From the date to the day on which it is sent, all different; `7 days before` is minus 7
    /// days.
    pub offsets: Vec<Calendar>,
    /// A date or an instant; whoever has none is never meant.
    pub of: Expr,
}

/// `at best_time ?? 20:00`, `every day at best_time ?? 20:00`
#[derive(Clone, Debug)]
pub struct UserTime {
    /// A time of day; the checker sees to it that whoever is meant has one.
    pub at: Expr,
    pub days: OwnDays,
}

#[derive(Clone, Debug)]
pub enum OwnDays {
    /// The next such time of each user, from when the campaign is first applied.
    Once,
    /// On the days of a schedule, whose own time of day is midnight and says nothing.
    Every(Every),
}

#[derive(Clone, Debug)]
pub struct Trigger {
    pub event: EventPattern,
    pub wait: Option<Length>,
    pub from_last: bool,
    pub unless: Option<EventPattern>,
}

#[derive(Clone, Debug)]
pub enum Again {
    Never,
    Always,
    After(Length),
    /// Once for each value of this field of the trigger event.
    Per {
        field: u16,
    },
}

#[derive(Clone, Debug, Default)]
pub struct Priority {
    /// `None` or missing is 0.
    pub value: Option<Expr>,
    /// Added for each hour that a message waits.
    pub rising_per_hour: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Cap {
    pub span: Span,
    /// Only messages of this channel count and are stopped.
    pub channel: Option<ChannelName>,
    pub n: u32,
    pub per: CapPeriod,
    /// So many slots are kept for messages of at least this priority.
    pub keep: Option<(u32, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapPeriod {
    Day,
    Week,
    Month,
    /// Today and so many days before.
    RollingDays(u32),
}

/// The first included, the second not; may cross midnight. Equal ends are refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quiet {
    pub from: TimeOfDay,
    pub to: TimeOfDay,
}

/// A follow-up.
#[derive(Clone, Debug)]
pub struct Step {
    /// `after1`, `after2` … when it has no label.
    pub name: String,
    pub span: Span,
    pub delay: Length,
    /// 0 is the campaign's first message, n the nth step.
    pub from: usize,
    pub at: Option<TimeOfDay>,
    pub when: Option<Expr>,
    pub action: Action,
    pub otherwise: Option<Action>,
}

// ------------------------------------------------------------------ policy

#[derive(Clone, Debug)]
pub struct Policy {
    pub span: Option<Span>,
    pub zone: Zone,
    /// ISO 4217.
    pub currency: String,
    pub consent: Option<TagId>,
    /// File patterns, relative to the program's folder.
    pub forbid_words: Vec<String>,
    pub require: Vec<(Requirement, Span)>,
    pub excludes: Vec<Exclude>,
    pub holdout: Option<Holdout>,
    /// Caps and quiet hours that hold for every purpose.
    pub caps: Vec<Cap>,
    pub quiet: Option<Quiet>,
    pub purposes: BTreeMap<Purpose, PurposeRules>,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            span: None,
            zone: Zone::SHANGHAI,
            currency: "CNY".into(),
            consent: None,
            forbid_words: Vec::new(),
            require: Vec::new(),
            excludes: Vec::new(),
            holdout: None,
            caps: Vec::new(),
            quiet: None,
            purposes: BTreeMap::new(),
        }
    }
}

/// What `for PURPOSE { … }` says; it replaces what the policy says for all.
#[derive(Clone, Debug, Default)]
pub struct PurposeRules {
    pub caps: Vec<Cap>,
    pub quiet: Option<Quiet>,
    pub holdout: Option<Holdout>,
    pub no_cap: bool,
    pub no_quiet: bool,
    pub no_holdout: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Requirement {
    Goal,
    Entry,
    Recall,
    Unsubscribe,
    Holdout,
}

#[derive(Clone, Debug)]
pub struct Exclude {
    pub when: Expr,
    pub reason: String,
}

/// What holds for one campaign once policy and purpose are taken together.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Count messages of every campaign.
    pub policy_caps: Vec<Cap>,
    /// Count the campaign's own messages.
    pub campaign_caps: Vec<Cap>,
    pub quiet: Option<Quiet>,
    pub holdout: Option<Holdout>,
}

// ------------------------------------------------------------------ tests

#[derive(Clone, Debug)]
pub struct Test {
    pub title: String,
    pub span: Span,
    /// Where the clock starts; `None` is the `--now` of the command.
    pub now: Option<Instant>,
    /// 24 h after `now` unless said.
    pub until: Option<Instant>,
    pub users: Vec<TestUser>,
    pub events: Vec<TestEvent>,
    pub expects: Vec<Expect>,
}

#[derive(Clone, Debug)]
pub struct TestUser {
    pub name: String,
    pub span: Span,
    /// `None` is missing.
    pub values: Vec<(TagId, Option<Value>)>,
}

#[derive(Clone, Debug)]
pub struct TestEvent {
    pub span: Span,
    /// Position in `Test::users`.
    pub user: usize,
    pub event: EventId,
    /// By field position; `None` is missing.
    pub values: Vec<Option<Value>>,
    pub at: Instant,
}

#[derive(Clone, Debug)]
pub struct Expect {
    pub span: Span,
    pub kind: ExpectKind,
}

/// `user` is a position in `Test::users`.
#[derive(Clone, Debug)]
pub enum ExpectKind {
    Matches {
        user: usize,
        campaign: CampaignId,
    },
    Unknown {
        user: usize,
        campaign: CampaignId,
        because: Option<TagId>,
    },
    Receives {
        user: usize,
        template: TemplateId,
        at: Option<Instant>,
        via: Option<ChannelName>,
    },
    Nothing {
        user: usize,
        because: Option<RunOutcome>,
    },
    Reaches {
        campaign: CampaignId,
        n: u64,
    },
}
