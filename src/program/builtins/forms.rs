//! The built-ins that are forms of the language and not functions over single values: questions to
//! a user's events, `if` and `yearly`. Each has a rule of its own in the checker and in the plan;
//! here is how they are written.

use super::function::Usage;

pub(super) static DID: Usage = Usage {
    name: "did",
    signature: "did(EVENT, WINDOW) -> condition",
    en: "whether the event, or a sequence of two, happened in the window",
    zh: "窗口内是否发生过该事件（或两个事件的序列）",
    example: "did(purchase where amount > ¥100, last 30 days)",
    synonyms: &["exists", "has", "happened"],
};

pub(super) static COUNT: Usage = Usage {
    name: "count",
    signature: "count(EVENT, WINDOW) -> int",
    en: "how often it happened; 0 when it did not",
    zh: "发生的次数；没有则为 0",
    example: "count(cart_add then no purchase within 30min, last 7 days) >= 2",
    synonyms: &[],
};

pub(super) static SUM: Usage = Usage {
    name: "sum",
    signature: "sum(EVENT.FIELD, WINDOW) -> type of the field",
    en: "the total of a field; 0 of no events",
    zh: "字段的合计；没有事件则为 0",
    example: "sum(purchase.amount, this month) > ¥500",
    synonyms: &[],
};

pub(super) static AVG: Usage = Usage {
    name: "avg",
    signature: "avg(EVENT.FIELD, WINDOW) -> number, money or ratio",
    en: "the mean of a field; missing of no events",
    zh: "字段的平均值；没有事件则缺失",
    example: "avg(purchase.amount, last 90 days) > ¥200",
    synonyms: &["average", "mean"],
};

pub(super) static MIN: Usage = Usage {
    name: "min",
    signature: "min(EVENT.FIELD, WINDOW) -> type of the field",
    en: "the smallest value of a field; missing of no events",
    zh: "字段的最小值；没有事件则缺失",
    example: "min(purchase.amount, ever) < ¥10",
    synonyms: &[],
};

pub(super) static MAX: Usage = Usage {
    name: "max",
    signature: "max(EVENT.FIELD, WINDOW) -> type of the field",
    en: "the largest value of a field; missing of no events",
    zh: "字段的最大值；没有事件则缺失",
    example: "max(purchase.amount, previous month) >= ¥1000",
    synonyms: &[],
};

pub(super) static FIRST: Usage = Usage {
    name: "first",
    signature: "first(EVENT.FIELD, WINDOW) -> type of the field",
    en: "the field of the earliest event; missing of no events",
    zh: "最早一次事件的字段；没有事件则缺失",
    example: "first(purchase.category, ever) == \"food\"",
    synonyms: &[],
};

pub(super) static LATEST: Usage = Usage {
    name: "latest",
    signature: "latest(EVENT.FIELD, WINDOW) -> type of the field",
    en: "the field of the latest event; missing of no events",
    zh: "最近一次事件的字段；没有事件则缺失",
    example: "latest(purchase.category, last 30 days) == \"food\"",
    synonyms: &["last"],
};

pub(super) static DISTINCT: Usage = Usage {
    name: "distinct",
    signature: "distinct(EVENT.FIELD, WINDOW) -> int",
    en: "how many different values a field had; 0 of no events",
    zh: "字段有多少个不同的值；没有事件则为 0",
    example: "distinct(purchase.category, last 90 days) >= 3",
    synonyms: &["count_distinct"],
};

pub(super) static SINCE: Usage = Usage {
    name: "since",
    signature: "since(EVENT) -> elapsed time",
    en: "how long ago the latest one was; missing if there was none",
    zh: "距最近一次发生有多久；从未发生则缺失",
    example: "since(purchase) > 72h",
    synonyms: &[],
};

pub(super) static YEARLY: Usage = Usage {
    name: "yearly",
    signature: "yearly(DATE) in WINDOW -> condition",
    en: "whether the day comes round in the window, whatever the year",
    zh: "不论年份，这一天是否落在窗口内",
    example: "yearly(birthday) in next 7 days",
    synonyms: &[],
};

pub(super) static IF: Usage = Usage {
    name: "if",
    signature: "if(CONDITION, A, B) -> type of A and B",
    en: "A when the condition is true, B when it is false, missing when it is unknown",
    zh: "条件为真取 A，为假取 B，未知则缺失",
    example: "if(2 > 1, 10, 20) == 10",
    synonyms: &["iff", "iif"],
};
