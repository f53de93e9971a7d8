//! `year`: the year of a date.

use super::function::{Arity, Facts, Function, Usage, date_of, date_part};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "year",
        signature: "year(DATE) -> int",
        en: "the year of a date or instant",
        zh: "日期或时刻的年份",
        example: "year(2026-11-11) == 2026",
        synonyms: &[],
    },
    arity: Arity::One,
    expects: Type::Date,
    overload: |of| {
        date_part(of, (-300_000, 300_000), |days| {
            Some(i64::from(date_of(days)?.year()))
        })
    },
    facts: Facts::NONE,
};
