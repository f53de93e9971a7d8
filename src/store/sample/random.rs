//! Numbers from a seed: the same on every machine, and for each user independent of how many there
//! are.

/// A stream of numbers (SplitMix64).
pub(super) struct Random(u64);

impl Random {
    /// The stream of one user.
    pub fn of(seed: u64, user: u32) -> Self {
        let mut stream = Random(seed ^ 0x7461_6763_6173_7421);
        let start = stream.next() ^ u64::from(user).wrapping_mul(0xd134_2543_de82_ef95);
        Random(start)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0, below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// From 0 to `n - 1`; 0 for `n` = 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((self.unit() * n as f64) as usize).min(n.saturating_sub(1))
    }

    /// From `lo` to `hi`, both included.
    pub fn range(&mut self, lo: i64, hi: i64) -> i64 {
        lo + self.below((hi - lo + 1).max(1) as usize) as i64
    }

    /// Roughly normal, with mean 0 and deviation 1, never beyond ±6.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Exponential with the given mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -(1.0 - self.unit()).ln() * mean
    }

    /// A position in a table of rising sums of weights.
    pub fn weighted(&mut self, sums: &[f64]) -> usize {
        let x = self.unit() * sums.last().copied().unwrap_or(0.0);
        sums.partition_point(|s| *s <= x)
            .min(sums.len().saturating_sub(1))
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }
}

/// Sums of the weights 1, 1/2^s, 1/3^s, …
pub(super) fn zipf(n: usize, s: f64) -> Vec<f64> {
    let mut sum = 0.0;
    (1..=n)
        .map(|rank| {
            sum += (rank as f64).powf(-s);
            sum
        })
        .collect()
}
