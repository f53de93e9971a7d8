//! Loops over the values of a block: tests, comparisons, operators and the bodies of functions.

use std::borrow::Cow;

use super::bound_test::BoundTest;
use super::masks::{BLOCK, Bits, NONE, Truths, and, rows, set};
use super::vector::{Scalar, Vector, VectorData};
use crate::base::{Type, Zone};
use crate::plan::kernel::{Binary, Unary, int_to_float, quotient};
use crate::plan::node::Order;
use crate::program::builtins::function::{BinaryBody, UnaryBody};

pub fn test_vector(test: &BoundTest, of: &Vector, need: &Bits) -> Truths {
    let known = and(&of.known, need);
    let mut yes = NONE;
    match &of.data {
        VectorData::Int(v) => where_one(v, &known, &mut yes, |x| test.int(*x)),
        VectorData::Float(v) => where_one(v, &known, &mut yes, |x| test.float(*x)),
        VectorData::Text(v) => where_one(v, &known, &mut yes, |x| test.text(x)),
        VectorData::Set(v) => where_one(v, &known, &mut yes, |x| test.set(x)),
        VectorData::Bool(_) | VectorData::Place(_) | VectorData::Nothing => return Truths::UNKNOWN,
    }
    Truths::within(&yes, &known)
}

fn where_one<T>(values: &[T], known: &Bits, yes: &mut Bits, holds: impl Fn(&T) -> bool) {
    for row in rows(known) {
        if values.get(row).is_some_and(&holds) {
            set(yes, row);
        }
    }
}

pub fn where_both<A, B>(a: &[A], b: &[B], known: &Bits, holds: impl Fn(&A, &B) -> bool) -> Truths {
    let mut yes = NONE;
    for row in rows(known) {
        if let (Some(a), Some(b)) = (a.get(row), b.get(row))
            && holds(a, b)
        {
            set(&mut yes, row);
        }
    }
    Truths::within(&yes, known)
}

pub fn compare(op: Order, a: &Vector, b: &Vector, need: &Bits) -> Truths {
    let known = and(&and(&a.known, &b.known), need);
    let mixed = |order: std::cmp::Ordering| match op {
        Order::Eq => order.is_eq(),
        Order::Lt => order.is_lt(),
        Order::Le => order.is_le(),
    };
    fn plain<T: PartialOrd>(op: Order, a: &[T], b: &[T], known: &Bits) -> Truths {
        match op {
            Order::Eq => where_both(a, b, known, |a, b| a == b),
            Order::Lt => where_both(a, b, known, |a, b| a < b),
            Order::Le => where_both(a, b, known, |a, b| a <= b),
        }
    }
    match (&a.data, &b.data) {
        (VectorData::Int(a), VectorData::Int(b)) => plain(op, a, b, &known),
        (VectorData::Float(a), VectorData::Float(b)) => plain(op, a, b, &known),
        (VectorData::Text(a), VectorData::Text(b)) => plain(op, a, b, &known),
        (VectorData::Int(a), VectorData::Float(b)) => {
            where_both(a, b, &known, |a, b| mixed(int_to_float(*a, *b)))
        }
        (VectorData::Float(a), VectorData::Int(b)) => {
            where_both(a, b, &known, |a, b| mixed(int_to_float(*b, *a).reverse()))
        }
        _ => Truths::UNKNOWN,
    }
}

/// `f` of each known value; where it has no answer nothing is known.
fn map<A, B: Copy>(of: &[A], known: &Bits, zero: B, f: impl Fn(&A) -> Option<B>) -> (Vec<B>, Bits) {
    let (mut out, mut there) = (vec![zero; BLOCK], NONE);
    for row in rows(known) {
        if let (Some(x), Some(slot)) = (of.get(row), out.get_mut(row))
            && let Some(y) = f(x)
        {
            *slot = y;
            set(&mut there, row);
        }
    }
    (out, there)
}

fn map_both<A: Copy, B: Copy, C: Copy>(
    a: &[A],
    b: &[B],
    known: &Bits,
    zero: C,
    f: impl Fn(A, B) -> Option<C>,
) -> (Vec<C>, Bits) {
    let (mut out, mut there) = (vec![zero; BLOCK], NONE);
    for row in rows(known) {
        if let (Some(a), Some(b), Some(slot)) = (a.get(row), b.get(row), out.get_mut(row))
            && let Some(c) = f(*a, *b)
        {
            *slot = c;
            set(&mut there, row);
        }
    }
    (out, there)
}

fn ints((data, known): (Vec<i64>, Bits)) -> Vector<'static> {
    Vector {
        known,
        data: VectorData::Int(data),
    }
}

fn floats((data, known): (Vec<f64>, Bits)) -> Vector<'static> {
    Vector {
        known,
        data: VectorData::Float(data),
    }
}

pub fn unary<'b>(
    op: Unary,
    from: &'b Type,
    of: &Vector<'b>,
    need: &Bits,
    zone: Zone,
) -> Vector<'b> {
    let known = and(&of.known, need);
    match (op, &of.data) {
        (Unary::Int(f), VectorData::Int(v)) => ints(map(v, &known, 0, |x| f.apply(*x, zone))),
        (Unary::Float(f), VectorData::Float(v)) => {
            floats(map(v, &known, 0.0, |x| Some(f.apply(*x))))
        }
        (Unary::IntToFloat, VectorData::Int(v)) => floats(map(v, &known, 0.0, |x| Some(*x as f64))),
        (Unary::Call(call), data) => call_unary(call.body, data, &known),
        (Unary::MemberName, VectorData::Int(v)) => {
            let Type::Enum(members) = from else {
                return Vector::NOTHING;
            };
            Vector::collect(&known, |row| {
                let code = usize::try_from(*v.get(row)?).ok()?;
                members
                    .members
                    .get(code)
                    .map(|m| Scalar::Text(Cow::Borrowed(m)))
            })
        }
        (Unary::Int(_) | Unary::Float(_) | Unary::IntToFloat | Unary::MemberName, _) => {
            Vector::NOTHING
        }
    }
}

fn call_unary<'b>(body: UnaryBody, of: &VectorData<'b>, known: &Bits) -> Vector<'b> {
    match (body, of) {
        (UnaryBody::Int(f), VectorData::Int(v)) => ints(map(v, known, 0, |x| f(*x))),
        (UnaryBody::Float(f), VectorData::Float(v)) => floats(map(v, known, 0.0, |x| f(*x))),
        (UnaryBody::Text(f), VectorData::Text(v)) => {
            Vector::collect(known, |row| Some(Scalar::Text(Cow::Owned(f(v.get(row)?)))))
        }
        (UnaryBody::TextToInt(f), VectorData::Text(v)) => ints(map(v, known, 0, |t| f(t))),
        (UnaryBody::SetSizeToInt(f), VectorData::Set(v)) => ints(map(v, known, 0, |s| f(s.len()))),
        (
            UnaryBody::Int(_)
            | UnaryBody::Float(_)
            | UnaryBody::Text(_)
            | UnaryBody::TextToInt(_)
            | UnaryBody::SetSizeToInt(_),
            _,
        ) => Vector::NOTHING,
    }
}

pub fn binary<'b>(
    op: Binary,
    a: &Vector<'b>,
    b: &Vector<'b>,
    need: &Bits,
    zone: Zone,
) -> Vector<'b> {
    let known = and(&and(&a.known, &b.known), need);
    match (op, &a.data, &b.data) {
        (Binary::Int(f), VectorData::Int(a), VectorData::Int(b)) => {
            ints(map_both(a, b, &known, 0, |a, b| f.apply(a, b, zone)))
        }
        (Binary::Float(f), VectorData::Float(a), VectorData::Float(b)) => {
            floats(map_both(a, b, &known, 0.0, |a, b| f.apply(a, b)))
        }
        (Binary::Scale(f), VectorData::Int(a), VectorData::Float(b)) => {
            ints(map_both(a, b, &known, 0, |a, b| f.apply(a, b)))
        }
        (Binary::Quotient, VectorData::Int(a), VectorData::Int(b)) => {
            floats(map_both(a, b, &known, 0.0, quotient))
        }
        (Binary::Call(call), a, b) => call_binary(call.body, a, b, &known),
        (Binary::Int(_) | Binary::Float(_) | Binary::Scale(_) | Binary::Quotient, _, _) => {
            Vector::NOTHING
        }
    }
}

fn call_binary<'b>(
    body: BinaryBody,
    a: &VectorData<'b>,
    b: &VectorData<'b>,
    known: &Bits,
) -> Vector<'b> {
    match (body, a, b) {
        (BinaryBody::Int(f), VectorData::Int(a), VectorData::Int(b)) => {
            ints(map_both(a, b, known, 0, f))
        }
        (BinaryBody::Float(f), VectorData::Float(a), VectorData::Float(b)) => {
            floats(map_both(a, b, known, 0.0, f))
        }
        (BinaryBody::PickText(second), VectorData::Text(x), VectorData::Text(y)) => {
            Vector::collect(known, |row| {
                let (x, y) = (x.get(row)?, y.get(row)?);
                let picked = if second(x, y) { y } else { x };
                Some(Scalar::Text(picked.clone()))
            })
        }
        (BinaryBody::Places(f), VectorData::Place(a), VectorData::Place(b)) => {
            floats(map_both(a, b, known, 0.0, f))
        }
        (
            BinaryBody::Int(_)
            | BinaryBody::Float(_)
            | BinaryBody::PickText(_)
            | BinaryBody::Places(_),
            _,
            _,
        ) => Vector::NOTHING,
    }
}
