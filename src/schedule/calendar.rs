//! The instants of a schedule, in the policy's zone. Clock changes neither lose nor double an
//! instant: a skipped local time is the first instant after the gap, one that happens twice is the
//! first.

use crate::base::{Date, Instant, TimeOfDay, Zone};
use crate::program::typed::{Every, EveryPeriod, Once};

/// A day of the month that some months lack comes back within this many days: 30 January, 30 March
/// of a leap year, and some to spare.
const MONTH_GAP_DAYS: i32 = 62;
/// Days of the schedule that are looked at for an instant after a given one: the search begins on
/// the day before, so that the third day lies after it whatever the clocks do, and one to spare.
const CANDIDATE_DAYS: usize = 4;
const SECONDS_AN_HOUR: usize = 3600;

/// The instant of a one-off schedule when it is first applied at `now`: never computed again after
/// that.
pub fn fix_once(once: Once, zone: Zone, now: Instant) -> Instant {
    match once {
        Once::Now => now,
        Once::At(date, time) => zone.instant(date, time),
        Once::TimeOfDay(time) => {
            let today = zone.date(now);
            let at = zone.instant(today, time);
            if at >= now {
                at
            } else {
                zone.instant(today.plus_days(1), time)
            }
        }
    }
}

/// The first instant of a recurring schedule after `after`; `None` when there is none any more.
pub fn next_due(every: &Every, zone: Zone, after: Instant) -> Option<Instant> {
    let mut day = zone.date(after).plus_days(-1);
    for _ in 0..CANDIDATE_DAYS {
        day = day_from(every, day)?;
        if every.until.is_some_and(|until| day > until) {
            return None;
        }
        // Later local times are never earlier instants, so the first that fits is the next.
        if let Some(due) = times(&every.period)
            .map(|time| zone.instant(day, time))
            .find(|at| *at > after)
        {
            return Some(due);
        }
        day = day.plus_days(1);
    }
    None
}

/// All instants after `after` up to `until`, that one included.
pub fn dues_between(
    every: &Every,
    zone: Zone,
    after: Instant,
    until: Instant,
) -> impl Iterator<Item = Instant> + '_ {
    std::iter::successors(next_due(every, zone, after), move |at| {
        next_due(every, zone, *at)
    })
    .take_while(move |at| *at <= until)
}

/// The first day of the schedule on or after `day`.
pub(super) fn day_from(every: &Every, day: Date) -> Option<Date> {
    let day = every.from.map_or(day, |from| day.max(from));
    let within = |days: i32| (0..days).map(move |n| day.plus_days(n));
    match &every.period {
        EveryPeriod::Day { .. } | EveryPeriod::Hour { .. } => Some(day),
        EveryPeriod::Weekdays { days, .. } => within(7).find(|d| days.contains(&d.weekday())),
        EveryPeriod::Month { days, last, .. } => within(MONTH_GAP_DAYS)
            .find(|d| days.contains(&d.day()) || (*last && *d == d.month_end())),
        EveryPeriod::Days { n, .. } => {
            let from = every.from?;
            let (past, n) = (i64::from(day.0) - i64::from(from.0), i64::from((*n).max(1)));
            let steps = past.checked_add(n - 1)?.div_euclid(n);
            Some(Date(i32::try_from(i64::from(from.0) + steps * n).ok()?))
        }
    }
}

/// The local times of one day, early ones first.
fn times(period: &EveryPeriod) -> impl Iterator<Item = TimeOfDay> {
    let (first, last) = match period {
        EveryPeriod::Day { at }
        | EveryPeriod::Weekdays { at, .. }
        | EveryPeriod::Month { at, .. }
        | EveryPeriod::Days { at, .. } => (*at, *at),
        EveryPeriod::Hour { from, to } => (*from, *to),
    };
    (first.0..=last.0).step_by(SECONDS_AN_HOUR).map(TimeOfDay)
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
        Every {
            period,
            from: None,
            until: None,
        }
    }

    fn shown(every: &Every, zone: Zone, after: &str, n: usize) -> Vec<String> {
        let after = zone.parse_instant(after).unwrap();
        dues_between(every, zone, after, Instant(i64::MAX))
            .take(n)
            .map(|i| zone.show(i))
            .collect()
    }

    #[test]
    fn months_skip_days_they_lack() {
        let e = every(EveryPeriod::Month {
            days: vec![31],
            last: false,
            at: time("9:00"),
        });
        assert_eq!(
            shown(&e, Zone::SHANGHAI, "2027-01-31 09:00", 2),
            ["2027-03-31 09:00", "2027-05-31 09:00"]
        );
        let e = every(EveryPeriod::Month {
            days: vec![30],
            last: false,
            at: time("9:00"),
        });
        assert_eq!(
            shown(&e, Zone::SHANGHAI, "2028-01-30 09:00", 1),
            ["2028-03-30 09:00"]
        );
        let e = every(EveryPeriod::Month {
            days: vec![1],
            last: true,
            at: time("9:00"),
        });
        assert_eq!(
            shown(&e, Zone::SHANGHAI, "2027-02-01 09:00", 2),
            ["2027-02-28 09:00", "2027-03-01 09:00"]
        );
        // The last day is named once although two clauses name it.
        let e = every(EveryPeriod::Month {
            days: vec![28],
            last: true,
            at: time("9:00"),
        });
        assert_eq!(
            shown(&e, Zone::SHANGHAI, "2027-02-01", 2),
            ["2027-02-28 09:00", "2027-03-28 09:00"]
        );
    }

    #[test]
    fn every_few_days_counts_from_its_day() {
        let e = Every {
            period: EveryPeriod::Days {
                n: 3,
                at: time("9:00"),
            },
            from: Some(day("2026-11-01")),
            until: Some(day("2026-11-08")),
        };
        assert_eq!(
            shown(&e, Zone::SHANGHAI, "2026-10-01", 9),
            ["2026-11-01 09:00", "2026-11-04 09:00", "2026-11-07 09:00"]
        );
        let rare = Every {
            period: EveryPeriod::Days {
                n: 3660,
                at: time("9:00"),
            },
            from: Some(day("2026-11-01")),
            until: None,
        };
        assert_eq!(
            shown(&rare, Zone::SHANGHAI, "2026-11-02", 1),
            ["2036-11-08 09:00"]
        );
    }

    #[test]
    fn a_clock_change_neither_loses_nor_doubles() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let e = every(EveryPeriod::Day { at: time("2:30") });
        assert_eq!(
            shown(&e, berlin, "2027-03-27 12:00", 2),
            ["2027-03-28 03:00", "2027-03-29 02:30"]
        );
        assert_eq!(
            shown(&e, berlin, "2027-10-30 12:00", 2),
            ["2027-10-31 02:30", "2027-11-01 02:30"]
        );
        // Two local times of one day that a gap makes the same instant are due once.
        let hourly = every(EveryPeriod::Hour {
            from: time("2:00"),
            to: time("4:00"),
        });
        assert_eq!(
            shown(&hourly, berlin, "2027-03-28 00:00", 3),
            ["2027-03-28 03:00", "2027-03-28 04:00", "2027-03-29 02:00"]
        );
        // A whole day that a zone skipped.
        let apia = Zone::named("Pacific/Apia").unwrap();
        assert_eq!(
            shown(
                &every(EveryPeriod::Day { at: time("10:00") }),
                apia,
                "2011-12-29 10:00",
                2
            ),
            ["2011-12-31 00:00", "2011-12-31 10:00"]
        );
    }

    #[test]
    fn a_time_of_day_is_the_next_one() {
        let z = Zone::SHANGHAI;
        let fix = |now: &str| {
            z.show(fix_once(
                Once::TimeOfDay(time("10:00")),
                z,
                z.parse_instant(now).unwrap(),
            ))
        };
        assert_eq!(fix("2026-11-11 09:00"), "2026-11-11 10:00");
        assert_eq!(fix("2026-11-11 10:00"), "2026-11-11 10:00");
        assert_eq!(fix("2026-11-11 10:01"), "2026-11-12 10:00");
    }

    #[test]
    fn the_ends_of_time_end_the_schedule() {
        let e = every(EveryPeriod::Day { at: time("9:00") });
        assert_eq!(next_due(&e, Zone::SHANGHAI, Instant(i64::MAX)), None);
        assert!(next_due(&e, Zone::SHANGHAI, Instant(i64::MIN)).is_some());
        let over = Every {
            until: Some(day("2026-11-01")),
            ..e
        };
        assert_eq!(
            next_due(
                &over,
                Zone::SHANGHAI,
                Zone::SHANGHAI.parse_instant("2026-11-01 09:00").unwrap()
            ),
            None
        );
    }

    /// Whether a schedule names this local date and time, said without any of the code above.
    fn names(e: &Every, d: Date, t: TimeOfDay) -> bool {
        let in_days = e.from.is_none_or(|f| f <= d) && e.until.is_none_or(|u| d <= u);
        in_days
            && match &e.period {
                EveryPeriod::Day { at } => t == *at,
                EveryPeriod::Weekdays { days, at } => t == *at && days.contains(&d.weekday()),
                EveryPeriod::Month { days, last, at } => {
                    let is_last = Date(d.0 + 1).month() != d.month();
                    t == *at && (days.contains(&d.day()) || (*last && is_last))
                }
                EveryPeriod::Days { n, at } => {
                    t == *at && (d.0 - e.from.unwrap().0) % (*n as i32) == 0
                }
                EveryPeriod::Hour { from, to } => {
                    *from <= t && t <= *to && (t.0 - from.0).is_multiple_of(3600)
                }
            }
    }

    /// Every local minute of some days, each with the first instant at which the clock shows it or
    /// a later one.
    fn by_the_minute(e: &Every, zone: Zone, first: Date, days: i32) -> Vec<Instant> {
        let mut minute = zone.start_of(first.plus_days(-2)).0;
        let mut out = Vec::new();
        for d in (0..days).map(|n| first.plus_days(n)) {
            for t in (0..24 * 60).map(|m| TimeOfDay(m * 60)) {
                // The clock may go back, so that the first of two is looked for from two hours
                // before.
                minute -= 120 * 60_000_000;
                while (zone.date(Instant(minute)), zone.time(Instant(minute))) < (d, t) {
                    minute += 60_000_000;
                }
                if names(e, d, t) && out.last() != Some(&Instant(minute)) {
                    out.push(Instant(minute));
                }
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn agrees_with_a_look_at_every_minute(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo"]),
            // Around the changes of 2027 in these zones: March, April, October, November.
            start in prop::sample::select(vec!["2027-03-12", "2027-03-26", "2027-04-02", "2027-04-28", "2027-10-01", "2027-10-29", "2027-11-05"]),
            kind in 0..5u8,
            at in (0..24u32 * 60).prop_map(|m| TimeOfDay(m * 60)),
            hours in 0..12u32,
            n in 1..4u32,
            bounded in any::<bool>(),
        ) {
            let zone = Zone::named(zone).unwrap();
            let start = day(start);
            let period = match kind {
                0 => EveryPeriod::Day { at },
                1 => EveryPeriod::Weekdays { days: vec![n, n + 3], at },
                2 => EveryPeriod::Days { n, at },
                3 => EveryPeriod::Month { days: vec![n, 29, 31], last: bounded, at },
                _ => EveryPeriod::Hour { from: TimeOfDay(at.0 / 120 * 60), to: TimeOfDay(at.0 / 120 * 60 + hours * 3600) },
            };
            let from = (bounded || kind == 2).then(|| start.plus_days(1));
            let e = Every { period, from, until: bounded.then(|| start.plus_days(4)) };
            let begin = Instant(zone.start_of(start).0 - 1);
            let end = zone.start_of(start.plus_days(6)).0 - 1;
            let expected: Vec<Instant> = by_the_minute(&e, zone, start, 6).into_iter().filter(|i| i.0 <= end).collect();
            prop_assert_eq!(dues_between(&e, zone, begin, Instant(end)).collect::<Vec<_>>(), expected);
        }
    }
}
