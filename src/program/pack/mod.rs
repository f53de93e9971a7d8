//! What the platforms take: dated data, not code. One TOML file a platform under `packs/`, built in
//! and read once.
//!
//! [`data`] says what a pack can say. The checker reads it for what a channel refuses, delivery for
//! how it is used, `docs/channels.md` shows it to people.

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
    include_str!("../../../packs/service_account.toml"),
    include_str!("../../../packs/subscription_account.toml"),
    include_str!("../../../packs/wecom.toml"),
    include_str!("../../../packs/alipay.toml"),
    include_str!("../../../packs/douyin.toml"),
    include_str!("../../../packs/webhook.toml"),
    include_str!("../../../packs/sandbox.toml"),
];

static PACKS: LazyLock<Vec<Pack>> = LazyLock::new(|| {
    FILES
        .iter()
        .map(|text| toml::from_str(text).expect("the packs are built in, and a test reads each"))
        .collect()
});

/// All packs, in the order of [`PLATFORMS`].
pub fn platforms() -> &'static [Pack] {
    &PACKS
}

pub fn platform(name: &str) -> Option<&'static Pack> {
    PACKS.iter().find(|p| p.platform == name)
}

pub fn endpoint(platform_name: &str, endpoint: &str) -> Option<&'static Endpoint> {
    platform(platform_name)?.endpoint(endpoint)
}
