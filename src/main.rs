//! The `tagcast` command.

fn main() {}
