//! `[accounts.NAME]` of `tagcast.toml`: a real account. Its keys are those that the platforms
//! declare; secrets are named there, never written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};

use super::account::{AccountSettings, SettingField, SettingKind, SettingValue};
use super::channel::ChannelError;
use super::http::secret::Secret;
use super::platforms;
use crate::base::Msg;
use crate::msg;

/// The keys of every account, whatever its platform.
pub const PLATFORM: SettingField = SettingField::text(
    "platform",
    "the platform; by default the account's own name",
);
pub const FOREIGN: SettingField = SettingField::count(
    "foreign",
    "messages a period of a platform's own cap that are sent by others than tagcast (the platform's console, another program); by default 0",
);

/// What the file says; secrets and files are not yet read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AccountConfig {
    /// By default the account's own name.
    pub platform: Option<String>,
    /// Messages to a user in one period of a platform's cap that are sent by others than tagcast.
    pub foreign: u32,
    /// By their keys.
    values: BTreeMap<String, SettingValue>,
}

impl AccountConfig {
    /// The files that the settings are read from, relative to the folder.
    pub fn files(&self) -> Vec<&Path> {
        platforms::setting_fields()
            .iter()
            .filter_map(|field| match field.kind {
                SettingKind::File => self.text(field.name),
                SettingKind::Secret => self.text(&format!("{}_file", field.name)),
                SettingKind::Text
                | SettingKind::Integer
                | SettingKind::Count
                | SettingKind::Flag => None,
            })
            .map(Path::new)
            .collect()
    }

    /// The settings of the account, its secrets and files read; files are relative to the folder.
    ///
    /// # Errors
    /// A secret that is not there, is given twice, or that others may read; a file that cannot be
    /// read.
    pub fn settings(&self, name: &str, folder: &Path) -> Result<AccountSettings, ChannelError> {
        let platform = self.platform.as_deref().unwrap_or(name);
        let mut settings = AccountSettings::new(name, platform);
        for field in platforms::setting_fields() {
            let value = match field.kind {
                SettingKind::Text
                | SettingKind::Integer
                | SettingKind::Count
                | SettingKind::Flag => self.values.get(field.name).cloned(),
                SettingKind::File => match self.text(field.name) {
                    Some(file) => Some(SettingValue::Text(content(&folder.join(file))?)),
                    None => None,
                },
                SettingKind::Secret => self
                    .secret(field.name, folder)
                    .map_err(|why| ChannelError::Account {
                        name: name.into(),
                        why,
                    })?
                    .map(SettingValue::Secret),
            };
            if let Some(value) = value {
                settings.set(field.name, value);
            }
        }
        Ok(settings)
    }

    fn secret(&self, name: &str, folder: &Path) -> Result<Option<Secret>, Msg> {
        let env = self.text(&format!("{name}_env"));
        let file = self.text(&format!("{name}_file"));
        match (env, file) {
            (Some(_), Some(_)) => Err(msg!(
                "`{name}_env` and `{name}_file` are both given: leave one",
                "同时写了 `{name}_env` 和 `{name}_file`：请只保留一个"
            )),
            (Some(env), None) => Secret::from_env(env).map(Some),
            (None, Some(file)) => Secret::from_file(&folder.join(file)).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key)? {
            SettingValue::Text(text) => Some(text),
            SettingValue::Number(_) | SettingValue::Flag(_) | SettingValue::Secret(_) => None,
        }
    }
}

fn content(file: &Path) -> Result<String, ChannelError> {
    std::fs::read_to_string(file).map_err(|error| ChannelError::File {
        file: file.into(),
        error,
    })
}

impl<'de> Deserialize<'de> for AccountConfig {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(Keys)
    }
}

struct Keys;

/// A key of an account, and how its value is read.
struct Key {
    name: String,
    kind: SettingKind,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let name = String::deserialize(d)?;
        let fields: Vec<SettingField> = [PLATFORM]
            .into_iter()
            .chain(platforms::setting_fields())
            .chain([FOREIGN])
            .collect();
        match fields.iter().find(|field| field.keys().contains(&name)) {
            Some(field) => Ok(Key {
                kind: field.kind,
                name,
            }),
            None => {
                let known: Vec<String> = fields
                    .iter()
                    .flat_map(SettingField::keys)
                    .map(|key| format!("`{key}`"))
                    .collect();
                Err(D::Error::custom(format!(
                    "unknown field `{name}`, expected one of {}",
                    known.join(", ")
                )))
            }
        }
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = AccountConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings of an account")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AccountConfig, A::Error> {
        let mut config = AccountConfig::default();
        while let Some(Key { name, kind }) = map.next_key()? {
            if name == PLATFORM.name {
                config.platform = Some(map.next_value()?);
            } else if name == FOREIGN.name {
                config.foreign = map.next_value()?;
            } else {
                let value = match kind {
                    SettingKind::Text | SettingKind::File | SettingKind::Secret => {
                        SettingValue::Text(map.next_value()?)
                    }
                    SettingKind::Integer => SettingValue::Number(map.next_value()?),
                    SettingKind::Count => SettingValue::Number(map.next_value::<u32>()?.into()),
                    SettingKind::Flag => SettingValue::Flag(map.next_value()?),
                };
                config.values.insert(name, value);
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<AccountConfig, String> {
        toml::from_str(text).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn keys_and_their_types() {
        let config = parse(
            "platform = \"wecom\"\nagent_id = 7\nsecret_file = \"key\"\nforeign = 2\nconcurrency = 3",
        )
        .unwrap();
        assert_eq!(
            (config.platform.as_deref(), config.foreign),
            (Some("wecom"), 2)
        );
        assert_eq!(config.files(), [Path::new("key")]);
        assert!(
            parse("agent = 7")
                .unwrap_err()
                .contains("unknown field `agent`, expected one of `platform`")
        );
        assert!(
            parse("agent_id = \"7\"")
                .unwrap_err()
                .contains("invalid type: string")
        );
        assert!(
            parse("concurrency = -1")
                .unwrap_err()
                .contains("invalid value: integer `-1`")
        );
        assert!(
            parse("keeps_keys = 1")
                .unwrap_err()
                .contains("invalid type: integer")
        );
    }

    #[test]
    fn secrets_come_from_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let settings = |text: &str| {
            parse(text)
                .unwrap()
                .settings("rose", dir.path())
                .map_err(|e| e.message().en)
        };
        let unset =
            settings("platform = \"service_account\"\nsecret_env = \"TAGCAST_NO_SUCH_VARIABLE\"");
        assert!(
            unset
                .unwrap_err()
                .contains("`TAGCAST_NO_SUCH_VARIABLE` is not set")
        );
        let twice = settings("secret_env = \"A\"\nsecret_file = \"b\"");
        assert!(twice.unwrap_err().contains("both given"));
        let file = "platform = \"service_account\"\napp_id = \"wx1\"\nsecret_file = \"key\"";
        std::fs::write(dir.path().join("key"), "hunter2\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| {
                let permissions = std::fs::Permissions::from_mode(mode);
                std::fs::set_permissions(dir.path().join("key"), permissions).unwrap();
            };
            mode(0o644);
            assert!(settings(file).unwrap_err().contains("chmod 600"));
            mode(0o600);
        }
        let found = settings(file).unwrap();
        let app_id = SettingField::text("app_id", "");
        assert_eq!(
            (found.platform.as_str(), found.text(&app_id)),
            ("service_account", Some("wx1"))
        );
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn a_file_of_a_setting_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let config = parse("platform = \"alipay\"\nplatform_key = \"key.pem\"").unwrap();
        let error = config.settings("alipay", dir.path()).unwrap_err();
        assert!(matches!(error, ChannelError::File { file, .. } if file.ends_with("key.pem")));
        std::fs::write(dir.path().join("key.pem"), "PEM").unwrap();
        assert!(config.settings("alipay", dir.path()).is_ok());
    }
}
