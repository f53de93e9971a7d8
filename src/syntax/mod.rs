//! Source text to syntax tree. Only `parse.rs` names pest; the grammar itself is `grammar/campaign.pest`.

pub mod ast;
