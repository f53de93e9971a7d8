//! Limits of messages or calls in a window of time.

use crate::base::{Elapsed, Instant};

/// So many units in a window of time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RateLimit {
    /// Whose they are: a campaign's, an account's.
    pub holder: String,
    pub most: i64,
    /// Messages that make one: 1 where messages are counted, more where calls are.
    pub unit: i64,
    pub starts: Instant,
    pub ends: Instant,
}

impl RateLimit {
    /// What so many messages take of it.
    pub fn units(&self, messages: i64) -> i64 {
        messages / self.unit + i64::from(messages % self.unit > 0)
    }

    /// The window of a minute, on the clock, that `now` is in.
    pub fn a_minute(holder: String, most: i64, now: Instant) -> RateLimit {
        let minute = Elapsed::minutes(1);
        let starts = Instant(now.0 - now.0.rem_euclid(minute.0));
        RateLimit {
            holder,
            most,
            unit: 1,
            starts,
            ends: starts.plus(minute),
        }
    }
}
