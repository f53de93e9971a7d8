//! The list of all lints, by name.

use super::{Rule, rules};

pub static RULES: &[Rule] = &[
    rules::and_beside_or::RULE,
    rules::deadline_in_quiet_hours::RULE,
    rules::deprecated_platform_limit::RULE,
    rules::impossible_bound::RULE,
    rules::look_alike::RULE,
    rules::past_date::RULE,
    rules::too_many_tags::RULE,
    rules::unknown_value::RULE,
    rules::unused_audience::RULE,
    rules::unused_template::RULE,
];
