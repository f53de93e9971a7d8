//! The wall clock against the one that only goes forward: when they part by more than a minute, somebody moved the wall clock, and nobody
//! knows which time is right. Then nothing is decided or sent until they agree again or the service is started anew.

use std::time::Duration;

use crate::base::{Elapsed, Instant};

/// How far they may part.
pub const MOST_APART: Elapsed = Elapsed::minutes(1);

pub struct Clock {
    wall: Instant,
    /// What had passed on the steady clock at `wall`.
    steady: Duration,
}

impl Clock {
    /// Both clocks at one moment.
    pub fn set(wall: Instant, steady: Duration) -> Self {
        Clock { wall, steady }
    }

    /// By how much the wall clock is off, if that is too much.
    pub fn jumped(&self, wall: Instant, steady: Duration) -> Option<Elapsed> {
        let passed = i64::try_from(steady.saturating_sub(self.steady).as_micros()).unwrap_or(i64::MAX);
        let apart = Elapsed(wall.since(self.wall).0.saturating_sub(passed));
        (apart.0.saturating_abs() > MOST_APART.0).then_some(apart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 18 of the delivery design, its first half: the jump is noticed, either way, and so is its end.
    #[test]
    fn an_hour_is_noticed() {
        let start = Instant::from_seconds(1_000_000);
        let clock = Clock::set(start, Duration::from_secs(5));
        let steady = Duration::from_secs(65);
        let at = |seconds: i64| clock.jumped(Instant::from_seconds(1_000_060 + seconds), steady);
        assert_eq!((at(0), at(59), at(-60)), (None, None, None));
        assert_eq!(at(3600), Some(Elapsed::hours(1)));
        assert_eq!(at(-3600), Some(Elapsed(-Elapsed::hours(1).0)));
        assert_eq!(at(30), None);
    }
}
