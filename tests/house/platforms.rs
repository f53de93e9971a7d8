//! Which files a platform has: `docs/contributing/add-a-platform.md` says so of one, and it holds
//! for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::registry::files_of;
use crate::support::root;
use tagcast::program::platform;

const FOLDERS: &str = "src/deliver/platforms";
/// The files of each folder.
const PARTS: [&str; 4] = ["callback.rs", "mod.rs", "send.rs", "settings.rs"];
/// Further files of folders whose endpoints differ much.
const MORE: [(&str, &[&str]); 1] = [(
    "wecom",
    &[
        "app_message.rs",
        "customer_events.rs",
        "customer_service.rs",
        "group_send.rs",
    ],
)];
/// Folders that serve others and are no platform.
const SHARED: [&str; 1] = ["tencent"];

/// Other files of `src/` that name a platform, and why.
const EXCEPTIONS: [(&str, &str, &str); 7] = [
    (
        "src/cli/commands/send_test.rs",
        "sandbox",
        "a key of the output",
    ),
    (
        "src/deliver/channels.rs",
        "sandbox",
        "accounts that are not bound write to its file",
    ),
    (
        "src/engine/binding.rs",
        "sandbox",
        "an account of it is not called over HTTP",
    ),
    (
        "src/program/campaign/campaign.rs",
        "sandbox",
        "a campaign without `via` sends to its file",
    ),
    (
        "src/serve/accounts.rs",
        "sandbox",
        "its callbacks are there without an account",
    ),
    (
        "src/store/sample/mod.rs",
        "service_account",
        "sample users have addresses",
    ),
    (
        "src/store/sample/mod.rs",
        "wecom",
        "sample users have addresses",
    ),
];

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The folder of each platform, as the list has them.
fn listed() -> BTreeMap<String, String> {
    read(format!("{FOLDERS}/mod.rs"))
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("::ADAPTER),"))
        .filter_map(|line| line.split_once("\", &"))
        .map(|(name, folder)| (name.to_owned(), folder.to_owned()))
        .collect()
}

fn names_in(folder: &str) -> BTreeSet<String> {
    fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn every_platform_has_its_files() {
    let listed = listed();
    let known: BTreeSet<&str> = platform::all().iter().map(|p| p.name.as_str()).collect();
    assert_eq!(
        listed.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        known
    );
    let files: BTreeSet<String> = known.iter().map(|name| format!("{name}.toml")).collect();
    assert_eq!(names_in("platforms"), files);
    let mut folders: BTreeSet<&str> = listed.values().map(String::as_str).collect();
    for folder in &folders {
        let more = MORE.iter().find(|(of, _)| of == folder);
        let expected: BTreeSet<String> = PARTS
            .iter()
            .chain(more.map_or(&[][..], |(_, more)| more))
            .map(|name| (*name).to_owned())
            .collect();
        assert_eq!(
            names_in(&format!("{FOLDERS}/{folder}")),
            expected,
            "{folder}"
        );
    }
    folders.extend(SHARED);
    let there: BTreeSet<String> = names_in(FOLDERS)
        .into_iter()
        .filter(|name| !name.ends_with(".rs"))
        .collect();
    assert_eq!(
        there,
        folders
            .into_iter()
            .map(str::to_owned)
            .collect::<BTreeSet<_>>()
    );
}

/// The code of a file without comments and tests.
fn code_of(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_other_file_names_a_platform() {
    let mut all = Vec::new();
    sources(&root().join("src"), &mut all);
    let names: BTreeSet<String> = listed()
        .into_iter()
        .flat_map(|(name, folder)| [name, folder])
        .collect();
    let mut found = BTreeSet::new();
    for path in all {
        let shown = path.strip_prefix(root()).unwrap().to_str().unwrap();
        if shown.starts_with(FOLDERS) {
            continue;
        }
        let code = code_of(&path);
        for name in &names {
            if code.contains(&format!("\"{name}\"")) || code.contains(&format!("::{name}::")) {
                found.insert((shown.to_owned(), name.clone()));
            }
        }
    }
    let expected: BTreeSet<(String, String)> = EXCEPTIONS
        .iter()
        .map(|(file, name, _)| ((*file).to_owned(), (*name).to_owned()))
        .collect();
    assert_eq!(found, expected);
}

/// The guide names the files of its example.
#[test]
fn the_guide_names_the_files_of_a_platform() {
    let folder = format!("{FOLDERS}/webhook");
    let parts = PARTS.iter().map(|part| format!("{folder}/{part}"));
    let beside = [
        "platforms/webhook.toml".to_owned(),
        format!("{FOLDERS}/mod.rs"),
        "tests/platforms/webhook.rs".to_owned(),
    ];
    let named: BTreeSet<String> = files_of("add-a-platform.md").into_iter().collect();
    assert_eq!(named, parts.chain(beside).collect());
}
