//! The channels there are, one file a platform family.

mod one_by_one;
mod parts;
mod sandbox_file;
mod tencent;
mod webhook;
mod wechat;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

pub use sandbox_file::{Does, Fault, SandboxFile};

use super::channel::Channel;
use super::wire::account::{Account, Settings};
use super::wire::http::Http;
use crate::base::world::World;

use crate::diag::Msg;
use crate::msg;

/// Why a channel cannot be set up.
#[derive(Debug)]
pub enum ChannelError {
    /// A file that tells a channel what to do cannot be read or makes no sense.
    Control { file: PathBuf, reason: String },
    /// An account's settings cannot be used.
    Account { name: String, why: Msg },
}

/// The channels of an account, by the names of their endpoints.
///
/// # Errors
/// Settings that lack what the platform needs, or a platform that has no adapter.
pub fn of_account(
    settings: Settings,
    http: &Arc<Http>,
    world: &Arc<dyn World>,
) -> Result<Vec<(&'static str, Arc<dyn Channel>)>, ChannelError> {
    let name = settings.name.clone();
    let refuse = |why: Msg| ChannelError::Account { name: name.clone(), why };
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
        "webhook" => {
            need("base_url", settings.base_url.is_some())?;
            need("secret_env", settings.secret.is_some())?;
            ""
        }
        other => return Err(refuse(msg!("`{other}` has no adapter yet", "尚无 `{other}` 的适配器"))),
    };
    let account = Account::new(settings, address, http.clone(), world.clone()).map_err(refuse)?;
    let mut channels: Vec<(&'static str, Arc<dyn Channel>)> = Vec::new();
    for endpoint in &account.pack.endpoints {
        let channel: Option<Arc<dyn Channel>> = match platform.as_str() {
            "webhook" => Some(Arc::new(webhook::Webhook::of(&account, endpoint))),
            _ => wechat::WeChat::of(&account, endpoint).map(|c| Arc::new(c) as Arc<dyn Channel>),
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
                msg!("`[accounts.{name}]` in `tagcast.toml`: {en}", "tagcast.toml 的 `[accounts.{name}]`：{zh}")
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
