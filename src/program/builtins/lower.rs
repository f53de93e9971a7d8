//! `lower`: a text in small letters.

use super::function::{
    Arity, Coercion, Facts, Function, Overload, ScalarBody, ShownLength, UnaryBody, Usage,
};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "lower",
        signature: "lower(TEXT) -> text",
        en: "in small letters",
        zh: "转为小写",
        example: "lower(\"VIP\") == \"vip\"",
        synonyms: &["lowercase", "tolower"],
    },
    arity: Arity::One,
    expects: Type::TEXT,
    overload,
    facts: Facts {
        // One letter, İ, becomes two.
        length: ShownLength::OfArgument { growth: 2 },
        keeps_alphabet: true,
        ..Facts::NONE
    },
};

fn overload(of: &Type) -> Option<Overload> {
    match of {
        Type::Text { .. } => Overload::new(
            Coercion::Keep,
            Type::TEXT,
            ScalarBody::One(UnaryBody::Text(str::to_lowercase)),
        ),
        _ => None,
    }
}
