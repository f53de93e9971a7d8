//! Telling the ledger why messages wait, for those who ask it. It is written when something
//! changes, never once a batch: what the ledger has is known here, and looked at anew now and then,
//! since other processes write to it, too.

use super::{DispatchLoop, HALTED_FOR, LedgerAccess};
use crate::base::Msg;
use crate::base::{Elapsed, Instant};
use crate::deliver::channel::{NextAction, Reply};

use crate::ledger::{BatchOutcome, Dispatching, LedgerError, Trouble, Verdict};
use crate::program::typed::ChannelName as Name;

/// How often it is looked what others have written.
const LOOK_EVERY: Elapsed = Elapsed::seconds(1);

/// What the ledger has, and what it is still to be told.
pub(super) struct Troubles {
    kept: Vec<Trouble>,
    looked: Instant,
    news: Vec<News>,
}

#[derive(Clone)]
enum News {
    Began(Trouble),
    /// A channel took messages of a campaign.
    Works(String, Name),
    /// What an account is bound to has changed.
    Rebound(String),
}

impl Troubles {
    pub fn new() -> Self {
        Troubles {
            kept: Vec::new(),
            looked: Instant(i64::MIN),
            news: Vec::new(),
        }
    }

    pub fn rebound(&mut self, account: &str) {
        self.news.push(News::Rebound(account.into()));
    }

    /// Notes what a reply says. `stopped`: why the campaign stops although its channel does not say
    /// so of itself.
    pub fn note(
        &mut self,
        campaign: &str,
        channel: &Name,
        reply: &Reply,
        stopped: Option<&Msg>,
        now: Instant,
    ) {
        let of_account = Trouble {
            account: channel.account.clone(),
            endpoint: None,
            campaign: None,
            needs_a_person: true,
            until: None,
            why: Msg {
                en: String::new(),
                zh: String::new(),
            },
        };
        let of_channel = Trouble {
            endpoint: Some(channel.endpoint.clone()),
            ..of_account.clone()
        };
        let worked =
            stopped.is_none() && reply.then == NextAction::GoOn && was_looked_at(&reply.answer);
        if worked
            && (!self.news.is_empty()
                || self
                    .kept
                    .iter()
                    .any(|trouble| trouble.concerns(campaign, channel)))
        {
            self.news
                .push(News::Works(campaign.into(), channel.clone()));
        }
        match &reply.then {
            NextAction::GoOn => {}
            NextAction::Wait { until, why } => {
                self.news.push(News::Began(Trouble {
                    needs_a_person: false,
                    until: Some(*until),
                    why: why.clone(),
                    ..of_channel.clone()
                }));
            }
            NextAction::Stop { why } => {
                self.news.push(News::Began(Trouble {
                    until: Some(now.plus(HALTED_FOR)),
                    why: why.clone(),
                    ..of_account
                }));
            }
        }
        if let Some(why) = stopped {
            self.news.push(News::Began(Trouble {
                campaign: Some(campaign.into()),
                why: why.clone(),
                ..of_channel
            }));
        }
    }
}

impl<D: LedgerAccess> DispatchLoop<D> {
    /// Tells the ledger what was noted.
    pub(super) fn tell_troubles(&mut self) -> Result<(), LedgerError> {
        let now = self.now();
        if now >= self.troubles.looked.plus(LOOK_EVERY) {
            self.look_at_troubles(now)?;
        }
        // What could not be told is told the next time.
        while let Some(news) = self.troubles.news.first().cloned() {
            match news {
                News::Began(trouble) => {
                    if !self.troubles.kept.contains(&trouble)
                        && self.access.ledger().reader().keeps_anything(&trouble)?
                    {
                        self.access.ledger().dispatcher().trouble(&trouble, now)?;
                        self.troubles
                            .kept
                            .retain(|kept| !kept.is_of_the_same(&trouble));
                        self.troubles.kept.push(trouble);
                    }
                }
                News::Works(campaign, channel) => {
                    self.end_troubles(|kept| kept.concerns(&campaign, &channel), now)?
                }
                News::Rebound(account) => self.end_troubles(|kept| kept.account == account, now)?,
            }
            self.troubles.news.remove(0);
        }
        Ok(())
    }

    /// Ends what keeps nothing any more: what was planned has expired, was taken back, or went by
    /// another way.
    pub(super) fn end_idle_troubles(&mut self) -> Result<(), LedgerError> {
        let now = self.now();
        for trouble in self.troubles.kept.clone() {
            if !self.access.ledger().reader().keeps_anything(&trouble)? {
                self.end_troubles(|kept| *kept == trouble, now)?;
            }
        }
        Ok(())
    }

    fn end_troubles(
        &mut self,
        over: impl Fn(&Trouble) -> bool,
        now: Instant,
    ) -> Result<(), LedgerError> {
        while let Some(i) = self.troubles.kept.iter().position(&over) {
            let trouble = self.troubles.kept.swap_remove(i);
            if let Err(error) = self
                .access
                .ledger()
                .dispatcher()
                .trouble_over(&trouble, now)
            {
                self.troubles.kept.push(trouble);
                return Err(error);
            }
        }
        Ok(())
    }

    fn look_at_troubles(&mut self, now: Instant) -> Result<(), LedgerError> {
        self.troubles.kept = self
            .access
            .ledger()
            .reader()
            .troubles()?
            .into_iter()
            .map(|(trouble, _)| trouble)
            .collect();
        self.troubles.looked = now;
        Ok(())
    }
}

/// Whether a platform looked at any message of a batch, so that account and channel are as they
/// should be.
fn was_looked_at(answer: &BatchOutcome) -> bool {
    match answer {
        BatchOutcome::Taken(verdicts) => verdicts.iter().any(|v| {
            matches!(
                v,
                Verdict::Accepted { .. } | Verdict::Waiting { .. } | Verdict::Refused { .. }
            )
        }),
        BatchOutcome::Refused { .. }
        | BatchOutcome::Unknown { .. }
        | BatchOutcome::NotSent { .. } => false,
    }
}
