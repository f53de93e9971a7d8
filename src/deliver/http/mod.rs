//! What every platform that is called over HTTP stands on: the only access to the network, accounts
//! with their secrets and tokens, and what a platform's answer means.

pub mod account_client;
pub mod api_response;
pub mod backoff;
pub mod client;
pub mod secret;
pub mod signature;
pub mod token;
