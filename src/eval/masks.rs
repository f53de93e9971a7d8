//! Masks over a block of rows, and Kleene's operators on them.
//!
//! The loops over a mask's 64 words are written once and compiled for what machines have
//! ([`wide!`]): a block passes through a dozen of them, which is most of what an answer costs whose
//! columns need not be read.

/// Users (or event rows) in a block.
pub const BLOCK: usize = 4096;
pub const WORDS: usize = BLOCK / 64;

/// One bit a row of a block: bit `i` of word `w` is row `64 w + i`.
pub type Bits = [u64; WORDS];

pub const NONE: Bits = [0; WORDS];

/// A loop over words as a function that runs in the widest form that the machine has.
macro_rules! wide {
    ($($(#[$doc:meta])* pub fn $name:ident($($arg:ident: $ty:ty),*) $(-> $out:ty)? $body:block)*) => {
        $($(#[$doc])*
        pub fn $name($($arg: $ty),*) $(-> $out)? {
            #[inline(always)]
            fn plain($($arg: $ty),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,popcnt")]
                fn avx512($($arg: $ty),*) $(-> $out)? {
                    plain($($arg),*)
                }
                #[target_feature(enable = "avx2,popcnt")]
                fn avx2($($arg: $ty),*) $(-> $out)? {
                    plain($($arg),*)
                }
                if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("popcnt") {
                    // SAFETY: the features were found at run time.
                    return unsafe { avx512($($arg),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("popcnt") {
                    // SAFETY: as above.
                    return unsafe { avx2($($arg),*) };
                }
            }
            plain($($arg),*)
        })*
    };
}

pub(super) use wide;

/// The first `n` rows.
pub fn first(n: usize) -> Bits {
    let mut bits = [u64::MAX; WORDS];
    if n < BLOCK {
        for (w, word) in bits.iter_mut().enumerate() {
            *word = match n.saturating_sub(w * 64) {
                0 => 0,
                rest if rest >= 64 => u64::MAX,
                rest => (1 << rest) - 1,
            };
        }
    }
    bits
}

pub fn zip(a: &Bits, b: &Bits, f: impl Fn(u64, u64) -> u64) -> Bits {
    std::array::from_fn(|w| f(a[w], b[w]))
}

pub fn and(a: &Bits, b: &Bits) -> Bits {
    zip(a, b, |a, b| a & b)
}

pub fn or(a: &Bits, b: &Bits) -> Bits {
    zip(a, b, |a, b| a | b)
}

pub fn minus(a: &Bits, b: &Bits) -> Bits {
    zip(a, b, |a, b| a & !b)
}

pub fn is_none(a: &Bits) -> bool {
    a.iter().fold(0, |any, w| any | w) == 0
}

pub fn set(bits: &mut Bits, row: usize) {
    if let Some(word) = bits.get_mut(row / 64) {
        *word |= 1 << (row % 64);
    }
}

pub fn get(bits: &Bits, row: usize) -> bool {
    bits.get(row / 64).is_some_and(|w| w >> (row % 64) & 1 == 1)
}

/// The rows whose bits are set, in order.
pub fn rows(bits: &Bits) -> impl Iterator<Item = usize> + '_ {
    bits.iter().enumerate().flat_map(|(w, word)| {
        let mut rest = *word;
        std::iter::from_fn(move || {
            let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
            rest &= rest - 1;
            Some(w * 64 + bit)
        })
    })
}

/// The rows of `of` for which a test holds. Nothing in it depends on the answers but the bits, so
/// that a machine looks ahead to the next rows.
#[inline(always)]
pub fn among(of: &Bits, mut holds: impl FnMut(usize) -> bool) -> Bits {
    std::array::from_fn(|w| {
        let (mut rest, mut out) = (of[w], 0);
        while rest != 0 {
            let bit = rest.trailing_zeros();
            rest &= rest - 1;
            out |= u64::from(holds(w * 64 + bit as usize)) << bit;
        }
        out
    })
}

/// A condition for a block: where it is true and where it is false; elsewhere it is unknown.
#[derive(Clone, Copy)]
pub struct Truths {
    pub yes: Bits,
    pub no: Bits,
}

impl Truths {
    pub const UNKNOWN: Truths = Truths {
        yes: NONE,
        no: NONE,
    };

    /// True in `yes`, false in the rest of `known`.
    pub fn within(yes: &Bits, known: &Bits) -> Truths {
        let mut out = Truths::UNKNOWN;
        within(&mut out, yes, known);
        out
    }

    pub fn known(&self) -> Bits {
        or(&self.yes, &self.no)
    }
}

wide! {
    /// How many bits are set.
    pub fn count(bits: &Bits) -> usize {
        bits.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// True in `yes`, false in the rest of `known`.
    pub fn within(out: &mut Truths, yes: &Bits, known: &Bits) {
        for w in 0..WORDS {
            (out.yes[w], out.no[w]) = (yes[w] & known[w], known[w] & !yes[w]);
        }
    }

    /// One part more of an `and` over the rows of `need`, asked for those of `open`, which become
    /// those that are still open. Whether any are.
    pub fn both(all: &mut Truths, part: &Truths, need: &Bits, open: &mut Bits) -> bool {
        let mut any = 0;
        for w in 0..WORDS {
            all.yes[w] &= part.yes[w];
            all.no[w] |= part.no[w] & open[w];
            open[w] = need[w] & !all.no[w];
            any |= open[w];
        }
        any != 0
    }

    /// One part more of an `or`, as [`both`].
    pub fn either(any: &mut Truths, part: &Truths, need: &Bits, open: &mut Bits) -> bool {
        let mut left = 0;
        for w in 0..WORDS {
            any.no[w] &= part.no[w];
            any.yes[w] |= part.yes[w] & open[w];
            open[w] = need[w] & !any.yes[w];
            left |= open[w];
        }
        left != 0
    }

    /// How many rows are true, and how many known.
    pub fn tell(truths: &Truths) -> (usize, usize) {
        truths.yes.iter().zip(&truths.no).fold((0, 0), |(yes, known), (y, n)| (yes + y.count_ones() as usize, known + (y | n).count_ones() as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_count_rows() {
        assert!(is_none(&first(0)));
        assert_eq!(
            rows(&first(70)).collect::<Vec<_>>(),
            (0..70).collect::<Vec<_>>()
        );
        assert_eq!(rows(&first(BLOCK)).count(), BLOCK);
        let mut bits = NONE;
        set(&mut bits, 4095);
        set(&mut bits, 9999);
        assert!(get(&bits, 4095) && !get(&bits, 0) && !get(&bits, 9999));
        assert_eq!(rows(&bits).collect::<Vec<_>>(), [4095]);
        assert_eq!(count(&first(70)), 70);
        assert_eq!(
            rows(&among(&first(10), |row| row % 3 == 0)).collect::<Vec<_>>(),
            [0, 3, 6, 9]
        );
    }

    /// Kleene's tables, for every pair of truths at once.
    #[test]
    fn both_and_either_are_kleenes() {
        const TRUTHS: [Option<bool>; 3] = [Some(true), Some(false), None];
        let pairs: Vec<(Option<bool>, Option<bool>)> = TRUTHS
            .iter()
            .flat_map(|a| TRUTHS.map(|b| (*a, b)))
            .collect();
        let side = |of: fn(&(Option<bool>, Option<bool>)) -> Option<bool>| {
            let mut truths = Truths::UNKNOWN;
            for (row, pair) in pairs.iter().enumerate() {
                match of(pair) {
                    Some(true) => set(&mut truths.yes, row),
                    Some(false) => set(&mut truths.no, row),
                    None => {}
                }
            }
            truths
        };
        let need = first(pairs.len());
        let (mut all, mut any) = (
            Truths {
                yes: need,
                no: NONE,
            },
            Truths {
                yes: NONE,
                no: need,
            },
        );
        let (mut open_all, mut open_any) = (need, need);
        for part in [side(|p| p.0), side(|p| p.1)] {
            both(&mut all, &part, &need, &mut open_all);
            either(&mut any, &part, &need, &mut open_any);
        }
        for (row, (a, b)) in pairs.iter().enumerate() {
            let truth = |t: &Truths| match (get(&t.yes, row), get(&t.no, row)) {
                (true, false) => Some(true),
                (false, true) => Some(false),
                (false, false) => None,
                (true, true) => panic!("true and false at once"),
            };
            let and = if *a == Some(false) || *b == Some(false) {
                Some(false)
            } else {
                a.zip(*b).map(|_| true)
            };
            let or = if *a == Some(true) || *b == Some(true) {
                Some(true)
            } else {
                a.zip(*b).map(|_| false)
            };
            assert_eq!((truth(&all), truth(&any)), (and, or), "{a:?} {b:?}");
            assert_eq!(get(&open_all, row), and != Some(false));
        }
        assert_eq!(
            tell(&any).0,
            pairs
                .iter()
                .filter(|(a, b)| *a == Some(true) || *b == Some(true))
                .count()
        );
    }
}
