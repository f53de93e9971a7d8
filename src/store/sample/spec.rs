//! What sample data is made of: how many users, what they like, what they do.

use crate::base::{Instant, Value, Zone};

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct SampleSpec {
    pub users: u32,
    pub seed: u64,
    /// Nothing happens after this; days are counted back from it.
    pub now: Instant,
    pub zone: Zone,
}

/// What the users like and buy.
pub(super) const CATEGORIES: [&str; 16] = [
    "beauty", "food", "fashion", "sports", "baby", "home", "digital", "travel", "books", "pets",
    "health", "outdoor", "music", "garden", "auto", "luxury",
];
pub(super) const DEVICES: [&str; 5] = ["android", "ios", "harmony", "mini_program", "web"];

/// Positions of the events in [`super::schema`].
pub(super) const VIEW: usize = 0;
pub(super) const CART_ADD: usize = 1;
pub(super) const PURCHASE: usize = 2;
pub(super) const COUPON_USED: usize = 3;

/// An event of a user: which, when, its fields.
pub(super) struct Happened {
    pub event: usize,
    pub at: Instant,
    pub fields: Vec<Option<Value>>,
}
