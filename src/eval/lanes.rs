//! What the evaluators hold in their hands: single values in physical form, and vectors of them.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, Int64Array, LargeListArray, LargeStringArray, UInt16Array};

use super::masks::{BLOCK, Bits, NONE, and, get, minus, or, rows, set};
use crate::base::{Place, Type, Value};
use crate::plan::form::{float_of, int_of, text_of, value_of_float, value_of_int};

// ------------------------------------------------------------------ single values

/// A value that is there, in its physical form.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    Place(Place),
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
pub struct Lanes<'a> {
    pub known: Bits,
    pub data: Data<'a>,
}

#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one a block of 4,096 rows: a box would cost more than it saves"
)]
pub enum Data<'a> {
    Bool(Bits),
    Int(Vec<i64>),
    Float(Vec<f64>),
    Text(Vec<Cow<'a, str>>),
    Place(Vec<Place>),
    Set(Vec<SetRef<'a>>),
    /// Nothing is known of any row.
    Nothing,
}

impl<'a> Lanes<'a> {
    pub const NOTHING: Lanes<'static> = Lanes {
        known: NONE,
        data: Data::Nothing,
    };

    /// The same value in the rows of `need`.
    pub fn same(value: &Scalar<'a>, need: &Bits) -> Lanes<'a> {
        let data = match value {
            Scalar::Bool(true) => Data::Bool(*need),
            Scalar::Bool(false) => Data::Bool(NONE),
            Scalar::Int(n) => Data::Int(vec![*n; BLOCK]),
            Scalar::Float(n) => Data::Float(vec![*n; BLOCK]),
            Scalar::Text(t) => Data::Text(vec![t.clone(); BLOCK]),
            Scalar::Place(p) => Data::Place(vec![*p; BLOCK]),
            Scalar::Set(s) => Data::Set(vec![s.clone(); BLOCK]),
        };
        Lanes { known: *need, data }
    }

    /// The values that `of` gives for the rows of `need`, all of one form.
    pub fn collect(need: &Bits, mut of: impl FnMut(usize) -> Option<Scalar<'a>>) -> Lanes<'a> {
        let mut lanes = Lanes {
            known: NONE,
            data: Data::Nothing,
        };
        for row in rows(need) {
            if let Some(value) = of(row) {
                lanes.put(row, value);
            }
        }
        lanes
    }

    fn put(&mut self, row: usize, value: Scalar<'a>) {
        fn at<T: Clone>(vec: &mut [T], row: usize, value: T) {
            if let Some(slot) = vec.get_mut(row) {
                *slot = value;
            }
        }
        if matches!(self.data, Data::Nothing) {
            self.data = match &value {
                Scalar::Bool(_) => Data::Bool(NONE),
                Scalar::Int(_) => Data::Int(vec![0; BLOCK]),
                Scalar::Float(_) => Data::Float(vec![0.0; BLOCK]),
                Scalar::Text(_) => Data::Text(vec![Cow::Borrowed(""); BLOCK]),
                Scalar::Place(p) => Data::Place(vec![*p; BLOCK]),
                Scalar::Set(_) => Data::Set(vec![SetRef::Bits(0); BLOCK]),
            };
        }
        match (&mut self.data, value) {
            (Data::Bool(bits), Scalar::Bool(b)) => {
                if b {
                    set(bits, row);
                }
            }
            (Data::Int(v), Scalar::Int(n)) => at(v, row, n),
            (Data::Float(v), Scalar::Float(n)) => at(v, row, n),
            (Data::Text(v), Scalar::Text(t)) => at(v, row, t),
            (Data::Place(v), Scalar::Place(p)) => at(v, row, p),
            (Data::Set(v), Scalar::Set(s)) => at(v, row, s),
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
            Data::Bool(bits) => Some(Scalar::Bool(get(bits, row))),
            Data::Int(v) => v.get(row).map(|n| Scalar::Int(*n)),
            Data::Float(v) => v.get(row).map(|n| Scalar::Float(*n)),
            Data::Text(v) => v.get(row).map(|t| Scalar::Text(t.clone())),
            Data::Place(v) => v.get(row).map(|p| Scalar::Place(*p)),
            Data::Set(v) => v.get(row).map(|s| Scalar::Set(s.clone())),
            Data::Nothing => None,
        }
    }

    /// These where they are known, `other` elsewhere.
    pub fn or_else(self, other: &Lanes<'a>) -> Lanes<'a> {
        let take = minus(&other.known, &self.known);
        self.overlay(other, &take)
    }

    /// These, but `other` in the rows of `take`.
    pub fn overlay(mut self, other: &Lanes<'a>, take: &Bits) -> Lanes<'a> {
        fn copy<T: Clone>(to: &mut [T], from: &[T], take: &Bits) {
            for row in rows(take) {
                if let (Some(to), Some(from)) = (to.get_mut(row), from.get(row)) {
                    *to = from.clone();
                }
            }
        }
        let known = or(&minus(&self.known, take), &and(&other.known, take));
        match (&mut self.data, &other.data) {
            (Data::Bool(to), Data::Bool(from)) => *to = or(&minus(to, take), &and(from, take)),
            (Data::Int(to), Data::Int(from)) => copy(to, from, take),
            (Data::Float(to), Data::Float(from)) => copy(to, from, take),
            (Data::Text(to), Data::Text(from)) => copy(to, from, take),
            (Data::Place(to), Data::Place(from)) => copy(to, from, take),
            (Data::Set(to), Data::Set(from)) => copy(to, from, take),
            (_, Data::Nothing) => {}
            (Data::Nothing, from) => self.data = from.clone(),
            // Of two forms: no checker makes that.
            _ => {
                return Lanes {
                    known: minus(&self.known, take),
                    data: self.data,
                };
            }
        }
        Lanes {
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
    fn lanes_lie_over_each_other() {
        let odd = Lanes::collect(&first(8), |r| (r % 2 == 1).then_some(Scalar::Int(r as i64)));
        let all = Lanes::same(&Scalar::Int(-1), &first(6));
        let both = odd.clone().or_else(&all);
        let shown = |l: &Lanes| {
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
            shown(&odd.overlay(&Lanes::NOTHING, &first(4))),
            [None, None, None, None, None, int(5), None, int(7)]
        );
    }
}
