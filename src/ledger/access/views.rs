//! What each role may do with an open ledger. No view has another's verbs; all can ask.

use crate::ledger::access::core::{LedgerReader, LedgerWriter, OpenLedger};

/// Plans: makes campaigns live, freezes runs, sets and ends timers, plans again.
pub struct Planner<'l> {
    pub(in crate::ledger) writer: &'l mut LedgerWriter,
}

/// Sends what is planned: claims, records answers, receipts and what keeps messages from leaving.
pub struct Dispatcher<'l> {
    pub(in crate::ledger) open: &'l mut OpenLedger,
}

/// What a person may do: hold back, take back, settle, test.
pub struct Operator<'l> {
    pub(in crate::ledger) writer: &'l mut LedgerWriter,
}

impl Planner<'_> {
    pub fn reader(&self) -> &LedgerReader {
        &self.writer.reader
    }
}

impl Dispatcher<'_> {
    pub fn reader(&self) -> &LedgerReader {
        &self.open.writer.reader
    }
}

impl Operator<'_> {
    pub fn reader(&self) -> &LedgerReader {
        &self.writer.reader
    }
}

/// A ledger that messages can be sent from: the decider's or a worker's.
pub trait Dispatching {
    fn reader(&self) -> &LedgerReader;

    fn dispatcher(&mut self) -> Dispatcher<'_>;
}
