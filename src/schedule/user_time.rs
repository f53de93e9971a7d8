//! Times of day that are each user's own (`at best_time ?? 20:00`). Every minute can be somebody's:
//! an occasion is a minute of a day of the schedule, and whom it means is whose time it is. Seconds
//! are left off.
//!
//! Clock changes neither lose nor double a minute: those that are skipped are the first instant
//! after the gap, all of them together.

use super::calendar::day_from;
use super::date_offset::{any, bool_expr};
use crate::base::{Date, Instant, TimeOfDay, Type, Value, Zone};
use crate::program::typed::{OwnDays, UserTime};
use crate::program::typed_expr::{Expr, ExprKind};

const MINUTES_A_DAY: u32 = 24 * 60;
/// A day in microseconds.
const DAY: i64 = 86_400_000_000;
/// Days of the schedule that are looked at for the next minute; the first is today.
const CANDIDATE_DAYS: usize = 4;

/// The occasions of a schedule.
#[derive(Clone, Copy)]
pub struct UserTimes<'a> {
    pub schedule: &'a UserTime,
    pub zone: Zone,
    /// When the campaign became live: where it goes out once, within a day from then on.
    pub fixed: Instant,
}

impl UserTimes<'_> {
    /// The first occasion after an instant; `None` when there is none any more.
    pub fn next(&self, after: Instant) -> Option<Instant> {
        let mut day = self.zone.date(after);
        let mut first = self.zone.time(after).0 / 60;
        for _ in 0..CANDIDATE_DAYS {
            let on = self.day_from(day)?;
            if on != day {
                first = 0;
            }
            let of_day = (first..MINUTES_A_DAY)
                .filter(|m| self.is_on(on, *m))
                .map(|m| self.zone.instant(on, time(m)));
            if let Some(next) = of_day.into_iter().find(|at| *at > after) {
                return Some(next);
            }
            (day, first) = (on.plus_days(1), 0);
        }
        None
    }

    /// The last occasion after an instant and up to another; looked for backwards, a day of the
    /// schedule at a time.
    pub fn last(&self, after: Instant, until: Instant) -> Option<Instant> {
        let mut from = until;
        let mut first = self.next(after).filter(|at| *at <= until)?;
        while from > after {
            from = Instant(from.0.saturating_sub(DAY)).max(after);
            if let Some(found) = self.next(from).filter(|at| *at <= until) {
                first = found;
                break;
            }
        }
        std::iter::successors(Some(first), |at| self.next(*at))
            .take_while(|at| *at <= until)
            .last()
    }

    /// The next occasion of a user with this time of day.
    pub fn next_of(&self, own: TimeOfDay, after: Instant) -> Option<Instant> {
        let minute = own.0 / 60;
        let mut day = self.zone.date(after).plus_days(-1);
        for _ in 0..CANDIDATE_DAYS {
            day = self.day_from(day)?;
            let at = self.zone.instant(day, time(minute));
            if at > after && self.is_on(day, minute) {
                return Some(at);
            }
            day = day.plus_days(1);
        }
        None
    }

    /// The first day of the schedule on or after `day`.
    fn day_from(&self, day: Date) -> Option<Date> {
        match &self.schedule.days {
            OwnDays::Once => {
                let first = self.zone.date(self.fixed);
                Some(day.max(first)).filter(|day| *day <= first.plus_days(1))
            }
            OwnDays::Every(every) => {
                day_from(every, day).filter(|day| every.until.is_none_or(|until| *day <= until))
            }
        }
    }

    /// Whether a minute of a day of the schedule is an occasion. What goes out once goes out at the
    /// next such minute.
    fn is_on(&self, day: Date, minute: u32) -> bool {
        match &self.schedule.days {
            OwnDays::Once => {
                let first = self.zone.date(self.fixed);
                (day == first) == (self.zone.instant(first, time(minute)) >= self.fixed)
            }
            OwnDays::Every(_) => true,
        }
    }
}

/// True for those whose time of day it is at one of some occasions; not known for those who have
/// none.
pub fn condition(own: &Expr, zone: Zone, occasions: &[Instant]) -> Expr {
    let mut minutes: Vec<u32> = occasions
        .iter()
        .flat_map(|due| minutes_of(zone, *due))
        .collect();
    minutes.sort_unstable();
    minutes.dedup();
    let ranges: Vec<Expr> = minutes
        .chunk_by(|a, b| a + 1 == *b)
        .filter_map(|run| Some(within(own, *run.first()?, *run.last()?)))
        .collect();
    any(&ranges).unwrap_or_else(|| bool_expr(own, ExprKind::Const(Value::Bool(false))))
}

/// True for those whose time of day lies between two minutes of the day, both included.
pub fn within(own: &Expr, first: u32, last: u32) -> Expr {
    let bound = |value| {
        let kind = ExprKind::Const(Value::Time(TimeOfDay(value)));
        Box::new(Expr {
            ty: Type::Time,
            span: own.span,
            optional: false,
            kind,
        })
    };
    let (lo, hi) = (bound(first * 60), bound(last * 60 + 59));
    bool_expr(
        own,
        ExprKind::InRange {
            of: Box::new(own.clone()),
            lo,
            hi,
        },
    )
}

/// The minutes of the day that an instant stands for: where the clocks go forward, all that are skipped.
fn minutes_of(zone: Zone, due: Instant) -> Vec<u32> {
    let today = zone.date(due);
    let at_or_before = |day: Date, last: u32| {
        (0..=last)
            .rev()
            .take_while(move |m| zone.instant(day, time(*m)) == due)
    };
    let yesterday = at_or_before(today.plus_days(-1), MINUTES_A_DAY - 1);
    yesterday
        .chain(at_or_before(today, zone.time(due).0 / 60))
        .collect()
}

fn time(minute: u32) -> TimeOfDay {
    TimeOfDay(minute * 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{FileId, TagId};
    use crate::diag::Span;
    use crate::program::typed::{Every, EveryPeriod};
    use proptest::prelude::*;

    fn own(days: OwnDays) -> UserTime {
        let span = Span::new(FileId(0), 0, 0);
        UserTime {
            at: Expr {
                ty: Type::Time,
                span,
                optional: true,
                kind: ExprKind::Tag(TagId(0)),
            },
            days,
        }
    }

    fn daily() -> UserTime {
        own(OwnDays::Every(Every {
            period: EveryPeriod::Day {
                at: TimeOfDay::MIDNIGHT,
            },
            from: None,
            until: None,
        }))
    }

    /// All occasions of a while, each with the minutes that it stands for.
    fn all(times: &UserTimes, after: Instant, until: Instant) -> Vec<(Instant, Vec<u32>)> {
        let mut out = Vec::new();
        let mut at = after;
        while let Some(next) = times.next(at).filter(|next| *next <= until) {
            assert!(next > at);
            out.push((next, minutes_of(times.zone, next)));
            at = next;
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Each minute of each day is an occasion once, at the instant that the calendar gives it.
        #[test]
        fn each_minute_comes_once_a_day(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/Nuuk", "Australia/Lord_Howe", "Africa/Cairo"]),
            start in prop::sample::select(vec!["2027-03-12", "2027-03-26", "2027-04-02", "2027-04-29", "2027-10-02", "2027-10-30"]),
        ) {
            let zone = Zone::named(zone).unwrap();
            let schedule = daily();
            let first: Date = start.parse().unwrap();
            let (after, until) = (Instant(zone.start_of(first).0 - 1), Instant(zone.start_of(first.plus_days(4)).0 - 1));
            let times = UserTimes { schedule: &schedule, zone, fixed: after };
            let mut found: Vec<(Instant, u32)> = all(&times, after, until).into_iter().flat_map(|(at, m)| m.into_iter().map(move |m| (at, m))).collect();
            found.sort();
            let days = (-1..5).map(|n| first.plus_days(n));
            let mut expected: Vec<(Instant, u32)> =
                days.flat_map(|d| (0..MINUTES_A_DAY).map(move |m| (zone.instant(d, time(m)), m))).filter(|(at, _)| after < *at && *at <= until).collect();
            expected.sort();
            prop_assert_eq!(found, expected);
        }

        /// What goes out once goes out at the next time of each user, as one that is the same for
        /// all does.
        #[test]
        fn once_is_the_next_time(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            hour in 0..24 * 9i64,
            start in prop::sample::select(vec!["2027-03-10", "2027-03-26", "2027-04-02", "2027-10-28", "2027-11-04"]),
            second in 0..3600i64,
            minute in 0..MINUTES_A_DAY,
        ) {
            let zone = Zone::named(zone).unwrap();
            let schedule = own(OwnDays::Once);
            let fixed = Instant(zone.start_of(start.parse().unwrap()).0 + (hour * 3600 + second) * 1_000_000);
            let times = UserTimes { schedule: &schedule, zone, fixed };
            let expected = super::super::fix_once(crate::program::typed::Once::TimeOfDay(time(minute)), zone, fixed);
            let before = Instant(fixed.0 - 1);
            prop_assert_eq!(times.next_of(time(minute), before), Some(expected));
            // The first occasion that means this minute; a later one is stopped, for the user has
            // been reached.
            let first = all(&times, before, Instant(fixed.0 + 50 * 3_600_000_000)).into_iter().find(|(_, minutes)| minutes.contains(&minute));
            prop_assert_eq!(first.map(|(at, _)| at), Some(expected));
        }
    }

    #[test]
    fn the_last_one_up_to_an_instant() {
        let z = Zone::named("Europe/Berlin").unwrap();
        let at = |t: &str| z.parse_instant(t).unwrap();
        let once = own(OwnDays::Once);
        let times = UserTimes {
            schedule: &once,
            zone: z,
            fixed: at("2027-03-27 10:00:30"),
        };
        let after = times.fixed;
        for until in [
            "2027-03-27 10:00:59",
            "2027-03-27 10:01",
            "2027-03-28 02:30",
            "2027-03-28 03:00",
            "2027-04-20",
        ] {
            let expected = all(&times, after, at(until)).last().map(|(at, _)| *at);
            assert_eq!(times.last(after, at(until)), expected, "{until}");
        }
        let schedule = daily();
        let times = UserTimes {
            schedule: &schedule,
            zone: z,
            fixed: after,
        };
        assert_eq!(
            times.last(after, at("2027-10-31T02:10:20+01:00")),
            Some(at("2027-10-31T02:59:00+02:00")),
            "the second pass of an hour"
        );
        assert_eq!(times.last(after, after), None);
    }

    #[test]
    fn days_of_the_schedule() {
        let z = Zone::SHANGHAI;
        let at = |t: &str| z.parse_instant(t).unwrap();
        let every = Every {
            period: EveryPeriod::Weekdays {
                days: vec![1],
                at: TimeOfDay::MIDNIGHT,
            },
            from: None,
            until: Some("2027-03-10".parse().unwrap()),
        };
        let schedule = own(OwnDays::Every(every));
        let times = UserTimes {
            schedule: &schedule,
            zone: z,
            fixed: at("2027-03-01"),
        };
        // 2027-03-01 is a Monday.
        assert_eq!(times.next(at("2027-03-01 23:59")), Some(at("2027-03-08")));
        assert_eq!(
            times.next(at("2027-03-08 10:00:30")),
            Some(at("2027-03-08 10:01"))
        );
        assert_eq!(times.next(at("2027-03-08 23:59")), None);
        assert_eq!(
            times.next_of("20:00:59".parse().unwrap(), at("2027-03-01 20:00")),
            Some(at("2027-03-08 20:00"))
        );
    }
}
