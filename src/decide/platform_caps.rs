//! What platforms take for one user in a day, a week or a month of their own calendar. The
//! platform files say how many; limits per minute or per hour are left to the platform.
//!
//! When exactly a platform counts a message is up to it: one that is to be sent in the last
//! hour of a period counts in the next one, too.

use std::collections::BTreeMap;

use crate::base::{Date, Elapsed, Instant, Zone};
use crate::program::platform::{self, Amount, AmountWord, Endpoint, Holder, Per, Quota};
use crate::program::typed::ChannelName;

/// Accounts that are bound to real platforms, each with how many messages a period its users get
/// from it by other hands.
pub type ForeignUse = BTreeMap<String, u32>;

/// The end of a period that counts in the next one, too.
const LAST: Elapsed = Elapsed::hours(1);

/// What a platform still takes for a user in one period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlatformCap {
    pub n: u32,
    /// Messages from then on count in it, up to (but not at) its end.
    pub from: Instant,
    pub until: Instant,
    /// As the ledger keeps it: `service_account.mass 4 per month`.
    pub name: String,
}

/// The platform's own caps for a message that is to be sent at an instant; none where its
/// account is not bound.
pub fn caps(channel: &ChannelName, at: Instant, foreign: &ForeignUse) -> Vec<PlatformCap> {
    let Some((endpoint, foreign)) =
        platform::endpoint(&channel.platform, &channel.endpoint).zip(foreign.get(&channel.account))
    else {
        return Vec::new();
    };
    let zone = zone_of(&channel.platform);
    let mut caps = Vec::new();
    for quota in of_user(endpoint) {
        let Some((first, next)) = period(quota.per, zone.date(at)) else {
            continue;
        };
        add(&mut caps, channel, quota, zone, first, *foreign);
        if at >= zone.start_of(next).minus(LAST) {
            add(&mut caps, channel, quota, zone, next, *foreign);
        }
    }
    caps
}

/// The platform's day that an instant falls on, where it counts messages of one user by days or
/// longer.
pub fn day(channel: &ChannelName, at: Instant) -> Option<Date> {
    let endpoint = platform::endpoint(&channel.platform, &channel.endpoint)?;
    of_user(endpoint)
        .any(|quota| period(quota.per, Date(0)).is_some())
        .then(|| zone_of(&channel.platform).date(at))
}

/// Where the platform's day of an instant begins, likewise.
pub fn start_of_day(channel: &ChannelName, at: Instant) -> Option<Instant> {
    day(channel, at).map(|day| zone_of(&channel.platform).start_of(day))
}

/// Whether who has a slot is not a campaign but a platform's cap, as [`PlatformCap::name`] says.
/// (Campaigns have no blanks in their names.)
pub fn is_cap(winner: &str) -> bool {
    winner.contains(' ')
}

fn add(
    caps: &mut Vec<PlatformCap>,
    channel: &ChannelName,
    quota: &Quota,
    zone: Zone,
    first: Date,
    foreign: u32,
) {
    let Some((first, next)) = period(quota.per, first) else {
        return;
    };
    let n = match quota.n {
        Amount::Number(n) => u32::try_from(n).unwrap_or(u32::MAX),
        Amount::Word(AmountWord::DaysOfMonth) => first.month_end().day(),
    };
    let from = zone.start_of(first).minus(LAST);
    let name = format!("{channel} {n} per {}", quota.per.words().en);
    caps.push(PlatformCap {
        n: n.saturating_sub(foreign),
        from,
        until: zone.start_of(next),
        name,
    });
}

fn of_user(endpoint: &Endpoint) -> impl Iterator<Item = &Quota> {
    endpoint
        .quotas
        .iter()
        .filter(|quota| quota.of == Holder::User)
}

/// The first day of the period that holds a day, and that of the next one; `None` of those that are
/// shorter than a day.
fn period(per: Per, day: Date) -> Option<(Date, Date)> {
    match per {
        Per::Minute | Per::Hour => None,
        Per::Day => Some((day, day.plus_days(1))),
        Per::Week => Some((day.week_start(), day.week_start().plus_days(7))),
        Per::Month => Some((day.month_start(), day.month_end().plus_days(1))),
    }
}

fn zone_of(platform: &str) -> Zone {
    platform::find(platform)
        .and_then(|platform| Zone::named(&platform.zone))
        .unwrap_or(Zone::UTC)
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

    fn named(channel: &ChannelName, at: &str, foreign: u32) -> Vec<(u32, String)> {
        let foreign = ForeignUse::from([(channel.account.clone(), foreign)]);
        let caps = caps(channel, Zone::SHANGHAI.parse_instant(at).unwrap(), &foreign);
        caps.into_iter()
            .map(|cap| {
                (
                    cap.n,
                    format!(
                        "{} {}",
                        Zone::SHANGHAI.show(cap.from),
                        Zone::SHANGHAI.show(cap.until)
                    ),
                )
            })
            .collect()
    }

    #[test]
    fn periods_are_the_platforms() {
        let mass = channel("service_account", "mass");
        let november = |n| (n, "2026-10-31 23:00 2026-12-01 00:00".to_owned());
        let december = |n| (n, "2026-11-30 23:00 2027-01-01 00:00".to_owned());
        assert_eq!(named(&mass, "2026-11-11 10:00", 0), [november(4)]);
        assert_eq!(named(&mass, "2026-11-30 22:59", 1), [november(3)]);
        assert_eq!(
            named(&mass, "2026-11-30 23:00", 0),
            [november(4), december(4)]
        );
        assert_eq!(named(&mass, "2026-12-01 00:00", 9), [december(0)]);
        let week = named(&channel("alipay", "broadcast"), "2026-11-11 10:00", 0);
        assert_eq!(week, [(1, "2026-11-08 23:00 2026-11-16 00:00".to_owned())]);
        let days = named(&channel("wecom", "group"), "2026-11-30 23:30", 0);
        assert_eq!(days.iter().map(|(n, _)| *n).collect::<Vec<_>>(), [30, 31]);
        assert_eq!(caps(&mass, Instant(0), &ForeignUse::new()), []);
        assert_eq!(named(&channel("wecom", "app"), "2026-11-30 23:30", 0), []);
    }
}
