//! What became of a planned message, and what may be learned of it.
//!
//! States are ordered by how much they are worth as evidence, and the stronger of two wins. So
//! answers, receipts and the word of a person may arrive in any order and any number of times: the
//! end is the same.

use serde::{Deserialize, Serialize};

use crate::base::Msg;

/// What became of a planned message, from the weakest knowledge to the strongest. The numbers are
/// what the ledger stores.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Frozen in the ledger, not yet claimed.
    Planned = 0,
    /// Not sent: the user opted out in the meantime.
    Struck = 10,
    /// Not sent: the deadline passed.
    Expired = 11,
    /// Not sent: taken back.
    Withdrawn = 12,
    /// Not sent: a more important message has the user's slot.
    Capped = 13,
    /// A send may be in progress.
    Claimed = 20,
    /// Sent or not: the answer was lost.
    Unknown = 21,
    /// A person says that it was not sent.
    SaidNotSent = 30,
    /// A person says that it was sent.
    SaidSent = 31,
    /// Proved: no byte of it left.
    NotSent = 35,
    /// The platform did not take it.
    Refused = 40,
    /// The platform took it.
    Accepted = 50,
    /// Somebody has to confirm it.
    Waiting = 51,
    /// A review stopped it.
    Rejected = 60,
    /// The platform could not deliver it.
    Failed = 61,
    /// Nobody confirmed it in time.
    Unconfirmed = 62,
    Delivered = 70,
    /// Taken back after it was sent.
    Recalled = 80,
}

impl State {
    /// For people: in English by its name, in Chinese in words.
    pub fn msg(self) -> Msg {
        let zh = match self {
            State::Planned => "已计划",
            State::Struck => "已划去",
            State::Expired => "已过期",
            State::Withdrawn => "已撤下",
            State::Capped => "名额已让出",
            State::Claimed => "交付中",
            State::Unknown => "结果未知",
            State::SaidNotSent => "人工确认未发送",
            State::SaidSent => "人工确认已发送",
            State::NotSent => "未发出",
            State::Refused => "被拒绝",
            State::Accepted => "已接收",
            State::Waiting => "待人工确认",
            State::Rejected => "审核未通过",
            State::Failed => "发送失败",
            State::Unconfirmed => "逾期未确认",
            State::Delivered => "已送达",
            State::Recalled => "已撤回",
        };
        Msg {
            en: self.name().into(),
            zh: zh.into(),
        }
    }

    pub const ALL: [State; 18] = [
        State::Planned,
        State::Struck,
        State::Expired,
        State::Withdrawn,
        State::Capped,
        State::Claimed,
        State::Unknown,
        State::SaidNotSent,
        State::SaidSent,
        State::NotSent,
        State::Refused,
        State::Accepted,
        State::Waiting,
        State::Rejected,
        State::Failed,
        State::Unconfirmed,
        State::Delivered,
        State::Recalled,
    ];

    pub fn code(self) -> i64 {
        self as i64
    }

    pub fn of_code(code: i64) -> Option<State> {
        State::ALL.into_iter().find(|s| s.code() == code)
    }

    /// As reports and `why` write it.
    pub fn name(self) -> &'static str {
        match self {
            State::Planned => "planned",
            State::Struck => "struck",
            State::Expired => "expired",
            State::Withdrawn => "withdrawn",
            State::Capped => "capped",
            State::Claimed => "claimed",
            State::Unknown => "unknown",
            State::SaidNotSent => "said_not_sent",
            State::SaidSent => "said_sent",
            State::NotSent => "not_sent",
            State::Refused => "refused",
            State::Accepted => "accepted",
            State::Waiting => "waiting",
            State::Rejected => "rejected",
            State::Failed => "failed",
            State::Unconfirmed => "unconfirmed",
            State::Delivered => "delivered",
            State::Recalled => "recalled",
        }
    }

    /// Whether a cap counts it: everything that reached the user or may have.
    pub fn counts(self) -> bool {
        match self {
            State::Planned
            | State::Claimed
            | State::Unknown
            | State::SaidSent
            | State::Accepted
            | State::Waiting
            | State::Delivered => true,
            State::Struck
            | State::Expired
            | State::Withdrawn
            | State::Capped
            | State::SaidNotSent
            | State::NotSent
            | State::Refused
            | State::Rejected
            | State::Failed
            | State::Unconfirmed
            | State::Recalled => false,
        }
    }

    /// Whether it left for the user: `None` while nobody knows.
    pub fn sent(self) -> Option<bool> {
        match self {
            State::Claimed | State::Unknown => None,
            State::SaidSent
            | State::Accepted
            | State::Failed
            | State::Delivered
            | State::Recalled => Some(true),
            State::Planned
            | State::Struck
            | State::Expired
            | State::Withdrawn
            | State::Capped
            | State::SaidNotSent
            | State::NotSent
            | State::Refused
            | State::Waiting
            | State::Rejected
            | State::Unconfirmed => Some(false),
        }
    }

    /// It was sent, and what became of it then is known.
    pub fn is_known(self) -> bool {
        !matches!(self, State::Planned | State::Claimed | State::Unknown)
    }
}

/// Something learned of a message after it was sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptKind {
    Accepted,
    Refused,
    Waiting,
    Rejected,
    Failed,
    /// Who had to confirm it did not, and cannot any more.
    Unconfirmed,
    Delivered,
    Recalled,
    /// A person settles an unknown send.
    SaidSent,
    SaidNotSent,
    Opened,
    Clicked,
    Complained,
}

impl ReceiptKind {
    pub const ALL: [ReceiptKind; 13] = [
        ReceiptKind::Accepted,
        ReceiptKind::Refused,
        ReceiptKind::Waiting,
        ReceiptKind::Rejected,
        ReceiptKind::Failed,
        ReceiptKind::Unconfirmed,
        ReceiptKind::Delivered,
        ReceiptKind::Recalled,
        ReceiptKind::SaidSent,
        ReceiptKind::SaidNotSent,
        ReceiptKind::Opened,
        ReceiptKind::Clicked,
        ReceiptKind::Complained,
    ];

    pub fn name(self) -> &'static str {
        match self {
            ReceiptKind::Accepted => "accepted",
            ReceiptKind::Refused => "refused",
            ReceiptKind::Waiting => "waiting",
            ReceiptKind::Rejected => "rejected",
            ReceiptKind::Failed => "failed",
            ReceiptKind::Unconfirmed => "unconfirmed",
            ReceiptKind::Delivered => "delivered",
            ReceiptKind::Recalled => "recalled",
            ReceiptKind::SaidSent => "said_sent",
            ReceiptKind::SaidNotSent => "said_not_sent",
            ReceiptKind::Opened => "opened",
            ReceiptKind::Clicked => "clicked",
            ReceiptKind::Complained => "complained",
        }
    }

    pub fn named(name: &str) -> Option<ReceiptKind> {
        ReceiptKind::ALL.into_iter().find(|r| r.name() == name)
    }

    /// The state that it proves. What a user does with a message says nothing of how it is handed
    /// over, but that it arrived.
    pub fn proves(self) -> State {
        match self {
            ReceiptKind::Accepted => State::Accepted,
            ReceiptKind::Refused => State::Refused,
            ReceiptKind::Waiting => State::Waiting,
            ReceiptKind::Rejected => State::Rejected,
            ReceiptKind::Failed => State::Failed,
            ReceiptKind::Unconfirmed => State::Unconfirmed,
            ReceiptKind::Recalled => State::Recalled,
            ReceiptKind::SaidSent => State::SaidSent,
            ReceiptKind::SaidNotSent => State::SaidNotSent,
            ReceiptKind::Delivered
            | ReceiptKind::Opened
            | ReceiptKind::Clicked
            | ReceiptKind::Complained => State::Delivered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_in_order() {
        assert!(
            State::ALL
                .windows(2)
                .all(|w| w[0] < w[1] && w[0].code() < w[1].code())
        );
        assert!(
            State::ALL
                .iter()
                .all(|s| State::of_code(s.code()) == Some(*s))
        );
        assert!(
            ReceiptKind::ALL
                .iter()
                .all(|r| ReceiptKind::named(r.name()) == Some(*r))
        );
        assert_eq!(State::of_code(77), None);
    }
}
