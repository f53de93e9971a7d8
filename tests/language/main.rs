//! The language: text to tree to typed program, what is said of mistakes, layout, and `test` blocks.

#[path = "../support/mod.rs"]
mod support;

mod campaign;
mod check;
mod format;
mod parse;
mod robust;
mod test_blocks;
mod tour;
mod ui;
