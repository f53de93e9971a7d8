//! Alipay life accounts: broadcasts and template messages.

mod callback;
mod send;
mod settings;

use super::adapter::{Adapter, whole_address};

pub const ADAPTER: Adapter = Adapter {
    base_url: "https://openapi.alipay.com",
    settings: settings::FIELDS,
    channels: send::channels,
    callbacks: callback::callbacks,
    callback_user: whole_address,
};
