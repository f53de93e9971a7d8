//! Typed expressions to plans: audiences, partitions and derived tags put in place, operators
//! chosen by type.
//!
//! The checker has made sure that types fit; an expression that breaks its word ends in a
//! [`LowerError`], never in a panic.

use std::collections::BTreeMap;

use super::form::{Form, form, test_for, test_in_list, test_in_range};
use super::kernel::{Binary, FloatFn, FloatOp, FunctionBody, IntFn, IntOp, ScaleOp, Unary};
use super::node::{
    Cond, CondId, FollowedBy, Node, Order, Pattern, Plan, Query, TextOp, ValId, ValKind, ValueTest,
};
use super::simplify::Builder;
use crate::base::{AudienceId, PartitionId, TagId, Type, Value};
use crate::diag::Span;
use crate::program::builtins::function::{
    Arity, BinaryBody, Coercion, Function, ScalarBody, UnaryBody,
};
use crate::program::typed::Program;
use crate::program::typed_expr::{
    Aggregate, ArithOp, CompareOp, EventPattern, EventQuery, EventSource, Expr, ExprKind, SetMode,
    Window,
};

/// Expressions nested deeper than this, audiences and derived tags counted as if they stood in
/// place, are refused: no input decides how deep the stack gets.
pub const MAX_DEPTH: u32 = 1000;

/// Why an expression cannot be lowered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowerError {
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep(Span),
    /// Of a shape that the checker never makes.
    Shape(Span),
}

/// The plan of a condition or value.
///
/// # Errors
/// An expression that is nested too deep, or that no checker has seen.
pub fn lower(program: &Program, expr: &Expr) -> Result<Plan, LowerError> {
    let mut lowering = Lowering::new(program);
    let root = lowering.node(expr)?;
    Ok(lowering.finish(root))
}

/// Several expressions into one plan; what they share is evaluated once.
pub struct Lowering<'p> {
    program: &'p Program,
    builder: Builder,
    depth: u32,
    audiences: BTreeMap<AudienceId, CondId>,
    partitions: BTreeMap<PartitionId, ValId>,
    derived: BTreeMap<TagId, Node>,
}

impl<'p> Lowering<'p> {
    pub fn new(program: &'p Program) -> Self {
        Lowering {
            program,
            builder: Builder::new(program.policy.zone),
            depth: 0,
            audiences: BTreeMap::new(),
            partitions: BTreeMap::new(),
            derived: BTreeMap::new(),
        }
    }

    pub fn finish(self, root: Node) -> Plan {
        self.builder.finish(root)
    }

    /// # Errors
    /// As [`lower`].
    pub fn node(&mut self, e: &Expr) -> Result<Node, LowerError> {
        if e.ty == Type::Bool {
            self.cond(e).map(Node::Cond)
        } else {
            self.val(e).map(Node::Val)
        }
    }

    fn deeper<T>(
        &mut self,
        e: &Expr,
        inside: impl FnOnce(&mut Self) -> Result<T, LowerError>,
    ) -> Result<T, LowerError> {
        if self.depth >= MAX_DEPTH {
            return Err(LowerError::TooDeep(e.span));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    // ---------------------------------------------------------------- conditions

    fn cond(&mut self, e: &Expr) -> Result<CondId, LowerError> {
        self.deeper(e, |this| this.cond_here(e))
    }

    fn cond_here(&mut self, e: &Expr) -> Result<CondId, LowerError> {
        match &e.kind {
            ExprKind::Const(Value::Bool(b)) => Ok(self.builder.always(Some(*b))),
            ExprKind::Everyone => Ok(self.builder.always(Some(true))),
            ExprKind::Audience(id) => self.audience(*id, e.span),
            ExprKind::List(id) => Ok(self.builder.push(Cond::List(*id))),
            ExprKind::StepOutcome { step, outcome } => Ok(self.builder.push(Cond::StepOutcome {
                step: *step,
                outcome: *outcome,
            })),
            ExprKind::Not(of) => {
                let of = self.cond(of)?;
                Ok(self.builder.not(of))
            }
            ExprKind::And(a, b) => {
                let parts = [self.cond(a)?, self.cond(b)?];
                Ok(self.builder.all(parts))
            }
            ExprKind::Or(a, b) => {
                let parts = [self.cond(a)?, self.cond(b)?];
                Ok(self.builder.any(parts))
            }
            ExprKind::Except(a, b) => {
                let (kept, left_out) = (self.cond(a)?, self.cond(b)?);
                let left_out = self.builder.is_true(left_out);
                let stays = self.builder.not(left_out);
                Ok(self.builder.all([kept, stays]))
            }
            ExprKind::IsMissing(of) => {
                let known = self.known(of)?;
                Ok(self.builder.not(known))
            }
            ExprKind::IsKnown(of) => self.known(of),
            ExprKind::Compare { op, left, right } => self.compare(*op, left, right, e.span),
            ExprKind::InRange { of, lo, hi } => self.in_range(of, lo, hi, e.span),
            ExprKind::InList { of, list } => self.in_list(of, list, e.span),
            ExprKind::InWindow { of, window, yearly } => {
                self.in_window(of, *window, *yearly, e.span)
            }
            ExprKind::SetContains { set, mode, items } => {
                let of = self.val(set)?;
                if form(&set.ty) != Form::Set {
                    return Err(LowerError::Shape(e.span));
                }
                let mut items = items.clone();
                items.dedup();
                Ok(self.builder.test(
                    of,
                    &ValueTest::Set {
                        all: *mode == SetMode::All,
                        items,
                    },
                ))
            }
            ExprKind::TextContains { of, what } => self.text(TextOp::Contains, of, what, e.span),
            ExprKind::StartsWith { of, what } => self.text(TextOp::StartsWith, of, what, e.span),
            ExprKind::Coalesce(a, b) => {
                let (a, b) = (self.cond(a)?, self.cond(b)?);
                Ok(self.builder.or_else(a, b))
            }
            ExprKind::If {
                when,
                then,
                otherwise,
            } => {
                let (when, then, otherwise) =
                    (self.cond(when)?, self.cond(then)?, self.cond(otherwise)?);
                Ok(self.builder.if_cond(when, then, otherwise))
            }
            ExprKind::Event(query) if query.what == Aggregate::Did => {
                let query = self.query(query, e.span)?;
                Ok(self.builder.push(Cond::Did(Box::new(query))))
            }
            ExprKind::Tag(id) => match self.derived(*id, e.span)? {
                Some(Node::Cond(of)) => Ok(of),
                Some(Node::Val(_)) => Err(LowerError::Shape(e.span)),
                None => self.flag(e),
            },
            ExprKind::TriggerField(_)
            | ExprKind::RowField(_)
            | ExprKind::LookupField { .. }
            | ExprKind::Event(_) => self.flag(e),
            ExprKind::Const(_)
            | ExprKind::Partition(_)
            | ExprKind::Arith { .. }
            | ExprKind::Neg(_)
            | ExprKind::ToNumber(_)
            | ExprKind::MemberName(_)
            | ExprKind::Call { .. } => Err(LowerError::Shape(e.span)),
        }
    }

    /// A value of type bool as it is stored.
    fn flag(&mut self, e: &Expr) -> Result<CondId, LowerError> {
        let of = self.leaf(e)?;
        Ok(self.builder.push(Cond::Flag(of)))
    }

    fn audience(&mut self, id: AudienceId, span: Span) -> Result<CondId, LowerError> {
        if let Some(done) = self.audiences.get(&id) {
            return Ok(*done);
        }
        let program = self.program;
        let audience = program
            .audiences
            .get(id.index())
            .ok_or(LowerError::Shape(span))?;
        let cond = self.cond(&audience.when)?;
        self.audiences.insert(id, cond);
        Ok(cond)
    }

    /// What a derived tag stands for; `None` for a stored one.
    fn derived(&mut self, id: TagId, span: Span) -> Result<Option<Node>, LowerError> {
        if let Some(done) = self.derived.get(&id) {
            return Ok(Some(*done));
        }
        let program = self.program;
        let Some(of) = program
            .tags
            .get(id.index())
            .ok_or(LowerError::Shape(span))?
            .derived
            .as_ref()
        else {
            return Ok(None);
        };
        let node = match self.node(of)? {
            Node::Cond(of) => Node::Cond(self.builder.named(id, of)),
            Node::Val(v) if self.builder.constant(v).is_some() => Node::Val(v),
            Node::Val(v) => Node::Val(self.builder.push_val(&of.ty, ValKind::Named(id, v))),
        };
        self.derived.insert(id, node);
        Ok(Some(node))
    }

    fn known(&mut self, of: &Expr) -> Result<CondId, LowerError> {
        Ok(match self.node(of)? {
            Node::Cond(c) => self.builder.is_decided(c),
            Node::Val(v) => self.builder.is_known(v),
        })
    }

    fn compare(
        &mut self,
        op: CompareOp,
        left: &Expr,
        right: &Expr,
        span: Span,
    ) -> Result<CondId, LowerError> {
        let equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
        let cond = match (self.compared(left)?, self.compared(right)?) {
            (Node::Cond(a), Node::Cond(b)) if equality => self.builder.same(a, b),
            (Node::Val(a), Node::Val(b)) => {
                let turned = match op {
                    CompareOp::Eq | CompareOp::Ne => op,
                    CompareOp::Lt => CompareOp::Gt,
                    CompareOp::Le => CompareOp::Ge,
                    CompareOp::Gt => CompareOp::Lt,
                    CompareOp::Ge => CompareOp::Le,
                };
                let of_constant = |this: &Self, op, of: ValId, constant: ValId| {
                    this.builder
                        .constant(constant)
                        .and_then(|c| test_for(op, form(&this.builder.val(of).ty), c))
                };
                if let Some(test) = of_constant(self, op, a, b) {
                    self.builder.test(a, &test)
                } else if let Some(test) = of_constant(self, turned, b, a) {
                    self.builder.test(b, &test)
                } else {
                    let forms = (form(&self.builder.val(a).ty), form(&self.builder.val(b).ty));
                    let comparable = matches!(
                        forms,
                        (Form::Int | Form::Float, Form::Int | Form::Float)
                            | (Form::Text, Form::Text)
                    );
                    if !comparable {
                        return Err(LowerError::Shape(span));
                    }
                    match op {
                        CompareOp::Eq | CompareOp::Ne => self.builder.compare(Order::Eq, a, b),
                        CompareOp::Lt => self.builder.compare(Order::Lt, a, b),
                        CompareOp::Le => self.builder.compare(Order::Le, a, b),
                        CompareOp::Gt => self.builder.compare(Order::Lt, b, a),
                        CompareOp::Ge => self.builder.compare(Order::Le, b, a),
                    }
                }
            }
            _ => return Err(LowerError::Shape(span)),
        };
        Ok(if op == CompareOp::Ne {
            self.builder.not(cond)
        } else {
            cond
        })
    }

    /// A side of a comparison. A mean of money or of elapsed time is shown in whole units but
    /// compared as it is: ¥20.004 is more than ¥20.
    fn compared(&mut self, e: &Expr) -> Result<Node, LowerError> {
        match &e.kind {
            ExprKind::Event(query)
                if query.what == Aggregate::Avg && matches!(e.ty, Type::Money | Type::Elapsed) =>
            {
                let query = ValKind::Event(Box::new(self.query(query, e.span)?));
                Ok(Node::Val(self.builder.push_val(&Type::Number, query)))
            }
            _ => self.node(e),
        }
    }

    fn in_range(
        &mut self,
        of: &Expr,
        lo: &Expr,
        hi: &Expr,
        span: Span,
    ) -> Result<CondId, LowerError> {
        let (Node::Val(of), Node::Val(lo), Node::Val(hi)) =
            (self.compared(of)?, self.compared(lo)?, self.compared(hi)?)
        else {
            return Err(LowerError::Shape(span));
        };
        let form_of = form(&self.builder.val(of).ty);
        if let (Some(lo), Some(hi)) = (self.builder.constant(lo), self.builder.constant(hi)) {
            let test = test_in_range(form_of, lo, hi).ok_or(LowerError::Shape(span))?;
            return Ok(self.builder.test(of, &test));
        }
        if !matches!(form_of, Form::Int | Form::Float | Form::Text) {
            return Err(LowerError::Shape(span));
        }
        Ok(self.builder.between(of, lo, hi))
    }

    fn in_list(&mut self, of: &Expr, list: &[Value], span: Span) -> Result<CondId, LowerError> {
        match self.compared(of)? {
            Node::Cond(of) => {
                // Unknown stays unknown, even where both truths are listed.
                let listed = |b| list.contains(&Value::Bool(b));
                let (yes, no) = (
                    self.builder.always(Some(listed(true))),
                    self.builder.always(Some(listed(false))),
                );
                Ok(self.builder.if_cond(of, yes, no))
            }
            Node::Val(v) => {
                let test = test_in_list(form(&self.builder.val(v).ty), list)
                    .ok_or(LowerError::Shape(span))?;
                Ok(self.builder.test(v, &test))
            }
        }
    }

    fn in_window(
        &mut self,
        of: &Expr,
        window: Window,
        yearly: bool,
        span: Span,
    ) -> Result<CondId, LowerError> {
        let value = self.val(of)?;
        match (&of.ty, yearly) {
            (Type::Date, false) => Ok(self.builder.test(
                value,
                &ValueTest::Window {
                    window,
                    instants: false,
                },
            )),
            (Type::Instant, false) => Ok(self.builder.test(
                value,
                &ValueTest::Window {
                    window,
                    instants: true,
                },
            )),
            (Type::Date | Type::Instant, true) => {
                let day = self.day(value);
                Ok(self.builder.test(day, &ValueTest::Yearly(window)))
            }
            _ => Err(LowerError::Shape(span)),
        }
    }

    fn text(
        &mut self,
        op: TextOp,
        of: &Expr,
        what: &Expr,
        span: Span,
    ) -> Result<CondId, LowerError> {
        let (value, part) = (self.val(of)?, self.val(what)?);
        if form(&of.ty) != Form::Text || form(&what.ty) != Form::Text {
            return Err(LowerError::Shape(span));
        }
        if let Some(Value::Text(part)) = self.builder.constant(part) {
            let test = match op {
                TextOp::Contains => ValueTest::Contains(part.clone()),
                TextOp::StartsWith => ValueTest::StartsWith(part.clone()),
            };
            return Ok(self.builder.test(value, &test));
        }
        Ok(self.builder.push(Cond::Text {
            op,
            of: value,
            what: part,
        }))
    }

    // ---------------------------------------------------------------- values

    fn val(&mut self, e: &Expr) -> Result<ValId, LowerError> {
        self.deeper(e, |this| this.val_here(e))
    }

    fn val_here(&mut self, e: &Expr) -> Result<ValId, LowerError> {
        if e.ty == Type::Bool {
            return Err(LowerError::Shape(e.span));
        }
        match &e.kind {
            ExprKind::Const(_)
            | ExprKind::TriggerField(_)
            | ExprKind::RowField(_)
            | ExprKind::LookupField { .. }
            | ExprKind::Event(_) => self.leaf(e),
            ExprKind::Tag(id) => match self.derived(*id, e.span)? {
                Some(Node::Val(v)) => Ok(v),
                Some(Node::Cond(_)) => Err(LowerError::Shape(e.span)),
                None => self.leaf(e),
            },
            ExprKind::Partition(id) => self.partition(*id, e.span),
            ExprKind::Coalesce(a, b) => {
                let (a, b) = (self.val(a)?, self.val(b)?);
                Ok(self.builder.coalesce(&e.ty, a, b))
            }
            ExprKind::If {
                when,
                then,
                otherwise,
            } => {
                let (when, then, otherwise) =
                    (self.cond(when)?, self.val(then)?, self.val(otherwise)?);
                Ok(self.builder.if_val(&e.ty, when, then, otherwise))
            }
            ExprKind::Neg(of) => {
                let value = self.val(of)?;
                let op = match form(&of.ty) {
                    Form::Int => Unary::Int(IntFn::Neg),
                    Form::Float => Unary::Float(FloatFn::Neg),
                    _ => return Err(LowerError::Shape(e.span)),
                };
                let value = if of.ty == Type::Ratio {
                    self.ratio_as_number(value)
                } else {
                    value
                };
                Ok(self.builder.unary(&e.ty, op, value))
            }
            ExprKind::Arith { op, left, right } => {
                let (a, b) = (self.val(left)?, self.val(right)?);
                self.arithmetic(*op, (a, &left.ty), (b, &right.ty), e)
            }
            ExprKind::Call { function, args } => self.call(function, args, e),
            ExprKind::ToNumber(of) => {
                let value = self.val(of)?;
                self.number(value, e.span)
            }
            ExprKind::MemberName(of) => {
                let value = self.val(of)?;
                match of.ty {
                    Type::Enum(_) => Ok(self.builder.unary(&e.ty, Unary::MemberName, value)),
                    _ => Err(LowerError::Shape(e.span)),
                }
            }
            ExprKind::StepOutcome { .. }
            | ExprKind::Everyone
            | ExprKind::Audience(_)
            | ExprKind::List(_)
            | ExprKind::Not(_)
            | ExprKind::And(..)
            | ExprKind::Or(..)
            | ExprKind::Except(..)
            | ExprKind::Compare { .. }
            | ExprKind::InRange { .. }
            | ExprKind::InList { .. }
            | ExprKind::InWindow { .. }
            | ExprKind::SetContains { .. }
            | ExprKind::TextContains { .. }
            | ExprKind::StartsWith { .. }
            | ExprKind::IsMissing(_)
            | ExprKind::IsKnown(_) => Err(LowerError::Shape(e.span)),
        }
    }

    /// What is read and not computed from other values of the user.
    fn leaf(&mut self, e: &Expr) -> Result<ValId, LowerError> {
        let kind = match &e.kind {
            ExprKind::Const(value) => ValKind::Const(value.clone()),
            ExprKind::Tag(id) => ValKind::Tag(*id),
            ExprKind::TriggerField(field) => ValKind::TriggerField(*field),
            ExprKind::RowField(field) => ValKind::RowField(*field),
            ExprKind::LookupField {
                lookup,
                keys,
                field,
            } => {
                let keys = keys
                    .iter()
                    .map(|k| self.val(k))
                    .collect::<Result<Vec<_>, _>>()?;
                ValKind::Lookup {
                    lookup: *lookup,
                    keys,
                    field: *field,
                }
            }
            ExprKind::Event(query) => ValKind::Event(Box::new(self.query(query, e.span)?)),
            _ => return Err(LowerError::Shape(e.span)),
        };
        Ok(self.builder.push_val(&e.ty, kind))
    }

    fn partition(&mut self, id: PartitionId, span: Span) -> Result<ValId, LowerError> {
        if let Some(done) = self.partitions.get(&id) {
            return Ok(*done);
        }
        let program = self.program;
        let partition = program
            .partitions
            .get(id.index())
            .ok_or(LowerError::Shape(span))?;
        let arms = partition
            .arms
            .iter()
            .map(|arm| self.cond(arm))
            .collect::<Result<Vec<_>, _>>()?;
        let value = self.builder.push_val(
            &partition.ty,
            ValKind::Choice {
                arms,
                otherwise: partition.otherwise,
            },
        );
        self.partitions.insert(id, value);
        Ok(value)
    }

    fn ratio_as_number(&mut self, of: ValId) -> ValId {
        self.builder
            .unary(&Type::Number, Unary::Float(FloatFn::RatioToNumber), of)
    }

    /// An int, number or ratio as a number.
    fn number(&mut self, of: ValId, span: Span) -> Result<ValId, LowerError> {
        match self.builder.val(of).ty {
            Type::Number => Ok(of),
            Type::Int { .. } => Ok(self.builder.unary(&Type::Number, Unary::IntToFloat, of)),
            Type::Ratio => Ok(self.ratio_as_number(of)),
            _ => Err(LowerError::Shape(span)),
        }
    }

    /// A date as it is, an instant as its day.
    fn day(&mut self, of: ValId) -> ValId {
        match self.builder.val(of).ty {
            Type::Instant => self
                .builder
                .unary(&Type::Date, Unary::Int(IntFn::DateOf), of),
            _ => of,
        }
    }

    fn arithmetic(
        &mut self,
        op: ArithOp,
        left: (ValId, &Type),
        right: (ValId, &Type),
        e: &Expr,
    ) -> Result<ValId, LowerError> {
        let ((a, a_ty), (b, b_ty)) = (left, right);
        let error = Err(LowerError::Shape(e.span));
        let int_op = match op {
            ArithOp::Add => Some(IntOp::Add),
            ArithOp::Sub => Some(IntOp::Sub),
            ArithOp::Mul => Some(IntOp::Mul),
            ArithOp::Mod => Some(IntOp::Mod),
            ArithOp::Div => None,
        };
        let sum = matches!(op, ArithOp::Add | ArithOp::Sub);
        let binary = match (a_ty, b_ty, int_op) {
            (Type::Int { .. }, Type::Int { .. }, Some(op)) if e.ty != Type::Number => {
                Binary::Int(op)
            }
            (Type::Int { .. }, Type::Int { .. }, None) => Binary::Quotient,
            (Type::Money, Type::Money, Some(op)) if sum => Binary::Int(op),
            (Type::Money, Type::Money, None) => Binary::Quotient,
            (Type::Money, Type::Int { .. }, Some(IntOp::Mul)) => Binary::Int(IntOp::Mul),
            (Type::Money, Type::Int { .. }, None) => Binary::Int(IntOp::DivRound),
            (Type::Money, Type::Number | Type::Ratio, Some(IntOp::Mul) | None) => {
                let by = self.number(b, e.span)?;
                let op = if op == ArithOp::Mul {
                    ScaleOp::Times
                } else {
                    ScaleOp::Over
                };
                return Ok(self.builder.binary(&e.ty, Binary::Scale(op), a, by));
            }
            (Type::Date, Type::Calendar, Some(IntOp::Add)) => Binary::Int(IntOp::DatePlus),
            (Type::Date, Type::Calendar, Some(IntOp::Sub)) => Binary::Int(IntOp::DateMinus),
            (Type::Instant, Type::Calendar, Some(IntOp::Add)) => Binary::Int(IntOp::InstantPlus),
            (Type::Instant, Type::Calendar, Some(IntOp::Sub)) => Binary::Int(IntOp::InstantMinus),
            (Type::Instant, Type::Elapsed, Some(op)) if sum => Binary::Int(op),
            (Type::Instant, Type::Instant, Some(IntOp::Sub)) => Binary::Int(IntOp::Sub),
            _ if e.ty == Type::Number => {
                let (a, b) = (self.number(a, e.span)?, self.number(b, e.span)?);
                let op = match op {
                    ArithOp::Add => FloatOp::Add,
                    ArithOp::Sub => FloatOp::Sub,
                    ArithOp::Mul => FloatOp::Mul,
                    ArithOp::Div => FloatOp::Div,
                    ArithOp::Mod => FloatOp::Mod,
                };
                return Ok(self.builder.binary(&e.ty, Binary::Float(op), a, b));
            }
            _ => return error,
        };
        Ok(self.builder.binary(&e.ty, binary, a, b))
    }

    fn call(&mut self, function: &Function, args: &[Expr], e: &Expr) -> Result<ValId, LowerError> {
        let error = LowerError::Shape(e.span);
        if !function.arity.count().contains(&args.len()) {
            return Err(error);
        }
        let alike = function.arity == Arity::Alike;
        let of = if alike {
            Some(&e.ty)
        } else {
            args.first().map(|a| &a.ty)
        };
        let overload = of.and_then(|ty| (function.overload)(ty)).ok_or(error)?;
        if !alike && args.iter().any(|a| (function.overload)(&a.ty).is_none()) {
            return Err(error);
        }
        let mut vals = Vec::with_capacity(args.len());
        for arg in args {
            let value = self.val(arg)?;
            vals.push(match overload.convert {
                Coercion::Number => self.number(value, e.span)?,
                Coercion::Day => self.day(value),
                // The checker has put the name in place.
                Coercion::MemberName | Coercion::Keep => value,
            });
        }
        let takes = overload.body.map(argument_form);
        let fits =
            |v: &ValId| takes.is_none_or(|form_of| form(&self.builder.val(*v).ty) == form_of);
        if !vals.iter().all(fits) {
            return Err(error);
        }
        let name = function.usage.name;
        let mut vals = vals.into_iter();
        let first = vals.next().ok_or(error)?;
        Ok(match overload.body {
            None => first,
            Some(ScalarBody::One(body)) => {
                let call = Unary::Call(FunctionBody { name, body });
                self.builder.unary(&e.ty, call, first)
            }
            Some(ScalarBody::Two(body)) => vals.fold(first, |before, next| {
                let call = Binary::Call(FunctionBody { name, body });
                self.builder.binary(&e.ty, call, before, next)
            }),
        })
    }

    // ---------------------------------------------------------------- events

    fn query(&mut self, query: &EventQuery, span: Span) -> Result<Query, LowerError> {
        let pattern = self.pattern(&query.pattern)?;
        let field = match query.field {
            Some(position) => Some((
                position,
                self.field_type(query.pattern.source, position)
                    .ok_or(LowerError::Shape(span))?,
            )),
            None => None,
        };
        let then = match &query.then {
            Some(then) => Some(FollowedBy {
                no: then.no,
                next: self.pattern(&then.next)?,
                within: then.within,
            }),
            None => None,
        };
        let needs_field = match query.what {
            Aggregate::Did | Aggregate::Count | Aggregate::Since => false,
            Aggregate::Sum
            | Aggregate::Avg
            | Aggregate::Min
            | Aggregate::Max
            | Aggregate::First
            | Aggregate::Latest
            | Aggregate::Distinct => true,
        };
        if needs_field != field.is_some()
            || (then.is_some() && !matches!(query.what, Aggregate::Did | Aggregate::Count))
        {
            return Err(LowerError::Shape(span));
        }
        Ok(Query {
            what: query.what,
            pattern,
            field,
            then,
            window: query.window,
        })
    }

    fn pattern(&mut self, pattern: &EventPattern) -> Result<Pattern, LowerError> {
        let filter = pattern.filter.as_ref().map(|f| self.cond(f)).transpose()?;
        Ok(Pattern {
            source: pattern.source,
            filter,
        })
    }

    fn field_type(&self, source: EventSource, field: u16) -> Option<Type> {
        match source {
            EventSource::Declared(id) => Some(
                self.program
                    .schema
                    .events
                    .get(id.index())?
                    .fields
                    .get(usize::from(field))?
                    .ty
                    .clone(),
            ),
            EventSource::Own(_) => Some(Type::TEXT),
        }
    }
}

/// How the arguments of a function's body lie.
fn argument_form(body: ScalarBody) -> Form {
    match body {
        ScalarBody::One(UnaryBody::Int(_)) | ScalarBody::Two(BinaryBody::Int(_)) => Form::Int,
        ScalarBody::One(UnaryBody::Float(_)) | ScalarBody::Two(BinaryBody::Float(_)) => Form::Float,
        ScalarBody::One(UnaryBody::Text(_) | UnaryBody::TextToInt(_))
        | ScalarBody::Two(BinaryBody::PickText(_)) => Form::Text,
        ScalarBody::One(UnaryBody::SetSizeToInt(_)) => Form::Set,
        ScalarBody::Two(BinaryBody::Places(_)) => Form::Place,
    }
}
