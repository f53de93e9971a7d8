//! What platforms say of themselves: calls, mailboxes, who can be reached.

pub(super) mod calls;
pub(super) mod contacts;
pub(super) mod mailbox;
