//! An account of the sandbox needs nothing: its file is `outbox` of `tagcast.toml`.

use crate::deliver::account::SettingField;

pub const FIELDS: &[SettingField] = &[];
