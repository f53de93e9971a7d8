//! Quiet hours: a message that is due in them waits for their end.

use crate::base::{Elapsed, Instant, TimeOfDay, Zone};
use crate::program::typed::Quiet;

const SECONDS_A_DAY: u32 = 86_400;

/// Whether the clock shows a time within quiet hours: the first end included, the second not.
fn is_quiet(quiet: Quiet, time: TimeOfDay) -> bool {
    if quiet.from <= quiet.to {
        quiet.from <= time && time < quiet.to
    } else {
        time >= quiet.from || time < quiet.to
    }
}

/// The end of the quiet hours that `at` falls into; `None` outside them.
pub fn end_of_quiet(quiet: Quiet, zone: Zone, at: Instant) -> Option<Instant> {
    let (today, time) = (zone.date(at), zone.time(at));
    if !is_quiet(quiet, time) {
        return None;
    }
    let day = if time < quiet.to {
        today
    } else {
        today.plus_days(1)
    };
    let end = zone.instant(day, quiet.to);
    if end > at {
        return Some(end);
    }
    // In the second pass of an hour that happens twice: the end's first pass is over, its second is
    // as far away as the clock says.
    let left = (quiet.to.0 + SECONDS_A_DAY - time.0) % SECONDS_A_DAY;
    Some(at.plus(Elapsed::seconds(i64::from(left))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quiet(from: &str, to: &str) -> Quiet {
        Quiet {
            from: from.parse().unwrap(),
            to: to.parse().unwrap(),
        }
    }

    #[test]
    fn nights_cross_midnight() {
        let z = Zone::SHANGHAI;
        let end = |t: &str| {
            end_of_quiet(quiet("22:00", "8:00"), z, z.parse_instant(t).unwrap()).map(|i| z.show(i))
        };
        assert_eq!(end("2026-11-11 22:00").as_deref(), Some("2026-11-12 08:00"));
        assert_eq!(end("2026-11-12 07:59").as_deref(), Some("2026-11-12 08:00"));
        assert_eq!(end("2026-11-12 08:00"), None);
        assert_eq!(end("2026-11-12 21:59"), None);
        let noon = |t: &str| {
            end_of_quiet(quiet("12:00", "14:00"), z, z.parse_instant(t).unwrap()).map(|i| z.show(i))
        };
        assert_eq!(
            noon("2026-11-12 13:00").as_deref(),
            Some("2026-11-12 14:00")
        );
        assert_eq!(
            (noon("2026-11-12 11:59"), noon("2026-11-12 14:00")),
            (None, None)
        );
    }

    #[test]
    fn the_clock_changes_during_the_night() {
        let z = Zone::named("Europe/Berlin").unwrap();
        let end = |q: Quiet, t: &str| {
            end_of_quiet(q, z, z.parse_instant(t).unwrap()).map(|i| z.show_rfc3339(i))
        };
        // 02:30 does not exist on this day.
        assert_eq!(
            end(quiet("22:00", "2:30"), "2027-03-27 23:00").as_deref(),
            Some("2027-03-28T03:00:00+02:00")
        );
        // 02:10 the second time: quiet hours end the second time it is 02:30.
        assert_eq!(
            end(quiet("22:00", "2:30"), "2027-10-31T01:10:00Z").as_deref(),
            Some("2027-10-31T02:30:00+01:00")
        );
    }

    proptest! {
        /// The end lies ahead, is not quiet itself, and within a day without clock changes nothing
        /// before it is.
        #[test]
        fn the_end_is_the_first_minute_that_is_not_quiet(
            zone in prop::sample::select(vec!["Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
            minute in 0..366 * 24 * 60i64,
            from in (0..24u32 * 60).prop_map(|m| TimeOfDay(m * 60)),
            to in (0..24u32 * 60).prop_map(|m| TimeOfDay(m * 60)),
        ) {
            prop_assume!(from != to);
            let zone = Zone::named(zone).unwrap();
            let quiet = Quiet { from, to };
            let at = Instant(zone.start_of("2027-01-01".parse().unwrap()).0 + minute * 60_000_000);
            let minutes = |a: Instant, b: Instant| (a.0..b.0).step_by(60_000_000).map(|m| is_quiet(quiet, zone.time(Instant(m))));
            match end_of_quiet(quiet, zone, at) {
                None => prop_assert!(!is_quiet(quiet, zone.time(at))),
                Some(end) => {
                    prop_assert!(end > at && end.since(at) <= Elapsed::hours(25));
                    let moved = |a: Instant| zone.show_rfc3339(a).split_off(19);
                    if moved(at) == moved(end) {
                        prop_assert!(!is_quiet(quiet, zone.time(end)));
                        prop_assert!(minutes(at, end).all(|quiet| quiet));
                    }
                }
            }
        }
    }
}
