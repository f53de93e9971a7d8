//! `length`: characters of a text, members of a set.

use super::function::{Arity, Coercion, Facts, Function, Overload, ScalarBody, UnaryBody, Usage};
use crate::base::Type;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "length",
        signature: "length(TEXT or SET) -> int",
        en: "characters of a text, members of a set",
        zh: "文本的字数，集合的元素个数",
        example: "length(\"您好\") == 2",
        synonyms: &["len", "size"],
    },
    arity: Arity::One,
    expects: Type::TEXT,
    overload,
    facts: Facts {
        bounds,
        ..Facts::NONE
    },
};

fn overload(of: &Type) -> Option<Overload> {
    let body = match of {
        Type::Text { .. } => UnaryBody::TextToInt(|t| i64::try_from(t.chars().count()).ok()),
        Type::Set(_) => UnaryBody::SetSizeToInt(|size| i64::try_from(size).ok()),
        _ => return None,
    };
    let result = Type::Int {
        lo: Some(0),
        hi: Some(i64::from(u32::MAX)),
    };
    Overload::new(Coercion::Keep, result, ScalarBody::One(body))
}

fn bounds(of: &Type) -> Option<(f64, f64)> {
    match of {
        Type::Text { max: Some(n) } => Some((0.0, f64::from(*n))),
        Type::Set(of) => match of.as_ref() {
            Type::Enum(members) => Some((0.0, members.members.len() as f64)),
            _ => None,
        },
        _ => None,
    }
}
