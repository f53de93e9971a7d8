//! What the platforms take: dated data, not code. One TOML file per platform under `platforms/`,
//! built in and read once.
//!
//! [`data`] declares what a platform file can say. The checker reads it for what a channel refuses,
//! delivery for how it is called; `docs/channels.md` shows it to people.

mod data;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use data::*;

/// The text of each file of `platforms/`, listed by `build.rs`.
const FILES: &[&str] = &include!(concat!(env!("OUT_DIR"), "/platform_files.rs"));

static LOADED: LazyLock<Vec<Platform>> = LazyLock::new(|| {
    let mut platforms: Vec<Platform> = FILES
        .iter()
        .map(|text| toml::from_str(text).expect("the files are built in, and a test reads each"))
        .collect();
    platforms.sort_by_key(|platform| platform.order);
    platforms
});

static NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| LOADED.iter().map(|p| p.name.as_str()).collect());

/// All platforms, in the order of lists.
pub fn all() -> &'static [Platform] {
    &LOADED
}

/// Their names, in the same order. Each has a default account of the same name.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

pub fn find(name: &str) -> Option<&'static Platform> {
    LOADED.iter().find(|p| p.name == name)
}

pub fn endpoint(platform: &str, endpoint: &str) -> Option<&'static Endpoint> {
    find(platform)?.endpoint(endpoint)
}
