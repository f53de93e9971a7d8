//! The two ways in which SQL is written. A text of the ledger is written once; what the databases
//! call by different names is asked for here, by name.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Which database a text is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ledger) enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// The type of whole numbers, 64 bits.
    pub fn int(self) -> &'static str {
        match self {
            Dialect::Sqlite => "INTEGER",
            Dialect::Postgres => "BIGINT",
        }
    }

    /// The type of texts, in the order of their bytes.
    pub fn text(self) -> &'static str {
        match self {
            Dialect::Sqlite => "TEXT",
            Dialect::Postgres => "TEXT COLLATE \"C\"",
        }
    }

    pub fn bytes(self) -> &'static str {
        match self {
            Dialect::Sqlite => "BLOB",
            Dialect::Postgres => "BYTEA",
        }
    }

    /// Ends a table whose rows are kept in the order of its primary key.
    pub fn by_primary_key(self) -> &'static str {
        match self {
            Dialect::Sqlite => "WITHOUT ROWID",
            Dialect::Postgres => "",
        }
    }

    /// Reads from an index that the planner would not choose.
    pub fn by_index(self, index: &str) -> String {
        match self {
            Dialect::Sqlite => format!("INDEXED BY {index}"),
            Dialect::Postgres => String::new(),
        }
    }

    /// The texts of a JSON list that is one parameter, as rows of one column `value`.
    pub fn json_texts(self) -> &'static str {
        match self {
            Dialect::Sqlite => "json_each(?)",
            Dialect::Postgres => {
                "jsonb_array_elements_text(CAST(CAST(? AS TEXT) AS JSONB)) AS names (value)"
            }
        }
    }

    /// A statement with its parameters, `?` or `?1` in the ledger's texts, as the database numbers
    /// them. (No text of the ledger has a question mark in a literal.)
    pub(super) fn with_parameters(self, text: &str) -> Cow<'_, str> {
        match self {
            Dialect::Sqlite => Cow::Borrowed(text),
            Dialect::Postgres => Cow::Owned(numbered(text)),
        }
    }
}

/// `$1` for `?1` and for the first `?`.
fn numbered(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut next = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(if c == '?' { '$' } else { c });
        if c == '?' && !chars.peek().is_some_and(char::is_ascii_digit) {
            next += 1;
            let _ = write!(out, "{next}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_numbered() {
        let text = |sql| Dialect::Postgres.with_parameters(sql);
        assert_eq!(text("a = ? AND b = ?"), "a = $1 AND b = $2");
        assert_eq!(text("a = ?2 AND b = ?1"), "a = $2 AND b = $1");
        assert_eq!(Dialect::Sqlite.with_parameters("a = ?"), "a = ?");
    }
}
