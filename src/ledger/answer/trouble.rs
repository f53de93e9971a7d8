//! What keeps messages from being sent, as the process that found it out says it: an account
//! that needs a person, a channel that takes nothing for a while, a campaign whose batch went
//! wrong. It is kept so that others can say it (`status`), and goes as soon as it is over.
//!
//! Nothing is decided by it: whoever runs tries by itself. Of several that say something of
//! the same, the last one counts.

use crate::ledger::access::core::LedgerReader;
use crate::ledger::access::views::Dispatcher;
use crate::ledger::sql::states::OPEN_SEGMENTS;
use crate::ledger::sql::{self, params};

use crate::base::Instant;
use crate::base::Msg;
use crate::ledger::error::LedgerError;
use crate::ledger::rows::projection::Projection;
use crate::ledger::rows::record::Record;
use crate::program::typed::ChannelName;

/// Why messages that are planned wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    pub account: String,
    /// `None`: all channels of the account.
    pub endpoint: Option<String>,
    /// `None`: all campaigns.
    pub campaign: Option<String>,
    pub needs_a_person: bool,
    /// When it is tried again; `None` where that depends on who runs.
    pub until: Option<Instant>,
    /// What happened, and what to do.
    pub why: Msg,
}

impl Trouble {
    /// Whether it keeps a campaign's messages from a channel.
    pub fn concerns(&self, campaign: &str, channel: &ChannelName) -> bool {
        self.account == channel.account
            && self
                .endpoint
                .as_ref()
                .is_none_or(|endpoint| *endpoint == channel.endpoint)
            && self.campaign.as_ref().is_none_or(|of| of == campaign)
    }

    /// Whether both are about the same: the later one takes the place of the other.
    pub fn is_of_the_same(&self, other: &Trouble) -> bool {
        self.key() == other.key()
    }

    /// As the tables have it, with nothing for `None`.
    fn key(&self) -> [&str; 3] {
        [
            &self.account,
            self.endpoint.as_deref().unwrap_or(""),
            self.campaign.as_deref().unwrap_or(""),
        ]
    }
}

impl LedgerReader {
    /// Why messages wait, and since when.
    ///
    /// # Errors
    /// When the ledger cannot be read; so for all of these.
    pub fn troubles(&self) -> Result<Vec<(Trouble, Instant)>, LedgerError> {
        let sql = "SELECT account, endpoint, campaign, person, until, en, zh, since FROM trouble ORDER BY account, endpoint, campaign";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            let one = |name: String| Some(name).filter(|name| !name.is_empty());
            let trouble = Trouble {
                account: row.get(0)?,
                endpoint: one(row.get(1)?),
                campaign: one(row.get(2)?),
                needs_a_person: row.get(3)?,
                until: row.get::<Option<i64>>(4)?.map(Instant),
                why: Msg {
                    en: row.get(5)?,
                    zh: row.get(6)?,
                },
            };
            Ok((trouble, Instant(row.get(7)?)))
        })?;
        Ok(rows.collect::<Result<_, sql::Error>>()?)
    }

    /// How many messages of each campaign are planned for each channel and not claimed.
    ///
    /// # Errors
    /// As [`Self::troubles`].
    pub fn planned(&self) -> Result<Vec<(String, ChannelName, i64)>, LedgerError> {
        let sql =
            format!("SELECT r.campaign, s.account, s.platform, s.endpoint, sum(s.size - s.claimed - s.displaced) FROM segment s JOIN run r USING (run)
            WHERE {OPEN_SEGMENTS} GROUP BY r.campaign, s.account, s.platform, s.endpoint
            ORDER BY r.campaign, s.account, s.platform, s.endpoint");
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map((), |row| {
            Ok((
                row.get(0)?,
                ChannelName {
                    account: row.get(1)?,
                    platform: row.get(2)?,
                    endpoint: row.get(3)?,
                },
                row.get(4)?,
            ))
        })?;
        Ok(rows.collect::<Result<_, sql::Error>>()?)
    }

    /// Whether anything is planned that a trouble keeps.
    ///
    /// # Errors
    /// As [`Self::troubles`].
    pub fn keeps_anything(&self, trouble: &Trouble) -> Result<bool, LedgerError> {
        let sql = format!("SELECT 1 FROM segment s JOIN run r USING (run) WHERE {OPEN_SEGMENTS} AND s.account = ?1
            AND ?2 IN ('', s.endpoint) AND ?3 IN ('', r.campaign) LIMIT 1");
        Ok(self.db.prepare_cached(sql)?.exists(trouble.key())?)
    }
}

impl Dispatcher<'_> {
    /// Keeps why messages wait.
    ///
    /// # Errors
    /// When the ledger cannot be written; so for all of these.
    pub fn trouble(&mut self, trouble: &Trouble, now: Instant) -> Result<(), LedgerError> {
        let [account, endpoint, campaign] = trouble.key().map(str::to_owned);
        let Trouble {
            needs_a_person,
            until,
            why,
            ..
        } = trouble;
        let (until, en, zh) = (until.map(|until| until.0), why.en.clone(), why.zh.clone());
        self.open.writer.commit(
            "trouble",
            now,
            &[],
            &[Record::Trouble {
                account,
                endpoint,
                campaign,
                needs_a_person: *needs_a_person,
                until,
                en,
                zh,
            }],
        )
    }

    /// A trouble is over.
    ///
    /// # Errors
    /// As [`Self::trouble`].
    pub fn trouble_over(&mut self, trouble: &Trouble, now: Instant) -> Result<(), LedgerError> {
        let [account, endpoint, campaign] = trouble.key().map(str::to_owned);
        match self.open.writer.commit(
            "trouble over",
            now,
            &[],
            &[Record::TroubleEnded {
                account,
                endpoint,
                campaign,
            }],
        ) {
            // Another process said so before.
            Err(LedgerError::Overtaken(_)) => Ok(()),
            other => other,
        }
    }
}

impl Projection<'_> {
    /// What continues, whatever is said of it, began when it was said first.
    pub(in crate::ledger) fn trouble(
        &self,
        (account, endpoint, campaign): (&str, &str, &str),
        (person, until): (bool, Option<i64>),
        (en, zh): (&str, &str),
        at: i64,
    ) -> Result<(), LedgerError> {
        self.run(
            "INSERT INTO trouble (account, endpoint, campaign, since, person, until, en, zh) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (account, endpoint, campaign)
             DO UPDATE SET person = excluded.person, until = excluded.until, en = excluded.en, zh = excluded.zh",
            params![account, endpoint, campaign, at, person, until, en, zh],
        )
    }
}
