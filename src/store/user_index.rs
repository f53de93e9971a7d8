//! Where a user's rows are in a segment, without a search: a bit for each user number, and how many
//! users came before each word of bits.
//!
//! Made when it is first asked for, in one pass over the segment's users; a quarter of a byte a
//! user number. A segment with few users over a wide range has none: there a search costs less than
//! the bits.

/// Narrower than this many numbers a user, an index is worth its memory.
const WIDEST: usize = 64;

/// The positions of sorted, distinct user numbers.
#[derive(Clone, Debug)]
pub struct UserIndex {
    /// The word that `words` starts at.
    first: usize,
    words: Vec<u64>,
    /// How many users lie before each word.
    before: Vec<u32>,
}

impl UserIndex {
    /// The index of `users`, when they lie near enough together.
    pub fn of(users: &[u32]) -> Option<UserIndex> {
        let (low, high) = (*users.first()? as usize / 64, *users.last()? as usize / 64);
        let length = (high + 1).checked_sub(low)?;
        if length * 64 > users.len().saturating_mul(WIDEST) {
            return None;
        }
        let mut words = vec![0u64; length];
        for user in users {
            if let Some(word) = words.get_mut((*user as usize / 64).wrapping_sub(low)) {
                *word |= 1 << (user % 64);
            }
        }
        let counts = words.iter().map(|word| word.count_ones());
        let before = counts
            .scan(0, |count, more| {
                Some(std::mem::replace(count, *count + more))
            })
            .collect();
        Some(UserIndex {
            first: low,
            words,
            before,
        })
    }

    /// Which of the 64 users of a word are there, and how many come before them.
    #[inline]
    pub fn word(&self, word: usize) -> (u64, usize) {
        let at = word.wrapping_sub(self.first);
        match (self.words.get(at), self.before.get(at)) {
            (Some(bits), Some(before)) => (*bits, *before as usize),
            _ => (0, 0),
        }
    }

    /// The position of a user.
    #[inline]
    pub fn position(&self, user: u32) -> Option<usize> {
        let (bits, before) = self.word(user as usize / 64);
        let bit = 1u64 << (user % 64);
        (bits & bit != 0).then(|| before + (bits & (bit - 1)).count_ones() as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_a_search() {
        let near: Vec<u32> = (0..3000u32).map(|i| 700 + i * 3 + i % 2).collect();
        let index = UserIndex::of(&near).expect("near together");
        for user in (0..12_000).chain([u32::MAX]) {
            assert_eq!(
                index.position(user),
                near.binary_search(&user).ok(),
                "{user}"
            );
        }
        assert!(UserIndex::of(&[]).is_none() && UserIndex::of(&[1, u32::MAX]).is_none());
    }
}
