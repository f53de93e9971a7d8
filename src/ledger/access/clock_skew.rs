//! The clock by which windows of quotas are counted: where several machines share a ledger it is
//! the database's, so that a window is the same for all of them, however far their own clocks are
//! apart.

use crate::base::{Elapsed, Instant};
use crate::ledger::error::LedgerError;
use crate::ledger::sql::Connection;

/// How long a comparison of the clocks is believed.
const COMPARED_FOR: Elapsed = Elapsed::minutes(1);

/// By how much the database's clock is ahead, and when that was found out.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::ledger) struct ClockSkew(Option<(Instant, Elapsed)>);

impl ClockSkew {
    /// By how much the clock of the database is ahead of this machine's; of a file, nothing.
    pub fn ahead(&mut self, db: &Connection, wall: Instant) -> Result<Elapsed, LedgerError> {
        if let Connection::Sqlite(_) = db {
            return Ok(Elapsed(0));
        }
        if let Some((since, ahead)) = self.0
            && (since..since.plus(COMPARED_FOR)).contains(&wall)
        {
            return Ok(ahead);
        }
        let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
        let theirs: i64 = db.prepare_cached(sql)?.query_row((), |row| row.get(0))?;
        let ahead = Instant(theirs).since(wall);
        self.0 = Some((wall, ahead));
        Ok(ahead)
    }
}
