//! What WeChat and WeCom have in common: how their API is called, and how their callbacks are
//! signed and encrypted.

mod api;
mod sealed_call;

pub use self::api::{call_api, issued_token};
pub use self::sealed_call::{CALLBACK_KEY, CALLBACK_TOKEN, CallSeal};
