//! Exact decimal literals: what a script says before anyone knows whether it means money, a ratio
//! or a count.

use std::fmt;

/// `mantissa × 10^-scale`, at most 18 significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    pub mantissa: i64,
    pub scale: u8,
}

/// More digits than [`Decimal`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyDigits;

impl Decimal {
    pub const fn int(value: i64) -> Self {
        Decimal {
            mantissa: value,
            scale: 0,
        }
    }

    /// Reads `12`, `1_000`, `0.30`; underscores between digits are skipped.
    ///
    /// # Errors
    /// [`TooManyDigits`] when the digits do not fit 18 places.
    pub fn parse(text: &str) -> Result<Self, TooManyDigits> {
        let (mut mantissa, mut scale, mut point) = (0i64, 0u8, false);
        for c in text.chars() {
            match c {
                '0'..='9' => {
                    let digit = i64::from(c as u8 - b'0');
                    mantissa = mantissa
                        .checked_mul(10)
                        .and_then(|m| m.checked_add(digit))
                        .filter(|m| *m < 1_000_000_000_000_000_000)
                        .ok_or(TooManyDigits)?;
                    scale += u8::from(point);
                }
                '.' => point = true,
                _ => {}
            }
        }
        Ok(Decimal { mantissa, scale })
    }

    /// The value times `factor` (`50万` is `50` times 10,000); `None` on overflow.
    pub fn times(self, factor: i64) -> Option<Self> {
        Some(Decimal {
            mantissa: self.mantissa.checked_mul(factor)?,
            scale: self.scale,
        })
    }

    pub fn negated(self) -> Self {
        Decimal {
            mantissa: -self.mantissa,
            scale: self.scale,
        }
    }

    /// The nearest f64, by way of the shortest decimal text, so that `0.1` is the f64 that everyone
    /// calls 0.1.
    pub fn to_f64(self) -> f64 {
        // The text has at most 20 characters of digits and one point: it always parses.
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// The whole number it is, if it is one.
    pub fn to_int(self) -> Option<i64> {
        self.to_minor(0)
    }

    /// As units of `10^-digits` (minor units of money for `digits` = 2), if that is exact.
    pub fn to_minor(self, digits: u8) -> Option<i64> {
        if self.scale <= digits {
            self.mantissa
                .checked_mul(10i64.checked_pow(u32::from(digits - self.scale))?)
        } else {
            let cut = 10i64.checked_pow(u32::from(self.scale - digits))?;
            (self.mantissa % cut == 0).then_some(self.mantissa / cut)
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scale == 0 {
            return write!(f, "{}", self.mantissa);
        }
        let digits = format!(
            "{:0>width$}",
            self.mantissa.unsigned_abs(),
            width = usize::from(self.scale) + 1
        );
        let (whole, part) = digits.split_at(digits.len() - usize::from(self.scale));
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{part}")
    }
}

/// Division to the nearest whole number, half away from zero; `None` by zero or where it does not
/// fit.
pub fn div_round(a: i128, b: i128) -> Option<i64> {
    if b == 0 {
        return None;
    }
    let (whole, rest) = (a / b, a % b);
    let away = if (a < 0) == (b < 0) { 1 } else { -1 };
    i64::try_from(if rest.unsigned_abs() * 2 >= b.unsigned_abs() {
        whole + away
    } else {
        whole
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        for (text, printed, minor) in [
            ("12", "12", Some(1200)),
            ("1_000", "1000", Some(100_000)),
            ("0.30", "0.30", Some(30)),
            ("99.505", "99.505", None),
            ("0.05", "0.05", Some(5)),
        ] {
            let d = Decimal::parse(text).unwrap();
            assert_eq!(d.to_string(), printed);
            assert_eq!(d.to_minor(2), minor, "{text}");
        }
        assert_eq!(Decimal::parse("9999999999999999999"), Err(TooManyDigits));
        assert_eq!(Decimal::int(-5).to_string(), "-5");
    }
}
