//! `tagcast.toml`: what belongs to a folder and not to a program: sources of data, the store's
//! place, bound accounts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::failure::Failure;
use crate::base::Msg;
use crate::base::{Elapsed, Instant};
use crate::decide::platform_caps::ForeignUse;
use crate::deliver::wire::account::AccountSettings;
use crate::deliver::wire::secret::Secret;
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

/// `[accounts.NAME]`: a real account. Secrets are named here, never written: each is in a variable
/// of the environment or in a file that only its owner may read.
#[derive(Deserialize, PartialEq, Debug, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// The account's own name, unless said.
    pub platform: Option<String>,
    pub app_id: Option<String>,
    pub secret_env: Option<String>,
    pub secret_file: Option<PathBuf>,
    pub base_url: Option<String>,
    pub agent_id: Option<i64>,
    pub open_kfid: Option<String>,
    pub sender: Option<String>,
    pub cover: Option<String>,
    pub card: Option<String>,
    /// A PEM file.
    pub platform_key: Option<PathBuf>,
    pub open_id: Option<String>,
    pub refresh_token_env: Option<String>,
    pub refresh_token_file: Option<PathBuf>,
    #[serde(default)]
    pub keeps_keys: bool,
    pub callback_token_env: Option<String>,
    pub callback_token_file: Option<PathBuf>,
    pub callback_key_env: Option<String>,
    pub callback_key_file: Option<PathBuf>,
    pub together: Option<usize>,
    /// Messages that a user gets from it in one period of a platform's cap by other hands: from its
    /// console, from another program.
    #[serde(default)]
    pub foreign: u32,
}

impl AccountConfig {
    /// The files that the settings are read from, relative to the folder.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [
            &self.secret_file,
            &self.refresh_token_file,
            &self.callback_token_file,
            &self.callback_key_file,
            &self.platform_key,
        ];
        files.into_iter().flatten().map(PathBuf::as_path)
    }

    /// The settings of the account, its secrets read; files are relative to the folder.
    ///
    /// # Errors
    /// A secret that is not there, is given twice, or that others may read.
    pub fn settings(&self, name: &str, folder: &Path) -> Result<AccountSettings, Failure> {
        let at = |why: Msg| {
            let Msg { en, zh } = why;
            Failure::new(msg!(
                "`[accounts.{name}]` in `tagcast.toml`: {en}",
                "tagcast.toml 的 `[accounts.{name}]`：{zh}"
            ))
        };
        let secret = |what: &str, env: &Option<String>, file: &Option<PathBuf>| match (env, file) {
            (Some(_), Some(_)) => Err(msg!(
                "`{what}_env` and `{what}_file` are both given: leave one",
                "同时写了 `{what}_env` 和 `{what}_file`：请只保留一个"
            )),
            (Some(env), None) => Secret::from_env(env).map(Some),
            (None, Some(file)) => Secret::from_file(&folder.join(file)).map(Some),
            (None, None) => Ok(None),
        };
        let platform_key = match &self.platform_key {
            None => None,
            Some(file) => {
                let path = folder.join(file);
                Some(std::fs::read_to_string(&path).map_err(|e| Failure::io(&path, &e))?)
            }
        };
        Ok(AccountSettings {
            name: name.into(),
            platform: self.platform.clone().unwrap_or_else(|| name.into()),
            app_id: self.app_id.clone(),
            secret: secret("secret", &self.secret_env, &self.secret_file).map_err(at)?,
            base_url: self.base_url.clone(),
            agent_id: self.agent_id,
            open_kfid: self.open_kfid.clone(),
            sender: self.sender.clone(),
            cover: self.cover.clone(),
            card: self.card.clone(),
            platform_key,
            open_id: self.open_id.clone(),
            refresh_token: secret(
                "refresh_token",
                &self.refresh_token_env,
                &self.refresh_token_file,
            )
            .map_err(at)?,
            keeps_keys: self.keeps_keys,
            callback_token: secret(
                "callback_token",
                &self.callback_token_env,
                &self.callback_token_file,
            )
            .map_err(at)?,
            callback_key: secret(
                "callback_key",
                &self.callback_key_env,
                &self.callback_key_file,
            )
            .map_err(at)?,
            together: self.together,
        })
    }
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
    fn secrets_come_from_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = |text: &str| std::fs::write(dir.path().join(FILE_NAME), text).unwrap();
        let settings = || {
            let config = Config::load(dir.path()).unwrap();
            config.accounts["rose"]
                .settings("rose", dir.path())
                .map_err(|f| f.message.en)
        };
        file(
            "[accounts.rose]\nplatform = \"service_account\"\nsecret_env = \"TAGCAST_NO_SUCH_VARIABLE\"",
        );
        assert!(
            settings()
                .unwrap_err()
                .contains("`TAGCAST_NO_SUCH_VARIABLE` is not set")
        );
        file("[accounts.rose]\nsecret_env = \"A\"\nsecret_file = \"b\"");
        assert!(settings().unwrap_err().contains("both given"));
        file(
            "[accounts.rose]\nplatform = \"service_account\"\napp_id = \"wx1\"\nsecret_file = \"key\"",
        );
        std::fs::write(dir.path().join("key"), "hunter2\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(
                dir.path().join("key"),
                std::fs::Permissions::from_mode(0o644),
            )
            .unwrap();
            assert!(settings().unwrap_err().contains("chmod 600"));
            std::fs::set_permissions(
                dir.path().join("key"),
                std::fs::Permissions::from_mode(0o600),
            )
            .unwrap();
        }
        let found = settings().unwrap();
        assert_eq!(
            (found.platform.as_str(), found.app_id.as_deref()),
            ("service_account", Some("wx1"))
        );
        assert!(!format!("{found:?}").contains("hunter2"));
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
