//! The answer to a condition for everyone, and the same in numbers.

use crate::base::Bitmap;

/// For whom a condition is true, and for whom it is known to be true or false.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudienceMask {
    /// Those for whom it is true; all of them are `known`.
    pub yes: Bitmap,
    pub known: Bitmap,
}

/// An audience in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudienceCounts {
    pub users: usize,
    pub yes: usize,
    pub no: usize,
    pub unknown: usize,
}
