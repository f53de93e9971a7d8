//! The findings of the parser and the checker. Each has a page under `docs/findings/`, which
//! `tagcast explain NAME` prints and a test runs. Lints bring their own [`Code`].
//!
//! To add one: a line here (kept in alphabetical order), a page beside the others, a case under
//! `tests/ui/`.

use super::Level;

/// What all findings of one name share.
#[derive(PartialEq, Eq, Debug)]
pub struct Code {
    /// Kebab-case; reads well after `allow`.
    pub name: &'static str,
    pub level: Level,
    /// Markdown: what it says, why it matters, a `bad` and a `good` example.
    pub page: &'static str,
}

impl Code {
    /// The finding of a lint: a warning that `# tagcast: allow NAME` silences.
    pub const fn lint(name: &'static str, page: &'static str) -> Code {
        Code {
            name,
            level: Level::Warning,
            page,
        }
    }
}

macro_rules! codes {
    ($($konst:ident $name:literal $level:ident;)*) => {
        $(pub static $konst: Code = Code {
            name: $name,
            level: Level::$level,
            page: include_str!(concat!("../../docs/findings/", $name, ".md")),
        };)*

        /// All of them, by name.
        pub static ALL: &[&Code] = &[$(&$konst),*];
    };
}

codes! {
    // constant           name                     level
    AMBIGUOUS_ADDRESS     "ambiguous-address"      Error;
    BAD_LITERAL           "bad-literal"            Error;
    BAD_PATH              "bad-path"               Error;
    BAD_SCHEDULE          "bad-schedule"           Error;
    BUILT_IN_NAME         "built-in-name"          Error;
    CHAINED_COMPARISON    "chained-comparison"     Error;
    CHANNEL_CANNOT_CARRY  "channel-cannot-carry"   Error;
    CONFLICTING_CLAUSES   "conflicting-clauses"    Error;
    CONSTANT_EXPECTED     "constant-expected"      Error;
    CYCLIC_DEFINITION     "cyclic-definition"      Error;
    DUPLICATE_CLAUSE      "duplicate-clause"       Error;
    DUPLICATE_NAME        "duplicate-name"         Error;
    EMPTY_RANGE           "empty-range"            Error;
    EMPTY_TEMPLATE        "empty-template"         Error;
    EMPTY_TEST            "empty-test"             Error;
    FIELD_CONTENT         "field-content"          Error;
    LIST_CHANNEL_ON_TRIGGER "list-channel-on-trigger" Error;
    MATCHES_EVERYONE      "matches-everyone"       Error;
    MATCHES_NOBODY        "matches-nobody"         Error;
    MESSAGE_TOO_LONG      "message-too-long"       Error;
    MISPLACED_CLAUSE      "misplaced-clause"       Error;
    MISSING_CLAUSE        "missing-clause"         Error;
    MISSING_IN_MESSAGE    "missing-in-message"     Error;
    MISSING_VALUE         "missing-value"          Error;
    MIXED_EXCEPT          "mixed-except"           Error;
    NO_ADDRESS            "no-address"             Error;
    NOT_CONSENT           "not-consent"            Error;
    NOT_RECALLABLE        "not-recallable"         Error;
    NOT_SUPPORTED_YET     "not-supported-yet"      Error;
    NOT_UTF8              "not-utf8"               Error;
    OUT_OF_RANGE          "out-of-range"           Error;
    OUTCOME_NOT_OBSERVABLE "outcome-not-observable" Error;
    PRIVATE_VALUE         "private-value"          Error;
    PURPOSE_REFUSED       "purpose-refused"        Error;
    SHARES_TOTAL          "shares-total"           Error;
    SYNTAX                "syntax"                 Error;
    TEMPLATE_EVENT        "template-event"         Error;
    TOO_DEEP              "too-deep"               Error;
    TOO_LARGE             "too-large"              Error;
    TOO_MANY_TEXTS        "too-many-texts"         Error;
    TYPE_MISMATCH         "type-mismatch"          Error;
    UNBOUNDED_TEXT        "unbounded-text"         Error;
    UNCLOSED              "unclosed"               Error;
    UNKNOWN_CAMPAIGN      "unknown-campaign"       Warning;
    UNKNOWN_FIELD         "unknown-field"          Error;
    UNKNOWN_FUNCTION      "unknown-function"       Error;
    UNKNOWN_MEMBER        "unknown-member"         Error;
    UNKNOWN_NAME          "unknown-name"           Error;
    UNKNOWN_TYPE          "unknown-type"           Error;
    UNNAMED_RULE          "unnamed-rule"           Error;
    UNREACHABLE_ARM       "unreachable-arm"        Error;
    WHERE_ONLY_FIELDS     "where-only-fields"      Error;
    WRONG_ARGUMENTS       "wrong-arguments"        Error;
    WRONG_QUALIFIER       "wrong-qualifier"        Error;
    WRONG_SPELLING        "wrong-spelling"         Error;
    WRONG_UNIT            "wrong-unit"             Error;
    WRONG_WINDOW          "wrong-window"           Error;
}

/// The finding of that name.
pub fn named(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|c| c.name == name)
}
