//! What the evaluators hold in their hands: single values in physical form, and vectors of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, Int64Array, LargeListArray, LargeStringArray, UInt16Array};

use super::masks::{BLOCK, Bits, NONE, and, get, minus, or, rows, set};
use crate::base::{GeoPoint, Type, Value};
use crate::plan::form::{float_of, int_of, text_of, value_of_float, value_of_int};

// ------------------------------------------------------------------ single values

/// A value that is there, in its physical form.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Place(GeoPoint),
    Set(SetRef<'a>),
}

/// A set where it lies.
#[derive(Clone, Debug)]
pub enum SetRef<'a> {
    /// Of an enum with few members: bit `n` is the member with code `n`.
    Bits(u64),
    /// A row of a list column.
    Row(&'a LargeListArray, usize),
    Items(Arc<[Value]>),
}

impl<'a> Scalar<'a> {
    pub fn of(value: &'a Value) -> Option<Scalar<'a>> {
        if let Some(n) = int_of(value) {
            return Some(Scalar::Int(n));
        }
        if let Some(n) = float_of(value) {
            return Some(Scalar::Float(n));
        }
        if let Some(t) = text_of(value) {
            return Some(Scalar::Text(Cow::Borrowed(t)));
        }
        match value {
            Value::Bool(b) => Some(Scalar::Bool(*b)),
            Value::Place(p) => Some(Scalar::Place(*p)),
            Value::Set(items) => Some(Scalar::Set(SetRef::Items(items.clone()))),
            _ => None,
        }
    }

    /// As a value of type `ty`.
    pub fn value(&self, ty: &Type) -> Option<Value> {
        match (self, ty) {
            (Scalar::Bool(b), Type::Bool) => Some(Value::Bool(*b)),
            (Scalar::Int(n), ty) => value_of_int(ty, *n),
            (Scalar::Float(n), ty) => value_of_float(ty, *n),
            (Scalar::Text(t), Type::Text { .. } | Type::Address(_)) => Some(Value::text(t)),
            (Scalar::Place(p), Type::Place) => Some(Value::Place(*p)),
            (Scalar::Set(set), Type::Set(_)) => Some(Value::Set(set.items())),
            _ => None,
        }
    }
}

impl SetRef<'_> {
    pub fn len(&self) -> usize {
        match self {
            SetRef::Bits(bits) => bits.count_ones() as usize,
            SetRef::Row(list, row) => usize::try_from(list.value_length(*row)).unwrap_or(0),
            SetRef::Items(items) => items.len(),
        }
    }

    pub fn contains(&self, item: &Value) -> bool {
        match self {
            SetRef::Bits(bits) => match item {
                Value::Enum(code) => *code < 64 && bits >> code & 1 == 1,
                _ => false,
            },
            SetRef::Row(list, row) => {
                let items = list.value(*row);
                let any = items.as_any();
                match item {
                    Value::Enum(code) => any
                        .downcast_ref::<UInt16Array>()
                        .is_some_and(|a| a.values().contains(code)),
                    Value::Int(n) => any
                        .downcast_ref::<Int64Array>()
                        .is_some_and(|a| a.values().contains(n)),
                    Value::Text(t) => any
                        .downcast_ref::<LargeStringArray>()
                        .is_some_and(|a| a.iter().flatten().any(|s| s == &**t)),
                    _ => false,
                }
            }
            SetRef::Items(items) => items.contains(item),
        }
    }

    /// The items, in order.
    pub fn items(&self) -> Arc<[Value]> {
        match self {
            SetRef::Bits(bits) => (0..64)
                .filter(|code| bits >> code & 1 == 1)
                .map(Value::Enum)
                .collect(),
            SetRef::Items(items) => items.clone(),
            SetRef::Row(list, row) => {
                let items = list.value(*row);
                let any = items.as_any();
                if let Some(codes) = any.downcast_ref::<UInt16Array>() {
                    codes.values().iter().map(|c| Value::Enum(*c)).collect()
                } else if let Some(ints) = any.downcast_ref::<Int64Array>() {
                    ints.values().iter().map(|n| Value::Int(*n)).collect()
                } else if let Some(texts) = any.downcast_ref::<LargeStringArray>() {
                    texts.iter().flatten().map(Value::text).collect()
                } else {
                    Arc::default()
                }
            }
        }
    }
}

// ------------------------------------------------------------------ vectors

/// A value for each row of a block; what lies in rows that are not `known` means nothing.
#[derive(Clone, Debug)]
pub struct Vector<'a> {
    pub known: Bits,
    pub data: VectorData<'a>,
}

#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a block of 4,096 rows: a box would cost more than it saves"
)]
pub enum VectorData<'a> {
    Bool(Bits),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Vec<Cow<'a, str>>),
    Place(Vec<GeoPoint>),
    Set(Vec<SetRef<'a>>),
    /// Nothing is known of any row.
    Nothing,
}

impl<'a> Vector<'a> {
    pub const NOTHING: Vector<'static> = Vector {
        known: NONE,
        data: VectorData::Nothing,
    };

    /// The same value in the rows of `need`.
    pub fn same(value: &Scalar<'a>, need: &Bits) -> Vector<'a> {
        let data = match value {
            Scalar::Bool(true) => VectorData::Bool(*need),
            Scalar::Bool(false) => VectorData::Bool(NONE),
            Scalar::Int(n) => VectorData::Int(vec![*n; BLOCK]),
            Scalar::Float(n) => VectorData::Float(vec![*n; BLOCK]),
            Scalar::Text(t) => VectorData::Text(vec![t.clone(); BLOCK]),
            Scalar::Place(p) => VectorData::Place(vec![*p; BLOCK]),
            Scalar::Set(s) => VectorData::Set(vec![s.clone(); BLOCK]),
        };
        Vector { known: *need, data }
    }

    /// The values that `of` gives for the rows of `need`, all of one form.
    pub fn collect(need: &Bits, mut of: impl FnMut(usize) -> Option<Scalar<'a>>) -> Vector<'a> {
        let mut vector = Vector {
            known: NONE,
            data: VectorData::Nothing,
        };
        for row in rows(need) {
            if let Some(value) = of(row) {
                vector.put(row, value);
            }
        }
        vector
    }

    fn put(&mut self, row: usize, value: Scalar<'a>) {
        fn at<T: Clone>(vec: &mut [T], row: usize, value: T) {
            if let Some(slot) = vec.get_mut(row) {
                *slot = value;
            }
        }
        if matches!(self.data, VectorData::Nothing) {
            self.data = match &value {
                Scalar::Bool(_) => VectorData::Bool(NONE),
                Scalar::Int(_) => VectorData::Int(vec![0; BLOCK]),
                Scalar::Float(_) => VectorData::Float(vec![0.0; BLOCK]),
                Scalar::Text(_) => VectorData::Text(vec![Cow::Borrowed(""); BLOCK]),
                Scalar::Place(p) => VectorData::Place(vec![*p; BLOCK]),
                Scalar::Set(_) => VectorData::Set(vec![SetRef::Bits(0); BLOCK]),
            };
        }
        match (&mut self.data, value) {
            (VectorData::Bool(bits), Scalar::Bool(b)) => {
                if b {
                    set(bits, row);
                }
            }
            (VectorData::Int(v), Scalar::Int(n)) => at(v, row, n),
            (VectorData::Float(v), Scalar::Float(n)) => at(v, row, n),
            (VectorData::Text(v), Scalar::Text(t)) => at(v, row, t),
            (VectorData::Place(v), Scalar::Place(p)) => at(v, row, p),
            (VectorData::Set(v), Scalar::Set(s)) => at(v, row, s),
            // Of another form than the rows before: no checker makes that.
            _ => return,
        }
        set(&mut self.known, row);
    }

    pub fn get(&self, row: usize) -> Option<Scalar<'a>> {
        if !get(&self.known, row) {
            return None;
        }
        match &self.data {
            VectorData::Bool(bits) => Some(Scalar::Bool(get(bits, row))),
            VectorData::Int(v) => v.get(row).map(|n| Scalar::Int(*n)),
            VectorData::Float(v) => v.get(row).map(|n| Scalar::Float(*n)),
            VectorData::Text(v) => v.get(row).map(|t| Scalar::Text(t.clone())),
            VectorData::Place(v) => v.get(row).map(|p| Scalar::Place(*p)),
            VectorData::Set(v) => v.get(row).map(|s| Scalar::Set(s.clone())),
            VectorData::Nothing => None,
        }
    }

    /// These where they are known, `other` elsewhere.
    pub fn or_else(self, other: &Vector<'a>) -> Vector<'a> {
        let take = minus(&other.known, &self.known);
        self.overlay(other, &take)
    }

    /// These, but `other` in the rows of `take`.
    pub fn overlay(mut self, other: &Vector<'a>, take: &Bits) -> Vector<'a> {
        fn copy<T: Clone>(to: &mut [T], from: &[T], take: &Bits) {
            for row in rows(take) {
                if let (Some(to), Some(from)) = (to.get_mut(row), from.get(row)) {
                    *to = from.clone();
                }
            }
        }
        let known = or(&minus(&self.known, take), &and(&other.known, take));
        match (&mut self.data, &other.data) {
            (VectorData::Bool(to), VectorData::Bool(from)) => {
                *to = or(&minus(to, take), &and(from, take))
            }
            (VectorData::Int(to), VectorData::Int(from)) => copy(to, from, take),
            (VectorData::Float(to), VectorData::Float(from)) => copy(to, from, take),
            (VectorData::Text(to), VectorData::Text(from)) => copy(to, from, take),
            (VectorData::Place(to), VectorData::Place(from)) => copy(to, from, take),
            (VectorData::Set(to), VectorData::Set(from)) => copy(to, from, take),
            (_, VectorData::Nothing) => {}
            (VectorData::Nothing, from) => self.data = from.clone(),
            // Of two forms: no checker makes that.
            _ => {
                return Vector {
                    known: minus(&self.known, take),
                    data: self.data,
                };
            }
        }
        Vector {
            known,
            data: self.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::masks::first;

    #[test]
    fn vectors_lie_over_each_other() {
        let odd = Vector::collect(&first(8), |r| (r % 2 == 1).then_some(Scalar::Int(r as i64)));
        let all = Vector::same(&Scalar::Int(-1), &first(6));
        let both = odd.clone().or_else(&all);
        let shown = |l: &Vector| {
            (0..8)
                .map(|r| l.get(r).map(|s| s.value(&Type::INT).unwrap()))
                .collect::<Vec<_>>()
        };
        let int = |n| Some(Value::Int(n));
        assert_eq!(
            shown(&both),
            [
                int(-1),
                int(1),
                int(-1),
                int(3),
                int(-1),
                int(5),
                None,
                int(7)
            ]
        );
        assert_eq!(
            shown(&odd.overlay(&Vector::NOTHING, &first(4))),
            [None, None, None, None, None, int(5), None, int(7)]
        );
    }
}
