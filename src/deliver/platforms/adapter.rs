//! What delivery must know of a platform to use it, and what is the same for all of them.

use std::sync::Arc;

use crate::base::Elapsed;
use crate::base::Msg;
use crate::deliver::account::{AccountSettings, Needed, SettingField};
use crate::deliver::callback::Callbacks;
use crate::deliver::channel::{Channel, NextAction, Reply};
use crate::deliver::http::account_client::AccountClient;
use crate::ledger::{Batch, BatchOutcome};
use crate::msg;
use crate::program::platform::Endpoint;

/// Channels by the names of their endpoints.
pub type NamedChannels = Vec<(&'static str, Arc<dyn Channel>)>;

/// A platform, as `platforms/<p>/mod.rs` declares it.
pub struct Adapter {
    /// Where its API is, unless the account's `base_url` says otherwise.
    pub base_url: &'static str,
    /// The settings of its accounts.
    pub settings: &'static [SettingField],
    /// Makes the channels of an account for these of its endpoints. Fails where a setting makes no
    /// sense, such as a key that is none.
    pub channels: fn(&Arc<AccountClient>, &[&'static Endpoint]) -> Result<NamedChannels, Msg>,
    /// Makes what understands the callbacks of an account; `None` where nobody could prove to be
    /// the platform. Fails where a setting makes no sense.
    pub callbacks: fn(&AccountSettings) -> Result<Option<Arc<dyn Callbacks>>, Msg>,
    /// The part of an address that names the user in callbacks.
    pub callback_user: fn(&str) -> &str,
}

/// Of platforms whose callbacks name users by their whole address.
pub fn whole_address(address: &str) -> &str {
    address
}

impl Adapter {
    /// A setting that every account needs and this one lacks.
    pub fn missing(&self, settings: &AccountSettings) -> Option<&'static SettingField> {
        self.settings
            .iter()
            .find(|field| field.needed == Needed::Always && !settings.has(field))
    }

    /// A setting that an endpoint needs and this account lacks.
    pub fn missing_for(
        &self,
        settings: &AccountSettings,
        endpoint: &str,
    ) -> Option<&'static SettingField> {
        self.settings.iter().find(|field| match field.needed {
            Needed::ByEndpoint(name) => name == endpoint && !settings.has(field),
            Needed::Always | Needed::Optional => false,
        })
    }
}

/// An endpoint of an account whose settings are not enough for it: it asks for what is missing
/// instead of sending elsewhere.
pub struct MissingSetting {
    pub account: String,
    pub endpoint: &'static Endpoint,
    pub key: String,
}

impl Channel for MissingSetting {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn max_batch(&self) -> usize {
        usize::MAX
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed(0)
    }

    fn send(&self, _: &Batch) -> Reply {
        let MissingSetting {
            account,
            endpoint,
            key,
        } = self;
        let endpoint = &endpoint.name;
        let why = msg!(
            "`{account}.{endpoint}` needs `{key}` in `[accounts.{account}]` of `tagcast.toml`",
            "`{account}.{endpoint}` 需要在 tagcast.toml 的 `[accounts.{account}]` 中写 `{key}`"
        );
        Reply {
            answer: BatchOutcome::NotSent {
                reason: format!("`{key}` is missing"),
            },
            then: NextAction::Stop { why },
        }
    }
}
