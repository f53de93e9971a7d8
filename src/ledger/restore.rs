//! Going on with an old copy of the ledger, on a person's word.
//!
//! Between the copy and now something may have been handed over that the copy does not know. So
//! nothing that was due by now is handed over by it any more: what is planned is withdrawn, what
//! waits is ended. It is safe and not complete; who was left out is in the report. What is planned
//! from then on has numbers that were never used, so that no platform takes it for what it has.

use std::sync::Arc;

use super::sql::params;
use super::sql::states::PLANNED;

use super::error::LedgerError;
use super::location::{LedgerLocation, Seat};
use super::record::{Record, TimerRecord};
use super::state::State;
use super::{Ledger, Writer};
use crate::base::Instant;
use crate::base::world::World;

/// What was given up because the ledger is an old copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// Messages that were planned and due: they may have been handed over.
    pub withdrawn: i64,
    /// Waits and follow-ups that were due.
    pub ended: usize,
}

impl Ledger {
    /// Opens a ledger that is behind its fence and goes on with it; `None` when it is not behind.
    ///
    /// # Errors
    /// Those of [`Ledger::open`], but for the fence.
    pub fn restore(
        place: impl Into<LedgerLocation>,
        who: &str,
        world: Arc<dyn World>,
    ) -> Result<Option<(Writer, Restored)>, LedgerError> {
        let now = world.now();
        let writer = Ledger::open_behind_fence(&place.into(), world, Seat::Decider)?;
        if !writer.fence.stops(&writer.id, &writer.db)? {
            return Ok(None);
        }
        let mut writer = writer.begin()?;
        let (records, restored) = writer.give_up(who, now)?;
        let link = writer.commit_link("restore", now, &[], &records)?;
        let Writer { console, fence, .. } = &mut writer;
        fence.put_back(&console.id, &link)?;
        Ok(Some((writer, restored)))
    }
}

impl Writer {
    fn give_up(&self, who: &str, now: Instant) -> Result<(Vec<Record>, Restored), LedgerError> {
        let mut records = vec![Record::Restored { who: who.into() }];
        let mut restored = Restored::default();
        let sql = format!(
            "SELECT segment, size - claimed - displaced FROM segment WHERE rest_state = {PLANNED} AND claimed < size AND not_before <= ? ORDER BY segment"
        );
        let mut select = self.db.prepare_cached(sql)?;
        for row in select.query_map([now.0], |row| Ok((row.get(0)?, row.get::<i64>(1)?)))? {
            let (segment, n) = row?;
            records.push(Record::SegmentEnded {
                segment,
                state: State::Withdrawn,
            });
            restored.withdrawn += n;
        }
        let mut select = self
            .db
            .prepare_cached("SELECT wait FROM wait WHERE due <= ? ORDER BY wait")?;
        for wait in select.query_map([now.0], |row| row.get(0))? {
            records.push(Record::WaitEnded {
                wait: wait?,
                why: "restored".into(),
            });
            restored.ended += 1;
        }
        let mut select = self.db.prepare_cached(
            "SELECT segment, step FROM timer WHERE due <= ? ORDER BY segment, step",
        )?;
        for row in select.query_map([now.0], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (segment, step) = row?;
            records.push(Record::TimerEnded {
                segment,
                step,
                why: "restored".into(),
            });
            restored.ended += 1;
        }
        // Follow-ups of what was handed over before the copy was made may have had their timers
        // since.
        let mut select = self.db.prepare_cached(
            "SELECT segment FROM segment WHERE follows = 1 AND not_before <= ? ORDER BY segment",
        )?;
        for segment in select.query_map(params![now.0], |row| row.get(0))? {
            records.push(Record::TimersSet(TimerRecord {
                segment: segment?,
                dispatched_at: None,
                timers: Vec::new(),
            }));
        }
        Ok((records, restored))
    }
}
