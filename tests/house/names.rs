//! One name for one thing: types, files, and the glossary that says what stands in two stages.

use std::collections::{BTreeMap, BTreeSet};

use crate::floors::SOURCE;
use crate::source::rust_files;
use crate::support::root;

/// Rows of the glossary's section on names that stand for two stages: each name, and its modules.
fn stages() -> BTreeMap<String, BTreeSet<String>> {
    let page =
        std::fs::read_to_string(root().join("docs/contributing/glossary.md")).unwrap_or_default();
    let section = page
        .split("\n## One name, two stages")
        .nth(1)
        .expect("the section of the glossary");
    let section = section.split("\n## ").next().unwrap();
    let mut stages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in section.lines().filter(|l| l.starts_with("| `")) {
        let mut words = row.split('`').skip(1).step_by(2);
        let name = words.next().unwrap().to_owned();
        assert!(
            stages
                .insert(name.clone(), words.map(str::to_owned).collect())
                .is_none(),
            "the glossary lists {name} twice"
        );
    }
    stages
}

#[test]
fn a_type_has_a_name_of_its_own() {
    let mut modules: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for t in &SOURCE.types {
        modules.entry(&t.name).or_default().insert(t.module.clone());
    }
    modules.retain(|_, all| all.len() > 1);
    let stages = stages();
    for (name, all) in &modules {
        let listed = stages.get(*name).unwrap_or_else(|| {
            panic!("`{name}` stands in {all:?}: it needs another name, or a row in the glossary")
        });
        assert_eq!(listed, all, "`{name}` in the glossary");
        let of = |stage: &str| all.iter().filter(|m| m.starts_with(stage)).count();
        assert_eq!(
            (of("syntax::ast"), of("program::typed"), all.len()),
            (1, 1, 2),
            "`{name}` is no name of two stages: {all:?}"
        );
    }
    for name in stages.keys() {
        assert!(
            modules.contains_key(name.as_str()),
            "the glossary lists {name}, which stands once"
        );
    }
}

/// The last column of the glossary's table says where a term lives: a module, or a type that stands
/// in it or below it.
#[test]
fn what_the_glossary_names_is_there() {
    let page = std::fs::read_to_string(root().join("docs/contributing/glossary.md")).unwrap();
    let table = page.split("\n## ").next().unwrap();
    let mut seen = 0;
    for row in table.lines().filter(|l| l.starts_with("| ")) {
        let place = row.trim_end_matches('|').rsplit('|').next().unwrap();
        for path in place.split('`').skip(1).step_by(2) {
            let (module, name) = match path.rsplit_once("::") {
                Some((module, name)) if name.starts_with(char::is_uppercase) => {
                    (module, Some(name))
                }
                _ => (path, None),
            };
            let file = root().join("src").join(module.replace("::", "/"));
            let is_data = path.contains('.');
            assert!(
                is_data || file.is_dir() || file.with_extension("rs").is_file(),
                "the glossary names `{path}`, which is not there: {row}"
            );
            let found = |t: &crate::source::PublicType| {
                Some(t.name.as_str()) == name && t.module.starts_with(module)
            };
            assert!(
                name.is_none() || SOURCE.types.iter().any(found),
                "the glossary names `{path}`, which is no type there: {row}"
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "the table of the glossary was not found");
}

#[test]
fn a_file_has_a_name_of_its_own() {
    let mut folders: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in rust_files(&root().join("src")) {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let folder = file.parent().unwrap().to_str().unwrap().to_owned();
        // The entries of these registries are named as users name them, and so are their parts.
        let entry = folder.starts_with("deliver/platforms/")
            || ["cli/commands", "lint/rules", "program/builtins"].contains(&folder.as_str());
        if !entry && !["mod", "error", "tests"].contains(&name.as_str()) {
            folders.entry(name).or_default().push(folder);
        }
    }
    folders.retain(|_, all| all.len() > 1);
    assert!(folders.is_empty(), "{folders:#?}");
}

#[test]
fn modules_have_one_style() {
    for file in rust_files(&root().join("src")) {
        let beside = root().join("src").join(file.with_extension(""));
        assert!(
            !beside.is_dir(),
            "src/{}: a module with modules inside is `{}/mod.rs`",
            file.display(),
            file.with_extension("").display()
        );
    }
}
