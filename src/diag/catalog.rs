//! Every name a finding can have. A name is a page under `docs/findings/`; `tagcast explain NAME`
//! prints it, and a test runs its examples.
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
    /// Found by a lint, not by the checker.
    pub lint: bool,
    /// Markdown: what it says, why it matters, a `bad` and a `good` example.
    pub page: &'static str,
}

macro_rules! codes {
    ($($konst:ident $name:literal $level:ident $lint:literal;)*) => {
        $(pub static $konst: Code = Code {
            name: $name,
            level: Level::$level,
            lint: $lint,
            page: include_str!(concat!("../../docs/findings/", $name, ".md")),
        };)*

        /// All of them, by name.
        pub static ALL: &[&Code] = &[$(&$konst),*];
    };
}

codes! {
    // constant           name                     level    lint
    AMBIGUOUS_ADDRESS     "ambiguous-address"      Error    false;
    AND_BESIDE_OR         "and-beside-or"          Warning true;
    BAD_LITERAL           "bad-literal"            Error    false;
    BAD_PATH              "bad-path"               Error    false;
    BAD_SCHEDULE          "bad-schedule"           Error    false;
    BUILT_IN_NAME         "built-in-name"          Error    false;
    CHAINED_COMPARISON    "chained-comparison"     Error    false;
    CHANNEL_CANNOT_CARRY  "channel-cannot-carry"   Error    false;
    CONFLICTING_CLAUSES   "conflicting-clauses"    Error    false;
    CONSTANT_EXPECTED     "constant-expected"      Error    false;
    CYCLIC_DEFINITION     "cyclic-definition"      Error    false;
    DEADLINE_IN_QUIET_HOURS "deadline-in-quiet-hours" Warning true;
    DEPRECATED_PLATFORM_LIMIT "deprecated-platform-limit"  Warning true;
    DUPLICATE_CLAUSE      "duplicate-clause"       Error    false;
    DUPLICATE_NAME        "duplicate-name"         Error    false;
    EMPTY_RANGE           "empty-range"            Error    false;
    EMPTY_TEMPLATE        "empty-template"         Error    false;
    EMPTY_TEST            "empty-test"             Error    false;
    FIELD_CONTENT         "field-content"          Error    false;
    IMPOSSIBLE_BOUND      "impossible-bound"       Warning true;
    LIST_CHANNEL_ON_TRIGGER "list-channel-on-trigger" Error    false;
    LOOK_ALIKE            "look-alike"             Warning true;
    MATCHES_EVERYONE      "matches-everyone"       Error    false;
    MATCHES_NOBODY        "matches-nobody"         Error    false;
    MESSAGE_TOO_LONG      "message-too-long"       Error    false;
    MISPLACED_CLAUSE      "misplaced-clause"       Error    false;
    MISSING_CLAUSE        "missing-clause"         Error    false;
    MISSING_IN_MESSAGE    "missing-in-message"     Error    false;
    MISSING_VALUE         "missing-value"          Error    false;
    MIXED_EXCEPT          "mixed-except"           Error    false;
    NO_ADDRESS            "no-address"             Error    false;
    NOT_CONSENT           "not-consent"            Error    false;
    NOT_RECALLABLE        "not-recallable"         Error    false;
    NOT_SUPPORTED_YET     "not-supported-yet"      Error    false;
    NOT_UTF8              "not-utf8"               Error    false;
    OUT_OF_RANGE          "out-of-range"           Error    false;
    OUTCOME_NOT_OBSERVABLE "outcome-not-observable" Error    false;
    PAST_DATE             "past-date"              Warning true;
    PRIVATE_VALUE         "private-value"          Error    false;
    PURPOSE_REFUSED       "purpose-refused"        Error    false;
    SHARES_TOTAL          "shares-total"           Error    false;
    SYNTAX                "syntax"                 Error    false;
    TEMPLATE_EVENT        "template-event"         Error    false;
    TOO_DEEP              "too-deep"               Error    false;
    TOO_LARGE             "too-large"              Error    false;
    TOO_MANY_TAGS         "too-many-tags"          Warning true;
    TOO_MANY_TEXTS        "too-many-texts"         Error    false;
    TYPE_MISMATCH         "type-mismatch"          Error    false;
    UNBOUNDED_TEXT        "unbounded-text"         Error    false;
    UNCLOSED              "unclosed"               Error    false;
    UNKNOWN_CAMPAIGN      "unknown-campaign"       Warning  false;
    UNKNOWN_FIELD         "unknown-field"          Error    false;
    UNKNOWN_FUNCTION      "unknown-function"       Error    false;
    UNKNOWN_MEMBER        "unknown-member"         Error    false;
    UNKNOWN_NAME          "unknown-name"           Error    false;
    UNKNOWN_TYPE          "unknown-type"           Error    false;
    UNKNOWN_VALUE         "unknown-value"          Warning true;
    UNNAMED_RULE          "unnamed-rule"           Error    false;
    UNREACHABLE_ARM       "unreachable-arm"        Error    false;
    UNUSED_ALLOW          "unused-allow"           Warning true;
    UNUSED_AUDIENCE       "unused-audience"        Warning true;
    UNUSED_TEMPLATE       "unused-template"        Warning true;
    WHERE_ONLY_FIELDS     "where-only-fields"      Error    false;
    WRONG_ARGUMENTS       "wrong-arguments"        Error    false;
    WRONG_QUALIFIER       "wrong-qualifier"        Error    false;
    WRONG_SPELLING        "wrong-spelling"         Error    false;
    WRONG_UNIT            "wrong-unit"             Error    false;
    WRONG_WINDOW          "wrong-window"           Error    false;
}

/// The finding of that name.
pub fn named(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|c| c.name == name)
}
