//! What an account may send in a window of time, as its platform file says: reserved in the
//! ledger with each claim, so that workers share it and a crash gives nothing back.

use crate::base::{Date, Elapsed, Instant, Zone};
use crate::ledger::RateLimit;
use crate::program::platform::{
    self, Amount, AmountWord, CountingRule, Endpoint, HandOver, Holder, Per,
};
use crate::program::typed::ChannelName;

/// The limits of an endpoint's account in the windows that `now` is in.
pub fn limits(endpoint: &Endpoint, channel: &ChannelName, now: Instant) -> Vec<RateLimit> {
    let zone = platform::find(&channel.platform)
        .and_then(|p| Zone::named(&p.zone))
        .unwrap_or(Zone::UTC);
    let together = match endpoint.hand_over {
        HandOver::List { .. } => i64::MAX,
        HandOver::Single { together } => i64::from(together),
    };
    let limit = |what: &str, n: u64, per: Per, unit: i64| {
        let (starts, ends) = window(per, zone, now);
        let holder = format!("{channel} {what} a {}", per_name(per));
        RateLimit {
            holder,
            most: i64::try_from(n).unwrap_or(i64::MAX),
            unit,
            starts,
            ends,
        }
    };
    let rate = endpoint
        .rate
        .map(|rate| limit("calls", rate.n, rate.per, together));
    let quotas = endpoint
        .quotas
        .iter()
        .filter(|quota| quota.of == Holder::Account)
        .map(|quota| {
            let n = match quota.n {
                Amount::Number(n) => n,
                Amount::Word(AmountWord::DaysOfMonth) => days_of_month(zone.date(now)),
            };
            match quota.counts {
                CountingRule::Messages => limit("messages", n, quota.per, 1),
                CountingRule::Calls => limit("calls", n, quota.per, together),
                CountingRule::Jobs => limit("jobs", n, quota.per, together),
            }
        });
    rate.into_iter().chain(quotas).collect()
}

fn days_of_month(day: Date) -> u64 {
    u64::from((day.month_end().0 - day.month_start().0).unsigned_abs()) + 1
}

fn per_name(per: Per) -> &'static str {
    match per {
        Per::Minute => "minute",
        Per::Hour => "hour",
        Per::Day => "day",
        Per::Week => "week",
        Per::Month => "month",
    }
}

/// The window of the platform's calendar that an instant is in.
fn window(per: Per, zone: Zone, now: Instant) -> (Instant, Instant) {
    let span = |length: Elapsed| {
        let starts = Instant(now.0 - now.0.rem_euclid(length.0));
        (starts, starts.plus(length))
    };
    let today = zone.date(now);
    match per {
        Per::Minute => span(Elapsed::minutes(1)),
        Per::Hour => span(Elapsed::hours(1)),
        Per::Day => (zone.start_of(today), zone.start_of(today.plus_days(1))),
        Per::Week => (
            zone.start_of(today.week_start()),
            zone.start_of(today.week_start().plus_days(7)),
        ),
        Per::Month => (
            zone.start_of(today.month_start()),
            zone.start_of(today.month_end().plus_days(1)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_platform() {
        let zone = Zone::SHANGHAI;
        let at = |text: &str| zone.parse_instant(text).unwrap();
        let now = at("2026-02-28 23:59:30");
        assert_eq!(
            window(Per::Minute, zone, now),
            (at("2026-02-28 23:59"), at("2026-03-01 00:00"))
        );
        assert_eq!(
            window(Per::Day, zone, now),
            (at("2026-02-28 00:00"), at("2026-03-01 00:00"))
        );
        assert_eq!(
            window(Per::Month, zone, now),
            (at("2026-02-01 00:00"), at("2026-03-01 00:00"))
        );
        let channel = ChannelName {
            account: "rose".into(),
            platform: "service_account".into(),
            endpoint: "mass".into(),
        };
        let found = limits(
            platform::endpoint("service_account", "mass").unwrap(),
            &channel,
            now,
        );
        assert!(
            found
                .iter()
                .any(|l| l.holder == "rose.mass jobs a day" && l.unit == i64::MAX),
            "{found:?}"
        );
    }
}
