//! The clock by which windows of quotas are counted: where several machines share a ledger it is
//! the database's, so that a window is the same for all of them, however far their own clocks are
//! apart.

use super::Writer;
use super::error::LedgerError;
use super::sql::Connection;
use crate::base::{Elapsed, Instant};

/// How long a comparison of the clocks is believed.
const COMPARED_FOR: Elapsed = Elapsed::minutes(1);

/// By how much the database's clock is ahead, and when that was found out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClockSkew(Option<(Instant, Elapsed)>);

impl Writer {
    /// An instant of this machine by the clock that windows are counted by.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn in_windows(&mut self, now: Instant) -> Result<Instant, LedgerError> {
        let (Connection::Postgres(_), Some(wall)) = (&self.db, self.world.wall()) else {
            return Ok(now);
        };
        let ahead = match self.skew.0 {
            Some((since, ahead)) if (since..since.plus(COMPARED_FOR)).contains(&wall) => ahead,
            _ => {
                let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
                let theirs: i64 = self
                    .db
                    .prepare_cached(sql)?
                    .query_row((), |row| row.get(0))?;
                let ahead = Instant(theirs).since(wall);
                self.skew = ClockSkew(Some((wall, ahead)));
                ahead
            }
        };
        Ok(now.plus(ahead))
    }
}
