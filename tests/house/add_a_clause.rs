//! Adding a clause touches the files that `docs/contributing/add-a-clause.md` lists and no others.

use std::collections::BTreeSet;

use tagcast::syntax::clause_table::{CLAUSES, ClauseShape};

use crate::floors::SOURCE;
use crate::registry::files_of;
use crate::support::root;

const GUIDE: &str = "add-a-clause.md";

/// The parts of a text's identifiers and words: `MAX_PACE` and `by_pace` hold `pace`, `space` does
/// not.
fn holds_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// The files of the grammar and of `src/` whose text fits.
fn files_where(fits: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut files = vec![root().join("grammar/campaign.pest")];
    let source = SOURCE.files.iter();
    files.extend(source.map(|file| root().join("src").join(file)));
    let fitting = files
        .iter()
        .filter(|file| fits(&std::fs::read_to_string(file).unwrap()));
    let relative = fitting.map(|file| file.strip_prefix(root()).unwrap());
    relative.map(|file| file.display().to_string()).collect()
}

#[test]
fn a_clause_has_its_files() {
    let listed: BTreeSet<String> = files_of(GUIDE).into_iter().collect();
    assert!(listed.len() <= 8, "{listed:?}");
    assert_eq!(files_where(|text| holds_word(text, "pace")), listed);
}

/// A clause of a common shape is named in the table and where its value is checked, and nowhere
/// else in the language.
#[test]
fn a_clause_of_a_common_shape_has_its_row_and_its_check() {
    for row in CLAUSES.iter().filter(|row| row.shape != ClauseShape::Own) {
        let name = format!("ClauseId::{:?}", row.id);
        let named = files_where(|text| {
            text.match_indices(&name)
                .any(|(at, _)| !text[at + name.len()..].starts_with(char::is_alphanumeric))
        });
        let elsewhere: Vec<&String> = named
            .iter()
            .filter(|file| !file.starts_with("src/program/campaign/"))
            .filter(|file| *file != "src/engine/project.rs")
            .collect();
        assert_eq!(elsewhere, Vec::<&String>::new(), "{}", row.name);
    }
}
