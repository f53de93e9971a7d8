//! What a Douyin account says.

use crate::deliver::account::SettingField;
use crate::deliver::http::account_client::{BASE_URL, CONCURRENCY};

pub const APP_ID: SettingField =
    SettingField::text("app_id", "the client key of the application").required();
pub const OPEN_ID: SettingField =
    SettingField::text("open_id", "the account's own open id").required();
pub const REFRESH_TOKEN: SettingField =
    SettingField::secret("refresh_token", "what its tokens are fetched with").required();
pub const SECRET: SettingField = SettingField::secret(
    "secret",
    "the client secret, by which callbacks are checked",
);
pub const CALLBACK_TOKEN: SettingField =
    SettingField::secret("callback_token", "checks callbacks instead of the secret");
pub const CARD: SettingField = SettingField::text("card", "the template of mini program cards");

pub const FIELDS: &[SettingField] = &[
    APP_ID,
    OPEN_ID,
    REFRESH_TOKEN,
    SECRET,
    CALLBACK_TOKEN,
    CARD,
    BASE_URL,
    CONCURRENCY,
];
