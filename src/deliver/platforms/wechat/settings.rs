//! What an account of WeChat says.

use crate::deliver::account::SettingField;
use crate::deliver::http::account_client::{BASE_URL, CONCURRENCY};
use crate::deliver::platforms::tencent::{CALLBACK_KEY, CALLBACK_TOKEN};

pub const APP_ID: SettingField = SettingField::text("app_id", "the app id").required();
pub const SECRET: SettingField = SettingField::secret("secret", "the app secret").required();
pub const COVER: SettingField = SettingField::text(
    "cover",
    "the media id of the cover of articles without an `image`",
);

pub const FIELDS: &[SettingField] = &[
    APP_ID,
    SECRET,
    COVER,
    CALLBACK_TOKEN,
    CALLBACK_KEY,
    BASE_URL,
    CONCURRENCY,
];
