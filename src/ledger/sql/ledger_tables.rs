//! The tables, and the settings without which a commit would not be one.
//!
//! `audit` and `blob` are what is kept; all the other tables are made from them and can be made
//! again ([`crate::ledger::audit`]).

use std::path::Path;

use super::connection::Connection;
use super::dialect::Dialect;
use super::error::{OptionalExtension, Result};
use super::states::{PLANNED, SLOT_RETURNED, UNANSWERED};
use crate::ledger::error::LedgerError;

/// What this program reads and writes.
pub(in crate::ledger) const VERSION: i64 = 1;

/// Marks a file as a ledger, in the field that SQLite has for it. (`tagc`.)
const APPLICATION: i64 = 0x7461_6763;

/// Messages whose slots caps give back, by segment.
pub(in crate::ledger) const SLOTS_RETURNED_INDEX: &str = "message_slot_returned";

/// The tables of a ledger.
fn all_tables(dialect: Dialect) -> String {
    let (int, text, bytes) = (dialect.int(), dialect.text(), dialect.bytes());
    let by_primary_key = dialect.by_primary_key();
    format!(
        "
-- The transactions: a chain of records for each writer, each record with the digest of the one before.
CREATE TABLE audit (seq {int} PRIMARY KEY, writer {text} NOT NULL, n {int} NOT NULL, at {int} NOT NULL, kind {text} NOT NULL,
    payload {text} NOT NULL, prev {text} NOT NULL, digest {text} NOT NULL, UNIQUE (writer, n));
-- Columns of users, addresses and texts under their digests.
CREATE TABLE blob (digest {text} PRIMARY KEY, data {bytes} NOT NULL);
CREATE TABLE meta (name {text} PRIMARY KEY, value {text} NOT NULL);

-- What is live.
CREATE TABLE program (digest {text} PRIMARY KEY, sources {text} NOT NULL, at {int} NOT NULL);
CREATE TABLE live (campaign {text} PRIMARY KEY, fixed {int}, since {int} NOT NULL, program {text} NOT NULL);
CREATE TABLE calendar (campaign {text} PRIMARY KEY, handled {int} NOT NULL);
CREATE TABLE missed (campaign {text} NOT NULL, due {int} NOT NULL, at {int} NOT NULL, PRIMARY KEY (campaign, due));
CREATE TABLE plan_used (id {text} PRIMARY KEY, program {text} NOT NULL, at {int} NOT NULL);
-- What people hold back.
CREATE TABLE hold (scope {text} NOT NULL, name {text} NOT NULL, cancelled {int} NOT NULL, at {int} NOT NULL, who {text} NOT NULL,
    PRIMARY KEY (scope, name)) {by_primary_key};

-- What was planned.
CREATE TABLE run (run {int} PRIMARY KEY, campaign {text} NOT NULL, occasion {text} NOT NULL, value {text}, UNIQUE (campaign, occasion));
CREATE TABLE step (run {int} NOT NULL, step {int} NOT NULL, name {text} NOT NULL, due {int} NOT NULL, planned_at {int} NOT NULL,
    zone {text} NOT NULL, program {text} NOT NULL, snapshot {text} NOT NULL, seed {text} NOT NULL, purpose {text} NOT NULL, users {int} NOT NULL,
    not_matched {int} NOT NULL, choose_unknown {int} NOT NULL, limits {text} NOT NULL, rising {int} NOT NULL,
    quiet_from {int}, quiet_to {int}, finished_at {int},
    PRIMARY KEY (run, step));
CREATE INDEX step_open ON step (run, step) WHERE finished_at IS NULL;
CREATE TABLE unknown_because (run {int} NOT NULL, step {int} NOT NULL, tag {text} NOT NULL, users {int} NOT NULL,
    PRIMARY KEY (run, step, tag));
CREATE TABLE stopped (run {int} NOT NULL, step {int} NOT NULL, place {int} NOT NULL, reason {text} NOT NULL, detail {text},
    users {int} NOT NULL, members {text} NOT NULL, PRIMARY KEY (run, step, place));
CREATE TABLE arm (run {int} NOT NULL, step {int} NOT NULL, place {int} NOT NULL, arm {text} NOT NULL, users {int} NOT NULL,
    members {text} NOT NULL, PRIMARY KEY (run, step, place));
-- Messages with everything in common but the user: the first `claimed` of them are in batches, `displaced` of the others have lost
-- their slots, all others are in the state `rest_state`.
CREATE TABLE segment (segment {int} PRIMARY KEY, run {int} NOT NULL, step {int} NOT NULL, fanout_index {int} NOT NULL,
    attempt {int} NOT NULL, arm {text}, template {text} NOT NULL, account {text} NOT NULL, platform {text} NOT NULL, endpoint {text} NOT NULL,
    priority {int} NOT NULL, not_before {int} NOT NULL, expires {int} NOT NULL, day {int} NOT NULL, size {int} NOT NULL,
    users {text} NOT NULL, addresses {text} NOT NULL, contents {text} NOT NULL, claimed {int} NOT NULL, rest_state {int} NOT NULL,
    rest_state_at {int}, follows {int} NOT NULL DEFAULT 0, displaced {int} NOT NULL DEFAULT 0);
CREATE INDEX segment_run ON segment (run, step);
CREATE INDEX segment_day ON segment (day);
CREATE INDEX segment_open ON segment (not_before) WHERE rest_state = {PLANNED} AND claimed < size;
CREATE INDEX segment_follows ON segment (segment) WHERE follows = 1;

-- What was sent: the members `first` to `first + size` of a segment without those who had opted out.
CREATE TABLE batch (batch {int} PRIMARY KEY, segment {int} NOT NULL, first {int} NOT NULL, size {int} NOT NULL,
    members {int} NOT NULL, key {text} NOT NULL UNIQUE, request {text} NOT NULL, worker {text} NOT NULL, claimed_at {int} NOT NULL, state {int} NOT NULL,
    state_at {int} NOT NULL, ids {text});
CREATE INDEX batch_segment ON batch (segment);
CREATE INDEX batch_open ON batch (batch) WHERE state IN ({UNANSWERED});
-- Each answer to a batch.
CREATE TABLE answer (batch {int} NOT NULL, n {int} NOT NULL, at {int} NOT NULL, state {int} NOT NULL, reason {text},
    PRIMARY KEY (batch, n));
-- The state of a message is the stronger one of its batch's and its own.
CREATE TABLE message (run {int} NOT NULL, step {int} NOT NULL, fanout_index {int} NOT NULL, user_no {int} NOT NULL, attempt {int} NOT NULL,
    segment {int} NOT NULL, place {int} NOT NULL, batch {int}, state {int},
    PRIMARY KEY (run, step, fanout_index, user_no, attempt)) {by_primary_key};
CREATE INDEX {SLOTS_RETURNED_INDEX} ON message (segment) WHERE state IN ({SLOT_RETURNED});
CREATE TABLE receipt (run {int} NOT NULL, step {int} NOT NULL, fanout_index {int} NOT NULL, user_no {int} NOT NULL,
    attempt {int} NOT NULL, kind {text} NOT NULL, at {int} NOT NULL, source {text} NOT NULL,
    PRIMARY KEY (run, step, fanout_index, user_no, attempt, kind)) {by_primary_key};
CREATE TABLE quota (holder {text} NOT NULL, starts {int} NOT NULL, used {int} NOT NULL, PRIMARY KEY (holder, starts));
-- Batches whose platform is to be asked for receipts, and how often people were reminded to confirm them.
CREATE TABLE poll (batch {int} PRIMARY KEY, due {int} NOT NULL, reminders {int} NOT NULL);
-- Test messages.
CREATE TABLE test_send (test_send {int} PRIMARY KEY, campaign {text} NOT NULL, template {text} NOT NULL, channel {text} NOT NULL, user_no {int},
    key {text} NOT NULL, who {text} NOT NULL, at {int} NOT NULL, state {int} NOT NULL, reason {text}, platform_id {text});
-- Old runs of which only counts are kept, and the states of messages whose rows are gone.
CREATE TABLE forgotten (run {int} PRIMARY KEY, at {int} NOT NULL);
CREATE TABLE forgotten_states (run {int} NOT NULL, step {int} NOT NULL, segment {int} NOT NULL, state {int} NOT NULL, instead_of {int} NOT NULL,
    n {int} NOT NULL, PRIMARY KEY (run, step, segment, state, instead_of));

-- What is to happen later.
CREATE TABLE wait (wait {int} PRIMARY KEY, campaign {text} NOT NULL, user_no {int} NOT NULL, event {text} NOT NULL, event_at {int} NOT NULL,
    due {int} NOT NULL, event_values {text} NOT NULL, UNIQUE (campaign, event));
CREATE INDEX wait_due ON wait (due);
CREATE INDEX wait_user ON wait (campaign, user_no);
CREATE TABLE timer (segment {int} NOT NULL, step {text} NOT NULL, due {int} NOT NULL, dispatched_at {int} NOT NULL,
    PRIMARY KEY (segment, step)) {by_primary_key};
CREATE INDEX timer_due ON timer (due);
CREATE TABLE event_source (source {text} PRIMARY KEY, position {int} NOT NULL) {by_primary_key};

-- Calls of platforms as they came, the pages of their mailboxes among them.
CREATE TABLE inbox (inbox {int} PRIMARY KEY, account {text} NOT NULL, at {int} NOT NULL, body {text} NOT NULL, applied_at {int},
    readable {int});
CREATE INDEX inbox_open ON inbox (inbox) WHERE applied_at IS NULL;
-- Mailboxes: the mark up to which they have been read, and when nothing was left the last time.
CREATE TABLE mailbox (account {text} NOT NULL, name {text} NOT NULL, mark {text} NOT NULL, read_at {int}, PRIMARY KEY (account, name)) {by_primary_key};
CREATE TABLE receipt_seen (key {text} PRIMARY KEY) {by_primary_key};
-- By which ids platforms know messages; without `user_no` the id is that of a whole list.
CREATE TABLE platform_id (id {text} PRIMARY KEY, batch {int} NOT NULL, user_no {int}) {by_primary_key};
CREATE TABLE unmatched_receipt (id {text} NOT NULL, content {text} NOT NULL, at {int} NOT NULL, source {text} NOT NULL, PRIMARY KEY (id, content)) {by_primary_key};
CREATE TABLE delivery_counts (batch {int} PRIMARY KEY, total {int} NOT NULL, filtered {int} NOT NULL, delivered {int} NOT NULL,
    failed {int} NOT NULL);

-- Who can be reached.
CREATE TABLE opt_out (user_no {int} PRIMARY KEY, at {int} NOT NULL, source {text} NOT NULL);
CREATE TABLE blocked_address (account {text} NOT NULL, user_no {int} NOT NULL, address {int} NOT NULL, reason {text} NOT NULL, at {int} NOT NULL,
    PRIMARY KEY (account, user_no)) {by_primary_key};
-- What users did on an account last: `since` when, and how often since then where each time counts.
CREATE TABLE contact (account {text} NOT NULL, kind {text} NOT NULL, topic {text} NOT NULL, user_no {int} NOT NULL, since {int} NOT NULL,
    n {int} NOT NULL, at {int} NOT NULL, PRIMARY KEY (account, kind, topic, user_no)) {by_primary_key};
CREATE INDEX contact_user ON contact (user_no, account);
-- Why messages wait: for an account, a channel of it, or a campaign on that; empty stands for all of them.
CREATE TABLE trouble (account {text} NOT NULL, endpoint {text} NOT NULL, campaign {text} NOT NULL, since {int} NOT NULL, person {int} NOT NULL,
    until {int}, en {text} NOT NULL, zh {text} NOT NULL, PRIMARY KEY (account, endpoint, campaign)) {by_primary_key};
"
    )
}

/// What a server needs besides the tables: what SQLite has built in, and numbers that no two
/// workers get.
const SERVER: &str = "
CREATE SCHEMA IF NOT EXISTS tagcast;
CREATE TABLE ledger_version (n BIGINT NOT NULL);
CREATE SEQUENCE ids_segment;
CREATE SEQUENCE ids_batch;
CREATE SEQUENCE ids_audit;
CREATE FUNCTION max(BIGINT, BIGINT) RETURNS BIGINT IMMUTABLE STRICT LANGUAGE SQL AS 'SELECT greatest($1, $2)';
CREATE FUNCTION min(BIGINT, BIGINT) RETURNS BIGINT IMMUTABLE STRICT LANGUAGE SQL AS 'SELECT least($1, $2)';
";

/// The tables that are made from the records, each with the columns that order it.
pub(in crate::ledger) const PROJECTIONS: [(&str, &str); 35] = [
    ("program", "digest"),
    ("live", "campaign"),
    ("calendar", "campaign"),
    ("missed", "campaign, due"),
    ("plan_used", "id"),
    ("run", "run"),
    ("step", "run, step"),
    ("unknown_because", "run, step, tag"),
    ("stopped", "run, step, place"),
    ("arm", "run, step, place"),
    ("segment", "segment"),
    ("batch", "batch"),
    ("answer", "batch, n"),
    ("message", "run, step, fanout_index, user_no, attempt"),
    ("receipt", "run, step, fanout_index, user_no, attempt, kind"),
    ("quota", "holder, starts"),
    ("opt_out", "user_no"),
    ("meta", "name"),
    ("wait", "wait"),
    ("timer", "segment, step"),
    ("event_source", "source"),
    ("hold", "scope, name"),
    ("inbox", "inbox"),
    ("receipt_seen", "key"),
    ("platform_id", "id"),
    ("unmatched_receipt", "id, content"),
    ("delivery_counts", "batch"),
    ("poll", "batch"),
    ("test_send", "test_send"),
    ("forgotten", "run"),
    ("forgotten_states", "run, step, segment, state, instead_of"),
    ("blocked_address", "account, user_no"),
    ("contact", "account, kind, topic, user_no"),
    ("mailbox", "account, name"),
    ("trouble", "account, endpoint, campaign"),
];

/// The version of a ledger; `None` where there is none.
///
/// # Errors
/// When it is of another version than this program's.
pub(in crate::ledger) fn version(
    db: &Connection,
    file: &Path,
) -> std::result::Result<Option<i64>, LedgerError> {
    let number = |sql: &str| db.query_row(sql, (), |row| row.get::<i64>(0));
    let found = match db {
        Connection::Sqlite(_) => match number("PRAGMA user_version")? {
            0 => None,
            found => Some((found, number("PRAGMA application_id")? == APPLICATION)),
        },
        Connection::Postgres(_) if has_table(db, "ledger_version")? => {
            Some((number("SELECT n FROM ledger_version")?, true))
        }
        Connection::Postgres(_) if has_table(db, "version")? => Some((0, false)),
        Connection::Postgres(_) => None,
    };
    match found {
        None => Ok(None),
        Some((VERSION, true)) => Ok(Some(VERSION)),
        Some((found, false)) if found < VERSION_LIMIT => Err(LedgerError::Unreleased(file.into())),
        Some((found, _)) => Err(LedgerError::OtherVersion {
            file: file.into(),
            found,
            known: VERSION,
        }),
    }
}

/// Ledgers from before the first release had versions below this one, and no mark.
const VERSION_LIMIT: i64 = 12;

/// Whether a server has a table of a ledger.
fn has_table(db: &Connection, table: &str) -> Result<bool> {
    db.prepare_cached("SELECT 1 FROM pg_tables WHERE schemaname = 'tagcast' AND tablename = ?")?
        .exists([table])
}

/// Whether a database without a version has tables all the same: then it is another program's.
pub(in crate::ledger) fn is_foreign(db: &Connection) -> Result<bool> {
    match db {
        Connection::Sqlite(_) => {
            db.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| {
                row.get(0)
            })
        }
        // The ledger has a schema of its own.
        Connection::Postgres(_) => Ok(false),
    }
}

/// Makes the tables where there are none.
pub(in crate::ledger) fn create(
    db: &Connection,
    file: &Path,
) -> std::result::Result<(), LedgerError> {
    let tx = db.transaction()?;
    if let Connection::Postgres(_) = &*tx {
        // One process at a time, and nothing of it twice.
        tx.query_row(
            "SELECT CAST(pg_advisory_xact_lock(29793, 1000) AS TEXT)",
            (),
            |_| Ok(()),
        )?;
    }
    if version(&tx, file)?.is_none() {
        let tables = all_tables(tx.dialect());
        tx.execute_batch(&match &*tx {
            Connection::Sqlite(_) => format!(
                "{tables} PRAGMA user_version = {VERSION}; PRAGMA application_id = {APPLICATION};"
            ),
            Connection::Postgres(_) => {
                format!("{SERVER} INSERT INTO ledger_version VALUES ({VERSION}); {tables}")
            }
        })?;
    }
    tx.commit()?;
    Ok(())
}

/// The next free number of a table. Of what several workers make it is given once and never again.
pub(in crate::ledger) fn next_id(db: &Connection, table: &str) -> Result<i64> {
    let next = next_in_turn(db, table)?;
    // What platforms know a message by is made of these numbers. Those that the lost part of a
    // ledger has used must not come again: a platform would take another message for one that it
    // has.
    if !["run", "batch", "test_send"].contains(&table) {
        return Ok(next);
    }
    let first = meta(db, FIRST_NUMBER)?
        .and_then(|text| text.parse::<i64>().ok())
        .unwrap_or(0);
    Ok(match (db, table) {
        // A sequence continues from where it was.
        (Connection::Postgres(_), "batch") => next.saturating_add(first),
        _ => next.max(first),
    })
}

/// In `meta`: the least number of runs, batches and test messages since an old copy was gone on
/// with, the time of it in milliseconds.
pub(in crate::ledger) const FIRST_NUMBER: &str = "first number";

fn next_in_turn(db: &Connection, table: &str) -> Result<i64> {
    match (db, table) {
        (Connection::Postgres(_), "segment") => {
            db.query_row("SELECT nextval('ids_segment')", (), |row| row.get(0))
        }
        (Connection::Postgres(_), "batch") => {
            db.query_row("SELECT nextval('ids_batch')", (), |row| row.get(0))
        }
        (Connection::Postgres(_), "audit") => {
            db.query_row("SELECT nextval('ids_audit')", (), |row| row.get(0))
        }
        (Connection::Sqlite(_), "audit") => {
            db.query_row("SELECT coalesce(max(seq), 0) + 1 FROM audit", (), |row| {
                row.get(0)
            })
        }
        _ => db.query_row(
            format!("SELECT coalesce(max({table}), 0) + 1 FROM {table}"),
            (),
            |row| row.get(0),
        ),
    }
}

/// The tables in an empty database in memory, for comparing.
pub(in crate::ledger) fn tables_in_memory() -> Result<Connection> {
    let db = Connection::Sqlite(rusqlite::Connection::open_in_memory()?);
    db.execute_batch(&all_tables(Dialect::Sqlite))?;
    Ok(db)
}

/// Asks for commits that are on the disk when they are confirmed.
pub(in crate::ledger) fn make_durable(db: &Connection) -> Result<()> {
    match db {
        Connection::Sqlite(db) => {
            db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
            db.pragma_update(None, "synchronous", "FULL")?;
            // What is erased must not stay readable in the file.
            Ok(db.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(()))?)
        }
        // What the server or the role says is respected and checked: who turned it off meant it.
        Connection::Postgres(_) => Ok(()),
    }
}

/// # Errors
/// When a commit would be confirmed before it is on the disk, whatever was asked for.
pub(in crate::ledger) fn require_durable(
    db: &Connection,
    file: &Path,
) -> std::result::Result<(), LedgerError> {
    let refuse = |setting: String| {
        Err(LedgerError::NotDurable {
            file: file.into(),
            setting,
        })
    };
    let text = |sql: &str| db.query_row(sql, (), |row| row.get::<String>(0));
    match db {
        Connection::Sqlite(_) => {
            let mode = text("PRAGMA journal_mode")?;
            if !mode.eq_ignore_ascii_case("wal") {
                return refuse(format!("journal_mode = {mode}"));
            }
            match db.query_row("PRAGMA synchronous", (), |row| row.get::<i64>(0))? {
                2 | 3 => Ok(()),
                other => refuse(format!("synchronous = {other}")),
            }
        }
        Connection::Postgres(_) => {
            for (setting, wanted) in [
                ("synchronous_commit", &["on", "remote_apply"][..]),
                ("fsync", &["on"]),
                ("full_page_writes", &["on"]),
            ] {
                let found = text(&format!("SHOW {setting}"))?;
                if !wanted.contains(&found.as_str()) {
                    return refuse(format!("{setting} = {found}"));
                }
            }
            Ok(())
        }
    }
}

/// Removes what the write-ahead log still holds of what was erased.
pub(in crate::ledger) fn forget_log(db: &Connection) -> Result<()> {
    match db {
        Connection::Sqlite(_) => db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())),
        Connection::Postgres(_) => Ok(()),
    }
}

/// A value of `meta`.
pub(in crate::ledger) fn meta(db: &Connection, name: &str) -> Result<Option<String>> {
    db.query_row("SELECT value FROM meta WHERE name = ?", [name], |row| {
        row.get(0)
    })
    .optional()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Case 10 of the delivery design: a ledger that would lose commits is refused.
    #[test]
    fn case_10_a_ledger_that_does_not_sync_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ledger.db");
        let db = Connection::Sqlite(rusqlite::Connection::open(&file).unwrap());
        let pragma = |name: &str, value: &str| {
            db.query_row(format!("PRAGMA {name} = {value}"), (), |_| Ok(()))
                .optional()
                .unwrap()
        };
        make_durable(&db).unwrap();
        require_durable(&db, &file).unwrap();
        for weaker in ["NORMAL", "OFF"] {
            pragma("synchronous", weaker);
            assert!(
                matches!(
                    require_durable(&db, &file),
                    Err(LedgerError::NotDurable { .. })
                ),
                "{weaker}"
            );
        }
        make_durable(&db).unwrap();
        pragma("journal_mode", "DELETE");
        assert!(matches!(
            require_durable(&db, &file),
            Err(LedgerError::NotDurable { .. })
        ));
    }

    /// What development versions made cannot be read, and the error says so.
    #[test]
    fn a_ledger_from_before_the_first_release_is_refused() {
        for version in [1, 11] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("ledger.db");
            let db = rusqlite::Connection::open(&file).unwrap();
            db.execute_batch("CREATE TABLE bulk (digest TEXT PRIMARY KEY, data BLOB NOT NULL)")
                .unwrap();
            db.pragma_update(None, "user_version", version).unwrap();
            drop(db);
            let found = crate::ledger::LedgerReader::open(&file).err();
            let Some(error @ LedgerError::Unreleased(_)) = found else {
                panic!("{found:?}")
            };
            assert!(error.message().en.contains("before the first release"));
        }
    }
}
