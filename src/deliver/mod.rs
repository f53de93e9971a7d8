//! From decisions to messages handed over: at most once each, whatever happens in between.
//!
//! [`ledger`] remembers: what is planned is in it before anything is handed over, and each
//! hand-over is claimed in it before it begins. [`channel`] says what a way to hand over must
//! promise, [`channels`] holds them, [`dispatch`] does the work that the ledger holds. Nothing
//! here reads a script: what is sent was frozen when it was planned.

pub mod callback;
pub mod channel;
pub mod channels;
pub mod dispatch;
pub mod quota;
pub mod wire;
