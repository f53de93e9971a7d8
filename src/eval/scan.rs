//! The innermost loop: a test of every value of a slice, one bit a value.
//!
//! The loop has no branch, so the compiler makes it wide: 16 values a step with what every x86-64 has, 32 or 64 where the machine has AVX2 or
//! AVX-512. On the bench's first question the widths cost 100, 45 and 40, so both are worth their dispatch (`cargo bench --bench queries`).

use super::lanes::{Bits, NONE, WORDS};

/// Bit `i` is whether the test holds for value `i`. Values beyond a block are not looked at.
pub fn scan<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Bits {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the features were found at run time.
            return unsafe { x86::scan_avx512(values, holds) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { x86::scan_avx2(values, holds) };
        }
    }
    words(values, holds, pack)
}

/// How many bits are set.
pub fn count(bits: &Bits) -> usize {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("popcnt") {
        // SAFETY: the feature was found at run time.
        return unsafe { x86::count_with_popcnt(bits) };
    }
    count_words(bits)
}

#[inline(always)]
fn count_words(bits: &Bits) -> usize {
    bits.iter().map(|w| w.count_ones() as usize).sum()
}

#[inline(always)]
fn words<T: Copy>(values: &[T], holds: impl Fn(T) -> bool, pack: impl Fn(&[u8; 64]) -> u64) -> Bits {
    let mut out = NONE;
    let (chunks, rest) = values.as_chunks::<64>();
    for (word, chunk) in out.iter_mut().zip(chunks) {
        let mut answers = [0u8; 64];
        for (answer, value) in answers.iter_mut().zip(chunk) {
            *answer = 0u8.wrapping_sub(u8::from(holds(*value)));
        }
        *word = pack(&answers);
    }
    if let Some(word) = out.get_mut(chunks.len().min(WORDS)) {
        *word = rest.iter().enumerate().fold(0, |bits, (i, v)| bits | u64::from(holds(*v)) << i);
    }
    out
}

/// The top bits of 64 bytes. Of eight bytes at once: each keeps one bit, and a product brings them side by side.
fn pack(answers: &[u8; 64]) -> u64 {
    let (eights, _) = answers.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |word, (i, eight)| {
        let ones = u64::from_le_bytes(*eight) & 0x0101_0101_0101_0101;
        word | (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * i)
    })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{_mm256_movemask_epi8, _mm256_set_epi64x};

    use super::{count_words, words};
    use crate::eval::lanes::Bits;

    #[target_feature(enable = "avx2")]
    pub fn scan_avx2<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Bits {
        words(values, holds, |answers| {
            let (low, high) = answers.split_at(32);
            top_bits(low) | top_bits(high) << 32
        })
    }

    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl")]
    pub fn scan_avx512<T: Copy>(values: &[T], holds: impl Fn(T) -> bool) -> Bits {
        words(values, holds, |answers| {
            let (low, high) = answers.split_at(32);
            top_bits(low) | top_bits(high) << 32
        })
    }

    /// One instruction a word.
    #[target_feature(enable = "popcnt")]
    pub fn count_with_popcnt(bits: &Bits) -> usize {
        count_words(bits)
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

    /// Every width gives the bits that a plain loop gives, at every length.
    #[test]
    fn widths_agree() {
        let values: Vec<f32> = (0..4096).map(|i| ((i * 7919) % 1000) as f32 / 1000.0).collect();
        for n in [0, 1, 63, 64, 65, 127, 128, 4000, 4095, 4096] {
            let holds = |v: f32| (0.3..=0.7).contains(&v);
            let plain = words(&values[..n], holds, pack);
            for (i, v) in values[..n].iter().enumerate() {
                assert_eq!(plain[i / 64] >> (i % 64) & 1 == 1, holds(*v), "{n} {i}");
            }
            assert_eq!(scan(&values[..n], holds), plain);
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: the feature was found.
                assert_eq!(unsafe { x86::scan_avx2(&values[..n], holds) }, plain);
            }
        }
    }
}
