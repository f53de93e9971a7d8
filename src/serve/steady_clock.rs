//! The wall clock against the one that only goes forward: when they part by more than a minute,
//! somebody moved the wall clock, and nobody knows which time is right. Then nothing is decided or
//! sent until they agree again or the process is started anew; and what is under way continues by the
//! steady clock, so that no quota begins anew and nothing is due too early.

use std::sync::Arc;
use std::time::{Duration, Instant as Moment};

use crate::base::Msg;
use crate::base::world::{World, all_but_the_clock};
use crate::base::{Elapsed, Instant};
use crate::msg;

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
        let passed =
            i64::try_from(steady.saturating_sub(self.steady).as_micros()).unwrap_or(i64::MAX);
        let apart = Elapsed(wall.since(self.wall).0.saturating_sub(passed));
        (apart.0.saturating_abs() > MOST_APART.0).then_some(apart)
    }
}

/// A world whose clock does not jump: while the wall clock is off, time continues as it would have.
pub struct SteadyWorld {
    inner: Arc<dyn World>,
    clock: Clock,
    started: Moment,
}

impl SteadyWorld {
    pub fn over(inner: Arc<dyn World>) -> Arc<Self> {
        let clock = Clock::set(inner.now(), Duration::ZERO);
        Arc::new(SteadyWorld {
            inner,
            clock,
            started: Moment::now(),
        })
    }

    /// By how much the wall clock is off, if that is too much.
    pub fn jumped(&self) -> Option<Elapsed> {
        self.clock.jumped(self.inner.now(), self.started.elapsed())
    }
}

/// What the journal says when the clock jumped.
pub fn jumped(by: Elapsed) -> Msg {
    msg!(
        "the clock jumped by {by}: nothing is decided or sent until it is put right; if it is right now, start anew",
        "时钟跳变了 {by}：在校正之前不会决定或发送任何消息；如果现在的时间正确，请重新启动"
    )
}

pub fn right_again() -> Msg {
    msg!("the clock is right again", "时钟已恢复正常")
}

impl World for SteadyWorld {
    fn now(&self) -> Instant {
        let (wall, steady) = (self.inner.now(), self.started.elapsed());
        self.clock
            .jumped(wall, steady)
            .map_or(wall, |by| wall.minus(by))
    }

    all_but_the_clock!();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A jump is noticed, either way, and so is its end.
    #[test]
    fn case_18_an_hour_is_noticed() {
        let start = Instant::from_seconds(1_000_000);
        let clock = Clock::set(start, Duration::from_secs(5));
        let steady = Duration::from_secs(65);
        let at = |seconds: i64| clock.jumped(Instant::from_seconds(1_000_060 + seconds), steady);
        assert_eq!((at(0), at(59), at(-60)), (None, None, None));
        assert_eq!(at(3600), Some(Elapsed::hours(1)));
        assert_eq!(at(-3600), Some(Elapsed(-Elapsed::hours(1).0)));
        assert_eq!(at(30), None);
    }

    #[test]
    fn case_18_time_goes_on_while_the_wall_clock_is_off() {
        use std::sync::atomic::{AtomicI64, Ordering};
        struct Moved(AtomicI64);
        impl World for Moved {
            fn now(&self) -> Instant {
                Instant(self.0.load(Ordering::SeqCst))
            }
            fn unique(&self) -> u64 {
                0
            }
        }
        let wall = Arc::new(Moved(AtomicI64::new(1_000_000_000_000)));
        let world = SteadyWorld::over(wall.clone());
        let start = world.now();
        for off in [Elapsed::hours(1), Elapsed(-Elapsed::hours(1).0)] {
            wall.0.store(start.plus(off).0, Ordering::SeqCst);
            assert!(world.jumped().is_some());
            assert!(
                world.now().since(start).0.abs() < Elapsed::minutes(1).0,
                "{:?}",
                world.now().since(start)
            );
        }
        wall.0
            .store(start.plus(Elapsed::seconds(30)).0, Ordering::SeqCst);
        assert_eq!(
            (world.jumped(), world.now()),
            (None, start.plus(Elapsed::seconds(30)))
        );
    }
}
