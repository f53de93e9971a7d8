//! `day`: the day of the month.

use super::function::{Arity, Facts, Function, Usage, date_of, date_part};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "day",
        signature: "day(DATE) -> int",
        en: "the day of the month, 1 to 31",
        zh: "日，1 到 31",
        example: "day(2026-11-11) == 11",
        synonyms: &[],
    },
    arity: Arity::One,
    expects: Type::Date,
    overload: |of| date_part(of, (1, 31), |days| Some(i64::from(date_of(days)?.day()))),
    facts: Facts {
        bounds: |_| Some((1.0, 31.0)),
        ..Facts::NONE
    },
};
