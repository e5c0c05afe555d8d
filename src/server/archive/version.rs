//! The version of an archive.
//!
//! Owns how it is read and written.

use std::fmt;

/// A version as archives have it: `16.2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) struct Version([u32; 3]);

impl Version {
    /// Reads `16.2.0`, `v16.2.0` or `16.2`; `None` for a beta or anything else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let mut parts = [0; 3];
        let mut count = 0;
        for part in text.split('.') {
            *parts.get_mut(count)? = part.parse().ok()?;
            count += 1;
        }
        (count > 1).then_some(Self(parts))
    }

    pub(super) fn major(self) -> u32 {
        self.0[0]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered_by_their_numbers() {
        let read = |text: &str| Version::read(text).unwrap();
        assert!(read("v16.10.0") > read("16.9.0"));
        assert_eq!(read("15.18").to_string(), "15.18.0");
        for none in ["18.0.0-beta1", "16", "", "latest", "1.2.3.4"] {
            assert_eq!(Version::read(none), None, "{none}");
        }
    }
}
