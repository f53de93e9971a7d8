//! `least`: the smallest of several values.

use super::function::{Arity, Facts, Function, ShownLength, Usage, pick};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "least",
        signature: "least(A, B, …) -> same type",
        en: "the smallest; missing if any is",
        zh: "最小的一个；任何一个缺失则缺失",
        example: "least(3, 1, 2) == 1",
        synonyms: &[],
    },
    arity: Arity::Alike,
    expects: Type::Number,
    overload: |of| {
        pick(
            of,
            |a, b| Some(a.min(b)),
            |a, b| Some(if b < a { b } else { a }),
            |a, b| b < a,
        )
    },
    facts: Facts {
        length: ShownLength::OfLongestArgument,
        ..Facts::NONE
    },
};
