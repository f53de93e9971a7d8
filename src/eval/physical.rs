//! Single values side by side.

use std::cmp::Ordering;

use crate::base::Value;
use crate::plan::form::{float_of, int_of, text_of};
use crate::plan::kernel::int_to_float;

/// Order of two values of one type (or int and number); `None` for those that have no order.
pub fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Calendar(_), _) | (_, Value::Calendar(_)) => return None,
        (Value::Bool(a), Value::Bool(b)) => return Some(a.cmp(b)),
        _ => {}
    }
    match (
        (int_of(a), float_of(a), text_of(a)),
        (int_of(b), float_of(b), text_of(b)),
    ) {
        ((Some(a), ..), (Some(b), ..)) => Some(a.cmp(&b)),
        ((_, Some(a), _), (_, Some(b), _)) => a.partial_cmp(&b),
        ((Some(a), ..), (_, Some(b), _)) => Some(int_to_float(a, b)),
        ((_, Some(a), _), (Some(b), ..)) => Some(int_to_float(b, a).reverse()),
        ((.., Some(a)), (.., Some(b))) => Some(a.cmp(b)),
        _ => None,
    }
}
