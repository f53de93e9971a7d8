//! `mask`: a private value made showable.

use super::function::{
    Arity, Coercion, Facts, Function, Overload, ScalarBody, ShownLength, UnaryBody, Usage,
};
use crate::base::Type;
use crate::base::value::masked;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "mask",
        signature: "mask(TEXT) -> text",
        en: "a private value made showable: its first and last character, the rest `*`",
        zh: "让私密值可以展示：保留首尾字符，其余为 `*`",
        example: "mask(\"13800138000\") == \"1*********0\"",
        synonyms: &[],
    },
    arity: Arity::One,
    expects: Type::TEXT,
    overload,
    facts: Facts {
        length: ShownLength::OfArgument { growth: 1 },
        hides_private: true,
        ..Facts::NONE
    },
};

fn overload(of: &Type) -> Option<Overload> {
    let result = match of {
        Type::Text { max } => Type::Text { max: *max },
        Type::Address(_) | Type::Enum(_) => Type::TEXT,
        _ => return None,
    };
    Overload::new(
        Coercion::MemberName,
        result,
        ScalarBody::One(UnaryBody::Text(masked)),
    )
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn masks_hide_the_middle() {
        for (text, shown) in [
            ("", ""),
            ("王", "*"),
            ("王二", "王*"),
            ("13812345678", "1*********8"),
        ] {
            assert_eq!(masked(text), shown);
        }
    }
}
