//! `weekday`: the day of the week.

use super::function::{Arity, Facts, Function, Usage, date_of, date_part};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "weekday",
        signature: "weekday(DATE) -> int",
        en: "1 for Monday to 7 for Sunday",
        zh: "星期几，周一为 1，周日为 7",
        example: "weekday(2026-11-11) == 3",
        synonyms: &["dayofweek"],
    },
    arity: Arity::One,
    expects: Type::Date,
    overload: |of| date_part(of, (1, 7), |days| Some(i64::from(date_of(days)?.weekday()))),
    facts: Facts {
        bounds: |_| Some((1.0, 7.0)),
        ..Facts::NONE
    },
};
