//! Who falls into a sample, a holdout or an arm: stable hashes of user ids, independent of one
//! another.
//!
//! A lottery is `xxh3_64(word 0x00 key)` under the program's seed, the word being `sample`,
//! `holdout`, `holdout as` or `arm`, the key the campaign's name or the holdout's own. A user's
//! place in it is the upper part of `xxh3_64(user id)` under the lottery as seed, scaled to
//! millionths. So the same id has the same place over runs, machines and stores, another lottery
//! gives another, independent place, and a share that grows keeps those who were in it. This
//! construction never changes: people would change groups.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::base::{Bitmap, UserNo};
use crate::program::typed::{Campaign, Holdout, Share};
use crate::store::Snapshot;

/// One drawing: every user has a place in it.
#[derive(Clone, Copy, Debug)]
pub struct Lottery(u64);

impl Lottery {
    fn new(seed: u64, word: &str, key: &str) -> Self {
        Lottery(xxh3_64_with_seed(format!("{word}\0{key}").as_bytes(), seed))
    }

    pub fn sample(seed: u64, campaign: &Campaign) -> Self {
        Self::new(seed, "sample", &campaign.declared.name)
    }

    pub fn arm(seed: u64, campaign: &Campaign) -> Self {
        Self::new(seed, "arm", &campaign.declared.name)
    }

    /// Campaigns whose holdouts share a key hold out the same people.
    pub fn holdout(seed: u64, campaign: &Campaign, holdout: &Holdout) -> Self {
        match &holdout.key {
            Some(key) => Self::new(seed, "holdout as", key),
            None => Self::new(seed, "holdout", &campaign.declared.name),
        }
    }

    /// A user's place, 0 to 999,999.
    pub fn place(self, id: &str) -> u32 {
        let hash = u128::from(xxh3_64_with_seed(id.as_bytes(), self.0));
        ((hash * u128::from(Share::ALL.0)) >> 64) as u32
    }

    /// Those of the users who are in the first `share` of all places.
    pub fn drawn(self, snapshot: &Snapshot, users: &Bitmap, share: Share) -> Bitmap {
        Bitmap::from_users(
            users.len(),
            users
                .iter()
                .filter(|user| self.place_of(snapshot, *user) < share.0),
        )
    }

    pub fn place_of(self, snapshot: &Snapshot, user: UserNo) -> u32 {
        self.place(snapshot.user_id(user).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 100_000;

    fn places(lottery: Lottery) -> Vec<u32> {
        (0..N).map(|i| lottery.place(&format!("u{i}"))).collect()
    }

    #[test]
    fn places_never_move() {
        // Computed once and written down: a change here moves people between groups.
        let lottery = Lottery::new(7, "holdout as", "2026Q4");
        assert_eq!(
            ["u1", "u2", "用户三", ""].map(|id| lottery.place(id)),
            [764_153, 897_520, 882_841, 223_720]
        );
    }

    #[test]
    fn shares_hold() {
        for lottery in [
            Lottery::new(0, "arm", "a"),
            Lottery::new(0, "arm", "b"),
            Lottery::new(1, "arm", "a"),
        ] {
            let mut tenths = [0usize; 10];
            places(lottery)
                .into_iter()
                .for_each(|p| tenths[p as usize / 100_000] += 1);
            // Nine degrees of freedom: over 33.7 once in 10,000 seeds.
            let expected = N as f64 / 10.0;
            let chi: f64 = tenths
                .iter()
                .map(|n| (*n as f64 - expected).powi(2) / expected)
                .sum();
            assert!(chi < 33.7, "{tenths:?}");
        }
    }

    #[test]
    fn lotteries_are_independent() {
        let kinds = [
            ("sample", "c"),
            ("holdout", "c"),
            ("arm", "c"),
            ("holdout as", "c"),
            ("arm", "d"),
        ]
        .map(|(w, k)| Lottery::new(0, w, k));
        let all: Vec<Vec<u32>> = kinds
            .into_iter()
            .chain([Lottery::new(1, "arm", "c")])
            .map(places)
            .collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                // Of those in the first tenth of one, a tenth is in the first tenth of the other:
                // 1,000 of 100,000, within 4 deviations.
                let both = a
                    .iter()
                    .zip(b)
                    .filter(|(x, y)| **x < 100_000 && **y < 100_000)
                    .count();
                assert!((874..=1126).contains(&both), "{both}");
            }
        }
    }
}
