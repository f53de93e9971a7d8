//! The instants of a schedule, in the policy's zone. Clock changes neither lose nor double an instant: a skipped local time is the first
//! instant after the gap, one that happens twice is the first.

use crate::base::{Date, Instant, TimeOfDay, Zone};
use crate::program::typed::{Every, EveryPeriod, Once};

/// A schedule whose next day is further away than this has none: a 31 February, or an `until` long past.
const HORIZON_DAYS: i32 = 4 * 366 + 1;

/// The instant of a one-off schedule when it is first applied at `now`.
pub fn fix_once(once: Once, zone: Zone, now: Instant) -> Instant {
    match once {
        Once::Now => now,
        Once::At(date, time) => zone.instant(date, time),
        Once::TimeOfDay(time) => {
            let today = zone.date(now);
            let at = zone.instant(today, time);
            if at >= now { at } else { zone.instant(today.plus_days(1), time) }
        }
    }
}

/// The first instant of a recurring schedule after `after`; `None` when there is none any more.
pub fn next_due(every: &Every, zone: Zone, after: Instant) -> Option<Instant> {
    let mut day = zone.date(after);
    if let Some(from) = every.from {
        day = day.max(from);
    }
    // A day before: a gap at midnight can carry yesterday's last instant into today.
    day = day.plus_days(-1);
    for _ in 0..HORIZON_DAYS {
        if every.until.is_some_and(|until| day > until) {
            return None;
        }
        if every.from.is_none_or(|from| day >= from) && is_day(every, day) {
            let due = times(&every.period).into_iter().map(|t| zone.instant(day, t)).filter(|at| *at > after).min();
            if due.is_some() {
                return due;
            }
        }
        day = day.plus_days(1);
    }
    None
}

/// All instants after `after` up to `until`, at most `limit`.
pub fn dues_between(every: &Every, zone: Zone, after: Instant, until: Instant, limit: usize) -> Vec<Instant> {
    let mut out = Vec::new();
    let mut at = after;
    while out.len() < limit {
        match next_due(every, zone, at) {
            Some(due) if due <= until => {
                out.push(due);
                at = due;
            }
            _ => break,
        }
    }
    out
}

fn is_day(every: &Every, day: Date) -> bool {
    match &every.period {
        EveryPeriod::Day { .. } | EveryPeriod::Hour { .. } => true,
        EveryPeriod::Weekdays { days, .. } => days.contains(&day.weekday()),
        EveryPeriod::Month { days, last, .. } => days.contains(&day.day()) || (*last && day == day.month_end()),
        EveryPeriod::Days { n, .. } => {
            let since = i64::from(day.0) - i64::from(every.from.map_or(day.0, |f| f.0));
            *n > 0 && since >= 0 && since % i64::from(*n) == 0
        }
    }
}

fn times(period: &EveryPeriod) -> Vec<TimeOfDay> {
    match period {
        EveryPeriod::Day { at } | EveryPeriod::Weekdays { at, .. } | EveryPeriod::Month { at, .. } | EveryPeriod::Days { at, .. } => {
            vec![*at]
        }
        EveryPeriod::Hour { from, to } => (from.0..=to.0).step_by(3600).map(TimeOfDay).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn time(text: &str) -> TimeOfDay {
        text.parse().unwrap()
    }

    fn every(period: EveryPeriod) -> Every {
        Every { period, from: None, until: None }
    }

    fn shown(every: &Every, zone: Zone, from: &str, n: usize) -> Vec<String> {
        let after = zone.parse_instant(from).unwrap();
        dues_between(every, zone, after, Instant(i64::MAX), n).into_iter().map(|i| zone.show(i)).collect()
    }

    #[test]
    fn months_skip_days_they_lack() {
        let e = every(EveryPeriod::Month { days: vec![31], last: false, at: time("9:00") });
        assert_eq!(shown(&e, Zone::SHANGHAI, "2027-01-31 09:00", 2), ["2027-03-31 09:00", "2027-05-31 09:00"]);
        let e = every(EveryPeriod::Month { days: vec![1], last: true, at: time("9:00") });
        assert_eq!(shown(&e, Zone::SHANGHAI, "2027-02-01 09:00", 2), ["2027-02-28 09:00", "2027-03-01 09:00"]);
    }

    #[test]
    fn every_few_days_counts_from_its_day() {
        let e =
            Every { period: EveryPeriod::Days { n: 3, at: time("9:00") }, from: Some(day("2026-11-01")), until: Some(day("2026-11-08")) };
        assert_eq!(shown(&e, Zone::SHANGHAI, "2026-10-01", 9), ["2026-11-01 09:00", "2026-11-04 09:00", "2026-11-07 09:00"]);
    }

    #[test]
    fn a_clock_change_neither_loses_nor_doubles() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let e = every(EveryPeriod::Day { at: time("2:30") });
        assert_eq!(shown(&e, berlin, "2027-03-27 12:00", 2), ["2027-03-28 03:00", "2027-03-29 02:30"]);
        assert_eq!(shown(&e, berlin, "2027-10-30 12:00", 2), ["2027-10-31 02:30", "2027-11-01 02:30"]);
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let z = Zone::SHANGHAI;
        let fix = |now: &str| z.show(fix_once(Once::TimeOfDay(time("10:00")), z, z.parse_instant(now).unwrap()));
        assert_eq!(fix("2026-11-11 09:00"), "2026-11-11 10:00");
        assert_eq!(fix("2026-11-11 10:00"), "2026-11-11 10:00");
        assert_eq!(fix("2026-11-11 10:01"), "2026-11-12 10:00");
    }

    proptest! {
        /// Against a look at every minute of some days, with zones that change their clocks.
        #[test]
        fn agrees_with_a_look_at_every_minute(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            start in 20_530i32..20_900,
            kind in 0..4u8,
            hour in 0..24u32,
            n in 1..4u32,
        ) {
            let zone = Zone::named(zone).unwrap();
            let at = TimeOfDay::hms(hour, 30, 0).unwrap();
            let from = Date(start);
            let period = match kind {
                0 => EveryPeriod::Day { at },
                1 => EveryPeriod::Weekdays { days: vec![n, n + 3], at },
                2 => EveryPeriod::Days { n, at },
                _ => EveryPeriod::Hour { from: TimeOfDay::hms(7, 0, 0).unwrap(), to: TimeOfDay::hms(9 + hour % 10, 0, 0).unwrap() },
            };
            let e = Every { period, from: Some(from), until: Some(from.plus_days(5)) };
            let begin = Instant(zone.start_of(from).0 - 1);
            let got = dues_between(&e, zone, begin, Instant(i64::MAX), 1000);
            // Every minute's local date and time, the first of those that repeat.
            let mut expected = Vec::new();
            for d in 0..=5 {
                let day = from.plus_days(d);
                if !is_day(&e, day) { continue }
                for t in times(&e.period) {
                    let mut minute = zone.start_of(day.plus_days(-1)).0;
                    while (zone.date(Instant(minute)), zone.time(Instant(minute))) < (day, t) { minute += 60_000_000; }
                    expected.push(Instant(minute));
                }
            }
            expected.sort();
            expected.dedup();
            prop_assert_eq!(got, expected);
        }
    }
}
