//! `round`: to a whole number, or to whole units of money.

use super::function::{Arity, Coercion, Facts, Function, Overload, ScalarBody, UnaryBody, Usage};
use crate::base::Type;
use crate::base::decimal::div_round;

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "round",
        signature: "round(NUMBER or MONEY) -> same type",
        en: "to a whole number or whole units of money, half away from zero",
        zh: "取整（金额取到元），四舍五入",
        example: "round(2.5) == 3",
        synonyms: &[],
    },
    arity: Arity::One,
    expects: Type::Number,
    overload,
    facts: Facts {
        near_argument: true,
        ..Facts::NONE
    },
};

fn overload(of: &Type) -> Option<Overload> {
    match of {
        // Already whole.
        Type::Int { .. } => Some(Overload {
            convert: Coercion::Keep,
            result: of.clone(),
            body: None,
        }),
        Type::Number | Type::Ratio => Overload::new(
            Coercion::Number,
            Type::Number,
            ScalarBody::One(UnaryBody::Float(|x| Some(x.round()))),
        ),
        Type::Money => Overload::new(
            Coercion::Keep,
            Type::Money,
            ScalarBody::One(UnaryBody::Int(whole_units)),
        ),
        _ => None,
    }
}

/// Minor units to whole units of money, in minor units.
fn whole_units(minor: i64) -> Option<i64> {
    div_round(i128::from(minor), 100).and_then(|units| units.checked_mul(100))
}

#[cfg(test)]
mod tests {
    use super::whole_units;

    #[test]
    fn half_a_unit_goes_away_from_zero() {
        assert_eq!(whole_units(-150), Some(-200));
        assert_eq!(whole_units(149), Some(100));
    }
}
