//! What a platform file says, word for word as its TOML file says it.
//!
//! Words that a file may use are enums here, and a field that nobody declared is refused: a
//! misspelt fact cannot be lost.

use serde::{Deserialize, Deserializer, Serialize, de};

use crate::base::Msg;
use crate::base::{Date, Elapsed};
use crate::program::typed::{self, CapPeriod};
use crate::program::typed_expr::OwnEvent;

/// A platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    #[serde(rename = "platform")]
    pub name: String,
    pub title: Msg,
    /// Where the platform's days and months begin.
    pub zone: String,
    /// Its place in lists, from 1.
    pub order: u32,
    /// The types that fields of typed shapes can have.
    #[serde(default)]
    pub field_types: Vec<FieldType>,
    /// What the platform's errors mean; the first that fits holds.
    #[serde(default)]
    pub errors: Vec<ErrorRule>,
    #[serde(rename = "endpoint")]
    pub endpoints: Vec<Endpoint>,
}

/// One way to send on a platform.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    pub name: String,
    pub title: Msg,
    /// The date of the source, or the day it was read: older plans may have known other limits.
    #[serde(deserialize_with = "date")]
    pub valid_from: Date,
    pub source: String,
    #[serde(deserialize_with = "purposes")]
    pub purposes: Vec<typed::Purpose>,
    pub address: Address,
    pub hand_over: HandOver,
    /// Calls that the endpoint takes.
    pub rate: Option<Rate>,
    #[serde(default, rename = "quota")]
    pub quotas: Vec<Quota>,
    /// What the user must have done before; empty: nothing.
    #[serde(default, rename = "contact")]
    pub contacts: Vec<Contact>,
    pub key: Key,
    /// Somebody has to confirm before anything is sent.
    pub person: Option<Person>,
    /// What became of a message is asked for: nothing is told of itself, or what is told may get
    /// lost.
    pub asks: Option<Asks>,
    /// What users do is not told but kept by the platform until it is fetched.
    pub mailbox: Option<MailboxRule>,
    pub evidence: OutcomeReporting,
    /// In order of preference: a message takes the first that can carry it.
    #[serde(rename = "shape")]
    pub shapes: Vec<Shape>,
    /// Limits that the platform had once.
    #[serde(default, rename = "former")]
    pub former: Vec<Former>,
    /// What the sources did not settle: not to be relied on.
    pub unverified: Vec<Fact>,
}

/// What an error of a platform means for the sender.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRule {
    /// As the platform writes them; `*_OVER` is any that ends so, `http 429` an HTTP status.
    pub codes: Vec<String>,
    /// Endpoints that it is about, `token` for the request of a token; empty: all.
    #[serde(default)]
    pub on: Vec<String>,
    pub does: Reaction,
    /// Of `wait` and `retry`: how long.
    #[serde(default)]
    pub wait: Option<WaitUntil>,
    /// Of `drop_user`: until the user does something, not for ever.
    #[serde(default)]
    pub for_now: bool,
    /// What it means, and what a person should do if one is needed.
    pub say: Msg,
}

/// What a sender does about an error.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It was taken before.
    Ok,
    /// Nothing was sent; it may work a little later, once.
    Retry,
    /// A new token, then the same request once more.
    Token,
    /// Nothing was sent, and nothing will be before some time has passed.
    Wait,
    /// This user cannot be reached.
    DropUser,
    /// The message is wrong.
    Fix,
    /// The account needs a person.
    Stop,
    /// It may have been sent.
    Lookup,
}

/// Until when to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WaitUntil {
    /// Twice as long each time that it happens again.
    For(Elapsed),
    /// Of the platform's calendar.
    NextDay,
    NextWeek,
    NextMonth,
}

impl<'de> Deserialize<'de> for WaitUntil {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match text.as_str() {
            "next day" => Ok(WaitUntil::NextDay),
            "next week" => Ok(WaitUntil::NextWeek),
            "next month" => Ok(WaitUntil::NextMonth),
            length => parse_elapsed(length).map(WaitUntil::For).ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` is neither a length of time nor `next day`, `next week`, `next month`"
                ))
            }),
        }
    }
}

impl ErrorRule {
    fn fits(&self, code: &str) -> bool {
        self.codes
            .iter()
            .any(|c| match (c.strip_prefix('*'), c.strip_suffix('*')) {
                (Some(end), None) => code.ends_with(end),
                (None, Some(start)) => code.starts_with(start),
                (Some(_), Some(_)) => code.contains(c.trim_matches('*')),
                (None, None) => c == code,
            })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A tag of type `address(ACCOUNT)`.
    Tag,
    /// The user id, unless there is such a tag.
    UserId,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HandOver {
    /// A job: one text for a list of users, at least `min`, at most `max` (`None`: no known bound).
    List { min: u32, max: Option<u32> },
    /// A text a user. Up to `together` users with the same text may share a call.
    Single { together: u32 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub n: u64,
    pub per: Per,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub of: Holder,
    pub counts: CountingRule,
    pub n: Amount,
    pub per: Per,
    /// What is over it is dropped without an error.
    #[serde(default)]
    pub silent: bool,
    pub note: Option<Msg>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holder {
    User,
    Account,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountingRule {
    Messages,
    Calls,
    /// Calls that each start a list of users on its way.
    Jobs,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    Number(u64),
    Word(AmountWord),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
pub enum AmountWord {
    #[serde(rename = "days of the month")]
    DaysOfMonth,
}

/// So many messages may follow what a user did.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    pub by: ContactKind,
    pub after: Msg,
    /// Without it, as many as the quotas let through.
    pub messages: Option<u32>,
    #[serde(default, deserialize_with = "elapsed_opt")]
    pub within: Option<Elapsed>,
}

/// What a user does on an account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactKind {
    /// Writes to it.
    Message,
    /// Taps an item of its menu that pushes an event.
    Menu,
    Follow,
    /// Scans its QR code.
    Scan,
    /// Accepts to be sent messages of one template, each time one more.
    Subscription,
    /// Allows it to write.
    Authorisation,
}

/// How a repeated send is kept from sending twice, and how an unknown one is settled.
#[derive(Debug, Deserialize)]
#[serde(tag = "class", rename_all = "snake_case", deny_unknown_fields)]
pub enum Key {
    /// The platform refuses a second send with the same key for `window`; it is relied on for
    /// `used` (both `None`: for ever).
    Key {
        field: String,
        #[serde(default, deserialize_with = "elapsed_opt")]
        window: Option<Elapsed>,
        #[serde(default, deserialize_with = "elapsed_opt")]
        used: Option<Elapsed>,
        max_bytes: u32,
        /// Only where the account's settings say that the receiver keeps it.
        #[serde(default)]
        only_if_declared: bool,
    },
    /// The platform refuses the same bytes.
    Content {
        field: String,
        #[serde(deserialize_with = "elapsed")]
        window: Elapsed,
        #[serde(deserialize_with = "elapsed")]
        used: Elapsed,
    },
    /// That it was sent can be proved, that it was not cannot.
    Proof {
        by: String,
    },
    None,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    pub who: Msg,
    /// Stands for the campaign's deadline.
    #[serde(deserialize_with = "elapsed")]
    pub deadline: Elapsed,
    /// How often the person may be reminded before that.
    pub reminders: u32,
}

/// When the platform is asked what became of what it took, counted from the claim.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    #[serde(deserialize_with = "elapsed")]
    pub first: Elapsed,
    #[serde(deserialize_with = "elapsed")]
    pub every: Elapsed,
    /// What it has not said by then it will not say.
    #[serde(deserialize_with = "elapsed")]
    pub until: Elapsed,
}

/// How often it is looked whether there is something that the platform has not called about.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailboxRule {
    #[serde(deserialize_with = "elapsed")]
    pub every: Elapsed,
}

/// What becomes known of each outcome.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeReporting {
    pub delivered: Observed,
    pub opened: Observed,
    pub clicked: Observed,
    pub failed: Observed,
    pub opted_out: Observed,
    pub complained: Observed,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// Nothing.
    None,
    /// How many, but not who.
    Count,
    /// Of each user.
    User,
}

/// A form that a message can take.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    pub name: String,
    pub title: Msg,
    /// Parts without which it is not this shape.
    pub requires: Vec<MessagePart>,
    /// Parts that it may have besides.
    pub carries: Vec<MessagePart>,
    /// Those of them that make one text, in this order, each on its own line.
    #[serde(default)]
    pub joined: Vec<MessagePart>,
    pub recall: Recall,
    pub limits: Vec<PlatformLimit>,
    /// The types of `field` parts; empty: any field.
    #[serde(default)]
    pub fields: Vec<String>,
}

/// A kind of template part.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessagePart {
    Title,
    Body,
    Link,
    Image,
    Video,
    Miniprogram,
    Entry,
    Unsubscribe,
    Field,
    Platform,
}

/// Until when what was sent can be withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recall {
    Never,
    Within(Elapsed),
    Always,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformLimit {
    pub of: LimitOf,
    pub max: u32,
    pub unit: Unit,
    /// Hearsay: over it is worth a warning, not an error.
    #[serde(default)]
    pub unverified: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitOf {
    Title,
    /// The joined text.
    Text,
    /// All fields together.
    Fields,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Unicode scalar values.
    Chars,
    /// Of UTF-8.
    Bytes,
}

/// The type of a field is its name without the digits at the end: `thing4` is a `thing`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldType {
    pub name: String,
    /// In Unicode scalar values.
    pub max: Option<u32>,
    /// The same for a text of ASCII characters only.
    pub max_ascii: Option<u32>,
    pub takes: Alphabet,
}

/// What may stand in a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alphabet {
    Any,
    /// Digits, a sign and a point.
    Number,
    /// Latin letters.
    Letters,
    /// Neither letters nor digits.
    Symbols,
    /// Digits, letters and symbols of ASCII.
    Ascii,
    /// A time of day, a date or both; a range uses `~`.
    Time,
    /// A currency sign, at most ten digits and a point; may end with 元.
    Amount,
    /// Digits and symbols of ASCII.
    Phone,
    /// Chinese characters.
    Chinese,
}

/// A limit that was true once; people still plan with it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Former {
    pub n: u32,
    pub per: FormerPer,
    #[serde(default, deserialize_with = "date_opt")]
    pub since: Option<Date>,
    /// What holds instead.
    pub now: Msg,
    pub source: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormerPer {
    Day,
    Week,
    Month,
    RollingDays(u32),
}

/// A fact of an endpoint, where it is marked as unverified.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    Purposes,
    HandOver,
    Rate,
    Quota,
    Key,
    Person,
    Evidence,
    Recall,
}

// ------------------------------------------------------------------ what can be asked

impl Contact {
    /// Whether it opens the channel for good. Then nobody knows who did it before anybody listened.
    pub fn lasts(&self) -> bool {
        self.within.is_none() && self.messages.is_none()
    }
}

impl ContactKind {
    pub const ALL: [(ContactKind, &'static str); 6] = [
        (ContactKind::Message, "message"),
        (ContactKind::Menu, "menu"),
        (ContactKind::Follow, "follow"),
        (ContactKind::Scan, "scan"),
        (ContactKind::Subscription, "subscription"),
        (ContactKind::Authorisation, "authorisation"),
    ];

    pub fn name(self) -> &'static str {
        ContactKind::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    pub fn named(name: &str) -> Option<ContactKind> {
        ContactKind::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }

    /// Whether each time counts, and not the last alone.
    pub fn adds_up(self) -> bool {
        self == ContactKind::Subscription
    }
}

impl Platform {
    pub fn endpoint(&self, name: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.name == name)
    }

    /// What an error means at an endpoint (or at `token`); those that name the endpoint go before
    /// those for all.
    pub fn error(&self, endpoint: &str, code: &str) -> Option<&ErrorRule> {
        let mut fitting = self.errors.iter().filter(|e| e.fits(code));
        let general = fitting.clone().find(|e| e.on.is_empty());
        fitting
            .find(|e| e.on.iter().any(|on| on == endpoint))
            .or(general)
    }

    /// The type of a field of a shape, by the field's name: `thing4` is a `thing`.
    pub fn field_type(&self, shape: &Shape, field: &str) -> Option<&FieldType> {
        let name = field.trim_end_matches(|c: char| c.is_ascii_digit());
        self.field_types
            .iter()
            .find(|t| t.name == name && shape.fields.contains(&t.name))
    }
}

impl Endpoint {
    /// The shape that a message with these parts takes.
    pub fn shape_for(&self, parts: &[MessagePart]) -> Option<&Shape> {
        self.shapes.iter().find(|s| s.fits(parts))
    }

    /// One text a job.
    pub fn is_list(&self) -> bool {
        matches!(self.hand_over, HandOver::List { .. })
    }

    pub fn allows(&self, purpose: typed::Purpose) -> bool {
        self.purposes.contains(&purpose)
    }

    /// The limit that this one was, if it was one.
    pub fn former_limit(&self, n: u32, per: CapPeriod) -> Option<&Former> {
        let per = match per {
            CapPeriod::Day => FormerPer::Day,
            CapPeriod::Week => FormerPer::Week,
            CapPeriod::Month => FormerPer::Month,
            CapPeriod::RollingDays(n) => FormerPer::RollingDays(n),
        };
        self.former.iter().find(|f| f.n == n && f.per == per)
    }
}

impl OutcomeReporting {
    pub fn of(&self, event: OwnEvent) -> Observed {
        match event {
            OwnEvent::Sent => Observed::User,
            OwnEvent::Delivered => self.delivered,
            OwnEvent::Opened => self.opened,
            OwnEvent::Clicked => self.clicked,
            OwnEvent::Failed => self.failed,
            OwnEvent::OptedOut => self.opted_out,
            OwnEvent::Complained => self.complained,
        }
    }
}

impl Shape {
    pub fn may_have(&self, part: MessagePart) -> bool {
        self.requires.contains(&part) || self.carries.contains(&part)
    }

    /// Whether a message with exactly these parts can take this shape. One without any part is no
    /// message.
    pub fn fits(&self, parts: &[MessagePart]) -> bool {
        !parts.is_empty()
            && parts.iter().all(|p| self.may_have(*p))
            && self.requires.iter().all(|p| parts.contains(p))
    }

    /// What a tap on the message can open: a page, a mini program.
    pub fn jumps(&self) -> Vec<MessagePart> {
        [MessagePart::Link, MessagePart::Miniprogram]
            .into_iter()
            .filter(|p| self.may_have(*p))
            .collect()
    }
}

impl Recall {
    /// Whether what was sent can still be withdrawn after so long.
    pub fn possible_for(self, long: Elapsed) -> bool {
        match self {
            Recall::Never => false,
            Recall::Within(end) => long <= end,
            Recall::Always => true,
        }
    }
}

impl MessagePart {
    pub const ALL: [(MessagePart, &'static str); 10] = [
        (MessagePart::Title, "title"),
        (MessagePart::Body, "body"),
        (MessagePart::Link, "link"),
        (MessagePart::Image, "image"),
        (MessagePart::Video, "video"),
        (MessagePart::Miniprogram, "miniprogram"),
        (MessagePart::Entry, "entry"),
        (MessagePart::Unsubscribe, "unsubscribe"),
        (MessagePart::Field, "field"),
        (MessagePart::Platform, "platform"),
    ];

    pub fn of(kind: &typed::PartKind) -> MessagePart {
        use typed::PartKind;
        match kind {
            PartKind::Title => MessagePart::Title,
            PartKind::Body => MessagePart::Body,
            PartKind::Link => MessagePart::Link,
            PartKind::Image => MessagePart::Image,
            PartKind::Video => MessagePart::Video,
            PartKind::Miniprogram => MessagePart::Miniprogram,
            PartKind::Entry => MessagePart::Entry,
            PartKind::Unsubscribe => MessagePart::Unsubscribe,
            PartKind::Field(_) => MessagePart::Field,
            PartKind::Platform => MessagePart::Platform,
        }
    }

    pub fn name(self) -> &'static str {
        MessagePart::ALL
            .iter()
            .find(|(p, _)| *p == self)
            .map_or("", |(_, name)| name)
    }
}

impl Per {
    pub fn words(self) -> Msg {
        let (en, zh) = match self {
            Per::Minute => ("minute", "分钟"),
            Per::Hour => ("hour", "小时"),
            Per::Day => ("day", "天"),
            Per::Week => ("week", "周"),
            Per::Month => ("month", "月"),
        };
        Msg {
            en: en.into(),
            zh: zh.into(),
        }
    }
}

impl Alphabet {
    /// What it holds, in words.
    pub fn words(self) -> Msg {
        let (en, zh) = match self {
            Alphabet::Any => ("any text", "任意文字"),
            Alphabet::Number => ("a number", "数字"),
            Alphabet::Letters => ("Latin letters", "英文字母"),
            Alphabet::Symbols => ("symbols", "符号"),
            Alphabet::Ascii => ("ASCII letters, digits and symbols", "英文字母、数字和符号"),
            Alphabet::Time => ("a date or a time", "日期或时间"),
            Alphabet::Amount => (
                "an amount of money of at most ten digits",
                "不超过十位数字的金额",
            ),
            Alphabet::Phone => ("digits and symbols", "数字和符号"),
            Alphabet::Chinese => ("Chinese characters only", "纯汉字"),
        };
        Msg {
            en: en.into(),
            zh: zh.into(),
        }
    }
}

impl Unit {
    /// How long a text is.
    pub fn of(self, text: &str) -> u64 {
        match self {
            Unit::Chars => text.chars().count() as u64,
            Unit::Bytes => text.len() as u64,
        }
    }
}

// ------------------------------------------------------------------ reading

fn date<'de, D: Deserializer<'de>>(d: D) -> Result<Date, D::Error> {
    let text = String::deserialize(d)?;
    text.parse()
        .map_err(|()| de::Error::custom(format!("`{text}` is not a date")))
}

fn date_opt<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Date>, D::Error> {
    date(d).map(Some)
}

fn elapsed<'de, D: Deserializer<'de>>(d: D) -> Result<Elapsed, D::Error> {
    let text = String::deserialize(d)?;
    parse_elapsed(&text)
        .ok_or_else(|| de::Error::custom(format!("`{text}` is not a length of time")))
}

fn elapsed_opt<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Elapsed>, D::Error> {
    elapsed(d).map(Some)
}

/// `90s`, `30min`, `24h`.
fn parse_elapsed(text: &str) -> Option<Elapsed> {
    let (n, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let n: i64 = n.parse().ok()?;
    match unit {
        "s" => Some(Elapsed::seconds(n)),
        "min" => Some(Elapsed::minutes(n)),
        "h" => Some(Elapsed::hours(n)),
        _ => None,
    }
}

fn purposes<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<typed::Purpose>, D::Error> {
    let find = |name: &String| {
        typed::Purpose::ALL
            .iter()
            .find(|(_, n)| n == name)
            .map(|(p, _)| *p)
    };
    let names = Vec::<String>::deserialize(d)?;
    names
        .iter()
        .map(|n| find(n).ok_or_else(|| de::Error::custom(format!("`{n}` is not a purpose"))))
        .collect()
}

impl<'de> Deserialize<'de> for Recall {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match text.as_str() {
            "never" => Ok(Recall::Never),
            "always" => Ok(Recall::Always),
            length => parse_elapsed(length).map(Recall::Within).ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` is neither `never`, `always` nor a length of time"
                ))
            }),
        }
    }
}
