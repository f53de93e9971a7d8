//! `greatest`: the largest of several values.

use super::function::{Arity, Facts, Function, ShownLength, Usage, pick};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "greatest",
        signature: "greatest(A, B, …) -> same type",
        en: "the largest; missing if any is",
        zh: "最大的一个；任何一个缺失则缺失",
        example: "greatest(3, 1, 2) == 3",
        synonyms: &[],
    },
    arity: Arity::Alike,
    expects: Type::Number,
    overload: |of| {
        pick(
            of,
            |a, b| Some(a.max(b)),
            |a, b| Some(if b > a { b } else { a }),
            |a, b| b > a,
        )
    },
    facts: Facts {
        length: ShownLength::OfLongestArgument,
        ..Facts::NONE
    },
};
