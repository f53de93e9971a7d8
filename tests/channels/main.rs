//! Real channels against platforms that behave as theirs do: what is sent, how each failure
//! ends, and what the platform itself says that it accepted. Failure modes are numbered as the
//! channel reference numbers them, cases as the delivery design does.

#[path = "../platforms/mod.rs"]
mod platforms;
#[path = "../support/mod.rs"]
mod support;

mod alipay;
mod alone;
mod asking;
mod bench;
mod callbacks;
mod config;
mod cuts;
mod douyin;
mod kill;
mod lists;
mod mailbox;
mod reload;
mod service_account;
mod trouble;
mod webhook;
mod wecom;
