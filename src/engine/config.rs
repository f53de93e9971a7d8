//! `tagcast.toml`: what belongs to a folder and not to a program: sources of data, the store's
//! place, bound accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::Failure;
use crate::base::Msg;
use crate::base::{Elapsed, Instant};
use crate::decide::platform_caps::ForeignUse;
use crate::deliver::account_config::AccountConfig;
use crate::ledger::LedgerLocation;
use crate::msg;
use crate::store::Store;

pub const FILE_NAME: &str = "tagcast.toml";

/// The file's content; unknown keys are errors, so that a misspelt one is not silently without
/// effect.
#[derive(Deserialize, PartialEq, Debug, Default, Clone)]
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
    #[serde(default)]
    pub ledger: LedgerConfig,
    /// Bindings of accounts to platforms.
    #[serde(default)]
    pub accounts: BTreeMap<String, AccountConfig>,
}

/// `[ledger]`: where it is, when it is not a file in the store, and how long old runs are kept in
/// full.
#[derive(Deserialize, PartialEq, Debug, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct LedgerConfig {
    /// A PostgreSQL database; without a password.
    pub url: Option<String>,
    /// The variable of the environment that holds the URL, where it has a password.
    pub url_env: Option<String>,
    /// Days for which runs are kept in full; for ever unless said.
    pub keep_days: Option<u16>,
}

/// Fewer days are not accepted: what platforms tell late would find nothing.
const LEAST_KEPT: u16 = 31;

impl Config {
    /// The accounts that are bound, and what others send from them.
    pub fn foreign(&self) -> ForeignUse {
        self.accounts
            .iter()
            .map(|(name, account)| (name.clone(), account.foreign))
            .collect()
    }

    /// Runs that were over before it are forgotten but for their counts; `None`: none is.
    ///
    /// # Errors
    /// Too few days.
    pub fn kept_since(&self, now: Instant) -> Result<Option<Instant>, Failure> {
        match self.ledger.keep_days {
            None => Ok(None),
            Some(days) if days >= LEAST_KEPT => Ok(Some(Instant(
                now.0.saturating_sub(Elapsed::hours(24 * i64::from(days)).0),
            ))),
            Some(days) => Err(Failure::new(msg!(
                "`[ledger]` in `tagcast.toml`: `keep_days` is {days}, and must be at least {LEAST_KEPT}",
                "tagcast.toml 的 `[ledger]`：`keep_days` 为 {days}，至少应为 {LEAST_KEPT}"
            ))),
        }
    }

    /// Where the ledger is: a file in the store, unless `[ledger]` says otherwise.
    ///
    /// # Errors
    /// A URL that is given twice, holds a password, or is not there.
    pub fn ledger(&self, store: &Path) -> Result<LedgerLocation, Failure> {
        let at = |why: Msg| {
            let Msg { en, zh } = why;
            Failure::new(msg!(
                "`[ledger]` in `tagcast.toml`: {en}",
                "tagcast.toml 的 `[ledger]`：{zh}"
            ))
        };
        let beside = store.to_path_buf();
        match (&self.ledger.url, &self.ledger.url_env) {
            (None, None) => Ok(LedgerLocation::File(Store::ledger_path_in(store))),
            (Some(_), Some(_)) => Err(at(msg!(
                "`url` and `url_env` are both given: leave one",
                "同时写了 `url` 和 `url_env`：请只保留一个"
            ))),
            (Some(url), None) if has_password(url) => Err(at(msg!(
                "a password does not belong here: put the whole URL into a variable of the environment and name it with `url_env`",
                "密码不应写在这里：请把完整的 URL 放入环境变量，并用 `url_env` 指明变量名"
            ))),
            (Some(url), None) => Ok(LedgerLocation::Server {
                url: url.clone(),
                beside,
            }),
            (None, Some(name)) => match std::env::var(name) {
                Ok(url) if !url.is_empty() => Ok(LedgerLocation::Server { url, beside }),
                _ => Err(at(msg!(
                    "the variable `{name}` is not set",
                    "环境变量 `{name}` 未设置"
                ))),
            },
        }
    }
}

/// `postgres://user:password@host/…` or `password=…`.
fn has_password(url: &str) -> bool {
    let user = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .map(|(user, _)| user);
    user.is_some_and(|user| user.contains(':')) || url.contains("password=")
}

/// `[[tags]]`: a file of users.
#[derive(Deserialize, PartialEq, Debug, Clone)]
#[serde(deny_unknown_fields)]
pub struct TagsSource {
    pub file: PathBuf,
    pub id: String,
}

/// `[[events]]`: a file of events of one kind.
#[derive(Deserialize, PartialEq, Debug, Clone)]
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
            let mut reason = e.message().to_string();
            if reason.contains("unknown field `secret`") {
                reason.push_str("; a secret does not belong here: name a variable with `secret_env` or a file with `secret_file`");
            }
            let line = e.span().map_or(1, |s| text.get(..s.start).unwrap_or("").matches('\n').count() + 1);
            Failure::new(msg!("{shown}:{line}: {reason}", "{shown}:{line}:{reason}"))
                .help(msg!("docs/operations.md lists every key", "docs/operations.md 列出了所有可用的键"))
        })?;
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
    fn a_ledger_is_a_file_or_a_database() {
        let place = |text: &str| {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
            Config::load(dir.path())
                .unwrap()
                .ledger(Path::new("s"))
                .map_err(|f| f.message.en)
        };
        assert_eq!(place(""), Ok(LedgerLocation::File("s/ledger.db".into())));
        let url = "postgres://tagcast@db/ledger";
        assert_eq!(
            place(&format!("[ledger]\nurl = \"{url}\"")),
            Ok(LedgerLocation::Server {
                url: url.into(),
                beside: "s".into()
            })
        );
        assert!(
            place("[ledger]\nurl = \"postgres://tagcast:secret@db/ledger\"")
                .unwrap_err()
                .contains("`url_env`")
        );
        assert!(
            place("[ledger]\nurl_env = \"TAGCAST_NO_SUCH_VARIABLE\"")
                .unwrap_err()
                .contains("is not set")
        );
        assert!(
            place("[ledger]\nurl = \"a\"\nurl_env = \"b\"")
                .unwrap_err()
                .contains("both given")
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        assert_eq!(
            load("seed = 7\n[[tags]]\nfile = \"u.csv\"\nid = \"user_id\"")
                .map(|c| (c.seed, c.tags.len())),
            Ok((7, 1))
        );
        assert!(
            load("\nsed = 7")
                .unwrap_err()
                .contains("tagcast.toml:2: unknown field `sed`")
        );
        assert!(
            load("[accounts.rose]\nsecret = \"x\"")
                .unwrap_err()
                .contains("unknown field `secret`")
        );
    }

    #[test]
    fn runs_are_kept_for_a_month_at_least() {
        let config = |text: &str| toml::from_str::<Config>(text).unwrap();
        let now = Instant(40 * 86_400_000_000);
        assert_eq!(config("").kept_since(now).unwrap(), None);
        assert_eq!(
            config("[ledger]\nkeep_days = 31").kept_since(now).unwrap(),
            Some(Instant(9 * 86_400_000_000))
        );
        let refused = config("[ledger]\nkeep_days = 30")
            .kept_since(now)
            .unwrap_err();
        assert!(
            refused.exit == 2 && refused.message.en.contains("must be at least 31"),
            "{}",
            refused.message.en
        );
    }
}
