//! The known users: the few rows that somebody needs to log in and look around.
//!
//! Owns who they are; their ids are fixed. Knows nothing of profiles.

use chrono::NaiveDate;

use super::draw::{Draw, Id};
use super::people::{Client, Member, Pet, Service, services};
use super::profile::Profile;

const MANAGER: Id = Id::fixed(0xde30_0000_0000_4000_8000_0000_0000_0001);
const CLIENT: Id = Id::fixed(0xde30_0000_0000_4000_8000_0000_0000_0002);
const PET: Id = Id::fixed(0xde30_0000_0000_4000_8000_0000_0000_0003);

/// How many of the services come along.
const SERVICES: usize = 4;

/// A demo manager, a client, a pet and four services.
pub(super) struct KnownUsers {
    pub(super) manager: Member,
    pub(super) services: Vec<Service>,
    pub(super) client: Client,
}

impl KnownUsers {
    pub(super) fn new(seed: u64, today: NaiveDate) -> Self {
        let mut draw = Draw::new(seed, Profile::Demo);
        let mut client = Client::named(
            CLIENT,
            "Demo Client".to_owned(),
            "demo.client@groombook.example.com".to_owned(),
            &mut draw,
        );
        client.pets.push(Pet::with_id(PET, today, &mut draw));
        Self {
            manager: Member {
                id: MANAGER,
                name: "Demo Manager".to_owned(),
                email: "demo.manager@groombook.example.com".to_owned(),
                role: "manager",
                super_user: true,
            },
            services: services().into_iter().take(SERVICES).collect(),
            client,
        }
    }
}
