//! The channels there are, one file a platform family.

mod alipay;
mod douyin;
mod parts;
mod sandbox_file;
mod singles;
mod tencent;
mod webhook;
mod wechat;
mod wecom;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use sandbox_file::{Fault, FaultEffect, SandboxFile};

use super::channel::{Channel, NextAction, Reply};
use super::wire::account::{AccountClient, AccountSettings};
use super::wire::client::Http;
use crate::base::Elapsed;
use crate::base::world::World;
use crate::ledger::{Batch, BatchOutcome};

use crate::base::Msg;
use crate::msg;
use crate::program::platform::Endpoint;

/// Why a channel cannot be set up.
#[derive(Debug)]
pub enum ChannelError {
    /// A file that tells a channel what to do cannot be read or makes no sense.
    Control { file: PathBuf, reason: String },
    /// An account's settings cannot be used.
    Account { name: String, why: Msg },
}

/// The part of an address on a platform that names the user in its callbacks.
pub fn who(platform: &str) -> fn(&str) -> &str {
    match platform {
        "douyin" => douyin::who,
        _ => |address| address,
    }
}

/// The channels of an account, by the names of their endpoints.
///
/// # Errors
/// Settings that lack what the platform needs, or a platform that has no adapter.
pub fn of_account(
    settings: AccountSettings,
    http: &Arc<Http>,
    world: &Arc<dyn World>,
) -> Result<Vec<(&'static str, Arc<dyn Channel>)>, ChannelError> {
    let name = settings.name.clone();
    let refuse = |why: Msg| ChannelError::Account {
        name: name.clone(),
        why,
    };
    let platform = settings.platform.clone();
    let need = |what: &str, there: bool| match there {
        true => Ok(()),
        false => Err(refuse(msg!("`{what}` is missing", "缺少 `{what}`"))),
    };
    let address = match platform.as_str() {
        "service_account" | "subscription_account" => {
            need("app_id", settings.app_id.is_some())?;
            need("secret_env", settings.secret.is_some())?;
            wechat::ADDRESS
        }
        "wecom" => {
            need("app_id", settings.app_id.is_some())?;
            need("secret_env", settings.secret.is_some())?;
            wecom::ADDRESS
        }
        "alipay" => {
            need("app_id", settings.app_id.is_some())?;
            need("secret_env", settings.secret.is_some())?;
            alipay::ADDRESS
        }
        "douyin" => {
            need("app_id", settings.app_id.is_some())?;
            need("open_id", settings.open_id.is_some())?;
            need("refresh_token_env", settings.refresh_token.is_some())?;
            douyin::ADDRESS
        }
        "webhook" => {
            need("base_url", settings.base_url.is_some())?;
            need("secret_env", settings.secret.is_some())?;
            ""
        }
        other => {
            return Err(refuse(msg!(
                "no platform is named `{other}`",
                "没有名为 `{other}` 的平台"
            )));
        }
    };
    let account =
        AccountClient::new(settings, address, http.clone(), world.clone()).map_err(refuse)?;
    let signing = if platform == "alipay" {
        Some(alipay::Signing::of(&account).map_err(refuse)?)
    } else {
        None
    };
    let mut channels: Vec<(&'static str, Arc<dyn Channel>)> = Vec::new();
    for endpoint in &account.platform.endpoints {
        let channel: Option<Arc<dyn Channel>> = match platform.as_str() {
            "alipay" => signing.as_ref().map(|signing| {
                Arc::new(alipay::AlipayChannel::of(&account, signing, endpoint)) as Arc<dyn Channel>
            }),
            "douyin" => Some(Arc::new(douyin::DouyinChannel::of(&account, endpoint))),
            "webhook" => Some(Arc::new(webhook::WebhookChannel::of(&account, endpoint))),
            "wecom" => Some(match wecom::WeComChannel::of(&account, endpoint) {
                Ok(channel) => Arc::new(channel),
                Err(lacks) => Arc::new(Lacking {
                    name: name.clone(),
                    endpoint,
                    what: lacks,
                }),
            }),
            _ => wechat::WeChatChannel::of(&account, endpoint)
                .map(|c| Arc::new(c) as Arc<dyn Channel>),
        };
        channels.extend(channel.map(|c| (endpoint.name.as_str(), c)));
    }
    Ok(channels)
}

impl ChannelError {
    pub fn message(&self) -> Msg {
        match self {
            ChannelError::Account { name, why } => {
                let Msg { en, zh } = why;
                msg!(
                    "`[accounts.{name}]` in `tagcast.toml`: {en}",
                    "tagcast.toml 的 `[accounts.{name}]`：{zh}"
                )
            }
            ChannelError::Control { file, reason } => msg!(
                "the control file `{0}` cannot be used ({reason}): write `[[fault]]` with `do`, and `campaign`, `after` and `times` as needed, or remove it",
                "无法使用控制文件 `{0}`（{reason}）：请写 `[[fault]]` 及 `do`，需要时加 `campaign`、`after`、`times`，或删除该文件",
                file.display()
            ),
        }
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message().en)
    }
}

impl std::error::Error for ChannelError {}

/// An endpoint of an account that is bound, but not for it: it asks for what is missing instead of
/// sending elsewhere.
struct Lacking {
    name: String,
    endpoint: &'static Endpoint,
    what: &'static str,
}

impl Channel for Lacking {
    fn endpoint(&self) -> &Endpoint {
        self.endpoint
    }

    fn most(&self) -> usize {
        usize::MAX
    }

    fn settles_after(&self) -> Elapsed {
        Elapsed(0)
    }

    fn send(&self, _: &Batch) -> Reply {
        let Lacking {
            name,
            endpoint,
            what,
        } = self;
        let endpoint = &endpoint.name;
        let why = msg!(
            "`{name}.{endpoint}` needs `{what}` in `[accounts.{name}]` of `tagcast.toml`",
            "`{name}.{endpoint}` 需要在 tagcast.toml 的 `[accounts.{name}]` 中写 `{what}`"
        );
        Reply {
            answer: BatchOutcome::NotSent {
                reason: format!("`{what}` is missing"),
            },
            then: NextAction::Stop { why },
        }
    }
}
