//! Exact decimals. Scores and minimums are whole millionths and means are compared as sums, so that no verdict hangs on
//! how a float is rounded.

use std::{fmt, str::FromStr};

const DIGITS: u32 = 6;
const ONE: i64 = 1_000_000;
/// Largest magnitude: a sum of 100,000 scores of the schema's size (1,000) stays far below `i64::MAX` millionths.
const LIMIT: i64 = 1_000_000 * ONE;
/// Digits after the point that messages show, as long as they do not contradict the verdict.
const SHOWN: u32 = 3;

/// A number in whole millionths, within ±1,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i64);

impl Decimal {
    pub const ZERO: Self = Self(0);
    pub const ONE: Self = Self(ONE);

    /// None outside ±1,000,000.
    pub fn from_millionths(millionths: i64) -> Option<Self> {
        (-LIMIT..=LIMIT).contains(&millionths).then_some(Self(millionths))
    }

    pub fn millionths(self) -> i64 {
        self.0
    }

    /// The decimal that people see: the shortest one that reads back as this float, its seventh digit rounded half away
    /// from zero. None for NaN, infinities and anything outside ±1,000,000.
    pub fn from_f64(number: f64) -> Option<Self> {
        // Rust prints the shortest decimal that reads back, never with an exponent.
        number.is_finite().then(|| number.to_string().parse().ok()).flatten()
    }

    pub fn is_whole(self) -> bool {
        self.0 % ONE == 0
    }
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` must be a decimal number such as 2.85, within ±1000000");
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) {
            return Err(wrong());
        }
        let mut millionths = whole.parse::<i64>().ok().and_then(|w| w.checked_mul(ONE)).ok_or_else(wrong)?;
        let mut unit = ONE;
        for digit in fraction.bytes().take(DIGITS as usize) {
            unit /= 10;
            millionths = millionths.checked_add(i64::from(digit - b'0') * unit).ok_or_else(wrong)?;
        }
        if fraction.as_bytes().get(DIGITS as usize).is_some_and(|next| *next >= b'5') {
            millionths += 1;
        }
        Self::from_millionths(if negative { -millionths } else { millionths }).ok_or_else(wrong)
    }
}

/// Exact, with at least three digits after the point: `2.850`, `0.9995`.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&exact(i128::from(self.0)))
    }
}

/// Millionths with at least three digits after the point.
fn exact(millionths: i128) -> String {
    let (mut digits, mut value) = (DIGITS, millionths);
    while digits > SHOWN && value % 10 == 0 {
        value /= 10;
        digits -= 1;
    }
    fixed(value, digits)
}

/// A sum and a count: a mean that was not rounded yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mean {
    sum: i64,
    samples: i64,
}

impl Mean {
    /// From status: the sum in millionths.
    pub fn of(sum_millionths: i64, samples: i64) -> Self {
        Self { sum: sum_millionths, samples: samples.max(0) }
    }

    pub fn add(&mut self, score: Decimal) {
        self.sum = self.sum.saturating_add(score.0);
        self.samples = self.samples.saturating_add(1);
    }

    pub fn plus(self, other: Self) -> Self {
        Self { sum: self.sum.saturating_add(other.sum), samples: self.samples.saturating_add(other.samples) }
    }

    pub fn samples(self) -> i64 {
        self.samples
    }

    pub fn sum_millionths(self) -> i64 {
        self.sum
    }

    /// `sum ≥ minimum × n`, in whole numbers. False without samples: no data is never a pass.
    pub fn meets(self, minimum: Decimal) -> bool {
        self.samples > 0 && i128::from(self.sum) >= i128::from(minimum.0) * i128::from(self.samples)
    }

    /// Three digits after the point, half away from zero; more where three would contradict the verdict: a mean of
    /// 2.8496 against 2.850 prints 2.8496. None without samples.
    pub fn text(self, minimum: Decimal) -> Option<String> {
        if self.samples == 0 {
            return None;
        }
        let passes = self.meets(minimum);
        // Two different means of n scores in millionths differ by at least 1e-6/n, so that 18 digits tell any apart.
        let digits = (SHOWN..18).find(|digits| self.agrees(*digits, minimum, passes)).unwrap_or(18);
        Some(fixed(self.rounded(digits), digits))
    }

    /// How far the mean lies above the minimum, as a share of the metric's scale; ordered exactly by `cmp_margin`.
    pub fn margin(self, minimum: Decimal, width: Decimal) -> Margin {
        Margin {
            over: i128::from(self.sum) - i128::from(minimum.0) * i128::from(self.samples),
            under: (i128::from(self.samples) * i128::from(width.0)).max(1),
        }
    }

    /// How far the sum of the questions' means lies above `minimum` for each, where each question has `repeats` samples:
    /// the points that may still be lost. Rounded down to millionths, so that no more is promised than there is.
    pub fn points_over(self, minimum: Decimal, repeats: i64) -> String {
        exact(self.margin(minimum, Decimal::ONE).over.div_euclid(i128::from(repeats.max(1))))
    }

    fn rounded(self, digits: u32) -> i128 {
        let divisor = i128::from(self.samples) * i128::from(ONE);
        let scaled = i128::from(self.sum) * 10_i128.pow(digits);
        let half = divisor / 2;
        (if scaled < 0 { scaled - half } else { scaled + half }) / divisor
    }

    fn agrees(self, digits: u32, minimum: Decimal, passes: bool) -> bool {
        // Compared in units of 10^-digits, both sides times a million.
        (self.rounded(digits) * i128::from(ONE) >= i128::from(minimum.0) * 10_i128.pow(digits)) == passes
    }
}

/// A fraction that can be compared with others without dividing. Scales may differ: 0.03 of 3 is less than 0.02 of 1.
#[derive(Clone, Copy, Debug)]
pub struct Margin {
    over: i128,
    under: i128,
}

impl PartialEq for Margin {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Margin {}

impl PartialOrd for Margin {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Margin {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // |over| ≤ 2^41 × 10^5 and under ≤ 2^41 × 10^5: the products stay below 2^117.
        (self.over * other.under).cmp(&(other.over * self.under))
    }
}

/// `value` in units of 10^-digits.
fn fixed(value: i128, digits: u32) -> String {
    let unit = 10_i128.pow(digits);
    let sign = if value < 0 { "-" } else { "" };
    let (whole, fraction) = (value.abs() / unit, value.abs() % unit);
    format!("{sign}{whole}.{fraction:0width$}", width = digits as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().expect(text)
    }

    fn mean(scores: &[i64]) -> Mean {
        let mut mean = Mean::default();
        scores.iter().for_each(|s| mean.add(decimal(&s.to_string())));
        mean
    }

    #[test]
    fn reads_and_prints_what_people_type() {
        for (text, printed) in [
            ("2.85", "2.850"),
            ("0.9995", "0.9995"),
            ("3", "3.000"),
            ("-0.5", "-0.500"),
            ("0.3333333333333333", "0.333333"),
            ("0.0000005", "0.000001"),
            ("-0.0000005", "-0.000001"),
            ("1000000", "1000000.000"),
        ] {
            assert_eq!(decimal(text).to_string(), printed);
        }
        assert_eq!(Decimal::from_f64(2.85), Some(decimal("2.85")));
        assert_eq!(Decimal::from_f64(0.1 + 0.2), Some(decimal("0.3")));
        assert_eq!(Decimal::from_f64(-0.0).map(|d| d.to_string()), Some("0.000".into()));
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, 1_000_000.000_001] {
            assert_eq!(Decimal::from_f64(number), None, "{number}");
        }
        for text in ["", ".", "1.", ".5", "1e3", "NaN", "1.2.3", "+1", "--1", "9223372036854775808"] {
            assert!(text.parse::<Decimal>().is_err_and(|e| e.contains("such as 2.85")), "{text}");
        }
    }

    #[test]
    fn a_printed_mean_never_contradicts_its_verdict() {
        let minimum = decimal("2.85");
        let text = |sum: i64, n: i64| Mean::of(sum, n).text(minimum);
        assert_eq!(text(2_849_600, 1).as_deref(), Some("2.8496"));
        assert_eq!(text(2_849_999, 1).as_deref(), Some("2.849999"));
        assert_eq!(text(2_850_400, 1).as_deref(), Some("2.850"));
        assert_eq!(text(2_850_000 * 7 - 1, 7).as_deref(), Some("2.8499999"));
        assert_eq!(Mean::of(950_400, 1).text(decimal("0.9503")).as_deref(), Some("0.9504"));
        assert_eq!(Mean::default().text(minimum), None);
    }

    /// With whole scores a window of n has a mean of at least 2.85 if it lost at most ⌊0.15 n⌋ points.
    #[test]
    fn lost_points_that_a_window_forgives() {
        let minimum = decimal("2.85");
        for (n, forgiven) in [(1, 0), (4, 0), (6, 0), (7, 1), (13, 1), (14, 2), (19, 2), (20, 3), (40, 6)] {
            assert!(Mean::of((3 * n - forgiven) * ONE, n).meets(minimum), "n={n}");
            assert!(!Mean::of((3 * n - forgiven - 1) * ONE, n).meets(minimum), "n={n}");
        }
    }

    #[test]
    fn the_articles_means() {
        let minimum = decimal("2.85");
        for (sum, n, text) in
            [(11, 4, "2.750"), (19, 7, "2.714"), (29, 11, "2.636"), (46, 17, "2.706"), (49, 17, "2.882")]
        {
            assert_eq!(Mean::of(sum * ONE, n).text(minimum).as_deref(), Some(text));
        }
        assert_eq!(mean(&[3, 3, 3, 2]), Mean::of(11 * ONE, 4));
    }

    #[test]
    fn margins_are_shares_of_the_scale() {
        let (three, one) = (decimal("3"), decimal("1"));
        let rubric = Mean::of(2_880_000, 1).margin(decimal("2.85"), three);
        let rate = Mean::of(920_000, 1).margin(decimal("0.90"), one);
        assert!(rubric < rate, "0.03 of 3 is tighter than 0.02 of 1");
        assert!(Mean::of(1, 1).margin(one, one) < rubric);
    }

    proptest! {
        /// Against rational arithmetic: sum/n ≥ m  ⇔  sum ≥ m·n, and rounding moves by at most half a unit.
        #[test]
        fn exact_as_rationals(scores in prop::collection::vec(-1_000_000_000_i64..=1_000_000_000, 1..200), m in -1_000_000_000_i64..=1_000_000_000) {
            let mut mean = Mean::default();
            for score in &scores {
                mean.add(Decimal::from_millionths(*score).expect("in range"));
            }
            let (sum, n) = (scores.iter().map(|s| i128::from(*s)).sum::<i128>(), scores.len() as i128);
            let minimum = Decimal::from_millionths(m).expect("in range");
            prop_assert_eq!(mean.meets(minimum), sum >= i128::from(m) * n);
            let text = mean.text(minimum).expect("samples");
            let digits = text.split_once('.').expect("point").1.len() as u32;
            let value: i128 = text.replace('.', "").parse().expect("digits");
            // |value/10^d − sum/(n·10^6)| ≤ ½·10^-d
            let off = (value * n * 1_000_000 - sum * 10_i128.pow(digits)).abs();
            prop_assert!(2 * off <= n * 1_000_000);
            prop_assert_eq!(value * 1_000_000 >= i128::from(m) * 10_i128.pow(digits), mean.meets(minimum));
        }

        #[test]
        fn text_reads_back(millionths in -LIMIT..=LIMIT) {
            let decimal = Decimal::from_millionths(millionths).expect("in range");
            prop_assert_eq!(decimal.to_string().parse(), Ok(decimal));
        }

        #[test]
        fn a_typed_number_is_exact(millionths in -1_000_000_000_i64..=1_000_000_000) {
            let text = Decimal::from_millionths(millionths).expect("in range").to_string();
            let float: f64 = text.parse().expect("float");
            prop_assert_eq!(Decimal::from_f64(float).map(Decimal::millionths), Some(millionths));
        }
    }
}
