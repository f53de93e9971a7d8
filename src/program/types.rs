//! Types as people write and read them, and which type can stand where.

use std::cmp::Ordering;

use super::scope::nearest;
use crate::base::{Msg, Type, Value};
use crate::msg;

/// Types that are one word.
pub const TYPE_NAMES: [(&str, Type); 14] = [
    ("bool", Type::Bool),
    ("int", Type::INT),
    ("number", Type::Number),
    ("ratio", Type::Ratio),
    ("money", Type::Money),
    ("text", Type::TEXT),
    ("文本", Type::TEXT),
    ("date", Type::Date),
    ("time", Type::Time),
    ("instant", Type::Instant),
    ("elapsed", Type::Elapsed),
    ("distance", Type::Distance),
    ("place", Type::Place),
    ("地点", Type::Place),
];

/// What people of other languages call our types.
const SYNONYMS: [(&str, &str); 32] = [
    ("string", "text(50)"),
    ("str", "text(50)"),
    ("varchar", "text(50)"),
    ("char", "text(50)"),
    ("字符串", "text(50)"),
    ("integer", "int"),
    ("long", "int"),
    ("bigint", "int"),
    ("整数", "int"),
    ("float", "number"),
    ("double", "number"),
    ("decimal", "number"),
    ("real", "number"),
    ("数字", "number"),
    ("数值", "number"),
    ("boolean", "bool"),
    ("布尔", "bool"),
    ("percent", "ratio"),
    ("percentage", "ratio"),
    ("比例", "ratio"),
    ("百分比", "ratio"),
    ("currency", "money"),
    ("金额", "money"),
    ("datetime", "instant"),
    ("timestamp", "instant"),
    ("时刻", "instant"),
    ("日期", "date"),
    ("时间", "time"),
    ("duration", "elapsed"),
    ("location", "place"),
    ("point", "place"),
    ("coordinates", "place"),
];

/// The one-word type of that name.
pub fn named(name: &str) -> Option<Type> {
    TYPE_NAMES
        .iter()
        .find(|(n, _)| *n == name)
        .map(|(_, ty)| ty.clone())
}

/// The type that a misspelt or foreign name was probably meant to be, as it is written.
pub fn nearest_type(name: &str) -> Option<&'static str> {
    let lower = name.to_lowercase();
    if let Some((_, ours)) = SYNONYMS.iter().find(|(theirs, _)| *theirs == lower) {
        return Some(ours);
    }
    nearest(
        name,
        TYPE_NAMES
            .iter()
            .map(|(n, _)| *n)
            .chain(["enum", "set", "address"]),
    )
    .map(|n| match n {
        "enum" => "enum(\"a\", \"b\")",
        "set" => "set of enum(\"a\", \"b\")",
        "address" => "address(service_account)",
        name => name,
    })
}

/// A type as a message names it: without the bounds that nobody asked for.
pub fn words(ty: &Type) -> Msg {
    match ty {
        Type::Bool => msg!("a condition (bool)", "条件（bool）"),
        Type::Int { .. } => msg!("int", "整数（int）"),
        Type::Number => msg!("number", "数值（number）"),
        Type::Ratio => msg!("ratio", "比例（ratio）"),
        Type::Money => msg!("money", "金额（money）"),
        Type::Text { .. } => msg!("text", "文本（text）"),
        Type::Enum(_) => msg!("enum", "枚举（enum）"),
        Type::Set(_) => msg!("a set", "集合（set）"),
        Type::Date => msg!("date", "日期（date）"),
        Type::Time => msg!("time of day", "时间（time）"),
        Type::Instant => msg!("instant", "时刻（instant）"),
        Type::Elapsed => msg!("elapsed time", "时长（如 `72h`）"),
        Type::Calendar => msg!("calendar time", "日历时长（如 `3 days`）"),
        Type::Distance => msg!("distance", "距离（distance）"),
        Type::Place => msg!("place", "地点（place）"),
        Type::Address(_) => msg!("address", "地址（address）"),
    }
}

/// Whether two types are one for comparison: bounds and lengths do not count.
pub fn same_kind(a: &Type, b: &Type) -> bool {
    match (a, b) {
        (Type::Enum(a), Type::Enum(b)) => a == b,
        (Type::Set(a), Type::Set(b)) => same_kind(a, b),
        (Type::Address(a), Type::Address(b)) => a == b,
        (Type::Int { .. }, Type::Int { .. }) | (Type::Text { .. }, Type::Text { .. }) => true,
        (a, b) => a == b,
    }
}

/// The type of either of two values of one kind.
pub fn join(a: &Type, b: &Type) -> Type {
    match (a, b) {
        (Type::Int { lo: al, hi: ah }, Type::Int { lo: bl, hi: bh }) => Type::Int {
            lo: (*al).zip(*bl).map(|(a, b)| a.min(b)),
            hi: (*ah).zip(*bh).map(|(a, b)| a.max(b)),
        },
        (Type::Text { max: a }, Type::Text { max: b }) => Type::Text {
            max: (*a).zip(*b).map(|(a, b)| a.max(b)),
        },
        (a, _) => a.clone(),
    }
}

pub fn is_number(ty: &Type) -> bool {
    matches!(ty, Type::Int { .. } | Type::Number)
}

/// Types whose values have an order that `<` may ask for.
pub fn is_ordered(ty: &Type) -> bool {
    match ty {
        Type::Int { .. }
        | Type::Number
        | Type::Ratio
        | Type::Money
        | Type::Text { .. }
        | Type::Date
        | Type::Time
        | Type::Instant
        | Type::Elapsed
        | Type::Distance => true,
        Type::Bool
        | Type::Enum(_)
        | Type::Set(_)
        | Type::Calendar
        | Type::Place
        | Type::Address(_) => false,
    }
}

/// The type of a sum of such values; `None` where they are not added up.
pub fn sum_of(ty: &Type) -> Option<Type> {
    match ty {
        Type::Int { .. } => Some(Type::INT),
        Type::Number | Type::Ratio => Some(Type::Number),
        Type::Money | Type::Elapsed | Type::Distance => Some(ty.clone()),
        Type::Bool
        | Type::Text { .. }
        | Type::Enum(_)
        | Type::Set(_)
        | Type::Date
        | Type::Time
        | Type::Instant
        | Type::Calendar
        | Type::Place
        | Type::Address(_) => None,
    }
}

/// The type of a mean of such values; `None` where there is none.
pub fn mean_of(ty: &Type) -> Option<Type> {
    if *ty == Type::Ratio {
        return Some(Type::Ratio);
    }
    sum_of(ty).map(|sum| if sum == Type::INT { Type::Number } else { sum })
}

/// Types of which a value stands for a day.
pub fn has_day(ty: &Type) -> bool {
    matches!(ty, Type::Date | Type::Instant)
}

/// The order of two constants; `None` where their types have none in common.
pub fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) | (Value::Money(a), Value::Money(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) | (Value::Distance(a), Value::Distance(b)) => {
            a.partial_cmp(b)
        }
        (Value::Ratio(a), Value::Ratio(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Number(b)) => (*a as f64).partial_cmp(b),
        (Value::Number(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Enum(a), Value::Enum(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        (Value::Instant(a), Value::Instant(b)) => Some(a.cmp(b)),
        (Value::Elapsed(a), Value::Elapsed(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_languages_are_understood() {
        assert_eq!(nearest_type("String"), Some("text(50)"));
        assert_eq!(nearest_type("金额"), Some("money"));
        assert_eq!(nearest_type("nubmer"), Some("number"));
        assert_eq!(nearest_type("blob"), None);
    }

    #[test]
    fn bounds_join() {
        let int = |lo, hi| Type::Int { lo, hi };
        assert_eq!(
            join(&int(Some(1), Some(5)), &int(Some(0), None)),
            int(Some(0), None)
        );
        assert!(!same_kind(&Type::INT, &Type::Number));
    }
}
