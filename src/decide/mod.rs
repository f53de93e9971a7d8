//! Who gets what, by which channel, and who does not and why: one typed outcome a user, the same for the same inputs.
//!
//! Pure: what happened before comes in as [`history::History`], what is decided goes out as [`decision::Decision`].

pub mod decision;
pub mod history;
