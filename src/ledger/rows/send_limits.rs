//! What a campaign limits its send by, kept with each planned run: the program may have changed
//! when a segment is due.

use serde::{Deserialize, Serialize};

use crate::base::Instant;
use crate::ledger::rate_limit::RateLimit;
use crate::program::typed::Campaign;

/// A column of text (JSON) of a planned step.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::ledger) struct SendLimits {
    /// Messages a minute.
    pub pace: Option<u32>,
}

impl SendLimits {
    pub fn of(campaign: &Campaign) -> Self {
        SendLimits {
            pace: campaign.pace,
        }
    }

    /// The most messages of one segment. The follow-up of a segment comes after its last send:
    /// one that is sent slowly is short, so that nobody waits long for the others.
    pub fn segment_size(&self) -> usize {
        self.pace.map_or(usize::MAX, |pace| pace.max(1) as usize)
    }

    /// The campaign's own limit in the window that `now` is in.
    pub fn rate(&self, campaign: &str, now: Instant) -> Option<RateLimit> {
        let holder = || format!("campaign {campaign}");
        self.pace
            .map(|most| RateLimit::a_minute(holder(), most.into(), now))
    }

    /// As the column keeps it.
    pub fn text(&self) -> String {
        // Numbers only: nothing in it can fail to be JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From the column; what cannot be read limits nothing.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}
