//! Staff, services, clients and pets.
//!
//! Owns who they are and the upserts that put them there. Knows nothing of visits.

use chrono::{Datelike, NaiveDate};

use super::draw::{Draw, Id};
use super::invented::{
    BREEDS, CLIENT_NOTES, FAMILY_NAMES, GIVEN_NAMES, GROOMING_NOTES, HEALTH_ALERTS, PET_NAMES,
    SERVICES, STREETS, TOWNS,
};
use super::profile::Sizes;
use super::rows::{self, optional, text};

/// Somebody of the staff.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) role: &'static str,
    pub(super) super_user: bool,
}

impl Member {
    pub(super) fn upsert(&self) -> String {
        let row = format!(
            "{}, {}, {}, '{}', {}, true",
            self.id.sql(),
            text(&self.name),
            text(&self.email),
            self.role,
            self.super_user
        );
        rows::STAFF.upsert("email", row)
    }
}

/// The staff of a profile.
#[derive(Debug, Clone)]
pub(super) struct Staff {
    pub(super) office: Vec<Member>,
    pub(super) groomers: Vec<Member>,
    pub(super) bathers: Vec<Member>,
}

impl Staff {
    pub(super) fn draw(sizes: &Sizes, draw: &mut Draw) -> Self {
        let mut group = |job: &str, role: &'static str, count: u32| -> Vec<Member> {
            (1..=count)
                .map(|number| Member {
                    id: draw.id(),
                    name: format!("{} {}", draw.pick(&GIVEN_NAMES), draw.pick(&FAMILY_NAMES)),
                    email: format!("{job}{number}@groombook.example.com"),
                    role,
                    super_user: role == "manager" && number == 1,
                })
                .collect()
        };
        let mut office = group("manager", "manager", sizes.managers);
        office.extend(group("receptionist", "receptionist", sizes.receptionists));
        Self {
            office,
            groomers: group("groomer", "groomer", sizes.groomers),
            bathers: group("bather", "groomer", sizes.bathers),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Member> {
        self.office
            .iter()
            .chain(&self.groomers)
            .chain(&self.bathers)
    }
}

/// Something that can be booked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    pub(super) id: Id,
    pub(super) name: &'static str,
    description: &'static str,
    pub(super) price_cents: u32,
    pub(super) minutes: u32,
}

impl Service {
    pub(super) fn upsert(&self) -> String {
        let row = format!(
            "{}, {}, {}, {}, {}, true",
            self.id.sql(),
            text(self.name),
            text(self.description),
            self.price_cents,
            self.minutes
        );
        rows::SERVICES.upsert("name", row)
    }
}

/// Every service, with the ids that it has in every database.
pub(super) fn services() -> Vec<Service> {
    (1..)
        .zip(SERVICES)
        .map(
            |(number, (name, description, price_cents, minutes))| Service {
                id: Id::fixed(0x5e41_1ce0_0000_4000_8000_0000_0000_0000 + number),
                name,
                description,
                price_cents,
                minutes,
            },
        )
        .collect()
}

/// A client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: Id,
    pub(super) name: String,
    pub(super) email: String,
    phone: String,
    address: String,
    notes: Option<&'static str>,
    opt_out: bool,
    pub(super) pets: Vec<Pet>,
}

impl Client {
    /// A client with one to three pets: half have one, and of the rest 70 % two.
    pub(super) fn draw(today: NaiveDate, draw: &mut Draw) -> Self {
        let given = *draw.pick(&GIVEN_NAMES);
        let family = *draw.pick(&FAMILY_NAMES);
        let letters = |name: &str| name.to_lowercase().replace('\'', "");
        let number = draw.between(1, 999);
        let mut client = Self::named(
            draw.id(),
            format!("{given} {family}"),
            format!("{}.{}{number}@example.com", letters(given), letters(family)),
            draw,
        );
        client.notes = draw.percent(20).then(|| *draw.pick(&CLIENT_NOTES));
        client.opt_out = draw.percent(10);
        let pets = match (draw.percent(50), draw.percent(70)) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        client.pets = (0..pets).map(|_| Pet::draw(today, draw)).collect();
        client
    }

    /// A client of this name, with no pets yet.
    pub(super) fn named(id: Id, name: String, email: String, draw: &mut Draw) -> Self {
        Self {
            id,
            name,
            email,
            phone: format!("555-{:04}", draw.between(100, 9999)),
            address: format!(
                "{} {}, {}",
                draw.between(1, 240),
                draw.pick(&STREETS),
                draw.pick(&TOWNS)
            ),
            notes: None,
            opt_out: false,
            pets: Vec::new(),
        }
    }

    pub(super) fn upsert(&self) -> String {
        let row = format!(
            "{}, {}, {}, {}, {}, {}, {}",
            self.id.sql(),
            text(&self.name),
            text(&self.email),
            text(&self.phone),
            text(&self.address),
            optional(self.notes),
            self.opt_out
        );
        rows::CLIENTS.upsert("id", row)
    }
}

/// A client's pet.
#[derive(Debug, Clone)]
pub(super) struct Pet {
    pub(super) id: Id,
    name: &'static str,
    species: &'static str,
    breed: &'static str,
    weight_grams: u32,
    born: NaiveDate,
    health_alerts: Option<&'static str>,
    grooming_notes: Option<&'static str>,
}

impl Pet {
    pub(super) fn draw(today: NaiveDate, draw: &mut Draw) -> Self {
        let id = draw.id();
        Self::with_id(id, today, draw)
    }

    pub(super) fn with_id(id: Id, today: NaiveDate, draw: &mut Draw) -> Self {
        let (species, breed) = *draw.pick(&BREEDS);
        let name = *draw.pick(&PET_NAMES);
        let year = today.year() - i32::try_from(draw.between(1, 14)).unwrap_or(1);
        let born = NaiveDate::from_ymd_opt(year, draw.between(1, 12), draw.between(1, 28));
        Self {
            id,
            name,
            species,
            breed,
            weight_grams: draw.between(15, 620) * 100,
            born: born.unwrap_or(today),
            health_alerts: draw.percent(35).then(|| *draw.pick(&HEALTH_ALERTS)),
            grooming_notes: draw.percent(60).then(|| *draw.pick(&GROOMING_NOTES)),
        }
    }

    pub(super) fn upsert(&self, owner: Id) -> String {
        let row = format!(
            "{}, {}, {}, {}, {}, {}.{:02}, '{}', {}, {}",
            self.id.sql(),
            owner.sql(),
            text(self.name),
            text(self.species),
            text(self.breed),
            self.weight_grams / 1000,
            self.weight_grams % 1000 / 10,
            self.born,
            optional(self.health_alerts),
            optional(self.grooming_notes)
        );
        rows::PETS.upsert("id", row)
    }
}
