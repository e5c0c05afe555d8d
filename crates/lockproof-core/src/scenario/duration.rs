//! Durations as scenario files have them: a whole number and its unit.
//!
//! Owns the units, and that what is written is what was read.

use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no duration; write a whole number and its unit, such as \"250ms\", \"3s\" or \"1m\""
)]
pub struct NotADuration(String);

/// The units, with their nanoseconds, the largest first.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// The duration that this text names.
///
/// # Errors
/// When it is not a whole number and one of `ns`, `us`, `ms`, `s`, `m`, `h`, or too long (more than
/// 584 years).
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let wrong = || NotADuration(text.to_owned());
    let trimmed = text.trim();
    let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = trimmed.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let (_, nanoseconds) = UNITS
        .iter()
        .find(|(name, _)| *name == unit.trim())
        .ok_or_else(wrong)?;
    number
        .checked_mul(*nanoseconds)
        .map(Duration::from_nanos)
        .ok_or_else(wrong)
}

/// The shortest text for a duration (of at most 584 years).
#[must_use]
pub fn write_duration(duration: Duration) -> String {
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanoseconds == 0 {
        return "0ms".to_owned();
    }
    UNITS
        .iter()
        .find(|(_, unit)| nanoseconds % unit == 0)
        .map_or_else(String::new, |(name, unit)| {
            format!("{}{name}", nanoseconds / unit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(parse_duration("0ms"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration(" 3 s "), Ok(Duration::from_secs(3)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(write_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(write_duration(Duration::from_secs(7200)), "2h");
        for text in [
            "",
            "3",
            "s",
            "-1s",
            "1.5s",
            "3 days",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(nanoseconds: u64) {
            let duration = Duration::from_nanos(nanoseconds);
            prop_assert_eq!(parse_duration(&write_duration(duration)), Ok(duration));
        }
    }
}
