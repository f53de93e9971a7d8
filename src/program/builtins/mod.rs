//! The registry of all built-ins: a module each for functions over single values and a line in
//! [`BUILTINS`]. The checker, evaluation, the reference and completion read it;
//! `docs/contributing/add-a-function.md` shows how a function is added.

mod abs;
mod day;
mod days;
mod distance;
mod forms;
pub mod function;
mod greatest;
mod least;
mod length;
mod lower;
mod mask;
mod month;
mod round;
mod weekday;
mod year;

use self::function::{Function, Usage};
use super::typed_expr::Aggregate;

/// One built-in.
#[derive(Clone, Copy, Debug)]
pub enum Builtin {
    Function(&'static Function),
    /// A question to the user's events.
    Events(Aggregate, &'static Usage),
    If(&'static Usage),
    /// Only in `yearly(d) in WINDOW`.
    Yearly(&'static Usage),
}

impl Builtin {
    pub fn usage(self) -> &'static Usage {
        match self {
            Builtin::Function(function) => &function.usage,
            Builtin::Events(_, usage) | Builtin::If(usage) | Builtin::Yearly(usage) => usage,
        }
    }
}

/// By topic, as the reference prints them.
pub static BUILTINS: &[Builtin] = &[
    Builtin::Events(Aggregate::Did, &forms::DID),
    Builtin::Events(Aggregate::Count, &forms::COUNT),
    Builtin::Events(Aggregate::Sum, &forms::SUM),
    Builtin::Events(Aggregate::Avg, &forms::AVG),
    Builtin::Events(Aggregate::Min, &forms::MIN),
    Builtin::Events(Aggregate::Max, &forms::MAX),
    Builtin::Events(Aggregate::First, &forms::FIRST),
    Builtin::Events(Aggregate::Latest, &forms::LATEST),
    Builtin::Events(Aggregate::Distinct, &forms::DISTINCT),
    Builtin::Events(Aggregate::Since, &forms::SINCE),
    Builtin::Function(&distance::FUNCTION),
    Builtin::Function(&days::FUNCTION),
    Builtin::Function(&year::FUNCTION),
    Builtin::Function(&month::FUNCTION),
    Builtin::Function(&day::FUNCTION),
    Builtin::Function(&weekday::FUNCTION),
    Builtin::Yearly(&forms::YEARLY),
    Builtin::Function(&lower::FUNCTION),
    Builtin::Function(&length::FUNCTION),
    Builtin::Function(&abs::FUNCTION),
    Builtin::Function(&round::FUNCTION),
    Builtin::Function(&least::FUNCTION),
    Builtin::Function(&greatest::FUNCTION),
    Builtin::If(&forms::IF),
    Builtin::Function(&mask::FUNCTION),
];

/// The built-in of that name.
pub fn builtin(name: &str) -> Option<Builtin> {
    let mut all = BUILTINS.iter().copied();
    all.find(|b| b.usage().name == name)
}

/// What other languages call `name`, as ours: `len` is `length`.
pub fn by_synonym(name: &str) -> Option<&'static str> {
    let mut usages = BUILTINS.iter().map(|b| b.usage());
    usages
        .find(|usage| usage.synonyms.contains(&name))
        .map(|usage| usage.name)
}

/// Names that no declaration may take, beside functions, own events and platforms.
pub const RESERVED_NAMES: [&str; 4] = ["event", "everyone", "全部用户", "nearest"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_examples_use_them() {
        for (i, b) in BUILTINS.iter().enumerate() {
            let usage = b.usage();
            let name = usage.name;
            assert!(
                BUILTINS[..i].iter().all(|o| o.usage().name != name),
                "{name}"
            );
            assert!(usage.example.contains(&format!("{name}(")), "{name}");
            assert!(usage.signature.starts_with(name), "{name}");
            for synonym in usage.synonyms {
                assert!(builtin(synonym).is_none(), "{synonym}");
                assert_eq!(by_synonym(synonym), Some(name));
            }
        }
    }
}
