//! What a run has sent, message by message: for taking it back.

use std::sync::Arc;

use crate::ledger::access::core::LedgerReader;
use crate::ledger::sql::states::PLANNED;
use crate::ledger::sql::{OptionalExtension, params};

use crate::decide::decision::Rendered;
use crate::ledger::claim::open_segment::{OPEN, OpenSegment};
use crate::ledger::error::LedgerError;
use crate::ledger::ids::MessageKey;
use crate::ledger::ids::RunId;
use crate::ledger::rows::blob;
use crate::ledger::rows::encode;
use crate::ledger::state::State;
use crate::program::typed::ChannelName;

/// A message that was sent.
#[derive(Clone, Debug)]
pub struct SentMessage {
    pub key: MessageKey,
    pub channel: ChannelName,
    pub state: State,
    /// The platform's; empty where it gave none.
    pub id: Arc<str>,
    pub content: Arc<Rendered>,
}

impl LedgerReader {
    /// The messages of a run that were sent, with what is known of each; `None` when there
    /// is no such run.
    ///
    /// # Errors
    /// When the ledger cannot be read or is damaged.
    pub fn sent(&self, run: RunId) -> Result<Option<Vec<SentMessage>>, LedgerError> {
        if !self
            .db
            .prepare_cached("SELECT 1 FROM run WHERE run = ?")?
            .exists([run.0])?
        {
            return Ok(None);
        }
        let sql = "SELECT b.batch, b.segment, b.first, b.size, b.state, b.ids FROM batch b JOIN segment s USING (segment)
            WHERE s.run = ? ORDER BY b.batch";
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map([run.0], |row| {
            let numbers: [i64; 5] = [
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ];
            Ok((numbers, row.get::<Option<String>>(5)?))
        })?;
        let batches = rows.collect::<Result<Vec<_>, _>>()?;
        drop(select);
        let mut sent = Vec::new();
        let sql = format!(
            "SELECT coalesce(state, {PLANNED}) FROM message WHERE run = ? AND step = ? AND fanout_index = ? AND user_no = ? AND attempt = ? AND batch = ?"
        );
        let mut select = self.db.prepare_cached(sql)?;
        for ([batch, segment, first, size, state], ids) in batches {
            let of = self
                .db
                .prepare_cached(format!("{OPEN} WHERE s.segment = ?"))?
                .query_row([segment], OpenSegment::of_row)?;
            let ids = match ids {
                Some(digest) => encode::read_strings(&blob::load(&self.db, &digest)?)
                    .ok_or_else(|| blob::damaged(&digest))?,
                None => Vec::new(),
            };
            let mut nth = 0;
            for (user, content) in self.users_and_contents(&of.of, first, size)? {
                let key = MessageKey {
                    run,
                    step: of.of.step,
                    fanout_index: of.of.fanout_index,
                    user,
                    attempt: of.of.attempt,
                };
                let row = params![
                    run.0,
                    key.step,
                    key.fanout_index,
                    user.0,
                    key.attempt,
                    batch
                ];
                // Those who were struck are in no batch.
                let Some(own) = select.query_row(row, |row| row.get::<i64>(0)).optional()? else {
                    continue;
                };
                let id = ids.get(nth).cloned().unwrap_or_default();
                nth += 1;
                let state = State::of_code(own.max(state)).unwrap_or(State::Unknown);
                sent.push(SentMessage {
                    key,
                    channel: of.channel(),
                    state,
                    id,
                    content,
                });
            }
        }
        Ok(Some(sent))
    }
}
