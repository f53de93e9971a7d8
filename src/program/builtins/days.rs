//! `days`: whole days from one date to another.

use super::function::{Arity, BinaryBody, Coercion, Facts, Function, Overload, ScalarBody, Usage};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "days",
        signature: "days(DATE, DATE) -> int",
        en: "whole days from the first to the second date, or instant",
        zh: "从前一日期（或时刻）到后一日期的整天数",
        example: "days(2026-11-01, 2026-11-11) == 10",
        synonyms: &["datediff"],
    },
    arity: Arity::Two,
    expects: Type::Date,
    overload,
    facts: Facts::NONE,
};

fn overload(of: &Type) -> Option<Overload> {
    if !matches!(of, Type::Date | Type::Instant) {
        return None;
    }
    let most = i64::from(u32::MAX);
    let result = Type::Int {
        lo: Some(-most),
        hi: Some(most),
    };
    let body = ScalarBody::Two(BinaryBody::Int(|from, to| to.checked_sub(from)));
    Overload::new(Coercion::Day, result, body)
}
