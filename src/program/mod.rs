//! Syntax trees of all files to one typed program: names resolved, types and units settled, every
//! rule of the language checked.
//!
//! [`typed`] and [`typed_expr`] are all that later floors see of a script. [`check`](mod@check) makes
//! them: [`scope`] knows the names, [`campaign`] the clauses of campaigns, templates and policy,
//! [`platform`] what the platforms take.

pub mod builtins;
pub mod campaign;
pub mod check;
pub mod definedness;
pub mod platform;
pub mod reserved;
pub mod run_outcome;
pub mod scope;
pub mod typed;
pub mod typed_expr;
pub mod types;
pub mod walk;
