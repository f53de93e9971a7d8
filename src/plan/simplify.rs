//! Building a plan: nodes with the same content become one, constants are folded, cheap parts come
//! first, and a test of a computed value becomes a condition over tests of what it is computed
//! from, so that column loops get at it.
//!
//! Every rule holds in three values; rules that would make unknown true or false are left out (`x
//! or not x` is not always true).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::form::{float_of, int_of, text_of, value_of_float, value_of_int};
use super::kernel::{Binary, Unary, quotient};
use super::node::{Cond, CondId, Node, Order, Plan, Val, ValId, ValKind, ValueTest};
use crate::base::{TagId, Type, Value, Zone};
use crate::program::builtins::function::{BinaryBody, UnaryBody};
use crate::program::typed_expr::EventSource;

/// A plan in the making.
pub struct Builder {
    conds: Vec<Cond>,
    vals: Vec<Val>,
    order: Vec<Node>,
    cond_costs: Vec<u32>,
    val_costs: Vec<u32>,
    /// By content.
    known_conds: BTreeMap<String, CondId>,
    known_vals: BTreeMap<String, ValId>,
    /// What has been rewritten before, so that shared parts are not rewritten once for each of
    /// their users.
    tested: BTreeMap<(ValId, String), CondId>,
    presence: BTreeMap<ValId, CondId>,
    zone: Zone,
}

impl Builder {
    pub fn new(zone: Zone) -> Self {
        Builder {
            conds: Vec::new(),
            vals: Vec::new(),
            order: Vec::new(),
            cond_costs: Vec::new(),
            val_costs: Vec::new(),
            known_conds: BTreeMap::new(),
            known_vals: BTreeMap::new(),
            tested: BTreeMap::new(),
            presence: BTreeMap::new(),
            zone,
        }
    }

    pub fn finish(self, root: Node) -> Plan {
        Plan {
            conds: self.conds,
            vals: self.vals,
            order: self.order,
            root,
            zone: self.zone,
        }
    }

    pub fn val(&self, id: ValId) -> &Val {
        &self.vals[id.0 as usize]
    }

    fn cond(&self, id: CondId) -> &Cond {
        &self.conds[id.0 as usize]
    }

    /// The condition as it is, unless there is one of the same content.
    pub fn push(&mut self, cond: Cond) -> CondId {
        let key = format!("{cond:?}");
        if let Some(id) = self.known_conds.get(&key) {
            return *id;
        }
        let id = CondId(self.conds.len() as u32);
        self.cond_costs.push(self.cost(&cond));
        self.conds.push(cond);
        self.order.push(Node::Cond(id));
        self.known_conds.insert(key, id);
        id
    }

    /// The value as it is, unless there is one of the same type and content.
    pub fn push_val(&mut self, ty: &Type, kind: ValKind) -> ValId {
        let key = format!("{} {kind:?}", type_key(ty));
        if let Some(id) = self.known_vals.get(&key) {
            return *id;
        }
        let id = ValId(self.vals.len() as u32);
        self.val_costs.push(self.val_cost(ty, &kind));
        self.vals.push(Val {
            ty: ty.clone(),
            kind,
        });
        self.order.push(Node::Val(id));
        self.known_vals.insert(key, id);
        id
    }

    // ---------------------------------------------------------------- costs, in units of one
    // comparison of a number

    fn sum(&self, own: u32, parts: &[Node]) -> u32 {
        parts.iter().fold(own, |sum, part| {
            sum.saturating_add(match part {
                Node::Cond(c) => self.cond_costs[c.0 as usize],
                Node::Val(v) => self.val_costs[v.0 as usize],
            })
        })
    }

    fn cost(&self, cond: &Cond) -> u32 {
        let own = match cond {
            Cond::Always(_) => 0,
            Cond::Did(query) => query_cost(query.pattern.source, query.then.is_some()),
            Cond::Test {
                test: ValueTest::Contains(_),
                ..
            } => 20,
            Cond::Text { .. } => 20,
            Cond::Test {
                test:
                    ValueTest::Text { .. }
                    | ValueTest::TextIn(_)
                    | ValueTest::StartsWith(_)
                    | ValueTest::Set { .. }
                    | ValueTest::Yearly(_),
                ..
            } => 4,
            _ => 1,
        };
        self.sum(own, &cond.parts())
    }

    fn val_cost(&self, ty: &Type, kind: &ValKind) -> u32 {
        let own = match kind {
            ValKind::Const(_) | ValKind::Missing => 0,
            ValKind::Tag(_) | ValKind::RowField(_) | ValKind::TriggerField(_) => match ty {
                Type::Text { .. } | Type::Address(_) | Type::Set(_) => 4,
                _ => 1,
            },
            ValKind::Lookup { .. } => 40,
            ValKind::Unary(..) | ValKind::Binary(..) => 8,
            ValKind::Event(query) => query_cost(query.pattern.source, query.then.is_some()),
            ValKind::Choice { .. }
            | ValKind::Coalesce(..)
            | ValKind::If { .. }
            | ValKind::Named(..) => 4,
        };
        self.sum(own, &kind.parts())
    }

    pub fn cost_of(&self, id: CondId) -> u32 {
        self.cond_costs[id.0 as usize]
    }

    // ---------------------------------------------------------------- conditions

    pub fn always(&mut self, truth: Option<bool>) -> CondId {
        self.push(Cond::Always(truth))
    }

    fn decided(&self, id: CondId) -> Option<Option<bool>> {
        match self.cond(id) {
            Cond::Always(truth) => Some(*truth),
            _ => None,
        }
    }

    /// Never unknown.
    fn two_valued(&self, id: CondId) -> bool {
        match self.cond(id) {
            Cond::Always(truth) => truth.is_some(),
            Cond::List(_) | Cond::IsTrue(_) | Cond::IsDecided(_) | Cond::IsKnown(_) => true,
            Cond::Not(of) => self.two_valued(*of),
            _ => false,
        }
    }

    pub fn not(&mut self, of: CondId) -> CondId {
        match *self.cond(of) {
            Cond::Always(truth) => self.always(truth.map(|b| !b)),
            Cond::Not(inner) => inner,
            _ => self.push(Cond::Not(of)),
        }
    }

    pub fn all(&mut self, parts: impl IntoIterator<Item = CondId>) -> CondId {
        self.join(parts, true)
    }

    pub fn any(&mut self, parts: impl IntoIterator<Item = CondId>) -> CondId {
        self.join(parts, false)
    }

    /// `and` (`all`) or `or`: flattened, without repeats.
    fn join(&mut self, parts: impl IntoIterator<Item = CondId>, all: bool) -> CondId {
        let mut flat = Vec::new();
        for part in parts {
            match (self.cond(part), all) {
                (Cond::Always(Some(b)), _) if *b == all => {}
                (Cond::Always(Some(_)), _) => return part,
                (Cond::All(inner), true) | (Cond::Any(inner), false) => {
                    flat.extend(inner.iter().copied())
                }
                _ => flat.push(part),
            }
        }
        flat.sort_by_key(|id| (self.cost_of(*id), *id));
        flat.dedup();
        match flat[..] {
            [] => self.always(Some(all)),
            [only] => only,
            _ => self.push(if all {
                Cond::All(flat)
            } else {
                Cond::Any(flat)
            }),
        }
    }

    pub fn is_true(&mut self, of: CondId) -> CondId {
        match self.decided(of) {
            Some(truth) => self.always(Some(truth == Some(true))),
            None if self.two_valued(of) => of,
            None => self.push(Cond::IsTrue(of)),
        }
    }

    pub fn is_decided(&mut self, of: CondId) -> CondId {
        match self.cond(of) {
            Cond::Always(truth) => {
                let truth = truth.is_some();
                self.always(Some(truth))
            }
            Cond::Not(inner) => {
                let inner = *inner;
                self.is_decided(inner)
            }
            _ if self.two_valued(of) => self.always(Some(true)),
            _ => self.push(Cond::IsDecided(of)),
        }
    }

    pub fn same(&mut self, a: CondId, b: CondId) -> CondId {
        let (a, b) = if a <= b { (a, b) } else { (b, a) };
        match (self.decided(a), self.decided(b)) {
            (Some(None), _) | (_, Some(None)) => self.always(None),
            (Some(Some(true)), _) => b,
            (_, Some(Some(true))) => a,
            (Some(Some(false)), _) => self.not(b),
            (_, Some(Some(false))) => self.not(a),
            (None, None) => self.push(Cond::Same(a, b)),
        }
    }

    /// The second where the first is unknown.
    pub fn or_else(&mut self, a: CondId, b: CondId) -> CondId {
        match (self.decided(a), self.decided(b)) {
            (Some(None), _) => b,
            (Some(Some(_)), _) | (_, Some(None)) => a,
            _ if self.two_valued(a) || a == b => a,
            (_, Some(Some(false))) => self.is_true(a),
            _ => self.push(Cond::OrElse(a, b)),
        }
    }

    pub fn if_cond(&mut self, when: CondId, then: CondId, otherwise: CondId) -> CondId {
        match (
            self.decided(when),
            self.decided(then),
            self.decided(otherwise),
        ) {
            (Some(None), _, _) => when,
            (Some(Some(true)), _, _) => then,
            (Some(Some(false)), _, _) => otherwise,
            (None, Some(Some(true)), Some(Some(false))) => when,
            (None, Some(Some(false)), Some(Some(true))) => self.not(when),
            (None, _, _) => self.push(Cond::If {
                when,
                then,
                otherwise,
            }),
        }
    }

    pub fn named(&mut self, tag: TagId, of: CondId) -> CondId {
        if self.two_valued(of) {
            of
        } else {
            self.push(Cond::Named(tag, of))
        }
    }

    // ---------------------------------------------------------------- tests of values

    /// The value against constants.
    pub fn test(&mut self, of: ValId, test: &ValueTest) -> CondId {
        let key = (of, format!("{test:?}"));
        if let Some(id) = self.tested.get(&key) {
            return *id;
        }
        let id = self.test_new(of, test);
        self.tested.insert(key, id);
        id
    }

    fn test_new(&mut self, of: ValId, test: &ValueTest) -> CondId {
        match self.val(of).kind.clone() {
            ValKind::Missing => self.always(None),
            ValKind::Const(value) if !test.is_window() => match holds(test, &value) {
                Some(truth) => self.always(Some(truth)),
                None => self.push(Cond::Test {
                    of,
                    test: test.clone(),
                }),
            },
            ValKind::Coalesce(a, b) => {
                let (a, b) = (self.test(a, test), self.test(b, test));
                self.or_else(a, b)
            }
            ValKind::If {
                when,
                then,
                otherwise,
            } => {
                let (then, otherwise) = (self.test(then, test), self.test(otherwise, test));
                self.if_cond(when, then, otherwise)
            }
            ValKind::Choice { arms, otherwise } => {
                let last = otherwise.then(|| test.holds_int(arms.len() as i64));
                self.first_true(&arms, |i| test.holds_int(i as i64), last)
            }
            ValKind::Unary(Unary::MemberName, code) => {
                let Type::Enum(members) = self.val(code).ty.clone() else {
                    return self.push(Cond::Test {
                        of,
                        test: test.clone(),
                    });
                };
                let codes = members
                    .members
                    .iter()
                    .zip(0..)
                    .filter(|(m, _)| test.holds_text(m))
                    .map(|(_, code)| code)
                    .collect();
                self.test(code, &ValueTest::IntIn(codes))
            }
            ValKind::Named(tag, inner) => {
                let inner = self.test(inner, test);
                self.named(tag, inner)
            }
            _ => self.push(Cond::Test {
                of,
                test: test.clone(),
            }),
        }
    }

    /// What `truth` says of the first arm that is true; unknown when one before it is.
    fn first_true(
        &mut self,
        arms: &[CondId],
        truth: impl Fn(usize) -> bool,
        last: Option<bool>,
    ) -> CondId {
        let mut rest = self.always(last);
        for (i, arm) in arms.iter().enumerate().rev() {
            let here = self.always(Some(truth(i)));
            rest = self.if_cond(*arm, here, rest);
        }
        rest
    }

    /// Whether the value is there.
    pub fn is_known(&mut self, of: ValId) -> CondId {
        if let Some(id) = self.presence.get(&of) {
            return *id;
        }
        let id = match self.val(of).kind.clone() {
            ValKind::Missing => self.always(Some(false)),
            ValKind::Const(_) => self.always(Some(true)),
            ValKind::Named(_, inner) => self.is_known(inner),
            ValKind::Coalesce(a, b) => {
                let parts = [self.is_known(a), self.is_known(b)];
                self.any(parts)
            }
            ValKind::If {
                when,
                then,
                otherwise,
            } => {
                let (then, otherwise) = (self.is_known(then), self.is_known(otherwise));
                let inside = self.if_cond(when, then, otherwise);
                self.is_true(inside)
            }
            ValKind::Choice { arms, otherwise } => {
                let inside = self.first_true(&arms, |_| true, Some(otherwise));
                self.is_true(inside)
            }
            _ => self.push(Cond::IsKnown(of)),
        };
        self.presence.insert(of, id);
        id
    }

    pub fn compare(&mut self, op: Order, left: ValId, right: ValId) -> CondId {
        if self.is_missing(left) || self.is_missing(right) {
            return self.always(None);
        }
        let (left, right) = if op == Order::Eq && right < left {
            (right, left)
        } else {
            (left, right)
        };
        self.push(Cond::Compare { op, left, right })
    }

    pub fn between(&mut self, of: ValId, lo: ValId, hi: ValId) -> CondId {
        if [of, lo, hi].iter().any(|v| self.is_missing(*v)) {
            return self.always(None);
        }
        self.push(Cond::Between { of, lo, hi })
    }

    // ---------------------------------------------------------------- values

    pub fn constant(&self, id: ValId) -> Option<&Value> {
        match &self.val(id).kind {
            ValKind::Const(value) => Some(value),
            _ => None,
        }
    }

    fn is_missing(&self, id: ValId) -> bool {
        self.val(id).kind == ValKind::Missing
    }

    pub fn value(&mut self, ty: &Type, value: Option<Value>) -> ValId {
        self.push_val(ty, value.map_or(ValKind::Missing, ValKind::Const))
    }

    pub fn coalesce(&mut self, ty: &Type, a: ValId, b: ValId) -> ValId {
        match &self.val(a).kind {
            ValKind::Missing => b,
            ValKind::Const(_) => a,
            _ if self.is_missing(b) => a,
            _ => self.push_val(ty, ValKind::Coalesce(a, b)),
        }
    }

    pub fn if_val(&mut self, ty: &Type, when: CondId, then: ValId, otherwise: ValId) -> ValId {
        match self.decided(when) {
            Some(None) => self.value(ty, None),
            Some(Some(true)) => then,
            Some(Some(false)) => otherwise,
            None => self.push_val(
                ty,
                ValKind::If {
                    when,
                    then,
                    otherwise,
                },
            ),
        }
    }

    pub fn unary(&mut self, ty: &Type, op: Unary, of: ValId) -> ValId {
        if self.is_missing(of) {
            return self.value(ty, None);
        }
        match self.constant(of) {
            // Sets are left to the evaluators.
            Some(value) if !matches!(value, Value::Set(_)) => {
                let folded = fold_unary(op, value, &self.val(of).ty, ty, self.zone);
                self.value(ty, folded)
            }
            _ => self.push_val(ty, ValKind::Unary(op, of)),
        }
    }

    pub fn binary(&mut self, ty: &Type, op: Binary, a: ValId, b: ValId) -> ValId {
        if self.is_missing(a) || self.is_missing(b) {
            return self.value(ty, None);
        }
        match (self.constant(a), self.constant(b)) {
            (Some(x), Some(y)) => {
                let folded = fold_binary(op, x, y, ty, self.zone);
                self.value(ty, folded)
            }
            _ => self.push_val(ty, ValKind::Binary(op, a, b)),
        }
    }
}

/// What tells types apart; an enum by its identity, for it may have thousands of members.
fn type_key(ty: &Type) -> String {
    match ty {
        Type::Enum(of) => format!("enum {:p}", Arc::as_ptr(of)),
        Type::Set(of) => format!("set of {}", type_key(of)),
        ty => format!("{ty:?}"),
    }
}

fn query_cost(source: EventSource, sequence: bool) -> u32 {
    let rows = match source {
        EventSource::Declared(_) => 200,
        EventSource::Own(_) => 100,
    };
    if sequence { rows * 2 } else { rows }
}

/// A test of a constant; `None` for forms that are left to the evaluators.
fn holds(test: &ValueTest, value: &Value) -> Option<bool> {
    match (int_of(value), float_of(value), text_of(value)) {
        (Some(n), _, _) => Some(test.holds_int(n)),
        (_, Some(f), _) => Some(test.holds_float(f)),
        (_, _, Some(t)) => Some(test.holds_text(t)),
        _ => None,
    }
}

fn fold_unary(op: Unary, value: &Value, from: &Type, ty: &Type, zone: Zone) -> Option<Value> {
    match op {
        Unary::Int(f) => value_of_int(ty, f.apply(int_of(value)?, zone)?),
        Unary::Float(f) => value_of_float(ty, f.apply(float_of(value)?)),
        Unary::IntToFloat => value_of_float(ty, int_of(value)? as f64),
        Unary::MemberName => match (from, value) {
            (Type::Enum(members), Value::Enum(code)) => members
                .members
                .get(usize::from(*code))
                .map(|m| Value::text(m)),
            _ => None,
        },
        Unary::Call(call) => match call.body {
            UnaryBody::Int(f) => value_of_int(ty, f(int_of(value)?)?),
            UnaryBody::Float(f) => value_of_float(ty, f(float_of(value)?)?),
            UnaryBody::Text(f) => Some(Value::text(&f(text_of(value)?))),
            UnaryBody::TextToInt(f) => value_of_int(ty, f(text_of(value)?)?),
            UnaryBody::SetSizeToInt(_) => None,
        },
    }
}

fn fold_binary(op: Binary, a: &Value, b: &Value, ty: &Type, zone: Zone) -> Option<Value> {
    match op {
        Binary::Int(op) => value_of_int(ty, op.apply(int_of(a)?, int_of(b)?, zone)?),
        Binary::Float(op) => value_of_float(ty, op.apply(float_of(a)?, float_of(b)?)?),
        Binary::Scale(op) => value_of_int(ty, op.apply(int_of(a)?, float_of(b)?)?),
        Binary::Quotient => value_of_float(ty, quotient(int_of(a)?, int_of(b)?)?),
        Binary::Call(call) => match call.body {
            BinaryBody::Int(f) => value_of_int(ty, f(int_of(a)?, int_of(b)?)?),
            BinaryBody::Float(f) => value_of_float(ty, f(float_of(a)?, float_of(b)?)?),
            BinaryBody::PickText(second) => {
                let picked = if second(text_of(a)?, text_of(b)?) {
                    b
                } else {
                    a
                };
                Some(picked.clone())
            }
            BinaryBody::Places(f) => match (a, b) {
                (Value::Place(a), Value::Place(b)) => value_of_float(ty, f(*a, *b)?),
                _ => None,
            },
        },
    }
}
