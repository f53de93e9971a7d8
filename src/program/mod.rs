//! Syntax trees of all files to one typed program: names resolved, types and units settled, every rule of the language checked.
//!
//! [`typed`] and [`expr`] are all that later floors see of a script.

pub mod expr;
pub mod typed;
