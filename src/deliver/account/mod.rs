//! What is known of an account: the settings that its platform declares, and their values.

mod account_settings;
mod setting_field;

pub use account_settings::{AccountSettings, SettingValue};
pub use setting_field::{Needed, SettingField, SettingKind};
