//! Schedules that count from a date of each user (`at 10:00 on 30, 7, 1 days before plan_end`):
//! which day an instant stands for, and whose day that is.
//!
//! There is one occasion a day, and no timer a user: whose day it is follows from the dates as they
//! are by then. A date and an offset make one day, so that a user whose date stays the same is
//! meant once for each offset, and one whose date moves is meant anew.

use crate::base::{Calendar, Date, Instant, TimeOfDay, Type, Value, Zone};
use crate::program::typed::DateOffset;
use crate::program::typed_expr::{Expr, ExprKind};

/// Days that are looked at for the next occasion: the search begins the day before, and clocks move
/// by a day at most.
const CANDIDATE_DAYS: i32 = 4;

/// The first and the last day that an instant stands for: its own, and where the clocks skipped
/// this time of the day before, that one.
pub fn days_of(at: TimeOfDay, zone: Zone, due: Instant) -> (Date, Date) {
    let today = zone.date(due);
    let yesterday = today.plus_days(-1);
    let is = |day| zone.instant(day, at) == due;
    match (is(yesterday), is(today)) {
        (true, true) => (yesterday, today),
        (true, false) => (yesterday, yesterday),
        (false, _) => (today, today),
    }
}

/// The first occasion that is not before `since`; after one that was dealt with, that of a later
/// day, whatever time of day was written then.
pub fn next_due(
    at: TimeOfDay,
    zone: Zone,
    handled: Option<Instant>,
    since: Instant,
) -> Option<Instant> {
    let first = match handled {
        Some(handled) => days_of(at, zone, handled).1.plus_days(1),
        None => zone.date(since).plus_days(-1),
    };
    let is_next = |due: &Instant| handled.map_or(*due >= since, |handled| *due > handled);
    (0..CANDIDATE_DAYS)
        .map(|n| zone.instant(first.plus_days(n), at))
        .find(is_next)
}

/// True for those whose day it is at an occasion; not known for those who have no date, but on a
/// day that is nobody's (four months after which date is the 31st of March?).
pub fn condition(dated: &DateOffset, zone: Zone, due: Instant) -> Expr {
    let (first, last) = days_of(dated.at, zone, due);
    let mut days = vec![first];
    days.extend((last != first).then_some(last));
    let mut dates: Vec<(Date, Date)> = days
        .iter()
        .flat_map(|day| {
            dated
                .offsets
                .iter()
                .filter_map(|offset| dates_away(*day, *offset))
        })
        .collect();
    dates.sort_unstable();
    let ranges: Vec<Expr> = dates
        .into_iter()
        .map(|(lo, hi)| within(&dated.of, zone, lo, hi))
        .collect();
    any(&ranges).unwrap_or_else(|| bool_expr(&dated.of, ExprKind::Const(Value::Bool(false))))
}

/// The days of a user who has this date, each with its offset.
pub fn days_of_date(dated: &DateOffset, date: Date) -> Vec<(Date, Calendar)> {
    let mut days: Vec<(Date, Calendar)> = dated
        .offsets
        .iter()
        .filter_map(|offset| Some((date.checked_add(*offset)?, *offset)))
        .collect();
    days.sort_by_key(|(day, _)| *day);
    days
}

/// The date that a value of `DateOffset::of` stands for.
pub fn date_of(value: &Value, zone: Zone) -> Option<Date> {
    if let Value::Date(date) = value {
        Some(*date)
    } else if let Value::Instant(at) = value {
        Some(zone.date(*at))
    } else {
        None
    }
}

/// The dates that an offset moves to a day, as a range: none where the day's number is beyond the
/// other month, several where the other month has more days.
fn dates_away(day: Date, offset: Calendar) -> Option<(Date, Date)> {
    let target = day.checked_add(Calendar::days(offset.days).negated())?;
    if offset.months == 0 {
        return Some((target, target));
    }
    let month = target
        .month_start()
        .checked_add(Calendar::months(offset.months).negated())?;
    let last = month.month_end();
    let same = month.plus_days(i32::try_from(target.day()).ok()? - 1);
    match (same <= last, target == target.month_end()) {
        (false, _) => None,
        (true, false) => Some((same, same)),
        (true, true) => Some((same, last)),
    }
}

/// `of` lies on one of these days, in the zone.
fn within(of: &Expr, zone: Zone, lo: Date, hi: Date) -> Expr {
    let (lo, hi) = if of.ty == Type::Instant {
        let end = zone.start_of(hi.plus_days(1)).0.saturating_sub(1);
        (
            Value::Instant(zone.start_of(lo)),
            Value::Instant(Instant(end)),
        )
    } else {
        (Value::Date(lo), Value::Date(hi))
    };
    let bound = |value| {
        Box::new(Expr {
            ty: of.ty.clone(),
            span: of.span,
            optional: false,
            kind: ExprKind::Const(value),
        })
    };
    bool_expr(
        of,
        ExprKind::InRange {
            of: Box::new(of.clone()),
            lo: bound(lo),
            hi: bound(hi),
        },
    )
}

/// As a tree that is as low as can be: expressions must not be deep.
pub(super) fn any(conditions: &[Expr]) -> Option<Expr> {
    match conditions {
        [] => None,
        [one] => Some(one.clone()),
        many => {
            let (a, b) = many.split_at(many.len() / 2);
            let (a, b) = (any(a)?, any(b)?);
            Some(Expr {
                kind: ExprKind::Or(Box::new(a.clone()), Box::new(b)),
                ..a
            })
        }
    }
}

/// A condition about an expression.
pub(super) fn bool_expr(of: &Expr, kind: ExprKind) -> Expr {
    Expr {
        ty: Type::Bool,
        span: of.span,
        optional: of.optional,
        kind,
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

    /// All dates near a day that an offset moves there, by trying each.
    fn tried(to: Date, offset: Calendar) -> Vec<Date> {
        let far = offset.months.abs() * 31 + offset.days.abs() + 3;
        (-far..=far)
            .map(|n| to.plus_days(n))
            .filter(|d| d.checked_add(offset) == Some(to))
            .collect()
    }

    fn listed(range: Option<(Date, Date)>) -> Vec<Date> {
        range.map_or(Vec::new(), |(lo, hi)| (lo.0..=hi.0).map(Date).collect())
    }

    #[test]
    fn ends_of_months_and_the_leap_day() {
        let away = |to: &str, months| listed(dates_away(day(to), Calendar::months(months)));
        assert_eq!(
            away("2027-02-28", -1),
            [
                day("2027-03-28"),
                day("2027-03-29"),
                day("2027-03-30"),
                day("2027-03-31")
            ]
        );
        assert_eq!(
            away("2028-02-29", -1),
            [day("2028-03-29"), day("2028-03-30"), day("2028-03-31")]
        );
        assert_eq!(away("2028-02-28", -1), [day("2028-03-28")]);
        assert_eq!(away("2027-03-31", 1), [] as [Date; 0]);
        assert_eq!(
            away("2027-02-28", -12),
            [day("2028-02-28"), day("2028-02-29")]
        );
    }

    proptest! {
        #[test]
        fn a_date_is_found_from_its_day(to in 9_000..30_000i32, months in -30..30i32, days in -400..400i32, which: bool) {
            let offset = if which { Calendar::months(months) } else { Calendar::days(days) };
            prop_assert_eq!(listed(dates_away(Date(to), offset)), tried(Date(to), offset));
        }

        /// Over the clock changes of some years, each day is stood for by one occasion, and the
        /// occasions come in order.
        #[test]
        fn each_day_has_one_occasion(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "America/Nuuk", "Pacific/Apia"]),
            start in prop::sample::select(vec!["2011-12-20", "2027-03-10", "2027-03-20", "2027-04-01", "2027-04-25", "2027-10-01", "2027-10-25", "2028-02-25"]),
            minute in 0..24 * 60u32,
        ) {
            let (zone, at) = (Zone::named(zone).unwrap(), TimeOfDay(minute * 60));
            let first = day(start);
            let mut handled = None;
            let mut days = Vec::new();
            let begin = zone.instant(first, at);
            for _ in 0..16 {
                let due = next_due(at, zone, handled, begin).unwrap();
                prop_assert!(handled.is_none_or(|h| due > h));
                let (a, b) = days_of(at, zone, due);
                days.extend((a.0..=b.0).map(Date));
                handled = Some(due);
            }
            // The day before may share the first instant.
            days.retain(|d| *d >= first);
            let expected: Vec<Date> = (0..i32::try_from(days.len()).unwrap()).map(|n| first.plus_days(n)).collect();
            prop_assert_eq!(days, expected);
        }
    }

    #[test]
    fn another_time_of_day_makes_no_second_occasion() {
        let z = Zone::SHANGHAI;
        let ten = z.parse_instant("2027-05-04 10:00").unwrap();
        assert_eq!(
            next_due(time("14:00"), z, Some(ten), ten)
                .map(|i| z.show(i))
                .as_deref(),
            Some("2027-05-05 14:00")
        );
        assert_eq!(
            next_due(time("8:00"), z, Some(ten), ten)
                .map(|i| z.show(i))
                .as_deref(),
            Some("2027-05-05 08:00")
        );
        assert_eq!(
            next_due(time("8:00"), z, None, ten)
                .map(|i| z.show(i))
                .as_deref(),
            Some("2027-05-05 08:00")
        );
        assert_eq!(next_due(time("10:00"), z, None, ten), Some(ten));
    }
}
