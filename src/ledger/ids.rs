//! What names a run and a message for ever.

use serde::Serialize;

use crate::base::UserNo;

/// A run's number in its ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
pub struct RunId(pub i64);

/// One message for ever. Neither the program's version nor the channel is in it: a corrected text
/// or another way is no other message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MessageKey {
    pub run: RunId,
    /// 0 is the campaign's first message.
    pub step: i64,
    /// 0, unless a message goes by several channels at once.
    pub fanout_index: i64,
    pub user: UserNo,
    pub attempt: i64,
}
