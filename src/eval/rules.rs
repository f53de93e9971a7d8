//! Many conditions of one program for one user at a time: what an event or a changed tag asks of
//! all campaigns.
//!
//! The rules share one plan, so that what several of them ask is answered once a user. An index
//! says which rules a change can affect; the others need not be asked. The clock can change the
//! answer of a rule with a window without any change: whoever waits for that asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::bind::BoundPlan;
use super::error::EvalError;
use super::eval_scope::EvalScope;
use super::lowered::Lowered;
use super::point::{Point, PointTarget};
use super::steps::{Steps, UserNumbers};
use crate::base::{EventId, TagId, UserNo, Value};
use crate::plan::node::{Cond, CondId, Node, Query, ValKind};
use crate::plan::{Lowering, Plan};
use crate::program::typed::Program;
use crate::program::typed_expr::{EventSource, Expr};

/// What changed for a user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ChangeKind {
    Tag(TagId),
    Event(EventId),
    /// What is known of the program's own messages: sent, delivered, opened, converted.
    Message,
}

/// Conditions with their index; a rule is named by its position.
#[derive(Debug)]
pub struct RuleSet {
    lowered: Lowered,
    roots: Vec<CondId>,
    /// Laid out when they are first bound, in the order that suits the columns as they are then.
    steps: OnceLock<Steps>,
    by_change: BTreeMap<ChangeKind, Vec<usize>>,
}

impl RuleSet {
    /// # Errors
    /// A condition that is nested too deep.
    pub fn new<'e>(
        program: &Program,
        rules: impl IntoIterator<Item = &'e Expr>,
    ) -> Result<RuleSet, EvalError> {
        let mut lowering = Lowering::new(program);
        let mut roots = Vec::new();
        for rule in rules {
            match lowering.node(rule)? {
                Node::Cond(root) => roots.push(root),
                Node::Val(_) => return Err(EvalError::Internal(rule.span)),
            }
        }
        let plan = lowering.finish(Node::Cond(roots.first().copied().unwrap_or(CondId(0))));
        let reads = reads(&plan);
        let mut by_change: BTreeMap<ChangeKind, Vec<usize>> = BTreeMap::new();
        for (number, root) in roots.iter().enumerate() {
            for change in reads.get(&Node::Cond(*root)).into_iter().flatten() {
                by_change.entry(*change).or_default().push(number);
            }
        }
        Ok(RuleSet {
            lowered: Lowered::new(plan),
            roots,
            steps: OnceLock::new(),
            by_change,
        })
    }

    pub fn len(&self) -> usize {
        self.roots.len()
    }

    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// The rules whose answer a change can affect, in order.
    pub fn affected_by(&self, change: ChangeKind) -> &[usize] {
        self.by_change.get(&change).map_or(&[], Vec::as_slice)
    }

    /// # Errors
    /// Stored values that do not fit the program's types.
    pub fn bind<'a>(&'a self, scope: &EvalScope<'a>) -> Result<BoundRules<'a>, EvalError> {
        let bound = BoundPlan::new(scope, &self.lowered)?;
        let steps = self.steps.get_or_init(|| Steps::new(&bound, &self.roots));
        Ok(BoundRules { steps, bound })
    }
}

/// Rules at one moment.
pub struct BoundRules<'a> {
    steps: &'a Steps,
    bound: BoundPlan<'a>,
}

impl<'a> BoundRules<'a> {
    /// The same at another instant or for another trigger event, over the same users, tags and
    /// events.
    pub fn at(&self, scope: &EvalScope<'a>) -> BoundRules<'a> {
        BoundRules {
            steps: self.steps,
            bound: self.bound.at(scope),
        }
    }

    /// Makes ready what finds one user's events without a search: worth its one pass over the users
    /// where many are asked one after the other.
    pub fn index_events(&self) {
        self.bound.index_events();
    }

    /// Something to ask for one user after the other.
    pub fn asker(&self) -> RuleEvaluator<'_> {
        RuleEvaluator {
            point: Point::new(&self.bound, PointTarget::User(UserNo(0))),
            numbers: self.steps.numbers(),
            steps: self.steps,
        }
    }
}

/// Asks rules for one user at a time, with the memory that this takes.
pub struct RuleEvaluator<'b> {
    point: Point<'b>,
    numbers: UserNumbers,
    steps: &'b Steps,
}

impl<'b> RuleEvaluator<'b> {
    /// Whether each of some rules holds for an event row, given by its values; as
    /// [`ask`](Self::ask).
    pub fn ask_row(
        &mut self,
        row: &'b [Option<Value>],
        rules: impl IntoIterator<Item = usize>,
        tell: impl FnMut(usize, Option<bool>),
    ) {
        self.ask_target(PointTarget::Fields(row), rules, tell);
    }

    /// Whether each of some rules holds for a user, in the order given; `None` is unknown, as is a
    /// rule that there is not.
    pub fn ask(
        &mut self,
        user: UserNo,
        rules: impl IntoIterator<Item = usize>,
        tell: impl FnMut(usize, Option<bool>),
    ) {
        self.ask_target(PointTarget::User(user), rules, tell);
    }

    fn ask_target(
        &mut self,
        target: PointTarget<'b>,
        rules: impl IntoIterator<Item = usize>,
        mut tell: impl FnMut(usize, Option<bool>),
    ) {
        self.point.reset(target);
        self.numbers.reset();
        for rule in rules {
            tell(
                rule,
                self.steps.holds(rule, &mut self.numbers, &mut self.point),
            );
        }
    }
}

/// For each condition and value what its answer depends on.
fn reads(plan: &Plan) -> BTreeMap<Node, BTreeSet<ChangeKind>> {
    let mut reads: BTreeMap<Node, BTreeSet<ChangeKind>> = BTreeMap::new();
    for node in &plan.order {
        let (query, own, parts) = match node {
            Node::Cond(id) => {
                let cond = plan.cond(*id);
                (
                    cond.query(),
                    matches!(cond, Cond::StepOutcome { .. }).then_some(ChangeKind::Message),
                    cond.parts(),
                )
            }
            Node::Val(id) => {
                let kind = &plan.val(*id).kind;
                (
                    kind.query(),
                    if let ValKind::Tag(tag) = kind {
                        Some(ChangeKind::Tag(*tag))
                    } else {
                        None
                    },
                    kind.parts(),
                )
            }
        };
        // Every node comes after those that it is made of.
        let below = parts
            .iter()
            .filter_map(|part| reads.get(part))
            .flatten()
            .copied();
        let all = query
            .into_iter()
            .flat_map(of_query)
            .chain(own)
            .chain(below)
            .collect();
        reads.insert(*node, all);
    }
    reads
}

/// Filters look at rows of events alone.
fn of_query(query: &Query) -> impl Iterator<Item = ChangeKind> {
    let patterns = [
        Some(&query.pattern),
        query.then.as_ref().map(|then| &then.next),
    ];
    patterns
        .into_iter()
        .flatten()
        .map(|pattern| match pattern.source {
            EventSource::Declared(event) => ChangeKind::Event(event),
            EventSource::Own(_) => ChangeKind::Message,
        })
}
