//! Typed expressions. A condition is an expression of type bool, evaluated in three values: true,
//! false, unknown.

use super::builtins::function::Function;
use crate::base::{
    AudienceId, Calendar, Date, Elapsed, EventId, Instant, ListId, LookupId, PartitionId, TagId,
    Type, Value, Zone,
};
use crate::diag::Span;

#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub ty: Type,
    pub span: Span,
    /// For a value: it can be missing. For a condition: it can be unknown.
    pub optional: bool,
    pub kind: ExprKind,
}

impl Expr {
    /// The expressions directly inside, in the order of the text; filters of events too, which are
    /// about rows. Names are leaves: an audience is not entered.
    pub fn children(&self) -> Vec<&Expr> {
        use ExprKind as K;
        match &self.kind {
            K::Const(_)
            | K::Tag(_)
            | K::Partition(_)
            | K::TriggerField(_)
            | K::RowField(_)
            | K::StepOutcome { .. }
            | K::Everyone
            | K::Audience(_)
            | K::List(_) => Vec::new(),
            K::LookupField { keys: list, .. } | K::Call { args: list, .. } => list.iter().collect(),
            K::Not(a)
            | K::Neg(a)
            | K::IsMissing(a)
            | K::IsKnown(a)
            | K::ToNumber(a)
            | K::MemberName(a) => vec![a],
            K::InList { of, .. } | K::InWindow { of, .. } | K::SetContains { set: of, .. } => {
                vec![of]
            }
            K::And(a, b) | K::Or(a, b) | K::Except(a, b) | K::Coalesce(a, b) => vec![a, b],
            K::Compare { left, right, .. } | K::Arith { left, right, .. } => vec![left, right],
            K::TextContains { of, what } | K::StartsWith { of, what } => vec![of, what],
            K::InRange { of, lo, hi } => vec![of, lo, hi],
            K::If {
                when,
                then,
                otherwise,
            } => vec![when, then, otherwise],
            K::Event(query) => {
                let next = query
                    .then
                    .iter()
                    .filter_map(|then| then.next.filter.as_ref());
                query.pattern.filter.iter().chain(next).collect()
            }
        }
    }

    /// As [`children`](Self::children), without filters of events.
    pub fn children_about_users(&self) -> Vec<&Expr> {
        match self.kind {
            ExprKind::Event(_) => Vec::new(),
            _ => self.children(),
        }
    }

    /// Calls `see` with the expression and everything inside.
    pub fn each<'e>(&'e self, see: &mut dyn FnMut(&'e Expr)) {
        see(self);
        self.children()
            .into_iter()
            .for_each(|child| child.each(see));
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// In the exact type of `ty`: a ratio is rounded to f32, money is in minor units, an enum
    /// member is its code.
    Const(Value),
    Tag(TagId),
    Partition(PartitionId),
    /// `event.field` of the campaign's trigger.
    TriggerField(u16),
    /// A field of the event row that a `where` looks at; of an [`OwnEvent`] the position in
    /// [`OWN_FIELDS`].
    RowField(u16),
    LookupField {
        lookup: LookupId,
        keys: Vec<Expr>,
        field: u16,
    },
    /// `opened` in the `if` of a follow-up; `step` as in `typed::Step::from`.
    StepOutcome {
        step: usize,
        outcome: StepOutcome,
    },

    // ---- conditions
    Everyone,
    Audience(AudienceId),
    List(ListId),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    /// The left unless the right is true.
    Except(Box<Expr>, Box<Expr>),
    /// Both sides have the same type, or one is int and the other number.
    Compare {
        op: CompareOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// Both ends included.
    InRange {
        of: Box<Expr>,
        lo: Box<Expr>,
        hi: Box<Expr>,
    },
    /// `of` equals one of the values, which have its type.
    InList {
        of: Box<Expr>,
        list: Vec<Value>,
    },
    /// A date or an instant; `yearly` compares month and day only (29 February counts as the 28th
    /// in a common year).
    InWindow {
        of: Box<Expr>,
        window: Window,
        yearly: bool,
    },
    /// `set contains x` (one), `contains any [..]`, `contains all [..]`; also `x in set`. Items
    /// have the set's element type.
    SetContains {
        set: Box<Expr>,
        mode: SetMode,
        items: Vec<Value>,
    },
    TextContains {
        of: Box<Expr>,
        what: Box<Expr>,
    },
    StartsWith {
        of: Box<Expr>,
        what: Box<Expr>,
    },
    /// Two-valued.
    IsMissing(Box<Expr>),
    /// Two-valued.
    IsKnown(Box<Expr>),

    // ---- values
    Coalesce(Box<Expr>, Box<Expr>),
    Arith {
        op: ArithOp,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Neg(Box<Expr>),
    /// With an unknown condition the value is missing.
    If {
        when: Box<Expr>,
        then: Box<Expr>,
        otherwise: Box<Expr>,
    },
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    /// An int or a ratio as a number, where the other side is one. Nobody writes it.
    ToNumber(Box<Expr>),
    /// An enum member as the text of its name (`region ?? "nowhere"`). Nobody writes it.
    MemberName(Box<Expr>),
    Event(Box<EventQuery>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// The types say what is meant: `money / money` is a number, `instant - instant` elapsed. Overflow
/// and division by zero give missing.
///
/// What the checker lets through (left, right → type of the expression):
/// - int ± × mod int → int; int / int → number; with a number on one side (or both): number
/// - money ± money → money; money × int, number or ratio → money (money always on the left); money
///   / int or number → money (to the nearest minor unit, half away from zero); money / money →
///   number
/// - date ± calendar → date; instant ± elapsed or calendar → instant; instant − instant → elapsed
///
/// `mod` is never negative. A ratio elsewhere comes wrapped in [`ExprKind::ToNumber`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArithOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

/// `One` has exactly one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetMode {
    One,
    Any,
    All,
}

/// What is asked of a user's events.
#[derive(Clone, Debug, PartialEq)]
pub struct EventQuery {
    pub what: Aggregate,
    pub pattern: EventPattern,
    /// The field that `sum`, `avg`, `min`, `max`, `first`, `latest`, `distinct` look at.
    pub field: Option<u16>,
    /// Only with `Did` and `Count`: each first event is matched at most once.
    pub then: Option<Sequence>,
    pub window: Window,
}

/// Of no events, `Did` is false, `Count`, `Sum` and `Distinct` are 0, and the others are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Did,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    First,
    Latest,
    Distinct,
    /// Elapsed since the latest one up to now.
    Since,
}

#[derive(Clone, Debug, PartialEq)]
pub struct EventPattern {
    pub span: Span,
    pub source: EventSource,
    /// Over [`ExprKind::RowField`] only.
    pub filter: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventSource {
    Declared(EventId),
    Own(OwnEvent),
}

/// Own messages are events too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OwnEvent {
    Sent,
    Delivered,
    Opened,
    Clicked,
    Failed,
    OptedOut,
    Complained,
}

impl OwnEvent {
    pub const ALL: [(OwnEvent, &'static str); 7] = [
        (OwnEvent::Sent, "sent"),
        (OwnEvent::Delivered, "delivered"),
        (OwnEvent::Opened, "opened"),
        (OwnEvent::Clicked, "clicked"),
        (OwnEvent::Failed, "failed"),
        (OwnEvent::OptedOut, "opted_out"),
        (OwnEvent::Complained, "complained"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(own, _)| *own == self)
            .map_or("sent", |(_, name)| name)
    }
}

/// The fields of every own event, all text.
pub const OWN_FIELDS: [&str; 5] = ["campaign", "step", "arm", "template", "channel"];

/// `A then B within D` / `A then no B within D`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sequence {
    pub no: bool,
    pub next: EventPattern,
    pub within: Length,
}

/// A length of time of either kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Length {
    Elapsed(Elapsed),
    Calendar(Calendar),
}

impl Length {
    /// `at` moved forward by it, on the calendar of `zone`.
    pub fn after(self, at: Instant, zone: Zone) -> Instant {
        match self {
            Length::Elapsed(e) => at.plus(e),
            Length::Calendar(c) => zone.add_calendar(at, c).unwrap_or(Instant(i64::MAX)),
        }
    }

    /// `at` moved back by it.
    pub fn before(self, at: Instant, zone: Zone) -> Instant {
        match self {
            Length::Elapsed(e) => at.minus(e),
            Length::Calendar(c) => zone
                .add_calendar(at, c.negated())
                .unwrap_or(Instant(i64::MIN)),
        }
    }
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Length::Elapsed(e) => e.fmt(f),
            Length::Calendar(c) => c.fmt(f),
        }
    }
}

/// A window of time, relative to `now`. No window but `Next` sees past `now`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Window {
    Last(Length),
    Next(Length),
    Today,
    Yesterday,
    ThisWeek,
    ThisMonth,
    ThisYear,
    PreviousWeek,
    PreviousMonth,
    PreviousYear,
    /// Whole days, both included.
    Dates(Date, Date),
    Since(Date),
    Ever,
}

impl Window {
    /// As instants, both ends included; empty when the first is after the second. `Last(30 days)`
    /// is `(now − 30 days, now]`.
    pub fn instants(self, now: Instant, zone: Zone) -> (Instant, Instant) {
        let today = zone.date(now);
        let (from, to) = match self {
            Window::Last(length) => {
                return (Instant(length.before(now, zone).0.saturating_add(1)), now);
            }
            Window::Next(length) => {
                return (now, Instant(length.after(now, zone).0.saturating_sub(1)));
            }
            Window::Ever => return (Instant(i64::MIN), now),
            Window::Since(date) => return (zone.start_of(date), now),
            _ => self.dates(today),
        };
        let end = Instant(zone.start_of(to.plus_days(1)).0.saturating_sub(1));
        (zone.start_of(from), end.min(now))
    }

    /// As days, both ends included. `Last(30 days)` ends with today and is 30 days long, `Next(7
    /// days)` begins with today; an elapsed length counts whole days of 24 hours, at least one.
    pub fn dates(self, today: Date) -> (Date, Date) {
        let month = |d: Date, n| d.checked_add(Calendar::months(n)).unwrap_or(d);
        let whole_days = |e: Elapsed| {
            Calendar::days(
                i32::try_from(e.0 / Elapsed::hours(24).0)
                    .unwrap_or(i32::MAX)
                    .max(1),
            )
        };
        let calendar = |l: Length| match l {
            Length::Calendar(c) => c,
            Length::Elapsed(e) => whole_days(e),
        };
        match self {
            Window::Last(l) => (
                today
                    .checked_add(calendar(l).negated())
                    .map_or(Date(i32::MIN), |d| d.plus_days(1)),
                today,
            ),
            Window::Next(l) => (
                today,
                today
                    .checked_add(calendar(l))
                    .map_or(Date(i32::MAX), |d| d.plus_days(-1)),
            ),
            Window::Today => (today, today),
            Window::Yesterday => (today.plus_days(-1), today.plus_days(-1)),
            Window::ThisWeek => (today.week_start(), today),
            Window::ThisMonth => (today.month_start(), today),
            Window::ThisYear => (today.year_start(), today),
            Window::PreviousWeek => (
                today.week_start().plus_days(-7),
                today.week_start().plus_days(-1),
            ),
            Window::PreviousMonth => (
                month(today.month_start(), -1),
                today.month_start().plus_days(-1),
            ),
            Window::PreviousYear => (
                today.year_start().plus_days(-1).year_start(),
                today.year_start().plus_days(-1),
            ),
            Window::Dates(from, to) => (from, to.min(today)),
            Window::Since(from) => (from, today),
            Window::Ever => (Date(i32::MIN), today),
        }
    }
}

/// What a follow-up may ask about the step before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    Delivered,
    Opened,
    Clicked,
    Converted,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows() {
        let z = Zone::SHANGHAI;
        let now = z.parse_instant("2026-11-11 10:00").unwrap();
        let show = |w: Window| {
            let (a, b) = w.instants(now, z);
            format!("{} {}", z.show_rfc3339(a), z.show_rfc3339(b))
        };
        assert_eq!(
            show(Window::Last(Length::Calendar(Calendar::days(30)))),
            "2026-10-12T10:00:00.000001+08:00 2026-11-11T10:00:00+08:00"
        );
        assert_eq!(
            show(Window::Today),
            "2026-11-11T00:00:00+08:00 2026-11-11T10:00:00+08:00"
        );
        assert_eq!(
            show(Window::PreviousWeek),
            "2026-11-02T00:00:00+08:00 2026-11-08T23:59:59.999999+08:00"
        );
        let today = z.date(now);
        let (a, b) = Window::Last(Length::Calendar(Calendar::days(30))).dates(today);
        assert_eq!((b.0 - a.0, b), (29, today));
        let (a, b) = Window::Next(Length::Calendar(Calendar::days(7))).dates(today);
        assert_eq!((a, b.0 - a.0), (today, 6));
    }
}
