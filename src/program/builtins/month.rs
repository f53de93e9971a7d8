//! `month`: the month of a date.

use super::function::{Arity, Facts, Function, Usage, date_of, date_part};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "month",
        signature: "month(DATE) -> int",
        en: "the month, 1 to 12",
        zh: "月份，1 到 12",
        example: "month(2026-11-11) == 11",
        synonyms: &[],
    },
    arity: Arity::One,
    expects: Type::Date,
    overload: |of| date_part(of, (1, 12), |days| Some(i64::from(date_of(days)?.month()))),
    facts: Facts {
        bounds: |_| Some((1.0, 12.0)),
        ..Facts::NONE
    },
};
