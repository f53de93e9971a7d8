//! The sandbox: messages become lines of a file. Accounts that are not bound use it, too.

mod callback;
mod send;
mod settings;

use super::adapter::{Adapter, NamedChannels, whole_address};

pub use self::send::{Fault, FaultEffect, SandboxFile};

pub const ADAPTER: Adapter = Adapter {
    base_url: "",
    settings: settings::FIELDS,
    // What no account carries goes to the file: see `deliver::channels::Channels`.
    channels: |_, _| Ok(NamedChannels::new()),
    callbacks: callback::callbacks,
    callback_user: whole_address,
};
