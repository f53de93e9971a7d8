//! The guides for contributors (`docs/contributing/add-a-*.md`): the files that each lists are
//! there, and the code that it shows is theirs.

use crate::registry::{code_is_real, files_of};
use crate::support::root;

#[test]
fn the_guides_show_files_that_are_there() {
    let folder = std::fs::read_dir(root().join("docs/contributing")).unwrap();
    let mut guides: Vec<String> = folder
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("add-a-"))
        .collect();
    guides.sort();
    for guide in guides {
        let files = files_of(&guide);
        assert!(!files.is_empty(), "{guide} lists no file");
        for file in files {
            assert!(root().join(&file).exists(), "{guide}: there is no {file}");
        }
        code_is_real(&guide);
    }
}
