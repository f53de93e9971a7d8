//! `distance`: the way between two places.

use super::function::{Arity, BinaryBody, Coercion, Facts, Function, Overload, ScalarBody, Usage};
use crate::base::{GeoPoint, Type};

pub static FUNCTION: Function = Function {
    usage: Usage {
        name: "distance",
        signature: "distance(PLACE, PLACE) -> distance",
        en: "the way between two places over the earth's surface",
        zh: "两个地点之间的球面距离",
        example: "distance((31.2304, 121.4737), (31.2304, 121.4738)) < 10m",
        synonyms: &[],
    },
    arity: Arity::Two,
    expects: Type::Place,
    overload,
    facts: Facts::NONE,
};

fn overload(of: &Type) -> Option<Overload> {
    let body = ScalarBody::Two(BinaryBody::Places(metres));
    (*of == Type::Place)
        .then(|| Overload::new(Coercion::Keep, Type::Distance, body))
        .flatten()
}

fn metres(a: GeoPoint, b: GeoPoint) -> Option<f64> {
    Some(a.distance_m(b)).filter(|d| d.is_finite())
}
