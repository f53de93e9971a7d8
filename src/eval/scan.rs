//! The innermost loop: a test of every value of a slice, one bit a value.
//!
//! Ranges, codes and bit sets have loops of their own for machines with AVX-512, which compares a
//! register of values in one step and gives the bits at once; a machine with AVX2 or neither gets
//! the loop that the compiler makes of [`scan`], which has no branch. Either way a scan of a column
//! reads memory about as fast as the machine can (`cargo bench --bench against` prints both).

use super::masks::{Bits, NONE, WORDS};

/// A number that columns are made of.
pub trait Number: Copy + PartialOrd {
    /// Bit `i` is whether value `i` lies between the two, both included. Values beyond a block are
    /// not looked at.
    fn between(values: &[Self], lo: Self, hi: Self) -> Bits;
}

macro_rules! numbers {
    ($($t:ident)*) => {
        $(impl Number for $t {
            fn between(values: &[$t], lo: $t, hi: $t) -> Bits {
                #[cfg(target_arch = "x86_64")]
                if has_avx512() {
                    // SAFETY: the features were found at run time.
                    return unsafe { x86::between::$t(values, lo, hi) };
                }
                scan(values, |v| (lo <= v) & (v <= hi))
            }
        })*
    };
}

numbers!(i8 i16 i32 i64 u8 u16 f32 f64);

/// Asks for the value at a position, which is needed soon; beyond the end it does nothing that
/// shows. It comes as near as the second cache: more of them can be on their way there.
#[inline(always)]
pub fn prefetch<T>(values: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint; it reads nothing, and an address that is not mapped is no fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(values.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, at);
}

/// Bit `i` is whether value `i` is one of a few codes.
pub fn one_of(values: &[u8], codes: &[u8]) -> Bits {
    #[cfg(target_arch = "x86_64")]
    if has_avx512() {
        // SAFETY: the features were found at run time.
        return unsafe { x86::one_of(values, codes) };
    }
    scan(values, |v| {
        codes.iter().fold(false, |found, code| found | (v == *code))
    })
}

/// A set as bits, as wide as columns have them.
pub trait BitSet: Copy {
    fn shares(self, members: Self) -> bool;
    /// Bit `i` is whether set `i` shares a member with `members`.
    fn shares_any(values: &[Self], members: Self) -> Bits;
}

macro_rules! bit_sets {
    ($($t:ident)*) => {
        $(impl BitSet for $t {
            fn shares(self, members: $t) -> bool {
                self & members != 0
            }

            fn shares_any(values: &[$t], members: $t) -> Bits {
                #[cfg(target_arch = "x86_64")]
                if has_avx512() {
                    // SAFETY: the features were found at run time.
                    return unsafe { x86::shares_any::$t(values, members) };
                }
                scan(values, |v| v.shares(members))
            }
        })*
    };
}

bit_sets!(u32 u64);

/// Bit `i` is whether any other test holds for value `i`.
pub fn scan<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Bits {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the feature was found at run time.
        return unsafe { x86::scan_avx2(values, holds) };
    }
    words(values, holds, pack)
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

#[inline(always)]
fn words<T: Copy>(
    values: &[T],
    holds: impl Fn(T) -> bool,
    pack: impl Fn(&[u8; 64]) -> u64,
) -> Bits {
    let word = |chunk: &[T; 64]| {
        let mut answers = [0u8; 64];
        for (answer, value) in answers.iter_mut().zip(chunk) {
            *answer = 0u8.wrapping_sub(u8::from(holds(*value)));
        }
        pack(&answers)
    };
    by_words(values, word, &holds)
}

/// A word for every 64 values, and one for what is left.
#[inline(always)]
fn by_words<T: Copy>(
    values: &[T],
    word: impl Fn(&[T; 64]) -> u64,
    holds: impl Fn(T) -> bool,
) -> Bits {
    let mut out = NONE;
    let (chunks, rest) = values.as_chunks::<64>();
    for (bits, chunk) in out.iter_mut().zip(chunks) {
        *bits = word(chunk);
    }
    if let (Some(bits), false) = (out.get_mut(chunks.len().min(WORDS)), rest.is_empty()) {
        *bits = rest
            .iter()
            .enumerate()
            .fold(0, |bits, (i, v)| bits | u64::from(holds(*v)) << i);
    }
    out
}

/// The top bits of 64 bytes. Of eight bytes at once: each keeps one bit, and a product brings them
/// side by side.
fn pack(answers: &[u8; 64]) -> u64 {
    let (eights, _) = answers.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |word, (i, eight)| {
        let ones = u64::from_le_bytes(*eight) & 0x0101_0101_0101_0101;
        word | (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i)
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{by_words, prefetch, words};
    use crate::eval::masks::Bits;

    /// Bytes that come from memory together.
    const LINE: usize = 64;
    /// How far ahead a scan asks for what it will read: the machine itself does so only within a
    /// page of 4,096 bytes, and begins anew in each. What lies behind the end of a block is the
    /// beginning of the next one.
    const AHEAD: usize = 4096;

    /// A loop over registers of `$lanes` values: `$compare` gives the bits of one.
    macro_rules! by_registers {
        ($values:expr, $lanes:literal, $load:ident, $compare:expr, $holds:expr) => {
            by_words(
                $values,
                |chunk| {
                    for line in 0..size_of_val(chunk) / LINE {
                        prefetch(
                            chunk.as_slice(),
                            (AHEAD + line * LINE) / size_of_val(&chunk[0]),
                        );
                    }
                    let (registers, _) = chunk.as_chunks::<$lanes>();
                    registers.iter().enumerate().fold(0, |word, (i, register)| {
                        // SAFETY: the values fill a register, and the load asks for no alignment.
                        let values = unsafe { $load(register.as_ptr().cast()) };
                        word | u64::from($compare(values)) << (i * $lanes)
                    })
                },
                $holds,
            )
        };
    }

    pub mod between {
        use super::*;

        macro_rules! between {
            ($($t:ident: $lanes:literal, $load:ident, $splat:ident($as:ty), |$v:ident, $lo:ident, $hi:ident| $within:expr;)*) => {
                $(#[target_feature(enable = "avx512f,avx512bw")]
                pub fn $t(values: &[$t], lo: $t, hi: $t) -> Bits {
                    let ($lo, $hi) = ($splat(lo as $as), $splat(hi as $as));
                    by_registers!(values, $lanes, $load, |$v| $within, |v| (lo <= v) & (v <= hi))
                })*
            };
        }

        between! {
            i8: 64, _mm512_loadu_epi8, _mm512_set1_epi8(i8), |v, lo, hi| _mm512_cmpge_epi8_mask(v, lo) & _mm512_cmple_epi8_mask(v, hi);
            u8: 64, _mm512_loadu_epi8, _mm512_set1_epi8(i8), |v, lo, hi| _mm512_cmpge_epu8_mask(v, lo) & _mm512_cmple_epu8_mask(v, hi);
            i16: 32, _mm512_loadu_epi16, _mm512_set1_epi16(i16), |v, lo, hi| _mm512_cmpge_epi16_mask(v, lo) & _mm512_cmple_epi16_mask(v, hi);
            u16: 32, _mm512_loadu_epi16, _mm512_set1_epi16(i16), |v, lo, hi| _mm512_cmpge_epu16_mask(v, lo) & _mm512_cmple_epu16_mask(v, hi);
            i32: 16, _mm512_loadu_epi32, _mm512_set1_epi32(i32), |v, lo, hi| _mm512_cmpge_epi32_mask(v, lo) & _mm512_cmple_epi32_mask(v, hi);
            i64: 8, _mm512_loadu_epi64, _mm512_set1_epi64(i64), |v, lo, hi| _mm512_cmpge_epi64_mask(v, lo) & _mm512_cmple_epi64_mask(v, hi);
            f32: 16, _mm512_loadu_ps, _mm512_set1_ps(f32),
                |v, lo, hi| _mm512_cmp_ps_mask::<_CMP_GE_OQ>(v, lo) & _mm512_cmp_ps_mask::<_CMP_LE_OQ>(v, hi);
            f64: 8, _mm512_loadu_pd, _mm512_set1_pd(f64),
                |v, lo, hi| _mm512_cmp_pd_mask::<_CMP_GE_OQ>(v, lo) & _mm512_cmp_pd_mask::<_CMP_LE_OQ>(v, hi);
        }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    pub fn one_of(values: &[u8], codes: &[u8]) -> Bits {
        let among = |v| {
            codes.iter().fold(0, |found, code| {
                found | _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(*code as i8))
            })
        };
        by_registers!(values, 64, _mm512_loadu_epi8, among, |v| codes.contains(&v))
    }

    pub mod shares_any {
        use super::*;

        #[target_feature(enable = "avx512f,avx512bw")]
        pub fn u32(values: &[u32], members: u32) -> Bits {
            let wanted = _mm512_set1_epi32(members as i32);
            by_registers!(
                values,
                16,
                _mm512_loadu_epi32,
                |v| _mm512_test_epi32_mask(v, wanted),
                |v| v & members != 0
            )
        }

        #[target_feature(enable = "avx512f,avx512bw")]
        pub fn u64(values: &[u64], members: u64) -> Bits {
            let wanted = _mm512_set1_epi64(members as i64);
            by_registers!(
                values,
                8,
                _mm512_loadu_epi64,
                |v| _mm512_test_epi64_mask(v, wanted),
                |v| v & members != 0
            )
        }
    }

    #[target_feature(enable = "avx2")]
    pub fn scan_avx2<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Bits {
        words(values, holds, |answers| {
            let (low, high) = answers.split_at(32);
            top_bits(low) | top_bits(high) << 32
        })
    }

    /// The top bits of 32 bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn top_bits(bytes: &[u8]) -> u64 {
        let (eights, _) = bytes.as_chunks::<8>();
        let part = |i: usize| eights.get(i).map_or(0, |b| i64::from_le_bytes(*b));
        let all = _mm256_set_epi64x(part(3), part(2), part(1), part(0));
        u64::from(_mm256_movemask_epi8(all) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTHS: [usize; 10] = [0, 1, 63, 64, 65, 127, 128, 4000, 4095, 4096];

    fn hold<T: Copy>(values: &[T], bits: &Bits, holds: impl Fn(T) -> bool) {
        for (i, v) in values.iter().enumerate() {
            assert_eq!(
                bits[i / 64] >> (i % 64) & 1 == 1,
                holds(*v),
                "{} of {}",
                i,
                values.len()
            );
        }
        assert!(
            (values.len()..4096).all(|i| bits[i / 64] >> (i % 64) & 1 == 0),
            "nothing beyond the end"
        );
    }

    /// Every width and every type gives the bits that a plain loop gives, at every length.
    #[test]
    fn widths_agree() {
        let mixed = |i: i64| i.wrapping_mul(0x5851_f42d_4c95_7f2d).rotate_left(17);
        macro_rules! check {
            ($($t:ident)*) => {$(
                let values: Vec<$t> = (0..4096).map(|i| mixed(i) as $t).collect();
                let mut sorted = values.clone();
                sorted.sort_by(|a, b| a.partial_cmp(b).unwrap());
                for n in LENGTHS {
                    for (lo, hi) in [(sorted[1000], sorted[3000]), (sorted[7], sorted[7]), (sorted[0], sorted[4095]), (sorted[9], sorted[0])] {
                        let holds = |v: $t| (lo <= v) & (v <= hi);
                        hold(&values[..n], &$t::between(&values[..n], lo, hi), holds);
                        assert_eq!(scan(&values[..n], holds), words(&values[..n], holds, pack));
                        assert_eq!($t::between(&values[..n], lo, hi), scan(&values[..n], holds));
                    }
                }
            )*};
        }
        check!(i8 i16 i32 i64 u8 u16 f32 f64);
    }

    #[test]
    fn what_is_not_a_number_is_in_no_range() {
        let values = [f32::NAN, 0.5, f32::INFINITY, f32::NEG_INFINITY];
        let values: Vec<f32> = values.iter().cycle().take(200).copied().collect();
        hold(
            &values,
            &f32::between(&values, f32::NEG_INFINITY, 1.0),
            |v| v <= 1.0,
        );
    }

    #[test]
    fn codes_and_sets() {
        let codes: Vec<u8> = (0..4096u32).map(|i| (i * 7919 % 251) as u8).collect();
        let sets: Vec<u64> = (0..4096u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let narrow: Vec<u32> = sets.iter().map(|set| (set >> 32) as u32).collect();
        for n in LENGTHS {
            for few in [&[][..], &[250], &[0, 3, 200], &[1, 2, 3, 4, 5, 6, 7, 8]] {
                hold(&codes[..n], &one_of(&codes[..n], few), |v| few.contains(&v));
            }
            for members in [0, 1 << 63, 1 << 31, 0b1011, u64::MAX] {
                hold(&sets[..n], &u64::shares_any(&sets[..n], members), |v| {
                    v & members != 0
                });
                let members = members as u32;
                hold(&narrow[..n], &u32::shares_any(&narrow[..n], members), |v| {
                    v & members != 0
                });
            }
        }
    }
}
