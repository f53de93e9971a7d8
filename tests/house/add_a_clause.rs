//! Adding a clause touches the files that `docs/contributing/add-a-clause.md` lists and no others.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tagcast::syntax::clause_table::{CLAUSES, Shape};

use crate::support::{code_blocks, root};

const GUIDE: &str = "docs/contributing/add-a-clause.md";

fn files_below(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, out);
        } else {
            out.push(path);
        }
    }
}

/// The parts of a text's identifiers and words: `MAX_PACE` and `by_pace` hold `pace`, `space` does
/// not.
fn holds_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric())
        .any(|part| part.eq_ignore_ascii_case(word))
}

/// The files of the grammar and of `src/` whose text fits.
fn files_where(fits: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let mut files = vec![root().join("grammar/campaign.pest")];
    files_below(&root().join("src"), &mut files);
    let fitting = files
        .iter()
        .filter(|file| fits(&std::fs::read_to_string(file).unwrap()));
    let relative = fitting.map(|file| file.strip_prefix(root()).unwrap());
    relative.map(|file| file.display().to_string()).collect()
}

#[test]
fn a_clause_has_its_files() {
    let page = std::fs::read_to_string(root().join(GUIDE)).unwrap();
    let (_, rest) = page.split_once("\n## Files\n").expect("a section `Files`");
    let section = rest.split("\n## ").next().unwrap_or_default();
    let rows = section
        .lines()
        .filter_map(|l| l.strip_prefix("| `")?.split('`').next());
    let listed: BTreeSet<String> = rows.map(str::to_owned).collect();
    assert!(listed.len() <= 8, "{listed:?}");
    assert_eq!(files_where(|text| holds_word(text, "pace")), listed);

    let texts: Vec<String> = listed
        .iter()
        .map(|f| std::fs::read_to_string(root().join(f)).expect(f))
        .collect();
    for (_, line, code) in code_blocks(&page).iter().filter(|b| b.0 == "rust") {
        assert!(
            texts.iter().any(|text| text.contains(code)),
            "{GUIDE}:{line}: no file of the guide holds\n{code}"
        );
    }
}

/// A clause of a common shape is named in the table and where its value is checked, and nowhere
/// else in the language.
#[test]
fn a_clause_of_a_common_shape_has_its_row_and_its_check() {
    for row in CLAUSES.iter().filter(|row| row.shape != Shape::Own) {
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
