//! Planned messages are checked again before they are sent: may they still be sent, by which
//! channel, on which day?
//!
//! | reason | checked | result |
//! | --- | --- | --- |
//! | consent ended | [`consent`], when data have changed | withdrawn at `no_consent` |
//! | words became forbidden | [`content`], when a program is loaded | withdrawn at `blocked_words` |
//! | quiet hours or a deadline changed | [`policy`], when a program is loaded | new policy |
//! | a more important message needs the slot | `arbitrate`, when that is decided | withdrawn at `capped` |
//! | they are due on another day than planned | [`DayRecheck`], when they are due | rescheduled, or withdrawn at `capped` |
//! | opt-outs left too few for a list | [`PlannedGroup::joins`], then [`ChannelRecheck`], at the claim | joined to another list, or rerouted |
//!
//! Pure: what is planned comes in as [`PlannedGroup`]s, what is to change goes out as [`Recheck`]s.
//! What a claim takes before the change is written is sent as it was planned.

mod another_day;

mod ended_consent;
mod new_policy;
mod other_channel;
mod planned_group;

pub use another_day::{DayRecheck, counts_on_another_day};
pub use ended_consent::{consent, consent_tags};
pub use new_policy::{content, policy};
pub use other_channel::ChannelRecheck;
pub use planned_group::{MessagePolicy, NewDay, NewRoute, PlannedGroup, Recheck};
