//! Which channel sends for each endpoint of each account.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::channel::{Channel, ChannelError};
use super::platforms::sandbox::SandboxFile;
use crate::base::world::World;
use crate::program::typed::ChannelName as Name;

/// Which channel sends for each endpoint of each account.
#[derive(Clone)]
pub struct Channels {
    bound: BTreeMap<(String, String), Arc<dyn Channel>>,
    otherwise: Arc<dyn Channel>,
}

impl Channels {
    /// No account is bound: all messages become lines of a file.
    ///
    /// # Errors
    /// When the file's control file cannot be read.
    pub fn sandbox(file: &Path, world: Arc<dyn World>) -> Result<Self, ChannelError> {
        Ok(Channels::all_by(Arc::new(SandboxFile::at(file, world)?)))
    }

    /// One channel carries everything that is not bound.
    pub fn all_by(otherwise: Arc<dyn Channel>) -> Self {
        Channels {
            bound: BTreeMap::new(),
            otherwise,
        }
    }

    /// Lets `channel` carry an endpoint of an account.
    #[must_use]
    pub fn bind(mut self, account: &str, endpoint: &str, channel: Arc<dyn Channel>) -> Self {
        self.bound
            .insert((account.into(), endpoint.into()), channel);
        self
    }

    /// The same with no account bound.
    #[must_use]
    pub fn unbound(&self) -> Self {
        Channels {
            bound: BTreeMap::new(),
            otherwise: self.otherwise.clone(),
        }
    }

    /// Lets an account's endpoints be carried as they are there.
    #[must_use]
    pub fn bind_as(mut self, account: &str, there: &Channels) -> Self {
        let endpoints = there.bound.iter().filter(|((of, _), _)| of == account);
        self.bound
            .extend(endpoints.map(|(name, channel)| (name.clone(), channel.clone())));
        self
    }

    /// The channels that have a mailbox, each with its account.
    pub fn with_mailbox(&self) -> Vec<(String, Arc<dyn Channel>)> {
        let bound = self
            .bound
            .iter()
            .filter(|(_, channel)| channel.mailbox().is_some());
        bound
            .map(|((account, _), channel)| (account.clone(), channel.clone()))
            .collect()
    }

    pub fn of(&self, name: &Name) -> &dyn Channel {
        self.bound
            .get(&(name.account.clone(), name.endpoint.clone()))
            .unwrap_or(&self.otherwise)
            .as_ref()
    }
}
