//! The accounts of the program as the threads use them: by which channels messages leave, and how
//! callbacks are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::base::Msg;
use crate::deliver::account::AccountSettings;
use crate::deliver::callback::Callbacks;
use crate::deliver::channels::Channels;
use crate::deliver::platforms;
use crate::engine::Failure;
use crate::engine::binding::AccountBindings;

/// How the callbacks of each account are read.
pub type AllCallbacks = BTreeMap<String, Arc<dyn Callbacks>>;

pub struct Accounts {
    pub channels: Channels,
    pub callbacks: AllCallbacks,
    /// Rises with each reload that changes accounts.
    pub version: u64,
    /// The version in which each account changed last; those that never did are not in it.
    changed: BTreeMap<String, u64>,
}

impl Accounts {
    /// # Errors
    /// Settings of callbacks that do not fit.
    pub fn new(bound: &AccountBindings) -> Result<Self, Failure> {
        Ok(Accounts {
            channels: bound.channels().clone(),
            callbacks: callbacks(bound)?,
            version: 0,
            changed: BTreeMap::new(),
        })
    }

    /// The next version, in which some accounts are others.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn renewed(
        &self,
        bound: &AccountBindings,
        changed: &BTreeSet<String>,
    ) -> Result<Self, Failure> {
        let version = self.version + 1;
        let mut all = self.changed.clone();
        all.extend(changed.iter().map(|name| (name.clone(), version)));
        Ok(Accounts {
            version,
            changed: all,
            ..Self::new(bound)?
        })
    }

    /// The accounts that changed after a version.
    pub fn changed_since(&self, version: u64) -> BTreeSet<String> {
        self.changed
            .iter()
            .filter(|(_, changed)| **changed > version)
            .map(|(name, _)| name.clone())
            .collect()
    }
}

/// Those of the sandbox may be sent by whoever has the service's token.
fn callbacks(bound: &AccountBindings) -> Result<AllCallbacks, Failure> {
    let mut all = AllCallbacks::new();
    let sandbox = (
        "sandbox".to_owned(),
        AccountSettings::new("sandbox", "sandbox"),
    );
    for (name, settings) in std::iter::once((&sandbox.0, &sandbox.1)).chain(bound.settings()) {
        let at = |why: Msg| {
            Failure::new(Msg {
                en: format!("`[accounts.{name}]`: {}", why.en),
                zh: format!("`[accounts.{name}]`：{}", why.zh),
            })
        };
        all.extend(
            platforms::callbacks(settings)
                .map_err(at)?
                .map(|callbacks| (name.clone(), callbacks)),
        );
    }
    Ok(all)
}
