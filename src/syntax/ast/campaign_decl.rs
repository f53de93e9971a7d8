//! Campaigns and the policy: clauses and actions.

use super::expr::{EventExpr, Expr};
use super::ident::{Ident, Str};
use crate::diag::Span;
use crate::syntax::clause_table::ClauseId;

/// A campaign, or a bare rule (`when … send … at …`).
#[derive(Clone, PartialEq, Debug)]
pub struct CampaignDecl {
    /// `None` only for a bare rule without a label, which is named by its file.
    pub name: Option<Ident>,
    pub title: Option<Str>,
    /// Written without `campaign … { }`.
    pub bare: bool,
    pub clauses: Vec<Clause>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Clause {
    pub span: Span,
    /// The clause word (`top`, `via` …), for labels and hover.
    pub word: Span,
    pub kind: ClauseKind,
}

/// Clauses of campaigns, of the policy and of a purpose share one type: `cap`, `quiet`, `holdout`
/// mean the same in all. The common shapes come first.
#[derive(Clone, PartialEq, Debug)]
pub enum ClauseKind {
    /// [`ClauseShape::Value`](crate::syntax::clause_table::ClauseShape::Value): `sample 10%`, `deadline 2h`
    Value(ClauseId, Expr),
    /// `purpose service`, `consent marketing_ok`, `no cap`
    Name(ClauseId, Ident),
    /// `require goal, entry`
    Names(ClauseId, Vec<Ident>),
    /// `timezone "Asia/Shanghai"`
    Text(ClauseId, Str),
    /// `forbid words "a.txt", "b.txt"`
    Texts(ClauseId, Vec<Str>),
    /// `rollout …` ²
    Reserved(ClauseId),
    When(Expr),
    /// `top 100_000 by order_total`
    Top {
        n: Expr,
        by: Expr,
    },
    /// `goal purchase where … within 72h`
    Goal {
        event: EventExpr,
        within: Option<Expr>,
    },
    /// `send`, `split`, `choose`
    Action(Action),
    Holdout {
        share: Expr,
        key: Option<Str>,
    },
    Via(Via),
    /// `at now`, `at 10:00`, `at 2026-11-11 10:00`, `at TAG ?? 20:00` ², `at 10:00 on 30, 7, 1 days
    /// before TAG`
    At {
        when: AtExpr,
        on: Option<OnOffsets>,
    },
    Every(Every),
    On(On),
    Again(Again),
    /// `priority E [rising N per hour]`
    Priority {
        value: Expr,
        rising: Option<Expr>,
    },
    Cap(Cap),
    /// `quiet 22:00..08:00`
    Quiet {
        from: Expr,
        to: Expr,
    },
    After(After),
    /// `target delivered >= 95%, opened >= 25%`
    Target(Vec<TargetBand>),
    /// `exclude P "reason"`
    Exclude {
        when: Expr,
        reason: Option<Str>,
    },
    /// `for marketing { … }`
    For {
        purpose: Ident,
        clauses: Vec<Clause>,
    },
    /// Could not be read; its error has been reported.
    Broken,
}

impl ClauseKind {
    /// Its row of the clause table; `None` for a clause that could not be read.
    pub fn id(&self) -> Option<ClauseId> {
        Some(match self {
            ClauseKind::Value(id, _)
            | ClauseKind::Name(id, _)
            | ClauseKind::Names(id, _)
            | ClauseKind::Text(id, _)
            | ClauseKind::Texts(id, _)
            | ClauseKind::Reserved(id) => *id,
            ClauseKind::When(_) => ClauseId::When,
            ClauseKind::Top { .. } => ClauseId::Top,
            ClauseKind::Goal { .. } => ClauseId::Goal,
            ClauseKind::Action(_) => ClauseId::Action,
            ClauseKind::Holdout { .. } => ClauseId::Holdout,
            ClauseKind::Via(_) => ClauseId::Via,
            ClauseKind::At { .. } => ClauseId::At,
            ClauseKind::Every(_) => ClauseId::Every,
            ClauseKind::On(_) => ClauseId::On,
            ClauseKind::Again(_) => ClauseId::Again,
            ClauseKind::Priority { .. } => ClauseId::Priority,
            ClauseKind::Cap(_) => ClauseId::Cap,
            ClauseKind::Quiet { .. } => ClauseId::Quiet,
            ClauseKind::After(_) => ClauseId::After,
            ClauseKind::Target(_) => ClauseId::Target,
            ClauseKind::Exclude { .. } => ClauseId::Exclude,
            ClauseKind::For { .. } => ClauseId::For,
            ClauseKind::Broken => return None,
        })
    }
}

#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    Send(Send),
    /// `nothing`
    Nothing(Span),
    Split {
        span: Span,
        arms: Vec<Arm>,
    },
    Choose {
        span: Span,
        arms: Vec<ChooseArm>,
    },
}

/// `send template X`, or `send X`; with an own `via` inside an arm or a step it stands in `via`.
#[derive(Clone, PartialEq, Debug)]
pub struct Send {
    pub span: Span,
    pub template: Ident,
    pub via: Option<Via>,
}

/// `a 45% send template X`
#[derive(Clone, PartialEq, Debug)]
pub struct Arm {
    pub span: Span,
    pub name: Ident,
    pub share: Expr,
    pub action: Action,
}

/// `when P send …`, `otherwise …` (`when` is `None`)
#[derive(Clone, PartialEq, Debug)]
pub struct ChooseArm {
    pub span: Span,
    pub when: Option<Expr>,
    pub action: Action,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Via {
    pub span: Span,
    /// `via all of …` ²
    pub all_of: bool,
    pub routes: Vec<Route>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    pub span: Span,
    pub channel: ChannelPath,
    pub weight: Option<Expr>,
}

/// `service_account.mass`; `sandbox.file`; `rose.mass`
#[derive(Clone, PartialEq, Debug)]
pub struct ChannelPath {
    pub span: Span,
    pub account: Ident,
    pub endpoint: Option<Ident>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum AtExpr {
    Now(Span),
    /// A time of day, an instant, or (²) an expression over tags.
    Expr(Expr),
}

/// `on 30, 7, 1 days before plan_end`, `on 1 weeks after signup`
#[derive(Clone, PartialEq, Debug)]
pub struct OnOffsets {
    pub span: Span,
    /// `30, 7`: counted in the unit of the last one.
    pub numbers: Vec<Expr>,
    /// `1 days`
    pub last: Expr,
    /// `after` instead of `before`
    pub after: bool,
    pub of: Expr,
}

/// `every day at 10:00`, `every monday, thursday at 20:00`, `every month on 1, last at 9:00`,
/// `every 3 days at 9:00 from D`, `every hour 7:00..21:00`
#[derive(Clone, PartialEq, Debug)]
pub struct Every {
    pub period: EveryPeriod,
    /// `at 10:00` (missing is an error but for `every hour`)
    pub at: Option<Expr>,
    pub from: Option<Expr>,
    pub until: Option<Expr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum EveryPeriod {
    Day,
    /// 1 = Monday, in the order written.
    Weekdays(Vec<(u32, Span)>),
    Month(Vec<MonthDay>),
    /// `every 3 days`
    Days(Expr),
    /// `every hour 7:00..21:00`
    Hour {
        from: Option<Expr>,
        to: Option<Expr>,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub enum MonthDay {
    Day(Expr),
    Last(Span),
}

/// `on cart_add where price > ¥100 wait 30min from last unless purchase`
#[derive(Clone, PartialEq, Debug)]
pub struct On {
    pub event: EventExpr,
    pub wait: Option<Expr>,
    pub from_last: bool,
    pub unless: Option<EventExpr>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Again {
    Never(Span),
    Always(Span),
    /// `again after 7 days`
    After(Expr),
    /// `again per event.field`
    Per(Expr),
}

/// `cap [CHANNEL] N per day|week|month [keep M for priority >= X]`, `cap N per rolling 30 days`
#[derive(Clone, PartialEq, Debug)]
pub struct Cap {
    pub channel: Option<ChannelPath>,
    pub n: Expr,
    pub per: CapPeriod,
    pub keep: Option<Keep>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum CapPeriod {
    Day,
    Week,
    Month,
    /// A calendar length in days.
    Rolling(Expr),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Keep {
    pub span: Span,
    pub n: Expr,
    pub priority: Expr,
}

/// `[name:] after D [from STEP] [at T] [if COND] send … [via …] [else send …]`
#[derive(Clone, PartialEq, Debug)]
pub struct After {
    pub name: Option<Ident>,
    pub delay: Expr,
    pub from: Option<Ident>,
    pub at: Option<Expr>,
    pub cond: Option<Expr>,
    pub action: Action,
    pub otherwise: Option<Action>,
}

/// `delivered >= 95%`
#[derive(Clone, PartialEq, Debug)]
pub struct TargetBand {
    pub outcome: Ident,
    pub at_least: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct PolicyDecl {
    pub clauses: Vec<Clause>,
}
