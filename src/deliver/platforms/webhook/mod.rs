//! A receiver of one's own: signed JSON both ways.

pub mod callback;
mod send;
mod settings;

use super::adapter::{Adapter, whole_address};

pub const ADAPTER: Adapter = Adapter {
    base_url: "",
    settings: settings::FIELDS,
    channels: send::channels,
    callbacks: callback::callbacks,
    callback_user: whole_address,
};
