//! Kubernetes Quantities (`47397663n`, `15500m`, `1.5Gi`, `12e6`), without loss.
//!
//! Grammar and rounding are apimachinery's (`resource.Quantity`): what is finer than a billionth
//! rounds away from zero, so that a little never becomes nothing. Two things are stricter: a number
//! has a digit (apimachinery reads `m` as 0), and what is too large is an error (apimachinery cuts
//! `8Ei` to 2^63 - 1).

/// A number as Kubernetes writes one: a whole count of billionths, of either sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity {
    nano: i128,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// It does not begin with a number.
    #[error("{0:?} does not begin with a decimal number")]
    Number(String),
    /// Behind the number stands no unit that Kubernetes knows.
    #[error("{0:?} has no unit of a Kubernetes quantity")]
    Unit(String),
    /// It needs more than 128 bits: above 10^29, or some 30 digits and more.
    #[error("{0:?} is too large or has too many digits")]
    Range(String),
}

/// A factor 2^twos × 5^fives. Decimal and binary units and the places of a fraction join in one, so
/// that nothing on the way is larger than it must be.
#[derive(Clone, Copy)]
struct Factor {
    twos: i64,
    fives: i64,
}

/// The characters of a wrong text that an error repeats.
const REPEATED: usize = 64;

// === impl Quantity ===

impl Quantity {
    /// Reads a quantity.
    pub fn parse(text: &str) -> Result<Self, InvalidQuantity> {
        let quoted = || text.chars().take(REPEATED).collect::<String>();
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, rest) = split_digits(unsigned);
        let (fraction, unit) = rest.strip_prefix('.').map_or(("", rest), split_digits);
        if whole.is_empty() && fraction.is_empty() {
            return Err(InvalidQuantity::Number(quoted()));
        }
        let unit = Factor::of_unit(unit).ok_or_else(|| InvalidQuantity::Unit(quoted()))?;
        let nano = in_nano(whole, fraction, unit).and_then(|nano| i128::try_from(nano).ok());
        let nano = nano.ok_or_else(|| InvalidQuantity::Range(quoted()))?;
        Ok(Self { nano: if negative { -nano } else { nano } })
    }

    /// The nearest floating point number: cores, degrees, pascals.
    #[expect(clippy::cast_precision_loss, reason = "a reading has fewer than 15 digits")]
    pub fn as_f64(self) -> f64 {
        self.nano as f64 / 1e9
    }

    /// Whole units, rounded up: bytes, pods. `None` below zero and from 2^64.
    pub fn units(self) -> Option<u64> {
        self.in_parts_of(1_000_000_000)
    }

    /// Thousandths, rounded up: a thousandth of a core. `None` below zero and from 2^64.
    pub fn milli(self) -> Option<u64> {
        self.in_parts_of(1_000_000)
    }

    fn in_parts_of(self, nano: u128) -> Option<u64> {
        u64::try_from(u128::try_from(self.nano).ok()?.div_ceil(nano)).ok()
    }
}

// === impl Factor ===

impl Factor {
    fn of_unit(unit: &str) -> Option<Self> {
        Some(match unit {
            "n" => Self::ten(-9),
            "u" => Self::ten(-6),
            "m" => Self::ten(-3),
            "" => Self::ten(0),
            "k" => Self::ten(3),
            "M" => Self::ten(6),
            "G" => Self::ten(9),
            "T" => Self::ten(12),
            "P" => Self::ten(15),
            "E" => Self::ten(18),
            "Ki" => Self::two(10),
            "Mi" => Self::two(20),
            "Gi" => Self::two(30),
            "Ti" => Self::two(40),
            "Pi" => Self::two(50),
            "Ei" => Self::two(60),
            exponent => Self::ten(exponent.strip_prefix(['e', 'E'])?.parse::<i32>().ok()?.into()),
        })
    }

    fn ten(power: i64) -> Self {
        Self { twos: power, fives: power }
    }

    fn two(power: i64) -> Self {
        Self { twos: power, fives: 0 }
    }

    fn shifted(self, places: i64) -> Self {
        Self { twos: self.twos + places, fives: self.fives + places }
    }

    /// `number` times the factor, rounded up; `None` where 128 bits do not hold it.
    fn times(self, number: u128) -> Option<u128> {
        let powers = |twos, fives| checked_power(2, twos)?.checked_mul(checked_power(5, fives)?);
        let product = number.checked_mul(powers(self.twos, self.fives)?)?;
        // A divisor that 128 bits do not hold is larger than any product.
        let divisor = powers(-self.twos, -self.fives).unwrap_or(u128::MAX);
        Some(product.div_ceil(divisor))
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// The number without its sign in billionths; `None` where 128 bits do not hold it.
fn in_nano(whole: &str, fraction: &str, unit: Factor) -> Option<u128> {
    let fraction = fraction.trim_end_matches('0');
    let places = i64::try_from(fraction.len()).ok()?;
    let mut digits = whole.bytes().chain(fraction.bytes()).map(|digit| u128::from(digit - b'0'));
    let number = digits.try_fold(0_u128, |sum, digit| sum.checked_mul(10)?.checked_add(digit))?;
    if number == 0 { Some(0) } else { unit.shifted(9 - places).times(number) }
}

/// `base` to a power; 1 for powers below zero, which divide instead.
fn checked_power(base: u128, power: i64) -> Option<u128> {
    base.checked_pow(u32::try_from(power.max(0)).ok()?)
}

#[cfg(test)]
mod tests;
