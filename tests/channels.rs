//! Real channels against platforms that behave as theirs do: what is handed over, how each failure
//! ends, and what the platform itself says that it accepted. Failure modes are numbered as the
//! channel reference numbers them, cases as the delivery design does.

#![allow(clippy::duplicate_mod, reason = "each of them brings what it needs")]

mod platforms;
mod support;

#[path = "support/campaigns.rs"]
mod campaigns;
#[path = "support/delivery.rs"]
mod delivery;

#[path = "channels/alipay.rs"]
mod alipay;
#[path = "channels/alone.rs"]
mod alone;
#[path = "channels/asking.rs"]
mod asking;
#[path = "channels/bench.rs"]
mod bench;
#[path = "channels/callbacks.rs"]
mod callbacks;
#[path = "channels/config.rs"]
mod config;
#[path = "channels/cuts.rs"]
mod cuts;
#[path = "channels/douyin.rs"]
mod douyin;
#[path = "channels/kill.rs"]
mod kill;
#[path = "channels/lists.rs"]
mod lists;
#[path = "channels/mailbox.rs"]
mod mailbox;
#[path = "channels/reload.rs"]
mod reload;
#[path = "channels/service_account.rs"]
mod service_account;
#[path = "channels/trouble.rs"]
mod trouble;
#[path = "channels/webhook.rs"]
mod webhook;
#[path = "channels/wecom.rs"]
mod wecom;
