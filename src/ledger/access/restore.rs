//! Going on with an old copy of the ledger, on a person's word.
//!
//! Between the copy and now something may have been sent that the copy does not know. So
//! nothing that was due by now is sent by it any more: what is planned is withdrawn, what
//! waits is ended. It is safe and not complete; who was left out is in the report. What is planned
//! from then on has numbers that were never used, so that no platform takes it for what it has.

use std::sync::Arc;

use crate::ledger::access::core::{LedgerReader, OpenLedger};
use crate::ledger::access::opening::{Ledger, begin, open_behind_fence};
use crate::ledger::sql::states::PLANNED;
use crate::ledger::sql::{Connection, params};

use crate::base::Instant;
use crate::base::world::World;
use crate::ledger::access::location::{LedgerLocation, Seat};
use crate::ledger::error::LedgerError;
use crate::ledger::rows::record::{Record, TimerRecord};
use crate::ledger::state::State;

/// What was given up because the ledger is an old copy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Restored {
    /// Messages that were planned and due: they may have been sent.
    pub withdrawn: i64,
    /// Waits and follow-ups that were due.
    pub ended: usize,
}

impl Ledger {
    /// Opens a ledger that is behind its fence and continues with it; `None` when it is not behind.
    ///
    /// # Errors
    /// Those of [`Ledger::open`], but for the fence.
    pub fn restore(
        location: impl Into<LedgerLocation>,
        who: &str,
        world: Arc<dyn World>,
    ) -> Result<Option<(Ledger, Restored)>, LedgerError> {
        let now = world.now();
        let open = open_behind_fence(&location.into(), world, Seat::Decider)?;
        let LedgerReader { id, db, .. } = &open.writer.reader;
        if !open.fence.stops(id, db)? {
            return Ok(None);
        }
        let mut open = begin(open)?;
        let (records, restored) = give_up(&open.writer.reader.db, who, now)?;
        let OpenLedger { writer, fence, .. } = &mut open;
        let link = writer.commit_link("restore", now, &[], &records)?;
        fence.put_back(&writer.reader.id, &link)?;
        Ok(Some((Ledger { open }, restored)))
    }
}

fn give_up(
    db: &Connection,
    who: &str,
    now: Instant,
) -> Result<(Vec<Record>, Restored), LedgerError> {
    let mut records = vec![Record::Restored { who: who.into() }];
    let mut restored = Restored::default();
    let sql = format!(
        "SELECT segment, size - claimed - displaced FROM segment WHERE rest_state = {PLANNED} AND claimed < size AND not_before <= ? ORDER BY segment"
    );
    let mut select = db.prepare_cached(sql)?;
    for row in select.query_map([now.0], |row| Ok((row.get(0)?, row.get::<i64>(1)?)))? {
        let (segment, n) = row?;
        records.push(Record::SegmentEnded {
            segment,
            state: State::Withdrawn,
        });
        restored.withdrawn += n;
    }
    let mut select = db.prepare_cached("SELECT wait FROM wait WHERE due <= ? ORDER BY wait")?;
    for wait in select.query_map([now.0], |row| row.get(0))? {
        records.push(Record::WaitEnded {
            wait: wait?,
            why: "restored".into(),
        });
        restored.ended += 1;
    }
    let mut select =
        db.prepare_cached("SELECT segment, step FROM timer WHERE due <= ? ORDER BY segment, step")?;
    for row in select.query_map([now.0], |row| Ok((row.get(0)?, row.get(1)?)))? {
        let (segment, step) = row?;
        records.push(Record::TimerEnded {
            segment,
            step,
            why: "restored".into(),
        });
        restored.ended += 1;
    }
    // Follow-ups of what was sent before the copy was made may have had their timers
    // since.
    let mut select = db.prepare_cached(
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
