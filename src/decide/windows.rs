//! Channels that are open for a user only after he did something: for a while, for so many
//! messages, or both. The platform files say which.
//!
//! What users did is known from the callbacks of the platforms. Of an account that has never told
//! of any such thing nothing is known: there the platform's own refusal has to do. So it has where
//! something opens a channel for good: who did that before anybody listened, nobody knows.

use std::cmp::Reverse;

use super::history::{History, LastContact, PendingMessages};
use crate::base::{Bitmap, Instant, UserNo};
use crate::program::platform::{self, Contact, ContactKind};
use crate::program::typed::{ChannelName, PartKind, Piece, Template};

/// How one of the things that open a channel stands for a user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowState {
    /// For so many messages; `None`: for as many as one likes.
    Open(Option<WindowQuota>),
    /// It was open until then.
    ClosedAt(Instant),
    /// All messages that it allows since then are used up.
    UsedUp(Instant),
    /// The platform said so, of what was done then.
    Shut(Instant),
}

/// For whom a channel is open.
#[derive(Clone, Debug)]
pub struct OpenWindows {
    pub users: Bitmap,
    /// What is left to those who have a limit, by user; of those for whom it is not open nothing.
    left: Vec<(UserNo, WindowQuota)>,
}

/// What is left to a user who did something that opens a channel for so many messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WindowQuota {
    pub messages: u32,
    /// Messages from then on count.
    pub since: Instant,
}

impl OpenWindows {
    /// Whether anybody who is let through has a limit.
    pub fn is_limited(&self) -> bool {
        self.left.iter().any(|(user, _)| self.users.contains(*user))
    }

    /// What is left to a user; `None` without a limit.
    pub fn left(&self, user: UserNo) -> Option<WindowQuota> {
        let place = self.left.binary_search_by_key(&user, |(of, _)| *of).ok()?;
        self.left.get(place).map(|(_, left)| *left)
    }

    /// Those of the users for whom it would be open if others had not used it up.
    pub fn used_up(&self, among: &Bitmap) -> Bitmap {
        let used_up = self
            .left
            .iter()
            .filter(|(user, left)| left.messages == 0 && among.contains(*user));
        Bitmap::from_users(among.len(), used_up.map(|(user, _)| *user))
    }

    /// Whether somebody is let through who has nothing left.
    pub fn wants_room(&self) -> bool {
        self.left
            .iter()
            .any(|(user, left)| left.messages == 0 && self.users.contains(*user))
    }
}

/// A message that is to go by a channel.
pub struct PlannedMessage<'a> {
    pub channel: &'a ChannelName,
    pub template: &'a Template,
    /// When it is to be sent.
    pub at: Instant,
}

impl PlannedMessage<'_> {
    /// What may open the channel; nothing where it is always open.
    pub fn rules(&self) -> &'static [Contact] {
        platform::endpoint(&self.channel.platform, &self.channel.endpoint)
            .map_or(&[], |endpoint| &endpoint.contacts)
    }

    /// Whether each message opens the channel for those of its template alone.
    pub fn is_by_template(&self) -> bool {
        self.rules().iter().any(|rule| rule.by.adds_up())
    }

    /// Whether a message that is planned already goes through the same window of its user.
    pub fn shares(&self, left: WindowQuota, standing: &PendingMessages) -> bool {
        standing.channel == *self.channel
            && standing.not_before >= left.since
            && (!self.is_by_template() || standing.template == self.template.declared.name)
    }

    /// Those of the users for whom the channel is open; `None` where nothing is known.
    ///
    /// # Errors
    /// Those of the history; so for all of these.
    pub fn open<H: History>(
        &self,
        history: &H,
        users: &Bitmap,
        few: Option<&[UserNo]>,
    ) -> Result<Option<OpenWindows>, H::Error> {
        let (lasting, others): (Vec<&Contact>, Vec<&Contact>) =
            self.rules().iter().partition(|rule| rule.lasts());
        let mut open = if lasting.is_empty() {
            Bitmap::none(users.len())
        } else {
            Bitmap::all(users.len())
        };
        // By user, what the rules that limit it leave; and who is open without a limit.
        let (mut left, mut is_known) = (Vec::new(), false);
        let mut free = if lasting.is_empty() {
            Bitmap::none(users.len())
        } else {
            Bitmap::all(users.len())
        };
        for rule in lasting.into_iter().chain(others) {
            // What has ended is not looked at.
            let after = rule.within.map(|within| self.at.minus(within));
            let Some(doors) = self.doors(rule, after, history, few)? else {
                continue;
            };
            is_known = true;
            for (user, door) in doors {
                match door {
                    WindowState::Open(None) => {
                        open.insert(user);
                        free.insert(user);
                    }
                    WindowState::Open(Some(limit)) => {
                        open.insert(user);
                        left.push((user, limit));
                    }
                    WindowState::ClosedAt(_) | WindowState::UsedUp(_) | WindowState::Shut(_)
                        if rule.lasts() =>
                    {
                        open.remove(user);
                        free.remove(user);
                    }
                    WindowState::UsedUp(since) => {
                        left.push((user, WindowQuota { messages: 0, since }))
                    }
                    WindowState::ClosedAt(_) | WindowState::Shut(_) => {}
                }
            }
        }
        left.retain(|(user, _)| !free.contains(*user));
        // Of several rules the most generous one counts.
        left.sort_unstable_by_key(|(user, left)| (*user, Reverse(left.messages), left.since));
        left.dedup_by_key(|(user, _)| *user);
        Ok(is_known.then_some(OpenWindows { users: open, left }))
    }

    /// How a rule stands for those who did what it asks for (after an instant, where that is
    /// given); `None` where nobody is known to have done it.
    pub fn doors<H: History>(
        &self,
        rule: &Contact,
        after: Option<Instant>,
        history: &H,
        few: Option<&[UserNo]>,
    ) -> Result<Option<Vec<(UserNo, WindowState)>>, H::Error> {
        let topic = if rule.by == ContactKind::Subscription {
            platform_id(self.template)
        } else {
            ""
        };
        let Some(contacted) =
            history.contacts(&self.channel.account, rule.by, topic, after, few)?
        else {
            return Ok(None);
        };
        let since = contacted.iter().map(|c| c.since).min();
        let used = match (rule.messages, since) {
            (Some(_), Some(since)) => {
                // What adds up is for messages of its template alone.
                let template = rule
                    .by
                    .adds_up()
                    .then_some(self.template.declared.name.as_str());
                history.through_since(self.channel, template, since, few)?
            }
            (None, _) | (_, None) => Vec::new(),
        };
        let door = |c: LastContact| {
            let closes = rule.within.map(|within| c.since.plus(within));
            let left = rule.messages.map(|messages| {
                messages
                    .saturating_mul(c.n)
                    .saturating_sub(since_then(&used, c))
            });
            let door = match (closes, left) {
                (Some(closes), _) if closes <= self.at => WindowState::ClosedAt(closes),
                _ if c.n == 0 => WindowState::Shut(c.since),
                (_, Some(0)) => WindowState::UsedUp(c.since),
                (_, left) => WindowState::Open(left.map(|messages| WindowQuota {
                    messages,
                    since: c.since,
                })),
            };
            (c.user, door)
        };
        Ok(Some(contacted.into_iter().map(door).collect()))
    }
}

/// How many of the messages, sorted, went to a user since the instant.
fn since_then(used: &[(UserNo, Instant)], c: LastContact) -> u32 {
    let from = used.partition_point(|one| *one < (c.user, c.since));
    let to = used.partition_point(|(user, _)| *user <= c.user);
    u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX)
}

/// By which id the platform knows a template; the checker lets it hold nothing but text.
fn platform_id(template: &Template) -> &str {
    let part = template
        .parts
        .iter()
        .find(|part| part.kind == PartKind::Platform);
    match part.map(|part| &part.text.pieces[..]) {
        Some([Piece::Text(id)]) => id,
        _ => "",
    }
}
