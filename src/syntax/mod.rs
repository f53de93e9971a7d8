//! Source text to syntax tree. Only `parse` names pest; the grammar itself is
//! `grammar/campaign.pest`.

pub mod ast;
pub mod clause_table;
pub mod keyword;
pub mod parse;
pub mod visit;
