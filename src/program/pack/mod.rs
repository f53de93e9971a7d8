//! What the platforms take: dated data, not code.

/// The platforms; each has a default account of the same name.
pub const PLATFORMS: [&str; 7] = ["service_account", "subscription_account", "wecom", "alipay", "douyin", "webhook", "sandbox"];
