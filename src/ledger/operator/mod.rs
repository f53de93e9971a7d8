//! What a person may do.

pub(super) mod holds;
pub(super) mod learned;
pub(super) mod test_messages;
