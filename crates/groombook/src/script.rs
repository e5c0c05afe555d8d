//! What a run does, decided before it does anything: its statements and lines, in order.
//!
//! Owns that order, the flushes and the wording. Pure: the same options give the same script, on
//! every machine and for every server version. Knows nothing of pools and locks, but marks the two
//! places where a wrong lock begins late or ends early.

use chrono::NaiveDate;

use super::batch::Batch;
use super::draw::Draw;
use super::invented::UAT_NAMES;
use super::known_users::KnownUsers;
use super::options::Options;
use super::people::{Client, Pet, Staff, services};
use super::profile::Profile;
use super::rows::TRUNCATE;
use super::visits::{Payment, Shop};

/// Clients are sent in groups of so many, each followed by its pets.
const CLIENT_GROUP: usize = 50;

/// One thing that a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Sends a statement.
    Send(String),
    /// Prints a line.
    Say(String),
}

/// Everything that happens between lock and unlock, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The line that a run begins with, before anything is locked.
    pub opening: String,
    /// What it does.
    pub acts: Vec<Act>,
    /// The number of acts up to and with the TRUNCATE.
    pub after_truncate: usize,
    /// The number of acts before the last flush (of the known users, which have none: before the
    /// last statement).
    pub before_last_flush: usize,
    /// The line that a run ends with.
    pub closing: String,
}

impl Script {
    /// The script for these options.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        if options.known_users {
            Self::of_known_users(options.seed, options.today)
        } else {
            Self::of_profile(options.profile, options.seed, options.today)
        }
    }

    /// The statements alone.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        self.acts.iter().filter_map(|act| match act {
            Act::Send(sql) => Some(sql.as_str()),
            Act::Say(_) => None,
        })
    }

    fn begin(opening: String, closing: &str) -> Self {
        Self {
            opening,
            acts: vec![Act::Send(TRUNCATE.to_owned())],
            after_truncate: 1,
            before_last_flush: 1,
            closing: closing.to_owned(),
        }
    }

    fn send(&mut self, sql: String) {
        self.acts.push(Act::Send(sql));
    }

    fn say(&mut self, line: String) {
        self.acts.push(Act::Say(line));
    }

    fn flush(&mut self, batch: &mut Batch) {
        let statements = batch.flush();
        if !statements.is_empty() {
            self.before_last_flush = self.acts.len();
        }
        self.acts.extend(statements.into_iter().map(Act::Send));
    }

    fn of_known_users(seed: u64, today: NaiveDate) -> Self {
        let users = KnownUsers::new(seed, today);
        let mut script = Self::begin(
            "Seeding Groom Book database (known users only)...".to_owned(),
            "Known-users seed complete!",
        );
        script.send(users.manager.upsert());
        script.say("✓ Created 1 demo manager".to_owned());
        for service in &users.services {
            script.send(service.upsert());
        }
        script.say(format!("✓ Created {} services", users.services.len()));
        script.send(users.client.upsert());
        for pet in &users.client.pets {
            script.before_last_flush = script.acts.len();
            script.send(pet.upsert(users.client.id));
        }
        script.say("✓ Created 1 demo client with 1 pet".to_owned());
        script
    }

    fn of_profile(profile: Profile, seed: u64, today: NaiveDate) -> Self {
        let sizes = profile.sizes();
        let mut draw = Draw::new(seed, profile);
        let mut script = Self::begin(
            format!("Seeding Groom Book database (profile: {profile})..."),
            "Seed complete!",
        );
        let staff = Staff::draw(&sizes, &mut draw);
        for member in staff.all() {
            script.send(member.upsert());
        }
        script.say(format!(
            "✓ Created {} staff ({} manager, {} receptionist, {} groomers, {} bathers)",
            staff.all().count(),
            sizes.managers,
            sizes.receptionists,
            sizes.groomers,
            sizes.bathers
        ));
        let services = services();
        for service in &services {
            script.send(service.upsert());
        }
        script.say(format!("✓ Created {} services", services.len()));
        let shop = Shop {
            staff: &staff,
            services: &services,
            sizes: &sizes,
            today,
        };
        let clients: Vec<Client> = (0..sizes.clients)
            .map(|_| Client::draw(today, &mut draw))
            .collect();
        script.put_clients(&clients);
        script.put_uat_clients(&shop, &mut draw);
        script.put_visits(&shop, &clients, &mut draw);
        script
    }

    fn put_clients(&mut self, clients: &[Client]) {
        for group in clients.chunks(CLIENT_GROUP) {
            for client in group {
                self.send(client.upsert());
            }
            for client in group {
                for pet in &client.pets {
                    self.send(pet.upsert(client.id));
                }
            }
        }
        let pets: usize = clients.iter().map(|client| client.pets.len()).sum();
        self.say(format!(
            "✓ Created {} clients with {pets} pets",
            clients.len()
        ));
    }

    /// Clients that acceptance tests rely on: each with a pending invoice, a statement each.
    fn put_uat_clients(&mut self, shop: &Shop<'_>, draw: &mut Draw) {
        let count = shop.sizes.uat_clients as usize;
        if count == 0 {
            return;
        }
        for name in UAT_NAMES.iter().take(count) {
            let mut client = Client::named(
                draw.id(),
                format!("UAT Test {name}"),
                format!("uat.{}@groombook.example.com", name.to_lowercase()),
                draw,
            );
            client.pets.push(Pet::draw(shop.today, draw));
            self.send(client.upsert());
            for pet in &client.pets {
                self.send(pet.upsert(client.id));
            }
            let mut batch = Batch::default();
            shop.completed(&client, Payment::Pending, draw, &mut batch);
            self.flush(&mut batch);
        }
        self.say(format!(
            "✓ Created {count} UAT test clients with guaranteed pending invoices"
        ));
    }

    fn put_visits(&mut self, shop: &Shop<'_>, clients: &[Client], draw: &mut Draw) {
        let mut batch = Batch::default();
        let full = shop.sizes.flush_every as usize;
        let (mut appointments, mut invoices) = (0_u32, 0_u32);
        for client in clients {
            for _ in 0..draw.between(3, 8) {
                appointments += 1;
                if shop.visit(client, draw, &mut batch) {
                    invoices += 1;
                }
                if batch.appointments.len() == full {
                    self.flush(&mut batch);
                }
            }
        }
        self.flush(&mut batch);
        self.say(format!("✓ Created {appointments} appointments"));
        self.say(format!(
            "✓ Created {invoices} invoices with line items and tip splits"
        ));
        let missing = shop.sizes.target_invoices.saturating_sub(invoices);
        if missing > 0 {
            self.say(format!(
                "  → Generating {missing} supplemental completed appointments to meet profile target..."
            ));
            for _ in 0..missing {
                let client = draw.pick(clients);
                shop.completed(client, Payment::Paid, draw, &mut batch);
                if batch.appointments.len() == full {
                    self.flush(&mut batch);
                }
            }
            self.flush(&mut batch);
            self.say(format!(
                "  → Added {missing} supplemental appointments ({missing} invoices)"
            ));
        }
        let total = invoices + missing;
        self.say(format!(
            "✓ Created {total} invoices with line items and tip splits"
        ));
        self.say(format!("✓ Created {total} grooming visit logs"));
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
