//! WeCom: group sends to customers, application messages to members, WeChat customer service.

mod app_message;
mod callback;
mod customer_events;
mod customer_service;
mod group_send;
mod send;
mod settings;

use std::sync::{Arc, Mutex};

use self::app_message::AppMessages;
use self::customer_service::CustomerService;
use self::group_send::GroupSend;
use super::adapter::{Adapter, NamedChannels, whole_address};
use crate::base::Msg;
use crate::deliver::channel::Channel;
use crate::deliver::http::account_client::AccountClient;
use crate::program::platform::Endpoint;

pub const ADAPTER: Adapter = Adapter {
    base_url: "https://qyapi.weixin.qq.com",
    settings: settings::FIELDS,
    channels,
    callbacks: callback::callbacks,
    callback_user: whole_address,
};

/// Each endpoint is a channel of its own.
fn channels(
    account: &Arc<AccountClient>,
    endpoints: &[&'static Endpoint],
) -> Result<NamedChannels, Msg> {
    let mut channels = NamedChannels::new();
    for endpoint in endpoints {
        let account = account.clone();
        let channel: Arc<dyn Channel> = match endpoint.name.as_str() {
            "app" => Arc::new(AppMessages {
                account,
                endpoint,
                lately: Mutex::default(),
                equal: Mutex::default(),
            }),
            "kf" => Arc::new(CustomerService { account, endpoint }),
            _ => Arc::new(GroupSend {
                account,
                endpoint,
                reminded: Mutex::default(),
            }),
        };
        channels.push((&endpoint.name, channel));
    }
    Ok(channels)
}
