//! What makes two requests, or two answers, equal, without what they say.
//!
//! Owns a digest under a random key that lives in this process's memory and nowhere else. A digest is
//! never written: parameters and rows may be secrets, and a digest of a short one can be guessed.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// A digest of a request or an answer. Equal within one process where all that went in was equal; a
/// history that was read back from a file has only unknown ones.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digest(Option<[u8; 16]>);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Digest(…)"
        } else {
            "Digest(unknown)"
        })
    }
}

impl Digest {
    /// Whether what it stands for may be what the other stands for: nothing is known of one that was read back.
    #[must_use]
    pub fn may_be(self, other: Self) -> bool {
        self.0.is_none() || other.0.is_none() || self == other
    }

    /// The digest of these parts, in this order.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut digester = Digester::new();
        for part in parts {
            digester.add(part);
        }
        digester.digest()
    }

    /// The digest of several, in this order.
    #[must_use]
    pub fn of_all(all: impl IntoIterator<Item = Self>) -> Self {
        let mut digester = Digester::new();
        for one in all {
            digester.add(&one.0.unwrap_or_default());
        }
        digester.digest()
    }
}

/// A digest beside what a history says: events that say the same are equal, whatever theirs are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside(pub Digest);

impl PartialEq for Beside {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Beside {}

/// Takes in a request or an answer part by part.
#[derive(Clone)]
pub struct Digester(Box<blake3::Hasher>);

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester")
    }
}

impl Default for Digester {
    fn default() -> Self {
        Self::new()
    }
}

impl Digester {
    /// One that has taken in nothing.
    #[must_use]
    pub fn new() -> Self {
        Self(Box::new(blake3::Hasher::new_keyed(key())))
    }

    /// Takes in one part; where it ends is part of it.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part);
    }

    /// The digest of what was taken in so far.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut short = [0; 16];
        self.0.finalize_xof().fill(&mut short);
        Digest(Some(short))
    }
}

/// The key of this process: the standard library's own random numbers, stretched.
fn key() -> &'static [u8; 32] {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    KEY.get_or_init(|| {
        let random = RandomState::new();
        let mut seed = blake3::Hasher::new();
        for number in 0..8_u64 {
            let mut hasher = random.build_hasher();
            hasher.write_u64(number);
            seed.update(&hasher.finish().to_le_bytes());
        }
        *seed.finalize().as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_parts_have_equal_digests_and_where_a_part_ends_matters() {
        assert_eq!(Digest::of(&[b"a", b"bc"]), Digest::of(&[b"a", b"bc"]));
        assert_ne!(Digest::of(&[b"a", b"bc"]), Digest::of(&[b"ab", b"c"]));
        assert_ne!(Digest::of(&[]), Digest::default());
        let one = Digest::of(&[b"a"]);
        assert_ne!(Digest::of_all([one]), Digest::of_all([one, one]));
    }

    #[test]
    fn a_digest_is_never_shown() {
        assert_eq!(format!("{:?}", Digest::of(&[b"secret"])), "Digest(…)");
    }
}
