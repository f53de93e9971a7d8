//! A set of users as one bit a user number.

use super::UserNo;

#[inline(always)]
fn count(words: &[u64]) -> usize {
    words.iter().map(|w| w.count_ones() as usize).sum()
}

/// One instruction a word, where a plain x86-64 takes a dozen.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn count_with_popcnt(words: &[u64]) -> usize {
    count(words)
}

/// Bits in 64-bit words, user 0 in the lowest bit of the first word. Bits at and above `len` are
/// always 0.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Bitmap {
    words: Vec<u64>,
    len: usize,
}

impl Bitmap {
    /// Nobody of `len` users.
    pub fn none(len: usize) -> Self {
        Bitmap {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// Everyone of `len` users.
    pub fn all(len: usize) -> Self {
        Self::from_words(vec![u64::MAX; len.div_ceil(64)], len)
    }

    /// Takes words as they are; bits at and above `len` are cleared.
    pub fn from_words(mut words: Vec<u64>, len: usize) -> Self {
        words.resize(len.div_ceil(64), 0);
        if let Some(last) = words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last &= (1u64 << (len % 64)) - 1;
        }
        Bitmap { words, len }
    }

    pub fn from_users(len: usize, users: impl IntoIterator<Item = UserNo>) -> Self {
        let mut map = Self::none(len);
        users.into_iter().for_each(|u| map.insert(u));
        map
    }

    /// How many users there are to choose from.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|w| *w == 0)
    }

    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub fn contains(&self, user: UserNo) -> bool {
        self.words
            .get(user.index() / 64)
            .is_some_and(|w| w >> (user.index() % 64) & 1 == 1)
    }

    /// Adds a user; a number outside the map is ignored.
    pub fn insert(&mut self, user: UserNo) {
        if user.index() < self.len
            && let Some(w) = self.words.get_mut(user.index() / 64)
        {
            *w |= 1 << (user.index() % 64);
        }
    }

    pub fn remove(&mut self, user: UserNo) {
        if let Some(w) = self.words.get_mut(user.index() / 64) {
            *w &= !(1 << (user.index() % 64));
        }
    }

    /// How many users are in it.
    pub fn count(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("popcnt") {
            // SAFETY: the feature was found at run time.
            return unsafe { count_with_popcnt(&self.words) };
        }
        count(&self.words)
    }

    /// The users in it, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = UserNo> + '_ {
        self.words.iter().enumerate().flat_map(|(i, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(UserNo((i * 64) as u32 + bit))
            })
        })
    }

    pub fn and(&self, other: &Bitmap) -> Bitmap {
        self.zip(other, |a, b| a & b)
    }

    pub fn or(&self, other: &Bitmap) -> Bitmap {
        self.zip(other, |a, b| a | b)
    }

    /// In `self` and not in `other`.
    pub fn minus(&self, other: &Bitmap) -> Bitmap {
        self.zip(other, |a, b| a & !b)
    }

    pub fn complement(&self) -> Bitmap {
        Self::from_words(self.words.iter().map(|w| !w).collect(), self.len)
    }

    fn zip(&self, other: &Bitmap, f: impl Fn(u64, u64) -> u64) -> Bitmap {
        let n = self.words.len().max(other.words.len());
        let at = |m: &Bitmap, i: usize| m.words.get(i).copied().unwrap_or(0);
        Self::from_words(
            (0..n).map(|i| f(at(self, i), at(other, i))).collect(),
            self.len.max(other.len),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_behave_as_sets() {
        let a = Bitmap::from_users(130, [0, 64, 129].map(UserNo));
        let b = Bitmap::from_users(130, [64, 65].map(UserNo));
        assert_eq!(a.and(&b).iter().collect::<Vec<_>>(), [UserNo(64)]);
        assert_eq!(a.or(&b).count(), 4);
        assert_eq!(
            a.minus(&b).iter().map(|u| u.0).collect::<Vec<_>>(),
            [0, 129]
        );
        assert_eq!(a.complement().count(), 127);
        assert_eq!(Bitmap::all(130).count(), 130);
        assert!(!a.contains(UserNo(500)));
    }
}
