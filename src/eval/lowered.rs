//! A plan with what is known of its nodes before any store is looked at.

use crate::plan::Plan;
use crate::plan::node::{Cond, CondId, Node};

/// A plan, and what is known of its nodes.
#[derive(Debug)]
pub struct Lowered {
    pub plan: Plan,
    /// Whether more than one node asks it, by [`CondId`].
    pub shared_conds: Vec<bool>,
    /// The same by [`ValId`](crate::plan::node::ValId).
    pub shared_vals: Vec<bool>,
    /// The conditions and values that ask about events.
    pub queries: Vec<Node>,
    /// The tests that are others at another instant.
    pub clock_tests: Vec<CondId>,
}

impl Lowered {
    pub fn new(plan: Plan) -> Self {
        let nodes = plan.order.iter().copied();
        let queries = nodes.clone().filter(|n| plan.query(*n).is_some());
        let moves =
            |cond: &Cond| matches!(cond, Cond::Test { test, .. } if test.moves_with_the_clock());
        let clock_tests = (0..)
            .map(CondId)
            .zip(&plan.conds)
            .filter(|(_, cond)| moves(cond));
        Lowered {
            shared_conds: shared(&plan, plan.conds.len(), |node| match node {
                Node::Cond(id) => Some(id.0),
                Node::Val(_) => None,
            }),
            shared_vals: shared(&plan, plan.vals.len(), |node| match node {
                Node::Val(id) => Some(id.0),
                Node::Cond(_) => None,
            }),
            queries: queries.collect(),
            clock_tests: clock_tests.map(|(id, _)| id).collect(),
            plan,
        }
    }
}

/// Which nodes of a kind have more than one parent; `number` tells the nodes of that kind.
fn shared(plan: &Plan, nodes: usize, number: impl Fn(Node) -> Option<u32>) -> Vec<bool> {
    let mut parents = vec![0u32; nodes];
    let parts = plan
        .conds
        .iter()
        .flat_map(Cond::parts)
        .chain(plan.vals.iter().flat_map(|v| v.kind.parts()));
    for part in parts.filter_map(number) {
        if let Some(n) = parents.get_mut(part as usize) {
            *n += 1;
        }
    }
    parents.into_iter().map(|n| n > 1).collect()
}
