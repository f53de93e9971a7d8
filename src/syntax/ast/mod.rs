//! The syntax tree: nodes with spans and without meaning. A `Broken` item or clause is a node too,
//! so that one mistake hides nothing else.

mod campaign_decl;
mod expr;
mod ident;

pub use campaign_decl::*;
pub use expr::*;
pub use ident::*;

use crate::base::FileId;
use crate::diag::Span;

/// One parsed file.
#[derive(Clone, PartialEq, Debug)]
pub struct File {
    pub id: FileId,
    pub items: Vec<Item>,
    /// All `#` comments; `##` doc comments are also in `Item::doc`.
    pub comments: Vec<Comment>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    pub span: Span,
    /// The lines of its `##` comment, without the marker.
    pub doc: Vec<String>,
    pub kind: ItemKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ItemKind {
    Tag(TagDecl),
    Event(EventDecl),
    Lookup(LookupDecl),
    Place(PlaceDecl),
    List(ListDecl),
    Partition(PartitionDecl),
    Audience(AudienceDecl),
    Account(AccountDecl),
    Template(TemplateDecl),
    Campaign(CampaignDecl),
    Policy(PolicyDecl),
    Test(TestDecl),
    /// `pool`, `page`: a reserved form of a later version; the whole item is under the span.
    Reserved {
        word: &'static str,
    },
    /// Could not be read; its error has been reported. The name, if one could be made out, still
    /// counts as declared.
    Broken {
        name: Option<Ident>,
    },
}

// ------------------------------------------------------------------ declarations

/// `tag region enum("a", "b") base refresh monthly from "registration"`, or `tag orders_30d =
/// count(…)`.
#[derive(Clone, PartialEq, Debug)]
pub struct TagDecl {
    pub name: Ident,
    pub kind: TagKind,
    pub qualifiers: Vec<TagQualifier>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TagKind {
    Stored(TypeExpr),
    Derived(Expr),
}

#[derive(Clone, PartialEq, Debug)]
pub struct TagQualifier {
    pub span: Span,
    pub kind: TagQualifierKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TagQualifierKind {
    /// `base`, `behavior`, `predicted`
    Layer(crate::base::Layer),
    Always,
    Private,
    Consent,
    SensitiveBy(Ident),
    /// `fresh 48h`
    Fresh(Expr),
    /// `refresh daily`
    Refresh(Ident),
    /// `from "…"`
    From(Str),
}

/// A type as written: `text(10)`, `enum("a")`, `set of enum("a")`, `int 0..120`, `address(wecom)`.
#[derive(Clone, PartialEq, Debug)]
pub struct TypeExpr {
    pub span: Span,
    pub kind: TypeExprKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TypeExprKind {
    /// `bool`, `number`, `money`, `place` …; `text` without a length; also a misspelt one.
    Named(Ident),
    Text(Literal),
    Int {
        lo: Box<Expr>,
        hi: Box<Expr>,
    },
    Enum(Vec<Str>),
    Set(Box<TypeExpr>),
    Address(Ident),
}

#[derive(Clone, PartialEq, Debug)]
pub struct EventDecl {
    pub name: Ident,
    pub fields: Vec<FieldDecl>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct FieldDecl {
    pub span: Span,
    pub name: Ident,
    pub ty: TypeExpr,
    pub optional: bool,
}

/// `lookup weather(city text(20)) { uv number, rain bool } from "weather.csv" fresh 3h`
#[derive(Clone, PartialEq, Debug)]
pub struct LookupDecl {
    pub name: Ident,
    pub keys: Vec<FieldDecl>,
    pub fields: Vec<FieldDecl>,
    pub from: Str,
    pub fresh: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PlaceDecl {
    pub name: Ident,
    pub value: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct ListDecl {
    pub name: Ident,
    pub from: Str,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PartitionDecl {
    pub name: Ident,
    pub arms: Vec<PartitionArm>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PartitionArm {
    pub span: Span,
    pub name: Ident,
    /// `None` is `otherwise`.
    pub when: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct AudienceDecl {
    pub name: Ident,
    pub when: Expr,
}

/// `account rose service_account "玫瑰"`
#[derive(Clone, PartialEq, Debug)]
pub struct AccountDecl {
    pub name: Ident,
    pub platform: Ident,
    pub title: Option<Str>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TemplateDecl {
    pub name: Ident,
    /// `for EVENT`
    pub for_event: Option<Ident>,
    /// `template T "one line"` is one `body` part.
    pub parts: Vec<TemplatePart>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TemplatePart {
    pub span: Span,
    pub kind: PartKind,
    pub text: TemplateText,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PartKind {
    Title,
    Body,
    Link,
    Image,
    Video,
    Miniprogram,
    Entry,
    Unsubscribe,
    /// `field thing1 = "…"`
    Field(Ident),
    /// `platform "TM00123"`
    Platform,
}

/// A template text: literal pieces and `{expr}` holes.
#[derive(Clone, PartialEq, Debug)]
pub struct TemplateText {
    pub span: Span,
    pub pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Piece {
    Text(String),
    Hole(Expr),
    /// A hole that could not be read; its error has been reported.
    Broken(Span),
}

// ------------------------------------------------------------------ tests

#[derive(Clone, PartialEq, Debug)]
pub struct TestDecl {
    pub title: Str,
    pub steps: Vec<TestStep>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TestStep {
    pub span: Span,
    pub kind: TestStepKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum TestStepKind {
    Now(Expr),
    Until(Expr),
    /// `user u1 { region: "Shanghai", … }`
    User(TestUser),
    /// `users { region, age;  u1: "Shanghai", 30;  u2: missing, 41 }` as users of one table
    Users(Vec<TestUser>),
    /// `event u1 purchase { amount: ¥120 } at 2027-11-01 12:00`
    Event {
        user: Ident,
        event: Ident,
        fields: Vec<(Ident, Expr)>,
        at: Expr,
    },
    /// `expect u1 matches C`
    Matches {
        user: Ident,
        campaign: Ident,
        because: Option<Ident>,
    },
    /// `expect u2 unknown in C because TAG`
    Unknown {
        user: Ident,
        campaign: Ident,
        because: Option<Ident>,
    },
    /// `expect u1 receives template T [at 10:00] [via c]`
    Receives {
        user: Ident,
        template: Ident,
        at: Option<Expr>,
        via: Option<ChannelPath>,
    },
    /// `expect u1 receives nothing [because GATE]`
    ReceivesNothing {
        user: Ident,
        because: Option<Ident>,
    },
    /// `expect C reaches 3`
    Reaches {
        campaign: Ident,
        n: Expr,
    },
    Broken,
}

#[derive(Clone, PartialEq, Debug)]
pub struct TestUser {
    pub span: Span,
    pub name: Ident,
    pub values: Vec<(Ident, Expr)>,
}
