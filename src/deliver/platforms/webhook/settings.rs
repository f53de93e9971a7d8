//! What an account of a webhook says.

use crate::deliver::account::SettingField;
use crate::deliver::http::account_client::{BASE_URL, CONCURRENCY};

pub const URL: SettingField =
    SettingField::text(BASE_URL.name, "where messages are posted to").required();
pub const SECRET: SettingField = SettingField::secret(
    "secret",
    "signs requests, and callbacks where there is no `callback_token`",
)
.required();
pub const KEEPS_KEYS: SettingField = SettingField::flag(
    "keeps_keys",
    "`true` where the receiver recognises a repeated `Idempotency-Key`",
);
pub const CALLBACK_TOKEN: SettingField =
    SettingField::secret("callback_token", "signs callbacks instead of the secret");

pub const FIELDS: &[SettingField] = &[URL, SECRET, KEEPS_KEYS, CALLBACK_TOKEN, CONCURRENCY];
