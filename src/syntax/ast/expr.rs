//! Expressions: what may stand in a condition, a field or a template's braces.

use super::ident::Ident;
use crate::base::{Date, Decimal, TimeOfDay};
use crate::diag::Span;

#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    pub span: Span,
    pub kind: Box<ExprKind>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    Literal(Literal),
    Name(Ident),
    /// `event.sku`, `weather(region).uv`, `purchase.amount`
    Field {
        of: Expr,
        name: Ident,
    },
    Call {
        name: Ident,
        args: Vec<Arg>,
    },
    /// Kept, because `or` beside `except` needs them and the formatter prints them.
    Paren(Expr),
    Not {
        word: Span,
        of: Expr,
    },
    Neg(Expr),
    Binary {
        op: BinaryOp,
        op_span: Span,
        left: Expr,
        right: Expr,
    },
    /// `x is missing`, `x is known`
    Is {
        of: Expr,
        state: Presence,
        span: Span,
    },
    /// `x in …`, `x not in …`
    In {
        of: Expr,
        negated: bool,
        op_span: Span,
        set: InSet,
    },
    /// `x contains any [..]`
    Contains {
        of: Expr,
        mode: ContainsMode,
        op_span: Span,
        what: Expr,
    },
    StartsWith {
        of: Expr,
        op_span: Span,
        what: Expr,
    },
    /// `a..b` where no `in` stands before it; the checker refuses it.
    Range(Expr, Expr),
    /// `[a, b]`
    List(Vec<Expr>),
    /// `(31.2, 121.4)`
    Place(Expr, Expr),
    /// `everyone`
    Everyone,
    /// An operand that could not be read; its error has been reported.
    Broken,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BinaryOp {
    Or,
    Except,
    And,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Coalesce,
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    Missing,
    Known,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContainsMode {
    /// `contains x`
    One,
    Any,
    All,
}

#[derive(Clone, PartialEq, Debug)]
pub enum InSet {
    /// `18..30`, both ends included
    Range(Expr, Expr),
    Window(Window),
    /// A list literal, a set tag, a distance (`within`) or a name.
    Expr(Expr),
}

/// An argument of a call.
#[derive(Clone, PartialEq, Debug)]
pub enum Arg {
    Expr(Expr),
    /// `home within 5km`: only for `nearest` ².
    Within(Expr, Expr),
    /// `purchase where …`, `purchase.amount where …`, `a then b within 1h`
    Event(EventExpr),
    Window(Window),
}

impl Arg {
    pub fn span(&self) -> Span {
        match self {
            Arg::Expr(e) => e.span,
            Arg::Within(a, b) => a.span.to(b.span),
            Arg::Event(e) => e.span,
            Arg::Window(w) => w.span,
        }
    }
}

/// An event with its condition, and what must follow it. A plain name as an argument is an
/// `Arg::Expr`; a `where` or `then` makes it an `EventExpr`.
#[derive(Clone, PartialEq, Debug)]
pub struct EventExpr {
    pub span: Span,
    /// `purchase` or `purchase.amount`
    pub event: Ident,
    pub field: Option<Ident>,
    pub filter: Option<Expr>,
    /// `then purchase within 1h`; at most one is supported, the checker says so.
    pub then: Vec<Then>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Then {
    pub span: Span,
    /// `then no …`
    pub no: bool,
    pub event: Ident,
    pub filter: Option<Expr>,
    pub within: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    pub span: Span,
    pub kind: WindowKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum WindowKind {
    /// `last 30 days`, `last 72h`: a duration literal
    Last(Literal),
    /// `next 7 days`
    Next(Literal),
    Today,
    Yesterday,
    This(Period),
    Previous(Period),
    /// `2026-11-01..2026-11-11`
    Dates(Expr, Expr),
    /// `since 2026-11-01`
    Since(Expr),
    Ever,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Period {
    Week,
    Month,
    Year,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Literal {
    pub span: Span,
    pub kind: LiteralKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum LiteralKind {
    Bool(bool),
    /// `12`, `1_000_000`, `50万`, `0.3`
    Number(Decimal),
    /// `30%`: the number before the sign
    Percent(Decimal),
    /// `¥99.50`, `99元`: in whole units of the currency
    Money(Decimal),
    Text(String),
    Date(Date),
    Time(TimeOfDay),
    /// Local, in the policy's zone.
    Instant(Date, TimeOfDay),
    /// `90s 30min 72h`
    Elapsed(Decimal, ElapsedUnit),
    /// `3 days`, `2 weeks`, `1 month`
    Calendar(Decimal, CalendarUnit),
    /// `500m`, `3km`
    Distance(Decimal, DistanceUnit),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElapsedUnit {
    Second,
    Minute,
    Hour,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CalendarUnit {
    Day,
    Week,
    Month,
    Year,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DistanceUnit {
    Metre,
    Kilometre,
}
