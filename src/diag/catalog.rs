//! Every name a finding can have. A name is a page under `docs/findings/`; `tagcast explain NAME` prints it, and a test runs its examples.
//!
//! To add one: a line here (kept in alphabetical order), a page beside the others, a case under `tests/ui/`.

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
    BAD_LITERAL           "bad-literal"            Error    false;
    CHAINED_COMPARISON    "chained-comparison"     Error    false;
    MIXED_EXCEPT          "mixed-except"           Error    false;
    NOT_UTF8              "not-utf8"               Error    false;
    SYNTAX                "syntax"                 Error    false;
    TOO_DEEP              "too-deep"               Error    false;
    TOO_LARGE             "too-large"              Error    false;
    UNCLOSED              "unclosed"               Error    false;
    WRONG_SPELLING        "wrong-spelling"         Error    false;
}

/// The finding of that name.
pub fn named(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|c| c.name == name)
}
