//! Exploring: conditions and their counts, why a user is in or out, types, tags, plans.
//!
//! [`session`] turns a line into an answer and knows no terminal; [`editor`] is the only line
//! editor.

pub mod complete;
pub mod editor;
pub mod session;
