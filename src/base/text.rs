//! Text for people, worded in English and Chinese side by side where it is made; which one is shown
//! is decided where it is rendered.

use serde::Deserialize;

/// The language of messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Lang {
    #[default]
    En,
    Zh,
}

/// One sentence in both languages. Made by [`msg!`](crate::msg): lowercase start, no full stop,
/// user input in backticks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Msg {
    pub en: String,
    pub zh: String,
}

impl Msg {
    pub fn get(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Zh => &self.zh,
        }
    }
}

/// `msg!("no tag is named `{name}`", "没有名为 `{name}` 的标签")`: the English and the Chinese
/// wording, both with inline arguments.
#[macro_export]
macro_rules! msg {
    ($en:literal, $zh:literal $(, $($arg:tt)*)?) => {
        $crate::base::Msg { en: format!($en $(, $($arg)*)?), zh: format!($zh $(, $($arg)*)?) }
    };
}
