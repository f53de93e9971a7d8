//! What a plan is made of: conditions and values in two tables, each node once however often it is
//! used.
//!
//! Values have one of few physical forms, whatever their type: whole numbers (`int`, `money`,
//! elapsed and calendar time, dates, times, instants, enum codes), floats (`number`, `distance`,
//! `ratio`), texts, places, sets. Constants stand in that form, so that a loop over a column
//! compares without converting. Bool values are conditions.

use std::sync::Arc;

use super::kernel::{Binary, Unary};
use crate::base::{Instant, ListId, LookupId, TagId, Type, Value, Zone};
use crate::program::typed_expr::{Aggregate, EventSource, Length, StepOutcome, Window};

/// A condition's position in its plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CondId(pub u32);

/// A value's position in its plan.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ValId(pub u32);

/// Either of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Node {
    Cond(CondId),
    Val(ValId),
}

/// An expression ready to be evaluated; it depends on the program alone, not on a store or a clock.
#[derive(Clone, Debug)]
pub struct Plan {
    pub conds: Vec<Cond>,
    pub vals: Vec<Val>,
    /// All nodes, each after those that it is made of.
    pub order: Vec<Node>,
    pub root: Node,
    /// The policy's zone.
    pub zone: Zone,
}

impl Plan {
    pub fn cond(&self, id: CondId) -> &Cond {
        &self.conds[id.0 as usize]
    }

    pub fn val(&self, id: ValId) -> &Val {
        &self.vals[id.0 as usize]
    }

    /// What a node asks of a user's events.
    pub fn query(&self, node: Node) -> Option<&Query> {
        match node {
            Node::Cond(id) => self.cond(id).query(),
            Node::Val(id) => self.val(id).kind.query(),
        }
    }
}

/// A condition: true, false or unknown.
#[derive(Clone, Debug, PartialEq)]
pub enum Cond {
    /// The same for everyone; `None` is unknown.
    Always(Option<bool>),
    List(ListId),
    StepOutcome {
        step: usize,
        outcome: StepOutcome,
    },
    /// A value of type bool as it is stored.
    Flag(ValId),
    Not(CondId),
    /// All of them, cheapest first.
    All(Vec<CondId>),
    /// Any of them, cheapest first.
    Any(Vec<CondId>),
    /// True where it is true, false everywhere else.
    IsTrue(CondId),
    /// Whether it is true or false.
    IsDecided(CondId),
    IsKnown(ValId),
    /// Both true or both false.
    Same(CondId, CondId),
    /// The second where the first is unknown.
    OrElse(CondId, CondId),
    If {
        when: CondId,
        then: CondId,
        otherwise: CondId,
    },
    /// A value against constants; unknown where it is missing.
    Test {
        of: ValId,
        test: ValueTest,
    },
    Compare {
        op: Order,
        left: ValId,
        right: ValId,
    },
    /// Both ends included; unknown where any of the three is missing.
    Between {
        of: ValId,
        lo: ValId,
        hi: ValId,
    },
    /// A text against another text that is no constant.
    Text {
        op: TextOp,
        of: ValId,
        what: ValId,
    },
    /// Whether the query finds anything.
    Did(Box<Query>),
    /// The condition under the name of a derived tag.
    Named(TagId, CondId),
}

/// The comparisons that are left when `!=`, `>` and `>=` have been turned round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Eq,
    Lt,
    Le,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextOp {
    Contains,
    StartsWith,
}

/// What a value is tested for. All constants are in the physical form of the value.
#[derive(Clone, Debug, PartialEq)]
pub enum ValueTest {
    /// Both ends included; none inside when `lo > hi`.
    Int {
        lo: i64,
        hi: i64,
    },
    /// Sorted, without repeats.
    IntIn(Vec<i64>),
    Float {
        lo: Option<End>,
        hi: Option<End>,
    },
    FloatIn(Vec<f64>),
    Text {
        lo: Option<TextEnd>,
        hi: Option<TextEnd>,
    },
    /// Sorted, without repeats.
    TextIn(Vec<Arc<str>>),
    Contains(Arc<str>),
    StartsWith(Arc<str>),
    /// Of dates, or of instants.
    Window {
        window: Window,
        instants: bool,
    },
    /// Of dates: month and day only.
    Yearly(Window),
    /// All of the items, or any of them.
    Set {
        all: bool,
        items: Vec<Value>,
    },
}

impl ValueTest {
    /// Whether it is another test at another instant.
    pub fn moves_with_the_clock(&self) -> bool {
        match self {
            ValueTest::Window { .. } | ValueTest::Yearly(_) => true,
            ValueTest::Int { .. }
            | ValueTest::IntIn(_)
            | ValueTest::Float { .. }
            | ValueTest::FloatIn(_)
            | ValueTest::Text { .. }
            | ValueTest::TextIn(_)
            | ValueTest::Contains(_)
            | ValueTest::StartsWith(_)
            | ValueTest::Set { .. } => false,
        }
    }
}

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    pub at: f64,
    pub included: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TextEnd {
    pub at: Arc<str>,
    pub included: bool,
}

/// A value, or missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Val {
    pub ty: Type,
    pub kind: ValKind,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ValKind {
    Const(Value),
    /// Missing for everyone.
    Missing,
    Tag(TagId),
    TriggerField(u16),
    /// A field of the event row that a filter looks at.
    RowField(u16),
    Lookup {
        lookup: LookupId,
        keys: Vec<ValId>,
        field: u16,
    },
    /// The number of the first condition that is true; missing when one before it is unknown.
    /// `otherwise`: one number more, when all are false.
    Choice {
        arms: Vec<CondId>,
        otherwise: bool,
    },
    Coalesce(ValId, ValId),
    If {
        when: CondId,
        then: ValId,
        otherwise: ValId,
    },
    Unary(Unary, ValId),
    Binary(Binary, ValId, ValId),
    Event(Box<Query>),
    /// The value under the name of a derived tag.
    Named(TagId, ValId),
}

/// What is asked of a user's events.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub what: Aggregate,
    pub pattern: Pattern,
    /// The field that is looked at, and its type.
    pub field: Option<(u16, Type)>,
    pub then: Option<FollowedBy>,
    pub window: Window,
}

/// Which event rows count: those for which the filter, over [`ValKind::RowField`], is true.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    pub source: EventSource,
    pub filter: Option<CondId>,
}

/// What must follow an event, or must not, within a length of time.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowedBy {
    pub no: bool,
    pub next: Pattern,
    pub within: Length,
}

impl Query {
    /// The instants, both included, in which events count.
    pub fn bounds(&self, now: Instant, zone: Zone) -> (Instant, Instant) {
        match self.what {
            Aggregate::Since => Window::Ever.instants(now, zone),
            _ => self.window.instants(now, zone),
        }
    }
}

impl Cond {
    /// The nodes that it is made of. Filters of queries are not: they are about event rows.
    pub fn parts(&self) -> Vec<Node> {
        match self {
            Cond::Always(_) | Cond::List(_) | Cond::StepOutcome { .. } | Cond::Did(_) => Vec::new(),
            Cond::Flag(v) | Cond::IsKnown(v) | Cond::Test { of: v, .. } => vec![Node::Val(*v)],
            Cond::Not(c) | Cond::IsTrue(c) | Cond::IsDecided(c) | Cond::Named(_, c) => {
                vec![Node::Cond(*c)]
            }
            Cond::All(list) | Cond::Any(list) => list.iter().map(|c| Node::Cond(*c)).collect(),
            Cond::Same(a, b) | Cond::OrElse(a, b) => vec![Node::Cond(*a), Node::Cond(*b)],
            Cond::If {
                when,
                then,
                otherwise,
            } => vec![Node::Cond(*when), Node::Cond(*then), Node::Cond(*otherwise)],
            Cond::Compare {
                left: a, right: b, ..
            }
            | Cond::Text { of: a, what: b, .. } => vec![Node::Val(*a), Node::Val(*b)],
            Cond::Between { of, lo, hi } => vec![Node::Val(*of), Node::Val(*lo), Node::Val(*hi)],
        }
    }

    pub fn query(&self) -> Option<&Query> {
        match self {
            Cond::Did(query) => Some(query),
            _ => None,
        }
    }
}

impl ValKind {
    /// As [`Cond::parts`].
    pub fn parts(&self) -> Vec<Node> {
        match self {
            ValKind::Const(_)
            | ValKind::Missing
            | ValKind::Tag(_)
            | ValKind::TriggerField(_)
            | ValKind::RowField(_)
            | ValKind::Event(_) => Vec::new(),
            ValKind::Lookup { keys, .. } => keys.iter().map(|v| Node::Val(*v)).collect(),
            ValKind::Choice { arms, .. } => arms.iter().map(|c| Node::Cond(*c)).collect(),
            ValKind::Coalesce(a, b) | ValKind::Binary(_, a, b) => {
                vec![Node::Val(*a), Node::Val(*b)]
            }
            ValKind::If {
                when,
                then,
                otherwise,
            } => vec![Node::Cond(*when), Node::Val(*then), Node::Val(*otherwise)],
            ValKind::Unary(_, v) | ValKind::Named(_, v) => vec![Node::Val(*v)],
        }
    }

    pub fn query(&self) -> Option<&Query> {
        match self {
            ValKind::Event(query) => Some(query),
            _ => None,
        }
    }
}
