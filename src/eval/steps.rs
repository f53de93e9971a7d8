//! Rules laid flat: the conditions of many rules as one array of small steps, so that asking them
//! all reads memory from front to back.
//!
//! A plan's nodes are made for one evaluation of many users; ten thousand rules of them fill more
//! memory than a core keeps near. A step is 24 bytes: a range that a number must lie in, or an
//! operator over the steps that follow it. StepKind is neither is asked of the plan.

use std::collections::BTreeMap;

use super::bind::BoundPlan;
use super::bound_test::BoundTest;
use super::point::Point;
use super::vector::Scalar;
use crate::plan::node::{Cond, CondId, ValId};

/// One node of a rule, in front of the nodes below it.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: StepKind,
    slot: u16,
    /// The step behind the last one below.
    end: u32,
    /// Of a range both ends, which are included: whole numbers as they are, others as their bits.
    lo: i64,
    hi: i64,
}

#[derive(Clone, Copy, Debug)]
enum StepKind {
    All,
    Any,
    Not,
    /// Whether the whole number of the slot lies in the range.
    Int,
    Float,
    /// A condition of the plan, by its number in `lo`.
    Ask,
}

/// The rules of a plan, for any store and moment.
#[derive(Debug)]
pub struct Steps {
    steps: Vec<Step>,
    /// The value of the plan that each slot holds.
    slots: Vec<ValId>,
    /// Where each rule begins.
    rules: Vec<u32>,
}

/// The numbers of one user that were asked for.
#[derive(Default)]
pub struct UserNumbers {
    round: u32,
    by_slot: Vec<Number>,
}

#[derive(Clone, Copy, Default)]
struct Number {
    /// StepKind was read in another round is somebody else's.
    round: u32,
    value: Option<i64>,
}

impl Steps {
    pub fn new(bound: &BoundPlan, roots: &[CondId]) -> Steps {
        let mut steps = Steps {
            steps: Vec::new(),
            slots: Vec::new(),
            rules: Vec::with_capacity(roots.len()),
        };
        let mut by_value = BTreeMap::new();
        for root in roots {
            steps.rules.push(steps.steps.len() as u32);
            steps.lay(bound, *root, &mut by_value);
        }
        steps
    }

    fn lay(&mut self, bound: &BoundPlan, id: CondId, slots: &mut BTreeMap<ValId, u16>) {
        let at = self.steps.len();
        let mut step = Step {
            kind: StepKind::Ask,
            slot: 0,
            end: 0,
            lo: i64::from(id.0),
            hi: 0,
        };
        let mut below: &[CondId] = &[];
        match bound.plan.cond(id) {
            // StepKind several ask is answered once, and laid out by none of them: a named audience of
            // named audiences would grow with each.
            Cond::All(_) | Cond::Any(_) | Cond::Not(_) | Cond::Named(..) if bound.is_shared(id) => {
            }
            Cond::Named(_, of) => return self.lay(bound, *of, slots),
            Cond::All(_) => (step.kind, below) = (StepKind::All, bound.order(id)),
            Cond::Any(_) => (step.kind, below) = (StepKind::Any, bound.order(id)),
            Cond::Not(of) => (step.kind, below) = (StepKind::Not, std::slice::from_ref(of)),
            Cond::Test { of, .. } => {
                let free = u16::try_from(self.slots.len()).ok();
                let range = match bound.steady_test(id) {
                    Some(BoundTest::Int { lo, hi }) => Some((StepKind::Int, *lo, *hi)),
                    Some(BoundTest::IntIn([one])) => Some((StepKind::Int, *one, *one)),
                    Some(BoundTest::Float { lo, hi }) => {
                        Some((StepKind::Float, lo.to_bits() as i64, hi.to_bits() as i64))
                    }
                    Some(
                        BoundTest::IntIn(_)
                        | BoundTest::FloatIn(_)
                        | BoundTest::Text(_)
                        | BoundTest::Days(_)
                        | BoundTest::Set { .. },
                    )
                    | None => None,
                };
                if let (Some((kind, lo, hi)), Some(slot)) = (range, slots.get(of).copied().or(free))
                {
                    if slots.insert(*of, slot).is_none() {
                        self.slots.push(*of);
                    }
                    step = Step {
                        kind,
                        slot,
                        end: 0,
                        lo,
                        hi,
                    };
                }
            }
            Cond::Always(_)
            | Cond::List(_)
            | Cond::StepOutcome { .. }
            | Cond::Flag(_)
            | Cond::IsTrue(_)
            | Cond::IsDecided(_)
            | Cond::IsKnown(_)
            | Cond::Same(..)
            | Cond::OrElse(..)
            | Cond::If { .. }
            | Cond::Compare { .. }
            | Cond::Between { .. }
            | Cond::Text { .. }
            | Cond::Did(_) => {}
        }
        self.steps.push(step);
        for part in below {
            self.lay(bound, *part, slots);
        }
        let end = self.steps.len() as u32;
        if let Some(step) = self.steps.get_mut(at) {
            step.end = end;
        }
    }

    pub fn numbers(&self) -> UserNumbers {
        UserNumbers {
            round: 0,
            by_slot: vec![Number::default(); self.slots.len()],
        }
    }

    /// Whether a rule holds for the user whom `point` looks at; `None` is unknown, as is a rule
    /// that there is not.
    pub fn holds(&self, rule: usize, numbers: &mut UserNumbers, point: &mut Point) -> Option<bool> {
        self.truth(*self.rules.get(rule)? as usize, numbers, point)
    }

    fn truth(&self, at: usize, numbers: &mut UserNumbers, point: &mut Point) -> Option<bool> {
        let step = self.steps.get(at)?;
        match step.kind {
            StepKind::All => self.join(at + 1, step.end, true, numbers, point),
            StepKind::Any => self.join(at + 1, step.end, false, numbers, point),
            StepKind::Not => self.truth(at + 1, numbers, point).map(|b| !b),
            StepKind::Int => numbers
                .get(self, step.slot, point)
                .map(|n| (step.lo <= n) & (n <= step.hi)),
            StepKind::Float => {
                let float = |bits: i64| f64::from_bits(bits as u64);
                let n = float(numbers.get(self, step.slot, point)?);
                Some((float(step.lo) <= n) & (n <= float(step.hi)))
            }
            StepKind::Ask => point.cond(CondId(u32::try_from(step.lo).ok()?)),
        }
    }

    /// Kleene's `and` (`all`) or `or`: the first part that decides ends it.
    fn join(
        &self,
        mut at: usize,
        end: u32,
        all: bool,
        numbers: &mut UserNumbers,
        point: &mut Point,
    ) -> Option<bool> {
        let mut out = Some(all);
        while at < end as usize {
            match self.truth(at, numbers, point) {
                Some(b) if b == all => {}
                Some(b) => return Some(b),
                None => out = None,
            }
            at = self.steps.get(at)?.end as usize;
        }
        out
    }
}

impl UserNumbers {
    /// Turns to somebody else.
    pub fn reset(&mut self) {
        self.round = match self.round.checked_add(1) {
            Some(round) => round,
            None => {
                self.by_slot.fill(Number::default());
                1
            }
        };
    }

    #[inline]
    fn get(&mut self, steps: &Steps, slot: u16, point: &mut Point) -> Option<i64> {
        let number = self.by_slot.get_mut(usize::from(slot))?;
        if number.round != self.round {
            let value =
                point
                    .val(*steps.slots.get(usize::from(slot))?)
                    .and_then(|value| match value {
                        Scalar::Int(n) => Some(n),
                        Scalar::Float(n) => Some(n.to_bits() as i64),
                        Scalar::Bool(_) | Scalar::Text(_) | Scalar::Place(_) | Scalar::Set(_) => {
                            None
                        }
                    });
            *number = Number {
                round: self.round,
                value,
            };
        }
        number.value
    }
}
