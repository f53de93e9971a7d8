//! Quiet hours: the message waits for their end.

use crate::base::{Instant, Zone};
use crate::program::typed::Quiet;

/// The end of the quiet hours that `at` falls into; `None` outside them.
pub fn end_of_quiet(quiet: Quiet, zone: Zone, at: Instant) -> Option<Instant> {
    let (today, time) = (zone.date(at), zone.time(at));
    let inside = if quiet.from < quiet.to { quiet.from <= time && time < quiet.to } else { time >= quiet.from || time < quiet.to };
    if !inside {
        return None;
    }
    let end_day = if time < quiet.to { today } else { today.plus_days(1) };
    Some(zone.instant(end_day, quiet.to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_cross_midnight() {
        let z = Zone::SHANGHAI;
        let quiet = Quiet { from: "22:00".parse().unwrap(), to: "8:00".parse().unwrap() };
        let end = |t: &str| end_of_quiet(quiet, z, z.parse_instant(t).unwrap()).map(|i| z.show(i));
        assert_eq!(end("2026-11-11 22:00").as_deref(), Some("2026-11-12 08:00"));
        assert_eq!(end("2026-11-12 07:59").as_deref(), Some("2026-11-12 08:00"));
        assert_eq!(end("2026-11-12 08:00"), None);
        assert_eq!(end("2026-11-12 21:59"), None);
    }
}
