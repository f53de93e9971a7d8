//! A typed expression as a plan: column tests and event queries under Kleene's operators, with
//! audiences, partitions and derived tags put in place and shared, constants folded, cheap parts
//! first.
//!
//! A plan depends on the program alone, not on a store or a clock, so one plan serves every
//! executor. [`node`] is what plans are made of, [`kernel`] what operators do, [`form`] how types
//! lie in columns, [`lower`] the way from the typed program, [`simplify`] the rules.

mod description;
pub mod form;
pub mod kernel;
mod lowering;
pub mod node;
mod show;
mod simplify;
mod tag_use;

pub use description::describe;
pub use lowering::{LowerError, Lowering, MAX_DEPTH, lower};
pub use node::Plan;
pub use show::show;
pub use tag_use::tags_of;
