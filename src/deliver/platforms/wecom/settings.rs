//! What an account of WeCom says.

use crate::deliver::account::SettingField;
use crate::deliver::http::account_client::{BASE_URL, CONCURRENCY};
use crate::deliver::platforms::tencent::{CALLBACK_KEY, CALLBACK_TOKEN};

pub const APP_ID: SettingField = SettingField::text("app_id", "the corporation's id").required();
pub const SECRET: SettingField =
    SettingField::secret("secret", "the secret of the application").required();
pub const AGENT_ID: SettingField =
    SettingField::integer("agent_id", "the agent id of the application").required_by("app");
pub const OPEN_KFID: SettingField =
    SettingField::text("open_kfid", "the customer service account").required_by("kf");
pub const SENDER: SettingField = SettingField::text(
    "sender",
    "the member who sends to customers; without it each customer's own",
);

pub const FIELDS: &[SettingField] = &[
    APP_ID,
    SECRET,
    AGENT_ID,
    OPEN_KFID,
    SENDER,
    CALLBACK_TOKEN,
    CALLBACK_KEY,
    BASE_URL,
    CONCURRENCY,
];
