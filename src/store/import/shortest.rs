//! The number that a person means by an `f32`: that of its shortest text, so that the `f32` 0.3 is
//! 0.3 and not 0.30000001192.

/// Powers of ten up to which a product with an `f32` is exact: 24 bits, and 28 of 5 to the twelfth.
const DIGITS: [f64; 13] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
];

/// The number of the shortest text that is read as `f` again.
pub fn shortest(f: f32) -> f64 {
    by_digits(f).unwrap_or_else(|| f.to_string().parse().unwrap_or(f64::NAN))
}

/// The same without a text, for what columns mostly hold; `None` where that would not be sure.
fn by_digits(f: f32) -> Option<f64> {
    let exact = f64::from(f);
    if f.fract() == 0.0 && f.abs() < 1e6 {
        return Some(exact);
    }
    if !(1e-4..1e6).contains(&f.abs()) {
        return None;
    }
    // All that lies nearer to `f` than to its neighbours is read as `f`; below a power of two the
    // next one is half as far.
    let half = (f64::from(f.abs().next_up()) - exact.abs()) / 2.0;
    let narrow = if f.to_bits() & 0x7f_ffff == 0 {
        half / 2.0
    } else {
        half
    };
    for scale in DIGITS {
        let scaled = exact * scale;
        let whole = scaled.round();
        let off = (whole - scaled).abs();
        if off < narrow * scale {
            // Of two numbers with so many digits that are equally near, the text says which.
            return (off != 0.5).then_some(whole / scale);
        }
        if off <= half * scale {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_shortest_text_says() {
        let text = |f: f32| f.to_string().parse::<f64>().unwrap();
        let mut state = 7u32;
        let mut quick = 0;
        for i in 0..300_000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let anything = f32::from_bits(state);
            let fraction = (state >> 8) as f32 / 16_777_216.0;
            let cents = (i % 100_000) as f32 / 100.0;
            let power = f32::from_bits((i % 255) << 23);
            for f in [
                anything,
                fraction,
                -fraction,
                cents,
                power,
                power.next_up(),
                power.next_down(),
                i as f32,
            ] {
                if f.is_finite() {
                    assert_eq!(shortest(f).to_bits(), text(f).to_bits(), "{f:?}");
                }
            }
            quick += u32::from(by_digits(fraction).is_some());
        }
        assert!(quick > 290_000, "{quick}");
        assert!(shortest(f32::NAN).is_nan() && shortest(f32::INFINITY).is_infinite());
        assert_eq!(
            (shortest(0.3), shortest(-0.0).to_bits()),
            (0.3, (-0.0f64).to_bits())
        );
    }
}
