//! Which channels are real: those of the accounts that `tagcast.toml` binds. All others write to
//! the sandbox's file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::{Failure, Project};
use crate::base::Msg;
use crate::base::world::World;
use crate::deliver::account::AccountSettings;
use crate::deliver::channels::Channels;
use crate::deliver::http::client::Http;
use crate::deliver::platforms;
use crate::msg;
use crate::program::platform;
use crate::program::typed::{Action, Campaign, ChannelName, Via};

/// The channels of a program: real ones where an account is bound.
///
/// # Errors
/// Settings that do not fit, secrets that are not there.
pub fn channels(
    project: &Project,
    store: &Path,
    world: &Arc<dyn World>,
) -> Result<Channels, Failure> {
    Ok(AccountBindings::new(project, store, world)?.channels)
}

/// The accounts that `tagcast.toml` binds, their secrets read, and the channels of a program.
pub struct AccountBindings {
    settings: BTreeMap<String, AccountSettings>,
    channels: Channels,
    http: Option<Arc<Http>>,
}

impl AccountBindings {
    /// # Errors
    /// Settings that do not fit, secrets that are not there.
    pub fn new(project: &Project, store: &Path, world: &Arc<dyn World>) -> Result<Self, Failure> {
        let channels = Channels::sandbox(&project.outbox(store), world.clone())?;
        let nothing = AccountBindings {
            settings: BTreeMap::new(),
            channels,
            http: None,
        };
        Ok(nothing.renewed(project, world)?.0)
    }

    /// As the files say now, and the accounts that they say something else of; the others keep
    /// their channels, with their tokens.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn renewed(
        &self,
        project: &Project,
        world: &Arc<dyn World>,
    ) -> Result<(Self, BTreeSet<String>), Failure> {
        let mut next = AccountBindings {
            settings: BTreeMap::new(),
            channels: self.channels.unbound(),
            http: self.http.clone(),
        };
        let gone = self
            .settings
            .keys()
            .filter(|name| !project.config.accounts.contains_key(*name));
        let mut changed: BTreeSet<String> = gone.cloned().collect();
        for (name, account) in &project.config.accounts {
            let settings = account.settings(name, &project.folder)?;
            check(project, name, &settings.platform)?;
            if self.settings.get(name) == Some(&settings) {
                next.channels = next.channels.bind_as(name, &self.channels);
            } else {
                changed.insert(name.clone());
                if settings.platform != "sandbox" {
                    let http = match &next.http {
                        Some(http) => Arc::clone(http),
                        None => Arc::clone(next.http.insert(Http::new().map_err(Failure::new)?)),
                    };
                    for (endpoint, channel) in
                        platforms::open_account(settings.clone(), &http, world)?
                    {
                        next.channels = next.channels.bind(name, endpoint, channel);
                    }
                }
            }
            next.settings.insert(name.clone(), settings);
        }
        Ok((next, changed))
    }

    pub fn channels(&self) -> &Channels {
        &self.channels
    }

    /// By the accounts' names.
    pub fn settings(&self) -> &BTreeMap<String, AccountSettings> {
        &self.settings
    }
}

/// An account is one of the program's, on the platform that the program says.
fn check(project: &Project, name: &str, platform: &str) -> Result<(), Failure> {
    let declared = project
        .program
        .accounts
        .iter()
        .find(|a| a.name == name)
        .map(|a| a.platform.as_str());
    let declared = declared.or(platform::find(name).map(|_| name));
    match declared {
        Some(declared) if declared == platform => Ok(()),
        Some(declared) => Err(Failure::new(msg!(
            "`[accounts.{name}]` in `tagcast.toml` is a `{platform}`, but the program says that `{name}` is a `{declared}`",
            "tagcast.toml 的 `[accounts.{name}]` 是 `{platform}`，而程序声明 `{name}` 是 `{declared}`"
        ))),
        None => Err(Failure::new(msg!(
            "`[accounts.{name}]` in `tagcast.toml`: the program has no account of this name",
            "tagcast.toml 的 `[accounts.{name}]`：程序中没有此账号"
        ))
        .help(msg!(
            "declare it in the program: `account {name} {platform}`, or name a platform",
            "请在程序中声明：`account {name} {platform}`，或使用平台名"
        ))),
    }
}

/// What a campaign's channels are bound to, for those who plan it; `None` where it uses none but
/// the sandbox.
pub fn unbound(project: &Project, campaign: &Campaign) -> Option<Msg> {
    let open: BTreeSet<String> = channels_of(campaign)
        .into_iter()
        .filter(|c| c.platform != "sandbox" && !project.config.accounts.contains_key(&c.account))
        .map(|c| format!("`{}`", c.account))
        .collect();
    let names = open.into_iter().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| {
        msg!(
            "{names} is not bound in `tagcast.toml`: its messages become lines of a file",
            "{names} 未在 tagcast.toml 中绑定：其消息写入文件"
        )
    })
}

/// Every channel that a campaign names, its follow-ups' included.
fn channels_of(campaign: &Campaign) -> Vec<&ChannelName> {
    let mut vias: Vec<&Via> = vec![&campaign.via];
    let mut todo: Vec<&Action> = vec![&campaign.action];
    for step in &campaign.steps {
        todo.push(&step.action);
        todo.extend(&step.otherwise);
    }
    while let Some(action) = todo.pop() {
        match action {
            Action::Send(send) => vias.extend(&send.via),
            Action::Nothing => {}
            Action::Split(arms) => todo.extend(arms.iter().map(|arm| &arm.action)),
            Action::Choose(arms) => todo.extend(arms.iter().map(|arm| &arm.action)),
        }
    }
    vias.into_iter()
        .flat_map(|via| &via.routes)
        .map(|route| &route.channel)
        .collect()
}
