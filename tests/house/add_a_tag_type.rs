//! Adding a tag type touches the files that `docs/contributing/add-a-tag-type.md` lists.

use std::collections::BTreeSet;

use crate::floors::SOURCE;
use crate::registry::files_of;
use crate::support::root;

const GUIDE: &str = "add-a-tag-type.md";

/// A function that gives or takes the type stands with the functions, not here.
const FUNCTIONS: &[&str] = &["program/builtins", "program/check/call.rs"];

#[test]
fn a_tag_type_has_its_files() {
    let listed: BTreeSet<String> = files_of(GUIDE).into_iter().collect();
    let read = |file: &str| std::fs::read_to_string(root().join(file)).expect(file);
    let of_type = |text: &str| {
        ["Type::Distance", "Value::Distance"].iter().any(|name| {
            text.match_indices(name).any(|(at, _)| {
                let before = text[..at].chars().next_back();
                !before.is_some_and(char::is_alphanumeric)
            })
        })
    };
    let named: BTreeSet<String> = SOURCE
        .files
        .iter()
        .filter(|file| !FUNCTIONS.iter().any(|f| file.starts_with(f)))
        .map(|file| format!("src/{file}"))
        .filter(|file| of_type(&read(file)))
        .collect();
    assert_eq!(named, listed);
}
