//! The registry of all lints: a module each and a line in [`RULES`]. What a lint is called, says and
//! checks stands in its own file, with its page beside it.

mod and_beside_or;
mod deadline_in_quiet_hours;
mod deprecated_platform_limit;
mod impossible_bound;
mod look_alike;
mod past_date;
mod too_many_tags;
mod unknown_value;
mod unused_audience;
mod unused_template;

use super::Rule;

/// By name.
pub static RULES: &[&Rule] = &[
    &and_beside_or::RULE,
    &deadline_in_quiet_hours::RULE,
    &deprecated_platform_limit::RULE,
    &impossible_bound::RULE,
    &look_alike::RULE,
    &past_date::RULE,
    &too_many_tags::RULE,
    &unknown_value::RULE,
    &unused_audience::RULE,
    &unused_template::RULE,
];
