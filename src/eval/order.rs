//! Which part of an `and` or `or` to ask first: the one that decides most rows for the bytes that
//! it reads.
//!
//! What a column holds is known from its import ([`ColumnStats`]), so the share of rows that a test
//! selects can be guessed before it runs. A guess changes only the time, never the answer: Kleene's
//! operators do not care about order.

use super::bind::BoundPlan;
use super::bound_test::BoundTest;
use crate::base::Value;
use crate::plan::node::{Cond, CondId, Node, ValId, ValKind};
use crate::store::{ColumnData, ColumnStats};

/// What asking a condition costs, in bytes read a row, and the share of rows for which it is true.
#[derive(Clone, Copy)]
struct Guess {
    cost: f64,
    share: f64,
}

/// Where nothing is known.
const SHARE: f64 = 0.3;
/// Rows whose events are looked up, in bytes.
const EVENTS: f64 = 400.0;
/// A text or a list, in bytes.
const LONG: f64 = 60.0;

impl BoundPlan<'_> {
    /// The parts of an `and` or `or` in the order in which to ask them.
    pub fn order(&self, id: CondId) -> &[CondId] {
        self.orders()
            .get_or_init(|| best_first(self))
            .get(id.0 as usize)
            .map_or(&[], Vec::as_slice)
    }
}

/// The parts of each `and` and `or`, best first, by [`CondId`]; empty for the others.
fn best_first(bound: &BoundPlan) -> Vec<Vec<CondId>> {
    let plan = bound.plan;
    let mut guesses = vec![
        Guess {
            cost: LONG,
            share: SHARE
        };
        plan.conds.len()
    ];
    let mut orders = vec![Vec::new(); plan.conds.len()];
    for node in &plan.order {
        let Node::Cond(id) = node else { continue };
        let of = |c: &CondId| {
            guesses.get(c.0 as usize).copied().unwrap_or(Guess {
                cost: LONG,
                share: SHARE,
            })
        };
        let cond = plan.cond(*id);
        let mut order = Vec::new();
        let guess = match cond {
            Cond::Always(truth) => Guess {
                cost: 0.0,
                share: f64::from(u8::from(*truth == Some(true))),
            },
            Cond::List(_) => Guess {
                cost: 0.1,
                share: SHARE,
            },
            Cond::Test { of, .. } => test(bound, *id, *of),
            Cond::Not(c) => Guess {
                share: 1.0 - of(c).share,
                ..of(c)
            },
            Cond::Named(_, c) | Cond::IsTrue(c) => of(c),
            Cond::All(parts) => {
                order = sorted(parts, |c| of(c).cost / (1.0 - of(c).share).max(1e-6));
                order.iter().map(of).fold(
                    Guess {
                        cost: 0.0,
                        share: 1.0,
                    },
                    |all, part| Guess {
                        cost: all.cost + part.cost * all.share,
                        share: all.share * part.share,
                    },
                )
            }
            Cond::Any(parts) => {
                order = sorted(parts, |c| of(c).cost / of(c).share.max(1e-6));
                order.iter().map(of).fold(
                    Guess {
                        cost: 0.0,
                        share: 0.0,
                    },
                    |any, part| Guess {
                        cost: any.cost + part.cost * (1.0 - any.share),
                        share: any.share + part.share * (1.0 - any.share),
                    },
                )
            }
            Cond::Did(_) => Guess {
                cost: EVENTS,
                share: SHARE,
            },
            other => {
                let parts = other.parts();
                let cost = parts.iter().map(|part| match part {
                    Node::Cond(c) => of(c).cost,
                    Node::Val(v) => value(bound, *v, &of),
                });
                Guess {
                    cost: 4.0 + cost.sum::<f64>(),
                    share: SHARE,
                }
            }
        };
        if let (Some(slot), Some(list)) = (
            guesses.get_mut(id.0 as usize),
            orders.get_mut(id.0 as usize),
        ) {
            (*slot, *list) = (guess, order);
        }
    }
    orders
}

fn sorted(parts: &[CondId], weight: impl Fn(&CondId) -> f64) -> Vec<CondId> {
    let mut order = parts.to_vec();
    order.sort_by(|a, b| weight(a).total_cmp(&weight(b)));
    order
}

fn test(bound: &BoundPlan, id: CondId, of: ValId) -> Guess {
    let unknown = |_: &CondId| Guess {
        cost: LONG,
        share: SHARE,
    };
    let ValKind::Tag(tag) = bound.plan.val(of).kind else {
        return Guess {
            cost: value(bound, of, &unknown),
            share: SHARE,
        };
    };
    let cost = value(bound, of, &unknown);
    let share = bound
        .stats(tag)
        .zip(bound.test(id))
        .and_then(|(stats, ready)| share(stats, ready));
    Guess {
        cost,
        share: share.unwrap_or(SHARE),
    }
}

/// The share of a column's rows that pass a test.
fn share(stats: &ColumnStats, test: &BoundTest) -> Option<f64> {
    let of_known = match test {
        BoundTest::Int { lo, hi } => stats.share_between(*lo as f64, *hi as f64)?,
        BoundTest::IntIn(list) => list
            .iter()
            .map(|n| stats.share_between(*n as f64, *n as f64))
            .sum::<Option<f64>>()?,
        BoundTest::Float { lo, hi } => stats.share_between(*lo, *hi)?,
        BoundTest::Set { all, items, .. } => {
            let member = |item: &Value| match item {
                Value::Enum(code) => stats.share_with(*code),
                _ => None,
            };
            let shares: Vec<f64> = items.iter().map(member).collect::<Option<_>>()?;
            match all {
                true => shares.iter().product(),
                false => 1.0 - shares.iter().map(|s| 1.0 - s).product::<f64>(),
            }
        }
        BoundTest::FloatIn(_) | BoundTest::Text(_) | BoundTest::Days(_) => {
            return None;
        }
    };
    Some(of_known * stats.known() as f64 / stats.rows().max(1) as f64)
}

/// What reading a value costs.
fn value(bound: &BoundPlan, id: ValId, cond: &impl Fn(&CondId) -> Guess) -> f64 {
    match &bound.plan.val(id).kind {
        ValKind::Const(_) | ValKind::Missing | ValKind::TriggerField(_) => 0.0,
        ValKind::Tag(tag) => bound.tag(*tag).map_or(0.0, |source| width(source.data)),
        ValKind::Event(_) => EVENTS,
        kind => {
            let parts = kind.parts();
            4.0 + parts
                .iter()
                .map(|part| match part {
                    Node::Cond(c) => cond(c).cost,
                    Node::Val(v) => value(bound, *v, cond),
                })
                .sum::<f64>()
        }
    }
}

/// Bytes a row.
fn width(data: &ColumnData) -> f64 {
    match data {
        ColumnData::Bool(_) => 0.125,
        ColumnData::Int8(_) | ColumnData::Code8(_) => 1.0,
        ColumnData::Int16(_) | ColumnData::Code16(_) => 2.0,
        ColumnData::Int32(_)
        | ColumnData::Bits32(_)
        | ColumnData::Ratio(_)
        | ColumnData::Date(_)
        | ColumnData::Time(_) => 4.0,
        ColumnData::Int64(_)
        | ColumnData::Float(_)
        | ColumnData::Bits64(_)
        | ColumnData::Instant(_) => 8.0,
        ColumnData::Place(_) => 16.0,
        ColumnData::List(_) | ColumnData::Text(_) => LONG,
    }
}
