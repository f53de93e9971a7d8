//! States as SQL compares them: by their codes, which stand nowhere else.

use std::fmt;

use crate::ledger::state::State;

/// Some states, shown as `20, 21`: for `state = {CLAIMED}` and `state IN ({UNANSWERED})`. They are
/// part of the text and no parameters, so that SQLite uses the indexes of such states.
#[derive(Clone, Copy)]
pub(in crate::ledger) struct States(fn(State) -> bool);

impl States {
    pub fn contains(self, state: State) -> bool {
        (self.0)(state)
    }
}

impl fmt::Display for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states = State::ALL.into_iter().filter(|state| self.contains(*state));
        for (i, state) in states.enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}", state.code())?;
        }
        Ok(())
    }
}

/// Planned, or nothing is known besides: the weakest state.
pub(in crate::ledger) const PLANNED: States = States(|state| matches!(state, State::Planned));
pub(in crate::ledger) const CAPPED: States = States(|state| matches!(state, State::Capped));
pub(in crate::ledger) const CLAIMED: States = States(|state| matches!(state, State::Claimed));
/// Nobody has said yet what became of it.
pub(in crate::ledger) const UNANSWERED: States =
    States(|state| matches!(state, State::Claimed | State::Unknown));
pub(in crate::ledger) const ANSWERED: States = States(|state| !UNANSWERED.contains(state));
/// A cap gives the slot back.
pub(in crate::ledger) const SLOT_RETURNED: States = States(|state| !state.counts());

/// Something of a segment `s` is neither claimed nor ended.
pub(in crate::ledger) struct OpenSegments;

impl fmt::Display for OpenSegments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s.rest_state = {PLANNED} AND s.claimed < s.size")
    }
}

pub(in crate::ledger) const OPEN_SEGMENTS: OpenSegments = OpenSegments;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_shown_by_their_codes() {
        assert_eq!(format!("{CLAIMED}; {UNANSWERED}"), "20; 20, 21");
        assert_eq!(
            SLOT_RETURNED.to_string(),
            "10, 11, 12, 13, 30, 35, 40, 60, 61, 62, 80"
        );
    }

    /// Every code comes from here: no text of the ledger compares a state with a number.
    #[test]
    fn no_text_has_a_code_of_its_own() {
        let mut folders = vec![
            std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("src")
                .join("ledger"),
        ];
        let (mut texts, mut found) = (0, Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    let words: Vec<&str> = line
                        .split(|c: char| c.is_whitespace() || "(),".contains(c))
                        .filter(|word| !word.is_empty())
                        .collect();
                    for (i, word) in words.iter().enumerate() {
                        let column = word.rsplit('.').next().unwrap_or(word);
                        if !["state", "rest_state"].contains(&column) {
                            continue;
                        }
                        let mut after = words.iter().skip(i + 1);
                        let compared = after.next().is_some_and(|word| {
                            ["=", "<>", ">", "<", ">=", "<=", "IN", "NOT"].contains(word)
                        });
                        texts += usize::from(compared);
                        let number = after
                            .find(|word| **word != "IN")
                            .is_some_and(|word| word.parse::<i64>().is_ok());
                        if compared && number {
                            found.push(format!("{}: {}", path.display(), line.trim()));
                        }
                    }
                }
            }
        }
        assert!(texts > 10, "the texts are not where they were");
        assert_eq!(found, Vec::<String>::new());
    }
}
