//! Numbers with their unit in the type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A size in bytes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Bytes of a MiB (2^20).
    pub const MIB: u64 = 1 << 20;

    /// Whole and fractional MiB (2^20 bytes).
    #[must_use]
    pub fn mib(self) -> f64 {
        // u64 to f64: exact below 2^53 bytes (8 PiB).
        self.0 as f64 / Self::MIB as f64
    }

    /// Whole and fractional GiB (2^30 bytes).
    #[must_use]
    pub fn gib(self) -> f64 {
        self.mib() / 1024.0
    }
}

impl fmt::Display for Bytes {
    /// `97,887 MiB (95.6 GiB)`; below 1 GiB only MiB.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = grouped((self.0 + Self::MIB / 2) / Self::MIB);
        if self.0 >= 1 << 30 {
            write!(f, "{mib} MiB ({:.1} GiB)", self.gib())
        } else {
            write!(f, "{mib} MiB")
        }
    }
}

/// A whole number with commas between thousands.
#[must_use]
pub fn grouped(n: u64) -> String {
    group(&n.to_string())
}

/// A count and its noun: `1 host`, `1,024 tokens`. `noun` is singular and takes an `s`.
#[must_use]
pub fn quantity(n: impl TryInto<u64>, noun: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// A number with this many decimals, and commas between the thousands of its whole part.
#[must_use]
pub fn grouped_real(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let whole = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    format!("{sign}{}{}", group(&text[..whole]), &text[whole..])
}

/// Commas between thousands.
fn group(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_separators() {
        assert_eq!(Bytes(97_887 << 20).to_string(), "97,887 MiB (95.6 GiB)");
        assert_eq!(Bytes(512 << 20).to_string(), "512 MiB");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(quantity(1_u32, "host"), "1 host");
        assert_eq!(quantity(1_024_usize, "token"), "1,024 tokens");
        assert_eq!(grouped_real(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(grouped_real(-1_791.6, 0), "-1,792");
        assert_eq!(grouped_real(12.5, 1), "12.5");
        assert_eq!(grouped_real(f64::NAN, 1), "NaN");
    }
}
