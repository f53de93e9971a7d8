//! What is kept: records, the tables that are made from them, and columns of users, addresses
//! and texts.

pub(super) mod blob;
pub(super) mod encode;
pub(super) mod projection;
pub(super) mod record;
pub(super) mod send_limits;
