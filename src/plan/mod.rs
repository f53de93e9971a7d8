//! A typed condition as an audience plan: atoms joined by Kleene operators, named audiences put in place, cheap atoms first.
//!
//! A plan depends on the program alone, not on a store or a clock, so one plan serves every executor: the batch evaluator, the point
//! evaluator, and later SQL.

mod describe;
mod lower;

pub use describe::{describe, show};
pub(crate) use lower::children;
pub use lower::{lower, tags_of};

use crate::program::expr::Expr;

/// A condition in three values.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    Always(bool),
    Not(Box<Plan>),
    /// All of them; cheapest first.
    All(Vec<Plan>),
    /// Any of them; cheapest first.
    Any(Vec<Plan>),
    /// The left unless the right is true.
    Except(Box<Plan>, Box<Plan>),
    Atom(Box<Atom>),
}

/// A condition that is not taken further apart: a comparison, a set, a window, a question about events.
#[derive(Clone, Debug, PartialEq)]
pub struct Atom {
    pub expr: Expr,
    /// What it costs for one user, in units of one comparison of a number.
    pub cost: u32,
}

impl Plan {
    pub fn cost(&self) -> u32 {
        match self {
            Plan::Always(_) => 0,
            Plan::Not(of) => of.cost(),
            Plan::All(parts) | Plan::Any(parts) => parts.iter().fold(0, |sum, p| sum.saturating_add(p.cost())),
            Plan::Except(a, b) => a.cost().saturating_add(b.cost()),
            Plan::Atom(atom) => atom.cost,
        }
    }
}
