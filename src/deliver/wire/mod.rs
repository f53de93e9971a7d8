//! What every real channel stands on: the one door to the network, accounts with their secrets and
//! tokens, and what a platform's answer means.

pub mod account;
pub mod http;
pub mod meaning;
pub mod secret;
pub mod sign;
pub mod token;
