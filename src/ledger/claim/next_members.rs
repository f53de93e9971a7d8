//! The members of a segment that come next, and who of them is passed over.

use crate::ledger::claim::held_batch::Member;
use crate::ledger::claim::open_segment::OpenSegment;
use crate::ledger::rows::record::ClaimRecord;

/// Members of a segment that come next.
#[derive(Debug)]
pub(in crate::ledger) struct NextMembers {
    /// How many of its places that are.
    pub(in crate::ledger) size: i64,
    /// Places that have lost their slots.
    pub(in crate::ledger) displaced_places: Vec<i64>,
    /// Places of users who have opted out since the plan.
    pub(in crate::ledger) opted_out: Vec<i64>,
    /// Places of users for whom the channel has closed since the plan.
    pub(in crate::ledger) unreachable: Vec<i64>,
    pub(in crate::ledger) opened_anew: bool,
    /// The others: they may be sent.
    pub(in crate::ledger) members: Vec<Member>,
}

impl NextMembers {
    /// What has become of those who are not sent; nothing is said of the others.
    pub(in crate::ledger) fn passed_over(&self, segment: &OpenSegment) -> ClaimRecord {
        let NextMembers {
            size,
            displaced_places,
            opted_out,
            unreachable,
            opened_anew: _,
            members: _,
        } = self;
        ClaimRecord {
            segment: segment.of.segment,
            first: segment.claimed,
            size: *size,
            opted_out: opted_out.clone(),
            unreachable: unreachable.clone(),
            displaced: segment.displaced,
            passed_over: displaced_places.clone(),
            batch: None,
            spent: Vec::new(),
        }
    }
}
