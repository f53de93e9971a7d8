//! A history that is kept in memory: what a `test` block has sent so far.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use crate::base::{Bitmap, Date, Instant, UserNo, Zone};
use crate::decide::history::{CapScope, CapUsage, History};
use crate::eval::{MessageLog, OwnMessage, ReceiptStatus};
use crate::program::typed::{ChannelName, Purpose};

/// A message that was planned and, for a test, arrived.
#[derive(Clone, Debug)]
pub struct SimulatedMessage {
    pub user: UserNo,
    pub campaign: String,
    pub purpose: Purpose,
    /// 0 is the first message.
    pub step: usize,
    pub step_name: String,
    pub arm: Option<String>,
    pub template: String,
    pub channel: ChannelName,
    pub due: Instant,
    /// When it is sent.
    pub at: Instant,
    /// The value of the field that `again per` names.
    pub again_value: Option<String>,
}

pub struct SimulatedHistory {
    pub sent: Vec<SimulatedMessage>,
    pub zone: Zone,
}

impl SimulatedHistory {
    /// As events that conditions can ask about, up to an instant: sent, and nothing known of what
    /// came after.
    pub fn log(&self, until: Instant) -> MessageLog {
        let messages = self.sent.iter().filter(|s| s.at <= until).map(|s| {
            let mut receipts = [ReceiptStatus::Unknown; 7];
            receipts[0] = ReceiptStatus::Yes(s.at);
            OwnMessage {
                user: s.user,
                at: s.at,
                campaign: Arc::from(s.campaign.as_str()),
                step: Arc::from(s.step_name.as_str()),
                arm: s.arm.as_deref().map(Arc::from),
                template: Arc::from(s.template.as_str()),
                channel: Arc::from(s.channel.to_string()),
                receipts,
            }
        });
        MessageLog::new(messages.collect())
    }
}

impl History for SimulatedHistory {
    type Error = Infallible;

    fn opted_out(&self, users: usize) -> Result<Bitmap, Infallible> {
        Ok(Bitmap::none(users))
    }

    fn last_planned(&self, campaign: &str) -> Result<BTreeMap<UserNo, Instant>, Infallible> {
        let mut last: BTreeMap<UserNo, Instant> = BTreeMap::new();
        for s in self
            .sent
            .iter()
            .filter(|s| s.campaign == campaign && s.step == 0)
        {
            let at = last.entry(s.user).or_insert(s.due);
            *at = (*at).max(s.due);
        }
        Ok(last)
    }

    fn reached_values(&self, campaign: &str) -> Result<BTreeMap<UserNo, Vec<String>>, Infallible> {
        let mut reached: BTreeMap<UserNo, Vec<String>> = BTreeMap::new();
        for s in self
            .sent
            .iter()
            .filter(|s| s.campaign == campaign && s.step == 0)
        {
            reached
                .entry(s.user)
                .or_default()
                .extend(s.again_value.clone());
        }
        Ok(reached)
    }

    fn counted(
        &self,
        scope: &CapScope,
        from: Date,
        to: Date,
    ) -> Result<BTreeMap<UserNo, CapUsage>, Infallible> {
        let mut counted: BTreeMap<UserNo, CapUsage> = BTreeMap::new();
        for s in &self.sent {
            let day = self.zone.date(s.at);
            if scope.covers(&s.campaign, s.purpose, &s.channel) && from <= day && day <= to {
                let c = counted.entry(s.user).or_default();
                c.messages += 1;
                c.latest_campaign = s.campaign.clone();
            }
        }
        Ok(counted)
    }
}
