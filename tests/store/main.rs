//! The store: what goes in comes out, after crashes and damage, too.

#[path = "../support/mod.rs"]
mod support;

mod commands;
mod crash;
mod damage;
mod import;
mod live;
mod memory;
mod on_disk;
mod sample;
mod versions;
