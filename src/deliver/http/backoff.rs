//! How long an account waits before it is called again: longer each time that the same thing goes
//! wrong again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::base::{Elapsed, Instant, Zone};
use crate::program::platform::WaitUntil;

/// The longest of waits that grow.
const LONGEST: Elapsed = Elapsed::hours(1);
/// A quota that ends with a day is asked for again a little later: clocks differ.
const AFTER_MIDNIGHT: Elapsed = Elapsed::minutes(2);
/// A hiccup is forgotten after so long.
const HICCUP: Elapsed = Elapsed::minutes(10);

#[derive(Default)]
pub struct Backoff {
    /// Waits by their cause: how often in a row, and until when.
    waits: Mutex<BTreeMap<String, (u32, Instant)>>,
    /// Refusals that may be hiccups: when they were first seen.
    hiccups: Mutex<BTreeMap<String, Instant>>,
}

impl Backoff {
    /// Until when to wait for a cause; longer each time that it happens again after a wait.
    pub fn wait(&self, cause: &str, wait: WaitUntil, now: Instant, zone: Zone) -> Instant {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        match waits.get(cause) {
            Some((_, until)) if now < *until => *until,
            before => {
                let times = before.map_or(0, |(times, _)| times.saturating_add(1));
                let until = end_of(wait, times, now, zone);
                waits.insert(cause.into(), (times, until));
                until
            }
        }
    }

    /// A call went well: waits begin short again.
    pub fn reset(&self) {
        let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
        if !waits.is_empty() {
            waits.clear();
        }
    }

    /// Whether what may be a hiccup happened before and was waited for.
    pub fn happened_again(&self, cause: &str, now: Instant) -> bool {
        let waited = {
            let waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
            waits.get(cause).is_none_or(|(_, until)| now >= *until)
        };
        let mut hiccups = self.hiccups.lock().unwrap_or_else(PoisonError::into_inner);
        match hiccups.get(cause) {
            Some(first) if now < first.plus(HICCUP) => waited,
            Some(_) | None => {
                hiccups.insert(cause.into(), now);
                false
            }
        }
    }
}

/// When a wait that begins now ends. `times` is how often it has happened in a row before.
pub fn end_of(wait: WaitUntil, times: u32, now: Instant, zone: Zone) -> Instant {
    let day = |date| zone.start_of(date).plus(AFTER_MIDNIGHT);
    let today = zone.date(now);
    match wait {
        WaitUntil::For(first) => {
            let grown = first
                .0
                .saturating_mul(1i64.checked_shl(times.min(30)).unwrap_or(1));
            now.plus(Elapsed(grown.min(LONGEST.0.max(first.0))))
        }
        WaitUntil::NextDay => day(today.plus_days(1)),
        WaitUntil::NextWeek => day(today.week_start().plus_days(7)),
        WaitUntil::NextMonth => day(today.month_end().plus_days(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_end_on_the_platforms_calendar() {
        let zone = Zone::SHANGHAI;
        let now = zone.parse_instant("2026-11-11 10:00").unwrap();
        let end = |wait, times| zone.show(end_of(wait, times, now, zone));
        assert_eq!(
            end(WaitUntil::For(Elapsed::minutes(1)), 0),
            "2026-11-11 10:01"
        );
        assert_eq!(
            end(WaitUntil::For(Elapsed::minutes(1)), 3),
            "2026-11-11 10:08"
        );
        assert_eq!(
            end(WaitUntil::For(Elapsed::minutes(1)), 99),
            "2026-11-11 11:00"
        );
        assert_eq!(end(WaitUntil::NextDay, 0), "2026-11-12 00:02");
        assert_eq!(end(WaitUntil::NextWeek, 5), "2026-11-16 00:02");
        assert_eq!(end(WaitUntil::NextMonth, 0), "2026-12-01 00:02");
    }
}
