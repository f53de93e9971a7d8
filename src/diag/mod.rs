//! Findings: what is wrong or doubtful in a program, as data; worded in English and Chinese side by
//! side, rendered later.
//!
//! [`source`] holds files and spans, [`finding`] the finding itself, [`catalog`] every name a
//! finding can have with its page, [`render`] turns them into text and [`finding_pages`] shows a page.

pub mod catalog;
pub mod finding;
pub mod finding_pages;
mod level;
pub mod render;
pub mod source;

pub use catalog::Code;
pub use finding::{Edit, Finding, Findings, Fix, Label};
pub use level::Level;
pub use source::{SourceFile, Sources, Span};
