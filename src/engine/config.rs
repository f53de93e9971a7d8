//! `tagcast.toml`: what belongs to a folder and not to a program: sources of data, the store's place, bound accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Failure;
use crate::msg;

pub const FILE_NAME: &str = "tagcast.toml";

/// The file's content; unknown keys are errors, so that a misspelt one is not silently without effect.
#[derive(Deserialize, Debug, Default, Clone)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the store is, relative to the folder.
    pub store: Option<PathBuf>,
    /// Chooses other people for samples, holdouts and arms.
    #[serde(default)]
    pub seed: u64,
    /// Where `sandbox.file` writes, relative to the folder; inside the store unless said.
    pub outbox: Option<PathBuf>,
    #[serde(default)]
    pub tags: Vec<TagsSource>,
    #[serde(default)]
    pub events: Vec<EventsSource>,
    /// Bindings of accounts to platforms.
    #[serde(default)]
    pub accounts: BTreeMap<String, toml::Value>,
}

/// `[[tags]]`: a file of users.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct TagsSource {
    pub file: PathBuf,
    pub id: String,
}

/// `[[events]]`: a file of events of one kind.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct EventsSource {
    pub event: String,
    pub file: PathBuf,
    pub id: String,
    pub at: String,
}

impl Config {
    /// The folder's configuration; the default one where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML, or has a key that is not known.
    pub fn load(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE_NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Config::default()),
            Err(e) => return Err(Failure::io(&path, &e)),
        };
        let config: Config = toml::from_str(&text).map_err(|e| {
            let shown = path.display();
            let reason = e.message();
            let line = e.span().map_or(1, |s| text.get(..s.start).unwrap_or("").matches('\n').count() + 1);
            Failure::new(msg!("{shown}:{line}: {reason}", "{shown}:{line}:{reason}"))
                .help(msg!("docs/operations.md lists every key", "docs/operations.md 列出了所有可用的键"))
        })?;
        if let Some(account) = config.accounts.keys().next() {
            return Err(Failure::new(msg!(
                "{}: binding the account `{account}` to a real channel is not supported yet",
                "{}:尚不支持把账号 `{account}` 绑定到真实渠道",
                path.display()
            ))
            .help(msg!(
                "remove `[accounts.{account}]`: unbound channels write to `sandbox.file`",
                "请删除 `[accounts.{account}]`:未绑定的渠道写入 `sandbox.file`"
            )));
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        Config::load(dir.path()).map_err(|f| f.message.en)
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(load("seed = 7\n[[tags]]\nfile = \"u.csv\"\nid = \"user_id\"").map(|c| (c.seed, c.tags.len())), Ok((7, 1)));
        assert!(load("\nsed = 7").unwrap_err().contains("tagcast.toml:2: unknown field `sed`"));
        assert!(load("[accounts.rose]\napp = 1").unwrap_err().contains("`rose` to a real channel is not supported yet"));
    }
}
