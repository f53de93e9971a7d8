//! What the project holds itself to: its floors, its registries, and its documentation.

#[path = "../support/mod.rs"]
mod support;

mod add_a_clause;
mod add_a_tag_type;
mod channels_doc;
mod docs;
mod floors;
mod guides;
mod names;
mod platforms;
mod promise;
mod reference;
mod registry;
mod source;
