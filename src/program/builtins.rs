//! The built-in functions as one table: what the checker accepts, what completion offers, what the
//! reference prints.

use super::typed_expr::{Aggregate, Function};

/// What a built-in is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinKind {
    Function(Function),
    /// A question to the user's events.
    Events(Aggregate),
    If,
    /// Only in `yearly(d) in WINDOW`.
    Yearly,
}

/// One built-in function.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    pub name: &'static str,
    pub kind: BuiltinKind,
    pub signature: &'static str,
    pub en: &'static str,
    pub zh: &'static str,
    /// A condition that uses it: with constants only it is true, else it speaks of `purchase`,
    /// `cart_add` and `birthday`.
    pub example: &'static str,
}

const fn function(
    name: &'static str,
    f: Function,
    signature: &'static str,
    en: &'static str,
    zh: &'static str,
    example: &'static str,
) -> Builtin {
    Builtin {
        name,
        kind: BuiltinKind::Function(f),
        signature,
        en,
        zh,
        example,
    }
}

const fn events(
    name: &'static str,
    a: Aggregate,
    signature: &'static str,
    en: &'static str,
    zh: &'static str,
    example: &'static str,
) -> Builtin {
    Builtin {
        name,
        kind: BuiltinKind::Events(a),
        signature,
        en,
        zh,
        example,
    }
}

/// By topic, as the reference prints them.
pub const BUILTINS: &[Builtin] = &[
    events(
        "did",
        Aggregate::Did,
        "did(EVENT, WINDOW) -> condition",
        "whether the event, or a sequence of two, happened in the window",
        "窗口内是否发生过该事件（或两个事件的序列）",
        "did(purchase where amount > ¥100, last 30 days)",
    ),
    events(
        "count",
        Aggregate::Count,
        "count(EVENT, WINDOW) -> int",
        "how often it happened; 0 when it did not",
        "发生的次数；没有则为 0",
        "count(cart_add then no purchase within 30min, last 7 days) >= 2",
    ),
    events(
        "sum",
        Aggregate::Sum,
        "sum(EVENT.FIELD, WINDOW) -> type of the field",
        "the total of a field; 0 of no events",
        "字段的合计；没有事件则为 0",
        "sum(purchase.amount, this month) > ¥500",
    ),
    events(
        "avg",
        Aggregate::Avg,
        "avg(EVENT.FIELD, WINDOW) -> number, money or ratio",
        "the mean of a field; missing of no events",
        "字段的平均值；没有事件则缺失",
        "avg(purchase.amount, last 90 days) > ¥200",
    ),
    events(
        "min",
        Aggregate::Min,
        "min(EVENT.FIELD, WINDOW) -> type of the field",
        "the smallest value of a field; missing of no events",
        "字段的最小值；没有事件则缺失",
        "min(purchase.amount, ever) < ¥10",
    ),
    events(
        "max",
        Aggregate::Max,
        "max(EVENT.FIELD, WINDOW) -> type of the field",
        "the largest value of a field; missing of no events",
        "字段的最大值；没有事件则缺失",
        "max(purchase.amount, previous month) >= ¥1000",
    ),
    events(
        "first",
        Aggregate::First,
        "first(EVENT.FIELD, WINDOW) -> type of the field",
        "the field of the earliest event; missing of no events",
        "最早一次事件的字段；没有事件则缺失",
        "first(purchase.category, ever) == \"food\"",
    ),
    events(
        "latest",
        Aggregate::Latest,
        "latest(EVENT.FIELD, WINDOW) -> type of the field",
        "the field of the latest event; missing of no events",
        "最近一次事件的字段；没有事件则缺失",
        "latest(purchase.category, last 30 days) == \"food\"",
    ),
    events(
        "distinct",
        Aggregate::Distinct,
        "distinct(EVENT.FIELD, WINDOW) -> int",
        "how many different values a field had; 0 of no events",
        "字段有多少个不同的值；没有事件则为 0",
        "distinct(purchase.category, last 90 days) >= 3",
    ),
    events(
        "since",
        Aggregate::Since,
        "since(EVENT) -> elapsed time",
        "how long ago the latest one was; missing if there was none",
        "距最近一次发生有多久；从未发生则缺失",
        "since(purchase) > 72h",
    ),
    function(
        "distance",
        Function::Distance,
        "distance(PLACE, PLACE) -> distance",
        "the way between two places over the earth's surface",
        "两个地点之间的球面距离",
        "distance((31.2304, 121.4737), (31.2304, 121.4738)) < 10m",
    ),
    function(
        "days",
        Function::Days,
        "days(DATE, DATE) -> int",
        "whole days from the first to the second date, or instant",
        "从前一日期（或时刻）到后一日期的整天数",
        "days(2026-11-01, 2026-11-11) == 10",
    ),
    function(
        "year",
        Function::Year,
        "year(DATE) -> int",
        "the year of a date or instant",
        "日期或时刻的年份",
        "year(2026-11-11) == 2026",
    ),
    function(
        "month",
        Function::Month,
        "month(DATE) -> int",
        "the month, 1 to 12",
        "月份，1 到 12",
        "month(2026-11-11) == 11",
    ),
    function(
        "day",
        Function::Day,
        "day(DATE) -> int",
        "the day of the month, 1 to 31",
        "日，1 到 31",
        "day(2026-11-11) == 11",
    ),
    function(
        "weekday",
        Function::Weekday,
        "weekday(DATE) -> int",
        "1 for Monday to 7 for Sunday",
        "星期几，周一为 1，周日为 7",
        "weekday(2026-11-11) == 3",
    ),
    Builtin {
        name: "yearly",
        kind: BuiltinKind::Yearly,
        signature: "yearly(DATE) in WINDOW -> condition",
        en: "whether the day comes round in the window, whatever the year",
        zh: "不论年份，这一天是否落在窗口内",
        example: "yearly(birthday) in next 7 days",
    },
    function(
        "lower",
        Function::Lower,
        "lower(TEXT) -> text",
        "in small letters",
        "转为小写",
        "lower(\"VIP\") == \"vip\"",
    ),
    function(
        "length",
        Function::Length,
        "length(TEXT or SET) -> int",
        "characters of a text, members of a set",
        "文本的字数，集合的元素个数",
        "length(\"您好\") == 2",
    ),
    function(
        "abs",
        Function::Abs,
        "abs(NUMBER) -> same type",
        "without its sign",
        "绝对值",
        "abs(0 - 3) == 3",
    ),
    function(
        "round",
        Function::Round,
        "round(NUMBER or MONEY) -> same type",
        "to a whole number or whole units of money, half away from zero",
        "取整（金额取到元），四舍五入",
        "round(2.5) == 3",
    ),
    function(
        "least",
        Function::Least,
        "least(A, B, …) -> same type",
        "the smallest; missing if any is",
        "最小的一个；任何一个缺失则缺失",
        "least(3, 1, 2) == 1",
    ),
    function(
        "greatest",
        Function::Greatest,
        "greatest(A, B, …) -> same type",
        "the largest; missing if any is",
        "最大的一个；任何一个缺失则缺失",
        "greatest(3, 1, 2) == 3",
    ),
    Builtin {
        name: "if",
        kind: BuiltinKind::If,
        signature: "if(CONDITION, A, B) -> type of A and B",
        en: "A when the condition is true, B when it is false, missing when it is unknown",
        zh: "条件为真取 A，为假取 B，未知则缺失",
        example: "if(2 > 1, 10, 20) == 10",
    },
    function(
        "mask",
        Function::Mask,
        "mask(TEXT) -> text",
        "a private value made showable: its first and last character, the rest `*`",
        "让私密值可以展示：保留首尾字符，其余为 `*`",
        "mask(\"13800138000\") == \"1*********0\"",
    ),
];

/// The built-in function of that name.
pub fn builtin(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|b| b.name == name)
}

/// Names that no declaration may take, beside functions, own events and platforms.
pub const RESERVED_NAMES: [&str; 4] = ["event", "everyone", "全部用户", "nearest"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_examples_use_them() {
        for (i, b) in BUILTINS.iter().enumerate() {
            assert!(BUILTINS[..i].iter().all(|o| o.name != b.name), "{}", b.name);
            assert!(b.example.contains(&format!("{}(", b.name)), "{}", b.name);
            assert!(b.signature.starts_with(b.name), "{}", b.name);
        }
    }
}
