//! One file a rule.

pub mod and_beside_or;
pub mod deadline_in_quiet_hours;
pub mod deprecated_platform_limit;
pub mod impossible_bound;
pub mod look_alike;
pub mod past_date;
pub mod too_many_tags;
pub mod unknown_value;
pub mod unused_audience;
pub mod unused_template;
