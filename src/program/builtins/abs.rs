//! `abs`: a value without its sign.

use super::function::{Arity, Coercion, Facts, Function, Overload, ScalarBody, UnaryBody, Usage};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "abs",
        signature: "abs(NUMBER) -> same type",
        en: "without its sign",
        zh: "绝对值",
        example: "abs(0 - 3) == 3",
        synonyms: &[],
    },
    arity: Arity::One,
    expects: Type::Number,
    overload,
    facts: Facts {
        can_fail,
        near_argument: true,
        ..Facts::NONE
    },
};

fn overload(of: &Type) -> Option<Overload> {
    let body = match of {
        Type::Int { .. } | Type::Money | Type::Elapsed => UnaryBody::Int(i64::checked_abs),
        Type::Number => UnaryBody::Float(|x| Some(x.abs())),
        _ => return None,
    };
    Overload::new(Coercion::Keep, result(of), ScalarBody::One(body))
}

fn result(of: &Type) -> Type {
    match of {
        Type::Int {
            lo: Some(lo),
            hi: Some(hi),
        } => {
            let (a, b) = (lo.unsigned_abs(), hi.unsigned_abs());
            let least = if *lo <= 0 && *hi >= 0 { 0 } else { a.min(b) };
            Type::Int {
                lo: i64::try_from(least).ok(),
                hi: i64::try_from(a.max(b)).ok(),
            }
        }
        Type::Int { .. } => Type::Int {
            lo: Some(0),
            hi: None,
        },
        ty => ty.clone(),
    }
}

/// The smallest whole number has no positive counterpart.
fn can_fail(result: &Type, argument: Option<(i128, i128)>) -> bool {
    match result {
        Type::Int { .. } => argument.is_none_or(|(lo, _)| lo == i128::from(i64::MIN)),
        Type::Number => false,
        _ => true,
    }
}
