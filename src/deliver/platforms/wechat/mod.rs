//! WeChat service and subscription accounts: mass sends, template messages, subscription notices,
//! customer service messages.

mod callback;
mod send;
mod settings;

use super::adapter::{Adapter, whole_address};

pub const ADAPTER: Adapter = Adapter {
    base_url: "https://api.weixin.qq.com",
    settings: settings::FIELDS,
    channels: send::channels,
    callbacks: callback::callbacks,
    callback_user: whole_address,
};
