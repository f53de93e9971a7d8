//! What every real channel stands on: the one door to the network, accounts with their secrets and
//! tokens, and what a platform's answer means.

pub mod account;
pub mod api_response;
pub mod client;
pub mod secret;
pub mod signature;
pub mod token;
