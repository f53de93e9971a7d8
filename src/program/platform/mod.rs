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

/// The platforms; each has a default account of the same name.
pub const PLATFORMS: [&str; 7] = [
    "service_account",
    "subscription_account",
    "wecom",
    "alipay",
    "douyin",
    "webhook",
    "sandbox",
];

/// In the order of [`PLATFORMS`].
const FILES: [&str; PLATFORMS.len()] = [
    include_str!("../../../platforms/service_account.toml"),
    include_str!("../../../platforms/subscription_account.toml"),
    include_str!("../../../platforms/wecom.toml"),
    include_str!("../../../platforms/alipay.toml"),
    include_str!("../../../platforms/douyin.toml"),
    include_str!("../../../platforms/webhook.toml"),
    include_str!("../../../platforms/sandbox.toml"),
];

static LOADED: LazyLock<Vec<Platform>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|text| toml::from_str(text).expect("the files are built in, and a test reads each"))
        .collect()
});

/// All platforms, in the order of [`PLATFORMS`].
pub fn all() -> &'static [Platform] {
    &LOADED
}

pub fn find(name: &str) -> Option<&'static Platform> {
    LOADED.iter().find(|p| p.name == name)
}

pub fn endpoint(platform: &str, endpoint: &str) -> Option<&'static Endpoint> {
    find(platform)?.endpoint(endpoint)
}
