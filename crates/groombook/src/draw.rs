//! The one generator that everything is drawn from.
//!
//! Owns how numbers, choices and ids come out of it. ChaCha with 8 rounds is a fixed function of its key;
//! the draws are spelt out here and use nothing of `rand`'s distributions, whose results may
//! change from version to version.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::profile::Profile;

/// A seeded source of draws.
#[derive(Debug, Clone)]
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// The source for this seed and profile.
    ///
    /// The profile is part of the key: ids of one profile would otherwise turn up under other
    /// emails in the next, and a database that saw both would refuse them as duplicates.
    pub(super) fn new(seed: u64, profile: Profile) -> Self {
        let mut key = [0_u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(b"groomer3");
        let name = profile.name().as_bytes();
        key[16..16 + name.len()].copy_from_slice(name);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True in so many cases of a hundred.
    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    /// One of these, which must not be none.
    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let count = u32::try_from(from.len()).unwrap_or(u32::MAX);
        &from[self.below(count) as usize]
    }

    /// A UUID with the bits of version 4.
    pub(super) fn id(&mut self) -> Id {
        let mut bytes = [0_u8; 16];
        bytes[..8].copy_from_slice(&self.0.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.0.next_u64().to_le_bytes());
        Id(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }

    /// A number below `count`, by the high half of a product (Lemire 2019, section 2, without its
    /// rejection: the bias is below 2^-32 for 64 bits and a `count` of 32).
    fn below(&mut self, count: u32) -> u32 {
        let product = u128::from(self.0.next_u64()) * u128::from(count);
        u32::try_from(product >> 64).unwrap_or(0)
    }
}

/// A row's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(uuid::Uuid);

impl Id {
    /// An id that is the same whatever the seed.
    pub(super) const fn fixed(number: u128) -> Self {
        Self(uuid::Uuid::from_u128(number))
    }

    /// As SQL reads it.
    pub(super) fn sql(self) -> String {
        format!("'{}'", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_draws_for_ever() {
        let mut draw = Draw::new(42, Profile::Tiny);
        let numbers: Vec<u32> = (0..8).map(|_| draw.between(1, 1000)).collect();
        let again: Vec<u32> = {
            let mut draw = Draw::new(42, Profile::Tiny);
            (0..8).map(|_| draw.between(1, 1000)).collect()
        };
        assert_eq!(numbers, again);
        assert_ne!(
            Draw::new(43, Profile::Tiny).id(),
            Draw::new(42, Profile::Tiny).id()
        );
        assert_ne!(
            Draw::new(42, Profile::Dev).id(),
            Draw::new(42, Profile::Tiny).id()
        );
    }

    #[test]
    fn every_number_of_a_range_comes_and_none_outside() {
        let mut draw = Draw::new(1, Profile::Uat);
        let mut seen = [0_u32; 5];
        for _ in 0..5000 {
            let number = draw.between(3, 7);
            seen[(number - 3) as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (900..1100).contains(count)),
            "{seen:?}"
        );
    }
}
