//! What an Alipay account says.

use crate::deliver::account::SettingField;
use crate::deliver::http::account_client::{BASE_URL, CONCURRENCY};

pub const APP_ID: SettingField =
    SettingField::text("app_id", "the app id of the application").required();
pub const SECRET: SettingField =
    SettingField::secret("secret", "the application's private key in PEM").required();
pub const PLATFORM_KEY: SettingField = SettingField::file(
    "platform_key",
    "the PEM file with Alipay's public key, by which answers and callbacks are checked",
);

pub const FIELDS: &[SettingField] = &[APP_ID, SECRET, PLATFORM_KEY, BASE_URL, CONCURRENCY];
