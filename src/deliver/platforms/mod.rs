//! The platforms. Each has a folder: `send.rs` calls it, `callback.rs` reads what it reports,
//! `settings.rs` declares what an account of it needs; [`ADAPTERS`] lists them. How one is added:
//! `docs/contributing/add-a-platform.md`.

mod adapter;
mod alipay;
mod douyin;
pub mod sandbox;
mod tencent;
mod webhook;
mod wechat;
mod wecom;

use std::sync::Arc;

pub use self::adapter::NamedChannels;
use self::adapter::{Adapter, MissingSetting, whole_address};
use super::account::{AccountSettings, SettingField};
use super::callback::Callbacks;
use super::channel::{Channel, ChannelError};
use super::http::account_client::AccountClient;
use super::http::client::Http;
use crate::base::Msg;
use crate::base::world::World;
use crate::msg;
use crate::program::platform::{self, Platform};

/// One line per platform: its name, which is that of its file `platforms/<p>.toml`, and its adapter.
const ADAPTERS: [(&str, &Adapter); 7] = [
    ("service_account", &wechat::ADAPTER),
    ("subscription_account", &wechat::ADAPTER),
    ("wecom", &wecom::ADAPTER),
    ("alipay", &alipay::ADAPTER),
    ("douyin", &douyin::ADAPTER),
    ("webhook", &webhook::ADAPTER),
    ("sandbox", &sandbox::ADAPTER),
];

fn adapter(platform: &str) -> Option<&'static Adapter> {
    ADAPTERS
        .iter()
        .find(|(name, _)| *name == platform)
        .map(|(_, adapter)| *adapter)
}

/// The settings of a platform's accounts; none where there is no such platform.
pub fn settings_of(platform: &str) -> &'static [SettingField] {
    adapter(platform).map_or(&[], |adapter| adapter.settings)
}

/// The settings of all platforms, those of the same name once.
pub fn setting_fields() -> Vec<SettingField> {
    let mut all: Vec<SettingField> = Vec::new();
    for field in ADAPTERS.iter().flat_map(|(_, adapter)| adapter.settings) {
        if all.iter().all(|known| known.name != field.name) {
            all.push(*field);
        }
    }
    all
}

/// The part of an address on a platform that names the user in its callbacks.
pub fn callback_user(platform: &str) -> fn(&str) -> &str {
    adapter(platform).map_or(whole_address, |adapter| adapter.callback_user)
}

/// The channels of an account, by the names of their endpoints.
///
/// # Errors
/// Settings that lack what the platform needs or make no sense, or a platform that is not known.
pub fn open_account(
    settings: AccountSettings,
    http: &Arc<Http>,
    world: &Arc<dyn World>,
) -> Result<NamedChannels, ChannelError> {
    let name = settings.name.clone();
    open(settings, http, world).map_err(|why| ChannelError::Account { name, why })
}

fn open(
    settings: AccountSettings,
    http: &Arc<Http>,
    world: &Arc<dyn World>,
) -> Result<NamedChannels, Msg> {
    let (platform, adapter) = known(&settings.platform)?;
    if let Some(field) = adapter.missing(&settings) {
        let key = field.key();
        return Err(msg!("`{key}` is missing", "缺少 `{key}`"));
    }
    let account = AccountClient::new(
        settings,
        platform,
        adapter.base_url,
        http.clone(),
        world.clone(),
    )?;
    let (mut complete, mut channels) = (Vec::new(), NamedChannels::new());
    for endpoint in &platform.endpoints {
        match adapter.missing_for(&account.settings, &endpoint.name) {
            None => complete.push(endpoint),
            Some(field) => {
                let missing = MissingSetting {
                    account: account.name.clone(),
                    endpoint,
                    key: field.key(),
                };
                channels.push((&endpoint.name, Arc::new(missing) as Arc<dyn Channel>));
            }
        }
    }
    channels.extend((adapter.channels)(&account, &complete)?);
    Ok(channels)
}

fn known(name: &str) -> Result<(&'static Platform, &'static Adapter), Msg> {
    platform::find(name)
        .zip(adapter(name))
        .ok_or_else(|| msg!("no platform is named `{name}`", "没有名为 `{name}` 的平台"))
}

/// How an account's callbacks are understood; `None` where its platform calls nobody back, or could
/// not prove that it calls.
///
/// # Errors
/// Settings that make no sense.
pub fn callbacks(settings: &AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg> {
    match adapter(&settings.platform) {
        Some(adapter) => (adapter.callbacks)(settings),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::base::Instant;
    use crate::deliver::account::{Needed, SettingKind};
    use crate::deliver::callback::Incoming;
    use crate::deliver::http::secret::Secret;

    /// Callbacks of an account of which everything is said.
    fn of_platform(platform: &str) -> Option<Arc<dyn Callbacks>> {
        let mut settings = AccountSettings::new("a", platform);
        for field in settings_of(platform) {
            match field.name {
                "secret" => settings.set(field.name, Secret::new(APP_KEY)),
                "platform_key" => settings.set(field.name, PLATFORM_KEY),
                "callback_key" => settings.set(field.name, Secret::new(CALLBACK_KEY)),
                name => match field.kind {
                    SettingKind::Secret => settings.set(name, Secret::new("token")),
                    SettingKind::Text | SettingKind::File => settings.set(name, "x1"),
                    SettingKind::Integer | SettingKind::Count => settings.set(name, 1),
                    SettingKind::Flag => settings.set(name, true),
                },
            }
        }
        callbacks(&settings).unwrap()
    }

    const APP_KEY: &str = include_str!("../../../tests/platforms/keys/app_private.pem");
    const PLATFORM_KEY: &str = include_str!("../../../tests/platforms/keys/alipay_public.pem");
    const CALLBACK_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

    /// Pieces of what platforms write, in any order.
    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            ".{0,20}",
            proptest::sample::select(
                &[
                    "<xml>",
                    "</xml>",
                    "<Encrypt>",
                    "</Encrypt>",
                    "<![CDATA[",
                    "]]>",
                    "<FromUserId>a",
                    "</FromUserId>",
                    "<Event>",
                    "<EventType>",
                    "subscribe_msg_popup_event",
                    "follow",
                    "AAAA",
                    "%",
                    "%3C",
                    "&",
                    "=",
                    "biz_content=",
                    "sign=",
                    "{\"event\":",
                    "\"im_authorize\"",
                    ",\"content\":",
                    "\"{\\\"auth_status\\\":1}\"",
                    "}",
                    "{\"user\":\"u\",\"kind\":\"follow\"}\n",
                    "9223372036854775807",
                    "<CreateTime>",
                    "[{\"origin\":3,\"send_time\":",
                    "}]",
                    ",\"event\":{\"event_type\":\"msg_send_fail\",\"fail_type\":10}",
                ][..]
            )
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|all| all.concat())
    }

    proptest! {
        /// Whoever calls, and whatever he sends: an answer, never a panic; and nobody passes who
        /// has not signed.
        #[test]
        fn no_call_is_too_strange(query in pieces(), signature in pieces(), body in pieces(), at: i64) {
            for callbacks in ADAPTERS.iter().filter_map(|(name, _)| of_platform(name)) {
                let call = Incoming { query: &query, signature: &signature, body: &body, at: Instant(at) };
                prop_assert!(callbacks.check(&call).is_err());
                let _ = (callbacks.verify_url(&call), callbacks.acknowledge(&call), callbacks.read(&call));
            }
        }
    }

    #[test]
    fn every_platform_has_an_adapter_and_every_adapter_a_platform() {
        let adapters: Vec<&str> = ADAPTERS.iter().map(|(name, _)| *name).collect();
        let platforms: Vec<&str> = platform::all().iter().map(|p| p.name.as_str()).collect();
        assert_eq!(adapters, platforms);
    }

    /// The file is read before it is known of which platform an account is.
    #[test]
    fn a_setting_is_of_one_kind_and_needed_by_endpoints_that_are() {
        let all = setting_fields();
        for (name, adapter) in ADAPTERS {
            for field in adapter.settings {
                let same = all.iter().find(|other| other.name == field.name);
                assert_eq!(
                    same.map(|f| f.kind),
                    Some(field.kind),
                    "{name}: {}",
                    field.name
                );
                if let Needed::ByEndpoint(endpoint) = field.needed {
                    let known = platform::endpoint(name, endpoint);
                    assert!(known.is_some(), "{name}: {endpoint}");
                }
                assert!(!field.doc.is_empty(), "{name}: {}", field.name);
            }
        }
    }

    /// What lacks a required setting is refused by the key to write.
    #[test]
    fn what_is_missing_is_named() {
        let http = Http::new().unwrap();
        let world: Arc<dyn World> = Arc::new(crate::base::world::SimulatedWorld::at(Instant(0)));
        let refused = |settings| {
            let Err(error) = open_account(settings, &http, &world) else {
                panic!("an account without settings")
            };
            error.message().en
        };
        for (name, adapter) in ADAPTERS {
            let required = adapter
                .settings
                .iter()
                .find(|field| field.needed == Needed::Always);
            if let Some(field) = required {
                let told = refused(AccountSettings::new("rose", name));
                let expected = format!(
                    "`[accounts.rose]` in `tagcast.toml`: `{}` is missing",
                    field.key()
                );
                assert_eq!(told, expected);
            }
        }
        let unknown = refused(AccountSettings::new("rose", "nowhere"));
        assert!(unknown.contains("no platform is named `nowhere`"));
    }
}
