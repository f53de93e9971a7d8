//! The settings of one account, its secrets read.

use std::collections::BTreeMap;

use super::setting_field::SettingField;
use crate::deliver::http::secret::Secret;

/// What `tagcast.toml` says of an account. Which settings there are the account's platform declares.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AccountSettings {
    pub name: String,
    pub platform: String,
    /// By the names of their fields.
    values: BTreeMap<&'static str, SettingValue>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum SettingValue {
    /// Also what a file holds.
    Text(String),
    Number(i64),
    Flag(bool),
    Secret(Secret),
}

impl AccountSettings {
    /// An account of which nothing is said but its platform.
    pub fn new(name: &str, platform: &str) -> Self {
        AccountSettings {
            name: name.into(),
            platform: platform.into(),
            values: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Into<SettingValue>) -> Self {
        self.set(field, value);
        self
    }

    pub fn set(&mut self, field: &'static str, value: impl Into<SettingValue>) {
        self.values.insert(field, value.into());
    }

    pub fn has(&self, field: &SettingField) -> bool {
        self.values.contains_key(field.name)
    }

    pub fn text(&self, field: &SettingField) -> Option<&str> {
        match self.values.get(field.name)? {
            SettingValue::Text(text) => Some(text),
            SettingValue::Number(_) | SettingValue::Flag(_) | SettingValue::Secret(_) => None,
        }
    }

    pub fn number(&self, field: &SettingField) -> Option<i64> {
        match self.values.get(field.name)? {
            SettingValue::Number(n) => Some(*n),
            SettingValue::Text(_) | SettingValue::Flag(_) | SettingValue::Secret(_) => None,
        }
    }

    /// `false` where nothing is said.
    pub fn flag(&self, field: &SettingField) -> bool {
        self.values.get(field.name) == Some(&SettingValue::Flag(true))
    }

    pub fn secret(&self, field: &SettingField) -> Option<&Secret> {
        match self.values.get(field.name)? {
            SettingValue::Secret(secret) => Some(secret),
            SettingValue::Text(_) | SettingValue::Number(_) | SettingValue::Flag(_) => None,
        }
    }

    /// The text without any of the account's secrets.
    pub fn hide_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for value in self.values.values() {
            if let SettingValue::Secret(secret) = value {
                text = secret.hide_in(&text);
            }
        }
        text
    }
}

impl From<&str> for SettingValue {
    fn from(text: &str) -> Self {
        SettingValue::Text(text.into())
    }
}

impl From<String> for SettingValue {
    fn from(text: String) -> Self {
        SettingValue::Text(text)
    }
}

impl From<i64> for SettingValue {
    fn from(number: i64) -> Self {
        SettingValue::Number(number)
    }
}

impl From<bool> for SettingValue {
    fn from(flag: bool) -> Self {
        SettingValue::Flag(flag)
    }
}

impl From<Secret> for SettingValue {
    fn from(secret: Secret) -> Self {
        SettingValue::Secret(secret)
    }
}
