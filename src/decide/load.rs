//! What messages cost on a channel: calls or jobs, and the time that rate, quotas and the campaign's pace make
//! them take.

use crate::base::Elapsed;
use crate::base::value::group_digits;
use crate::program::platform::{
    self, Amount, AmountWord, CountingRule, Endpoint, HandOver, Holder, Per,
};
use crate::program::typed::{Campaign, ChannelName};

/// The fewest days that a month has.
const SHORTEST_MONTH: u64 = 28;

pub struct AccountLoad {
    /// Jobs on a channel that takes lists, else requests.
    pub calls: u64,
    pub lists: bool,
    /// From the first send to the last, at best.
    pub takes: Elapsed,
}

impl AccountLoad {
    /// For lists of users that get one text each, of one campaign if it is given.
    pub fn of(channel: &ChannelName, sizes: &[usize], campaign: Option<&Campaign>) -> Self {
        Self::at_pace(channel, sizes, campaign.and_then(|campaign| campaign.pace))
    }

    /// `pace` is in messages a minute.
    fn at_pace(channel: &ChannelName, sizes: &[usize], pace: Option<u32>) -> Self {
        let messages: u64 = sizes.iter().map(|n| *n as u64).sum();
        let endpoint = platform::endpoint(&channel.platform, &channel.endpoint);
        let (lists, together) = match endpoint.map(|e| e.hand_over) {
            Some(HandOver::List { max, .. }) => (true, max.map_or(u64::MAX, u64::from)),
            Some(HandOver::Single { together }) => (false, u64::from(together)),
            None => (false, 1),
        };
        let calls: u64 = sizes
            .iter()
            .map(|n| (*n as u64).div_ceil(together.max(1)))
            .sum();
        let by_platform = endpoint.map_or(Elapsed(0), |endpoint| takes(endpoint, messages, calls));
        let by_pace = pace.map_or(Elapsed(0), |n| {
            steadily(messages, u64::from(n), Per::Minute)
        });
        AccountLoad {
            calls,
            lists,
            takes: by_platform.max(by_pace),
        }
    }
}

/// In the unit that people would use.
pub fn about(length: Elapsed, zh: bool) -> String {
    let seconds = length.0 / Elapsed::seconds(1).0;
    let (n, en, cn) = match seconds {
        s if s < 120 => (s.max(1), "s", "秒"),
        s if s < 7200 => ((s + 59) / 60, "min", "分钟"),
        s if s < 172_800 => ((s + 3599) / 3600, "h", "小时"),
        s => ((s + 86_399) / 86_400, " days", "天"),
    };
    let n = group_digits(n.unsigned_abs());
    if zh {
        format!("{n}{cn}")
    } else {
        format!("{n}{en}")
    }
}

fn takes(endpoint: &Endpoint, messages: u64, calls: u64) -> Elapsed {
    let by_rate = endpoint
        .rate
        .map_or(Elapsed(0), |rate| steadily(calls, rate.n, rate.per));
    let by_quota = endpoint
        .quotas
        .iter()
        .filter(|quota| quota.of == Holder::Account)
        .map(|quota| {
            let units = match quota.counts {
                CountingRule::Messages => messages,
                CountingRule::Calls | CountingRule::Jobs => calls,
            };
            let n = match quota.n {
                Amount::Number(n) => n,
                Amount::Word(AmountWord::DaysOfMonth) => SHORTEST_MONTH,
            };
            // What one period does not take waits for the next one.
            times(
                length(quota.per),
                units.div_ceil(n.max(1)).saturating_sub(1),
            )
        });
    by_quota.fold(by_rate, Elapsed::max)
}

/// At so many a period, one after the other.
fn steadily(units: u64, n: u64, per: Per) -> Elapsed {
    let micros = u128::from(length(per).0.unsigned_abs()) * u128::from(units.saturating_sub(1))
        / u128::from(n.max(1));
    Elapsed(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn times(length: Elapsed, n: u64) -> Elapsed {
    Elapsed(
        length
            .0
            .saturating_mul(i64::try_from(n).unwrap_or(i64::MAX)),
    )
}

fn length(per: Per) -> Elapsed {
    match per {
        Per::Minute => Elapsed::minutes(1),
        Per::Hour => Elapsed::hours(1),
        Per::Day => Elapsed::hours(24),
        Per::Week => Elapsed::hours(7 * 24),
        Per::Month => Elapsed::hours(30 * 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(platform: &str, endpoint: &str) -> ChannelName {
        ChannelName {
            account: platform.into(),
            platform: platform.into(),
            endpoint: endpoint.into(),
        }
    }

    #[test]
    fn a_million_by_mass_send_is_a_hundred_jobs() {
        let load = AccountLoad::of(&channel("service_account", "mass"), &[1_000_000], None);
        assert_eq!((load.calls, load.lists), (100, true));
        assert!(load.takes < Elapsed::hours(24), "{}", load.takes);
        // One text more is one job more, and the account's quota of a day is used up.
        let load = AccountLoad::of(&channel("service_account", "mass"), &[1_000_000, 1], None);
        assert_eq!((load.calls, load.takes), (101, Elapsed::hours(24)));
    }

    #[test]
    fn pace_throttles() {
        let load = AccountLoad::at_pace(&channel("sandbox", "file"), &[601], Some(60));
        assert_eq!(load.takes, Elapsed::minutes(10));
    }
}
