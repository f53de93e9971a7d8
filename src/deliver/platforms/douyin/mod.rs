//! Douyin business accounts: private messages.

mod callback;
mod send;
mod settings;

use super::adapter::Adapter;

pub const ADAPTER: Adapter = Adapter {
    base_url: "https://open.douyin.com",
    settings: settings::FIELDS,
    channels: send::channels,
    callbacks: callback::callbacks,
    callback_user: send::open_id_of,
};
