//! What deciding must know of the past. The ledger answers it; tests answer it from a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::{Bitmap, Date, Instant, UserNo};
use crate::program::platform::ContactKind;
use crate::program::typed::{Cap, ChannelName, Purpose};

/// Which messages a cap counts: those for which all that is said holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CapScope {
    /// Only messages of this campaign; `None` counts all campaigns.
    pub campaign: Option<String>,
    /// Only messages of this purpose (a cap inside `for PURPOSE`); `None` counts all purposes.
    pub purpose: Option<Purpose>,
    /// Only messages of this channel.
    pub channel: Option<ChannelName>,
}

impl CapScope {
    /// Of a cap in the policy; `purpose` when it stands inside `for PURPOSE`.
    pub fn of_policy(cap: &Cap, purpose: Option<Purpose>) -> Self {
        CapScope {
            campaign: None,
            purpose,
            channel: cap.channel.clone(),
        }
    }

    pub fn of_campaign(cap: &Cap, campaign: &str) -> Self {
        CapScope {
            campaign: Some(campaign.into()),
            purpose: None,
            channel: cap.channel.clone(),
        }
    }

    /// Whether a message of this campaign, its purpose and a channel counts.
    pub fn covers(&self, campaign: &str, purpose: Purpose, channel: &ChannelName) -> bool {
        self.campaign.as_ref().is_none_or(|c| c == campaign)
            && self.purpose.is_none_or(|p| p == purpose)
            && self.channel.as_ref().is_none_or(|c| c == channel)
    }
}

/// The messages of one user that a cap counts in one period.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CapUsage {
    pub messages: u32,
    /// The campaign of the latest of them.
    pub latest_campaign: String,
}

/// Messages that are planned and that nobody has begun to send: a more important message may
/// take their slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMessages {
    /// Where the ledger keeps them.
    pub segment: i64,
    pub campaign: String,
    pub template: String,
    pub purpose: Purpose,
    pub channel: ChannelName,
    /// The day that they count on.
    pub day: Date,
    pub not_before: Instant,
    /// With what it has risen by waiting.
    pub priority: i64,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Unclaimed {
    pub standing: Arc<PendingMessages>,
    /// In the segment.
    pub place: u32,
}

/// Users whom nothing reaches at the address that they had on an account: a platform refused a
/// message for it, and they have given no sign of life since.
#[derive(Clone, Debug, Default)]
pub struct BlockedAddresses {
    salt: Arc<str>,
    /// By number, each with a digest of the address.
    users: Vec<(UserNo, i64)>,
}

impl BlockedAddresses {
    pub fn new(salt: &str, mut users: Vec<(UserNo, i64)>) -> Self {
        users.sort_unstable();
        BlockedAddresses {
            salt: salt.into(),
            users,
        }
    }

    /// What is kept of an address.
    pub fn digest(salt: &str, address: &str) -> i64 {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(salt.as_bytes())
            .update(b"\n")
            .update(address.as_bytes());
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        i64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Another address of the same user is not barred.
    pub fn holds(&self, user: UserNo, address: &str) -> bool {
        let found = self
            .users
            .binary_search_by_key(&user, |(user, _)| *user)
            .ok()
            .and_then(|at| self.users.get(at));
        found.is_some_and(|(_, digest)| *digest == BlockedAddresses::digest(&self.salt, address))
    }
}

/// A user who did something on an account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LastContact {
    pub user: UserNo,
    /// The last time; of what adds up the first time that is not used up.
    pub since: Instant,
    /// How often since then, where each time counts; 0 where a platform said that it counts no
    /// more.
    pub n: u32,
}

/// The past, up to the moment of deciding.
pub trait History {
    /// An error of the ledger's storage.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Users who said that they want no messages.
    ///
    /// # Errors
    /// Those of the storage; so for all of these.
    fn opted_out(&self, users: usize) -> Result<Bitmap, Self::Error>;

    /// The due time of each user's last message of this campaign's first step that was planned and
    /// is not failed, expired or recalled.
    fn last_planned(&self, campaign: &str) -> Result<BTreeMap<UserNo, Instant>, Self::Error>;

    /// Values of the trigger field for which a user was already messaged (`again per event.field`).
    fn reached_values(&self, campaign: &str) -> Result<BTreeMap<UserNo, Vec<String>>, Self::Error>;

    /// Messages whose planned send (`not_before` of their group) is from the first to the last
    /// day (policy zone, both included) and that count: planned on, not failed, expired or
    /// recalled.
    fn counted(
        &self,
        scope: &CapScope,
        from: Date,
        to: Date,
    ) -> Result<BTreeMap<UserNo, CapUsage>, Self::Error>;

    /// Users whom an account does not reach any more; of all, or of these few. Nobody where no
    /// platform refuses anything.
    fn barred(
        &self,
        account: &str,
        few: Option<&[UserNo]>,
    ) -> Result<BlockedAddresses, Self::Error> {
        let _ = (account, few);
        Ok(BlockedAddresses::default())
    }

    /// Who did something on an account, by number; `topic` is what was subscribed to, else empty;
    /// after an instant, of all or of few, where that is given. `None` where nobody was ever told
    /// to have done so.
    fn contacts(
        &self,
        account: &str,
        kind: ContactKind,
        topic: &str,
        after: Option<Instant>,
        few: Option<&[UserNo]>,
    ) -> Result<Option<Vec<LastContact>>, Self::Error> {
        let _ = (account, kind, topic, after, few);
        Ok(None)
    }

    /// Messages that count, on a channel, with their planned send, from an instant on: sorted.
    fn sent_since(
        &self,
        channel: &ChannelName,
        from: Instant,
    ) -> Result<Vec<(UserNo, Instant)>, Self::Error> {
        let _ = (channel, from);
        Ok(Vec::new())
    }

    /// Messages that count, on a channel (of a template, where one is given), with their send,
    /// planned or, where that was later, begun; from an instant on, of all or of few: sorted.
    fn through_since(
        &self,
        channel: &ChannelName,
        template: Option<&str>,
        from: Instant,
        few: Option<&[UserNo]>,
    ) -> Result<Vec<(UserNo, Instant)>, Self::Error> {
        let _ = (channel, template, from, few);
        Ok(Vec::new())
    }

    /// What of these users' messages is planned and not claimed, and has a lower priority than
    /// `below` at `now`. Nobody's where nothing waits between being planned and being sent.
    fn unclaimed(
        &self,
        users: &Bitmap,
        below: i64,
        now: Instant,
    ) -> Result<BTreeMap<UserNo, Vec<Unclaimed>>, Self::Error> {
        let _ = (users, below, now);
        Ok(BTreeMap::new())
    }
}

/// Nothing has happened yet.
pub struct NoHistory;

impl History for NoHistory {
    type Error = std::convert::Infallible;

    fn opted_out(&self, users: usize) -> Result<Bitmap, Self::Error> {
        Ok(Bitmap::none(users))
    }

    fn last_planned(&self, _: &str) -> Result<BTreeMap<UserNo, Instant>, Self::Error> {
        Ok(BTreeMap::new())
    }

    fn reached_values(&self, _: &str) -> Result<BTreeMap<UserNo, Vec<String>>, Self::Error> {
        Ok(BTreeMap::new())
    }

    fn counted(
        &self,
        _: &CapScope,
        _: Date,
        _: Date,
    ) -> Result<BTreeMap<UserNo, CapUsage>, Self::Error> {
        Ok(BTreeMap::new())
    }
}
