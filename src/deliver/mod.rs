//! From decisions to messages that are sent: each at most once, whatever happens in between.
//!
//! What is planned is in the ledger before anything is sent, and each call of a platform is claimed
//! there before it begins. [`channel`] declares what a way to send must promise, [`callback`] how
//! what a platform reports is understood, [`platforms`] holds the platforms, [`dispatch`] does the
//! work that the ledger holds. Nothing here reads a program: what is sent was fixed when it was
//! planned.

pub mod account;
pub mod account_config;
pub mod callback;
pub mod channel;
pub mod channels;
pub mod dispatch;
pub mod http;
mod message_parts;
pub mod platforms;
pub mod quota;
mod send_each;
