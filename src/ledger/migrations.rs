//! The tables, their versions, and the settings without which a commit would not be one.
//!
//! `audit` and `bulk` are what is kept; all the other tables are made from them and can be made
//! again ([`super::audit`]).

use std::path::Path;

use super::db::{self, Connection, OptionalExtension};

use super::error::LedgerError;

/// Each entry brings the ledger from the version of its position to the next one.
const MIGRATIONS: [&str; 11] = [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11];

/// What this program reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

const V1: &str = "
-- One record a transaction, each with the digest of the one before.
CREATE TABLE audit (n INTEGER PRIMARY KEY, writer TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, payload TEXT NOT NULL,
    prev TEXT NOT NULL, digest TEXT NOT NULL);
-- Columns of users, addresses and texts under their digests.
CREATE TABLE bulk (digest TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- What is live.
CREATE TABLE program (digest TEXT PRIMARY KEY, sources TEXT NOT NULL, at INTEGER NOT NULL);
CREATE TABLE live (campaign TEXT PRIMARY KEY, fixed INTEGER, since INTEGER NOT NULL, program TEXT NOT NULL);
CREATE TABLE calendar (campaign TEXT PRIMARY KEY, handled INTEGER NOT NULL);
CREATE TABLE missed (campaign TEXT NOT NULL, due INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (campaign, due));
CREATE TABLE plan_used (id TEXT PRIMARY KEY, program TEXT NOT NULL, at INTEGER NOT NULL);

-- What was planned.
CREATE TABLE run (run INTEGER PRIMARY KEY, campaign TEXT NOT NULL, occasion TEXT NOT NULL, value TEXT, UNIQUE (campaign, occasion));
CREATE TABLE step (run INTEGER NOT NULL, step INTEGER NOT NULL, name TEXT NOT NULL, due INTEGER NOT NULL, planned_at INTEGER NOT NULL,
    zone TEXT NOT NULL, program TEXT NOT NULL, snapshot TEXT NOT NULL, seed TEXT NOT NULL, purpose TEXT NOT NULL, users INTEGER NOT NULL,
    not_matched INTEGER NOT NULL, choose_unknown INTEGER NOT NULL, pace INTEGER, rising INTEGER NOT NULL,
    quiet_from INTEGER, quiet_to INTEGER, finished_at INTEGER,
    PRIMARY KEY (run, step));
CREATE TABLE unknown_because (run INTEGER NOT NULL, step INTEGER NOT NULL, tag TEXT NOT NULL, users INTEGER NOT NULL,
    PRIMARY KEY (run, step, tag));
CREATE TABLE stopped (run INTEGER NOT NULL, step INTEGER NOT NULL, place INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT,
    users INTEGER NOT NULL, members TEXT NOT NULL, PRIMARY KEY (run, step, place));
CREATE TABLE arm (run INTEGER NOT NULL, step INTEGER NOT NULL, place INTEGER NOT NULL, arm TEXT NOT NULL, users INTEGER NOT NULL,
    members TEXT NOT NULL, PRIMARY KEY (run, step, place));
-- Messages with everything in common but the user; the first `claimed` of them are in batches, the others are in the state `rest`.
CREATE TABLE segment (segment INTEGER PRIMARY KEY, run INTEGER NOT NULL, step INTEGER NOT NULL, leg INTEGER NOT NULL,
    attempt INTEGER NOT NULL, arm TEXT, template TEXT NOT NULL, account TEXT NOT NULL, platform TEXT NOT NULL, endpoint TEXT NOT NULL,
    priority INTEGER NOT NULL, not_before INTEGER NOT NULL, expires INTEGER NOT NULL, day INTEGER NOT NULL, size INTEGER NOT NULL,
    users TEXT NOT NULL, addresses TEXT NOT NULL, contents TEXT NOT NULL, claimed INTEGER NOT NULL, rest INTEGER NOT NULL,
    rest_at INTEGER);
CREATE INDEX segment_run ON segment (run, step);
CREATE INDEX segment_day ON segment (day);
CREATE INDEX segment_open ON segment (not_before) WHERE rest = 0 AND claimed < size;

-- What was handed over: the members `first` to `first + size` of a segment without the struck ones.
CREATE TABLE batch (batch INTEGER PRIMARY KEY, segment INTEGER NOT NULL, first INTEGER NOT NULL, size INTEGER NOT NULL,
    members INTEGER NOT NULL, key TEXT NOT NULL UNIQUE, request TEXT NOT NULL, worker TEXT NOT NULL, claimed_at INTEGER NOT NULL, state INTEGER NOT NULL,
    state_at INTEGER NOT NULL, ids TEXT);
CREATE INDEX batch_segment ON batch (segment);
CREATE INDEX batch_open ON batch (batch) WHERE state IN (20, 21);
CREATE TABLE attempt (batch INTEGER NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT,
    PRIMARY KEY (batch, n));
-- The state of a message is the stronger one of its batch's and its own.
CREATE TABLE msg (run INTEGER NOT NULL, step INTEGER NOT NULL, leg INTEGER NOT NULL, user_no INTEGER NOT NULL, attempt INTEGER NOT NULL,
    segment INTEGER NOT NULL, place INTEGER NOT NULL, batch INTEGER, state INTEGER,
    PRIMARY KEY (run, step, leg, user_no, attempt)) WITHOUT ROWID;
-- Those of which a cap gives the slot back.
CREATE INDEX msg_back ON msg (segment) WHERE state IN (10, 11, 12, 30, 35, 40, 60, 61, 80);
CREATE TABLE evidence (run INTEGER NOT NULL, step INTEGER NOT NULL, leg INTEGER NOT NULL, user_no INTEGER NOT NULL,
    attempt INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL, source TEXT NOT NULL,
    PRIMARY KEY (run, step, leg, user_no, attempt, kind)) WITHOUT ROWID;
CREATE TABLE quota (holder TEXT NOT NULL, starts INTEGER NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (holder, starts));

CREATE TABLE opt_out (user_no INTEGER PRIMARY KEY, at INTEGER NOT NULL, source TEXT NOT NULL);
";

/// What is to happen later.
const V2: &str = "
CREATE TABLE wait (wait INTEGER PRIMARY KEY, campaign TEXT NOT NULL, user_no INTEGER NOT NULL, event TEXT NOT NULL, armed INTEGER NOT NULL,
    due INTEGER NOT NULL, vals TEXT NOT NULL, UNIQUE (campaign, event));
CREATE INDEX wait_due ON wait (due);
CREATE INDEX wait_user ON wait (campaign, user_no);
ALTER TABLE segment ADD COLUMN follows INTEGER NOT NULL DEFAULT 0;
CREATE INDEX segment_follows ON segment (segment) WHERE follows = 1;
CREATE TABLE timer (segment INTEGER NOT NULL, step TEXT NOT NULL, due INTEGER NOT NULL, handed_over INTEGER NOT NULL,
    PRIMARY KEY (segment, step)) WITHOUT ROWID;
CREATE INDEX timer_due ON timer (due);
CREATE TABLE feed (source TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
";

/// A chain of records for each writer; what people hold back.
const V3: &str = "
ALTER TABLE audit RENAME TO audit_before;
CREATE TABLE audit (seq INTEGER PRIMARY KEY, writer TEXT NOT NULL, n INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
    payload TEXT NOT NULL, prev TEXT NOT NULL, digest TEXT NOT NULL, UNIQUE (writer, n));
INSERT INTO audit SELECT n, writer, n, at, kind, payload, prev, digest FROM audit_before;
DROP TABLE audit_before;
CREATE TABLE hold (scope TEXT NOT NULL, name TEXT NOT NULL, cancelled INTEGER NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL,
    PRIMARY KEY (scope, name)) WITHOUT ROWID;
";

/// What platforms tell, and by which ids they know messages. (`user_no` is missing where an id is
/// that of a whole list.)
const V4: &str = "
CREATE TABLE inbox (inbox INTEGER PRIMARY KEY, account TEXT NOT NULL, at INTEGER NOT NULL, body TEXT NOT NULL, applied_at INTEGER,
    readable INTEGER);
CREATE INDEX inbox_open ON inbox (inbox) WHERE applied_at IS NULL;
CREATE TABLE told (key TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE platform_id (id TEXT PRIMARY KEY, batch INTEGER NOT NULL, user_no INTEGER) WITHOUT ROWID;
CREATE TABLE stray (id TEXT NOT NULL, news TEXT NOT NULL, at INTEGER NOT NULL, source TEXT NOT NULL, PRIMARY KEY (id, news)) WITHOUT ROWID;
CREATE TABLE counts (batch INTEGER PRIMARY KEY, total INTEGER NOT NULL, filtered INTEGER NOT NULL, delivered INTEGER NOT NULL,
    failed INTEGER NOT NULL);
CREATE INDEX step_open ON step (run, step) WHERE finished_at IS NULL;
";

/// Test messages.
const V5: &str = "
CREATE TABLE trial (trial INTEGER PRIMARY KEY, campaign TEXT NOT NULL, template TEXT NOT NULL, channel TEXT NOT NULL, user_no INTEGER,
    key TEXT NOT NULL, who TEXT NOT NULL, at INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT, platform_id TEXT);
";

/// Slots that were taken from messages before they were claimed: how many of the unclaimed members
/// of a segment have lost theirs.
const V6: &str = "
ALTER TABLE segment ADD COLUMN taken INTEGER NOT NULL DEFAULT 0;
DROP INDEX msg_back;
CREATE INDEX msg_back ON msg (segment) WHERE state IN (10, 11, 12, 13, 30, 35, 40, 60, 61, 80);
";

/// Runs that are so old that only counts of them are kept, and the counts that their rows said.
const V7: &str = "
CREATE TABLE forgotten (run INTEGER PRIMARY KEY, at INTEGER NOT NULL);
CREATE TABLE kept (run INTEGER NOT NULL, step INTEGER NOT NULL, segment INTEGER NOT NULL, state INTEGER NOT NULL, instead_of INTEGER NOT NULL,
    n INTEGER NOT NULL, PRIMARY KEY (run, step, segment, state, instead_of));
";

/// Batches of which a platform is to be asked what became of them, and how often people were
/// reminded of them; messages that nobody confirmed give their slots back.
const V8: &str = "
CREATE TABLE ask (batch INTEGER PRIMARY KEY, due INTEGER NOT NULL, reminded INTEGER NOT NULL);
DROP INDEX msg_back;
CREATE INDEX msg_back ON msg (segment) WHERE state IN (10, 11, 12, 13, 30, 35, 40, 60, 61, 62, 80);
";

/// Whom an account does not reach any more; what users did on it last: `since` when, and how often
/// since then where each time counts.
const V9: &str = "
CREATE TABLE barred (account TEXT NOT NULL, user_no INTEGER NOT NULL, address INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (account, user_no)) WITHOUT ROWID;
CREATE TABLE contact (account TEXT NOT NULL, kind TEXT NOT NULL, topic TEXT NOT NULL, user_no INTEGER NOT NULL, since INTEGER NOT NULL,
    n INTEGER NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (account, kind, topic, user_no)) WITHOUT ROWID;
CREATE INDEX contact_user ON contact (user_no, account);
";

/// The first version that has them.
pub(super) const WITH_CONTACTS: i64 = 9;

/// What platforms keep until it is fetched: the mark up to which it has been, and when nothing was
/// left the last time.
const V10: &str = "
CREATE TABLE mailbox (account TEXT NOT NULL, name TEXT NOT NULL, mark TEXT NOT NULL, read_at INTEGER, PRIMARY KEY (account, name)) WITHOUT ROWID;
";

/// The first version that has them.
pub(super) const WITH_MAILBOXES: i64 = 10;

/// Why messages wait: for an account, a channel of it, or a campaign on that; nothing stands for
/// all of them.
const V11: &str = "
CREATE TABLE trouble (account TEXT NOT NULL, endpoint TEXT NOT NULL, campaign TEXT NOT NULL, since INTEGER NOT NULL, person INTEGER NOT NULL,
    until INTEGER, en TEXT NOT NULL, zh TEXT NOT NULL, PRIMARY KEY (account, endpoint, campaign)) WITHOUT ROWID;
";

/// The first version that has them.
pub(super) const WITH_TROUBLES: i64 = 11;

/// The tables that are made from the records, each with the columns that order it.
pub(super) const PROJECTIONS: [(&str, &str); 35] = [
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
    ("attempt", "batch, n"),
    ("msg", "run, step, leg, user_no, attempt"),
    ("evidence", "run, step, leg, user_no, attempt, kind"),
    ("quota", "holder, starts"),
    ("opt_out", "user_no"),
    ("meta", "name"),
    ("wait", "wait"),
    ("timer", "segment, step"),
    ("feed", "source"),
    ("hold", "scope, name"),
    ("inbox", "inbox"),
    ("told", "key"),
    ("platform_id", "id"),
    ("stray", "id, news"),
    ("counts", "batch"),
    ("ask", "batch"),
    ("trial", "trial"),
    ("forgotten", "run"),
    ("kept", "run, step, segment, state, instead_of"),
    ("barred", "account, user_no"),
    ("contact", "account, kind, topic, user_no"),
    ("mailbox", "account, name"),
    ("trouble", "account, endpoint, campaign"),
];

/// The version of a ledger; 0 where there is none.
pub(super) fn version(db: &Connection) -> db::Result<i64> {
    match db {
        Connection::Sqlite(_) => db.query_row("PRAGMA user_version", (), |row| row.get(0)),
        Connection::Postgres(_) if has_tables(db)? => {
            db.query_row("SELECT n FROM version", (), |row| row.get(0))
        }
        Connection::Postgres(_) => Ok(0),
    }
}

/// Whether a server has the tables of a ledger.
fn has_tables(db: &Connection) -> db::Result<bool> {
    db.prepare("SELECT 1 FROM pg_tables WHERE schemaname = 'tagcast' AND tablename = 'version'")?
        .exists(())
}

/// Whether a database without a version has tables all the same: then it is another program's.
pub(super) fn is_foreign(db: &Connection) -> db::Result<bool> {
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

/// Brings a ledger to the present version.
pub(super) fn migrate(db: &mut Connection, file: &Path) -> Result<(), LedgerError> {
    let tx = db.transaction()?;
    if let Connection::Postgres(_) = &*tx {
        // One process at a time, and nothing of it twice.
        tx.query_row(
            "SELECT CAST(pg_advisory_xact_lock(29793, 1000) AS TEXT)",
            (),
            |_| Ok(()),
        )?;
        if !has_tables(&tx)? {
            tx.execute_batch(SERVER)?;
        }
    }
    let found = version(&tx)?;
    check_version(found, file)?;
    for (from, sql) in (0..).zip(MIGRATIONS) {
        if from >= found {
            match &*tx {
                Connection::Sqlite(_) => {
                    tx.execute_batch(&format!("{sql} PRAGMA user_version = {};", from + 1))?
                }
                Connection::Postgres(_) => tx.execute_batch(&format!(
                    "{} UPDATE version SET n = {};",
                    of_server(sql),
                    from + 1
                ))?,
            }
        }
    }
    tx.commit()?;
    Ok(())
}

/// What a server needs besides the tables: what SQLite has built in, and numbers that no two
/// workers get.
const SERVER: &str = r#"
CREATE SCHEMA IF NOT EXISTS tagcast;
CREATE TABLE version (n BIGINT NOT NULL);
INSERT INTO version VALUES (0);
CREATE SEQUENCE ids_segment;
CREATE SEQUENCE ids_batch;
CREATE SEQUENCE ids_audit;
CREATE FUNCTION max(BIGINT, BIGINT) RETURNS BIGINT IMMUTABLE STRICT LANGUAGE SQL AS 'SELECT greatest($1, $2)';
CREATE FUNCTION min(BIGINT, BIGINT) RETURNS BIGINT IMMUTABLE STRICT LANGUAGE SQL AS 'SELECT least($1, $2)';
CREATE FUNCTION json_each(TEXT) RETURNS TABLE (value TEXT) IMMUTABLE LANGUAGE SQL AS 'SELECT json_array_elements_text($1::json)';
"#;

/// The tables as PostgreSQL writes them; texts are in the order of their bytes, as in SQLite.
fn of_server(sql: &str) -> String {
    sql.replace("INTEGER", "BIGINT")
        .replace(" TEXT", " TEXT COLLATE \"C\"")
        .replace(" BLOB", " BYTEA")
        .replace(" WITHOUT ROWID", "")
}

/// The next free number of a table. Of what several workers make it is given once and never again.
pub(super) fn next_id(db: &Connection, table: &str) -> db::Result<i64> {
    let next = next_in_turn(db, table)?;
    // What platforms know a message by is made of these numbers. Those that the lost part of a
    // ledger has used must not come again: a platform would take another message for one that it
    // has.
    if !["run", "batch", "trial"].contains(&table) {
        return Ok(next);
    }
    let first = meta(db, FIRST_NUMBER)?
        .and_then(|text| text.parse::<i64>().ok())
        .unwrap_or(0);
    Ok(match (db, table) {
        // A sequence goes on from where it was.
        (Connection::Postgres(_), "batch") => next.saturating_add(first),
        _ => next.max(first),
    })
}

/// In `meta`: the least number of runs, batches and test messages since an old copy was gone on
/// with, the time of it in milliseconds.
pub(super) const FIRST_NUMBER: &str = "first number";

fn next_in_turn(db: &Connection, table: &str) -> db::Result<i64> {
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
            &format!("SELECT coalesce(max({table}), 0) + 1 FROM {table}"),
            (),
            |row| row.get(0),
        ),
    }
}

/// # Errors
/// When the ledger was written by a later tagcast.
pub(super) fn check_version(found: i64, file: &Path) -> Result<(), LedgerError> {
    if (0..=VERSION).contains(&found) {
        Ok(())
    } else {
        Err(LedgerError::OtherVersion {
            file: file.into(),
            found,
            known: VERSION,
        })
    }
}

/// The tables in an empty database in memory, for comparing.
pub(super) fn tables_in_memory() -> db::Result<Connection> {
    let db = Connection::Sqlite(rusqlite::Connection::open_in_memory()?);
    MIGRATIONS
        .iter()
        .try_for_each(|sql| db.execute_batch(sql))?;
    Ok(db)
}

/// Asks for commits that are on the disk when they are confirmed.
pub(super) fn make_durable(db: &Connection) -> db::Result<()> {
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
pub(super) fn require_durable(db: &Connection, file: &Path) -> Result<(), LedgerError> {
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
pub(super) fn forget_log(db: &Connection) -> db::Result<()> {
    match db {
        Connection::Sqlite(_) => db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())),
        Connection::Postgres(_) => Ok(()),
    }
}

/// A value of `meta`.
pub(super) fn meta(db: &Connection, name: &str) -> db::Result<Option<String>> {
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
            db.query_row(&format!("PRAGMA {name} = {value}"), (), |_| Ok(()))
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

    /// A ledger of any version before is read as it is, and brought to the present one when it is
    /// opened for writing.
    #[test]
    fn a_ledger_of_every_version_opens() {
        use crate::base::world::{SimulatedWorld, World};
        use crate::base::{Instant, UserNo};
        use crate::decide::history::History;
        use crate::ledger::Ledger;
        let shape = |db: &rusqlite::Connection| {
            let mut select = db
                .prepare("SELECT coalesce(sql, name) FROM sqlite_schema ORDER BY name")
                .unwrap();
            select
                .query_map([], |row| row.get::<_, String>(0))
                .unwrap()
                .collect::<Result<Vec<_>, _>>()
                .unwrap()
        };
        let Connection::Sqlite(present) = tables_in_memory().unwrap() else {
            panic!("a file")
        };
        for version in 1..MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("ledger.db");
            let db = rusqlite::Connection::open(&file).unwrap();
            MIGRATIONS
                .iter()
                .take(version)
                .for_each(|sql| db.execute_batch(sql).unwrap());
            db.execute_batch("INSERT INTO opt_out VALUES (3, 0, 'before'); INSERT INTO meta VALUES ('ledger', 'abc')").unwrap();
            db.pragma_update(None, "user_version", version).unwrap();
            drop(db);
            let found = Ledger::open_existing(&file).unwrap().expect("a ledger");
            assert!(found.opted_out(4).unwrap().contains(UserNo(3)));
            found.barred("service_account", None).unwrap();
            assert_eq!(found.refused(UserNo(3)).unwrap(), []);
            assert_eq!(found.troubles().unwrap(), []);
            drop(found);
            let world: std::sync::Arc<dyn World> =
                std::sync::Arc::new(SimulatedWorld::at(Instant(0)));
            let opened = Ledger::open(&file, world).unwrap();
            assert!(
                opened.opted_out(4).unwrap().contains(UserNo(3)),
                "{version}"
            );
            drop(opened);
            assert_eq!(
                shape(&rusqlite::Connection::open(&file).unwrap()),
                shape(&present),
                "{version}"
            );
        }
    }
}
