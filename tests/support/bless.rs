//! Files of the repository that tests know how to write: compared, or, with `BLESS=1`, written.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

const HINT: &str = "run it again with BLESS=1 and read the diff";

/// Compares a file with what it should be, or writes it. A difference is told, not raised.
pub fn difference(file: &Path, should_be: &str) -> Option<String> {
    let is = std::fs::read_to_string(file).unwrap_or_default();
    if is == should_be {
        return None;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(file, should_be).unwrap();
        return None;
    }
    let name = file.strip_prefix(super::root()).unwrap_or(file).display();
    Some(format!(
        "{name}: {HINT}\n--- it is\n{is}\n--- it should be\n{should_be}"
    ))
}

/// A whole file of the repository.
#[track_caller]
pub fn file(name: &str, should_be: &str) {
    if let Some(told) = difference(&super::root().join(name), should_be) {
        panic!("{told}");
    }
}

/// The part of a page between `<!-- marker -->` and `<!-- /marker -->`.
#[track_caller]
pub fn part(page: &str, marker: &str, should_be: &str) {
    // Tests of several parts of one page run at once.
    static PAGES: Mutex<()> = Mutex::new(());
    let _one = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let path = super::root().join(page);
    let text = std::fs::read_to_string(&path).unwrap();
    let (open, close) = (
        format!("<!-- {marker} -->\n"),
        format!("<!-- /{marker} -->"),
    );
    let start = text.find(&open).expect("the marker") + open.len();
    let end = start + text[start..].find(&close).expect("the closing marker");
    if text[start..end] == *should_be {
        return;
    }
    assert!(
        std::env::var_os("BLESS").is_some(),
        "{page}, {marker}: {HINT}\n--- it should be\n{should_be}"
    );
    let text = format!("{}{should_be}{}", &text[..start], &text[end..]);
    std::fs::write(&path, text).unwrap();
}
